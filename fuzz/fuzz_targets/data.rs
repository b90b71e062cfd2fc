//! Lines of the SDK, and the parameters in them.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| halo_broker::fuzzing::data(bytes));
