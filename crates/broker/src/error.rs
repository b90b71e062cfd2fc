//! Why the broker did not start.

use std::path::PathBuf;

/// Why the broker did not start. Nothing of it is left behind.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// Stop whatever listens there, or name another port.
    #[error("no port is free among {first}–{last} on this machine")]
    NoPort {
        /// First port tried.
        first: u16,
        /// Last port tried.
        last: u16,
    },
    /// Correct the owner and mode of the directory: only this user may reach into it.
    #[error("{} must belong to this user and be closed to everybody else", path.display())]
    OpenDirectory {
        /// The run-time directory.
        path: PathBuf,
    },
    /// See what the system said.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// The wallet was closed meanwhile.
    #[error(transparent)]
    Wallet(#[from] halo_wallet::WalletError),
}

impl BrokerError {
    /// Stable code for scripts and screens.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoPort { .. } => "broker.no_port",
            Self::OpenDirectory { .. } => "broker.open_directory",
            Self::Io { .. } => "broker.io",
            Self::Wallet(error) => error.code(),
        }
    }

    pub(crate) fn io(what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { what, source }
    }
}
