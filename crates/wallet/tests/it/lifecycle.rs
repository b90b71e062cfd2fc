//! From nothing to an identity, and between locked and unlocked.

use halo_keystore::KeychainError;
use halo_wallet::{PhraseState, State, WalletError};

use crate::world::{World, create, pass};

#[tokio::test]
async fn an_identity_survives_a_restart() {
    let world = World::new();
    let wallet = world.open().await;
    assert_eq!(wallet.snapshot().state, State::Empty);
    let created = wallet.create_identity(create(" Ada  Lovelace ", None)).await.unwrap();
    assert_eq!(created.phrase.as_ref().unwrap().split(' ').count(), 24);
    let identity = wallet.snapshot().identity.clone().unwrap();
    assert_eq!(identity.name, "Ada Lovelace");
    assert_eq!(identity.phrase, PhraseState::Unconfirmed);
    wallet.close().await;

    let again = world.open().await;
    let snapshot = again.snapshot();
    assert_eq!(snapshot.state, State::Unlocked, "no passphrase, so it opens by itself");
    assert_eq!(snapshot.identity.as_ref().unwrap().did, created.did);
    assert_eq!(snapshot.identity.as_ref().unwrap().device_key, created.device_key);
}

#[tokio::test]
async fn one_profile_is_one_identity() {
    let world = World::new();
    let wallet = world.ada().await;
    let second = wallet.create_identity(create("Bob", None)).await;
    assert!(matches!(second, Err(WalletError::IdentityExists)));
    assert_eq!(wallet.snapshot().identity.as_ref().unwrap().name, "Ada");
}

#[tokio::test]
async fn one_process_at_a_time_has_a_profile() {
    let world = World::new();
    let wallet = world.open().await;
    match halo_wallet::Wallet::open(world.config()).await {
        Err(WalletError::Held { pid, program }) => {
            assert_eq!((pid, program.as_str()), (std::process::id(), "test"));
        }
        other => panic!("the second one must hear who has it, not {:?}", other.map(|_| ())),
    }
    wallet.close().await;
    world.open().await;
}

#[tokio::test]
async fn a_passphrase_keeps_the_profile_closed() {
    let world = World::new();
    let wallet = world.open().await;
    wallet.create_identity(create("Ada", Some("correct horse"))).await.unwrap();
    wallet.close().await;

    let wallet = world.open().await;
    let snapshot = wallet.snapshot();
    assert_eq!((snapshot.state, snapshot.passphrase), (State::Locked, true));
    assert!(snapshot.identity.is_none(), "nothing about the user while locked");
    let wrong = wallet.unlock(Some(pass("wrong horse")), false).await.unwrap_err();
    assert_eq!(wrong.code(), "keystore.wrong_passphrase");
    wallet.unlock(Some(pass("correct horse")), false).await.unwrap();
    assert_eq!(wallet.snapshot().state, State::Unlocked);
    let failed = wallet.activity(None, 10, Some("unlock_failed".into()), None).await.unwrap();
    assert_eq!(failed.len(), 1, "the wrong try is in the log");
}

#[tokio::test]
async fn locking_hides_everything() {
    let world = World::new();
    let wallet = world.ada().await;
    wallet.lock().await.unwrap();
    let snapshot = wallet.snapshot();
    assert_eq!(snapshot.state, State::Locked);
    assert!(snapshot.identity.is_none() && snapshot.apps.is_empty() && snapshot.grants.is_empty());
    assert!(matches!(wallet.activity(None, 10, None, None).await, Err(WalletError::Locked)));
    wallet.unlock(None, false).await.unwrap();
    assert_eq!(wallet.snapshot().state, State::Unlocked);
}

#[tokio::test]
async fn a_passphrase_can_be_set_changed_and_removed() {
    let world = World::new();
    let wallet = world.ada().await;
    let short = wallet.set_passphrase(None, Some(pass("short"))).await.unwrap_err();
    assert_eq!(short.code(), "wallet.bad_input");
    wallet.set_passphrase(None, Some(pass("first one"))).await.unwrap();
    assert!(wallet.snapshot().passphrase);
    let wrong = wallet.set_passphrase(Some(pass("second one")), Some(pass("third one"))).await.unwrap_err();
    assert_eq!(wrong.code(), "keystore.wrong_passphrase");
    wallet.set_passphrase(Some(pass("first one")), Some(pass("second one"))).await.unwrap();
    wallet.lock().await.unwrap();
    assert!(wallet.unlock(Some(pass("first one")), false).await.is_err());
    wallet.unlock(Some(pass("second one")), false).await.unwrap();
    wallet.set_passphrase(Some(pass("second one")), None).await.unwrap();
    wallet.close().await;
    assert_eq!(world.open().await.snapshot().state, State::Unlocked);
}

