//! Who is met where: one task that owns the servers, the meetings and the peers.
//!
//! Servers bring *contacts*: a peer of a topic at one server. A contact that has said its instance is a *route* to that
//! peer. Each peer has a task of its own (`connection`), which gets the words of all its routes and says its own through
//! here.

mod contacts;
mod links;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use halo_protocol::AgreementKey;
use halo_protocol::channel::PathId;
use halo_protocol::signal::{PeerId, ServerMessage, Topic};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};

use crate::config::{Lan, MeshConfig};
use crate::connection::{CloseReason, PeerKey, PeerNotice, PeerOptions, ToPeer};
use crate::greeting::Instance;
use crate::lan::{LanEvent, LocalNetwork};
use crate::link::{LinkEvent, LinkId};
use crate::meeting::{Meeting, MeetingId};
use crate::mesh::{Command, MeshEvent, ServerState};
use crate::surroundings;
use crate::tls::Tls;
use contacts::Contact;
use links::Held;

/// Events that wait for an owner who takes none; later ones are dropped, and connections with them.
const MOST_EVENTS: usize = 1_024;
/// Before a peer that was lost, but is still met, is tried again.
const REST: Duration = Duration::from_secs(2);
/// For goodbyes: as long as a session lingers, and a little more.
const FAREWELL: Duration = Duration::from_secs(6);

pub(crate) struct Hub {
    config: MeshConfig,
    tls: Tls,
    lan: Option<LocalNetwork>,
    links: BTreeMap<LinkId, Held>,
    meetings: BTreeMap<MeetingId, Joined>,
    peers: BTreeMap<PeerKey, Entry>,
    next: u64,
    /// When somebody is to be told again who we are.
    hello: Option<Instant>,
    events: mpsc::Sender<MeshEvent>,
    backlog: VecDeque<MeshEvent>,
    options: watch::Sender<PeerOptions>,
    disturbances: watch::Sender<u64>,
    link_events: Both<(LinkId, LinkEvent)>,
    notices: Both<PeerNotice>,
    lan_events: Both<LanEvent>,
}

/// Both ends of a queue: the one that is given away, and ours.
type Both<T> = (mpsc::Sender<T>, mpsc::Receiver<T>);

/// A meeting.
struct Joined {
    meeting: Meeting,
    topic: Topic,
    instance: Instance,
    contacts: BTreeMap<(LinkId, PeerId), Contact>,
    /// What the servers call us.
    names: BTreeMap<LinkId, PeerId>,
    /// Peers whose connection was closed on purpose; the oldest are forgotten.
    finished: VecDeque<Instance>,
    /// It was left, and only says goodbye.
    left: bool,
}

/// A peer.
struct Entry {
    state: State,
    first: bool,
    remote: Option<AgreementKey>,
    routes: BTreeMap<PathId, (LinkId, PeerId)>,
}

enum State {
    /// Its task runs.
    Live(mpsc::Sender<ToPeer>),
    /// It was lost, and is tried again.
    Resting(Instant),
}

impl Hub {
    pub(crate) fn new(config: MeshConfig, events: mpsc::Sender<MeshEvent>) -> Self {
        let options = PeerOptions { direct: config.direct, ice: config.ice.clone(), doorstep: None };
        Self {
            tls: Tls::trusting(config.trusted.clone()),
            config,
            lan: None,
            links: BTreeMap::new(),
            meetings: BTreeMap::new(),
            peers: BTreeMap::new(),
            next: 1,
            hello: None,
            events,
            backlog: VecDeque::new(),
            options: watch::Sender::new(options),
            disturbances: watch::Sender::new(0),
            link_events: mpsc::channel(256),
            notices: mpsc::channel(256),
            lan_events: mpsc::channel(64),
        }
    }

