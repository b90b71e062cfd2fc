//! Two devices prove who they are over a channel of their own, and nobody else does.

use halo_protocol::channel::{Established, Handshake, Purpose, Role, Step};
use halo_protocol::credential::{Assertion, Credential};
use halo_protocol::identity::{IdentityState, PROBATION};
use halo_protocol::peer::{PeerError, PeerExpect, PeerHello, Standing, VerifiedPeer};
use halo_protocol::signal::Topic;
use halo_protocol::{AgreementKey, Verified};
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;
use x25519_dalek::{PublicKey, StaticSecret};

use crate::signer::{Key, NOON, born};

/// The agreement secret of a device of tests, by its number.
fn secret(number: u8) -> [u8; 32] {
    [number + 100; 32]
}

fn agreement_of(number: u8) -> AgreementKey {
    AgreementKey::from_bytes(PublicKey::from(&StaticSecret::from(secret(number))).as_bytes()).unwrap()
}

/// A device lets in another one with its own agreement key.
fn lets_in(by: &Key, number: u8, ada: &Key, seen: &Verified<Credential>) -> Verified<Credential> {
    let device = Key::new(number);
    let assertion = Assertion::AuthorizedDevice {
        identity_key: ada.identity(),
        device_key: device.device(),
        agreement_key: agreement_of(number),
    };
    by.says(device.bytes(), assertion, &[seen.id()], NOON)
}

/// A channel between two agreement secrets: what each end holds.
pub(crate) fn channel(initiator: [u8; 32], responder: [u8; 32]) -> (Established, Established) {
    let mut rng = StdRng::seed_from_u64(7);
    let purpose = Purpose::Peers { topic: Topic::from_bytes([5; 16]) };
    let (caller, first) = Handshake::calling(&purpose, &initiator, &mut rng).unwrap();
    let answerer = Handshake::answering(&purpose, &responder, &mut rng).unwrap();
    let Step::Continue { reply, handshake } = answerer.read(&first).unwrap() else { panic!() };
    let Step::Done { reply: Some(reply), established: ours } = caller.read(&reply).unwrap() else { panic!() };
    let Step::Done { established: theirs, .. } = handshake.read(&reply).unwrap() else { panic!() };
    (ours, theirs)
}

/// Ada's laptop (2) and phone (3); the phone calls the laptop.
struct World {
    ada: Key,
    laptop: Key,
    phone: Key,
    set: Vec<Verified<Credential>>,
}

impl World {
    fn new() -> Self {
        let (ada, laptop, phone) = (Key::new(1), Key::new(2), Key::new(3));
        let mut set = born(&ada, &laptop);
        set.push(lets_in(&laptop, 3, &ada, &set[2]));
        Self { ada, laptop, phone, set }
    }

    fn state(&self) -> IdentityState {
        IdentityState::from_credentials(&self.ada.identity(), &self.set)
    }

    fn chain(&self, device: &Key) -> Vec<Vec<u8>> {
        self.state().chain_of(&device.device(), &self.set).unwrap()
    }

    /// The laptop hears a hello over a channel that `number` opened.
    fn hear(&self, state: &IdentityState, hello: &PeerHello, number: u8) -> Result<VerifiedPeer, PeerError> {
        let (_, laptops) = channel(secret(number), secret(2));
        let device = self.laptop.device();
        hello.verify(&PeerExpect::over(&laptops, state, &device, NOON).unwrap())
    }

    /// A device says hello over the channel that it opened to the laptop.
    fn hello(&self, number: u8, chain: Vec<Vec<u8>>) -> PeerHello {
        let (ours, _) = channel(secret(number), secret(2));
        PeerHello::sign(Role::Initiator, ours.hash(), chain, &Key::new(number)).unwrap()
    }
}

