//! After the store is closed, neither its key nor its rows are anywhere in memory.

use halo_testing::memory::{Needle, search};
use halo_testing::process::{Other, say};

/// The child's side: opens and closes a store, then reads its own memory.
pub fn remember() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("store.db");
    // Random bytes are as good turned round.
    let (key, row): ([u8; 32], [u8; 32]) = rand::random();
    let (key, row) = (Needle::turned(&key), Needle::turned(&row));
    {
        let key = zeroize::Zeroizing::new(key.bytes());
        let key: &[u8; 32] = key.as_slice().try_into().unwrap();
        let mut store = halo_store::Store::create(&file, key).unwrap();
        crate::world::fill(&mut store, 3);
        let row = zeroize::Zeroizing::new(row.bytes());
        store.write(|tx| tx.put_sealed("row", row.as_slice())).unwrap();
        store.close().unwrap();
        let store = halo_store::Store::open(&file, key).unwrap();
        crate::world::contents(&store).unwrap();
        // Read by SQLite, not by us: what is handed out is the caller's to wipe.
        store.verify().unwrap();
    }
    // SQLCipher is given the key in hexadecimal.
    let keys = [key.hex(), key];
    let control = b"this is findable".map(std::hint::black_box).to_vec();
    let turned = [Needle::new(control.clone())];
    say(format!("{} {} {}", search(&keys), search(&[row]), search(&turned) > 0));
    drop(control);
}

// threat: 34
#[cfg(target_os = "linux")]
#[test]
fn no_key_and_no_row_stays_in_memory_after_closing() {
    let dir = tempfile::tempdir().unwrap();
    let mut other = Other::start("remember", dir.path());
    assert_eq!(
        other.hear().as_deref(),
        Some("0 0 true"),
        "key, row, and whether the search finds what is there"
    );
    other.finish();
}