// threat: 31
#[tokio::test]
async fn an_older_store_is_noticed() {
    let world = World::new();
    let wallet = world.ada().await;
    wallet.close().await;
    let store = world.profile().join("identity/store.db");
    let older = std::fs::read(&store).unwrap();
    let wallet = world.open().await;
    wallet.lock().await.unwrap();
    wallet.close().await;

    std::fs::write(&store, older).unwrap();
    let wallet = world.open().await;
    let snapshot = wallet.snapshot();
    assert_eq!(snapshot.state, State::Locked);
    assert_eq!(snapshot.trouble.as_ref().unwrap().code, "wallet.rolled_back");
    wallet.unlock(None, true).await.unwrap();
    assert_eq!(wallet.snapshot().state, State::Unlocked, "the user may accept it");
    let noted = wallet.activity(None, 10, Some("suspicious".into()), None).await.unwrap();
    assert_eq!(noted.len(), 1, "and the log says so");
}

// threat: 33
#[tokio::test]
async fn a_missing_keychain_entry_is_a_trouble_and_destroys_nothing() {
    let world = World::new();
    world.ada().await.close().await;
    let kept = world.keychain.take_all();
    let wallet = world.open().await;
    let snapshot = wallet.snapshot();
    assert_eq!(snapshot.state, State::Locked);
    assert_eq!(snapshot.trouble.as_ref().unwrap().code, "keystore.entry_missing");
    world.keychain.put_all(kept);
    wallet.unlock(None, false).await.unwrap();
    assert_eq!(wallet.snapshot().identity.as_ref().unwrap().name, "Ada");
}

// threat: 33
#[tokio::test]
async fn a_keychain_that_was_locked_at_the_start_leads_to_the_passphrase_and_in() {
    let world = World::new();
    let wallet = world.open().await;
    wallet.create_identity(create("Ada", Some("correct horse"))).await.unwrap();
    wallet.close().await;

    world.keychain.fail(Some(KeychainError::Locked));
    let wallet = world.open().await;
    let code = || wallet.snapshot().trouble.as_ref().map(|trouble| trouble.code.clone());
    assert_eq!(code().as_deref(), Some("keystore.keychain_locked"));
    world.keychain.fail(Some(KeychainError::Missing));
    assert_eq!(wallet.unlock(None, false).await.unwrap_err().code(), "keystore.no_keychain");
    assert_eq!(code().as_deref(), Some("keystore.no_keychain"), "it says what is in the way now");

    world.keychain.fail(None);
    assert_eq!(wallet.unlock(None, false).await.unwrap_err().code(), "keystore.passphrase_required");
    assert!(wallet.snapshot().passphrase, "the window asks for it");
    assert_eq!(code(), None);
    wallet.unlock(Some(pass("correct horse")), false).await.unwrap();
    assert_eq!(wallet.snapshot().state, State::Unlocked);
    assert!(wallet.snapshot().passphrase, "and it locks by itself");
}

// threat: 33
#[tokio::test]
async fn a_root_of_another_profile_is_said_and_destroys_nothing() {
    let (mine, other) = (World::new(), World::new());
    mine.ada().await.close().await;
    other.ada().await.close().await;
    // Two entries each: the root and the mark. What is under the root's name is another profile's record.
    let kept = mine.keychain.take_all();
    let stranger = other.keychain.all();
    let root = |all: &std::collections::BTreeMap<String, Vec<u8>>| {
        all.iter()
            .find(|(account, _)| !account.contains('.'))
            .map(|(name, bytes)| (name.clone(), bytes.clone()))
            .unwrap()
    };
    let mut wrong = kept.clone();
    wrong.insert(root(&kept).0, root(&stranger).1);
    mine.keychain.put_all(wrong);
    let wallet = mine.open().await;
    assert_eq!(wallet.snapshot().trouble.as_ref().unwrap().code, "keystore.root_mismatch");
    mine.keychain.put_all(kept);
    wallet.unlock(None, false).await.unwrap();
    wallet.close().await;

    // The folder of another profile under this one's keystore: the key fits nothing there.
    let (ours, theirs) =
        (mine.profile().join("identity/store.db"), other.profile().join("identity/store.db"));
    let (own, foreign) = (std::fs::read(&ours).unwrap(), std::fs::read(&theirs).unwrap());
    std::fs::write(&ours, &foreign).unwrap();
    let wallet = mine.open().await;
    assert_eq!(wallet.snapshot().trouble.as_ref().unwrap().code, "store.wrong_key");
    assert_eq!(std::fs::read(&ours).unwrap(), foreign, "nothing was written over");
    std::fs::write(&ours, own).unwrap();
    wallet.unlock(None, false).await.unwrap();
    assert_eq!(wallet.snapshot().identity.as_ref().unwrap().name, "Ada");
}
