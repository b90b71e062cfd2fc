//! What can go wrong, by what the caller can do about it.

use std::path::PathBuf;

/// Why something was not read or written. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Close the other process first.
    #[error("this profile is in use by {program} (process {pid})")]
    Held {
        /// Process id of the holder; 0 if it did not say.
        pid: u32,
        /// Its name.
        program: String,
    },
    /// Restore a copy: the page could not be decrypted. The keystore has checked the key, so the file is
    /// damaged or another profile's.
    #[error("the database is damaged, or belongs to another profile")]
    Unreadable,
    /// Restore a copy: what was decrypted does not make sense.
    #[error("the database is damaged: {what}")]
    Damaged {
        /// What was found.
        what: String,
    },
    /// Update HALO: a later version wrote this file. It was not touched.
    #[error("the database was written by a later version of HALO (format {found}; this one knows {known})")]
    NewerVersion {
        /// Format of the file.
        found: u32,
        /// Newest format known here.
        known: u32,
    },
    /// Free space, or look at the permissions.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// File or directory.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// What SQLite says.
    #[error("the database: {0}")]
    Database(rusqlite::Error),
}

impl StoreError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Held { .. } => "store.held",
            Self::Unreadable => "store.unreadable",
            Self::Damaged { .. } => "store.damaged",
            Self::NewerVersion { .. } => "store.newer_version",
            Self::Io { .. } => "store.io",
            Self::Database(_) => "store.database",
        }
    }

    pub(crate) fn io(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.to_owned(), source }
    }

    pub(crate) fn damaged(what: impl std::fmt::Display) -> Self {
        Self::Damaged { what: what.to_string() }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        match error.sqlite_error_code() {
            Some(NotADatabase) => Self::Unreadable,
            Some(DatabaseCorrupt) => Self::Damaged { what: "a page is corrupt".into() },
            _ => Self::Database(error),
        }
    }
}
