//! First contact of an app on the SDK: three words that only the two true ends can agree on.
//!
//! Somebody may sit between page and wallet, on our port (KeePassXC #9393) or as a relay. Both ends commit to
//! a random number before either shows one, and derive three words from everything that was said. Whoever
//! sits between has a different conversation with each side, and had to choose both before seeing the other's
//! number: the words agree by chance only. The user picks the page's words among four triples; the prompt is
//! not queued before the app has shown its number.
//!
//! The attack that remains: one chance in the number of triples, at most once a prompt, and a wrong pick
//! counts as a no.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use data_encoding::BASE64URL_NOPAD;
use halo_protocol::presentation::thumbprint;
use halo_protocol::words::{FirstContact, words};
use halo_wallet::Comparison;
use http::{HeaderMap, Method};
use serde::Deserialize;
use serde_json::{Value, json};

use super::attempt::{self, Attempt};
use super::error::OAuthError;
use super::{dpop, jwk};
use crate::evidence::Caller;
use crate::limits::lock;
use crate::secret::{digest_base64, make_bytes, same};
use crate::state::Face;

/// The wallet's half of a first contact.
#[derive(Debug, Clone)]
pub(super) struct Contact {
    app_commitment: String,
    wallet_key: Value,
    salt: [u8; 32],
    wallet_commitment: String,
    wallet_nonce: String,
}

impl Contact {
    /// Commits to the wallet's key for this app.
    pub(super) async fn offer(
        face: &Face,
        client_id: &str,
        app_commitment: &str,
    ) -> Result<Self, OAuthError> {
        let valid = BASE64URL_NOPAD.decode(app_commitment.as_bytes()).is_ok_and(|bytes| bytes.len() == 32);
        if !valid {
            return Err(OAuthError::invalid_request("halo_commitment is not a SHA-256 in base64url"));
        }
        let key = face.wallet.client_key(client_id).await?;
        let salt = make_bytes()?;
        let mut committed = salt.to_vec();
        committed.extend_from_slice(&thumbprint(&key));
        Ok(Self {
            app_commitment: app_commitment.to_owned(),
            wallet_key: jwk::public(&key),
            salt,
            wallet_commitment: digest_base64(&committed),
            wallet_nonce: BASE64URL_NOPAD.encode(&make_bytes()?),
        })
    }

    /// Adds to an answer what the app needs to reveal.
    pub(super) fn announce(&self, attempt_id: &str, answer: &mut Value) {
        put(answer, "request_id", attempt_id.into());
        put(answer, "halo_wallet_commitment", self.wallet_commitment.as_str().into());
        put(answer, "halo_wallet_nonce", self.wallet_nonce.as_str().into());
    }

    /// Adds to a token answer what the app needs to check the wallet's commitment, and to pin its key.
    pub(super) fn open(&self, answer: &mut Value) {
        put(answer, "halo_wallet_key", self.wallet_key.clone());
        put(answer, "halo_wallet_salt", BASE64URL_NOPAD.encode(&self.salt).into());
    }

    /// The words of both ends, now that the app has shown its number.
    fn words(&self, attempt: &Attempt, app_nonce: &str) -> Result<[String; 3], OAuthError> {
        if !same(&digest_base64(app_nonce.as_bytes()), &self.app_commitment) {
            return Err(OAuthError::invalid_request("app_nonce is not what halo_commitment committed to"));
        }
        let Some(instance) = &attempt.wish.instance else {
            return Err(OAuthError::invalid_proof("a first contact needs a DPoP key"));
        };
        let contact = FirstContact {
            client_id: &attempt.wish.client.id,
            app_jkt: instance,
            app_nonce,
            wallet_commitment: &self.wallet_commitment,
            wallet_nonce: &self.wallet_nonce,
            request_id: &attempt.id,
        };
        Ok(words(&contact.transcript()).map(str::to_owned))
    }
}

fn put(answer: &mut Value, name: &str, value: Value) {
    if let Some(members) = answer.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
}

#[derive(Deserialize)]
struct Reveal {
    request_id: String,
    app_nonce: String,
}

/// `POST /halo/reveal`: the app shows its number; only now the user is asked.
pub(super) async fn reveal(
    State(face): State<Arc<Face>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, OAuthError> {
    let instance = dpop::instance(&face, &caller, &headers, &Method::POST, "/halo/reveal", None)?
        .ok_or_else(|| OAuthError::invalid_proof("a first contact needs a DPoP proof"))?;
    let reveal: Reveal = serde_json::from_slice(&body)
        .map_err(|_| OAuthError::invalid_request("the body must be {request_id, app_nonce}"))?;
    if !(16..=256).contains(&reveal.app_nonce.len()) {
        return Err(OAuthError::invalid_request("app_nonce must have 16 to 256 bytes"));
    }
    {
        let mut attempts = lock(&face.openid.attempts);
        let attempt = attempts
            .get_mut(&reveal.request_id)
            .filter(|attempt| {
                attempt.source == caller.source() && attempt.wish.instance.as_ref() == Some(&instance)
            })
            .ok_or_else(|| OAuthError::invalid_request("there is no such request"))?;
        let Some(contact) = attempt.contact.clone().filter(|_| attempt.is_new()) else {
            return Err(OAuthError::invalid_request("this request has nothing to reveal"));
        };
        match contact.words(attempt, &reveal.app_nonce) {
            Ok(words) => attempt.comparison = Comparison::Picked(words),
            Err(error) => {
                // One try: whoever guesses has to begin anew.
                attempts.remove(&reveal.request_id);
                return Err(error);
            }
        }
    }
    attempt::ask(&face, &reveal.request_id).await?;
    Ok(axum::Json(json!({ "request_id": reveal.request_id })).into_response())
}
