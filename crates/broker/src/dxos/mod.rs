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

use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{Extension, State};
use axum::response::Response;
use http::HeaderMap;

use crate::evidence::Caller;
use crate::line::Line;
use crate::openid::{Access, OAuthError};
use crate::state::Face;

/// `GET /dxos`, upgraded.
pub(crate) async fn connect(
    State(face): State<Arc<Face>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Result<Response, OAuthError> {
    let line = Line::open(&face, &caller, &headers)?;
    Ok(line.upgrade(upgrade, |face, access, socket| async move { peer::serve(&face, &access, socket).await }))
}

/// Reads any bytes as a frame, for `fuzz/`.
#[cfg(fuzzing)]
pub(crate) fn fuzz(bytes: &[u8]) {
    use prost::Message;
    use proto::{
        Content, QueryRequest, RpcMessage, SubscribeRequest, UpdateRequest, UpdateSubscriptionRequest,
    };
    let Ok(message) = RpcMessage::decode(bytes) else { return };
    let Some(Content::Request(request)) = message.content else { return };
    let payload = request.payload.unwrap_or_default().value;
    let _ = UpdateRequest::decode(payload.as_slice());
    let _ = UpdateSubscriptionRequest::decode(payload.as_slice());
    let _ = SubscribeRequest::decode(payload.as_slice());
    if let Ok(query) = QueryRequest::decode(payload.as_slice()) {
        let _ = halo_wallet::Query::parse(&query.query);
    }
}

/// The grant of a connection.
type Grant = Access;
