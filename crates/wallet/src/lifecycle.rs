//! From nothing to an identity, and between locked and unlocked.

use std::path::PathBuf;
use std::sync::Arc;

use halo_keystore::{
    KdfCost, KeychainChoice, KeychainState, Keystore, KeystoreError, NewKeystore, Passphrase,
};
use halo_protocol::Did;
use halo_store::Creation;
use zeroize::Zeroizing;

use crate::command::{CreateIdentity, Created, RecoverIdentity};
use crate::config::{KdfTarget, WalletConfig};
use crate::engine::{Engine, LockReason, clock};
use crate::error::WalletError;
use crate::handle::{Wallet, beside};
use crate::open::Open;
use crate::view::{Event, KeychainView, Trouble};

/// Shorter passphrases are refused; a longer one is the user's own affair.
const SHORTEST_PASSPHRASE: usize = 8;

impl Wallet {
    /// Asks the keychain whether it keeps what it is given.
    pub async fn probe_keychain(&self) -> KeychainView {
        let probed = async {
            let keychain = self.job(|engine| engine.config.keychain.clone()).await?;
            let state = beside(move || Ok(halo_keystore::probe(keychain.as_ref()))).await?;
            let view = match state {
                KeychainState::Ready => KeychainView::Ready,
                KeychainState::Locked => KeychainView::Locked,
                KeychainState::Missing => KeychainView::Missing,
                KeychainState::Denied => KeychainView::Denied,
                KeychainState::Changed => KeychainView::Changed,
            };
            self.job(move |engine| {
                engine.keychain = view;
                engine.changed();
                view
            })
            .await
        };
        probed.await.unwrap_or(KeychainView::Unknown)
    }

    /// Makes an identity: all of it or nothing, whatever happens meanwhile.
    ///
    /// # Errors
    /// [`WalletError::IdentityExists`], [`WalletError::BadInput`] for the name or the passphrase, or what the
    /// keystore says of the keychain; nothing is left behind.
    pub async fn create_identity(&self, wanted: CreateIdentity) -> Result<Created, WalletError> {
        let CreateIdentity { name, passphrase, keychain } = wanted;
        self.make(Origin::New, name, passphrase, keychain).await
    }

    /// Brings an identity back from its 24 words: the same identity and the same private aliases, on a new
    /// device. Name, apps and data are not in the words.
    ///
    /// # Errors
    /// As [`Self::create_identity`]; [`WalletError::Keystore`] if the words are not a phrase.
    pub async fn recover_identity(&self, wanted: RecoverIdentity) -> Result<Created, WalletError> {
        let RecoverIdentity { phrase, name, passphrase, keychain } = wanted;
        self.make(Origin::Phrase(phrase), name, passphrase, keychain).await
    }

    /// Unlocks. Slow with a passphrase: that is what it is for.
    ///
    /// # Errors
    /// What the keystore says; [`WalletError::RolledBack`] unless `accept_older`; nothing is changed by a
    /// failure.
    pub async fn unlock(
        &self,
        passphrase: Option<Passphrase>,
        accept_older: bool,
    ) -> Result<(), WalletError> {
        let wallet = self.clone();
        // A task of its own: whoever asked may go away, the engine must not stay busy for ever.
        let unlocking = tokio::spawn(async move {
            let Some((keystore, dir)) = wallet.try_job(Engine::begin_unlock).await? else { return Ok(()) };
            let (protected, opened) = beside(move || {
                // Known again by each try: what hides the root at the start may be out of the way by now.
                let protected = keystore.needs_passphrase();
                let opened = keystore.unlock(passphrase.as_ref()).map_err(WalletError::from);
                let opened = opened.and_then(|keys| Open::load(&dir, keys, &keystore, accept_older));
                Ok((protected.ok(), opened))
            })
            .await
            .unwrap_or_else(|error| (None, Err(error)));
            wallet.try_job(move |engine| engine.finish_unlock(protected, opened)).await
        });
        unlocking.await.map_err(|_| WalletError::Closed)?
    }

    /// Locks: no key stays in memory, the store is closed, every asker hears so.
    ///
    /// # Errors
    /// [`WalletError::NoIdentity`].
    pub async fn lock(&self) -> Result<(), WalletError> {
        self.try_job(|engine| {
            if engine.keystore.is_none() {
                return Err(WalletError::NoIdentity);
            }
            engine.lock(LockReason::User);
            Ok(())
        })
        .await
    }

    /// The user did something: the time until the wallet locks by itself starts again.
    pub fn touch(&self) {
        self.nudge(|engine| engine.last_touch = clock());
    }

    async fn make(
        &self,
        origin: Origin,
        name: String,
        passphrase: Option<Passphrase>,
        keychain: KeychainChoice,
    ) -> Result<Created, WalletError> {
        let name = crate::profile::checked_name(&name)?;
        if let Some(passphrase) = &passphrase {
            check_passphrase(passphrase)?;
        }
        let wallet = self.clone();
        let making = tokio::spawn(async move {
            let (config, creation) = wallet.try_job(Engine::begin_creation).await?;
            let made =
                beside(move || make_beside(&config, creation, origin, &name, passphrase, keychain)).await;
            wallet.try_job(move |engine| engine.finish_creation(made)).await
        });
        making.await.map_err(|_| WalletError::Closed)?
    }
}

/// An identity that has just come to be.
pub(crate) struct Made {
    pub(crate) keystore: Arc<Keystore>,
    pub(crate) protected: bool,
    /// It is there, whatever keeps it from being opened now.
    pub(crate) open: Result<Open, WalletError>,
    pub(crate) phrase: Option<Zeroizing<String>>,
}

