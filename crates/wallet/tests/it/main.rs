//! The façade, driven as window, command line and broker drive it.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing test should panic")]

mod approvals;
mod devices;
mod identity;
mod items;
mod lifecycle;
#[cfg(target_os = "linux")]
mod powercut;
mod process;
mod spaces;
mod tokens;
mod world;
