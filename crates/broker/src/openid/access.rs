//! Access tokens, and which of them belong together.
//!
//! Access tokens live in memory, ten minutes, and only as hashes. A session is what one sign-in gave: its
//! access tokens and its line of refresh tokens. It ends as a whole, when the app signs out, when a code or a
//! refresh token comes twice, when the grant is revoked, and when the wallet locks.

use std::collections::HashMap;
use std::time::Duration;

use halo_protocol::Timestamp;
use halo_wallet::{GrantId, Snapshot};
use tokio::sync::watch;
use zeroize::Zeroizing;

use super::client::Client;
use super::error::OAuthError;
use crate::clock;
use crate::evidence::Source;
use crate::secret::{Digest32, digest, make_token};

/// How long an access token works.
pub(super) const LIFE: Duration = Duration::from_secs(10 * 60);
/// How long a token that is past its time is told from one that was taken back.
const LATE: Duration = Duration::from_secs(60);
const MOST_TOKENS: usize = 4_096;
const MOST_LINES: usize = 4_096;
/// How long a session that has ended is remembered, should an answer for it still be on its way.
const REMEMBERED: Duration = Duration::from_secs(10 * 60);

/// What an access token stands for.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    pub(super) session: u64,
    pub(super) grant: GrantId,
    pub(super) client: Client,
    /// Where it works.
    pub(super) source: Source,
    /// The DPoP key it is bound to.
    pub(super) instance: Option<String>,
    pub(super) expires: Timestamp,
}

impl Access {
    /// The grant behind it.
    pub(crate) const fn grant(&self) -> &GrantId {
        &self.grant
    }
}

/// The refresh tokens of one session that this process has seen.
struct Line {
    session: u64,
    latest: Zeroizing<String>,
    client_id: String,
}

pub(super) struct Sessions {
    next: u64,
    tokens: HashMap<Digest32, Access>,
    /// From the hash of every refresh token seen to its session.
    seen: HashMap<Digest32, u64>,
    lines: HashMap<u64, Line>,
    ended: HashMap<u64, Timestamp>,
    changed: watch::Sender<u64>,
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            next: 0,
            tokens: HashMap::new(),
            seen: HashMap::new(),
            lines: HashMap::new(),
            ended: HashMap::new(),
            changed: watch::Sender::new(0),
        }
    }
}

impl Sessions {
    /// Names a new session.
    pub(super) fn begin(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// The session of a refresh token, as far as this process knows.
    pub(super) fn of_refresh(&self, token: &str) -> Option<u64> {
        self.seen.get(&digest(token.as_bytes())).copied()
    }

    /// The same, if it is a session of `client`.
    pub(super) fn of_refresh_of(&self, token: &str, client: &Client) -> Option<u64> {
        self.of_refresh(token)
            .filter(|session| self.lines.get(session).is_some_and(|line| line.client_id == client.id))
    }

    /// Adds an access token and the refresh token that came with it; `None` if the session has ended meanwhile.
    pub(super) fn insert(
        &mut self,
        access: Access,
        refresh: &Zeroizing<String>,
    ) -> Result<Option<String>, OAuthError> {
        if self.ended.contains_key(&access.session) {
            return Ok(None);
        }
        make_room(&mut self.tokens, MOST_TOKENS, |access| access.expires);
        if self.lines.len() >= MOST_LINES && !self.lines.contains_key(&access.session) {
            // Without its line a session still ends with its grant; only its access tokens live to their end.
            if let Some(first) = self.lines.values().map(|line| line.session).min() {
                self.lines.remove(&first);
                self.seen.retain(|_, session| *session != first);
            }
        }
        if self.seen.len() >= 4 * MOST_LINES {
            let lines = &self.lines;
            self.seen.retain(|name, session| {
                lines.get(session).is_some_and(|line| *name == digest(line.latest.as_bytes()))
            });
        }
        self.seen.insert(digest(refresh.as_bytes()), access.session);
        let line =
            Line { session: access.session, latest: refresh.clone(), client_id: access.client.id.clone() };
        self.lines.insert(access.session, line);
        let token = make_token()?;
        self.tokens.insert(digest(token.as_bytes()), access);
        Ok(Some(token))
    }

    /// What a token stands for, if it is still good.
    pub(super) fn get(&self, token: &str) -> Option<&Access> {
        self.tokens.get(&digest(token.as_bytes())).filter(|access| clock::now() < access.expires)
    }

    /// Whether a token is known but past its time.
    pub(super) fn is_late(&self, token: &str) -> bool {
        self.tokens.get(&digest(token.as_bytes())).is_some_and(|access| access.expires <= clock::now())
    }

    /// Ends a session; returns the client and refresh token by which the wallet ends it, too.
    pub(super) fn end(&mut self, session: u64) -> Option<(String, Zeroizing<String>)> {
        self.tokens.retain(|_, access| access.session != session);
        self.ended.insert(session, clock::now().plus(REMEMBERED));
        self.seen.retain(|_, other| *other != session);
        self.tell();
        self.lines.remove(&session).map(|line| (line.client_id, line.latest))
    }

    /// Whether a session has ended before its time.
    pub(super) fn has_ended(&self, session: u64) -> bool {
        self.ended.contains_key(&session)
    }

    /// Apps that have tokens which work from `source`.
    pub(super) fn clients_of(&self, source: &Source) -> Vec<String> {
        self.tokens
            .values()
            .filter(|access| access.source == *source)
            .map(|access| access.client.id.clone())
            .collect()
    }

    /// Changes whenever a token stops working before its time.
    pub(super) fn follow(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    pub(super) fn expire(&mut self, now: Timestamp) {
        // Kept a little longer, so that a line can say "expired".
        self.tokens.retain(|_, access| now < access.expires.plus(LATE));
        self.ended.retain(|_, until| now < *until);
    }

    pub(super) fn forget(&mut self, grant: &GrantId) {
        self.tokens.retain(|_, access| access.grant != *grant);
        self.tell();
    }

    pub(super) fn clear(&mut self) {
        self.tokens.clear();
        self.seen.clear();
        self.lines.clear();
        self.tell();
    }

    pub(super) fn keep_only(&mut self, snapshot: &Snapshot) {
        let before = self.tokens.len();
        self.tokens.retain(|_, access| snapshot.grants.contains_key(&access.grant));
        if self.tokens.len() != before {
            self.tell();
        }
    }

    fn tell(&self) {
        self.changed.send_modify(|changes| *changes = changes.wrapping_add(1));
    }
}

fn make_room<T>(table: &mut HashMap<Digest32, T>, most: usize, until: impl Fn(&T) -> Timestamp) {
    if table.len() >= most {
        let soonest = table.iter().min_by_key(|(_, entry)| until(entry)).map(|(name, _)| *name);
        if let Some(soonest) = soonest {
            table.remove(&soonest);
        }
    }
}
