//! Lines for data: WebSockets that an app opens with its token in the subprotocol, as `@dxos/client`'s `fromSocket` does.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::response::Response;
use data_encoding::{BASE64, BASE64_NOPAD};
use halo_wallet::Scope;
use http::{HeaderMap, StatusCode, header};

use crate::evidence::Caller;
use crate::openid::{Access, OAuthError, check_line};
use crate::state::Face;

/// What a subprotocol begins with that carries a token.
const BEARER: &str = "base64url.bearer.authorization.dxos.org.";
/// Largest frame: an update of several documents.
pub(crate) const FRAME: usize = 16 * 1024 * 1024;

/// A line that may be opened: who, and a place among the open WebSockets.
pub(crate) struct Line {
    protocol: String,
    access: Access,
    place: Place,
}

/// A place among the open WebSockets.
pub(crate) struct Place(Arc<Face>);

impl Place {
    /// One more, if there is one.
    pub(crate) fn take(face: &Arc<Face>) -> Result<Self, OAuthError> {
        let before = face.sockets.fetch_add(1, Ordering::AcqRel);
        let place = Self(Arc::clone(face));
        if before >= face.limits.sockets {
            return Err(OAuthError::status(StatusCode::SERVICE_UNAVAILABLE, "too many lines are open"));
        }
        Ok(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.sockets.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Line {
    /// Checks who asks, before anything is upgraded.
    pub(crate) fn open(face: &Arc<Face>, caller: &Caller, headers: &HeaderMap) -> Result<Self, OAuthError> {
        let (protocol, token) = token_in(headers)
            .ok_or_else(|| OAuthError::new("invalid_token", "there is no access token in the subprotocol"))?;
        let access = check_line(face, caller, &token)?;
        let scopes = face.wallet.snapshot().grants.get(access.grant()).map(|grant| grant.scopes.clone());
        if !scopes.is_some_and(|scopes| scopes.contains(&Scope::Spaces)) {
            return Err(OAuthError::new("insufficient_scope", "this needs the scope halo:spaces"));
        }
        Ok(Self { protocol, access, place: Place::take(face)? })
    }

    /// Opens it, and speaks.
    pub(crate) fn upgrade<F>(
        self,
        upgrade: WebSocketUpgrade,
        speak: impl FnOnce(Arc<Face>, Access, WebSocket) -> F + Send + 'static,
    ) -> Response
    where
        F: Future<Output = ()> + Send,
    {
        let Self { protocol, access, place } = self;
        let upgrade = upgrade.protocols([protocol]).max_message_size(FRAME).max_frame_size(FRAME);
        upgrade.on_upgrade(move |socket| async move {
            speak(Arc::clone(&place.0), access, socket).await;
            drop(place);
        })
    }
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
