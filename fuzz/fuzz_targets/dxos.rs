//! Credentials, presentations and invitation codes of DXOS's clients: read and checked, or refused; never a panic.
#![no_main]

use halo_protocol::dxos::{DxosCredential, DxosPresentation, decode_invitation, encode_invitation};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(credential) = DxosCredential::decode(bytes) {
        let _ = (credential.payload(), credential.verify());
    }
    if let Ok(presentation) = DxosPresentation::decode(bytes) {
        let _ = presentation.verify();
    }
    if let Ok(code) = std::str::from_utf8(bytes) {
        if let Ok((read, _)) = decode_invitation(code) {
            assert_eq!(encode_invitation(&read), code);
        }
    }
});
