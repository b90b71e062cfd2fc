//! The back channel (OpenID CIBA, poll mode): the app asks, the wallet prompts, the app fetches the answer.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method};
use serde_json::json;

use super::attempt::{self, Attempt, PUSH_LIFE, Way};
use super::client::Client;
use super::contact::Contact;
use super::dpop;
use super::error::OAuthError;
use super::params::Params;
use super::sign_in::Wish;
use crate::evidence::Caller;
use crate::limits::lock;
use crate::state::Face;

/// Seconds between two polls. Short: it is all on one machine.
pub(super) const INTERVAL: u64 = 1;

/// `POST /bc-authorize`.
pub(super) async fn ask(
    State(face): State<Arc<Face>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, OAuthError> {
    let params = Params::of_form(&headers, &body)?;
    let instance = dpop::instance(&face, &caller, &headers, &Method::POST, "/bc-authorize", None)?;
    let client = Client::of(&caller, params.get("client_id"))?;
    // There is one user here, so a hint is welcome and needless; two would contradict each other.
    let hints = ["login_hint", "login_hint_token", "id_token_hint"];
    if hints.into_iter().filter(|name| params.get(name).is_some()).count() > 1 {
        return Err(OAuthError::invalid_request("there is more than one hint"));
    }
    let wish = Wish::read(&params, client, instance)?;
    let asker = wish.client.asker(
        &caller,
        caller.process().cloned(),
        wish.claimed_name.clone(),
        wish.instance.clone(),
    );
    let commitment = params.get("halo_commitment").map(str::to_owned);
    if commitment.is_some() && wish.instance.is_none() {
        return Err(OAuthError::invalid_proof("halo_commitment needs a DPoP proof"));
    }
    let client_id = wish.client.id.clone();
    let expires_in = wish.patience.as_secs();
    let mut attempt =
        Attempt::new(wish, Way::BackChannel, asker, caller.source(), caller.is_unsure(), PUSH_LIFE)?;
    let id = attempt.id.clone();
    let mut answer = json!({"auth_req_id": id, "expires_in": expires_in, "interval": INTERVAL});
    let first_contact = commitment.is_some();
    if let Some(commitment) = commitment {
        let contact = Contact::offer(&face, &client_id, &commitment).await?;
        contact.announce(&id, &mut answer);
        attempt.contact = Some(contact);
    }
    lock(&face.openid.attempts).insert(attempt);
    if !first_contact {
        attempt::ask(&face, &id).await?;
    }
    Ok(axum::Json(answer).into_response())
}
