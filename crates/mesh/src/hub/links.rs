//! Which servers there is a line to, and which topics are joined there.

use std::collections::{BTreeMap, BTreeSet};

use halo_protocol::signal::{ClientMessage, IceServer, Topic};
use url::Url;

use super::Hub;
use crate::link::{Link, LinkId};

/// A line, and what is known of its server.
pub(super) struct Held {
    pub(super) url: Url,
    pub(super) link: Link,
    /// What it named for ICE.
    pub(super) ice: Vec<IceServer>,
}

impl Hub {
    /// Opens lines that are wanted now, closes the others, and says where to be.
    pub(super) fn refresh_links(&mut self) {
        let wanted = self.wanted();
        let unwanted: Vec<LinkId> = self
            .links
            .iter()
            .filter(|(_, held)| !wanted.contains_key(&held.url))
            .map(|(id, _)| *id)
            .collect();
        let changed = !unwanted.is_empty();
        for id in unwanted {
            self.forget_contacts(id);
            self.links.remove(&id);
        }
        for (url, topics) in wanted {
            let known = self.links.values().find(|held| held.url == url);
            match known {
                Some(held) => held.link.be_at(topics),
                None => self.connect(url, topics),
            }
        }
        if changed {
            self.refresh_options();
        }
    }

    /// Leaves a topic at all servers and joins it again, as somebody new.
    pub(super) fn rejoin(&self, topic: Topic) {
        for held in self.links.values() {
            // A line with so much waiting is about to break, and joins again by itself.
            let _ = held.link.outgoing.try_send(ClientMessage::Leave { topic });
            let _ = held.link.outgoing.try_send(ClientMessage::Join { topic });
        }
    }

    fn connect(&mut self, url: Url, topics: BTreeSet<Topic>) {
        let id = LinkId(self.next);
        self.next += 1;
        let link = Link::open(
            id,
            url.clone(),
            self.tls.clone(),
            self.link_events.0.clone(),
            self.disturbances.subscribe(),
        );
        link.be_at(topics);
        self.links.insert(id, Held { url, link, ice: Vec::new() });
    }

    /// Each server with the topics to be at there.
    fn wanted(&self) -> BTreeMap<Url, BTreeSet<Topic>> {
        let mut wanted: BTreeMap<Url, BTreeSet<Topic>> = BTreeMap::new();
        let all: BTreeSet<Topic> = self.meetings.values().map(|joined| joined.topic).collect();
        for url in &self.config.servers {
            wanted.entry(url.clone()).or_default().extend(&all);
        }
        for joined in self.meetings.values() {
            for url in &joined.meeting.servers {
                wanted.entry(url.clone()).or_default().insert(joined.topic);
            }
            let Some(lan) = self.lan.as_ref().filter(|_| joined.meeting.lan) else { continue };
            let own = lan.own_server().into_iter().cloned();
            for url in own.chain(lan.servers_of(&joined.meeting.secret)) {
                wanted.entry(url).or_default().insert(joined.topic);
            }
        }
        wanted
    }
}
