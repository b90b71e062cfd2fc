//! What waits to be said to one peer, by its urgency: a queue for each, so that what is urgent waits for nothing else.
//!
//! Whatever the peer does, what waits is bounded, for each urgency by itself: nothing is crowded out by what is less
//! urgent, nor the other way round. Whoever asks for [room](Outbox::room) first reads nothing in vain; what is put beyond
//! it is dropped, which both ends make good for once the peer has caught up.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use halo_echo::replication::{Message, Urgency};
use tokio::sync::Notify;

use super::wire::{Say, SpaceTag};

/// Bytes that may wait for one peer, besides one message of each urgency: 18 MiB in all, and no more than that of blocks
/// for what a connection keeps in between itself.
const fn most(urgency: Urgency) -> usize {
    const MIB: usize = 1024 * 1024;
    match urgency {
        Urgency::Control | Urgency::OnScreen | Urgency::Data | Urgency::Bulk => 4 * MIB,
        Urgency::Halo => 2 * MIB,
    }
}

/// Where what a peer is to hear waits. When it is dropped, what waits is said, and then nothing more.
pub(crate) struct Outbox(Arc<Shared>);

/// The other end of an [`Outbox`], for one urgency.
pub(crate) struct Outgoing {
    urgency: Urgency,
    shared: Arc<Shared>,
}

/// Something is not among what waits that was to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Behind {
    /// It was not put there for want of room.
    Held,
    /// It was dropped.
    Dropped,
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
    over: bool,
}

#[derive(Default)]
struct Queue {
    all: VecDeque<Say>,
    bytes: usize,
    behind: Option<Behind>,
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
        if queue.bytes > most(urgency) {
            queue.behind = Some(Behind::Dropped);
            return;
        }
        queue.bytes += say.weight();
        queue.all.push_back(say);
        drop(waiting);
        self.0.tell(urgency);
    }

    /// How many bytes of an urgency may be put there.
    pub(crate) fn room(&self, urgency: Urgency) -> usize {
        let waiting = self.0.lock();
        most(urgency).saturating_sub(waiting.queues.get(&urgency).map_or(0, |queue| queue.bytes))
    }

    /// There was not enough room for something, which is to come once there is.
    pub(crate) fn hold(&self, urgency: Urgency) {
        let mut waiting = self.0.lock();
        let behind = &mut waiting.queues.entry(urgency).or_default().behind;
        *behind = (*behind).max(Some(Behind::Held));
    }

    /// Blocks of a space that wait are not to be said.
    pub(crate) fn withdraw(&self, space: SpaceTag) {
        let is_it = |say: &Say| matches!(say, Say::Space(of, Message::Blocks { .. }) if *of == space);
        self.0.lock().queues.values_mut().for_each(|queue| queue.take_out(is_it));
    }

    /// Nothing that waits is to be said.
    pub(crate) fn empty(&self) {
        self.0.lock().queues.values_mut().for_each(|queue| queue.take_out(|_| true));
    }

    /// Whether there is something to make good for, and room to.
    pub(crate) fn has_caught_up(&self) -> bool {
        self.0.lock().queues.values().any(Queue::has_caught_up)
    }

    /// What there is to make good for, now that there is room to; once.
    pub(crate) fn catch_up(&self) -> Option<Behind> {
        let mut waiting = self.0.lock();
        let done = waiting.queues.values_mut().filter(|queue| queue.has_caught_up());
        done.filter_map(|queue| queue.behind.take()).max()
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
                    queue.bytes = queue.bytes.saturating_sub(say.weight());
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

    /// Whether the engine has something to make good for, and room to: nothing of this urgency waits any more.
    pub(crate) fn has_caught_up(&self) -> bool {
        self.shared.lock().queues.get(&self.urgency).is_some_and(Queue::has_caught_up)
    }
}

impl Queue {
    fn take_out(&mut self, is_it: impl Fn(&Say) -> bool) {
        self.all.retain(|say| !is_it(say));
        self.bytes = self.all.iter().map(Say::weight).sum();
    }

