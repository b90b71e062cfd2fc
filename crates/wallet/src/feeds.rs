//! What this device says in a space: one block for each update, sealed for the space's devices and signed, in the
//! transaction of the changes it carries.

use halo_keystore::{ContentKey, FeedSigner, Keys};
use halo_protocol::epoch::Epoch;
use halo_protocol::feed::{BlockHash, BlockHeader, Change, EpochId, Feed, Payload};
use halo_protocol::{FeedKey, SpaceKey};
use halo_store::{BlockRow, FeedRow, Store, Tx};

use crate::error::WalletError;

/// This device's feed in one space, and the content key that it writes under.
pub(crate) struct OwnFeed {
    space: String,
    feed: Feed,
    signer: FeedSigner,
    epoch: EpochId,
    content: ContentKey,
}

/// A block that was made and not kept yet.
pub(crate) struct Written {
    row: BlockRow,
    feed: Feed,
}

fn damaged(what: impl ToString) -> WalletError {
    WalletError::Damaged { what: what.to_string() }
}

impl OwnFeed {
    /// Begins a space: its first epoch, for this device alone, and an empty feed.
    pub(crate) fn begin(keys: &Keys, key: &SpaceKey, space: &str) -> Result<(Self, Epoch), WalletError> {
        let (epoch, content) = keys.begin_epoch(*key, 0, Vec::new(), &[keys.agreement_key()])?;
        let signer = keys.feed(key)?;
        let feed = Feed::new(signer.feed_key());
        Ok((Self { space: space.to_owned(), feed, signer, epoch: epoch.id(), content }, epoch))
    }

    /// Reads how far this device had come in a space.
    pub(crate) fn load(store: &Store, keys: &Keys, key: &SpaceKey, space: &str) -> Result<Self, WalletError> {
        let signer = keys.feed(key)?;
        let own = signer.feed_key();
        let row = store.feeds(space)?.into_iter().find(|row| row.key == *own.as_bytes());
        let row = row.ok_or_else(|| damaged("this device's feed is missing"))?;
        // The highest one, and among those begun at once the one that all devices agree is first.
        let mut epochs = Vec::new();
        for bytes in store.epochs(space)? {
            epochs.push(Epoch::decode(&bytes).map_err(damaged)?);
        }
        epochs.sort_by_key(|epoch| (epoch.number, epoch.id()));
        let mine = epochs.iter().rev().find_map(|epoch| Some((epoch.id(), keys.open_epoch(epoch).ok()?)));
        let (epoch, content) = mine.ok_or_else(|| damaged("no epoch opens for this device"))?;
        let feed = Feed::resume(own, row.length, BlockHash::from_bytes(row.head), row.forked);
        Ok(Self { space: space.to_owned(), feed, signer, epoch, content })
    }

    /// Makes the next block. It is said once [`Self::keep`] and [`Self::said`] were called.
    pub(crate) fn write(&self, changes: Vec<Change>) -> Result<Written, WalletError> {
        let payload = Payload { changes, ..Payload::default() }.encode();
        let mut feed = self.feed.clone();
        let next = feed.next(self.epoch);
        let sealed = self.content.seal(&next, &payload)?;
        let (block, head) = feed
            .append(next, sealed, &self.signer)
            .map_err(|error| WalletError::BadInput { what: error.to_string() })?;
        let row = BlockRow {
            sequence: block.header.sequence,
            header: block.header.encode().to_vec(),
            sealed: block.sealed,
            signature: Some(*head.signature.as_bytes()),
        };
        Ok(Written { row, feed })
    }

    /// The block was kept.
    pub(crate) fn said(&mut self, written: Written) {
        self.feed = written.feed;
    }

    /// Adds a block, in the transaction of its changes.
    pub(crate) fn keep(&self, tx: &mut Tx<'_>, written: &Written) -> Result<(), halo_store::StoreError> {
        let feed = &written.feed;
        let row = FeedRow {
            key: *feed.key().as_bytes(),
            length: feed.length(),
            head: *feed.head().as_bytes(),
            forked: false,
        };
        tx.put_feed(&self.space, &row)?;
        tx.add_block(&row.key, &written.row)
    }
}

/// What a block says, if a key of this device opens it.
pub(crate) fn opened(
    keys: &Keys,
    epochs: &[Epoch],
    header: &BlockHeader,
    sealed: &[u8],
) -> Result<Payload, WalletError> {
    let epoch = epochs.iter().find(|epoch| epoch.id() == header.epoch);
    let epoch = epoch.ok_or_else(|| damaged("a block names an epoch that is not there"))?;
    let plain = keys.open_epoch(epoch)?.open(header, sealed)?;
    Payload::decode(&plain).map_err(damaged)
}

/// A feed as it was read, checked block by block.
pub(crate) fn checked(store: &Store, row: &FeedRow) -> Result<(), String> {
    use halo_protocol::Signature;
    use halo_protocol::feed::{Block, SignedHead};
    const STEP: usize = 1_000;
    let key = FeedKey::from_bytes(&row.key).map_err(|error| error.to_string())?;
    let mut feed = Feed::new(key);
    while feed.length() < row.length {
        let rows = store.blocks(&row.key, feed.length(), STEP).map_err(|error| error.to_string())?;
        let mut blocks = Vec::with_capacity(rows.len());
        let mut head = None;
        for row in rows {
            let header = BlockHeader::decode(&row.header).map_err(|error| error.to_string())?;
            if let Some(signature) = row.signature {
                let signature = Signature::from_bytes(signature);
                let signed = SignedHead { sequence: header.sequence, hash: header.hash(), signature };
                head = Some((blocks.len() + 1, signed));
            }
            blocks.push(Block { header, sealed: row.sealed });
        }
        let (length, head) = head.ok_or_else(|| format!("no signature covers block {}", feed.length()))?;
        blocks.truncate(length);
        feed.accept(&blocks, &head, |_| None).map_err(|error| error.to_string())?;
    }
    if *feed.head().as_bytes() == row.head {
        Ok(())
    } else {
        Err("its end is not the one that was noted".into())
    }
}
