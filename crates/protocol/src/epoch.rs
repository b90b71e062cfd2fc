//! Epochs: which content key seals the blocks of a space, and who was given it (design §5).
//!
//! An epoch carries its content key once for each member device, sealed by HPKE (RFC 9180; X-Wing, or DHKEM over X25519 for
//! devices that have said no hybrid key; HKDF-SHA256, ChaCha20-Poly1305). Its id is the hash of all of it, so that epochs begun
//! in two places at once can stand side by side, and a block says which one it means. Who comes later is given the content key in
//! an [`EpochShare`]. The rule it guards: who is not named reads nothing.
//!
//! The attack that remains: HPKE's base mode does not say who sealed. An epoch or a share counts because it came in the signed
//! block, or over the channel, of a device that may send it.

use prost::Message;
use sha2::{Digest, Sha256};

use crate::credential::CredentialId;
use crate::feed::EpochId;
use crate::keys::{AgreementKey, HybridId, Recipient, SpaceKey};

/// Member devices of one epoch.
pub const MOST_RECIPIENTS: usize = 1_024;
/// Epochs that one may replace: those that were begun at once in several places.
pub const MOST_PREVIOUS: usize = 64;
/// Revocations that one may come after.
pub const MOST_AFTER: usize = 16 * 1_024;
/// What [`Epoch::decode`] takes.
pub const LONGEST_EPOCH: usize = 1_536 * 1024;
/// What [`EpochShare::decode`] takes.
const LONGEST_SHARE: usize = 2 * 1024;

/// The `info` of HPKE.
pub const SEAL_INFO: &[u8] = b"halo epoch key v1";
/// The `info` of HPKE for a share.
pub const SHARE_INFO: &[u8] = b"halo epoch share v1";

/// The content key, sealed to one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedKey {
    /// To which key.
    pub recipient: Recipient,
    /// HPKE's encapsulated key: 32 bytes of X25519, 1,120 of X-Wing.
    pub encapsulated: Vec<u8>,
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
    /// The revocations that held when it began ([`IdentityState::revocations`]), ascending: nobody whom they put out was given its
    /// content key by a device that knew.
    ///
    /// [`IdentityState::revocations`]: crate::identity::IdentityState::revocations
    pub after: Vec<CredentialId>,
    /// The content key, for each device that may read.
    pub keys: Vec<SealedKey>,
}

/// The content key of an epoch, sealed to a device that came after it began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochShare {
    /// Of which epoch.
    pub epoch: EpochId,
    /// Its content key.
    pub key: SealedKey,
}

/// Why some bytes are no epoch, or no share of one.
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
    #[prost(bytes = "vec", repeated, tag = "5")]
    after: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct WireKey {
    #[prost(bytes = "vec", tag = "1")]
    recipient: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    encapsulated: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    sealed: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    hybrid: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct WireShare {
    #[prost(bytes = "vec", tag = "1")]
    epoch: Vec<u8>,
    #[prost(message, optional, tag = "2")]
    key: Option<WireKey>,
}

impl SealedKey {
    fn to_wire(&self) -> WireKey {
        let (recipient, hybrid) = match self.recipient {
            Recipient::Agreement(key) => (key.as_bytes().to_vec(), Vec::new()),
            Recipient::Hybrid(id) => (Vec::new(), id.as_bytes().to_vec()),
        };
        WireKey { recipient, encapsulated: self.encapsulated.clone(), sealed: self.sealed.to_vec(), hybrid }
    }

    fn from_wire(wire: &WireKey) -> Option<Self> {
        let (recipient, length) = match (wire.recipient.as_slice(), wire.hybrid.as_slice()) {
            (key, []) => (Recipient::Agreement(AgreementKey::from_bytes(key).ok()?), 32),
            ([], id) => (Recipient::Hybrid(HybridId::from_bytes(id.try_into().ok()?)), 1_120),
            _ => return None,
        };
        let sealed = wire.sealed.as_slice().try_into().ok()?;
        (wire.encapsulated.len() == length).then(|| Self {
            recipient,
            encapsulated: wire.encapsulated.clone(),
            sealed,
        })
    }
}

impl Epoch {
    /// The encoded epoch.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let keys = self.keys.iter().map(SealedKey::to_wire).collect();
        Wire { keys, ..self.head() }.encode_to_vec()
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
        if wire.keys.len() > MOST_RECIPIENTS
            || wire.previous.len() > MOST_PREVIOUS
            || wire.after.len() > MOST_AFTER
        {
            return Err(no("it has too many parts"));
        }
        if !wire.after.is_sorted_by(|one, next| one < next) {
            return Err(no("what it comes after is out of order"));
        }
        let read = || -> Option<Self> {
            let previous =
                wire.previous.iter().map(|id| Some(EpochId::from_bytes(id.as_slice().try_into().ok()?)));
            let after =
                wire.after.iter().map(|id| Some(CredentialId::from_bytes(id.as_slice().try_into().ok()?)));
            Some(Self {
                space: SpaceKey::from_bytes(&wire.space).ok()?,
                number: wire.number,
                previous: previous.collect::<Option<_>>()?,
                after: after.collect::<Option<_>>()?,
                keys: wire.keys.iter().map(SealedKey::from_wire).collect::<Option<_>>()?,
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
            after: self.after.iter().map(|id| id.as_bytes().to_vec()).collect(),
        }
    }
}

impl EpochShare {
    /// The encoded share.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let epoch = self.epoch.as_bytes().to_vec();
        WireShare { epoch, key: Some(self.key.to_wire()) }.encode_to_vec()
    }

    /// Reads an encoded share; only the bytes that [`Self::encode`] gives are one.
    ///
    /// # Errors
    /// [`EpochError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, EpochError> {
        let no = |why| EpochError { why };
        if bytes.len() > LONGEST_SHARE {
            return Err(no("it is too long"));
        }
        let wire = WireShare::decode(bytes).map_err(|_| no("it is no such message"))?;
        let read = || -> Option<Self> {
            let epoch = EpochId::from_bytes(wire.epoch.as_slice().try_into().ok()?);
            Some(Self { epoch, key: SealedKey::from_wire(wire.key.as_ref()?)? })
        };
        let share = read().ok_or_else(|| no("a part of it has another length, or is no key"))?;
        if share.encode() == bytes { Ok(share) } else { Err(no("it could be written shorter")) }
    }

    /// What the seal of a share covers besides the key: epoch (32) ‖ kind and name of the recipient (33).
    #[must_use]
    pub fn associated(epoch: &EpochId, recipient: &Recipient) -> Vec<u8> {
        [epoch.as_bytes().as_slice(), &recipient.tagged()].concat()
    }
}
