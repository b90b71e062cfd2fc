//! Which revocations hold where some contest each other.
//!
//! The rule, in rounds: of those that count, whatever could not stand by itself beside those that hold is lost; then
//! the most senior holds of those that count whatever becomes of the others, or, if there is none, of all. What it
//! strikes is void from then on. Each round settles one at least, so it ends; and it is a function of the set alone.
//!
//! A thief can say revocations by the thousand, so that rule is not followed to the letter. Those that strike the same are looked at
//! together; whether they could stand is asked of many at once, since to leave out more never makes anything count; and those that count
//! whatever becomes of the others are settled in one round where none of them can be undone by another: none leans on what it strikes.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::graph::{Bits, Graph};
use super::rules::Rules;
use crate::credential::{Assertion, CredentialId};

/// What turned out void: what the revocations that hold strike, and those that could not stand beside them.
pub(super) fn settle(rules: &Rules<'_>) -> Bits {
    let mut contest = Contest::new(rules);
    while contest.round() {}
    contest.voids
}

struct Revocation {
    at: usize,
    /// Which of the strikes it is.
    strikes: usize,
    leans: OnceCell<bool>,
}

/// What is left out, and which authorisations and endorsements count then.
struct Without {
    voids: Bits,
    grounds: Rc<Bits>,
}

struct Contest<'a> {
    rules: &'a Rules<'a>,
    /// What one revocation or several make void.
    strikes: Vec<Bits>,
    /// Those that may hold yet.
    open: Vec<Revocation>,
    held: Vec<usize>,
    voids: Bits,
}

impl<'a> Contest<'a> {
    fn new(rules: &'a Rules<'a>) -> Self {
        let graph = rules.graph;
        let voids = graph.none();
        let grounds = rules.grounds(&voids);
        let mut known: BTreeMap<Bits, usize> = BTreeMap::new();
        let mut open = Vec::new();
        for at in (0..graph.order().len()).filter(|at| rules.stands_on(*at, &grounds)) {
            let Some(struck) = struck_by(at, graph) else { continue };
            let next = known.len();
            let strikes = *known.entry(struck).or_insert(next);
            open.push(Revocation { at, strikes, leans: OnceCell::new() });
        }
        let mut strikes: Vec<(Bits, usize)> = known.into_iter().collect();
        strikes.sort_by_key(|(_, number)| *number);
        let strikes = strikes.into_iter().map(|(struck, _)| struck).collect();
        Self { rules, strikes, open, held: Vec::new(), voids }
    }

    /// Settles some; whether there were any.
    fn round(&mut self) -> bool {
        let now = self.without(&[]);
        let mut open = std::mem::take(&mut self.open);
        // What does not count now never will: more is left out from round to round.
        open.retain(|one| self.counts(one.at, &now));
        self.open = open;
        if self.open.is_empty() {
            return false;
        }
        let mut number: BTreeMap<usize, usize> = BTreeMap::new();
        for one in &self.open {
            *number.entry(one.strikes).or_default() += 1;
        }
        let open: Vec<usize> = number.keys().copied().collect();
        let lost = self.lost(&open);
        if !lost.is_empty() {
            for at in lost {
                self.voids.insert(at);
            }
            return true;
        }
        let all = self.without(&open);
        let certain = |one: &&Revocation| self.counts(one.at, &all);
        let none_is_undone = self.held.iter().all(|held| self.counts(*held, &all))
            && self.open.iter().all(|one| certain(&one) || !self.leans(one));
        let next: Vec<usize> = if none_is_undone && self.open.iter().any(|one| certain(&one)) {
            self.open.iter().filter(certain).map(|one| one.at).collect()
        } else {
            let mut by_seniority: Vec<&Revocation> = self.open.iter().collect();
            by_seniority.sort_by_cached_key(|one| self.seniority(one.at, &now));
            let is_safe = |one: &&&Revocation| {
                certain(one)
                    || (number.get(&one.strikes) == Some(&1) && self.leans(one) && {
                        let others: Vec<usize> =
                            open.iter().copied().filter(|strikes| *strikes != one.strikes).collect();
                        self.counts(one.at, &self.without(&others))
                    })
            };
            let next = by_seniority.iter().find(is_safe).or_else(|| by_seniority.first());
            next.map(|one| one.at).into_iter().collect()
        };
        let mut left = std::mem::take(&mut self.open);
        for one in left.extract_if(.., |one| next.binary_search(&one.at).is_ok()) {
            if let Some(struck) = self.strikes.get(one.strikes) {
                self.voids.add(struck);
            }
            self.held.push(one.at);
        }
        self.open = left;
        true
    }

