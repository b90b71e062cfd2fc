//! The wallet locks when its user leaves.

use std::time::{Duration, Instant};

use halo_testing::keychain::Keychain;
use serde_json::json;

use crate::world::{PASSPHRASE, World};

/// Long enough for any machine; short enough to say that something hangs.
const PATIENCE: Duration = Duration::from_secs(60);

fn unlock(world: &World) {
    world.run_with(&["--json", "unlock", "--passphrase-stdin"], &format!("{PASSPHRASE}\n")).json();
}

#[test]
fn a_screen_that_locks_and_a_machine_that_goes_to_sleep_lock_the_wallet() {
    let bus = Keychain::only_a_bus();
    let world = World::on(&bus.address);
    world.init_sealed();
    let _daemon = world.daemon();
    let signals: [(&str, &[&str]); 4] = [
        ("org.freedesktop.login1.Manager.PrepareForSleep", &["boolean:true"]),
        ("org.freedesktop.login1.Session.Lock", &[]),
        ("org.freedesktop.ScreenSaver.ActiveChanged", &["boolean:true"]),
        ("org.gnome.ScreenSaver.ActiveChanged", &["boolean:true"]),
    ];
    for (name, body) in signals {
        unlock(&world);
        assert_eq!(world.json(&["status"])["state"], "unlocked");
        let began = Instant::now();
        // Again until it is heard: nobody says from when on the daemon listens.
        while world.json(&["status"])["state"] != "locked" {
            assert!(began.elapsed() < PATIENCE, "{name} did not lock it");
            bus.signal(name, body);
        }
    }
    unlock(&world);
    let log = world.json(&["audit", "--event", "locked"]);
    let session =
        log.as_array().unwrap().iter().filter(|entry| entry["details"] == json!([["why", "session"]]));
    assert_eq!(session.count(), signals.len(), "{log}");
}

#[test]
fn when_it_locks_is_the_users_choice() {
    let world = World::without_keychain();
    world.init_sealed();
    let _daemon = world.daemon();
    let early = world.run(&["--json", "settings", "set", "--auto-lock", "3"]);
    assert_eq!((early.status(), early.error_code().as_str()), (3, "wallet.locked"));
    unlock(&world);
    let shown = world.json(&["settings", "show"]);
    assert_eq!((&shown["auto_lock_minutes"], &shown["lock_with_screen"]), (&json!(10), &json!(true)));
    let set = world.json(&["settings", "set", "--auto-lock", "0", "--lock-with-screen", "off"]);
    assert_eq!((&set["auto_lock_minutes"], &set["lock_with_screen"]), (&json!(0), &json!(false)));
    assert_eq!(set["theme"], shown["theme"], "what was not named stays");
    assert!(world.run(&["settings", "show"]).stdout().contains("never"));
    for wrong in [&["settings", "set"][..], &["settings", "set", "--auto-lock", "9999"]] {
        assert_eq!(world.run(wrong).status(), 2);
    }
}
