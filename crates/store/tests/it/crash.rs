//! Killed at any moment: what was acknowledged is there, and an identity is there as a whole or not at all.

use std::path::Path;

use halo_store::{ProfileDir, Store};

use crate::world::{Contents, KEY, NOON, Place, contents, entry, fill, grant, refresh, verified_entries};
use halo_testing::process::{Other, say, wait};

/// Rounds of each test; more for a longer soak.
fn rounds() -> u32 {
    std::env::var("HALO_CRASH_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(20)
}

/// The child's side: writes as fast as it can, and says the number of each transaction once it is durable.
pub fn write(dir: &Path) {
    let mut store = Store::open(&dir.join("store.db"), &KEY).unwrap();
    loop {
        let entry = entry(store.audit_head().unwrap(), "one more");
        let number = entry.seq;
        let low = number.to_le_bytes()[0];
        store
            .write(|tx| {
                tx.put_setting("number", &number)?;
                // From a part of a page to several, so that trees grow and shrink.
                tx.put_sealed(&format!("slot {}", number % 5), &vec![low; usize::from(low) * 97])?;
                tx.put_grant(&grant(low % 8))?;
                tx.delete_grant(&[low.wrapping_add(4) % 8; 16])?;
                tx.drop_family(&[low % 8; 16])?;
                tx.add_refresh(&refresh(low % 8, low % 8, low % 8))?;
                if number.is_multiple_of(50) {
                    tx.delete_sealed("slot 0")?;
                }
                tx.append_audit(&entry)
            })
            .unwrap();
        say(number);
    }
}

/// A pause of no particular length.
fn dawdle() {
    for _ in 0..rand::random_range(0..200_000_u32) {
        std::hint::spin_loop();
    }
}

// threat: 32
#[test]
fn what_was_acknowledged_survives_a_kill() {
    let place = Place::new();
    fill(&mut place.create(), 1);
    for round in 0..rounds() {
        let mut other = Other::start("write", place.dir.path());
        let mut said = Vec::new();
        for _ in 0..rand::random_range(1..80_u32) {
            said.push(other.hear().expect("the writer ended by itself"));
        }
        dawdle();
        said.extend(other.kill());
        // The very last line may be cut short by the kill.
        let acknowledged = said.iter().filter_map(|line| line.parse::<u64>().ok()).max().unwrap();
        let store = place.open();
        let head = store.audit_head().unwrap();
        assert!(
            (acknowledged..=acknowledged + 1).contains(&head.seq),
            "round {round}: {acknowledged} was acknowledged, {} is there",
            head.seq
        );
        assert_eq!(verified_entries(&store), head.seq, "round {round}: the chain is whole");
        assert_eq!(store.setting::<u64>("number").unwrap(), Some(head.seq), "one transaction, one state");
        let low = head.seq.to_le_bytes()[0];
        let slot = store.sealed(&format!("slot {}", head.seq % 5)).unwrap();
        if !head.seq.is_multiple_of(50) {
            assert_eq!(slot, Some(vec![low; usize::from(low) * 97]));
        }
        assert_eq!(store.refresh(&[low % 8; 32]).unwrap(), Some(refresh(low % 8, low % 8, low % 8)));
        store.verify().unwrap();
    }
}

/// The child's side: makes an identity, one step each time it is told to.
pub fn make(dir: &Path) {
    let step = |what: &str| {
        say(what);
        wait();
    };
    step("nothing");
    let profile = ProfileDir::open(dir, "halo").unwrap();
    step("profile taken");
    let creation = profile.start_creation().unwrap();
    step("creation started");
    std::fs::write(creation.path().join("keystore.json"), "{}").unwrap();
    step("keys made");
    let mut store = Store::create(&creation.path().join("store.db"), &KEY).unwrap();
    step("store made");
    fill(&mut store, 2);
    step("store filled");
    store.close().unwrap();
    step("store closed");
    creation.commit().unwrap();
    step("committed");
}

/// What [`make`] makes.
fn whole() -> Contents {
    let mut store = Place::new().create();
    fill(&mut store, 2);
    contents(&store).unwrap()
}

/// There is a whole identity, or none and nothing left of it after the sweep. Returns whether there is one.
fn assert_all_or_nothing(dir: &Path) -> bool {
    let profile = ProfileDir::open(dir, "halo").unwrap();
    for leftover in profile.leftovers().unwrap() {
        profile.sweep(&leftover).unwrap();
    }
    let names: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    match profile.identity_dir() {
        None => {
            assert_eq!(names, ["lock"]);
            drop(profile.start_creation().expect("and the next one can begin"));
            false
        }
        Some(identity) => {
            assert!(identity.join("keystore.json").is_file());
            let store = Store::open(&identity.join("store.db"), &KEY).unwrap();
            assert_eq!(contents(&store).unwrap(), whole());
            store.verify().unwrap();
            true
        }
    }
}

// threat: 32
#[test]
fn an_identity_is_all_or_nothing_after_each_step() {
    let mut there = Vec::new();
    for stop in 0.. {
        let dir = tempfile::tempdir().unwrap();
        let mut other = Other::start("make", dir.path());
        let mut at = other.hear();
        for _ in 0..stop {
            other.go_on();
            at = other.hear();
        }
        let Some(step) = at else {
            other.finish();
            break;
        };
        other.kill();
        there.push((step, assert_all_or_nothing(dir.path())));
    }
    assert_eq!(there.len(), 8);
    for (step, there) in there {
        assert_eq!(there, step == "committed", "after {step:?}");
    }
}

// threat: 32
#[test]
fn an_identity_is_all_or_nothing_at_any_moment() {
    for _ in 0..rounds() {
        let dir = tempfile::tempdir().unwrap();
        let mut other = Other::start("make", dir.path());
        for _ in 0..rand::random_range(1..=8_u32) {
            other.hear();
            other.go_on();
        }
        dawdle();
        other.kill();
        assert_all_or_nothing(dir.path());
    }
}

#[test]
fn rows_of_the_tests_are_what_they_seem() {
    let whole = whole();
    assert_eq!((whole.credentials.len(), whole.grants.len(), whole.log.len()), (1, 1, 2));
    assert!(whole.sealed.is_some() && whole.setting.is_some() && whole.refresh.is_some());
    assert_eq!(whole.mutes.len(), 1, "{NOON:?} is before the mute ends");
}
