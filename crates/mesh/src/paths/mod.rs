//! Ways to a peer, beside the relay: each takes frames and yields frames, may lose and reorder them, and ends.
//!
//! A path is a task. Its queue holds a few frames; when it is full, whoever sends waits. What it received goes to
//! the connection that owns it, which stops taking when its owner does.

pub(crate) mod direct;
pub(crate) mod framed;
pub mod interop;
mod sockets;

use std::net::{IpAddr, SocketAddr};

use tokio::sync::mpsc;

/// What a path tells its connection.
#[derive(Debug)]
pub(crate) enum PathEvent {
    /// A frame came.
    Frame(Vec<u8>),
    /// Something for the other end, by another path: an offer, an answer, a candidate.
    Signal(Signal),
    /// It is open, through a TURN server or not.
    Open { relayed: bool },
    /// It ended.
    Down,
}

/// What two ends of a path that is being opened tell each other, over the channel that stands already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Nothing but that this end is there, and hears.
    Here,
    /// Make another attempt: this end's network changed.
    Again,
    /// WebRTC: a description by whoever begins.
    Offer(String),
    /// The answer to it.
    Answer(String),
    /// An address that may lead here.
    Candidate(String),
    /// TCP: addresses where one listens, and what to say there.
    Listening { addresses: Vec<SocketAddr>, token: [u8; 32] },
}

/// A path that is open or being opened. Dropping it ends it, and the task behind it.
pub(crate) struct Path {
    /// Frames to the other end.
    pub(crate) frames: mpsc::Sender<Vec<u8>>,
    /// What the other end said about this path.
    pub(crate) signals: mpsc::Sender<Signal>,
}

/// Where events of a path go; whoever gets them too fast makes the path wait. `false` if nobody wants them.
pub(crate) trait AsyncTell: Send + Sync + 'static {
    fn tell(&self, event: PathEvent) -> impl Future<Output = bool> + Send;
}

/// An SDP description; browsers write some 500 bytes.
const LONGEST_DESCRIPTION: usize = 16 * 1024;
const LONGEST_CANDIDATE: usize = 1024;
const MOST_ADDRESSES: usize = 16;

/// A signal with the number of the attempt that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Numbered {
    pub(crate) attempt: u32,
    pub(crate) signal: Signal,
}

impl Numbered {
    /// kind (1) ‖ attempt (4) ‖ text, or token (32) and addresses (1 + 4 or 16 + 2 each).
    pub(crate) fn encode(&self) -> Vec<u8> {
        let (kind, body) = match &self.signal {
            Signal::Here => (0, Vec::new()),
            Signal::Offer(text) => (1, text.as_bytes().to_vec()),
            Signal::Answer(text) => (2, text.as_bytes().to_vec()),
            Signal::Candidate(text) => (3, text.as_bytes().to_vec()),
            Signal::Listening { addresses, token } => (4, listening(addresses, token)),
            Signal::Again => (5, Vec::new()),
        };
        [&[kind], self.attempt.to_be_bytes().as_slice(), &body].concat()
    }

    /// `None` for what is none.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        let (attempt, body) = rest.split_first_chunk::<4>()?;
        let text = |longest| {
            let text = std::str::from_utf8(body).ok()?;
            (text.len() <= longest).then(|| text.to_owned())
        };
        let nothing = |signal| body.is_empty().then_some(signal);
        let signal = match kind {
            0 => nothing(Signal::Here)?,
            1 => Signal::Offer(text(LONGEST_DESCRIPTION)?),
            2 => Signal::Answer(text(LONGEST_DESCRIPTION)?),
            3 => Signal::Candidate(text(LONGEST_CANDIDATE)?),
            4 => listens(body)?,
            5 => nothing(Signal::Again)?,
            _ => return None,
        };
        Some(Self { attempt: u32::from_be_bytes(*attempt), signal })
    }
}

fn listening(addresses: &[SocketAddr], token: &[u8; 32]) -> Vec<u8> {
    let mut bytes = token.to_vec();
    for address in addresses.iter().take(MOST_ADDRESSES) {
        match address.ip() {
            IpAddr::V4(ip) => {
                bytes.push(4);
                bytes.extend_from_slice(&ip.octets());
            }
            IpAddr::V6(ip) => {
                bytes.push(6);
                bytes.extend_from_slice(&ip.octets());
            }
        }
        bytes.extend_from_slice(&address.port().to_be_bytes());
    }
    bytes
}

fn listens(bytes: &[u8]) -> Option<Signal> {
    let (token, mut rest) = bytes.split_first_chunk::<32>()?;
    let mut addresses = Vec::new();
    while let Some((version, after)) = rest.split_first() {
        let (ip, after) = match version {
            4 => {
                let (ip, after) = after.split_first_chunk::<4>()?;
                (IpAddr::from(*ip), after)
            }
            6 => {
                let (ip, after) = after.split_first_chunk::<16>()?;
                (IpAddr::from(*ip), after)
            }
            _ => return None,
        };
        let (port, after) = after.split_first_chunk::<2>()?;
        addresses.push(SocketAddr::new(ip, u16::from_be_bytes(*port)));
        rest = after;
    }
    (addresses.len() <= MOST_ADDRESSES).then_some(Signal::Listening { addresses, token: *token })
}

/// Reads any bytes, and writes what was read.
#[cfg(fuzzing)]
pub fn fuzz(bytes: &[u8]) {
    if let Some(signal) = Numbered::decode(bytes) {
        assert_eq!(signal.encode(), bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_read_again_and_nothing_else_is() {
        let addresses = vec!["192.168.1.7:4000".parse().unwrap(), "[fd00::7]:4001".parse().unwrap()];
        for signal in [
            Signal::Here,
            Signal::Offer("v=0".to_owned()),
            Signal::Answer(String::new()),
            Signal::Candidate("candidate:1".to_owned()),
            Signal::Listening { addresses, token: [7; 32] },
            Signal::Listening { addresses: Vec::new(), token: [7; 32] },
            Signal::Again,
        ] {
            let numbered = Numbered { attempt: 3, signal };
            assert_eq!(Numbered::decode(&numbered.encode()), Some(numbered));
        }
        let text = |kind: u8, length| [&[kind, 0, 0, 0, 1], vec![b'a'; length].as_slice()].concat();
        assert!(Numbered::decode(&text(1, LONGEST_DESCRIPTION)).is_some());
        for bytes in [
            vec![],
            vec![0, 0, 0, 0],
            vec![0, 0, 0, 0, 1, 0],
            vec![9, 0, 0, 0, 1],
            vec![1, 0, 0, 0, 1, 0xff],
            text(1, LONGEST_DESCRIPTION + 1),
            text(3, LONGEST_CANDIDATE + 1),
            text(4, 31),
            [text(4, 32), vec![4, 127, 0, 0, 1, 0]].concat(),
            [text(4, 32), [4, 127, 0, 0, 1, 0, 80].repeat(MOST_ADDRESSES + 1)].concat(),
            [text(4, 32), vec![5, 0, 0]].concat(),
        ] {
            assert_eq!(Numbered::decode(&bytes), None, "{} bytes of kind {:?}", bytes.len(), bytes.first());
        }
    }
}
