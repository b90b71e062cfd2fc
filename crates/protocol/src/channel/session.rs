//! One conversation over changing paths: the machine.

use std::collections::VecDeque;
use std::time::Duration;

use super::flight::{Flight, RoundTrip};
use super::frame::{LONGEST_FRAME, LONGEST_PLAIN, Part, Sign, parts, signs};
use super::handshake::{Established, HandshakeHash};
use super::inbox::{Inbox, Order};
use super::io::{Closed, Effect, Effects, Input, Limits, Unsent};
use super::outbox::{Outbox, is_bulk};
use super::path::{PathId, PathKind, Paths};
use super::seal::{Opener, Sealer, Space, header};
use super::stream::{LONGEST_MESSAGE, StreamId};
use crate::time::Timestamp;

/// An acknowledgement waits no longer for company.
const ACK_DELAY: Duration = Duration::from_millis(10);
/// As many frames are acknowledged at once.
const ACK_AFTER: u32 = 16;
/// A clock that leaps so far says that the machine slept.
const SLEPT: Duration = Duration::from_secs(10);
/// How long closing waits for what was still to be said.
const LINGER: Duration = Duration::from_secs(5);

/// Frames of one lane, both ways.
struct Lane {
    space: Space,
    flight: Flight,
    order: Order,
    opener: Opener,
}

impl Lane {
    fn new(space: Space, established: &Established) -> Self {
        Self {
            space,
            flight: Flight::default(),
            order: Order::default(),
            opener: Opener::incoming(established, space),
        }
    }
}

enum Phase {
    Open,
    Closing { until: Timestamp },
    Over,
}

/// One conversation over changing paths.
pub struct Session {
    hash: HandshakeHash,
    limits: Limits,
    phase: Phase,
    paths: Paths,
    sealer: Sealer,
    /// Urgent, bulk.
    lanes: [Lane; 2],
    signals: Opener,
    signals_sent: u64,
    /// One more than the highest that came.
    signals_came: u64,
    pings: u64,
    /// Pings without an answer, with the path they went out on.
    pinged: VecDeque<(u64, PathId)>,
    round_trip: RoundTrip,
    outbox: Outbox,
    inbox: Inbox,
    unacknowledged: u32,
    ack_due: Option<Timestamp>,
    heard: Timestamp,
    seen: Timestamp,
    budget: Budget,
}

impl Session {
    /// A session of a completed handshake. Give it the path of the handshake next.
    #[must_use]
    pub fn new(established: &Established, limits: Limits, now: Timestamp) -> Self {
        Self {
            hash: established.hash(),
            limits,
            phase: Phase::Open,
            paths: Paths::default(),
            sealer: Sealer::outgoing(established),
            lanes: [Lane::new(Space::Urgent, established), Lane::new(Space::Bulk, established)],
            signals: Opener::incoming(established, Space::Signal),
            signals_sent: 0,
            signals_came: 0,
            pings: 0,
            pinged: VecDeque::new(),
            round_trip: RoundTrip::default(),
            outbox: Outbox::new(limits.streams, limits.stream_window),
            inbox: Inbox::new(limits.streams, limits.stream_window),
            unacknowledged: 0,
            ack_due: None,
            heard: now,
            seen: now,
            budget: Budget::new(limits.relay_budget, now),
        }
    }

    /// The name of the handshake it came from.
    #[must_use]
    pub const fn hash(&self) -> HandshakeHash {
        self.hash
    }

    /// Bytes that a stream takes now; after none, [`Effect::Writable`] says when to go on.
    #[must_use]
    pub fn room(&self, stream: StreamId) -> usize {
        if matches!(self.phase, Phase::Open) { self.outbox.room(stream) } else { 0 }
    }

    /// The kind of path that is used.
    #[must_use]
    pub fn path_in_use(&self) -> Option<PathKind> {
        self.paths.kind()
    }

    /// How long an answer takes on that path, once measured.
    #[must_use]
    pub const fn round_trip(&self) -> Option<Duration> {
        self.round_trip.smoothed()
    }

