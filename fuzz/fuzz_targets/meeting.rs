//! What peers of a meeting say before they have a channel, and how they find paths.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    halo_mesh::fuzz_greeting(bytes);
    halo_mesh::fuzz_paths(bytes);
});
