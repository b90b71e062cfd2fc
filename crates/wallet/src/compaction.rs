//! Snapshots of spaces, and old blocks that go because a snapshot covers them.
//!
//! Blocks repeat what the documents hold. Once they take more than the documents and than some mebibytes, this device
//! makes a snapshot: the documents as they are, sealed and signed, reaching as far as the feeds were applied when it
//! began. It is made piece by piece, a piece with each write, so that no write waits for all of it; what documents take in
//! meanwhile is in later blocks as well, and applying it twice is applying it once. With the last piece, in one
//! transaction, the snapshot takes the place of the one before, and the blocks it covers go.
//!
//! The rule guarded here: no block goes before everything it says is in a snapshot that is on disk. What control blocks
//! say is carried along whole, since membership cannot be judged from a part. Blocks that this device cannot open, and
//! the feed of a device that said two things at once, stay.

use halo_echo::SpaceId;
use halo_echo::replication::Open as _;
use halo_protocol::feed::{BlockHeader, EpochId, Payload, SignedHead};
use halo_protocol::snapshot::{Packer, Reach, Snapshot, framed};
use halo_protocol::{FeedKey, Signature, SpaceKey};
use halo_store::{FeedBase, FeedRow, SnapshotState, StoreError, Tx};
use sha2::{Digest, Sha256};

use crate::error::WalletError;
use crate::feeds::{ContentKeys, damaged};
use crate::handle::Wallet;
use crate::open::Open;
use crate::random::random;
use crate::snapshots::{open_part, refused};
use crate::spaces::NO_SPACE;

/// Fewer bytes of blocks are not worth a snapshot.
const SMALLEST: u64 = 4 * 1024 * 1024;
/// After so many bytes of blocks it is looked whether a snapshot is due.
const LOOK: usize = 512 * 1024;
/// Bytes of documents or blocks that one piece of work goes through.
const PIECE: usize = 256 * 1024;
/// Blocks that are read at once.
const STEP: usize = 500;

/// Snapshots that are being made, and how much was written since it was last looked.
pub(crate) struct Compaction {
    making: Option<Making>,
    written: usize,
    smallest: u64,
    look: usize,
}

impl Default for Compaction {
    fn default() -> Self {
        Self { making: None, written: 0, smallest: SMALLEST, look: LOOK }
    }
}

/// A snapshot that is being made.
struct Making {
    space: SpaceId,
    /// What its bytes are kept under until it has a name.
    id: [u8; 32],
    epoch: EpochId,
    reach: Vec<Reach>,
    packer: Packer,
    parts: Vec<[u8; 32]>,
    /// Of the file so far.
    size: u64,
    hash: Sha256,
    stage: Stage,
}

/// How far it has come.
enum Stage {
    /// Control blocks from here on are to be looked through: which feed, which number.
    Blocks(usize, u64),
    /// Documents from this one on are to be packed.
    Documents(Vec<[u8; 16]>),
}

/// What came of a compaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compacted {
    /// SHA-256 of the snapshot's file.
    pub snapshot: [u8; 32],
    /// Bytes of blocks before.
    pub before: u64,
    /// And after.
    pub after: u64,
}

impl Wallet {
    /// Makes a snapshot of a space now, and drops the blocks that it covers.
    ///
    /// # Errors
    /// [`WalletError::NotFound`]; [`WalletError::BadInput`] for a space larger than a snapshot may be.
    pub async fn compact_space(&self, id: SpaceId) -> Result<Compacted, WalletError> {
        self.try_job(move |engine| {
            let open = engine.unlocked()?;
            let space = open.spaces.rows.get(&id).ok_or(NO_SPACE)?.id.clone();
            let before = open.store.blocks_size(&space)?;
            open.begin_snapshot(id)?;
            loop {
                if let Some(snapshot) = open.continue_snapshot()? {
                    return Ok(Compacted { snapshot, before, after: open.store.blocks_size(&space)? });
                }
            }
        })
        .await
    }
}

impl Open {
    /// A block of so many bytes was written: does a piece of what is due. It must not fail what was written already.
    pub(crate) fn tidy(&mut self, space: SpaceId, bytes: usize) {
        if let Err(error) = self.try_tidy(space, bytes) {
            tracing::warn!(%error, %space, "old blocks stay for now");
            self.spaces.compaction.making = None;
        }
    }

