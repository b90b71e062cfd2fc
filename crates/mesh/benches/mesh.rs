//! What two devices wait for, over loopback with a signaller in the same process. One JSON row a figure, for
//! `cargo xtask bench mesh`. The raw data channel's own speed is the peer of ours over it.

#![expect(clippy::print_stdout, reason = "it prints figures")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use halo_mesh::signaller::{Signaller, SignallerConfig};
use halo_mesh::{
    Connection, ConnectionEvent, Direct, Handshaker, Meeting, Mesh, MeshConfig, MeshEvent, PathKind, Side,
};
use halo_protocol::channel::{Handshake, HandshakeError, Priority, Purpose, Role, StreamId};
use halo_protocol::signal::TopicSecret;
use rand::CryptoRng;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use webrtc::data_channel::{DataChannel, DataChannelEvent};
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCIceGatheringState,
    SettingEngineBuilder,
};

type Failed = Box<dyn std::error::Error + Send + Sync>;

const MEETINGS: usize = 21;
const ROUNDS: usize = 1_001;
const TRANSFER: usize = 128 * 1024 * 1024;
const FRAME: usize = 16 * 1024;

fn row(name: &str, ours: f64, peer: Option<f64>, unit: &str) {
    let peer = peer.map(|peer| format!(", \"peer\": {peer}")).unwrap_or_default();
    println!("{{\"name\": \"mesh: {name}\", \"ours\": {ours}{peer}, \"unit\": \"{unit}\"}}");
}

fn timed(name: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at =
        |part: usize| times.get(times.len() * part / 100).copied().unwrap_or_default().as_secs_f64() * 1000.0;
    row(&format!("{name}, median"), at(50), None, "ms");
    row(&format!("{name}, p90"), at(90), None, "ms");
}

fn speed(bytes: usize, time: Duration) -> f64 {
    bytes as f64 / 1_000_000.0 / time.as_secs_f64()
}

fn main() -> Result<(), Failed> {
    // `cargo test --all-targets` runs benchmarks as well, to see that they run: this one takes a while.
    if !std::env::args().any(|arg| arg == "--bench") {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(measure())
}

async fn measure() -> Result<(), Failed> {
    let signaller = Signaller::new(SignallerConfig::default())?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("ws://{}/signal", listener.local_addr()?);
    let serving = signaller.clone();
    tokio::spawn(async move { serving.serve(listener, None).await });

    let (mut relay, mut direct) = (Vec::new(), Vec::new());
    for number in 0..MEETINGS {
        let (a, b) = (Node::start(&url, Direct::Loopback)?, Node::start(&url, Direct::Loopback)?);
        let mut two = Two::meet(a, b, number, &mut relay).await?;
        let started = Instant::now();
        two.goes(PathKind::Direct).await?;
        direct.push(started.elapsed());
    }
    timed("connected over the relay, from joining", relay);
    timed("direct path open, from connected", direct);

    let (a, b) = (Node::start(&url, Direct::Off)?, Node::start(&url, Direct::Off)?);
    let mut two = Two::meet(a, b, 100, &mut Vec::new()).await?;
    timed("round trip of 64 B over the relay", two.round_trips().await?);
    let (a, b) = (Node::start(&url, Direct::Loopback)?, Node::start(&url, Direct::Loopback)?);
    let mut two = Two::meet(a, b, 101, &mut Vec::new()).await?;
    two.goes(PathKind::Direct).await?;
    timed("round trip of 64 B over the direct path", two.round_trips().await?);
    let ours = two.transfer().await?;
    let raw = raw().await?;
    row("large content over the direct path (peer: a raw data channel)", ours, Some(raw), "MB/s");
    signaller.close();
    Ok(())
}

struct Device([u8; 32], Purpose);

impl Handshaker for Device {
    fn begin(
        &self,
        role: Role,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Handshake, Option<Vec<u8>>), HandshakeError> {
        match role {
            Role::Initiator => {
                Handshake::calling(&self.1, &self.0, rng).map(|(handshake, first)| (handshake, Some(first)))
            }
            Role::Responder => Handshake::answering(&self.1, &self.0, rng).map(|handshake| (handshake, None)),
        }
    }
}

struct Node {
    mesh: Mesh,
    events: mpsc::Receiver<MeshEvent>,
}

impl Node {
    fn start(url: &str, direct: Direct) -> Result<Self, Failed> {
        let config = MeshConfig { servers: vec![url.parse()?], direct, ..MeshConfig::default() };
        let (mesh, events) = Mesh::start(config)?;
        Ok(Self { mesh, events })
    }

    async fn up(&mut self) -> Result<(), Failed> {
        match self.events.recv().await {
            Some(MeshEvent::Server { .. }) => Ok(()),
            other => Err(format!("{other:?} instead of a server").into()),
        }
    }

    async fn connected(&mut self) -> Result<Connection, Failed> {
        loop {
            match self.events.recv().await {
                Some(MeshEvent::Connected { connection, .. }) => return Ok(connection),
                Some(_) => {}
                None => return Err("the mesh ended".into()),
            }
        }
    }
}

struct Two {
    here: Connection,
    there: Connection,
    _nodes: (Node, Node),
}

impl Two {
    async fn meet(mut a: Node, mut b: Node, number: usize, took: &mut Vec<Duration>) -> Result<Self, Failed> {
        a.up().await?;
        b.up().await?;
        let number = u64::try_from(number)?.to_be_bytes();
        let secret = TopicSecret::from_bytes(&[number, number].concat()).ok_or("no secret")?;
        let purpose = Purpose::Peers { topic: secret.topic() };
        let started = Instant::now();
        for (node, key) in [(&a, 1), (&b, 2)] {
            let device = Arc::new(Device([key; 32], purpose));
            node.mesh.join(Meeting::new(secret.clone(), Side::Peer, device)).await?;
        }
        let (here, there) = tokio::try_join!(a.connected(), b.connected())?;
        took.push(started.elapsed());
        Ok(Self { here, there, _nodes: (a, b) })
    }

    async fn goes(&mut self, way: PathKind) -> Result<(), Failed> {
        for connection in [&mut self.here, &mut self.there] {
            while connection.stats().path != Some(way) {
                connection.next().await.ok_or("the connection ended")?;
            }
        }
        Ok(())
    }

    async fn round_trips(&mut self) -> Result<Vec<Duration>, Failed> {
        let stream = StreamId::new(Priority::Interactive, 1);
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            let started = Instant::now();
            self.here.send(stream, vec![7; 64]).await?;
            message(&mut self.there).await?;
            self.there.send(stream, vec![7; 64]).await?;
            message(&mut self.here).await?;
            times.push(started.elapsed());
        }
        Ok(times)
    }

    /// MB/s from one end to the other.
    async fn transfer(self) -> Result<f64, Failed> {
        let stream = StreamId::new(Priority::Bulk, 1);
        let (sender, _hears) = self.here.split();
        let mut there = self.there;
        let started = Instant::now();
        let sending = tokio::spawn(async move {
            for _ in 0..TRANSFER / (256 * 1024) {
                sender.send(stream, vec![7; 256 * 1024]).await?;
            }
            Ok::<_, halo_mesh::MeshError>(sender)
        });
        let mut received = 0;
        while received < TRANSFER {
            received += message(&mut there).await?.len();
        }
        let time = started.elapsed();
        sending.await??;
        Ok(speed(TRANSFER, time))
    }
}

