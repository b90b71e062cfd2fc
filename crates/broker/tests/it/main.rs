//! The broker from outside: real sockets, real HTTP, a wallet in a temporary directory.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failing test should panic"
)]

mod app;
mod control;
mod data;
mod doors;
mod dxos;
mod first_contact;
mod floods;
mod http;
mod openid;
mod sign_out;
mod silence;
mod world;