    fn try_tidy(&mut self, space: SpaceId, bytes: usize) -> Result<(), WalletError> {
        if self.spaces.compaction.making.is_some() {
            return self.continue_snapshot().map(drop);
        }
        self.spaces.compaction.written += bytes;
        if self.spaces.compaction.written < self.spaces.compaction.look {
            return Ok(());
        }
        self.spaces.compaction.written = 0;
        let name = space.to_string();
        let blocks = self.store.blocks_size(&name)?;
        let documents = u64::try_from(self.store.space_size(&name)?).unwrap_or_default();
        if blocks > self.spaces.compaction.smallest.max(documents) {
            self.begin_snapshot(space)
        } else {
            Ok(())
        }
    }

    /// Begins a snapshot that reaches as far as the feeds were applied.
    fn begin_snapshot(&mut self, space: SpaceId) -> Result<(), WalletError> {
        let name = self.spaces.rows.get(&space).ok_or(NO_SPACE)?.id.clone();
        let mut reach = Vec::new();
        for row in self.store.feeds(&name)? {
            reach.extend(self.reach_of(&name, &row)?);
        }
        let newest = self.feeds(space)?.contents.newest();
        let (epoch, _) = newest.ok_or_else(|| damaged("no epoch opens for this device"))?;
        let id = random::<32>()?;
        self.store.write(|tx| tx.begin_snapshot(&name, &id, SnapshotState::Making))?;
        self.spaces.compaction.making = Some(Making {
            space,
            id,
            epoch,
            reach,
            packer: Packer::default(),
            parts: Vec::new(),
            size: 0,
            hash: Sha256::new(),
            stage: Stage::Blocks(0, 0),
        });
        Ok(())
    }

    /// How far a snapshot can reach in a feed: to a block that its owner signed, of those that are in the documents.
    fn reach_of(&self, space: &str, row: &FeedRow) -> Result<Option<Reach>, WalletError> {
        if row.forked {
            return Ok(None);
        }
        let feed = FeedKey::from_bytes(&row.key).map_err(damaged)?;
        let Some(sequence) = self.store.last_signed(&row.key, row.applied)? else {
            // Nothing new: as far as the snapshot before.
            let Some(file) = self.last_snapshot(space)? else { return Ok(None) };
            return Ok(file.signed()?.snapshot.reach.into_iter().find(|reach| reach.feed == feed));
        };
        let Some(block) = self.store.blocks(&row.key, sequence, 1)?.into_iter().next() else {
            return Err(damaged("a block is missing"));
        };
        let header = BlockHeader::decode(&block.header).map_err(damaged)?;
        let signature =
            block.signature.map(Signature::from_bytes).ok_or_else(|| damaged("a head is missing"))?;
        Ok(Some(Reach { feed, head: SignedHead { sequence, hash: header.hash(), signature } }))
    }

