//! Signalling messages, and payloads between peers of a topic.
#![no_main]

use halo_protocol::signal::{ClientMessage, PeerId, SealedLine, ServerMessage, TopicSecret};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(message) = ClientMessage::decode(bytes) {
        assert_eq!(ClientMessage::decode(&message.encode()), Ok(message));
    }
    if let Ok(message) = ServerMessage::decode(bytes) {
        assert_eq!(ServerMessage::decode(&message.encode()), Ok(message));
    }
    if let Some(secret) = TopicSecret::from_bytes(&[1; 16]) {
        let mut line = SealedLine::new(&secret, PeerId::from_bytes([2; 16]), PeerId::from_bytes([3; 16]));
        assert!(line.open(bytes).is_err(), "nobody sealed this");
    }
});
