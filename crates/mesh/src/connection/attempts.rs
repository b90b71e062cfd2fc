//! Paths beside the relay: when they are tried, and what the two ends tell each other about them.
//!
//! Who spoke first offers WebRTC, so that the offers of both never cross; the other end asks for another attempt when
//! its network changed. On the local network whoever listens says where, and the other end comes.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use halo_protocol::channel::{PathId, PathKind as Kind};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::session::shown;
use super::{PathKind, task::PeerOptions};
use crate::config::Direct;
use crate::paths::direct::{self, Options};
use crate::paths::framed;
use crate::paths::{AsyncTell, Numbered, Path, PathEvent, Signal};

/// From one attempt that failed to the next: doubles up to the second.
const PAUSES: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(120));
/// After one that had been open.
const SOON: Duration = Duration::from_millis(500);
/// The local network gets so long before WebRTC is tried as well.
const LAN_FIRST: Duration = Duration::from_millis(500);
/// Attempts at once: the one that stands, and the one that shall take over.
const MOST: usize = 2;

/// Where events of a path go.
pub(super) struct Tell {
    path: PathId,
    events: mpsc::Sender<(PathId, PathEvent)>,
}

impl AsyncTell for Tell {
    async fn tell(&self, event: PathEvent) -> bool {
        self.events.send((self.path, event)).await.is_ok()
    }
}

/// What follows from an event of a path.
pub(super) enum What {
    Nothing,
    Say(Numbered),
    Opened(Kind),
    Closed,
}

struct Held {
    path: Path,
    kind: Kind,
    attempt: u32,
    open: bool,
    relayed: bool,
}

pub(super) struct Attempts {
    /// Whether this end offers.
    offers: bool,
    events: mpsc::Sender<(PathId, PathEvent)>,
    held: BTreeMap<PathId, Held>,
    next: u64,
    /// Of WebRTC, by whoever offers.
    attempt: u32,
    pause: Duration,
    retry: Option<Instant>,
}

/// Names of paths that are opened here; those of the hub are lower.
const OURS: u64 = 1 << 32;

impl Attempts {
    pub(super) fn new(offers: bool, events: mpsc::Sender<(PathId, PathEvent)>) -> Self {
        Self { offers, events, held: BTreeMap::new(), next: OURS, attempt: 0, pause: PAUSES.0, retry: None }
    }

    /// The session stands: begin with whatever may be.
    pub(super) fn begin(&mut self, options: &PeerOptions) -> Vec<Numbered> {
        let listening = self.listen(options);
        if self.offers {
            if listening.is_some() {
                self.retry = Some(Instant::now() + LAN_FIRST);
            } else {
                self.offer(options);
            }
        }
        listening.into_iter().collect()
    }

    /// When [`Self::again`] is due.
    pub(super) fn retry(&self) -> Option<Instant> {
        self.retry
    }

    /// Time for another attempt, if one is still needed.
    pub(super) fn again(&mut self, options: &PeerOptions) {
        self.retry = None;
        let needed = !self.held.values().any(|held| held.kind == Kind::Direct || held.open);
        if self.offers && needed {
            self.offer(options);
        }
    }

    /// The network changed: whatever stands may be dead, or worse than what could be.
    pub(super) fn disturbed(&mut self, options: &PeerOptions) -> Vec<Numbered> {
        self.pause = PAUSES.0;
        let mut signals: Vec<Numbered> = self.listen(options).into_iter().collect();
        if self.offers {
            self.offer(options);
        } else {
            signals.push(Numbered { attempt: 0, signal: Signal::Again });
        }
        signals
    }

    /// Other options hold now: which paths end by it, and what is to be said.
    pub(super) fn changed(&mut self, options: &PeerOptions) -> (Vec<PathId>, Vec<Numbered>) {
        if options.direct == Direct::Off {
            let direct = self.held.iter().filter(|(_, held)| held.kind == Kind::Direct);
            let direct: Vec<PathId> = direct.map(|(path, _)| *path).collect();
            direct.iter().for_each(|path| self.close(*path));
            return (direct, Vec::new());
        }
        if self.held.values().any(|held| held.open || held.kind == Kind::Direct) {
            return (Vec::new(), Vec::new());
        }
        (Vec::new(), self.disturbed(options))
    }

