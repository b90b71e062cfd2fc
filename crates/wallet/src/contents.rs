//! The content keys of a space: what opens blocks, and under which of them this device writes.
//!
//! The rule it guards: nothing is written under a key that a removed device may know. Such a device knows the keys of the
//! epochs that it began, of those that name it, and of those that somebody gave it before they heard of its removal
//! ([`IdentityState::may_write_under`]). A content key that came in a share opens blocks and seals none: a share does not say who
//! made the key.

use std::collections::{BTreeMap, BTreeSet};

use halo_echo::replication::Open;
use halo_keystore::{ContentKey, Keys};
use halo_protocol::credential::CredentialId;
use halo_protocol::epoch::{Epoch, EpochShare};
use halo_protocol::feed::{BlockHeader, EpochId, Payload};
use halo_protocol::identity::IdentityState;
use halo_protocol::{DeviceKey, SealTo};
use halo_store::{EpochRow, Store};

use crate::error::WalletError;
use crate::feeds::damaged;

/// What this device knows of the epochs of a space, and which of them open for it.
#[derive(Default)]
pub(crate) struct ContentKeys {
    /// Who began it, and what it says.
    begun: BTreeMap<EpochId, (DeviceKey, Epoch)>,
    /// Of epochs that name this device.
    named: BTreeMap<EpochId, ContentKey>,
    /// Given to this device by another one.
    given: BTreeMap<EpochId, ContentKey>,
}

/// An epoch as it is kept.
pub(crate) fn epoch_row(by: &DeviceKey, epoch: &Epoch) -> EpochRow {
    EpochRow { id: *epoch.id().as_bytes(), number: epoch.number, by: *by.as_bytes(), bytes: epoch.encode() }
}

/// What was kept of an epoch.
pub(crate) fn read_epoch(row: &EpochRow) -> Result<(DeviceKey, Epoch), WalletError> {
    let by = DeviceKey::from_bytes(&row.by).map_err(damaged)?;
    Ok((by, Epoch::decode(&row.bytes).map_err(damaged)?))
}

impl ContentKeys {
    /// Every content key of a space that opens for this device.
    pub(crate) fn load(store: &Store, keys: &Keys, space: &str) -> Result<Self, WalletError> {
        let mut contents = Self::default();
        for row in store.epochs(space)? {
            let (by, epoch) = read_epoch(&row)?;
            contents.add(keys, by, &epoch);
        }
        for bytes in store.epoch_shares(space)? {
            contents.add_share(keys, &EpochShare::decode(&bytes).map_err(damaged)?);
        }
        Ok(contents)
    }

    /// Takes in an epoch that a device began; `false` if it does not open for this one. Whoever says it again did not begin it.
    pub(crate) fn add(&mut self, keys: &Keys, by: DeviceKey, epoch: &Epoch) -> bool {
        let id = epoch.id();
        self.begun.entry(id).or_insert_with(|| (by, epoch.clone()));
        let opened = keys.open_epoch(epoch).ok();
        opened.is_some_and(|content| {
            self.named.insert(id, content);
            true
        })
    }

    /// Takes in a content key that was given to this device; `false` if it was given to another. Its epoch may be unknown. One
    /// that was given before may have been a wrong one.
    pub(crate) fn add_share(&mut self, keys: &Keys, share: &EpochShare) -> bool {
        let opened = keys.open_share(share).ok();
        opened.is_some_and(|content| {
            self.given.insert(share.epoch, content);
            true
        })
    }

    /// An epoch that this device began.
    pub(crate) fn begin(&mut self, own: DeviceKey, epoch: &Epoch, content: ContentKey) {
        self.begun.insert(epoch.id(), (own, epoch.clone()));
        self.named.insert(epoch.id(), content);
    }

