//! What two devices of an identity say to each other, as bytes of their connection.
//!
//! A message is a tag (0: credentials; 1: a space, and its name; 2: names of epochs whose content keys are wanted; 3: content keys, sealed
//! to whoever wanted them), and what the machine of that says. It goes in frames
//! ([`Frames`]) on a stream by its urgency; the frames of a message follow each other.

use halo_echo::replication::{Acquaint, Frames, LONGEST_MESSAGE, Message, Urgency, WireError};
use halo_protocol::channel::{Priority, StreamId};
use halo_protocol::feed::EpochId;
use prost::Message as _;
use sha2::{Digest, Sha256};

const ACQUAINT: u8 = 0;
const SPACE: u8 = 1;
const WANTED: u8 = 2;
const KEYS: u8 = 3;
/// Epochs whose keys are wanted at once.
pub(crate) const MOST_WANTED: usize = 1_024;

/// Names a space between two devices that both know its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SpaceTag([u8; 32]);

impl SpaceTag {
    pub(crate) fn of(space: &[u8; 32]) -> Self {
        Self(Sha256::new().chain_update(b"halo replication v1\0").chain_update(space).finalize().into())
    }
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Say {
    /// Of credentials.
    Acquaint(Acquaint),
    /// Of a space.
    Space(SpaceTag, Message),
    /// Blocks under these epochs of a space cannot be read.
    Wanted(SpaceTag, Vec<EpochId>),
    /// The content keys of some, each an encoded share.
    Keys(SpaceTag, Vec<Vec<u8>>),
}

#[derive(Clone, PartialEq, prost::Message)]
struct Shares {
    #[prost(bytes = "vec", repeated, tag = "1")]
    shares: Vec<Vec<u8>>,
}

impl Say {
    /// The stream that it goes on.
    pub(crate) fn stream(&self, on_screen: bool) -> StreamId {
        let (priority, number) = match self {
            Self::Acquaint(_) => (Priority::Control, 1),
            Self::Wanted(..) | Self::Keys(..) => (Priority::Control, 2),
            Self::Space(_, message) => match message.urgency(on_screen) {
                Urgency::Control => (Priority::Control, 2),
                Urgency::OnScreen => (Priority::Interactive, 1),
                Urgency::Data => (Priority::Bulk, 1),
                Urgency::Bulk => (Priority::Bulk, 2),
            },
        };
        StreamId::new(priority, number)
    }

    /// Its frames.
    pub(crate) fn frames(&self) -> Frames {
        Frames::of(match self {
            Self::Acquaint(said) => [vec![ACQUAINT], said.encode()].concat(),
            Self::Space(tag, message) => [vec![SPACE], tag.0.to_vec(), message.encode()].concat(),
            Self::Wanted(tag, epochs) => {
                let ids = epochs.iter().flat_map(|id| *id.as_bytes()).collect();
                [vec![WANTED], tag.0.to_vec(), ids].concat()
            }
            Self::Keys(tag, shares) => {
                [vec![KEYS], tag.0.to_vec(), Shares { shares: shares.clone() }.encode_to_vec()].concat()
            }
        })
    }

    /// Reads what [`halo_echo::replication::Assembler`] put together.
    ///
    /// # Errors
    /// [`WireError`]: drop the peer.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        if bytes.len() > LONGEST_MESSAGE {
            return Err(Unreadable);
        }
        match bytes.split_first() {
            Some((&ACQUAINT, said)) => Ok(Self::Acquaint(Acquaint::decode(said)?)),
            Some((&SPACE, rest)) => {
                let (tag, message) = rest.split_first_chunk::<32>().ok_or(Unreadable)?;
                Ok(Self::Space(SpaceTag(*tag), Message::decode(message)?))
            }
            Some((&WANTED, rest)) => {
                let (tag, ids) = rest.split_first_chunk::<32>().ok_or(Unreadable)?;
                let (ids, left) = ids.as_chunks::<32>();
                if !left.is_empty() || ids.len() > MOST_WANTED {
                    return Err(Unreadable);
                }
                Ok(Self::Wanted(SpaceTag(*tag), ids.iter().map(|id| EpochId::from_bytes(*id)).collect()))
            }
            Some((&KEYS, rest)) => {
                let (tag, shares) = rest.split_first_chunk::<32>().ok_or(Unreadable)?;
                let Shares { shares } = Shares::decode(shares).map_err(|_| Unreadable)?;
                if shares.len() > MOST_WANTED {
                    return Err(Unreadable);
                }
                Ok(Self::Keys(SpaceTag(*tag), shares))
            }
            _ => Err(Unreadable),
        }
    }
}

/// No message: drop the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a message of the peer cannot be read")]
pub(crate) struct Unreadable;

impl From<WireError> for Unreadable {
    fn from(_: WireError) -> Self {
        Self
    }
}
