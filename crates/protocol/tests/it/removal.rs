//! Who writes under which epoch once a device was removed, whom a doubtful removal suspends, and what settling many costs.

use std::time::Duration;

use halo_protocol::credential::{Assertion, Credential, CredentialId};
use halo_protocol::epoch::{Epoch, EpochShare, SealedKey};
use halo_protocol::identity::{IdentityState, MOST_REVOCATIONS_OF_A_DEVICE, complete};
use halo_protocol::{HybridId, Recipient, Verified};

use crate::signer::{Key, NOON, agreement};
use crate::trust::{SPACE, Two, cut, hybrid, last, space, state, three};

/// A protobuf field of bytes, as written by hand.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len();
    let prefix = if length < 128 {
        vec![u8::try_from(length).unwrap()]
    } else {
        vec![u8::try_from(length & 127 | 128).unwrap(), u8::try_from(length >> 7).unwrap()]
    };
    [vec![number << 3 | 2], prefix, bytes.to_vec()].concat()
}

#[test]
fn an_epoch_of_an_earlier_build_reads_as_it_did() {
    let key = [field(1, &[9; 32]), field(2, &[4; 32]), field(3, &[5; 48])].concat();
    let bytes =
        [field(1, space(SPACE).as_bytes()), vec![0x10, 3], field(3, &[8; 32]), field(4, &key)].concat();
    let epoch = Epoch::decode(&bytes).unwrap();
    assert_eq!((epoch.number, epoch.keys[0].recipient), (3, Recipient::Agreement(agreement())));
    assert_eq!(epoch.encode(), bytes);
    // The new kind, beside it.
    let key = [field(2, &[4; 1_120]), field(3, &[5; 48]), field(4, &[7; 32])].concat();
    let both = [bytes.clone(), field(4, &key)].concat();
    let epoch = Epoch::decode(&both).unwrap();
    assert_eq!(epoch.keys[1].recipient, Recipient::Hybrid(HybridId::from_bytes([7; 32])));
    assert_eq!(epoch.encode(), both);
    for (what, key) in [
        (
            "two recipients",
            [field(1, &[9; 32]), field(2, &[4; 32]), field(3, &[5; 48]), field(4, &[7; 32])].concat(),
        ),
        ("no recipient", [field(2, &[4; 32]), field(3, &[5; 48])].concat()),
        ("a long key for X25519", [field(1, &[9; 32]), field(2, &[4; 1_120]), field(3, &[5; 48])].concat()),
        ("a short key for X-Wing", [field(2, &[4; 32]), field(3, &[5; 48]), field(4, &[7; 32])].concat()),
        ("a short seal", [field(1, &[9; 32]), field(2, &[4; 32]), field(3, &[5; 47])].concat()),
    ] {
        assert!(Epoch::decode(&[bytes.clone(), field(4, &key)].concat()).is_err(), "{what}");
        let share = [field(1, &[3; 32]), field(2, &key)].concat();
        assert!(EpochShare::decode(&share).is_err(), "a share with {what}");
    }
}

// threat: 38
#[test]
fn nobody_writes_under_an_epoch_that_a_revoked_device_began_or_was_given() {
    let mut two = Two::new();
    let seal = |fill| Assertion::SealingKey { hybrid_key: hybrid(fill) };
    two.set.push(two.phone.says(two.phone.bytes(), seal(5), &two.heads(), NOON));
    two.set.push(two.laptop.says(two.laptop.bytes(), seal(6), &two.heads(), NOON));
    let recovery = Assertion::IdentityRecovery { identity_key: two.ada.identity(), recovery_key: hybrid(7) };
    two.set.push(two.ada.says(two.ada.bytes(), recovery, &two.heads(), NOON));
    let epoch = |fills: &[u8], after: &[CredentialId]| Epoch {
        space: space(SPACE),
        number: 0,
        previous: vec![],
        after: after.to_vec(),
        keys: fills
            .iter()
            .map(|fill| SealedKey {
                recipient: Recipient::Hybrid(hybrid(*fill).id()),
                encapsulated: vec![0; 1_120],
                sealed: [0; 48],
            })
            .collect(),
    };
    let (laptop, phone) = (two.laptop.device(), two.phone.device());
    let before = state(&two.ada, &two.set);
    assert!(before.may_write_under(&phone, &epoch(&[5, 6, 7], &[])));
    assert!(!before.may_write_under(&phone, &epoch(&[5, 6, 8], &[])), "nobody knows whose that is");
    assert!(!before.may_write_under(&Key::new(66).device(), &epoch(&[5, 6], &[])), "a stranger's");
    let revocation = two.laptop.revokes(&two.phone, &two.heads());
    let known = [revocation.id()];
    two.set.push(revocation);
    let after = state(&two.ada, &two.set);
    assert_eq!(after.revocations, known);
    assert!(!after.may_write_under(&phone, &epoch(&[6, 7], &known)), "it knows what it began");
    assert!(!after.may_write_under(&laptop, &epoch(&[5, 6, 7], &known)), "it was given this one");
    assert!(!after.may_write_under(&laptop, &epoch(&[6, 7], &[])), "it may have been given this one later");
    assert!(after.may_write_under(&laptop, &epoch(&[6, 7], &known)));
}

