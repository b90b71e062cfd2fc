//! What the credentials of an identity say, taken together.
//!
//! State is a pure function of the *set* of credentials: any order of arrival gives the same answer.
//! A device speaks for the identity if a chain of authorisations leads from the identity key to it, and what it
//! says has seen that chain (by `parents`). The identity key and each of its devices can revoke any device;
//! whatever the revoked said that the revocation had not seen is void, its own revocations included. Of devices
//! that revoke each other at once the one that was let in first prevails. Where two other statements compete, the
//! one deeper in the DAG holds, then the later one, then the larger id.
//!
//! Feeds end where revocations cut them: what the identity says of that comes before what devices say, and of several cuts
//! the smallest holds.
//!
//! One thing depends on more than the set: a device that another device let in cannot let in others for
//! [`PROBATION`], by the clock of whoever judges (see [`IdentityState::judge`]). The attack that remains is patience: a
//! hostile device that nobody notices for a day.

mod contest;
mod graph;
mod judgement;
mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::credential::{
    AppGrant, Assertion, Credential, CredentialError, CredentialId, Cut, DeviceProfile, Draft,
    IdentityProfile,
};
use crate::epoch::Epoch;
use crate::keys::{AgreementKey, DeviceKey, FeedKey, HybridKey, IdentityKey, Recipient, SealTo, SpaceKey};
use crate::statement::Sign;
use crate::time::Timestamp;
use crate::verified::Verified;
use graph::Graph;
use judgement::Judgement;

/// For so long a device that another device let in cannot let in others.
pub const PROBATION: Duration = Duration::from_secs(24 * 60 * 60);
/// Feeds of one device in one space; what it admits beyond does not count.
pub const MOST_FEEDS_OF_A_DEVICE: usize = 16;
/// Revocations of one device that an epoch must come after. One would do; there are several where devices revoke at once.
pub const MOST_REVOCATIONS_OF_A_DEVICE: usize = 16;

/// A device of the identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceState {
    /// Its agreement key.
    pub agreement_key: AgreementKey,
    /// The key to seal to, if it has said one.
    pub hybrid_key: Option<HybridKey>,
    /// What it calls itself.
    pub profile: Option<DeviceProfile>,
    /// The credential that lets it speak.
    pub authorized_by: CredentialId,
    /// Until then it cannot let in others, by the clock of whoever judged; `None` if it never was on probation.
    pub probation_until: Option<Timestamp>,
    /// It does not speak for the identity any more.
    pub revoked: bool,
}

impl DeviceState {
    /// The best key to seal to that is known.
    #[must_use]
    pub fn seal_to(&self) -> SealTo {
        self.hybrid_key.clone().map_or(SealTo::Agreement(self.agreement_key), SealTo::Hybrid)
    }

    /// Whether it is on probation.
    #[must_use]
    pub fn is_on_probation(&self, now: Timestamp) -> bool {
        self.probation_until.is_some_and(|until| now < until)
    }
}

/// A feed in a space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedState {
    /// Whose.
    pub device: DeviceKey,
    /// Where it ends, since its device was revoked; blocks before are taken all the same.
    pub cut: Option<Cut>,
}

/// Why a credential counts for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// Its issuer does not speak for this identity.
    NotAuthorized,
    /// Its issuer was revoked by somebody who had not seen it.
    Revoked,
    /// It is about another identity, or about somebody its issuer may not speak of.
    Foreign,
    /// Its issuer was let in too short a time before, and nobody else agrees.
    Probation,
}

/// Who vouches for an authorisation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Witnesses {
    /// It was seen here when it was said, by a device that was seen to be off probation. Otherwise it rests on what others say.
    pub here: bool,
    /// Whose endorsements hold.
    pub by: BTreeSet<DeviceKey>,
}

