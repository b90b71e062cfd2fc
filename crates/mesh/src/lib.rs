//! How bytes meet: devices that share a topic's secret find each other and talk over one secure channel.
//!
//! ```no_run
//! # async fn example(secret: halo_protocol::signal::TopicSecret, handshaker: std::sync::Arc<dyn halo_mesh::Handshaker>) -> Result<(), halo_mesh::MeshError> {
//! use halo_mesh::{Meeting, Mesh, MeshConfig, MeshEvent, Side};
//! use halo_protocol::channel::{Priority, StreamId};
//!
//! let config = MeshConfig { servers: vec!["wss://kube.example/signal".parse()?], ..MeshConfig::default() };
//! let (mesh, mut events) = Mesh::start(config)?;
//! mesh.join(Meeting::new(secret, Side::Peer, handshaker)).await?;
//! while let Some(event) = events.recv().await {
//!     if let MeshEvent::Connected { mut connection, .. } = event {
//!         connection.send(StreamId::new(Priority::Interactive, 1), b"hello".to_vec()).await?;
//!         let answer = connection.next().await;
//!     }
//! }
//! # Ok(()) }
//! ```
//!
//! * [`Mesh::start`] runs it; [`Mesh::join`] a [`Meeting`] and [`Mesh::leave`] it; [`Mesh::reconfigure`] changes
//!   servers and the rest while it runs; dropping the last handle, or [`Mesh::close`], ends it and everything it began.
//! * Every two peers of a meeting get one [`Connection`], which both hear of by [`MeshEvent::Connected`] when the
//!   handshake of their [`Handshaker`]s is done. It lives as long as there is any path, over restarts of servers,
//!   changes of network and sleep; its end is [`ConnectionEvent::Closed`].
//! * [`Connection::send`] waits while the peer does not read. [`Connection::next`] yields messages, each once and in the
//!   order of its stream, and changes of path. [`Connection::split`] gives both halves away.
//! * [`signaller`] is the server, for a KUBE and for the local network; [`limits`] is what it counts with.
//!
//! Nothing here decides who a peer is or what it may do: whoever takes a [`Connection`] looks at
//! [`Connection::remote`] and [`Connection::hash`] first. Nothing here knows identities, spaces, names or what is said.
//!
//! The rule it guards: bytes from the network reach the session of `halo_protocol::channel` or nothing; the session says
//! what was really said. The attack that remains: servers and networks see which addresses meet, when, and how much
//! they say, and can keep them apart.

mod config;
mod connection;
mod error;
mod greeting;
mod hub;
mod lan;
pub mod limits;
mod link;
mod meeting;
mod mesh;
mod paths;
pub mod signaller;
mod surroundings;
mod tls;

pub use config::{Direct, Lan, MeshConfig};
pub use connection::{
    CloseReason, Connection, ConnectionEvent, ConnectionId, ConnectionReceiver, ConnectionSender, PathKind,
    Stats, pair,
};
pub use error::MeshError;
#[cfg(fuzzing)]
pub use greeting::fuzz as fuzz_greeting;
pub use meeting::{Handshaker, Meeting, MeetingId, Side};
pub use mesh::{Mesh, MeshEvent, ServerState};
#[cfg(fuzzing)]
pub use paths::fuzz as fuzz_paths;
#[doc(hidden)]
pub use paths::interop;
