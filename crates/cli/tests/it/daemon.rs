//! Creating, serving, locking, unlocking.

use crate::world::{PASSPHRASE, World};

#[test]
fn an_identity_is_created_without_a_daemon_and_served_by_one() {
    let world = World::new();
    let created = world.init();
    let did = created["did"].as_str().unwrap();
    assert!(did.starts_with("did:halo:B"), "{did}");
    assert!(created["did_key"].as_str().unwrap().starts_with("did:key:z6Mk"));
    assert_eq!(created["phrase"].as_str().unwrap().split(' ').count(), 24);
    let resting = world.json(&["status"]);
    assert_eq!((&resting["state"], &resting["running"]), (&"locked".into(), &false.into()));

    let daemon = world.daemon();
    assert_eq!(daemon.ready["ready"], true);
    assert_eq!(daemon.ready["pid"], daemon.pid());
    let status = world.json(&["status"]);
    assert_eq!(status["state"], "unlocked");
    assert_eq!(status["did"], did);
    assert_eq!(status["name"], "Ada");
    assert_eq!(status["device_key"], created["device_key"]);
    assert_eq!(status["broker_url"], daemon.url());
    assert!(status["kubes"].is_array() && status["peers"].is_array());

    let (ended, log) = daemon.terminate();
    assert!(ended.success(), "SIGTERM is a clean end");
    assert_eq!(log, "", "nothing was wrong");
    assert_eq!(world.run(&["lock"]).status(), 6, "nobody is left at the socket");
}

#[test]
fn an_identity_is_created_through_a_daemon() {
    let world = World::new();
    let _daemon = world.daemon();
    assert_eq!(world.json(&["status"])["state"], "empty");
    let ran = world.run(&["--json", "apps", "list"]);
    assert_eq!((ran.status(), ran.error_code().as_str()), (5, "wallet.no_identity"));
    world.init();
    assert_eq!(world.json(&["status"])["state"], "unlocked", "the same daemon serves it at once");
    let again = world.run(&["--json", "init", "--name", "Eve"]);
    assert_eq!((again.status(), again.error_code().as_str()), (1, "wallet.identity_exists"));
}

#[test]
fn a_second_daemon_says_who_holds_the_profile() {
    let world = World::new();
    world.init();
    let first = world.daemon();
    let second = world.run(&["--json", "daemon", "--listen-port", "0"]);
    assert_eq!((second.status(), second.error_code().as_str()), (1, "wallet.held"));
    assert!(second.stderr().contains("halo daemon"), "{}", second.stderr());
    assert!(second.stderr().contains(&first.pid().to_string()), "{}", second.stderr());
    assert_eq!(world.json(&["status"])["state"], "unlocked", "the first one is untouched");
}

#[test]
fn several_profiles_run_side_by_side() {
    let (one, two) = (World::new(), World::new());
    let (first, second) = (one.init(), two.init());
    assert_ne!(first["did"], second["did"]);
    let (_one, _two) = (one.daemon(), two.daemon());
    assert_eq!(one.json(&["status"])["did"], first["did"]);
    assert_eq!(two.json(&["status"])["did"], second["did"]);
}

#[test]
fn a_sealed_profile_starts_locked_and_opens_with_its_passphrase_only() {
    let world = World::without_keychain();
    let created = world.init_sealed();
    let _daemon = world.daemon();
    let status = world.json(&["status"]);
    assert_eq!(status["state"], "locked");
    assert_eq!(status["did"], serde_json::Value::Null, "locked means that nothing is known");
    let locked = world.run(&["--json", "apps", "list"]);
    assert_eq!((locked.status(), locked.error_code().as_str()), (3, "wallet.locked"));

    let wrong = world.run_with(&["--json", "unlock", "--passphrase-stdin"], "wrong horse battery staple\n");
    assert_eq!((wrong.status(), wrong.error_code().as_str()), (4, "keystore.wrong_passphrase"));
    let none = world.run(&["--json", "unlock", "--passphrase-stdin"]);
    assert_eq!((none.status(), none.error_code().as_str()), (2, "cli.usage"));
    let right = world.run_with(&["--json", "unlock", "--passphrase-stdin"], &format!("{PASSPHRASE}\n"));
    assert_eq!(right.json()["state"], "unlocked");
    assert_eq!(world.json(&["status"])["did"], created["did"]);
    world.json(&["lock"]);
    assert_eq!(world.json(&["status"])["state"], "locked");
    let remove = world.run_with(&["--json", "passphrase", "remove"], &format!("{PASSPHRASE}\n"));
    assert!(!remove.ok(), "a sealed file is nothing without its passphrase");
}

