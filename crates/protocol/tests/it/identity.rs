use halo_protocol::credential::{Assertion, Credential, CredentialId, IdentityProfile};
use halo_protocol::identity::{IdentityState, Why};
use halo_protocol::{Timestamp, Verified};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::credential::grant;
use crate::signer::{Key, NOON, born};

fn name(text: &str) -> Assertion {
    Assertion::IdentityProfile(IdentityProfile { display_name: text.into(), avatar: None })
}

fn state(identity: &Key, set: &[Verified<Credential>]) -> IdentityState {
    IdentityState::from_credentials(&identity.identity(), set)
}

fn last(set: &[Verified<Credential>]) -> [CredentialId; 1] {
    [set.last().unwrap().id()]
}

fn named(state: &IdentityState) -> &str {
    state.profile.as_ref().map_or("", |profile| profile.display_name.as_str())
}

#[test]
fn a_new_identity_has_one_device_and_a_name() {
    let (ada, laptop) = (Key::new(1), Key::new(2));
    let state = state(&ada, &born(&ada, &laptop));
    assert_eq!(named(&state), "Ada");
    assert_eq!(state.devices.keys().collect::<Vec<_>>(), [&laptop.device()]);
    assert_eq!(state.devices[&laptop.device()].profile.as_ref().unwrap().label, "Laptop");
    assert!(state.rejected.is_empty());
    assert_eq!(state.heads.len(), 1, "each cites the one before");
}

#[test]
fn a_stranger_says_nothing() {
    let (ada, laptop, mallory) = (Key::new(1), Key::new(2), Key::new(66));
    let mut set = born(&ada, &laptop);
    let heads = last(&set);
    set.push(mallory.says(ada.bytes(), name("Mallory"), &heads, NOON));
    set.push(mallory.authorizes(&mallory, &ada, &heads));
    set.push(mallory.revokes(&laptop, &heads));
    let state = state(&ada, &set);
    assert_eq!(named(&state), "Ada");
    assert_eq!(state.devices.len(), 1);
    assert!(!state.devices[&laptop.device()].revoked);
    assert_eq!(state.rejected.len(), 3);
    assert!(state.rejected.iter().all(|(_, why)| *why == Why::NotAuthorized));
}

#[test]
fn a_device_speaks_only_of_what_it_may() {
    let (ada, laptop, bob) = (Key::new(1), Key::new(2), Key::new(3));
    let mut set = born(&ada, &laptop);
    let heads = last(&set);
    let foreign = [
        laptop.says(bob.bytes(), name("Bob"), &heads, NOON),
        laptop.says(bob.bytes(), Assertion::AppGrant(grant()), &heads, NOON),
        laptop.authorizes(&Key::new(4), &bob, &heads),
        laptop.says(
            ada.bytes(),
            Assertion::HaloSpace { identity_key: ada.identity(), halo_key: [1; 32] },
            &heads,
            NOON,
        ),
    ];
    set.extend(foreign.clone());
    let state = state(&ada, &set);
    let mut expected: Vec<_> = foreign.iter().map(|credential| (credential.id(), Why::Foreign)).collect();
    expected.sort();
    assert_eq!(state.rejected, expected);
}

#[test]
fn what_the_revoked_say_afterwards_is_void() {
    let (ada, laptop, phone) = (Key::new(1), Key::new(2), Key::new(3));
    let mut set = born(&ada, &laptop);
    set.push(laptop.authorizes(&phone, &ada, &last(&set)));
    let before = phone.says(ada.bytes(), name("Ada of the phone"), &last(&set), NOON);
    set.push(before);
    let seen = last(&set);
    let revocation = laptop.revokes(&phone, &seen);
    // The thief backdates: cites what was there before, and says an earlier hour.
    let backdated =
        phone.says(ada.bytes(), name("Thief"), &seen, Timestamp::from_millis(NOON.as_millis() - 1_000_000));
    let tablet = Key::new(4);
    let smuggled = phone.authorizes(&tablet, &ada, &seen);
    let by_the_smuggled = tablet.says(ada.bytes(), name("Thief again"), &[smuggled.id()], NOON);
    set.extend([revocation, backdated, smuggled, by_the_smuggled]);
    let state = state(&ada, &set);
    assert_eq!(named(&state), "Ada of the phone", "what the revocation had seen holds");
    assert!(state.devices[&phone.device()].revoked);
    assert!(!state.devices.contains_key(&tablet.device()));
    assert_eq!(state.rejected.len(), 3);
    assert_eq!(state.chain_of(&phone.device(), &set), None, "no proof by the revoked");
}

#[test]
fn of_two_who_revoke_each_other_one_holds_and_the_identity_beats_both() {
    let (ada, laptop, phone) = (Key::new(1), Key::new(2), Key::new(3));
    let mut set = born(&ada, &laptop);
    set.push(laptop.authorizes(&phone, &ada, &last(&set)));
    let seen = last(&set);
    set.extend([laptop.revokes(&phone, &seen), phone.revokes(&laptop, &seen)]);
    let both = state(&ada, &set);
    let out = both.devices.values().filter(|device| device.revoked).count();
    assert_eq!(out, 1, "exactly one is out");

    let left = *both.devices.iter().find(|(_, device)| !device.revoked).unwrap().0;
    let left = [laptop, phone].into_iter().find(|key| key.device() == left).unwrap();
    set.push(ada.revokes(&left, &seen));
    let neither = state(&ada, &set);
    assert!(neither.devices[&left.device()].revoked, "the 24 words have the last word");
}

