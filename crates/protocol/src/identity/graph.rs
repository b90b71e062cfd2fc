//! Who had seen what: ancestors and depth of each credential in the DAG of their parents.
//!
//! A credential's *place* is its number in the order of ids.

use std::collections::BTreeMap;

use crate::credential::{Assertion, Credential, CredentialId};
use crate::verified::Verified;

/// A set of places.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Bits(Box<[u64]>);

impl Bits {
    fn words(words: usize) -> Self {
        Self(vec![0; words].into_boxed_slice())
    }

    pub(super) fn has(&self, at: usize) -> bool {
        self.0.get(at / 64).is_some_and(|word| word >> (at % 64) & 1 == 1)
    }

    /// Whether that is news.
    pub(super) fn insert(&mut self, at: usize) -> bool {
        let is_new = !self.has(at);
        if let Some(word) = self.0.get_mut(at / 64) {
            *word |= 1 << (at % 64);
        }
        is_new
    }

    pub(super) fn remove(&mut self, at: usize) {
        if let Some(word) = self.0.get_mut(at / 64) {
            *word &= !(1 << (at % 64));
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(to, from)| *to |= from);
    }

    pub(super) fn without(mut self, other: &Self) -> Self {
        self.0.iter_mut().zip(&other.0).for_each(|(to, from)| *to &= !from);
        self
    }

    pub(super) fn and(mut self, other: &Self) -> Self {
        self.0.iter_mut().zip(&other.0).for_each(|(to, from)| *to &= from);
        self
    }

    pub(super) fn meets(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).any(|(one, other)| one & other != 0)
    }

    /// Ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> {
        self.0.iter().zip(0..).flat_map(|(word, at)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let bit = left.trailing_zeros();
                left &= left.wrapping_sub(1);
                (bit < 64).then_some(at * 64 + bit as usize)
            })
        })
    }
}

/// A set of credentials, by id, with what each had seen of the others.
pub(super) struct Graph<'a> {
    set: BTreeMap<CredentialId, usize>,
    /// By place, as the two after it.
    all: Vec<(CredentialId, &'a Credential)>,
    seen: Vec<Bits>,
    depth: Vec<usize>,
    /// Places, ancestors first.
    order: Vec<usize>,
    /// By issuer.
    said: BTreeMap<[u8; 32], Bits>,
    /// By device: what lets it in, ancestors first.
    let_in: BTreeMap<[u8; 32], Vec<usize>>,
    /// By authorisation: what endorses it.
    endorsed: BTreeMap<usize, Vec<usize>>,
}

impl<'a> Graph<'a> {
    /// Credentials that are cited and not there are treated as absent.
    pub(super) fn new(credentials: &'a [Verified<Credential>]) -> Self {
        let by_id: BTreeMap<CredentialId, &Credential> =
            credentials.iter().map(|credential| (credential.id(), &**credential)).collect();
        let all: Vec<(CredentialId, &Credential)> = by_id.into_iter().collect();
        let set: BTreeMap<CredentialId, usize> = all.iter().zip(0..).map(|((id, _), at)| (*id, at)).collect();
        let (seen, depth) = ancestors(&set, &all);
        let mut order: Vec<usize> = (0..all.len()).collect();
        order.sort_by_key(|at| (depth.get(*at).copied(), *at));
        let none = Bits::words(all.len().div_ceil(64));
        let mut graph = Self {
            set,
            all,
            seen,
            depth,
            order,
            said: BTreeMap::new(),
            let_in: BTreeMap::new(),
            endorsed: BTreeMap::new(),
        };
        for at in &graph.order {
            let Some((_, credential)) = graph.all.get(*at) else { continue };
            let said = credential.said();
            graph.said.entry(said.issuer).or_insert_with(|| none.clone()).insert(*at);
            match &said.assertion {
                Assertion::AuthorizedDevice { device_key, .. } => {
                    graph.let_in.entry(*device_key.as_bytes()).or_default().push(*at);
                }
                Assertion::Endorsed { authorisation } => {
                    if let Some(other) = graph.set.get(authorisation) {
                        graph.endorsed.entry(*other).or_default().push(*at);
                    }
                }
                _ => {}
            }
        }
        graph
    }