#[test]
fn a_device_of_the_identity_is_known() {
    let world = World::new();
    let hello = world.hello(3, world.chain(&world.phone));
    let read = PeerHello::decode(&hello.encode()).unwrap();
    let peer = world.hear(&world.state(), &read, 3).unwrap();
    assert_eq!((peer.device_key(), peer.standing()), (world.phone.device(), Standing::Known));
    // And the other way round.
    let (phones, laptops) = channel(secret(3), secret(2));
    let hello = PeerHello::sign(Role::Responder, laptops.hash(), vec![], &world.laptop).unwrap();
    let (state, device) = (world.state(), world.phone.device());
    let expect = PeerExpect::over(&phones, &state, &device, NOON).unwrap();
    assert_eq!(hello.verify(&expect), Err(PeerError::Agreement), "the laptop was made with another key");
}

#[test]
fn a_device_that_was_let_in_elsewhere_may_introduce_itself_and_no_more() {
    let world = World::new();
    let hello = world.hello(3, world.chain(&world.phone));
    let before = IdentityState::from_credentials(&world.ada.identity(), &world.set[..3]);
    let peer = world.hear(&before, &hello, 3).unwrap();
    assert_eq!(peer.standing(), Standing::Introduced);
}

// threat: 26
#[test]
fn a_hello_holds_for_one_handshake_and_one_end_of_it() {
    let world = World::new();
    let state = world.state();
    let hello = world.hello(3, world.chain(&world.phone));
    let (ours, laptops) = channel(secret(3), secret(2));
    let device = world.laptop.device();
    let expect = PeerExpect::over(&laptops, &state, &device, NOON).unwrap();
    let another = halo_protocol::channel::HandshakeHash::from_bytes([1; 32]);
    assert_eq!(
        hello.verify(&PeerExpect { handshake: another, ..expect }),
        Err(PeerError::Signature),
        "replayed"
    );
    assert_eq!(
        hello.verify(&PeerExpect { role: Role::Responder, ..expect }),
        Err(PeerError::Signature),
        "from the other end"
    );
    let reflected = PeerHello::sign(Role::Responder, ours.hash(), vec![], &world.laptop).unwrap();
    assert_eq!(reflected.verify(&expect), Err(PeerError::Ourselves));
}

#[test]
fn the_agreement_key_of_the_channel_is_the_devices() {
    let world = World::new();
    // A relay holds the channel with a key of its own, and the phone signs for that.
    let (relays, laptops) = channel(secret(66), secret(2));
    let hello =
        PeerHello::sign(Role::Initiator, relays.hash(), world.chain(&world.phone), &world.phone).unwrap();
    let (state, device) = (world.state(), world.laptop.device());
    let expect = PeerExpect::over(&laptops, &state, &device, NOON).unwrap();
    assert_eq!(hello.verify(&expect), Err(PeerError::Agreement));
    let before = IdentityState::from_credentials(&world.ada.identity(), &world.set[..3]);
    assert_eq!(hello.verify(&PeerExpect { state: &before, ..expect }), Err(PeerError::Agreement));
}

// threat: 38
#[test]
fn a_revoked_device_speaks_to_nobody() {
    let mut world = World::new();
    let chain = world.chain(&world.phone);
    let hello = world.hello(3, chain);
    world.set.push(world.laptop.revokes(&world.phone, &[world.set[3].id()]));
    assert_eq!(world.hear(&world.state(), &hello, 3), Err(PeerError::Revoked));
    // Nor does one that it lets in, whom nobody knows yet.
    let smuggled = lets_in(&world.phone, 4, &world.ada, &world.set[3]);
    let hello = world.hello(4, vec![smuggled.bytes().to_vec(), world.set[3].bytes().to_vec()]);
    assert_eq!(world.hear(&world.state(), &hello, 4), Err(PeerError::Revoked));
}

