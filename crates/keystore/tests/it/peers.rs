//! Channels to peers: a device proves its agreement key, whose secret never leaves the keystore.

use halo_keystore::{KeychainChoice, Keys};
use halo_protocol::channel::{HandshakeError, Purpose, Step};
use halo_protocol::signal::Topic;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::world::World;

const PEERS: Purpose = Purpose::Peers { topic: Topic::from_bytes([7; 16]) };

fn device() -> Keys {
    World::new().create(KeychainChoice::Os, None).1
}

#[test]
fn two_devices_prove_their_agreement_keys_to_each_other() {
    let (ada, bob, mut rng) = (device(), device(), StdRng::seed_from_u64(1));
    let (caller, first) = ada.peer_keys().call(&PEERS, &mut rng).unwrap();
    let Step::Continue { reply, handshake: answerer } =
        bob.peer_keys().answer(&PEERS, &mut rng).unwrap().read(&first).unwrap()
    else {
        panic!("XX has three messages")
    };
    let Step::Done { reply: Some(last), established: at_ada } = caller.read(&reply).unwrap() else {
        panic!()
    };
    let Step::Done { reply: None, established: at_bob } = answerer.read(&last).unwrap() else { panic!() };
    assert_eq!(at_ada.peer(), Some(bob.agreement_key()));
    assert_eq!(at_bob.peer(), Some(ada.agreement_key()));
    assert_eq!(at_ada.hash(), at_bob.hash());
}

#[test]
fn the_agreement_key_is_for_peers_only() {
    let invitation = Purpose::Invitation { topic: Topic::from_bytes([7; 16]), binding: [0; 32] };
    let (keys, mut rng) = (device(), StdRng::seed_from_u64(1));
    assert_eq!(keys.peer_keys().call(&invitation, &mut rng).err(), Some(HandshakeError::Failed));
    // NK's responder has a static key too: the device's is not to be that.
    assert_eq!(keys.peer_keys().answer(&invitation, &mut rng).err(), Some(HandshakeError::Failed));
}
