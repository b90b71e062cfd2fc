//! `WS /dxos`: the services that an unmodified `@dxos/client` 0.8.3 expects of its host.
//!
//! One binary WebSocket message is one `dxos.rpc.RpcMessage`. The access token comes as a subprotocol, which is
//! echoed. What an app sees is what its grant allows: the alias and not the identity unless the user said so, a
//! device key of its own, the spaces it made and those it was shown.
//!
//! The frames of a connection are handled in order and one at a time: clients send what depends on a
//! subscription right behind it.

#[cfg(unix)]
pub(crate) mod agent;
mod archive;
mod data;
mod gossip;
mod peer;
mod proto;
mod refused;
mod services;
mod spaces;
mod streams;
mod user;

use std::sync::Arc;

use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{Extension, State};
use axum::response::Response;
use http::HeaderMap;

use halo_wallet::GrantId;

use crate::evidence::Caller;
use crate::line::Line;
use crate::openid::{Access, OAuthError, is_over};
use crate::state::Face;

pub(crate) use gossip::Gossip;

/// `GET /dxos`, upgraded.
pub(crate) async fn connect(
    State(face): State<Arc<Face>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Result<Response, OAuthError> {
    let line = Line::open(&face, &caller, &headers)?;
    Ok(line.upgrade(upgrade, |face, access, socket| async move {
        peer::serve(&face, &Grant::Token(access), socket).await;
    }))
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
    let _ = archive::read(&payload);
    if let Ok(query) = QueryRequest::decode(payload.as_slice()) {
        let _ = halo_wallet::Query::parse(&query.query);
    }
}

/// By what right a line is open.
enum Grant {
    /// An access token, for as long as its sign-in lasts.
    Token(Access),
    /// The executable at the other end of the agent's socket, for as long as that is switched on.
    #[cfg(unix)]
    Program(GrantId),
}

impl Grant {
    const fn grant(&self) -> &GrantId {
        match self {
            Self::Token(access) => access.grant(),
            #[cfg(unix)]
            Self::Program(grant) => grant,
        }
    }

    fn is_over(&self, face: &Face) -> bool {
        match self {
            Self::Token(access) => is_over(face, access),
            #[cfg(unix)]
            Self::Program(grant) => {
                let snapshot = face.wallet.snapshot();
                !snapshot.settings.dxos_agent || !snapshot.grants.contains_key(grant)
            }
        }
    }
}
