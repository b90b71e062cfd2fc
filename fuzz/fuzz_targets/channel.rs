//! Handshake messages and frames: bytes from a path end in an error or in what a peer said.
#![no_main]

use halo_protocol::channel::{Handshake, OneTimeSecret, Purpose, fuzz, hostile};
use halo_protocol::signal::Topic;
use rand_core::{Infallible, TryCryptoRng, TryRng};

/// The same bytes every time: a fuzzer must be able to repeat itself.
struct Counter(u64);

impl TryRng for Counter {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.0 += 1;
        Ok(self.0 as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0 += 1;
        Ok(self.0)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0 += 1;
        bytes.fill(self.0 as u8);
        Ok(())
    }
}

impl TryCryptoRng for Counter {}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzz(bytes);
    // As frames of a peer: space, numbers to skip, length, inside.
    let mut rest = bytes;
    let frames = std::iter::from_fn(|| {
        let (&[space, skip, length], after) = rest.split_first_chunk::<3>()?;
        let (inside, after) = after.split_at(usize::from(length).min(after.len()));
        rest = after;
        Some((space, skip % 4, inside))
    });
    hostile(frames);
    let mut rng = Counter(0);
    let secret = OneTimeSecret::from_bytes([1; 32]);
    let invitation = Purpose::Invitation { topic: Topic::from_bytes([2; 16]), binding: [3; 32] };
    let peers = Purpose::Peers { topic: Topic::from_bytes([2; 16]) };
    let _ = Handshake::showing(&invitation, &secret, &mut rng).map(|handshake| handshake.read(bytes));
    let _ = Handshake::scanning(&invitation, &secret.public(), &mut rng).map(|(handshake, _)| handshake.read(bytes));
    let _ = Handshake::answering(&peers, &[4; 32], &mut rng).map(|handshake| handshake.read(bytes));
    let _ = Handshake::calling(&peers, &[4; 32], &mut rng).map(|(handshake, _)| handshake.read(bytes));
});
