//! What is signed, and by which rules.
//!
//! There is no "sign these bytes": a [`Statement`] can be made only by the builders of this crate, and its kind
//! is part of what is signed, so that a signature over one kind never passes for another. JSON Web Tokens have
//! a signing input fixed by RFC 7515; it is ASCII, and every other kind begins with a zero byte.

use ed25519_dalek::{Signature as DalekSignature, VerifyingKey};

use crate::keys::KeyError;

/// Begins the bytes of every signed statement that is not a JWT.
const PREFIX: &[u8] = b"\0halo statement v1\0";

/// The kinds of statement there are. The number is part of what is signed and never changes its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatementKind {
    /// A [`crate::credential::Credential`].
    Credential = 1,
    /// An entry of the activity log, [`crate::audit::AuditEntry`].
    AuditEntry = 2,
    /// A JSON Web Token, [`crate::presentation`].
    Jwt = 3,
    /// The last block of a feed, [`crate::feed::SignedHead`].
    FeedHead = 4,
    /// A new device's keys, bound to the handshake of its invitation, [`crate::invitation::LinkTranscript`].
    DeviceLink = 5,
    /// A feed says whose it is, and of which space: [`crate::credential::AdmittedFeed`].
    FeedClaim = 6,
    /// A device answers for a handshake, [`crate::peer::PeerHello`].
    PeerProof = 7,
    /// Everything a space says at a timeframe, [`crate::snapshot::SignedSnapshot`].
    Snapshot = 9,
}

/// Something that may be signed. Only builders in this crate make one.
pub struct Statement<'a> {
    kind: StatementKind,
    body: &'a [u8],
}

impl<'a> Statement<'a> {
    pub(crate) const fn new(kind: StatementKind, body: &'a [u8]) -> Self {
        Self { kind, body }
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> StatementKind {
        self.kind
    }

    /// The bytes that the signature covers.
    #[must_use]
    pub fn signing_bytes(&self) -> Vec<u8> {
        match self.kind {
            StatementKind::Jwt => self.body.to_vec(),
            kind => [PREFIX, &[kind as u8], self.body].concat(),
        }
    }
}

/// An Ed25519 signature, 64 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; 64]);

impl Signature {
    /// From 64 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    /// The 64 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

/// The port to a key that somebody else keeps: it signs statements and gives away its public half.
pub trait Sign {
    /// The public key, 32 bytes.
    fn public_key(&self) -> [u8; 32];
    /// Signs [`Statement::signing_bytes`] with Ed25519.
    fn sign(&self, statement: &Statement<'_>) -> Signature;
}

/// Why a signature does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The key is none.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Somebody else signed, or something else.
    #[error("the signature does not fit")]
    Mismatch,
}

/// Verifies strictly (RFC 8032 without the cofactored equation; no weak keys, no second encoding).
pub(crate) fn verify(
    kind: StatementKind,
    key: &[u8; 32],
    body: &[u8],
    signature: &Signature,
) -> Result<(), SignatureError> {
    let key = VerifyingKey::from_bytes(key).map_err(|_| KeyError::Weak)?;
    let signature = DalekSignature::from_bytes(&signature.0);
    key.verify_strict(&Statement::new(kind, body).signing_bytes(), &signature)
        .map_err(|_| SignatureError::Mismatch)
}
