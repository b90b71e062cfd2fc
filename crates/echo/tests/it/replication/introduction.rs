//! Two devices exchange what each knows of who is who.

use std::collections::BTreeMap;

use halo_echo::replication::{
    Acquaint, Acquaintance, Introduction, IntroductionEffect, IntroductionError, IntroductionInput,
    MOST_ADMISSIONS_OF_A_DEVICE, MOST_CREDENTIALS, MOST_CREDENTIALS_OF_A_GUEST,
    MOST_CREDENTIALS_OF_AN_ISSUER, Room,
};
use halo_protocol::credential::{Assertion, Credential, CredentialId, Draft, IdentityProfile};
use halo_protocol::identity::IdentityState;
use halo_protocol::{AgreementKey, DeviceKey, Verified};

use super::NOW;
use crate::keys::Key;

/// The credentials of one device, and whom it takes for none.
#[derive(Default, Clone)]
struct Set(BTreeMap<CredentialId, Vec<u8>>, Option<DeviceKey>);

impl Set {
    fn with(names: std::ops::Range<u8>) -> Self {
        let mut set = Self::default();
        names.for_each(|name| set.add(&credential(name)));
        set
    }

    fn add(&mut self, credential: &Verified<Credential>) {
        self.0.insert(credential.id(), credential.bytes().to_vec());
    }
}

impl Acquaintance for Set {
    fn ids(&self) -> Vec<CredentialId> {
        self.0.keys().copied().collect()
    }

    fn bytes(&self, id: &CredentialId) -> Option<Vec<u8>> {
        self.0.get(id).cloned()
    }

    fn room(&self) -> Room {
        let read = |bytes: &Vec<u8>| Credential::decode(bytes).and_then(Credential::verify).unwrap();
        let all: Vec<_> = self.0.values().map(read).collect();
        let mut state = IdentityState::from_credentials(&Key::new(1).identity(), &all);
        if let Some(refused) = &self.1 {
            state.devices.remove(refused);
        }
        Room::beside(&state, &all)
    }
}

fn credential(name: u8) -> Verified<Credential> {
    let key = Key::new(1);
    let profile = IdentityProfile { display_name: name.to_string(), avatar: None };
    let assertion = Assertion::IdentityProfile(profile);
    let (issuer, subject) = (key.bytes(), key.bytes());
    Draft { issuer, subject, issued: NOW, expires: None, parents: vec![], assertion }.sign(&key).unwrap()
}

/// Lets two devices introduce themselves; one of `lost` messages is lost, without a pattern that would always hit the same ones. Says how
/// many were sent.
fn introduce(sets: &mut [Set; 2], lost: usize) -> usize {
    let mut both = [Introduction::default(), Introduction::default()];
    let (mut inputs, mut count, mut now) = (Vec::new(), 0_usize, NOW);
    for at in 0..2 {
        inputs.push((at, IntroductionInput::Opened));
    }
    loop {
        while !inputs.is_empty() {
            let (at, input) = inputs.remove(0);
            for effect in both[at].handle(input, &sets[at], now).unwrap() {
                match effect {
                    IntroductionEffect::Send(message) => {
                        count += 1;
                        // Knuth's multiplicative hash.
                        let spread = (count.wrapping_mul(2_654_435_761) & 0xffff_ffff) >> 20;
                        if lost == 0 || spread % lost != 0 {
                            let message = Acquaint::decode(&message.encode()).unwrap();
                            inputs.push((1 - at, IntroductionInput::Message(message)));
                        }
                    }
                    IntroductionEffect::Learn(all) => {
                        all.iter().for_each(|credential| sets[at].add(credential));
                        inputs.push((at, IntroductionInput::Grown));
                    }
                }
            }
        }
        let Some(next) = both.iter().filter_map(Introduction::deadline).min() else {
            assert!((0..2).all(|at| both[at].is_settled(&sets[at])));
            return count;
        };
        now = next;
        for at in 0..2 {
            inputs.push((at, IntroductionInput::Tick));
        }
    }
}

#[test]
fn two_devices_come_to_have_the_same_credentials() {
    for lost in [0, 2, 3] {
        let mut sets = [Set::with(0..40), Set::with(30..70)];
        introduce(&mut sets, lost);
        assert_eq!(sets[0].ids(), sets[1].ids());
        assert_eq!(sets[0].0.len(), 70);
    }
    let mut same = [Set::with(0..40), Set::with(0..40)];
    assert_eq!(introduce(&mut same, 0), 2, "who has the same says so and no more");
}

#[test]
fn a_credential_that_nobody_signed_ends_the_introduction() {
    let set = Set::with(0..3);
    let mut introduction = Introduction::default();
    let mut bytes = credential(9).bytes().to_vec();
    bytes[3] ^= 1;
    let message = IntroductionInput::Message(Acquaint::Credentials(vec![bytes]));
    assert_eq!(introduction.handle(message, &set, NOW), Err(IntroductionError::Credential));
    let many = (0..=MOST_CREDENTIALS)
        .map(|number| {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&(number as u64).to_be_bytes());
            CredentialId::from_bytes(id)
        })
        .collect();
    let message = IntroductionInput::Message(Acquaint::Ids { ids: many, answer: false });
    assert_eq!(Introduction::default().handle(message, &set, NOW), Err(IntroductionError::TooMany));
}