#[test]
fn a_passphrase_is_set_changed_and_removed() {
    let world = World::new();
    world.init();
    let daemon = world.daemon();
    world.run_with(&["--json", "passphrase", "set"], "the first passphrase\n").json();
    let wrong =
        world.run_with(&["--json", "passphrase", "set"], "not the first one\nthe second passphrase\n");
    assert_eq!((wrong.status(), wrong.error_code().as_str()), (4, "keystore.wrong_passphrase"));
    world.run_with(&["--json", "passphrase", "set"], "the first passphrase\nthe second passphrase\n").json();
    drop(daemon);

    let _daemon = world.daemon();
    assert_eq!(
        world.json(&["status"])["state"],
        "locked",
        "a passphrase keeps the keychain alone from opening"
    );
    world.run_with(&["--json", "unlock"], "the second passphrase\n").json();
    world.run_with(&["--json", "passphrase", "remove"], "the second passphrase\n").json();
    world.json(&["lock"]);
    world.json(&["unlock"]);
    assert_eq!(world.json(&["status"])["state"], "unlocked");
}

#[test]
fn the_words_bring_the_identity_back() {
    let (old, new) = (World::new(), World::new());
    let created = old.init();
    let words = format!("{}\n", created["phrase"].as_str().unwrap());
    let back = new.run_with(&["--json", "recover", "--phrase-stdin", "--name", "Ada"], &words).json();
    assert_eq!(back["did"], created["did"]);
    assert_ne!(back["device_key"], created["device_key"], "this is another device");
    assert!(back.get("phrase").is_none());
    let broken = words.replacen(' ', " zzz ", 1);
    let other = World::new();
    let ran = other.run_with(&["--json", "recover", "--phrase-stdin"], &broken);
    assert_eq!(ran.status(), 2, "{}", ran.stderr());
    assert_eq!(other.json(&["status"])["state"], "empty");
}

#[test]
fn the_words_are_confirmed_and_forgotten() {
    let world = World::new();
    let created = world.init();
    let words = created["phrase"].as_str().unwrap();
    let _daemon = world.daemon();
    assert_eq!(world.json(&["identity", "phrase", "show"])["phrase"], words);
    let early = world.run(&["--json", "identity", "phrase", "forget"]);
    assert!(!early.ok(), "not before they are written down");
    let reversed: Vec<&str> = words.split(' ').rev().collect();
    let wrong =
        world.run_with(&["--json", "identity", "phrase", "confirm"], &format!("{}\n", reversed.join(" ")));
    assert!(!wrong.ok());
    world.run_with(&["--json", "identity", "phrase", "confirm"], &format!("{words}\n")).json();
    assert_eq!(world.json(&["identity", "show"])["phrase"], "confirmed");
    world.json(&["identity", "phrase", "forget"]);
    assert_eq!(world.json(&["identity", "show"])["phrase"], "forgotten");
    assert!(!world.run(&["identity", "phrase", "show"]).ok());
}

#[test]
fn the_name_can_be_changed() {
    let world = World::new();
    world.init();
    let _daemon = world.daemon();
    let shown = world.json(&["identity", "set", "--name", "Ada Lovelace"]);
    assert_eq!(shown["name"], "Ada Lovelace");
    assert!(world.run(&["identity", "show"]).stdout().contains("Ada Lovelace"));
    assert_eq!(world.run(&["identity", "set"]).status(), 2, "nothing to set");
    let picture = world.run(&["identity", "set", "--avatar", "/nowhere.png"]);
    assert_eq!(picture.status(), 2);
}
