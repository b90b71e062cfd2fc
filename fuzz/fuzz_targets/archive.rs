//! The file of a space, and what is sealed in it: read within limits, or refused; never a panic, never much memory.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| halo_wallet::fuzz_archive(bytes));
