//! What comes before the TURN server: limits, and one challenge for everybody.
//!
//! The server remembers a nonce for every stranger who asks without a name, for good. So strangers never get that
//! far: they are answered here, with a nonce that the server made when we asked it, twice an hour. Only requests
//! with that nonce, of addresses within their quota, go in.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use halo_mesh::limits::{Blocks, Rates};
use stun::attributes::{ATTR_MESSAGE_INTEGRITY, ATTR_NONCE, ATTR_REALM, ATTR_USERNAME};
use stun::error_code::{CODE_ALLOC_QUOTA_REACHED, CODE_STALE_NONCE, CODE_UNAUTHORIZED, ErrorCode};
use stun::message::{
    CLASS_ERROR_RESPONSE, CLASS_INDICATION, CLASS_REQUEST, METHOD_ALLOCATE, METHOD_BINDING, METHOD_SEND,
    Message, MessageType, Setter, is_message,
};
use stun::textattrs::{Nonce, Realm, Username};
use tokio::net::UdpSocket;
use tokio::time::timeout;
use webrtc_util::Conn;

use super::ledger::{Asker, Ledger};

/// The realm of this server: part of what passwords are bound to.
pub(super) const REALM: &str = "kube";
/// How long a nonce is handed out; the server itself takes it for an hour.
const NONCE_LIFE: Duration = Duration::from_secs(25 * 60);
/// The server answers at once; should it not, it is not asked without end.
const PATIENCE: Duration = Duration::from_secs(1);
/// Answers to strangers: so many a second from one block of addresses, and so many at once.
const STRANGERS: (u32, u32) = (20, 200);
/// How often it forgets the blocks of addresses that no limit counts any more.
const FORGETTING: Duration = Duration::from_secs(60);
/// Our own question to the server comes from here, where nobody else can be.
const OURSELVES: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// The socket that the TURN server listens on.
pub(super) struct Door {
    socket: UdpSocket,
    ledger: Ledger,
    state: Mutex<State>,
}

struct State {
    blocks: Blocks,
    rates: Rates,
    forgot: Instant,
    nonce: Option<(String, Instant)>,
    previous: Option<String>,
    asked: Option<Instant>,
}

/// What is done with a packet.
enum Verdict {
    /// The server shall see it.
    Enter,
    /// It is answered here.
    Answer(Vec<u8>),
    /// Nobody shall see it.
    Drop,
}

