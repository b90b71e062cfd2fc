//! The RPC peer: handshake, requests, streams, end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use halo_wallet::{Event, WalletError};
use prost::Message as _;
use tokio::sync::broadcast::{self, error::RecvError};

use super::Grant;
use super::gossip::Word;
use super::proto::{Any, Content, Empty, Outcome, Request, Response, RpcError, RpcMessage, StreamClose};
use super::streams::Stream;
use crate::clock;
use crate::state::Face;

/// Streams that one client may have open.
const MOST_STREAMS: usize = 4_096;
/// How often the streams look at the clock.
const TICK: Duration = Duration::from_millis(500);
/// A client that does not read is let go.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a call failed, in words the client shows.
#[derive(Debug)]
pub(super) struct Failure {
    name: &'static str,
    message: String,
}

impl Failure {
    pub(super) fn new(name: &'static str, message: impl Into<String>) -> Self {
        Self { name, message: message.into() }
    }
}

impl From<WalletError> for Failure {
    fn from(error: WalletError) -> Self {
        let name = match &error {
            WalletError::Locked | WalletError::Closed => "LOCKED",
            WalletError::Forbidden { .. } => "FORBIDDEN",
            WalletError::NotFound { .. } => "NOT_FOUND",
            WalletError::Echo(_) | WalletError::BadInput { .. } => "INVALID",
            _ => "INTERNAL",
        };
        Self::new(name, error.to_string())
    }
}

impl From<prost::DecodeError> for Failure {
    fn from(_: prost::DecodeError) -> Self {
        Self::new("INVALID", "the payload cannot be read")
    }
}

/// Whom a client reaches, and as whom.
pub(super) struct Desk<'a> {
    pub(super) face: &'a Arc<Face>,
    pub(super) grant: &'a Grant,
    /// The name of this line.
    pub(super) line: u64,
}

/// One client.
pub(super) struct Peer<'a> {
    pub(super) desk: Desk<'a>,
    pub(super) streams: BTreeMap<i32, Stream>,
    socket: WebSocket,
}

/// Serves one client until it goes, or must go.
pub(super) async fn serve(face: &Arc<Face>, grant: &Grant, socket: WebSocket) {
    let (line, words) = face.gossip.join();
    let mut peer = Peer { desk: Desk { face, grant, line }, streams: BTreeMap::new(), socket };
    // Whichever way it ends, the client notices that the line is down.
    let _ = peer.talk(words).await;
    let _ = peer.socket.send(Message::Close(None)).await;
}

