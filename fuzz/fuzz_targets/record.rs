//! Bytes from the keychain or from a sealed file, and text that somebody typed as the 24 words.
#![no_main]

use halo_keystore::Phrase;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    halo_keystore::fuzz(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = Phrase::parse(text);
    }
});
