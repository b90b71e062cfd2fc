//! Tokens, and text that is wiped when it is no longer needed.

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Deserializer};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

/// A secret that came in a request: a passphrase, the 24 words, a code. Wiped when dropped.
pub(crate) struct Secret(Zeroizing<String>);

impl Secret {
    pub(crate) fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    pub(crate) fn into_inner(self) -> Zeroizing<String> {
        self.0
    }

    /// Hands the text over to another type that wipes it.
    pub(crate) fn into_text(mut self) -> String {
        std::mem::take(&mut *self.0)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// What a token is remembered by: never the token itself.
pub(crate) type Digest32 = [u8; 32];

/// SHA-256 of `text`.
pub(crate) fn digest(text: &[u8]) -> Digest32 {
    Sha256::digest(text).into()
}

/// SHA-256 of `text`, as base64url without padding.
pub(crate) fn digest_base64(text: &[u8]) -> String {
    BASE64URL_NOPAD.encode(&digest(text))
}

/// Whether two texts are equal, in a time that does not tell where they differ.
pub(crate) fn same(a: &str, b: &str) -> bool {
    a.as_bytes().ct_eq(b.as_bytes()).into()
}

/// Thirty-two random bytes.
///
/// # Errors
/// What the system said if it has no randomness to give; nothing that needs it can go on then.
pub(crate) fn make_bytes() -> std::io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| std::io::Error::other(error.to_string()))?;
    Ok(bytes)
}

/// An unguessable token: 256 random bits as base64url.
pub(crate) fn make_token() -> std::io::Result<String> {
    let mut bytes = make_bytes()?;
    let token = BASE64URL_NOPAD.encode(&bytes);
    bytes.zeroize();
    Ok(token)
}
