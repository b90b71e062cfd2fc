//! The feeds of a space, taken in from several devices: each block once, and what it says only after what its writer
//! had seen.
//!
//! * [`Introduction`]: two devices exchange all credentials first, since who belongs here cannot be judged from a part.
//! * [`Link`]: one peer in one space: timeframes, then missing blocks, snapshots where blocks were dropped.
//! * [`Replica`]: what was taken in, in which order it is applied, and what the end of a feed makes void.
//! * [`Frames`] and [`Assembler`]: messages as bytes of a channel.
//!
//! What somebody reads here, somebody could have read there: a block waits until everything in its timeframe was
//! applied. Blocks that wait are kept (they are durable and passed on like any other); a device that names blocks
//! which never come holds up itself and nobody else. A block whose content key is not here yet waits for that ([`Replica::reopen`]).
//!
//! Where a feed ends by a [`Cut`], nothing behind is taken, nobody waits for it, and what was taken already is void
//! ([`Replica::cut`]). The attack that remains: what a stolen device said before anybody knew.

mod backoff;
mod blocks;
mod introduction;
mod link;
mod message;
mod room;
mod wire;

use std::collections::BTreeMap;

use halo_protocol::FeedKey;
use halo_protocol::credential::Cut;
use halo_protocol::feed::{
    Block, BlockHash, BlockHeader, EpochId, Feed, FeedError, Payload, SignedHead, Vouch,
};

pub use backoff::RETRY;
pub use blocks::{Blocks, fitting};
pub use introduction::{
    Acquaint, Acquaintance, Introduction, IntroductionEffect, IntroductionError, IntroductionInput,
    MOST_CREDENTIALS,
};
pub use link::{Effect, Input, Link, LinkError, PAUSE, Progress, WINDOW, WINDOW_BYTES};
pub use message::{LONGEST_SNAPSHOT, Message, SnapshotOffer, Urgency};
pub use room::{
    Full, MOST_ADMISSIONS_OF_A_DEVICE, MOST_CREDENTIALS_OF_A_GUEST, MOST_CREDENTIALS_OF_AN_ISSUER,
    RESERVED_FOR_REMOVALS, Room,
};
pub use wire::{Assembler, Frames, LONGEST_FRAME, LONGEST_MESSAGE, WireError};

/// Blocks that wait for others, over all feeds of a space.
pub const MOST_WAITING: usize = 20_000;

/// How many blocks of each feed.
pub type Timeframe = BTreeMap<FeedKey, u64>;

/// Opens payloads: knows content keys by the epoch that a header names.
pub trait Open {
    /// Why a payload stays closed.
    type Error;

    /// Opens one; `None` if the content key is not here (yet).
    ///
    /// # Errors
    /// As the keys say.
    fn open(&self, header: &BlockHeader, sealed: &[u8]) -> Result<Option<Payload>, Self::Error>;
}

/// A block whose turn has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    /// Whose.
    pub feed: FeedKey,
    /// Its number.
    pub sequence: u64,
    /// What it says.
    pub payload: Payload,
}

/// What came of some blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// How many of them were here already.
    pub known: usize,
    /// How many of them count: fewer than were given if the feed ends among them. Those from `known` to here are new.
    pub taken: usize,
    /// The signed head of the last that counts; `None` if the feed's end vouches for it.
    pub head: Option<SignedHead>,
    /// What is to be applied now, in this order; from these blocks and from others that waited for them.
    pub ready: Vec<Ready>,
}

/// Why blocks were not taken. Nothing changed, except after a fork.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplicaError<E> {
    /// The feed is not of this space.
    #[error("no such feed was admitted to this space")]
    Stranger,
    /// They do not fit the feed; after a fork the feed is in quarantine.
    #[error(transparent)]
    Feed(#[from] FeedError),
    /// The payload of a block stays closed.
    #[error("block {at} cannot be opened: {why}")]
    Closed {
        /// Its number.
        at: u64,
        /// Why.
        why: E,
    },
    /// Too many blocks wait for others.
    #[error("too many blocks wait for others that never came")]
    Waiting,
    /// The feed ends before them.
    #[error("block {at} is behind the end of its feed")]
    Void {
        /// The first of them.
        at: u64,
    },
    /// Nothing vouches for them that is known here: the peer knows where the feed was cut, and this device has not heard yet.
    #[error("nothing vouches for these blocks yet")]
    Unvouched,
    /// What was taken of the feed is another branch than the one that its end vouches for. It begins anew: drop its blocks here, and say
    /// [`Input::Missed`].
    #[error("the feed begins anew, on the branch that its end vouches for")]
    Anew,
}

