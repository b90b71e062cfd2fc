//! Whose feeds count and how far, and who may let in devices.

use std::time::Duration;

use halo_protocol::credential::{
    AdmittedFeed, Assertion, Credential, CredentialError, CredentialId, Cut, Draft, MOST_CUTS,
};
use halo_protocol::feed::BlockHash;
use halo_protocol::identity::{IdentityState, MOST_FEEDS_OF_A_DEVICE, PROBATION, Why, Witnesses};
use halo_protocol::{DeviceKey, FeedKey, HybridKey, SealTo, SignatureError, SpaceKey, Timestamp, Verified};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::rounds;
use crate::signer::{Key, NOON, agreement, born};

const DAY: Duration = PROBATION;

pub(crate) fn feed(number: u8) -> FeedKey {
    FeedKey::from_bytes(&Key::new(number).bytes()).unwrap()
}

pub(crate) fn space(number: u8) -> SpaceKey {
    SpaceKey::from_bytes(&Key::new(number).bytes()).unwrap()
}

pub(crate) fn hybrid(fill: u8) -> HybridKey {
    HybridKey::from_bytes(&[fill; HybridKey::LENGTH]).unwrap()
}

pub(crate) fn cut(number: u8, length: u64) -> Cut {
    let head = if length == 0 {
        BlockHash::NONE
    } else {
        BlockHash::from_bytes([u8::try_from(length).unwrap(); 32])
    };
    Cut { feed: feed(number), length, head }
}

impl Key {
    pub(crate) fn admits(
        &self,
        own_feed: u8,
        of_space: u8,
        parents: &[CredentialId],
    ) -> Verified<Credential> {
        let key = Self::new(own_feed);
        let claim = AdmittedFeed::claim(space(of_space), self.device(), &key).unwrap();
        self.says(key.bytes(), Assertion::AdmittedFeed(claim), parents, NOON)
    }

    pub(crate) fn cuts(
        &self,
        device: &Self,
        cuts: Vec<Cut>,
        parents: &[CredentialId],
    ) -> Verified<Credential> {
        let assertion = Assertion::RevokedDevice { device_key: device.device(), cuts };
        self.says(device.bytes(), assertion, parents, NOON)
    }

    pub(crate) fn endorses(
        &self,
        authorisation: &Verified<Credential>,
        parents: &[CredentialId],
    ) -> Verified<Credential> {
        let assertion = Assertion::Endorsed { authorisation: authorisation.id() };
        self.says(authorisation.said().subject, assertion, parents, NOON)
    }
}

pub(crate) fn state(identity: &Key, set: &[Verified<Credential>]) -> IdentityState {
    IdentityState::from_credentials(&identity.identity(), set)
}

pub(crate) fn last(set: &[Verified<Credential>]) -> [CredentialId; 1] {
    [set.last().unwrap().id()]
}

pub(crate) fn why(state: &IdentityState, of: &Verified<Credential>) -> Option<Why> {
    state.rejected.iter().find(|(id, _)| *id == of.id()).map(|(_, why)| *why)
}

/// Ada's laptop and phone, and one feed of the phone in space 50.
pub(crate) struct Two {
    pub(crate) ada: Key,
    pub(crate) laptop: Key,
    pub(crate) phone: Key,
    pub(crate) set: Vec<Verified<Credential>>,
}

pub(crate) const PHONES: u8 = 30;
pub(crate) const SPACE: u8 = 50;

impl Two {
    pub(crate) fn new() -> Self {
        let (ada, laptop, phone) = (Key::new(1), Key::new(2), Key::new(3));
        let mut set = born(&ada, &laptop);
        set.push(laptop.authorizes(&phone, &ada, &last(&set)));
        set.push(phone.admits(PHONES, SPACE, &last(&set)));
        Self { ada, laptop, phone, set }
    }

    pub(crate) fn heads(&self) -> [CredentialId; 1] {
        last(&self.set)
    }