async fn message(connection: &mut Connection) -> Result<Vec<u8>, Failed> {
    loop {
        match connection.next().await {
            Some(ConnectionEvent::Message { bytes, .. }) => return Ok(bytes),
            Some(ConnectionEvent::Path(_)) => {}
            other => return Err(format!("{other:?} instead of a message").into()),
        }
    }
}

/// One end of a raw data channel.
struct Raw {
    gathered: mpsc::Sender<()>,
    channels: mpsc::Sender<Arc<dyn DataChannel>>,
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Raw {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            let _ = self.gathered.try_send(());
        }
    }

    async fn on_data_channel(&self, channel: Arc<dyn DataChannel>) {
        let _ = self.channels.try_send(channel);
    }
}

/// MB/s of a data channel alone, with the same bound on what is in flight.
async fn raw() -> Result<f64, Failed> {
    let end = |channels: mpsc::Sender<Arc<dyn DataChannel>>| async move {
        let (gathered, done) = mpsc::channel(1);
        let settings = SettingEngineBuilder::new()
            .with_sctp_max_receive_buffer_size(16 * 1024 * 1024)
            .with_include_loopback_candidate(true)
            .build();
        let peer = PeerConnectionBuilder::new()
            .with_setting_engine(settings)
            .with_handler(Arc::new(Raw { gathered, channels }))
            .with_udp_addrs(vec!["127.0.0.1:0".to_owned()])
            .with_data_channel_send_buffer_limit(512 * 1024)
            .build()
            .await?;
        Ok::<_, Failed>((peer, done))
    };
    let (theirs, mut arrived) = mpsc::channel(1);
    let (a, mut a_done) = end(mpsc::channel(1).0).await?;
    let (b, mut b_done) = end(theirs).await?;
    let channel = a.create_data_channel("raw", None).await?;
    let offer = a.create_offer(None).await?;
    a.set_local_description(offer).await?;
    a_done.recv().await;
    b.set_remote_description(a.local_description().await.ok_or("no offer")?).await?;
    let answer = b.create_answer(None).await?;
    b.set_local_description(answer).await?;
    b_done.recv().await;
    a.set_remote_description(b.local_description().await.ok_or("no answer")?).await?;
    while !matches!(channel.poll().await, Some(DataChannelEvent::OnOpen)) {}
    let receiver = arrived.recv().await.ok_or("no channel")?;
    let started = Instant::now();
    let sending = tokio::spawn(async move {
        for _ in 0..TRANSFER / FRAME {
            channel.send(BytesMut::zeroed(FRAME)).await?;
        }
        Ok::<_, webrtc::error::Error>(channel)
    });
    let mut received = 0;
    while received < TRANSFER {
        if let DataChannelEvent::OnMessage(message) = receiver.poll().await.ok_or("it closed")? {
            received += message.data.len();
        }
    }
    let time = started.elapsed();
    sending.await??;
    a.close().await?;
    b.close().await?;
    Ok(speed(TRANSFER, time))
}