impl<E> ReplicaError<E> {
    /// Whether no honest peer sends such blocks: drop it.
    #[must_use]
    pub const fn blames_the_peer(&self) -> bool {
        match self {
            Self::Feed(error) => !matches!(
                error,
                // The feed's owner is to blame, or nobody.
                FeedError::Gap { .. } | FeedError::Fork(_) | FeedError::Quarantined
            ),
            Self::Stranger
            | Self::Closed { .. }
            | Self::Waiting
            | Self::Void { .. }
            | Self::Unvouched
            | Self::Anew => false,
        }
    }
}

struct Held {
    feed: Feed,
    applied: u64,
    cut: Option<Cut>,
}

impl Held {
    /// Whether its first `length` blocks were applied, as far as they count.
    fn has_applied(&self, length: u64) -> bool {
        self.applied >= self.cut.map_or(length, |cut| length.min(cut.length))
    }
}

/// A block that is here and not applied.
enum Waiting {
    /// Others come before it.
    Open(Payload),
    /// Its content key is missing.
    Closed(EpochId),
}

/// Blocks of a feed that became void. Drop them from the store; what this device said after it had applied some of them may build on
/// them, so it says what was in those again, as its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Void {
    /// The feed.
    pub feed: FeedKey,
    /// Its length now: blocks from here on are void.
    pub from: u64,
    /// How many of the feed's blocks had been applied.
    pub applied: u64,
}

/// How far this device has come in a space.
#[derive(Default)]
pub struct Replica {
    feeds: BTreeMap<FeedKey, Held>,
    waiting: BTreeMap<(FeedKey, u64), Waiting>,
}

impl Replica {
    /// Takes part in a feed: a new one, or one of which blocks are here and the first `applied` were applied.
    pub fn admit(&mut self, feed: Feed, applied: u64) {
        let cut = self.feeds.get(&feed.key()).and_then(|held| held.cut);
        self.feeds.insert(feed.key(), Held { feed, applied, cut });
    }

    /// A feed ends there, whatever was taken of it. `known` gives the hash of a block that is here. Says what became void.
    pub fn cut(&mut self, cut: Cut, known: impl Fn(&FeedKey, u64) -> Option<BlockHash>) -> Option<Void> {
        let key = cut.feed;
        let fresh = || Held { feed: Feed::new(key), applied: 0, cut: None };
        let held = self.feeds.entry(key).or_insert_with(fresh);
        held.cut = Some(cut);
        let (length, applied) = (held.feed.length(), held.applied);
        let last =
            |number: u64| if number == length { Some(held.feed.head()) } else { known(&key, number - 1) };
        let fits = match cut.length {
            0 => true,
            end if end <= length => last(end) == Some(cut.head),
            // Whether it is the right branch is seen when more of it comes.
            _ => true,
        };
        let kept = if fits { cut.length.min(length) } else { 0 };
        let head = if kept == 0 {
            BlockHash::NONE
        } else if kept == length {
            held.feed.head()
        } else {
            cut.head
        };
        // From here on it is the cut that says which branch counts.
        held.feed = Feed::resume(key, kept, head, false);
        held.applied = applied.min(kept);
        self.forget(&key, kept);
        (kept < length).then_some(Void { feed: key, from: kept, applied })
    }

    /// A feed goes on after all: the revocation that ended it does not hold.
    pub fn lift(&mut self, feed: &FeedKey) {
        if let Some(held) = self.feeds.get_mut(feed) {
            held.cut = None;
        }
    }

