//! The conversation: drives the session between its paths, its peer and its owner.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use halo_protocol::channel::{
    Closed, Effect, Effects, Established, Input, LONGEST_MESSAGE, PathId, PathKind as Kind, Session,
    StreamId, Unsent,
};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::attempts::{Attempts, What};
use super::stats::{Counted, Taken};
use super::task::{End, Peer, PeerNotice, ToPeer, now};
use super::{
    CloseReason, Connection, ConnectionEvent, ConnectionId, ConnectionReceiver, ConnectionSender, OWN_STREAM,
    Operation, PathKind,
};
use crate::error::MeshError;
use crate::greeting::Greeting;
use crate::paths::{Numbered, PathEvent, Signal};

/// Operations and events that wait.
const OPERATIONS: usize = 32;
const EVENTS: usize = 64;
/// The peer's first word takes no longer, or its end of the handshake did not come about.
const PROOF: Duration = Duration::from_secs(20);
/// A session whose peer was silent for so long gives way to another handshake of that peer.
const GIVES_WAY: Duration = Duration::from_secs(5);

static NEXT: AtomicU64 = AtomicU64::new(1);

struct Conversation<'a> {
    peer: &'a Peer,
    session: Session,
    attempts: Attempts,
    /// Events that the owner has not taken.
    ready: VecDeque<ConnectionEvent>,
    /// Writers that wait until their stream has room.
    stopped: HashMap<StreamId, VecDeque<Writer>>,
    counted: Arc<Counted>,
    heard: Instant,
    proven: bool,
    over: Option<CloseReason>,
}

type Done = oneshot::Sender<Result<(), MeshError>>;
type Writer = (Vec<u8>, Done);

impl Peer {
    /// Returns when the session is over.
    pub(super) async fn converse(&mut self, established: &Established) -> End {
        let (operations, mut waiting) = mpsc::channel(OPERATIONS);
        let (events, receiver) = mpsc::channel(EVENTS);
        let (counted, taken) = (Arc::new(Counted::default()), Arc::new(Taken::default()));
        let sender = ConnectionSender {
            id: ConnectionId(NEXT.fetch_add(1, Ordering::Relaxed)),
            role: established.role(),
            hash: established.hash(),
            remote: established.peer(),
            operations,
            counted: Arc::clone(&counted),
        };
        let receiver = ConnectionReceiver { events: receiver, taken: Arc::clone(&taken) };
        let connection = Connection { sender, receiver };
        if self.hub.send(PeerNotice::Connected { peer: self.key, connection }).await.is_err() {
            return End::Over(CloseReason::Here);
        }

        let (tell, mut paths) = mpsc::channel(64);
        let mut carriers = self.carriers.clone();
        let mut options = self.options.clone();
        // The inbox is ours alone; the rest of the peer only looks on.
        let (_, nothing) = mpsc::channel(1);
        let mut inbox = std::mem::replace(&mut self.inbox, nothing);
        let mut talk = Conversation {
            session: Session::new(established, self.limits, now()),
            attempts: Attempts::new(self.first, tell),
            peer: self,
            ready: VecDeque::new(),
            stopped: HashMap::new(),
            counted,
            heard: Instant::now(),
            proven: false,
            over: None,
        };
        let mut again = None;
        let begun = Instant::now();
        let (mut speakers, mut reader) = (true, true);
        for (path, carrier) in &carriers {
            talk.handle(Input::PathOpened { path: *path, kind: carrier.kind() }).await;
        }
        talk.whisper(Numbered { attempt: 0, signal: Signal::Here }).await;
        let opened = talk.attempts.begin(&options.borrow_and_update());
        talk.whispers(opened).await;
        while talk.over.is_none() {
            let deadline = talk.deadline();
            let retry = talk.attempts.retry();
            tokio::select! {
                message = inbox.recv() => match message {
                    None => talk.handle(Input::Abort).await,
                    Some(ToPeer::End(reason)) => {
                        let input = if reason == CloseReason::Here { Input::Close } else { Input::Abort };
                        talk.handle(input).await;
                        if reason != CloseReason::Here {
                            talk.over = Some(reason);
                        }
                    }
                    Some(ToPeer::Said { path, greeting: Greeting::Handshake { attempt, bytes } }) => {
                        let course = &talk.peer.course;
                        let silent = !talk.proven || talk.heard.elapsed() >= GIVES_WAY;
                        if let Some(answer) = course.again(attempt, &bytes) {
                            // Our last word did not arrive; what follows from it cannot have been heard either.
                            talk.peer.utter(path, answer).await;
                        } else if course.is_newer(attempt) && silent {
                            again = Some((path, attempt, bytes));
                            talk.over = Some(CloseReason::Replaced);
                        }
                    }
                    Some(message) => {
                        message.note(&mut carriers);
                        talk.hub_says(message).await;
                    }
                },
                Some((path, event)) = paths.recv() => talk.path_says(path, event).await,
                operation = waiting.recv(), if speakers => match operation {
                    Some(Operation::Send { stream, bytes, done }) => talk.send(stream, bytes, done).await,
                    Some(Operation::Close) => talk.handle(Input::Close).await,
                    None => {
                        speakers = false;
                        if !reader {
                            talk.handle(Input::Close).await;
                        }
                    }
                },
                () = taken.added() => {
                    for (stream, bytes) in taken.all() {
                        talk.handle(Input::Taken { stream, bytes }).await;
                    }
                }
                permit = events.reserve(), if reader && !talk.ready.is_empty() => match permit {
                    Ok(permit) => if let Some(event) = talk.ready.pop_front() { permit.send(event) },
                    Err(_) => {
                        reader = false;
                        talk.forget_reader(speakers).await;
                    }
                },
                () = events.closed(), if reader => {
                    reader = false;
                    talk.forget_reader(speakers).await;
                }
                changed = options.changed() => match changed {
                    Ok(()) => {
                        let (closed, signals) = talk.attempts.changed(&options.borrow_and_update());
                        for path in closed {
                            talk.handle(Input::PathClosed { path }).await;
                        }
                        talk.whispers(signals).await;
                    }
                    Err(_) => talk.handle(Input::Abort).await,
                },
                () = sleep_until(deadline) => talk.handle(Input::Tick).await,
                () = sleep_until(retry.unwrap_or(deadline)), if retry.is_some() => {
                    talk.attempts.again(&options.borrow());
                }
                () = sleep_until(begun + PROOF), if !talk.proven => {
                    talk.handle(Input::Abort).await;
                    talk.over = Some(CloseReason::Lost);
                    again = again.or(Some((PathId(0), 0, Vec::new())));
                }
            }
            if !reader {
                talk.discard().await;
            }
        }
        let reason = talk.over.unwrap_or(CloseReason::Lost);
        let mut ready = std::mem::take(&mut talk.ready);
        talk.counted.path(None);
        drop(talk);
        ready.push_back(ConnectionEvent::Closed(reason));
        if reader {
            // What was delivered is the owner's, however slowly it reads. The connection is what owns this.
            tokio::spawn(async move {
                for event in ready {
                    if events.send(event).await.is_err() {
                        return;
                    }
                }
            });
        }
        self.inbox = inbox;
        self.carriers = carriers;
        match again {
            Some((path, attempt, bytes)) => {
                self.pending = (!bytes.is_empty()).then_some((path, attempt, bytes));
                End::Again
            }
            None => End::Over(reason),
        }
    }
}

