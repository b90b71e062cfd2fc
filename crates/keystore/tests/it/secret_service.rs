//! The keychain of the operating system for real: a Secret Service over D-Bus, one that is locked, none, no bus.
#![cfg(target_os = "linux")]

use std::path::Path;
use std::sync::Arc;

use halo_keystore::{KdfCost, KeychainChoice, Keystore, NewKeystore, OsKeychain, probe};
use halo_testing::keychain::Keychain;
use halo_testing::process::{Other, say};

use crate::world::{MARK, RIGHT, pass};

const BUS: &str = "DBUS_SESSION_BUS_ADDRESS";

/// What a process in a role says on a bus.
fn on(address: &str, role: &str, dir: &Path) -> String {
    let mut other = Other::start_with(role, dir, &[(BUS, address)]);
    let said = other.hear().expect("the other process says something");
    other.finish();
    said
}

pub fn create(dir: &Path) {
    let wanted = NewKeystore { choice: KeychainChoice::Auto, passphrase: None, cost: KdfCost::FLOOR };
    match Keystore::create(dir, wanted, Arc::new(OsKeychain::default())) {
        Ok((keystore, keys)) => {
            keystore.set_mark(&keys, MARK).unwrap();
            say(format!("made {}", keys.device_key()));
        }
        Err(error) => say(error.code()),
    }
}

/// Wakes the root, puts it under a passphrase, wakes it again, and takes the passphrase away.
pub fn use_it(dir: &Path) {
    let keystore = Keystore::open(dir, Arc::new(OsKeychain::default())).unwrap();
    let keys = keystore.unlock(None).unwrap();
    assert_eq!(keystore.mark(&keys).unwrap(), Some(MARK));
    keystore.change_passphrase(&keys, Some(&pass(RIGHT)), KdfCost::FLOOR).unwrap();
    assert!(keystore.needs_passphrase().unwrap());
    assert_eq!(
        keystore.unlock(Some(&pass("wrong"))).map(drop).unwrap_err().code(),
        "keystore.wrong_passphrase"
    );
    let keys = keystore.unlock(Some(&pass(RIGHT))).unwrap();
    keystore.change_passphrase(&keys, None, KdfCost::FLOOR).unwrap();
    say(format!("made {}", keystore.unlock(None).unwrap().device_key()));
}

/// What the keychain is, and what comes of waking a root with it.
pub fn try_it(dir: &Path) {
    let state = probe(&OsKeychain::default());
    let woken = Keystore::open(dir, Arc::new(OsKeychain::default())).unwrap().unlock(None);
    say(format!("{state:?} {}", woken.map_or_else(|error| error.code(), |_| "woken")));
}

#[test]
fn a_secret_service_keeps_the_root_between_processes() {
    let dir = tempfile::tempdir().unwrap();
    let service = Keychain::start();
    let made = on(&service.address, "create", dir.path());
    assert!(made.starts_with("made "), "{made}");
    assert_eq!(on(&service.address, "use", dir.path()), made);
    assert_eq!(on(&service.address, "try", dir.path()), "Ready woken");
}

// threat: 33
#[test]
fn a_locked_absent_or_unreachable_secret_service_is_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let service = Keychain::start();
    let made = on(&service.address, "create", dir.path());
    assert!(made.starts_with("made "), "{made}");
    let files = || std::fs::read(dir.path().join("keystore.json")).unwrap();
    let before = files();

    service.lock();
    assert_eq!(on(&service.address, "try", dir.path()), "Locked keystore.keychain_locked");
    // Another one, which is ready but has never seen this profile.
    let stranger = Keychain::start();
    assert_eq!(on(&stranger.address, "try", dir.path()), "Ready keystore.entry_missing");
    let nobody = Keychain::only_a_bus();
    assert_eq!(on(&nobody.address, "try", dir.path()), "Missing keystore.no_keychain");
    let nowhere = format!("unix:path={}", dir.path().join("nowhere").display());
    assert_eq!(on(&nowhere, "try", dir.path()), "Missing keystore.no_keychain");
    assert_eq!(files(), before, "nothing was destroyed");

    for bus in [&nobody.address, &nowhere] {
        let empty = tempfile::tempdir().unwrap();
        assert_eq!(on(bus, "create", empty.path()), "keystore.no_keychain");
        assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0);
    }
}
