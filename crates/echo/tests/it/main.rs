//! What several replicas believe, whatever the network does.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a failing test panics, and the seeds to try come from outside"
)]

mod keys;
mod replication;
mod simulation;
mod snapshot;
mod trust;