#[test]
fn the_chain_leads_from_the_device_to_the_identity() {
    let (ada, laptop, phone) = (Key::new(1), Key::new(2), Key::new(3));
    let mut set = born(&ada, &laptop);
    set.push(laptop.authorizes(&phone, &ada, &last(&set)));
    let state = state(&ada, &set);
    let chain = state.chain_of(&phone.device(), &set).unwrap();
    assert_eq!(chain, [set.last().unwrap().bytes(), set[0].bytes()]);
    assert_eq!(state.chain_of(&Key::new(9).device(), &set), None);
}

/// A thing that may happen to an identity with four devices, by number.
#[derive(Debug, Clone)]
enum Deed {
    Authorize(u8, u8),
    Revoke(u8, u8),
    Name(u8),
    Grant(u8, u8, bool),
}

fn deed() -> impl Strategy<Value = Deed> {
    // 1 is the identity itself, 2 to 5 its devices, 6 a stranger.
    let who = 1..=6_u8;
    prop_oneof![
        3 => (who.clone(), 2..=5_u8).prop_map(|(by, whom)| Deed::Authorize(by, whom)),
        2 => (who.clone(), 2..=5_u8).prop_map(|(by, whom)| Deed::Revoke(by, whom)),
        2 => who.clone().prop_map(Deed::Name),
        2 => (who, any::<u8>(), any::<bool>()).prop_map(|(by, id, revoked)| Deed::Grant(by, id % 3, revoked)),
    ]
}

fn done(ada: &Key, deeds: &[(Deed, Vec<Index>)]) -> Vec<Verified<Credential>> {
    let mut set = born(ada, &Key::new(2));
    for (number, (deed, cites)) in deeds.iter().enumerate() {
        // Any of what there is may be cited: a DAG with forks and joins.
        let parents: Vec<CredentialId> = cites.iter().map(|index| index.get(&set).id()).collect();
        let at = NOON.plus(std::time::Duration::from_secs(number as u64 % 5));
        let said = match deed {
            Deed::Authorize(by, whom) => Key::new(*by).authorizes(&Key::new(*whom), ada, &parents),
            Deed::Revoke(by, whom) => Key::new(*by).revokes(&Key::new(*whom), &parents),
            Deed::Name(by) => Key::new(*by).says(ada.bytes(), name(&format!("{number}")), &parents, at),
            Deed::Grant(by, id, revoked) => {
                let grant = halo_protocol::credential::AppGrant {
                    grant_id: [*id; 16],
                    name: Some(format!("{number}")),
                    revoked: *revoked,
                    ..grant()
                };
                Key::new(*by).says(ada.bytes(), Assertion::AppGrant(grant), &parents, at)
            }
        };
        set.push(said);
    }
    set
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_arrival_gives_the_same_state(
        deeds in proptest::collection::vec((deed(), proptest::collection::vec(any::<Index>(), 0..4)), 0..24),
        orders in proptest::collection::vec(any::<Index>(), 64),
    ) {
        let ada = Key::new(1);
        let set = done(&ada, &deeds);
        let expected = state(&ada, &set);
        // Shuffled, and with some of it twice.
        let mut shuffled = set.clone();
        for (at, index) in orders.iter().enumerate() {
            let with = index.index(shuffled.len());
            let at = at % shuffled.len();
            shuffled.swap(at, with);
        }
        shuffled.extend(set.iter().take(3).cloned());
        prop_assert_eq!(state(&ada, &shuffled), expected);
    }

    #[test]
    fn what_a_revoked_device_adds_changes_nothing(
        deeds in proptest::collection::vec((deed(), proptest::collection::vec(any::<Index>(), 0..4)), 0..12),
        late in proptest::collection::vec((deed(), proptest::collection::vec(any::<Index>(), 0..4)), 1..12),
    ) {
        let (ada, thief) = (Key::new(1), Key::new(5));
        let mut set = done(&ada, &deeds);
        let heads = state(&ada, &set).heads;
        set.push(ada.revokes(&thief, &heads));
        let expected = state(&ada, &set);
        let known = set.len();
        for (number, (deed, cites)) in late.iter().enumerate() {
            // It may cite whatever it likes but the revocation, which it does not have.
            let parents: Vec<CredentialId> = cites.iter().map(|index| index.get(&set[..known - 1]).id()).collect();
            set.push(match deed {
                Deed::Authorize(_, whom) => thief.authorizes(&Key::new(*whom), &ada, &parents),
                Deed::Revoke(_, whom) => thief.revokes(&Key::new(*whom), &parents),
                Deed::Name(_) | Deed::Grant(..) => thief.says(ada.bytes(), name(&format!("late {number}")), &parents, NOON),
            });
        }
        let now = state(&ada, &set);
        // A device that the thief lets in again while it is known by another word stays what it was.
        prop_assert_eq!(now.profile, expected.profile);
        prop_assert_eq!(now.devices, expected.devices);
        prop_assert_eq!(now.grants, expected.grants);
    }
}