impl Door {
    pub(super) fn new(socket: UdpSocket, ledger: Ledger, key: [u8; 16]) -> Self {
        let state = State {
            blocks: Blocks::new(key),
            rates: Rates::new(STRANGERS.0, STRANGERS.1),
            forgot: Instant::now(),
            nonce: None,
            previous: None,
            asked: None,
        };
        Self { socket, ledger, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets blocks of addresses that are within their limits again, when it is time to.
    fn forget(&self) {
        let mut state = self.state();
        let now = Instant::now();
        if now.duration_since(state.forgot) >= FORGETTING {
            state.rates.forget(now);
            state.forgot = now;
        }
    }

    /// Our question for a nonce, when it is time for a new one.
    fn question(&self) -> Option<Vec<u8>> {
        let mut state = self.state();
        let fresh = |since: &Instant, life| since.elapsed() < life;
        if state.nonce.as_ref().is_some_and(|(_, since)| fresh(since, NONCE_LIFE))
            || state.asked.as_ref().is_some_and(|since| fresh(since, PATIENCE))
        {
            return None;
        }
        state.asked = Some(Instant::now());
        if let Some((nonce, _)) = state.nonce.take() {
            state.previous = Some(nonce);
        }
        let mut message = Message::new();
        let kind = MessageType::new(METHOD_ALLOCATE, CLASS_REQUEST);
        message.build(&[Box::new(kind)]).ok()?;
        Some(message.raw)
    }

    fn judge(&self, packet: &[u8], source: SocketAddr) -> Verdict {
        if !is_message(packet) {
            // Channel data: only from those who have a relayed address.
            return if self.ledger.has(source) { Verdict::Enter } else { Verdict::Drop };
        }
        let mut message = Message { raw: packet.to_vec(), ..Message::default() };
        if message.decode().is_err() {
            return Verdict::Drop;
        }
        match (message.typ.class, message.typ.method) {
            (CLASS_INDICATION, METHOD_SEND) if self.ledger.has(source) => Verdict::Enter,
            (CLASS_REQUEST, METHOD_BINDING) if self.answers(source) => Verdict::Enter,
            (CLASS_REQUEST, method) if method != METHOD_BINDING => self.request(&message, source),
            _ => Verdict::Drop,
        }
    }

    /// Whether this block of addresses is answered once more.
    fn answers(&self, source: SocketAddr) -> bool {
        let mut state = self.state();
        let block = state.blocks.of(source.ip());
        state.rates.take(block, 1, Instant::now())
    }

    fn request(&self, message: &Message, source: SocketAddr) -> Verdict {
        if !message.contains(ATTR_MESSAGE_INTEGRITY) {
            return self.challenge(message, source, CODE_UNAUTHORIZED);
        }
        let nonce = Nonce::get_from_as(message, ATTR_NONCE).map(|nonce| nonce.text).unwrap_or_default();
        if !self.knows(&nonce) {
            return self.challenge(message, source, CODE_STALE_NONCE);
        }
        if message.typ.method == METHOD_ALLOCATE {
            let Ok(name) = Username::get_from_as(message, ATTR_USERNAME) else { return Verdict::Drop };
            let block = self.state().blocks.of(source.ip());
            if !self.ledger.admit(Asker { source, name: name.text, block }) {
                return refuse(message, CODE_ALLOC_QUOTA_REACHED, Vec::new());
            }
        } else if !self.ledger.has(source) {
            return Verdict::Drop;
        }
        // Even who knows the nonce may only try so many passwords.
        if self.ledger.has(source) || self.answers(source) { Verdict::Enter } else { Verdict::Drop }
    }

    fn knows(&self, nonce: &str) -> bool {
        let state = self.state();
        state.nonce.as_ref().is_some_and(|(current, _)| current == nonce)
            || state.previous.as_deref() == Some(nonce)
    }

    fn challenge(&self, message: &Message, source: SocketAddr, code: ErrorCode) -> Verdict {
        if !self.answers(source) {
            return Verdict::Drop;
        }
        let Some(nonce) = self.state().nonce.as_ref().map(|(nonce, _)| nonce.clone()) else {
            return Verdict::Drop;
        };
        refuse(
            message,
            code,
            vec![Box::new(Nonce::new(ATTR_NONCE, nonce)), Box::new(Realm::new(ATTR_REALM, REALM.to_owned()))],
        )
    }

    /// Keeps the nonce from the server's answer to us.
    fn learn(&self, answer: &[u8]) {
        let mut message = Message { raw: answer.to_vec(), ..Message::default() };
        if message.decode().is_ok()
            && let Ok(nonce) = Nonce::get_from_as(&message, ATTR_NONCE)
        {
            self.state().nonce = Some((nonce.text, Instant::now()));
        }
    }
}

fn refuse(request: &Message, code: ErrorCode, more: Vec<Box<dyn Setter>>) -> Verdict {
    let transaction = Message { transaction_id: request.transaction_id, ..Message::default() };
    let kind = MessageType::new(request.typ.method, CLASS_ERROR_RESPONSE);
    let mut parts: Vec<Box<dyn Setter>> = vec![Box::new(transaction), Box::new(kind), Box::new(Reason(code))];
    parts.extend(more);
    let mut answer = Message::new();
    match answer.build(&parts) {
        Ok(()) => Verdict::Answer(answer.raw),
        Err(_) => Verdict::Drop,
    }
}

/// An error code without words.
struct Reason(ErrorCode);

impl Setter for Reason {
    fn add_to(&self, message: &mut Message) -> Result<(), stun::Error> {
        stun::error_code::ErrorCodeAttribute { code: self.0, reason: Vec::new() }.add_to(message)
    }
}

#[async_trait]
impl Conn for Door {
    async fn recv_from(&self, buffer: &mut [u8]) -> webrtc_util::Result<(usize, SocketAddr)> {
        // The server comes for the next packet when it is done with the last one.
        self.ledger.answered();
        loop {
            if let Some(question) = self.question()
                && let Some(start) = buffer.get_mut(..question.len())
            {
                start.copy_from_slice(&question);
                return Ok((question.len(), OURSELVES));
            }
            self.forget();
            let Ok(received) = timeout(FORGETTING, self.socket.recv_from(buffer)).await else { continue };
            let (length, source) = match received {
                Ok(got) => got,
                // Somebody's port was closed before our answer came (Windows says so here).
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => continue,
                Err(error) => return Err(error.into()),
            };
            match self.judge(buffer.get(..length).unwrap_or_default(), source) {
                Verdict::Enter => return Ok((length, source)),
                Verdict::Answer(answer) => {
                    // Lost answers are asked for again.
                    let _ = self.socket.try_send_to(&answer, source);
                }
                Verdict::Drop => self.ledger.answered(),
            }
        }
    }

    async fn send_to(&self, packet: &[u8], target: SocketAddr) -> webrtc_util::Result<usize> {
        if target == OURSELVES {
            self.learn(packet);
            return Ok(packet.len());
        }
        Ok(self.socket.send_to(packet, target).await?)
    }

    fn local_addr(&self) -> webrtc_util::Result<SocketAddr> {
        Ok(self.socket.local_addr()?)
    }

    fn remote_addr(&self) -> Option<SocketAddr> {
        None
    }

    async fn connect(&self, _: SocketAddr) -> webrtc_util::Result<()> {
        Err(unsupported())
    }

    async fn recv(&self, _: &mut [u8]) -> webrtc_util::Result<usize> {
        Err(unsupported())
    }

    async fn send(&self, _: &[u8]) -> webrtc_util::Result<usize> {
        Err(unsupported())
    }

    async fn close(&self) -> webrtc_util::Result<()> {
        Ok(())
    }

    fn as_any(&self) -> &(dyn std::any::Any + Send + Sync) {
        self
    }
}

/// The server only ever sends to, and receives from, an address.
pub(super) fn unsupported() -> webrtc_util::Error {
    io::Error::from(io::ErrorKind::Unsupported).into()
}
