//! Secrets that one device gives to another of the same identity, each sealed to it: content keys of epochs that began
//! before it was let in.
//!
//! In a block a share is one byte (1: a content key) and what the keystore sealed. Every device sees all of them and opens its
//! own. Earlier builds said seeds of private aliases as well (2): those are for nobody, since a share does not say who made what is in it.

use halo_echo::SpaceId;
use halo_protocol::epoch::EpochShare;
use halo_protocol::feed::EpochId;
use halo_protocol::identity::{DeviceState, complete};
use halo_protocol::{DeviceKey, SealTo};
use halo_store::{StoreError, Tx};

use crate::error::WalletError;
use crate::ingest::Ingested;
use crate::open::Open;

const CONTENT: u8 = 1;

/// Something for one device.
#[derive(Debug, Clone)]
pub(crate) enum Share {
    /// The content key of an epoch of a space.
    Content(SpaceId, EpochShare),
}

impl Share {
    pub(crate) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Content(space, share) => {
                [vec![CONTENT], space.to_string().into_bytes(), vec![0], share.encode()].concat()
            }
        }
    }

    /// Reads one; what cannot be read is for nobody.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        match bytes.split_first()? {
            (&CONTENT, rest) => {
                let end = rest.iter().position(|byte| *byte == 0)?;
                let (space, share) = rest.split_at_checked(end)?;
                let space = std::str::from_utf8(space).ok()?.parse().ok()?;
                Some(Self::Content(space, EpochShare::decode(share.get(1..)?).ok()?))
            }
            _ => None,
        }
    }

    pub(crate) fn keep(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        match self {
            Self::Content(space, share) => {
                tx.put_epoch_share(&space.to_string(), share.epoch.as_bytes(), &share.encode())
            }
        }
    }
}

impl Open {
    /// Everything that a device which comes later needs to read what there is.
    pub(crate) fn shares_for(&mut self, to: &SealTo) -> Result<Vec<Share>, WalletError> {
        let mut shares = Vec::new();
        let ids: Vec<SpaceId> = self.spaces.rows.keys().copied().collect();
        let (state, judged) = (self.state.clone(), complete(self.credentials()));
        for id in ids {
            let keys = self.keys.clone();
            let content = self.feeds(id)?.contents.shares(&keys, to, &state, &judged)?;
            shares.extend(content.into_iter().map(|share| Share::Content(id, share)));
        }
        Ok(shares)
    }

    /// Those of some content keys that are here, sealed to another device of the identity. Anybody else gets none.
    pub(crate) fn content_for(
        &mut self,
        device: &DeviceKey,
        space: SpaceId,
        epochs: &[EpochId],
    ) -> Result<Vec<EpochShare>, WalletError> {
        let device = self.state.devices.get(device).filter(|_| self.state.is_in(device));
        let Some(to) = device.map(DeviceState::seal_to) else { return Ok(Vec::new()) };
        let (keys, state) = (self.keys.clone(), self.state.clone());
        let judged = complete(self.credentials());
        let mut shares = self.feeds(space)?.contents.shares(&keys, &to, &state, &judged)?;
        shares.retain(|share| epochs.contains(&share.epoch));
        Ok(shares)
    }

    /// Takes in content keys that another device gave, and opens what waited for them.
    pub(crate) fn unlock_with(
        &mut self,
        space: SpaceId,
        shares: &[Vec<u8>],
    ) -> Result<Ingested, WalletError> {
        self.feeds(space)?;
        for share in shares.iter().filter_map(|bytes| EpochShare::decode(bytes).ok()) {
            let share = Share::Content(space, share);
            if self.is_for_us(&share) && self.take_share(&share)?.is_some() {
                self.store.write(|tx| share.keep(tx))?;
            }
        }
        self.reopen(space)
    }

    /// Whether a share is for this device, as far as can be told without opening it.
    pub(crate) fn is_for_us(&self, share: &Share) -> bool {
        match share {
            Share::Content(_, share) => {
                let hybrid = SealTo::Hybrid(self.keys.hybrid_key().clone()).name();
                let agreement = SealTo::Agreement(self.keys.agreement_key()).name();
                [hybrid, agreement].contains(&share.key.recipient)
            }
        }
    }

    /// Opens a share if it is for this device. Gives the space that it opens more of.
    pub(crate) fn take_share(&mut self, share: &Share) -> Result<Option<SpaceId>, WalletError> {
        match share {
            Share::Content(space, share) => {
                let keys = self.keys.clone();
                // Otherwise read from the store once the space is looked at.
                let feeds = self.spaces.feeds.get_mut(space);
                Ok(feeds.is_some_and(|feeds| feeds.contents.add_share(&keys, share)).then_some(*space))
            }
        }
    }
}
