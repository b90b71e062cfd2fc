//! A conversation with one peer, as its owner sees it.

mod attempts;
mod course;
mod handshake;
mod pair;
mod session;
mod stats;
mod task;

use std::sync::Arc;

use halo_protocol::AgreementKey;
use halo_protocol::channel::{HandshakeHash, LONGEST_MESSAGE, Role, StreamId};
use tokio::sync::{mpsc, oneshot};

pub use pair::pair;
pub use stats::Stats;
pub(crate) use stats::Taken;
pub(crate) use task::{Carrier, Peer, PeerKey, PeerNotice, PeerOptions, ToPeer};

use crate::error::MeshError;
use stats::Counted;

/// Names a connection within this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub(crate) u64);

/// How frames go to the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PathKind {
    /// Through the signalling server.
    Relay,
    /// Through a TURN server.
    Turn,
    /// Directly.
    Direct,
    /// Over the local network.
    Lan,
    /// Within this process.
    Local,
}

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CloseReason {
    /// We closed it, left the meeting, or closed the mesh.
    #[error("closed here")]
    Here,
    /// The peer closed it.
    #[error("closed by the peer")]
    ByPeer,
    /// Nothing was heard of the peer for too long. When it can be reached again there will be a new connection.
    #[error("the peer cannot be reached")]
    Lost,
    /// The peer came back as a new connection.
    #[error("the peer connected anew")]
    Replaced,
    /// The peer did what no peer does.
    #[error("the peer does not keep to the protocol: {0}")]
    Violation(&'static str),
}

/// What happens on a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectionEvent {
    /// The peer says this.
    Message {
        /// On which stream.
        stream: StreamId,
        /// All of it.
        bytes: Vec<u8>,
    },
    /// Frames go another way from now on; `None` while there is none. Nothing is lost meanwhile.
    Path(Option<PathKind>),
    /// The end.
    Closed(CloseReason),
}

/// Stream of the mesh's own words with the peer; owners use others.
pub(crate) const OWN_STREAM: StreamId = StreamId::new(halo_protocol::channel::Priority::Control, 0x3fff);

/// A conversation with one peer. Dropping it, and all its senders, ends it.
#[derive(Debug)]
pub struct Connection {
    sender: ConnectionSender,
    receiver: ConnectionReceiver,
}

/// The half that speaks. Cloning shares it.
#[derive(Debug, Clone)]
pub struct ConnectionSender {
    id: ConnectionId,
    role: Role,
    hash: HandshakeHash,
    remote: Option<AgreementKey>,
    operations: mpsc::Sender<Operation>,
    counted: Arc<Counted>,
}

/// The half that hears.
#[derive(Debug)]
pub struct ConnectionReceiver {
    events: mpsc::Receiver<ConnectionEvent>,
    taken: Arc<Taken>,
}

#[derive(Debug)]
pub(crate) enum Operation {
    Send { stream: StreamId, bytes: Vec<u8>, done: oneshot::Sender<Result<(), MeshError>> },
    Close,
}

impl Connection {
    /// Names it within this process.
    #[must_use]
    pub fn id(&self) -> ConnectionId {
        self.sender.id
    }

    /// The agreement key that the peer proved to hold; `None` for invitations, where nobody is known yet.
    #[must_use]
    pub fn remote(&self) -> Option<AgreementKey> {
        self.sender.remote
    }

    /// Names this run of the handshake, the same at both ends and nowhere else.
    #[must_use]
    pub fn hash(&self) -> HandshakeHash {
        self.sender.hash
    }

    /// Whether this end spoke first.
    #[must_use]
    pub fn initiator(&self) -> bool {
        self.sender.role == Role::Initiator
    }

    /// See [`ConnectionSender::send`].
    ///
    /// # Errors
    /// As there.
    pub async fn send(&self, stream: StreamId, bytes: Vec<u8>) -> Result<(), MeshError> {
        self.sender.send(stream, bytes).await
    }

    /// See [`ConnectionReceiver::next`].
    pub async fn next(&mut self) -> Option<ConnectionEvent> {
        self.receiver.next().await
    }

    /// See [`ConnectionSender::close`].
    pub async fn close(&self) {
        self.sender.close().await;
    }

    /// How much was said, and how.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.sender.stats()
    }

    /// Both halves, for two tasks.
    #[must_use]
    pub fn split(self) -> (ConnectionSender, ConnectionReceiver) {
        (self.sender, self.receiver)
    }
}

impl ConnectionSender {
    /// Names the connection within this process.
    #[must_use]
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    /// See [`Connection::remote`].
    #[must_use]
    pub fn remote(&self) -> Option<AgreementKey> {
        self.remote
    }

    /// See [`Connection::hash`].
    #[must_use]
    pub fn hash(&self) -> HandshakeHash {
        self.hash
    }

    /// See [`Connection::initiator`].
    #[must_use]
    pub fn initiator(&self) -> bool {
        self.role == Role::Initiator
    }

    /// Says something on a stream: at most 1 MiB. Streams need no opening, and carry their priority; the last number of
    /// the control streams (`0x3fff`) is the mesh's own.
    ///
    /// Returns once the connection has taken it, which it does only while little waits on the stream: a peer that does
    /// not read stops its writer, on that stream alone. Cancelling may or may not say it.
    ///
    /// # Errors
    /// [`MeshError::TooLong`]; [`MeshError::Disconnected`] once the connection has ended, or when there are too many
    /// streams, which ends it.
    pub async fn send(&self, stream: StreamId, bytes: Vec<u8>) -> Result<(), MeshError> {
        if bytes.len() > LONGEST_MESSAGE {
            return Err(MeshError::TooLong { length: bytes.len(), most: LONGEST_MESSAGE });
        }
        let (done, outcome) = oneshot::channel();
        let operation = Operation::Send { stream, bytes, done };
        self.operations.send(operation).await.map_err(|_| MeshError::Disconnected)?;
        outcome.await.map_err(|_| MeshError::Disconnected)?
    }

    /// Says what waits to be said, within five seconds, and ends the connection.
    pub async fn close(&self) {
        // It has ended already, otherwise.
        let _ = self.operations.send(Operation::Close).await;
    }

    /// As [`Self::close`], for whoever cannot wait. Nothing happens if [`Self::send`] is called so often at this moment that
    /// there is no room for another call.
    pub fn begin_to_close(&self) {
        let _ = self.operations.try_send(Operation::Close);
    }

    /// How much was said, and how.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.counted.stats()
    }
}

impl ConnectionReceiver {
    /// What happens next; `None` after [`ConnectionEvent::Closed`].
    ///
    /// The peer may say as much again only when messages were taken from here.
    pub async fn next(&mut self) -> Option<ConnectionEvent> {
        let event = self.events.recv().await?;
        if let ConnectionEvent::Message { stream, bytes } = &event {
            self.taken.add(*stream, bytes.len());
        }
        Some(event)
    }
}
