//! The rule of who is a device followed to the letter: one revocation a round, and everything judged anew for each question. What
//! `IdentityState::judge` answers by shorter ways must be this. Far too slow for what a thief can say.

use std::collections::{BTreeMap, BTreeSet};

use halo_protocol::credential::{Assertion, Credential, CredentialId, Cut, Draft};
use halo_protocol::identity::{
    DeviceState, FeedState, IdentityState, MOST_FEEDS_OF_A_DEVICE, MOST_REVOCATIONS_OF_A_DEVICE, PROBATION,
    Why, Witnesses,
};
use halo_protocol::{DeviceKey, FeedKey, IdentityKey, SpaceKey, Timestamp, Verified};

/// As `IdentityState::judge`.
pub(crate) fn judge(
    identity: &IdentityKey,
    credentials: &[Verified<Credential>],
    first_seen: impl Fn(&CredentialId) -> Option<Timestamp>,
) -> IdentityState {
    let graph = Graph::new(credentials);
    let rules = Rules { identity, graph: &graph, first_seen: &first_seen, bound: None };
    let mut state = Judgement::by(&rules).state(identity, &graph);
    if state.rejected.iter().any(|(_, why)| *why == Why::Probation) {
        let revoked = state.devices.iter().filter(|(_, device)| device.revoked);
        let out: BTreeSet<DeviceKey> = revoked.map(|(key, _)| *key).collect();
        let lenient = Judgement::by(&Rules { bound: Some(&out), ..rules }).state(identity, &graph);
        let is_out = |key: &&DeviceKey| lenient.devices.get(*key).is_some_and(|device| device.revoked);
        let inside = state.devices.iter().filter(|(_, device)| !device.revoked).map(|(key, _)| key);
        state.suspended = inside.filter(is_out).copied().collect();
        if !state.suspended.is_empty() {
            state.revocations.extend(&lenient.revocations);
            state.revocations.sort_unstable();
            state.revocations.dedup();
            state.held.extend(&lenient.held);
        }
    }
    state
}

/// A set of credentials, by id, with what each had seen of the others.
struct Graph<'a> {
    set: BTreeMap<CredentialId, &'a Credential>,
    place: BTreeMap<CredentialId, usize>,
    /// By place: one bit for each other.
    seen: Vec<Box<[u64]>>,
    depth: Vec<usize>,
}

impl<'a> Graph<'a> {
    /// Credentials that are cited and not there are treated as absent.
    fn new(credentials: &'a [Verified<Credential>]) -> Self {
        let set: BTreeMap<CredentialId, &Credential> =
            credentials.iter().map(|credential| (credential.id(), &**credential)).collect();
        let place: BTreeMap<CredentialId, usize> = set.keys().copied().zip(0..).collect();
        let parents: Vec<Vec<usize>> = set
            .values()
            .map(|said| said.said().parents.iter().filter_map(|parent| place.get(parent).copied()).collect())
            .collect();
        let words = set.len().div_ceil(64);
        let mut seen: Vec<Option<Box<[u64]>>> = vec![None; set.len()];
        let mut depth = vec![0; set.len()];
        // Ids are hashes, so nothing can cite itself: parents settle before children. An explicit stack, since a
        // hostile DAG may be deep.
        for start in 0..set.len() {
            let mut stack = vec![start];
            while let Some(at) = stack.last().copied() {
                let own = parents.get(at).map_or(&[][..], Vec::as_slice);
                let is_open = |parent: &&usize| seen.get(**parent).is_some_and(Option::is_none);
                let open: Vec<usize> = own.iter().filter(is_open).copied().collect();
                if !open.is_empty() {
                    stack.extend(open);
                    continue;
                }
                stack.pop();
                let mut mine = vec![0; words].into_boxed_slice();
                let mut deepest = None;
                for parent in own {
                    set_bit(&mut mine, *parent);
                    let theirs = seen.get(*parent).and_then(Option::as_ref);
                    for (to, from) in mine.iter_mut().zip(theirs.into_iter().flatten()) {
                        *to |= from;
                    }
                    deepest = deepest.max(depth.get(*parent).copied());
                }
                if let (Some(slot), Some(level)) = (seen.get_mut(at), depth.get_mut(at)) {
                    *slot = Some(mine);
                    *level = deepest.map_or(0, |deepest: usize| deepest + 1);
                }
            }
        }
        Self { set, place, seen: seen.into_iter().map(Option::unwrap_or_default).collect(), depth }
    }

