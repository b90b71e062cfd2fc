//! The server that introduces peers to each other: a KUBE's, and the one that a wallet runs on the local network.
//!
//! It forwards what it cannot read between connections that named the same topic (its hall), and forgets it. It
//! writes no log about a client, and keeps no address: limits count hashes of blocks of addresses, and those are
//! forgotten a minute or two after the last connection from there (`docs/decisions/0029-addresses.md`).
//!
//! Everything is bounded: connections, topics, messages (64 KiB), what waits for a client that reads slowly, the
//! time that a connection may be silent, and bytes a second. Who sends faster than its rate is read slower; what does
//! not fit a slow reader's queue is dropped, and its sender told.

mod hall;
mod head;
mod queue;

use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use halo_protocol::signal::{ClientMessage, IceServer, LONGEST_MESSAGE, Refusal, ServerMessage};
use rand::SeedableRng;
use rand::rngs::{StdRng, SysRng};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Message};
use zeroize::Zeroize;

pub use hall::HallLimits;
use hall::{ClientId, Hall, Outgoing};
use head::{Head, HeadError};
use queue::{Queue, Waiting};

use crate::limits::{Block, Blocks, Bucket};

/// Where signalling is served.
pub const PATH: &str = "/signal";

/// How much time clients get.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// To finish TLS and the head of the request.
    pub head: Duration,
    /// To be silent, before they are asked whether they are there.
    pub quiet: Duration,
    /// To answer that.
    pub answer: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            quiet: Duration::from_secs(30),
            answer: Duration::from_secs(20),
        }
    }
}

/// Makes a page for its path, or none.
pub type Pages = dyn Fn(&str, &Counts) -> Option<Page> + Send + Sync;

/// How a signaller is run.
#[derive(Clone)]
pub struct SignallerConfig {
    /// Who may come, and how often.
    pub limits: HallLimits,
    /// How long they may take.
    pub patience: Patience,
    /// Bytes of one client that are forwarded: a second, and at once.
    pub rate: (u32, u32),
    /// The servers for ICE that clients are told about, made anew for each.
    pub ice: Arc<dyn Fn() -> Vec<IceServer> + Send + Sync>,
    /// What else is served here: a page for its path.
    pub pages: Arc<Pages>,
}

impl Default for SignallerConfig {
    fn default() -> Self {
        Self {
            limits: HallLimits::default(),
            patience: Patience::default(),
            rate: (2 * 1024 * 1024, 4 * 1024 * 1024),
            ice: Arc::new(Vec::new),
            pages: Arc::new(|_, _| None),
        }
    }
}

/// Something to read over plain HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// `200`, `503`.
    pub status: u16,
    /// What it is.
    pub media_type: &'static str,
    /// The text.
    pub body: String,
}

/// What goes on, in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections.
    pub clients: usize,
    /// Topics with somebody there.
    pub topics: usize,
    /// Connections since the start.
    pub arrived: u64,
    /// Connections, joins and messages that were refused.
    pub refused: u64,
    /// Payloads that were forwarded.
    pub forwarded: u64,
    /// Their bytes.
    pub forwarded_bytes: u64,
}

/// A signaller. Cloning shares it; [`Signaller::close`] ends all its connections.
#[derive(Clone)]
pub struct Signaller {
    inner: Arc<Inner>,
}

struct Inner {
    config: SignallerConfig,
    blocks: Blocks,
    state: Mutex<State>,
    closing: watch::Sender<bool>,
    totals: Totals,
    /// Connections that have not asked for anything yet; more are not accepted meanwhile.
    strangers: Arc<Semaphore>,
}

struct State {
    hall: Hall,
    queues: HashMap<ClientId, Queue>,
    rng: StdRng,
}

#[derive(Default)]
struct Totals {
    arrived: AtomicU64,
    refused: AtomicU64,
    forwarded: AtomicU64,
    forwarded_bytes: AtomicU64,
}

/// Connections at once that have not finished their request.
const MOST_STRANGERS: usize = 512;
/// How often it forgets the blocks of addresses that no limit counts any more.
const FORGETTING: Duration = Duration::from_secs(60);

