//! The queue of requests that wait for the user.
//!
//! Sans-IO: requests, answers and time come in, effects go out. The rules it guards: one prompt an app; an
//! answer in the window counts only when the prompt has stood still for half a second; a wrong choice of
//! words is a no; an app that was told no again and again is not shown any more for a while; everything
//! ends by its deadline. The attack that remains is a user who says yes without reading.

use std::collections::BTreeMap;
use std::time::Duration;

use halo_protocol::Timestamp;

use crate::request::{AnsweredBy, Outcome, RequestId, RequestView};

/// How long a prompt must have stood still before a click in the window counts.
pub(crate) const STILLNESS: Duration = Duration::from_millis(500);
/// Prompts of different apps that may wait at once; more would only be noise.
const MOST_WAITING: usize = 16;
/// So many denials within [`DENIAL_MEMORY`] mute an app for [`MUTED_FOR`].
const DENIALS_TO_MUTE: usize = 3;
const DENIAL_MEMORY: Duration = Duration::from_secs(10 * 60);
const MUTED_FOR: Duration = Duration::from_secs(10 * 60);
/// Apps whose denials are remembered; the one denied longest ago makes room.
const MOST_REMEMBERED: usize = 256;

/// A request in the queue.
#[derive(Debug, Clone)]
pub(crate) struct Waiting {
    /// What is shown.
    pub view: RequestView,
    /// What the mute is remembered by: origin or executable.
    pub asker_key: String,
    /// The words the user must pick, where they must.
    pub right_words: Option<[String; 3]>,
    /// Since when the prompt has stood still.
    pub still_since: Timestamp,
}

/// Something that must be done now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Raise the prompt.
    Show(RequestId),
    /// Tell the asker.
    Close(RequestId, Outcome),
    /// Keep in the store that this asker is muted until then.
    Mute { asker_key: String, until: Timestamp },
}

/// Why a request was not queued.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Told no too often just now.
    Muted,
    /// Too many others wait.
    Full,
}

/// Why an answer was not taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotTaken {
    /// No such request.
    Gone,
    /// The prompt had only just appeared or moved.
    TooSoon,
    /// The words were wrong: the request is over, with these effects.
    WrongWords(Vec<Effect>),
}

/// The queue.
#[derive(Debug, Default)]
pub(crate) struct Approvals {
    waiting: BTreeMap<RequestId, Waiting>,
    denials: BTreeMap<String, Vec<Timestamp>>,
    mutes: BTreeMap<String, Timestamp>,
}

impl Approvals {
    /// Takes over mutes that were kept over a restart.
    pub(crate) fn restore_mute(&mut self, asker_key: String, until: Timestamp) {
        self.mutes.insert(asker_key, until);
    }

    /// Whether `asker_key` was told no too often just now.
    pub(crate) fn is_muted(&self, asker_key: &str, now: Timestamp) -> bool {
        self.mutes.get(asker_key).is_some_and(|until| now < *until)
    }

    /// Queues a request. A newer request of the same app takes the place of its older one.
    pub(crate) fn ask(&mut self, waiting: Waiting, now: Timestamp) -> Result<Vec<Effect>, Refused> {
        if self.is_muted(&waiting.asker_key, now) {
            return Err(Refused::Muted);
        }
        let older: Vec<RequestId> = self
            .waiting
            .values()
            .filter(|other| other.asker_key == waiting.asker_key)
            .map(|other| other.view.id.clone())
            .collect();
        if older.is_empty() && self.waiting.len() >= MOST_WAITING {
            return Err(Refused::Full);
        }
        let mut effects = Vec::new();
        for id in older {
            self.waiting.remove(&id);
            effects.push(Effect::Close(id, Outcome::Withdrawn));
        }
        let id = waiting.view.id.clone();
        self.waiting.insert(id.clone(), waiting);
        effects.push(Effect::Show(id));
        Ok(effects)
    }

    /// The prompt was shown, moved or focused: the half second starts again.
    pub(crate) fn moved(&mut self, id: &RequestId, now: Timestamp) -> bool {
        let Some(waiting) = self.waiting.get_mut(id) else { return false };
        waiting.still_since = now;
        true
    }

    /// The user says yes. Takes the request out of the queue.
    ///
    /// Closing the request towards the asker is left to the caller, who first makes the grant durable.
    pub(crate) fn approve(
        &mut self,
        id: &RequestId,
        picked: Option<&[String; 3]>,
        by: AnsweredBy,
        now: Timestamp,
    ) -> Result<Waiting, NotTaken> {
        // A machine that slept wakes up with requests whose time has passed; nobody waits for their answer.
        let waiting = self.waiting.get(id).filter(|waiting| now.as_millis() < waiting.view.expires);
        let waiting = waiting.ok_or(NotTaken::Gone)?;
        if by == AnsweredBy::Window && now < waiting.still_since.plus(STILLNESS) {
            return Err(NotTaken::TooSoon);
        }
        if waiting.right_words.is_some() && waiting.right_words.as_ref() != picked {
            return Err(NotTaken::WrongWords(self.deny(id, now).unwrap_or_default()));
        }
        self.waiting.remove(id).ok_or(NotTaken::Gone)
    }

