//! What came: frames put in order, and messages put together.

use std::collections::BTreeMap;

use super::flight::WIDEST;
use super::frame::{MOST_RANGES, Part};
use super::outbox::MESSAGE_COST;
use super::seal::Opened;
use super::stream::StreamId;

/// Bytes of frames that wait for an earlier one.
const MOST_WAITING: usize = 4 * 1024 * 1024;

/// One lane's frames, in order.
#[derive(Default)]
pub(super) struct Order {
    next: u64,
    waiting: BTreeMap<u64, Opened>,
    bytes: usize,
}

impl Order {
    /// Everything below was handed on.
    pub(super) const fn next(&self) -> u64 {
        self.next
    }

    /// Whether a frame of this number is wanted.
    pub(super) fn wants(&self, number: u64) -> bool {
        number >= self.next && !self.is_beyond(number) && !self.waiting.contains_key(&number)
    }

    /// Whether no peer would send it yet.
    pub(super) const fn is_beyond(&self, number: u64) -> bool {
        number >= self.next + WIDEST
    }

    /// Takes a frame that is wanted; one too many is dropped, and will come again.
    pub(super) fn take(&mut self, number: u64, frame: Opened) {
        let length = frame.plain().len();
        if number == self.next || self.bytes + length <= MOST_WAITING {
            self.bytes += length;
            self.waiting.insert(number, frame);
        }
    }

    /// The next one in order.
    pub(super) fn pop(&mut self) -> Option<Opened> {
        let frame = self.waiting.remove(&self.next)?;
        self.bytes -= frame.plain().len();
        self.next += 1;
        Some(frame)
    }

    /// Whether something came out of order.
    pub(super) fn has_holes(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// What came out of order, as first and last.
    pub(super) fn ranges(&self) -> Vec<(u64, u64)> {
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for number in self.waiting.keys() {
            if let Some((_, last)) = ranges.last_mut()
                && *last + 1 == *number
            {
                *last = *number;
            } else if ranges.len() == MOST_RANGES {
                break;
            } else {
                ranges.push((*number, *number));
            }
        }
        ranges
    }
}

struct Stream {
    /// Length and beginning of the message that is coming.
    partial: Option<(usize, Vec<u8>)>,
    /// Cost of all that came, of all that was taken, and of all that may come.
    came: u64,
    taken: u64,
    granted: u64,
}

/// The messages of all streams.
pub(super) struct Inbox {
    streams: BTreeMap<StreamId, Stream>,
    most: usize,
    window: u64,
}

/// What a peer did that no peer does.
pub(super) type Violation = &'static str;

impl Inbox {
    pub(super) const fn new(most: usize, window: u64) -> Self {
        Self { streams: BTreeMap::new(), most, window }
    }

    /// Takes a part of a message; gives the message if it is whole.
    pub(super) fn take(&mut self, part: &Part<'_>) -> Result<Option<(StreamId, Vec<u8>)>, Violation> {
        let (id, bytes, opens) = match part {
            Part::First { stream, total, bytes } => (*stream, *bytes, Some(*total)),
            Part::More { stream, bytes } => (*stream, *bytes, None),
            Part::Credit { .. } => return Ok(None),
        };
        if !self.streams.contains_key(&id) && self.streams.len() >= self.most {
            return Err("it opened too many streams");
        }
        let granted = self.window;
        let fresh = || Stream { partial: None, came: 0, taken: 0, granted };
        let stream = self.streams.entry(id).or_insert_with(fresh);
        let cost = bytes.len() as u64 + if opens.is_some() { MESSAGE_COST } else { 0 };
        if stream.came + cost > stream.granted {
            return Err("it sent more on a stream than it was granted");
        }
        stream.came += cost;
        let (total, mut message) = match (opens, stream.partial.take()) {
            (Some(total), None) => (total, Vec::with_capacity(bytes.len())),
            (None, Some(partial)) => partial,
            (Some(_), Some(_)) => return Err("it began a message within another"),
            (None, None) => return Err("it went on with a message that it had not begun"),
        };
        message.extend_from_slice(bytes);
        if message.len() > total {
            return Err("a message is longer than announced");
        }
        if message.len() == total {
            return Ok(Some((id, message)));
        }
        stream.partial = Some((total, message));
        Ok(None)
    }

    /// A delivered message was taken by its reader; what the peer may now be granted, if that is worth saying.
    pub(super) fn taken(&mut self, id: StreamId, bytes: usize) -> Option<u64> {
        let stream = self.streams.get_mut(&id)?;
        // No more than came, whatever the caller says: otherwise the bound on memory would not hold.
        let cost = (bytes as u64).saturating_add(MESSAGE_COST);
        stream.taken = stream.taken.saturating_add(cost).min(stream.came);
        let grant = stream.taken + self.window;
        if grant < stream.granted + self.window / 4 {
            return None;
        }
        stream.granted = grant;
        Some(grant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_wanted_until_it_came_and_not_too_early() {
        let mut order = Order::default();
        assert!(order.wants(0) && order.wants(WIDEST - 1) && !order.wants(WIDEST));
        order.take(1, Opened::of(b"second"));
        assert!(!order.wants(1), "it waits already");
        assert!(order.pop().is_none(), "for the first");
        assert_eq!((order.has_holes(), order.ranges()), (true, vec![(1, 1)]));
        order.take(0, Opened::of(b"first"));
        let came: Vec<Vec<u8>> =
            std::iter::from_fn(|| order.pop()).map(|frame| frame.plain().to_vec()).collect();
        assert_eq!(came, [b"first".to_vec(), b"second".to_vec()]);
        assert!(!order.wants(0) && !order.wants(1), "both are over");
        assert!(order.wants(WIDEST + 1) && order.is_beyond(WIDEST + 2));
        assert_eq!((order.has_holes(), order.bytes, order.ranges()), (false, 0, vec![]));
    }

    #[test]
    fn frames_that_wait_are_bounded_but_the_next_one_always_fits() {
        let mut order = Order::default();
        let long = [0; 16_000];
        (1..WIDEST).for_each(|number| order.take(number, Opened::of(&long)));
        assert!(order.bytes <= MOST_WAITING);
        assert!(order.wants(WIDEST - 1), "it was dropped, and may come again");
        order.take(0, Opened::of(&long));
        assert!(order.pop().is_some(), "nothing stands still");
    }

    #[test]
    fn what_came_is_told_in_ranges() {
        let mut order = Order::default();
        [2, 3, 4, 7, 9, 10].into_iter().for_each(|number| order.take(number, Opened::of(b"")));
        assert_eq!(order.ranges(), [(2, 4), (7, 7), (9, 10)]);
        (0..100).for_each(|number| order.take(20 + 2 * number, Opened::of(b"")));
        assert_eq!(order.ranges().len(), MOST_RANGES);
    }
}