    /// Hands a frame to a path of ours; gives it back if it is none of ours.
    pub(super) fn send(&self, path: PathId, frame: Vec<u8>) -> Option<Vec<u8>> {
        if path.0 < OURS {
            return Some(frame);
        }
        if let Some(held) = self.held.get(&path) {
            // What does not fit is lost, as on any network, and said again.
            let _ = held.path.frames.try_send(frame);
        }
        None
    }

    /// Ends a path.
    pub(super) fn close(&mut self, path: PathId) {
        self.held.remove(&path);
    }

    /// How the path in use is shown.
    pub(super) fn shown(&self, kind: Kind) -> PathKind {
        let relayed =
            self.held.values().filter(|held| held.open && held.kind == Kind::Direct).all(|held| held.relayed);
        if kind == Kind::Direct && relayed { PathKind::Turn } else { shown(kind) }
    }

    /// What happened to a path.
    pub(super) fn happened(&mut self, path: PathId, event: PathEvent) -> What {
        match event {
            PathEvent::Signal(signal) => match self.held.get(&path) {
                Some(held) => What::Say(Numbered { attempt: held.attempt, signal }),
                None => What::Nothing,
            },
            PathEvent::Open { relayed } => match self.held.get_mut(&path) {
                Some(held) => {
                    held.open = true;
                    held.relayed = relayed;
                    self.pause = PAUSES.0;
                    What::Opened(held.kind)
                }
                None => What::Nothing,
            },
            PathEvent::Down => {
                let Some(held) = self.held.remove(&path) else { return What::Nothing };
                if held.kind == Kind::Direct && self.retry.is_none() {
                    self.retry = Some(Instant::now() + if held.open { SOON } else { self.pause });
                    self.pause = (self.pause * 2).min(PAUSES.1);
                } else if held.kind == Kind::Lan && held.open {
                    self.retry = self.retry.or(Some(Instant::now() + SOON));
                }
                if held.open { What::Closed } else { What::Nothing }
            }
            PathEvent::Frame(_) => What::Nothing,
        }
    }

    /// Paths that a newer one of their kind takes over from; they end.
    pub(super) fn superseded(&mut self, by: PathId) -> Vec<PathId> {
        let Some(kind) = self.held.get(&by).map(|held| held.kind) else { return Vec::new() };
        let older = self.held.iter().filter(|(path, held)| **path < by && held.kind == kind && held.open);
        let older: Vec<PathId> = older.map(|(path, _)| *path).collect();
        older.iter().for_each(|path| self.close(*path));
        older
    }

    /// The peer's mesh says something about paths.
    pub(super) fn heard(&mut self, numbered: Numbered, options: &PeerOptions) -> Vec<Numbered> {
        let Numbered { attempt, signal } = numbered;
        match signal {
            Signal::Here => {}
            Signal::Again if self.offers => self.offer(options),
            Signal::Offer(_) if !self.offers && attempt > self.attempt => {
                self.attempt = attempt;
                self.open(attempt, options, Some(signal));
            }
            Signal::Answer(_) | Signal::Candidate(_) => {
                let mut held = self.held.values();
                if let Some(held) = held.find(|held| held.kind == Kind::Direct && held.attempt == attempt) {
                    // Candidates are few; more than fit are no ways of an honest peer.
                    let _ = held.path.signals.try_send(signal);
                }
            }
            Signal::Listening { addresses, token } => self.dial(addresses, token, options),
            Signal::Again | Signal::Offer(_) => {}
        }
        Vec::new()
    }

    fn name(&mut self) -> (PathId, Tell) {
        let path = PathId(self.next);
        self.next += 1;
        (path, Tell { path, events: self.events.clone() })
    }

    fn offer(&mut self, options: &PeerOptions) {
        self.attempt += 1;
        self.open(self.attempt, options, None);
    }