    pub(crate) fn end(&self) -> Option<Cut> {
        state(&self.ada, &self.set).feeds[&space(SPACE)][&feed(PHONES)].cut
    }
}

#[test]
fn a_feed_belongs_to_the_device_that_admits_it() {
    let two = Two::new();
    let state = state(&two.ada, &two.set);
    let found = state.feeds[&space(SPACE)][&feed(PHONES)];
    assert_eq!((found.device, found.cut), (two.phone.device(), None));
    assert!(state.rejected.is_empty());
}

#[test]
fn nobody_claims_somebody_elses_feed() {
    let two = Two::new();
    let Assertion::AdmittedFeed(claimed) = two.set.last().unwrap().said().assertion.clone() else { panic!() };
    let subject = *claimed.feed_key.as_bytes();
    let draft = |assertion| Draft {
        issuer: two.laptop.bytes(),
        subject,
        issued: NOON,
        expires: None,
        parents: two.heads().to_vec(),
        assertion: Assertion::AdmittedFeed(assertion),
    };
    let refused = CredentialError::Signature(SignatureError::Mismatch);
    // The phone's feed said that it is the phone's, in that space.
    let as_mine = AdmittedFeed { device_key: two.laptop.device(), ..claimed.clone() };
    assert_eq!(draft(as_mine).sign(&two.laptop), Err(refused.clone()));
    let elsewhere = AdmittedFeed { space_key: space(51), ..claimed.clone() };
    assert_eq!(draft(elsewhere).sign(&two.laptop), Err(refused));
    // As the phone said it, the laptop may pass it on and not say it.
    let mut set = two.set.clone();
    set.push(draft(claimed).sign(&two.laptop).unwrap());
    assert_eq!(why(&state(&two.ada, &set), set.last().unwrap()), Some(Why::Foreign));
}

#[test]
fn only_a_device_that_may_speak_admits_feeds() {
    let mut two = Two::new();
    let mallory = Key::new(66);
    two.set.push(mallory.admits(40, SPACE, &two.heads()));
    let state = state(&two.ada, &two.set);
    assert_eq!(state.feeds[&space(SPACE)].len(), 1);
}

// threat: 36
#[test]
fn the_feed_of_a_revoked_device_ends_where_it_was_cut() {
    let mut two = Two::new();
    assert_eq!(two.end(), None);
    two.set.push(two.laptop.cuts(&two.phone, vec![cut(PHONES, 7)], &two.heads()));
    assert_eq!(two.end(), Some(cut(PHONES, 7)));
    let state = state(&two.ada, &two.set);
    assert!(state.devices[&two.phone.device()].revoked);
}

#[test]
fn of_two_cuts_the_smaller_holds_whoever_comes_first() {
    let mut two = Two::new();
    let tablet = Key::new(4);
    two.set.push(two.laptop.authorizes(&tablet, &two.ada, &two.heads()));
    let heads = two.heads();
    for order in [[9, 5], [5, 9]] {
        let mut two = Two { set: two.set.clone(), ..Two::new() };
        two.set.push(two.laptop.cuts(&two.phone, vec![cut(PHONES, order[0])], &heads));
        two.set.push(tablet.cuts(&two.phone, vec![cut(PHONES, order[1])], &heads));
        assert_eq!(two.end(), Some(cut(PHONES, 5)));
    }
}

#[test]
fn the_identity_has_the_last_word_on_where_a_feed_ends() {
    let mut two = Two::new();
    two.set.push(two.laptop.cuts(&two.phone, vec![cut(PHONES, 1)], &two.heads()));
    two.set.push(two.ada.cuts(&two.phone, vec![cut(PHONES, 8)], &two.heads()));
    assert_eq!(two.end(), Some(cut(PHONES, 8)), "a thief cannot cut away what the user had");
    two.set.push(two.ada.cuts(&two.phone, vec![cut(PHONES, 6)], &two.heads()));
    assert_eq!(two.end(), Some(cut(PHONES, 6)));
    two.set.push(two.ada.cuts(&two.phone, vec![], &two.heads()));
    assert_eq!(two.end(), Some(cut(PHONES, 6)), "who names no feed says nothing of it");
}

