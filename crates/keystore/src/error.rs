//! What can go wrong, each with its own next step. None of it destroys anything.

use std::path::PathBuf;

/// Why the keychain did not do as it was told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeychainError {
    /// Unlock it.
    #[error("the keychain is locked")]
    Locked,
    /// Start one, or do without.
    #[error("there is no keychain on this machine")]
    Missing,
    /// Look at what it says.
    #[error("the keychain refused: {what}")]
    Denied {
        /// What it says.
        what: String,
    },
    /// It may be waiting for somebody to unlock it.
    #[error("the keychain did not answer in time")]
    TimedOut,
}

/// Why the keystore did not do as it was told.
#[derive(Debug, thiserror::Error)]
pub enum KeystoreError {
    /// Try again.
    #[error("the passphrase is wrong")]
    WrongPassphrase,
    /// Give one.
    #[error("a passphrase is needed")]
    PassphraseRequired,
    /// Bring the entry back, or recover from the 24 words.
    #[error("the keychain has no entry for this profile any more")]
    EntryMissing,
    /// The entry is there, but is another one.
    #[error("the keychain's entry for this profile was changed")]
    EntryChanged,
    /// Unlock the keychain.
    #[error("the keychain is locked")]
    KeychainLocked,
    /// Start a keychain, or seal with a passphrase.
    #[error("there is no keychain on this machine")]
    NoKeychain,
    /// Look at what it says.
    #[error("the keychain refused: {what}")]
    KeychainDenied {
        /// What it says.
        what: String,
    },
    /// The keychain may be waiting to be unlocked.
    #[error("the keychain did not answer in time; it may be waiting to be unlocked")]
    KeychainTimedOut,
    /// It gave back something else than it was given.
    #[error("the keychain does not keep what it is given")]
    KeychainUnreliable,
    /// The root opens another profile's store.
    #[error("the key does not belong to this profile's data")]
    RootMismatch,
    /// Restore a copy of the file.
    #[error("the sealed key is damaged: {what}")]
    SealedDamaged {
        /// What is wrong.
        what: &'static str,
    },
    /// Somebody lowered the cost of guessing.
    #[error("the sealed key asks for a derivation below the floor; somebody may have edited it")]
    KdfBelowFloor,
    /// Somebody raised it beyond what a machine can do.
    #[error("the sealed key asks for a derivation beyond the ceiling; somebody may have edited it")]
    KdfAboveCeiling,
    /// Update HALO.
    #[error("a later version of HALO wrote this key (format {found})")]
    NewerFormat {
        /// The format it says.
        found: u8,
    },
    /// A file is sealed by nothing but its passphrase.
    #[error("without a keychain the passphrase cannot be removed")]
    FileNeedsPassphrase,
    /// Correct the words.
    #[error("these are not 24 words of a recovery phrase: {what}")]
    BadPhrase {
        /// What is wrong; never a word.
        what: String,
    },
    /// A value in the store was sealed by another device, or damaged.
    #[error("a sealed value does not open: {what}")]
    SealedValue {
        /// Which.
        what: &'static str,
    },
    /// No randomness, or no memory for the derivation.
    #[error("the system gave no {what}")]
    System {
        /// What was asked for.
        what: &'static str,
    },
    /// Look at disk and permissions.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// File.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

impl KeystoreError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::WrongPassphrase => "keystore.wrong_passphrase",
            Self::PassphraseRequired => "keystore.passphrase_required",
            Self::EntryMissing => "keystore.entry_missing",
            Self::EntryChanged => "keystore.entry_changed",
            Self::KeychainLocked => "keystore.keychain_locked",
            Self::NoKeychain => "keystore.no_keychain",
            Self::KeychainDenied { .. } => "keystore.keychain_denied",
            Self::KeychainTimedOut => "keystore.keychain_timed_out",
            Self::KeychainUnreliable => "keystore.keychain_unreliable",
            Self::RootMismatch => "keystore.root_mismatch",
            Self::SealedDamaged { .. } => "keystore.sealed_damaged",
            Self::KdfBelowFloor => "keystore.kdf_below_floor",
            Self::KdfAboveCeiling => "keystore.kdf_above_ceiling",
            Self::NewerFormat { .. } => "keystore.newer_format",
            Self::FileNeedsPassphrase => "keystore.file_needs_passphrase",
            Self::BadPhrase { .. } => "keystore.bad_phrase",
            Self::SealedValue { .. } => "keystore.sealed_value",
            Self::System { .. } => "keystore.system",
            Self::Io { .. } => "keystore.io",
        }
    }

    pub(crate) fn io(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}

impl From<KeychainError> for KeystoreError {
    fn from(error: KeychainError) -> Self {
        match error {
            KeychainError::Locked => Self::KeychainLocked,
            KeychainError::Missing => Self::NoKeychain,
            KeychainError::Denied { what } => Self::KeychainDenied { what },
            KeychainError::TimedOut => Self::KeychainTimedOut,
        }
    }
}
