//! What compaction keeps to, from inside: piece by piece, and with bytes that no peer should send.

use std::path::Path;
use std::sync::Arc;

use halo_echo::query::Query;
use halo_echo::replication::{Blocks, SnapshotOffer};
use halo_keystore::{KeychainChoice, MemoryKeychain};
use serde_json::json;

use super::*;
use crate::feeds::run_of;
use crate::{By, CreateIdentity, Gauge, InItem, ItemView, KdfTarget, NetworkOptions, PutItem, WalletConfig};

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
            network: NetworkOptions::default(),
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
    let every = json!({ "type": "select", "filter": { "type": "object", "typename": null, "props": {} } });
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
    assert!(again.before > 0 && again.after == 0, "{again:?}");
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
        let offer =
            on(&wallet, move |open| crate::snapshots::offer(&open.store, &space.to_string())).await.unwrap();
        snapshots += usize::from(offer.is_some());
    }
    assert!(snapshots > 0, "blocks with a letter each take more than the documents");
    let (blocks, documents) = on(&wallet, move |open| {
        let name = space.to_string();
        Ok((open.store.blocks_size(&name)?, open.store.space_size(&name)?))
    })
    .await
    .unwrap();
    assert!(blocks < 3 * u64::try_from(documents).unwrap(), "{blocks} of blocks, {documents} of documents");
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
        // A write in between is in no part of it, and does a piece of it.
        let more = json!({ "title": format!("after {pieces} pieces") }).as_object().unwrap().clone();
        let more = PutItem { r#type: Some("e.org/type/T".into()), data: more, ..PutItem::default() };
        wallet_put(&wallet, space, more).await;
        let before = all(&wallet, space).await;
        let there = async |wallet: &Wallet| {
            let offer = on(wallet, move |open| crate::snapshots::offer(&open.store, &space.to_string()));
            usize::from(offer.await.unwrap().is_some())
        };
        let snapshots = there(&wallet).await;
        wallet.close().await;
        wallet = home.open().await;
        assert_eq!(all(&wallet, space).await, before, "after {pieces} pieces");
        assert_eq!(there(&wallet).await, snapshots, "half of one is none");
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
pub(crate) type Sent = (SnapshotOffer, Vec<u8>, Vec<halo_store::BlockRow>);

pub(crate) async fn sent(wallet: &Wallet, space: SpaceId) -> Sent {
    on(wallet, move |open| {
        let offer = crate::snapshots::offer(&open.store, &space.to_string())?.ok_or(NO_SPACE)?;
        let mut file = Vec::new();
        while (file.len() as u64) < offer.size {
            let chunk = {
                open.feeds(space)?;
                open.here(space).unwrap().chunk(&offer.id, file.len() as u64, 777).unwrap()
            };
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
pub(crate) async fn emptied(wallet: &Wallet, space: SpaceId) {
    on(wallet, move |open| {
        let name = space.to_string();
        let (row, epochs) = (open.spaces.rows[&space].clone(), open.store.epochs(&name)?);
        open.store.write(|tx| {
            tx.delete_space(&name)?;
            tx.add_space(&row)?;
            epochs.iter().try_for_each(|epoch| tx.add_epoch(&name, epoch))
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
    let taken = on(&wallet, move |open| open.take_snapshot(space, &offer.id)).await.unwrap();
    assert!(!taken.documents.is_empty());
    healthy(&wallet, 1).await;
    let (run, head) = run_of(blocks).unwrap();
    wallet.try_job(move |engine| engine.ingest(space, run, head.as_ref()).map_err(damaged)).await.unwrap();
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
    let taken = on(&wallet, move |open| open.take_snapshot(space, &offer.id)).await.unwrap();
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
    for (what, into, id, bytes) in [
        ("other bytes than were offered", space, offer.id, flipped.clone()),
        ("an altered part", space, renamed(&flipped), flipped),
        ("an altered signature", space, renamed(&unsigned), unsigned),
        ("another space", other, offer.id, file.clone()),
        ("cut off", space, renamed(&file[..end - 1]), file[..end - 1].to_vec()),
        ("nothing", space, renamed(&[0; 3]), vec![0; 3]),
    ] {
        keep(&wallet, into, id, &bytes).await;
        let taken = on(&wallet, move |open| open.take_snapshot(into, &id)).await;
        assert!(taken.is_err(), "{what}");
        let left = on(&wallet, move |open| open.snapshot_fetched(into, &id)).await.unwrap();
        assert_eq!(left, 0, "{what}: nothing of it stays");
        assert!(all(&wallet, space).await.is_empty(), "{what}");
    }
    let gap = on(&wallet, move |open| open.keep_snapshot_chunk(space, &offer.id, 5, b"x")).await;
    assert!(gap.is_err());
    keep(&wallet, space, offer.id, &file).await;
    on(&wallet, move |open| open.take_snapshot(space, &offer.id)).await.unwrap();
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
        Ok(open.store.write(|tx| tx.save_document(&name, &document, &halo_echo::Document::empty().save()))?)
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