/// Builds everything in a directory that does not count yet; the last step, one rename, makes it count.
fn make_beside(
    config: &WalletConfig,
    creation: Creation,
    origin: Origin,
    name: &str,
    passphrase: Option<Passphrase>,
    keychain: KeychainChoice,
) -> Result<Made, WalletError> {
    let protected = passphrase.is_some();
    let cost = if protected { kdf_cost(config.kdf_target) } else { KdfCost::FLOOR };
    let wanted = NewKeystore { choice: keychain, passphrase, cost };
    let (keystore, keys) = Keystore::create(creation.path(), wanted, config.keychain.clone())?;
    let dir = match Open::create(creation.path(), &keys, origin, name) {
        Ok(phrase) => creation.commit().map(|dir| (dir, phrase)).map_err(WalletError::from),
        Err(error) => Err(error),
    };
    let (dir, phrase) = dir.inspect_err(|_| {
        if let Err(error) = keystore.remove() {
            tracing::warn!(%error, "an entry of an unfinished creation stays in the keychain");
        }
    })?;
    let keystore = Arc::new(Keystore::open(&dir, config.keychain.clone())?);
    let open = Open::load(&dir, keys, &keystore, false);
    Ok(Made { keystore, protected, open, phrase })
}

impl Engine {
    pub(crate) fn begin_creation(&mut self) -> Result<(WalletConfig, Creation), WalletError> {
        if self.keystore.is_some() {
            return Err(WalletError::IdentityExists);
        }
        self.begin()?;
        let creation = self.dir.start_creation().inspect_err(|_| self.busy = false)?;
        Ok((self.config.clone(), creation))
    }

    pub(crate) fn finish_creation(
        &mut self,
        made: Result<Made, WalletError>,
    ) -> Result<Created, WalletError> {
        self.busy = false;
        self.changed();
        let Made { keystore, protected, open, phrase } = made?;
        self.needs_passphrase = protected;
        self.keystore = Some(keystore);
        let open = open.inspect_err(|error| self.trouble = Some(Trouble::of(error)))?;
        let created = Created {
            did: Did::of(&open.identity_key).to_string(),
            did_key: open.identity_key.did_key(),
            device_key: open.keys.device_key().to_string(),
            phrase,
        };
        self.enter(open);
        Ok(created)
    }

    /// `None` if it is unlocked already.
    fn begin_unlock(&mut self) -> Result<Option<(Arc<Keystore>, PathBuf)>, WalletError> {
        let keystore = self.keystore.clone().ok_or(WalletError::NoIdentity)?;
        if self.open.is_some() {
            return Ok(None);
        }
        self.begin()?;
        let dir =
            self.dir.identity_dir().ok_or(WalletError::NoIdentity).inspect_err(|_| self.busy = false)?;
        Ok(Some((keystore, dir)))
    }

    fn finish_unlock(
        &mut self,
        protected: Option<bool>,
        opened: Result<Open, WalletError>,
    ) -> Result<(), WalletError> {
        self.busy = false;
        self.changed();
        self.needs_passphrase = protected.unwrap_or(self.needs_passphrase);
        match opened {
            Ok(mut open) => {
                let failures = std::mem::take(&mut self.failed_unlocks);
                open.record_unlocked(failures, clock())?;
                self.enter(open);
                self.keep_mark();
                if let Some(reason) = self.lock_wanted.take() {
                    self.lock(reason);
                }
                Ok(())
            }
            Err(error) => {
                use KeystoreError::{PassphraseRequired, WrongPassphrase};
                if matches!(error, WalletError::Keystore(WrongPassphrase)) {
                    self.failed_unlocks = self.failed_unlocks.saturating_add(1);
                }
                // What the profile lacked before is there if its passphrase is all that is missing.
                let only_passphrase =
                    matches!(error, WalletError::Keystore(PassphraseRequired | WrongPassphrase));
                self.trouble = (!only_passphrase).then(|| Trouble::of(&error));
                Err(error)
            }
        }
    }

    fn begin(&mut self) -> Result<(), WalletError> {
        if std::mem::replace(&mut self.busy, true) {
            return Err(WalletError::Busy);
        }
        self.lock_wanted = None;
        Ok(())
    }

    fn enter(&mut self, open: Open) {
        self.trouble = None;
        self.settings = open.settings.clone();
        self.last_touch = clock();
        for (asker_key, until) in open.mutes() {
            self.approvals.restore_mute(asker_key, until);
        }
        self.network = open.store.setting(crate::open::setting::NETWORK).ok().flatten().unwrap_or_default();
        self.open = Some(open);
        self.changed();
        self.tell(Event::Unlocked);
    }

    /// Lets the keychain remember how far the log has come, so that an older store is noticed.
    pub(crate) fn keep_mark(&mut self) {
        if let Some(open) = &self.open {
            open.keep_mark(self.keystore.as_deref());
        }
    }
}

/// Where an identity comes from.
pub(crate) enum Origin {
    /// Fresh randomness.
    New,
    /// The 24 words.
    Phrase(Zeroizing<String>),
}

/// What it costs to try one passphrase here.
pub(crate) fn kdf_cost(target: KdfTarget) -> KdfCost {
    match target {
        KdfTarget::Floor => KdfCost::FLOOR,
        KdfTarget::Calibrated => halo_keystore::calibrate(),
    }
}

/// Refuses passphrases that are too short to be one.
pub(crate) fn check_passphrase(passphrase: &Passphrase) -> Result<(), WalletError> {
    if passphrase.chars() < SHORTEST_PASSPHRASE {
        return Err(WalletError::BadInput {
            what: format!("the passphrase has fewer than {SHORTEST_PASSPHRASE} characters"),
        });
    }
    Ok(())
}
