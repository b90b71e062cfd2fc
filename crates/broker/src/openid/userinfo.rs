//! `/userinfo`, and how an access token is checked.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, header};
use serde_json::json;

use super::access::Access;
use super::dpop;
use super::error::OAuthError;
use crate::evidence::Caller;
use crate::limits::lock;
use crate::state::Face;

/// `GET` or `POST /userinfo`: the claims that the user shared.
pub(super) async fn userinfo(
    State(face): State<Arc<Face>>,
    Extension(caller): Extension<Caller>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, OAuthError> {
    let access = resource(&face, &caller, &headers, &method, "/userinfo")?;
    let info = face.wallet.user_info(&access.grant).await.map_err(|error| match error {
        halo_wallet::WalletError::NotFound { .. } => refused("the grant is gone"),
        other => other.into(),
    })?;
    let mut claims = json!({"sub": info.sub});
    if let Some(claims) = claims.as_object_mut() {
        claims.extend(info.name.map(|name| ("name".to_owned(), name.into())));
        claims.extend(info.picture.map(|picture| ("picture".to_owned(), picture.into())));
    }
    Ok(axum::Json(claims).into_response())
}

fn refused(why: &'static str) -> OAuthError {
    OAuthError::new("invalid_token", why).challenging("Bearer")
}

/// Checks the token in `Authorization`.
pub(super) fn resource(
    face: &Arc<Face>,
    caller: &Caller,
    headers: &HeaderMap,
    method: &Method,
    path: &str,
) -> Result<Access, OAuthError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next().and_then(|value| value.to_str().ok()), values.next()) else {
        return Err(refused("there is no access token"));
    };
    let (scheme, token) = value.split_once(' ').ok_or_else(|| refused("there is no access token"))?;
    let token = token.trim();
    let instance = if scheme.eq_ignore_ascii_case("DPoP") {
        let proof = dpop::instance(face, caller, headers, method, path, Some(token))
            .map_err(|error| error.challenging("DPoP"))?;
        Some(proof.ok_or_else(|| OAuthError::invalid_proof("there is no proof").challenging("DPoP"))?)
    } else if scheme.eq_ignore_ascii_case("Bearer") {
        None
    } else {
        return Err(refused("that is no scheme of this provider"));
    };
    check(face, caller, token, instance.as_deref())
}

/// Checks that a token is good, here, now, and with this key.
pub(super) fn check(
    face: &Face,
    caller: &Caller,
    token: &str,
    instance: Option<&str>,
) -> Result<Access, OAuthError> {
    let checked = check_open(face, caller, token, instance);
    // Looked at last: a wallet that locks takes grants and tokens with it, and they are not gone for good.
    if face.is_open() { checked } else { Err(OAuthError::locked()) }
}

fn check_open(
    face: &Face,
    caller: &Caller,
    token: &str,
    instance: Option<&str>,
) -> Result<Access, OAuthError> {
    let access = lock(&face.openid.sessions).get(token).cloned();
    let access = access.ok_or_else(|| refused("the access token is not known, or over"))?;
    if access.instance.as_deref() != instance {
        return Err(refused("the access token is bound to a key").challenging("DPoP"));
    }
    if caller.source().as_ref() != Some(&access.source) {
        return Err(refused("the access token was given to somebody else"));
    }
    if !face.wallet.snapshot().grants.contains_key(&access.grant) {
        return Err(refused("the grant is gone"));
    }
    Ok(access)
}
