//! A world of two sessions and the paths between them: it delays, loses, repeats, reorders, cuts and mends.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use halo_protocol::Timestamp;
use halo_protocol::channel::{
    Closed, Effect, Established, Handshake, Input, Limits, OneTimeSecret, PathId, PathKind, Purpose, Session,
    Step, StreamId, Unsent,
};
use halo_protocol::signal::Topic;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::signer::NOON;

pub(crate) const INVITATION: Purpose =
    Purpose::Invitation { topic: Topic::from_bytes([7; 16]), binding: [8; 32] };

/// Both ends of a completed handshake; the initiator's first.
pub(crate) fn established(seed: u64) -> [Established; 2] {
    let mut rng = StdRng::seed_from_u64(seed);
    let secret = OneTimeSecret::make(&mut rng);
    let (guest, first) = Handshake::scanning(&INVITATION, &secret.public(), &mut rng).unwrap();
    let host = Handshake::showing(&INVITATION, &secret, &mut rng).unwrap();
    let Step::Done { reply: Some(second), established: responder } = host.read(&first).unwrap() else {
        panic!()
    };
    let Step::Done { reply: None, established: initiator } = guest.read(&second).unwrap() else { panic!() };
    [initiator, responder]
}

/// How a path treats what it is given.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weather {
    pub(crate) delay: u64,
    /// Added to the delay, by chance; more than 0 reorders.
    pub(crate) jitter: u64,
    /// Of a thousand.
    pub(crate) lost: u32,
    pub(crate) repeated: u32,
    pub(crate) altered: u32,
    /// Bytes a millisecond; 0 for no limit.
    pub(crate) rate: usize,
}

impl Weather {
    pub(crate) const FAIR: Self = Self { delay: 10, jitter: 0, lost: 0, repeated: 0, altered: 0, rate: 0 };
    pub(crate) const FOUL: Self =
        Self { delay: 20, jitter: 40, lost: 50, repeated: 50, altered: 20, rate: 0 };
}

struct Path {
    kind: PathKind,
    weather: Weather,
    /// Takes everything and delivers nothing.
    dead: bool,
    /// Each direction is busy until then.
    busy: [u64; 2],
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrives { to: usize, path: u64, bytes: Vec<u8> },
}

/// What one end saw.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) delivered: BTreeMap<StreamId, Vec<Vec<u8>>>,
    /// In the order of delivery.
    pub(crate) order: Vec<(u64, StreamId)>,
    pub(crate) in_use: Vec<Option<PathKind>>,
    pub(crate) closed: Option<Closed>,
    pub(crate) unsent: Vec<(StreamId, Unsent)>,
    pub(crate) writable: BTreeSet<StreamId>,
    /// Bytes sent over the relay, and over the rest.
    pub(crate) relayed: usize,
    pub(crate) direct: usize,
    pub(crate) frames: Vec<Vec<u8>>,
    pub(crate) refused: Vec<PathId>,
}

