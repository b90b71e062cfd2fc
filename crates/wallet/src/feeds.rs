//! What devices say in one space: this device's own feed and the feeds of the others.
//!
//! A block of this device is made here and kept in the transaction of what it says; a run of another device's blocks is
//! judged here and applied by [`crate::ingest`].

use std::collections::{BTreeMap, BTreeSet};

use halo_echo::replication::{Open as _, Ready, Replica, ReplicaError, Taken, Timeframe, Void};
use halo_keystore::{FeedSigner, Keys};
use halo_protocol::credential::{CredentialId, Cut};
use halo_protocol::epoch::Epoch;
use halo_protocol::feed::{Block, BlockHash, BlockHeader, EpochId, Feed, Payload, SignedHead, Vouch};
use halo_protocol::identity::FeedState;
use halo_protocol::snapshot::{SignedSnapshot, Snapshot};
use halo_protocol::{FeedKey, SealTo, Signature, SpaceKey};
use halo_store::{BlockRow, FeedRow, Store, StoreError, Tx};

use crate::contents::ContentKeys;
use crate::error::WalletError;

/// Blocks that are read at once.
const STEP: usize = 1_000;

/// The feeds of one space.
pub(crate) struct SpaceFeeds {
    space: String,
    pub(crate) replica: Replica,
    signer: FeedSigner,
    pub(crate) contents: ContentKeys,
    /// Epochs that a snapshot waits for.
    pub(crate) wanted: BTreeSet<EpochId>,
}

/// A block that was made and not kept yet.
pub(crate) struct Written {
    row: BlockRow,
    feed: Feed,
}

impl Written {
    /// How many bytes it takes.
    pub(crate) const fn size(&self) -> usize {
        self.row.sealed.len()
    }
}

pub(crate) fn damaged(what: impl ToString) -> WalletError {
    WalletError::Damaged { what: what.to_string() }
}

impl SpaceFeeds {
    /// Begins a space: its first epoch, for these devices and after these revocations, and an empty feed of this one.
    pub(crate) fn begin(
        keys: &Keys,
        key: &SpaceKey,
        space: &str,
        recipients: &[SealTo],
        after: Vec<CredentialId>,
    ) -> Result<(Self, Epoch), WalletError> {
        let (epoch, content) = keys.begin_epoch(*key, 0, Vec::new(), after, recipients)?;
        let mut contents = ContentKeys::default();
        contents.begin(keys.device_key(), &epoch, content);
        let signer = keys.feed(key)?;
        let mut replica = Replica::default();
        replica.admit(Feed::new(signer.feed_key()), 0);
        Ok((Self { space: space.to_owned(), replica, signer, contents, wanted: BTreeSet::new() }, epoch))
    }

    /// Reads how far everybody had come in a space.
    pub(crate) fn load(store: &Store, keys: &Keys, key: &SpaceKey, space: &str) -> Result<Self, WalletError> {
        let signer = keys.feed(key)?;
        let contents = ContentKeys::load(store, keys, space)?;
        let mut replica = Replica::default();
        for row in store.feeds(space)? {
            let feed_key = FeedKey::from_bytes(&row.key).map_err(damaged)?;
            let feed = Feed::resume(feed_key, row.length, BlockHash::from_bytes(row.head), row.forked);
            replica.admit(feed, row.applied);
            let mut next = row.applied;
            while next < row.length {
                let blocks = store.blocks(&row.key, next, STEP)?;
                let Some(last) = blocks.last() else { break };
                next = last.sequence + 1;
                for block in &blocks {
                    let header = BlockHeader::decode(&block.header).map_err(damaged)?;
                    replica.wait(&header, contents.open(&header, &block.sealed)?);
                }
            }
        }
        if replica.feed(&signer.feed_key()).is_none() {
            replica.admit(Feed::new(signer.feed_key()), 0);
        }
        Ok(Self { space: space.to_owned(), replica, signer, contents, wanted: BTreeSet::new() })
    }

    /// Takes part in feeds that were let in.
    pub(crate) fn admit(&mut self, admitted: &BTreeMap<FeedKey, FeedState>) {
        for key in admitted.keys() {
            if self.replica.feed(key).is_none() {
                self.replica.admit(Feed::new(*key), 0);
            }
        }
    }

    /// The name of the space.
    pub(crate) fn space(&self) -> &str {
        &self.space
    }

    /// This device's feed.
    pub(crate) fn own(&self) -> FeedKey {
        self.signer.feed_key()
    }

    /// Signs a snapshot of the space as this device.
    pub(crate) fn sign_snapshot(&self, snapshot: Snapshot) -> SignedSnapshot {
        snapshot.sign(self.own(), &self.signer)
    }

    /// Makes this device's next block, sealed under an epoch. It is said once [`Self::keep`] and [`Self::said`] were called.
    pub(crate) fn write(&self, under: EpochId, said: Payload) -> Result<Written, WalletError> {
        let own = self.own();
        let timeframe = self.replica.applied().into_iter().filter(|(feed, _)| *feed != own).collect();
        let payload = Payload { timeframe, ..said }.encode();
        let content = self.contents.get(&under).ok_or_else(|| damaged("an epoch has no content key"))?;
        let mut feed = self.replica.feed(&own).cloned().unwrap_or_else(|| Feed::new(own));
        let next = feed.next(under);
        let sealed = content.seal(&next, &payload)?;
        let (block, head) = feed
            .append(next, sealed, &self.signer)
            .map_err(|error| WalletError::BadInput { what: error.to_string() })?;
        Ok(Written { row: block_row(block, Some(&head)), feed })
    }