#[test]
fn an_epoch_says_which_revocations_it_comes_after_in_one_order() {
    let epoch = |after: &[u8]| Epoch {
        space: space(SPACE),
        number: 1,
        previous: vec![],
        after: after.iter().map(|fill| CredentialId::from_bytes([*fill; 32])).collect(),
        keys: vec![],
    };
    let good = epoch(&[1, 2]);
    assert_eq!(Epoch::decode(&good.encode()).unwrap(), good);
    assert_ne!(good.associated(), epoch(&[1]).associated(), "the seals of its keys cover it");
    for bad in [epoch(&[2, 1]), epoch(&[1, 1])] {
        assert!(Epoch::decode(&bad.encode()).is_err(), "{:?}", bad.after);
    }
    let short = [good.encode(), field(5, &[9; 31])].concat();
    assert!(Epoch::decode(&short).is_err());
}

#[test]
fn of_each_device_a_bounded_number_of_revocations_is_named() {
    let mut two = Two::new();
    let heads = two.heads();
    for number in 0..40 {
        two.set.push(two.laptop.cuts(&two.phone, vec![cut(9, number + 1)], &heads));
    }
    let named = state(&two.ada, &two.set).revocations;
    assert_eq!(named.len(), MOST_REVOCATIONS_OF_A_DEVICE);
    assert!(named.is_sorted());
}

#[test]
fn what_cites_something_that_is_not_there_cannot_be_judged() {
    let two = Two::new();
    let all: std::collections::BTreeSet<CredentialId> =
        two.set.iter().map(|credential| credential.id()).collect();
    assert_eq!(complete(&two.set), all);
    // Each cites the one before.
    for missing in 0..two.set.len() {
        let mut set = two.set.clone();
        set.remove(missing);
        let before = two.set[..missing].iter().map(|credential| credential.id()).collect();
        assert_eq!(complete(&set), before, "without number {missing}");
    }
}

#[test]
fn a_revocation_that_cites_what_nobody_has_keeps_nobody_from_what_came_after_it() {
    let mut two = Two::new();
    let tablet = Key::new(4);
    two.set.push(two.laptop.authorizes(&tablet, &two.ada, &two.heads()));
    let nothing = CredentialId::from_bytes([9; 32]);
    let removal = two.laptop.cuts(&two.phone, vec![], &[two.heads()[0], nothing]);
    let stranger = Key::new(5).cuts(&two.laptop, vec![], &[two.heads()[0], nothing]);
    two.set.extend([removal.clone(), stranger.clone()]);
    let (state, judged) = (state(&two.ada, &two.set), complete(&two.set));
    assert!(state.devices[&two.phone.device()].revoked && !judged.contains(&removal.id()));
    let epoch = |after: &Verified<Credential>| Epoch {
        space: space(SPACE),
        number: 1,
        previous: vec![],
        after: vec![after.id()],
        keys: vec![],
    };
    assert!(state.may_pass_on(&epoch(&removal), &judged), "whom it puts out is out here");
    assert!(!state.may_pass_on(&epoch(&stranger), &judged), "it may hold where more is known");
}

/// Four devices of which the tablet was let in by the phone, and the laptop alone vouches for that; the desktop heard of everything
/// at once. The tablet removes the laptop before it has heard that the laptop vouches for it.
fn removed_witness() -> (Two, Verified<Credential>) {
    let (mut two, _, tablet_in, tablet) = three();
    let vouches = two.laptop.endorses(&tablet_in, &two.heads());
    let removal = tablet.cuts(&two.laptop, vec![], &[tablet_in.id()]);
    two.set.extend([vouches, removal.clone()]);
    (two, removal)
}

fn at_once(two: &Two) -> IdentityState {
    IdentityState::judge(&two.ada.identity(), &two.set, |_| Some(NOON))
}

// threat: 38
#[test]
fn a_device_that_puts_out_its_only_witness_is_believed_by_those_who_come_later() {
    let (two, removal) = removed_witness();
    let state = at_once(&two);
    assert!(state.devices[&two.laptop.device()].revoked, "it would be given keys as before");
    assert!(state.held.contains(&removal.id()));
}