#[test]
fn a_peer_that_names_credentials_and_never_sends_them_is_dropped() {
    let set = Set::with(0..3);
    let mut introduction = Introduction::default();
    let theirs = Acquaint::Ids { ids: vec![CredentialId::from_bytes([1; 32])], answer: false };
    introduction.handle(IntroductionInput::Opened, &set, NOW).unwrap();
    introduction.handle(IntroductionInput::Message(theirs), &set, NOW).unwrap();
    assert!(!introduction.is_settled(&set));
    let mut tries = 0;
    while let Some(deadline) = introduction.deadline() {
        match introduction.handle(IntroductionInput::Tick, &set, deadline) {
            Ok(effects) => assert_eq!(effects.len(), 1),
            Err(error) => {
                assert_eq!(error, IntroductionError::Silent);
                assert!(tries > 3);
                return;
            }
        }
        tries += 1;
    }
    panic!("it waits for ever");
}

fn says(
    by: &Key,
    subject: [u8; 32],
    parents: Vec<CredentialId>,
    assertion: Assertion,
) -> Verified<Credential> {
    Draft { issuer: by.bytes(), subject, issued: NOW, expires: None, parents, assertion }.sign(by).unwrap()
}

fn lets_in(by: &Key, whom: &Key, parents: Vec<CredentialId>) -> Verified<Credential> {
    let agreement_key = AgreementKey::from_bytes(&[7; 32]).unwrap();
    let identity_key = Key::new(1).identity();
    let said = Assertion::AuthorizedDevice { identity_key, device_key: whom.device(), agreement_key };
    says(by, whom.bytes(), parents, said)
}

fn names(by: &Key, number: usize, parents: Vec<CredentialId>) -> Verified<Credential> {
    let profile = IdentityProfile { display_name: number.to_string(), avatar: None };
    says(by, Key::new(1).bytes(), parents, Assertion::IdentityProfile(profile))
}

/// The laptop, and the tablet that it let in and that says as much as there is room for.
fn filled() -> (Set, Key, Key, Verified<Credential>) {
    let (ada, laptop, tablet) = (Key::new(1), Key::new(2), Key::new(3));
    let laptop_in = lets_in(&ada, &laptop, vec![]);
    let tablet_in = lets_in(&laptop, &tablet, vec![laptop_in.id()]);
    let mut set = Set::default();
    [&laptop_in, &tablet_in].into_iter().for_each(|one| set.add(one));
    for number in 0..MOST_CREDENTIALS_OF_AN_ISSUER {
        set.add(&names(&tablet, number, vec![tablet_in.id()]));
    }
    (set, laptop, tablet, tablet_in)
}

/// What a device makes of some credentials that come: which it learns, and whether all is settled then.
fn learns(set: &Set, come: &[&Verified<Credential>]) -> (Vec<CredentialId>, bool) {
    let mut introduction = Introduction::default();
    let mut ids: Vec<CredentialId> = come.iter().map(|one| one.id()).collect();
    ids.sort_unstable();
    let theirs = IntroductionInput::Message(Acquaint::Ids { ids, answer: false });
    introduction.handle(theirs, set, NOW).unwrap();
    let bytes = come.iter().map(|one| one.bytes().to_vec()).collect();
    let said = IntroductionInput::Message(Acquaint::Credentials(bytes));
    let effects = introduction.handle(said, set, NOW).unwrap();
    let mut learnt = Vec::new();
    let mut after = set.clone();
    for effect in effects {
        if let IntroductionEffect::Learn(all) = effect {
            all.iter().for_each(|one| after.add(one));
            learnt.extend(all.iter().map(|one| one.id()));
        }
    }
    (learnt, introduction.is_settled(&after))
}

#[test]
fn a_device_that_fills_the_list_is_removed_all_the_same() {
    let (set, laptop, tablet, tablet_in) = filled();
    let more = names(&tablet, 9_999_999, vec![tablet_in.id()]);
    let revoked = Assertion::RevokedDevice { device_key: tablet.device(), cuts: vec![] };
    let removal = says(&laptop, tablet.bytes(), vec![tablet_in.id()], revoked);
    let (learnt, is_settled) = learns(&set, &[&more, &removal]);
    assert_eq!(
        learnt,
        [removal.id()],
        "there is room for what the laptop says and for nothing of the tablet's"
    );
    assert!(is_settled, "whoever passes it on is spoken with all the same");
}

