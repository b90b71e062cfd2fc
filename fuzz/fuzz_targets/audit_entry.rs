//! Bytes from the activity log of a file that somebody may have edited.
#![no_main]

use halo_protocol::audit::AuditEntry;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = AuditEntry::decode(bytes);
});
