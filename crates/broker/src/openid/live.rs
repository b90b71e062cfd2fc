//! `WS /halo`: tells an app at once when it is signed out.
//!
//! The first frame is `{"type":"hello","access_token":…,"dpop":…}` and is answered by `{"type":"ready"}`. Then
//! the wallet speaks once: `revoked`, `locked` or `expired`, and closes. A further hello with a fresh token
//! keeps the line open.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Extension, State};
use axum::response::Response;
use halo_wallet::{Event, Watch};
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::access::Access;
use super::error::OAuthError;
use super::{dpop, userinfo};
use crate::clock;
use crate::evidence::Caller;
use crate::limits::lock;
use crate::state::Face;

/// Largest frame: a token and a proof.
const FRAME: usize = 8 * 1024;
/// A line that is dead is noticed after two of these.
const PING: Duration = Duration::from_secs(30);

#[derive(Deserialize)]
struct Hello {
    #[serde(rename = "type")]
    kind: String,
    access_token: String,
    #[serde(default)]
    dpop: Option<String>,
}

/// A place among the open WebSockets.
struct Line(Arc<Face>);

impl Drop for Line {
    fn drop(&mut self) {
        self.0.sockets.fetch_sub(1, Ordering::AcqRel);
    }
}

/// `GET /halo`, upgraded.
pub(super) async fn live(
    State(face): State<Arc<Face>>,
    Extension(caller): Extension<Caller>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, OAuthError> {
    if face.sockets.fetch_add(1, Ordering::AcqRel) >= face.limits.sockets {
        face.sockets.fetch_sub(1, Ordering::AcqRel);
        return Err(OAuthError::status(StatusCode::SERVICE_UNAVAILABLE, "too many lines are open"));
    }
    let line = Line(Arc::clone(&face));
    Ok(upgrade.max_message_size(FRAME).max_frame_size(FRAME).on_upgrade(move |mut socket| async move {
        // Watched before the token is checked, so that nothing falls between.
        let watch = face.wallet.watch();
        let end = talk(&face, &caller, &mut socket, watch).await;
        if let Some(last) = end {
            let _ = send(&mut socket, last).await;
        }
        let _ = socket
            .send(Message::Close(Some(CloseFrame { code: close_code::NORMAL, reason: "".into() })))
            .await;
        drop(line);
    }))
}

/// Speaks until something ends it; returns the last word.
async fn talk(
    face: &Arc<Face>,
    caller: &Caller,
    socket: &mut WebSocket,
    mut watch: Watch,
) -> Option<&'static str> {
    let mut changed = lock(&face.openid.sessions).follow();
    let stopping = face.stopping.clone();
    let hello = tokio::select! {
        hello = tokio::time::timeout(face.limits.head, next_text(socket)) => hello.ok()??,
        () = stopping.begun() => return None,
    };
    let (mut token, mut access) = match greet(face, caller, &hello) {
        Ok(greeted) => greeted,
        Err(error) => return Some(error.error),
    };
    send(socket, "ready").await?;
    let mut ping = tokio::time::interval(PING);
    let mut unanswered = 0;
    loop {
        // The token may have stopped working while something else was done.
        if let Some(end) = over(face, &token) {
            return Some(end);
        }
        let left = access.expires.as_millis().saturating_sub(clock::now().as_millis());
        tokio::select! {
            event = watch.next() => match event {
                Some(Event::Locked) | None => return Some("locked"),
                Some(Event::Revoked(grant)) if grant == access.grant => return Some("revoked"),
                Some(_) => {}
            },
            _ = changed.changed() => {}
            () = tokio::time::sleep(Duration::from_millis(left)) => {}
            () = stopping.begun() => return None,
            _ = ping.tick() => {
                if unanswered > 1 {
                    return None;
                }
                unanswered += 1;
                socket.send(Message::Ping(Vec::new().into())).await.ok()?;
            }
            message = socket.recv() => match message?.ok()? {
                Message::Text(text) => match greet(face, caller, text.as_str()) {
                    Ok(greeted) => {
                        (token, access) = greeted;
                        send(socket, "ready").await?;
                    }
                    Err(error) => return Some(error.error),
                },
                Message::Close(_) => return None,
                Message::Ping(_) | Message::Pong(_) | Message::Binary(_) => unanswered = 0,
            },
        }
    }
}

/// Why a token does not work any more.
fn over(face: &Face, token: &str) -> Option<&'static str> {
    let end = {
        let sessions = lock(&face.openid.sessions);
        match sessions.get(token) {
            Some(access) if face.wallet.snapshot().grants.contains_key(&access.grant) => None,
            None if sessions.is_late(token) => Some("expired"),
            Some(_) | None => Some("revoked"),
        }
    };
    // Looked at last: a wallet that locks takes grants and tokens with it, and that is no revocation.
    if face.is_open() { end } else { Some("locked") }
}

fn greet(face: &Arc<Face>, caller: &Caller, text: &str) -> Result<(String, Access), OAuthError> {
    let hello: Hello = serde_json::from_str(text)
        .ok()
        .filter(|hello: &Hello| hello.kind == "hello")
        .ok_or_else(|| OAuthError::invalid_request("the first frame must be a hello"))?;
    let instance = match &hello.dpop {
        Some(proof) => {
            Some(dpop::check(face, caller, proof, &Method::GET, "/halo", Some(&hello.access_token))?)
        }
        None => None,
    };
    let access = userinfo::check(face, caller, &hello.access_token, instance.as_deref())?;
    Ok((hello.access_token, access))
}

async fn next_text(socket: &mut WebSocket) -> Option<String> {
    loop {
        match socket.recv().await?.ok()? {
            Message::Text(text) => return Some(text.as_str().to_owned()),
            Message::Ping(_) | Message::Pong(_) => {}
            Message::Binary(_) | Message::Close(_) => return None,
        }
    }
}

async fn send(socket: &mut WebSocket, kind: &str) -> Option<()> {
    socket.send(Message::Text(json!({ "type": kind }).to_string().into())).await.ok()
}