#[test]
fn a_feed_that_no_revocation_names_ends_before_its_first_block() {
    let mut two = Two::new();
    two.set.push(two.laptop.revokes(&two.phone, &two.heads()));
    assert_eq!(two.end(), Some(cut(PHONES, 0)));
}

// threat: 36
#[test]
fn a_feed_admitted_behind_the_revocation_ends_before_its_first_block() {
    let mut two = Two::new();
    let seen = two.heads();
    two.set.push(two.laptop.cuts(&two.phone, vec![cut(PHONES, 7)], &seen));
    let late = two.phone.admits(31, SPACE, &seen);
    two.set.push(late.clone());
    let state = state(&two.ada, &two.set);
    assert_eq!(why(&state, &late), Some(Why::Revoked));
    assert_eq!(state.feeds[&space(SPACE)][&feed(31)].cut, Some(cut(31, 0)), "nobody waits for it");
}

#[test]
fn a_revocation_cuts_the_feeds_of_the_revoked_alone() {
    let mut two = Two::new();
    two.set.push(two.laptop.admits(20, SPACE, &two.heads()));
    let cuts = vec![cut(20, 1), cut(PHONES, 7)];
    let cuts = {
        let mut cuts = cuts;
        cuts.sort();
        cuts
    };
    two.set.push(two.laptop.cuts(&two.phone, cuts, &two.heads()));
    let state = state(&two.ada, &two.set);
    assert_eq!(state.feeds[&space(SPACE)][&feed(20)].cut, None, "the laptop is not revoked");
    // And once it is, what was said of the phone's feeds is nothing about its own.
    two.set.push(two.ada.revokes(&two.laptop, &last(&two.set)));
    let state = self::state(&two.ada, &two.set);
    assert_eq!(state.feeds[&space(SPACE)][&feed(20)].cut, Some(cut(20, 0)));
}

#[test]
fn one_device_has_a_bounded_number_of_feeds() {
    let mut two = Two::new();
    for number in 100..100 + 2 * u8::try_from(MOST_FEEDS_OF_A_DEVICE).unwrap() {
        two.set.push(two.phone.admits(number, SPACE, &two.heads()));
    }
    let feeds = &state(&two.ada, &two.set).feeds[&space(SPACE)];
    assert_eq!(feeds.len(), MOST_FEEDS_OF_A_DEVICE);
    assert!(feeds.contains_key(&feed(PHONES)), "the earliest ones");
}

#[test]
fn a_device_says_its_own_sealing_key_and_nobody_elses() {
    let mut two = Two::new();
    let says = |by: &Key, of: &Key, fill, parents: &[CredentialId]| {
        by.says(of.bytes(), Assertion::SealingKey { hybrid_key: hybrid(fill) }, parents, NOON)
    };
    assert_eq!(
        state(&two.ada, &two.set).devices[&two.phone.device()].seal_to(),
        SealTo::Agreement(agreement())
    );
    two.set.push(says(&two.phone, &two.phone, 5, &two.heads()));
    let foreign =
        [says(&two.laptop, &two.phone, 6, &two.heads()), says(&two.ada, &two.phone, 7, &two.heads())];
    two.set.extend(foreign.clone());
    let state = state(&two.ada, &two.set);
    assert_eq!(state.devices[&two.phone.device()].seal_to(), SealTo::Hybrid(hybrid(5)));
    assert!(foreign.iter().all(|said| why(&state, said) == Some(Why::Foreign)));
}

