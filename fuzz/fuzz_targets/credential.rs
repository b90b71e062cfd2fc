//! Bytes that somebody calls a credential: what is taken reads back as the same bytes.
#![no_main]

use halo_protocol::credential::Credential;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(credential) = Credential::decode(bytes) {
        assert_eq!(credential.bytes(), bytes);
        let _ = credential.verify();
    }
});
