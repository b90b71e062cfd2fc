//! What survives power loss: the directory of a profile and its encrypted database.
//!
//! A profile is a directory that one process has at a time; its database is SQLCipher, keyed from the device
//! root, with a single writer. The rule it guards: what was acknowledged is there after any crash, and the
//! files show nothing to who does not have the key. The attack that remains is putting back an older file as a
//! whole; the head of the activity log is witnessed in the keychain for that.

mod dir;
mod error;
mod rows;
mod schema;
mod store;

pub use dir::{Creation, ProfileDir};
pub use error::StoreError;
pub use rows::{AuditRow, GrantRow, RefreshRow};
pub use store::{Store, Tx};
