//! The real `halo`: processes, sockets, files, and a real Secret Service on a bus of its own.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a failing test should panic"
)]

mod app;
mod arguments;
mod bars;
#[cfg(target_os = "linux")]
mod blind;
mod crash;
mod daemon;
mod devices;
mod hostile;
mod leaving;
mod lines;
#[cfg(target_os = "linux")]
mod networks;
mod requests;
mod secrets;
mod spaces;
mod states;
mod trouble;
mod users;
mod world;
