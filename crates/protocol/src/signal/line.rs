//! What two peers say to each other through a signaller.
//!
//! sealed = nonce (24) ‖ XChaCha20-Poly1305(number (8) ‖ length (4) ‖ payload ‖ zeros), under a key derived from the
//! topic's secret; topic, sender and recipient are associated data. Numbers only rise, so nothing counts twice.
//! Lengths are rounded up (Padmé: at most an eighth more), so that they tell little.
//!
//! The rule it guards: bytes from a signaller are believed only if a holder of the secret made them, for this
//! recipient, and later than everything before. The attack that remains is another holder of the secret: who is
//! who is the secure channel's question, not this one's.

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use rand_core::CryptoRng;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{LONGEST_PAYLOAD, PeerId, Topic, TopicSecret};

/// From the topic's secret, as `info` of HKDF-SHA256.
const LABEL: &[u8] = b"halo v1 signal payload key";
/// nonce, tag, number and length.
const OVERHEAD: usize = 24 + 16 + 8 + 4;
/// What can be said at once; padding of it still fits a payload.
pub const LONGEST_PLAIN: usize = 56 * 1024;
/// Shorter ones all look alike.
const SHORTEST: usize = 64;

/// Why something from a signaller is not believed; nothing has changed then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// Say it in parts.
    #[error("{length} bytes are more than a payload takes")]
    TooLong {
        /// How many there were.
        length: usize,
    },
    /// Drop it: altered, meant for somebody else, or by one who does not hold the secret.
    #[error("a payload from the signaller does not open")]
    Closed,
    /// Drop it: it came before.
    #[error("a payload from the signaller came again")]
    Repeated,
}

/// One peer's end of what it says to one other peer of a topic.
pub struct SealedLine {
    cipher: XChaCha20Poly1305,
    topic: Topic,
    me: PeerId,
    them: PeerId,
    sent: u64,
    received: u64,
}

impl SealedLine {
    /// A line to a peer that has just been met. Whoever meets again under a new [`PeerId`] gets a new line.
    #[must_use]
    pub fn new(secret: &TopicSecret, me: PeerId, them: PeerId) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        // 32 bytes are fewer than HKDF-SHA256 can give, so this does not fail.
        let _ = Hkdf::<Sha256>::new(None, secret.expose()).expand(LABEL, key.as_mut_slice());
        let cipher = XChaCha20Poly1305::new((&*key).into());
        Self { cipher, topic: secret.topic(), me, them, sent: 0, received: 0 }
    }

    /// Seals what goes to the peer.
    ///
    /// # Errors
    /// [`LineError::TooLong`] over [`LONGEST_PLAIN`].
    pub fn seal(&mut self, payload: &[u8], rng: &mut dyn CryptoRng) -> Result<Vec<u8>, LineError> {
        let too_long = LineError::TooLong { length: payload.len() };
        let length = u32::try_from(payload.len()).map_err(|_| too_long)?;
        if payload.len() > LONGEST_PLAIN {
            return Err(too_long);
        }
        self.sent += 1;
        let mut plain = Zeroizing::new(Vec::with_capacity(padded(payload.len()) + 12));
        plain.extend_from_slice(&self.sent.to_be_bytes());
        plain.extend_from_slice(&length.to_be_bytes());
        plain.extend_from_slice(payload);
        plain.resize(padded(payload.len()) + 12, 0);
        let mut nonce = [0; 24];
        rng.fill_bytes(&mut nonce);
        let aad = associated(self.topic, self.me, self.them);
        let sealed = self.cipher.encrypt(&XNonce::from(nonce), Payload { msg: &plain, aad: &aad });
        Ok([nonce.as_slice(), &sealed.map_err(|_| too_long)?].concat())
    }

    /// Opens what came from the peer.
    ///
    /// # Errors
    /// [`LineError::Closed`], [`LineError::Repeated`].
    pub fn open(&mut self, sealed: &[u8]) -> Result<Vec<u8>, LineError> {
        if sealed.len() < OVERHEAD || sealed.len() > LONGEST_PAYLOAD {
            return Err(LineError::Closed);
        }
        let (nonce, sealed) = sealed.split_first_chunk::<24>().ok_or(LineError::Closed)?;
        let aad = associated(self.topic, self.them, self.me);
        let opened = self.cipher.decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: &aad });
        let opened = Zeroizing::new(opened.map_err(|_| LineError::Closed)?);
        let (number, rest) = opened.split_first_chunk::<8>().ok_or(LineError::Closed)?;
        let (length, rest) = rest.split_first_chunk::<4>().ok_or(LineError::Closed)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| LineError::Closed)?;
        let payload = rest.get(..length).ok_or(LineError::Closed)?;
        let number = u64::from_be_bytes(*number);
        if number <= self.received {
            return Err(LineError::Repeated);
        }
        self.received = number;
        Ok(payload.to_vec())
    }
}

fn associated(topic: Topic, from: PeerId, to: PeerId) -> Vec<u8> {
    [b"halo signal payload v1\0".as_slice(), topic.as_bytes(), from.as_bytes(), to.as_bytes()].concat()
}

/// The length that `length` is rounded up to: only the upper bits of it that say its magnitude are kept (PURBs,
/// Nikitin et al. 2019, §4).
fn padded(length: usize) -> usize {
    let length = length.max(SHORTEST);
    let exponent = length.ilog2();
    let kept = exponent.max(1).ilog2() + 1;
    let mask = (1_usize << exponent.saturating_sub(kept)) - 1;
    (length + mask) & !mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_covers_the_payload_and_costs_an_eighth_at_most() {
        for length in 0..=LONGEST_PLAIN {
            let long = padded(length);
            assert!(long >= length && long + OVERHEAD <= LONGEST_PAYLOAD, "{length} becomes {long}");
            assert!(length < SHORTEST || long <= length + length / 8, "{length} becomes {long}");
        }
        assert_eq!(padded(0), padded(SHORTEST), "an empty payload looks like a short one");
        assert_eq!(padded(1000), padded(1020), "near lengths look alike");
    }
}
