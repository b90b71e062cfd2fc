//! Where two devices find each other: topics, what a signaller is told, and what it cannot read (design §6).
//!
//! Peers that share a [`TopicSecret`] meet at its [`Topic`], a hash. All they say through the signaller is sealed
//! by a [`SealedLine`], one for each two peers. A signaller sees which connections meet, when, and about how much
//! they say, and can refuse service. What it swaps, alters or repeats does not open.
//!
//! * Client and server: [`ClientMessage`], [`ServerMessage`], each with `encode` and `decode`.
//! * Peers: [`TopicSecret::topic`], [`SealedLine::seal`], [`SealedLine::open`].

mod line;
mod message;

use std::fmt;

use data_encoding::HEXLOWER;
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

pub use line::{LONGEST_PLAIN, LineError, SealedLine};
pub use message::{
    ClientMessage, IceServer, LONGEST_MESSAGE, LONGEST_PAYLOAD, MOST_PEERS, MessageError, Refusal,
    ServerMessage,
};

macro_rules! sixteen_bytes {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// From 16 bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The 16 bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
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
    };
}

sixteen_bytes!(
    /// Names a meeting point. 128 bits, so that nobody finds one by trying.
    Topic
);
sixteen_bytes!(
    /// Names one client in one topic at one signaller, which draws it afresh for every join.
    PeerId
);

/// What those who may meet have in common: 16 to 32 bytes. Cannot be printed; wiped when dropped.
#[derive(Clone)]
pub struct TopicSecret(Zeroizing<Vec<u8>>);

impl TopicSecret {
    /// Takes 16 to 32 bytes; anything else is none.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        (16..=32).contains(&bytes.len()).then(|| Self(Zeroizing::new(bytes.to_vec())))
    }

    /// A fresh one of 16 bytes, as invitation codes carry.
    #[must_use]
    pub fn make(rng: &mut dyn CryptoRng) -> Self {
        let mut bytes = Zeroizing::new(vec![0; 16]);
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// The bytes, for whoever writes them into a code or seals them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The meeting point: the first 16 bytes of SHA-256("halo topic v1\0" ‖ secret).
    #[must_use]
    pub fn topic(&self) -> Topic {
        let digest =
            Sha256::new().chain_update(b"halo topic v1\0").chain_update(self.0.as_slice()).finalize();
        let mut topic = [0; 16];
        topic.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        Topic(topic)
    }
}

impl PartialEq for TopicSecret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for TopicSecret {}