#[test]
fn what_a_removed_device_vouches_for_besides_stays_void() {
    let (mut two, _) = removed_witness();
    let spy = Key::new(7);
    // The thief of the laptop lets in a device by way of one on probation, and vouches for that.
    let spy_in = two.phone.authorizes(&spy, &two.ada, &two.heads());
    two.set.extend([spy_in.clone(), two.laptop.endorses(&spy_in, &[spy_in.id()])]);
    let state = at_once(&two);
    assert!(state.devices[&two.laptop.device()].revoked);
    assert!(!state.devices.contains_key(&spy.device()), "the removal had not seen that");
}

/// The phone, which is on probation here, let in a tablet, for which nobody vouches; the tablet removes the laptop.
fn unvouched() -> (Two, Key, Verified<Credential>, Verified<Credential>) {
    let (mut two, _, tablet_in, tablet) = three();
    let removal = tablet.cuts(&two.laptop, vec![], &[tablet_in.id()]);
    two.set.push(removal.clone());
    (two, tablet, tablet_in, removal)
}

// threat: 38
#[test]
fn whom_a_device_removes_that_may_yet_be_vouched_for_is_suspended() {
    let (mut two, tablet, tablet_in, removal) = unvouched();
    let desktop = Key::new(5);
    two.set.push(two.ada.authorizes(&desktop, &two.ada, &two.heads()));
    for (key, fill) in [(&two.laptop, 2), (&two.phone, 3), (&desktop, 5)] {
        let seal = Assertion::SealingKey { hybrid_key: hybrid(fill) };
        let said = key.says(key.bytes(), seal, &last(&two.set), NOON);
        two.set.push(said);
    }
    let (laptop, phone) = (two.laptop.device(), two.phone.device());
    let state = at_once(&two);
    assert!(!state.devices[&laptop].revoked && !state.devices.contains_key(&tablet.device()));
    assert!(state.suspended.contains(&laptop) && !state.is_in(&laptop));
    assert!(state.is_in(&phone) && state.is_in(&desktop.device()), "nobody else is");
    assert_eq!((&state.revocations, state.held.len()), (&vec![removal.id()], 1), "epochs come after that");
    let epoch = |fills: &[u8], after: &[CredentialId]| {
        let sealed = |fill: &u8| SealedKey {
            recipient: Recipient::Hybrid(hybrid(*fill).id()),
            encapsulated: vec![0; 1_120],
            sealed: [0; 48],
        };
        let (space, keys) = (space(SPACE), fills.iter().map(sealed).collect());
        Epoch { space, number: 1, previous: vec![], after: after.to_vec(), keys }
    };
    assert!(!state.may_write_under(&phone, &epoch(&[3, 5], &[])), "the laptop may have been given this one");
    assert!(!state.may_write_under(&phone, &epoch(&[2, 3], &[removal.id()])), "it is for the laptop as well");
    assert!(!state.may_write_under(&laptop, &epoch(&[3, 5], &[removal.id()])), "the laptop began it");
    assert!(state.may_write_under(&phone, &epoch(&[3, 5], &[removal.id()])));
    // Somebody vouches: it was right.
    two.set.push(desktop.endorses(&tablet_in, &two.heads()));
    let after = at_once(&two);
    assert!(after.devices[&laptop].revoked && after.suspended.is_empty());
}

// threat: 29
#[test]
fn a_suspension_ends_with_the_device_that_let_in_whoever_said_it() {
    let (mut two, tablet, _, _) = unvouched();
    // Whom that one lets in suspends nobody either.
    let second = Key::new(7);
    let second_in = tablet.authorizes(&second, &two.ada, &two.heads());
    let removal = second.cuts(&two.phone, vec![], &[second_in.id()]);
    two.set.extend([second_in, removal]);
    assert_eq!(at_once(&two).suspended.len(), 2);
    let heads = two.heads();
    two.set.push(two.laptop.cuts(&two.phone, vec![], &heads));
    let state = at_once(&two);
    assert!(state.suspended.is_empty() && state.is_in(&two.laptop.device()), "{:?}", state.suspended);
}