    /// Where a feed ends, if it does.
    #[must_use]
    pub fn end_of(&self, feed: &FeedKey) -> Option<Cut> {
        self.feeds.get(feed).and_then(|held| held.cut)
    }

    /// A feed was proved to split: nothing more is taken of it, unless its end vouches for a branch. Whether that is news.
    pub fn quarantine(&mut self, feed: &FeedKey) -> bool {
        let held = self.feeds.get_mut(feed).filter(|held| held.cut.is_none() && !held.feed.is_forked());
        held.is_some_and(|held| {
            held.feed.quarantine();
            true
        })
    }

    /// A feed that was admitted.
    #[must_use]
    pub fn feed(&self, key: &FeedKey) -> Option<&Feed> {
        self.feeds.get(key).map(|held| &held.feed)
    }

    /// How many blocks of each feed are here.
    #[must_use]
    pub fn timeframe(&self) -> Timeframe {
        self.feeds.iter().map(|(key, held)| (*key, held.feed.length())).collect()
    }

    /// How many blocks of each feed were applied: what a new block of this device builds on.
    #[must_use]
    pub fn applied(&self) -> Timeframe {
        let some = self.feeds.iter().filter(|(_, held)| held.applied > 0);
        some.map(|(key, held)| (*key, held.applied)).collect()
    }

    /// This device said a block; its changes are in the documents already.
    pub fn said(&mut self, feed: Feed) {
        let applied = feed.length();
        self.admit(feed, applied);
    }

    /// Takes a run of blocks with the head that vouches for them; none where the feed's end does. `known` gives the hash of a block
    /// that is here.
    ///
    /// Whoever calls keeps the new blocks (of those given, the ones from [`Taken::known`] to [`Taken::taken`]) and applies what is ready
    /// in one transaction; if that fails, the replica is loaded anew.
    ///
    /// # Errors
    /// [`ReplicaError`].
    pub fn take<O: Open>(
        &mut self,
        blocks: &[Block],
        head: Option<&SignedHead>,
        known: impl Fn(&FeedKey, u64) -> Option<BlockHash>,
        keys: &O,
    ) -> Result<Taken, ReplicaError<O::Error>> {
        let Some(first) = blocks.first().map(|block| block.header) else {
            return Ok(Taken { known: 0, taken: 0, head: None, ready: Vec::new() });
        };
        let key = first.feed;
        let held = self.feeds.get_mut(&key).ok_or(ReplicaError::Stranger)?;
        let (blocks, vouch) = vouched(blocks, first.sequence, head, held.cut.as_ref())?;
        let before = held.feed.clone();
        let overlap = match held.feed.accept_vouched(blocks, &vouch, |at| known(&key, at)) {
            Ok(overlap) => overlap,
            Err(FeedError::Fork(fork)) => {
                let Some(cut) = held.cut else { return Err(FeedError::Fork(fork).into()) };
                held.feed = before;
                if (held.feed.length(), held.feed.head()) == (cut.length, cut.head) {
                    return Err(ReplicaError::Void { at: fork.at });
                }
                (held.feed, held.applied) = (Feed::new(key), 0);
                self.forget(&key, 0);
                return Err(ReplicaError::Anew);
            }
            Err(error) => return Err(error.into()),
        };
        let fresh = blocks.get(overlap..).unwrap_or_default();
        match self.open(fresh, keys) {
            Ok(opened) => {
                let numbered = fresh.iter().zip(opened);
                self.waiting.extend(numbered.map(|(block, what)| ((key, block.header.sequence), what)));
            }
            Err(error) => {
                if let Some(held) = self.feeds.get_mut(&key) {
                    held.feed = before;
                }
                return Err(error);
            }
        }
        let head = match vouch {
            Vouch::Head(head) => Some(head),
            Vouch::Cut { .. } => None,
        };
        Ok(Taken { known: overlap, taken: blocks.len(), head, ready: self.ready() })
    }

    /// Puts a block back that is here and was not applied yet, after a start: with what it says, or without if its content key is not
    /// here. [`Self::ready`] gives what that makes ready.
    pub fn wait(&mut self, header: &BlockHeader, payload: Option<Payload>) {
        let what = payload.map_or(Waiting::Closed(header.epoch), Waiting::Open);
        self.waiting.insert((header.feed, header.sequence), what);
    }

