//! The direct path: a WebRTC data channel, which finds its way through NATs with STUN and TURN.
//!
//! One path is one attempt. When the network changes, a new attempt is made beside the old one and takes over when it
//! opens: what an ICE restart does, with fresh sockets, and nothing to lose, since the channel above moves between
//! paths without losing a frame. Candidates trickle over the channel that stands already.
//!
//! What was measured of the `webrtc` crate, and what follows: by default it sends a whole window at once into a socket's
//! small buffer, and waits for a timer after what the kernel dropped, so what is in flight is bounded here; its ICE
//! checks tick five times a second, so that opening takes 605 ms, unless it is told to tick faster; a connection that is
//! dropped without being closed goes on, so every way out of here closes it.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use halo_protocol::channel::LONGEST_FRAME;
use halo_protocol::signal::IceServer;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use webrtc::data_channel::{DataChannel, DataChannelEvent, RTCDataChannelInit};
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCConfigurationBuilder,
    RTCIceCandidateInit, RTCIceCandidateType, RTCIceServer, RTCIceTransportPolicy, RTCPeerConnectionIceEvent,
    RTCPeerConnectionState, RTCSessionDescription, SettingEngineBuilder,
};

use super::sockets::RoomySockets;
use super::{AsyncTell, Path, PathEvent, Signal};

/// Bytes that SCTP may hold unacknowledged. Larger bursts overflow the kernel's buffers on a fast way; on a slow one it
/// is what a second carries at 4 Mbit/s and a tenth of it at 40.
const IN_FLIGHT: usize = 512 * 1024;
/// What the other end may have in flight towards us.
const RECEIVE_BUFFER: u32 = 16 * 1024 * 1024;
/// ICE checks, while it is being opened.
const CHECK: Duration = Duration::from_millis(20);
/// Checks of one candidate before it is given up: about as long as by default, at a tenth of the pace.
const MOST_CHECKS: u16 = 150;
/// A way from an address that the peer has not named yet waits so long for one that it has. On a fast network checks
/// overtake what names them, and by default those ways wait for a second.
const UNTOLD: Duration = Duration::from_millis(300);
/// ICE: silence until it is in doubt, then until it is given up, and signs of life.
const ICE_TIMES: (Duration, Duration, Duration) =
    (Duration::from_secs(8), Duration::from_secs(7), Duration::from_secs(4));
/// To open; candidates through TURN wait for two seconds before they are taken.
const OPENING: Duration = Duration::from_secs(30);
/// To close, however it is.
const CLOSING: Duration = Duration::from_secs(2);
/// Frames that wait for the data channel. The session has less than that on its way.
const WAITING: usize = 2_048;
const SIGNALS: usize = 64;

/// How a direct path is opened.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Whether this end makes the offer.
    pub(crate) offers: bool,
    /// STUN and TURN servers.
    pub(crate) ice: Vec<IceServer>,
    /// Only through TURN.
    pub(crate) turn_only: bool,
    /// Over the loopback interface too.
    pub(crate) loopback: bool,
}

/// Begins to open one. Its events come through `tell`.
pub(crate) fn open<F>(options: Options, tell: F) -> Path
where
    F: AsyncTell,
{
    let (frames, waiting) = mpsc::channel(WAITING);
    let (signals, heard) = mpsc::channel(SIGNALS);
    tokio::spawn(async move {
        let offers = options.offers;
        match timeout(OPENING, Attempt::new(options, waiting, heard)).await {
            Ok(Ok(mut attempt)) => {
                if let Err(error) = attempt.run(offers, &tell).await {
                    tracing::debug!(%error, "a direct path ended");
                }
                attempt.sockets.settled();
                let _ = timeout(CLOSING, attempt.peer.close()).await;
            }
            Ok(Err(error)) => tracing::debug!(%error, "a direct path cannot be opened"),
            Err(_) => tracing::debug!("a direct path was not opened in time"),
        }
        let _ = tell.tell(PathEvent::Down).await;
    });
    Path { frames, signals }
}

type Failure = webrtc::error::Error;

struct Attempt {
    peer: Box<dyn PeerConnection>,
    sockets: RoomySockets,
    frames: mpsc::Receiver<Vec<u8>>,
    signals: mpsc::Receiver<Signal>,
    events: mpsc::Receiver<Event>,
    /// Candidates that came before the description they belong to.
    early: Vec<String>,
    described: bool,
}

/// What WebRTC calls back with.
enum Event {
    Candidate(String),
    State(RTCPeerConnectionState),
    Channel(Arc<dyn DataChannel>),
}

