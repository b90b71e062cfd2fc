//! Which credentials count.

use std::collections::{BTreeMap, BTreeSet};

use super::contest::settle;
use super::graph::Graph;
use super::rules::Rules;
use super::{
    DeviceState, FeedState, IdentityState, MOST_FEEDS_OF_A_DEVICE, MOST_REVOCATIONS_OF_A_DEVICE, Why,
    Witnesses,
};
use crate::credential::{Assertion, Credential, CredentialId, Cut};
use crate::keys::{DeviceKey, FeedKey, IdentityKey, SpaceKey};
use crate::time::Timestamp;

/// When a credential was first seen by whoever judges.
pub(super) type FirstSeen<'a> = &'a dyn Fn(&CredentialId) -> Option<Timestamp>;

/// Which credentials count.
pub(super) struct Judgement {
    valid: BTreeSet<CredentialId>,
    rejected: BTreeMap<CredentialId, Why>,
    devices: BTreeMap<DeviceKey, DeviceState>,
    /// Authorisations that were seen here when they were said, by devices that were seen to be off probation.
    seen: BTreeSet<CredentialId>,
}

impl Judgement {
    /// Settles which revocations hold: first those that stand whatever becomes of the others, then, where some
    /// contest each other, the most senior.
    pub(super) fn new(identity: &IdentityKey, graph: &Graph<'_>, first_seen: FirstSeen<'_>) -> Self {
        Self::by(&Rules::new(identity, graph, first_seen, None))
    }

    /// The same, as if nobody but `bound` had been on probation.
    pub(super) fn leniently(
        identity: &IdentityKey,
        graph: &Graph<'_>,
        first_seen: FirstSeen<'_>,
        bound: &BTreeSet<DeviceKey>,
    ) -> Self {
        Self::by(&Rules::new(identity, graph, first_seen, Some(bound)))
    }

    fn by(rules: &Rules<'_>) -> Self {
        let graph = rules.graph;
        let voids = settle(rules);
        let counted = rules.count(&voids);
        let id = |at: usize| graph.at(at).map(|(id, _)| id);
        let mut rejected: BTreeMap<CredentialId, Why> =
            counted.rejected.iter().filter_map(|(at, why)| Some((id(*at)?, *why))).collect();
        for (at, other) in graph.ids().enumerate() {
            if voids.has(at) {
                rejected.insert(*other, Why::Revoked);
            } else if !counted.valid.has(at) {
                rejected.entry(*other).or_insert(Why::NotAuthorized);
            }
        }
        Self {
            rejected,
            devices: rules.devices(&counted),
            valid: counted.valid.iter().filter_map(id).collect(),
            seen: counted.seen.iter().filter_map(id).collect(),
        }
    }

