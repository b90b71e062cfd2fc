//! Frames of one lane that are on their way, and what the peer said of them.
//!
//! A frame stays here, sealed, until it is acknowledged. When the path changes, or nothing is acknowledged for longer than
//! a round trip takes, it is sent again as the same bytes.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::time::Timestamp;

/// Frames between the oldest unacknowledged and the newest: more than this the peer does not keep.
pub(super) const WIDEST: u64 = 1_024;

/// Before anything was measured.
const FIRST_TIMEOUT: Duration = Duration::from_secs(1);
/// Paths are reliable by themselves: a timeout is for those that are not, and for one that died.
const SHORTEST_TIMEOUT: Duration = Duration::from_millis(300);
const LONGEST_TIMEOUT: Duration = Duration::from_secs(8);

/// How long answers take (RFC 6298).
#[derive(Default)]
pub(super) struct RoundTrip {
    smoothed: Option<Duration>,
    variation: Duration,
    doublings: u32,
}

impl RoundTrip {
    /// What was measured.
    pub(super) const fn smoothed(&self) -> Option<Duration> {
        self.smoothed
    }

    fn took(&mut self, sample: Duration) {
        self.doublings = 0;
        let Some(smoothed) = self.smoothed else {
            self.smoothed = Some(sample);
            self.variation = sample / 2;
            return;
        };
        self.variation = (self.variation * 3 + smoothed.abs_diff(sample)) / 4;
        self.smoothed = Some((smoothed * 7 + sample) / 8);
    }

    fn timeout(&self) -> Duration {
        let base = self.smoothed.map_or(FIRST_TIMEOUT, |smoothed| smoothed + 4 * self.variation);
        let base = base.clamp(SHORTEST_TIMEOUT, LONGEST_TIMEOUT);
        (base * 2_u32.saturating_pow(self.doublings.min(8))).min(LONGEST_TIMEOUT)
    }

    /// Nothing came in time.
    pub(super) const fn back_off(&mut self) {
        self.doublings = self.doublings.saturating_add(1);
    }

    /// Another path, another time.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}

struct Frame {
    bytes: Vec<u8>,
    /// When, on the path in use; `None` while it waits to be sent (again).
    sent: Option<Timestamp>,
    again: bool,
}

#[derive(Default)]
pub(super) struct Flight {
    frames: BTreeMap<u64, Frame>,
    next: u64,
    /// Sealed bytes that are on the path in use.
    out: usize,
    /// Frames that have to go out again.
    waiting: usize,
    /// The last time the peer acknowledged something, or something was sent when nothing was out.
    moved: Timestamp,
}

impl Flight {
    /// The number of the next new frame.
    pub(super) const fn next(&self) -> u64 {
        self.next
    }

    /// Bytes on the path in use.
    pub(super) const fn out(&self) -> usize {
        self.out
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Whether something has to go out again.
    pub(super) const fn waits(&self) -> bool {
        self.waiting > 0
    }

    /// Whether a new frame would still be kept by the peer.
    pub(super) fn has_width(&self) -> bool {
        self.frames.first_key_value().is_none_or(|(oldest, _)| self.next < oldest + WIDEST)
    }

    /// A new frame goes out.
    pub(super) fn send(&mut self, bytes: Vec<u8>, now: Timestamp) {
        self.leaves(bytes.len(), now);
        self.frames.insert(self.next, Frame { bytes, sent: Some(now), again: false });
        self.next += 1;
    }

    /// The next frame that has to go out again.
    pub(super) fn send_again(&mut self, now: Timestamp) -> Option<Vec<u8>> {
        if !self.waits() {
            return None;
        }
        let frame = self.frames.values_mut().find(|frame| frame.sent.is_none())?;
        self.waiting -= 1;
        frame.sent = Some(now);
        frame.again = true;
        let bytes = frame.bytes.clone();
        self.leaves(bytes.len(), now);
        Some(bytes)
    }

    fn leaves(&mut self, bytes: usize, now: Timestamp) {
        if self.out == 0 {
            self.moved = now;
        }
        self.out += bytes;
    }

    /// The peer has everything below `next`, and these ranges. An acknowledgement of what was never sent is `false`.
    #[must_use]
    pub(super) fn acknowledged(
        &mut self,
        next: u64,
        ranges: &[(u64, u64)],
        now: Timestamp,
        round_trip: &mut RoundTrip,
    ) -> bool {
        if next > self.next || ranges.iter().any(|(_, last)| *last >= self.next) {
            return false;
        }
        let below = self.frames.range(..next).map(|(number, _)| *number);
        let above = ranges.iter().flat_map(|(first, last)| self.frames.range(*first..=*last));
        let gone: Vec<u64> = below.chain(above.map(|(number, _)| *number)).collect();
        for number in gone {
            let Some(frame) = self.frames.remove(&number) else { continue };
            self.moved = now;
            if frame.sent.is_none() {
                self.waiting -= 1;
            }
            if let Some(sent) = frame.sent {
                self.out = self.out.saturating_sub(frame.bytes.len());
                // Of a frame that went out twice nobody knows which one was answered (Karn).
                if !frame.again {
                    round_trip.took(Duration::from_millis(now.as_millis().saturating_sub(sent.as_millis())));
                }
            }
        }
        true
    }

    /// Everything has to go out again: the path is another.
    pub(super) fn lost(&mut self) {
        self.frames.values_mut().for_each(|frame| frame.sent = None);
        self.waiting = self.frames.len();
        self.out = 0;
    }

    /// Whether nothing was acknowledged in time; what was sent before then has to go out again.
    pub(super) fn timed_out(&mut self, now: Timestamp, round_trip: &RoundTrip) -> bool {
        if self.deadline(round_trip).is_none_or(|deadline| now < deadline) {
            return false;
        }
        let timeout = round_trip.timeout();
        for frame in
            self.frames.values_mut().filter(|frame| frame.sent.is_some_and(|sent| now >= sent.plus(timeout)))
        {
            frame.sent = None;
            self.waiting += 1;
            self.out = self.out.saturating_sub(frame.bytes.len());
        }
        self.moved = now;
        true
    }

    /// When to look again.
    pub(super) fn deadline(&self, round_trip: &RoundTrip) -> Option<Timestamp> {
        (self.out > 0).then(|| self.moved.plus(round_trip.timeout()))
    }
}
