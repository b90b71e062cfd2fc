//! One process a profile, several profiles side by side.

use std::path::Path;

use halo_store::{ProfileDir, StoreError};

use crate::world::{KEY, contents, fill};
use halo_testing::process::{Other, say, wait};

/// The child's side: has the profile until it is told to end.
pub fn hold(dir: &Path) {
    let _profile = ProfileDir::open(dir, "halo daemon").unwrap();
    say("have it");
    wait();
}

#[test]
fn a_second_process_is_told_who_has_the_profile() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = Other::start("hold", dir.path());
    first.hear().unwrap();
    match ProfileDir::open(dir.path(), "HALO") {
        Err(StoreError::Held { pid, program }) => {
            assert_eq!((pid, program.as_str()), (first.id(), "halo daemon"));
        }
        other => panic!("two have it: {:?}", other.err()),
    }
    first.finish();
    ProfileDir::open(dir.path(), "HALO").expect("free once the first has ended");
}

#[test]
fn a_killed_process_does_not_hold_the_profile() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = Other::start("hold", dir.path());
    first.hear().unwrap();
    first.kill();
    ProfileDir::open(dir.path(), "HALO").expect("no stale lock");
}

#[test]
fn the_holders_name_cannot_write_into_a_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let _first = ProfileDir::open(dir.path(), "evil\n\u{1b}[2J name").unwrap();
    match ProfileDir::open(dir.path(), "HALO") {
        Err(StoreError::Held { pid, program }) => {
            assert_eq!(pid, std::process::id());
            assert!(!program.chars().any(char::is_control), "{program:?}");
        }
        other => panic!("two have it: {:?}", other.err()),
    }
}

#[test]
fn a_profile_stays_taken_while_an_identity_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let profile = ProfileDir::open(dir.path(), "HALO").unwrap();
    let creation = profile.start_creation().unwrap();
    drop(profile);
    assert!(matches!(ProfileDir::open(dir.path(), "HALO"), Err(StoreError::Held { .. })));
    drop(creation);
    ProfileDir::open(dir.path(), "HALO").unwrap();
}

#[test]
fn an_abandoned_creation_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let profile = ProfileDir::open(dir.path(), "HALO").unwrap();
    let creation = profile.start_creation().unwrap();
    std::fs::write(creation.path().join("keystore.json"), "{}").unwrap();
    drop(creation);
    assert_eq!(profile.leftovers().unwrap(), Vec::<std::path::PathBuf>::new());
    assert_eq!(profile.identity_dir(), None);
}

#[test]
fn an_identity_is_never_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let profile = ProfileDir::open(dir.path(), "HALO").unwrap();
    let (first, second) = (profile.start_creation().unwrap(), profile.start_creation().unwrap());
    std::fs::write(first.path().join("name"), "first").unwrap();
    std::fs::write(second.path().join("name"), "second").unwrap();
    let identity = first.commit().unwrap();
    assert!(matches!(second.commit(), Err(StoreError::IdentityExists)));
    assert!(matches!(profile.start_creation(), Err(StoreError::IdentityExists)));
    assert_eq!(std::fs::read_to_string(identity.join("name")).unwrap(), "first");
    assert_eq!(profile.identity_dir(), Some(identity));
}

#[test]
fn only_leftovers_are_swept() {
    let dir = tempfile::tempdir().unwrap();
    let profile = ProfileDir::open(dir.path(), "HALO").unwrap();
    let identity = profile.start_creation().unwrap().commit().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let lookalike = elsewhere.path().join(".creating-1-0");
    std::fs::create_dir(&lookalike).unwrap();
    for path in [&identity, &lookalike, &dir.path().to_owned(), &dir.path().join(".creating-x/../identity")] {
        assert!(matches!(profile.sweep(path), Err(StoreError::Refused { .. })), "{}", path.display());
        assert!(identity.is_dir() && lookalike.is_dir());
    }
    let leftover = dir.path().join(".creating-1-0");
    std::fs::create_dir(&leftover).unwrap();
    assert_eq!(profile.leftovers().unwrap(), vec![leftover.clone()]);
    profile.sweep(&leftover).unwrap();
    assert!(!leftover.exists());
}

// threat: 19
#[cfg(unix)]
#[test]
fn other_users_cannot_enter_a_profile() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("loose");
    std::fs::create_dir(&path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let profile = ProfileDir::open(&path, "HALO").unwrap();
    let creation = profile.start_creation().unwrap();
    let store = halo_store::Store::create(&creation.path().join("store.db"), &KEY).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700, "a directory that was there before is closed to others");
    assert_eq!(mode(creation.path()), 0o700);
    for file in crate::world::files(&path) {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    store.close().unwrap();
}

#[test]
fn profiles_live_side_by_side() {
    let dir = tempfile::tempdir().unwrap();
    let keys = [[1; 32], [2; 32]];
    let profiles: Vec<_> = ["ada", "bob"]
        .iter()
        .zip(&keys)
        .map(|(name, key)| {
            let profile = ProfileDir::open(&dir.path().join(name), "HALO").unwrap();
            let creation = profile.start_creation().unwrap();
            let mut store = halo_store::Store::create(&creation.path().join("store.db"), key).unwrap();
            fill(&mut store, 1);
            store.write(|tx| tx.put_setting("identity_key", name)).unwrap();
            store.close().unwrap();
            creation.commit().unwrap();
            profile
        })
        .collect();
    let file = |of: usize| profiles[of].identity_dir().unwrap().join("store.db");
    let ada = halo_store::Store::open(&file(0), &keys[0]).unwrap();
    let bob = halo_store::Store::open(&file(1), &keys[1]).unwrap();
    assert_eq!(contents(&ada).unwrap().setting.as_deref(), Some("ada"));
    assert_eq!(contents(&bob).unwrap().setting.as_deref(), Some("bob"));
    drop((ada, bob));
    let foreign = halo_store::Store::open(&file(0), &keys[1]).err().unwrap();
    assert_eq!(foreign.code(), "store.wrong_key");
}
