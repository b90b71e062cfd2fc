//! Handshakes: who completes one, and who does not.

use halo_protocol::channel::{Established, Handshake, HandshakeError, OneTimeSecret, Purpose, Role, Step};
use halo_protocol::signal::Topic;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::world::{INVITATION, established};

const PEERS: Purpose = Purpose::Peers { topic: Topic::from_bytes([7; 16]) };
const ADA: [u8; 32] = [21; 32];
const BOB: [u8; 32] = [22; 32];

fn rng() -> StdRng {
    StdRng::seed_from_u64(1)
}

/// Runs XX, with somebody between the two who may change message number `at`.
fn peers(at: usize, change: impl Fn(&mut Vec<u8>)) -> Result<[Established; 2], HandshakeError> {
    let mut rng = rng();
    let (caller, mut message) = Handshake::calling(&PEERS, &ADA, &mut rng)?;
    let mut ends = [Some(caller), Some(Handshake::answering(&PEERS, &BOB, &mut rng)?)];
    let mut done: [Option<Established>; 2] = [None, None];
    for number in 0..3 {
        let to = 1 - number % 2;
        if number == at {
            change(&mut message);
        }
        match ends[to].take().expect("not done yet").read(&message)? {
            Step::Continue { reply, handshake } => {
                message = reply;
                ends[to] = Some(handshake);
            }
            Step::Done { reply, established } => {
                done[to] = Some(established);
                message = reply.unwrap_or_default();
            }
        }
    }
    let [Some(caller), Some(answerer)] = done else { panic!("both are done") };
    Ok([caller, answerer])
}

#[test]
fn who_scanned_and_who_shows_the_code_agree_on_one_run() {
    let [guest, host] = established(1);
    assert_eq!(guest.hash(), host.hash());
    assert_eq!((guest.role(), host.role()), (Role::Initiator, Role::Responder));
    assert_eq!(guest.peer(), None, "the scanner is nobody yet, and the code names no device");
    assert_ne!(established(2)[0].hash(), guest.hash(), "another run, another name");
}

#[test]
fn peers_learn_each_others_agreement_key() {
    let [caller, answerer] = peers(9, |_| {}).unwrap();
    let public = |secret| *OneTimeSecret::from_bytes(secret).public().first_chunk::<32>().unwrap();
    assert_eq!(*caller.peer().unwrap().as_bytes(), public(BOB));
    assert_eq!(*answerer.peer().unwrap().as_bytes(), public(ADA));
    assert_eq!(caller.hash(), answerer.hash());
}

// threat: 26
#[test]
fn one_changed_bit_or_byte_too_few_anywhere_ends_a_handshake() {
    let lengths = [33, 97, 65];
    for (number, length) in lengths.into_iter().enumerate() {
        for at in 0..length {
            let flipped = peers(number, |message| message[at] ^= 0x10);
            // The highest bit of an X25519 key does not count (RFC 7748); 0x10 does everywhere.
            assert!(flipped.is_err(), "byte {at} of message {number}");
        }
        for cut in 0..length {
            let short = peers(number, |message| message.truncate(cut)).unwrap_err();
            assert!(matches!(short, HandshakeError::Length { .. }), "message {number} cut at {cut}: {short}");
        }
        let long = peers(number, |message| message.push(0)).unwrap_err();
        assert_eq!(long, HandshakeError::Length { length: length + 1 }, "message {number}, lengthened");
    }
}

// threat: 26
#[test]
fn a_repeated_handshake_message_completes_nothing() {
    let mut rng = rng();
    let secret = OneTimeSecret::make(&mut rng);
    let (guest, first) = Handshake::scanning(&INVITATION, &secret.public(), &mut rng).unwrap();
    let answer =
        |rng: &mut StdRng| match Handshake::showing(&INVITATION, &secret, rng).unwrap().read(&first).unwrap()
        {
            Step::Done { reply, established } => (reply.unwrap(), established),
            Step::Continue { .. } => panic!("NK has two messages"),
        };
    let (one, established) = answer(&mut rng);
    let (other, repeated) = answer(&mut rng);
    assert_ne!(established.hash(), repeated.hash(), "a repeated call is another run");
    let Step::Done { established: guest, .. } = guest.read(&one).unwrap() else { panic!() };
    assert_eq!(guest.hash(), established.hash());
    assert_ne!(one, other);
}