    /// What counts, put together.
    pub(super) fn state(mut self, identity: &IdentityKey, graph: &Graph<'_>) -> IdentityState {
        let mut order: Vec<&CredentialId> = self.valid.iter().collect();
        order.sort_by_key(|id| {
            (graph.depth(id), graph.get(id).map(|credential| credential.said().issued), **id)
        });
        let (mut profile, mut recovery_key) = (None, None);
        let mut grants = BTreeMap::new();
        let mut cuts = Cuts::default();
        let keys: BTreeMap<[u8; 32], DeviceKey> =
            self.devices.keys().map(|key| (*key.as_bytes(), *key)).collect();
        for said in order.iter().filter_map(|id| graph.get(id)).map(Credential::said) {
            let device = keys.get(&said.subject).and_then(|key| self.devices.get_mut(key));
            match &said.assertion {
                Assertion::IdentityProfile(newer) => profile = Some(newer.clone()),
                Assertion::AppGrant(newer) => {
                    grants.insert(newer.grant_id, newer.clone());
                }
                Assertion::DeviceProfile(newer) => {
                    if let Some(device) = device {
                        device.profile = Some(newer.clone());
                    }
                }
                Assertion::SealingKey { hybrid_key } => {
                    if let Some(device) = device {
                        device.hybrid_key = Some(hybrid_key.clone());
                    }
                }
                Assertion::RevokedDevice { device_key, cuts: ends } => {
                    if let Some(device) = device {
                        device.revoked = true;
                    }
                    cuts.add(*device_key, said.issuer == *identity.as_bytes(), ends);
                }
                Assertion::IdentityRecovery { recovery_key: newer, .. } => recovery_key = Some(newer.clone()),
                Assertion::HaloSpace { .. }
                | Assertion::AuthorizedDevice { .. }
                | Assertion::AdmittedFeed(_)
                | Assertion::Endorsed { .. } => {}
            }
        }
        let cited: BTreeSet<CredentialId> = graph
            .credentials()
            .flat_map(|(_, credential)| credential.said().parents.iter().copied())
            .collect();
        IdentityState {
            identity_key: *identity,
            feeds: self.feeds(graph, &cuts),
            witnessed: self.witnessed(identity, graph),
            suspended: BTreeSet::new(),
            revocations: self.revocations(graph),
            held: self.valid.iter().filter(|id| revoked_by(graph, id).is_some()).copied().collect(),
            devices: self.devices,
            profile,
            grants,
            recovery_key,
            heads: graph.ids().filter(|id| !cited.contains(id)).copied().collect(),
            rejected: self.rejected.into_iter().collect(),
        }
    }

    /// The feeds of each space, and where they end.
    fn feeds(&self, graph: &Graph<'_>, cuts: &Cuts) -> BTreeMap<SpaceKey, BTreeMap<FeedKey, FeedState>> {
        let mut feeds: BTreeMap<SpaceKey, BTreeMap<FeedKey, FeedState>> = BTreeMap::new();
        let gone = self.gone(graph);
        let mut order: Vec<(bool, usize, &CredentialId)> =
            graph.ids().map(|id| (!self.valid.contains(id), graph.depth(id), id)).collect();
        order.sort_unstable();
        for (is_void, _, id) in order {
            let said = graph.get(id).map(Credential::said);
            let Some(Assertion::AdmittedFeed(admitted)) = said.map(|said| &said.assertion) else { continue };
            let (feed, device) = (admitted.feed_key, admitted.device_key);
            let known = self.devices.get(&device);
            if is_void && (self.rejected.get(id) == Some(&Why::Foreign) || !gone.contains(&device)) {
                continue;
            }
            let there = feeds.entry(admitted.space_key).or_default();
            let own = there.values().filter(|state| state.device == device).count();
            // Void ones are listed so that nobody waits for them: others may have named them as read.
            if own >= if is_void { 2 * MOST_FEEDS_OF_A_DEVICE } else { MOST_FEEDS_OF_A_DEVICE } {
                continue;
            }
            let cut = if is_void {
                Some(Cut::before_all(feed))
            } else {
                known.is_some_and(|device| device.revoked).then(|| cuts.of(&device, &feed))
            };
            there.entry(feed).or_insert(FeedState { device, cut });
        }
        feeds
    }

    /// Devices of which some statements do not count, though some took them for devices: the revoked, and those that were let in by
    /// what turned out void.
    fn gone(&self, graph: &Graph<'_>) -> BTreeSet<DeviceKey> {
        let mut let_in: BTreeMap<&[u8; 32], Vec<DeviceKey>> = BTreeMap::new();
        for (id, _) in self.rejected.iter().filter(|(_, why)| **why != Why::Foreign) {
            let Some(said) = graph.get(id).map(Credential::said) else { continue };
            if let Assertion::AuthorizedDevice { device_key, .. } = &said.assertion {
                let_in.entry(&said.issuer).or_default().push(*device_key);
            }
        }
        let mut gone: BTreeSet<DeviceKey> = BTreeSet::new();
        let mut open: Vec<DeviceKey> = self.devices.keys().copied().collect();
        while let Some(device) = open.pop() {
            if gone.insert(device) {
                open.extend(let_in.remove(device.as_bytes()).into_iter().flatten());
            }
        }
        gone
    }

