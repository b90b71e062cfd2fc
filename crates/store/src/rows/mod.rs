//! What is kept, a module a table: what can be read while the store is open, and what a transaction can change.

pub(crate) mod audit;
mod credential;
pub(crate) mod feed;
pub(crate) mod grant;
pub(crate) mod item;
mod mute;
pub(crate) mod refresh;
mod sealed;
mod setting;
pub(crate) mod snapshot;
pub(crate) mod space;
pub(crate) mod writer;

use halo_protocol::Timestamp;

use crate::error::StoreError;

/// A time as SQLite keeps numbers: 63 bits, and so the end of time (292 million years on) is a little earlier.
fn millis(at: Timestamp) -> i64 {
    i64::try_from(at.as_millis()).unwrap_or(i64::MAX)
}

/// And back.
fn timestamp(millis: i64) -> Result<Timestamp, StoreError> {
    u64::try_from(millis).map(Timestamp::from_millis).map_err(|_| StoreError::damaged("a time is negative"))
}
