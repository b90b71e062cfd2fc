//! What is counted of a connection, and what its reader took.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use halo_protocol::channel::StreamId;
use tokio::sync::Notify;

use super::PathKind;

/// How much was said, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// How frames go now.
    pub path: Option<PathKind>,
    /// How long an answer takes, once measured.
    pub round_trip: Option<Duration>,
    /// Bytes of frames to the peer.
    pub sent: u64,
    /// Bytes of frames from the peer.
    pub received: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counted {
    sent: AtomicU64,
    received: AtomicU64,
    way: Mutex<(Option<PathKind>, Option<Duration>)>,
}

impl Counted {
    pub(super) fn stats(&self) -> Stats {
        let (path, round_trip) = *self.way();
        Stats {
            path,
            round_trip,
            sent: self.sent.load(Ordering::Relaxed),
            received: self.received.load(Ordering::Relaxed),
        }
    }

    pub(super) fn sent(&self, bytes: usize) {
        self.sent.fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn received(&self, bytes: usize) {
        self.received.fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn path(&self, path: Option<PathKind>) {
        self.way().0 = path;
    }

    pub(super) fn round_trip(&self, round_trip: Option<Duration>) {
        self.way().1 = round_trip;
    }

    fn way(&self) -> MutexGuard<'_, (Option<PathKind>, Option<Duration>)> {
        self.way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Messages that left the last queue: the peer may send as much again. Never more than were delivered.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    messages: Mutex<Vec<(StreamId, usize)>>,
    added: Notify,
}

impl Taken {
    pub(crate) fn add(&self, stream: StreamId, bytes: usize) {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).push((stream, bytes));
        self.added.notify_one();
    }

    /// Waits for some.
    pub(crate) async fn added(&self) {
        self.added.notified().await;
    }

    /// All since the last time.
    pub(crate) fn all(&self) -> Vec<(StreamId, usize)> {
        std::mem::take(&mut *self.messages.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
