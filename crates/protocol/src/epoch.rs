//! Epochs: which content key seals the blocks of a space, and who was given it (design §5).
//!
//! An epoch carries its content key once for each member device, sealed by HPKE (RFC 9180; DHKEM over X25519,
//! HKDF-SHA256, ChaCha20-Poly1305). Its id is the hash of all of it, so that epochs begun in two places at once can
//! stand side by side, and a block says which one it means. The rule it guards: who is not named reads nothing.
//!
//! The attack that remains is recorded traffic and a quantum computer: the key agreement is not a hybrid one.

use prost::Message;
use sha2::{Digest, Sha256};

use crate::feed::EpochId;
use crate::keys::{AgreementKey, SpaceKey};

/// Member devices of one epoch.
pub const MOST_RECIPIENTS: usize = 1_024;
/// Epochs that one may replace: those that were begun at once in several places.
const MOST_PREVIOUS: usize = 64;
/// What [`Epoch::decode`] takes.
pub const LONGEST_EPOCH: usize = 256 * 1024;

/// The `info` of HPKE.
pub const SEAL_INFO: &[u8] = b"halo epoch key v1";

/// The content key, sealed to one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedKey {
    /// Whose.
    pub recipient: AgreementKey,
    /// HPKE's encapsulated key.
    pub encapsulated: [u8; 32],
    /// The content key (32) with its tag (16).
    pub sealed: [u8; 48],
}

/// An epoch of a space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Epoch {
    /// Of which space.
    pub space: SpaceKey,
    /// One more than the highest it replaces; 0 for the first.
    pub number: u64,
    /// What it replaces.
    pub previous: Vec<EpochId>,
    /// The content key, for each device that may read.
    pub keys: Vec<SealedKey>,
}

/// Why some bytes are no epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the epoch cannot be read: {why}")]
pub struct EpochError {
    why: &'static str,
}

#[derive(Clone, PartialEq, Message)]
struct Wire {
    #[prost(bytes = "vec", tag = "1")]
    space: Vec<u8>,
    #[prost(uint64, tag = "2")]
    number: u64,
    #[prost(bytes = "vec", repeated, tag = "3")]
    previous: Vec<Vec<u8>>,
    #[prost(message, repeated, tag = "4")]
    keys: Vec<WireKey>,
}

#[derive(Clone, PartialEq, Message)]
struct WireKey {
    #[prost(bytes = "vec", tag = "1")]
    recipient: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    encapsulated: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    sealed: Vec<u8>,
}

impl Epoch {
    /// The encoded epoch.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let keys = self.keys.iter().map(|key| WireKey {
            recipient: key.recipient.as_bytes().to_vec(),
            encapsulated: key.encapsulated.to_vec(),
            sealed: key.sealed.to_vec(),
        });
        Wire { keys: keys.collect(), ..self.head() }.encode_to_vec()
    }

    /// Reads an encoded epoch; only the bytes that [`Self::encode`] gives are one.
    ///
    /// # Errors
    /// [`EpochError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, EpochError> {
        let no = |why| EpochError { why };
        if bytes.len() > LONGEST_EPOCH {
            return Err(no("it is too long"));
        }
        let wire = Wire::decode(bytes).map_err(|_| no("it is no such message"))?;
        if wire.keys.len() > MOST_RECIPIENTS || wire.previous.len() > MOST_PREVIOUS {
            return Err(no("it has too many parts"));
        }
        let read = || -> Option<Self> {
            let previous =
                wire.previous.iter().map(|id| Some(EpochId::from_bytes(id.as_slice().try_into().ok()?)));
            let keys = wire.keys.iter().map(|key| {
                Some(SealedKey {
                    recipient: AgreementKey::from_bytes(&key.recipient).ok()?,
                    encapsulated: key.encapsulated.as_slice().try_into().ok()?,
                    sealed: key.sealed.as_slice().try_into().ok()?,
                })
            });
            Some(Self {
                space: SpaceKey::from_bytes(&wire.space).ok()?,
                number: wire.number,
                previous: previous.collect::<Option<_>>()?,
                keys: keys.collect::<Option<_>>()?,
            })
        };
        let epoch = read().ok_or_else(|| no("a part of it has another length, or is no key"))?;
        if epoch.encode() == bytes { Ok(epoch) } else { Err(no("it could be written shorter")) }
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> EpochId {
        let digest = Sha256::new().chain_update(b"halo epoch v1\0").chain_update(self.encode()).finalize();
        EpochId::from_bytes(digest.into())
    }

    /// What the seals of its keys cover besides them: everything else.
    #[must_use]
    pub fn associated(&self) -> Vec<u8> {
        self.head().encode_to_vec()
    }

    fn head(&self) -> Wire {
        Wire {
            space: self.space.as_bytes().to_vec(),
            number: self.number,
            previous: self.previous.iter().map(|id| id.as_bytes().to_vec()).collect(),
            keys: Vec::new(),
        }
    }
}
