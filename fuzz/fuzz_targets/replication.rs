//! What peers of a space say to each other: a message reads back, and frames end in one or are refused.
#![no_main]

use halo_echo::replication::{Acquaint, Assembler, Message};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(message) = Message::decode(bytes) {
        assert_eq!(Message::decode(&message.encode()), Ok(message));
    }
    if let Ok(said) = Acquaint::decode(bytes) {
        assert_eq!(Acquaint::decode(&said.encode()), Ok(said));
    }
    let mut assembler = Assembler::default();
    for frame in bytes.chunks(7) {
        if assembler.take(frame).is_err() {
            break;
        }
    }
});
