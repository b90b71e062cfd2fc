//! The keystore as its users see it: a directory, a keychain, a passphrase, and everything that can happen to them.
#![expect(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a failing test should panic"
)]

mod derived;
mod epochs;
mod faults;
mod memory;
mod peers;
mod phrase;
mod process;
mod sealed;
mod secret_service;
mod world;
