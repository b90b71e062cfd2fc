//! After the store is closed, its key is nowhere in memory.

use crate::process::{Other, say};

/// Bytes of our own copy of the needle are turned round, so that the search does not find the searcher.
const TURN: u8 = 0x5A;

/// The child's side: opens and closes a store, then reads its own memory.
pub fn remember() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("store.db");
    let mut turned: [u8; 32] = rand::random();
    {
        let mut key = zeroize::Zeroizing::new([0; 32]);
        for (to, from) in key.iter_mut().zip(turned) {
            *to = from ^ TURN;
        }
        let mut store = halo_store::Store::create(&file, &key).unwrap();
        crate::world::fill(&mut store, 3);
        store.close().unwrap();
        let store = halo_store::Store::open(&file, &key).unwrap();
        crate::world::contents(&store).unwrap();
    }
    // Hexadecimal as SQLCipher is given it, turned as well.
    let hex: Vec<u8> = turned
        .iter()
        .flat_map(|byte| {
            let byte = byte ^ TURN;
            [byte >> 4, byte & 15].map(|nibble| (nibble + if nibble < 10 { b'0' } else { b'a' - 10 }) ^ TURN)
        })
        .collect();
    let raw = found(&turned[..16]) + found(&turned[16..]);
    // A quarter of the text is enough to give a key away to somebody who guesses the rest of it.
    let text: usize = hex.chunks(16).map(found).sum();
    let control = found(CONTROL.map(|byte| byte ^ TURN).as_slice());
    turned.fill(0);
    say(format!("{raw} {text} {}", control > 0));
}

static CONTROL: [u8; 16] = *b"this is findable";

/// How often the bytes, turned back, are in this process's writable memory, or anywhere for the control.
fn found(turned: &[u8]) -> usize {
    use std::io::{Read, Seek, SeekFrom};
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let mut memory = std::fs::File::open("/proc/self/mem").unwrap();
    let mut count = 0;
    let mut window = vec![0_u8; 1 << 20];
    for line in maps.lines().filter(|line| line.contains(" r") && !line.contains("[v")) {
        let (from, to) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
        let (mut at, to) = (u64::from_str_radix(from, 16).unwrap(), u64::from_str_radix(to, 16).unwrap());
        while at < to {
            let length = usize::try_from((to - at).min(window.len() as u64)).unwrap();
            memory.seek(SeekFrom::Start(at)).unwrap();
            if memory.read_exact(&mut window[..length]).is_err() {
                break;
            }
            count += window[..length]
                .windows(turned.len())
                .filter(|bytes| bytes.iter().zip(turned).all(|(byte, turned)| byte ^ TURN == *turned))
                .count();
            // Turned round too, or a later search would find this one's reading.
            window[..length].fill(0);
            if length < window.len() {
                break;
            }
            at += (length - turned.len()) as u64;
        }
    }
    count
}

// threat: 34
#[cfg(target_os = "linux")]
#[test]
fn no_key_stays_in_memory_after_closing() {
    let dir = tempfile::tempdir().unwrap();
    let mut other = Other::start("remember", dir.path());
    assert_eq!(
        other.hear().as_deref(),
        Some("0 0 true"),
        "raw, as text, and whether the search finds anything"
    );
    other.finish();
}
