//! What lines tell each other: messages that apps post in a space, and which spaces an app has put away.
//!
//! A message reaches whoever listens in that space through this wallet. It is not kept: who does not listen misses it, and
//! who listens too slowly misses some.

use std::collections::BTreeSet;
use std::sync::Mutex;

use halo_wallet::{GrantId, SpaceId};
use tokio::sync::broadcast;

use crate::limits::lock;

/// Messages that wait for a line that is busy.
const WAITING: usize = 256;

/// What one line says to the others.
#[derive(Debug, Clone)]
pub(crate) enum Word {
    /// Somebody posted in a space.
    Posted(Post),
    /// An app put a space away, or took it out again.
    Put(GrantId),
}

/// A message.
#[derive(Debug, Clone)]
pub(crate) struct Post {
    pub(super) space: SpaceId,
    pub(super) channel: String,
    /// `GossipMessage`, encoded.
    pub(super) message: Vec<u8>,
    /// The line it came from, which does not hear itself.
    pub(super) from: u64,
}

/// All lines of DXOS apps.
pub(crate) struct Gossip {
    words: broadcast::Sender<Word>,
    away: Mutex<BTreeSet<(GrantId, SpaceId)>>,
    lines: std::sync::atomic::AtomicU64,
}

impl Default for Gossip {
    fn default() -> Self {
        let (words, _) = broadcast::channel(WAITING);
        Self { words, away: Mutex::default(), lines: std::sync::atomic::AtomicU64::new(0) }
    }
}

impl Gossip {
    /// A name for a new line, and what it hears.
    pub(super) fn join(&self) -> (u64, broadcast::Receiver<Word>) {
        (self.lines.fetch_add(1, std::sync::atomic::Ordering::Relaxed), self.words.subscribe())
    }

    pub(super) fn post(&self, post: Post) {
        // Nobody listens: nobody hears.
        let _ = self.words.send(Word::Posted(post));
    }

    /// An app puts one of its spaces away, or takes it out again.
    pub(super) fn put(&self, app: &GrantId, space: SpaceId, away: bool) {
        let place = (app.clone(), space);
        let changed = {
            let mut all = lock(&self.away);
            if away { all.insert(place) } else { all.remove(&place) }
        };
        if changed {
            let _ = self.words.send(Word::Put(app.clone()));
        }
    }

    pub(super) fn is_away(&self, app: &GrantId, space: SpaceId) -> bool {
        lock(&self.away).contains(&(app.clone(), space))
    }

    /// A grant is gone.
    pub(crate) fn forget(&self, app: &GrantId) {
        lock(&self.away).retain(|(other, _)| other != app);
    }

    /// The wallet is locked.
    pub(crate) fn forget_all(&self) {
        lock(&self.away).clear();
    }
}
