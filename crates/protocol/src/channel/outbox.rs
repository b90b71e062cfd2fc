//! Messages that wait to be sent, stream by stream.
//!
//! A stream sends no more than the peer has granted it, so a stream that the peer does not read stands still, and only it.
//! Streams of one priority take turns, a frame each.

use std::collections::{BTreeMap, VecDeque};

use super::frame::{CREDIT_LENGTH, PART_OVERHEAD, Part};
use super::stream::{Priority, StreamId};

/// What a message costs of its stream's credit, besides its bytes.
pub(super) const MESSAGE_COST: u64 = 32;
/// Bytes that wait on one stream; more are not taken.
const HIGH: usize = 1024 * 1024;
/// So few that a writer who was stopped may go on.
const LOW: usize = 256 * 1024;
/// A part of a message shorter than this waits for the next frame.
const WORTH: usize = 64;

struct Stream {
    queue: VecDeque<Vec<u8>>,
    /// Bytes of the first message that are sent.
    offset: usize,
    waiting: usize,
    granted: u64,
    spent: u64,
    /// Somebody waits until it may write.
    stopped: bool,
}

impl Stream {
    /// Bytes of the first message that may go now; `None` if nothing may.
    fn ready(&self) -> Option<usize> {
        let first = self.queue.front()?;
        let opening = if self.offset == 0 { MESSAGE_COST } else { 0 };
        let credit = self.granted.saturating_sub(self.spent).checked_sub(opening)?;
        let rest = first.len() - self.offset;
        let may = usize::try_from(credit).unwrap_or(usize::MAX).min(rest);
        (may > 0 || rest == 0).then_some(may)
    }
}

pub(super) struct Outbox {
    streams: BTreeMap<StreamId, Stream>,
    credits: VecDeque<(StreamId, u64)>,
    most: usize,
    window: u64,
    /// The stream that was served last, for each priority.
    served: BTreeMap<Priority, StreamId>,
}

impl Outbox {
    pub(super) const fn new(most: usize, window: u64) -> Self {
        Self { streams: BTreeMap::new(), credits: VecDeque::new(), most, window, served: BTreeMap::new() }
    }

    /// Bytes that the stream takes now.
    pub(super) fn room(&self, stream: StreamId) -> usize {
        match self.streams.get(&stream) {
            Some(stream) => HIGH.saturating_sub(stream.waiting),
            None if self.streams.len() < self.most => HIGH,
            None => 0,
        }
    }

    /// Whether something was sent on it before.
    pub(super) fn knows(&self, stream: StreamId) -> bool {
        self.streams.contains_key(&stream)
    }

    /// Takes a message, or gives it back.
    pub(super) fn push(&mut self, id: StreamId, message: Vec<u8>) -> Result<(), Vec<u8>> {
        if !self.streams.contains_key(&id) && self.streams.len() >= self.most {
            return Err(message);
        }
        let granted = self.window;
        let stream = self.streams.entry(id).or_insert_with(|| Stream {
            queue: VecDeque::new(),
            offset: 0,
            waiting: 0,
            granted,
            spent: 0,
            stopped: false,
        });
        if stream.waiting >= HIGH {
            stream.stopped = true;
            return Err(message);
        }
        stream.waiting += message.len();
        stream.stopped |= stream.waiting >= HIGH;
        stream.queue.push_back(message);
        Ok(())
    }

    /// The peer may be told that it may send this much on a stream.
    pub(super) fn credit(&mut self, stream: StreamId, granted: u64) {
        self.credits.retain(|(other, _)| *other != stream);
        self.credits.push_back((stream, granted));
    }

    /// The peer grants this much; `false` if it has nothing to grant there.
    #[must_use]
    pub(super) fn granted(&mut self, stream: StreamId, granted: u64) -> bool {
        let Some(stream) = self.streams.get_mut(&stream) else { return false };
        stream.granted = stream.granted.max(granted);
        true
    }

    /// Whether nothing waits, also not for credit.
    pub(super) fn is_empty(&self) -> bool {
        self.credits.is_empty() && self.streams.values().all(|stream| stream.queue.is_empty())
    }

    /// Whether something of this lane may go.
    pub(super) fn has(&self, bulk: bool) -> bool {
        (!bulk && !self.credits.is_empty())
            || self.streams.iter().any(|(id, stream)| is_bulk(*id) == bulk && stream.ready().is_some())
    }

    /// Fills a frame of this lane with what goes first; says which stopped streams may write again.
    pub(super) fn fill(&mut self, bulk: bool, space: usize, writable: &mut Vec<StreamId>) -> Vec<u8> {
        let mut out = Vec::with_capacity(space.min(2048));
        if !bulk {
            while out.len() + CREDIT_LENGTH <= space {
                let Some((stream, granted)) = self.credits.pop_front() else { break };
                Part::Credit { stream, granted }.write(&mut out);
            }
        }
        while let Some(id) = self.turn(bulk) {
            let left = space.saturating_sub(out.len() + PART_OVERHEAD);
            let Some(stream) = self.streams.get_mut(&id) else { break };
            let (Some(may), Some(first)) = (stream.ready(), stream.queue.front()) else { break };
            if left < may && left < WORTH {
                break;
            }
            let take = may.min(left);
            let bytes = first.get(stream.offset..stream.offset + take).unwrap_or_default();
            let begins = stream.offset == 0;
            if begins {
                Part::First { stream: id, total: first.len(), bytes }.write(&mut out);
            } else {
                Part::More { stream: id, bytes }.write(&mut out);
            }
            stream.spent += take as u64 + if begins { MESSAGE_COST } else { 0 };
            stream.waiting -= take;
            stream.offset += take;
            if stream.offset == first.len() {
                stream.queue.pop_front();
                stream.offset = 0;
            }
            if stream.stopped && stream.waiting <= LOW {
                stream.stopped = false;
                writable.push(id);
            }
            self.served.insert(id.priority(), id);
        }
        out
    }

    /// Whose turn it is in this lane.
    fn turn(&self, bulk: bool) -> Option<StreamId> {
        let ready = || {
            let ready =
                self.streams.iter().filter(|(id, stream)| is_bulk(**id) == bulk && stream.ready().is_some());
            ready.map(|(id, _)| *id)
        };
        let priority = ready().map(StreamId::priority).min()?;
        let last = self.served.get(&priority);
        let after = ready().find(|id| id.priority() == priority && last.is_none_or(|last| id > last));
        after.or_else(|| ready().find(|id| id.priority() == priority))
    }
}

pub(super) fn is_bulk(stream: StreamId) -> bool {
    stream.priority() == Priority::Bulk
}
