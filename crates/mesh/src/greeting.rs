//! What two peers say to each other through a signaller, inside the seal of the topic.
//!
//! Names that signallers give (`PeerId`) change with every connection to them. So peers first say which *instance* of a
//! meeting they are: sixteen random bytes, the same at all servers and after each reconnection. Two peers that meet at
//! three servers know by it that they are two.
//!
//! The lower instance speaks first; a guest does in any case. The attack that remains: whoever holds the secret can
//! say the instance of somebody else. They take part in a handshake then that they cannot complete.

use crate::meeting::Side;

/// Which instance of a meeting somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Instance(pub(crate) [u8; 16]);

/// One thing that is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Greeting {
    /// Who I am here.
    Hello { instance: Instance, side: Side },
    /// A message of a handshake; the number says of which attempt.
    Handshake { attempt: u32, bytes: Vec<u8> },
    /// A frame of the channel.
    Frame(Vec<u8>),
}

impl Greeting {
    pub(crate) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Hello { instance, side } => {
                let side = match side {
                    Side::Peer => 0,
                    Side::Host => 1,
                    Side::Guest => 2,
                };
                [&[1, side], instance.0.as_slice()].concat()
            }
            Self::Handshake { attempt, bytes } => [&[2], attempt.to_be_bytes().as_slice(), bytes].concat(),
            Self::Frame(frame) => [&[3], frame.as_slice()].concat(),
        }
    }

    /// `None` for what is none: from a holder of the secret with another program.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        match kind {
            1 => {
                let (side, instance) = rest.split_first()?;
                let side = match side {
                    0 => Side::Peer,
                    1 => Side::Host,
                    2 => Side::Guest,
                    _ => return None,
                };
                Some(Self::Hello { instance: Instance(instance.try_into().ok()?), side })
            }
            2 => {
                let (attempt, bytes) = rest.split_first_chunk::<4>()?;
                Some(Self::Handshake { attempt: u32::from_be_bytes(*attempt), bytes: bytes.to_vec() })
            }
            3 => Some(Self::Frame(rest.to_vec())),
            _ => None,
        }
    }
}

/// Whether I speak first to a peer; `None` if we have nothing to do with each other.
pub(crate) fn speaks_first(mine: (Instance, Side), theirs: (Instance, Side)) -> Option<bool> {
    match (mine.1, theirs.1) {
        (Side::Guest, Side::Host) => Some(true),
        (Side::Host, Side::Guest) => Some(false),
        // My own words come back when a signaller is reached under two names.
        (Side::Peer, Side::Peer) if mine.0 != theirs.0 => Some(mine.0 < theirs.0),
        _ => None,
    }
}

/// Reads any bytes, and writes what was read.
#[cfg(fuzzing)]
pub fn fuzz(bytes: &[u8]) {
    if let Some(greeting) = Greeting::decode(bytes) {
        assert_eq!(greeting.encode(), bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Instance = Instance([1; 16]);
    const B: Instance = Instance([2; 16]);

    #[test]
    fn what_is_said_is_read_again_and_nothing_else_is() {
        let hello = |side| Greeting::Hello { instance: A, side };
        for greeting in [
            hello(Side::Peer),
            hello(Side::Host),
            hello(Side::Guest),
            Greeting::Handshake { attempt: 7, bytes: vec![1, 2] },
            Greeting::Frame(vec![3; 100]),
        ] {
            assert_eq!(Greeting::decode(&greeting.encode()), Some(greeting));
        }
        let cut = hello(Side::Peer).encode();
        for bytes in [&[][..], &[0], &[4, 1], &[1, 3], &[2, 0, 0, 0], &cut[..17], &[&cut[..], &[0]].concat()]
        {
            assert_eq!(Greeting::decode(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn exactly_one_of_two_speaks_first() {
        for (mine, theirs) in [(Side::Peer, Side::Peer), (Side::Guest, Side::Host), (Side::Host, Side::Guest)]
        {
            let here = speaks_first((A, mine), (B, theirs)).unwrap();
            let there = speaks_first((B, theirs), (A, mine)).unwrap();
            assert_ne!(here, there, "{mine:?} and {theirs:?}");
        }
        assert_eq!(
            speaks_first((B, Side::Guest), (A, Side::Host)),
            Some(true),
            "guests, whatever the instance"
        );
    }

    #[test]
    fn those_who_have_nothing_to_do_with_each_other_do_not_connect() {
        for (mine, theirs) in
            [(Side::Guest, Side::Guest), (Side::Host, Side::Host), (Side::Peer, Side::Guest)]
        {
            assert_eq!(speaks_first((A, mine), (B, theirs)), None, "{mine:?} and {theirs:?}");
        }
        assert_eq!(speaks_first((A, Side::Peer), (A, Side::Peer)), None, "nobody talks to themselves");
    }
}