    /// The block was kept.
    pub(crate) fn said(&mut self, written: Written) {
        self.replica.said(written.feed);
    }

    /// Adds a block of this device, in the transaction of what it says.
    pub(crate) fn keep(&self, tx: &mut Tx<'_>, written: &Written) -> Result<(), StoreError> {
        let feed = &written.feed;
        tx.put_feed(&self.space, &feed_row(feed, feed.length()))?;
        tx.add_block(feed.key().as_bytes(), &written.row)
    }

    /// Judges a run of blocks of another device; nothing is kept yet.
    pub(crate) fn take(
        &mut self,
        store: &Store,
        blocks: &[Block],
        head: Option<&SignedHead>,
    ) -> Result<Taken, ReplicaError<WalletError>> {
        let known = |feed: &FeedKey, sequence| {
            let header = store.header(feed.as_bytes(), sequence).ok()??;
            Some(BlockHeader::decode(&header).ok()?.hash())
        };
        self.replica.take(blocks, head, known, &self.contents)
    }

    /// Opens what waited for a content key; nothing is kept yet.
    pub(crate) fn reopen(&mut self, store: &Store) -> Result<Vec<Ready>, WalletError> {
        let kept = |feed: &FeedKey, sequence| {
            let row = store.blocks(feed.as_bytes(), sequence, 1).ok()?.pop()?;
            let header = BlockHeader::decode(&row.header).ok()?;
            (header.sequence == sequence).then_some(Block { header, sealed: row.sealed })
        };
        self.replica.reopen(kept, &self.contents).map_err(damaged)
    }

    /// Ends a feed where it was cut, and gives what became void. Of its own feed a device keeps everything: if it turns out to be in, it goes
    /// on where it was, and does not say two things in one place.
    pub(crate) fn cut(&mut self, store: &Store, cut: Cut) -> Option<Void> {
        if cut.feed == self.own() {
            return None;
        }
        let base = store.feed_base(cut.feed.as_bytes()).ok().flatten();
        self.replica.cut(cut, |feed, sequence| {
            // Of what was dropped nothing else is known than that everybody had it.
            if base.is_some_and(|base| sequence < base.length) {
                return Some(cut.head);
            }
            let header = store.header(feed.as_bytes(), sequence).ok()??;
            Some(BlockHeader::decode(&header).ok()?.hash())
        })
    }

    /// Notes how far every feed has come, in the transaction of what was taken.
    pub(crate) fn keep_progress(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        let applied: Timeframe = self.replica.applied();
        self.replica.timeframe().keys().filter_map(|key| self.replica.feed(key)).try_for_each(|feed| {
            let applied = applied.get(&feed.key()).copied().unwrap_or_default();
            tx.put_feed(&self.space, &feed_row(feed, applied))
        })
    }
}

fn feed_row(feed: &Feed, applied: u64) -> FeedRow {
    FeedRow {
        key: *feed.key().as_bytes(),
        length: feed.length(),
        head: *feed.head().as_bytes(),
        forked: feed.is_forked(),
        applied,
    }
}

/// A block as it is kept; with the feed's signature where it is the last of a run.
pub(crate) fn block_row(block: Block, head: Option<&SignedHead>) -> BlockRow {
    BlockRow {
        sequence: block.header.sequence,
        header: block.header.encode().to_vec(),
        sealed: block.sealed,
        signature: head.map(|head| *head.signature.as_bytes()),
    }
}

/// A run of blocks as it was kept, up to the last one that a signature covers; all of them, without a head, if there is none.
pub(crate) fn run_of(rows: Vec<BlockRow>) -> Result<(Vec<Block>, Option<SignedHead>), String> {
    let mut blocks = Vec::with_capacity(rows.len());
    let mut head = None;
    for row in rows {
        let header = BlockHeader::decode(&row.header).map_err(|error| error.to_string())?;
        if let Some(signature) = row.signature {
            let (sequence, hash) = (header.sequence, header.hash());
            let signature = Signature::from_bytes(signature);
            head = Some((blocks.len() + 1, SignedHead { sequence, hash, signature }));
        }
        blocks.push(Block { header, sealed: row.sealed });
    }
    Ok(match head {
        Some((length, head)) => {
            blocks.truncate(length);
            (blocks, Some(head))
        }
        None => (blocks, None),
    })
}

/// A feed as it was read, checked block by block; `cut` is where it ends, if it was cut.
pub(crate) fn checked(store: &Store, row: &FeedRow, cut: Option<&Cut>) -> Result<(), String> {
    let key = FeedKey::from_bytes(&row.key).map_err(|error| error.to_string())?;
    // Blocks before the base were dropped, since a snapshot covers them.
    let mut feed = match store.feed_base(&row.key).map_err(|error| error.to_string())? {
        // It was cut before that.
        Some(base) if base.length > row.length => return Ok(()),
        Some(base) => Feed::resume(key, base.length, BlockHash::from_bytes(base.head), false),
        None => Feed::new(key),
    };
    while feed.length() < row.length {
        let rows = store.blocks(&row.key, feed.length(), STEP).map_err(|error| error.to_string())?;
        let (blocks, head) = run_of(rows)?;
        let vouch = match (head, cut) {
            (Some(head), _) => Vouch::Head(head),
            (None, Some(cut)) => Vouch::Cut { length: cut.length, head: cut.head },
            (None, None) => return Err(format!("no signature covers block {}", feed.length())),
        };
        feed.accept_vouched(&blocks, &vouch, |_| None).map_err(|error| error.to_string())?;
    }
    if *feed.head().as_bytes() == row.head {
        Ok(())
    } else {
        Err("its end is not the one that was noted".into())
    }
}