    /// The epoch to write under: of those that a removed device cannot know the highest, and among those begun at once the one
    /// that all devices agree on.
    pub(crate) fn to_write(&self, state: &IdentityState, own: &DeviceKey) -> Option<EpochId> {
        self.ranked(|by, epoch| {
            // Its own ones were sealed to whoever was in then, and its own key may not have been said yet.
            (by == own && state.is_after_all(epoch)) || state.may_write_under(by, epoch)
        })
    }

    /// The epoch to say new epochs under when there is none to write under: one that most devices know. It carries sealed keys and
    /// credentials, nothing else.
    pub(crate) fn to_announce(&self, state: &IdentityState) -> Option<EpochId> {
        let is_in = |by: &DeviceKey| state.devices.get(by).is_some_and(|device| !device.revoked);
        self.ranked(|by, _| is_in(by)).or_else(|| self.ranked(|_, _| true)).or_else(|| {
            // Its epoch was not told yet.
            self.given.last_key_value().map(|(id, _)| *id)
        })
    }

    fn ranked(&self, fits: impl Fn(&DeviceKey, &Epoch) -> bool) -> Option<EpochId> {
        let opens = |id: &EpochId| self.named.contains_key(id);
        let fitting = self.begun.iter().filter(|(id, (by, epoch))| opens(id) && fits(by, epoch));
        fitting.max_by_key(|(id, (_, epoch))| (epoch.number, **id)).map(|(id, _)| *id)
    }

    /// A content key that is here.
    pub(crate) fn get(&self, epoch: &EpochId) -> Option<&ContentKey> {
        self.named.get(epoch).or_else(|| self.given.get(epoch))
    }

    /// All of them that may open what is sealed under an epoch: one that was given may be a wrong one.
    pub(crate) fn all(&self, epoch: &EpochId) -> impl Iterator<Item = &ContentKey> {
        self.named.get(epoch).into_iter().chain(self.given.get(epoch))
    }

    /// All of them.
    pub(crate) fn every(&self) -> impl Iterator<Item = &ContentKey> {
        self.named.values().chain(self.given.values())
    }

    /// Every content key that may be passed on, for another device ([`IdentityState::may_pass_on`]). `judged` are the credentials of which
    /// everything that they had seen is here.
    pub(crate) fn shares(
        &self,
        keys: &Keys,
        to: &SealTo,
        state: &IdentityState,
        judged: &BTreeSet<CredentialId>,
    ) -> Result<Vec<EpochShare>, WalletError> {
        let all = self.named.iter().chain(self.given.iter().filter(|(id, _)| !self.named.contains_key(id)));
        let told = all
            .filter(|(id, _)| self.begun.get(id).is_some_and(|(_, epoch)| state.may_pass_on(epoch, judged)));
        told.map(|(id, content)| Ok(keys.share_epoch(*id, content, to)?)).collect()
    }

    /// The number of the epoch that comes next, and which ones it replaces. What a removed device began does not count.
    pub(crate) fn next(&self, state: &IdentityState) -> (u64, Vec<EpochId>) {
        let is_in = |by: &DeviceKey| state.devices.get(by).is_some_and(|device| !device.revoked);
        let theirs = || self.begun.iter().filter(|(_, (by, _))| is_in(by));
        let Some(highest) = theirs().map(|(_, (_, epoch))| epoch.number).max() else {
            return (0, Vec::new());
        };
        let tips = theirs().filter(|(_, (_, epoch))| epoch.number == highest).map(|(id, _)| *id);
        (highest.saturating_add(1), tips.take(halo_protocol::epoch::MOST_PREVIOUS).collect())
    }
}

impl Open for ContentKeys {
    type Error = WalletError;

    /// A block that no key opens waits: a key that was given may be a wrong one, and whoever began an epoch may have sealed one key
    /// to this device and another to the rest.
    fn open(&self, header: &BlockHeader, sealed: &[u8]) -> Result<Option<Payload>, WalletError> {
        let opened = self.all(&header.epoch).filter_map(|content| content.open(header, sealed).ok()).next();
        opened.map(|bytes| Payload::decode(&bytes).map_err(damaged)).transpose()
    }
}
