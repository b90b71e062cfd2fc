//! Rows as typed values.

use halo_protocol::{Signature, Timestamp};

/// What only this device knows of a grant; what was allowed is in its credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantRow {
    /// Id of the grant.
    pub id: [u8; 16],
    /// Origin, or a program's id.
    pub client_id: String,
    /// Executable of a program.
    pub process: Option<String>,
    /// Thumbprints of instance keys, oldest first.
    pub instances: Vec<String>,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last used.
    pub last_used: Option<Timestamp>,
}

/// A refresh token, by its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshRow {
    /// SHA-256 of the token.
    pub hash: [u8; 32],
    /// All tokens that came of one sign-in.
    pub family: [u8; 16],
    /// The grant it hangs on.
    pub grant: [u8; 16],
    /// Where it may be used.
    pub binding: String,
    /// When it was made.
    pub issued: Timestamp,
    /// When it is over.
    pub expires: Timestamp,
    /// It was used, and must not be again.
    pub used: bool,
}

/// An entry of the activity log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Position, from 1.
    pub seq: u64,
    /// Encoded entry.
    pub body: Vec<u8>,
    /// Signature of this device.
    pub signature: Signature,
}
