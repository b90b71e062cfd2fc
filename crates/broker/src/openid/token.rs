//! `/token`: turns a code, an approved back-channel request or a refresh token into tokens.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use halo_wallet::{Exchange, GrantId, Outcome, TokenRequest, Tokens};
use http::{HeaderMap, Method};
use serde_json::json;
use zeroize::Zeroizing;

use super::access::{self, Access};
use super::attempt::{self, Progress, Way};
use super::backchannel::INTERVAL;
use super::client::Client;
use super::code::Taken;
use super::contact::Contact;
use super::dpop;
use super::error::OAuthError;
use super::params::Params;
use crate::clock;
use crate::evidence::{Caller, Source};
use crate::limits::lock;
use crate::secret::{digest_base64, same};
use crate::state::Face;

/// Who stands at the counter.
struct Customer {
    client: Client,
    source: Source,
    instance: Option<String>,
}

/// What is to be issued.
struct Order {
    grant: Option<GrantId>,
    nonce: Option<String>,
    auth_req_id: Option<String>,
    exchange: Exchange,
    session: u64,
    contact: Option<Contact>,
}

/// `POST /token`.
pub(super) async fn token(
    State(face): State<Arc<Face>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, OAuthError> {
    let params = Params::of_form(&headers, &body)?;
    let instance = dpop::instance(&face, &caller, &headers, &Method::POST, "/token", None)?;
    let client = Client::of(&caller, params.get("client_id"))?;
    let source = caller.source().ok_or_else(|| {
        OAuthError::new("unauthorized_client", "the program behind this connection could not be found")
    })?;
    if !face.is_open() {
        return Err(OAuthError::locked());
    }
    let customer = Customer { client, source, instance };
    let order = match params.need("grant_type")? {
        "authorization_code" => by_code(&face, &params, &customer).await?,
        "urn:openid:params:grant-type:ciba" => by_request(&face, &params, &customer)?,
        "refresh_token" => by_refresh(&face, &params)?,
        _ => {
            return Err(OAuthError::new(
                "unsupported_grant_type",
                "grant_type is not one of this provider's",
            ));
        }
    };
    issue(&face, customer, order).await
}

async fn by_code(face: &Arc<Face>, params: &Params, customer: &Customer) -> Result<Order, OAuthError> {
    let text = params.need("code")?;
    let verifier = params.need("code_verifier")?;
    let taken = lock(&face.openid.codes).take(text);
    let code = match taken {
        Taken::Fresh(code) => code,
        Taken::Again(session) => {
            face.note(Some(customer.client.id.clone()), "an authorization code was used twice").await;
            end_session(face, session).await;
            return Err(OAuthError::invalid_grant("the code was used before; what it gave is taken back"));
        }
        Taken::Unknown => return Err(OAuthError::invalid_grant("the code is not known, or too old")),
    };
    let verifier_fits =
        (43..=128).contains(&verifier.len()) && same(&digest_base64(verifier.as_bytes()), &code.challenge);
    if !verifier_fits {
        return Err(OAuthError::invalid_grant("code_verifier does not fit code_challenge"));
    }
    if code.client != customer.client {
        return Err(OAuthError::invalid_grant("the code is another client's"));
    }
    // OAuth 2.1 lets it go; OAuth 2.0 clients send it, and then it must be the same.
    if params.get("redirect_uri").is_some_and(|uri| uri != code.redirect_uri) {
        return Err(OAuthError::invalid_grant("redirect_uri is another than before"));
    }
    if code.key.is_some() && code.key != customer.instance {
        return Err(OAuthError::invalid_grant("the code is bound to another DPoP key"));
    }
    let elsewhere = code.source.as_ref().is_some_and(|source| *source != customer.source)
        || matches!((&code.program, &customer.source), (Some(shown), Source::Program(path)) if shown != path);
    if elsewhere {
        return Err(OAuthError::invalid_grant("the code was asked for from elsewhere"));
    }
    Ok(Order {
        grant: Some(code.grant),
        nonce: code.nonce,
        auth_req_id: None,
        exchange: Exchange::Fresh,
        session: code.session,
        contact: code.contact,
    })
}

fn by_request(face: &Face, params: &Params, customer: &Customer) -> Result<Order, OAuthError> {
    let id = params.need("auth_req_id")?;
    let now = clock::now();
    let mut attempts = lock(&face.openid.attempts);
    let attempt = attempts
        .get_mut(id)
        .filter(|attempt| {
            matches!(attempt.way, Way::BackChannel)
                && attempt.wish.client == customer.client
                && attempt.source.as_ref() == Some(&customer.source)
        })
        .ok_or_else(|| OAuthError::invalid_grant("auth_req_id is not known, or too old"))?;
    if attempt.wish.instance.is_some() && attempt.wish.instance != customer.instance {
        return Err(OAuthError::invalid_grant("the request is bound to another DPoP key"));
    }
    let grant = match attempt.progress() {
        Progress::New | Progress::Waiting | Progress::Unavailable(_) => {
            // A fifth of tolerance: timers of clients are not exact.
            let hasty = attempt
                .polled
                .is_some_and(|last| now.as_millis().saturating_sub(last.as_millis()) < INTERVAL * 800);
            attempt.polled = Some(now);
            return Err(if hasty {
                OAuthError::new("slow_down", "wait for the interval between two polls")
            } else {
                OAuthError::new("authorization_pending", "the user has not answered yet")
            });
        }
        Progress::Over(Outcome::Approved(grant)) => grant,
        Progress::Over(outcome) => {
            attempts.remove(id);
            return Err(attempt::refusal(&outcome, "expired_token"));
        }
        Progress::Failed(error) => {
            attempts.remove(id);
            return Err(OAuthError::new(error, "the wallet could not ask"));
        }
    };
    let attempt = attempts.remove(id).ok_or_else(|| OAuthError::invalid_grant("auth_req_id is used up"))?;
    Ok(Order {
        grant: Some(grant),
        nonce: attempt.wish.nonce.clone(),
        auth_req_id: Some(attempt.id.clone()),
        exchange: Exchange::Fresh,
        session: lock(&face.openid.sessions).begin(),
        contact: attempt.contact.clone(),
    })
}

fn by_refresh(face: &Face, params: &Params) -> Result<Order, OAuthError> {
    let token = params.need("refresh_token")?;
    let mut sessions = lock(&face.openid.sessions);
    let session = sessions.of_refresh(token).unwrap_or_else(|| sessions.begin());
    Ok(Order {
        grant: None,
        // For the proof: a backend gives out a nonce whenever it wants to see one, not only at the first sign-in.
        nonce: params.short("nonce", 512)?.map(str::to_owned),
        auth_req_id: None,
        exchange: Exchange::Refresh(Zeroizing::new(token.to_owned())),
        session,
        contact: None,
    })
}

async fn issue(face: &Arc<Face>, customer: Customer, order: Order) -> Result<Response, OAuthError> {
    let Customer { client, source, instance } = customer;
    let binding = source.binding(instance.as_deref()).ok_or_else(|| {
        OAuthError::new("unauthorized_client", "this platform does not say who asks: use DPoP")
    })?;
    let refreshing = matches!(order.exchange, Exchange::Refresh(_));
    let issued = face
        .wallet
        .issue(TokenRequest {
            grant: order.grant,
            client_id: client.id.clone(),
            kind: client.kind,
            issuer: face.address.issuer(),
            nonce: order.nonce,
            auth_req_id: order.auth_req_id,
            binding,
            exchange: order.exchange,
        })
        .await;
    let tokens = match issued {
        Ok(tokens) => tokens,
        Err(error) => {
            if refreshing && matches!(error, halo_wallet::WalletError::SessionOver) {
                end_session(face, order.session).await;
            }
            return Err(error.into());
        }
    };
    let access = Access {
        session: order.session,
        grant: tokens.grant.clone(),
        client: client.clone(),
        source,
        instance: instance.clone(),
        expires: clock::now().plus(access::LIFE),
    };
    let inserted = lock(&face.openid.sessions).insert(access, &tokens.refresh_token)?;
    let Some(access_token) = inserted.map(Zeroizing::new) else {
        // The code came a second time while these were made.
        face.wallet.revoke_refresh(&client.id, &tokens.refresh_token).await?;
        return Err(OAuthError::invalid_grant("the session was ended"));
    };
    Ok(answer(&access_token, &tokens, instance.is_some(), order.contact.as_ref()))
}

fn answer(access_token: &str, tokens: &Tokens, bound: bool, contact: Option<&Contact>) -> Response {
    let mut answer = json!({
        "access_token": access_token,
        "token_type": if bound { "DPoP" } else { "Bearer" },
        "expires_in": access::LIFE.as_secs(),
        "refresh_token": tokens.refresh_token.as_str(),
        "id_token": tokens.id_token,
        "proof": tokens.proof,
        "scope": tokens.scope,
    });
    if let Some(contact) = contact {
        contact.open(&mut answer);
    }
    axum::Json(answer).into_response()
}

/// Ends a session here and in the store.
pub(super) async fn end_session(face: &Face, session: u64) {
    let ended = lock(&face.openid.sessions).end(session);
    if let Some((client_id, refresh)) = ended
        && let Err(error) = face.wallet.revoke_refresh(&client_id, &refresh).await
    {
        tracing::warn!(%error, "a session could not be ended in the store");
    }
}
