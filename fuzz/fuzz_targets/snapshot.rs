//! Snapshots: what is taken reads back as the same bytes.
#![no_main]

use halo_protocol::feed::Payload;
use halo_protocol::snapshot::{SignedSnapshot, Unpacked};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(signed) = SignedSnapshot::decode(bytes) {
        assert_eq!(signed.encode(), bytes);
        let _ = signed.verify();
    }
    if let Ok(part) = Payload::decode(bytes) {
        let size: usize = part.changes.iter().map(|change| change.bytes.len()).sum();
        let mut all = Unpacked::default();
        all.add(part);
        assert_eq!(all.documents.iter().map(|(_, bytes)| bytes.len()).sum::<usize>(), size);
    }
});
