//! What host and guest say to each other, on one stream of their channel.

use prost::{Message, Oneof};
use sha2::{Digest, Sha256};

use super::profile::{clean_label, clean_profile};
use crate::channel::HandshakeHash;
use crate::credential::DeviceProfile;
use crate::keys::{AgreementKey, DeviceKey};
use crate::statement::{Sign, Signature, Statement, StatementKind, verify};

/// A message; longer ones are not read.
pub(super) const LONGEST: usize = 96 * 1024;
/// Of an admission, in one message.
pub(super) const PORTION: usize = 64 * 1024;
/// The key that epochs are sealed to.
pub const LONGEST_SEALING_KEY: usize = 2 * 1024;

/// The keys of a device that wants to be admitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestKeys {
    /// Signs for it.
    pub device: DeviceKey,
    /// Agrees with its peers.
    pub agreement: AgreementKey,
    /// What content keys are sealed to, if that is another key; at most 2 KiB, opaque here.
    pub sealing: Vec<u8>,
}

/// What a guest says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FromGuest {
    Introduce {
        profile: DeviceProfile,
    },
    Reply {
        nonce: [u8; 32],
        keys: GuestKeys,
        signature: Signature,
    },
    /// So many bytes of the admission came.
    Got {
        bytes: u64,
    },
    Durable,
    Leaving,
}

/// What a host says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FromHost {
    Welcome {
        label: String,
        commitment: [u8; 32],
    },
    Reveal {
        nonce: [u8; 32],
    },
    /// The digits were right.
    Accepted,
    Portion {
        total: u64,
        bytes: Vec<u8>,
    },
    Refused(Refused),
}

/// Why a host will have nothing to do with this guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Look who it is.
    #[error("another device is using this invitation")]
    Taken = 1,
    /// Make a new one.
    #[error("the digits did not match, so the invitation was withdrawn")]
    Burnt = 2,
    /// Make a new one.
    #[error("the invitation was withdrawn")]
    Cancelled = 3,
    /// Make a new one.
    #[error("the invitation expired")]
    Expired = 4,
    /// Make a new one.
    #[error("the invitation was used")]
    Used = 5,
    /// Update one of the two.
    #[error("the devices did not understand each other")]
    Misunderstood = 6,
    /// Try again.
    #[error("the other device could not go on")]
    Failed = 7,
}

#[derive(Clone, PartialEq, Message)]
struct GuestWire {
    #[prost(oneof = "GuestSaid", tags = "1, 2, 3, 4, 5")]
    said: Option<GuestSaid>,
}

#[derive(Clone, PartialEq, Oneof)]
enum GuestSaid {
    #[prost(message, tag = "1")]
    Introduce(ProfileWire),
    #[prost(message, tag = "2")]
    Reply(ReplyWire),
    #[prost(uint64, tag = "3")]
    Got(u64),
    #[prost(message, tag = "4")]
    Durable(Nothing),
    #[prost(message, tag = "5")]
    Leaving(Nothing),
}

#[derive(Clone, PartialEq, Message)]
struct HostWire {
    #[prost(oneof = "HostSaid", tags = "1, 2, 3, 4, 5")]
    said: Option<HostSaid>,
}