    /// One of the set.
    fn get(&self, id: &CredentialId) -> Option<&'a Credential> {
        self.set.get(id).copied()
    }

    /// All of the set, ascending by id.
    fn ids(&self) -> impl Iterator<Item = &CredentialId> {
        self.set.keys()
    }

    /// All of the set.
    fn credentials(&self) -> impl Iterator<Item = (&CredentialId, &'a Credential)> {
        self.set.iter().map(|(id, credential)| (id, *credential))
    }

    /// Whether `other` is an ancestor of `id`.
    fn has_seen(&self, id: &CredentialId, other: &CredentialId) -> bool {
        let places = self.place.get(id).zip(self.place.get(other));
        places.is_some_and(|(at, other)| {
            let word = self.seen.get(*at).and_then(|seen| seen.get(other / 64));
            word.is_some_and(|word| word >> (other % 64) & 1 == 1)
        })
    }

    /// How far it is from those that cite nothing.
    fn depth(&self, id: &CredentialId) -> usize {
        self.place.get(id).and_then(|at| self.depth.get(*at)).copied().unwrap_or_default()
    }
}

fn set_bit(bits: &mut [u64], at: usize) {
    if let Some(word) = bits.get_mut(at / 64) {
        *word |= 1 << (at % 64);
    }
}

/// When a credential was first seen by whoever judges.
type FirstSeen<'a> = &'a dyn Fn(&CredentialId) -> Option<Timestamp>;

/// What a judgement goes by.
struct Rules<'a> {
    identity: &'a IdentityKey,
    graph: &'a Graph<'a>,
    first_seen: FirstSeen<'a>,
    /// Probation binds these alone; everybody if it is `None`.
    bound: Option<&'a BTreeSet<DeviceKey>>,
}

/// Which credentials count.
struct Judgement {
    valid: BTreeSet<CredentialId>,
    rejected: BTreeMap<CredentialId, Why>,
    devices: BTreeMap<DeviceKey, DeviceState>,
    /// Authorisations that were seen here when they were said, by devices that were seen to be off probation.
    seen: BTreeSet<CredentialId>,
}

impl Judgement {
    fn by(rules: &Rules<'_>) -> Self {
        let graph = rules.graph;
        let mut voids: BTreeSet<CredentialId> = BTreeSet::new();
        let mut held: BTreeSet<CredentialId> = BTreeSet::new();
        loop {
            let judged = rules.judge(&voids);
            let stands = |id: &CredentialId, struck: &BTreeSet<CredentialId>| {
                let all = voids.union(struck).copied().collect();
                let left = rules.judge(&all).valid;
                left.contains(id) && held.is_subset(&left)
            };
            let open: BTreeMap<CredentialId, BTreeSet<CredentialId>> = judged
                .valid
                .iter()
                .filter(|id| !held.contains(id) && revoked_by(graph, id).is_some())
                .map(|id| (*id, voided_by(id, graph)))
                .collect();
            if open.is_empty() {
                return judged.reject(graph, &voids);
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
                rules.judge(&all).valid.contains(id)
            };
            let senior = |id: &&CredentialId| judged.seniority(id, graph);
            let next = open.keys().filter(|id| safe(id)).min_by_key(senior);
            let Some((id, struck)) =
                next.or_else(|| open.keys().min_by_key(senior)).and_then(|id| open.get_key_value(id))
            else {
                return judged.reject(graph, &voids);
            };
            voids.extend(struck);
            held.insert(*id);
        }
    }

    /// Smaller is more senior: by when the issuer was let in, then by the credential's id.
    fn seniority(
        &self,
        id: &CredentialId,
        graph: &Graph<'_>,
    ) -> (Option<(usize, CredentialId)>, CredentialId) {
        // The identity itself was never let in, which comes before everybody who was.
        let issuer =
            graph.get(id).and_then(|credential| DeviceKey::from_bytes(&credential.said().issuer).ok());
        let let_in = issuer.and_then(|issuer| self.devices.get(&issuer));
        let let_in = let_in.map(|device| (graph.depth(&device.authorized_by), device.authorized_by));
        (let_in, *id)
    }

