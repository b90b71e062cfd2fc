//! Where peers meet, and how they make sure of each other.

use std::fmt;
use std::sync::Arc;

use halo_protocol::channel::{Handshake, HandshakeError, Role};
use halo_protocol::signal::TopicSecret;
use rand::CryptoRng;
use url::Url;

/// A meeting that was joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MeetingId(pub(crate) u64);

/// Begins handshakes. Keys stay with whoever implements it.
pub trait Handshaker: Send + Sync + 'static {
    /// A fresh handshake; with its first message if this side speaks first.
    ///
    /// # Errors
    /// If it cannot be begun now (the wallet is locked): the peer is then tried again later.
    fn begin(
        &self,
        role: Role,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Handshake, Option<Vec<u8>>), HandshakeError>;
}

/// Who connects to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Everybody to everybody.
    Peer,
    /// Shows an invitation: only guests connect.
    Host,
    /// Accepts an invitation, and speaks first: connects to hosts only.
    Guest,
}

/// What is joined.
#[derive(Clone)]
pub struct Meeting {
    /// What those who meet have in common.
    pub secret: TopicSecret,
    /// Who connects to whom.
    pub side: Side,
    /// How they make sure of each other.
    pub handshaker: Arc<dyn Handshaker>,
    /// Servers for this meeting beside those of the mesh: an invitation's.
    pub servers: Vec<Url>,
    /// Whether it may be looked for on the local network.
    pub lan: bool,
}

impl Meeting {
    /// At the servers of the mesh, and on the local network.
    #[must_use]
    pub fn new(secret: TopicSecret, side: Side, handshaker: Arc<dyn Handshaker>) -> Self {
        Self { secret, side, handshaker, servers: Vec::new(), lan: true }
    }
}

impl fmt::Debug for Meeting {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Meeting").field("side", &self.side).field("lan", &self.lan).finish_non_exhaustive()
    }
}
