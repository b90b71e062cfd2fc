//! A search through the memory of this process, for secrets that should not be there any more.

use std::io::{Read, Seek, SeekFrom};

/// Bytes of our own copy of a needle are turned round, so that the search does not find the searcher.
const TURN: u8 = 0x5A;
/// Memory is looked through in windows of this size.
const STEP: usize = 1 << 20;
/// A needle is found by any piece of this length; a shorter one by all of it.
const PIECE: usize = 16;

/// Something to look for; its own bytes are kept turned round.
pub struct Needle(Vec<u8>);

impl Needle {
    /// Takes bytes to look for, and leaves none of them behind: they are turned round where they are.
    #[must_use]
    pub fn new(mut bytes: Vec<u8>) -> Self {
        for byte in &mut bytes {
            *byte ^= TURN;
        }
        Self(bytes)
    }

    /// Bytes that were turned round all along.
    #[must_use]
    pub fn turned(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    /// The bytes as they are; on the heap, since a value that is passed on would leave copies on the stack.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.0.iter().map(|byte| byte ^ TURN).collect()
    }

    /// The same in hexadecimal.
    #[must_use]
    pub fn hex(&self) -> Self {
        let digit = |nibble: u8| (nibble + if nibble < 10 { b'0' } else { b'a' - 10 }) ^ TURN;
        let digits =
            self.0.iter().map(|byte| byte ^ TURN).flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
        Self(digits.collect())
    }
}

/// Counts the pieces (of 16 bytes, or whole needles that are shorter) of `needles` in all memory that this process can write.
#[must_use]
pub fn search(needles: &[Needle]) -> usize {
    search_of("self", needles)
}

/// The same in a process that this one may look into.
#[must_use]
pub fn search_in(pid: u32, needles: &[Needle]) -> usize {
    search_of(&pid.to_string(), needles)
}

fn search_of(process: &str, needles: &[Needle]) -> usize {
    let pieces: Vec<&[u8]> =
        needles.iter().flat_map(|needle| needle.0.chunks_exact(PIECE.min(needle.0.len()))).collect();
    let mut begins = [false; 256];
    for piece in &pieces {
        begins[usize::from(piece[0] ^ TURN)] = true;
    }
    let maps = std::fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    let mut memory = std::fs::File::open(format!("/proc/{process}/mem")).unwrap();
    let mut window = vec![0_u8; STEP + PIECE];
    let mut hits = 0;
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let (from, to) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
        let (from, to) = (u64::from_str_radix(from, 16).unwrap(), u64::from_str_radix(to, 16).unwrap());
        // Windows overlap by a piece.
        for at in (from..to).step_by(STEP) {
            let length = usize::try_from((to - at).min(window.len() as u64)).unwrap();
            memory.seek(SeekFrom::Start(at)).unwrap();
            if memory.read_exact(&mut window[..length]).is_ok() {
                for (place, byte) in window[..length].iter().enumerate() {
                    if begins[usize::from(*byte)] {
                        hits += pieces.iter().filter(|piece| is_at(piece, &window[place..length])).count();
                    }
                }
            }
            // A later window must not find this one.
            window.fill(0);
        }
    }
    hits
}

fn is_at(piece: &[u8], bytes: &[u8]) -> bool {
    bytes.len() >= piece.len() && bytes.iter().zip(piece).all(|(byte, turned)| byte ^ TURN == *turned)
}
