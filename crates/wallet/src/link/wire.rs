//! What two devices of an identity say to each other, as bytes of their connection.
//!
//! A message is a tag (0: credentials; 1: a space, and its name), and what the machine of that says. It goes in frames
//! ([`Frames`]) on a stream by its urgency; the frames of a message follow each other.

use halo_echo::replication::{Acquaint, Frames, LONGEST_MESSAGE, Message, Urgency, WireError};
use halo_protocol::channel::{Priority, StreamId};
use sha2::{Digest, Sha256};

/// Where a device says who it is, and then what it knows of who is who. What stands behind that on other streams cannot
/// overtake it: it answers what the other side said here.
pub(crate) const HELLO: StreamId = StreamId::new(Priority::Control, 0);

const ACQUAINT: u8 = 0;
const SPACE: u8 = 1;

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
}

impl Say {
    /// How many bytes it takes while it waits, or a few more.
    pub(crate) fn weight(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Acquaint(said) => said.weight(),
                Self::Space(_, message) => message.weight(),
            }
    }

    /// The stream that it goes on.
    pub(crate) const fn stream(&self, urgency: Urgency) -> StreamId {
        match (self, urgency) {
            (Self::Acquaint(_), _) => HELLO,
            (_, Urgency::Control) => StreamId::new(Priority::Control, 1),
            (_, Urgency::Halo) => StreamId::new(Priority::Interactive, 1),
            (_, Urgency::OnScreen) => StreamId::new(Priority::Interactive, 2),
            (_, Urgency::Data) => StreamId::new(Priority::Bulk, 1),
            (_, Urgency::Bulk) => StreamId::new(Priority::Bulk, 2),
        }
    }

    /// Its frames.
    pub(crate) fn frames(&self) -> Frames {
        Frames::of(match self {
            Self::Acquaint(said) => [vec![ACQUAINT], said.encode()].concat(),
            Self::Space(tag, message) => [vec![SPACE], tag.0.to_vec(), message.encode()].concat(),
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
