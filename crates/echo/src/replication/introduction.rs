//! Two devices of an identity tell each other all credentials, before anything else.
//!
//! What a credential is worth follows from all of them, so the whole set is exchanged: first the ids, then what the other lacks. It goes on
//! as long as the channel stands: what is new here is told at once, so that a revocation outruns whatever the revoked
//! device still says. [`Introduction::is_settled`] says when the spaces may be spoken of.
//!
//! The rule it guards: nothing is learnt that its issuer did not sign, and no more of anybody than there is [`Room`] for, so that nobody
//! crowds out what somebody else says.

use std::collections::BTreeSet;

use halo_protocol::credential::{Credential, CredentialId};
use halo_protocol::{Timestamp, Verified};
use prost::Message as _;

use super::backoff::{Backoff, RETRY};
use super::room::Room;
use super::wire::{LONGEST_FRAME, WireError};

/// Ids of credentials in one message.
pub const MOST_CREDENTIALS: usize = 32_000;
/// Bytes of credentials in one message.
const BATCH: usize = 256 * 1024;

/// What two devices say to each other about credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acquaint {
    /// Which are durable here.
    Ids {
        /// Ascending.
        ids: Vec<CredentialId>,
        /// Say the same of there.
        answer: bool,
    },
    /// Some, as they were signed.
    Credentials(Vec<Vec<u8>>),
}

impl Acquaint {
    /// How many bytes it takes while it waits, or a few more.
    #[must_use]
    pub fn weight(&self) -> usize {
        let inside: usize = match self {
            Self::Ids { ids, .. } => size_of_val(ids.as_slice()),
            Self::Credentials(all) => all.iter().map(|one| one.len() + size_of::<Vec<u8>>()).sum(),
        };
        inside + size_of::<Self>()
    }
}

/// What happens to an introduction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IntroductionInput {
    /// The channel stands, and the peer is verified.
    Opened,
    /// The peer said something.
    Message(Acquaint),
    /// There are more credentials here, durable by now.
    Grown,
    /// Time has passed.
    Tick,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum IntroductionEffect {
    /// Tell the peer.
    Send(Acquaint),
    /// Keep these, and say [`IntroductionInput::Grown`] to everybody when they are durable.
    Learn(Vec<Verified<Credential>>),
}

/// Why the peer is to be dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IntroductionError {
    /// It sent a credential that its issuer did not sign.
    #[error("a credential of the peer's does not hold")]
    Credential,
    /// It has more than an identity can have.
    #[error("the peer has too many credentials")]
    TooMany,
    /// It never answers.
    #[error("the peer does not answer")]
    Silent,
}

/// The credentials that are durable here.
pub trait Acquaintance {
    /// The ids of all, ascending.
    fn ids(&self) -> Vec<CredentialId>;
    /// One, as it was signed.
    fn bytes(&self, id: &CredentialId) -> Option<Vec<u8>>;
    /// For how many more there is room.
    fn room(&self) -> Room;
}

/// The exchange of credentials with one peer.
#[derive(Debug, Clone, Default)]
pub struct Introduction {
    /// What the peer has, or will have when everything arrives; none before it said anything.
    theirs: Option<BTreeSet<CredentialId>>,
    /// What the peer has and there is no room for here, as long as nothing else is learnt.
    refused: BTreeSet<CredentialId>,
    backoff: Backoff,
}

impl Introduction {
    /// Does what an input asks for.
    ///
    /// # Errors
    /// [`IntroductionError`]: drop the peer.
    pub fn handle(
        &mut self,
        input: IntroductionInput,
        here: &impl Acquaintance,
        now: Timestamp,
    ) -> Result<Vec<IntroductionEffect>, IntroductionError> {
        let mut effects = Vec::new();
        match input {
            IntroductionInput::Opened => {
                *self = Self::default();
                effects.push(ids(here, false));
            }
            IntroductionInput::Message(Acquaint::Ids { ids: theirs, answer }) => {
                if theirs.len() > MOST_CREDENTIALS {
                    return Err(IntroductionError::TooMany);
                }
                self.backoff.heard();
                self.theirs = Some(theirs.into_iter().collect());
                effects.extend(self.missing(here));
                if answer {
                    effects.push(ids(here, false));
                }
            }
            IntroductionInput::Message(Acquaint::Credentials(all)) => {
                self.backoff.heard();
                let own: BTreeSet<CredentialId> = here.ids().into_iter().collect();
                let mut fresh = Vec::new();
                for bytes in all {
                    let credential = Credential::decode(&bytes)
                        .and_then(Credential::verify)
                        .map_err(|_| IntroductionError::Credential)?;
                    if let Some(theirs) = &mut self.theirs {
                        theirs.insert(credential.id());
                    }
                    if !own.contains(&credential.id()) {
                        fresh.push(credential);
                    }
                }
                let (learnt, refused) = here.room().fit(fresh);
                self.refused.extend(refused.iter().map(|(id, _)| *id));
                if self.refused.len() > MOST_CREDENTIALS {
                    return Err(IntroductionError::TooMany);
                }
                if !learnt.is_empty() {
                    effects.push(IntroductionEffect::Learn(learnt));
                }
            }
            IntroductionInput::Grown => {
                // Whoever said it may be a device by now, or somebody may have cited it.
                self.refused.clear();
                effects.extend(self.missing(here));
            }
            IntroductionInput::Tick => {
                if self.backoff.is_due(now) {
                    self.backoff.again().ok_or(IntroductionError::Silent)?;
                    effects.push(ids(here, true));
                }
            }
        }
        self.backoff.wait(!self.is_settled(here), now, RETRY);
        Ok(effects)
    }