#[test]
fn only_the_identity_says_what_recovers_it() {
    let mut two = Two::new();
    let recovery = |by: &Key, of: &Key, fill, parents: &[CredentialId]| {
        let assertion =
            Assertion::IdentityRecovery { identity_key: of.identity(), recovery_key: hybrid(fill) };
        by.says(of.bytes(), assertion, parents, NOON)
    };
    two.set.push(recovery(&two.ada, &two.ada, 5, &two.heads()));
    let foreign =
        [recovery(&two.laptop, &two.ada, 6, &two.heads()), recovery(&two.ada, &Key::new(9), 7, &two.heads())];
    two.set.extend(foreign.clone());
    let state = state(&two.ada, &two.set);
    assert_eq!(state.recovery_key, Some(hybrid(5)));
    assert!(foreign.iter().all(|said| why(&state, said) == Some(Why::Foreign)));
}

/// A verifier: what it saw when.
pub(crate) fn judged(two: &Two, seen: &[(&Verified<Credential>, Timestamp)]) -> IdentityState {
    let seen: Vec<_> = seen.iter().map(|(credential, at)| (credential.id(), *at)).collect();
    IdentityState::judge(&two.ada.identity(), &two.set, |id| {
        seen.iter().find(|(of, _)| of == id).map(|(_, at)| *at)
    })
}

/// The phone, let in by the laptop, lets in a tablet.
pub(crate) fn three() -> (Two, Verified<Credential>, Verified<Credential>, Key) {
    let mut two = Two::new();
    let tablet = Key::new(4);
    let phone_in = two.set[3].clone();
    let tablet_in = two.phone.authorizes(&tablet, &two.ada, &two.heads());
    two.set.push(tablet_in.clone());
    (two, phone_in, tablet_in, tablet)
}

// threat: 29
#[test]
fn a_device_on_probation_lets_in_nobody() {
    let (two, phone_in, tablet_in, tablet) = three();
    let almost = Timestamp::from_millis(NOON.plus(DAY).as_millis() - 1);
    for (seen, refused) in [(NOON, true), (almost, true), (NOON.plus(DAY), false)] {
        let state = judged(&two, &[(&phone_in, NOON), (&tablet_in, seen)]);
        assert_eq!(state.devices.contains_key(&tablet.device()), !refused, "{seen:?}");
        assert_eq!(why(&state, &tablet_in) == Some(Why::Probation), refused);
        let phone = &state.devices[&two.phone.device()];
        assert_eq!(phone.probation_until, Some(NOON.plus(DAY)));
        assert!(phone.is_on_probation(almost) && !phone.is_on_probation(NOON.plus(DAY)));
    }
    let mut later = two;
    later.set.push(tablet.admits(40, SPACE, &[tablet_in.id()]));
    let state = judged(&later, &[(&phone_in, NOON), (&tablet_in, NOON)]);
    assert_eq!(state.feeds[&space(SPACE)][&feed(40)].cut, Some(cut(40, 0)), "nothing it says counts");
}

#[test]
fn the_devices_that_the_identity_let_in_are_never_on_probation() {
    let two = Two::new();
    let state = judged(&two, &[(&two.set[0], NOON), (&two.set[3], NOON)]);
    assert!(state.devices.contains_key(&two.phone.device()), "the first device lets in the second at once");
    assert_eq!(state.devices[&two.laptop.device()].probation_until, None);
}

#[test]
fn what_was_handed_over_at_admission_was_judged_before() {
    let (two, phone_in, tablet_in, tablet) = three();
    assert!(judged(&two, &[]).devices.contains_key(&tablet.device()));
    assert!(judged(&two, &[(&tablet_in, NOON)]).devices.contains_key(&tablet.device()));
    assert!(judged(&two, &[(&phone_in, NOON)]).devices.contains_key(&tablet.device()));
}

