//! A signaller, and devices that meet there.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use halo_mesh::signaller::{Signaller, SignallerConfig};
use halo_mesh::{
    Connection, ConnectionEvent, Direct, Handshaker, Meeting, MeetingId, Mesh, MeshConfig, MeshEvent,
    PathKind, Side,
};
use halo_protocol::channel::{Handshake, HandshakeError, OneTimeSecret, Priority, Purpose, Role, StreamId};
use halo_protocol::signal::{Topic, TopicSecret};
use rand::CryptoRng;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use url::Url;

/// Longer than anything here takes, on a busy machine too.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match timeout(PATIENCE, future).await {
        Ok(outcome) => outcome,
        Err(_) => panic!("{what}: it did not happen"),
    }
}

/// A signaller that runs.
pub(crate) struct Served {
    pub(crate) signaller: Signaller,
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Served {
    pub(crate) async fn start() -> Self {
        Self::start_with(SignallerConfig::default(), "127.0.0.1:0".parse().unwrap()).await
    }

    pub(crate) async fn start_with(config: SignallerConfig, address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let signaller = Signaller::new(config).unwrap();
        let serving = signaller.clone();
        let task = tokio::spawn(async move { serving.serve(listener, None).await.unwrap() });
        Self { signaller, address, task }
    }

    pub(crate) fn url(&self) -> Url {
        format!("ws://{}/signal", self.address).parse().unwrap()
    }

    pub(crate) async fn stop(self) {
        self.signaller.close();
        soon("the signaller ends", self.task).await.unwrap();
    }
}

/// A device's end of the handshake between peers.
pub(crate) struct Device {
    secret: [u8; 32],
    topic: Topic,
}

impl Handshaker for Device {
    fn begin(
        &self,
        role: Role,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Handshake, Option<Vec<u8>>), HandshakeError> {
        let purpose = Purpose::Peers { topic: self.topic };
        match role {
            Role::Initiator => Handshake::calling(&purpose, &self.secret, rng)
                .map(|(handshake, first)| (handshake, Some(first))),
            Role::Responder => {
                Handshake::answering(&purpose, &self.secret, rng).map(|handshake| (handshake, None))
            }
        }
    }
}

pub(crate) fn device(number: u8, secret: &TopicSecret) -> Arc<dyn Handshaker> {
    Arc::new(Device { secret: [number; 32], topic: secret.topic() })
}

pub(crate) fn public(number: u8) -> [u8; 32] {
    OneTimeSecret::from_bytes([number; 32]).public()
}

/// An invitation's ends.
pub(crate) enum Invitation {
    Host(OneTimeSecret, Topic),
    Guest([u8; 32], Topic),
}

impl Handshaker for Invitation {
    fn begin(
        &self,
        _: Role,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Handshake, Option<Vec<u8>>), HandshakeError> {
        let purpose = |topic| Purpose::Invitation { topic, binding: [9; 32] };
        match self {
            Self::Host(secret, topic) => {
                Handshake::showing(&purpose(*topic), secret, rng).map(|handshake| (handshake, None))
            }
            Self::Guest(shown, topic) => Handshake::scanning(&purpose(*topic), shown, rng)
                .map(|(handshake, first)| (handshake, Some(first))),
        }
    }
}

pub(crate) fn secret(number: u8) -> TopicSecret {
    TopicSecret::from_bytes(&[number; 16]).unwrap()
}

pub(crate) fn stream(number: u16) -> StreamId {
    StreamId::new(Priority::Interactive, number)
}

pub(crate) fn bulk(number: u16) -> StreamId {
    StreamId::new(Priority::Bulk, number)
}

/// A mesh and what it tells.
pub(crate) struct Node {
    pub(crate) mesh: Mesh,
    pub(crate) events: mpsc::Receiver<MeshEvent>,
}

impl Node {
    pub(crate) fn start(config: MeshConfig) -> Self {
        let (mesh, events) = Mesh::start(config).unwrap();
        Self { mesh, events }
    }

    pub(crate) fn at(server: &Url, direct: Direct) -> Self {
        Self::start(MeshConfig { servers: vec![server.clone()], direct, ..MeshConfig::default() })
    }

    pub(crate) async fn join(&self, secret: &TopicSecret, number: u8) -> MeetingId {
        let meeting = Meeting::new(secret.clone(), Side::Peer, device(number, secret));
        self.mesh.join(meeting).await.unwrap()
    }

    pub(crate) async fn connected(&mut self) -> Connection {
        self.connected_at().await.1
    }

    pub(crate) async fn connected_at(&mut self) -> (MeetingId, Connection) {
        soon("a connection", async {
            loop {
                match self.events.recv().await.unwrap() {
                    MeshEvent::Connected { meeting, connection } => return (meeting, connection),
                    MeshEvent::Server { .. } => {}
                }
            }
        })
        .await
    }
}

/// Two devices that met.
pub(crate) struct Two {
    pub(crate) a: Node,
    pub(crate) b: Node,
    pub(crate) here: Connection,
    pub(crate) there: Connection,
}

pub(crate) async fn two(server: &Url, direct: Direct) -> Two {
    let (mut a, mut b) = (Node::at(server, direct), Node::at(server, direct));
    a.join(&secret(1), 1).await;
    b.join(&secret(1), 2).await;
    let (here, there) = tokio::join!(a.connected(), b.connected());
    Two { a, b, here, there }
}

/// The next message; how it came is noted.
pub(crate) async fn message(
    connection: &mut Connection,
    ways: &mut Vec<Option<PathKind>>,
) -> (StreamId, Vec<u8>) {
    soon("a message", async {
        loop {
            match connection.next().await {
                Some(ConnectionEvent::Message { stream, bytes }) => return (stream, bytes),
                Some(ConnectionEvent::Path(way)) => ways.push(way),
                other => panic!("{other:?} instead of a message"),
            }
        }
    })
    .await
}

pub(crate) async fn says(connection: &mut Connection) -> Vec<u8> {
    message(connection, &mut Vec::new()).await.1
}

/// Waits until frames go this way.
pub(crate) async fn goes(connection: &mut Connection, wanted: PathKind) {
    soon("another path", async {
        while connection.stats().path != Some(wanted) {
            match connection.next().await {
                Some(ConnectionEvent::Path(Some(way))) if way == wanted => return,
                Some(ConnectionEvent::Path(_)) => {}
                other => panic!("{other:?} while waiting for {wanted:?}"),
            }
        }
    })
    .await;
}

/// Why it ended.
pub(crate) async fn end(connection: &mut Connection) -> halo_mesh::CloseReason {
    soon("the end", async {
        loop {
            match connection.next().await {
                Some(ConnectionEvent::Closed(reason)) => return reason,
                Some(_) => {}
                None => panic!("it ended without saying why"),
            }
        }
    })
    .await
}