// threat: 29
#[test]
fn a_device_that_was_let_in_by_one_on_probation_is_refused() {
    let world = World::new();
    let phone_in = world.set[3].id();
    let state =
        IdentityState::judge(&world.ada.identity(), &world.set, |id| (*id == phone_in).then_some(NOON));
    let tablet = lets_in(&world.phone, 4, &world.ada, &world.set[3]);
    let chain = vec![tablet.bytes().to_vec(), world.set[3].bytes().to_vec()];
    let hello = world.hello(4, chain);
    assert!(matches!(world.hear(&state, &hello, 4), Err(PeerError::Chain { .. })));
    // A day later the phone may.
    let (_, laptops) = channel(secret(4), secret(2));
    let device = world.laptop.device();
    let expect = PeerExpect::over(&laptops, &state, &device, NOON.plus(PROBATION)).unwrap();
    assert_eq!(hello.verify(&expect).unwrap().standing(), Standing::Introduced);
    // Unless it was seen before, and refused.
    let mut set = world.set.clone();
    set.push(tablet);
    let state = IdentityState::judge(&world.ada.identity(), &set, |_| Some(NOON));
    let expect = PeerExpect { state: &state, ..expect };
    assert!(matches!(hello.verify(&expect), Err(PeerError::Chain { .. })));
    // One whose chain leads to nobody we know is refused too: by our clock all of it happened at once.
    let before = IdentityState::from_credentials(&world.ada.identity(), &world.set[..3]);
    let expect = PeerExpect { state: &before, ..expect };
    assert!(matches!(hello.verify(&expect), Err(PeerError::Chain { .. })));
}

#[test]
fn a_stranger_has_no_chain() {
    let world = World::new();
    let (bob, state) = (Key::new(9), world.state());
    let own = lets_in(&bob, 66, &bob, &world.set[3]);
    let forged = lets_in(&Key::new(66), 66, &world.ada, &world.set[3]);
    let mut altered = world.set[3].bytes().to_vec();
    *altered.last_mut().unwrap() ^= 1;
    for (what, chain) in [
        ("none", vec![]),
        ("another identity's", vec![own.bytes().to_vec()]),
        ("its own", vec![forged.bytes().to_vec()]),
        ("another device's", vec![world.set[3].bytes().to_vec()]),
        ("no authorisation", vec![world.set[2].bytes().to_vec()]),
        ("altered", vec![altered]),
        ("nonsense", vec![vec![1, 2, 3]]),
    ] {
        let hello = world.hello(66, chain);
        assert!(matches!(world.hear(&state, &hello, 66), Err(PeerError::Chain { .. })), "{what}");
    }
}

// threat: 21
#[test]
fn a_hello_that_is_cut_or_altered_or_too_long_is_refused() {
    let world = World::new();
    let bytes = world.hello(3, world.chain(&world.phone)).encode();
    for length in 0..bytes.len() {
        assert!(PeerHello::decode(&bytes[..length]).is_err(), "{length}");
    }
    let state = world.state();
    let (_, laptops) = channel(secret(3), secret(2));
    let device = world.laptop.device();
    let expect = PeerExpect::over(&laptops, &state, &device, NOON).unwrap();
    for bit in 0..(bytes.len() * 8) {
        let mut altered = bytes.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        // The chain is not looked at where the device is known.
        if let Ok(hello) = PeerHello::decode(&altered)
            && hello.verify(&expect).is_ok()
        {
            assert_eq!(hello.encode()[..34], bytes[..34], "bit {bit}: the device");
            assert_eq!(
                hello.encode()[bytes.len() - 64..],
                bytes[bytes.len() - 64..],
                "bit {bit}: the signature"
            );
        }
    }
    let long = PeerHello::sign(
        Role::Initiator,
        halo_protocol::channel::HandshakeHash::from_bytes([1; 32]),
        vec![vec![0]; 9],
        &world.phone,
    );
    assert!(PeerHello::decode(&long.unwrap().encode()).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_a_hello_that_reads_back_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(hello) = PeerHello::decode(&bytes) {
            prop_assert_eq!(hello.encode(), bytes);
        }
    }
}
