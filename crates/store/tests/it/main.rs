//! The store as its users see it: a directory, a key, rows, and everything that can happen to the files meanwhile.
#![expect(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failing test should panic, and a child process talks to its parent"
)]

mod crash;
mod damage;
mod format;
mod memory;
mod process;
mod profile;
mod query;
mod rows;
mod secrecy;
mod world;