    /// The epochs whose content keys are missing.
    #[must_use]
    pub fn closed(&self) -> std::collections::BTreeSet<EpochId> {
        let epoch = |what: &Waiting| match what {
            Waiting::Closed(epoch) => Some(*epoch),
            Waiting::Open(_) => None,
        };
        self.waiting.values().filter_map(epoch).collect()
    }

    /// There are new content keys: opens what waited for them, and gives what can be applied now. `kept` gives blocks that are here.
    ///
    /// # Errors
    /// [`ReplicaError::Closed`]; what was opened before stays so.
    pub fn reopen<O: Open>(
        &mut self,
        kept: impl Fn(&FeedKey, u64) -> Option<Block>,
        keys: &O,
    ) -> Result<Vec<Ready>, ReplicaError<O::Error>> {
        for ((feed, at), what) in &mut self.waiting {
            let Waiting::Closed(_) = what else { continue };
            let Some(block) = kept(feed, *at) else { continue };
            let opened = keys.open(&block.header, &block.sealed);
            if let Some(payload) = opened.map_err(|why| ReplicaError::Closed { at: *at, why })? {
                *what = Waiting::Open(payload);
            }
        }
        Ok(self.ready())
    }

    /// What can be applied now.
    pub fn ready(&mut self) -> Vec<Ready> {
        let mut ready = Vec::new();
        loop {
            let before = ready.len();
            let keys: Vec<FeedKey> = self.feeds.keys().copied().collect();
            for feed in keys {
                while let Some(next) = self.next_of(feed) {
                    ready.push(next);
                }
            }
            if ready.len() == before {
                return ready;
            }
        }
    }

    fn next_of(&mut self, feed: FeedKey) -> Option<Ready> {
        let sequence = self.feeds.get(&feed)?.applied;
        let Waiting::Open(payload) = self.waiting.get(&(feed, sequence))? else { return None };
        let has_seen = |(other, length): &(FeedKey, u64)| {
            self.feeds.get(other).is_some_and(|held| held.has_applied(*length))
        };
        if !payload.timeframe.iter().all(has_seen) {
            return None;
        }
        let Waiting::Open(payload) = self.waiting.remove(&(feed, sequence))? else { return None };
        self.feeds.get_mut(&feed)?.applied += 1;
        Some(Ready { feed, sequence, payload })
    }

    fn open<O: Open>(&self, blocks: &[Block], keys: &O) -> Result<Vec<Waiting>, ReplicaError<O::Error>> {
        if self.waiting.len() + blocks.len() > MOST_WAITING {
            return Err(ReplicaError::Waiting);
        }
        let mut opened = Vec::with_capacity(blocks.len());
        for block in blocks {
            let at = block.header.sequence;
            let payload =
                keys.open(&block.header, &block.sealed).map_err(|why| ReplicaError::Closed { at, why })?;
            opened.push(payload.map_or(Waiting::Closed(block.header.epoch), Waiting::Open));
        }
        Ok(opened)
    }

    fn forget(&mut self, feed: &FeedKey, from: u64) {
        self.waiting.retain(|(of, at), _| of != feed || *at < from);
    }
}

/// The blocks that count, and who vouches for the last of them.
fn vouched<'a, E>(
    blocks: &'a [Block],
    first: u64,
    head: Option<&SignedHead>,
    cut: Option<&Cut>,
) -> Result<(&'a [Block], Vouch), ReplicaError<E>> {
    let length = blocks.len() as u64;
    if let Some(cut) = cut {
        let left = cut.length.checked_sub(first).filter(|left| *left > 0);
        let left = left.ok_or(ReplicaError::Void { at: first })?;
        if left <= length {
            let blocks = usize::try_from(left).ok().and_then(|left| blocks.get(..left)).unwrap_or(blocks);
            return Ok((blocks, Vouch::Cut { length: cut.length, head: cut.head }));
        }
    }
    Ok((blocks, Vouch::Head(*head.ok_or(ReplicaError::Unvouched)?)))
}
