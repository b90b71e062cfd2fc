//! What the fuzz targets start from, and what they once found, without a fuzzer.

use std::path::Path;

use halo_protocol::Timestamp;
use halo_protocol::audit::AuditEntry;
use halo_protocol::channel::{Handshake, OneTimeSecret, Purpose};
use halo_protocol::credential::Credential;
use halo_protocol::epoch::EpochShare;
use halo_protocol::invitation::{InvitationCode, NewcomerCode};
use halo_protocol::presentation::{Expect, verify_proof};
use halo_protocol::signal::{ClientMessage, ServerMessage, Topic};
use halo_protocol::snapshot::SignedSnapshot;
use rand::SeedableRng;
use rand::rngs::StdRng;

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target);
    let seeds: Vec<_> =
        std::fs::read_dir(dir).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect();
    assert!(!seeds.is_empty(), "{target} has seeds");
    seeds
}

#[test]
fn the_seeds_of_the_fuzz_targets_end_in_a_value_or_an_error() {
    let valid =
        |target: &str, taken: &dyn Fn(&[u8]) -> bool| seeds(target).iter().filter(|seed| taken(seed)).count();
    assert!(valid("credential", &|seed| Credential::decode(seed).and_then(Credential::verify).is_ok()) > 0);
    assert!(valid("audit_entry", &|seed| AuditEntry::decode(seed).is_ok()) > 0);
    assert!(valid("snapshot", &|seed| SignedSnapshot::decode(seed).is_ok_and(|it| it.verify().is_ok())) > 0);
    let now = Timestamp::from_millis(1_795_435_201_000);
    let expect = Expect { audience: "https://app.example", nonce: Some("n-0S6_WzA2Mj"), now };
    let proof = |seed: &[u8]| verify_proof(std::str::from_utf8(seed).unwrap(), &expect).is_ok();
    assert!(valid("proof", &proof) > 0);
    assert!(valid("signal", &|seed| ClientMessage::decode(seed).is_ok()) > 0);
    assert!(valid("signal", &|seed| ServerMessage::decode(seed).is_ok()) > 0);
    let text = |seed: &[u8]| String::from_utf8_lossy(seed).into_owned();
    assert!(valid("invitation", &|seed| InvitationCode::parse(&text(seed)).is_ok()) > 0);
    assert!(valid("invitation", &|seed| NewcomerCode::parse(&text(seed)).is_ok()) > 0);
    assert_eq!(valid("peer", &|seed| EpochShare::decode(seed).is_ok()), 2);
    // A handshake is with somebody there and then: no bytes that were written before complete one.
    let purpose = Purpose::Invitation { topic: Topic::from_bytes([2; 16]), binding: [3; 32] };
    let answered = |seed: &[u8]| {
        let secret = OneTimeSecret::from_bytes([1; 32]);
        Handshake::showing(&purpose, &secret, &mut StdRng::seed_from_u64(1)).unwrap().read(seed).is_ok()
    };
    assert_eq!(valid("channel", &answered), 0);
}