    fn reject(mut self, graph: &Graph<'_>, voids: &BTreeSet<CredentialId>) -> Self {
        for id in graph.ids() {
            if voids.contains(id) {
                self.rejected.insert(*id, Why::Revoked);
            } else if !self.valid.contains(id) {
                self.rejected.entry(*id).or_insert(Why::NotAuthorized);
            }
        }
        self
    }

    /// What counts, put together.
    fn state(mut self, identity: &IdentityKey, graph: &Graph<'_>) -> IdentityState {
        let mut order: Vec<&CredentialId> = self.valid.iter().collect();
        order.sort_by_key(|id| {
            (graph.depth(id), graph.get(id).map(|credential| credential.said().issued), **id)
        });
        let (mut profile, mut recovery_key) = (None, None);
        let mut grants = BTreeMap::new();
        let mut cuts = Cuts::default();
        for said in order.iter().filter_map(|id| graph.get(id)).map(Credential::said) {
            let device = DeviceKey::from_bytes(&said.subject).ok();
            let device = device.and_then(|key| self.devices.get_mut(&key));
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
        let mut gone: BTreeSet<DeviceKey> = self.devices.keys().copied().collect();
        loop {
            let before = gone.len();
            for (id, why) in &self.rejected {
                let Some(said) = graph.get(id).map(Credential::said) else { continue };
                let Assertion::AuthorizedDevice { device_key, .. } = &said.assertion else { continue };
                let by_one =
                    || DeviceKey::from_bytes(&said.issuer).is_ok_and(|issuer| gone.contains(&issuer));
                if *why != Why::Foreign && by_one() {
                    gone.insert(*device_key);
                }
            }
            if gone.len() == before {
                return gone;
            }
        }
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
            let by = device(id).and_then(|key| self.devices.get(&key));
            matches!(said, Some(Assertion::AuthorizedDevice { .. }))
                && by.is_some_and(|by| issuer(&by.authorized_by) != Some(*identity.as_bytes()))
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

impl Rules<'_> {
    /// Judges with some credentials left out. An endorsement that counts can make more count, so it is done until nothing is added.
    fn judge(&self, voids: &BTreeSet<CredentialId>) -> Judgement {
        let mut words = BTreeSet::new();
        loop {
            let judged = self.judge_with(voids, &words);
            let is_word = |id: &&CredentialId| endorsed_by(self.graph, id).is_some();
            let all: BTreeSet<CredentialId> = judged.valid.iter().filter(is_word).copied().collect();
            if all.is_subset(&words) {
                return judged;
            }
            words.extend(all);
        }
    }

    fn judge_with(&self, voids: &BTreeSet<CredentialId>, words: &BTreeSet<CredentialId>) -> Judgement {
        let mut judged = Judgement {
            valid: BTreeSet::new(),
            rejected: BTreeMap::new(),
            devices: BTreeMap::new(),
            seen: BTreeSet::new(),
        };
        let mut order: Vec<&CredentialId> = self.graph.ids().filter(|id| !voids.contains(id)).collect();
        // Ancestors first.
        order.sort_by_key(|id| (self.graph.depth(id), **id));
        // Of each device what let it in, and until when that leaves it on probation.
        let mut let_in: BTreeMap<DeviceKey, Vec<(CredentialId, Option<Timestamp>)>> = BTreeMap::new();
        for id in order {
            let Some(said) = self.graph.get(id).map(Credential::said) else { continue };
            let by_identity = &said.issuer == self.identity.as_bytes();
            // It must have seen that it may speak: what comes to light later cannot make it valid.
            let issuer = DeviceKey::from_bytes(&said.issuer).ok();
            let authorised = issuer.and_then(|key| let_in.get(&key)).into_iter().flatten();
            let mut known = authorised.filter(|(before, _)| self.graph.has_seen(id, before)).peekable();
            if !by_identity && known.peek().is_none() {
                continue;
            }
            if self.is_foreign(said, id) {
                judged.rejected.insert(*id, Why::Foreign);
                continue;
            }
            let adds =
                matches!(said.assertion, Assertion::AuthorizedDevice { .. } | Assertion::Endorsed { .. });
            // When somebody first vouched for what would not count without that.
            let mut vouched = None;
            if adds && !by_identity {
                let until = known.map(|(_, until)| *until).min().flatten();
                let in_time = (self.first_seen)(id).zip(until).map(|(seen, until)| seen >= until);
                let is_bound = self.bound.is_none_or(|bound| issuer.is_some_and(|by| bound.contains(&by)));
                if in_time == Some(false) && is_bound {
                    let of_this = words.iter().filter(|word| endorsed_by(self.graph, word) == Some(*id));
                    let Some(first) = of_this.map(|word| (self.first_seen)(word)).min() else {
                        judged.rejected.insert(*id, Why::Probation);
                        continue;
                    };
                    vouched = first;
                }
                if in_time == Some(true) {
                    judged.seen.insert(*id);
                }
            }
            judged.valid.insert(*id);
            if let Assertion::AuthorizedDevice { device_key, agreement_key, .. } = &said.assertion {
                let until = if by_identity { None } else { (self.first_seen)(id) };
                let until = until.map(|seen| vouched.unwrap_or(seen).max(seen).plus(PROBATION));
                let all = let_in.entry(*device_key).or_default();
                all.push((*id, until));
                let probation_until = all.iter().map(|(_, until)| *until).min().flatten();
                let device = judged.devices.entry(*device_key).or_insert(DeviceState {
                    agreement_key: *agreement_key,
                    hybrid_key: None,
                    profile: None,
                    authorized_by: *id,
                    probation_until,
                    revoked: false,
                });
                device.probation_until = probation_until;
            }
        }
        judged
    }

    /// Whether it is about somebody else than it may be.
    fn is_foreign(&self, said: &Draft, id: &CredentialId) -> bool {
        let identity = self.identity;
        match &said.assertion {
            Assertion::HaloSpace { identity_key, .. } | Assertion::IdentityRecovery { identity_key, .. } => {
                identity_key != identity || said.issuer != *identity.as_bytes()
            }
            Assertion::AuthorizedDevice { identity_key, device_key, .. } => {
                identity_key != identity || said.subject != *device_key.as_bytes()
            }
            Assertion::DeviceProfile(_) => said.subject != said.issuer && said.issuer != *identity.as_bytes(),
            // Of itself alone: whoever chose it for others would read on after being revoked.
            Assertion::SealingKey { .. } => said.subject != said.issuer,
            Assertion::IdentityProfile(_) | Assertion::AppGrant(_) => said.subject != *identity.as_bytes(),
            Assertion::RevokedDevice { device_key, .. } => said.subject != *device_key.as_bytes(),
            Assertion::AdmittedFeed(admitted) => {
                said.issuer != *admitted.device_key.as_bytes()
                    || said.subject != *admitted.feed_key.as_bytes()
            }
            Assertion::Endorsed { authorisation } => {
                let other = self.graph.get(authorisation).map(Credential::said);
                other.is_none_or(|other| {
                    !matches!(other.assertion, Assertion::AuthorizedDevice { .. })
                        || said.subject != other.subject
                        || said.issuer == other.issuer
                        || said.issuer == other.subject
                        || !self.graph.has_seen(id, authorisation)
                })
            }
        }
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

/// What a revocation makes void: everything of the revoked that it had not seen, except that the revoked vouches for whoever says it.
fn voided_by(revocation: &CredentialId, graph: &Graph<'_>) -> BTreeSet<CredentialId> {
    let Some(device) = revoked_by(graph, revocation) else { return BTreeSet::new() };
    let ground = ground_of(revocation, graph);
    graph
        .credentials()
        .filter(|(id, other)| {
            &other.said().issuer == device.as_bytes() && *id != revocation && !graph.has_seen(revocation, id)
        })
        .filter(|(id, _)| endorsed_by(graph, id).is_none_or(|endorsed| !ground.contains(&endorsed)))
        .map(|(id, _)| *id)
        .collect()
}

/// What whoever says something stands on: the authorisations that it had seen of its issuer, of who let that one in, and so on.
fn ground_of(id: &CredentialId, graph: &Graph<'_>) -> BTreeSet<CredentialId> {
    let mut ground = BTreeSet::new();
    let mut open = vec![*id];
    while let Some(said) = open.pop() {
        let Some(issuer) = graph.get(&said).map(|credential| credential.said().issuer) else { continue };
        let lets_in = |credential: &Credential| matches!(&credential.said().assertion, Assertion::AuthorizedDevice { device_key, .. } if device_key.as_bytes() == &issuer);
        for (before, credential) in graph.credentials() {
            if lets_in(credential) && graph.has_seen(&said, before) && ground.insert(*before) {
                open.push(*before);
            }
        }
    }
    ground
}
