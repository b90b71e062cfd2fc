//! What a wallet is started with.

use std::path::PathBuf;
use std::sync::Arc;

use halo_keystore::{Keychain, OsKeychain};

use crate::link::NetworkOptions;

/// How costly a passphrase is made to guess.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KdfTarget {
    /// Between half a second and a second on this machine.
    Calibrated,
    /// The least that DESIGN allows (64 MiB, three passes): for tests, and for machines that are slow anyway.
    Floor,
}

/// What a wallet is started with.
#[derive(Clone)]
pub struct WalletConfig {
    /// Directory of the profile; made if it is not there.
    pub profile: PathBuf,
    /// The keychain of this machine.
    pub keychain: Arc<dyn Keychain>,
    /// What another process is told that finds the profile in use, for instance `HALO`.
    pub program: String,
    /// Cost of the passphrase.
    pub kdf_target: KdfTarget,
    /// Lock when the screen locks or the machine sleeps.
    pub watch_session: bool,
    /// How devices find each other, whatever the user set.
    pub network: NetworkOptions,
}

impl WalletConfig {
    /// The configuration of the shipped programs: the keychain of the operating system, calibrated cost.
    #[must_use]
    pub fn new(profile: PathBuf, program: &str) -> Self {
        Self {
            profile,
            keychain: Arc::new(OsKeychain::default()),
            program: program.to_owned(),
            kdf_target: KdfTarget::Calibrated,
            watch_session: true,
            network: NetworkOptions::default(),
        }
    }
}
