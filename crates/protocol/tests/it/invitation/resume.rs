//! Invitations that outlive a restart, and those that do not.

use halo_protocol::invitation::{
    ConnectionId, GuestEnded, GuestInput, Host, HostEnded, HostInput, Refused, State,
};

use super::party::{EXPIRY, GuestSide, HostSide, code, connect, later, other_than, secret, talk};
use crate::signer::NOON;

fn resumable() -> HostSide {
    HostSide::new(Host::offer(code(), secret(), "Ada's desktop", true), NOON)
}

fn restarted(host: &HostSide) -> HostSide {
    HostSide::new(Host::resume(host.saved.last().unwrap()).unwrap(), later(1_000))
}

#[test]
fn an_invitation_that_says_so_goes_on_after_a_restart() {
    let mut host = restarted(&resumable());
    assert_eq!(host.states, [State::Connecting]);
    let mut guest = GuestSide::joins(&code(), 2);
    connect(&mut host, &mut guest, 1, later(1_000));
    talk(&mut host, &mut guest, 1, later(1_000));
    host.input(HostInput::Entered(guest.digits.unwrap()), later(1_000));
    assert_eq!(host.confirmed.len(), 1);
}

#[test]
fn any_other_is_not_kept() {
    let host = HostSide::new(Host::offer(code(), secret(), "Ada's desktop", false), NOON);
    assert!(host.saved.is_empty());
}

// threat: 28
#[test]
fn a_restart_gives_nobody_another_attempt() {
    let mut host = resumable();
    for attempt in 0..3 {
        let mut thief = GuestSide::joins(&code(), 66);
        connect(&mut host, &mut thief, attempt, NOON);
        talk(&mut host, &mut thief, attempt, NOON);
        assert!(thief.digits.is_some());
        host = restarted(&host);
    }
    let mut thief = GuestSide::joins(&code(), 66);
    connect(&mut host, &mut thief, 9, NOON);
    talk(&mut host, &mut thief, 9, NOON);
    assert_eq!((thief.digits, host.ended), (None, Some(HostEnded::Nobody { why: Refused::Burnt })));
}

#[test]
fn a_restart_in_the_middle_of_admitting_goes_on_with_that_device_only() {
    let mut host = resumable();
    let mut guest = GuestSide::joins(&code(), 2);
    connect(&mut host, &mut guest, 1, NOON);
    talk(&mut host, &mut guest, 1, NOON);
    host.input(HostInput::Entered(guest.digits.unwrap()), NOON);
    let before = host.confirmed.pop().unwrap();
    let mut host = restarted(&host);
    assert_eq!(host.states, [State::Authenticating]);
    let again = host.confirmed.pop().expect("the wallet is asked again");
    assert_eq!((again.device(), again.profile()), (before.device(), before.profile()));
    host.input(HostInput::Admission(vec![7; 100]), later(1_000));
    guest.input(GuestInput::Left { connection: ConnectionId(1) }, later(1_000));
    let mut thief = GuestSide::joins(&code(), 66);
    connect(&mut host, &mut thief, 2, later(1_000));
    talk(&mut host, &mut thief, 2, later(1_000));
    assert_eq!(thief.ended, Some(GuestEnded::Not { why: Refused::Taken }));
    connect(&mut host, &mut guest, 3, later(2_000));
    talk(&mut host, &mut guest, 3, later(2_000));
    assert_eq!(guest.admission, Some(vec![7; 100]));
    guest.input(GuestInput::Durable, later(2_000));
    talk(&mut host, &mut guest, 3, later(2_000));
    assert_eq!(host.ended, Some(HostEnded::Linked));
}

#[test]
fn an_invitation_that_was_kept_too_long_has_expired() {
    let kept = resumable().saved.pop().unwrap();
    let host = HostSide::new(Host::resume(&kept).unwrap(), EXPIRY);
    assert_eq!(host.ended, Some(HostEnded::Nobody { why: Refused::Expired }));
}

#[test]
fn a_kept_invitation_that_was_changed_is_refused_or_another() {
    let mut host = resumable();
    let mut guest = GuestSide::joins(&code(), 2);
    connect(&mut host, &mut guest, 1, NOON);
    talk(&mut host, &mut guest, 1, NOON);
    let kept = host.saved.last().unwrap().clone();
    assert!(Host::resume(&[]).is_err());
    assert!(Host::resume(&vec![0; 100_000]).is_err());
    for cut in 0..kept.len() {
        // What remains of the message may be read without its last fields; the secret belongs to the code or nothing does.
        if let Ok(host) = Host::resume(&kept[..cut]) {
            assert_eq!(host.rendezvous().meeting().key, secret().public(), "cut at {cut}");
        }
    }
    host.input(HostInput::Entered(other_than(guest.digits.unwrap())), NOON);
    assert!(host.ended.is_some(), "and what is over is removed, by whoever keeps it");
}
