//! Codes, what host and guest say, and invitations that were kept.
#![no_main]

use halo_protocol::invitation::{InvitationCode, NewcomerCode, fuzz, fuzz_saved};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzz(bytes);
    fuzz_saved(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(code) = InvitationCode::parse(text) {
        assert!(InvitationCode::parse(&code.link()).is_ok_and(|again| again == code));
    }
    if let Ok(code) = NewcomerCode::parse(text) {
        assert!(NewcomerCode::parse(&code.text()).is_ok_and(|again| again == code));
    }
});
