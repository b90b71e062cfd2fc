//! Authorization codes: a minute, one use.
//!
//! A code that comes a second time was stolen by one of the two who brought it, so everything it gave is
//! taken back (RFC 6749 §4.1.2). A wrong PKCE verifier uses the code up as well.

use std::collections::HashMap;
use std::time::Duration;

use halo_protocol::Timestamp;
use halo_wallet::{GrantId, Snapshot};

use super::client::Client;
use super::contact::Contact;
use super::error::OAuthError;
use crate::clock;
use crate::evidence::Source;
use crate::secret::{Digest32, digest, make_token};

const LIFE: Duration = Duration::from_secs(60);
/// How long a used code is remembered, in order to notice it again.
const REMEMBERED: Duration = Duration::from_secs(10 * 60);
const MOST: usize = 1_024;

/// What a code stands for.
pub(super) struct Code {
    pub(super) client: Client,
    pub(super) grant: GrantId,
    pub(super) redirect_uri: String,
    pub(super) challenge: String,
    pub(super) nonce: Option<String>,
    /// The DPoP key it is bound to.
    pub(super) key: Option<String>,
    /// Where the request was pushed from; only there it works.
    pub(super) source: Option<Source>,
    /// Executable of the program that the user saw.
    pub(super) program: Option<String>,
    pub(super) contact: Option<Contact>,
    /// What it gives belongs to this session.
    pub(super) session: u64,
}

/// What became of a code that came.
pub(super) enum Taken {
    /// The first time.
    Fresh(Box<Code>),
    /// Again: the session it began must end.
    Again(u64),
    /// Never made, or too old.
    Unknown,
}

#[derive(Default)]
pub(super) struct Codes {
    fresh: HashMap<Digest32, (Code, Timestamp)>,
    used: HashMap<Digest32, (u64, Timestamp)>,
}

impl Codes {
    pub(super) fn insert(&mut self, code: Code) -> Result<String, OAuthError> {
        let now = clock::now();
        self.expire(now);
        if self.fresh.len() >= MOST {
            let oldest = self.fresh.iter().min_by_key(|(_, (_, until))| *until).map(|(name, _)| *name);
            if let Some(oldest) = oldest {
                self.fresh.remove(&oldest);
            }
        }
        let text = make_token()?;
        self.fresh.insert(digest(text.as_bytes()), (code, now.plus(LIFE)));
        Ok(text)
    }

    /// Uses a code up.
    pub(super) fn take(&mut self, text: &str) -> Taken {
        let now = clock::now();
        let name = digest(text.as_bytes());
        if let Some((session, _)) = self.used.get(&name) {
            return Taken::Again(*session);
        }
        let Some((code, until)) = self.fresh.remove(&name) else { return Taken::Unknown };
        if until <= now {
            return Taken::Unknown;
        }
        if self.used.len() >= MOST {
            let oldest = self.used.iter().min_by_key(|(_, (_, until))| *until).map(|(name, _)| *name);
            if let Some(oldest) = oldest {
                self.used.remove(&oldest);
            }
        }
        self.used.insert(name, (code.session, now.plus(REMEMBERED)));
        Taken::Fresh(Box::new(code))
    }

    pub(super) fn expire(&mut self, now: Timestamp) {
        self.fresh.retain(|_, (_, until)| now < *until);
        self.used.retain(|_, (_, until)| now < *until);
    }

    pub(super) fn forget(&mut self, grant: &GrantId) {
        self.fresh.retain(|_, (code, _)| code.grant != *grant);
    }

    /// Used codes are remembered over a lock: they must not begin to look unknown.
    pub(super) fn clear(&mut self) {
        self.fresh.clear();
    }

    pub(super) fn keep_only(&mut self, snapshot: &Snapshot) {
        self.fresh.retain(|_, (code, _)| snapshot.grants.contains_key(&code.grant));
    }
}
