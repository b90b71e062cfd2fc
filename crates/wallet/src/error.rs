//! What can go wrong, by what the caller can do about it.

use halo_protocol::credential::CredentialError;
use halo_protocol::presentation::PresentError;
use halo_store::StoreError;

/// Why a command was not carried out. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum WalletError {
    /// Unlock first.
    #[error("the wallet is locked")]
    Locked,
    /// Create an identity first.
    #[error("there is no identity in this profile yet")]
    NoIdentity,
    /// The profile has an identity already; use another profile for another one.
    #[error("this profile has an identity already")]
    IdentityExists,
    /// Correct the input.
    #[error("{what}")]
    BadInput {
        /// What is wrong with what.
        what: String,
    },
    /// The request, grant or app is not there (any more).
    #[error("{what} is not there any more")]
    NotFound {
        /// What was looked for.
        what: &'static str,
    },
    /// Wait half a second: the prompt had only just appeared or moved.
    #[error("the prompt had only just appeared")]
    TooSoon,
    /// The words picked are not the ones on the page; the request was denied.
    #[error("those are not the words on the page, so the request was denied")]
    WrongWords,
    /// Ask for the scope first.
    #[error("this app was not allowed {scope}")]
    Forbidden {
        /// The scope it lacks.
        scope: &'static str,
    },
    /// What an app sent as data is none.
    #[error(transparent)]
    Echo(#[from] halo_echo::EchoError),
    /// Make the item what the schema of its type says.
    #[error("{}", mismatch(.of, .property, .why))]
    Mismatch {
        /// The type.
        of: String,
        /// The property, with dots between names; empty for the item as a whole.
        property: String,
        /// What is wrong with it.
        why: String,
    },
    /// The session is over: sign in again.
    #[error("the refresh token is not valid any more")]
    SessionOver,
    /// Switch on another device, and try again.
    #[error("{what} has not come from your other devices yet")]
    Awaited {
        /// What is missing here.
        what: &'static str,
    },
    /// Too many requests wait already.
    #[error("too many requests are waiting")]
    Busy,
    /// Look again at what it would do, and decide then.
    #[error("{what} would do something else by now than what was shown: nothing was done")]
    Changed {
        /// What was to be done.
        what: &'static str,
    },
    /// Another process has this profile open.
    #[error("this profile is in use by {program} (process {pid})")]
    Held {
        /// Process id of the holder.
        pid: u32,
        /// Its name.
        program: String,
    },
    /// The store is older than it was when it was last open.
    #[error("the data of this profile is older than it was when it was last open")]
    RolledBack,
    /// The keystore said no.
    #[error(transparent)]
    Keystore(#[from] halo_keystore::KeystoreError),
    /// The store said no.
    #[error(transparent)]
    Store(StoreError),
    /// What the store holds does not make sense; run a check before anything else.
    #[error("the profile is damaged: {what}")]
    Damaged {
        /// What was found.
        what: String,
    },
    /// Shorten what is to be signed: a name, a picture, an address.
    #[error("this cannot be signed: {what}")]
    Unsignable {
        /// What does not fit.
        what: String,
    },
    /// The wallet was closed.
    #[error("the wallet was closed")]
    Closed,
}

fn mismatch(of: &str, property: &str, why: &str) -> String {
    match property {
        "" => format!("the item {why} (schema of {of})"),
        property => format!("{property:?} {why} (schema of {of})"),
    }
}

impl WalletError {
    /// Stable code for scripts and screens.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Locked => "wallet.locked",
            Self::NoIdentity => "wallet.no_identity",
            Self::IdentityExists => "wallet.identity_exists",
            Self::BadInput { .. } => "wallet.bad_input",
            Self::NotFound { .. } => "wallet.not_found",
            Self::TooSoon => "wallet.too_soon",
            Self::WrongWords => "wallet.wrong_words",
            Self::Forbidden { .. } => "wallet.forbidden",
            Self::Echo(error) => error.code(),
            Self::Mismatch { .. } => "wallet.mismatch",
            Self::SessionOver => "wallet.session_over",
            Self::Awaited { .. } => "wallet.awaited",
            Self::Busy => "wallet.busy",
            Self::Changed { .. } => "wallet.changed",
            Self::Held { .. } => "wallet.held",
            Self::RolledBack => "wallet.rolled_back",
            Self::Keystore(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Damaged { .. } => "wallet.damaged",
            Self::Unsignable { .. } => "wallet.unsignable",
            Self::Closed => "wallet.closed",
        }
    }
}

impl From<StoreError> for WalletError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Held { pid, program } => Self::Held { pid, program },
            StoreError::IdentityExists => Self::IdentityExists,
            other => Self::Store(other),
        }
    }
}

impl From<PresentError> for WalletError {
    fn from(error: PresentError) -> Self {
        Self::Unsignable { what: error.to_string() }
    }
}

impl From<CredentialError> for WalletError {
    fn from(error: CredentialError) -> Self {
        Self::Unsignable { what: error.to_string() }
    }
}
