//! The way it goes, in both directions, and what happens when somebody vanishes.

use halo_protocol::credential::DeviceProfile;
use halo_protocol::invitation::{
    ConnectionId, Digits, EnterError, Guest, GuestEnded, GuestInput, Host, HostEnded, HostInput,
    LONGEST_ADMISSION, Refused, State,
};

use super::party::{
    EXPIRY, GuestSide, HostSide, code, connect, host, keys, later, newcomer_code, ready, secret, talk,
};
use crate::signer::{Key, NOON, laptop};

const ADMISSION: &[u8] = b"everything a device of the account needs";

fn finishes(host: &mut HostSide, guest: &mut GuestSide, name: u64) {
    host.input(HostInput::Entered(guest.digits.unwrap()), NOON);
    let confirmed = host.confirmed.pop().expect("the digits are right");
    assert_eq!(confirmed.device(), guest.device.device(), "exactly the key that signed");
    assert_eq!(
        (confirmed.agreement(), confirmed.sealing()),
        (keys(&guest.device).agreement, [5; 1_216].as_slice())
    );
    assert_eq!(confirmed.profile(), &laptop());
    host.input(HostInput::Admission(ADMISSION.to_vec()), NOON);
    talk(host, guest, name, NOON);
    assert_eq!(guest.admission.as_deref(), Some(ADMISSION));
    assert_eq!(guest.ended, None, "it is no device before it has kept what came");
    assert_eq!(host.ended, None);
    guest.input(GuestInput::Durable, NOON);
    talk(host, guest, name, NOON);
    assert_eq!((host.ended, guest.ended), (Some(HostEnded::Linked), Some(GuestEnded::Linked)));
}

const ALL_THE_WAY: [State; 5] = [
    State::Connecting,
    State::Connected,
    State::ReadyForAuthentication,
    State::Authenticating,
    State::Success,
];

#[test]
fn a_new_device_scans_and_is_linked() {
    let (mut host, mut guest) = ready();
    assert_eq!(guest.hosts, ["Ada's desktop"]);
    assert_eq!(host.guests, [laptop()]);
    finishes(&mut host, &mut guest, 1);
    assert_eq!(host.states, ALL_THE_WAY);
    assert_eq!(guest.states, ALL_THE_WAY);
    assert_eq!(guest.digits, None, "the digits are gone from the screen");
}

#[test]
fn a_new_device_shows_its_code_and_is_linked() {
    let device = Key::new(2);
    let guest = Guest::show(&newcomer_code(), secret(), &laptop(), keys(&device));
    let mut guest = GuestSide::new(guest, device, NOON);
    let mut host = HostSide::new(Host::add(&newcomer_code(), "Ada's desktop"), NOON);
    connect(&mut host, &mut guest, 1, NOON);
    talk(&mut host, &mut guest, 1, NOON);
    finishes(&mut host, &mut guest, 1);
    assert_eq!(host.states, ALL_THE_WAY);
}

#[test]
fn a_new_device_that_shows_its_code_speaks_to_one_host_at_a_time() {
    let device = Key::new(2);
    let guest = Guest::show(&newcomer_code(), secret(), &laptop(), keys(&device));
    let mut guest = GuestSide::new(guest, device, NOON);
    let mut host = HostSide::new(Host::add(&newcomer_code(), "Ada's desktop"), NOON);
    let mut stranger = HostSide::new(Host::add(&newcomer_code(), "A stranger's"), NOON);
    connect(&mut host, &mut guest, 1, NOON);
    connect(&mut stranger, &mut guest, 2, NOON);
    talk(&mut stranger, &mut guest, 2, NOON);
    talk(&mut host, &mut guest, 1, NOON);
    assert_eq!(
        (guest.dropped.as_slice(), guest.hosts.as_slice()),
        ([ConnectionId(2)].as_slice(), ["Ada's desktop".to_owned()].as_slice())
    );
    assert!(stranger.guests.is_empty(), "the second one hears nothing");
    finishes(&mut host, &mut guest, 1);
}

