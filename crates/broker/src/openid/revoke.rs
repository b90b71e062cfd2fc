//! `/revoke` (RFC 7009): an app signs its user out.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};

use super::client::Client;
use super::error::OAuthError;
use super::params::Params;
use super::token::end_session;
use crate::evidence::Caller;
use crate::limits::lock;
use crate::state::Face;

/// `POST /revoke`: ends the session of a token. An unknown token is fine: it is over anyway.
pub(super) async fn revoke(
    State(face): State<Arc<Face>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, OAuthError> {
    let params = Params::of_form(&headers, &body)?;
    let client = Client::of(&caller, params.get("client_id"))?;
    let token = params.need("token")?;
    if !face.is_open() {
        return Err(OAuthError::locked());
    }
    let session = {
        let sessions = lock(&face.openid.sessions);
        let of_access = sessions
            .get(token)
            .filter(|access| access.client == client && Some(&access.source) == caller.source().as_ref());
        of_access.map(|access| access.session)
    };
    if let Some(session) = session {
        end_session(&face, session).await;
        return Ok(StatusCode::OK.into_response());
    }
    // The wallet checks that the token is this client's.
    let session = lock(&face.openid.sessions).of_refresh_of(token, &client);
    face.wallet.revoke_refresh(&client.id, token).await?;
    if let Some(session) = session {
        end_session(&face, session).await;
    }
    Ok(StatusCode::OK.into_response())
}
