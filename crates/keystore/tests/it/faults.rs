//! Everything that can be wrong with keychain and passphrase: an error of its own each, and nothing destroyed.

use halo_keystore::{KdfCost, KeychainChoice, KeychainError, KeychainState, probe};

use crate::world::{MARK, RIGHT, World, code, pass};

// threat: 33
#[test]
fn each_fault_of_the_keychain_has_its_own_error_and_destroys_nothing() {
    let world = World::new();
    let (keystore, keys) = world.create(KeychainChoice::Os, None);
    keystore.set_mark(&keys, MARK).unwrap();
    let before = world.everything();
    let denied = || KeychainError::Denied { what: "not today".into() };
    for (fault, wanted) in [
        (KeychainError::Locked, "keystore.keychain_locked"),
        (KeychainError::Missing, "keystore.no_keychain"),
        (denied(), "keystore.keychain_denied"),
        (KeychainError::TimedOut, "keystore.keychain_timed_out"),
    ] {
        world.keychain.fail(Some(fault));
        assert_eq!(code(world.wake(None)), wanted);
        assert_eq!(code(keystore.needs_passphrase()), wanted);
        assert_eq!(code(keystore.mark(&keys)), wanted);
        assert_eq!(code(keystore.set_mark(&keys, MARK)), wanted);
        assert_eq!(code(keystore.change_passphrase(&keys, None, KdfCost::FLOOR)), wanted);
        world.keychain.fail(None);
        assert_eq!(world.everything(), before, "{wanted}");
    }
    let keys = world.wake(None).unwrap();
    assert_eq!(keystore.mark(&keys).unwrap(), Some(MARK));
}

// threat: 33
#[test]
fn a_keychain_that_fails_at_creation_is_said_and_nothing_weaker_is_chosen() {
    for (fault, state, wanted) in [
        (KeychainError::Locked, KeychainState::Locked, "keystore.keychain_locked"),
        (KeychainError::Missing, KeychainState::Missing, "keystore.no_keychain"),
        (KeychainError::Denied { what: "no".into() }, KeychainState::Denied, "keystore.keychain_denied"),
        (KeychainError::TimedOut, KeychainState::Locked, "keystore.keychain_locked"),
    ] {
        let world = World::new();
        world.keychain.fail(Some(fault));
        assert_eq!(probe(world.keychain.as_ref()), state);
        for choice in [KeychainChoice::Auto, KeychainChoice::Os] {
            assert_eq!(code(world.try_create(choice, Some(RIGHT))), wanted);
        }
        assert_eq!(std::fs::read_dir(world.dir.path()).unwrap().count(), 0, "nothing was written");
        // Unless asked for.
        world.create(KeychainChoice::None, Some(RIGHT));
    }
}

// threat: 33
#[test]
fn an_entry_that_was_taken_away_or_changed_is_told_apart_from_a_wrong_passphrase() {
    let world = World::new();
    world.create(KeychainChoice::Os, Some(RIGHT));
    let entry = world.entry();
    let before = world.everything();

    assert_eq!(code(world.wake(None)), "keystore.passphrase_required");
    assert_eq!(code(world.wake(Some("correct horse"))), "keystore.wrong_passphrase");
    assert_eq!(code(world.wake(Some(""))), "keystore.wrong_passphrase");
    assert_eq!(world.everything(), before);

    let mut changed = entry.clone();
    changed[40] ^= 1;
    world.set_entry(&changed);
    assert_eq!(code(world.wake(Some(RIGHT))), "keystore.entry_changed");
    world.set_entry(b"hunter2");
    assert_eq!(code(world.wake(Some(RIGHT))), "keystore.entry_changed");
    let kept = world.keychain.take_all();
    assert_eq!(code(world.wake(Some(RIGHT))), "keystore.entry_missing");

    world.keychain.put_all(kept);
    world.set_entry(&entry);
    world.wake(Some(RIGHT)).unwrap();
}

