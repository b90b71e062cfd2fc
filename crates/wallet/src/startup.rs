//! Taking a profile, and what is done before anybody asks.

use std::sync::Arc;

use halo_keystore::Keystore;
use halo_store::ProfileDir;

use crate::config::WalletConfig;
use crate::error::WalletError;
use crate::handle::{Wallet, beside};
use crate::view::Trouble;

/// Takes the profile for this process and sweeps what a creation that was cut short left behind.
pub(crate) fn take(config: &WalletConfig) -> Result<(ProfileDir, Option<Arc<Keystore>>), WalletError> {
    let dir = ProfileDir::open(&config.profile, &config.program)?;
    for leftover in dir.leftovers()? {
        // It never became an identity, so nobody was shown its words; its keychain entry goes with it.
        if let Ok(keystore) = Keystore::open(&leftover, config.keychain.clone())
            && let Err(error) = keystore.remove()
        {
            tracing::warn!(%error, "an entry of an unfinished creation stays in the keychain");
        }
        dir.sweep(&leftover)?;
    }
    let keystore = match dir.identity_dir() {
        Some(identity) => Some(Arc::new(Keystore::open(&identity, config.keychain.clone())?)),
        None => None,
    };
    Ok((dir, keystore))
}

impl Wallet {
    /// Unlocks a profile without a passphrase; what prevents it becomes the snapshot's trouble.
    pub(crate) async fn unlock_at_start(&self) -> Result<(), WalletError> {
        let Some(keystore) = self.job(|engine| engine.keystore.clone()).await? else { return Ok(()) };
        let needs_passphrase = beside(move || Ok(keystore.needs_passphrase()?)).await;
        let (needs_passphrase, trouble) = match needs_passphrase {
            Ok(true) => (true, None),
            Ok(false) => (false, self.unlock(None, false).await.err()),
            Err(error) => (false, Some(error)),
        };
        self.job(move |engine| {
            engine.needs_passphrase = needs_passphrase;
            engine.trouble = trouble.as_ref().map(Trouble::of);
            engine.changed();
        })
        .await
    }
}
