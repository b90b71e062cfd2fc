//! Automerge bytes of an app or a device: taken within limits, or refused; never a panic, never much memory.
#![no_main]

use halo_echo::{Document, DocumentId, Item};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(document) = Document::load(bytes) {
        let objects = document.objects();
        for item in Item::all_in(DocumentId::from_random([0; 16]), &objects) {
            let _ = item.references();
            let _ = document.versions(&item.id, 5);
        }
        assert!(Document::load(&document.save()).is_ok(), "what was taken can be kept");
    }
});