    /// Puts back a request whose grant could not be made durable, so that the user can try again.
    pub(crate) fn put_back(&mut self, waiting: Waiting) {
        self.waiting.insert(waiting.view.id.clone(), waiting);
    }

    /// Forgets earlier denials of an app that was approved.
    pub(crate) fn forgive(&mut self, asker_key: &str) {
        self.denials.remove(asker_key);
        self.mutes.remove(asker_key);
    }

    /// The user says no.
    pub(crate) fn deny(&mut self, id: &RequestId, now: Timestamp) -> Option<Vec<Effect>> {
        let waiting = self.waiting.remove(id)?;
        let mut effects = vec![Effect::Close(id.clone(), Outcome::Denied)];
        self.make_room();
        let denials = self.denials.entry(waiting.asker_key.clone()).or_default();
        denials.retain(|at| now < at.plus(DENIAL_MEMORY));
        denials.push(now);
        if denials.len() >= DENIALS_TO_MUTE {
            let until = now.plus(MUTED_FOR);
            self.denials.remove(&waiting.asker_key);
            self.mutes.insert(waiting.asker_key.clone(), until);
            effects.push(Effect::Mute { asker_key: waiting.asker_key, until });
        }
        Some(effects)
    }

    /// The asker went away.
    pub(crate) fn withdraw(&mut self, id: &RequestId) -> Option<Effect> {
        self.waiting.remove(id).map(|_| Effect::Close(id.clone(), Outcome::Withdrawn))
    }

