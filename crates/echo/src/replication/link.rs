//! Getting in step with one peer in one space: timeframes, then the ranges that are missing.
//!
//! The machine bears any loss, repetition and reordering of messages. What was sent counts as received only once the
//! peer's timeframe says so; until then at most [`WINDOW`] blocks of a feed and [`WINDOW_BYTES`] in all are on their way, and after
//! [`RETRY`] without news both sides say again what they have: less and less often, until the peer counts as gone.
//!
//! Each says as well whether somebody looks at the space there. When that changes, what was on its way is sent once more, by the other
//! urgency and from what is confirmed on: each stream then has the blocks in order, whichever of the two is quicker. However often a
//! peer looks and looks away, or says that something is missing, what was sent is read and sent once more each [`PAUSE`] at most; and
//! nothing is read for which there is no [room](Blocks::room), since the peer does not take what waits for it.
//!
//! What a peer claims costs nothing: only feeds that are admitted here are looked at, and only what was sent takes room.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use halo_protocol::feed::{Block, EpochId, ForkProof, SignedHead};
use halo_protocol::{FeedKey, Timestamp};

use super::Timeframe;
use super::backoff::{Backoff, RETRY};
use super::blocks::Blocks;
use super::message::{Message, SnapshotOffer, Urgency};
use super::wire::{LONGEST_CHUNK, MOST_BLOCKS, MOST_KEYS};

/// Blocks of one feed that may be on their way.
pub const WINDOW: u64 = 4_096;
/// Bytes of blocks that may be on their way to one peer in one space; one block may be larger.
pub const WINDOW_BYTES: usize = 8 * 1024 * 1024;
/// Bytes of blocks in one message; one block may be larger.
const BATCH_BYTES: usize = 256 * 1024;
/// So long after what was sent was sent once more, a peer that wishes it again waits.
pub const PAUSE: Duration = Duration::from_secs(1);
/// Content keys that one peer may lack at once.
const MOST_WISHES: usize = 4_096;
/// Parts of a snapshot that are sent without being asked again.
const CHUNKS_AHEAD: u64 = 8;

/// What happens to a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// It can be spoken over now.
    Opened,
    /// The peer said something.
    Message(Message),
    /// There are new blocks here, durable by now, or new feeds; some wait for content keys; or some that the peer sent turned out
    /// to be known; or there is room again.
    Grown,
    /// Blocks of the peer did not fit: some before them are missing.
    Missed,
    /// A feed splits, with the proof; say so once it is in quarantine here.
    Forked(Box<ForkProof>),
    /// There are new content keys here.
    Opens,
    /// Content keys for the peer, as it wished.
    Keys {
        /// Of which epochs.
        epochs: Vec<EpochId>,
        /// Each sealed to the peer.
        shares: Vec<Vec<u8>>,
    },
    /// Get the snapshot that this peer offered.
    Fetch(SnapshotOffer),
    /// Whether somebody looks at the space here.
    Looked(bool),
    /// Time has passed.
    Tick,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Effect {
    /// Tell the peer. Blocks go before those of other spaces while [`Link::is_watched`].
    Send(Message),
    /// Blocks for the peer that wait to be sent need not be: they are among those that follow.
    Withdraw,
    /// There was not enough [room](Blocks::room) for what is of this urgency: say [`Input::Grown`] to this link once it was sent.
    Held(Urgency),
    /// Take these blocks, and say [`Input::Grown`] to every link when they are durable, or [`Input::Missed`] to this one.
    Take {
        /// A run of one feed.
        blocks: Vec<Block>,
        /// Of the last one; none if the feed's end is said to vouch for it.
        head: Option<SignedHead>,
    },
    /// Put the feed in quarantine, and say [`Input::Forked`] to every link if that is news.
    Quarantine(Box<ForkProof>),
    /// The peer lacks these content keys. Seal those that are here to it, if it still is a device of the identity, and say
    /// [`Input::Keys`].
    Share(Vec<EpochId>),
    /// Content keys that were wished for. Keep those that open, and say [`Input::Opens`] and then [`Input::Grown`] to every link.
    Unlock(Vec<Vec<u8>>),
    /// The peer dropped blocks that are missing here; it has this instead. Say [`Input::Fetch`] to one of the links that offer one.
    Offered(SnapshotOffer),
    /// Keep this part of a snapshot; it follows what is there. The last one completes it: check that its SHA-256 is the id, load it, and say
    /// [`Input::Grown`].
    Keep {
        /// Of which.
        id: [u8; 32],
        /// Where it begins.
        offset: u64,
        /// The bytes.
        bytes: Vec<u8>,
        /// There is no more.
        is_last: bool,
    },
}

