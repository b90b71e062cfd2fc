//! When an epoch begins: where none is left that this device may write under.
//!
//! Whoever removes a device says that, and the epochs of those who are left, in one block of the HALO space: either both are
//! there or neither. A device that hears of a removal before those epochs begins its own ones, space by space, when it next
//! writes there. The block that tells of the first new epoch is sealed under an old one, which the removed device may read:
//! there is nothing in it but keys that are sealed to others, and credentials.

use halo_echo::SpaceId;
use halo_keystore::ContentKey;
use halo_protocol::credential::SeedName;
use halo_protocol::epoch::Epoch;
use halo_protocol::feed::{EpochId, Payload};
use halo_protocol::identity::IdentityState;
use halo_protocol::{SealTo, SpaceKey};
use halo_store::{EpochRow, StoreError, Tx};

use crate::contents::epoch_row;
use crate::error::WalletError;
use crate::feeds::damaged;
use crate::open::Open;
use crate::spaces::NO_SPACE;

/// Bytes of epochs in the block that removes a device; the others begin when somebody writes.
const MOST_AT_ONCE: usize = 4 * 1024 * 1024;

/// An epoch that was made and not said yet.
pub(crate) struct FreshEpoch {
    space: SpaceId,
    epoch: Epoch,
    content: ContentKey,
    row: EpochRow,
}

impl FreshEpoch {
    pub(crate) fn keep(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        tx.add_epoch(&self.space.to_string(), &self.row)
    }

    /// Which seed the aliases that are made under it come of, if it is one of the HALO space.
    pub(crate) fn alias_seed(&self) -> SeedName {
        self.content.alias_seed().name()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.row.bytes.clone()
    }
}

impl Open {
    /// The epoch to write under in a space; begins one if nobody did since the last device was removed.
    pub(crate) fn epoch_of(&mut self, space: SpaceId) -> Result<EpochId, WalletError> {
        if let Some(epoch) = self.allowed(space)? {
            return Ok(epoch);
        }
        let own = self.keys.device_key();
        if self.state.devices.get(&own).is_none_or(|own| own.revoked) {
            // Nobody listens to it any more.
            let known = self.old_epoch(space)?;
            return known.ok_or_else(|| damaged("no epoch opens for this device"));
        }
        let halo = self.halo()?;
        let under = match space == halo {
            true => self.old_epoch(halo)?.ok_or_else(|| damaged("no epoch opens for this device"))?,
            false => self.epoch_of(halo)?,
        };
        let state = self.state.clone();
        let fresh = self.fresh_epochs([space], &state)?;
        let said = Payload {
            // So that whoever learns of the epoch knows who was not given it.
            credentials: self.revocations(),
            epochs: fresh.iter().map(FreshEpoch::bytes).collect(),
            ..Payload::default()
        };
        self.keep_under(halo, under, said, |tx| fresh.iter().try_for_each(|fresh| fresh.keep(tx)))?;
        self.begun(fresh)?;
        self.allowed(space)?.ok_or_else(|| damaged("a new epoch cannot be used"))
    }

    fn allowed(&mut self, space: SpaceId) -> Result<Option<EpochId>, WalletError> {
        let own = self.keys.device_key();
        self.feeds(space)?;
        let feeds = self.spaces.feeds.get(&space).ok_or(NO_SPACE)?;
        Ok(feeds.contents.to_write(&self.state, &own))
    }

    fn old_epoch(&mut self, space: SpaceId) -> Result<Option<EpochId>, WalletError> {
        self.feeds(space)?;
        let feeds = self.spaces.feeds.get(&space).ok_or(NO_SPACE)?;
        Ok(feeds.contents.to_announce(&self.state))
    }

    /// Makes epochs for those who are in by `state`, as many as fit a block.
    pub(crate) fn fresh_epochs(
        &mut self,
        spaces: impl IntoIterator<Item = SpaceId>,
        state: &IdentityState,
    ) -> Result<Vec<FreshEpoch>, WalletError> {
        let to = self.recipients_by(state);
        let mut recovery = to.clone();
        recovery.extend(state.recovery_key.clone().map(SealTo::Hybrid));
        let own = self.keys.device_key();
        let (mut fresh, mut size) = (Vec::new(), 0);
        for space in spaces {
            let row = self.spaces.rows.get(&space).ok_or(NO_SPACE)?;
            let key = SpaceKey::from_bytes(&row.key).map_err(damaged)?;
            let recipients = if row.halo { &recovery } else { &to };
            let (number, previous) = self.feeds(space)?.contents.next(state);
            let after = state.revocations.clone();
            let (epoch, content) = self.keys.begin_epoch(key, number, previous, after, recipients)?;
            let row = epoch_row(&own, &epoch);
            size += row.bytes.len();
            if size > MOST_AT_ONCE && !fresh.is_empty() {
                break;
            }
            fresh.push(FreshEpoch { space, epoch, content, row });
        }
        Ok(fresh)
    }

    /// Epochs were kept and said.
    pub(crate) fn begun(&mut self, fresh: Vec<FreshEpoch>) -> Result<(), WalletError> {
        let own = self.keys.device_key();
        for FreshEpoch { space, epoch, content, .. } in fresh {
            self.feeds(space)?.contents.begin(own, &epoch, content);
        }
        Ok(())
    }

    /// The revocations that hold, as they were signed.
    fn revocations(&self) -> Vec<Vec<u8>> {
        let held = &self.state.revocations;
        let held = self.credentials().iter().filter(|one| held.binary_search(&one.id()).is_ok());
        held.map(|credential| credential.bytes().to_vec()).collect()
    }
}