impl Peer<'_> {
    /// `None` once it is over.
    async fn talk(&mut self, mut words: broadcast::Receiver<Word>) -> Option<()> {
        let mut watch = self.desk.face.wallet.watch();
        let stopping = self.desk.face.stopping.clone();
        // Clients wait for it before they do anything else.
        self.desk.face.wallet.default_space(self.desk.grant.grant()).await.ok()?;
        self.send(Content::Open(true)).await?;
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            if self.desk.grant.is_over(self.desk.face) {
                return None;
            }
            tokio::select! {
                message = self.socket.recv() => match message?.ok()? {
                    Message::Binary(bytes) => self.frame(&bytes).await?,
                    Message::Close(_) => return None,
                    Message::Text(_) | Message::Ping(_) | Message::Pong(_) => {}
                },
                event = watch.next() => match event? {
                    Event::Locked => return None,
                    Event::Revoked(grant) if grant == *self.desk.grant.grant() => return None,
                    event => self.happened(&event).await?,
                },
                word = words.recv() => match word {
                    Ok(word) => self.heard(&word).await?,
                    // Somebody listens too slowly, and has missed some.
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return None,
                },
                _ = tick.tick() => self.ticked(clock::now()).await?,
                () = stopping.begun() => return None,
            }
        }
    }

    async fn frame(&mut self, bytes: &[u8]) -> Option<()> {
        // Somebody who does not speak this protocol is not answered.
        match RpcMessage::decode(bytes).ok()?.content? {
            Content::Open(_) => self.send(Content::OpenAck(true)).await,
            // Each side says it once more when it hears the other.
            Content::OpenAck(_) => Some(()),
            Content::Request(request) if request.stream => self.open_stream(request).await,
            Content::Request(request) => {
                let payload = request.payload.map(|any| any.value).unwrap_or_default();
                let outcome = match self.call(&request.method, &payload).await {
                    Ok(value) => Outcome::Payload(Any { type_url: String::new(), value }),
                    Err(failure) => error(failure),
                };
                self.respond(request.id, outcome).await
            }
            Content::StreamClose(StreamClose { id }) => {
                self.streams.remove(&id);
                self.respond(id, Outcome::Close(true)).await
            }
            Content::Bye(_) => {
                self.send(Content::Bye(Empty {})).await;
                None
            }
            Content::Response(_) => Some(()),
        }
    }

    async fn open_stream(&mut self, request: Request) -> Option<()> {
        let payload = request.payload.map(|any| any.value).unwrap_or_default();
        if self.streams.len() >= MOST_STREAMS {
            let failure = Failure::new("BUSY", "too many streams are open");
            return self.respond(request.id, error(failure)).await;
        }
        match self.desk.stream(&request.method, &payload).await {
            Ok(stream) => {
                self.streams.insert(request.id, stream);
                self.respond(request.id, Outcome::StreamReady(true)).await?;
                self.refresh(request.id).await
            }
            Err(failure) => self.respond(request.id, error(failure)).await,
        }
    }

    /// Sends what a stream has to say by now, and ends it if that was all.
    pub(super) async fn refresh(&mut self, id: i32) -> Option<()> {
        let Some(mut stream) = self.streams.remove(&id) else { return Some(()) };
        let said = stream.news(&self.desk).await;
        let over = stream.is_over();
        match said {
            Ok(news) => {
                for value in news {
                    self.respond(id, Outcome::Payload(Any { type_url: String::new(), value })).await?;
                }
                if over {
                    return self.respond(id, Outcome::Close(true)).await;
                }
                self.streams.insert(id, stream);
                Some(())
            }
            Err(failure) => self.respond(id, error(failure)).await,
        }
    }

    async fn happened(&mut self, event: &Event) -> Option<()> {
        let concerned: Vec<i32> = self
            .streams
            .iter_mut()
            .filter_map(|(id, stream)| stream.concerns(event).then_some(*id))
            .collect();
        for id in concerned {
            self.refresh(id).await?;
        }
        Some(())
    }

    async fn heard(&mut self, word: &Word) -> Option<()> {
        let (line, app) = (self.desk.line, self.desk.grant.grant());
        let concerned: Vec<i32> = self
            .streams
            .iter_mut()
            .filter_map(|(id, stream)| stream.hears(word, line, app).then_some(*id))
            .collect();
        for id in concerned {
            self.refresh(id).await?;
        }
        Some(())
    }

    async fn ticked(&mut self, now: halo_protocol::Timestamp) -> Option<()> {
        let due: Vec<i32> =
            self.streams.iter_mut().filter_map(|(id, stream)| stream.is_due(now).then_some(*id)).collect();
        for id in due {
            self.refresh(id).await?;
        }
        Some(())
    }

    async fn respond(&mut self, id: i32, outcome: Outcome) -> Option<()> {
        self.send(Content::Response(Response { id, outcome: Some(outcome) })).await
    }

    async fn send(&mut self, content: Content) -> Option<()> {
        let bytes = RpcMessage { content: Some(content) }.encode_to_vec();
        let sent = self.socket.send(Message::Binary(bytes.into()));
        tokio::time::timeout(PATIENCE, sent).await.ok()?.ok()
    }
}

fn error(failure: Failure) -> Outcome {
    Outcome::Error(RpcError {
        name: Some(failure.name.to_owned()),
        message: Some(failure.message),
        stack: Some(String::new()),
    })
}
