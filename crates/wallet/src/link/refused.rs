//! Devices that one on probation let in: the user is asked, and whoever agrees vouches by hand.
//!
//! What another device says by itself of what it saw in time, the user says here of what nobody saw in time: that exactly
//! this admission counts. Neither of the two concerned can, nor whoever is on probation itself. The other answer is to
//! remove the one that let the newcomer in; with it the question is gone.
//!
//! The attack that remains: who talks the user into agreeing has a device of theirs in. So the passphrase is asked for where one
//! is set, and what the newcomer says of other devices is shown before.

use std::collections::{BTreeMap, BTreeSet};

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use halo_protocol::audit::AuditEvent;
use halo_protocol::credential::{Assertion, Credential, CredentialId, Draft};
use halo_protocol::feed::Payload;
use halo_protocol::identity::Why;
use halo_protocol::{DeviceKey, Verified};

use super::view::{AgreeDevice, Hindrance, RefusedView};
use crate::appearance::clean_name;
use crate::engine::{Engine, clock};
use crate::error::WalletError;
use crate::handle::Wallet;
use crate::ingest::Ingested;
use crate::open::Open;

const NO_ADMISSION: WalletError = WalletError::NotFound { what: "the device to agree with" };

impl Wallet {
    /// Agrees that a device was let in which one on probation let in: it is a device of the user from then on.
    ///
    /// # Errors
    /// [`WalletError::NotFound`] if nothing of that name is refused (any more); [`WalletError::BadInput`] where this device is
    /// on probation itself, let it in, or would be removed by it; a wrong passphrase.
    pub async fn agree_device(&self, wanted: AgreeDevice) -> Result<(), WalletError> {
        self.prove_presence(wanted.passphrase).await?;
        self.try_job(move |engine| {
            let bytes = HEXLOWER_PERMISSIVE.decode(wanted.admission.as_bytes()).ok();
            let bytes = bytes.and_then(|bytes| bytes.try_into().ok()).ok_or(NO_ADMISSION)?;
            let (open, mut done) = (engine.unlocked()?, Ingested::default());
            open.agree(CredentialId::from_bytes(bytes), &mut done)?;
            let halo = open.halo()?;
            engine.tell_ingested(halo, done);
            engine.keep_mark();
            engine.spread();
            engine.devices_changed();
            Ok(())
        })
        .await
    }
}

impl Engine {
    /// Devices that were let in by one on probation, as people see them, the first first.
    pub(crate) fn refused_views(&self) -> Vec<RefusedView> {
        self.open.as_ref().map(Open::refused_views).unwrap_or_default()
    }
}

/// An admission that was refused.
struct Refused<'a> {
    id: CredentialId,
    said: &'a Draft,
    guest: DeviceKey,
    host: DeviceKey,
}

/// What was said, by whom.
type SaidBy<'a> = BTreeMap<[u8; 32], Vec<&'a Draft>>;

