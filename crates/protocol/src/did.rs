//! `did:halo`, as DXOS defines it.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE32_NOPAD;
use sha2::{Digest, Sha256};

use crate::keys::{IdentityKey, KeyError};

/// The id of an identity: `did:halo:B` and the base32 (RFC 4648, upper case, no padding) of the first 20 bytes
/// of SHA-256 of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Did([u8; 20]);

const PREFIX: &str = "did:halo:B";

impl Did {
    /// The id of `identity`.
    #[must_use]
    pub fn of(identity: &IdentityKey) -> Self {
        let digest: [u8; 32] = Sha256::digest(identity.as_bytes()).into();
        let mut id = [0; 20];
        id.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        Self(id)
    }
}

impl fmt::Display for Did {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{PREFIX}{}", BASE32_NOPAD.encode(&self.0))
    }
}

impl FromStr for Did {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let encoded = text.strip_prefix(PREFIX).filter(|rest| rest.len() == 32).ok_or(KeyError::Text)?;
        let bytes = BASE32_NOPAD.decode(encoded.as_bytes()).map_err(|_| KeyError::Text)?;
        bytes.try_into().map(Self).map_err(|_| KeyError::Text)
    }
}