    /// The wallet is locked: everybody hears so.
    pub(crate) fn lock(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.waiting).into_keys().map(|id| Effect::Close(id, Outcome::Locked)).collect()
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, now: Timestamp) -> Vec<Effect> {
        self.mutes.retain(|_, until| now < *until);
        self.denials.retain(|_, times| times.iter().any(|at| now < at.plus(DENIAL_MEMORY)));
        let late: Vec<RequestId> = self
            .waiting
            .values()
            .filter(|waiting| waiting.view.expires <= now.as_millis())
            .map(|waiting| waiting.view.id.clone())
            .collect();
        late.into_iter()
            .map(|id| {
                self.waiting.remove(&id);
                Effect::Close(id, Outcome::Expired)
            })
            .collect()
    }

    /// When [`Self::tick`] has something to do at the latest.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        self.waiting.values().map(|waiting| Timestamp::from_millis(waiting.view.expires)).min()
    }

    /// What waits, oldest first.
    pub(crate) fn views(&self) -> Vec<RequestView> {
        let mut views: Vec<RequestView> = self.waiting.values().map(|waiting| waiting.view.clone()).collect();
        views.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
        views
    }

    fn make_room(&mut self) {
        while self.denials.len() >= MOST_REMEMBERED {
            let oldest = self
                .denials
                .iter()
                .min_by_key(|(_, times)| times.last().copied())
                .map(|(asker_key, _)| asker_key.clone());
            let Some(oldest) = oldest else { return };
            self.denials.remove(&oldest);
        }
        while self.mutes.len() >= MOST_REMEMBERED {
            let soonest = self.mutes.iter().min_by_key(|(_, until)| **until).map(|(key, _)| key.clone());
            let Some(soonest) = soonest else { return };
            self.mutes.remove(&soonest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asker::AppKind;
    use crate::request::{AskerView, Scope};

    const NOON: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn after(millis: u64) -> Timestamp {
        NOON.plus(Duration::from_millis(millis))
    }

    fn words(text: &str) -> [String; 3] {
        let mut parts = text.split(' ').map(str::to_owned);
        std::array::from_fn(|_| parts.next().unwrap())
    }

    fn request(id: &str, app: &str, right: Option<&str>) -> Waiting {
        Waiting {
            view: RequestView {
                id: RequestId(id.into()),
                app: AskerView {
                    name: None,
                    kind: AppKind::Web,
                    origin: Some(app.into()),
                    registrable_domain: None,
                    client_id: app.into(),
                    process: None,
                    warnings: Vec::new(),
                },
                scopes: vec![Scope::OpenId],
                new_scopes: vec![Scope::OpenId],
                known: false,
                fields: Vec::new(),
                spaces: Vec::new(),
                binding_message: None,
                compare_words: None,
                word_choices: None,
                created: NOON.as_millis(),
                expires: after(60_000).as_millis(),
            },
            asker_key: app.into(),
            right_words: right.map(words),
            still_since: NOON,
        }
    }

    fn id(text: &str) -> RequestId {
        RequestId(text.into())
    }

    // threat: 13
    #[test]
    fn a_click_in_the_first_half_second_is_not_an_answer() {
        let mut queue = Approvals::default();
        queue.ask(request("a", "https://app.example", None), NOON).unwrap();
        let early = queue.approve(&id("a"), None, AnsweredBy::Window, after(499));
        assert_eq!(early.err(), Some(NotTaken::TooSoon));
        assert!(queue.moved(&id("a"), after(499)), "the prompt is still there");
        let moved = queue.approve(&id("a"), None, AnsweredBy::Window, after(900));
        assert_eq!(moved.err(), Some(NotTaken::TooSoon), "a move starts the half second again");
        assert!(queue.approve(&id("a"), None, AnsweredBy::Window, after(999)).is_ok());
    }

    #[test]
    fn the_command_line_need_not_wait() {
        let mut queue = Approvals::default();
        queue.ask(request("a", "https://app.example", None), NOON).unwrap();
        assert!(queue.approve(&id("a"), None, AnsweredBy::Command, NOON).is_ok());
    }

    // threat: 23
    #[test]
    fn an_answer_after_the_deadline_is_none() {
        let mut queue = Approvals::default();
        queue.ask(request("a", "https://app.example", None), NOON).unwrap();
        queue.ask(request("b", "https://other.example", None), NOON).unwrap();
        let late = queue.approve(&id("a"), None, AnsweredBy::Command, after(60_000));
        assert_eq!(late.err(), Some(NotTaken::Gone), "the machine slept, and the asker has given up");
        assert!(queue.approve(&id("b"), None, AnsweredBy::Command, after(59_999)).is_ok());
    }

    // threat: 8
    #[test]
    fn wrong_words_deny_the_request_for_good() {
        let mut queue = Approvals::default();
        queue.ask(request("a", "https://app.example", Some("red fox den")), NOON).unwrap();
        let wrong = queue.approve(&id("a"), Some(&words("red fox hen")), AnsweredBy::Command, after(600));
        let denied = vec![Effect::Close(id("a"), Outcome::Denied)];
        assert_eq!(wrong.err(), Some(NotTaken::WrongWords(denied)));
        let right = queue.approve(&id("a"), Some(&words("red fox den")), AnsweredBy::Command, after(700));
        assert_eq!(right.err(), Some(NotTaken::Gone), "the right words come too late");
    }

    #[test]
    fn no_words_are_not_the_right_words() {
        let mut queue = Approvals::default();
        queue.ask(request("a", "https://app.example", Some("red fox den")), NOON).unwrap();
        let none = queue.approve(&id("a"), None, AnsweredBy::Command, after(600));
        assert!(matches!(none, Err(NotTaken::WrongWords(_))));
    }

    // threat: 11
    #[test]
    fn ten_thousand_requests_of_one_app_are_one_prompt() {
        let mut queue = Approvals::default();
        for n in 0..10_000 {
            queue.ask(request(&n.to_string(), "https://app.example", None), NOON).unwrap();
        }
        assert_eq!(queue.views().len(), 1);
        for n in 0..10_000 {
            let _ = queue.ask(request(&format!("x{n}"), &format!("https://{n}.example"), None), NOON);
        }
        assert_eq!(queue.views().len(), MOST_WAITING, "many apps are bounded too");
    }

    // threat: 12
    #[test]
    fn three_denials_mute_an_app_for_a_while() {
        let mut queue = Approvals::default();
        for n in 0..3 {
            queue.ask(request(&n.to_string(), "https://app.example", None), NOON).unwrap();
            queue.deny(&id(&n.to_string()), NOON).unwrap();
        }
        let again = queue.ask(request("again", "https://app.example", None), after(1_000));
        assert_eq!(again.err(), Some(Refused::Muted));
        assert!(queue.ask(request("other", "https://other.example", None), after(1_000)).is_ok());
        let later = NOON.plus(MUTED_FOR);
        assert!(queue.ask(request("later", "https://app.example", None), later).is_ok());
    }

    // threat: 23
    #[test]
    fn every_request_ends_by_its_deadline_or_at_the_lock() {
        let mut queue = Approvals::default();
        queue.ask(request("a", "https://a.example", None), NOON).unwrap();
        queue.ask(request("b", "https://b.example", None), NOON).unwrap();
        assert_eq!(queue.deadline(), Some(after(60_000)));
        assert_eq!(queue.tick(after(59_999)), vec![]);
        assert_eq!(
            queue.tick(after(60_000)),
            vec![Effect::Close(id("a"), Outcome::Expired), Effect::Close(id("b"), Outcome::Expired)]
        );
        queue.ask(request("c", "https://c.example", None), NOON).unwrap();
        assert_eq!(queue.lock(), vec![Effect::Close(id("c"), Outcome::Locked)]);
        assert_eq!(queue.deadline(), None);
    }

    #[test]
    fn memory_of_denials_is_bounded() {
        let mut queue = Approvals::default();
        for n in 0..2_000 {
            let app = format!("https://{n}.example");
            queue.ask(request("r", &app, None), NOON).unwrap();
            queue.deny(&id("r"), NOON).unwrap();
        }
        assert!(queue.denials.len() <= MOST_REMEMBERED);
    }
}
