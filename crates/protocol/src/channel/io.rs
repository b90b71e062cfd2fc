//! What goes into a session, and what comes out.

use std::time::Duration;

use super::path::{PathId, PathKind};
use super::stream::StreamId;

/// What happens to a session.
#[derive(Debug)]
pub enum Input {
    /// A path is there.
    PathOpened {
        /// A new name.
        path: PathId,
        /// How it goes.
        kind: PathKind,
    },
    /// A path is gone.
    PathClosed {
        /// Which.
        path: PathId,
    },
    /// A path delivers something.
    Frame {
        /// Which.
        path: PathId,
        /// What the other end's [`Effect::SendFrame`] said, or what somebody made of it.
        bytes: Vec<u8>,
    },
    /// Say this to the peer.
    Send {
        /// On which stream.
        stream: StreamId,
        /// At most [`super::LONGEST_MESSAGE`].
        message: Vec<u8>,
    },
    /// The reader of a stream took a delivered message: the peer may send as much again.
    Taken {
        /// Of which stream.
        stream: StreamId,
        /// Length of the message.
        bytes: usize,
    },
    /// The network or the machine's state changed: ask all paths at once.
    Doubt,
    /// The [`super::Session::deadline`] is here.
    Tick,
    /// Say what waits to be said, within five seconds, and end.
    Close,
    /// End now.
    Abort,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect {
    /// Hand this to a path.
    SendFrame {
        /// Which.
        path: PathId,
        /// At most [`super::LONGEST_FRAME`].
        bytes: Vec<u8>,
    },
    /// The peer said this. Answer with [`Input::Taken`] once it has left every queue.
    Deliver {
        /// On which stream.
        stream: StreamId,
        /// All of it.
        message: Vec<u8>,
    },
    /// A stream that had no room has some.
    Writable {
        /// Which.
        stream: StreamId,
    },
    /// What was to be said is not going to be.
    Unsent {
        /// On which stream.
        stream: StreamId,
        /// What.
        message: Vec<u8>,
        /// Why.
        why: Unsent,
    },
    /// Another path is used from now on; `None` if there is none.
    PathInUse(Option<PathKind>),
    /// Close this path: it delivers what the peer did not send.
    ClosePath {
        /// Which.
        path: PathId,
    },
    /// The session is over. Nothing follows.
    Closed {
        /// Why.
        why: Closed,
    },
}

/// Why a message was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsent {
    /// Send it in parts.
    #[error("the message is longer than 1 MiB")]
    TooLong,
    /// Wait for [`Effect::Writable`].
    #[error("the stream has no room")]
    Full,
    /// Use fewer streams.
    #[error("there are too many streams")]
    TooManyStreams,
    /// The session is over, or about to be.
    #[error("the session is closed")]
    Closed,
}

/// Why a session is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Closed {
    /// We closed it.
    #[error("closed on this side")]
    Here,
    /// The peer said everything and closed it.
    #[error("closed by the peer")]
    ByPeer,
    /// The peer ended it with something still to be said.
    #[error("broken off by the peer")]
    Broken,
    /// Nothing came from the peer for too long.
    #[error("nothing came from the peer for {seconds} s")]
    Silent {
        /// How long.
        seconds: u64,
    },
    /// The peer, and nobody else, sent what no peer sends.
    #[error("the peer does not keep to the protocol: {what}")]
    Violation {
        /// What it did.
        what: &'static str,
    },
}

/// How much of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Unacknowledged bytes of each lane on the relay.
    pub relay_window: usize,
    /// Unacknowledged bytes of each lane on any other path.
    pub window: usize,
    /// Bytes of bulk that the relay takes at once, and then in each second.
    pub relay_budget: u64,
    /// Streams in each direction.
    pub streams: usize,
    /// Bytes that wait for the reader of a stream; at least 1.5 MiB, so that the longest message comes through.
    pub stream_window: u64,
    /// So long without a sign of life, and the session is over.
    pub silence: Duration,
}

impl Default for Limits {
    /// For peers: 32 streams, 1 MiB on the way, 45 s of silence.
    fn default() -> Self {
        Self {
            relay_window: 64 * 1024,
            window: 1024 * 1024,
            relay_budget: 128 * 1024,
            streams: 32,
            stream_window: 3 * 512 * 1024,
            silence: Duration::from_secs(45),
        }
    }
}

impl Limits {
    /// For a peer that is not known yet: two streams.
    #[must_use]
    pub fn invitation() -> Self {
        Self { streams: 2, ..Self::default() }
    }
}

/// What is to be done, in this order.
#[must_use = "effects are the only way in which a session acts"]
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Effects(Vec<Effect>);

impl Effects {
    pub(super) fn push(&mut self, effect: Effect) {
        self.0.push(effect);
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl IntoIterator for Effects {
    type Item = Effect;
    type IntoIter = std::vec::IntoIter<Effect>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
