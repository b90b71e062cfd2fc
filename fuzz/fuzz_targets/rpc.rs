//! Frames of a DXOS client, and the messages in them.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| halo_broker::fuzzing::rpc(bytes));