#[derive(Clone, PartialEq, Oneof)]
enum HostSaid {
    #[prost(message, tag = "1")]
    Welcome(WelcomeWire),
    #[prost(bytes, tag = "2")]
    Reveal(Vec<u8>),
    #[prost(message, tag = "3")]
    Accepted(Nothing),
    #[prost(message, tag = "4")]
    Portion(PortionWire),
    #[prost(uint32, tag = "5")]
    Refused(u32),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ProfileWire {
    #[prost(string, tag = "1")]
    label: String,
    #[prost(string, tag = "2")]
    platform: String,
    #[prost(string, tag = "3")]
    architecture: String,
    #[prost(string, tag = "4")]
    os: String,
    #[prost(string, tag = "5")]
    os_version: String,
}

#[derive(Clone, PartialEq, Message)]
struct ReplyWire {
    #[prost(bytes = "vec", tag = "1")]
    nonce: Vec<u8>,
    #[prost(message, optional, tag = "2")]
    keys: Option<KeysWire>,
    #[prost(bytes = "vec", tag = "3")]
    signature: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct KeysWire {
    #[prost(bytes = "vec", tag = "1")]
    device: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    agreement: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    sealing: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct WelcomeWire {
    #[prost(string, tag = "1")]
    label: String,
    #[prost(bytes = "vec", tag = "2")]
    commitment: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct PortionWire {
    #[prost(uint64, tag = "1")]
    total: u64,
    #[prost(bytes = "vec", tag = "2")]
    bytes: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Nothing {}

impl FromGuest {
    pub(super) fn encode(&self) -> Vec<u8> {
        let said = match self {
            Self::Introduce { profile } => GuestSaid::Introduce(profile.into()),
            Self::Reply { nonce, keys, signature } => GuestSaid::Reply(ReplyWire {
                nonce: nonce.to_vec(),
                keys: Some(keys.into()),
                signature: signature.as_bytes().to_vec(),
            }),
            Self::Got { bytes } => GuestSaid::Got(*bytes),
            Self::Durable => GuestSaid::Durable(Nothing {}),
            Self::Leaving => GuestSaid::Leaving(Nothing {}),
        };
        GuestWire { said: Some(said) }.encode_to_vec()
    }

    /// `None` for what no guest says.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > LONGEST {
            return None;
        }
        Some(match GuestWire::decode(bytes).ok()?.said? {
            GuestSaid::Introduce(wire) => Self::Introduce { profile: clean_profile(&wire.into()) },
            GuestSaid::Reply(wire) => Self::Reply {
                nonce: wire.nonce.as_slice().try_into().ok()?,
                keys: (&wire.keys?).try_into().ok()?,
                signature: Signature::from_bytes(wire.signature.as_slice().try_into().ok()?),
            },
            GuestSaid::Got(bytes) => Self::Got { bytes },
            GuestSaid::Durable(Nothing {}) => Self::Durable,
            GuestSaid::Leaving(Nothing {}) => Self::Leaving,
        })
    }
}

impl FromHost {
    pub(super) fn encode(&self) -> Vec<u8> {
        let said = match self {
            Self::Welcome { label, commitment } => {
                HostSaid::Welcome(WelcomeWire { label: label.clone(), commitment: commitment.to_vec() })
            }
            Self::Reveal { nonce } => HostSaid::Reveal(nonce.to_vec()),
            Self::Accepted => HostSaid::Accepted(Nothing {}),
            Self::Portion { total, bytes } => {
                HostSaid::Portion(PortionWire { total: *total, bytes: bytes.clone() })
            }
            Self::Refused(why) => HostSaid::Refused(*why as u32),
        };
        HostWire { said: Some(said) }.encode_to_vec()
    }

    /// `None` for what no host says.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > LONGEST {
            return None;
        }
        Some(match HostWire::decode(bytes).ok()?.said? {
            HostSaid::Welcome(wire) => Self::Welcome {
                label: clean_label(&wire.label),
                commitment: wire.commitment.as_slice().try_into().ok()?,
            },
            HostSaid::Reveal(nonce) => Self::Reveal { nonce: nonce.as_slice().try_into().ok()? },
            HostSaid::Accepted(Nothing {}) => Self::Accepted,
            HostSaid::Portion(wire) => Self::Portion { total: wire.total, bytes: wire.bytes },
            HostSaid::Refused(number) => Self::Refused(Refused::from_number(number)),
        })
    }
}

impl Refused {
    fn from_number(number: u32) -> Self {
        const ALL: [Refused; 6] = [
            Refused::Taken,
            Refused::Burnt,
            Refused::Cancelled,
            Refused::Expired,
            Refused::Used,
            Refused::Misunderstood,
        ];
        // A reason of a later version is a reason nevertheless.
        ALL.into_iter().find(|known| *known as u32 == number).unwrap_or(Refused::Failed)
    }
}

impl From<&GuestKeys> for KeysWire {
    fn from(keys: &GuestKeys) -> Self {
        Self {
            device: keys.device.as_bytes().to_vec(),
            agreement: keys.agreement.as_bytes().to_vec(),
            sealing: keys.sealing.clone(),
        }
    }
}

impl TryFrom<&KeysWire> for GuestKeys {
    type Error = ();

    fn try_from(wire: &KeysWire) -> Result<Self, ()> {
        if wire.sealing.len() > LONGEST_SEALING_KEY {
            return Err(());
        }
        Ok(Self {
            device: DeviceKey::from_bytes(&wire.device).map_err(|_| ())?,
            agreement: AgreementKey::from_bytes(&wire.agreement).map_err(|_| ())?,
            sealing: wire.sealing.clone(),
        })
    }
}

impl From<&DeviceProfile> for ProfileWire {
    fn from(profile: &DeviceProfile) -> Self {
        Self {
            label: profile.label.clone(),
            platform: profile.platform.clone(),
            architecture: profile.architecture.clone(),
            os: profile.os.clone(),
            os_version: profile.os_version.clone(),
        }
    }
}

impl From<ProfileWire> for DeviceProfile {
    fn from(wire: ProfileWire) -> Self {
        Self {
            label: wire.label,
            platform: wire.platform,
            architecture: wire.architecture,
            os: wire.os,
            os_version: wire.os_version,
        }
    }
}

/// What a new device signs with its own key: this handshake, who it said it is, what the host said, and its keys.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct LinkTranscript([u8; 32]);

impl LinkTranscript {
    /// Over the messages as they were transmitted.
    pub(super) fn new(
        hash: &HandshakeHash,
        introduction: &[u8],
        welcome: &[u8],
        nonce: &[u8; 32],
        keys: &GuestKeys,
    ) -> Self {
        let mut digest = Sha256::new().chain_update(b"halo device link v1\0").chain_update(hash.as_bytes());
        for part in
            [introduction, welcome, nonce, keys.device.as_bytes(), keys.agreement.as_bytes(), &keys.sealing]
        {
            digest.update(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            digest.update(part);
        }
        Self(digest.finalize().into())
    }

    /// Signs it, as the device that wants to be admitted.
    #[must_use]
    pub fn sign(&self, device: &impl Sign) -> Signature {
        device.sign(&Statement::new(StatementKind::DeviceLink, &self.0))
    }

    pub(super) fn is_signed(&self, device: &DeviceKey, signature: &Signature) -> bool {
        verify(StatementKind::DeviceLink, device.as_bytes(), &self.0, signature).is_ok()
    }

    pub(super) const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Debug for LinkTranscript {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "LinkTranscript({:.8}…)", data_encoding::HEXLOWER.encode(&self.0))
    }
}

/// Reads any bytes as what either says.
#[cfg(fuzzing)]
pub fn fuzz(bytes: &[u8]) {
    if let Some(message) = FromGuest::decode(bytes) {
        assert_eq!(FromGuest::decode(&message.encode()), Some(message));
    }
    if let Some(message) = FromHost::decode(bytes) {
        assert_eq!(FromHost::decode(&message.encode()), Some(message));
    }
}
