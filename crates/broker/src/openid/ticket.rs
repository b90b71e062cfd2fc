//! `/halo/ticket`: a token for one line.
//!
//! A WebSocket can carry a token in its subprotocol and no DPoP proof. So a session whose tokens are bound to a key asks
//! for a ticket with a proof, over HTTP; the ticket opens one line, from the same place, within a minute.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use halo_protocol::Timestamp;
use http::{HeaderMap, Method};
use serde_json::json;

use super::access::Access;
use super::error::OAuthError;
use super::userinfo;
use crate::clock;
use crate::evidence::Caller;
use crate::limits::lock;
use crate::secret::{Digest32, digest, make_token};
use crate::state::Face;

/// How long a ticket waits for its line.
const LIFE: Duration = Duration::from_secs(60);
const MOST: usize = 1_024;

/// Tickets that were not used yet, by their hash.
#[derive(Default)]
pub(super) struct Tickets(HashMap<Digest32, (Access, Timestamp)>);

impl Tickets {
    fn add(&mut self, access: Access) -> Result<String, OAuthError> {
        let now = clock::now();
        self.expire(now);
        if self.0.len() >= MOST {
            return Err(OAuthError::new("temporarily_unavailable", "too many tickets wait"));
        }
        let ticket = make_token()?;
        self.0.insert(digest(ticket.as_bytes()), (access, now.plus(LIFE)));
        Ok(ticket)
    }

    /// What a ticket stands for; it is gone then.
    fn take(&mut self, ticket: &str) -> Option<Access> {
        let (access, until) = self.0.remove(&digest(ticket.as_bytes()))?;
        (clock::now() < until).then_some(access)
    }

    pub(super) fn expire(&mut self, now: Timestamp) {
        self.0.retain(|_, (_, until)| now < *until);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// `POST /halo/ticket`, with an access token and, where that is bound to a key, a DPoP proof.
pub(super) async fn ticket(
    State(face): State<Arc<Face>>,
    Extension(caller): Extension<Caller>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, OAuthError> {
    let access = userinfo::resource(&face, &caller, &headers, &method, "/halo/ticket")?;
    let ticket = lock(&face.openid.tickets).add(access)?;
    Ok(axum::Json(json!({ "ticket": ticket, "expires_in": LIFE.as_secs() })).into_response())
}

/// Who opens a line: by an access token that is not bound to a key, or by a ticket.
pub(crate) fn check_line(face: &Face, caller: &Caller, token: &str) -> Result<Access, OAuthError> {
    let Some(access) = lock(&face.openid.tickets).take(token) else {
        return userinfo::check(face, caller, token, None);
    };
    // The ticket stands for a proof of the key; everything else is as it is now.
    let good = caller.source().as_ref() == Some(&access.source) && !is_over(face, &access);
    if !face.is_open() {
        return Err(OAuthError::locked());
    }
    good.then_some(access)
        .ok_or_else(|| OAuthError::new("invalid_token", "the ticket is not good (any more)"))
}

/// Whether the sign-in behind a line has ended, or its grant is gone.
pub(crate) fn is_over(face: &Face, access: &Access) -> bool {
    !face.wallet.snapshot().grants.contains_key(&access.grant)
        || lock(&face.openid.sessions).has_ended(access.session)
}

/// Changes whenever a sign-in may have ended.
pub(crate) fn endings(face: &Face) -> tokio::sync::watch::Receiver<u64> {
    lock(&face.openid.sessions).follow()
}
