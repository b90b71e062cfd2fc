//! The program, as it is run.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failing test should panic"
)]

mod kube;
#[cfg(target_os = "linux")]
mod namespaces;
#[cfg(target_os = "linux")]
mod process;
mod serving;
mod turn;
