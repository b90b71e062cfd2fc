//! The redirect way: a small page, open while the user answers in the wallet, that returns by itself.
//!
//! Where the answer may go is checked before anything else; until then nobody is sent anywhere, and errors
//! are shown on a page. The page shows three words that stand in the prompt, too; an app on the SDK shows
//! words of its own, which mean more, so then the page only points to them.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Extension, RawQuery, State};
use axum::response::{IntoResponse, Response};
use halo_wallet::{AppKind, Comparison, Outcome, Process, State as WalletState};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;
use url::Url;

use super::attempt::{self, Attempt, Attempts, Back, PUSH_LIFE, Progress, Way};
use super::client::Client;
use super::code::Code;
use super::error::OAuthError;
use super::page::{self, Shown};
use super::par::{URN, redirect_way};
use super::params::Params;
use super::sign_in::Wish;
use crate::evidence::{Caller, Sender};
use crate::limits::lock;
use crate::secret::make_bytes;
use crate::state::Face;

/// A standing grant answers within this time, and then no page is needed.
const AT_ONCE: Duration = Duration::from_millis(50);
/// How long the page's question is kept open.
const LONG_POLL: Duration = Duration::from_secs(20);

/// Why the user is not asked.
enum Refusal {
    /// Said on a page: it is not known where else.
    Here(OAuthError),
    /// Said to the app.
    There(Box<Back>, OAuthError),
}

impl From<OAuthError> for Refusal {
    fn from(error: OAuthError) -> Self {
        Self::Here(error)
    }
}

