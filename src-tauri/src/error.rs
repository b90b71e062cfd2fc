//! What a window hears when a command fails: the code picks the sentence, the message is for the log of a developer.

use halo_wallet::WalletError;
use serde::Serialize;

/// A refused or failed command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct CommandError {
    /// Stable code, for instance `keystore.wrong_passphrase`.
    pub(crate) code: &'static str,
    /// What happened, without a secret.
    pub(crate) message: String,
}

impl From<WalletError> for CommandError {
    fn from(error: WalletError) -> Self {
        Self { code: error.code(), message: error.to_string() }
    }
}
