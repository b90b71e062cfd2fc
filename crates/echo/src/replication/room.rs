//! How many credentials of whom there is room for.
//!
//! Everything that devices know of each other rests on their having the same credentials, so nobody may crowd out what somebody else says:
//! each device of the identity has room of its own, and those that are no devices (yet) have one room together. A device can let in so many
//! others, or each of them would be a room more. What there is no room for is left out, and nobody is dropped for passing it on.
//!
//! Where a device said more than that, and to each of the others something else, they lack parts of it. What somebody else cites of it is
//! taken all the same, up to twice as much, so that whoever builds on it in good faith can be judged everywhere. The attack that remains is
//! patience: after a day whom a hostile device let in can let in as many itself.

use std::collections::{BTreeMap, BTreeSet};

use halo_protocol::Verified;
use halo_protocol::credential::{Assertion, Credential, CredentialId};
use halo_protocol::identity::IdentityState;

/// Credentials of one device; those that no device said have as much room together.
pub const MOST_CREDENTIALS_OF_AN_ISSUER: usize = 1_500;
/// Of these a device keeps some for removing others: it says nothing else with them.
pub const RESERVED_FOR_REMOVALS: usize = 100;
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
    known: BTreeSet<[u8; 32]>,
    /// Let in by what came last; not judged yet.
    fresh: BTreeSet<[u8; 32]>,
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
        here.into_iter().for_each(|credential| room.count(credential));
        room
    }

    /// Takes room for a credential that is to be kept; authorisations come before what rests on them.
    ///
    /// # Errors
    /// [`Full`]: leave it out.
    pub fn take(&mut self, credential: &Credential) -> Result<(), Full> {
        let said = credential.said();
        let issuer = said.issuer;
        let admitted = match &said.assertion {
            Assertion::AuthorizedDevice { device_key, .. } => Some(*device_key.as_bytes()),
            _ => None,
        };
        if !self.is_known(&issuer) {
            if self.strangers >= MOST_CREDENTIALS_OF_AN_ISSUER {
                return Err(Full::Strangers);
            }
        } else if self.identity != Some(issuer) {
            let is_cited = || {
                let id = credential.id();
                let mut by = self.cited.range((id, [0; 32])..=(id, [255; 32]));
                by.any(|(_, by)| *by != issuer && self.is_known(by))
            };
            let count = self.said.get(&issuer).copied().unwrap_or_default();
            if count >= MOST_CREDENTIALS_OF_AN_ISSUER
                && (count >= 2 * MOST_CREDENTIALS_OF_AN_ISSUER || !is_cited())
            {
                return Err(Full::Issuer);
            }
            let let_in = self.let_in.get(&issuer).copied().unwrap_or_default();
            if admitted.is_some() && let_in >= MOST_ADMISSIONS_OF_A_DEVICE {
                return Err(Full::Admissions);
            }
        }
        if self.known.contains(&issuer) {
            self.fresh.extend(admitted);
        }
        self.count(credential);
        Ok(())
    }

    /// What of some credentials there is room for, and which there is none for.
    pub fn fit(
        &mut self,
        mut fresh: Vec<Verified<Credential>>,
    ) -> (Vec<Verified<Credential>>, Vec<(CredentialId, Full)>) {
        let lets_in =
            |one: &Verified<Credential>| matches!(one.said().assertion, Assertion::AuthorizedDevice { .. });
        fresh.sort_by_key(|one| !lets_in(one));
        let mut left = Vec::new();
        fresh.retain(|credential| {
            let taken = self.take(credential);
            left.extend(taken.err().map(|why| (credential.id(), why)));
            taken.is_ok()
        });
        (fresh, left)
    }

    fn is_known(&self, issuer: &[u8; 32]) -> bool {
        self.known.contains(issuer) || self.fresh.contains(issuer)
    }

    fn count(&mut self, credential: &Credential) {
        let said = credential.said();
        if self.is_known(&said.issuer) {
            *self.said.entry(said.issuer).or_default() += 1;
        } else {
            self.strangers += 1;
        }
        if matches!(said.assertion, Assertion::AuthorizedDevice { .. }) {
            *self.let_in.entry(said.issuer).or_default() += 1;
        }
        self.cited.extend(said.parents.iter().map(|parent| (*parent, said.issuer)));
    }
}