    /// What is left out if some strikes hold as well.
    fn without(&self, strikes: &[usize]) -> Without {
        let mut voids = self.voids.clone();
        for struck in strikes.iter().filter_map(|strikes| self.strikes.get(*strikes)) {
            voids.add(struck);
        }
        let grounds = self.rules.grounds(&voids);
        Without { voids, grounds }
    }

    fn counts(&self, at: usize, without: &Without) -> bool {
        !without.voids.has(at) && self.rules.stands_on(at, &without.grounds)
    }

    /// Those that could not stand beside those that hold. If they can all together, so can each.
    fn lost(&self, strikes: &[usize]) -> Vec<usize> {
        let without = self.without(strikes);
        let those = || self.open.iter().filter(|one| strikes.binary_search(&one.strikes).is_ok());
        let falls = |one: &&Revocation| self.leans(one) && !self.rules.stands_on(one.at, &without.grounds);
        let is_held = self.held.iter().all(|held| self.counts(*held, &without));
        match strikes {
            [] => Vec::new(),
            _ if is_held && !those().any(|one| falls(&one)) => Vec::new(),
            [_] => those().filter(|one| !is_held || falls(one)).map(|one| one.at).collect(),
            _ => {
                let (first, second) = strikes.split_at(strikes.len() / 2);
                [self.lost(first), self.lost(second)].concat()
            }
        }
    }

    /// Whether what it strikes may be what it stands on.
    fn leans(&self, one: &Revocation) -> bool {
        let leans =
            || self.strikes.get(one.strikes).is_some_and(|struck| self.rules.leans_on(one.at, struck));
        *one.leans.get_or_init(leans)
    }

    /// Smaller is more senior: by when the issuer was let in, then by the credential's id. The identity itself was
    /// never let in, which comes before everybody who was.
    fn seniority(&self, at: usize, now: &Without) -> (Option<(usize, CredentialId)>, Option<CredentialId>) {
        let graph = self.rules.graph;
        let id = |at: usize| graph.at(at).map(|(id, _)| id);
        let let_in = graph.issuer(at).map_or(&[][..], |issuer| graph.let_in(issuer));
        let let_in = let_in.iter().copied().find(|before| now.grounds.has(*before));
        (let_in.and_then(id).map(|id| (graph.depth(&id), id)), id(at))
    }
}

/// What a revocation makes void: everything of the revoked that it had not seen, except that the revoked vouches for
/// whoever says it. `None` of anything else.
fn struck_by(at: usize, graph: &Graph<'_>) -> Option<Bits> {
    let (_, credential) = graph.at(at)?;
    let Assertion::RevokedDevice { device_key, .. } = &credential.said().assertion else { return None };
    let Some(said) = graph.said_by(device_key.as_bytes()) else { return Some(graph.none()) };
    let mut struck = said.clone();
    if let Some(seen) = graph.seen(at) {
        struck = struck.without(seen);
    }
    struck.remove(at);
    for ground in ground_of(at, graph) {
        for vouched in graph.endorsements_of(ground) {
            struck.remove(*vouched);
        }
    }
    Some(struck)
}

/// What whoever says something stands on: the authorisations that it had seen of its issuer, of who let that one in, and so on.
fn ground_of(at: usize, graph: &Graph<'_>) -> Vec<usize> {
    let (mut known, mut open) = (graph.none(), vec![at]);
    while let Some(said) = open.pop() {
        open.extend(graph.grounds(said).filter(|before| known.insert(*before)));
    }
    known.iter().collect()
}
