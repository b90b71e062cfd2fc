//! This end of the control socket.

use std::time::Duration;

use halo_wallet::Wallet;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::client::ControlError;
use super::methods;
use super::wire::{Lines, line, wipe};
use crate::socket::{Listener, Stream, same_user};
use crate::state::Stopping;

/// Connections at once; a person has a few terminals.
const MOST: usize = 64;
/// Longest request: a picture of 8 KiB, and then some.
const LONGEST_REQUEST: usize = 64 * 1024;
/// Whoever does not read its answers does not need them.
const PATIENCE: Duration = Duration::from_secs(10);

/// What all connections share.
#[derive(Clone)]
pub(super) struct Desk {
    pub(super) wallet: Wallet,
    pub(super) end: watch::Sender<bool>,
}

/// The writing half of one connection, for one request.
pub(super) struct Reply<'a> {
    writer: &'a mut OwnedWriteHalf,
    id: Value,
}

impl Reply<'_> {
    /// Sends one item of a stream; an error means that nobody listens any more.
    pub(super) async fn item(&mut self, item: Value) -> std::io::Result<()> {
        write(self.writer, answer_of(&self.id, "item", item)).await
    }
}

/// Serves the control socket until the broker stops.
pub(crate) async fn serve(listener: Listener, wallet: Wallet, stopping: Stopping, end: watch::Sender<bool>) {
    let desk = Desk { wallet, end };
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if !same_user(&stream) => tracing::warn!("another user knocked at control.sock"),
                Ok(_) if open.len() >= MOST => tracing::warn!("too many connections to control.sock"),
                Ok((stream, _)) => {
                    open.spawn(converse(stream, desk.clone(), stopping.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "control.sock could not accept");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            Some(_) = open.join_next() => {}
            () = stopping.begun() => break,
        }
    }
    while open.join_next().await.is_some() {}
}

async fn converse(stream: Stream, desk: Desk, stopping: Stopping) {
    let (reader, mut writer) = stream.into_split();
    let mut lines = Lines::new(reader, LONGEST_REQUEST);
    loop {
        let next = tokio::select! {
            next = lines.next() => next,
            () = stopping.begun() => return,
        };
        let text = match next {
            Ok(Some(text)) => text,
            Ok(None) => return,
            Err(error) => {
                let refusal = ControlError::new("control.too_large", error.to_string());
                let _ = write(&mut writer, failure(&Value::Null, &refusal)).await;
                return;
            }
        };
        // Whoever hangs up in the middle of a stream or of slow work does not wait for it.
        let answered = tokio::select! {
            answered = answer(&text, &desk, &mut writer) => answered,
            () = hung_up(&mut lines) => return,
            () = stopping.begun() => return,
        };
        if answered.is_err() {
            return;
        }
    }
}

#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    id: Value,
    method: String,
}

async fn answer(text: &[u8], desk: &Desk, writer: &mut OwnedWriteHalf) -> std::io::Result<()> {
    let Ok(Head { id, method }) = serde_json::from_slice(text) else {
        let refusal = ControlError::new("control.bad_params", "the line is not {id, method, params}");
        return write(writer, failure(&Value::Null, &refusal)).await;
    };
    let mut reply = Reply { writer, id: id.clone() };
    match methods::call(desk, &method, text, &mut reply).await {
        Ok(result) => write(writer, answer_of(&id, "result", result)).await,
        Err(error) => write(writer, failure(&id, &error)).await,
    }
}

fn failure(id: &Value, error: &ControlError) -> Value {
    json!({"id": id, "error": {"code": error.code, "message": error.message}})
}

/// An answer; `json!` would leave a copy of what is in it behind.
fn answer_of(id: &Value, name: &str, said: Value) -> Value {
    Value::Object([("id".to_owned(), id.clone()), (name.to_owned(), said)].into_iter().collect())
}

/// Writes an answer, and wipes it.
async fn write(writer: &mut OwnedWriteHalf, mut answer: Value) -> std::io::Result<()> {
    let bytes = line(&answer);
    wipe(&mut answer);
    let bytes = bytes?;
    tokio::time::timeout(PATIENCE, writer.write_all(&bytes)).await?
}

/// Resolves when the other end has closed; what it sends meanwhile waits its turn.
async fn hung_up(lines: &mut Lines<OwnedReadHalf>) {
    lines.closed().await;
}
