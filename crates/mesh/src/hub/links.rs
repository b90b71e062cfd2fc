//! Which servers there is a line to, and which topics are joined there.

use std::collections::BTreeMap;

use halo_protocol::signal::IceServer;
use url::Url;

use super::Hub;
use crate::link::{Link, LinkId, Memberships};

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

    fn connect(&mut self, url: Url, topics: Memberships) {
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
    fn wanted(&self) -> BTreeMap<Url, Memberships> {
        let mut wanted: BTreeMap<Url, Memberships> = BTreeMap::new();
        for url in &self.config.servers {
            wanted.entry(url.clone()).or_default();
        }
        for (id, joined) in &self.meetings {
            let lan = self.lan.as_ref().filter(|_| joined.meeting.lan);
            let near = lan.into_iter().flat_map(|lan| {
                lan.own_server().into_iter().cloned().chain(lan.servers_of(&joined.meeting.secret))
            });
            let named = self.config.servers.iter().chain(&joined.meeting.servers).cloned();
            for url in named.chain(near) {
                wanted.entry(url).or_default().insert(joined.topic, *id);
            }
        }
        wanted
    }
}
