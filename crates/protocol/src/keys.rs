//! Public keys, each of its own type, so that a device is never taken for an identity.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use ed25519_dalek::VerifyingKey;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Why some bytes are not a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Give 32 bytes; 1,216 for a hybrid key.
    #[error("a public key of this kind has another length")]
    Length,
    /// Somebody made this key so that signatures by it mean nothing.
    #[error("the bytes are not a point of the curve that a key can be")]
    Weak,
    /// Not in the form of this kind of text.
    #[error("the text is not a public key")]
    Text,
}

/// Multicodec prefix of an Ed25519 public key (`ed25519-pub`, 0xed as a varint).
const ED25519_PUB: [u8; 2] = [0xed, 0x01];

fn checked(bytes: &[u8]) -> Result<[u8; 32], KeyError> {
    let bytes: [u8; 32] = bytes.try_into().map_err(|_| KeyError::Length)?;
    let key = VerifyingKey::from_bytes(&bytes).map_err(|_| KeyError::Weak)?;
    // A key of small order verifies signatures that nobody made; other encodings of a point are other bytes for
    // the same key.
    if key.is_weak() || key.to_bytes() != bytes {
        return Err(KeyError::Weak);
    }
    Ok(bytes)
}

fn did_key(bytes: &[u8; 32]) -> String {
    let mut multicodec = ED25519_PUB.to_vec();
    multicodec.extend_from_slice(bytes);
    format!("did:key:z{}", bs58::encode(multicodec).into_string())
}

/// Reads a `did:key` of an Ed25519 key (W3C CCG did:key method, §3.1).
fn parse_did_key(text: &str) -> Result<[u8; 32], KeyError> {
    let encoded = text.strip_prefix("did:key:z").filter(|rest| rest.len() <= 64).ok_or(KeyError::Text)?;
    let bytes = bs58::decode(encoded).into_vec().map_err(|_| KeyError::Text)?;
    checked(bytes.strip_prefix(&ED25519_PUB).ok_or(KeyError::Text)?)
}

macro_rules! signing_key_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// 32 bytes, an Ed25519 public key (RFC 8032); never a weak one. Written as lower-case hex.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// Takes 32 bytes that are a key.
            ///
            /// # Errors
            /// [`KeyError::Length`], or [`KeyError::Weak`] for bytes under which signatures mean nothing.
            pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
                checked(bytes).map(Self)
            }

            /// The 32 bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// The key as `did:key:z6Mk…`.
            #[must_use]
            pub fn did_key(&self) -> String {
                did_key(&self.0)
            }

            /// Reads `did:key:z6Mk…`.
            ///
            /// # Errors
            /// [`KeyError::Text`] for another form or another kind of key.
            pub fn from_did_key(text: &str) -> Result<Self, KeyError> {
                parse_did_key(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&HEXLOWER.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, concat!(stringify!($name), "({:.8}…)"), HEXLOWER.encode(&self.0))
            }
        }

        impl FromStr for $name {
            type Err = KeyError;

            fn from_str(text: &str) -> Result<Self, KeyError> {
                let bytes = HEXLOWER.decode(text.as_bytes()).map_err(|_| KeyError::Text)?;
                Self::from_bytes(&bytes)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

signing_key_type!(
    /// The key of a person: the root of trust.
    IdentityKey
);
signing_key_type!(
    /// The signing key of one installation.
    DeviceKey
);
signing_key_type!(
    /// The key by which one app knows the user.
    AliasKey
);
signing_key_type!(
    /// The key that signs ID tokens for one app.
    ClientKey
);

signing_key_type!(
    /// The key of a space; its id comes from it.
    SpaceKey
);
signing_key_type!(
    /// The key of what one device says in one space. Nobody outside can tell whose it is.
    FeedKey
);

/// The X25519 public key (RFC 7748) of a device, to which others seal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgreementKey([u8; 32]);

impl AgreementKey {
    /// Takes 32 bytes; zero is no key.
    ///
    /// # Errors
    /// [`KeyError::Length`], [`KeyError::Weak`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let bytes: [u8; 32] = bytes.try_into().map_err(|_| KeyError::Length)?;
        if bytes == [0; 32] {
            return Err(KeyError::Weak);
        }
        Ok(Self(bytes))
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for AgreementKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "AgreementKey({:.8}…)", HEXLOWER.encode(&self.0))
    }
}

/// The X-Wing public key (ML-KEM-768 with X25519) of a device, to which others seal what must stay shut for longer than X25519
/// may hold. Whether its lattice half is one is seen when somebody seals to it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HybridKey(Box<[u8]>);

/// Names a hybrid key: SHA-256 of `halo hybrid key v1\0` and the key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HybridId([u8; 32]);

impl HybridKey {
    /// Bytes of one.
    pub const LENGTH: usize = 1_216;

    /// Takes 1,216 bytes.
    ///
    /// # Errors
    /// [`KeyError::Length`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        if bytes.len() == Self::LENGTH { Ok(Self(bytes.into())) } else { Err(KeyError::Length) }
    }

    /// The 1,216 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> HybridId {
        HybridId(Sha256::new().chain_update(b"halo hybrid key v1\0").chain_update(&self.0).finalize().into())
    }
}

impl HybridId {
    /// From 32 bytes.
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

impl fmt::Debug for HybridKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "HybridKey({:.8}…)", HEXLOWER.encode(&self.id().0))
    }
}

impl fmt::Debug for HybridId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "HybridId({:.8}…)", HEXLOWER.encode(&self.0))
    }
}

/// A key to which something can be sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SealTo {
    /// X25519.
    Agreement(AgreementKey),
    /// X-Wing.
    Hybrid(HybridKey),
}

/// Names the key to which something was sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Recipient {
    /// X25519: the key itself.
    Agreement(AgreementKey),
    /// X-Wing: the key's name.
    Hybrid(HybridId),
}

impl SealTo {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> Recipient {
        match self {
            Self::Agreement(key) => Recipient::Agreement(*key),
            Self::Hybrid(key) => Recipient::Hybrid(key.id()),
        }
    }
}

impl Recipient {
    /// One byte for the kind (1 X25519, 2 X-Wing) ‖ its 32 bytes.
    #[must_use]
    pub fn tagged(&self) -> [u8; 33] {
        let (kind, bytes) = match self {
            Self::Agreement(key) => (1, key.as_bytes()),
            Self::Hybrid(id) => (2, id.as_bytes()),
        };
        let mut tagged = [kind; 33];
        tagged.iter_mut().skip(1).zip(bytes).for_each(|(to, from)| *to = *from);
        tagged
    }
}