    fn has_caught_up(&self) -> bool {
        self.behind.is_some() && self.all.is_empty()
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

#[cfg(test)]
mod tests {
    use halo_echo::replication::Acquaint;
    use halo_protocol::FeedKey;
    use halo_protocol::credential::CredentialId;

    use super::*;

    const MIB: usize = 1024 * 1024;

    fn ids(many: usize) -> Say {
        Say::Acquaint(Acquaint::Ids { ids: vec![CredentialId::from_bytes([7; 32]); many], answer: false })
    }

    fn part(bytes: usize) -> Say {
        let message = Message::SnapshotChunk { id: [0; 32], offset: 0, bytes: vec![0; bytes] };
        Say::Space(SpaceTag::of(&[1; 32]), message)
    }

    fn blocks(space: u8) -> Say {
        let message = Message::Blocks { blocks: Vec::new(), head: None };
        Say::Space(SpaceTag::of(&[space; 32]), message)
    }

    /// How many bytes of such messages may wait, as they go over the wire or lie in memory.
    fn fill(say: &Say, urgency: Urgency) -> usize {
        let (outbox, outgoing) = outbox();
        (0..100_000)
            .take_while(|_| !outgoing.iter().any(is_behind))
            .for_each(|_| outbox.put(say.clone(), urgency));
        let waiting = outbox.0.lock();
        waiting.queues[&urgency].all.len() * bytes(say)
    }

    fn bytes(say: &Say) -> usize {
        say.frames().map(|frame| frame.len()).sum::<usize>().max(size_of::<Say>())
    }

    fn is_behind(outgoing: &Outgoing) -> bool {
        outgoing.shared.lock().queues.get(&outgoing.urgency).is_some_and(|queue| queue.behind.is_some())
    }

    #[test]
    fn whatever_waits_for_a_peer_takes_no_more_than_some_mebibytes() {
        let mut key = [0x66; 32];
        key[0] = 0x58;
        let feeds = vec![(FeedKey::from_bytes(&key).unwrap(), 1); 200];
        let have = Message::Have { timeframe: feeds, again: false, on_screen: false };
        let keys = Message::Keys(vec![vec![7; 1_000]; 256]);
        let of_a_space = |message| Say::Space(SpaceTag::of(&[1; 32]), message);
        let mut total = 0;
        for (say, urgency) in [
            (ids(32_000), Urgency::Control),
            (ids(0), Urgency::Control),
            (Say::Acquaint(Acquaint::Credentials(vec![vec![7; 2_000]; 100])), Urgency::Control),
            (of_a_space(have), Urgency::Control),
            (of_a_space(keys), Urgency::Control),
            (part(1_000), Urgency::Halo),
            (part(1_000), Urgency::OnScreen),
            (part(1_000), Urgency::Data),
            (part(1_000), Urgency::Bulk),
        ] {
            let all = fill(&say, urgency);
            assert!(all < most(urgency) / 8 * 9 + bytes(&say), "{all} bytes of {urgency:?}");
            assert!(all > most(urgency) / 2, "{all} bytes of {urgency:?}");
            if urgency != Urgency::Control || say == ids(0) {
                total += all;
            }
        }
        assert!(total < 19 * MIB, "{total}");
    }

    #[tokio::test]
    async fn what_does_not_fit_is_dropped_and_holds_up_nothing_more_urgent() {
        let (outbox, outgoing) = outbox();
        let [control, _, _, _, bulk] = outgoing.as_slice() else { panic!("one for each urgency") };
        (0..20).for_each(|_| outbox.put(part(MIB), Urgency::Bulk));
        assert_eq!(outbox.room(Urgency::Bulk), 0);
        assert_eq!(outbox.room(Urgency::Data), most(Urgency::Data));
        outbox.put(ids(0), Urgency::Control);
        assert_eq!(control.next().await, Some(ids(0)));
        assert!(!control.has_caught_up() && !bulk.has_caught_up() && !outbox.has_caught_up());
        for _ in 0..4 {
            assert_eq!(bulk.next().await, Some(part(MIB)));
        }
        assert!(bulk.has_caught_up() && outbox.has_caught_up(), "whatever else waits");
        assert!(!control.has_caught_up(), "that is nothing that was dropped here");
        assert_eq!((outbox.catch_up(), outbox.catch_up()), (Some(Behind::Dropped), None), "once");
        assert!(!bulk.has_caught_up(), "nothing was dropped since");
        // What waits is said, and then it is over, also for whoever waits already.
        outbox.put(ids(0), Urgency::Control);
        let waits = async { (bulk.next().await, control.next().await, control.next().await) };
        let (said, ()) = tokio::join!(waits, async { drop(outbox) });
        assert_eq!(said, (None, Some(ids(0)), None));
    }

    #[tokio::test]
    async fn what_was_held_back_comes_once_what_waits_was_said_or_withdrawn() {
        let (outbox, outgoing) = outbox();
        let [_, _, _, data, _] = outgoing.as_slice() else { panic!("one for each urgency") };
        outbox.put(blocks(1), Urgency::Data);
        outbox.put(blocks(2), Urgency::Data);
        outbox.hold(Urgency::Data);
        outbox.withdraw(SpaceTag::of(&[1; 32]));
        assert_eq!((outbox.has_caught_up(), outbox.catch_up()), (false, None), "another space waits");
        assert_eq!(data.next().await, Some(blocks(2)));
        assert!(data.has_caught_up());
        assert_eq!(outbox.catch_up(), Some(Behind::Held));
        // Nobody takes out what was withdrawn, and the engine sees it all the same.
        outbox.put(blocks(1), Urgency::Data);
        outbox.hold(Urgency::Data);
        outbox.withdraw(SpaceTag::of(&[1; 32]));
        assert!(outbox.has_caught_up());
        assert_eq!(outbox.catch_up(), Some(Behind::Held));
    }

    #[tokio::test]
    async fn whoever_is_told_nothing_more_is_not_told_what_waits() {
        let (outbox, outgoing) = outbox();
        Urgency::ALL.into_iter().for_each(|urgency| outbox.put(ids(0), urgency));
        outbox.empty();
        drop(outbox);
        for outgoing in outgoing {
            assert_eq!(outgoing.next().await, None, "{:?}", outgoing.urgency());
        }
    }
}
