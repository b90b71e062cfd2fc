//! What every request passes before anybody looks at what it wants.
//!
//! In this order, since each step needs the one before: length, `Host`, the process, `Origin`, limits, body.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt, Limited};

use super::connections::Busy;
use crate::evidence::{Caller, Fault, Owner, Peer, Sender, read_headers};
use crate::openid::OAuthError;
use crate::state::Face;

/// Requests that reach the user; they have a bucket of their own.
const ASKING: [&str; 3] = ["/authorize", "/par", "/bc-authorize"];

/// Lets a request in, with the [`Caller`] as an extension, or turns it away.
pub(crate) async fn gate(
    State(face): State<Arc<Face>>,
    Extension(peer): Extension<Arc<Peer>>,
    Extension(busy): Extension<Arc<Busy>>,
    request: Request,
    next: Next,
) -> Response {
    let (head, body) = request.into_parts();
    let caller = match identify(&face, &peer, &busy, &head).await {
        Ok(caller) => caller,
        Err(refusal) => return dress(refusal.into_response(), None),
    };
    let origin = caller.origin().map(str::to_owned);
    if let Err(refusal) = limit(&face, &caller, &head) {
        return dress(refusal.into_response(), origin.as_deref());
    }
    let response = match read_body(&face, body).await {
        Ok(_) if is_preflight(&head, &caller) => preflight(&head.headers),
        Ok(body) => {
            let mut request = Request::from_parts(head, body);
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(refusal) => refusal.into_response(),
    };
    dress(response, origin.as_deref())
}

async fn identify(face: &Face, peer: &Peer, busy: &Busy, head: &Parts) -> Result<Caller, OAuthError> {
    let target = head.uri.path_and_query().map_or(0, |target| target.as_str().len());
    if target > face.limits.target_bytes {
        return Err(OAuthError::status(StatusCode::URI_TOO_LONG, "the address is too long").closing());
    }
    let over_unix_socket = peer.over_unix_socket();
    let read = |from_browser| {
        read_headers(&head.method, &head.uri, &head.headers, face.address, over_unix_socket, from_browser)
    };
    // A misdirected request is not worth asking the kernel for.
    if read(false) == Err(Fault::Misdirected) {
        face.note(None, "a request for another host name (DNS rebinding)").await;
        let refusal =
            OAuthError::status(StatusCode::MISDIRECTED_REQUEST, "this is not the host you look for");
        return Err(refusal.closing());
    }
    let owner = peer.owner().await;
    if owner == Owner::OtherUser {
        face.note(None, "another user of this machine").await;
        return Err(forbidden("only the user of this wallet can use it"));
    }
    let from_browser = matches!(&owner, Owner::Process(process) if process.browser);
    let sender = read(from_browser).map_err(|fault| forbidden(words(fault)))?;
    let caller = Caller { sender, owner };
    if let Some(process) = caller.process()
        && !busy.belongs_to(process.pid)
    {
        return Err(too_many(1));
    }
    if caller.is_impostor() {
        face.note(caller.origin().map(str::to_owned), "a program that says it is a web page").await;
    }
    Ok(caller)
}

fn limit(face: &Face, caller: &Caller, head: &Parts) -> Result<(), OAuthError> {
    let limited_as = caller.limited_as();
    let now = Instant::now();
    face.requests.take(&limited_as, now).map_err(too_many)?;
    if head.method != Method::OPTIONS && ASKING.contains(&head.uri.path()) {
        face.asks.take(&limited_as, now).map_err(too_many)?;
    }
    Ok(())
}

const fn words(fault: Fault) -> &'static str {
    match fault {
        Fault::Misdirected => "this is not the host you look for",
        Fault::NullOrigin => "pages without an origin are not served",
        Fault::BadOrigin => "that is not the origin of a web page",
        Fault::MissingOrigin => "a browser has to say the origin here",
        Fault::ForeignPage => "only the approval page may ask this",
    }
}

fn forbidden(why: &'static str) -> OAuthError {
    OAuthError::status(StatusCode::FORBIDDEN, why)
}

fn too_many(seconds: u64) -> OAuthError {
    OAuthError::status(StatusCode::TOO_MANY_REQUESTS, "too many requests").retry_after(seconds)
}

async fn read_body(face: &Face, body: Body) -> Result<Body, OAuthError> {
    let body = Limited::new(body, face.limits.body_bytes).collect();
    match tokio::time::timeout(face.limits.body, body).await {
        Ok(Ok(body)) => Ok(Body::from(body.to_bytes())),
        Ok(Err(_)) => {
            Err(OAuthError::status(StatusCode::PAYLOAD_TOO_LARGE, "the body is too long").closing())
        }
        Err(_) => Err(OAuthError::status(StatusCode::REQUEST_TIMEOUT, "the body came too slowly").closing()),
    }
}

fn is_preflight(head: &Parts, caller: &Caller) -> bool {
    head.method == Method::OPTIONS
        && matches!(caller.sender, Sender::Page(_))
        && head.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// Answers what a browser asks before it lets a page ask.
fn preflight(asked: &HeaderMap) -> Response {
    let private = asked.contains_key("access-control-request-private-network");
    let local = asked.contains_key("access-control-request-local-network");
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    let allow = |text| HeaderValue::from_static(text);
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, allow("GET, POST"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allow("Authorization, Content-Type, DPoP"));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, allow("600"));
    // Chrome asked so before it had a permission of its own for local addresses (Private Network Access).
    if private {
        headers.insert(HeaderName::from_static("access-control-allow-private-network"), allow("true"));
    }
    if local {
        headers.insert(HeaderName::from_static("access-control-allow-local-network"), allow("true"));
    }
    response
}

/// Headers of every answer. Any origin may read what it is told: what it is told is decided by who it is.
fn dress(mut response: Response, origin: Option<&str>) -> Response {
    let headers = response.headers_mut();
    let allow = |text| HeaderValue::from_static(text);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, allow("nosniff"));
    headers.insert(header::REFERRER_POLICY, allow("no-referrer"));
    headers.insert(header::VARY, allow("Origin"));
    headers.entry(header::CACHE_CONTROL).or_insert(allow("no-store"));
    if let Some(origin) = origin.and_then(|origin| HeaderValue::from_str(origin).ok()) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, allow("WWW-Authenticate, Retry-After"));
    } else {
        headers.insert(HeaderName::from_static("cross-origin-resource-policy"), allow("same-origin"));
    }
    response
}
