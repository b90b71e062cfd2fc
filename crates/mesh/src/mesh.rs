//! The handle that others hold.

use tokio::sync::{mpsc, oneshot};
use url::Url;

use crate::config::{self, MeshConfig};
use crate::connection::Connection;
use crate::error::MeshError;
use crate::hub::Hub;
use crate::meeting::{Meeting, MeetingId};

/// A running mesh. Cloning shares it; when the last handle is dropped, everything that it began ends.
#[derive(Clone, Debug)]
pub struct Mesh {
    commands: mpsc::Sender<Command>,
}

/// What the mesh tells its owner.
#[derive(Debug)]
pub enum MeshEvent {
    /// A peer of a meeting is connected: look at [`Connection::remote`] first.
    Connected {
        /// Where it was met.
        meeting: MeetingId,
        /// The conversation.
        connection: Connection,
    },
    /// A signalling server is reached, or not any more.
    Server {
        /// Which.
        url: Url,
        /// How it is.
        state: ServerState,
    },
}

/// Whether a signalling server is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ServerState {
    /// It is.
    Up,
    /// It is not; it is tried again by itself.
    Down,
}

#[derive(Debug)]
pub(crate) enum Command {
    Join { meeting: Meeting, done: oneshot::Sender<MeetingId> },
    Leave { meeting: MeetingId, done: oneshot::Sender<()> },
    Reconfigure { config: MeshConfig, done: oneshot::Sender<()> },
    LocalServers { done: oneshot::Sender<Vec<Url>> },
    Disturbed,
    Close { done: oneshot::Sender<()> },
}

/// Commands and events that wait.
const COMMANDS: usize = 64;
const EVENTS: usize = 64;

impl Mesh {
    /// Starts a mesh on the current Tokio runtime. Connections that nobody takes out of the receiver wait there; when it
    /// is dropped they end.
    ///
    /// # Errors
    /// [`MeshError::BadServer`].
    pub fn start(config: MeshConfig) -> Result<(Self, mpsc::Receiver<MeshEvent>), MeshError> {
        config.check()?;
        let (commands, waiting) = mpsc::channel(COMMANDS);
        let (events, receiver) = mpsc::channel(EVENTS);
        tokio::spawn(Hub::new(config, events).run(waiting));
        Ok((Self { commands }, receiver))
    }

    /// Changes servers, the local network and paths. Connections live on over what remains.
    ///
    /// # Errors
    /// [`MeshError::BadServer`], and nothing has changed; [`MeshError::Closed`].
    pub async fn reconfigure(&self, config: MeshConfig) -> Result<(), MeshError> {
        config.check()?;
        self.ask(|done| Command::Reconfigure { config, done }).await
    }

    /// Meets whoever joins the same: each of them becomes a [`MeshEvent::Connected`].
    ///
    /// There is one meeting for one secret: joining it again leaves the one before. A peer whose connection was closed
    /// on purpose, by either side, is not connected to again within the same meeting, until it starts anew.
    ///
    /// # Errors
    /// [`MeshError::BadServer`], [`MeshError::Closed`].
    pub async fn join(&self, meeting: Meeting) -> Result<MeetingId, MeshError> {
        meeting.servers.iter().try_for_each(config::check)?;
        self.ask(|done| Command::Join { meeting, done }).await
    }

    /// Leaves a meeting, and closes its connections.
    ///
    /// # Errors
    /// [`MeshError::Closed`].
    pub async fn leave(&self, meeting: MeetingId) -> Result<(), MeshError> {
        self.ask(|done| Command::Leave { meeting, done }).await
    }

    /// Where this device serves signalling on the local network: for invitations.
    ///
    /// # Errors
    /// [`MeshError::Closed`].
    pub async fn local_servers(&self) -> Result<Vec<Url>, MeshError> {
        self.ask(|done| Command::LocalServers { done }).await
    }

    /// Looks after all connections at once, as after sleep; for whoever knows better than the mesh when that was.
    pub async fn disturbed(&self) {
        // A mesh that is closed has nothing to look after.
        let _ = self.commands.send(Command::Disturbed).await;
    }

    /// Says goodbye to all peers and ends. Returns when it is over.
    pub async fn close(&self) {
        // It is over already, otherwise.
        let _ = self.ask(|done| Command::Close { done }).await;
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, MeshError> {
        let (done, outcome) = oneshot::channel();
        self.commands.send(command(done)).await.map_err(|_| MeshError::Closed)?;
        outcome.await.map_err(|_| MeshError::Closed)
    }
}
