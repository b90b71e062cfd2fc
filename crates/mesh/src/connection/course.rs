//! The course of a handshake between two ends of which each may miss any word of the other.
//!
//! One rule serves both: *who waits for an answer says its last message again, and who hears again what it has answered
//! gives the same answer again*, also when its own part is long done. So the loss of any message, the last one too, costs
//! a pause and nothing else. What is said again are the same bytes: no message is ever made twice from one state.
//!
//! Pure: words and time come in, words go out. The attack that remains: whoever holds the topic's secret can end an
//! attempt with a message that does not open. Who speaks first then begins another, under a higher number.

use std::time::Duration;

use halo_protocol::channel::{Established, Handshake, HandshakeError, Role, Step};
use tokio::time::Instant;

/// Until a message is said again; doubles up to the second.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// A first message that had no answer so often gives way to another attempt.
const REPEATS: u32 = 3;

/// Begins a handshake, with the first message if this side speaks first.
pub(super) type Begin<'a> = dyn FnMut(Role) -> Result<(Handshake, Option<Vec<u8>>), HandshakeError> + 'a;

/// A message, and of which attempt it is.
pub(super) type Word = (u32, Vec<u8>);

/// What was heard last, and what was said to it. A first message answers nothing.
struct Exchange {
    heard: Vec<u8>,
    said: Vec<u8>,
}

/// Where this end is in it.
pub(super) struct Course {
    /// Whether this end speaks first, and numbers the attempts.
    first: bool,
    /// The last attempt. Later ones are higher, also of a task that follows this one: it begins with the time.
    attempt: u32,
    /// Takes the next message; there while one is awaited.
    state: Option<Handshake>,
    last: Option<Exchange>,
    repeats: u32,
    pause: Duration,
    due: Option<Instant>,
}

impl Course {
    /// Before the first word.
    pub(super) fn new(first: bool, attempt: u32) -> Self {
        Self { first, attempt, state: None, last: None, repeats: 0, pause: PAUSES.0, due: None }
    }

    /// Whether the peer has begun another attempt than ours.
    pub(super) fn is_newer(&self, attempt: u32) -> bool {
        !self.first && attempt > self.attempt
    }

    /// Begins from the start: whatever came of the attempt before is over.
    pub(super) fn restart(&mut self, now: Instant) {
        self.state = None;
        self.last = None;
        self.repeats = 0;
        self.pause = PAUSES.0;
        self.due = self.first.then_some(now);
    }

    /// When to call [`Self::tick`].
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Another path than the one that was spoken on is there: it may be tried at once.
    pub(super) fn hurry(&mut self, now: Instant) {
        if self.due.is_some() {
            self.due = Some(now);
        }
    }

    /// What is to be said now.
    pub(super) fn tick(&mut self, now: Instant, begin: &mut Begin<'_>) -> Option<Word> {
        if self.due.is_none_or(|due| now < due) {
            return None;
        }
        let waits = self.state.is_some();
        if self.first && (!waits || self.repeats >= REPEATS) {
            self.knock(begin);
            self.repeats = 0;
        } else if waits {
            self.repeats += 1;
        } else {
            self.due = None;
            return None;
        }
        self.due = Some(now + self.pause);
        self.pause = (self.pause * 2).min(PAUSES.1);
        self.last.as_ref().map(|last| (self.attempt, last.said.clone()))
    }

    fn knock(&mut self, begin: &mut Begin<'_>) {
        self.state = None;
        self.last = None;
        match begin(Role::Initiator) {
            Ok((handshake, Some(said))) => {
                self.attempt = self.attempt.saturating_add(1);
                self.state = Some(handshake);
                self.last = Some(Exchange { heard: Vec::new(), said });
            }
            Ok((_, None)) | Err(_) => tracing::debug!("a handshake cannot be begun now"),
        }
    }

    /// The answer that this message had when it came before.
    pub(super) fn again(&self, attempt: u32, bytes: &[u8]) -> Option<Word> {
        let last = self.last.as_ref().filter(|last| attempt == self.attempt && last.heard == bytes)?;
        Some((attempt, last.said.clone()))
    }

    /// Takes the peer's message: what is to be said, and the outcome if it was the last.
    pub(super) fn hear(
        &mut self,
        (attempt, bytes): (u32, &[u8]),
        now: Instant,
        begin: &mut Begin<'_>,
    ) -> (Option<Word>, Option<Established>) {
        if let Some(answer) = self.again(attempt, bytes) {
            return (Some(answer), None);
        }
        if self.is_newer(attempt) {
            let Ok((handshake, _)) = begin(Role::Responder) else {
                tracing::debug!("a handshake cannot be answered now");
                return (None, None);
            };
            self.attempt = attempt;
            self.state = Some(handshake);
        } else if attempt != self.attempt {
            return (None, None);
        }
        let Some(handshake) = self.state.take() else { return (None, None) };
        self.last = None;
        let (reply, established) = match handshake.read(bytes) {
            Ok(Step::Continue { reply, handshake }) => {
                self.state = Some(handshake);
                (Some(reply), None)
            }
            Ok(Step::Done { reply, established }) => (reply, Some(established)),
            Err(error) => {
                tracing::debug!(%error, "a handshake failed");
                (None, None)
            }
        };
        self.repeats = 0;
        if established.is_some() {
            self.due = None;
        } else if reply.is_some() {
            self.pause = PAUSES.0 * 2;
            self.due = Some(now + PAUSES.0);
        }
        self.last = reply.clone().map(|said| Exchange { heard: bytes.to_vec(), said });
        (reply.map(|reply| (attempt, reply)), established)
    }
}