/// The identity, as its credentials describe it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityState {
    /// Whose state it is.
    pub identity_key: IdentityKey,
    /// Devices, revoked ones included.
    pub devices: BTreeMap<DeviceKey, DeviceState>,
    /// Name and picture.
    pub profile: Option<IdentityProfile>,
    /// The last word on each grant.
    pub grants: BTreeMap<[u8; 16], AppGrant>,
    /// The feeds of each space, those that end included. What a revoked device admitted unseen ends before its first
    /// block.
    pub feeds: BTreeMap<SpaceKey, BTreeMap<FeedKey, FeedState>>,
    /// The key to seal to what the 24 words shall bring back.
    pub recovery_key: Option<HybridKey>,
    /// Devices that were let in by devices which others let in, and who vouches for that. Whoever was there and is off probation itself says
    /// [`Assertion::Endorsed`] of each: those who learn of both at once agree, and whoever is left of the witnesses keeps it so if some of
    /// them are put out.
    pub witnessed: BTreeMap<CredentialId, Witnesses>,
    /// Devices of which somebody says that they are removed who is not a device here, and would be one if whoever let it in were not on
    /// probation. They are given nothing, and nobody speaks with them, until that is settled. Whoever is on probation can remove devices
    /// itself, so that nobody gains a power by it; and it ends when that one is removed.
    pub suspended: BTreeSet<DeviceKey>,
    /// The revocations that hold or suspend, ascending; of each device the [`MOST_REVOCATIONS_OF_A_DEVICE`] smallest. An epoch that begins
    /// now comes after these.
    pub revocations: Vec<CredentialId>,
    /// All revocations that hold or suspend.
    pub held: BTreeSet<CredentialId>,
    /// Credentials that no other cites.
    pub heads: Vec<CredentialId>,
    /// What counts for nothing, and why.
    pub rejected: Vec<(CredentialId, Why)>,
}

/// The credentials of a new identity, in the order of their parents.
///
/// # Errors
/// [`CredentialError`] if name or device do not fit a credential.
pub fn genesis(
    identity: &impl Sign,
    device: &impl Sign,
    agreement_key: &AgreementKey,
    device_profile: DeviceProfile,
    display_name: &str,
    now: Timestamp,
) -> Result<Vec<Verified<Credential>>, CredentialError> {
    let key = |_| CredentialError::Encoding { what: "a key is not one" };
    let identity_key = IdentityKey::from_bytes(&identity.public_key()).map_err(key)?;
    let device_key = DeviceKey::from_bytes(&device.public_key()).map_err(key)?;
    let mut made: Vec<Verified<Credential>> = Vec::new();
    let mut say = |by: &dyn Fn(Draft) -> Result<Verified<Credential>, CredentialError>,
                   issuer: [u8; 32],
                   subject: [u8; 32],
                   assertion: Assertion| {
        let parents = made.last().map(|credential| credential.id()).into_iter().collect();
        made.push(by(Draft { issuer, subject, issued: now, expires: None, parents, assertion })?);
        Ok::<(), CredentialError>(())
    };
    let by_identity = |draft: Draft| draft.sign(identity);
    let by_device = |draft: Draft| draft.sign(device);
    let (identity_bytes, device_bytes) = (*identity_key.as_bytes(), *device_key.as_bytes());
    let authorized = Assertion::AuthorizedDevice { identity_key, device_key, agreement_key: *agreement_key };
    say(&by_identity, identity_bytes, device_bytes, authorized)?;
    say(&by_device, device_bytes, device_bytes, Assertion::DeviceProfile(device_profile))?;
    let profile = IdentityProfile { display_name: display_name.to_owned(), avatar: None };
    say(&by_device, device_bytes, identity_bytes, Assertion::IdentityProfile(profile))?;
    Ok(made)
}

/// Those credentials of a set of which everything that they had seen is there as well, so that they can be judged.
#[must_use]
pub fn complete(credentials: &[Verified<Credential>]) -> BTreeSet<CredentialId> {
    let mut complete: BTreeSet<CredentialId> = credentials.iter().map(|credential| credential.id()).collect();
    let mut children: BTreeMap<CredentialId, Vec<CredentialId>> = BTreeMap::new();
    for credential in credentials {
        for parent in &credential.said().parents {
            children.entry(*parent).or_default().push(credential.id());
        }
    }
    let mut gone: Vec<CredentialId> = children.keys().filter(|id| !complete.contains(id)).copied().collect();
    while let Some(missing) = gone.pop() {
        let below = children.remove(&missing).into_iter().flatten();
        gone.extend(below.filter(|id| complete.remove(id)));
    }
    complete
}

impl IdentityState {
    /// Works out the state of `identity` from a set of credentials, all of which were there before anybody was on probation.
    ///
    /// Credentials cited but not in the set are treated as absent; the answer is complete once the set is.
    #[must_use]
    pub fn from_credentials(identity: &IdentityKey, credentials: &[Verified<Credential>]) -> Self {
        Self::judge(identity, credentials, |_| None)
    }