pub(crate) struct World {
    pub(crate) ends: [Session; 2],
    pub(crate) seen: [Seen; 2],
    pub(crate) rng: StdRng,
    pub(crate) now: u64,
    /// Streams that nobody reads at this end.
    pub(crate) unread: [BTreeSet<StreamId>; 2],
    paths: BTreeMap<u64, Path>,
    next_path: u64,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    serial: u64,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        Self::with(seed, Limits::default())
    }

    pub(crate) fn with(seed: u64, limits: Limits) -> Self {
        Self::between(&established(seed), limits, seed)
    }

    /// A world of these two ends.
    pub(crate) fn between(ends: &[Established; 2], limits: Limits, seed: u64) -> Self {
        let ends = ends.each_ref().map(|end| Session::new(end, limits, NOON));
        Self {
            ends,
            seen: Default::default(),
            rng: StdRng::seed_from_u64(seed ^ 0x5eed),
            now: 0,
            unread: Default::default(),
            paths: BTreeMap::new(),
            next_path: 1,
            events: BinaryHeap::new(),
            serial: 0,
        }
    }

    pub(crate) fn time(&self) -> Timestamp {
        Timestamp::from_millis(NOON.as_millis() + self.now)
    }

    pub(crate) fn open(&mut self, kind: PathKind, weather: Weather) -> u64 {
        let path = self.next_path;
        self.next_path += 1;
        self.paths.insert(path, Path { kind, weather, dead: false, busy: [self.now; 2] });
        for end in 0..2 {
            self.input(end, Input::PathOpened { path: PathId(path), kind });
        }
        path
    }

    /// Nothing comes through any more, and nobody is told.
    pub(crate) fn kill(&mut self, path: u64) {
        if let Some(path) = self.paths.get_mut(&path) {
            path.dead = true;
        }
    }

    pub(crate) fn mend(&mut self, path: u64) {
        if let Some(path) = self.paths.get_mut(&path) {
            path.dead = false;
        }
    }

    /// The path is gone, with all that was on it; both are told.
    pub(crate) fn close(&mut self, path: u64) {
        self.paths.remove(&path);
        for end in 0..2 {
            self.input(end, Input::PathClosed { path: PathId(path) });
        }
    }

    pub(crate) fn say(&mut self, end: usize, stream: StreamId, message: impl Into<Vec<u8>>) {
        self.input(end, Input::Send { stream, message: message.into() });
    }

    pub(crate) fn input(&mut self, end: usize, input: Input) {
        let now = self.time();
        let mut queue = vec![input];
        while let Some(input) = queue.pop() {
            for effect in self.ends[end].handle(input, now) {
                match effect {
                    Effect::SendFrame { path, bytes } => self.carry(end, path.0, bytes),
                    Effect::Deliver { stream, message } => {
                        if !self.unread[end].contains(&stream) {
                            queue.push(Input::Taken { stream, bytes: message.len() });
                        }
                        self.seen[end].order.push((self.now, stream));
                        self.seen[end].delivered.entry(stream).or_default().push(message);
                    }
                    Effect::Writable { stream } => {
                        self.seen[end].writable.insert(stream);
                    }
                    Effect::Unsent { stream, why, .. } => self.seen[end].unsent.push((stream, why)),
                    Effect::PathInUse(kind) => self.seen[end].in_use.push(kind),
                    Effect::ClosePath { path } => self.seen[end].refused.push(path),
                    Effect::Closed { why } => {
                        assert_eq!(self.seen[end].closed, None, "it ends once");
                        self.seen[end].closed = Some(why);
                    }
                }
            }
        }
    }

    /// Hands an end some bytes on a path, as if they had come over it.
    pub(crate) fn forge(&mut self, end: usize, path: u64, bytes: Vec<u8>) {
        self.input(end, Input::Frame { path: PathId(path), bytes });
    }

    fn carry(&mut self, from: usize, name: u64, bytes: Vec<u8>) {
        let seen = &mut self.seen[from];
        if seen.frames.len() < 4_096 {
            seen.frames.push(bytes.clone());
        }
        let Some(path) = self.paths.get_mut(&name) else { return };
        match path.kind {
            PathKind::Relay => seen.relayed += bytes.len(),
            _ => seen.direct += bytes.len(),
        }
        let weather = path.weather;
        let chance = |rng: &mut StdRng, of: u32| rng.random_range(0..1000) < of;
        if path.dead || chance(&mut self.rng, weather.lost) {
            return;
        }
        let mut copies = vec![bytes];
        if chance(&mut self.rng, weather.repeated) {
            copies.push(copies[0].clone());
        }
        for mut copy in copies {
            if chance(&mut self.rng, weather.altered) {
                let at = self.rng.random_range(0..copy.len());
                copy[at] ^= 1 << self.rng.random_range(0..8);
            }
            let mut leaves = path.busy[from].max(self.now);
            if let Some(took) = copy.len().checked_div(weather.rate) {
                leaves += took as u64;
                path.busy[from] = leaves;
            }
            let jitter = if weather.jitter == 0 { 0 } else { self.rng.random_range(0..weather.jitter) };
            self.serial += 1;
            let event = Event::Arrives { to: 1 - from, path: name, bytes: copy };
            self.events.push(Reverse((leaves + weather.delay + jitter, self.serial, event)));
        }
    }

    /// When something happens next.
    fn next(&self) -> Option<u64> {
        let deadlines = self.ends.iter().filter_map(Session::deadline);
        let deadlines = deadlines.map(|deadline| deadline.as_millis().saturating_sub(NOON.as_millis()));
        deadlines.chain(self.events.peek().map(|Reverse((at, _, _))| *at)).min()
    }

    /// Lets so many milliseconds pass.
    pub(crate) fn pass(&mut self, millis: u64) {
        let until = self.now + millis;
        let mut steps = 0_u64;
        while let Some(at) = self.next().filter(|at| *at <= until) {
            steps += 1;
            assert!(steps < 2_000_000, "nobody stands still and asks for the time");
            self.now = self.now.max(at);
            while let Some(Reverse((at, _, _))) = self.events.peek() {
                if *at > self.now {
                    break;
                }
                let Some(Reverse((_, _, Event::Arrives { to, path, bytes }))) = self.events.pop() else {
                    break;
                };
                if self.paths.contains_key(&path) {
                    self.input(to, Input::Frame { path: PathId(path), bytes });
                }
            }
            for end in 0..2 {
                let due = self.ends[end].deadline().is_some_and(|deadline| deadline <= self.time());
                if due {
                    self.input(end, Input::Tick);
                }
            }
        }
        self.now = until;
    }

    /// Lets time pass until `done`, and so long at most.
    pub(crate) fn until(&mut self, most: u64, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + most;
        while self.now < end {
            if done(self) {
                return true;
            }
            self.pass(5);
        }
        done(self)
    }

    /// What an end was told on a stream.
    pub(crate) fn heard(&self, end: usize, stream: StreamId) -> &[Vec<u8>] {
        self.seen[end].delivered.get(&stream).map(Vec::as_slice).unwrap_or_default()
    }
}