// threat: 29
#[test]
fn where_all_are_suspended_those_speak_again_that_remove_the_one_on_probation() {
    let (mut two, _, tablet_in, tablet) = three();
    let desktop = Key::new(5);
    two.set.push(two.ada.authorizes(&desktop, &two.ada, &last(&two.set[..4])));
    let desktop_in = two.heads();
    for whom in [&two.laptop, &desktop] {
        two.set.push(tablet.cuts(whom, vec![], &[tablet_in.id(), desktop_in[0]]));
    }
    let (laptop, desktop_key) = (two.laptop.device(), desktop.device());
    assert_eq!(at_once(&two).suspended, [laptop, desktop_key].into(), "neither speaks with the other");
    // Each by its own user's hand, and neither has heard of the other's.
    let removals = [&two.laptop, &desktop].map(|by| by.cuts(&two.phone, vec![], &desktop_in));
    for removal in &removals {
        let set = [two.set.clone(), vec![removal.clone()]].concat();
        let state = at_once(&Two { set, ..Two::new() });
        assert!(state.suspended.is_empty() && state.is_in(&laptop) && state.is_in(&desktop_key));
    }
    two.set.extend(removals);
    let state = at_once(&two);
    assert!(state.is_in(&laptop) && state.is_in(&desktop_key) && !state.is_in(&two.phone.device()));
}

#[test]
fn strangers_and_the_removed_suspend_nobody() {
    let (mut two, _, _, _) = unvouched();
    two.set.truncate(4);
    let heads = two.heads();
    two.set.push(two.laptop.cuts(&two.phone, vec![], &heads));
    let (stranger, guest) = (Key::new(6), Key::new(7));
    let guest_in = two.phone.authorizes(&guest, &two.ada, &heads);
    let by_guest = guest.cuts(&two.laptop, vec![], &[guest_in.id()]);
    two.set.extend([guest_in, by_guest, stranger.cuts(&two.laptop, vec![], &heads)]);
    assert_eq!(at_once(&two).suspended, [].into());
}

/// How often one device's authorisation was looked at, and what came of it.
fn looks(ada: &Key, set: &[Verified<Credential>], at: &Verified<Credential>) -> (u32, IdentityState) {
    let (id, looks) = (at.id(), std::cell::Cell::new(0_u32));
    let state = IdentityState::judge(&ada.identity(), set, |of| {
        if *of == id {
            looks.set(looks.get() + 1);
            assert!(looks.get() < 100, "everything was judged anew for each of {} credentials", set.len());
        }
        Some(NOON)
    });
    (looks.get(), state)
}

// threat: 38
#[test]
fn fifteen_hundred_revocations_of_a_thief_are_settled_in_a_few_judgements() {
    let key = |number: u32| {
        let mut seed = [7; 32];
        seed[..4].copy_from_slice(&number.to_le_bytes());
        Key::from_seed(seed)
    };
    let (two, tablet) = (Two::new(), Key::new(4));
    let (phone_in, heads) = (&two.set[3], two.heads());
    let tablet_in = two.laptop.authorizes(&tablet, &two.ada, &heads);
    // What makes the second judgement necessary.
    let refused = two.phone.authorizes(&Key::new(5), &two.ada, &heads);
    let whom: [(&str, &dyn Fn(u32) -> Key); 5] = [
        ("nobody's keys", &|number| key(number)),
        ("the laptop again and again", &|_| Key::new(2)),
        ("the tablet again and again", &|_| Key::new(4)),
        ("itself", &|_| Key::new(3)),
        ("everybody in turn", &|number| Key::new(2 + u8::try_from(number % 4).unwrap())),
    ];
    for contested in [false, true] {
        for (what, whom) in whom {
            let mut set = two.set.clone();
            set.extend([tablet_in.clone(), refused.clone()]);
            if contested {
                set.push(tablet.revokes(&two.phone, &[tablet_in.id()]));
                set.push(two.laptop.revokes(&tablet, &[tablet_in.id()]));
            }
            for number in 0..1_500 {
                // Some had seen the tablet come, some the one before.
                let cites = match number % 3 {
                    0 => vec![phone_in.id(), set.last().unwrap().id()],
                    1 => vec![tablet_in.id()],
                    _ => vec![phone_in.id()],
                };
                let whom = whom(number);
                let assertion = Assertion::RevokedDevice { device_key: whom.device(), cuts: vec![] };
                let at = NOON.plus(Duration::from_millis(number.into()));
                set.push(two.phone.says(whom.bytes(), assertion, &cites, at));
            }
            let (looks, state) = looks(&two.ada, &set, phone_in);
            assert!(looks > 0 && !state.devices.is_empty(), "{what}");
        }
    }
    // Those of strangers cost as little.
    let mut set = two.set.clone();
    for number in 0..1_500 {
        set.push(key(number % 7).revokes(&key(number), &heads));
        set.push(key(number).revokes(&two.laptop, &heads));
    }
    assert_eq!(looks(&two.ada, &set, phone_in).1.devices.len(), 2);
}
