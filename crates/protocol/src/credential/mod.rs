//! Credentials: signed statements by an issuer about a subject.
//!
//! A credential is encoded once; those bytes are signed, stored and forwarded untouched, and never encoded
//! again to verify them. On the wire and in the store it is the signature (64 bytes) followed by the body.
//!
//! The rule it guards: whoever holds a [`Verified`] credential holds bytes that their issuer signed. Whether the
//! issuer may say so is judged elsewhere (see [`crate::identity`]).

mod assertion;
mod wire;

use sha2::{Digest, Sha256};

use crate::statement::{Sign, Signature, SignatureError, Statement, StatementKind, verify};
use crate::time::Timestamp;
use crate::verified::Verified;

pub use assertion::{
    AdmittedFeed, AppGrant, AppKind, Assertion, Cut, DeviceProfile, IdentityProfile, MOST_CUTS,
};

/// A longer body is refused before it is read.
pub const LONGEST_BODY: usize = 16 * 1024;
/// More parents are refused.
pub const MOST_PARENTS: usize = 64;
const SIGNATURE: usize = 64;

/// Names a credential: SHA-256 of its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CredentialId([u8; 32]);

impl CredentialId {
    /// From the 32 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Names a seed of private aliases, and says nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeedName([u8; 32]);

impl SeedName {
    /// From the 32 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Why some bytes are not a credential.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// Nothing we read is that long, or that short.
    #[error("a credential of {length} bytes; it has between 65 and {most}", most = SIGNATURE + LONGEST_BODY)]
    Length {
        /// Bytes given.
        length: usize,
    },
    /// Not the encoding of a credential.
    #[error("the bytes do not decode: {what}")]
    Encoding {
        /// What is wrong.
        what: &'static str,
    },
    /// A later version of the format.
    #[error("version {version} of credentials is not known here")]
    Version {
        /// The version it says.
        version: u32,
    },
    /// Not signed by its issuer.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The signer is not the issuer of the draft.
    #[error("the draft names another issuer than the one who signs")]
    Issuer,
}

/// What a credential says, before somebody signs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Public key of who says it.
    pub issuer: [u8; 32],
    /// Public key of whom it is about.
    pub subject: [u8; 32],
    /// When it was said, by the issuer's clock.
    pub issued: Timestamp,
    /// When it stops to hold, if ever.
    pub expires: Option<Timestamp>,
    /// The heads the issuer had seen; sorted and without doubles once encoded.
    pub parents: Vec<CredentialId>,
    /// What is said.
    pub assertion: Assertion,
}

impl Draft {
    /// Encodes, once, and signs.
    ///
    /// # Errors
    /// [`CredentialError::Issuer`] if `signer` is not the issuer; [`CredentialError::Encoding`] or
    /// [`CredentialError::Length`] if the draft could not be read back.
    pub fn sign(mut self, signer: &impl Sign) -> Result<Verified<Credential>, CredentialError> {
        if signer.public_key() != self.issuer {
            return Err(CredentialError::Issuer);
        }
        self.parents.sort_unstable();
        self.parents.dedup();
        let body = wire::encode(&self);
        let signature = signer.sign(&Statement::new(StatementKind::Credential, &body));
        let bytes = [signature.as_bytes().as_slice(), &body].concat();
        Credential::decode(&bytes)?.verify()
    }
}

/// A credential as it was received; its signature may be anybody's until [`Credential::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    bytes: Vec<u8>,
    id: CredentialId,
    said: Draft,
}

impl Credential {
    /// Reads a credential: length first, then structure. Only the one canonical encoding is taken.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, CredentialError> {
        let length = CredentialError::Length { length: bytes.len() };
        let Some((_, body)) = bytes.split_first_chunk::<SIGNATURE>() else { return Err(length) };
        if body.is_empty() || body.len() > LONGEST_BODY {
            return Err(length);
        }
        let said = wire::decode(body)?;
        let id = CredentialId(Sha256::digest(body).into());
        Ok(Self { bytes: bytes.to_vec(), id, said })
    }

    /// Verifies that the issuer signed exactly these bytes, and that a feed it speaks of agrees.
    ///
    /// # Errors
    /// [`CredentialError::Signature`].
    pub fn verify(self) -> Result<Verified<Self>, CredentialError> {
        let Some((signature, body)) = self.bytes.split_first_chunk::<SIGNATURE>() else {
            return Err(CredentialError::Length { length: self.bytes.len() });
        };
        let signature = Signature::from_bytes(*signature);
        verify(StatementKind::Credential, &self.said.issuer, body, &signature)?;
        if let Assertion::AdmittedFeed(admitted) = &self.said.assertion {
            admitted.verify()?;
        }
        Ok(Verified::witness(self))
    }

    /// Signature and body, exactly as they were received.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its name.
    #[must_use]
    pub const fn id(&self) -> CredentialId {
        self.id
    }

    /// What it says.
    #[must_use]
    pub const fn said(&self) -> &Draft {
        &self.said
    }
}
