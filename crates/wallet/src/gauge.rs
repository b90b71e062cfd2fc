//! How far something long has come, for whoever waits.
//!
//! The one who works says it as often as it likes and never waits; the one who looks sees the newest and perhaps not every
//! one before.

use serde::Serialize;
use tokio::sync::watch;

/// How far a part of something long has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Which part: `read`, `seal`, `write`, `database`, `documents`, `blocks`, `indexes`.
    pub part: &'static str,
    /// How many of the things in it are done.
    pub done: u64,
    /// How many there are.
    pub of: u64,
}

/// Where to say how far it has come.
#[derive(Clone, Default)]
pub struct Gauge(Option<watch::Sender<Step>>);

impl Gauge {
    /// Nobody looks.
    #[must_use]
    pub const fn unseen() -> Self {
        Self(None)
    }

    /// Somebody looks.
    #[must_use]
    pub fn seen() -> (Self, watch::Receiver<Step>) {
        let (sender, receiver) = watch::channel(Step::default());
        (Self(Some(sender)), receiver)
    }

    /// Says it.
    pub(crate) fn say(&self, part: &'static str, done: usize, of: usize) {
        if let Some(sender) = &self.0 {
            sender.send_replace(Step { part, done: done as u64, of: of as u64 });
        }
    }
}