/// `GET /authorize`.
pub(super) async fn authorize(
    State(face): State<Arc<Face>>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Response {
    match begin(&face, &caller, query.as_deref().unwrap_or_default()).await {
        Ok(response) => response,
        Err(Refusal::Here(error)) => page::refusal(&error),
        Err(Refusal::There(back, error)) => go(&answer(&face, &back, Err(&error))),
    }
}

async fn begin(face: &Arc<Face>, caller: &Caller, query: &str) -> Result<Response, Refusal> {
    let params = Params::parse(query.as_bytes())?;
    let id = match params.get("request_uri") {
        Some(uri) => {
            let attempts = lock(&face.openid.attempts);
            pushed(&attempts, uri, &params)?
        }
        None => directly(face, caller, &params).await?,
    };
    let (fresh, follow) = {
        let mut attempts = lock(&face.openid.attempts);
        let attempt = attempts.get_mut(&id).ok_or_else(gone)?;
        if attempt.is_new() && attempt.contact.is_some() {
            return Err(Refusal::Here(OAuthError::invalid_request(
                "the app has not revealed its number yet",
            )));
        }
        if attempt.is_new() && matches!(attempt.comparison, Comparison::None) {
            let words = halo_protocol::words::words(&make_bytes().map_err(OAuthError::from)?);
            attempt.comparison = Comparison::Shown(words.map(str::to_owned));
        }
        if attempt.is_new() && attempt.wish.quiet && !answers_silently(face, attempt) {
            let attempt = attempts.remove(&id).ok_or_else(gone)?;
            let error = OAuthError::new("interaction_required", "the user has to be asked");
            let Way::Redirect(redirect) = attempt.way else { return Err(gone().into()) };
            return Err(Refusal::There(Box::new(redirect.back), error));
        }
        (attempt.is_new(), attempt.follow())
    };
    if fresh {
        attempt::ask_patiently(face, &id)?;
    }
    let _ = settled(follow, AT_ONCE).await;
    let mut attempts = lock(&face.openid.attempts);
    if let Some(to) = finish(face, &mut attempts, &id)? {
        return Ok(go(&to));
    }
    let attempt = attempts.get_mut(&id).ok_or_else(gone)?;
    let secret = attempt.make_page()?;
    let words = match &attempt.comparison {
        Comparison::Shown(words) => Some(words.clone()),
        Comparison::Picked(_) | Comparison::None => None,
    };
    Ok(page::waiting(&Shown { client: &attempt.wish.client.id, words: words.as_ref(), secret: &secret }))
}

fn gone() -> OAuthError {
    OAuthError::invalid_request("there is no such request, or it is over: go back to the app and try again")
}

/// The attempt that a pushed request made.
fn pushed(attempts: &Attempts, uri: &str, params: &Params) -> Result<String, OAuthError> {
    let id = uri.strip_prefix(URN).ok_or_else(gone)?;
    let attempt =
        attempts.get(id).filter(|attempt| matches!(attempt.way, Way::Redirect(_))).ok_or_else(gone)?;
    if params.need("client_id")? != attempt.wish.client.id {
        return Err(OAuthError::invalid_request("the request was pushed by another client"));
    }
    Ok(id.to_owned())
}

/// Makes an attempt from the parameters of the address.
async fn directly(face: &Arc<Face>, caller: &Caller, params: &Params) -> Result<String, Refusal> {
    let client = match caller.sender {
        Sender::Approval => Client::parse(params.need("client_id")?)?,
        Sender::Page(_) | Sender::Program => Client::of(caller, params.get("client_id"))?,
    };
    let to = client.redirect(params.need("redirect_uri")?, face.address)?;
    // From here on the app can be told.
    let state = params.short("state", 2_048).ok().flatten().map(str::to_owned);
    let back = Back { to: to.clone(), state };
    let there = |error| Refusal::There(Box::new(back.clone()), error);
    let way = redirect_way(params, &client, face.address).map_err(there)?;
    // Nobody has proved to hold a key here, so no instance is known, whatever `dpop_jkt` says.
    let wish = Wish::read(params, client, None).map_err(there)?;
    let process = match wish.client.kind {
        AppKind::Web => caller.process().cloned(),
        AppKind::Native => listener(face, &to).await.or_else(|| {
            // The browser only carries the request; it is not the program that asks.
            caller.process().filter(|process| !process.browser).cloned()
        }),
    };
    let asker = wish.client.asker(caller, process, wish.claimed_name.clone(), None);
    let attempt = Attempt::new(wish, way, asker, None, caller.is_unsure(), PUSH_LIFE)?;
    let id = attempt.id.clone();
    lock(&face.openid.attempts).insert(attempt);
    Ok(id)
}

/// The program that waits for the answer of a native app.
async fn listener(face: &Arc<Face>, to: &Url) -> Option<Process> {
    let (kernel, port) = (Arc::clone(&face.kernel), to.port()?);
    tokio::task::spawn_blocking(move || kernel.listener(port)).await.ok()?
}

/// Whether a grant would answer without a prompt (`prompt=none`).
fn answers_silently(face: &Face, attempt: &Attempt) -> bool {
    let Some(instance) = &attempt.wish.instance else { return false };
    let snapshot = face.wallet.snapshot();
    snapshot.state == WalletState::Unlocked
        && !attempt.unsure
        && !attempt.asker.impostor
        && !attempt.wish.force_prompt
        && snapshot.grants.values().any(|grant| {
            grant.client_id == attempt.wish.client.id
                && grant.kind == attempt.wish.client.kind
                && grant.instances.contains(instance)
                && attempt.wish.scopes.iter().all(|scope| grant.scopes.contains(scope))
        })
}

/// Waits until an attempt has ended, at most `longest`.
async fn settled(mut follow: tokio::sync::watch::Receiver<Progress>, longest: Duration) -> bool {
    let over = follow.wait_for(|progress| matches!(progress, Progress::Over(_) | Progress::Failed(_)));
    tokio::time::timeout(longest, over).await.is_ok()
}

/// If the attempt has ended, takes it out and says where to send the browser.
fn finish(face: &Face, attempts: &mut Attempts, id: &str) -> Result<Option<Url>, OAuthError> {
    let progress = attempts.get(id).ok_or_else(gone)?.progress();
    let result = match progress {
        Progress::New | Progress::Waiting | Progress::Unavailable(_) => return Ok(None),
        Progress::Over(Outcome::Approved(grant)) => Ok(grant),
        Progress::Over(outcome) => Err(attempt::refusal(&outcome, "access_denied")),
        Progress::Failed(error) => Err(OAuthError::new(error, "the wallet could not ask")),
    };
    let attempt = attempts.remove(id).ok_or_else(gone)?;
    let Way::Redirect(redirect) = &attempt.way else { return Err(gone()) };
    let grant = match result {
        Ok(grant) => grant,
        Err(error) => return Ok(Some(answer(face, &redirect.back, Err(&error)))),
    };
    let program = match attempt.wish.client.kind {
        AppKind::Web => None,
        AppKind::Native => attempt.asker.process.as_ref().and_then(|process| process.path.clone()),
    };
    let session = lock(&face.openid.sessions).begin();
    let code = lock(&face.openid.codes).insert(Code {
        client: attempt.wish.client.clone(),
        grant,
        redirect_uri: redirect.written.clone(),
        challenge: redirect.challenge.clone(),
        nonce: attempt.wish.nonce.clone(),
        key: attempt.wish.instance.clone().or_else(|| redirect.code_key.clone()),
        source: attempt.source.clone(),
        program,
        contact: attempt.contact.clone(),
        session,
    })?;
    Ok(Some(answer(face, &redirect.back, Ok(&code))))
}

/// The address that tells the app (RFC 6749 §4.1.2; `iss` by RFC 9207).
fn answer(face: &Face, back: &Back, result: Result<&str, &OAuthError>) -> Url {
    let mut to = back.to.clone();
    {
        let mut query = to.query_pairs_mut();
        match result {
            Ok(code) => {
                query.append_pair("code", code);
            }
            Err(error) => {
                query.append_pair("error", error.error);
                query.append_pair("error_description", &error.description);
            }
        }
        if let Some(state) = &back.state {
            query.append_pair("state", state);
        }
        query.append_pair("iss", &face.address.issuer());
    }
    to
}

/// `GET /authorize/status`: asked by the page; answers when something has changed, or after a while.
pub(super) async fn status(
    State(face): State<Arc<Face>>,
    RawQuery(query): RawQuery,
) -> Result<Response, OAuthError> {
    let params = Params::parse(query.unwrap_or_default().as_bytes())?;
    let secret = params.need("request")?;
    let (id, mut follow) = {
        let attempts = lock(&face.openid.attempts);
        let attempt = attempts.of_page(secret).ok_or_else(gone)?;
        (attempt.id.clone(), attempt.follow())
    };
    let seen = params.get("seen").unwrap_or_default();
    let stopping = face.stopping.clone();
    tokio::select! {
        _ = tokio::time::timeout(LONG_POLL, follow.wait_for(|progress| name(progress) != seen)) => {}
        () = stopping.begun() => {}
    }
    let mut attempts = lock(&face.openid.attempts);
    // Another load of the page may have taken over meanwhile.
    if attempts.of_page(secret).is_none_or(|attempt| attempt.id != id) {
        return Err(gone());
    }
    if let Some(to) = finish(&face, &mut attempts, &id)? {
        return Ok(axum::Json(json!({"state": "done", "redirect": to.as_str()})).into_response());
    }
    let progress = attempts.get(&id).ok_or_else(gone)?.progress();
    Ok(axum::Json(json!({"state": name(&progress)})).into_response())
}

fn name(progress: &Progress) -> &'static str {
    match progress {
        Progress::New | Progress::Waiting => "waiting",
        Progress::Unavailable(WalletState::Empty) => "no_identity",
        Progress::Unavailable(_) => "locked",
        Progress::Over(_) | Progress::Failed(_) => "done",
    }
}

fn go(to: &Url) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    match HeaderValue::from_str(to.as_str()) {
        Ok(to) => {
            response.headers_mut().insert(header::LOCATION, to);
            response
        }
        Err(_) => page::refusal(&OAuthError::invalid_request("redirect_uri cannot be written in an answer")),
    }
}