    /// The revocations that hold, a bounded number of each device.
    fn revocations(&self, graph: &Graph<'_>) -> Vec<CredentialId> {
        let mut each: BTreeMap<DeviceKey, usize> = BTreeMap::new();
        let mut counts = |id: &&CredentialId| {
            let device = revoked_by(graph, id).filter(|device| self.devices.contains_key(device));
            device.is_some_and(|device| {
                let number = each.entry(device).or_default();
                *number += 1;
                *number <= MOST_REVOCATIONS_OF_A_DEVICE
            })
        };
        self.valid.iter().filter(|id| counts(id)).copied().collect()
    }

    /// Authorisations by devices that other devices let in, and who vouches for them.
    fn witnessed(&self, identity: &IdentityKey, graph: &Graph<'_>) -> BTreeMap<CredentialId, Witnesses> {
        let issuer = |id: &CredentialId| graph.get(id).map(|credential| credential.said().issuer);
        let device = |id: &CredentialId| DeviceKey::from_bytes(&issuer(id)?).ok();
        let counts = |id: &&CredentialId| {
            let said = graph.get(id).map(|credential| &credential.said().assertion);
            let by = || device(id).and_then(|key| self.devices.get(&key));
            matches!(said, Some(Assertion::AuthorizedDevice { .. }))
                && by().is_some_and(|by| issuer(&by.authorized_by) != Some(*identity.as_bytes()))
        };
        let fresh = |id: &CredentialId| {
            let here = self.seen.contains(id);
            (*id, Witnesses { here, by: BTreeSet::new() })
        };
        let mut all: BTreeMap<CredentialId, Witnesses> =
            self.valid.iter().filter(counts).map(fresh).collect();
        for id in &self.valid {
            if let Some(witnesses) =
                endorsed_by(graph, id).and_then(|authorisation| all.get_mut(&authorisation))
            {
                witnesses.by.extend(device(id));
            }
        }
        all
    }
}

/// Where feeds end, by what the identity says and by what devices say.
#[derive(Default)]
struct Cuts {
    by_identity: BTreeMap<(DeviceKey, FeedKey), Cut>,
    by_devices: BTreeMap<(DeviceKey, FeedKey), Cut>,
}

impl Cuts {
    fn add(&mut self, device: DeviceKey, by_identity: bool, ends: &[Cut]) {
        let cuts = if by_identity { &mut self.by_identity } else { &mut self.by_devices };
        for end in ends {
            let cut = cuts.entry((device, end.feed)).or_insert(*end);
            *cut = (*cut).min(*end);
        }
    }

    /// Where a feed of a revoked device ends.
    fn of(&self, device: &DeviceKey, feed: &FeedKey) -> Cut {
        let key = (*device, *feed);
        let cut = self.by_identity.get(&key).or_else(|| self.by_devices.get(&key));
        cut.copied().unwrap_or_else(|| Cut::before_all(*feed))
    }
}

/// The device that a credential revokes, if it is a revocation.
fn revoked_by(graph: &Graph<'_>, id: &CredentialId) -> Option<DeviceKey> {
    match graph.get(id).map(|credential| &credential.said().assertion) {
        Some(Assertion::RevokedDevice { device_key, .. }) => Some(*device_key),
        _ => None,
    }
}

/// The authorisation that a credential endorses, if it is an endorsement.
fn endorsed_by(graph: &Graph<'_>, id: &CredentialId) -> Option<CredentialId> {
    match graph.get(id).map(|credential| &credential.said().assertion) {
        Some(Assertion::Endorsed { authorisation }) => Some(*authorisation),
        _ => None,
    }
}
