//! What survives power loss: the directory of a profile, and the encrypted database in it.
//!
//! * [`ProfileDir`] takes a profile for one process and makes an identity appear in it by a single rename.
//! * [`Store`] is the database: rows in and out, every change one transaction that is on disk when
//!   [`Store::write`] returns.
//!
//! The store keeps what it is given and decides nothing. What it guards is that bytes come back as they went in or
//! not at all: SQLCipher authenticates every page, a transaction is all there or not at all, and an entry of
//! the activity log is taken only if it follows the newest one.
//!
//! The attack that remains: somebody who puts an older, genuine copy of the whole file back. No file can tell that of
//! itself; the keychain remembers the head of the log ([`Store::audit_hash`] compares it).

mod cipher;
mod error;
mod profile;
mod rows;
mod schema;
mod store;

pub use error::StoreError;
pub use profile::{Creation, ProfileDir};
pub use rows::feed::{BlockRow, EpochRow, FeedRow};
pub use rows::grant::GrantRow;
pub use rows::item::SpaceItems;
pub use rows::refresh::{RefreshRow, RefreshUse};
pub use rows::snapshot::{ConfirmedRow, FeedBase, SnapshotRow, SnapshotState};
pub use rows::space::{SpaceAppRow, SpaceRow};
pub use store::{Store, Tx};
