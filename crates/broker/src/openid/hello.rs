//! `/halo/hello`: an app that was here before finds out whether this is the wallet it knows.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method};
use serde::Deserialize;
use serde_json::json;

use super::client::Client;
use super::dpop;
use super::error::OAuthError;
use crate::evidence::Caller;
use crate::state::Face;

#[derive(Deserialize)]
struct Hello {
    challenge: String,
    /// Programs say who they are; a page is its origin.
    #[serde(default)]
    client_id: Option<String>,
}

/// `POST /halo/hello`: answers the challenge of a known instance with the key that it has pinned.
///
/// Whoever is not known learns nothing, not even whether the app is.
pub(super) async fn hello(
    State(face): State<Arc<Face>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, OAuthError> {
    let instance = dpop::instance(&face, &caller, &headers, &Method::POST, "/halo/hello", None)?
        .ok_or_else(|| OAuthError::invalid_proof("there is no DPoP proof"))?;
    let hello: Hello = serde_json::from_slice(&body)
        .map_err(|_| OAuthError::invalid_request("the body must be {challenge}"))?;
    if !(16..=256).contains(&hello.challenge.len()) {
        return Err(OAuthError::invalid_request("challenge must have 16 to 256 bytes"));
    }
    let client = Client::of(&caller, hello.client_id.as_deref())?;
    if !face.is_open() {
        return Err(OAuthError::locked());
    }
    let snapshot = face.wallet.snapshot();
    let known = !caller.is_impostor()
        && snapshot.grants.values().any(|grant| {
            grant.client_id == client.id && grant.kind == client.kind && grant.instances.contains(&instance)
        });
    if !known {
        return Err(OAuthError::new("unknown_instance", "this instance has no grant"));
    }
    let token = face.wallet.hello(&client.id, &face.address.issuer(), &hello.challenge).await?;
    Ok(axum::Json(json!({ "token": token })).into_response())
}