    pub(crate) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let watching = tokio::spawn(surroundings::watch(self.disturbances.clone()));
        let mut disturbances = self.disturbances.subscribe();
        self.open_lan().await;
        self.refresh_links();
        let events = self.events.clone();
        let asked = loop {
            let rest = self.peers.values().filter_map(Entry::rests_until).min();
            tokio::select! {
                command = commands.recv() => match command {
                    None => break None,
                    Some(Command::Close { done }) => break Some(done),
                    Some(command) => self.command(command).await,
                },
                Some((link, event)) = self.link_events.1.recv() => self.link_says(link, event),
                Some(notice) = self.notices.1.recv() => self.peer_says(notice),
                Some(event) = self.lan_events.1.recv() => self.lan_says(event),
                Ok(()) = disturbances.changed() => self.disturbed().await,
                permit = events.reserve(), if !self.backlog.is_empty() => match permit {
                    Ok(permit) => if let Some(event) = self.backlog.pop_front() { permit.send(event) },
                    // Nobody takes connections any more; those that were taken live on.
                    Err(_) => self.backlog.clear(),
                },
                () = sleep_until(self.hello.unwrap_or_else(Instant::now)), if self.hello.is_some() => {
                    self.greet_again();
                }
                () = sleep_until(rest.unwrap_or_else(Instant::now)), if rest.is_some() => self.wake(),
            }
        };
        watching.abort();
        let _ = timeout(FAREWELL, self.farewell()).await;
        // Not before here: servers, tasks and sockets end with the hub.
        drop(self);
        if let Some(done) = asked {
            let _ = done.send(());
        }
    }

    async fn command(&mut self, command: Command) {
        // Who asked and went away needs no answer.
        match command {
            Command::Join { meeting, done } => {
                let _ = done.send(self.join(meeting));
            }
            Command::Leave { meeting, done } => {
                self.leave(meeting);
                let _ = done.send(());
            }
            Command::Reconfigure { config, done } => {
                self.reconfigure(config).await;
                let _ = done.send(());
            }
            Command::LocalServers { done } => {
                let urls = self.lan.as_ref().map(|lan| lan.urls().to_vec()).unwrap_or_default();
                let _ = done.send(urls);
            }
            Command::Disturbed => self.disturbances.send_modify(|count| *count += 1),
            Command::Close { .. } => {}
        }
    }

    fn join(&mut self, meeting: Meeting) -> MeetingId {
        let topic = meeting.secret.topic();
        let same = |joined: &Joined| joined.topic == topic;
        let before: Vec<MeetingId> =
            self.meetings.iter().filter(|(_, joined)| same(joined)).map(|(id, _)| *id).collect();
        for id in &before {
            // Without goodbyes: they would come from a name that is somebody else's now.
            self.peers.retain(|key, _| key.meeting != *id);
            self.meetings.remove(id);
        }
        let id = MeetingId(self.next);
        self.next += 1;
        let joined = Joined {
            meeting,
            topic,
            instance: Instance(rand::random()),
            contacts: BTreeMap::new(),
            names: BTreeMap::new(),
            finished: VecDeque::new(),
            left: false,
        };
        self.meetings.insert(id, joined);
        self.advertise();
        self.refresh_links();
        id
    }

    fn leave(&mut self, id: MeetingId) {
        // Goodbyes go out before the topic is left: the tasks say them through their routes, which stay until they end.
        for (_, entry) in self.peers.iter().filter(|(key, _)| key.meeting == id) {
            entry.tell(ToPeer::End(CloseReason::Here));
        }
        if let Some(joined) = self.meetings.get_mut(&id) {
            joined.left = true;
        }
        self.peers.retain(|key, entry| key.meeting != id || matches!(entry.state, State::Live(_)));
        self.let_go(id);
    }

    /// Forgets a meeting that was left, once its last peer has ended.
    fn let_go(&mut self, id: MeetingId) {
        let left = self.meetings.get(&id).is_some_and(|joined| joined.left);
        if left && !self.peers.keys().any(|key| key.meeting == id) {
            self.meetings.remove(&id);
            self.advertise();
            self.refresh_links();
        }
    }

    async fn reconfigure(&mut self, config: MeshConfig) {
        if config.trusted != self.config.trusted {
            self.tls = Tls::trusting(config.trusted.clone());
            self.links.clear();
        }
        let lan = std::mem::replace(&mut self.config, config).lan;
        if lan != self.config.lan {
            self.open_lan().await;
        }
        self.refresh_links();
        self.refresh_options();
    }

    /// The machine woke, or the network changed.
    async fn disturbed(&mut self) {
        if self.lan.as_ref().is_none_or(|lan| lan.moved(&self.config.lan)) {
            self.open_lan().await;
            self.refresh_links();
        }
        for entry in self.peers.values() {
            entry.tell(ToPeer::Disturbed);
        }
    }

    /// Serves the local network where this machine is now.
    async fn open_lan(&mut self) {
        self.lan = None;
        if self.config.lan != Lan::Off {
            self.lan = LocalNetwork::open(&self.config.lan, self.lan_events.0.clone()).await;
        }
        self.advertise();
        self.refresh_options();
    }

    fn advertise(&mut self) {
        if let Some(lan) = &mut self.lan {
            let meetings = self.meetings.values().filter(|joined| joined.meeting.lan && !joined.left);
            lan.advertise(meetings.map(|joined| &joined.meeting.secret));
        }
    }

    fn lan_says(&mut self, event: LanEvent) {
        if let Some(lan) = &mut self.lan {
            lan.take(event);
            self.refresh_links();
        }
    }

    fn peer_says(&mut self, notice: PeerNotice) {
        match notice {
            PeerNotice::Say { peer, path, greeting } => self.say(peer, path, &greeting),
            PeerNotice::Connected { peer, connection } => {
                let remote = connection.remote();
                if let Some(entry) = self.peers.get_mut(&peer) {
                    entry.remote = remote;
                }
                // The same device with another instance started anew, and its end before is dead.
                for (key, entry) in &self.peers {
                    if key.meeting == peer.meeting
                        && *key != peer
                        && remote.is_some()
                        && entry.remote == remote
                    {
                        entry.tell(ToPeer::End(CloseReason::Replaced));
                    }
                }
                self.publish(MeshEvent::Connected { meeting: peer.meeting, connection });
            }
            PeerNotice::Ended { peer, reason } => self.ended(peer, reason),
        }
    }

    fn ended(&mut self, peer: PeerKey, reason: CloseReason) {
        let routes = self.peers.get(&peer).is_some_and(|entry| !entry.routes.is_empty());
        if let Some(joined) = self.meetings.get_mut(&peer.meeting)
            && !joined.left
        {
            if reason == CloseReason::Lost {
                if routes && let Some(entry) = self.peers.get_mut(&peer) {
                    entry.state = State::Resting(Instant::now() + REST);
                    return;
                }
            } else {
                joined.finish(peer.instance);
            }
        }
        self.peers.remove(&peer);
        self.let_go(peer.meeting);
    }

    fn link_says(&mut self, link: LinkId, event: LinkEvent) {
        match event {
            LinkEvent::Up => self.server(link, ServerState::Up),
            LinkEvent::Down => {
                self.forget_contacts(link);
                self.server(link, ServerState::Down);
            }
            LinkEvent::Said(ServerMessage::IceServers { servers }) => {
                if let Some(held) = self.links.get_mut(&link) {
                    held.ice = servers;
                }
                self.refresh_options();
            }
            LinkEvent::Said(message) => self.server_says(link, message),
        }
    }

    fn server(&mut self, link: LinkId, state: ServerState) {
        if let Some(held) = self.links.get(&link) {
            let url = held.url.clone();
            self.publish(MeshEvent::Server { url, state });
        }
    }

    fn refresh_options(&mut self) {
        let ours = self.config.ice.iter();
        let ice = ours.chain(self.links.values().flat_map(|held| &held.ice)).cloned().collect();
        let doorstep = self.lan.as_ref().map(|lan| lan.doorstep().clone());
        self.options.send_replace(PeerOptions { direct: self.config.direct, ice, doorstep });
    }

    fn publish(&mut self, event: MeshEvent) {
        if self.backlog.len() < MOST_EVENTS {
            self.backlog.push_back(event);
        }
    }

    /// Lets every peer say goodbye.
    async fn farewell(&mut self) {
        for entry in self.peers.values() {
            entry.tell(ToPeer::End(CloseReason::Here));
        }
        self.peers.retain(|_, entry| matches!(entry.state, State::Live(_)));
        while !self.peers.is_empty() {
            tokio::select! {
                Some(notice) = self.notices.1.recv() => match notice {
                    PeerNotice::Say { peer, path, greeting } => self.say(peer, path, &greeting),
                    PeerNotice::Ended { peer, .. } => {
                        self.peers.remove(&peer);
                    }
                    PeerNotice::Connected { .. } => {}
                },
                // What they answer: a session ends in good order once everything that it said has arrived.
                Some((link, event)) = self.link_events.1.recv() => self.link_says(link, event),
                else => return,
            }
        }
        let links = std::mem::take(&mut self.links);
        futures_util::future::join_all(links.into_values().map(|held| held.link.finish())).await;
    }
}

impl Entry {
    /// Hands something to the peer's task. A task that does not keep up with its peer's words loses some; it is told
    /// them again.
    fn tell(&self, message: ToPeer) {
        if let State::Live(inbox) = &self.state {
            let _ = inbox.try_send(message);
        }
    }

    fn rests_until(&self) -> Option<Instant> {
        match self.state {
            State::Live(_) => None,
            State::Resting(until) => Some(until),
        }
    }
}