#[test]
fn what_somebody_else_cites_is_taken_all_the_same() {
    let (set, laptop, tablet, tablet_in) = filled();
    let more = names(&tablet, 9_999_999, vec![tablet_in.id()]);
    let mut knows = set.clone();
    knows.add(&names(&laptop, 1, vec![tablet_in.id(), more.id()]));
    assert_eq!(learns(&knows, &[&more]), (vec![more.id()], true));
    let mut own = set;
    own.add(&names(&Key::new(9), 1, vec![tablet_in.id(), more.id()]));
    assert_eq!(learns(&own, &[&more]), (vec![], true), "a stranger cites it");
}

#[test]
fn strangers_have_room_for_so_much_together() {
    let (mut set, laptop, _, tablet_in) = filled();
    let stranger = |number: usize| Key::new(100 + u8::try_from(number % 100).unwrap());
    for number in 0..MOST_CREDENTIALS_OF_AN_ISSUER {
        set.add(&names(&stranger(number), number, vec![]));
    }
    let one_more = names(&Key::new(99), 1, vec![]);
    let honest = names(&laptop, 1, vec![tablet_in.id()]);
    assert_eq!(learns(&set, &[&one_more, &honest]), (vec![honest.id()], true));
    // Whom the laptop lets in is none, though what it says comes at once.
    let phone = Key::new(4);
    let phone_in = lets_in(&laptop, &phone, vec![tablet_in.id()]);
    let said = names(&phone, 1, vec![phone_in.id()]);
    assert_eq!(learns(&set, &[&said, &phone_in]).0.len(), 2);
}

#[test]
fn whom_a_device_let_in_has_room_beside_strangers_before_it_counts() {
    let (mut set, laptop, _, tablet_in) = filled();
    for number in 0..MOST_CREDENTIALS_OF_AN_ISSUER {
        set.add(&names(&Key::new(100 + u8::try_from(number % 100).unwrap()), number, vec![]));
    }
    // Whoever let it in is on probation here, say.
    let guest = Key::new(4);
    let guest_in = lets_in(&laptop, &guest, vec![tablet_in.id()]);
    set.add(&guest_in);
    set.1 = Some(guest.device());
    let removes = |number: u8| {
        let device = Key::new(number).device();
        let assertion = Assertion::RevokedDevice { device_key: device, cuts: vec![] };
        says(&guest, Key::new(number).bytes(), vec![guest_in.id()], assertion)
    };
    let all: Vec<_> =
        (0..=u8::try_from(MOST_CREDENTIALS_OF_A_GUEST).unwrap()).map(|at| removes(at + 5)).collect();
    assert_eq!(learns(&set, &all.iter().collect::<Vec<_>>()).0.len(), MOST_CREDENTIALS_OF_A_GUEST);
    let by_nobody = names(&Key::new(5), 1, vec![]);
    assert_eq!(learns(&set, &[&by_nobody]), (vec![], true));
}

#[test]
fn whoever_comes_at_once_with_all_that_it_rests_on_has_its_room() {
    let (mut set, laptop, _, tablet_in) = filled();
    for number in 0..MOST_CREDENTIALS_OF_AN_ISSUER {
        set.add(&names(&Key::new(100 + u8::try_from(number % 100).unwrap()), number, vec![]));
    }
    for number in 4..12 {
        let (phone, watch) = (Key::new(number), Key::new(number + 20));
        let phone_in = lets_in(&laptop, &phone, vec![tablet_in.id()]);
        let watch_in = lets_in(&phone, &watch, vec![phone_in.id()]);
        let said = names(&phone, 1, vec![phone_in.id(), watch_in.id()]);
        assert_eq!(learns(&set, &[&said, &watch_in, &phone_in]).0, [phone_in.id(), watch_in.id(), said.id()]);
    }
}

#[test]
fn whom_somebody_else_takes_for_a_device_is_let_in_all_the_same() {
    let (mut set, laptop, tablet, tablet_in) = filled();
    let guests: Vec<Key> =
        (0..=MOST_ADMISSIONS_OF_A_DEVICE).map(|at| Key::new(50 + u8::try_from(at).unwrap())).collect();
    let mut all: Vec<_> = guests.iter().map(|guest| lets_in(&laptop, guest, vec![tablet_in.id()])).collect();
    let one_more = all.pop().unwrap();
    all.iter().for_each(|one| set.add(one));
    assert_eq!(learns(&set, &[&one_more]).0, []);
    set.add(&names(&tablet, 9_999_999, vec![one_more.id()]));
    assert_eq!(learns(&set, &[&one_more]).0, [one_more.id()]);
}

#[test]
fn a_device_lets_in_so_many() {
    let (mut set, laptop, _, tablet_in) = filled();
    for number in 0..MOST_ADMISSIONS_OF_A_DEVICE - 1 {
        let guest = Key::new(50 + u8::try_from(number).unwrap());
        set.add(&lets_in(&laptop, &guest, vec![tablet_in.id()]));
    }
    let one_more = lets_in(&laptop, &Key::new(90), vec![tablet_in.id()]);
    let by_words = lets_in(&Key::new(1), &Key::new(91), vec![]);
    assert_eq!(learns(&set, &[&one_more, &by_words]), (vec![by_words.id()], true));
}
