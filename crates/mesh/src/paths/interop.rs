//! A direct path by itself, to be tried against other implementations of WebRTC.

use tokio::sync::mpsc;

use super::direct::{self, Options};
use super::{AsyncTell, Path, PathEvent, Signal};

/// What a path and its surroundings tell each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// A description by whoever begins.
    Offer(String),
    /// The answer to it.
    Answer(String),
    /// An address that may lead there.
    Candidate(String),
    /// It is open.
    Open,
    /// A frame.
    Frame(Vec<u8>),
    /// It ended.
    Down,
}

/// A direct path without servers, over loopback too. Dropping it ends it.
pub struct DirectPath {
    path: Path,
    words: mpsc::Receiver<Word>,
}

struct Tell(mpsc::Sender<Word>);

impl AsyncTell for Tell {
    async fn tell(&self, event: PathEvent) -> bool {
        let word = match event {
            PathEvent::Frame(frame) => Word::Frame(frame),
            PathEvent::Signal(Signal::Offer(text)) => Word::Offer(text),
            PathEvent::Signal(Signal::Answer(text)) => Word::Answer(text),
            PathEvent::Signal(Signal::Candidate(text)) => Word::Candidate(text),
            PathEvent::Signal(_) => return true,
            PathEvent::Open { .. } => Word::Open,
            PathEvent::Down => Word::Down,
        };
        self.0.send(word).await.is_ok()
    }
}

impl DirectPath {
    /// Begins to open one; `offers` says whether this end makes the offer.
    #[must_use]
    pub fn open(offers: bool) -> Self {
        let (sender, words) = mpsc::channel(64);
        let options = Options { offers, ice: Vec::new(), turn_only: false, loopback: true };
        Self { path: direct::open(options, Tell(sender)), words }
    }

    /// What it says next.
    pub async fn next(&mut self) -> Option<Word> {
        self.words.recv().await
    }

    /// Tells it what the other end said, or hands it a frame for that; a path that has ended hears nothing.
    pub async fn tell(&self, word: Word) {
        let signal = match word {
            Word::Offer(text) => Signal::Offer(text),
            Word::Answer(text) => Signal::Answer(text),
            Word::Candidate(text) => Signal::Candidate(text),
            Word::Frame(frame) => {
                let _ = self.path.frames.send(frame).await;
                return;
            }
            Word::Open | Word::Down => return,
        };
        let _ = self.path.signals.send(signal).await;
    }
}
