//! What two implementations must agree on, tried from outside.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod audit;
mod channel;
mod credential;
mod dxos;
mod feed;
mod fuzz_seeds;
mod identity;
mod invitation;
mod keys;
mod peer;
mod proof;
mod removal;
mod rounds;
mod signal;
mod signer;
mod snapshot;
mod trust;
mod vectors;