    /// Does a piece of the snapshot that is being made; gives its name when it is done.
    fn continue_snapshot(&mut self) -> Result<Option<[u8; 32]>, WalletError> {
        let Some(mut making) = self.spaces.compaction.making.take() else { return Ok(None) };
        let Some(name) = self.spaces.rows.get(&making.space).map(|row| row.id.clone()) else {
            // The space was deleted meanwhile, and what was made with it.
            return Ok(None);
        };
        let mut full = Vec::new();
        making.stage = match std::mem::replace(&mut making.stage, Stage::Documents(Vec::new())) {
            Stage::Blocks(at, from) => self.pack_control(&name, &mut making, &mut full, (at, from))?,
            Stage::Documents(rest) => self.pack_documents(&mut making.packer, &mut full, rest)?,
        };
        let done = matches!(&making.stage, Stage::Documents(rest) if rest.is_empty());
        if done {
            full.push(std::mem::take(&mut making.packer).finish());
        }
        let feeds = self.feeds(making.space)?;
        let (by, content) = (feeds.own(), feeds.contents.content(making.epoch)?);
        let mut fresh = Vec::new();
        for part in full {
            let sealed = content.seal_part(&by, making.parts.len() as u64, &part.encode())?;
            making.parts.push(Sha256::digest(&sealed).into());
            fresh.extend(framed(&sealed));
        }
        if !done {
            making.hash.update(&fresh);
            let start = making.size;
            making.size += fresh.len() as u64;
            if !fresh.is_empty() {
                self.store.write(|tx| tx.add_snapshot_bytes(&name, &making.id, start, &fresh))?;
            }
            self.spaces.compaction.making = Some(making);
            return Ok(None);
        }
        let key = &self.spaces.rows.get(&making.space).ok_or(NO_SPACE)?.key;
        let space = SpaceKey::from_bytes(key).map_err(damaged)?;
        let Making { id, epoch, reach, parts, size, mut hash, space: of, .. } = making;
        let feeds = self.feeds(of)?;
        let signed = feeds.sign_snapshot(Snapshot { space, epoch, reach, parts });
        fresh.extend(signed.trailer());
        hash.update(&fresh);
        let file: [u8; 32] = hash.finalize().into();
        self.store.write(|tx| {
            tx.add_snapshot_bytes(&name, &id, size, &fresh)?;
            tx.finish_snapshot(&name, &id, &file)?;
            drop_covered(tx, &name, &signed.snapshot)
        })?;
        Ok(Some(file))
    }

    /// What control blocks said: those that the last snapshot covers, and some of those since.
    fn pack_control(
        &self,
        space: &str,
        making: &mut Making,
        full: &mut Vec<Payload>,
        (at, from): (usize, u64),
    ) -> Result<Stage, WalletError> {
        let contents = ContentKeys::load(&self.store, &self.keys, space)?;
        if (at, from) == (0, 0)
            && let Some(mut file) = self.last_snapshot(space)?
        {
            let signed = file.signed()?;
            while let Some(sealed) = file.next(&signed)? {
                let part = open_part(&contents, &signed, file.part - 1, &sealed)?;
                // They come first, so a part without any is behind the last of them.
                if !is_control(&part) {
                    break;
                }
                full.extend(making.packer.control(part).map_err(refused)?);
            }
        }
        let Some(Reach { feed, head }) = making.reach.get(at) else {
            return Ok(Stage::Documents(self.store.documents(space)?));
        };
        let base = self.store.feed_base(feed.as_bytes())?.map_or(0, |base| base.length);
        let (mut next, mut size) = (from.max(base), 0);
        while next <= head.sequence && size < PIECE {
            let blocks = self.store.blocks(feed.as_bytes(), next, STEP)?;
            if blocks.is_empty() {
                return Err(damaged("a block is missing"));
            }
            for block in blocks.into_iter().filter(|block| block.sequence <= head.sequence) {
                (next, size) = (block.sequence + 1, size + block.sealed.len());
                let header = BlockHeader::decode(&block.header).map_err(damaged)?;
                let payload = contents.open(&header, &block.sealed)?;
                let payload = payload.ok_or_else(|| damaged("a block stays closed"))?;
                if is_control(&payload) {
                    full.extend(making.packer.control(payload).map_err(refused)?);
                }
            }
        }
        Ok(if next > head.sequence { Stage::Blocks(at + 1, 0) } else { Stage::Blocks(at, next) })
    }

    /// Some of the documents; those that are left.
    fn pack_documents(
        &self,
        packer: &mut Packer,
        full: &mut Vec<Payload>,
        documents: Vec<[u8; 16]>,
    ) -> Result<Stage, WalletError> {
        let mut rest = documents.into_iter();
        let mut size = 0;
        while size < PIECE
            && let Some(document) = rest.next()
        {
            let bytes = self.store.document(&document)?.concat();
            size += bytes.len();
            // One that was deleted meanwhile has nothing to say.
            if !bytes.is_empty() {
                full.extend(packer.document(document, &bytes).map_err(refused)?);
            }
        }
        Ok(Stage::Documents(rest.collect()))
    }
}

fn is_control(payload: &Payload) -> bool {
    !(payload.credentials.is_empty() && payload.epochs.is_empty() && payload.shares.is_empty())
}

