//! Those who want in, and what they find.

use halo_protocol::channel::HandshakeHash;
use halo_protocol::invitation::{
    ConnectionId, Digits, EnterError, Guest, GuestEnded, GuestInput, Host, HostEnded, HostInput,
    NewcomerCode, Refused, State,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::party::{
    GuestSide, HostSide, code, connect, host, keys, meet, newcomer_code, other_than, ready, secret, talk,
};
use crate::signer::{Key, NOON, laptop};

/// Carries what is on the table once, after `change` had its hands on it.
fn carry_to_host(host: &mut HostSide, guest: &mut GuestSide, change: impl Fn(Vec<u8>) -> Vec<Vec<u8>>) {
    for (connection, bytes) in std::mem::take(&mut guest.out) {
        for bytes in change(bytes) {
            host.input(HostInput::Message { connection, bytes }, NOON);
        }
    }
}

fn carry_to_guest(host: &mut HostSide, guest: &mut GuestSide, change: impl Fn(Vec<u8>) -> Vec<Vec<u8>>) {
    for (connection, bytes) in std::mem::take(&mut host.out) {
        for bytes in change(bytes) {
            guest.input(GuestInput::Message { connection, bytes }, NOON);
        }
    }
}

// threat: 24
#[test]
fn who_photographs_the_code_and_answers_first_has_other_digits() {
    let (mut host, mut thief, mut guest) =
        (host(), GuestSide::joins(&code(), 66), GuestSide::joins(&code(), 2));
    connect(&mut host, &mut thief, 1, NOON);
    talk(&mut host, &mut thief, 1, NOON);
    connect(&mut host, &mut guest, 2, NOON);
    talk(&mut host, &mut guest, 2, NOON);
    assert_eq!(guest.digits, None, "the user's own device has none to show");
    assert_eq!(guest.ended, Some(GuestEnded::Not { why: Refused::Taken }), "and says why");
    // Whatever the user types, it is not what stands on the thief's screen.
    host.input(HostInput::Entered(other_than(thief.digits.unwrap())), NOON);
    talk(&mut host, &mut thief, 1, NOON);
    assert_eq!((host.confirmed.len(), thief.admission.as_ref()), (0, None));
    assert_eq!(host.ended, Some(HostEnded::Nobody { why: Refused::Burnt }));
}

// threat: 24
#[test]
fn who_takes_the_place_of_the_guest_is_not_let_in_by_its_digits() {
    let (mut host, guest) = ready();
    let typed = guest.digits.unwrap();
    // The signaller cuts the guest off just before its digits are typed, and brings somebody else.
    host.input(HostInput::Left { connection: ConnectionId(1) }, NOON);
    let mut thief = GuestSide::joins(&code(), 66);
    connect(&mut host, &mut thief, 2, NOON);
    talk(&mut host, &mut thief, 2, NOON);
    host.input(HostInput::Entered(typed), NOON);
    assert_eq!(host.refused, [EnterError::Burnt]);
    assert!(host.confirmed.is_empty());
}

// threat: 24
#[test]
fn nobody_can_come_again_until_the_digits_are_the_ones_they_want() {
    let mut host = host();
    for attempt in 0..3 {
        let mut thief = GuestSide::joins(&code(), 66);
        connect(&mut host, &mut thief, attempt, NOON);
        talk(&mut host, &mut thief, attempt, NOON);
        assert!(thief.digits.is_some(), "attempt {attempt}");
        host.input(HostInput::Left { connection: ConnectionId(attempt) }, NOON);
    }
    let mut thief = GuestSide::joins(&code(), 66);
    connect(&mut host, &mut thief, 9, NOON);
    talk(&mut host, &mut thief, 9, NOON);
    assert_eq!(thief.digits, None);
    assert_eq!(host.ended, Some(HostEnded::Nobody { why: Refused::Burnt }), "three times is not by chance");
}

// threat: 24
#[test]
fn digits_are_spread_evenly_whatever_the_guest_chooses() {
    // Nonces of a guest that tries to steer: the host's was fixed before, so every digit comes up as often.
    let mut counts = [0_u32; 10];
    for attempt in 0..200_u8 {
        let (mut host, mut guest) = (host(), GuestSide::joins(&code(), 66));
        host.rng = StdRng::seed_from_u64(u64::from(attempt));
        guest.rng = StdRng::seed_from_u64(7);
        connect(&mut host, &mut guest, 1, NOON);
        talk(&mut host, &mut guest, 1, NOON);
        for digit in guest.digits.unwrap().reveal().bytes() {
            counts[usize::from(digit - b'0')] += 1;
        }
    }
    assert!(counts.iter().all(|count| (70..=175).contains(count)), "{counts:?}");
}

// threat: 25
#[test]
fn a_code_that_asks_to_be_added_is_never_taken_for_an_invitation() {
    let text = newcomer_code().text();
    assert!(!text.contains("//") && !text.starts_with("halo:"), "no system opens it: {text}");
    use halo_protocol::invitation::{CodeError, InvitationCode};
    assert_eq!(InvitationCode::parse(&text).err(), Some(CodeError::OtherDirection));
    // Dressed up as a link, as on a phishing page, it says of itself what it is.
    let dressed = text.replace("halo-newcomer:", "halo://join/");
    assert_eq!(InvitationCode::parse(&dressed).err(), Some(CodeError::OtherDirection));
    let dressed = code().link().replace("halo://join/", "halo-newcomer:");
    assert_eq!(NewcomerCode::parse(&dressed).err(), Some(CodeError::OtherDirection));
}

// threat: 25
#[test]
fn a_code_whose_direction_was_changed_leads_to_no_channel() {
    // The same secrets under both directions: the handshake is about the code, so the two do not meet.
    let newcomer = Guest::show(&newcomer_code(), secret(), &laptop(), keys(&Key::new(2)));
    let scanner = Guest::join(&code(), &laptop(), keys(&Key::new(3)));
    let mut rng = StdRng::seed_from_u64(1);
    let called = scanner.rendezvous().call(&mut rng).unwrap();
    assert!(newcomer.rendezvous().answer(&mut rng).unwrap().read(&called.message).is_err());
}

// threat: 26
#[test]
fn a_host_that_reveals_another_nonce_than_it_committed_to_is_left() {
    let (mut host, mut guest) = (host(), GuestSide::joins(&code(), 2));
    connect(&mut host, &mut guest, 1, NOON);
    for _ in 0..2 {
        carry_to_host(&mut host, &mut guest, |bytes| vec![bytes]);
        // The nonce is the last thing in what reveals it.
        carry_to_guest(&mut host, &mut guest, |mut bytes| {
            if bytes.len() == 34 {
                bytes[33] ^= 1;
            }
            vec![bytes]
        });
    }
    assert_eq!(guest.digits, None);
    assert_eq!(guest.ended, Some(GuestEnded::Not { why: Refused::Misunderstood }));
}

// threat: 26
#[test]
fn messages_repeated_dropped_swapped_or_made_up_let_nobody_in() {
    for seed in 0..300 {
        let mut rng = StdRng::seed_from_u64(seed);
        let (mut host, mut guest) = (host(), GuestSide::joins(&code(), 2));
        connect(&mut host, &mut guest, 1, NOON);
        let mut earlier: Vec<Vec<u8>> = Vec::new();
        for _ in 0..8 {
            for (connection, bytes) in std::mem::take(&mut guest.out) {
                let mut bytes = bytes;
                earlier.push(bytes.clone());
                match rng.random_range(0..8) {
                    0 => continue,
                    1 => bytes = earlier[rng.random_range(0..earlier.len())].clone(),
                    2 => {
                        let at = rng.random_range(0..bytes.len());
                        bytes[at] ^= 1 << rng.random_range(0..8);
                    }
                    3 => host.input(HostInput::Message { connection, bytes: bytes.clone() }, NOON),
                    _ => {}
                }
                host.input(HostInput::Message { connection, bytes }, NOON);
            }
            for (connection, bytes) in std::mem::take(&mut host.out) {
                guest.input(GuestInput::Message { connection, bytes }, NOON);
            }
        }
        assert!(host.confirmed.is_empty(), "seed {seed}: nobody typed anything");
        if let Some(digits) = guest.digits {
            host.input(HostInput::Entered(digits), NOON);
            for confirmed in host.confirmed {
                assert_eq!(confirmed.device(), guest.device.device(), "seed {seed}");
                assert_eq!(confirmed.sealing(), [5; 1_216], "seed {seed}");
                assert_eq!(confirmed.profile(), &laptop(), "seed {seed}: what was signed");
            }
        }
    }
}

// threat: 27
#[test]
fn only_the_key_that_signed_the_handshake_is_admitted() {
    // The guest names one key and signs with another.
    let device = Key::new(2);
    let guest = Guest::join(&code(), &laptop(), keys(&device));
    let (mut host, mut guest) = (host(), GuestSide::new(guest, Key::new(3), NOON));
    connect(&mut host, &mut guest, 1, NOON);
    talk(&mut host, &mut guest, 1, NOON);
    assert_eq!(guest.ended, Some(GuestEnded::Not { why: Refused::Misunderstood }));
    assert_eq!((guest.digits, host.host.state()), (None, State::Connecting));
}

// threat: 27
#[test]
fn a_signature_from_another_handshake_proves_nothing() {
    let (mut host, mut guest) = (host(), GuestSide::joins(&code(), 2));
    // The guest's half of another run, by the same device, for the same code.
    let mut rng = StdRng::seed_from_u64(9);
    let [_, elsewhere] = meet(guest.guest.rendezvous(), host.host.rendezvous(), &mut rng);
    let connection = ConnectionId(1);
    host.input(HostInput::Arrived { connection, hash: elsewhere }, NOON);
    let other = HandshakeHash::from_bytes([1; 32]);
    guest.input(GuestInput::Arrived { connection, hash: other }, NOON);
    talk(&mut host, &mut guest, 1, NOON);
    assert_eq!(guest.ended, Some(GuestEnded::Not { why: Refused::Misunderstood }));
    assert!(host.host.state() == State::Connecting && guest.digits.is_none());
}

// threat: 27
#[test]
fn every_key_of_the_guest_is_under_its_signature() {
    let exact = |bytes: Vec<u8>| vec![bytes];
    let probe = {
        let (mut host, mut guest) = (host(), GuestSide::joins(&code(), 2));
        connect(&mut host, &mut guest, 1, NOON);
        carry_to_host(&mut host, &mut guest, exact);
        carry_to_guest(&mut host, &mut guest, exact);
        guest.out[0].1.clone()
    };
    for at in 0..probe.len() {
        let (mut host, mut guest) = (host(), GuestSide::joins(&code(), 2));
        connect(&mut host, &mut guest, 1, NOON);
        carry_to_host(&mut host, &mut guest, exact);
        carry_to_guest(&mut host, &mut guest, exact);
        assert_eq!(guest.out[0].1, probe, "the same every time");
        carry_to_host(&mut host, &mut guest, |mut bytes| {
            bytes[at] ^= 1;
            vec![bytes]
        });
        assert_ne!(host.host.state(), State::ReadyForAuthentication, "byte {at}");
    }
}

// threat: 28
#[test]
fn a_wrong_guess_burns_the_invitation() {
    let (mut host, mut guest) = ready();
    let right = guest.digits.unwrap();
    host.input(HostInput::Entered(other_than(right)), NOON);
    assert_eq!(host.refused, [EnterError::Burnt]);
    assert_eq!(
        (host.host.state(), host.ended),
        (State::Error, Some(HostEnded::Nobody { why: Refused::Burnt }))
    );
    host.input(HostInput::Entered(right), NOON);
    assert_eq!(host.refused, [EnterError::Burnt, EnterError::Burnt], "the right digits come too late");
    talk(&mut host, &mut guest, 1, NOON);
    assert_eq!(guest.ended, Some(GuestEnded::Not { why: Refused::Burnt }), "the guest hears why");
    assert!(host.confirmed.is_empty());
}

// threat: 28
#[test]
fn guesses_cannot_be_spread_over_parallel_connections() {
    let mut host = host();
    let mut guests: Vec<GuestSide> = (0..20).map(|number| GuestSide::joins(&code(), 40 + number)).collect();
    for (name, guest) in guests.iter_mut().enumerate() {
        connect(&mut host, guest, name as u64, NOON);
    }
    for (name, guest) in guests.iter_mut().enumerate() {
        talk(&mut host, guest, name as u64, NOON);
    }
    let with_digits: Vec<Digits> = guests.iter().filter_map(|guest| guest.digits).collect();
    assert_eq!(with_digits.len(), 1, "one guest at a time has digits to be guessed");
    let taken = |guest: &&GuestSide| guest.ended == Some(GuestEnded::Not { why: Refused::Taken });
    assert_eq!(guests.iter().filter(taken).count(), 19, "the others are told");
    host.input(HostInput::Entered(other_than(with_digits[0])), NOON);
    // Whoever comes now, over whichever connection, finds nothing.
    let mut late = GuestSide::joins(&code(), 80);
    connect(&mut host, &mut late, 99, NOON);
    talk(&mut host, &mut late, 99, NOON);
    assert_eq!((late.digits, late.hosts.len()), (None, 0));
    assert_eq!(host.dropped.last(), Some(&ConnectionId(99)));
}

// threat: 28
#[test]
fn who_comes_while_another_is_greeted_does_not_take_its_place() {
    let exact = |bytes: Vec<u8>| vec![bytes];
    let (mut host, mut guest, mut other) =
        (host(), GuestSide::joins(&code(), 2), GuestSide::joins(&code(), 66));
    connect(&mut host, &mut guest, 1, NOON);
    carry_to_host(&mut host, &mut guest, exact);
    assert_eq!(host.host.state(), State::Connected);
    connect(&mut host, &mut other, 2, NOON);
    talk(&mut host, &mut other, 2, NOON);
    assert_eq!(other.ended, Some(GuestEnded::Not { why: Refused::Taken }));
    assert_eq!(host.guests.len(), 1, "the user sees one device");
    talk(&mut host, &mut guest, 1, NOON);
    host.input(HostInput::Entered(guest.digits.unwrap()), NOON);
    assert_eq!(host.confirmed.pop().unwrap().device(), guest.device.device());
}

// threat: 30
#[test]
fn nothing_that_the_other_side_says_can_be_an_address_to_open() {
    use super::party::meeting;
    use halo_protocol::invitation::{Hint, InvitationCode, Meeting};
    for url in [
        "https://evil.example/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "halo://join/x",
        "wss://",
        "ws://a b",
    ] {
        let hints = vec![Hint::Signaller(url.into())];
        let code = InvitationCode::new(Meeting { hints, ..meeting(&secret()) });
        assert!(code.meeting().hints.is_empty(), "{url} is no signaller");
    }
    // A label is a label.
    let label = "https://evil.example/login";
    let mut host = HostSide::new(Host::offer(code(), secret(), label, false), NOON);
    let mut guest = GuestSide::joins(&code(), 2);
    connect(&mut host, &mut guest, 1, NOON);
    talk(&mut host, &mut guest, 1, NOON);
    assert_eq!(guest.hosts, [label], "shown as text, and there is no effect that opens one");
}

// threat: 43
#[test]
fn of_two_that_use_a_code_at_once_one_wins() {
    let (mut host, mut guest) = ready();
    let mut other = GuestSide::joins(&code(), 3);
    connect(&mut host, &mut other, 2, NOON);
    host.input(HostInput::Entered(guest.digits.unwrap()), NOON);
    talk(&mut host, &mut other, 2, NOON);
    host.input(HostInput::Admission(vec![1]), NOON);
    talk(&mut host, &mut guest, 1, NOON);
    guest.input(GuestInput::Durable, NOON);
    talk(&mut host, &mut guest, 1, NOON);
    assert_eq!(guest.ended, Some(GuestEnded::Linked));
    assert_eq!(other.ended, Some(GuestEnded::Not { why: Refused::Taken }));
    assert_eq!(host.confirmed.len(), 1);
}

// threat: 43
#[test]
fn a_code_that_was_used_is_refused() {
    let (mut host, mut guest) = ready();
    host.input(HostInput::Entered(guest.digits.unwrap()), NOON);
    host.input(HostInput::Admission(vec![1]), NOON);
    talk(&mut host, &mut guest, 1, NOON);
    guest.input(GuestInput::Durable, NOON);
    talk(&mut host, &mut guest, 1, NOON);
    let mut again = GuestSide::joins(&code(), 3);
    connect(&mut host, &mut again, 2, NOON);
    talk(&mut host, &mut again, 2, NOON);
    assert_eq!(host.dropped.last(), Some(&ConnectionId(2)));
    assert_eq!((again.hosts.len(), again.digits), (0, None));
    host.input(HostInput::Entered(guest.digits.unwrap_or(Digits::parse("000000").unwrap())), NOON);
    assert_eq!(host.refused, [EnterError::Over]);
}