    /// One of the set.
    pub(super) fn get(&self, id: &CredentialId) -> Option<&'a Credential> {
        self.set.get(id).and_then(|at| self.at(*at)).map(|(_, credential)| credential)
    }

    /// Where one of the set is.
    pub(super) fn place(&self, id: &CredentialId) -> Option<usize> {
        self.set.get(id).copied()
    }

    /// What is there.
    pub(super) fn at(&self, place: usize) -> Option<(CredentialId, &'a Credential)> {
        self.all.get(place).copied()
    }

    /// Who said what is there.
    pub(super) fn issuer(&self, place: usize) -> Option<&'a [u8; 32]> {
        self.at(place).map(|(_, credential)| &credential.said().issuer)
    }

    /// All of the set, ascending by id.
    pub(super) fn ids(&self) -> impl Iterator<Item = &CredentialId> {
        self.all.iter().map(|(id, _)| id)
    }

    /// All of the set.
    pub(super) fn credentials(&self) -> impl Iterator<Item = (&CredentialId, &'a Credential)> {
        self.all.iter().map(|(id, credential)| (id, *credential))
    }

    /// All places, ancestors first.
    pub(super) fn order(&self) -> &[usize] {
        &self.order
    }

    /// No places.
    pub(super) fn none(&self) -> Bits {
        Bits::words(self.all.len().div_ceil(64))
    }

    /// What somebody said.
    pub(super) fn said_by(&self, issuer: &[u8; 32]) -> Option<&Bits> {
        self.said.get(issuer)
    }

    /// What says of a key that it is a device, ancestors first.
    pub(super) fn let_in(&self, device: &[u8; 32]) -> &[usize] {
        self.let_in.get(device).map_or(&[], Vec::as_slice)
    }

    /// What says that it was there when something was said.
    pub(super) fn endorsements_of(&self, place: usize) -> &[usize] {
        self.endorsed.get(&place).map_or(&[], Vec::as_slice)
    }

    /// The authorisations of its issuer that a credential had seen.
    pub(super) fn grounds(&self, place: usize) -> impl Iterator<Item = usize> {
        let all = self.issuer(place).map_or(&[][..], |issuer| self.let_in(issuer));
        all.iter().copied().filter(move |before| self.sees(place, *before))
    }

    /// The ancestors of what is there.
    pub(super) fn seen(&self, place: usize) -> Option<&Bits> {
        self.seen.get(place)
    }

    /// Whether `other` is an ancestor of what is there.
    pub(super) fn sees(&self, place: usize, other: usize) -> bool {
        self.seen(place).is_some_and(|seen| seen.has(other))
    }

    /// How far it is from those that cite nothing.
    pub(super) fn depth(&self, id: &CredentialId) -> usize {
        self.place(id).and_then(|at| self.depth.get(at)).copied().unwrap_or_default()
    }
}

/// Of each place the ancestors, and how far it is from those that have none.
fn ancestors(
    set: &BTreeMap<CredentialId, usize>,
    all: &[(CredentialId, &Credential)],
) -> (Vec<Bits>, Vec<usize>) {
    let parents: Vec<Vec<usize>> = all
        .iter()
        .map(|(_, said)| said.said().parents.iter().filter_map(|parent| set.get(parent).copied()).collect())
        .collect();
    let words = all.len().div_ceil(64);
    let mut seen: Vec<Option<Bits>> = vec![None; all.len()];
    let mut depth = vec![0; all.len()];
    // Ids are hashes, so nothing can cite itself: parents settle before children. An explicit stack, since a
    // hostile DAG may be deep.
    for start in 0..all.len() {
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
            if seen.get(at).is_none_or(Option::is_some) {
                continue;
            }
            let mut mine = Bits::words(words);
            let mut deepest = None;
            for parent in own {
                mine.insert(*parent);
                if let Some(theirs) = seen.get(*parent).and_then(Option::as_ref) {
                    mine.add(theirs);
                }
                deepest = deepest.max(depth.get(*parent).copied());
            }
            if let (Some(slot), Some(level)) = (seen.get_mut(at), depth.get_mut(at)) {
                *slot = Some(mine);
                *level = deepest.map_or(0, |deepest: usize| deepest + 1);
            }
        }
    }
    (seen.into_iter().map(|bits| bits.unwrap_or_else(|| Bits::words(words))).collect(), depth)
}