/// Why a peer is to be dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// It sends what nobody asked for.
    #[error("the peer sends a part of a snapshot that is none")]
    Snapshot,
    /// It does not answer.
    #[error("the peer does not answer")]
    Silent,
}

/// How far two devices have come with each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Blocks that the peer has and that are here.
    pub received: u64,
    /// Blocks that the peer says it has.
    pub to_receive: u64,
    /// Blocks that are here and that the peer has.
    pub sent: u64,
    /// Blocks that are here.
    pub to_send: u64,
}

/// A snapshot on its way here.
#[derive(Debug, Clone)]
struct Fetch {
    id: [u8; 32],
    size: u64,
    next: u64,
    /// Up to there it was asked for.
    asked: u64,
}

/// A snapshot that goes to the peer.
#[derive(Debug, Clone)]
struct Serve {
    id: [u8; 32],
    next: u64,
    /// Parts that are still to be sent.
    parts: u64,
}

/// One peer, in one space.
#[derive(Debug, Clone, Default)]
pub struct Link {
    /// What the peer said it has of the feeds that are known here; none before it said anything.
    theirs: Option<Timeframe>,
    /// What it will have when everything arrives.
    sent: Timeframe,
    /// Runs that are on their way: feed, length after them, bytes.
    flying: VecDeque<(FeedKey, u64, usize)>,
    /// What it was told that we have.
    told: Option<Timeframe>,
    /// Feeds of which it was told, or told us, that they split.
    forks: BTreeSet<FeedKey>,
    /// Content keys that it was asked for.
    asked: BTreeSet<EpochId>,
    /// Content keys that it lacks.
    wishes: BTreeSet<EpochId>,
    /// The snapshot that it was offered.
    offered: Option<[u8; 32]>,
    serve: Option<Serve>,
    fetch: Option<Fetch>,
    /// The snapshot that was on its way before: parts of it may come late.
    over: Option<[u8; 32]>,
    /// It sent blocks and waits to hear that they came.
    owes: bool,
    /// Somebody looks at the space here.
    looks: bool,
    /// And there: blocks go so.
    watched: bool,
    /// And there, as the peer said last.
    shown: bool,
    /// The peer lacks something before what was sent, and what comes behind that would come in vain.
    lacks: bool,
    /// When what was on its way was last sent once more.
    resent: Option<Timestamp>,
    backoff: Backoff,
}

impl Link {
    /// Of a space that somebody looks at here, or nobody.
    #[must_use]
    pub fn of(looks: bool) -> Self {
        Self { looks, ..Self::default() }
    }

    /// Whether somebody looks at the space there, so that its blocks go first.
    #[must_use]
    pub const fn is_watched(&self) -> bool {
        self.watched
    }

