//! By which alias an app knows the user.
//!
//! Aliases come of the seed that the 24 words bring back, so that they are the same on every device, and with the words again
//! (decision 0005). Whoever stole a device knows that seed, and may have spread seeds of its own before it was removed. So every
//! fresh alias comes of the content key of an epoch of the HALO space that this device may write under: one that comes after every
//! revocation it knows of, begun by a device that is in and sealed to devices that are in (decision 0025). Where no such epoch has
//! come yet, one is begun here. The grant names the seed, so that all devices take the same one, or none while they lack it: nobody
//! falls back to one that a thief knows. Apps that the user lets in for the first time after a removal get such an alias at once.
//!
//! The attack that remains: apps know the user by the old alias until they are moved, and a thief can sign in there.

use halo_keystore::{AliasSeed, AliasSigner, DxosRole, DxosSigner};
use halo_protocol::DeviceKey;
use halo_protocol::audit::AuditEvent;
use halo_protocol::credential::{Assertion, SeedName};

use crate::contents::ContentKeys;
use crate::engine::clock;
use crate::error::WalletError;
use crate::feeds::damaged;
use crate::grant::Grant;
use crate::open::Open;
use crate::request::GrantId;

/// Who sees the real identity, sees the same DXOS keys; no app has this name.
const REAL: &str = "identity";

/// Which alias: its number, and the seed it comes of, `None` for that of the words.
pub(crate) type Which = (u32, Option<SeedName>);

impl Open {
    /// The alias that an app knows.
    ///
    /// # Errors
    /// [`WalletError::Awaited`] if its seed has not come from the device that made it.
    pub(crate) fn alias(&self, grant: &Grant) -> Result<AliasSigner, WalletError> {
        let name = Grant::alias_name(grant.kind, &grant.client_id);
        Ok(self.seed_of(grant)?.alias(&name, grant.alias_epoch)?)
    }

    /// Who signs for `role` before a DXOS app.
    ///
    /// # Errors
    /// As [`Self::alias`].
    pub(crate) fn dxos_signer(&self, grant: &Grant, role: DxosRole<'_>) -> Result<DxosSigner, WalletError> {
        let name = match grant.identity {
            true => REAL.to_owned(),
            false => Grant::alias_name(grant.kind, &grant.client_id),
        };
        Ok(self.seed_of(grant)?.dxos(role, &name, grant.alias_epoch)?)
    }

    fn seed_of(&self, grant: &Grant) -> Result<AliasSeed, WalletError> {
        let Some(name) = grant.alias_seed else { return Ok(self.keys.alias_seed(grant.alias_epoch)?) };
        let halo = self.halo()?;
        let read;
        let contents = match self.spaces.feeds.get(&halo) {
            Some(feeds) => &feeds.contents,
            None => {
                read = ContentKeys::load(&self.store, &self.keys, &halo.to_string())?;
                &read
            }
        };
        let mut seeds = contents.every().map(halo_keystore::ContentKey::alias_seed);
        let found = seeds.find(|seed| seed.name() == name);
        found.ok_or(WalletError::Awaited { what: "the account that this app knows" })
    }

    /// The alias of a grant that is given now. An app that a device which is in let in before finds the account that it knew: what
    /// a removed one said of an app may be there to make the next account one that it knows.
    pub(crate) fn alias_for(&mut self, grant: &Grant) -> Result<Which, WalletError> {
        let before = self.credentials().iter().map(|credential| credential.said());
        let before =
            before.filter(|said| DeviceKey::from_bytes(&said.issuer).is_ok_and(|by| self.state.is_in(&by)));
        let known = before.filter_map(|said| match &said.assertion {
            Assertion::AppGrant(said) if grant.is_for_app_of(said) && !said.revoked => {
                Some((said.alias_epoch, said.alias_seed))
            }
            _ => None,
        });
        match known.max() {
            Some(known) => Ok(known),
            None if self.state.revocations.is_empty() => Ok((0, None)),
            None => Ok((0, Some(self.fresh_seed()?))),
        }
    }

    /// By which alias apps that know the identity itself know its DXOS keys, if there are any such apps.
    pub(crate) fn real(&self) -> Option<Which> {
        let knowing = self.grants.values().filter(|grant| grant.identity);
        knowing.map(|grant| (grant.alias_epoch, grant.alias_seed)).max()
    }

    /// The grants of apps that know the identity itself, with DXOS keys of another seed.
    pub(crate) fn moved_real(&self, seed: SeedName) -> Vec<Grant> {
        let Some((epoch, _)) = self.real() else { return Vec::new() };
        let knowing = self.grants.values().filter(|grant| grant.identity);
        let moved = |grant: &Grant| Grant {
            alias_epoch: epoch.saturating_add(1),
            alias_seed: Some(seed),
            ..grant.clone()
        };
        knowing.map(moved).collect()
    }

    pub(crate) fn fresh_alias(&mut self, id: &GrantId) -> Result<(), WalletError> {
        let mut grant = self.grants.get(id).cloned().ok_or(WalletError::NotFound { what: "the app" })?;
        if grant.identity {
            return Err(WalletError::BadInput {
                what: "this app knows you by your identity, not by an alias".into(),
            });
        }
        // Only somebody who meant to be in the way counted so far.
        grant.alias_epoch = grant.alias_epoch.checked_add(1).ok_or_else(|| WalletError::BadInput {
            what: "there is no further account for this app: end its access, and let it in again".into(),
        })?;
        grant.alias_seed = Some(self.fresh_seed()?);
        let event = AuditEvent::AliasMoved { grant: grant.row.id, client: grant.client_id.clone() };
        let subject = *self.identity_key.as_bytes();
        let grant_id = grant.row.id;
        self.issue_credential(clock(), subject, grant.assertion(false), event, |tx| {
            tx.drop_refresh_of(&grant_id)
        })
    }

    /// A seed that nobody knows who was removed by what this device has heard of.
    fn fresh_seed(&mut self) -> Result<SeedName, WalletError> {
        let own = self.keys.device_key();
        if self.state.devices.get(&own).is_none_or(|own| own.revoked) {
            return Err(WalletError::BadInput {
                what: "this device was removed, and no app knows it by a fresh account".into(),
            });
        }
        let halo = self.halo()?;
        let epoch = self.epoch_of(halo)?;
        let content = self.feeds(halo)?.contents.get(&epoch);
        Ok(content.ok_or_else(|| damaged("the epoch to write under does not open"))?.alias_seed().name())
    }
}
