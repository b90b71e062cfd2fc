//! Letting a device in: what the one that is in says and gives, and what the new one makes of it.
//!
//! Only a [`Confirmed`] device is admitted, and by exactly the keys it was confirmed with. The new one is a device of the
//! identity once all of this is on its disk, by one rename; before that there is nothing.

use std::collections::BTreeSet;
use std::path::Path;

use halo_echo::{DocumentId, SpaceId};
use halo_keystore::Keys;
use halo_protocol::audit::{AuditEntry, AuditEvent, ChainHead};
use halo_protocol::credential::{Assertion, Credential, CredentialId};
use halo_protocol::epoch::{Epoch, EpochShare};
use halo_protocol::feed::Payload;
use halo_protocol::identity::Why;
use halo_protocol::invitation::Confirmed;
use halo_protocol::{AgreementKey, DeviceKey, HybridKey, IdentityKey, SealTo};
use halo_store::{SpaceRow, Store};
use prost::Message;

use crate::contents::epoch_row;
use crate::engine::{Engine, clock};
use crate::error::WalletError;
use crate::feeds::damaged;
use crate::open::{Open, STORE, setting, slot};
use crate::shares::Share;
use crate::view::Event;

/// What a new device is given, over the channel of its invitation.
#[derive(Clone, PartialEq, Message)]
struct Wire {
    #[prost(bytes = "vec", tag = "1")]
    identity_key: Vec<u8>,
    /// Every credential, its own admission among them.
    #[prost(bytes = "vec", repeated, tag = "2")]
    credentials: Vec<Vec<u8>>,
    /// The seeds of the private aliases, sealed to it.
    #[prost(bytes = "vec", tag = "3")]
    seeds: Vec<u8>,
    /// The epochs of the HALO space, and their content keys sealed to it.
    #[prost(bytes = "vec", repeated, tag = "4")]
    epochs: Vec<Vec<u8>>,
    #[prost(bytes = "vec", repeated, tag = "5")]
    shares: Vec<Vec<u8>>,
    /// Who let it in.
    #[prost(bytes = "vec", tag = "6")]
    by: Vec<u8>,
    /// Which device began each of the epochs.
    #[prost(bytes = "vec", repeated, tag = "7")]
    began: Vec<Vec<u8>>,
    /// Authorisations that whoever let it in refused, since a device on probation said them.
    #[prost(bytes = "vec", repeated, tag = "8")]
    refused: Vec<Vec<u8>>,
}

impl Engine {
    /// Admits a device: it may speak for the identity, and read everything from now on. One transaction.
    ///
    /// # Errors
    /// [`WalletError::Forbidden`] while this device is on probation itself.
    pub(crate) fn admit(&mut self, confirmed: &Confirmed) -> Result<Vec<u8>, WalletError> {
        let now = clock();
        let open = self.unlocked()?;
        let own = open.keys.device_key();
        if open.state.devices.get(&own).is_none_or(|own| own.revoked || own.is_on_probation(now)) {
            return Err(WalletError::BadInput {
                what: "this device was let in less than a day ago, and cannot let in others yet".into(),
            });
        }
        let device = confirmed.device();
        open.may_come(&device)?;
        let to = seal_to(confirmed.agreement(), confirmed.sealing());
        let shares = open.shares_for(&to)?;
        let halo = open.halo()?;
        if !open.state.devices.contains_key(&device) {
            let assertion = Assertion::AuthorizedDevice {
                identity_key: open.identity_key,
                device_key: device,
                agreement_key: confirmed.agreement(),
            };
            let event = AuditEvent::DeviceAdmitted {
                device: device.to_string(),
                label: confirmed.profile().label.clone(),
            };
            let credential = open.sign(now, *device.as_bytes(), assertion, &[])?;
            let said = Payload {
                credentials: vec![credential.bytes().to_vec()],
                shares: shares.iter().map(Share::encode).collect(),
                ..Payload::default()
            };
            // Seen first now: from here on its probation counts.
            open.record_with(now, event, said, |_, _| Ok(()), |tx| tx.learn_credential(&credential, now))?;
            open.learn(vec![credential])?;
        }
        let of_halo = |share: &Share| match share {
            Share::Content(space, share) if *space == halo => Some(share.encode()),
            _ => None,
        };
        let epochs = open.store.epochs(&halo.to_string())?;
        let admission = Wire {
            identity_key: open.identity_key.as_bytes().to_vec(),
            credentials: open.credential_bytes(),
            seeds: open.keys.share_alias_seed(&to)?,
            began: epochs.iter().map(|row| row.by.to_vec()).collect(),
            epochs: epochs.into_iter().map(|row| row.bytes).collect(),
            shares: shares.iter().filter_map(of_halo).collect(),
            by: own.as_bytes().to_vec(),
            refused: open.refused().iter().map(|id| id.as_bytes().to_vec()).collect(),
        };
        self.keep_mark();
        self.devices_changed();
        self.tell(Event::NewDevice(device.to_string()));
        Ok(admission.encode_to_vec())
    }
}