    /// Does what an input asks for.
    ///
    /// # Errors
    /// [`LinkError`]: drop the peer.
    pub fn handle(
        &mut self,
        input: Input,
        here: &impl Blocks,
        now: Timestamp,
    ) -> Result<Vec<Effect>, LinkError> {
        let mut effects = Vec::new();
        match input {
            Input::Opened => {
                if !self.flying.is_empty() {
                    effects.push(Effect::Withdraw);
                }
                let over = self.fetch.as_ref().map(|fetch| fetch.id).or(self.over);
                *self = Self { over, resent: self.resent, ..Self::of(self.looks) };
                effects.push(self.have(here, true));
            }
            Input::Message(message) => {
                self.backoff.heard();
                self.hear(message, here, now, &mut effects)?;
            }
            Input::Grown => {
                effects.extend(self.missing(here));
                effects.extend(self.serve(here));
                effects.extend(self.ask(here));
                if self.owes || self.told.as_ref() != Some(&here.timeframe()) {
                    self.owes = false;
                    effects.push(self.have(here, false));
                }
            }
            Input::Missed => {
                self.owes = false;
                effects.push(self.have(here, true));
            }
            Input::Forked(proof) => {
                if let Ok((feed, _)) = proof.verify()
                    && self.forks.insert(feed)
                {
                    effects.push(Effect::Send(Message::Forked(proof)));
                }
            }
            Input::Opens => {
                if !self.wishes.is_empty() {
                    effects.push(Effect::Share(self.wishes.iter().copied().collect()));
                }
            }
            Input::Keys { epochs, shares } => {
                for epoch in epochs {
                    self.wishes.remove(&epoch);
                }
                let messages =
                    shares.chunks(MOST_KEYS).map(|some| Effect::Send(Message::Keys(some.to_vec())));
                effects.extend(messages);
            }
            Input::Fetch(offer) => {
                let next = here.fetched(&offer.id).min(offer.size);
                self.fetch = Some(Fetch { id: offer.id, size: offer.size, next, asked: next });
                effects.extend(self.want());
            }
            Input::Looked(looks) => {
                if std::mem::replace(&mut self.looks, looks) != looks && self.told.is_some() {
                    effects.push(self.have(here, false));
                    // The parts that are on their way come once more, by the other urgency.
                    if let Some(fetch) = &mut self.fetch {
                        fetch.asked = fetch.next;
                    }
                    effects.extend(self.want());
                }
            }
            Input::Tick => {
                if self.backoff.is_due(now) {
                    self.backoff.again().ok_or(LinkError::Silent)?;
                    self.begin_anew(now, &mut effects);
                    effects.push(self.have(here, true));
                    effects.extend(self.missing(here));
                    if let Some(fetch) = &mut self.fetch {
                        fetch.asked = fetch.next;
                    }
                    effects.extend(self.want());
                } else if self.begin_anew_if_due(now, &mut effects) {
                    effects.extend(self.missing(here));
                }
            }
        }
        self.backoff.wait(self.waits(), now, RETRY);
        Ok(effects)
    }

    fn hear(
        &mut self,
        message: Message,
        here: &impl Blocks,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) -> Result<(), LinkError> {
        match message {
            Message::Have { timeframe, again, on_screen } => {
                let known = here.timeframe();
                let theirs: Timeframe =
                    timeframe.into_iter().filter(|(feed, _)| known.contains_key(feed)).collect();
                self.shown = on_screen;
                if again {
                    self.lacks = true;
                    // What it was offered may be forgotten, or no peer could send it.
                    self.offered = None;
                }
                for (feed, length) in &theirs {
                    let sent = self.sent.entry(*feed).or_default();
                    *sent = (*sent).max(*length);
                }
                self.flying.retain(|(feed, until, _)| theirs.get(feed).is_none_or(|has| has < until));
                let first = self.theirs.replace(theirs).is_none();
                self.begin_anew_if_due(now, effects);
                effects.extend(self.missing(here));
                // Whoever speaks first may not know yet what there is here, nor what was asked before.
                if again || first {
                    effects.push(self.have(here, false));
                    self.asked.clear();
                }
                effects.extend(self.ask(here));
            }
            Message::Blocks { blocks, head } => {
                self.owes = true;
                effects.push(Effect::Take { blocks, head });
            }
            Message::Forked(proof) => {
                if let Ok((feed, _)) = proof.verify()
                    && self.forks.insert(feed)
                {
                    effects.push(Effect::Quarantine(proof));
                }
            }
            Message::KeysWanted(epochs) => {
                let room = MOST_WISHES.saturating_sub(self.wishes.len());
                self.wishes.extend(epochs.iter().take(room));
                effects.push(Effect::Share(epochs));
            }
            Message::Keys(shares) => {
                // What nobody asked for is nothing to look at.
                if !self.asked.is_empty() {
                    effects.push(Effect::Unlock(shares));
                }
            }
            Message::SnapshotOffer(offer) => {
                let own = here.timeframe();
                let ahead = |(feed, base): &(FeedKey, u64)| own.get(feed).is_some_and(|length| length < base);
                // Another one than was on its way: the peer does not have that any more.
                if self.fetch.as_ref().is_none_or(|fetch| fetch.id != offer.id)
                    && offer.base.iter().any(ahead)
                {
                    self.over = self.fetch.take().map(|fetch| fetch.id).or(self.over);
                    effects.push(Effect::Offered(offer));
                }
            }
            Message::SnapshotWanted { id, from } => {
                self.serve = Some(Serve { id, next: from, parts: CHUNKS_AHEAD });
                let parts = self.serve(here);
                // It is not the one that is here now.
                if parts.is_empty() && here.snapshot().is_some_and(|snapshot| snapshot.id != id) {
                    self.offered = None;
                    effects.extend(self.missing(here));
                }
                effects.extend(parts);
            }
            Message::SnapshotChunk { id, offset, bytes } => {
                let Some(fetch) = self.fetch.as_mut().filter(|fetch| fetch.id == id) else {
                    return if self.over == Some(id) { Ok(()) } else { Err(LinkError::Snapshot) };
                };
                // Another one was asked for twice.
                if offset != fetch.next {
                    return Ok(());
                }
                fetch.next = fetch.next.saturating_add(bytes.len() as u64);
                if fetch.next > fetch.size {
                    return Err(LinkError::Snapshot);
                }
                let is_last = fetch.next == fetch.size;
                effects.push(Effect::Keep { id, offset, bytes, is_last });
                if is_last {
                    self.fetch = None;
                    self.over = Some(id);
                } else {
                    effects.extend(self.want());
                }
            }
        }
        Ok(())
    }