impl Signaller {
    /// A signaller without connections.
    ///
    /// # Errors
    /// If the system gives no randomness.
    pub fn new(config: SignallerConfig) -> io::Result<Self> {
        let mut key = [0; 16];
        getrandom::fill(&mut key).map_err(|error| io::Error::other(error.to_string()))?;
        let rng = StdRng::try_from_rng(&mut SysRng).map_err(|error| io::Error::other(error.to_string()))?;
        let state = State { hall: Hall::new(config.limits), queues: HashMap::new(), rng };
        let inner = Inner {
            config,
            blocks: Blocks::new(key),
            state: Mutex::new(state),
            closing: watch::Sender::new(false),
            totals: Totals::default(),
            strangers: Arc::new(Semaphore::new(MOST_STRANGERS)),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Serves whoever connects, until [`Signaller::close`]; then ends what it began.
    ///
    /// # Errors
    /// If the listener fails for good.
    pub async fn serve(&self, listener: TcpListener, tls: Option<TlsAcceptor>) -> io::Result<()> {
        let mut closing = self.inner.closing.subscribe();
        let mut connections = JoinSet::new();
        let mut forgetting = tokio::time::interval(FORGETTING);
        let outcome = loop {
            let Ok(stranger) = Arc::clone(&self.inner.strangers).acquire_owned().await else {
                break Ok(());
            };
            let accepted = tokio::select! {
                accepted = poll_fn(|context| self.accept(&listener, context)) => accepted,
                _ = closing.wait_for(|closing| *closing) => break Ok(()),
                Some(_) = connections.join_next() => continue,
                _ = forgetting.tick() => {
                    self.state().hall.forget(Instant::now());
                    continue;
                }
            };
            let (stream, block) = match accepted {
                Ok(accepted) => accepted,
                Err(error) if passes(&error) => {
                    // Out of descriptors: those who are here finish first.
                    sleep(Duration::from_millis(100)).await;
                    continue;
                }
                Err(error) => break Err(error),
            };
            // Small frames must not wait for each other.
            let _ = stream.set_nodelay(true);
            let (signaller, tls) = (self.clone(), tls.clone());
            connections.spawn(async move {
                let patience = signaller.inner.config.patience.head;
                match tls {
                    None => signaller.receive(stream, block, stranger, patience).await,
                    Some(tls) => {
                        if let Ok(Ok(stream)) = timeout(patience, tls.accept(stream)).await {
                            signaller.receive(stream, block, stranger, patience).await;
                        }
                    }
                }
            });
        };
        while connections.join_next().await.is_some() {}
        outcome
    }

    /// A connection, and the block of addresses that it comes from. The address itself is nowhere afterwards, not even
    /// on the stack.
    fn accept(
        &self,
        listener: &TcpListener,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<(TcpStream, Block)>> {
        let accepted = accept_from_block(&self.inner.blocks, listener, context);
        if accepted.is_ready() {
            wipe_stack();
        }
        accepted
    }

    /// Tells everybody that it closes, and ends all connections.
    pub fn close(&self) {
        self.inner.closing.send_replace(true);
    }

    /// What goes on.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let (clients, topics) = self.state().hall.counts();
        let totals = &self.inner.totals;
        Counts {
            clients,
            topics,
            arrived: totals.arrived.load(Ordering::Relaxed),
            refused: totals.refused.load(Ordering::Relaxed),
            forwarded: totals.forwarded.load(Ordering::Relaxed),
            forwarded_bytes: totals.forwarded_bytes.load(Ordering::Relaxed),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The table is whole after every message, so a panic elsewhere spoils nothing.
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn receive<S>(
        &self,
        mut stream: S,
        block: Block,
        stranger: tokio::sync::OwnedSemaphorePermit,
        patience: Duration,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let read = timeout(patience, head::read(&mut stream)).await;
        drop(stranger);
        let page = match read {
            Ok(Ok(head)) if head.path() == PATH => return self.meet(stream, head, block).await,
            Ok(Ok(head)) => (self.inner.config.pages)(head.path(), &self.counts())
                .unwrap_or_else(|| plain(404, "there is nothing here\n")),
            Ok(Err(HeadError::Bad(status))) => plain(status, "this request cannot be read\n"),
            Ok(Err(HeadError::Gone)) => return,
            Err(_) => plain(408, "the request took too long\n"),
        };
        let _ = timeout(patience, respond(&mut stream, &page)).await;
    }

    async fn meet<S>(&self, mut stream: S, head: Head, block: Block)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let patience = self.inner.config.patience.head;
        let Some(answer) = head.upgrade() else {
            let page = plain(426, "signalling is spoken over a WebSocket\n");
            let _ = timeout(patience, respond(&mut stream, &page)).await;
            return;
        };
        let arrived = self.state().hall.arrive(block, Instant::now());
        let Ok(id) = arrived else {
            self.inner.totals.refused.fetch_add(1, Ordering::Relaxed);
            let page = plain(429, "too many connections from where you are\n");
            let _ = timeout(patience, respond(&mut stream, &page)).await;
            return;
        };
        self.inner.totals.arrived.fetch_add(1, Ordering::Relaxed);
        let (queue, waiting) = queue::bounded();
        self.state().queues.insert(id, queue);
        // However the conversation ends, also by a panic, the client is gone afterwards.
        let _gone = Departure { signaller: self, id };
        if !matches!(timeout(patience, stream.write_all(&answer)).await, Ok(Ok(()))) {
            return;
        }
        let config = WebSocketConfig::default()
            .max_message_size(Some(LONGEST_MESSAGE))
            .max_frame_size(Some(LONGEST_MESSAGE))
            .read_buffer_size(16 * 1024)
            .write_buffer_size(0);
        let socket =
            WebSocketStream::from_partially_read(stream, head.rest, Role::Server, Some(config)).await;
        self.converse(id, socket, waiting).await;
    }

    async fn converse<S>(&self, id: ClientId, socket: WebSocketStream<S>, mut waiting: Waiting)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let patience = self.inner.config.patience;
        let (mut to_client, mut from_client) = socket.split();
        let (seen, mut last_seen) = watch::channel(Instant::now());
        let reading = async {
            let (rate, burst) = self.inner.config.rate;
            let mut bucket = Bucket::full(rate, burst, Instant::now());
            while let Some(Ok(message)) = from_client.next().await {
                seen.send_replace(Instant::now());
                match message {
                    Message::Binary(bytes) => {
                        let cost = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
                        if !self.take(id, &bytes) {
                            return;
                        }
                        // Reading slower is what slows the sender down.
                        sleep(bucket.borrow(cost, Instant::now())).await;
                    }
                    Message::Close(_) | Message::Text(_) => return,
                    Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
                }
            }
        };
        let writing = async {
            while let Some(message) = waiting.next().await {
                // A client that takes nothing for so long is as good as gone.
                let sent = timeout(patience.answer, to_client.send(message)).await;
                if !matches!(sent, Ok(Ok(()))) {
                    return;
                }
            }
        };
        let mut closing = self.inner.closing.subscribe();
        tokio::select! {
            () = reading => {}
            () = writing => {}
            () = self.silence(id, &mut last_seen) => {}
            _ = closing.wait_for(|closing| *closing) => {}
        }
        if *closing.borrow() {
            let message = ServerMessage::Refused { topic: None, why: Refusal::Closing }.encode();
            let farewell = async {
                to_client.send(Message::Binary(message.into())).await?;
                to_client.close().await
            };
            let _ = timeout(Duration::from_millis(500), farewell).await;
        }
    }

    /// Returns when a client has been silent for too long, after it was asked whether it is there.
    async fn silence(&self, id: ClientId, last_seen: &mut watch::Receiver<Instant>) {
        let patience = self.inner.config.patience;
        loop {
            let seen = *last_seen.borrow_and_update();
            sleep((seen + patience.quiet).saturating_duration_since(Instant::now())).await;
            if *last_seen.borrow() != seen {
                continue;
            }
            self.ask(id);
            if timeout(patience.answer, last_seen.changed()).await.is_err() {
                return;
            }
        }
    }

    /// Asks a client whether it is there.
    fn ask(&self, id: ClientId) {
        if let Some(queue) = self.state().queues.get(&id) {
            queue.ask();
        }
    }

    /// Handles one message; `false` ends the connection.
    fn take(&self, id: ClientId, bytes: &Bytes) -> bool {
        let message = match ClientMessage::decode(bytes) {
            Ok(message) => message,
            Err(_) => {
                self.refuse(id, Refusal::Malformed);
                return false;
            }
        };
        if message == ClientMessage::AskIceServers {
            let servers = (self.inner.config.ice)();
            let outgoing = vec![Outgoing { to: id, message: ServerMessage::IceServers { servers } }];
            self.post(&self.state(), outgoing, id);
            return true;
        }
        let mut state = self.state();
        let State { hall, rng, .. } = &mut *state;
        let outgoing = hall.handle(id, message, Instant::now(), rng);
        self.post(&state, outgoing, id);
        true
    }

    fn refuse(&self, id: ClientId, why: Refusal) {
        let outgoing = vec![Outgoing { to: id, message: ServerMessage::Refused { topic: None, why } }];
        self.post(&self.state(), outgoing, id);
    }

    /// Puts messages into the queues of those they are for. Under the same lock as what they come from: otherwise
    /// somebody could hear who came to a topic, or their words, before hearing that they are there themselves.
    fn post(&self, state: &State, outgoing: Vec<Outgoing>, sender: ClientId) {
        for Outgoing { to, message } in outgoing {
            let totals = &self.inner.totals;
            let forwarded = match &message {
                ServerMessage::Payload { topic, payload, .. } => Some((*topic, payload.len())),
                ServerMessage::Refused { .. } => {
                    totals.refused.fetch_add(1, Ordering::Relaxed);
                    None
                }
                _ => None,
            };
            let Some(queue) = state.queues.get(&to) else { continue };
            let fits = queue.push(message.encode().into());
            match forwarded {
                Some((_, length)) if fits => {
                    totals.forwarded.fetch_add(1, Ordering::Relaxed);
                    totals
                        .forwarded_bytes
                        .fetch_add(u64::try_from(length).unwrap_or(u64::MAX), Ordering::Relaxed);
                }
                Some((topic, _)) => {
                    totals.refused.fetch_add(1, Ordering::Relaxed);
                    let slow = ServerMessage::Refused { topic: Some(topic), why: Refusal::Slow };
                    if let Some(queue) = state.queues.get(&sender) {
                        queue.push(slow.encode().into());
                    }
                }
                // Who does not even hear who comes and goes must start over.
                None if !fits => queue.close(),
                None => {}
            }
        }
    }
}

/// The only place that sees an address. Never inlined: what it leaves on the stack is below its caller.
#[inline(never)]
fn accept_from_block(
    blocks: &Blocks,
    listener: &TcpListener,
    context: &mut Context<'_>,
) -> Poll<io::Result<(TcpStream, Block)>> {
    listener.poll_accept(context).map_ok(|(stream, address)| (stream, blocks.of(address.ip())))
}

/// Overwrites what functions that have returned left on the stack.
#[inline(never)]
fn wipe_stack() {
    let mut left = [0_u8; 32 * 1024];
    left.zeroize();
}

/// Removes a client however its conversation ends.
struct Departure<'a> {
    signaller: &'a Signaller,
    id: ClientId,
}

impl Drop for Departure<'_> {
    fn drop(&mut self) {
        let mut state = self.signaller.state();
        state.queues.remove(&self.id);
        let outgoing = state.hall.depart(self.id);
        self.signaller.post(&state, outgoing, self.id);
    }
}

fn plain(status: u16, text: &str) -> Page {
    Page { status, media_type: "text/plain; charset=utf-8", body: text.to_owned() }
}

async fn respond(stream: &mut (impl AsyncWrite + Unpin), page: &Page) -> io::Result<()> {
    let reason = match page.status {
        200 => "OK",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        _ => "Bad Request",
    };
    let head = format!(
        "HTTP/1.1 {} {reason}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        page.status,
        page.media_type,
        page.body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(page.body.as_bytes()).await?;
    stream.shutdown().await
}

/// Whether a listener that failed so may succeed later.
fn passes(error: &io::Error) -> bool {
    !matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::NotConnected)
}
