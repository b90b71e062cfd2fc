//! The feeds of a space, taken in from several devices: each block once, and what it says only after what its writer
//! had seen.
//!
//! What somebody reads here, somebody could have read there: a block waits until everything in its timeframe was
//! applied. Blocks that wait are kept (they are durable and passed on like any other); a device that names blocks
//! which never come holds up itself and nobody else.

mod link;

use std::collections::BTreeMap;

use halo_protocol::FeedKey;
use halo_protocol::feed::{Block, BlockHash, BlockHeader, Feed, FeedError, Payload, SignedHead};

pub use link::{Blocks, Effect, Input, Link, Message, RETRY, WINDOW};

/// Blocks that wait for others, over all feeds of a space.
pub const MOST_WAITING: usize = 20_000;

/// How many blocks of each feed.
pub type Timeframe = BTreeMap<FeedKey, u64>;

/// Opens payloads: knows content keys by the epoch that a header names.
pub trait Open {
    /// Why a payload stays closed.
    type Error;

    /// Opens one.
    ///
    /// # Errors
    /// As the keys say.
    fn open(&self, header: &BlockHeader, sealed: &[u8]) -> Result<Payload, Self::Error>;
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
}

struct Held {
    feed: Feed,
    applied: u64,
}

/// How far this device has come in a space.
#[derive(Default)]
pub struct Replica {
    feeds: BTreeMap<FeedKey, Held>,
    waiting: BTreeMap<(FeedKey, u64), Payload>,
}

impl Replica {
    /// Takes part in a feed: a new one, or one of which blocks are here and the first `applied` were applied.
    pub fn admit(&mut self, feed: Feed, applied: u64) {
        self.feeds.insert(feed.key(), Held { feed, applied });
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

    /// Takes a run of blocks with the head that vouches for them. `known` gives the hash of a block that is here.
    ///
    /// Whoever calls keeps the new blocks and applies what is ready in one transaction; if that fails, the replica is
    /// loaded anew.
    ///
    /// # Errors
    /// [`ReplicaError`].
    pub fn take<O: Open>(
        &mut self,
        blocks: &[Block],
        head: &SignedHead,
        known: impl Fn(&FeedKey, u64) -> Option<BlockHash>,
        keys: &O,
    ) -> Result<Taken, ReplicaError<O::Error>> {
        let Some(key) = blocks.first().map(|block| block.header.feed) else {
            return Ok(Taken { known: 0, ready: Vec::new() });
        };
        let held = self.feeds.get_mut(&key).ok_or(ReplicaError::Stranger)?;
        let before = held.feed.clone();
        let overlap = held.feed.accept(blocks, head, |at| known(&key, at))?;
        let fresh = blocks.get(overlap..).unwrap_or_default();
        let opened = self.open(fresh, keys);
        match opened {
            Ok(payloads) => {
                let numbered = fresh.iter().zip(payloads);
                self.waiting.extend(numbered.map(|(block, payload)| ((key, block.header.sequence), payload)));
            }
            Err(error) => {
                if let Some(held) = self.feeds.get_mut(&key) {
                    held.feed = before;
                }
                return Err(error);
            }
        }
        Ok(Taken { known: overlap, ready: self.ready() })
    }

    /// Puts a block back that is here and was not applied yet, after a start. [`Self::ready`] gives what that makes ready.
    pub fn wait(&mut self, feed: FeedKey, sequence: u64, payload: Payload) {
        self.waiting.insert((feed, sequence), payload);
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
        let payload = self.waiting.get(&(feed, sequence))?;
        let seen = payload
            .timeframe
            .iter()
            .all(|(other, length)| self.feeds.get(other).is_some_and(|held| held.applied >= *length));
        if !seen {
            return None;
        }
        let payload = self.waiting.remove(&(feed, sequence))?;
        self.feeds.get_mut(&feed)?.applied += 1;
        Some(Ready { feed, sequence, payload })
    }

    fn open<O: Open>(&self, blocks: &[Block], keys: &O) -> Result<Vec<Payload>, ReplicaError<O::Error>> {
        if self.waiting.len() + blocks.len() > MOST_WAITING {
            return Err(ReplicaError::Waiting);
        }
        let mut opened = Vec::with_capacity(blocks.len());
        for block in blocks {
            let at = block.header.sequence;
            let payload =
                keys.open(&block.header, &block.sealed).map_err(|why| ReplicaError::Closed { at, why })?;
            opened.push(payload);
        }
        Ok(opened)
    }
}