// threat: 29
#[test]
fn another_device_can_agree_and_neither_of_the_two_can() {
    let (two, phone_in, tablet_in, tablet) = three();
    let desktop = Key::new(5);
    let agree = |by: &Key, parents: &[CredentialId]| {
        let mut two = Two { set: two.set.clone(), ..Two::new() };
        let desktop_in = two.laptop.authorizes(&desktop, &two.ada, &parents[..1]);
        let parents: Vec<_> = parents.iter().copied().chain([desktop_in.id()]).collect();
        let endorsed = by.endorses(&tablet_in, &parents);
        two.set.extend([desktop_in.clone(), endorsed.clone()]);
        let seen = [(&phone_in, NOON), (&tablet_in, NOON), (&desktop_in, NOON), (&endorsed, NOON)];
        judged(&two, &seen).devices.contains_key(&tablet.device())
    };
    let seen = [tablet_in.id()];
    assert!(agree(&two.laptop, &seen), "a device of the first hour");
    assert!(agree(&two.ada, &seen), "the identity");
    assert!(!agree(&two.phone, &seen), "who let it in");
    assert!(!agree(&tablet, &seen), "who was let in");
    assert!(!agree(&desktop, &seen), "one that is on probation itself");
    assert!(!agree(&Key::new(66), &seen), "a stranger");
    assert!(!agree(&two.laptop, &[phone_in.id()]), "one that had not seen what it agrees to");
}

#[test]
fn who_learns_of_both_at_once_agrees_once_somebody_witnessed() {
    let (mut two, phone_in, tablet_in, tablet) = three();
    // The laptop was there for both.
    let of_laptop = judged(&two, &[(&phone_in, NOON), (&tablet_in, NOON.plus(DAY))]);
    let witnesses = |here, by: &[DeviceKey]| Witnesses { here, by: by.iter().copied().collect() };
    assert_eq!(of_laptop.witnessed, [(tablet_in.id(), witnesses(true, &[]))].into());
    let later = NOON.plus(3 * DAY);
    let at_once = [(&phone_in, later), (&tablet_in, later)];
    assert!(!judged(&two, &at_once).devices.contains_key(&tablet.device()));
    assert_eq!(judged(&two, &at_once).witnessed, [].into(), "what was refused is not witnessed");
    two.set.push(two.laptop.endorses(&tablet_in, &two.heads()));
    assert!(judged(&two, &at_once).devices.contains_key(&tablet.device()));
    let of_laptop = judged(&two, &[(&phone_in, NOON), (&tablet_in, NOON.plus(DAY))]);
    assert_eq!(of_laptop.witnessed, [(tablet_in.id(), witnesses(true, &[two.laptop.device()]))].into());
    let others = judged(&two, &at_once).witnessed;
    let word = witnesses(false, &[two.laptop.device()]);
    assert_eq!(others, [(tablet_in.id(), word)].into(), "it saw nothing itself, and vouches for nobody");
    let handed_over = judged(&two, &[(&tablet_in, later)]).witnessed;
    assert!(!handed_over[&tablet_in.id()].here, "when the phone came it was not there");
}

// threat: 29
#[test]
fn who_is_vouched_for_late_has_a_day_of_probation_from_then_on() {
    let (mut two, phone_in, tablet_in, tablet) = three();
    let [watch, ring] = [Key::new(5), Key::new(6)];
    // The tablet waits outside for days, and lets in a watch; the user agrees with the tablet, and hears of the ring.
    let watch_in = tablet.authorizes(&watch, &two.ada, &[tablet_in.id()]);
    let word = two.laptop.endorses(&tablet_in, &two.heads());
    let ring_in = tablet.authorizes(&ring, &two.ada, &[word.id()]);
    two.set.extend([watch_in.clone(), word.clone(), ring_in.clone()]);
    let (outside, agreed) = (NOON.plus(2 * DAY), NOON.plus(3 * DAY));
    let judged_at = |word_at: Timestamp, ring_at: Timestamp, two: &Two| {
        let seen = [(&phone_in, NOON), (&tablet_in, NOON), (&watch_in, outside)];
        judged(two, &[&seen[..], &[(&word, word_at), (&ring_in, ring_at)]].concat())
    };
    let tomorrow = agreed.plus(DAY);
    let state = judged_at(agreed, tomorrow, &two);
    assert_eq!(
        state.devices[&tablet.device()].probation_until,
        Some(tomorrow),
        "not since it was first seen"
    );
    assert_eq!(why(&state, &watch_in), Some(Why::Probation), "it was let in from outside");
    assert!(state.devices.contains_key(&ring.device()), "the day is over");
    let before = Timestamp::from_millis(tomorrow.as_millis() - 1);
    assert_eq!(why(&judged_at(agreed, before, &two), &ring_in), Some(Why::Probation));
    // Of several words the first one begins it, and a word does not begin it before there was something to agree with.
    let second = two.ada.endorses(&tablet_in, &[tablet_in.id()]);
    two.set.push(second.clone());
    let seen = [(&phone_in, NOON), (&tablet_in, NOON), (&word, agreed), (&second, tomorrow)];
    assert_eq!(judged(&two, &seen).devices[&tablet.device()].probation_until, Some(tomorrow));
    let early = [(&phone_in, agreed), (&tablet_in, agreed), (&word, NOON), (&second, NOON)];
    assert_eq!(judged(&two, &early).devices[&tablet.device()].probation_until, Some(tomorrow));
    // Whom the phone could let in by itself needed nobody's word.
    let late = [(&phone_in, NOON), (&tablet_in, NOON.plus(DAY)), (&word, agreed)];
    let until = judged(&two, &late).devices[&tablet.device()].probation_until;
    assert_eq!(until, Some(NOON.plus(2 * DAY)));
}

