//! What a signaller is told, and what it cannot read, swap or repeat.

use halo_protocol::signal::{
    ClientMessage, IceServer, LONGEST_MESSAGE, LONGEST_PAYLOAD, LONGEST_PLAIN, LineError, PeerId, Refusal,
    SealedLine, ServerMessage, Topic, TopicSecret,
};
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;

const ADA: PeerId = PeerId::from_bytes([1; 16]);
const BOB: PeerId = PeerId::from_bytes([2; 16]);
const EVE: PeerId = PeerId::from_bytes([3; 16]);
const HERE: Topic = Topic::from_bytes([9; 16]);

fn secret() -> TopicSecret {
    TopicSecret::from_bytes(b"sixteen bytes it").unwrap()
}

fn lines() -> (SealedLine, SealedLine, StdRng) {
    (SealedLine::new(&secret(), ADA, BOB), SealedLine::new(&secret(), BOB, ADA), StdRng::seed_from_u64(1))
}

fn said_by_clients() -> Vec<ClientMessage> {
    vec![
        ClientMessage::Join { topic: HERE },
        ClientMessage::Leave { topic: HERE },
        ClientMessage::Send { topic: HERE, to: BOB, payload: vec![1; LONGEST_PAYLOAD] },
        ClientMessage::AskIceServers,
    ]
}

fn said_by_servers() -> Vec<ServerMessage> {
    let server = IceServer {
        urls: vec!["turn:kube.example:3478".into()],
        username: "1795435200:x".into(),
        credential: "secret".into(),
    };
    let refused = |topic, why| ServerMessage::Refused { topic, why };
    vec![
        ServerMessage::Joined { topic: HERE, you: ADA, peers: vec![BOB; 256] },
        ServerMessage::PeerJoined { topic: HERE, peer: BOB },
        ServerMessage::PeerLeft { topic: HERE, peer: BOB },
        ServerMessage::Payload { topic: HERE, from: BOB, payload: vec![] },
        refused(Some(HERE), Refusal::Full),
        refused(None, Refusal::TooMany),
        refused(Some(HERE), Refusal::NoSuchPeer),
        refused(None, Refusal::Malformed),
        refused(None, Refusal::Slow),
        refused(None, Refusal::Closing),
        refused(Some(HERE), Refusal::NotJoined),
        ServerMessage::IceServers { servers: vec![server; 8] },
    ]
}

#[test]
fn every_message_reads_back() {
    for message in said_by_clients() {
        let bytes = message.encode();
        assert!(bytes.len() <= LONGEST_MESSAGE);
        assert_eq!(ClientMessage::decode(&bytes), Ok(message));
    }
    for message in said_by_servers() {
        let bytes = message.encode();
        assert!(bytes.len() <= LONGEST_MESSAGE);
        assert_eq!(ServerMessage::decode(&bytes), Ok(message));
    }
}

#[test]
fn messages_beyond_their_limits_are_refused() {
    let long = ClientMessage::Send { topic: HERE, to: BOB, payload: vec![0; LONGEST_PAYLOAD + 1] };
    assert!(ClientMessage::decode(&long.encode()).is_err());
    let crowd = ServerMessage::Joined { topic: HERE, you: ADA, peers: vec![BOB; 257] };
    assert!(ServerMessage::decode(&crowd.encode()).is_err());
    assert!(ClientMessage::decode(&vec![0; LONGEST_MESSAGE + 1]).is_err());
    assert!(ClientMessage::decode(&[]).is_err(), "saying nothing is no message");
    let server =
        IceServer { urls: vec!["x".repeat(513)], username: String::new(), credential: String::new() };
    assert!(ServerMessage::decode(&ServerMessage::IceServers { servers: vec![server] }.encode()).is_err());
}

#[test]
fn a_turn_credential_is_not_printed() {
    let server = IceServer { urls: vec![], username: "name".into(), credential: "secret".into() };
    assert!(!format!("{server:?}").contains("secret"));
}

#[test]
fn a_topic_is_a_hash_of_its_secret() {
    assert_eq!(secret().topic(), secret().topic());
    assert_eq!(secret().topic().to_string(), "149fe93b2d80bc7c290eea1f2c745fe4");
    assert_ne!(
        TopicSecret::from_bytes(&[0; 17]).unwrap().topic(),
        TopicSecret::from_bytes(&[0; 16]).unwrap().topic()
    );
    assert!(TopicSecret::from_bytes(&[0; 15]).is_none() && TopicSecret::from_bytes(&[0; 33]).is_none());
}

