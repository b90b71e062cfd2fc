//! A line to one signalling server, which is there again after whatever breaks it.
//!
//! The owner says which topics to be at; the line joins them whenever it stands. After a break it tries again: soon,
//! then more seldom, up to half a minute, each time after a random part of that, so that a server that restarts is not
//! overrun by all its clients at once. When the machine woke or the network changed, it tries at once, or asks a line
//! that seems to stand whether it does.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use halo_protocol::signal::{ClientMessage, LONGEST_MESSAGE, Refusal, ServerMessage, Topic};
use rand::RngExt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use url::Url;

use crate::meeting::MeetingId;
use crate::surroundings::Disturbances;
use crate::tls::Tls;

/// To connect, and to be told that we are in.
const CONNECT: Duration = Duration::from_secs(10);
/// A line without a word for so long is asked about.
const QUIET: Duration = Duration::from_secs(25);
/// To answer that.
const ANSWER: Duration = Duration::from_secs(10);
/// To answer after a disturbance, when silence is likely.
const QUICK_ANSWER: Duration = Duration::from_secs(3);
/// The first pause, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));
/// A line that stood for so long starts again with the first pause.
const STOOD: Duration = Duration::from_secs(20);
/// A topic that was full, or a server that had enough of us, is asked again after so long.
const REJOIN: Duration = Duration::from_secs(30);
/// Messages that wait to be sent.
const WAITING: usize = 1_024;
/// For what waits to be sent when the line is let go.
const FLUSH: Duration = Duration::from_millis(500);

/// Which line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LinkId(pub(crate) u64);

/// What a line tells its owner.
#[derive(Debug)]
pub(crate) enum LinkEvent {
    /// It stands: all topics are being joined.
    Up,
    /// It broke: all peers met there are gone.
    Down,
    /// The server says something.
    Said(ServerMessage),
}

/// Topics to be at, and for which meeting: for another one a topic is left and joined anew.
pub(crate) type Memberships = BTreeMap<Topic, MeetingId>;

/// The owner's end.
pub(crate) struct Link {
    /// Messages to the server; dropped while the line is broken.
    pub(crate) outgoing: mpsc::Sender<ClientMessage>,
    topics: watch::Sender<Memberships>,
    task: Option<JoinHandle<()>>,
}

impl Link {
    /// Begins to connect.
    pub(crate) fn open(
        id: LinkId,
        url: Url,
        tls: Tls,
        events: mpsc::Sender<(LinkId, LinkEvent)>,
        disturbances: Disturbances,
    ) -> Self {
        let (outgoing, waiting) = mpsc::channel(WAITING);
        let (topics, wanted) = watch::channel(Memberships::new());
        let line = Line { id, url, tls, events, disturbances, waiting, wanted };
        Self { outgoing, topics, task: Some(tokio::spawn(line.run())) }
    }

    /// Says where to be.
    pub(crate) fn be_at(&self, topics: Memberships) {
        self.topics.send_if_modified(|current| {
            let changed = *current != topics;
            *current = topics;
            changed
        });
    }
}

