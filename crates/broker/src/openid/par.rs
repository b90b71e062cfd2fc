//! Pushed requests (RFC 9126): the app says what it wants before the user is sent anywhere.
//!
//! The address that the browser remembers then names a request and tells nothing, and the request has the
//! evidence of who made it, which a navigation has not.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, StatusCode};
use serde_json::json;

use super::attempt::{Attempt, Back, PUSH_LIFE, Redirect, Way};
use super::client::Client;
use super::contact::Contact;
use super::dpop;
use super::error::OAuthError;
use super::params::Params;
use super::sign_in::Wish;
use crate::address::Address;
use crate::evidence::Caller;
use crate::limits::lock;
use crate::state::Face;

/// What a `request_uri` begins with.
pub(super) const URN: &str = "urn:ietf:params:oauth:request_uri:";

/// `POST /par`.
pub(super) async fn push(
    State(face): State<Arc<Face>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, OAuthError> {
    let params = Params::of_form(&headers, &body)?;
    let instance = dpop::instance(&face, &caller, &headers, &Method::POST, "/par", None)?;
    let client = Client::of(&caller, params.get("client_id"))?;
    if params.get("request_uri").is_some() {
        return Err(OAuthError::invalid_request("request_uri cannot be pushed"));
    }
    let way = redirect_way(&params, &client, face.address)?;
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
    let mut attempt = Attempt::new(wish, way, asker, caller.source(), caller.is_unsure(), PUSH_LIFE)?;
    let mut answer =
        json!({"request_uri": format!("{URN}{}", attempt.id), "expires_in": PUSH_LIFE.as_secs()});
    if let Some(commitment) = commitment {
        let contact = Contact::offer(&face, &client_id, &commitment).await?;
        contact.announce(&attempt.id, &mut answer);
        attempt.contact = Some(contact);
    }
    lock(&face.openid.attempts).insert(attempt);
    Ok((StatusCode::CREATED, axum::Json(answer)).into_response())
}

/// Reads what only the redirect way has.
pub(super) fn redirect_way(params: &Params, client: &Client, address: Address) -> Result<Way, OAuthError> {
    let written = params.need("redirect_uri")?;
    let to = client.redirect(written, address)?;
    if params.need("response_type")? != "code" {
        return Err(OAuthError::new("unsupported_response_type", "response_type must be code"));
    }
    if params.get("response_mode").is_some_and(|mode| mode != "query") {
        return Err(OAuthError::invalid_request("response_mode must be query"));
    }
    if params.need("code_challenge_method")? != "S256" {
        return Err(OAuthError::invalid_request("code_challenge_method must be S256"));
    }
    let challenge = params.need("code_challenge")?;
    let valid = challenge.len() == 43 && data_encoding::BASE64URL_NOPAD.decode(challenge.as_bytes()).is_ok();
    if !valid {
        return Err(OAuthError::invalid_request("code_challenge is not a SHA-256 in base64url"));
    }
    let code_key = params.short("dpop_jkt", 43)?.map(str::to_owned);
    let state = params.short("state", 2_048)?.map(str::to_owned);
    Ok(Way::Redirect(Box::new(Redirect {
        back: Back { to, state },
        written: written.to_owned(),
        challenge: challenge.to_owned(),
        code_key,
    })))
}