#[test]
fn digits_are_six_and_differ_from_run_to_run() {
    let mut seen = std::collections::BTreeSet::new();
    for device in 1..=40 {
        let (mut host, mut guest) = (host(), GuestSide::joins(&code(), device));
        connect(&mut host, &mut guest, 1, NOON);
        talk(&mut host, &mut guest, 1, NOON);
        let digits = guest.digits.unwrap().reveal();
        assert!(digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_digit()), "{digits}");
        seen.insert(digits);
    }
    assert!(seen.len() >= 39, "two of forty may be the same by chance, not more: {}", seen.len());
}

#[test]
fn digits_are_read_as_people_type_them_and_not_otherwise() {
    let digits = Digits::parse("493021").unwrap();
    for typed in ["493 021", " 493-021 ", "4 9 3 0 2 1", "493\u{a0}021"] {
        assert_eq!(Digits::parse(typed), Some(digits), "{typed:?}");
    }
    for typed in ["", "49302", "4930211", "49302a", "٤٩٣٠٢١", "+49302", "-493021x"] {
        assert_eq!(Digits::parse(typed), None, "{typed:?}");
    }
    assert_eq!(Digits::parse("000007").unwrap().reveal(), "000007");
    assert_eq!(format!("{digits:?}"), "Digits(…)", "they are not printed by accident");
}

#[test]
fn a_large_admission_comes_in_portions_with_progress() {
    let (mut host, mut guest) = ready();
    host.input(HostInput::Entered(guest.digits.unwrap()), NOON);
    let admission: Vec<u8> = (0..3_000_001).map(|at| u8::try_from(at % 251).unwrap()).collect();
    host.input(HostInput::Admission(admission.clone()), NOON);
    let ahead: usize = host.out.iter().map(|(_, message)| message.len()).sum();
    assert!(ahead < 700_000, "{ahead} bytes are sent before the guest has any");
    talk(&mut host, &mut guest, 1, NOON);
    assert!(guest.admission.as_deref() == Some(&admission[..]), "all of it, as it was");
    assert!(guest.progress.len() > 20 && guest.progress.is_sorted());
    assert_eq!(guest.progress.last(), Some(&(3_000_001, 3_000_001)));
}

#[test]
fn an_admission_of_no_length_or_too_great_a_one_is_an_error() {
    for length in [0, LONGEST_ADMISSION + 1] {
        let (mut host, guest) = ready();
        host.input(HostInput::Entered(guest.digits.unwrap()), NOON);
        host.input(HostInput::Admission(vec![0; length]), NOON);
        assert_eq!((host.host.state(), host.ended), (State::Error, Some(HostEnded::Unseen)));
    }
}

#[test]
fn what_a_device_calls_itself_is_cleaned_and_cut() {
    let device = Key::new(2);
    let rude = DeviceProfile {
        label: format!("  HALO\u{202e}\u{200b} Security\n\nUpdate {}", "x".repeat(500)),
        platform: "\u{1b}[31mlinux".into(),
        ..laptop()
    };
    let guest = Guest::join(&code(), &rude, keys(&device));
    let (mut host, mut guest) = (host(), GuestSide::new(guest, device, NOON));
    connect(&mut host, &mut guest, 1, NOON);
    talk(&mut host, &mut guest, 1, NOON);
    let seen = &host.guests[0];
    assert!(seen.label.starts_with("HALO Security Update xxx"), "{:?}", seen.label);
    assert!(seen.label.chars().count() <= 64);
    assert_eq!(seen.platform, "[31mlinux");
}

