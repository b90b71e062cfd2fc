//! Headers, payloads and epochs of feeds: what is taken reads back as the same bytes.
#![no_main]

use halo_protocol::epoch::Epoch;
use halo_protocol::feed::{BlockHeader, Payload};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(header) = BlockHeader::decode(bytes) {
        assert_eq!(header.encode().as_slice(), bytes);
    }
    if let Ok(payload) = Payload::decode(bytes) {
        assert_eq!(Payload::decode(&payload.encode()), Ok(payload));
    }
    if let Ok(epoch) = Epoch::decode(bytes) {
        assert_eq!(epoch.encode(), bytes);
        let _ = epoch.id();
    }
});
