//! `WS /halo/data`: the SDK's own services, for spaces and what is in them.
//!
//! Every frame is one JSON object. A client sends `{"id", "method", "params"}` and gets `{"id", "result"}` or
//! `{"id", "error": {"code", "message"}}`. A method that ends in `.watch` or is `documents.sync` answers with any number
//! of `{"id", "event"}` until the client sends `{"method": "cancel", "params": {"id"}}`. Frames are handled in order.
//!
//! What an app sees is what its grant allows, exactly as through `/dxos`.

mod calls;
mod watches;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Extension, State};
use axum::response::Response;
use halo_wallet::{By, Event, Wallet, WalletError};
use http::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::evidence::Caller;
use crate::line::Line;
use crate::openid::{Access, OAuthError, endings, is_over};
use crate::state::Face;
use watches::Watch;

/// Watches that one client may have open.
const MOST_WATCHES: usize = 1_024;
/// A client that does not read is let go.
const PATIENCE: Duration = Duration::from_secs(10);
/// A line that is dead is noticed after three of these.
const PING: Duration = Duration::from_secs(30);

#[derive(Deserialize)]
struct Frame {
    #[serde(default)]
    id: u64,
    method: String,
    #[serde(default)]
    params: Value,
}

/// Why a call failed.
struct Failure {
    code: &'static str,
    message: String,
}

impl Failure {
    fn bad(message: impl Into<String>) -> Self {
        Self { code: "bad_input", message: message.into() }
    }
}

impl From<WalletError> for Failure {
    fn from(error: WalletError) -> Self {
        Self { code: error.code(), message: error.to_string() }
    }
}

/// `GET /halo/data`, upgraded.
pub(crate) async fn connect(
    State(face): State<Arc<Face>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Result<Response, OAuthError> {
    let line = Line::open(&face, &caller, &headers)?;
    Ok(line.upgrade(upgrade, |face, access, socket| async move {
        let mut peer = Peer { face, access, socket, watches: BTreeMap::new() };
        // Whichever way it ends, the client notices that the line is down.
        let _ = peer.talk().await;
        let _ = peer.socket.send(Message::Close(None)).await;
    }))
}

/// One client.
struct Peer {
    face: Arc<Face>,
    access: Access,
    socket: WebSocket,
    watches: BTreeMap<u64, Watch>,
}

impl Peer {
    fn wallet(&self) -> &Wallet {
        &self.face.wallet
    }

    fn by(&self) -> By {
        By::App(self.access.grant().clone())
    }

    /// `None` once it is over.
    async fn talk(&mut self) -> Option<()> {
        let mut events = self.face.wallet.watch();
        let mut endings = endings(&self.face);
        let stopping = self.face.stopping.clone();
        let mut ping = tokio::time::interval(PING);
        let mut unanswered = 0;
        loop {
            if is_over(&self.face, &self.access) {
                return None;
            }
            tokio::select! {
                message = self.socket.recv() => match message?.ok()? {
                    Message::Text(text) => self.frame(text.as_str()).await?,
                    Message::Close(_) => return None,
                    Message::Binary(_) | Message::Ping(_) | Message::Pong(_) => unanswered = 0,
                },
                event = events.next() => match event? {
                    Event::Locked => return None,
                    Event::Revoked(grant) if grant == *self.access.grant() => return None,
                    event => self.happened(&event).await?,
                },
                _ = ping.tick() => {
                    if unanswered > 2 {
                        return None;
                    }
                    unanswered += 1;
                    self.socket.send(Message::Ping(Vec::new().into())).await.ok()?;
                },
                _ = endings.changed() => {}
                () = stopping.begun() => return None,
            }
        }
    }

    async fn frame(&mut self, text: &str) -> Option<()> {
        // Somebody who does not speak this protocol is not answered.
        let Frame { id, method, params } = serde_json::from_str(text).ok()?;
        if method == "cancel" {
            let id = params.get("id").and_then(Value::as_u64)?;
            self.watches.remove(&id);
            return Some(());
        }
        let outcome = match Watch::open(&method, &params) {
            Some(watch) => match self.begin(id, watch).await {
                Ok(()) => return self.say_news(id).await,
                Err(failure) => Err(failure),
            },
            None => self.call(&method, params).await,
        };
        self.answer(id, outcome).await?;
        if method == "documents.message" {
            // The answer to a sync message is news of that watch.
            self.say_all_syncs().await?;
        }
        Some(())
    }

    async fn begin(&mut self, id: u64, watch: Result<Watch, Failure>) -> Result<(), Failure> {
        if self.watches.len() >= MOST_WATCHES || self.watches.contains_key(&id) {
            return Err(Failure { code: "busy", message: "that many things cannot be watched".into() });
        }
        self.watches.insert(id, watch?);
        Ok(())
    }

    async fn answer(&mut self, id: u64, outcome: Result<Value, Failure>) -> Option<()> {
        self.send(&match outcome {
            Ok(result) => json!({ "id": id, "result": result }),
            Err(Failure { code, message }) => {
                json!({ "id": id, "error": { "code": code, "message": message } })
            }
        })
        .await
    }

    async fn happened(&mut self, event: &Event) -> Option<()> {
        let concerned: Vec<u64> =
            self.watches.iter().filter(|(_, watch)| watch.concerns(event)).map(|(id, _)| *id).collect();
        for id in concerned {
            self.say_news(id).await?;
        }
        Some(())
    }

    async fn say_all_syncs(&mut self) -> Option<()> {
        let syncs: Vec<u64> =
            self.watches.iter().filter(|(_, watch)| watch.has_message()).map(|(id, _)| *id).collect();
        for id in syncs {
            self.say_news(id).await?;
        }
        Some(())
    }

    /// Says what one watch has not said yet.
    async fn say_news(&mut self, id: u64) -> Option<()> {
        let Some(mut watch) = self.watches.remove(&id) else { return Some(()) };
        let news = watch.news(self.wallet(), &self.by(), self.access.grant()).await;
        match news {
            Ok(news) => {
                self.watches.insert(id, watch);
                for event in news {
                    self.send(&json!({ "id": id, "event": event })).await?;
                }
                Some(())
            }
            // A watch that fails is over.
            Err(failure) => self.answer(id, Err(failure)).await,
        }
    }

    async fn send(&mut self, frame: &Value) -> Option<()> {
        let sent = self.socket.send(Message::Text(frame.to_string().into()));
        tokio::time::timeout(PATIENCE, sent).await.ok()?.ok()
    }
}

/// Reads any bytes as a frame, and its parameters as those of every method, for `fuzz/`.
#[cfg(fuzzing)]
pub(crate) fn fuzz(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(Frame { method, params, .. }) = serde_json::from_str(text) else { return };
    let _ = Watch::open(&method, &params);
    calls::fuzz(&params);
}