    /// Whether it is over.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    /// When to call [`Self::handle`] with [`Input::Tick`] if nothing else happens before.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        let until = match self.phase {
            Phase::Over => return None,
            Phase::Open => None,
            Phase::Closing { until } => Some(until),
        };
        let silent = self.heard.plus(self.limits.silence);
        let flights = self.lanes.iter().filter_map(|lane| lane.flight.deadline(&self.round_trip));
        let fixed = [Some(silent), self.ack_due, self.paths.deadline(), until, self.budget_due()];
        fixed.into_iter().flatten().chain(flights).min()
    }

    /// Takes what happened.
    pub fn handle(&mut self, input: Input, now: Timestamp) -> Effects {
        let mut effects = Effects::default();
        if self.is_over() {
            if let Input::Send { stream, message } = input {
                effects.push(Effect::Unsent { stream, message, why: Unsent::Closed });
            }
            return effects;
        }
        // Clocks that go back make time stand still.
        let now = now.max(self.seen);
        self.woken(now);
        self.seen = now;
        self.take(input, now, &mut effects);
        self.timers(now, &mut effects);
        self.choose_path(&mut effects);
        self.pump(now, &mut effects);
        self.acknowledge(now, &mut effects);
        self.finish(now, &mut effects);
        effects
    }

    fn take(&mut self, input: Input, now: Timestamp, effects: &mut Effects) {
        match input {
            Input::PathOpened { path, kind } => self.paths.opened(path, kind, now),
            Input::PathClosed { path } => self.paths.closed(path),
            Input::Frame { path, bytes } => self.frame(path, bytes, now, effects),
            Input::Send { stream, message } => self.send(stream, message, effects),
            Input::Taken { stream, bytes } => {
                if let Some(granted) = self.inbox.taken(stream, bytes) {
                    self.outbox.credit(stream, granted);
                }
            }
            Input::Doubt => self.paths.doubt_all(now),
            Input::Tick => {}
            Input::Close => {
                if matches!(self.phase, Phase::Open) {
                    self.phase = Phase::Closing { until: now.plus(LINGER) };
                }
            }
            Input::Abort => self.end(CloseCode::Broken, Closed::Here, effects),
        }
    }

    fn send(&mut self, stream: StreamId, message: Vec<u8>, effects: &mut Effects) {
        let unsent = |message, why| Effect::Unsent { stream, message, why };
        if !matches!(self.phase, Phase::Open) {
            effects.push(unsent(message, Unsent::Closed));
        } else if message.len() > LONGEST_MESSAGE {
            effects.push(unsent(message, Unsent::TooLong));
        } else if let Err(message) = self.outbox.push(stream, message) {
            let why = if self.outbox.knows(stream) { Unsent::Full } else { Unsent::TooManyStreams };
            effects.push(unsent(message, why));
        }
    }

    fn frame(&mut self, path: PathId, bytes: Vec<u8>, now: Timestamp, effects: &mut Effects) {
        if !self.paths.is_open(path) {
            return;
        }
        let known = if bytes.len() > LONGEST_FRAME { None } else { header(&bytes) };
        let good = match known {
            Some((Space::Signal, number)) => self.signal(path, number, bytes, now, effects),
            Some((Space::Urgent, number)) => self.in_lane(0, number, bytes, now, effects),
            Some((Space::Bulk, number)) => self.in_lane(1, number, bytes, now, effects),
            None => Came::Bad,
        };
        match good {
            Came::Good => {
                self.heard = now;
                self.paths.came_good(path, now);
            }
            Came::Again => {}
            Came::Bad => {
                if self.paths.came_bad(path) {
                    self.paths.closed(path);
                    effects.push(Effect::ClosePath { path });
                }
            }
        }
    }

    fn in_lane(
        &mut self,
        lane: usize,
        number: u64,
        bytes: Vec<u8>,
        now: Timestamp,
        effects: &mut Effects,
    ) -> Came {
        let Some(lane) = self.lanes.get_mut(lane) else { return Came::Bad };
        let due = now.plus(ACK_DELAY);
        if lane.order.is_beyond(number) {
            return Came::Bad;
        }
        if !lane.order.wants(number) {
            // What comes again says that our acknowledgement did not.
            self.ack_due = self.ack_due.or(Some(due));
            return Came::Again;
        }
        let Some(opened) = lane.opener.open(number, bytes) else { return Came::Bad };
        self.unacknowledged += 1;
        self.ack_due = self.ack_due.or(Some(due));
        lane.order.take(number, opened);
        let mut violation = None;
        while let Some(frame) = lane.order.pop() {
            lane.opener.reached(lane.order.next());
            if violation.is_none() {
                violation =
                    Self::said(lane.space, frame.plain(), &mut self.inbox, &mut self.outbox, effects).err();
            }
        }
        if let Some(what) = violation {
            self.end(CloseCode::Violation, Closed::Violation { what }, effects);
        }
        Came::Good
    }

    fn said(
        space: Space,
        plain: &[u8],
        inbox: &mut Inbox,
        outbox: &mut Outbox,
        effects: &mut Effects,
    ) -> Result<(), &'static str> {
        for part in parts(plain).ok_or("a frame has no form")? {
            match part {
                Part::Credit { stream, granted } => {
                    if space != Space::Urgent || !outbox.granted(stream, granted) {
                        return Err("it granted what nobody asked for");
                    }
                }
                Part::First { stream, .. } | Part::More { stream, .. } => {
                    if is_bulk(stream) != (space == Space::Bulk) {
                        return Err("a stream is in the other lane");
                    }
                    if let Some((stream, message)) = inbox.take(&part)? {
                        effects.push(Effect::Deliver { stream, message });
                    }
                }
            }
        }
        Ok(())
    }

    fn signal(
        &mut self,
        path: PathId,
        number: u64,
        bytes: Vec<u8>,
        now: Timestamp,
        effects: &mut Effects,
    ) -> Came {
        // A later one said all of this.
        if number < self.signals_came {
            return Came::Again;
        }
        let Some(opened) = self.signals.open(number, bytes) else { return Came::Bad };
        self.signals_came = number + 1;
        self.signals.reached(number);
        let Some(signs) = signs(opened.plain()) else {
            self.end(CloseCode::Violation, Closed::Violation { what: "a signal has no form" }, effects);
            return Came::Good;
        };
        for sign in signs {
            self.sign(path, sign, now, effects);
            if self.is_over() {
                break;
            }
        }
        Came::Good
    }

    fn sign(&mut self, path: PathId, sign: Sign, now: Timestamp, effects: &mut Effects) {
        match sign {
            Sign::Ack { bulk, next, ranges } => {
                let [urgent_lane, bulk_lane] = &mut self.lanes;
                let lane = if bulk { bulk_lane } else { urgent_lane };
                if !lane.flight.acknowledged(next, &ranges, now, &mut self.round_trip) {
                    let what = "it acknowledged what was never sent";
                    self.end(CloseCode::Violation, Closed::Violation { what }, effects);
                }
            }
            Sign::Ping(token) => self.signals_out(path, &[Sign::Pong(token)], effects),
            Sign::Pong(token) => {
                if let Some(at) = self.pinged.iter().position(|(sent, on)| *sent == token && *on == path) {
                    self.pinged.remove(at);
                    self.paths.answered(path, now);
                }
            }
            Sign::Close(code) => {
                let why = match CloseCode::from_wire(code) {
                    CloseCode::Complete => Closed::ByPeer,
                    CloseCode::Broken | CloseCode::Violation => Closed::Broken,
                };
                self.phase = Phase::Over;
                effects.push(Effect::Closed { why });
            }
        }
    }

    fn timers(&mut self, now: Timestamp, effects: &mut Effects) {
        if self.is_over() {
            return;
        }
        if now >= self.heard.plus(self.limits.silence) {
            let seconds = now.seconds().saturating_sub(self.heard.seconds());
            self.end(CloseCode::Broken, Closed::Silent { seconds }, effects);
            return;
        }
        let mut late = false;
        for lane in &mut self.lanes {
            late |= lane.flight.timed_out(now, &self.round_trip);
        }
        if late {
            self.round_trip.back_off();
            self.paths.doubt(now);
        }
        for path in self.paths.due(now) {
            self.pings += 1;
            self.pinged.push_back((self.pings, path));
            // As many as there may be paths; older ones need no answer any more.
            if self.pinged.len() > 16 {
                self.pinged.pop_front();
            }
            self.signals_out(path, &[Sign::Ping(self.pings)], effects);
        }
    }

    /// A machine that slept could not hear: silence counts from here, and all paths are asked.
    fn woken(&mut self, now: Timestamp) {
        if self.deadline().is_some_and(|deadline| now > deadline.plus(SLEPT)) {
            self.heard = now;
            self.paths.doubt_all(now);
        }
    }

    fn choose_path(&mut self, effects: &mut Effects) {
        if !self.is_over() && self.paths.choose() {
            self.round_trip.forget();
            self.lanes.iter_mut().for_each(|lane| lane.flight.lost());
            effects.push(Effect::PathInUse(self.paths.kind()));
        }
    }

    /// Sends what may be sent.
    fn pump(&mut self, now: Timestamp, effects: &mut Effects) {
        let (Some(path), Some(kind), false) = (self.paths.current(), self.paths.kind(), self.is_over())
        else {
            return;
        };
        let relayed = kind == PathKind::Relay;
        let window = if relayed { self.limits.relay_window } else { self.limits.window };
        self.budget.grow(now);
        let mut writable = Vec::new();
        for lane in &mut self.lanes {
            let bulk = lane.space == Space::Bulk;
            while lane.flight.out() < window {
                if bulk && relayed && self.budget.is_spent() {
                    break;
                }
                let bytes = if let Some(again) = lane.flight.send_again(now) {
                    again
                } else if lane.flight.has_width() && self.outbox.has(bulk) {
                    let plain = self.outbox.fill(bulk, LONGEST_PLAIN, &mut writable);
                    let bytes = self.sealer.seal(lane.space, lane.flight.next(), &plain);
                    lane.flight.send(bytes.clone(), now);
                    bytes
                } else {
                    break;
                };
                if bulk && relayed {
                    self.budget.spend(bytes.len());
                }
                effects.push(Effect::SendFrame { path, bytes });
            }
        }
        writable.into_iter().for_each(|stream| effects.push(Effect::Writable { stream }));
    }

    fn acknowledge(&mut self, now: Timestamp, effects: &mut Effects) {
        let Some(due) = self.ack_due.filter(|_| !self.is_over()) else { return };
        let holes = self.lanes.iter().any(|lane| lane.order.has_holes());
        if now < due && self.unacknowledged < ACK_AFTER && !holes {
            return;
        }
        // Without a path nothing is said; what then comes again is acknowledged again.
        self.ack_due = None;
        self.unacknowledged = 0;
        if let Some(path) = self.paths.current() {
            let signs = self.acks();
            self.signals_out(path, &signs, effects);
        }
    }

    fn acks(&self) -> Vec<Sign> {
        let lanes = self.lanes.iter();
        let ack = |lane: &Lane| Sign::Ack {
            bulk: lane.space == Space::Bulk,
            next: lane.order.next(),
            ranges: lane.order.ranges(),
        };
        lanes.map(ack).collect()
    }

    fn signals_out(&mut self, path: PathId, signs: &[Sign], effects: &mut Effects) {
        let mut plain = Vec::new();
        signs.iter().for_each(|sign| sign.write(&mut plain));
        let bytes = self.sealer.seal(Space::Signal, self.signals_sent, &plain);
        self.signals_sent += 1;
        effects.push(Effect::SendFrame { path, bytes });
    }

    /// Ends a closing session once everything was said, or its time is over.
    fn finish(&mut self, now: Timestamp, effects: &mut Effects) {
        let Phase::Closing { until } = self.phase else { return };
        let said = self.outbox.is_empty() && self.lanes.iter().all(|lane| lane.flight.is_empty());
        if said {
            self.end(CloseCode::Complete, Closed::Here, effects);
        } else if now >= until {
            self.end(CloseCode::Broken, Closed::Here, effects);
        }
    }

    fn end(&mut self, code: CloseCode, why: Closed, effects: &mut Effects) {
        if self.is_over() {
            return;
        }
        let mut signs = self.acks();
        signs.push(Sign::Close(code as u8));
        for path in self.paths.all() {
            self.signals_out(path, &signs, effects);
        }
        self.phase = Phase::Over;
        effects.push(Effect::Closed { why });
    }

    /// When the relay takes bulk again, if some waits for that.
    fn budget_due(&self) -> Option<Timestamp> {
        let again = self.lanes.iter().any(|lane| lane.space == Space::Bulk && lane.flight.waits());
        let waits = (again || self.outbox.has(true)) && self.paths.kind() == Some(PathKind::Relay);
        (waits && self.budget.is_spent()).then(|| self.budget.due())
    }
}