#[test]
fn an_endorsement_of_anything_else_is_none() {
    let mut two = Two::new();
    let of_feed = two.laptop.endorses(&two.set[4], &two.heads());
    let assertion = Assertion::Endorsed { authorisation: two.set[3].id() };
    let of_another = two.laptop.says(two.laptop.bytes(), assertion, &two.heads(), NOON);
    two.set.extend([of_feed.clone(), of_another.clone()]);
    let state = state(&two.ada, &two.set);
    assert_eq!(why(&state, &of_feed), Some(Why::Foreign));
    assert_eq!(why(&state, &of_another), Some(Why::Foreign));
}

#[test]
fn cuts_are_in_order_and_bounded_and_name_their_last_block() {
    let two = Two::new();
    let sign = |cuts: Vec<Cut>| {
        let assertion = Assertion::RevokedDevice { device_key: two.phone.device(), cuts };
        let draft = Draft {
            issuer: two.laptop.bytes(),
            subject: two.phone.bytes(),
            issued: NOON,
            expires: None,
            parents: vec![],
            assertion,
        };
        draft.sign(&two.laptop)
    };
    let mut feeds: Vec<FeedKey> = (0..=u8::try_from(MOST_CUTS).unwrap()).map(feed).collect();
    feeds.sort();
    let mut all: Vec<Cut> = feeds
        .iter()
        .map(|feed| Cut { feed: *feed, length: 1, head: BlockHash::from_bytes([1; 32]) })
        .collect();
    assert!(sign(all.clone()).is_err(), "one too many");
    all.pop();
    assert!(sign(all.clone()).is_ok());
    assert!(sign(vec![all[1], all[0]]).is_err(), "not in order");
    assert!(sign(vec![all[0], all[0]]).is_err(), "twice");
    assert!(sign(vec![Cut { head: BlockHash::NONE, ..all[0] }]).is_err(), "no last block");
    assert!(sign(vec![Cut { length: 0, ..all[0] }]).is_err(), "a last block of none");
    assert!(sign(vec![Cut::before_all(all[0].feed)]).is_ok());
}

/// A thing that may happen, by number of who says it: 1 is the identity, 2 to 5 its devices, 6 a stranger.
#[derive(Debug, Clone)]
enum Deed {
    Authorize(u8, u8),
    Revoke(u8, u8, u8),
    Admit(u8),
    Endorse(u8, Index),
    /// Of authorisations, by number.
    Vouch(u8, usize),
    Seal(u8),
}

type Deeds = Vec<(Deed, Vec<Index>)>;

