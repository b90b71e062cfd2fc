//! Each kind of damage, made behind the back of the wallet, is named; what can be made anew is.

use std::sync::Arc;

use halo_keystore::{KeychainChoice, MemoryKeychain};
use halo_protocol::audit::{AuditEntry, AuditEvent};
use halo_store::{BlockRow, EpochRow, FeedRow};
use serde_json::json;

use super::*;
use crate::engine::clock;
use crate::{By, CreateIdentity, KdfTarget, NetworkOptions, PutItem, WalletConfig};

/// A wallet with a space that has an item, which was changed once.
async fn wallet(dir: &std::path::Path) -> (Wallet, SpaceId) {
    let wallet = Wallet::open(WalletConfig {
        profile: dir.join("profile"),
        keychain: Arc::new(MemoryKeychain::default()),
        program: "test".into(),
        kdf_target: KdfTarget::Floor,
        watch_session: false,
        network: NetworkOptions::default(),
    })
    .await
    .unwrap();
    let new = CreateIdentity { name: "Ada".into(), passphrase: None, keychain: KeychainChoice::Os };
    wallet.create_identity(new).await.unwrap();
    let space: SpaceId = wallet.add_space("Home".into()).await.unwrap().id.parse().unwrap();
    let data = json!({"title": "Milk"}).as_object().unwrap().clone();
    let put = PutItem { r#type: Some("example.org/type/Task".into()), data, ..PutItem::default() };
    let id = wallet.put_item(&By::Owner, space, put).await.unwrap().id;
    let data = json!({"title": "Oat milk"}).as_object().unwrap().clone();
    wallet.put_item(&By::Owner, space, PutItem { id: Some(id), data, ..PutItem::default() }).await.unwrap();
    (wallet, space)
}

/// Changes the store behind the back of the wallet.
async fn behind_the_back(
    wallet: &Wallet,
    space: SpaceId,
    change: impl FnOnce(&mut Open, &str, &FeedRow) -> Result<(), WalletError> + Send + 'static,
) {
    wallet
        .try_job(move |engine| {
            let open = engine.unlocked()?;
            let name = space.to_string();
            let feed = open.store.feeds(&name)?.remove(0);
            change(open, &name, &feed)
        })
        .await
        .unwrap();
}

/// Writes a space anew, with blocks that somebody changed.
fn with_blocks(
    open: &mut Open,
    space: &str,
    change: impl FnOnce(&mut Vec<BlockRow>),
) -> Result<(), WalletError> {
    let row = open.store.spaces()?.into_iter().find(|row| row.id == space).unwrap();
    let feed = open.store.feeds(space)?.remove(0);
    let epochs = open.store.epochs(space)?;
    let documents: Vec<_> = open.store.documents(space)?;
    let documents: Vec<([u8; 16], Vec<u8>)> =
        documents.into_iter().map(|id| (id, open.store.document(&id).unwrap().concat())).collect();
    let mut blocks = open.store.blocks(&feed.key, 0, 1_000)?;
    change(&mut blocks);
    open.store.write(|tx| {
        tx.delete_space(space)?;
        tx.add_space(&row)?;
        epochs.iter().try_for_each(|epoch| tx.add_epoch(space, epoch))?;
        tx.put_feed(space, &feed)?;
        blocks.iter().try_for_each(|block| tx.add_block(&feed.key, block))?;
        for (id, bytes) in &documents {
            let document = Document::load(bytes).unwrap();
            let items = Item::all_in(DocumentId::from_bytes(id).unwrap(), &document.objects());
            tx.save_document(space, id, bytes)?;
            tx.put_items(space, id, &items)?;
        }
        tx.grow_space(space, documents.iter().map(|(_, bytes)| bytes.len() as i64).sum())
    })?;
    Ok(())
}

type Damage = fn(&mut Open, &str, &FeedRow) -> Result<(), WalletError>;

/// What is done, and what the doctor says of it.
const DAMAGES: [(&str, Damage); 14] = [
    ("are not what is in it", |open, space, _| {
        let documents = open.store.documents(space)?;
        Ok(open.store.write(|tx| documents.iter().try_for_each(|id| tx.put_items(space, id, &[])))?)
    }),
    ("and is said to take", |open, space, _| Ok(open.store.write(|tx| tx.grow_space(space, 1))?)),
    ("lacks changes that its feed has", |open, space, _| {
        let documents = open.store.documents(space)?;
        let empty = Document::empty().save();
        Ok(open.store.write(|tx| documents.iter().try_for_each(|id| tx.save_document(space, id, &empty)))?)
    }),
    ("document", |open, space, _| {
        let documents = open.store.documents(space)?;
        Ok(open
            .store
            .write(|tx| documents.iter().try_for_each(|id| tx.save_document(space, id, b"no document")))?)
    }),
    ("no signature covers block", |open, space, feed| {
        let longer = FeedRow { length: feed.length + 1, ..feed.clone() };
        Ok(open.store.write(|tx| tx.put_feed(space, &longer))?)
    }),
    ("a feed of space", |open, _, feed| {
        let mut more = open.store.blocks(&feed.key, feed.length - 1, 1)?.remove(0);
        more.sequence += 1;
        Ok(open.store.write(|tx| tx.add_block(&feed.key, &more))?)
    }),
    ("its end is not the one that was noted", |open, space, feed| {
        let other = FeedRow { head: [7; 32], ..feed.clone() };
        Ok(open.store.write(|tx| tx.put_feed(space, &other))?)
    }),
    ("a feed of space", |open, space, _| with_blocks(open, space, |blocks| blocks[1].sealed[0] ^= 1)),
    ("a feed of space", |open, space, _| with_blocks(open, space, |blocks| drop(blocks.remove(1)))),
    ("a feed of space", |open, space, _| {
        with_blocks(open, space, |blocks| blocks.last_mut().unwrap().signature = Some([3; 64]))
    }),
    ("a feed of space", |open, space, _| with_blocks(open, space, |blocks| blocks[0].header[40] ^= 1)),
    ("an epoch of space", |open, space, _| {
        Ok(open.store.write(|tx| {
            tx.add_epoch(
                space,
                &EpochRow { id: [9; 32], number: 1, by: [9; 32], bytes: b"no epoch".to_vec() },
            )
        })?)
    }),
    ("the activity log is not what was written from entry", |open, space, _| {
        // By a key that is another's.
        let space = open.spaces.rows[&space.parse().unwrap()].key;
        let stranger = open.keys.feed(&halo_protocol::SpaceKey::from_bytes(&space).unwrap())?;
        let event = AuditEvent::Suspicious { what: "made up".into(), client: None };
        let entry = AuditEntry::next(open.store.audit_head()?, clock(), event).sign(&stranger);
        Ok(open.store.write(|tx| tx.append_audit(&entry))?)
    }),
    ("has no document that lists its items", |open, space, _| {
        let row = open.store.spaces()?.into_iter().find(|row| row.id == space).unwrap();
        let epochs = open.store.epochs(space)?;
        Ok(open.store.write(|tx| {
            tx.delete_space(space)?;
            tx.add_space(&row)?;
            tx.add_epoch(space, &epochs[0])
        })?)
    }),
];

// threat: 32
#[tokio::test]
async fn each_kind_of_damage_is_named() {
    for (number, (said, damage)) in DAMAGES.into_iter().enumerate() {
        let dir = tempfile::tempdir().unwrap();
        let (wallet, space) = wallet(dir.path()).await;
        assert_eq!(wallet.doctor(false, Gauge::unseen()).await.unwrap().problems, [] as [&str; 0]);
        behind_the_back(&wallet, space, damage).await;
        let problems = wallet.doctor(true, Gauge::unseen()).await.unwrap().problems;
        let after = wallet.doctor(false, Gauge::unseen()).await.unwrap().problems;
        if number < 2 {
            assert_eq!(problems, [] as [&str; 0], "{said}: that was made anew");
            behind_the_back(&wallet, space, damage).await;
            let problems = wallet.doctor(false, Gauge::unseen()).await.unwrap().problems.join("\n");
            assert!(problems.contains(said), "damage {number}, {said}: {problems}");
        } else {
            let problems = problems.join("\n");
            assert!(problems.contains(said), "damage {number}, {said}: {problems}");
            assert!(after.join("\n").contains(said), "damage {number} cannot be made anew: {after:?}");
        }
    }
}

// threat: 32
#[tokio::test]
async fn an_index_that_is_not_what_is_in_a_document_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let (wallet, space) = wallet(dir.path()).await;
    behind_the_back(&wallet, space, DAMAGES[0].1).await;
    let report = wallet.doctor(false, Gauge::unseen()).await.unwrap();
    assert_eq!((report.problems.len(), report.items), (2, 1), "one of the wallet's own: {report:?}");
    assert_eq!(wallet.doctor(true, Gauge::unseen()).await.unwrap().rebuilt, 2);
    let report = wallet.doctor(false, Gauge::unseen()).await.unwrap();
    assert_eq!((report.problems.len(), report.items), (0, 3), "{report:?}");
}

// threat: 35
#[tokio::test]
async fn an_entry_that_was_put_at_the_end_of_the_log_stays_marked() {
    let dir = tempfile::tempdir().unwrap();
    let (wallet, space) = wallet(dir.path()).await;
    let written = wallet.activity(None, 1, None, None).await.unwrap()[0].seq;
    wallet.lock().await.unwrap();
    wallet.unlock(None, false).await.unwrap();
    assert_eq!(wallet.snapshot().audit_broken_at, None);
    let (_, forge) = DAMAGES[12];
    behind_the_back(&wallet, space, forge).await;
    for _ in 0..3 {
        // Of this process, that knows another head.
        drop(wallet.lock().await);
        wallet.unlock(None, false).await.unwrap();
        let marked = wallet.snapshot().audit_broken_at.unwrap();
        assert!(marked > written, "{marked}");
    }
    let told = wallet.activity(None, 10, Some("suspicious".into()), None).await.unwrap();
    assert_eq!(told.iter().filter(|entry| entry.details[0].1.contains("from entry")).count(), 1, "{told:?}");
}
