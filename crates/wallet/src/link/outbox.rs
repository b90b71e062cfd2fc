//! What waits to be said to one peer, by its urgency: a queue for each, so that what is urgent waits for nothing else.
//!
//! Whatever the peer does, what waits is bounded: beyond that it is dropped, which both ends make good for once the peer
//! has caught up.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use halo_echo::replication::{Acquaint, Message, Urgency};
use tokio::sync::Notify;

use super::wire::{Say, SpaceTag};

/// Bytes of one urgency that may wait for one peer.
const MOST_WAITING: usize = 16 * 1024 * 1024;
/// Messages of one urgency that may wait for one peer.
pub(crate) const MOST_MESSAGES: usize = 1_024;

/// Where what a peer is to hear waits. When it is dropped, what waits is said, and then nothing more.
pub(crate) struct Outbox(Arc<Shared>);

/// The other end of an [`Outbox`], for one urgency.
pub(crate) struct Outgoing {
    urgency: Urgency,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    /// One each that waits for something of its urgency.
    news: BTreeMap<Urgency, Notify>,
}

#[derive(Default)]
struct Waiting {
    queues: BTreeMap<Urgency, Queue>,
    /// Something was dropped, since it did not fit.
    behind: bool,
    over: bool,
}

#[derive(Default)]
struct Queue {
    all: VecDeque<Say>,
    bytes: usize,
}

/// Queues for one peer.
pub(crate) fn outbox() -> (Outbox, Vec<Outgoing>) {
    let news = Urgency::ALL.into_iter().map(|urgency| (urgency, Notify::new())).collect();
    let shared = Arc::new(Shared { news, ..Shared::default() });
    let outgoing = |urgency| Outgoing { urgency, shared: shared.clone() };
    let all = Urgency::ALL.into_iter().map(outgoing).collect();
    (Outbox(shared), all)
}

impl Outbox {
    /// Lets it be said, or drops it if there is no room.
    pub(crate) fn put(&self, say: Say, urgency: Urgency) {
        let mut waiting = self.0.lock();
        let queue = waiting.queues.entry(urgency).or_default();
        if queue.bytes > MOST_WAITING || queue.all.len() >= MOST_MESSAGES {
            waiting.behind = true;
            return;
        }
        queue.bytes += weight(&say);
        queue.all.push_back(say);
        drop(waiting);
        self.0.tell(urgency);
    }

    /// Blocks of a space that wait are not to be said.
    pub(crate) fn withdraw(&self, space: SpaceTag) {
        let mut waiting = self.0.lock();
        for queue in waiting.queues.values_mut() {
            queue.all.retain(|say| !matches!(say, Say::Space(of, Message::Blocks { .. }) if *of == space));
            queue.bytes = queue.all.iter().map(weight).sum();
        }
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.0.lock().over = true;
        Urgency::ALL.into_iter().for_each(|urgency| self.0.tell(urgency));
    }
}

impl Outgoing {
    /// The next message; `None` once the engine has dropped the peer.
    pub(crate) async fn next(&self) -> Option<Say> {
        loop {
            {
                let mut waiting = self.shared.lock();
                let queue = waiting.queues.entry(self.urgency).or_default();
                if let Some(say) = queue.all.pop_front() {
                    queue.bytes = queue.bytes.saturating_sub(weight(&say));
                    return Some(say);
                }
                if waiting.over {
                    return None;
                }
            }
            // Whoever tells before this waits is heard all the same.
            self.shared.news.get(&self.urgency)?.notified().await;
        }
    }

    /// Which messages come out here.
    pub(crate) const fn urgency(&self) -> Urgency {
        self.urgency
    }

    /// Whether something was dropped and nothing waits any more; `true` once.
    pub(crate) fn has_caught_up(&self) -> bool {
        let mut waiting = self.shared.lock();
        let done = waiting.behind && waiting.queues.values().all(|queue| queue.all.is_empty());
        waiting.behind &= !done;
        done
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, urgency: Urgency) {
        if let Some(news) = self.news.get(&urgency) {
            news.notify_one();
        }
    }
}

fn weight(say: &Say) -> usize {
    match say {
        Say::Space(_, Message::Blocks { blocks, .. }) => blocks.iter().map(|block| block.sealed.len()).sum(),
        Say::Space(_, Message::SnapshotChunk { bytes, .. }) => bytes.len(),
        Say::Acquaint(Acquaint::Credentials(all)) => all.iter().map(Vec::len).sum(),
        _ => 64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids() -> Say {
        Say::Acquaint(Acquaint::Ids { ids: Vec::new(), answer: false })
    }

    fn part(bytes: usize) -> Say {
        let message = Message::SnapshotChunk { id: [0; 32], offset: 0, bytes: vec![0; bytes] };
        Say::Space(SpaceTag::of(&[1; 32]), message)
    }

    #[tokio::test]
    async fn what_does_not_fit_is_dropped_and_holds_up_nothing_more_urgent() {
        let (outbox, outgoing) = outbox();
        let [control, _, _, bulk] = outgoing.as_slice() else { panic!("one for each urgency") };
        (0..20).for_each(|_| outbox.put(part(1024 * 1024), Urgency::Bulk));
        (0..MOST_MESSAGES + 5).for_each(|_| outbox.put(ids(), Urgency::Control));
        for _ in 0..MOST_MESSAGES {
            assert_eq!(control.next().await, Some(ids()));
        }
        assert!(!control.has_caught_up(), "something waits elsewhere");
        for _ in 0..=MOST_WAITING / (1024 * 1024) {
            assert_eq!(bulk.next().await, Some(part(1024 * 1024)));
        }
        assert!(bulk.has_caught_up());
        assert!(!control.has_caught_up(), "once");
        outbox.put(ids(), Urgency::Control);
        assert!(!bulk.has_caught_up(), "nothing was dropped since");
        // What waits is said, and then it is over, also for whoever waits already.
        let waits = async { (bulk.next().await, control.next().await, control.next().await) };
        let (said, ()) = tokio::join!(waits, async { drop(outbox) });
        assert_eq!(said, (None, Some(ids()), None));
    }
}
