//! The other end of the control socket, for the `halo` command.

use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::Stream;
use serde_json::Value;

#[cfg(unix)]
use super::wire::{Lines, line, wipe};
#[cfg(unix)]
use crate::socket;

/// Longest answer: a long activity log.
#[cfg(unix)]
const LONGEST_ANSWER: usize = 16 * 1024 * 1024;

/// Why a call was not answered with a result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ControlError {
    /// Stable: a code of the wallet (`wallet.locked`), or `control.not_running`, `control.broken`,
    /// `control.refused`, `control.unknown_method`, `control.bad_params`.
    pub code: String,
    /// What happened, in words.
    pub message: String,
}

impl ControlError {
    pub(crate) fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into() }
    }

    #[cfg(unix)]
    fn broken(error: &std::io::Error) -> Self {
        Self::new("control.broken", format!("the connection to HALO broke: {error}"))
    }
}

/// A connection to the wallet that runs for a profile.
///
/// # Example
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let runtime_dir = halo_wallet::runtime_dir(&halo_wallet::default_profile()?)?;
/// let mut client = halo_broker::control::Client::connect(&runtime_dir).await?;
/// let status = client.call("status", serde_json::json!({})).await?;
/// # let _ = status; Ok(()) }
/// ```
pub struct Client {
    #[cfg(unix)]
    lines: Lines<tokio::net::unix::OwnedReadHalf>,
    #[cfg(unix)]
    writer: tokio::net::unix::OwnedWriteHalf,
    next_id: u64,
}

impl Client {
    /// Connects to the control socket in the run-time directory of a profile.
    ///
    /// # Errors
    /// `control.not_running` if nobody listens there; `control.refused` if it belongs to another user.
    #[cfg(unix)]
    pub async fn connect(runtime_dir: &Path) -> Result<Self, ControlError> {
        let stream = socket::connect(runtime_dir, socket::CONTROL).await.map_err(|error| {
            ControlError::new("control.not_running", format!("HALO does not run for this profile ({error})"))
        })?;
        if !socket::same_user(&stream) {
            return Err(ControlError::new("control.refused", "the control socket belongs to another user"));
        }
        let (reader, writer) = stream.into_split();
        Ok(Self { lines: Lines::new(reader, LONGEST_ANSWER), writer, next_id: 1 })
    }

    /// Not available on this platform yet.
    ///
    /// # Errors
    /// Always `control.not_running`.
    #[cfg(not(unix))]
    pub async fn connect(_runtime_dir: &Path) -> Result<Self, ControlError> {
        Err(ControlError::new("control.not_running", "the control socket needs a Unix system"))
    }

    /// Calls a method and waits for its result. `params` are wiped.
    ///
    /// # Errors
    /// What the wallet said, or `control.broken`.
    pub async fn call(&mut self, method: &str, params: Value) -> Result<Value, ControlError> {
        self.call_showing(method, params, |_| ()).await
    }

    /// The same, showing what is said before the result: how far something long has come.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn call_showing(
        &mut self,
        method: &str,
        params: Value,
        mut show: impl FnMut(Value),
    ) -> Result<Value, ControlError> {
        self.send(method, params).await?;
        loop {
            match self.receive().await? {
                Answer::Result(result) => return Ok(result),
                Answer::Item(item) => show(item),
            }
        }
    }

    /// Calls a method that streams; dropping the stream ends it.
    ///
    /// # Errors
    /// `control.broken`. A refusal of the method ends the stream.
    pub async fn stream(mut self, method: &str, params: Value) -> Result<Items, ControlError> {
        self.send(method, params).await?;
        Ok(Items(Box::pin(futures_util::stream::unfold(self, |mut client| async move {
            match client.receive().await {
                Ok(Answer::Item(item)) => Some((item, client)),
                Ok(Answer::Result(_)) | Err(_) => None,
            }
        }))))
    }

    #[cfg(unix)]
    async fn send(&mut self, method: &str, mut params: Value) -> Result<(), ControlError> {
        use tokio::io::AsyncWriteExt;
        let id = self.next_id;
        self.next_id += 1;
        let request = Request { id, method, params: &params };
        let bytes = line(&request).map_err(|error| ControlError::broken(&error));
        wipe(&mut params);
        self.writer.write_all(&bytes?).await.map_err(|error| ControlError::broken(&error))
    }

    #[cfg(unix)]
    async fn receive(&mut self) -> Result<Answer, ControlError> {
        let line = self.lines.next().await.map_err(|error| ControlError::broken(&error))?;
        let line = line.ok_or_else(|| ControlError::new("control.broken", "HALO closed the connection"))?;
        let reply: Reply = serde_json::from_slice(&line)
            .map_err(|_| ControlError::new("control.broken", "the answer makes no sense"))?;
        match reply {
            Reply { error: Some(error), .. } => Err(ControlError::new(&error.code, error.message)),
            Reply { item: Some(item), .. } => Ok(Answer::Item(item)),
            Reply { result, .. } => Ok(Answer::Result(result.unwrap_or(Value::Null))),
        }
    }

    #[cfg(not(unix))]
    async fn send(&mut self, _method: &str, mut params: Value) -> Result<(), ControlError> {
        wipe(&mut params);
        self.next_id += 1;
        Err(ControlError::new("control.not_running", "the control socket needs a Unix system"))
    }

    #[cfg(not(unix))]
    async fn receive(&mut self) -> Result<Answer, ControlError> {
        Err(ControlError::new("control.not_running", "the control socket needs a Unix system"))
    }
}

/// The items of a method that streams; ends when the wallet goes away.
pub struct Items(Pin<Box<dyn Stream<Item = Value> + Send>>);

impl Items {
    /// The next item; `None` at the end.
    pub async fn next(&mut self) -> Option<Value> {
        std::future::poll_fn(|context| self.0.as_mut().poll_next(context)).await
    }
}

impl Stream for Items {
    type Item = Value;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Value>> {
        self.0.as_mut().poll_next(context)
    }
}

enum Answer {
    Result(Value),
    Item(Value),
}

#[cfg(unix)]
#[derive(serde::Serialize)]
struct Request<'a> {
    id: u64,
    method: &'a str,
    params: &'a Value,
}

#[cfg(unix)]
#[derive(serde::Deserialize)]
struct Reply {
    #[serde(default)]
    result: Option<Value>,
    #[serde(default)]
    item: Option<Value>,
    #[serde(default)]
    error: Option<ReplyError>,
}

#[cfg(unix)]
#[derive(serde::Deserialize)]
struct ReplyError {
    code: String,
    message: String,
}