// threat: 26
#[test]
fn an_end_that_means_something_else_does_not_complete() {
    let mut rng = rng();
    let secret = OneTimeSecret::make(&mut rng);
    let (_, first) = Handshake::scanning(&INVITATION, &secret.public(), &mut rng).unwrap();
    let others = [
        Purpose::Invitation { topic: Topic::from_bytes([9; 16]), binding: [8; 32] },
        Purpose::Invitation { topic: Topic::from_bytes([7; 16]), binding: [9; 32] },
    ];
    for other in others {
        let host = Handshake::showing(&other, &secret, &mut rng).unwrap();
        assert_eq!(host.read(&first).err(), Some(HandshakeError::Failed), "{other:?}");
    }
    let elsewhere = Purpose::Peers { topic: Topic::from_bytes([9; 16]) };
    let (caller, first) = Handshake::calling(&PEERS, &ADA, &mut rng).unwrap();
    let Step::Continue { reply, .. } =
        Handshake::answering(&elsewhere, &BOB, &mut rng).unwrap().read(&first).unwrap()
    else {
        panic!("the first message says nothing yet")
    };
    assert_eq!(caller.read(&reply).err(), Some(HandshakeError::Failed), "another topic");
}

// threat: 26
#[test]
fn a_handshake_is_not_talked_down_to_another_pattern_or_version() {
    let mut rng = rng();
    let secret = OneTimeSecret::make(&mut rng);
    let (_, first) = Handshake::scanning(&INVITATION, &secret.public(), &mut rng).unwrap();
    let peer = Handshake::answering(&PEERS, &ADA, &mut rng).unwrap();
    assert_eq!(peer.read(&first).err(), Some(HandshakeError::Length { length: 49 }), "NK is not XX");
    let (_, first) = Handshake::calling(&PEERS, &ADA, &mut rng).unwrap();
    let host = Handshake::showing(&INVITATION, &secret, &mut rng).unwrap();
    assert_eq!(host.read(&first).err(), Some(HandshakeError::Length { length: 33 }), "XX is not NK");
    let mut older = first;
    older[0] = 0;
    let peer = Handshake::answering(&PEERS, &BOB, &mut rng).unwrap();
    assert_eq!(peer.read(&older).err(), Some(HandshakeError::Version { version: 0 }));
    assert!(Handshake::calling(&INVITATION, &ADA, &mut rng).is_err(), "an invitation proves no device");
    assert!(Handshake::scanning(&PEERS, &ADA, &mut rng).is_err(), "peers have no code");
}

#[test]
fn who_does_not_hold_the_one_time_key_cannot_answer() {
    let mut rng = rng();
    let (_, first) =
        Handshake::scanning(&INVITATION, &OneTimeSecret::make(&mut rng).public(), &mut rng).unwrap();
    let impostor = Handshake::showing(&INVITATION, &OneTimeSecret::make(&mut rng), &mut rng).unwrap();
    assert_eq!(impostor.read(&first).err(), Some(HandshakeError::Failed));
}

#[test]
fn a_key_that_agrees_with_everybody_is_none() {
    // Points of small order (RFC 7748, §7): zero, one, and one of order eight.
    let eight = "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800";
    let eight = data_encoding::HEXLOWER.decode(eight.as_bytes()).unwrap().try_into().unwrap();
    let mut one = [0; 32];
    one[0] = 1;
    for weak in [[0; 32], one, eight] {
        assert!(Handshake::scanning(&INVITATION, &weak, &mut rng()).is_err(), "{weak:?}");
    }
}
