//! How many credentials of whom there is room for.
//!
//! Everything that devices know of each other rests on their having the same credentials, so nobody may crowd out what somebody else says:
//! each device of the identity has room of its own, whom one of them let in though it does not count (yet) has a little, and all others have
//! one room together. A device can let in so many others, or each of them would be a room more. What there is no room for is left out, and
//! nobody is dropped for passing it on.
//!
//! Where a device said more than that, or let in more, and to each of the others something else, they lack parts of it. What somebody else
//! cites of it is taken all the same, up to twice as much, so that whoever builds on it in good faith can be judged everywhere. The attack
//! that remains is patience: after a day whom a hostile device let in can let in as many itself.

use std::collections::{BTreeMap, BTreeSet};

use halo_protocol::Verified;
use halo_protocol::credential::{Assertion, Credential, CredentialId};
use halo_protocol::identity::IdentityState;

/// Credentials of one device; those that no device said have as much room together.
pub const MOST_CREDENTIALS_OF_AN_ISSUER: usize = 1_500;
/// Of these a device keeps some for removing others: it says nothing else with them.
pub const RESERVED_FOR_REMOVALS: usize = 100;
/// Credentials of one that a device let in and that is none yet, beyond which it shares the room of those who are nobody.
pub const MOST_CREDENTIALS_OF_A_GUEST: usize = 100;
/// Devices that one device lets in, ever. The identity key has no such limit.
pub const MOST_ADMISSIONS_OF_A_DEVICE: usize = 16;

/// Why there is no room for a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// Its issuer has said as much as there is room for.
    #[error("a device said more than {MOST_CREDENTIALS_OF_AN_ISSUER} credentials")]
    Issuer,
    /// Its issuer has let in as many devices as one can.
    #[error("a device let in more than {MOST_ADMISSIONS_OF_A_DEVICE} others")]
    Admissions,
    /// There are too many by issuers that are no devices.
    #[error("too many credentials by nobody that is known")]
    Strangers,
}

/// What is taken up.
#[derive(Debug, Clone, Default)]
pub struct Room {
    identity: Option<[u8; 32]>,
    /// The identity and its devices.
    known: BTreeSet<[u8; 32]>,
    /// Let in by one of those; not judged yet, or refused.
    guests: BTreeSet<[u8; 32]>,
    said: BTreeMap<[u8; 32], usize>,
    strangers: usize,
    let_in: BTreeMap<[u8; 32], usize>,
    /// What is cited, and by whom.
    cited: BTreeSet<(CredentialId, [u8; 32])>,
}

impl Room {
    /// What the credentials that are here leave.
    pub fn beside<'a>(
        state: &IdentityState,
        here: impl IntoIterator<Item = &'a Verified<Credential>>,
    ) -> Self {
        let identity = *state.identity_key.as_bytes();
        let devices = state.devices.keys().map(|key| *key.as_bytes());
        let known = devices.chain([identity]).collect();
        let mut room = Self { identity: Some(identity), known, ..Self::default() };
        let here: Vec<&Verified<Credential>> = here.into_iter().collect();
        here.iter().for_each(|credential| room.welcome(credential));
        here.iter().for_each(|credential| room.count(credential));
        room
    }

    /// Takes room for a credential that is to be kept; authorisations come before what rests on them.
    ///
    /// # Errors
    /// [`Full`]: leave it out.
    pub fn take(&mut self, credential: &Credential) -> Result<(), Full> {
        let said = credential.said();
        let issuer = said.issuer;
        let is_known = self.known.contains(&issuer);
        if !is_known && !self.has_room_as_guest(&issuer) {
            if self.strangers >= MOST_CREDENTIALS_OF_AN_ISSUER {
                return Err(Full::Strangers);
            }
        } else if self.identity != Some(issuer) {
            let is_cited = || {
                let id = credential.id();
                let mut by = self.cited.range((id, [0; 32])..=(id, [255; 32]));
                by.any(|(_, by)| *by != issuer && self.known.contains(by))
            };
            let is_full = |count: Option<&usize>, most: usize| {
                count.is_some_and(|count| *count >= most && (*count >= 2 * most || !is_cited()))
            };
            if is_full(self.said.get(&issuer), MOST_CREDENTIALS_OF_AN_ISSUER) {
                return Err(Full::Issuer);
            }
            if admitted(credential).is_some()
                && is_full(self.let_in.get(&issuer), MOST_ADMISSIONS_OF_A_DEVICE)
            {
                return Err(Full::Admissions);
            }
        }
        self.welcome(credential);
        self.count(credential);
        Ok(())
    }

    /// What of some credentials there is room for, ancestors first, and which there is none for.
    pub fn fit(
        &mut self,
        fresh: Vec<Verified<Credential>>,
    ) -> (Vec<Verified<Credential>>, Vec<(CredentialId, Full)>) {
        let mut left = Vec::new();
        let mut fresh = ancestors_first(fresh);
        fresh.retain(|credential| {
            let taken = self.take(credential);
            left.extend(taken.err().map(|why| (credential.id(), why)));
            taken.is_ok()
        });
        (fresh, left)
    }

    fn has_room_as_guest(&self, issuer: &[u8; 32]) -> bool {
        let count = self.said.get(issuer).copied().unwrap_or_default();
        self.guests.contains(issuer) && count < MOST_CREDENTIALS_OF_A_GUEST
    }

    /// Whom a device lets in has room of its own. Whom that one lets in has none before it is one itself: that would be 16 rooms more.
    fn welcome(&mut self, credential: &Credential) {
        if self.known.contains(&credential.said().issuer) {
            self.guests.extend(admitted(credential));
        }
    }

    fn count(&mut self, credential: &Credential) {
        let said = credential.said();
        if self.known.contains(&said.issuer) || self.has_room_as_guest(&said.issuer) {
            *self.said.entry(said.issuer).or_default() += 1;
        } else {
            self.strangers += 1;
        }
        if admitted(credential).is_some() {
            *self.let_in.entry(said.issuer).or_default() += 1;
        }
        self.cited.extend(said.parents.iter().map(|parent| (*parent, said.issuer)));
    }
}

/// Whom a credential lets in.
const fn admitted(credential: &Credential) -> Option<[u8; 32]> {
    match &credential.said().assertion {
        Assertion::AuthorizedDevice { device_key, .. } => Some(*device_key.as_bytes()),
        _ => None,
    }
}

/// The same credentials, each after those that it cites.
fn ancestors_first(all: Vec<Verified<Credential>>) -> Vec<Verified<Credential>> {
    let places: BTreeMap<CredentialId, usize> = all.iter().zip(0..).map(|(one, at)| (one.id(), at)).collect();
    let mut open: Vec<Option<Verified<Credential>>> = all.into_iter().map(Some).collect();
    let mut done = Vec::with_capacity(open.len());
    // An explicit stack, since a hostile DAG may be deep.
    for start in 0..open.len() {
        let mut stack = vec![start];
        while let Some(at) = stack.last().copied() {
            let cited = open.get(at).and_then(Option::as_ref).map(|one| one.said().parents.as_slice());
            let is_open = |at: &usize| open.get(*at).is_some_and(Option::is_some);
            let before = cited.unwrap_or_default().iter().filter_map(|id| places.get(id).copied());
            let before: Vec<usize> = before.filter(is_open).collect();
            if before.is_empty() {
                stack.pop();
                done.extend(open.get_mut(at).and_then(Option::take));
            } else {
                stack.extend(before);
            }
        }
    }
    done
}
