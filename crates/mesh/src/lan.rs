//! The local network: a signaller of our own, and finding those of others.
//!
//! What is said by mDNS is heard by everybody on the network, and by whoever sits there for years. So it names nobody:
//! the service's name is drawn afresh each time, and for each meeting there is a *tag*, a hash of the meeting's secret
//! with a salt that is drawn afresh as well. Who shares the secret finds the tag by computing it; nobody else can tell
//! whether two announcements, of yesterday and today, or here and there, come from the same device.
//!
//! The attack that remains: that somebody here runs HALO, with how many meetings. And whoever answers on the local
//! network is a signaller like any other, which is believed nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use halo_protocol::signal::TopicSecret;
use mdns_sd::{ServiceDaemon, ServiceEvent, ServiceInfo};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use url::Url;

use crate::config::Lan;
use crate::paths::framed::Doorstep;
use crate::signaller::{self, Signaller, SignallerConfig};
use crate::surroundings;

const SERVICE: &str = "_halo._tcp.local.";
/// Tags of one announcement, in texts of twenty: what a TXT record comfortably carries.
const MOST_TAGS: usize = 100;
const TAGS_EACH_TEXT: usize = 20;
/// Others that are known at once.
const MOST_FOUND: usize = 64;

/// What was seen on the network.
#[derive(Debug)]
pub(crate) enum LanEvent {
    Found(String, Found),
    Lost(String),
}

/// Somebody's announcement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    url: Url,
    salt: Vec<u8>,
    tags: BTreeSet<[u8; 8]>,
}

/// Our place on the local network. Dropping it leaves.
pub(crate) struct LocalNetwork {
    addresses: Vec<IpAddr>,
    urls: Vec<Url>,
    doorstep: Doorstep,
    signaller: Signaller,
    tasks: Vec<JoinHandle<()>>,
    announcement: Option<Announcement>,
    found: BTreeMap<String, Found>,
}

impl LocalNetwork {
    /// Takes a place where this machine is now; `None` if there is no network.
    pub(crate) async fn open(lan: &Lan, events: mpsc::Sender<LanEvent>) -> Option<Self> {
        let (addresses, port) = places(lan)?;
        let doorstep = Doorstep::open(&addresses).await?;
        let signaller = Signaller::new(SignallerConfig::default()).ok()?;
        let mut urls = Vec::new();
        let mut tasks = Vec::new();
        let mut port = port;
        for address in &addresses {
            // All on one port, where that is free.
            let listener = match TcpListener::bind((*address, port)).await {
                Ok(listener) => listener,
                Err(_) => match TcpListener::bind((*address, 0)).await {
                    Ok(listener) => listener,
                    Err(_) => continue,
                },
            };
            let Ok(local) = listener.local_addr() else { continue };
            port = local.port();
            if let Ok(url) = Url::parse(&format!("ws://{local}{}", signaller::PATH)) {
                urls.push(url);
            }
            let serving = signaller.clone();
            tasks.push(tokio::spawn(async move {
                if let Err(error) = serving.serve(listener, None).await {
                    tracing::debug!(kind = ?error.kind(), "the local signaller ended");
                }
            }));
        }
        if urls.is_empty() {
            return None;
        }
        let announcement = match lan {
            Lan::On { .. } => Announcement::open(port, &addresses, events),
            Lan::Off | Lan::At { .. } => None,
        };
        Some(Self { addresses, urls, doorstep, signaller, tasks, announcement, found: BTreeMap::new() })
    }

    /// Whether this machine is elsewhere by now.
    pub(crate) fn moved(&self, lan: &Lan) -> bool {
        places(lan).is_none_or(|(addresses, _)| addresses != self.addresses)
    }

    /// Where we serve.
    pub(crate) fn urls(&self) -> &[Url] {
        &self.urls
    }

    /// Where we meet those who come to us.
    pub(crate) fn own_server(&self) -> Option<&Url> {
        self.urls.first()
    }

    pub(crate) fn doorstep(&self) -> &Doorstep {
        &self.doorstep
    }