/// Drops the blocks that a snapshot covers.
pub(crate) fn drop_covered(tx: &mut Tx<'_>, space: &str, snapshot: &Snapshot) -> Result<(), StoreError> {
    snapshot.reach.iter().try_for_each(|reach| {
        let base = FeedBase { length: reach.length(), head: *reach.head.hash.as_bytes() };
        tx.drop_covered_blocks(space, reach.feed.as_bytes(), &base)
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use halo_echo::query::Query;
    use halo_keystore::{KeychainChoice, MemoryKeychain};
    use serde_json::json;

    use super::*;
    use crate::feeds::run_of;
    use crate::{By, CreateIdentity, Gauge, InItem, ItemView, KdfTarget, PutItem, WalletConfig};

    struct Home {
        dir: tempfile::TempDir,
        keychain: Arc<MemoryKeychain>,
    }

    impl Home {
        fn new() -> Self {
            Self { dir: tempfile::tempdir().unwrap(), keychain: Arc::new(MemoryKeychain::default()) }
        }

        async fn open(&self) -> Wallet {
            Wallet::open(WalletConfig {
                profile: Path::join(self.dir.path(), "profile"),
                keychain: self.keychain.clone(),
                program: "test".into(),
                kdf_target: KdfTarget::Floor,
                watch_session: false,
            })
            .await
            .unwrap()
        }

        /// A wallet with a space.
        async fn ada(&self) -> (Wallet, SpaceId) {
            let wallet = self.open().await;
            let new = CreateIdentity { name: "Ada".into(), passphrase: None, keychain: KeychainChoice::Os };
            wallet.create_identity(new).await.unwrap();
            let space = wallet.add_space("Home".into()).await.unwrap().id.parse().unwrap();
            (wallet, space)
        }
    }

    async fn on<T: Send + 'static>(
        wallet: &Wallet,
        work: impl FnOnce(&mut Open) -> Result<T, WalletError> + Send + 'static,
    ) -> Result<T, WalletError> {
        wallet.try_job(move |engine| work(engine.unlocked()?)).await
    }

    /// Items, edits, deletions, a text letter by letter: a block each.
    async fn live(wallet: &Wallet, space: SpaceId, round: i64) {
        let put = |id: Option<String>, data: serde_json::Value| {
            let data = data.as_object().unwrap().clone();
            let kind = id.is_none().then(|| "e.org/type/T:0.1.0".to_owned());
            wallet_put(wallet, space, PutItem { id, r#type: kind, data, merge: true, ..PutItem::default() })
        };
        let item = put(None, json!({ "title": "", "n": round })).await;
        for letter in ["a", "b", "c"] {
            let splice = json!({ "splice": { "position": 0, "remove": 0, "insert": letter } });
            let at = InItem { id: item.id.clone(), property: "title".into() };
            wallet.edit_model(&By::Owner, space, at, "text".into(), None, splice).await.unwrap();
        }
        put(Some(item.id.clone()), json!({ "n": -round, "more": [round] })).await;
        let gone = put(None, json!({ "title": "gone" })).await;
        wallet.set_item_deleted(&By::Owner, space, gone.id, true).await.unwrap();
    }

    async fn wallet_put(wallet: &Wallet, space: SpaceId, put: PutItem) -> ItemView {
        wallet.put_item(&By::Owner, space, put).await.unwrap()
    }

    /// Everything in a space, deleted items as well.
    async fn all(wallet: &Wallet, space: SpaceId) -> Vec<ItemView> {
        let every =
            json!({ "type": "select", "filter": { "type": "object", "typename": null, "props": {} } });
        let query = json!({ "type": "options", "query": every, "options": { "deleted": "include" } });
        let query = Query::parse(&query.to_string()).unwrap();
        wallet.items(&By::Owner, space, query).await.unwrap()
    }

    async fn healthy(wallet: &Wallet, snapshots: usize) {
        let report = wallet.doctor(false, Gauge::unseen()).await.unwrap();
        assert_eq!(report.problems, [] as [&str; 0]);
        assert_eq!(report.snapshots, snapshots, "{report:?}");
    }

    #[tokio::test]
    async fn blocks_that_a_snapshot_covers_go_and_nothing_else_does() {
        let home = Home::new();
        let (wallet, space) = home.ada().await;
        for round in 0..3 {
            live(&wallet, space, round).await;
        }
        let before = all(&wallet, space).await;
        let done = wallet.compact_space(space).await.unwrap();
        assert!(done.before > 0 && done.after == 0, "{done:?}");
        assert_eq!(all(&wallet, space).await, before);
        healthy(&wallet, 1).await;
        // Life goes on, and the next one covers what came since.
        live(&wallet, space, 3).await;
        let before = all(&wallet, space).await;
        healthy(&wallet, 1).await;
        let again = wallet.compact_space(space).await.unwrap();
        assert!(again.snapshot != done.snapshot && again.after == 0, "{again:?}");
        let idle = wallet.compact_space(space).await.unwrap();
        assert_eq!((idle.before, idle.after), (0, 0), "nothing new, and still a snapshot");
        wallet.close().await;
        let wallet = home.open().await;
        assert_eq!(all(&wallet, space).await, before);
        healthy(&wallet, 1).await;
        wallet.delete_space(space).await.unwrap();
        healthy(&wallet, 0).await;
    }

    #[tokio::test]
    async fn it_is_done_by_itself_once_blocks_take_more_than_documents_and_piece_by_piece() {
        let home = Home::new();
        let (wallet, space) = home.ada().await;
        on(&wallet, |open| {
            (open.spaces.compaction.smallest, open.spaces.compaction.look) = (1_000, 1_000);
            Ok(())
        })
        .await
        .unwrap();
        let mut snapshots = 0;
        for round in 0..12 {
            live(&wallet, space, round).await;
            let offer = on(&wallet, move |open| open.snapshot_offer(space)).await.unwrap();
            snapshots += usize::from(offer.is_some());
        }
        assert!(snapshots > 0, "blocks with a letter each take more than the documents");
        let (blocks, documents) = on(&wallet, move |open| {
            let name = space.to_string();
            Ok((open.store.blocks_size(&name)?, open.store.space_size(&name)?))
        })
        .await
        .unwrap();
        assert!(
            blocks < 3 * u64::try_from(documents).unwrap(),
            "{blocks} of blocks, {documents} of documents"
        );
        healthy(&wallet, 1).await;
    }

    /// The power is cut after each piece, and in the last transaction.
    #[tokio::test]
    async fn a_compaction_that_ends_anywhere_loses_nothing() {
        let home = Home::new();
        let (mut wallet, space) = home.ada().await;
        for round in 0..2 {
            live(&wallet, space, round).await;
        }
        let mut snapshots = 0;
        for pieces in 0.. {
            let finished = on(&wallet, move |open| {
                open.begin_snapshot(space)?;
                for _ in 0..pieces {
                    if open.continue_snapshot()?.is_some() {
                        return Ok(true);
                    }
                }
                Ok(false)
            })
            .await
            .unwrap();
            // A write in between is in no part of it.
            live(&wallet, space, 100 + pieces).await;
            let before = all(&wallet, space).await;
            wallet.close().await;
            wallet = home.open().await;
            assert_eq!(all(&wallet, space).await, before, "after {pieces} pieces");
            snapshots = snapshots.max(usize::from(finished));
            healthy(&wallet, snapshots).await;
            if finished {
                assert!(pieces >= 2, "it was cut before");
                break;
            }
        }
        // A transaction that fails at its end.
        let before = on(&wallet, move |open| Ok(open.store.blocks_size(&space.to_string())?)).await.unwrap();
        let failed = on(&wallet, move |open| {
            let (name, row) = (space.to_string(), open.store.feeds(&space.to_string())?.remove(0));
            let base = FeedBase { length: row.length, head: row.head };
            Ok(open.store.write(|tx| {
                tx.drop_covered_blocks(&name, &row.key, &base)?;
                Err::<(), _>(StoreError::Refused { what: "the power was cut" })
            })?)
        })
        .await;
        assert!(failed.is_err());
        assert_eq!(
            on(&wallet, move |open| Ok(open.store.blocks_size(&space.to_string())?)).await.unwrap(),
            before
        );
        healthy(&wallet, 1).await;
    }

    /// What a newcomer gets: the snapshot's file, and blocks since.
    type Sent = (crate::snapshots::Offer, Vec<u8>, Vec<halo_store::BlockRow>);

    async fn sent(wallet: &Wallet, space: SpaceId) -> Sent {
        on(wallet, move |open| {
            let offer = open.snapshot_offer(space)?.ok_or(NO_SPACE)?;
            let mut file = Vec::new();
            while (file.len() as u64) < offer.size {
                let chunk = open.snapshot_chunk(space, &offer.id, file.len() as u64, 777)?.unwrap();
                assert!(!chunk.is_empty());
                file.extend(chunk);
            }
            let (feed, base) = offer.base[0];
            let blocks = open.store.blocks(feed.as_bytes(), base, 1_000)?;
            Ok((offer, file, blocks))
        })
        .await
        .unwrap()
    }

    /// Makes a space as new as on a device that was just let in: its key and its epochs, and nothing else.
    async fn emptied(wallet: &Wallet, space: SpaceId) {
        on(wallet, move |open| {
            let name = space.to_string();
            let (row, epochs) = (open.spaces.rows[&space].clone(), open.store.epochs(&name)?);
            let epochs: Vec<_> =
                epochs.iter().map(|bytes| halo_protocol::epoch::Epoch::decode(bytes).unwrap()).collect();
            open.store.write(|tx| {
                tx.delete_space(&name)?;
                tx.add_space(&row)?;
                epochs.iter().try_for_each(|epoch| {
                    tx.add_epoch(&name, epoch.id().as_bytes(), epoch.number, &epoch.encode())
                })
            })?;
            open.spaces.forget(space);
            Ok(())
        })
        .await
        .unwrap();
    }

    async fn keep(wallet: &Wallet, space: SpaceId, id: [u8; 32], file: &[u8]) {
        let file = file.to_vec();
        on(wallet, move |open| {
            for chunk in file.chunks(1_000) {
                let at = open.snapshot_fetched(space, &id)?;
                open.keep_snapshot_chunk(space, &id, at, chunk)?;
            }
            assert_eq!(open.snapshot_fetched(space, &id)?, file.len() as u64);
            Ok(())
        })
        .await
        .unwrap();
    }

    #[tokio::test]
    async fn a_newcomer_takes_the_snapshot_and_later_blocks_and_has_everything() {
        let home = Home::new();
        let (wallet, space) = home.ada().await;
        live(&wallet, space, 1).await;
        wallet.compact_space(space).await.unwrap();
        live(&wallet, space, 2).await;
        let before = all(&wallet, space).await;
        let (offer, file, blocks) = sent(&wallet, space).await;
        emptied(&wallet, space).await;
        assert!(all(&wallet, space).await.is_empty());

        keep(&wallet, space, offer.id, &file[..1_500]).await;
        wallet.close().await;
        let wallet = home.open().await;
        // The line broke, and the daemon was started anew: it goes on where it was.
        let there = on(&wallet, move |open| open.snapshot_fetched(space, &offer.id)).await.unwrap();
        assert_eq!(there, 1_500);
        let rest = file[1_500..].to_vec();
        on(&wallet, move |open| open.keep_snapshot_chunk(space, &offer.id, 1_500, &rest)).await.unwrap();
        let taken = on(&wallet, move |open| open.take_snapshot(space, &offer.id, |_| true)).await.unwrap();
        assert!(!taken.documents.is_empty());
        healthy(&wallet, 1).await;
        let (run, head) = run_of(blocks).unwrap();
        wallet
            .try_job(move |engine| engine.ingest(space, run, head.as_ref()).map_err(damaged))
            .await
            .unwrap();
        assert_eq!(all(&wallet, space).await, before);
        healthy(&wallet, 1).await;
        // And says more: its own feed goes on behind the snapshot.
        live(&wallet, space, 3).await;
        wallet.compact_space(space).await.unwrap();
        healthy(&wallet, 1).await;
    }

    #[tokio::test]
    async fn somebody_who_has_a_part_or_more_takes_nothing_twice() {
        let home = Home::new();
        let (wallet, space) = home.ada().await;
        live(&wallet, space, 1).await;
        wallet.compact_space(space).await.unwrap();
        live(&wallet, space, 2).await;
        let before = all(&wallet, space).await;
        let (offer, file, _) = sent(&wallet, space).await;
        // Under another name, as one that comes from a peer would be.
        on(&wallet, move |open| {
            let name = space.to_string();
            open.store.write(|tx| {
                tx.begin_snapshot(&name, &[1; 32], SnapshotState::Coming)?;
                tx.finish_snapshot(&name, &[1; 32], &[1; 32])
            })?;
            Ok(())
        })
        .await
        .unwrap();
        keep(&wallet, space, offer.id, &file).await;
        let taken = on(&wallet, move |open| open.take_snapshot(space, &offer.id, |_| true)).await.unwrap();
        assert!(taken.documents.is_empty());
        assert_eq!(all(&wallet, space).await, before);
        healthy(&wallet, 1).await;
    }

    // threat: 42
    #[tokio::test]
    async fn a_snapshot_that_is_not_genuine_is_thrown_away() {
        let home = Home::new();
        let (wallet, space) = home.ada().await;
        live(&wallet, space, 1).await;
        wallet.compact_space(space).await.unwrap();
        let before = all(&wallet, space).await;
        let (offer, file, _) = sent(&wallet, space).await;
        let other: SpaceId = wallet.add_space("Other".into()).await.unwrap().id.parse().unwrap();
        emptied(&wallet, space).await;
        let renamed = |file: &[u8]| -> [u8; 32] { Sha256::digest(file).into() };
        let mut flipped = file.clone();
        flipped[40] ^= 1;
        let mut unsigned = file.clone();
        let end = unsigned.len();
        unsigned[end - 10] ^= 1;
        for (what, into, id, bytes, may_write) in [
            ("other bytes than were offered", space, offer.id, flipped.clone(), true),
            ("an altered part", space, renamed(&flipped), flipped, true),
            ("an altered signature", space, renamed(&unsigned), unsigned, true),
            ("another space", other, offer.id, file.clone(), true),
            ("a reader's", space, offer.id, file.clone(), false),
            ("cut off", space, renamed(&file[..end - 1]), file[..end - 1].to_vec(), true),
            ("nothing", space, renamed(&[0; 3]), vec![0; 3], true),
        ] {
            keep(&wallet, into, id, &bytes).await;
            let taken = on(&wallet, move |open| open.take_snapshot(into, &id, |_| may_write)).await;
            assert!(taken.is_err(), "{what}");
            let left = on(&wallet, move |open| open.snapshot_fetched(into, &id)).await.unwrap();
            assert_eq!(left, 0, "{what}: nothing of it stays");
            assert!(all(&wallet, space).await.is_empty(), "{what}");
        }
        let gap = on(&wallet, move |open| open.keep_snapshot_chunk(space, &offer.id, 5, b"x")).await;
        assert!(gap.is_err());
        keep(&wallet, space, offer.id, &file).await;
        on(&wallet, move |open| open.take_snapshot(space, &offer.id, |_| true)).await.unwrap();
        assert_eq!(all(&wallet, space).await, before);
    }

    // threat: 32
    #[tokio::test]
    async fn the_doctor_misses_blocks_that_no_snapshot_covers_and_documents_that_lost_something() {
        let home = Home::new();
        let (wallet, space) = home.ada().await;
        live(&wallet, space, 1).await;
        wallet.compact_space(space).await.unwrap();
        on(&wallet, move |open| {
            let name = space.to_string();
            let document = open.store.documents(&name)?.remove(0);
            Ok(open
                .store
                .write(|tx| tx.save_document(&name, &document, &halo_echo::Document::empty().save()))?)
        })
        .await
        .unwrap();
        let problems = wallet.doctor(true, Gauge::unseen()).await.unwrap().problems.join("\n");
        assert!(problems.contains("lacks changes that the snapshot has"), "{problems}");
        on(&wallet, move |open| {
            let (name, row) = (space.to_string(), open.store.feeds(&space.to_string())?.remove(0));
            let base = FeedBase { length: row.length + 5, head: row.head };
            Ok(open.store.write(|tx| tx.drop_covered_blocks(&name, &row.key, &base))?)
        })
        .await
        .unwrap();
        let problems = wallet.doctor(false, Gauge::unseen()).await.unwrap().problems.join("\n");
        assert!(problems.contains("are gone that no snapshot covers"), "{problems}");
    }
}