fn deeds(longest: usize) -> impl Strategy<Value = Deeds> {
    let who = 1..=6_u8;
    let deed = prop_oneof![
        3 => (who.clone(), 2..=5_u8).prop_map(|(by, whom)| Deed::Authorize(by, whom)),
        2 => (who.clone(), 2..=5_u8, 0..4_u8).prop_map(|(by, whom, end)| Deed::Revoke(by, whom, end)),
        2 => who.clone().prop_map(Deed::Admit),
        2 => (who.clone(), any::<Index>()).prop_map(|(by, what)| Deed::Endorse(by, what)),
        1 => who.prop_map(Deed::Seal),
    ];
    proptest::collection::vec((deed, proptest::collection::vec(any::<Index>(), 0..4)), 0..longest)
}

/// Households in which everybody has been let in, and vouches for others and removes them.
fn quarrels() -> impl Strategy<Value = Deeds> {
    let who = 2..=5_u8;
    let deed = prop_oneof![
        2 => (who.clone(), 2..=5_u8).prop_map(|(by, whom)| Deed::Authorize(by, whom)),
        5 => (who.clone(), 2..=5_u8).prop_map(|(by, whom)| Deed::Revoke(by, whom, 0)),
        1 => (who.clone(), 7..=8_u8).prop_map(|(by, whom)| Deed::Revoke(by, whom, 0)),
        3 => (who, 0..6_usize).prop_map(|(by, what)| Deed::Vouch(by, what)),
    ];
    let cites = proptest::collection::vec(any::<Index>(), 1..4);
    let let_in = (2..=5_u8, proptest::collection::vec(any::<Index>(), 1..3));
    (proptest::collection::vec(let_in, 4), proptest::collection::vec((deed, cites), 4..20)).prop_map(
        |(first, then)| {
            let whom = 3..=6_u8;
            let first = first
                .into_iter()
                .zip(whom)
                .map(|((by, cites), whom)| (Deed::Authorize(by.min(whom - 1), whom.min(5)), cites));
            first.chain(then).collect()
        },
    )
}

/// The feed of a device.
const fn feed_of(device: u8) -> u8 {
    30 + device
}

fn said(
    ada: &Key,
    deed: &Deed,
    set: &[Verified<Credential>],
    parents: &[CredentialId],
) -> Verified<Credential> {
    match deed {
        Deed::Authorize(by, whom) => Key::new(*by).authorizes(&Key::new(*whom), ada, parents),
        Deed::Revoke(by, whom, end) => {
            Key::new(*by).cuts(&Key::new(*whom), vec![cut(feed_of(*whom), u64::from(*end))], parents)
        }
        Deed::Admit(by) => Key::new(*by).admits(feed_of(*by), SPACE, parents),
        Deed::Endorse(by, what) => Key::new(*by).endorses(what.get(set), parents),
        Deed::Vouch(by, what) => {
            let lets_in = |one: &&Verified<Credential>| {
                matches!(one.said().assertion, Assertion::AuthorizedDevice { .. })
            };
            let all: Vec<_> = set.iter().filter(lets_in).collect();
            let what = all[what % all.len()];
            let parents =
                parents.iter().copied().chain([what.id()]).collect::<std::collections::BTreeSet<_>>();
            Key::new(*by).endorses(what, &parents.into_iter().collect::<Vec<_>>())
        }
        Deed::Seal(by) => {
            let key = Key::new(*by);
            key.says(key.bytes(), Assertion::SealingKey { hybrid_key: hybrid(*by) }, parents, NOON)
        }
    }
}

fn done(ada: &Key, deeds: &Deeds) -> Vec<Verified<Credential>> {
    let mut set = born(ada, &Key::new(2));
    for (deed, cites) in deeds {
        let parents: Vec<CredentialId> = cites.iter().map(|index| index.get(&set).id()).collect();
        let next = said(ada, deed, &set, &parents);
        set.push(next);
    }
    set
}