#[test]
fn peers_of_a_topic_understand_each_other_and_nobody_else_does() {
    let (mut ada, mut bob, mut rng) = lines();
    for length in [0, 1, 64, 65, 5_000, LONGEST_PLAIN] {
        let sealed = ada.seal(&vec![7; length], &mut rng).unwrap();
        assert!(sealed.len() <= LONGEST_PAYLOAD);
        assert_eq!(bob.open(&sealed), Ok(vec![7; length]));
    }
    assert_eq!(
        ada.seal(&vec![7; LONGEST_PLAIN + 1], &mut rng),
        Err(LineError::TooLong { length: LONGEST_PLAIN + 1 })
    );
    let sealed = ada.seal(b"a secret", &mut rng).unwrap();
    let outsider = TopicSecret::from_bytes(b"another sixteen!").unwrap();
    assert_eq!(SealedLine::new(&outsider, BOB, ADA).open(&sealed), Err(LineError::Closed));
}

// threat: 26
#[test]
fn a_signaller_that_swaps_sender_or_recipient_is_not_believed() {
    let (mut ada, mut bob, mut rng) = lines();
    let sealed = ada.seal(b"to bob", &mut rng).unwrap();
    assert_eq!(
        SealedLine::new(&secret(), EVE, ADA).open(&sealed),
        Err(LineError::Closed),
        "another recipient"
    );
    assert_eq!(SealedLine::new(&secret(), BOB, EVE).open(&sealed), Err(LineError::Closed), "another sender");
    assert_eq!(ada.open(&sealed), Err(LineError::Closed), "back to whoever said it");
    assert_eq!(bob.open(&sealed), Ok(b"to bob".to_vec()), "and nothing was lost by it");
}

// threat: 26
#[test]
fn a_signaller_that_repeats_or_reorders_is_not_believed() {
    let (mut ada, mut bob, mut rng) = lines();
    let sealed: Vec<Vec<u8>> = (0..3_u8).map(|number| ada.seal(&[number], &mut rng).unwrap()).collect();
    assert_eq!(bob.open(&sealed[1]), Ok(vec![1]), "what is missing may be missing");
    assert_eq!(bob.open(&sealed[1]), Err(LineError::Repeated));
    assert_eq!(bob.open(&sealed[0]), Err(LineError::Repeated), "and comes too late");
    assert_eq!(bob.open(&sealed[2]), Ok(vec![2]));
}

// threat: 26
#[test]
fn one_flipped_bit_anywhere_in_a_payload_closes_it() {
    let (mut ada, mut bob, mut rng) = lines();
    let sealed = ada.seal(b"offer", &mut rng).unwrap();
    for at in 0..sealed.len() {
        let mut flipped = sealed.clone();
        flipped[at] ^= 1;
        assert_eq!(bob.open(&flipped), Err(LineError::Closed), "byte {at}");
    }
    for cut in 0..sealed.len() {
        assert_eq!(bob.open(&sealed[..cut]), Err(LineError::Closed), "cut at {cut}");
    }
    assert_eq!(bob.open(&sealed), Ok(b"offer".to_vec()));
}

// threat: 26
#[test]
fn what_goes_through_a_signaller_shows_neither_content_nor_exact_length() {
    let (mut ada, _, mut rng) = lines();
    let sealed = ada.seal(b"the name of Ada's laptop", &mut rng).unwrap();
    assert!(!sealed.windows(4).any(|window| window == b"name"));
    let lengths = (0..=64).map(|length| ada.seal(&vec![0; length], &mut rng).unwrap().len());
    assert_eq!(lengths.collect::<std::collections::BTreeSet<_>>().len(), 1);
    let again = ada.seal(b"the name of Ada's laptop", &mut rng).unwrap();
    assert_ne!(sealed, again, "the same looks different each time");
}

proptest! {
    #[test]
    fn any_bytes_are_a_signal_message_that_reads_back_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(message) = ClientMessage::decode(&bytes) {
            prop_assert_eq!(ClientMessage::decode(&message.encode()), Ok(message));
        }
        if let Ok(message) = ServerMessage::decode(&bytes) {
            prop_assert_eq!(ServerMessage::decode(&message.encode()), Ok(message));
        }
    }
}
