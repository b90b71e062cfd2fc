//! Linking a device: the code, and host and guest with everybody who might be between them.

mod code;
mod link;
mod over_channel;
mod party;
mod resume;
mod threats;