/// A verifier that saw things within two days, or was told of them, by their ids.
fn seen_by_chance(id: &CredentialId) -> Option<Timestamp> {
    let [first, second, ..] = id.as_bytes();
    (first % 4 > 0).then(|| NOON.plus(Duration::from_secs(u64::from(*second) * 60 * 12)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_arrival_gives_the_same_feeds_and_devices(
        deeds in deeds(24),
        orders in proptest::collection::vec(any::<Index>(), 48),
    ) {
        let ada = Key::new(1);
        let set = done(&ada, &deeds);
        let judge = |set: &[Verified<Credential>]| IdentityState::judge(&ada.identity(), set, seen_by_chance);
        let mut shuffled = set.clone();
        for (at, index) in orders.iter().enumerate() {
            let with = index.index(shuffled.len());
            let at = at % shuffled.len();
            shuffled.swap(at, with);
        }
        prop_assert_eq!(judge(&shuffled), judge(&set));
    }

    #[test]
    fn the_shorter_ways_lead_where_the_rule_leads(deeds in deeds(24), quarrels in quarrels()) {
        let ada = Key::new(1);
        for deeds in [&deeds, &quarrels] {
            let set = done(&ada, deeds);
            let all = |_: &CredentialId| Some(NOON);
            let judge = IdentityState::judge(&ada.identity(), &set, seen_by_chance);
            prop_assert_eq!(judge, rounds::judge(&ada.identity(), &set, seen_by_chance));
            let judge = IdentityState::judge(&ada.identity(), &set, all);
            prop_assert_eq!(judge, rounds::judge(&ada.identity(), &set, all));
        }
    }

    #[test]
    fn strangers_change_nothing_whatever_they_say(
        deeds in deeds(12),
        words in deeds_of_a_stranger(),
    ) {
        let ada = Key::new(1);
        let mut set = done(&ada, &deeds);
        let before = IdentityState::judge(&ada.identity(), &set, seen_by_chance);
        // Device 6 is never let in by anybody.
        for (deed, cites) in &words {
            let parents: Vec<CredentialId> = cites.iter().map(|index| index.get(&set).id()).collect();
            let next = said(&ada, deed, &set, &parents);
            set.push(next);
        }
        let after = IdentityState::judge(&ada.identity(), &set, seen_by_chance);
        prop_assert_eq!(after.devices, before.devices);
        prop_assert_eq!(after.feeds, before.feeds);
        prop_assert_eq!(after.suspended, before.suspended);
        prop_assert_eq!(after.recovery_key, before.recovery_key);
    }

    #[test]
    fn one_more_revocation_by_a_device_never_lets_a_feed_go_on(
        deeds in deeds(12),
        whom in 3..=5_u8,
        end in 0..4_u8,
    ) {
        let ada = Key::new(1);
        let mut set = done(&ada, &deeds);
        let before = state(&ada, &set);
        let heads = before.heads.clone();
        let revocation = said(&ada, &Deed::Revoke(2, whom, end), &set, &heads);
        set.push(revocation);
        let after = state(&ada, &set);
        let key = feed(feed_of(whom));
        let end = |state: &IdentityState| {
            let feeds = state.feeds.get(&space(SPACE))?;
            Some(feeds.get(&key)?.cut.map_or(u64::MAX, |cut| cut.length))
        };
        if let (Some(before), Some(after)) = (end(&before), end(&after)) {
            // A feed that no revocation had named ended before its first block, unless somebody names it now.
            prop_assert!(after <= before || before == 0, "{after} after {before}");
        }
    }
}

fn deeds_of_a_stranger() -> impl Strategy<Value = Deeds> {
    let deed = prop_oneof![
        (2..=6_u8).prop_map(|whom| Deed::Authorize(6, whom)),
        (2..=5_u8, 0..4_u8).prop_map(|(whom, end)| Deed::Revoke(6, whom, end)),
        Just(Deed::Admit(6)),
        any::<Index>().prop_map(|what| Deed::Endorse(6, what)),
        Just(Deed::Seal(6)),
    ];
    proptest::collection::vec((deed, proptest::collection::vec(any::<Index>(), 0..4)), 1..8)
}
