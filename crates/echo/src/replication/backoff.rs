//! When to speak again to a peer that says nothing: less and less often, until it counts as gone.

use std::time::Duration;

use halo_protocol::Timestamp;

/// After so long without news, what was sent is taken for lost.
pub const RETRY: Duration = Duration::from_secs(3);
/// Retries, each after twice as long as the one before, until a peer counts as gone: after more than three minutes.
const MOST_RETRIES: u32 = 6;

/// When to speak again if nothing is heard.
#[derive(Debug, Clone, Default)]
pub(super) struct Backoff {
    deadline: Option<Timestamp>,
    retries: u32,
}

impl Backoff {
    pub(super) const fn heard(&mut self) {
        self.deadline = None;
        self.retries = 0;
    }

    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }

    /// One more try; `None` if there were enough.
    pub(super) fn again(&mut self) -> Option<()> {
        self.deadline = None;
        self.retries += 1;
        (self.retries <= MOST_RETRIES).then_some(())
    }

    pub(super) fn wait(&mut self, waits: bool, now: Timestamp, after: Duration) {
        if waits {
            let after = after.saturating_mul(1 << self.retries.min(MOST_RETRIES));
            self.deadline.get_or_insert(now.plus(after));
        } else {
            self.deadline = None;
        }
    }

    pub(super) const fn deadline(&self) -> Option<Timestamp> {
        self.deadline
    }
}