// threat: 31
#[test]
fn the_root_of_another_profile_opens_nothing_here() {
    let (ours, theirs) = (World::new(), World::new());
    let (keystore, _) = ours.create(KeychainChoice::Os, None);
    let (_, foreign) = theirs.create(KeychainChoice::Os, None);
    let (own, before) = (ours.entry(), ours.everything());
    assert_eq!(code(keystore.change_passphrase(&foreign, None, KdfCost::FLOOR)), "keystore.root_mismatch");
    assert_eq!(ours.everything(), before);

    // Their entry under our name: it says whose it is.
    ours.set_entry(&theirs.entry());
    assert_eq!(code(ours.wake(None)), "keystore.root_mismatch");

    // And with our name written into it, the root still is not ours.
    let mut forged = crate::world::without_hash(&theirs.entry());
    forged[10..26].copy_from_slice(&own[10..26]);
    ours.set_entry(&crate::world::with_hash(forged));
    assert_eq!(code(ours.wake(None)), "keystore.root_mismatch");
}

#[test]
fn a_file_is_never_without_a_passphrase() {
    let world = World::new();
    assert_eq!(code(world.try_create(KeychainChoice::None, None)), "keystore.passphrase_required");
    let (keystore, keys) = world.create(KeychainChoice::None, Some(RIGHT));
    let before = world.everything();
    assert_eq!(
        code(keystore.change_passphrase(&keys, None, KdfCost::FLOOR)),
        "keystore.file_needs_passphrase"
    );
    assert_eq!(world.everything(), before);
    assert!(world.keychain.is_empty(), "the keychain was not touched");
}

#[test]
fn a_passphrase_is_set_changed_and_removed() {
    let world = World::new();
    let (keystore, keys) = world.create(KeychainChoice::Os, None);
    assert!(!keystore.needs_passphrase().unwrap());
    let plain = world.entry();
    keystore.change_passphrase(&keys, Some(&pass(RIGHT)), KdfCost::FLOOR).unwrap();
    assert!(keystore.needs_passphrase().unwrap());
    let root = &plain[crate::world::BODY..crate::world::BODY + 32];
    assert!(!world.entry().windows(16).any(|window| window == &root[..16]), "the root is sealed now");
    assert_eq!(code(world.wake(None)), "keystore.passphrase_required");
    let woken = world.wake(Some(RIGHT)).unwrap();
    assert_eq!(woken.device_key(), keys.device_key());
    keystore.check_passphrase(&pass(RIGHT)).unwrap();
    keystore.change_passphrase(&keys, None, KdfCost::FLOOR).unwrap();
    assert_eq!(world.entry(), plain);
}

// threat: 31
#[test]
fn the_mark_of_the_store_cannot_be_forged() {
    for (choice, passphrase) in [(KeychainChoice::Os, None), (KeychainChoice::None, Some(RIGHT))] {
        let world = World::new();
        let (keystore, keys) = world.create(choice, passphrase);
        assert_eq!(keystore.mark(&keys).unwrap(), None);
        keystore.set_mark(&keys, MARK).unwrap();
        assert_eq!(keystore.mark(&keys).unwrap(), Some(MARK));

        let path = world.dir.path().join("mark");
        let alter = |alter: &dyn Fn(&mut Vec<u8>)| {
            if choice == KeychainChoice::None {
                let mut bytes = std::fs::read(&path).unwrap();
                alter(&mut bytes);
                std::fs::write(&path, bytes).unwrap();
            } else {
                let mut all = world.keychain.all();
                alter(all.iter_mut().find(|(account, _)| account.ends_with(".mark")).unwrap().1);
                world.keychain.put_all(all);
            }
        };
        alter(&|bytes| *bytes.last_mut().unwrap() ^= 1);
        assert_eq!(code(keystore.mark(&keys)), "keystore.sealed_value");
        alter(&|bytes| bytes.truncate(10));
        assert_eq!(code(keystore.mark(&keys)), "keystore.sealed_value");
    }
}
