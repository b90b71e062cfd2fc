//! `WS /dxos`: the services that an unmodified `@dxos/client` 0.8.3 expects of its host.
//!
//! One binary WebSocket message is one `dxos.rpc.RpcMessage`. The access token comes as a subprotocol, which is
//! echoed. What an app sees is what its grant allows: the alias and not the identity unless the user said so, a
//! device key of its own, the spaces it made and those it was shown.
//!
//! The frames of a connection are handled in order and one at a time: clients send what depends on a
//! subscription right behind it.

mod peer;
mod proto;
mod services;
mod streams;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{Extension, State};
use axum::response::Response;
use data_encoding::{BASE64, BASE64_NOPAD};
use halo_wallet::Scope;
use http::{HeaderMap, StatusCode, header};

use crate::evidence::Caller;
use crate::openid::{Access, OAuthError, check_access};
use crate::state::Face;

/// What a subprotocol begins with that carries a token.
const BEARER: &str = "base64url.bearer.authorization.dxos.org.";
/// Largest frame: an update of several documents.
const FRAME: usize = 16 * 1024 * 1024;

/// A place among the open WebSockets.
struct Line(Arc<Face>);

impl Drop for Line {
    fn drop(&mut self) {
        self.0.sockets.fetch_sub(1, Ordering::AcqRel);
    }
}

/// `GET /dxos`, upgraded.
pub(crate) async fn connect(
    State(face): State<Arc<Face>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Result<Response, OAuthError> {
    let (protocol, token) = token_in(&headers)
        .ok_or_else(|| OAuthError::new("invalid_token", "there is no access token in the subprotocol"))?;
    let access = check_access(&face, &caller, &token, None)?;
    let scopes = face.wallet.snapshot().grants.get(access.grant()).map(|grant| grant.scopes.clone());
    if !scopes.is_some_and(|scopes| scopes.contains(&Scope::Spaces)) {
        return Err(OAuthError::new("insufficient_scope", "this needs the scope halo:spaces"));
    }
    if face.sockets.fetch_add(1, Ordering::AcqRel) >= face.limits.sockets {
        face.sockets.fetch_sub(1, Ordering::AcqRel);
        return Err(OAuthError::status(StatusCode::SERVICE_UNAVAILABLE, "too many lines are open"));
    }
    let line = Line(Arc::clone(&face));
    let upgrade = upgrade.protocols([protocol]).max_message_size(FRAME).max_frame_size(FRAME);
    Ok(upgrade.on_upgrade(move |socket| async move {
        peer::serve(&face, &access, socket).await;
        drop(line);
    }))
}

/// The subprotocol that carries a token, and the token. Despite its name it is plain base64, cut of its `=`.
fn token_in(headers: &HeaderMap) -> Option<(String, String)> {
    let offered = headers.get(header::SEC_WEBSOCKET_PROTOCOL)?.to_str().ok()?;
    offered.split(',').map(str::trim).find_map(|protocol| {
        let encoded = protocol.strip_prefix(BEARER)?;
        let bytes = BASE64_NOPAD
            .decode(encoded.as_bytes())
            .or_else(|_| BASE64.decode(encoded.as_bytes()))
            .ok()
            .filter(|bytes| bytes.len() <= 1024)?;
        Some((protocol.to_owned(), String::from_utf8(bytes).ok()?))
    })
}

/// The grant of a connection.
type Grant = Access;
