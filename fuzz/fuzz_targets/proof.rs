//! Text that somebody calls a proof.
#![no_main]

use halo_protocol::presentation::{Expect, verify_proof};
use halo_protocol::{DeviceKey, Did, Timestamp};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let now = Timestamp::from_millis(1_795_435_201_000);
    let _ = verify_proof(text, &Expect { audience: "https://app.example", nonce: Some("n-0S6_WzA2Mj"), now });
    let _ = (DeviceKey::from_did_key(text), text.parse::<Did>());
});
