//! After the store is closed, neither its key nor its rows are anywhere in memory.

use crate::process::{Other, say};

/// Bytes of our own copy of the needle are turned round, so that the search does not find the searcher.
const TURN: u8 = 0x5A;

/// The child's side: opens and closes a store, then reads its own memory.
pub fn remember() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("store.db");
    let (turned, row): ([u8; 32], [u8; 32]) = rand::random();
    {
        let key = turned_back(&turned);
        let key: &[u8; 32] = key.as_slice().try_into().unwrap();
        let mut store = halo_store::Store::create(&file, key).unwrap();
        crate::world::fill(&mut store, 3);
        let row = turned_back(&row);
        store.write(|tx| tx.put_sealed("row", row.as_slice())).unwrap();
        store.close().unwrap();
        let store = halo_store::Store::open(&file, key).unwrap();
        crate::world::contents(&store).unwrap();
        // Read by SQLite, not by us: what is handed out is the caller's to wipe.
        store.verify().unwrap();
    }
    // Hexadecimal as SQLCipher is given it, turned as well.
    let hex: Vec<u8> = turned
        .iter()
        .flat_map(|byte| {
            let byte = byte ^ TURN;
            [byte >> 4, byte & 15].map(|nibble| (nibble + if nibble < 10 { b'0' } else { b'a' - 10 }) ^ TURN)
        })
        .collect();
    let key: Vec<&[u8]> = turned.chunks(16).chain(hex.chunks(16)).collect();
    let rows: Vec<&[u8]> = row.chunks(16).collect();
    let control = b"this is findable".map(std::hint::black_box).to_vec();
    let turned_control: Vec<u8> = control.iter().map(|byte| byte ^ TURN).collect();
    say(format!("{} {} {}", search(&key), search(&rows), search(&[&turned_control]) > 0));
    drop(control);
}

/// In place, on the heap: a value that is passed on would leave copies on the stack.
fn turned_back(bytes: &[u8; 32]) -> zeroize::Zeroizing<Vec<u8>> {
    let mut back = zeroize::Zeroizing::new(vec![0; 32]);
    for (to, from) in back.iter_mut().zip(bytes) {
        *to = from ^ TURN;
    }
    back
}

/// How often any of the needles (of 16 bytes, turned) is in the memory that this process can write.
fn search(needles: &[&[u8]]) -> usize {
    use std::io::{Read, Seek, SeekFrom};
    const STEP: usize = 1 << 20;
    let mut begins = [false; 256];
    for needle in needles {
        begins[usize::from(needle[0] ^ TURN)] = true;
    }
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let mut memory = std::fs::File::open("/proc/self/mem").unwrap();
    let mut window = vec![0_u8; STEP + 16];
    let mut hits = 0;
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let (from, to) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
        let (from, to) = (u64::from_str_radix(from, 16).unwrap(), u64::from_str_radix(to, 16).unwrap());
        // Windows overlap by a needle.
        for at in (from..to).step_by(STEP) {
            let length = usize::try_from((to - at).min(window.len() as u64)).unwrap();
            memory.seek(SeekFrom::Start(at)).unwrap();
            if memory.read_exact(&mut window[..length]).is_ok() {
                for (place, byte) in window[..length].iter().enumerate() {
                    if begins[usize::from(*byte)] {
                        hits += needles.iter().filter(|needle| is_at(needle, &window[place..length])).count();
                    }
                }
            }
            // A later window must not find this one.
            window.fill(0);
        }
    }
    hits
}

fn is_at(needle: &[u8], bytes: &[u8]) -> bool {
    bytes.len() >= needle.len() && bytes.iter().zip(needle).all(|(byte, turned)| byte ^ TURN == *turned)
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