    /// Begins anew where the peer wishes it, if that costs nothing or the last time is long enough ago. Whether it did.
    fn begin_anew_if_due(&mut self, now: Timestamp, effects: &mut Vec<Effect>) -> bool {
        // Clocks may go back.
        let pauses = self.resent.is_some_and(|at| at <= now && now < at.plus(PAUSE));
        if self.wishes_anew() && !(pauses && self.has_unconfirmed()) {
            self.begin_anew(now, effects);
            return true;
        }
        false
    }

    /// What was sent and is not confirmed counts as lost, or goes by another urgency now.
    fn begin_anew(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        if self.has_unconfirmed() {
            self.resent = Some(now);
        }
        (self.watched, self.lacks) = (self.shown, false);
        self.sent = self.theirs.clone().unwrap_or_default();
        if !self.flying.is_empty() {
            self.flying.clear();
            effects.push(Effect::Withdraw);
        }
    }

    const fn wishes_anew(&self) -> bool {
        self.lacks || self.watched != self.shown
    }

    /// When what was sent may be sent once more, if the peer wishes it.
    fn resumes(&self) -> Option<Timestamp> {
        self.resent.filter(|_| self.wishes_anew()).map(|at| at.plus(PAUSE))
    }

    /// Asks for content keys that are missing here, once each.
    fn ask(&mut self, here: &impl Blocks) -> Option<Effect> {
        let fresh: Vec<EpochId> = here.closed().difference(&self.asked).copied().take(MOST_KEYS).collect();
        self.asked.extend(&fresh);
        (!fresh.is_empty()).then_some(Effect::Send(Message::KeysWanted(fresh)))
    }