#[cfg(test)]
mod tests {
    use halo_protocol::channel::{HandshakeHash, OneTimeSecret, Purpose};
    use halo_protocol::signal::TopicSecret;

    use super::*;

    /// Two ends, and words that are on their way.
    struct World {
        ends: [Course; 2],
        /// Outcomes; an end that has one speaks only when it is asked again, as a session does.
        done: [Option<HandshakeHash>; 2],
        invitation: bool,
        now: Instant,
        /// How many words were said.
        said: usize,
    }

    impl World {
        fn new(invitation: bool) -> Self {
            let now = Instant::now();
            let mut ends = [Course::new(true, 1000), Course::new(false, 0)];
            ends.iter_mut().for_each(|end| end.restart(now));
            Self { ends, done: [None, None], invitation, now, said: 0 }
        }

        fn begin(
            invitation: bool,
            end: usize,
            role: Role,
        ) -> Result<(Handshake, Option<Vec<u8>>), HandshakeError> {
            let topic = TopicSecret::from_bytes(&[1; 16]).unwrap().topic();
            let rng = &mut rand::rng();
            let shown = OneTimeSecret::from_bytes([5; 32]);
            let (invited, peers) =
                (Purpose::Invitation { topic, binding: [9; 32] }, Purpose::Peers { topic });
            let secret = [u8::try_from(end).unwrap() + 1; 32];
            match (role, invitation) {
                (Role::Initiator, true) => Handshake::scanning(&invited, &shown.public(), rng)
                    .map(|(handshake, first)| (handshake, Some(first))),
                (Role::Responder, true) => {
                    Handshake::showing(&invited, &shown, rng).map(|handshake| (handshake, None))
                }
                (Role::Initiator, false) => Handshake::calling(&peers, &secret, rng)
                    .map(|(handshake, first)| (handshake, Some(first))),
                (Role::Responder, false) => {
                    Handshake::answering(&peers, &secret, rng).map(|handshake| (handshake, None))
                }
            }
        }

        /// Runs until both are done, or so many alarms have gone off. `fate` says how often the next word arrives.
        fn run(&mut self, alarms: usize, mut fate: impl FnMut(usize) -> usize) -> bool {
            for _ in 0..alarms {
                for end in 0..2 {
                    let invitation = self.invitation;
                    let word = self.ends[end].tick(self.now, &mut |role| Self::begin(invitation, end, role));
                    let mut waiting: Vec<(usize, Word)> =
                        word.map(|word| (1 - end, word)).into_iter().collect();
                    while let Some((to, (attempt, bytes))) = waiting.pop() {
                        self.said += 1;
                        for _ in 0..fate(self.said) {
                            waiting.extend(self.arrives(to, attempt, &bytes).map(|word| (1 - to, word)));
                        }
                    }
                }
                if self.done.iter().all(Option::is_some) {
                    return true;
                }
                let next = self.ends.iter().filter_map(Course::due).min();
                self.now = next.expect("somebody goes on until both are done");
            }
            false
        }

        fn arrives(&mut self, to: usize, attempt: u32, bytes: &[u8]) -> Option<Word> {
            let end = &mut self.ends[to];
            if self.done[to].is_some() {
                if !end.is_newer(attempt) {
                    return end.again(attempt, bytes);
                }
                // As a session does that has not heard of its peer.
                end.restart(self.now);
                self.done[to] = None;
            }
            let invitation = self.invitation;
            let (word, established) =
                end.hear((attempt, bytes), self.now, &mut |role| Self::begin(invitation, to, role));
            if let Some(established) = established {
                self.done[to] = Some(established.hash());
            }
            word
        }
    }

    #[test]
    fn whichever_message_is_lost_both_ends_come_to_the_same_handshake() {
        for invitation in [false, true] {
            for lost in 1..=3 {
                let mut world = World::new(invitation);
                assert!(world.run(4, |word| usize::from(word != lost)), "message {lost} of {invitation}");
                assert_eq!(world.done[0], world.done[1], "one handshake");
                assert_eq!(world.ends[0].attempt, 1001, "it is said again, not begun again");
            }
        }
    }

    #[test]
    fn any_pattern_of_losses_and_repetitions_ends_in_one_handshake() {
        for invitation in [false, true] {
            for pattern in 0..3_usize.pow(6) {
                let mut world = World::new(invitation);
                let fate = |word: usize| match u32::try_from(word) {
                    Ok(word @ 1..=6) => pattern / 3_usize.pow(word - 1) % 3,
                    _ => 1,
                };
                assert!(world.run(20, fate), "{pattern} of {invitation}");
                assert_eq!(world.done[0], world.done[1], "{pattern} of {invitation}");
            }
        }
    }

    #[test]
    fn a_first_message_without_an_answer_gives_way_to_another_attempt() {
        let mut world = World::new(false);
        assert!(!world.run(REPEATS as usize + 1, |_| 0));
        assert_eq!((world.ends[0].attempt, world.said), (1001, REPEATS as usize + 1));
        assert!(world.run(4, |_| 1));
        assert_eq!(world.ends[0].attempt, 1002);
    }

    // threat: 26
    #[test]
    fn words_of_an_attempt_that_failed_are_answered_no_more() {
        let mut world = World::new(false);
        let now = world.now;
        let (attempt, first) = world.ends[0].tick(now, &mut |role| World::begin(false, 0, role)).unwrap();
        assert!(world.arrives(1, attempt, &first).is_some());
        assert!(world.arrives(1, attempt, &[1; 65]).is_none(), "it does not open");
        assert!(world.arrives(1, attempt, &first).is_none(), "nothing waits for what would follow");
        assert!(world.run(8, |_| 1), "another attempt comes to an end");
    }
}
