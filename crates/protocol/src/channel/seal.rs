//! Sealing of frames: keys, nonces and rekeying.
//!
//! frame = space (2 bits) and number (62 bits), 8 bytes, most significant first ‖ ChaCha20-Poly1305(plain), under the key of
//! its direction and space, the number as nonce. Every [`REKEY_AFTER`] numbers the key is replaced by Noise's `REKEY`
//! (§4.2) and forgotten, so that what was said before stays closed to one who takes the memory afterwards.
//!
//! A number is used once: frames of a lane are sent again as the same bytes.

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, Tag};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::handshake::{Established, Role};
use super::noise::nonce;

/// Frames under one key.
pub(super) const REKEY_AFTER: u64 = 4_096;
/// Number and tag.
pub(super) const SEAL_OVERHEAD: usize = 8 + 16;
const NUMBER_BITS: u32 = 62;

/// What numbers count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Space {
    /// Frames that come once and in order, of urgent streams.
    Urgent = 0,
    /// The same, of bulk streams.
    Bulk = 1,
    /// Acknowledgements and signs of life; each says all that its predecessors said.
    Signal = 2,
}

impl Space {
    const ALL: [Self; 3] = [Self::Urgent, Self::Bulk, Self::Signal];

    const fn label(self) -> &'static [u8] {
        match self {
            Self::Urgent => b"halo v1 channel urgent",
            Self::Bulk => b"halo v1 channel bulk",
            Self::Signal => b"halo v1 channel signal",
        }
    }
}

/// Reads space and number of a frame, before anything is known of it.
pub(super) fn header(frame: &[u8]) -> Option<(Space, u64)> {
    let header = u64::from_be_bytes(*frame.first_chunk::<8>()?);
    let space = Space::ALL.into_iter().find(|space| *space as u64 == header >> NUMBER_BITS)?;
    (frame.len() >= SEAL_OVERHEAD).then_some((space, header & ((1 << NUMBER_BITS) - 1)))
}

/// The keys of one space in one direction, one after the other.
#[derive(Clone)]
struct Chain {
    key: Zeroizing<[u8; 32]>,
    generation: u64,
}

impl Chain {
    fn new(base: &[u8; 32], space: Space) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        // 32 bytes are fewer than HKDF-SHA256 can give, so this does not fail.
        let _ = Hkdf::<Sha256>::new(None, base).expand(space.label(), key.as_mut_slice());
        Self { key, generation: 0 }
    }

    fn next(&self) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        // Fails for nothing of 32 bytes.
        let _ = self.cipher().encrypt_inout_detached(&nonce(u64::MAX), &[], key.as_mut_slice().into());
        Self { key, generation: self.generation + 1 }
    }

    fn cipher(&self) -> ChaCha20Poly1305 {
        ChaCha20Poly1305::new((&*self.key).into())
    }
}

/// Seals frames in one direction. Numbers of a space must not fall below the generation before the newest.
pub(super) struct Sealer([Chain; 3]);

impl Sealer {
    /// What is sent.
    pub(super) fn outgoing(established: &Established) -> Self {
        let [initiator, responder] = &established.keys;
        Self::new(if established.role == Role::Initiator { initiator } else { responder })
    }

    fn new(base: &[u8; 32]) -> Self {
        Self(Space::ALL.map(|space| Chain::new(base, space)))
    }

    /// Seals the next frame of a space.
    pub(super) fn seal(&mut self, space: Space, number: u64, plain: &[u8]) -> Vec<u8> {
        let [urgent, bulk, signal] = &mut self.0;
        let chain = match space {
            Space::Urgent => urgent,
            Space::Bulk => bulk,
            Space::Signal => signal,
        };
        if number / REKEY_AFTER > chain.generation {
            *chain = chain.next();
        }
        let mut frame = Vec::with_capacity(plain.len() + SEAL_OVERHEAD);
        frame.extend_from_slice(&(((space as u64) << NUMBER_BITS) | number).to_be_bytes());
        frame.extend_from_slice(plain);
        let (_, body) = frame.split_at_mut(8);
        // ChaCha20 seals 256 GiB at once; a frame is never refused.
        if let Ok(tag) = chain.cipher().encrypt_inout_detached(&nonce(number), &[], body.into()) {
            frame.extend_from_slice(&tag);
        }
        frame
    }
}

/// Opens the frames of one space.
pub(super) struct Opener {
    now: Chain,
    next: Chain,
}

impl Opener {
    /// What is received.
    pub(super) fn incoming(established: &Established, space: Space) -> Self {
        let [initiator, responder] = &established.keys;
        let now = Chain::new(if established.role == Role::Initiator { responder } else { initiator }, space);
        Self { next: now.next(), now }
    }

    /// Opens a frame in place; `None` if the peer did not make it, or its key is gone or far ahead.
    pub(super) fn open(&self, number: u64, mut frame: Vec<u8>) -> Option<Opened> {
        let generation = number / REKEY_AFTER;
        let chain = [&self.now, &self.next].into_iter().find(|chain| chain.generation == generation)?;
        let body = frame.get_mut(8..)?;
        let (body, tag) = body.split_at_mut_checked(body.len().checked_sub(16)?)?;
        let tag = Tag::try_from(&*tag).ok()?;
        chain.cipher().decrypt_inout_detached(&nonce(number), &[], body.into(), &tag).ok()?;
        frame.truncate(frame.len() - 16);
        Some(Opened(frame))
    }

    /// Forgets keys of numbers below this one.
    pub(super) fn reached(&mut self, number: u64) {
        if number / REKEY_AFTER > self.now.generation {
            let after = self.next.next();
            self.now = std::mem::replace(&mut self.next, after);
        }
    }
}

/// An opened frame, header and all.
pub(super) struct Opened(Vec<u8>);

impl Opened {
    #[cfg(test)]
    pub(super) fn of(plain: &[u8]) -> Self {
        Self([&[0; 8], plain].concat())
    }

    /// What was sealed.
    pub(super) fn plain(&self) -> &[u8] {
        self.0.get(8..).unwrap_or_default()
    }
}
