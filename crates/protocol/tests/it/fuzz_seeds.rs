//! What the fuzz targets start from, and what they once found, without a fuzzer.

use std::path::Path;

use halo_protocol::Timestamp;
use halo_protocol::audit::AuditEntry;
use halo_protocol::credential::Credential;
use halo_protocol::presentation::{Expect, verify_proof};

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
    let now = Timestamp::from_millis(1_795_435_201_000);
    let expect = Expect { audience: "https://app.example", nonce: Some("n-0S6_WzA2Mj"), now };
    let proof = |seed: &[u8]| verify_proof(std::str::from_utf8(seed).unwrap(), &expect).is_ok();
    assert!(valid("proof", &proof) > 0);
}
