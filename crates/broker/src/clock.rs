//! The time by this machine's clock.

use std::time::{SystemTime, UNIX_EPOCH};

use halo_protocol::Timestamp;

/// Milliseconds since the epoch.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