    fn open(&mut self, attempt: u32, options: &PeerOptions, offer: Option<Signal>) {
        let has_turn = options.ice.iter().flat_map(|server| &server.urls).any(|url| url.starts_with("turn"));
        match options.direct {
            Direct::Off => return,
            Direct::TurnOnly if !has_turn => return,
            Direct::TurnOnly | Direct::Any | Direct::Loopback => {}
        }
        let unopened: Vec<PathId> = self
            .held
            .iter()
            .filter(|(_, held)| held.kind == Kind::Direct && !held.open)
            .map(|(path, _)| *path)
            .collect();
        // A newer attempt knows more than one that has not come to anything.
        unopened.into_iter().for_each(|path| self.close(path));
        if self.held.values().filter(|held| held.kind == Kind::Direct).count() >= MOST {
            return;
        }
        let (path, tell) = self.name();
        let opening = Options {
            offers: offer.is_none(),
            ice: options.ice.clone(),
            turn_only: options.direct == Direct::TurnOnly,
            loopback: options.direct == Direct::Loopback,
        };
        let opened = direct::open(opening, tell);
        if let Some(offer) = offer {
            // The queue is new, so there is room.
            let _ = opened.signals.try_send(offer);
        }
        self.hold(path, Kind::Direct, attempt, opened);
    }

    fn hold(&mut self, name: PathId, kind: Kind, attempt: u32, path: Path) {
        self.held.insert(name, Held { path, kind, attempt, open: false, relayed: false });
    }

    /// Waits for the peer on the local network, and says where.
    fn listen(&mut self, options: &PeerOptions) -> Option<Numbered> {
        let doorstep = options.doorstep.as_ref()?;
        let mut token = [0; 32];
        getrandom::fill(&mut token).ok()?;
        self.stop_waiting();
        let (path, tell) = self.name();
        self.hold(path, Kind::Lan, 0, framed::accept(doorstep.expect(token), tell));
        let addresses = doorstep.addresses().to_vec();
        Some(Numbered { attempt: 0, signal: Signal::Listening { addresses, token } })
    }

    /// Forgets paths of the local network that nobody came by.
    fn stop_waiting(&mut self) {
        let waiting = self.held.iter().filter(|(_, held)| held.kind == Kind::Lan && !held.open);
        for path in waiting.map(|(path, _)| *path).collect::<Vec<_>>() {
            self.close(path);
        }
    }

    fn dial(&mut self, addresses: Vec<SocketAddr>, token: framed::Token, options: &PeerOptions) {
        let Some(doorstep) = &options.doorstep else { return };
        if self.held.values().any(|held| held.kind == Kind::Lan && held.open) {
            return;
        }
        let own: Vec<IpAddr> = doorstep.addresses().iter().map(SocketAddr::ip).collect();
        let near: Vec<SocketAddr> =
            addresses.into_iter().filter(|address| is_near(address.ip(), &own)).collect();
        if near.is_empty() {
            return;
        }
        let (path, tell) = self.name();
        let dialled = framed::dial(near, token, tell);
        self.hold(path, Kind::Lan, 0, dialled);
    }
}

/// Whether an address is on a network that this machine is on: a peer must not make us knock anywhere else.
fn is_near(address: IpAddr, own: &[IpAddr]) -> bool {
    if address.is_loopback() {
        return own.iter().any(IpAddr::is_loopback);
    }
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    interfaces.iter().any(|interface| match (&interface.addr, address) {
        (if_addrs::IfAddr::V4(mine), IpAddr::V4(theirs)) => {
            let mask = mine.netmask.to_bits();
            mine.ip.to_bits() & mask == theirs.to_bits() & mask
        }
        (if_addrs::IfAddr::V6(mine), IpAddr::V6(theirs)) => {
            let mask = mine.netmask.to_bits();
            mask != 0 && mine.ip.to_bits() & mask == theirs.to_bits() & mask
        }
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_cannot_make_us_knock_at_strangers() {
        let loopback: IpAddr = "127.0.0.1".parse().unwrap();
        let lan: IpAddr = "192.168.1.7".parse().unwrap();
        assert!(is_near(loopback, &[loopback]));
        assert!(!is_near(loopback, &[lan]), "our own services");
        for far in ["1.1.1.1", "2606:4700::1111", "203.0.113.9"] {
            assert!(!is_near(far.parse().unwrap(), &[lan]), "{far}");
        }
    }
}
