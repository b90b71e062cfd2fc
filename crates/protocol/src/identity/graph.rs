//! Who had seen what: ancestors and depth of each credential in the DAG of their parents.

use std::collections::BTreeMap;

use crate::credential::{Credential, CredentialId};
use crate::verified::Verified;

/// A set of credentials, by id, with what each had seen of the others.
pub(super) struct Graph<'a> {
    set: BTreeMap<CredentialId, &'a Credential>,
    place: BTreeMap<CredentialId, usize>,
    /// By place: one bit for each other.
    seen: Vec<Box<[u64]>>,
    depth: Vec<usize>,
}

impl<'a> Graph<'a> {
    /// Credentials that are cited and not there are treated as absent.
    pub(super) fn new(credentials: &'a [Verified<Credential>]) -> Self {
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
    pub(super) fn get(&self, id: &CredentialId) -> Option<&'a Credential> {
        self.set.get(id).copied()
    }

    /// All of the set, ascending by id.
    pub(super) fn ids(&self) -> impl Iterator<Item = &CredentialId> {
        self.set.keys()
    }

    /// All of the set.
    pub(super) fn credentials(&self) -> impl Iterator<Item = (&CredentialId, &'a Credential)> {
        self.set.iter().map(|(id, credential)| (id, *credential))
    }

    /// Whether `other` is an ancestor of `id`.
    pub(super) fn has_seen(&self, id: &CredentialId, other: &CredentialId) -> bool {
        let places = self.place.get(id).zip(self.place.get(other));
        places.is_some_and(|(at, other)| {
            let word = self.seen.get(*at).and_then(|seen| seen.get(other / 64));
            word.is_some_and(|word| word >> (other % 64) & 1 == 1)
        })
    }

    /// How far it is from those that cite nothing.
    pub(super) fn depth(&self, id: &CredentialId) -> usize {
        self.place.get(id).and_then(|at| self.depth.get(*at)).copied().unwrap_or_default()
    }
}

fn set_bit(bits: &mut [u64], at: usize) {
    if let Some(word) = bits.get_mut(at / 64) {
        *word |= 1 << (at % 64);
    }
}
