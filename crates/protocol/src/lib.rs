//! What two implementations of HALO must agree on, byte for byte: keys and ids, statements and their
//! signatures, credentials and what they say together, the activity log, and what apps are shown.
//!
//! Pure: no clock, no randomness, no IO. Time comes in as [`Timestamp`], keys stay with whoever implements
//! [`Sign`]. Facts that were checked travel as [`Verified`].
//!
//! The attack that remains is a key in the wrong hands: everything here believes a good signature.

pub mod audit;
pub mod channel;
pub mod credential;
mod did;
pub mod dxos;
pub mod epoch;
pub mod feed;
pub mod identity;
pub mod invitation;
mod keys;
pub mod peer;
pub mod presentation;
pub mod signal;
pub mod snapshot;
mod statement;
mod time;
mod verified;
pub mod words;

pub use did::Did;
pub use keys::{
    AgreementKey, AliasKey, ClientKey, DeviceKey, FeedKey, HybridId, HybridKey, IdentityKey, KeyError,
    Recipient, SealTo, SpaceKey,
};
pub use statement::{Sign, Signature, SignatureError, Statement, StatementKind};
pub use time::Timestamp;
pub use verified::Verified;
