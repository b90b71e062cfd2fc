//! Name, picture, settings and passphrase.

use halo_keystore::{KdfCost, KeystoreError, Passphrase};
use halo_protocol::audit::AuditEvent;
use halo_protocol::credential::{Assertion, IdentityProfile};

use crate::command::ProfileChange;
use crate::engine::clock;
use crate::error::WalletError;
use crate::handle::{Wallet, beside};
use crate::lifecycle::{check_passphrase, kdf_cost};
use crate::open::setting;
use crate::view::Settings;

/// Longer names do not fit a prompt of anybody's.
const LONGEST_NAME: usize = 64;
/// Larger pictures do not fit a credential.
const LARGEST_PICTURE: usize = 8 * 1024;

impl Wallet {
    /// Changes name or picture.
    ///
    /// # Errors
    /// [`WalletError::BadInput`] for a name that is empty or too long, or a picture of another type or size.
    pub async fn set_profile(&self, change: ProfileChange) -> Result<(), WalletError> {
        let name = change.name.as_deref().map(checked_name).transpose()?;
        if let Some(Some(picture)) = &change.avatar {
            check_picture(picture)?;
        }
        self.try_job(move |engine| {
            let open = engine.unlocked()?;
            let profile = IdentityProfile {
                display_name: name.unwrap_or_else(|| open.name().to_owned()),
                avatar: match change.avatar {
                    Some(avatar) => avatar,
                    None => open.state.profile.as_ref().and_then(|profile| profile.avatar.clone()),
                },
            };
            let subject = *open.identity_key.as_bytes();
            let assertion = Assertion::IdentityProfile(profile);
            open.issue_credential(clock(), subject, assertion, AuditEvent::ProfileChanged, |_| Ok(()))?;
            engine.changed();
            Ok(())
        })
        .await
    }

    /// Changes the settings.
    ///
    /// # Errors
    /// [`WalletError::Locked`].
    pub async fn set_settings(&self, settings: Settings) -> Result<(), WalletError> {
        self.try_job(move |engine| {
            let open = engine.unlocked()?;
            open.record(clock(), AuditEvent::SettingsChanged, |tx| tx.put_setting(setting::USER, &settings))?;
            open.settings = settings.clone();
            engine.settings = settings;
            engine.changed();
            Ok(())
        })
        .await
    }

    /// Says where the broker listens.
    ///
    /// # Errors
    /// [`WalletError::Closed`].
    pub async fn set_broker_url(&self, url: Option<String>) -> Result<(), WalletError> {
        self.job(move |engine| {
            engine.broker_url = url;
            engine.changed();
        })
        .await
    }

    /// Sets, changes or (with `None`) removes the passphrase.
    ///
    /// # Errors
    /// A wrong `current`, one that is too short, or a place that cannot do without: nothing has changed then.
    pub async fn set_passphrase(
        &self,
        current: Option<Passphrase>,
        new: Option<Passphrase>,
    ) -> Result<(), WalletError> {
        if let Some(new) = &new {
            check_passphrase(new)?;
        }
        let (keystore, target, keys) = self
            .try_job(|engine| {
                let keys = engine.unlocked()?.keys.clone();
                let keystore = engine.keystore.clone().ok_or(WalletError::NoIdentity)?;
                Ok((keystore, engine.config.kdf_target, keys))
            })
            .await?;
        let set = new.is_some();
        beside(move || {
            if keystore.needs_passphrase()? {
                keystore.check_passphrase(current.as_ref().ok_or(KeystoreError::PassphraseRequired)?)?;
            }
            let cost = if new.is_some() { kdf_cost(target) } else { KdfCost::FLOOR };
            Ok(keystore.change_passphrase(&keys, new.as_ref(), cost)?)
        })
        .await?;
        self.try_job(move |engine| {
            engine.needs_passphrase = set;
            engine.changed();
            let event = if set { AuditEvent::PassphraseSet } else { AuditEvent::PassphraseRemoved };
            engine.unlocked()?.record(clock(), event, |_| Ok(()))?;
            engine.keep_mark();
            Ok(())
        })
        .await
    }
}

/// A display name: trimmed, not empty, not too long, nothing hidden in it.
pub(crate) fn checked_name(name: &str) -> Result<String, WalletError> {
    let name = crate::appearance::clean(name, LONGEST_NAME + 1);
    let bad = |what: String| Err(WalletError::BadInput { what });
    match name.chars().count() {
        0 => bad("the name is empty".into()),
        length if length > LONGEST_NAME => bad(format!("the name has more than {LONGEST_NAME} characters")),
        _ => Ok(name),
    }
}

fn check_picture(picture: &[u8]) -> Result<(), WalletError> {
    let bad = |what: String| Err(WalletError::BadInput { what });
    if picture.len() > LARGEST_PICTURE {
        return bad(format!("the picture has {} bytes; {LARGEST_PICTURE} is the most", picture.len()));
    }
    if picture_type(picture).is_none() {
        return bad("the picture is neither PNG nor JPEG nor WebP".into());
    }
    Ok(())
}

/// The media type of a picture by its first bytes; raster formats only, since others can carry script.
pub(crate) fn picture_type(picture: &[u8]) -> Option<&'static str> {
    match picture {
        [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}
