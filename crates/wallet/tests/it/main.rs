//! The façade, driven as window, command line and broker drive it.

#![expect(clippy::unwrap_used, reason = "a failing test should panic")]

mod approvals;
mod identity;
mod lifecycle;
mod spaces;
mod tokens;
mod world;
