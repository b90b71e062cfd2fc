//! What can go wrong, by what the caller can do about it.

use std::error::Error;

use rusqlite::ErrorCode;

/// Why something was not stored or read. Nothing was changed or destroyed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Use the program that has the profile, or end it first.
    #[error("this profile is in use by {program} (process {pid})")]
    Held {
        /// Process id of the holder; 0 if it did not say.
        pid: u32,
        /// What the holder calls itself.
        program: String,
    },
    /// Use another profile for another identity.
    #[error("this profile has an identity already")]
    IdentityExists,
    /// There is no store at this path: restore it, or look elsewhere.
    #[error("there is no store at this place")]
    Missing,
    /// Whoever knows that the key is right (the keystore does, by its check value) has a foreign file or a damaged
    /// first page before them; whoever does not may try another key.
    ///
    /// SQLCipher cannot say more: the first page carries a MAC under the key, and either does not fit the other.
    #[error("the key does not open the store: it belongs to another profile, or its first page is damaged")]
    WrongKey,
    /// Restore a backup, or recover with the 24 words.
    #[error("the store is damaged: {what}")]
    Damaged {
        /// What was found.
        what: String,
    },
    /// Install the newer version of HALO again.
    #[error("the store was written by a newer version (format {found}, this one knows {known})")]
    NewerVersion {
        /// Format of the file.
        found: u32,
        /// Newest format this program knows.
        known: u32,
    },
    /// Another process opened the database without taking the profile; end it first.
    #[error("another process has the store open")]
    InUse,
    /// Free some space, then try again.
    #[error("the disk is full")]
    DiskFull,
    /// Correct what was asked: it contradicts what is stored.
    #[error("{what}")]
    Refused {
        /// What contradicts what.
        what: &'static str,
    },
    /// Look at the disk and the permissions, then try again.
    #[error("cannot {doing}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl StoreError {
    /// Stable code for scripts and screens.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Held { .. } => "store.held",
            Self::IdentityExists => "store.identity_exists",
            Self::Missing => "store.missing",
            Self::WrongKey => "store.wrong_key",
            Self::Damaged { .. } => "store.damaged",
            Self::NewerVersion { .. } => "store.newer_version",
            Self::InUse => "store.in_use",
            Self::DiskFull => "store.disk_full",
            Self::Refused { .. } => "store.refused",
            Self::Io { .. } => "store.io",
        }
    }

    pub(crate) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged { what: what.into() }
    }

    /// For `map_err`: what was being done when the system said no.
    pub(crate) fn io(doing: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| match source.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Self::DiskFull,
            _ => Self::Io { doing, source: source.into() },
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let doing = "use the store";
        let code = match &error {
            rusqlite::Error::SqliteFailure(failure, _) => failure.code,
            // A value of another type than the column's: no version of this program wrote that.
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::Utf8Error(..) => {
                return Self::damaged("a value has another type than its column");
            }
            // The text of a statement stays out of messages.
            rusqlite::Error::SqlInputError { error, .. } => return from_sqlite(*error, doing),
            _ => return Self::Io { doing, source: error.into() },
        };
        match code {
            ErrorCode::ConstraintViolation => Self::Refused { what: "this does not fit what is stored" },
            _ => match error {
                rusqlite::Error::SqliteFailure(failure, _) => from_sqlite(failure, doing),
                other => Self::Io { doing, source: other.into() },
            },
        }
    }
}

fn from_sqlite(failure: rusqlite::ffi::Error, doing: &'static str) -> StoreError {
    match failure.code {
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => {
            StoreError::damaged("a page is not what was written")
        }
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => StoreError::InUse,
        ErrorCode::DiskFull => StoreError::DiskFull,
        _ => StoreError::Io { doing, source: failure.into() },
    }
}
