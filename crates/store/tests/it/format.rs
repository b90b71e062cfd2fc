//! Formats, old and new, and what is no store at all.

use halo_store::{Store, StoreError};
use rusqlite::Connection;

use crate::world::{KEY, Place, contents, files, fill};

fn refusal(place: &Place) -> StoreError {
    Store::open(&place.file(), &KEY).err().expect("this must not open")
}

/// Changes a store behind the back of this crate, as a later version of it would.
fn behind_the_back(place: &Place, sql: &str) -> Connection {
    // The first connection of a process must be one of ours.
    drop(Place::new().create());
    let connection = Connection::open(place.file()).unwrap();
    let key: String = KEY.iter().map(|byte| format!("{byte:02x}")).collect();
    connection.execute_batch(&format!("PRAGMA key = \"x'{key}'\"; {sql}")).unwrap();
    connection
}

fn bytes(place: &Place) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    files(place.dir.path())
        .into_iter()
        .map(|file| (file.clone(), std::fs::read(file).unwrap()))
        .filter(|(file, bytes)| !bytes.is_empty() && !file.ends_with("store.db-shm"))
        .collect()
}

#[test]
fn a_newer_file_is_refused_and_stays_as_it_is() {
    let place = Place::new();
    fill(&mut place.create(), 1);
    behind_the_back(&place, "PRAGMA user_version = 3").close().unwrap();
    let before = bytes(&place);
    assert!(matches!(refusal(&place), StoreError::NewerVersion { found: 3, known: 2 }));
    assert_eq!(bytes(&place), before);
}

#[test]
fn a_newer_file_keeps_its_log_of_writes() {
    let place = Place::new();
    fill(&mut place.create(), 1);
    // The newer program was killed: its last transactions are in the log only.
    let newer = behind_the_back(&place, "PRAGMA journal_mode = WAL; PRAGMA user_version = 3");
    let copy = Place::new();
    for name in ["store.db", "store.db-wal"] {
        std::fs::copy(place.dir.path().join(name), copy.dir.path().join(name)).unwrap();
    }
    drop(newer);
    let before = bytes(&copy);
    assert_eq!(before.len(), 2, "there is a log");
    assert!(matches!(refusal(&copy), StoreError::NewerVersion { found: 3, known: 2 }));
    assert_eq!(bytes(&copy), before);
}

#[test]
fn the_wrong_key_changes_nothing() {
    let place = Place::new();
    fill(&mut place.create(), 1);
    let before = bytes(&place);
    let refused = Store::open(&place.file(), &[9; 32]).err().unwrap();
    assert!(matches!(refused, StoreError::WrongKey), "{refused}");
    assert_eq!(bytes(&place), before);
}

#[test]
fn each_thing_that_is_no_store_is_named() {
    let place = Place::new();
    assert_eq!(refusal(&place).code(), "store.missing");
    assert_eq!(files(place.dir.path()).len(), 0, "looking makes no file");

    for (what, bytes) in [
        ("an empty file", Vec::new()),
        ("a short one", vec![1; 100]),
        ("a cut one", vec![1; 4096 + 17]),
        ("an unencrypted one", [b"SQLite format 3\0".as_slice(), &[0; 4080]].concat()),
    ] {
        std::fs::write(place.file(), bytes).unwrap();
        assert_eq!(refusal(&place).code(), "store.damaged", "{what}");
    }
    std::fs::write(place.file(), vec![7; 8192]).unwrap();
    assert_eq!(refusal(&place).code(), "store.wrong_key", "noise is told from a foreign store by nobody");
}

#[test]
fn a_foreign_database_under_our_key_is_not_believed() {
    let place = Place::new();
    std::fs::File::create(place.file()).unwrap();
    behind_the_back(&place, "CREATE TABLE audit (seq INTEGER); PRAGMA user_version = 1").close().unwrap();
    assert_eq!(refusal(&place).code(), "store.damaged");
}

#[test]
fn a_store_is_not_made_over_another() {
    let place = Place::new();
    fill(&mut place.create(), 1);
    let before = bytes(&place);
    assert_eq!(Store::create(&place.file(), &KEY).err().unwrap().code(), "store.io");
    assert_eq!(bytes(&place), before);
}

#[test]
fn a_second_connection_is_turned_away() {
    let place = Place::new();
    let mut store = place.create();
    fill(&mut store, 1);
    assert_eq!(refusal(&place).code(), "store.in_use");
    contents(&store).expect("and the first does not notice");
}

#[test]
fn messages_hold_no_key() {
    let place = Place::new();
    fill(&mut place.create(), 1);
    let error = Store::open(&place.file(), &[0xAB; 32]).err().unwrap();
    assert!(!format!("{error} {error:?}").to_lowercase().contains("abab"));
}

#[test]
fn a_store_can_be_sent_to_another_thread() {
    let place = Place::new();
    let mut store = place.create();
    std::thread::spawn(move || fill(&mut store, 1)).join().unwrap();
}

/// The child's side: a new process whose first stores are opened all at once.
pub fn rush() {
    let start = std::sync::Barrier::new(8);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let place = Place::new();
                start.wait();
                fill(&mut place.create(), 1);
            });
        }
    });
    halo_testing::process::say("all made");
}

#[test]
fn the_first_stores_of_a_process_can_be_opened_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut other = halo_testing::process::Other::start("rush", dir.path());
    assert_eq!(other.hear().as_deref(), Some("all made"));
    other.finish();
}

/// Made by the first build that had format 1, from [`fill`] with three entries; never made again.
const FORMAT_1: &[u8] = include_bytes!("../golden/format-1.db");

#[test]
fn a_file_of_format_1_opens_with_all_its_rows() {
    let place = Place::new();
    std::fs::write(place.file(), FORMAT_1).unwrap();
    let store = place.open();
    let found = contents(&store).unwrap();
    assert_eq!(found.credentials, vec![crate::world::credential("laptop").bytes().to_vec()]);
    assert_eq!(found.sealed, Some(vec![0xA5; 300]));
    assert_eq!(found.setting.as_deref(), Some("ada"));
    assert_eq!(found.grants, vec![crate::world::grant(1)]);
    assert_eq!(found.refresh, Some(crate::world::refresh(1, 1, 1)));
    assert_eq!(found.mutes.len(), 1);
    assert_eq!(crate::world::verified_entries(&store), 3);
    store.verify().unwrap();
}