impl Link {
    /// Sends what waits, and ends.
    pub(crate) async fn finish(mut self) {
        // Without a sender the line ends once its queue is empty.
        (self.outgoing, _) = mpsc::channel(1);
        if let Some(task) = self.task.take() {
            let abort = task.abort_handle();
            if timeout(FLUSH, task).await.is_err() {
                abort.abort();
            }
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

struct Line {
    id: LinkId,
    url: Url,
    tls: Tls,
    events: mpsc::Sender<(LinkId, LinkEvent)>,
    disturbances: Disturbances,
    waiting: mpsc::Receiver<ClientMessage>,
    wanted: watch::Receiver<Memberships>,
}

/// Why a conversation ended.
enum End {
    /// Try again.
    Broken,
    /// Nobody wants the line any more.
    Done,
}

impl Line {
    async fn run(mut self) {
        let mut pause = PAUSES.0;
        loop {
            let started = Instant::now();
            match timeout(CONNECT, self.connect()).await {
                Ok(Ok(socket)) => {
                    let end = self.converse(socket).await;
                    if matches!(end, End::Done) || self.tell(LinkEvent::Down).await.is_err() {
                        return;
                    }
                }
                Ok(Err(error)) => {
                    tracing::debug!(kind = ?error.kind(), "a signalling server was not reached")
                }
                Err(_) => tracing::debug!("a signalling server did not answer"),
            }
            if started.elapsed() >= STOOD {
                pause = PAUSES.0;
            }
            let jitter = rand::rng().random_range(0.5..1.0);
            let wait = sleep_until(Instant::now() + pause.mul_f64(jitter));
            tokio::select! {
                () = wait => pause = (pause * 2).min(PAUSES.1),
                changed = self.disturbances.changed() => match changed {
                    Ok(()) => pause = PAUSES.0,
                    Err(_) => return,
                },
            }
        }
    }

    async fn tell(&self, event: LinkEvent) -> Result<(), ()> {
        self.events.send((self.id, event)).await.map_err(|_| ())
    }

    async fn connect(&self) -> io::Result<WebSocketStream<Box<dyn Stream>>> {
        let host = self.url.host_str().ok_or(io::ErrorKind::InvalidInput)?;
        let port = self.url.port_or_known_default().ok_or(io::ErrorKind::InvalidInput)?;
        let address = (host.trim_start_matches('[').trim_end_matches(']'), port);
        let stream = TcpStream::connect(address).await?;
        // Small frames must not wait for each other.
        stream.set_nodelay(true)?;
        let stream: Box<dyn Stream> = match self.url.scheme() {
            "wss" => Box::new(self.tls.connect(host, stream).await?),
            _ => Box::new(stream),
        };
        let config = WebSocketConfig::default()
            .max_message_size(Some(LONGEST_MESSAGE))
            .max_frame_size(Some(LONGEST_MESSAGE))
            .read_buffer_size(32 * 1024)
            .write_buffer_size(0);
        let (socket, _) = client_async_with_config(self.url.as_str(), stream, Some(config))
            .await
            .map_err(io::Error::other)?;
        Ok(socket)
    }

    async fn converse(&mut self, mut socket: WebSocketStream<Box<dyn Stream>>) -> End {
        // What was meant for a line that broke is for nobody now.
        while self.waiting.try_recv().is_ok() {}
        if self.tell(LinkEvent::Up).await.is_err() {
            return End::Done;
        }
        self.wanted.mark_changed();
        self.disturbances.mark_unchanged();
        let mut joined = Memberships::new();
        let mut heard = Instant::now();
        // When silence means that the line is broken.
        let mut verdict: Option<Instant> = None;
        if say(&mut socket, &ClientMessage::AskIceServers).await.is_err() {
            return End::Broken;
        }
        let mut rejoin: Option<Instant> = None;
        loop {
            let alarm = verdict.unwrap_or(heard + QUIET);
            tokio::select! {
                message = socket.next() => {
                    heard = Instant::now();
                    verdict = None;
                    let Some(Ok(message)) = message else { return End::Broken };
                    match message {
                        Message::Binary(bytes) => {
                            // A server that says what nobody understands is of another time; it may say more.
                            let Ok(message) = ServerMessage::decode(&bytes) else { continue };
                            if let ServerMessage::Refused { topic: Some(topic), why: Refusal::Full | Refusal::TooMany } = message {
                                joined.remove(&topic);
                                rejoin = rejoin.or(Some(Instant::now() + REJOIN));
                            }
                            if self.tell(LinkEvent::Said(message)).await.is_err() {
                                return End::Done;
                            }
                        }
                        Message::Close(_) | Message::Text(_) => return End::Broken,
                        Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
                    }
                }
                message = self.waiting.recv() => {
                    let Some(message) = message else {
                        // Nobody wants the line any more, and everything is sent.
                        let _ = timeout(FLUSH, socket.close(None)).await;
                        return End::Done;
                    };
                    if pass_on(&mut socket, &joined, &message).await.is_err() {
                        return End::Broken;
                    }
                }
                changed = self.wanted.changed() => {
                    if changed.is_err() {
                        return End::Done;
                    }
                    let wanted = self.wanted.borrow_and_update().clone();
                    // What was said before, such as goodbyes, goes out before.
                    while let Ok(message) = self.waiting.try_recv() {
                        if pass_on(&mut socket, &joined, &message).await.is_err() {
                            return End::Broken;
                        }
                    }
                    let moves: Vec<ClientMessage> = beside(&joined, &wanted)
                        .map(|topic| ClientMessage::Leave { topic })
                        .chain(beside(&wanted, &joined).map(|topic| ClientMessage::Join { topic }))
                        .collect();
                    for message in moves {
                        if say(&mut socket, &message).await.is_err() {
                            return End::Broken;
                        }
                    }
                    joined = wanted;
                }
                changed = self.disturbances.changed() => {
                    if changed.is_err() {
                        return End::Done;
                    }
                    if ping(&mut socket).await.is_err() {
                        return End::Broken;
                    }
                    verdict = Some(Instant::now() + QUICK_ANSWER);
                }
                () = sleep_until(rejoin.unwrap_or(alarm)), if rejoin.is_some() => {
                    rejoin = None;
                    self.wanted.mark_changed();
                }
                () = sleep_until(alarm) => {
                    if verdict.is_some() || ping(&mut socket).await.is_err() {
                        return End::Broken;
                    }
                    verdict = Some(Instant::now() + ANSWER);
                }
            }
        }
    }
}

/// Topics that the others are not at, or for another meeting.
fn beside(some: &Memberships, others: &Memberships) -> impl Iterator<Item = Topic> {
    some.iter().filter(|(topic, meeting)| others.get(topic) != Some(meeting)).map(|(topic, _)| *topic)
}

fn message_topic(message: &ClientMessage) -> Option<Topic> {
    match message {
        ClientMessage::Join { topic }
        | ClientMessage::Leave { topic }
        | ClientMessage::Send { topic, .. } => Some(*topic),
        ClientMessage::AskIceServers => None,
    }
}

/// A connection, with or without TLS.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Says what waited, unless its topic was left since: the server would only refuse.
async fn pass_on(
    socket: &mut WebSocketStream<Box<dyn Stream>>,
    joined: &Memberships,
    message: &ClientMessage,
) -> Result<(), ()> {
    match message_topic(message) {
        Some(topic) if !joined.contains_key(&topic) => Ok(()),
        _ => say(socket, message).await,
    }
}

async fn say(socket: &mut WebSocketStream<Box<dyn Stream>>, message: &ClientMessage) -> Result<(), ()> {
    send(socket, Message::Binary(message.encode().into())).await
}

async fn ping(socket: &mut WebSocketStream<Box<dyn Stream>>) -> Result<(), ()> {
    send(socket, Message::Ping(Bytes::new())).await
}

/// A server that takes nothing for so long is as good as gone.
async fn send(socket: &mut WebSocketStream<Box<dyn Stream>>, message: Message) -> Result<(), ()> {
    match timeout(ANSWER, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(()),
    }
}
