//! A local OpenID Provider (OAuth 2.1): stock client libraries sign in with it unchanged.
//!
//! Two ways lead to the user: a redirect through [`authorize`] (code and PKCE, RFC 7636), and the back
//! channel of [`backchannel`] (CIBA, poll mode). Both make an [`attempt`], which waits for the user's answer; a
//! yes is a grant, and [`token`] turns it into tokens that work only from where they were asked for.
//!
//! All clients are public. What stands in for their secret is the evidence of who calls, PKCE, and a DPoP key
//! (RFC 9449) where the client has one.

mod access;
mod attempt;
mod authorize;
mod backchannel;
mod client;
mod code;
mod contact;
mod dpop;
mod error;
mod hello;
mod jwk;
mod live;
mod metadata;
mod page;
mod par;
mod params;
mod revoke;
mod sign_in;
mod ticket;
mod token;
mod userinfo;

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use halo_protocol::Timestamp;
use halo_wallet::{GrantId, Snapshot};
use http::StatusCode;

use crate::limits::lock;
use crate::state::Face;

use access::Sessions;
use attempt::Attempts;
use code::Codes;
use dpop::Seen;
use ticket::Tickets;

pub(crate) use access::Access;
pub(crate) use error::OAuthError;
pub(crate) use sign_in::PATIENCE;
pub(crate) use ticket::{check_line, endings, is_over};

/// What the provider remembers; all of it bounded, in memory, and gone when the wallet locks.
#[derive(Default)]
pub(crate) struct Openid {
    attempts: Mutex<Attempts>,
    codes: Mutex<Codes>,
    sessions: Mutex<Sessions>,
    seen: Mutex<Seen>,
    tickets: Mutex<Tickets>,
}

impl Openid {
    /// Drops what is too old.
    pub(crate) fn expire(&self, now: Timestamp) {
        lock(&self.attempts).expire(now);
        lock(&self.codes).expire(now);
        lock(&self.sessions).expire(now);
        lock(&self.seen).expire(now);
        lock(&self.tickets).expire(now);
    }

    /// A grant is gone.
    pub(crate) fn forget(&self, grant: &GrantId) {
        lock(&self.codes).forget(grant);
        lock(&self.sessions).forget(grant);
    }

    /// The wallet is locked. Attempts hear it from the wallet; proofs stay used.
    pub(crate) fn forget_all(&self) {
        lock(&self.codes).clear();
        lock(&self.sessions).clear();
        lock(&self.tickets).clear();
    }

    /// Drops what the snapshot does not vouch for.
    pub(crate) fn keep_only(&self, snapshot: &Snapshot) {
        lock(&self.codes).keep_only(snapshot);
        lock(&self.sessions).keep_only(snapshot);
    }
}

/// Every path of the broker.
pub(crate) fn router(face: Arc<Face>) -> Router {
    Router::new()
        .route("/.well-known/openid-configuration", get(metadata::openid_configuration))
        .route("/.well-known/oauth-authorization-server", get(metadata::openid_configuration))
        .route("/.well-known/halo", get(metadata::halo))
        .route("/authorize", get(authorize::authorize))
        .route("/authorize/status", get(authorize::status))
        .route("/authorize/page.js", get(page::script))
        .route("/authorize/page.css", get(page::style))
        .route("/par", post(par::push))
        .route("/bc-authorize", post(backchannel::ask))
        .route("/token", post(token::token))
        .route("/userinfo", get(userinfo::userinfo).post(userinfo::userinfo))
        .route("/jwks", get(jwk::jwks))
        .route("/revoke", post(revoke::revoke))
        .route("/halo", get(live::live))
        .route("/halo/ticket", post(ticket::ticket))
        .route("/halo/data", get(crate::native::connect))
        .route("/dxos", get(crate::dxos::connect))
        .route("/halo/reveal", post(contact::reveal))
        .route("/halo/hello", post(hello::hello))
        .fallback(|| async { OAuthError::status(StatusCode::NOT_FOUND, "there is nothing here") })
        .method_not_allowed_fallback(|| async {
            OAuthError::status(StatusCode::METHOD_NOT_ALLOWED, "this is asked in another way")
        })
        .layer(from_fn_with_state(Arc::clone(&face), crate::serve::gate))
        .with_state(face)
}

/// Reads any bytes as a form and as a DPoP proof, for `fuzz/`.
#[cfg(fuzzing)]
pub(crate) fn fuzz(bytes: &[u8]) {
    if let Ok(params) = params::Params::parse(bytes) {
        let _ = (params.get("client_id"), params.need("scope"), params.short("nonce", 64));
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = dpop::verify(text);
        if let Ok(jwk) = serde_json::from_str(text) {
            let _ = jwk::PublicJwk::read(&jwk).map(|key| key.thumbprint());
        }
    }
}
