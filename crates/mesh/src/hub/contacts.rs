//! Peers as servers know them, and which of them are the same.

use std::collections::BTreeMap;
use std::time::Duration;

use halo_protocol::channel::PathId;
use halo_protocol::signal::{ClientMessage, PeerId, SealedLine, ServerMessage, Topic};
use tokio::time::Instant;

use super::{Entry, Hub, Joined, State};
use crate::connection::{Carrier, Peer, PeerKey, ToPeer};
use crate::greeting::{Greeting, Instance, speaks_first};
use crate::link::LinkId;
use crate::meeting::{MeetingId, Side};

/// Peers of one meeting; more are not talked to.
const MOST_PEERS: usize = 64;
/// Contacts of one meeting at one server.
const MOST_CONTACTS: usize = 256;
/// Peers that are remembered as closed on purpose.
const MOST_FINISHED: usize = 256;

/// Until we say again who we are, to somebody who may not have heard it; doubles up to the second, which is the last.
const HELLOS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(32));

/// A peer of a topic at one server.
pub(super) struct Contact {
    line: SealedLine,
    /// Who it is, once it said so.
    instance: Option<Instance>,
    path: PathId,
    /// When to say again who we are; `None` once the peer has said more than who it is, or never will.
    again: Option<(Instant, Duration)>,
}

impl Joined {
    /// A peer whose connection was closed on purpose is not connected to again.
    pub(super) fn finish(&mut self, instance: Instance) {
        if self.finished.len() >= MOST_FINISHED {
            self.finished.pop_front();
        }
        self.finished.push_back(instance);
    }
}

impl Hub {
    pub(super) fn server_says(&mut self, link: LinkId, message: ServerMessage) {
        match message {
            ServerMessage::Joined { topic, you, peers } => {
                let Some(id) = self.meeting_at(topic) else { return };
                self.forget_contacts_of(id, link);
                if let Some(joined) = self.meetings.get_mut(&id) {
                    joined.names.insert(link, you);
                }
                peers.into_iter().for_each(|peer| self.greet(id, link, peer));
            }
            ServerMessage::PeerJoined { topic, peer } => {
                if let Some(id) = self.meeting_at(topic) {
                    self.greet(id, link, peer);
                }
            }
            ServerMessage::PeerLeft { topic, peer } => {
                if let Some(id) = self.meeting_at(topic) {
                    self.forget_contact(id, link, peer);
                }
            }
            ServerMessage::Payload { topic, from, payload } => {
                if let Some(id) = self.meeting_at(topic) {
                    self.heard(id, (link, from), &payload);
                }
            }
            ServerMessage::Refused { why, .. } => {
                tracing::debug!(%why, "a signalling server refused something")
            }
            ServerMessage::IceServers { .. } => {}
        }
    }

    /// The newest: one that was left may still say goodbye.
    fn meeting_at(&self, topic: Topic) -> Option<MeetingId> {
        self.meetings.iter().rev().find(|(_, joined)| joined.topic == topic).map(|(id, _)| *id)
    }

    /// Somebody is there: says who we are.
    fn greet(&mut self, id: MeetingId, link: LinkId, peer: PeerId) {
        let path = PathId(self.next);
        let Some(joined) = self.meetings.get_mut(&id) else { return };
        let at_link = joined
            .contacts
            .range((link, PeerId::from_bytes([0; 16]))..=(link, PeerId::from_bytes([255; 16])));
        if joined.left || at_link.count() >= MOST_CONTACTS {
            return;
        }
        let Some(you) = joined.names.get(&link) else { return };
        self.next += 1;
        let line = SealedLine::new(&joined.meeting.secret, *you, peer);
        let again = Some((Instant::now() + HELLOS.0, HELLOS.0));
        joined.contacts.insert((link, peer), Contact { line, instance: None, path, again });
        self.hello = self.hello.or(again.map(|(due, _)| due));
        let hello = Greeting::Hello { instance: joined.instance, side: joined.meeting.side };
        self.say_to(id, (link, peer), &hello);
    }

    /// Says again who we are to those who have not shown that they know.
    pub(super) fn greet_again(&mut self) {
        let now = Instant::now();
        let mut waiting = Vec::new();
        for (id, joined) in &mut self.meetings {
            let hello = Greeting::Hello { instance: joined.instance, side: joined.meeting.side };
            for (contact, known) in &mut joined.contacts {
                let Some((due, pause)) = known.again.filter(|(due, _)| *due <= now) else { continue };
                waiting.push((*id, *contact, hello.clone()));
                let pause = pause * 2;
                known.again = (pause <= HELLOS.1 && !joined.left).then_some((due + pause, pause));
            }
        }
        for (id, contact, hello) in waiting {
            self.say_to(id, contact, &hello);
        }
        let contacts = self.meetings.values().flat_map(|joined| joined.contacts.values());
        self.hello = contacts.filter_map(|known| known.again).map(|(due, _)| due).min();
    }