#[test]
fn nobody_is_half_admitted_wherever_the_guest_vanishes() {
    // After so many messages in each direction the guest is gone for good.
    for after in 0..8 {
        let (mut host, mut guest) = (host(), GuestSide::joins(&code(), 2));
        connect(&mut host, &mut guest, 1, NOON);
        for step in 0..after {
            for (connection, bytes) in std::mem::take(&mut guest.out) {
                host.input(HostInput::Message { connection, bytes }, NOON);
            }
            for (connection, bytes) in std::mem::take(&mut host.out) {
                guest.input(GuestInput::Message { connection, bytes }, NOON);
            }
            if step == 2 {
                host.input(HostInput::Entered(guest.digits.unwrap()), NOON);
                host.input(HostInput::Admission(ADMISSION.to_vec()), NOON);
            }
            if guest.admission.is_some() && step == 4 {
                guest.input(GuestInput::Durable, NOON);
            }
        }
        guest.input(GuestInput::Left { connection: ConnectionId(1) }, NOON);
        host.input(HostInput::Left { connection: ConnectionId(1) }, NOON);
        host.input(HostInput::Tick, later(2_000_000));
        guest.input(GuestInput::Tick, later(2_000_000));
        match after {
            0..=2 => {
                assert_eq!(host.ended, Some(HostEnded::Nobody { why: Refused::Expired }), "after {after}")
            }
            3..=5 => assert_eq!(host.ended, Some(HostEnded::Unseen), "after {after}: admitted, never seen"),
            _ => assert_eq!(host.ended, Some(HostEnded::Linked), "after {after}"),
        }
        if guest.ended == Some(GuestEnded::Linked) {
            assert_ne!(host.ended, Some(HostEnded::Nobody { why: Refused::Expired }), "after {after}");
        } else {
            assert!(!guest.states.contains(&State::Success), "after {after}");
        }
    }
}

#[test]
fn a_guest_that_comes_back_after_the_right_digits_needs_no_digits_again() {
    let (mut host, mut guest) = ready();
    host.input(HostInput::Entered(guest.digits.unwrap()), NOON);
    drop(host.confirmed.pop());
    // Its machine restarts; its keys are kept, nothing else.
    host.input(HostInput::Left { connection: ConnectionId(1) }, NOON);
    host.out.clear();
    host.input(HostInput::Admission(ADMISSION.to_vec()), NOON);
    assert!(host.out.is_empty(), "nobody is there to take it");
    let mut stranger = GuestSide::joins(&code(), 3);
    connect(&mut host, &mut stranger, 2, NOON);
    talk(&mut host, &mut stranger, 2, NOON);
    assert_eq!(
        stranger.ended,
        Some(GuestEnded::Not { why: Refused::Taken }),
        "another key is another device"
    );
    assert_eq!(stranger.admission, None);
    guest = GuestSide::joins(&code(), 2);
    connect(&mut host, &mut guest, 3, NOON);
    talk(&mut host, &mut guest, 3, NOON);
    assert_eq!(guest.admission.as_deref(), Some(ADMISSION));
    assert!(!guest.states.contains(&State::ReadyForAuthentication));
    guest.input(GuestInput::Durable, NOON);
    talk(&mut host, &mut guest, 3, NOON);
    assert_eq!(host.ended, Some(HostEnded::Linked));
    assert!(host.confirmed.is_empty(), "it is admitted once");
}

#[test]
fn a_guest_that_loses_its_channel_before_the_digits_may_come_again_and_gets_others() {
    let (mut host, mut guest) = ready();
    let before = guest.digits.unwrap();
    for side in 2..=3 {
        guest.input(GuestInput::Left { connection: ConnectionId(side - 1) }, NOON);
        host.input(HostInput::Left { connection: ConnectionId(side - 1) }, NOON);
        assert_eq!((host.host.state(), guest.guest.state()), (State::Connecting, State::Connecting));
        assert_eq!(guest.digits, None);
        connect(&mut host, &mut guest, side, NOON);
        talk(&mut host, &mut guest, side, NOON);
        assert_ne!(guest.digits, Some(before), "another handshake, other digits");
    }
    finishes(&mut host, &mut guest, 3);
}