impl Conversation<'_> {
    async fn handle(&mut self, input: Input) {
        let effects = self.session.handle(input, now());
        self.act(effects).await;
    }

    /// Does what the session wants done.
    async fn act(&mut self, effects: impl IntoIterator<Item = Effect>) {
        // What follows from an effect comes after all that was before it.
        let mut todo: VecDeque<Effect> = effects.into_iter().collect();
        while let Some(effect) = todo.pop_front() {
            match effect {
                Effect::SendFrame { path, bytes } => {
                    self.counted.sent(bytes.len());
                    if let Some(bytes) = self.attempts.send(path, bytes) {
                        self.peer.say(path, Greeting::Frame(bytes)).await;
                    }
                }
                Effect::Deliver { stream, message } if stream == OWN_STREAM => {
                    // Both ends say at once that they are there.
                    self.proven = true;
                    let bytes = message.len();
                    todo.extend(self.session.handle(Input::Taken { stream, bytes }, now()));
                    todo.extend(self.own(&message));
                }
                Effect::Deliver { stream, message } => {
                    self.ready.push_back(ConnectionEvent::Message { stream, bytes: message });
                }
                Effect::Writable { stream } => {
                    let writers = self.stopped.remove(&stream).unwrap_or_default();
                    for (bytes, done) in writers {
                        todo.extend(self.say(stream, bytes, done));
                    }
                }
                // Writers' messages are seen to in `say`; our own words are few, and said again with the next attempt.
                Effect::Unsent { .. } => {}
                Effect::PathInUse(kind) => {
                    let kind = kind.map(|kind| self.attempts.shown(kind));
                    self.counted.path(kind);
                    self.ready.push_back(ConnectionEvent::Path(kind));
                }
                Effect::ClosePath { path } => self.attempts.close(path),
                Effect::Closed { why } => {
                    self.over = Some(match why {
                        Closed::Here => CloseReason::Here,
                        Closed::ByPeer => CloseReason::ByPeer,
                        Closed::Broken | Closed::Silent { .. } => CloseReason::Lost,
                        Closed::Violation { what } => CloseReason::Violation(what),
                    });
                }
            }
        }
        if let Some(round_trip) = self.session.round_trip() {
            self.counted.round_trip(Some(round_trip));
        }
    }

    /// A word of the peer's mesh.
    fn own(&mut self, message: &[u8]) -> Vec<Effect> {
        let Some(numbered) = Numbered::decode(message) else { return Vec::new() };
        let options = self.peer.options.borrow().clone();
        let answers = self.attempts.heard(numbered, &options);
        answers.into_iter().flat_map(|answer| self.whispered(&answer)).collect()
    }

    /// Says something to the peer's mesh.
    async fn whisper(&mut self, numbered: Numbered) {
        let effects = self.whispered(&numbered);
        self.act(effects).await;
    }

    async fn whispers(&mut self, signals: Vec<Numbered>) {
        for signal in signals {
            self.whisper(signal).await;
        }
    }

    fn whispered(&mut self, numbered: &Numbered) -> Effects {
        let message = numbered.encode();
        self.session.handle(Input::Send { stream: OWN_STREAM, message }, now())
    }

    async fn send(&mut self, stream: StreamId, bytes: Vec<u8>, done: Done) {
        if let Some(writers) = self.stopped.get_mut(&stream) {
            writers.push_back((bytes, done));
            return;
        }
        let effects = self.say(stream, bytes, done);
        self.act(effects).await;
    }

    /// Says something for a writer, who is told what became of it, or waits until there is room.
    fn say(&mut self, stream: StreamId, message: Vec<u8>, done: Done) -> Vec<Effect> {
        let mut rest = Vec::new();
        let mut unsent = None;
        for effect in self.session.handle(Input::Send { stream, message }, now()) {
            match effect {
                Effect::Unsent { message, why, .. } => unsent = Some((message, why)),
                other => rest.push(other),
            }
        }
        // Writers that are gone need no answer.
        match unsent {
            Some((message, Unsent::Full)) => {
                self.stopped.entry(stream).or_default().push_back((message, done));
            }
            Some((message, Unsent::TooLong)) => {
                let _ = done.send(Err(MeshError::TooLong { length: message.len(), most: LONGEST_MESSAGE }));
            }
            Some((_, Unsent::Closed | Unsent::TooManyStreams)) => {
                let _ = done.send(Err(MeshError::Disconnected));
            }
            None => {
                let _ = done.send(Ok(()));
            }
        }
        rest
    }

    async fn hub_says(&mut self, message: ToPeer) {
        match message {
            ToPeer::Opened { path, carrier } => {
                self.handle(Input::PathOpened { path, kind: carrier.kind() }).await;
            }
            ToPeer::Gone { path } => self.handle(Input::PathClosed { path }).await,
            ToPeer::Said { path, greeting: Greeting::Frame(bytes) } => self.frame(path, bytes).await,
            ToPeer::Disturbed => {
                self.handle(Input::Doubt).await;
                let options = self.peer.options.borrow().clone();
                let signals = self.attempts.disturbed(&options);
                self.whispers(signals).await;
            }
            ToPeer::Said { .. } | ToPeer::End(_) => {}
        }
    }

    async fn frame(&mut self, path: PathId, bytes: Vec<u8>) {
        self.heard = Instant::now();
        self.counted.received(bytes.len());
        self.handle(Input::Frame { path, bytes }).await;
    }

    async fn path_says(&mut self, path: PathId, event: PathEvent) {
        match event {
            PathEvent::Frame(bytes) => self.frame(path, bytes).await,
            event => match self.attempts.happened(path, event) {
                What::Nothing => {}
                What::Say(signal) => self.whisper(signal).await,
                What::Opened(kind) => {
                    self.handle(Input::PathOpened { path, kind }).await;
                    for old in self.attempts.superseded(path) {
                        self.handle(Input::PathClosed { path: old }).await;
                    }
                }
                What::Closed => self.handle(Input::PathClosed { path }).await,
            },
        }
    }

    /// The owner reads no more: what comes is dropped, and without speakers it is over.
    async fn forget_reader(&mut self, speakers: bool) {
        if !speakers {
            self.handle(Input::Close).await;
        }
    }

    async fn discard(&mut self) {
        while let Some(event) = self.ready.pop_front() {
            if let ConnectionEvent::Message { stream, bytes } = event {
                self.handle(Input::Taken { stream, bytes: bytes.len() }).await;
            }
        }
    }

    fn deadline(&self) -> Instant {
        let wait =
            self.session.deadline().map(|deadline| deadline.as_millis().saturating_sub(now().as_millis()));
        Instant::now() + Duration::from_millis(wait.unwrap_or(60_000))
    }
}

/// How a kind of path is shown, when no more is known of it.
pub(super) const fn shown(kind: Kind) -> PathKind {
    match kind {
        Kind::Relay => PathKind::Relay,
        Kind::Direct => PathKind::Direct,
        Kind::Lan => PathKind::Lan,
        Kind::Local => PathKind::Local,
    }
}
