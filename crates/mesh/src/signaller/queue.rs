//! What waits for a client to read it: bounded in messages and in bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::{Notify, mpsc};
use tokio_tungstenite::tungstenite::{Bytes, Message};

/// Messages that wait at most.
const MOST_MESSAGES: usize = 1_024;
/// Bytes that wait at most.
const MOST_BYTES: usize = 2 * 1024 * 1024;

/// The end where messages go in.
pub(super) struct Queue {
    messages: mpsc::Sender<Bytes>,
    shared: Arc<Shared>,
}

/// The end where they come out.
pub(super) struct Waiting {
    messages: mpsc::Receiver<Bytes>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    bytes: AtomicUsize,
    closed: AtomicBool,
    ask: AtomicBool,
    woken: Notify,
}

/// A queue with nothing in it.
pub(super) fn bounded() -> (Queue, Waiting) {
    let (sender, receiver) = mpsc::channel(MOST_MESSAGES);
    let shared = Arc::new(Shared::default());
    (Queue { messages: sender, shared: Arc::clone(&shared) }, Waiting { messages: receiver, shared })
}

impl Queue {
    /// Adds a message; `false` if it does not fit.
    pub(super) fn push(&self, message: Bytes) -> bool {
        let length = message.len();
        // Senders hold the signaller's lock, so nobody adds in between; readers only make room.
        if self.shared.bytes.load(Ordering::Relaxed) + length > MOST_BYTES {
            return false;
        }
        self.shared.bytes.fetch_add(length, Ordering::Relaxed);
        let fits = self.messages.try_send(message).is_ok();
        if !fits {
            self.shared.bytes.fetch_sub(length, Ordering::Relaxed);
        }
        fits
    }

    /// Asks whether the client is there, beside what waits.
    pub(super) fn ask(&self) {
        self.shared.ask.store(true, Ordering::Release);
        self.shared.woken.notify_one();
    }

    /// Ends it: what waits is not sent.
    pub(super) fn close(&self) {
        self.shared.closed.store(true, Ordering::Release);
        self.shared.woken.notify_one();
    }
}

impl Waiting {
    /// The next message; `None` when there will be none.
    pub(super) async fn next(&mut self) -> Option<Message> {
        loop {
            if self.shared.closed.load(Ordering::Acquire) {
                return None;
            }
            if self.shared.ask.swap(false, Ordering::AcqRel) {
                return Some(Message::Ping(Bytes::new()));
            }
            tokio::select! {
                message = self.messages.recv() => {
                    let message = message?;
                    self.shared.bytes.fetch_sub(message.len(), Ordering::Relaxed);
                    return Some(Message::Binary(message));
                }
                () = self.shared.woken.notified() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // threat: 40
    #[tokio::test]
    async fn a_client_that_reads_slowly_costs_no_more_than_its_queue() {
        let (queue, mut waiting) = bounded();
        let payload = Bytes::from(vec![0; 64 * 1024]);
        let fitted = (0..100).filter(|_| queue.push(payload.clone())).count();
        assert_eq!(fitted, MOST_BYTES / payload.len());
        assert!(waiting.next().await.is_some());
        assert!(queue.push(payload.clone()), "who reads makes room");
        assert!(!queue.push(payload));
        let (queue, _waiting) = bounded();
        let fitted = (0..10_000).filter(|_| queue.push(Bytes::from_static(b"x"))).count();
        assert_eq!(fitted, MOST_MESSAGES);
    }

    #[tokio::test]
    async fn a_closed_queue_gives_nothing_more() {
        let (queue, mut waiting) = bounded();
        queue.push(Bytes::from_static(b"x"));
        queue.close();
        assert!(waiting.next().await.is_none());
    }
}
