//! Who may say what.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::graph::{Bits, Graph};
use super::{DeviceState, PROBATION, Why};
use crate::credential::{Assertion, Draft};
use crate::keys::{DeviceKey, IdentityKey};
use crate::time::Timestamp;

use super::judgement::FirstSeen;

/// What a judgement goes by.
pub(super) struct Rules<'a> {
    identity: &'a IdentityKey,
    pub(super) graph: &'a Graph<'a>,
    first_seen: FirstSeen<'a>,
    /// Probation binds these alone; everybody if it is `None`.
    bound: Option<BTreeSet<[u8; 32]>>,
    /// About somebody else than they may be.
    foreign: Bits,
    /// Authorisations and endorsements, ancestors first: whether anything counts rests on these alone.
    adding: Vec<usize>,
    is_adding: Bits,
    /// Which of those count, by which of them are left out.
    known: RefCell<BTreeMap<Bits, Rc<Bits>>>,
}

/// What counts with some credentials left out.
pub(super) struct Counted {
    pub(super) valid: Bits,
    pub(super) rejected: Vec<(usize, Why)>,
    /// Authorisations that were seen here when they were said, by devices that were seen to be off probation.
    pub(super) seen: Bits,
    /// Authorisations that count since somebody vouches for them, and would not otherwise.
    vouched: Bits,
}

impl<'a> Rules<'a> {
    pub(super) fn new(
        identity: &'a IdentityKey,
        graph: &'a Graph<'a>,
        first_seen: FirstSeen<'a>,
        bound: Option<&BTreeSet<DeviceKey>>,
    ) -> Self {
        let mut rules = Self {
            identity,
            graph,
            first_seen,
            bound: bound.map(|bound| bound.iter().map(|key| *key.as_bytes()).collect()),
            foreign: graph.none(),
            adding: Vec::new(),
            is_adding: graph.none(),
            known: RefCell::default(),
        };
        for at in graph.order() {
            let Some((_, credential)) = graph.at(*at) else { continue };
            let said = credential.said();
            if rules.is_foreign(said, *at) {
                rules.foreign.insert(*at);
            }
            if adds(said) {
                rules.adding.push(*at);
                rules.is_adding.insert(*at);
            }
        }
        rules
    }

    /// Everything that counts without `voids`.
    pub(super) fn count(&self, voids: &Bits) -> Counted {
        self.count_of(self.graph.order(), voids)
    }

    /// The authorisations and endorsements that count without `voids`.
    pub(super) fn grounds(&self, voids: &Bits) -> Rc<Bits> {
        let voids = voids.clone().and(&self.is_adding);
        if let Some(known) = self.known.borrow().get(&voids) {
            return Rc::clone(known);
        }
        let valid = Rc::new(self.count_of(&self.adding, &voids).valid);
        self.known.borrow_mut().insert(voids, Rc::clone(&valid));
        valid
    }

    /// Whether something that adds nothing counts where `grounds` do, if it is not left out itself.
    pub(super) fn stands_on(&self, at: usize, grounds: &Bits) -> bool {
        let by_identity = self.graph.issuer(at) == Some(self.identity.as_bytes());
        !self.foreign.has(at) && (by_identity || self.graph.grounds(at).any(|before| grounds.has(before)))
    }

    /// Whether leaving out some of `struck` can make something not count that is none of them.
    pub(super) fn leans_on(&self, at: usize, struck: &Bits) -> bool {
        if !struck.meets(&self.is_adding) {
            return false;
        }
        let (mut known, mut open) = (self.graph.none(), vec![at]);
        while let Some(at) = open.pop() {
            let endorsements = self.graph.endorsements_of(at).iter().copied();
            for below in self.graph.grounds(at).chain(endorsements) {
                if struck.has(below) {
                    return true;
                }
                if known.insert(below) {
                    open.push(below);
                }
            }
        }
        false
    }

    /// The devices, where that counts.
    pub(super) fn devices(&self, counted: &Counted) -> BTreeMap<DeviceKey, DeviceState> {
        let mut devices: BTreeMap<DeviceKey, DeviceState> = BTreeMap::new();
        for at in self.adding.iter().filter(|at| counted.valid.has(**at)) {
            let Some((id, credential)) = self.graph.at(*at) else { continue };
            let Assertion::AuthorizedDevice { device_key, agreement_key, .. } = &credential.said().assertion
            else {
                continue;
            };
            let until = self.probation_of(*at, &counted.vouched, &counted.valid);
            let fresh = DeviceState {
                agreement_key: *agreement_key,
                hybrid_key: None,
                profile: None,
                authorized_by: id,
                probation_until: until,
                revoked: false,
            };
            let device = devices.entry(*device_key).or_insert(fresh);
            device.probation_until = device.probation_until.min(until);
        }
        devices
    }