    /// Works out the state of `identity` from a set of credentials and from when each of them was first seen here.
    ///
    /// `first_seen` is asked for authorisations and endorsements. `None` says that somebody trusted judged it before:
    /// the device that admitted this one and handed over what there was. What was noted once must stay noted, so that
    /// what was refused stays refused until another device agrees.
    #[must_use]
    pub fn judge(
        identity: &IdentityKey,
        credentials: &[Verified<Credential>],
        first_seen: impl Fn(&CredentialId) -> Option<Timestamp>,
    ) -> Self {
        let graph = Graph::new(credentials);
        let mut state = Judgement::new(identity, &graph, &first_seen).state(identity, &graph);
        if state.rejected.iter().any(|(_, why)| *why == Why::Probation) {
            let revoked = state.devices.iter().filter(|(_, device)| device.revoked);
            let out = revoked.map(|(key, _)| *key).collect();
            state.suspend(&Judgement::leniently(identity, &graph, &first_seen, &out).state(identity, &graph));
        }
        state
    }

    /// Whoever is out by a more lenient judgement is suspended.
    fn suspend(&mut self, lenient: &Self) {
        let is_out = |key: &&DeviceKey| lenient.devices.get(*key).is_some_and(|device| device.revoked);
        let inside = self.devices.iter().filter(|(_, device)| !device.revoked).map(|(key, _)| key);
        self.suspended = inside.filter(is_out).copied().collect();
        if !self.suspended.is_empty() {
            self.revocations.extend(&lenient.revocations);
            self.revocations.sort_unstable();
            self.revocations.dedup();
            self.held.extend(&lenient.held);
        }
    }

    /// Whether a device speaks for the identity, and nothing says that it should not.
    #[must_use]
    pub fn is_in(&self, device: &DeviceKey) -> bool {
        self.devices.get(device).is_some_and(|state| !state.revoked) && !self.suspended.contains(device)
    }

    /// Whether this identity's devices may write under an epoch that `by` began: it and everybody whom the epoch names are in, and whoever
    /// began it knew of every revocation that holds or suspends. A revoked device knows the content key of what it began, of what was sealed to it,
    /// and of whatever it was given while nobody knew better.
    #[must_use]
    pub fn may_write_under(&self, by: &DeviceKey, epoch: &Epoch) -> bool {
        if !self.is_after_all(epoch) || !self.is_in(by) {
            return false;
        }
        let hybrid = |key: &HybridKey| Recipient::Hybrid(key.id());
        let mut readers: BTreeSet<Recipient> = self.recovery_key.iter().map(hybrid).collect();
        for (_, device) in self.devices.iter().filter(|(key, _)| self.is_in(key)) {
            readers.insert(Recipient::Agreement(device.agreement_key));
            readers.extend(device.hybrid_key.iter().map(hybrid));
        }
        epoch.keys.iter().all(|key| readers.contains(&key.recipient))
    }

    /// Whether an epoch was begun by somebody who knew of every revocation that holds.
    #[must_use]
    pub fn is_after_all(&self, epoch: &Epoch) -> bool {
        self.revocations.iter().all(|id| epoch.after.binary_search(id).is_ok())
    }

    /// Whether the content key of an epoch may be passed on to a device that is in: of everybody whom the revocations before it put out this
    /// device knows that, or knows better. Each of them holds here, or is in `judged`: those of which everything they had seen is here as well
    /// ([`complete`]). Otherwise it cannot be told whether whoever asks is one of those.
    #[must_use]
    pub fn may_pass_on(&self, epoch: &Epoch, judged: &BTreeSet<CredentialId>) -> bool {
        epoch.after.iter().all(|id| self.held.contains(id) || judged.contains(id))
    }

    /// The authorisations that lead from a device to the identity key, the device's own first; `None` if it does not
    /// speak for the identity.
    #[must_use]
    pub fn chain_of(&self, device: &DeviceKey, credentials: &[Verified<Credential>]) -> Option<Vec<Vec<u8>>> {
        let mut chain = Vec::new();
        let mut device = *device;
        loop {
            let state = self.devices.get(&device).filter(|state| !state.revoked)?;
            let link = credentials.iter().find(|credential| credential.id() == state.authorized_by)?;
            chain.push(link.bytes().to_vec());
            let issuer = &link.said().issuer;
            if issuer == self.identity_key.as_bytes() {
                return Some(chain);
            }
            device = DeviceKey::from_bytes(issuer).ok()?;
            if chain.len() > self.devices.len() {
                return None;
            }
        }
    }
}
