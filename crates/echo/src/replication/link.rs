//! Getting in step with one peer: timeframes, then the ranges that are missing.
//!
//! The machine bears any loss, repetition and reordering of messages. What was sent counts as received only once the
//! peer's timeframe says so; until then at most [`WINDOW`] blocks of a feed are on their way, and after [`RETRY`]
//! without news both sides say again what they have.

use std::time::Duration;

use halo_protocol::feed::{Block, SignedHead};
use halo_protocol::{FeedKey, Timestamp};

use super::Timeframe;

/// Blocks of one feed that may be on their way.
pub const WINDOW: u64 = 4_096;
/// Blocks in one message.
const BATCH: usize = 1_024;
/// After so long without news, what was sent is taken for lost.
pub const RETRY: Duration = Duration::from_secs(3);

/// What peers of a space say to each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// How many blocks of each feed are durable here.
    Have {
        /// Feed and count, ascending.
        timeframe: Vec<(FeedKey, u64)>,
        /// Something is missing: everything beyond it is to be sent (again).
        again: bool,
    },
    /// A run of blocks of one feed, and the head that vouches for it.
    Blocks {
        /// At most 1,024.
        blocks: Vec<Block>,
        /// Of the last one.
        head: SignedHead,
    },
}

/// What happens to a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// It can be spoken over now.
    Opened,
    /// The peer said something.
    Message(Message),
    /// There are new blocks here, durable by now; or some that the peer sent turned out to be known.
    Grown,
    /// Blocks of the peer did not fit: some before them are missing.
    Missed,
    /// Time has passed.
    Tick,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Effect {
    /// Tell the peer.
    Send(Message),
    /// Take these blocks, and say [`Input::Grown`] to every link when they are durable, or [`Input::Missed`] to this one.
    Take {
        /// A run of one feed.
        blocks: Vec<Block>,
        /// Of the last one.
        head: SignedHead,
    },
}

/// The blocks that are durable here.
pub trait Blocks {
    /// How many of each feed.
    fn timeframe(&self) -> Timeframe;
    /// Up to `most` blocks of a feed from a number on, with the head of the last one; none if no head can be given.
    fn run(&self, feed: &FeedKey, from: u64, most: usize) -> Option<(Vec<Block>, SignedHead)>;
}

/// One peer, in one space.
#[derive(Debug, Clone, Default)]
pub struct Link {
    /// What the peer said it has; none before it said anything.
    theirs: Option<Timeframe>,
    /// What it will have when everything arrives.
    sent: Timeframe,
    /// What it was told that we have.
    told: Option<Timeframe>,
    /// It sent blocks and waits to hear that they came.
    owes: bool,
    deadline: Option<Timestamp>,
}

impl Link {
    /// Does what an input asks for.
    pub fn handle(&mut self, input: Input, here: &impl Blocks, now: Timestamp) -> Vec<Effect> {
        let mut effects = Vec::new();
        match input {
            Input::Opened => {
                *self = Self::default();
                effects.push(self.have(here, true));
            }
            Input::Message(Message::Have { timeframe, again }) => {
                let theirs: Timeframe = timeframe.into_iter().collect();
                if again {
                    self.sent.clone_from(&theirs);
                } else {
                    for (feed, length) in &theirs {
                        let sent = self.sent.entry(*feed).or_default();
                        *sent = (*sent).max(*length);
                    }
                }
                let first = self.theirs.replace(theirs).is_none();
                self.deadline = None;
                effects.extend(self.missing(here));
                // Whoever speaks first may not know yet what there is here.
                if again || first {
                    effects.push(self.have(here, false));
                }
            }
            Input::Message(Message::Blocks { blocks, head }) => {
                self.owes = true;
                effects.push(Effect::Take { blocks, head });
            }
            Input::Grown => {
                effects.extend(self.missing(here));
                if self.owes || self.told.as_ref() != Some(&here.timeframe()) {
                    self.owes = false;
                    effects.push(self.have(here, false));
                }
            }
            Input::Missed => {
                self.owes = false;
                effects.push(self.have(here, true));
            }
            Input::Tick => {
                if self.deadline.is_some_and(|deadline| deadline <= now) {
                    self.deadline = None;
                    self.sent = self.theirs.clone().unwrap_or_default();
                    effects.push(self.have(here, true));
                    effects.extend(self.missing(here));
                }
            }
        }
        if self.waits() {
            self.deadline.get_or_insert(now.plus(RETRY));
        }
        effects
    }

    /// When to say [`Input::Tick`] if nothing happens before.
    #[must_use]
    pub const fn deadline(&self) -> Option<Timestamp> {
        self.deadline
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

    /// Something was said and not answered.
    fn waits(&self) -> bool {
        self.theirs.as_ref().is_none_or(|theirs| {
            self.sent.iter().any(|(feed, sent)| *sent > theirs.get(feed).copied().unwrap_or_default())
        })
    }

    fn have(&mut self, here: &impl Blocks, again: bool) -> Effect {
        let now = here.timeframe();
        let timeframe = now.iter().map(|(feed, length)| (*feed, *length)).collect();
        self.told = Some(now);
        Effect::Send(Message::Have { timeframe, again })
    }

    /// Runs that the peer lacks and that are not on their way.
    fn missing(&mut self, here: &impl Blocks) -> Vec<Effect> {
        let Some(theirs) = &self.theirs else { return Vec::new() };
        let mut effects = Vec::new();
        for (feed, length) in here.timeframe() {
            // A feed that the peer does not name is none that it takes.
            let Some(confirmed) = theirs.get(&feed).copied() else { continue };
            let sent = self.sent.entry(feed).or_insert(confirmed);
            while *sent < length && *sent - confirmed.min(*sent) < WINDOW {
                let Some((blocks, head)) = here.run(&feed, *sent, BATCH) else { break };
                if blocks.is_empty() {
                    break;
                }
                *sent = head.sequence + 1;
                effects.push(Effect::Send(Message::Blocks { blocks, head }));
            }
        }
        effects
    }
}