    /// Seals something and hands it to the server.
    fn say_to(&mut self, id: MeetingId, contact: (LinkId, PeerId), greeting: &Greeting) {
        let Some(joined) = self.meetings.get_mut(&id) else { return };
        let Some(known) = joined.contacts.get_mut(&contact) else { return };
        let Some(held) = self.links.get(&contact.0) else { return };
        match known.line.seal(&greeting.encode(), &mut rand::rng()) {
            // What a line does not take is lost, as on any network, and said again by whoever said it.
            Ok(payload) => {
                let message = ClientMessage::Send { topic: joined.topic, to: contact.1, payload };
                let _ = held.link.outgoing.try_send(message);
            }
            Err(error) => tracing::debug!(%error, "something cannot be said through a signalling server"),
        }
    }

    /// Says something for a peer's task.
    pub(super) fn say(&mut self, peer: PeerKey, path: PathId, greeting: &Greeting) {
        let route = self.peers.get(&peer).and_then(|entry| entry.routes.get(&path)).copied();
        if let Some(contact) = route {
            self.say_to(peer.meeting, contact, greeting);
        }
    }

    fn heard(&mut self, id: MeetingId, from: (LinkId, PeerId), payload: &[u8]) {
        let Some(joined) = self.meetings.get_mut(&id) else { return };
        let Some(contact) = joined.contacts.get_mut(&from) else { return };
        let opened = match contact.line.open(payload) {
            Ok(opened) => opened,
            Err(error) => {
                tracing::debug!(%error, "something from a signalling server is not believed");
                return;
            }
        };
        let (instance, path) = (contact.instance, contact.path);
        match Greeting::decode(&opened) {
            Some(Greeting::Hello { instance, side }) => self.met(id, from, instance, side),
            Some(greeting) => {
                // It speaks to us, so it knows who we are.
                contact.again = None;
                let Some(instance) = instance else { return };
                if let Some(entry) = self.peers.get(&PeerKey { meeting: id, instance }) {
                    entry.tell(ToPeer::Said { path, greeting });
                }
            }
            None => {}
        }
    }

    /// A contact said who it is.
    fn met(&mut self, id: MeetingId, contact: (LinkId, PeerId), instance: Instance, side: Side) {
        let Some(joined) = self.meetings.get_mut(&id) else { return };
        if joined.left || joined.finished.contains(&instance) {
            return;
        }
        let Some(first) = speaks_first((joined.instance, joined.meeting.side), (instance, side)) else {
            return;
        };
        let Some(known) = joined.contacts.get_mut(&contact) else { return };
        if known.instance.is_some() {
            // It said so before; whoever says something else now is not to be trusted with either.
            return;
        }
        let key = PeerKey { meeting: id, instance };
        if !self.peers.contains_key(&key) {
            if self.peers.keys().filter(|key| key.meeting == id).count() >= MOST_PEERS {
                return;
            }
            let state = State::Live(Peer::start(
                key,
                first,
                joined.meeting.side,
                joined.meeting.handshaker.clone(),
                self.options.subscribe(),
                self.notices.0.clone(),
            ));
            self.peers.insert(key, Entry { state, first, remote: None, routes: BTreeMap::new() });
        }
        known.instance = Some(instance);
        let path = known.path;
        if let Some(entry) = self.peers.get_mut(&key) {
            entry.routes.insert(path, contact);
            entry.tell(ToPeer::Opened { path, carrier: Carrier::Relay });
        }
    }

    /// Tries peers again that were lost but are still met.
    pub(super) fn wake(&mut self) {
        let now = Instant::now();
        let mut gone = Vec::new();
        for (key, entry) in &mut self.peers {
            let State::Resting(until) = entry.state else { continue };
            if until > now {
                continue;
            }
            let Some(joined) = self.meetings.get(&key.meeting).filter(|_| !entry.routes.is_empty()) else {
                gone.push(*key);
                continue;
            };
            entry.remote = None;
            entry.state = State::Live(Peer::start(
                *key,
                entry.first,
                joined.meeting.side,
                joined.meeting.handshaker.clone(),
                self.options.subscribe(),
                self.notices.0.clone(),
            ));
            for path in entry.routes.keys() {
                entry.tell(ToPeer::Opened { path: *path, carrier: Carrier::Relay });
            }
        }
        for key in gone {
            self.peers.remove(&key);
            self.let_go(key.meeting);
        }
    }

    /// A server is gone, and everybody met there with it.
    pub(super) fn forget_contacts(&mut self, link: LinkId) {
        let ids: Vec<MeetingId> = self.meetings.keys().copied().collect();
        ids.into_iter().for_each(|id| self.forget_contacts_of(id, link));
    }

    fn forget_contacts_of(&mut self, id: MeetingId, link: LinkId) {
        let Some(joined) = self.meetings.get_mut(&id) else { return };
        joined.names.remove(&link);
        let there = joined.contacts.keys().filter(|(at, _)| *at == link);
        let there: Vec<PeerId> = there.map(|(_, peer)| *peer).collect();
        there.into_iter().for_each(|peer| self.forget_contact(id, link, peer));
    }

    fn forget_contact(&mut self, id: MeetingId, link: LinkId, peer: PeerId) {
        let Some(joined) = self.meetings.get_mut(&id) else { return };
        let Some(contact) = joined.contacts.remove(&(link, peer)) else { return };
        let Some(instance) = contact.instance else { return };
        if let Some(entry) = self.peers.get_mut(&PeerKey { meeting: id, instance }) {
            entry.routes.remove(&contact.path);
            entry.tell(ToPeer::Gone { path: contact.path });
        }
    }
}