impl Open {
    /// Admissions that were refused since whoever said them is on probation, while nobody has settled it otherwise.
    fn refused_admissions(&self) -> Vec<Refused<'_>> {
        let rejected = self.state.rejected.iter().filter(|(_, why)| *why == Why::Probation);
        let doubtful: BTreeSet<CredentialId> = rejected.map(|(id, _)| *id).collect();
        if doubtful.is_empty() {
            return Vec::new();
        }
        let is_in = |device: &DeviceKey| self.state.devices.get(device).is_some_and(|device| !device.revoked);
        let refused = |credential: &'_ Verified<Credential>| doubtful.contains(&credential.id());
        let admissions = self.credentials().iter().filter_map(|credential| {
            let said = credential.said();
            let Assertion::AuthorizedDevice { device_key, .. } = &said.assertion else { return None };
            let host = DeviceKey::from_bytes(&said.issuer).ok()?;
            // Who was let in by somebody else as well, or was removed, is nobody to ask about.
            let is_open = refused(credential) && is_in(&host) && !self.state.devices.contains_key(device_key);
            is_open.then(|| Refused { id: credential.id(), said, guest: *device_key, host })
        });
        admissions.collect()
    }

    fn said_by(&self) -> SaidBy<'_> {
        let mut all = SaidBy::new();
        for said in self.credentials().iter().map(|credential| credential.said()) {
            all.entry(said.issuer).or_default().push(said);
        }
        all
    }

    fn refused_views(&self) -> Vec<RefusedView> {
        let refused = self.refused_admissions();
        if refused.is_empty() {
            return Vec::new();
        }
        let said_by = self.said_by();
        let view = |refused: &Refused<'_>| {
            let (label, platform) = profile_of_stranger(&said_by, &refused.guest);
            RefusedView {
                admission: HEXLOWER.encode(refused.id.as_bytes()),
                device_key: refused.guest.to_string(),
                label,
                platform: Some(platform).filter(|name| !name.is_empty()),
                by: refused.host.to_string(),
                added: refused.said.issued.as_millis(),
                removes: self.removed_by(&said_by, refused.guest).iter().map(DeviceKey::to_string).collect(),
                hindrance: self.hindrance(&said_by, refused),
            }
        };
        let mut views: Vec<RefusedView> = refused.iter().map(view).collect();
        views.sort_by(|a, b| (a.added, &a.admission).cmp(&(b.added, &b.admission)));
        views
    }

    /// Devices that are in, and would not be by the word of somebody, or of those whom that one let in.
    fn removed_by(&self, said_by: &SaidBy<'_>, device: DeviceKey) -> BTreeSet<DeviceKey> {
        let (mut removed, mut heard, mut open) = (BTreeSet::new(), BTreeSet::new(), vec![device]);
        while let Some(device) = open.pop() {
            if !heard.insert(device) {
                continue;
            }
            for said in said_by.get(device.as_bytes()).into_iter().flatten() {
                match &said.assertion {
                    Assertion::AuthorizedDevice { device_key, .. } => open.push(*device_key),
                    Assertion::RevokedDevice { device_key, .. } => {
                        let is_in = self.state.devices.get(device_key).is_some_and(|device| !device.revoked);
                        removed.extend(is_in.then_some(*device_key));
                    }
                    _ => {}
                }
            }
        }
        removed
    }

    fn hindrance(&self, said_by: &SaidBy<'_>, refused: &Refused<'_>) -> Option<Hindrance> {
        let own = self.keys.device_key();
        let device = self.state.devices.get(&own);
        if device.is_none_or(|own| own.revoked || self.is_on_probation(own)) {
            return Some(Hindrance::New);
        }
        if refused.host == own {
            return Some(Hindrance::LetItIn);
        }
        let removes_own = |said: &&Draft| matches!(&said.assertion, Assertion::RevokedDevice { device_key, .. } if *device_key == own);
        let mut said = said_by.get(refused.guest.as_bytes()).into_iter().flatten();
        said.any(removes_own).then_some(Hindrance::RemovesThis)
    }

    /// Vouches for an admission that was refused, by the user's word.
    fn agree(&mut self, admission: CredentialId, done: &mut Ingested) -> Result<(), WalletError> {
        let no = |what: &str| Err(WalletError::BadInput { what: what.to_owned() });
        let mut refused = self.refused_admissions().into_iter();
        let refused = refused.find(|refused| refused.id == admission).ok_or(NO_ADMISSION)?;
        let said_by = self.said_by();
        match self.hindrance(&said_by, &refused) {
            None => {}
            Some(Hindrance::New) => {
                return no("this device was let in less than a day ago, and cannot agree yet");
            }
            Some(Hindrance::LetItIn) => return no("this device let it in itself: another one has to agree"),
            Some(Hindrance::RemovesThis) => {
                return no("it says that this device was removed: agreeing would put this one out");
            }
        }
        let guest = refused.guest;
        let (label, _) = profile_of_stranger(&said_by, &guest);
        let (now, assertion) = (clock(), Assertion::Endorsed { authorisation: admission });
        let credential = self.sign(now, *guest.as_bytes(), assertion, &[admission])?;
        let (own, after) = (self.keys.device_key(), self.state_with(credential.clone())?);
        if !after.is_in(&own) || !after.is_in(&guest) {
            return no("this device's word does not let it in: remove the device that added it instead");
        }
        let event = AuditEvent::DeviceAgreed { device: guest.to_string(), label };
        let said = Payload { credentials: vec![credential.bytes().to_vec()], ..Payload::default() };
        self.record_with(now, event, said, |_, _| Ok(()), |tx| tx.add_credential(&credential).map(drop))?;
        self.learn_from_others(vec![credential], done)
    }
}

/// What somebody calls itself, and what it runs on, that is not a device: claims.
fn profile_of_stranger(said_by: &SaidBy<'_>, device: &DeviceKey) -> (String, String) {
    let said = said_by.get(device.as_bytes()).into_iter().flatten();
    let profiles = said.filter_map(|said| match &said.assertion {
        Assertion::DeviceProfile(profile) if said.subject == said.issuer => Some((said.issued, profile)),
        _ => None,
    });
    let profile = profiles.max_by_key(|(issued, _)| *issued).map(|(_, profile)| profile);
    let clean = |text: &str| clean_name(text).unwrap_or_default();
    profile.map(|profile| (clean(&profile.label), clean(&profile.platform))).unwrap_or_default()
}
