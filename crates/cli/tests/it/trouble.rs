//! What keeps a profile from opening: each has its own code, its own sentence and a next step, and destroys nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use halo_testing::keychain::Keychain;
use serde_json::Value;

use crate::world::{PASSPHRASE, World};

/// Everything in a profile but who holds it.
fn files(of: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let dir = of.join("identity").read_dir().unwrap();
    // The index of the log of writes is made anew by whoever opens the store.
    let kept = dir.map(|entry| entry.unwrap().path()).filter(|path| !path.ends_with("store.db-shm"));
    kept.map(|path| (path.clone(), std::fs::read(&path).unwrap())).collect()
}

/// What a daemon, a script and a person hear of it. Returns the sentence.
fn heard(world: &World, code: &str, status: i32) -> String {
    let before = files(&world.profile());
    let daemon = world.daemon();
    let said = world.json(&["status"]);
    assert_eq!((&said["state"], &said["trouble"]["code"]), (&"locked".into(), &code.into()), "{said}");
    assert_eq!((&said["did"], &said["name"]), (&Value::Null, &Value::Null));
    let input = format!("{PASSPHRASE}\n");
    let tried = world.run_with(&["--json", "unlock", "--passphrase-stdin"], &input);
    assert_eq!((tried.status(), tried.error_code().as_str()), (status, code), "{}", tried.stderr());
    let words = world.run_with(&["unlock", "--passphrase-stdin"], &input).stderr();
    let (sentence, next) = words.split_once('\n').unwrap_or_else(|| panic!("there is no next step: {words}"));
    assert!(next.len() > 10, "{words}");
    let shown = world.run(&["status"]).stdout();
    assert!(shown.contains(sentence.trim_start_matches("halo: ")) && shown.contains(next.trim()), "{shown}");
    let locked = world.run(&["--json", "apps", "list"]);
    assert_eq!((locked.status(), locked.error_code().as_str()), (3, "wallet.locked"));
    drop(daemon);
    assert_eq!(files(&world.profile()), before, "{code} destroyed nothing");
    sentence.to_owned()
}

fn opens(world: &World) {
    let _daemon = world.daemon();
    if world.json(&["status"])["state"] != "unlocked" {
        world.run_with(&["--json", "unlock", "--passphrase-stdin"], &format!("{PASSPHRASE}\n")).json();
    }
    assert_eq!(world.json(&["identity", "show"])["name"], "Ada");
}

// threat: 33
#[test]
fn each_fault_of_the_keychain_has_a_sentence_of_its_own() {
    let (service, stranger, nobody) = (Keychain::start(), Keychain::start(), Keychain::only_a_bus());
    let mut world = World::on(&service.address);
    world.init();
    opens(&world);
    let mut sentences = BTreeSet::new();
    world.moves_to(Some(&stranger.address));
    sentences.insert(heard(&world, "keystore.entry_missing", 1));
    world.moves_to(Some(&nobody.address));
    sentences.insert(heard(&world, "keystore.no_keychain", 1));
    world.moves_to(None);
    heard(&world, "keystore.no_keychain", 1);
    world.moves_to(Some(&service.address));
    opens(&world);
    service.lock();
    sentences.insert(heard(&world, "keystore.keychain_locked", 3));
    assert_eq!(sentences.len(), 3, "{sentences:?}");
}

// threat: 33
#[test]
fn a_keychain_that_cannot_be_had_makes_no_identity() {
    let service = Keychain::start();
    service.lock();
    let world = World::on(&service.address);
    let ran = world.run(&["--json", "init", "--name", "Ada"]);
    assert_eq!((ran.status(), ran.error_code().as_str()), (3, "keystore.keychain_locked"));
    assert_eq!(world.json(&["status"])["state"], "empty");
    let left: Vec<_> = world.profile().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["lock"]);
}

// threat: 31, 32
#[test]
fn each_fault_of_the_files_has_a_sentence_of_its_own() {
    let (world, other) = (World::without_keychain(), World::without_keychain());
    world.init_sealed();
    other.init_sealed();
    let file = |world: &World, name: &str| world.profile().join("identity").join(name);
    let mut sentences = BTreeSet::new();
    let mut faulty = |name: &str, code: &str, bytes: Vec<u8>| {
        let path = file(&world, name);
        let good = std::fs::read(&path).unwrap();
        std::fs::write(&path, bytes).unwrap();
        sentences.insert(heard(&world, code, 1));
        std::fs::write(&path, good).unwrap();
        opens(&world);
    };
    let read = |world: &World, name: &str| std::fs::read(file(world, name)).unwrap();
    let mut flipped = read(&world, "root.sealed");
    *flipped.last_mut().unwrap() ^= 1;
    faulty("root.sealed", "keystore.sealed_damaged", flipped);
    faulty("root.sealed", "keystore.sealed_damaged", Vec::new());
    faulty("root.sealed", "keystore.root_mismatch", read(&other, "root.sealed"));
    assert!(sentences.len() >= 2, "{sentences:?}");
    // The check of another profile in the description: the root is whole, and not of this profile.
    let member = |bytes: &[u8], name: &str| -> String {
        serde_json::from_slice::<Value>(bytes).unwrap()[name].as_str().unwrap().to_owned()
    };
    let (ours, theirs) = (read(&world, "keystore.json"), read(&other, "keystore.json"));
    let mixed = String::from_utf8(ours.clone()).unwrap();
    let mixed = mixed.replace(&member(&ours, "check"), &member(&theirs, "check"));
    let path = file(&world, "keystore.json");
    std::fs::write(&path, mixed).unwrap();
    let daemon = world.daemon();
    let input = format!("{PASSPHRASE}\n");
    let tried = world.run_with(&["--json", "unlock", "--passphrase-stdin"], &input);
    assert_eq!((tried.status(), tried.error_code().as_str()), (1, "keystore.root_mismatch"));
    drop(daemon);
    std::fs::write(&path, &ours).unwrap();
    opens(&world);
    // Another profile's data under this profile's key, and none at all.
    for (bytes, code) in [(Some(read(&other, "store.db")), "store.wrong_key"), (None, "store.missing")] {
        let path = file(&world, "store.db");
        let good = std::fs::read(&path).unwrap();
        match &bytes {
            Some(bytes) => std::fs::write(&path, bytes).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        let daemon = world.daemon();
        let tried = world.run_with(&["--json", "unlock", "--passphrase-stdin"], &input);
        assert_eq!((tried.status(), tried.error_code().as_str()), (1, code));
        drop(daemon);
        assert_eq!(std::fs::read(&path).ok(), bytes, "{code} wrote nothing over it");
        std::fs::write(&path, good).unwrap();
        opens(&world);
    }
    // A description that makes no sense: not even locked is known, and the daemon says so and ends.
    std::fs::write(file(&world, "keystore.json"), "{}").unwrap();
    let ended = world.run(&["--json", "daemon", "--listen-port", "0"]);
    assert_eq!((ended.status(), ended.error_code().as_str()), (1, "keystore.sealed_damaged"));
    std::fs::write(file(&world, "keystore.json"), ours).unwrap();
    opens(&world);
}
