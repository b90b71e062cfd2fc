//! One task for each peer that was met: it owns the handshake, then the session and its paths.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use halo_protocol::Timestamp;
use halo_protocol::channel::{Limits, PathId, PathKind as Kind};
use halo_protocol::signal::IceServer;
use tokio::sync::{mpsc, watch};

use super::course::Course;
use super::{CloseReason, Connection};
use crate::config::Direct;
use crate::greeting::{Greeting, Instance};
use crate::meeting::{Handshaker, MeetingId, Side};
use crate::paths::framed::Doorstep;

/// Which peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PeerKey {
    pub(crate) meeting: MeetingId,
    pub(crate) instance: Instance,
}

/// What a path that the hub brings is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// Through a signaller.
    Relay,
    /// Within this process.
    Local,
}

impl Carrier {
    pub(super) const fn kind(self) -> Kind {
        match self {
            Self::Relay => Kind::Relay,
            Self::Local => Kind::Local,
        }
    }
}

/// From the hub.
#[derive(Debug)]
pub(crate) enum ToPeer {
    /// The peer was met here.
    Opened { path: PathId, carrier: Carrier },
    /// It is not met here any more.
    Gone { path: PathId },
    /// It says this.
    Said { path: PathId, greeting: Greeting },
    /// The machine woke, or the network changed.
    Disturbed,
    /// End it.
    End(CloseReason),
}

impl ToPeer {
    /// Takes note of a path that came or went.
    pub(super) fn note(&self, carriers: &mut BTreeMap<PathId, Carrier>) {
        match self {
            Self::Opened { path, carrier } => {
                carriers.insert(*path, *carrier);
            }
            Self::Gone { path } => {
                carriers.remove(path);
            }
            _ => {}
        }
    }
}

/// To the hub.
#[derive(Debug)]
pub(crate) enum PeerNotice {
    /// Say this to the peer.
    Say { peer: PeerKey, path: PathId, greeting: Greeting },
    /// The handshake is done.
    Connected { peer: PeerKey, connection: Connection },
    /// The task has ended.
    Ended { peer: PeerKey, reason: CloseReason },
}

/// What a peer's task may use; changes while it runs.
#[derive(Clone, Default)]
pub(crate) struct PeerOptions {
    pub(crate) direct: Direct,
    pub(crate) ice: Vec<IceServer>,
    pub(crate) doorstep: Option<Doorstep>,
}

/// The task's state from meeting to end.
pub(crate) struct Peer {
    pub(super) key: PeerKey,
    /// Whether this end speaks first.
    pub(super) first: bool,
    pub(super) limits: Limits,
    pub(super) handshaker: Arc<dyn Handshaker>,
    pub(super) options: watch::Receiver<PeerOptions>,
    pub(super) inbox: mpsc::Receiver<ToPeer>,
    pub(super) hub: mpsc::Sender<PeerNotice>,
    /// Paths that the hub brought.
    pub(super) carriers: BTreeMap<PathId, Carrier>,
    /// Of the last handshake.
    pub(super) course: Course,
    /// The first message of another handshake, that ended the session before.
    pub(super) pending: Option<(PathId, u32, Vec<u8>)>,
}

/// How a session ended.
pub(super) enum End {
    /// Make another handshake.
    Again,
    /// For good.
    Over(CloseReason),
}

/// Words that wait for a peer's task. A peer that says more at once loses some, and says it again.
const INBOX: usize = 1_024;

impl Peer {
    /// Begins to make sure of a peer.
    pub(crate) fn start(
        key: PeerKey,
        first: bool,
        side: Side,
        handshaker: Arc<dyn Handshaker>,
        options: watch::Receiver<PeerOptions>,
        hub: mpsc::Sender<PeerNotice>,
    ) -> mpsc::Sender<ToPeer> {
        let (sender, inbox) = mpsc::channel(INBOX);
        let limits = match side {
            Side::Peer => Limits::default(),
            Side::Host | Side::Guest => Limits::invitation(),
        };
        let attempt = u32::try_from(now().seconds()).unwrap_or(u32::MAX / 2);
        let peer = Self {
            key,
            first,
            limits,
            handshaker,
            options,
            inbox,
            hub,
            carriers: BTreeMap::new(),
            course: Course::new(first, if first { attempt } else { 0 }),
            pending: None,
        };
        // It ends when the hub lets go of its inbox.
        tokio::spawn(peer.run());
        sender
    }

    async fn run(mut self) {
        let reason = loop {
            let established = match self.handshake().await {
                Ok(established) => established,
                Err(reason) => break reason,
            };
            match self.converse(&established).await {
                End::Again => {}
                End::Over(reason) => break reason,
            }
        };
        // A hub that is gone needs no notice.
        let _ = self.hub.send(PeerNotice::Ended { peer: self.key, reason }).await;
    }

    pub(super) async fn say(&self, path: PathId, greeting: Greeting) {
        // A hub that is gone says nothing more.
        let _ = self.hub.send(PeerNotice::Say { peer: self.key, path, greeting }).await;
    }
}

/// The time on the wall: the session looks at its leaps.
pub(super) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
