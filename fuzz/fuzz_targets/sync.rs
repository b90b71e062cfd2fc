//! Automerge sync messages of a peer: taken within limits, or refused; never a panic, never much memory.
#![no_main]

use halo_echo::{Document, SyncState};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let (mut document, mut state) = (Document::empty(), SyncState::default());
    if document.receive_sync(&mut state, bytes).is_ok() {
        let _ = document.next_sync(&mut state);
        assert!(Document::load(&document.save()).is_ok(), "what was taken can be kept");
    }
});