/// What the relay takes of bulk: so much at once, and as much again in each second.
#[derive(Clone, Copy)]
struct Budget {
    rate: i64,
    /// Below zero after a frame that was longer than what was left.
    level: i64,
    at: Timestamp,
}

impl Budget {
    /// Bulk waits at least so long, so that it goes in portions worth a frame.
    const PORTION: Duration = Duration::from_millis(100);

    fn new(rate: u64, now: Timestamp) -> Self {
        let rate = i64::try_from(rate).unwrap_or(i64::MAX / 1000);
        Self { rate, level: rate, at: now }
    }

    fn grow(&mut self, now: Timestamp) {
        let elapsed = now.as_millis().saturating_sub(self.at.as_millis());
        let grown = self.rate * i64::try_from(elapsed.min(10_000)).unwrap_or_default() / 1000;
        self.level = (self.level + grown).min(self.rate);
        self.at = now;
    }

    fn spend(&mut self, bytes: usize) {
        self.level = self.level.saturating_sub(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    const fn is_spent(&self) -> bool {
        self.level <= 0
    }

    /// When something may be spent again.
    fn due(&self) -> Timestamp {
        let millis = self.level.unsigned_abs() * 1000 / self.rate.unsigned_abs().max(1) + 1;
        self.at.plus(Duration::from_millis(millis).max(Self::PORTION))
    }
}

/// What a frame was.
enum Came {
    Good,
    /// It had come already.
    Again,
    /// The peer did not send it.
    Bad,
}

#[derive(Clone, Copy)]
enum CloseCode {
    Complete = 0,
    Broken = 1,
    Violation = 2,
}

impl CloseCode {
    const fn from_wire(code: u8) -> Self {
        match code {
            0 => Self::Complete,
            2 => Self::Violation,
            _ => Self::Broken,
        }
    }
}