    /// When to say [`IntroductionInput::Tick`] if nothing happens before.
    #[must_use]
    pub const fn deadline(&self) -> Option<Timestamp> {
        self.backoff.deadline()
    }

    /// Whether everything that the peer has is here as well, as far as there is room for it.
    #[must_use]
    pub fn is_settled(&self, here: &impl Acquaintance) -> bool {
        self.theirs.as_ref().is_some_and(|theirs| {
            let own: BTreeSet<CredentialId> = here.ids().into_iter().collect();
            theirs.iter().all(|id| own.contains(id) || self.refused.contains(id))
        })
    }

    /// What the peer lacks, in messages of bounded size.
    fn missing(&mut self, here: &impl Acquaintance) -> Vec<IntroductionEffect> {
        let Some(theirs) = &mut self.theirs else { return Vec::new() };
        let (mut effects, mut batch, mut size) = (Vec::new(), Vec::new(), 0);
        for id in here.ids() {
            if theirs.contains(&id) {
                continue;
            }
            let Some(bytes) = here.bytes(&id) else { continue };
            theirs.insert(id);
            size += bytes.len();
            batch.push(bytes);
            if size > BATCH {
                effects.push(IntroductionEffect::Send(Acquaint::Credentials(std::mem::take(&mut batch))));
                size = 0;
            }
        }
        if !batch.is_empty() {
            effects.push(IntroductionEffect::Send(Acquaint::Credentials(batch)));
        }
        effects
    }
}

fn ids(here: &impl Acquaintance, answer: bool) -> IntroductionEffect {
    let ids = here.ids().into_iter().take(MOST_CREDENTIALS).collect();
    IntroductionEffect::Send(Acquaint::Ids { ids, answer })
}

#[derive(Clone, PartialEq, prost::Message)]
struct Wire {
    /// 32 bytes each.
    #[prost(bytes = "vec", optional, tag = "1")]
    ids: Option<Vec<u8>>,
    #[prost(bytes = "vec", repeated, tag = "2")]
    credentials: Vec<Vec<u8>>,
    #[prost(bool, tag = "3")]
    answer: bool,
}

impl Acquaint {
    /// The encoded message; it fits a frame.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Ids { ids, answer } => {
                let ids = ids.iter().flat_map(|id| *id.as_bytes()).collect();
                Wire { ids: Some(ids), credentials: Vec::new(), answer: *answer }
            }
            Self::Credentials(credentials) => {
                Wire { ids: None, credentials: credentials.clone(), answer: false }
            }
        }
        .encode_to_vec()
    }

    /// Reads an encoded message. What credentials are worth is for whoever takes them.
    ///
    /// # Errors
    /// [`WireError`]: drop the peer.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let no = WireError::new;
        if bytes.len() > LONGEST_FRAME {
            return Err(no("it is too long"));
        }
        let wire = Wire::decode(bytes).map_err(|_| no("it is no such message"))?;
        match (wire.ids, wire.credentials) {
            (Some(ids), credentials) if credentials.is_empty() => {
                let (ids, rest) = ids.as_chunks::<32>();
                let ids: Vec<CredentialId> = ids.iter().map(|id| CredentialId::from_bytes(*id)).collect();
                if rest.is_empty() && ids.is_sorted_by(|one, next| one < next) {
                    Ok(Self::Ids { ids, answer: wire.answer })
                } else {
                    Err(no("its ids are not in order"))
                }
            }
            (None, credentials) if !credentials.is_empty() => Ok(Self::Credentials(credentials)),
            _ => Err(no("it says nothing, or two things")),
        }
    }
}
