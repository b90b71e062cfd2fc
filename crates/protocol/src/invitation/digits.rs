//! Six digits that belong to one handshake.
//!
//! The host commits to a nonce, the guest sends its own, the host reveals. Neither can choose after it has seen the other,
//! so digits are even odds of a million, whoever is in the middle, and one guess is all there is (as in ZRTP, RFC 6189 §4.4.1).

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::channel::HandshakeHash;

/// Six decimal digits. Compared in constant time, and not printed by accident.
#[derive(Clone, Copy)]
pub struct Digits(u32);

impl Digits {
    /// Reads what a person typed: six digits, spaces and hyphens between them or not.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits: String = text.chars().filter(|letter| !matches!(letter, ' ' | '-' | '\u{a0}')).collect();
        if digits.len() != 6 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        digits.parse().ok().map(Self)
    }

    /// The six digits, for the one screen that shows them.
    #[must_use]
    pub fn reveal(&self) -> String {
        format!("{:06}", self.0)
    }
}

impl PartialEq for Digits {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Digits {}

impl std::fmt::Debug for Digits {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Digits(…)")
    }
}

pub(super) type Nonce = [u8; 32];

/// What the host says before the guest chooses.
pub(super) fn commitment(hash: &HandshakeHash, nonce: &Nonce) -> [u8; 32] {
    let digest = Sha256::new().chain_update(b"halo digits commitment v1\0").chain_update(hash.as_bytes());
    digest.chain_update(nonce).finalize().into()
}

/// The digits of a transcript that both nonces are part of.
pub(super) fn digits(transcript: &[u8; 32], host: &Nonce) -> Digits {
    let digest = Sha256::new().chain_update(b"halo digits v1\0").chain_update(transcript).chain_update(host);
    let digest = digest.finalize();
    // 64 bits, so that no digits are likelier than others by more than one in 2^44.
    let number = digest.first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes));
    Digits(u32::try_from(number % 1_000_000).unwrap_or_default())
}
