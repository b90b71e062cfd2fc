//! Forms, queries, keys and DPoP proofs, as apps send them.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| halo_broker::fuzzing::openid(bytes));
