//! What the credentials of an identity say, taken together.
//!
//! State is a pure function of the *set* of credentials: any order of arrival gives the same answer.
//! A device speaks for the identity if a chain of authorisations leads from the identity key to it, and what it
//! says has seen that chain (by `parents`). The identity key and each of its devices can revoke any device;
//! whatever the revoked said that the revocation had not seen is void, its own revocations included. Of devices
//! that revoke each other at once the one that was let in first prevails. Where two other statements compete, the
//! one deeper in the DAG holds, then the later one, then the larger id.

use std::collections::{BTreeMap, BTreeSet};

use crate::credential::{
    AppGrant, Assertion, Credential, CredentialError, CredentialId, DeviceProfile, Draft, IdentityProfile,
};
use crate::keys::{AgreementKey, DeviceKey, IdentityKey};
use crate::statement::Sign;
use crate::time::Timestamp;
use crate::verified::Verified;

/// A device of the identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceState {
    /// Its agreement key.
    pub agreement_key: AgreementKey,
    /// What it calls itself.
    pub profile: Option<DeviceProfile>,
    /// The credential that lets it speak.
    pub authorized_by: CredentialId,
    /// It does not speak for the identity any more.
    pub revoked: bool,
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

impl IdentityState {
    /// Works out the state of `identity` from a set of credentials.
    ///
    /// Credentials cited but not in the set are treated as absent; the answer is complete once the set is.
    #[must_use]
    pub fn from_credentials(identity: &IdentityKey, credentials: &[Verified<Credential>]) -> Self {
        let set: BTreeMap<CredentialId, &Credential> =
            credentials.iter().map(|credential| (credential.id(), &**credential)).collect();
        let graph = Graph::new(&set);
        let judged = Judgement::new(identity, &set, &graph);
        judged.state(identity, &set, &graph)
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

/// Ancestors and depth of each credential.
struct Graph {
    seen: BTreeMap<CredentialId, BTreeSet<CredentialId>>,
    depth: BTreeMap<CredentialId, usize>,
}

impl Graph {
    fn new(set: &BTreeMap<CredentialId, &Credential>) -> Self {
        let mut graph = Self { seen: BTreeMap::new(), depth: BTreeMap::new() };
        // Ids are hashes, so nothing can cite itself: parents settle before children, in as many rounds as the
        // DAG is deep. An explicit stack, since a hostile DAG may be deep.
        for start in set.keys() {
            let mut stack = vec![*start];
            while let Some(id) = stack.last().copied() {
                let parents: Vec<CredentialId> = set
                    .get(&id)
                    .map(|credential| credential.said().parents.clone())
                    .unwrap_or_default()
                    .into_iter()
                    .filter(|parent| set.contains_key(parent))
                    .collect();
                let open: Vec<CredentialId> =
                    parents.iter().filter(|parent| !graph.depth.contains_key(parent)).copied().collect();
                if !open.is_empty() {
                    stack.extend(open);
                    continue;
                }
                stack.pop();
                let mut seen: BTreeSet<CredentialId> = parents.iter().copied().collect();
                for parent in &parents {
                    seen.extend(graph.seen.get(parent).into_iter().flatten());
                }
                let depth = parents
                    .iter()
                    .filter_map(|parent| graph.depth.get(parent))
                    .max()
                    .map_or(0, |deepest| deepest + 1);
                graph.seen.insert(id, seen);
                graph.depth.insert(id, depth);
            }
        }
        graph
    }

    fn has_seen(&self, id: &CredentialId, other: &CredentialId) -> bool {
        self.seen.get(id).is_some_and(|seen| seen.contains(other))
    }
}

/// Which credentials count.
struct Judgement {
    valid: BTreeSet<CredentialId>,
    rejected: BTreeMap<CredentialId, Why>,
    revoked: BTreeSet<DeviceKey>,
    devices: BTreeMap<DeviceKey, DeviceState>,
}

impl Judgement {
    /// Settles which revocations hold: first those that stand whatever becomes of the others, then, where some
    /// contest each other, the most senior.
    ///
    /// Each round is a function of the set alone, so order plays no part; each settles one at least, so it ends.
    fn new(identity: &IdentityKey, set: &BTreeMap<CredentialId, &Credential>, graph: &Graph) -> Self {
        let mut voids: BTreeSet<CredentialId> = BTreeSet::new();
        let mut held: BTreeSet<CredentialId> = BTreeSet::new();
        loop {
            let judged = Self::with_voids(identity, set, graph, &voids);
            let stands = |id: &CredentialId, struck: &BTreeSet<CredentialId>| {
                let all = voids.union(struck).copied().collect();
                let left = Self::with_voids(identity, set, graph, &all).valid;
                left.contains(id) && held.is_subset(&left)
            };
            let open: BTreeMap<CredentialId, BTreeSet<CredentialId>> = judged
                .valid
                .iter()
                .filter(|id| !held.contains(id) && revoked_by(set, id).is_some())
                .map(|id| (*id, voided_by(id, set, graph)))
                .collect();
            if open.is_empty() {
                return judged.reject(set, &voids);
            }
            let lost: Vec<CredentialId> =
                open.iter().filter(|(id, struck)| !stands(id, struck)).map(|(id, _)| *id).collect();
            if !lost.is_empty() {
                voids.extend(lost);
                continue;
            }
            let safe = |id: &CredentialId| {
                let others = open.iter().filter(|(other, _)| *other != id).flat_map(|(_, struck)| struck);
                let all = voids.iter().chain(others).copied().collect();
                Self::with_voids(identity, set, graph, &all).valid.contains(id)
            };
            let senior = |id: &&CredentialId| judged.seniority(id, set, graph);
            let next = open.keys().filter(|id| safe(id)).min_by_key(senior);
            let Some((id, struck)) =
                next.or_else(|| open.keys().min_by_key(senior)).and_then(|id| open.get_key_value(id))
            else {
                return judged.reject(set, &voids);
            };
            voids.extend(struck);
            held.insert(*id);
        }
    }

    /// Smaller is more senior: by when the issuer was let in, then by the credential's id.
    fn seniority(
        &self,
        id: &CredentialId,
        set: &BTreeMap<CredentialId, &Credential>,
        graph: &Graph,
    ) -> (Option<(usize, CredentialId)>, CredentialId) {
        // The identity itself was never let in, which comes before everybody who was.
        let issuer = set.get(id).and_then(|credential| DeviceKey::from_bytes(&credential.said().issuer).ok());
        let let_in = issuer.and_then(|issuer| self.devices.get(&issuer)).map(|device| {
            (graph.depth.get(&device.authorized_by).copied().unwrap_or_default(), device.authorized_by)
        });
        (let_in, *id)
    }

    /// Judges with some credentials left out.
    fn with_voids(
        identity: &IdentityKey,
        set: &BTreeMap<CredentialId, &Credential>,
        graph: &Graph,
        voids: &BTreeSet<CredentialId>,
    ) -> Self {
        let mut judged = Self {
            valid: BTreeSet::new(),
            rejected: BTreeMap::new(),
            revoked: BTreeSet::new(),
            devices: BTreeMap::new(),
        };
        let mut order: Vec<&CredentialId> = set.keys().filter(|id| !voids.contains(id)).collect();
        // Ancestors first.
        order.sort_by_key(|id| (graph.depth.get(id).copied().unwrap_or_default(), **id));
        let mut authorisations: BTreeMap<DeviceKey, Vec<CredentialId>> = BTreeMap::new();
        for id in order {
            let Some(said) = set.get(id).map(|credential| credential.said()) else { continue };
            let by_identity = &said.issuer == identity.as_bytes();
            let by_device = || {
                let let_in =
                    DeviceKey::from_bytes(&said.issuer).ok().and_then(|key| authorisations.get(&key));
                // It must have seen that it may speak: what comes to light later cannot make it valid.
                let_in.is_some_and(|seen| seen.iter().any(|before| graph.has_seen(id, before)))
            };
            if !by_identity && !by_device() {
                continue;
            }
            if is_foreign(said, identity) {
                judged.rejected.insert(*id, Why::Foreign);
                continue;
            }
            judged.valid.insert(*id);
            match &said.assertion {
                Assertion::AuthorizedDevice { device_key, agreement_key, .. } => {
                    authorisations.entry(*device_key).or_default().push(*id);
                    judged.devices.entry(*device_key).or_insert(DeviceState {
                        agreement_key: *agreement_key,
                        profile: None,
                        authorized_by: *id,
                        revoked: false,
                    });
                }
                Assertion::RevokedDevice { device_key } => {
                    judged.revoked.insert(*device_key);
                }
                _ => {}
            }
        }
        judged
    }

    fn reject(mut self, set: &BTreeMap<CredentialId, &Credential>, voids: &BTreeSet<CredentialId>) -> Self {
        for id in set.keys() {
            if voids.contains(id) {
                self.rejected.insert(*id, Why::Revoked);
            } else if !self.valid.contains(id) {
                self.rejected.entry(*id).or_insert(Why::NotAuthorized);
            }
        }
        self
    }

    fn state(
        mut self,
        identity: &IdentityKey,
        set: &BTreeMap<CredentialId, &Credential>,
        graph: &Graph,
    ) -> IdentityState {
        for key in &self.revoked {
            if let Some(device) = self.devices.get_mut(key) {
                device.revoked = true;
            }
        }
        let mut order: Vec<&CredentialId> = self.valid.iter().collect();
        order.sort_by_key(|id| {
            let issued = set.get(id).map(|credential| credential.said().issued);
            (graph.depth.get(id).copied(), issued, **id)
        });
        let mut profile = None;
        let mut grants = BTreeMap::new();
        for said in order.into_iter().filter_map(|id| set.get(id)).map(|credential| credential.said()) {
            match &said.assertion {
                Assertion::IdentityProfile(newer) => profile = Some(newer.clone()),
                Assertion::AppGrant(newer) => {
                    grants.insert(newer.grant_id, newer.clone());
                }
                Assertion::DeviceProfile(newer) => {
                    let device = DeviceKey::from_bytes(&said.subject).ok();
                    if let Some(device) = device.and_then(|key| self.devices.get_mut(&key)) {
                        device.profile = Some(newer.clone());
                    }
                }
                Assertion::HaloSpace { .. }
                | Assertion::AuthorizedDevice { .. }
                | Assertion::RevokedDevice { .. } => {}
            }
        }
        let cited: BTreeSet<CredentialId> =
            set.values().flat_map(|credential| credential.said().parents.iter().copied()).collect();
        IdentityState {
            identity_key: *identity,
            devices: self.devices,
            profile,
            grants,
            heads: set.keys().filter(|id| !cited.contains(id)).copied().collect(),
            rejected: self.rejected.into_iter().collect(),
        }
    }
}

/// The device that a credential revokes, if it is a revocation.
fn revoked_by(set: &BTreeMap<CredentialId, &Credential>, id: &CredentialId) -> Option<DeviceKey> {
    match set.get(id).map(|credential| &credential.said().assertion) {
        Some(Assertion::RevokedDevice { device_key }) => Some(*device_key),
        _ => None,
    }
}

/// What a revocation makes void: everything of the revoked that it had not seen.
fn voided_by(
    revocation: &CredentialId,
    set: &BTreeMap<CredentialId, &Credential>,
    graph: &Graph,
) -> BTreeSet<CredentialId> {
    let Some(device) = revoked_by(set, revocation) else { return BTreeSet::new() };
    set.iter()
        .filter(|(id, other)| {
            &other.said().issuer == device.as_bytes() && *id != revocation && !graph.has_seen(revocation, id)
        })
        .map(|(id, _)| *id)
        .collect()
}

/// Whether it is about somebody else than it may be.
fn is_foreign(said: &Draft, identity: &IdentityKey) -> bool {
    match &said.assertion {
        Assertion::HaloSpace { identity_key, .. } => {
            identity_key != identity || said.issuer != *identity.as_bytes()
        }
        Assertion::AuthorizedDevice { identity_key, device_key, .. } => {
            identity_key != identity || said.subject != *device_key.as_bytes()
        }
        Assertion::DeviceProfile(_) => said.subject != said.issuer && said.issuer != *identity.as_bytes(),
        Assertion::IdentityProfile(_) | Assertion::AppGrant(_) => said.subject != *identity.as_bytes(),
        Assertion::RevokedDevice { device_key } => said.subject != *device_key.as_bytes(),
    }
}