    /// Says which meetings can be had here.
    pub(crate) fn advertise<'a>(&mut self, secrets: impl Iterator<Item = &'a TopicSecret>) {
        if let Some(announcement) = &mut self.announcement {
            announcement.say(secrets);
        }
    }

    /// Takes note of others.
    pub(crate) fn take(&mut self, event: LanEvent) {
        match event {
            LanEvent::Found(name, found) => {
                let ours = self.urls.contains(&found.url);
                if !ours && (self.found.len() < MOST_FOUND || self.found.contains_key(&name)) {
                    self.found.insert(name, found);
                }
            }
            LanEvent::Lost(name) => {
                self.found.remove(&name);
            }
        }
    }

    /// Servers of others who are at this meeting.
    pub(crate) fn servers_of(&self, secret: &TopicSecret) -> Vec<Url> {
        let found = self.found.values().filter(|found| found.tags.contains(&tag(&found.salt, secret)));
        found.map(|found| found.url.clone()).collect()
    }
}

impl Drop for LocalNetwork {
    fn drop(&mut self) {
        self.signaller.close();
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Addresses and port to serve at.
fn places(lan: &Lan) -> Option<(Vec<IpAddr>, u16)> {
    let (mut addresses, port) = match lan {
        Lan::Off => return None,
        Lan::On { port } => (surroundings::addresses(), *port),
        Lan::At { addresses, port } => (addresses.clone(), *port),
    };
    // IPv4 first: every device of a home has it.
    addresses.sort_by_key(|address| (address.is_ipv6(), *address));
    addresses.dedup();
    (!addresses.is_empty()).then_some((addresses, port))
}

fn tag(salt: &[u8], secret: &TopicSecret) -> [u8; 8] {
    let digest = Sha256::new()
        .chain_update(b"halo lan v1\0")
        .chain_update(salt)
        .chain_update(secret.expose())
        .finalize();
    let mut tag = [0; 8];
    tag.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    tag
}

/// What we say by mDNS, and our ear for what others say.
struct Announcement {
    daemon: ServiceDaemon,
    port: u16,
    addresses: Vec<IpAddr>,
    /// What is said now.
    said: Option<String>,
    task: JoinHandle<()>,
}

impl Announcement {
    fn open(port: u16, addresses: &[IpAddr], events: mpsc::Sender<LanEvent>) -> Option<Self> {
        let daemon = ServiceDaemon::new().ok()?;
        let browsing = daemon.browse(SERVICE).ok()?;
        let task = tokio::spawn(async move {
            while let Ok(event) = browsing.recv_async().await {
                let event = match event {
                    ServiceEvent::ServiceResolved(service) => {
                        let texts =
                            |key: &str| service.txt_properties.get_property_val_str(key).map(str::to_owned);
                        let addresses = service.addresses.iter().map(|address| address.to_ip_addr());
                        read(addresses.collect(), service.port, texts)
                            .map(|found| LanEvent::Found(service.fullname.clone(), found))
                    }
                    ServiceEvent::ServiceRemoved(_, name) => Some(LanEvent::Lost(name)),
                    _ => None,
                };
                if let Some(event) = event
                    && events.send(event).await.is_err()
                {
                    return;
                }
            }
        });
        Some(Self { daemon, port, addresses: addresses.to_vec(), said: None, task })
    }

    fn say<'a>(&mut self, secrets: impl Iterator<Item = &'a TopicSecret>) {
        if let Some(name) = self.said.take() {
            let _ = self.daemon.unregister(&name);
        }
        let salt: [u8; 16] = rand::random();
        let tags: Vec<[u8; 8]> = secrets.take(MOST_TAGS).map(|secret| tag(&salt, secret)).collect();
        if tags.is_empty() {
            return;
        }
        let name = HEXLOWER.encode(&rand::random::<[u8; 16]>());
        let texts = write(&salt, &tags);
        let properties: Vec<(&str, &str)> =
            texts.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let host = format!("{name}.local.");
        let service = ServiceInfo::new(
            SERVICE,
            &name,
            &host,
            self.addresses.as_slice(),
            self.port,
            properties.as_slice(),
        );
        let registered = service.and_then(|service| {
            let full_name = service.get_fullname().to_owned();
            self.daemon.register(service).map(|()| full_name)
        });
        match registered {
            Ok(name) => self.said = Some(name),
            Err(error) => tracing::debug!(%error, "nothing can be said by mDNS"),
        }
    }
}

impl Drop for Announcement {
    fn drop(&mut self) {
        self.task.abort();
        // It says that we go, on a thread of its own.
        let _ = self.daemon.shutdown();
    }
}

/// An announcement's texts.
fn write(salt: &[u8; 16], tags: &[[u8; 8]]) -> Vec<(String, String)> {
    let tags = tags.chunks(TAGS_EACH_TEXT).enumerate();
    let tags = tags.map(|(number, tags)| (format!("t{number}"), BASE64URL_NOPAD.encode(&tags.concat())));
    std::iter::once(("s".to_owned(), HEXLOWER.encode(salt))).chain(tags).collect()
}

/// Reads somebody's announcement; `None` if it is none, or from no network of ours.
fn read(addresses: Vec<IpAddr>, port: u16, text: impl Fn(&str) -> Option<String>) -> Option<Found> {
    let salt = HEXLOWER.decode(text("s")?.as_bytes()).ok().filter(|salt| salt.len() == 16)?;
    let mut tags = BTreeSet::new();
    for number in 0..MOST_TAGS / TAGS_EACH_TEXT {
        let Some(text) = text(&format!("t{number}")) else { break };
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        let (chunks, []) = bytes.as_chunks::<8>() else { return None };
        tags.extend(chunks);
    }
    let usable =
        |address: &&IpAddr| !address.is_unspecified() && !address.is_multicast() && !address.is_loopback();
    // IPv4 first; a link-local IPv6 address means nothing without its interface.
    let address = addresses
        .iter()
        .filter(usable)
        .filter(|address| !matches!(address, IpAddr::V6(ip) if ip.is_unicast_link_local()))
        .min_by_key(|address| (address.is_ipv6(), **address))?;
    let host = std::net::SocketAddr::new(*address, port);
    let url = Url::parse(&format!("ws://{host}{}", signaller::PATH)).ok()?;
    Some(Found { url, salt, tags })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(number: u8) -> TopicSecret {
        TopicSecret::from_bytes(&[number; 16]).unwrap()
    }

    fn announced(secrets: &[u8]) -> BTreeMap<String, String> {
        let salt: [u8; 16] = rand::random();
        let tags: Vec<[u8; 8]> = secrets.iter().map(|number| tag(&salt, &secret(*number))).collect();
        write(&salt, &tags).into_iter().collect()
    }

    fn heard(texts: &BTreeMap<String, String>) -> Option<Found> {
        read(vec!["192.168.1.7".parse().unwrap()], 4000, |key| texts.get(key).cloned())
    }

    #[test]
    fn who_shares_the_secret_finds_the_meeting_and_nobody_else_does() {
        let secrets: Vec<u8> = (0..45).collect();
        let found = heard(&announced(&secrets)).unwrap();
        assert_eq!(found.url.as_str(), "ws://192.168.1.7:4000/signal");
        assert!(secrets.iter().all(|number| found.tags.contains(&tag(&found.salt, &secret(*number)))));
        assert!(!found.tags.contains(&tag(&found.salt, &secret(99))));
    }

    #[test]
    fn two_announcements_of_one_meeting_have_nothing_in_common() {
        let (before, after) = (announced(&[1, 2]), announced(&[1, 2]));
        assert!(before.iter().all(|(key, value)| after[key] != *value));
        let longest = announced(&(0..100).collect::<Vec<u8>>());
        assert!(longest.values().all(|value| value.len() < 250), "a text has 255 bytes at most");
    }

    #[test]
    fn what_is_no_announcement_is_not_followed() {
        let good = announced(&[1]);
        let with = |key: &str, value: &str| {
            let mut texts = good.clone();
            texts.insert(key.to_owned(), value.to_owned());
            heard(&texts)
        };
        assert!(with("s", "abc").is_none());
        assert!(with("s", &"00".repeat(17)).is_none());
        assert!(with("t0", "AAAA").is_none());
        assert!(with("t0", "!").is_none());
        let from = |address: &str| read(vec![address.parse().unwrap()], 1, |key| good.get(key).cloned());
        for address in ["127.0.0.1", "0.0.0.0", "224.0.0.251", "fe80::1", "::1"] {
            assert!(from(address).is_none(), "{address}");
        }
    }
}