    /// When to say [`Input::Tick`] if nothing happens before.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        self.backoff.deadline().into_iter().chain(self.resumes()).min()
    }

    /// Whether the peer said what it has.
    #[must_use]
    pub const fn has_heard(&self) -> bool {
        self.theirs.is_some()
    }

    /// Whether the peer has everything that is here, as far as is known.
    #[must_use]
    pub fn in_step(&self, here: &impl Blocks) -> bool {
        self.theirs.as_ref().is_some_and(|theirs| {
            here.timeframe()
                .iter()
                .all(|(feed, length)| theirs.get(feed).copied().unwrap_or_default() >= *length)
        })
    }

    /// How far both have come; the peer's part is what it says.
    #[must_use]
    pub fn progress(&self, here: &impl Blocks) -> Progress {
        let mut progress = Progress::default();
        for (feed, ours) in here.timeframe() {
            let theirs =
                self.theirs.as_ref().and_then(|theirs| theirs.get(&feed)).copied().unwrap_or_default();
            progress.received = progress.received.saturating_add(ours.min(theirs));
            progress.to_receive = progress.to_receive.saturating_add(theirs);
            progress.sent = progress.sent.saturating_add(ours.min(theirs));
            progress.to_send = progress.to_send.saturating_add(ours);
        }
        progress
    }

    /// Something was said and not answered.
    fn waits(&self) -> bool {
        self.fetch.is_some() || self.theirs.is_none() || self.has_unconfirmed()
    }

    /// Something was sent and the peer did not say that it has it.
    fn has_unconfirmed(&self) -> bool {
        let has =
            |feed| self.theirs.as_ref().and_then(|theirs| theirs.get(feed)).copied().unwrap_or_default();
        self.sent.iter().any(|(feed, sent)| *sent > has(feed))
    }

    fn have(&mut self, here: &impl Blocks, again: bool) -> Effect {
        let now = here.timeframe();
        let timeframe = now.iter().map(|(feed, length)| (*feed, *length)).collect();
        self.told = Some(now);
        Effect::Send(Message::Have { timeframe, again, on_screen: self.looks })
    }

    /// Asks for the next parts of the snapshot that is on its way, in good time.
    fn want(&mut self) -> Option<Effect> {
        let fetch = self.fetch.as_mut()?;
        if fetch.next < fetch.asked {
            return None;
        }
        fetch.asked = fetch.next.saturating_add(CHUNKS_AHEAD * LONGEST_CHUNK as u64).min(fetch.size);
        Some(Effect::Send(Message::SnapshotWanted { id: fetch.id, from: fetch.next }))
    }

    /// Parts of a snapshot that the peer asked for, as far as there is room.
    fn serve(&mut self, here: &impl Blocks) -> Vec<Effect> {
        let mut effects = Vec::new();
        let Some(mut serve) = self.serve.take() else { return effects };
        let urgency = Urgency::of_snapshot(self.watched);
        let mut room = here.room(urgency);
        while serve.parts > 0 {
            if room == 0 {
                self.serve = Some(serve);
                effects.push(Effect::Held(urgency));
                break;
            }
            let (id, offset) = (serve.id, serve.next);
            let chunk = here.chunk(&id, offset, LONGEST_CHUNK).filter(|bytes| !bytes.is_empty());
            let Some(bytes) = chunk else { break };
            serve.next = offset.saturating_add(bytes.len() as u64);
            serve.parts -= 1;
            let message = Message::SnapshotChunk { id, offset, bytes };
            room = room.saturating_sub(message.weight());
            effects.push(Effect::Send(message));
        }
        effects
    }

    /// Runs that the peer lacks and that are not on their way.
    fn missing(&mut self, here: &impl Blocks) -> Vec<Effect> {
        let Some(theirs) = self.theirs.as_ref().filter(|_| !self.lacks) else { return Vec::new() };
        let mut effects = Vec::new();
        let base: BTreeMap<FeedKey, u64> = here.base();
        let mut window = WINDOW_BYTES.saturating_sub(self.flying.iter().map(|(_, _, bytes)| bytes).sum());
        let urgency = Urgency::of_blocks(self.watched);
        let mut room = here.room(urgency);
        let mut held = false;
        for (feed, length) in here.timeframe() {
            // A feed that the peer does not name is none that it takes.
            let Some(confirmed) = theirs.get(&feed).copied() else { continue };
            if base.get(&feed).is_some_and(|base| confirmed < *base) {
                if let Some(offer) = here.snapshot().filter(|offer| self.offered != Some(offer.id)) {
                    self.offered = Some(offer.id);
                    effects.push(Effect::Send(Message::SnapshotOffer(offer)));
                }
                continue;
            }
            let sent = self.sent.entry(feed).or_insert(confirmed);
            while *sent < length && *sent - confirmed.min(*sent) < WINDOW && window > 0 {
                if room == 0 {
                    held = true;
                    break;
                }
                let run = here.run(&feed, *sent, MOST_BLOCKS, BATCH_BYTES.min(window).min(room));
                let Some((blocks, head)) = run else { break };
                let Some(last) = blocks.last().map(|block| block.header.sequence) else { break };
                let bytes = blocks.iter().map(|block| block.sealed.len()).sum();
                *sent = last.saturating_add(1);
                window = window.saturating_sub(bytes);
                self.flying.push_back((feed, *sent, bytes));
                let message = Message::Blocks { blocks, head };
                room = room.saturating_sub(message.weight());
                effects.push(Effect::Send(message));
            }
        }
        effects.extend(held.then_some(Effect::Held(urgency)));
        effects
    }
}
