//! Paths: which there are, which of them answer, and which one is used.
//!
//! The best kind that has answered a ping, and still does, is used. A path that stays silent on a ping is passed over until
//! it answers one. While none has answered yet, the best there is is used: the first path carried the handshake.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::time::Timestamp;

/// Names a path, by whoever opened it; a name is not used again within a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathId(pub u64);

/// How a path goes; later ones are better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PathKind {
    /// Through a signaller: at once, and narrow.
    Relay,
    /// From device to device, also through TURN.
    Direct,
    /// Over the local network.
    Lan,
    /// Within a machine.
    Local,
}

/// A ping on the path in use, when nothing else comes.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// A ping on the others.
const STAND_BY: Duration = Duration::from_secs(30);
/// An answer takes no longer, or the path is silent. A full window before it needs 0.3 s at 4 MB/s.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between pings on a silent path.
const RETRY: Duration = Duration::from_secs(3);
/// Frames in a row that nobody sealed, until a path is given up.
const MOST_BAD: u32 = 32;

struct Path {
    kind: PathKind,
    /// It has answered.
    proven: bool,
    /// It has not answered the last ping.
    silent: bool,
    /// When an open ping was sent.
    asked: Option<Timestamp>,
    next_ping: Timestamp,
    bad: u32,
}

#[derive(Default)]
pub(super) struct Paths {
    open: BTreeMap<PathId, Path>,
    current: Option<PathId>,
}

impl Paths {
    /// The path in use.
    pub(super) const fn current(&self) -> Option<PathId> {
        self.current
    }

    /// Its kind.
    pub(super) fn kind(&self) -> Option<PathKind> {
        self.current.and_then(|path| self.open.get(&path)).map(|path| path.kind)
    }

    /// All there are.
    pub(super) fn all(&self) -> Vec<PathId> {
        self.open.keys().copied().collect()
    }

    /// Whether it is open.
    pub(super) fn is_open(&self, path: PathId) -> bool {
        self.open.contains_key(&path)
    }

    pub(super) fn opened(&mut self, path: PathId, kind: PathKind, now: Timestamp) {
        let fresh = Path { kind, proven: false, silent: false, asked: None, next_ping: now, bad: 0 };
        self.open.entry(path).or_insert(fresh);
    }

    pub(super) fn closed(&mut self, path: PathId) {
        self.open.remove(&path);
    }

    /// Something came that nobody sealed; whether that is enough to give up the path.
    pub(super) fn came_bad(&mut self, path: PathId) -> bool {
        self.open.get_mut(&path).is_some_and(|path| {
            path.bad += 1;
            path.bad >= MOST_BAD
        })
    }

    /// Something came that the peer sealed.
    pub(super) fn came_good(&mut self, path: PathId, now: Timestamp) {
        let in_use = self.current == Some(path);
        if let Some(path) = self.open.get_mut(&path) {
            path.bad = 0;
            if path.proven && !path.silent && path.asked.is_none() {
                path.next_ping = now.plus(if in_use { KEEP_ALIVE } else { STAND_BY });
            }
        }
    }

    /// A ping on this path was answered.
    pub(super) fn answered(&mut self, path: PathId, now: Timestamp) {
        let in_use = self.current == Some(path);
        if let Some(path) = self.open.get_mut(&path) {
            path.proven = true;
            path.silent = false;
            path.asked = None;
            path.next_ping = now.plus(if in_use { KEEP_ALIVE } else { STAND_BY });
        }
    }

    /// Asks the path in use whether it is still there.
    pub(super) fn doubt(&mut self, now: Timestamp) {
        if let Some(path) = self.current.and_then(|path| self.open.get_mut(&path))
            && path.asked.is_none()
        {
            path.next_ping = now;
        }
    }

    /// Asks all paths, as after sleep or a change of the network.
    pub(super) fn doubt_all(&mut self, now: Timestamp) {
        for path in self.open.values_mut() {
            path.asked = None;
            path.next_ping = now;
        }
    }

    /// Paths to ping now; those that did not answer in time are passed over from here on.
    pub(super) fn due(&mut self, now: Timestamp) -> Vec<PathId> {
        let mut due = Vec::new();
        for (id, path) in &mut self.open {
            if path.asked.is_some_and(|asked| now >= asked.plus(PATIENCE)) {
                path.silent = true;
                path.asked = None;
                path.next_ping = now.plus(RETRY);
            }
            if path.asked.is_none() && now >= path.next_ping {
                path.asked = Some(now);
                due.push(*id);
            }
        }
        due
    }

    /// Chooses the path in use; whether it is another than before.
    pub(super) fn choose(&mut self) -> bool {
        let before = self.current;
        // While none has answered, and among equals, the one in use stays; and then the older one.
        let worth = |(id, path): &(&PathId, &Path)| {
            let usable = path.proven && !path.silent;
            let in_use = Some(**id) == before;
            (usable, !path.silent, usable.then_some(path.kind), in_use, path.kind, std::cmp::Reverse(**id))
        };
        self.current = self.open.iter().max_by_key(worth).map(|(id, _)| *id);
        self.current != before
    }

    /// When a path wants attention.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        let next = |path: &Path| path.asked.map_or(path.next_ping, |asked| asked.plus(PATIENCE));
        self.open.values().map(next).min()
    }
}
