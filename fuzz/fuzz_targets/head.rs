//! The head of a request, by which the broker knows who asks.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| halo_broker::fuzzing::head(bytes));