struct Callbacks {
    events: mpsc::Sender<Event>,
    sockets: RoomySockets,
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Callbacks {
    async fn on_ice_candidate(&self, event: RTCPeerConnectionIceEvent) {
        if let Ok(init) = event.candidate.to_json() {
            // The driver must not wait here. There are never as many candidates as places.
            let _ = self.events.try_send(Event::Candidate(init.candidate));
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        if state == RTCPeerConnectionState::Connected {
            // Here, and not where it is heard: the driver goes to sleep next.
            self.sockets.connected();
        }
        let _ = self.events.try_send(Event::State(state));
    }

    async fn on_data_channel(&self, channel: Arc<dyn DataChannel>) {
        let _ = self.events.try_send(Event::Channel(channel));
    }
}

impl Attempt {
    async fn new(
        options: Options,
        frames: mpsc::Receiver<Vec<u8>>,
        signals: mpsc::Receiver<Signal>,
    ) -> Result<Self, Failure> {
        let servers = options.ice.into_iter().map(|server| RTCIceServer {
            urls: server.urls,
            username: server.username,
            credential: server.credential,
        });
        let policy =
            if options.turn_only { RTCIceTransportPolicy::Relay } else { RTCIceTransportPolicy::All };
        let configuration = RTCConfigurationBuilder::new()
            .with_ice_servers(servers.collect())
            .with_ice_transport_policy(policy)
            .build();
        let (disconnected, failed, keepalive) = ICE_TIMES;
        let settings = SettingEngineBuilder::new()
            .with_ice_timeouts(Some(disconnected), Some(failed), Some(keepalive))
            .with_ice_connection_attempts(Some(CHECK), Some(MOST_CHECKS))
            .with_prflx_acceptance_min_wait(Some(UNTOLD))
            .with_sctp_max_receive_buffer_size(RECEIVE_BUFFER)
            .with_include_loopback_candidate(options.loopback)
            .build();
        let mut addresses = vec!["0.0.0.0:0".to_owned(), "[::]:0".to_owned()];
        if options.loopback {
            addresses.push("127.0.0.1:0".to_owned());
        }
        let (callbacks, events) = mpsc::channel(256);
        let sockets = RoomySockets::default();
        let peer = PeerConnectionBuilder::new()
            .with_configuration(configuration)
            .with_setting_engine(settings)
            .with_runtime(Arc::new(sockets.clone()))
            .with_handler(Arc::new(Callbacks { events: callbacks, sockets: sockets.clone() }))
            .with_udp_addrs(addresses)
            .with_data_channel_send_buffer_limit(IN_FLIGHT)
            .build()
            .await?;
        Ok(Self {
            peer: Box::new(peer),
            sockets,
            frames,
            signals,
            events,
            early: Vec::new(),
            described: false,
        })
    }

    async fn run(&mut self, offers: bool, tell: &impl AsyncTell) -> Result<(), Failure> {
        let mut channel = None;
        if offers {
            // Ordered and reliable, as a browser's by default.
            let init = RTCDataChannelInit { ordered: true, ..RTCDataChannelInit::default() };
            channel = Some(self.peer.create_data_channel("halo", Some(init)).await?);
            let offer = self.peer.create_offer(None).await?;
            let sdp = offer.sdp.clone();
            self.peer.set_local_description(offer).await?;
            if !tell.tell(PathEvent::Signal(Signal::Offer(sdp))).await {
                return Ok(());
            }
        }
        let deadline = Instant::now() + OPENING;
        let channel = loop {
            let opened = async {
                match &channel {
                    None => std::future::pending().await,
                    Some(channel) => opened(channel.as_ref()).await,
                }
            };
            tokio::select! {
                open = opened => if open { break channel } else { return Ok(()) },
                event = self.events.recv() => match event {
                    Some(Event::Channel(theirs)) if channel.is_none() => channel = Some(theirs),
                    Some(event) => if !self.happened(event, tell).await { return Ok(()) },
                    None => return Ok(()),
                },
                signal = self.signals.recv() => match signal {
                    Some(signal) => self.heard(signal, tell).await?,
                    None => return Ok(()),
                },
                () = sleep_until(deadline) => return Ok(()),
            }
        };
        self.sockets.settled();
        let Some(channel) = channel else { return Ok(()) };
        if !tell.tell(PathEvent::Open { relayed: self.relayed().await }).await {
            return Ok(());
        }
        self.carry(channel.as_ref(), tell).await
    }

    /// Passes frames both ways until it ends.
    async fn carry(&mut self, channel: &dyn DataChannel, tell: &impl AsyncTell) -> Result<(), Failure> {
        let Self { peer, frames, signals, events, .. } = self;
        let sending = async {
            while let Some(frame) = frames.recv().await {
                // Waits while too much is in flight.
                channel.send(BytesMut::from(frame.as_slice())).await?;
            }
            Ok::<(), Failure>(())
        };
        let receiving = async {
            while let Some(event) = channel.poll().await {
                match event {
                    // Longer than a frame: from no end of ours.
                    DataChannelEvent::OnMessage(message) if message.data.len() > LONGEST_FRAME => {}
                    DataChannelEvent::OnMessage(message) => {
                        let frame = PathEvent::Frame(message.data.to_vec());
                        if !tell.tell(frame).await {
                            return;
                        }
                    }
                    DataChannelEvent::OnClose | DataChannelEvent::OnClosing => return,
                    _ => {}
                }
            }
        };
        let watching = async {
            loop {
                tokio::select! {
                    event = events.recv() => match event {
                        Some(Event::State(state)) if ended(state) => return,
                        Some(Event::Candidate(candidate)) => {
                            // Found late: a way that may be better.
                            if !tell.tell(PathEvent::Signal(Signal::Candidate(candidate))).await {
                                return;
                            }
                        }
                        Some(_) => {}
                        None => return,
                    },
                    signal = signals.recv() => match signal {
                        Some(Signal::Candidate(candidate)) => {
                            let _ = peer.add_ice_candidate(candidate_of(candidate)).await;
                        }
                        Some(_) => {}
                        None => return,
                    },
                }
            }
        };
        tokio::select! {
            sent = sending => sent,
            () = receiving => Ok(()),
            () = watching => Ok(()),
        }
    }

    /// `false` if it is over.
    async fn happened(&self, event: Event, tell: &impl AsyncTell) -> bool {
        match event {
            Event::Candidate(candidate) => tell.tell(PathEvent::Signal(Signal::Candidate(candidate))).await,
            Event::State(state) => !ended(state),
            Event::Channel(_) => true,
        }
    }

    async fn heard(&mut self, signal: Signal, tell: &impl AsyncTell) -> Result<(), Failure> {
        match signal {
            Signal::Offer(sdp) if !self.described => {
                self.peer.set_remote_description(RTCSessionDescription::offer(sdp)?).await?;
                self.described().await;
                let answer = self.peer.create_answer(None).await?;
                let sdp = answer.sdp.clone();
                self.peer.set_local_description(answer).await?;
                tell.tell(PathEvent::Signal(Signal::Answer(sdp))).await;
            }
            Signal::Answer(sdp) if !self.described => {
                self.peer.set_remote_description(RTCSessionDescription::answer(sdp)?).await?;
                self.described().await;
            }
            Signal::Candidate(candidate) if self.described => self.candidate(candidate).await,
            Signal::Candidate(candidate) if self.early.len() < SIGNALS => self.early.push(candidate),
            _ => {}
        }
        Ok(())
    }

    async fn described(&mut self) {
        self.described = true;
        for candidate in std::mem::take(&mut self.early) {
            self.candidate(candidate).await;
        }
    }

    /// A candidate that is none, or of a kind we do not know, is one way less.
    async fn candidate(&self, candidate: String) {
        if let Err(error) = self.peer.add_ice_candidate(candidate_of(candidate)).await {
            tracing::debug!(%error, "a candidate was not taken");
        }
    }

    /// Whether the way that was chosen leads through a TURN server.
    async fn relayed(&self) -> bool {
        let Some(sctp) = self.peer.sctp().await else { return false };
        let ice = sctp.transport().ice_transport();
        let Ok(Some(pair)) = ice.get_selected_candidate_pair().await else { return false };
        [pair.local(), pair.remote()].iter().any(|end| end.typ == RTCIceCandidateType::Relay)
    }
}

fn candidate_of(candidate: String) -> RTCIceCandidateInit {
    RTCIceCandidateInit {
        candidate,
        sdp_mid: Some("0".to_owned()),
        sdp_mline_index: Some(0),
        ..RTCIceCandidateInit::default()
    }
}

fn ended(state: RTCPeerConnectionState) -> bool {
    matches!(state, RTCPeerConnectionState::Failed | RTCPeerConnectionState::Closed)
}

/// Waits until a data channel opens; `false` if it does not.
async fn opened(channel: &dyn DataChannel) -> bool {
    while let Some(event) = channel.poll().await {
        match event {
            DataChannelEvent::OnOpen => return true,
            DataChannelEvent::OnClose | DataChannelEvent::OnError => return false,
            _ => {}
        }
    }
    false
}