#[test]
fn cancelling_on_either_side_ends_it_on_both() {
    let (mut host, mut guest) = ready();
    host.input(HostInput::Cancel, NOON);
    talk(&mut host, &mut guest, 1, NOON);
    assert_eq!((host.host.state(), guest.guest.state()), (State::Cancelled, State::Cancelled));
    assert_eq!(guest.digits, None);
    assert_eq!(host.ended, Some(HostEnded::Nobody { why: Refused::Cancelled }));

    let (mut host, mut guest) = ready();
    guest.input(GuestInput::Cancel, NOON);
    talk(&mut host, &mut guest, 1, NOON);
    assert_eq!(guest.guest.state(), State::Cancelled);
    assert_eq!(host.host.state(), State::Connecting, "the code is still good for another device");
}

#[test]
fn an_invitation_expires_and_says_since_when() {
    let mut host = host();
    assert_eq!(host.host.deadline(), Some(EXPIRY));
    host.input(HostInput::Entered(Digits::parse("123456").unwrap()), later(605_000));
    assert_eq!(host.refused, [EnterError::Expired { seconds: 5 }]);
    assert_eq!(
        (host.host.state(), host.ended),
        (State::Expired, Some(HostEnded::Nobody { why: Refused::Expired }))
    );
    assert_eq!(host.host.deadline(), None);

    let (mut host, mut guest) = ready();
    host.input(HostInput::Entered(guest.digits.unwrap()), EXPIRY);
    assert_eq!(
        host.refused,
        [EnterError::Expired { seconds: 0 }],
        "right digits at the deadline are too late"
    );
    assert!(host.confirmed.is_empty());
    talk(&mut host, &mut guest, 1, EXPIRY);
    assert_eq!(guest.guest.state(), State::Expired);
}

#[test]
fn digits_without_a_guest_change_nothing() {
    let mut host = host();
    host.input(HostInput::Entered(Digits::parse("123456").unwrap()), NOON);
    assert_eq!(host.refused, [EnterError::NobodyThere]);
    let mut guest = GuestSide::joins(&code(), 2);
    connect(&mut host, &mut guest, 1, NOON);
    talk(&mut host, &mut guest, 1, NOON);
    finishes(&mut host, &mut guest, 1);
}

#[test]
fn a_guest_that_stands_in_the_door_is_shown_out() {
    let (mut host, mut idle) = (host(), GuestSide::joins(&code(), 3));
    connect(&mut host, &mut idle, 1, NOON);
    let (connection, bytes) = idle.out.remove(0);
    host.input(HostInput::Message { connection, bytes }, NOON);
    assert_eq!(host.host.state(), State::Connected);
    assert_eq!(host.host.deadline(), Some(later(30_000)));
    host.input(HostInput::Tick, later(30_000));
    assert_eq!(host.host.state(), State::Connecting);
    let mut guest = GuestSide::joins(&code(), 2);
    connect(&mut host, &mut guest, 2, later(31_000));
    talk(&mut host, &mut guest, 2, later(31_000));
    finishes(&mut host, &mut guest, 2);
}

#[test]
fn a_wallet_that_cannot_admit_or_keep_ends_it_in_an_error() {
    let (mut host, mut guest) = ready();
    host.input(HostInput::Entered(guest.digits.unwrap()), NOON);
    host.input(HostInput::NotAdmitted, NOON);
    talk(&mut host, &mut guest, 1, NOON);
    assert_eq!(host.ended, Some(HostEnded::Nobody { why: Refused::Failed }));
    assert_eq!(
        (guest.guest.state(), guest.ended),
        (State::Error, Some(GuestEnded::Not { why: Refused::Failed }))
    );

    let (mut host, mut guest) = ready();
    host.input(HostInput::Entered(guest.digits.unwrap()), NOON);
    host.input(HostInput::Admission(ADMISSION.to_vec()), NOON);
    talk(&mut host, &mut guest, 1, NOON);
    guest.input(GuestInput::NotTaken, NOON);
    assert_eq!(guest.ended, Some(GuestEnded::Not { why: Refused::Failed }));
    host.input(HostInput::Tick, later(120_000));
    assert_eq!((host.host.state(), host.ended), (State::Timeout, Some(HostEnded::Unseen)));
}