    /// An endorsement that counts can make more count, so it is done until nothing is added.
    fn count_of(&self, order: &[usize], voids: &Bits) -> Counted {
        let mut words = self.graph.none();
        loop {
            let counted = self.count_with(order, voids, &words);
            let mut is_more = false;
            for at in counted.valid.iter() {
                let said = self.graph.at(at).map(|(_, credential)| &credential.said().assertion);
                if matches!(said, Some(Assertion::Endorsed { .. })) {
                    is_more |= words.insert(at);
                }
            }
            if !is_more {
                return counted;
            }
        }
    }

    /// Everything that counts where `words` are the endorsements that do.
    fn count_with(&self, order: &[usize], voids: &Bits, words: &Bits) -> Counted {
        let graph = self.graph;
        let none = || graph.none();
        let mut counted = Counted { valid: none(), rejected: Vec::new(), seen: none(), vouched: none() };
        for at in order.iter().copied().filter(|at| !voids.has(*at)) {
            let Some((id, credential)) = graph.at(at) else { continue };
            let said = credential.said();
            let by_identity = &said.issuer == self.identity.as_bytes();
            // It must have seen that it may speak: what comes to light later cannot make it valid.
            let mut known = graph.grounds(at).filter(|before| counted.valid.has(*before)).peekable();
            if !by_identity && known.peek().is_none() {
                continue;
            }
            if self.foreign.has(at) {
                counted.rejected.push((at, Why::Foreign));
                continue;
            }
            if adds(said) && !by_identity {
                let until = known.map(|before| self.probation_of(before, &counted.vouched, words));
                let until = until.min().flatten();
                let in_time = (self.first_seen)(&id).zip(until).map(|(seen, until)| seen >= until);
                let is_bound = self.bound.as_ref().is_none_or(|bound| bound.contains(&said.issuer));
                if in_time == Some(false) && is_bound {
                    if !graph.endorsements_of(at).iter().any(|word| words.has(*word)) {
                        counted.rejected.push((at, Why::Probation));
                        continue;
                    }
                    counted.vouched.insert(at);
                }
                if in_time == Some(true) {
                    counted.seen.insert(at);
                }
            }
            counted.valid.insert(at);
        }
        counted
    }

    /// Until when an authorisation leaves whom it lets in on probation. Whoever is in by the word of others alone was not watched
    /// before that word, so that it begins then: nobody waits outside until it is over.
    fn probation_of(&self, at: usize, vouched: &Bits, words: &Bits) -> Option<Timestamp> {
        let (id, credential) = self.graph.at(at)?;
        let by_identity = &credential.said().issuer == self.identity.as_bytes();
        let seen = if by_identity { None } else { (self.first_seen)(&id) }?;
        let heard = |word: &usize| self.graph.at(*word).and_then(|(id, _)| (self.first_seen)(&id));
        let word = match vouched.has(at) {
            true => self.graph.endorsements_of(at).iter().filter(|word| words.has(**word)).map(heard).min(),
            false => None,
        };
        Some(word.flatten().map_or(seen, |word| word.max(seen)).plus(PROBATION))
    }

    /// Whether it is about somebody else than it may be.
    fn is_foreign(&self, said: &Draft, at: usize) -> bool {
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
                let other = self.graph.place(authorisation);
                let other = other.and_then(|place| Some((place, self.graph.at(place)?.1.said())));
                other.is_none_or(|(place, other)| {
                    !matches!(other.assertion, Assertion::AuthorizedDevice { .. })
                        || said.subject != other.subject
                        || said.issuer == other.issuer
                        || said.issuer == other.subject
                        || !self.graph.sees(at, place)
                })
            }
        }
    }
}

/// Whether more may count since it was said.
const fn adds(said: &Draft) -> bool {
    matches!(said.assertion, Assertion::AuthorizedDevice { .. } | Assertion::Endorsed { .. })
}