fn seal_to(agreement: AgreementKey, sealing: &[u8]) -> SealTo {
    HybridKey::from_bytes(sealing).map_or(SealTo::Agreement(agreement), SealTo::Hybrid)
}

impl Open {
    /// Whether a device may be let in: one that was removed is given nothing, whoever typed its digits.
    pub(super) fn may_come(&self, device: &DeviceKey) -> Result<(), WalletError> {
        let what = match self.state.devices.get(device) {
            Some(known) if known.revoked => {
                "that device was removed: it has to begin anew before it can be let in"
            }
            _ if self.state.suspended.contains(device) => {
                "another device says that this one was removed: it is given nothing until that is settled"
            }
            _ => return Ok(()),
        };
        Err(WalletError::BadInput { what: what.into() })
    }

    /// Authorisations that were refused here for being said by a device on probation.
    fn refused(&self) -> Vec<CredentialId> {
        let refused = self.state.rejected.iter().filter(|(_, why)| *why == Why::Probation);
        refused.map(|(id, _)| *id).collect()
    }

    /// Fills a new store with what an admission says.
    ///
    /// # Errors
    /// [`WalletError::BadInput`] if it is not an admission of this very device.
    pub(crate) fn create_admitted(dir: &Path, keys: &mut Keys, admission: &[u8]) -> Result<(), WalletError> {
        let no = |what: &str| WalletError::BadInput { what: format!("the other device's answer {what}") };
        let wire = Wire::decode(admission).map_err(|_| no("cannot be read"))?;
        let identity_key = IdentityKey::from_bytes(&wire.identity_key).map_err(|_| no("names nobody"))?;
        let by = DeviceKey::from_bytes(&wire.by).map_err(|_| no("does not say whose it is"))?;
        let credentials = wire
            .credentials
            .iter()
            .map(|bytes| Credential::decode(bytes).and_then(Credential::verify))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| no("has a credential that is not genuine"))?;
        let state = halo_protocol::identity::IdentityState::from_credentials(&identity_key, &credentials);
        let own = state.devices.get(&keys.device_key()).filter(|device| !device.revoked);
        if own.is_none_or(|own| own.agreement_key != keys.agreement_key()) {
            return Err(no("does not let this device in"));
        }
        keys.take_alias_seed(&wire.seeds).map_err(|_| no("is sealed for another device"))?;
        let seeds = keys.seal_alias_seeds()?;
        let key = keys.halo_space()?.space_key();
        let row = SpaceRow {
            id: SpaceId::of_key(key.as_bytes()).to_string(),
            key: *key.as_bytes(),
            root: *DocumentId::from_random(keys.halo_document()?).as_bytes(),
            created: clock(),
            halo: true,
        };
        if wire.epochs.len() != wire.began.len() {
            return Err(no("does not say who began its epochs"));
        }
        let epochs = wire.epochs.iter().zip(&wire.began).map(|(bytes, by)| {
            Some(epoch_row(&DeviceKey::from_bytes(by).ok()?, &Epoch::decode(bytes).ok()?))
        });
        let epochs = epochs.collect::<Option<Vec<_>>>().ok_or_else(|| no("has an epoch that is none"))?;
        let shares = wire.shares.iter().map(|bytes| EpochShare::decode(bytes)).collect::<Result<Vec<_>, _>>();
        let shares = shares.map_err(|_| no("has a key that is none"))?;
        let entry =
            AuditEntry::next(ChainHead::default(), clock(), AuditEvent::DeviceJoined { by: by.to_string() })
                .sign(&*keys.device());
        let device = keys.device_key();
        let refused =
            |credential: &Credential| wire.refused.iter().any(|id| id == credential.id().as_bytes());
        // What was refused stays so: to this device whoever said it is on probation from now on.
        let doubtful: BTreeSet<[u8; 32]> =
            credentials.iter().filter(|one| refused(one)).map(|one| one.said().issuer).collect();
        let is_new = |credential: &Credential| {
            let let_in = match &credential.said().assertion {
                Assertion::AuthorizedDevice { device_key, .. } => Some(device_key),
                _ => None,
            };
            let_in.is_some_and(|key| *key == device || doubtful.contains(key.as_bytes()))
                || refused(credential)
        };
        let mut store = keys.with_store_key(|key| Store::create(&dir.join(STORE), key))?;
        store.write(|tx| {
            // Whoever let it in has judged the others; its own admission is new.
            for credential in &credentials {
                if is_new(credential) {
                    tx.learn_credential(credential, clock())?;
                } else {
                    tx.add_credential(credential)?;
                }
            }
            tx.put_sealed(slot::ALIAS_SEED, &seeds)?;
            tx.put_setting(setting::IDENTITY_KEY, &identity_key)?;
            tx.put_setting(setting::PHRASE_CONFIRMED, &true)?;
            tx.add_space(&row)?;
            epochs.iter().try_for_each(|epoch| tx.add_epoch(&row.id, epoch))?;
            for share in &shares {
                tx.put_epoch_share(&row.id, share.epoch.as_bytes(), &share.encode())?;
            }
            tx.append_audit(&entry)
        })?;
        store.close().map_err(damaged)
    }
}
