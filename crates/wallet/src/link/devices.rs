//! The user's devices: which there are, what they are called, and how one is shut out.

use std::collections::BTreeMap;

use halo_mesh::PathKind;
use halo_protocol::audit::AuditEvent;
use halo_protocol::credential::{Assertion, Cut, DeviceProfile, Draft, MOST_CUTS, MOST_PARENTS};
use halo_protocol::feed::{BlockHash, Payload};
use halo_protocol::{DeviceKey, FeedKey, SpaceKey};
use zeroize::Zeroizing;

use super::net::{NetworkSettings, Turn};
use super::view::{
    DeviceView, KnownAlias, LinkView, NetworkChange, NetworkView, PathView, PeerView, Removal, RevokeDevice,
    ServerState, ServerView, SpacePeerView, SpaceSyncView, SyncView, TurnView,
};
use crate::engine::{Engine, clock};
use crate::epochs::FreshEpoch;
use crate::error::WalletError;
use crate::handle::Wallet;
use crate::open::{Open, setting};
use crate::request::GrantId;
use crate::view::Event;

const NO_DEVICE: WalletError = WalletError::NotFound { what: "the device" };

fn device_key(hex: &str) -> Result<DeviceKey, WalletError> {
    let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).map_err(|_| NO_DEVICE)?;
    DeviceKey::from_bytes(&bytes).map_err(|_| NO_DEVICE)
}

impl Wallet {
    /// Names any of the user's devices.
    ///
    /// # Errors
    /// [`WalletError::NotFound`]; [`WalletError::BadInput`] for a name that is none.
    pub async fn rename_device(&self, key: String, label: String) -> Result<(), WalletError> {
        let label = crate::appearance::clean_name(&label)
            .ok_or_else(|| WalletError::BadInput { what: "the name is empty".into() })?;
        self.try_job(move |engine| {
            let key = device_key(&key)?;
            engine.unlocked()?.rename_device(key, label)?;
            engine.devices_changed();
            Ok(())
        })
        .await
    }

    /// What removing a device would mean. Changes nothing.
    ///
    /// # Errors
    /// [`WalletError::NotFound`].
    pub async fn removal_of(&self, key: String) -> Result<Removal, WalletError> {
        self.try_job(move |engine| {
            let key = device_key(&key)?;
            engine.removal(key)
        })
        .await
    }

    /// Puts a device out of every space, with new epochs, and closes its connections. It reads nothing that is written from
    /// then on.
    ///
    /// # Errors
    /// [`WalletError::NotFound`]; [`WalletError::BadInput`] for this device itself; a wrong passphrase or phrase.
    pub async fn revoke_device(&self, wanted: RevokeDevice) -> Result<Removal, WalletError> {
        self.prove_presence(wanted.passphrase).await?;
        let phrase = wanted.phrase;
        self.try_job(move |engine| {
            let key = device_key(&wanted.device_key)?;
            let removal = engine.removal(key)?;
            engine.unlocked()?.revoke_device(key, phrase)?;
            engine.keep_mark();
            engine.spread();
            engine.devices_changed();
            Ok(removal)
        })
        .await
    }

    /// Takes back that a device was let in, while it is on probation.
    ///
    /// # Errors
    /// As [`Self::revoke_device`]; [`WalletError::BadInput`] for one that is not on probation any more.
    pub async fn undo_device(&self, key: String) -> Result<(), WalletError> {
        self.try_job(move |engine| {
            let key = device_key(&key)?;
            let open = engine.unlocked()?;
            let device = open.state.devices.get(&key).ok_or(NO_DEVICE)?;
            if !open.is_on_probation(device) {
                return Err(WalletError::BadInput {
                    what: "this device has been here for more than a day: remove it instead".into(),
                });
            }
            open.revoke_device(key, None)?;
            engine.keep_mark();
            engine.spread();
            engine.devices_changed();
            Ok(())
        })
        .await
    }

    /// Gives an app an alias that no device knows which was removed by what this one has heard of. It signs in anew, and takes the
    /// user for somebody new.
    ///
    /// # Errors
    /// [`WalletError::NotFound`]; [`WalletError::BadInput`] if it knows the identity itself.
    pub async fn fresh_alias(&self, grant: &GrantId) -> Result<(), WalletError> {
        let id = grant.clone();
        self.try_job(move |engine| {
            engine.unlocked()?.fresh_alias(&id)?;
            engine.tell(Event::Revoked(id));
            engine.changed();
            Ok(())
        })
        .await
    }

    /// How the user's devices stand to each other.
    ///
    /// # Errors
    /// [`WalletError::Locked`].
    pub async fn sync_status(&self) -> Result<SyncView, WalletError> {
        self.try_job(Engine::sync_view).await
    }

    /// Changes how devices find each other, on this device.
    ///
    /// # Errors
    /// [`WalletError::BadInput`] for an address that is none.
    pub async fn set_network(&self, change: NetworkChange) -> Result<(), WalletError> {
        self.try_job(move |engine| {
            let next = changed_network(&engine.network, change)?;
            engine
                .unlocked()?
                .record(clock(), AuditEvent::SettingsChanged, |tx| tx.put_setting(setting::NETWORK, &next))?;
            engine.network = next;
            engine.changed();
            Ok(())
        })
        .await?;
        super::net::follow(&super::desk::Desk::of(self)).await?;
        self.job(|engine| engine.devices_changed()).await
    }
}

fn changed_network(before: &NetworkSettings, change: NetworkChange) -> Result<NetworkSettings, WalletError> {
    let bad = |what: String| WalletError::BadInput { what };
    let mut next = before.clone();
    if let Some(servers) = change.servers {
        next.servers = servers
            .iter()
            .map(|text| super::net::server_url(text).map(String::from))
            .collect::<Result<_, _>>()?;
    }
    if let Some(lan) = change.lan {
        next.lan = lan;
    }
    if let Some(turn) = change.turn {
        let known = std::mem::take(&mut next.turn);
        for server in turn {
            if !(server.url.starts_with("turn:") || server.url.starts_with("turns:")) {
                return Err(bad(format!("{} is no address of a TURN server", server.url)));
            }
            let same = |turn: &&Turn| turn.url == server.url && turn.username == server.username;
            let credential = match server.credential {
                Some(credential) => credential.to_string(),
                None => known
                    .iter()
                    .find(same)
                    .map(|turn| turn.credential.clone())
                    .ok_or_else(|| bad("the TURN server needs a password".into()))?,
            };
            next.turn.push(Turn { url: server.url, username: server.username, credential });
        }
    }
    Ok(next)
}

impl NetworkSettings {
    pub(crate) fn view(&self) -> NetworkView {
        let turn = self.turn.iter();
        NetworkView {
            servers: self.servers.clone(),
            lan: self.lan,
            turn: turn
                .map(|turn| TurnView { url: turn.url.clone(), username: turn.username.clone() })
                .collect(),
        }
    }
}

impl Engine {
    /// The devices as people see them, this one first, removed ones last.
    pub(crate) fn device_views(&self) -> Vec<DeviceView> {
        let Some(open) = &self.open else { return Vec::new() };
        let own = open.keys.device_key();
        let now = clock();
        let said: BTreeMap<_, _> =
            open.credentials().iter().map(|credential| (credential.id(), credential.said())).collect();
        let mut views: Vec<DeviceView> = open
            .state
            .devices
            .iter()
            .map(|(key, device)| {
                let profile = device.profile.as_ref();
                let online = self.peers.all.values().any(|peer| peer.device == *key);
                DeviceView {
                    device_key: key.to_string(),
                    label: profile.map(|profile| profile.label.clone()).unwrap_or_default(),
                    platform: profile.map(|profile| profile.platform.clone()).filter(|name| !name.is_empty()),
                    current: *key == own,
                    online: *key == own || online,
                    added: said.get(&device.authorized_by).map(|said| said.issued.as_millis()),
                    last_seen: self.seen.get(key).map(|at| at.as_millis()),
                    probation_until: device
                        .probation_until
                        .filter(|until| *until > now && !device.revoked)
                        .map(|until| until.as_millis()),
                    revoked: device.revoked.then(|| open.revoked_at(key)).flatten(),
                    suspended: !device.revoked && open.state.suspended.contains(key),
                }
            })
            .collect();
        views
            .sort_by_key(|view| (!view.current, view.revoked.is_some(), view.added, view.device_key.clone()));
        views
    }

    fn removal(&mut self, key: DeviceKey) -> Result<Removal, WalletError> {
        let open = self.unlocked()?;
        let device = open.state.devices.get(&key).filter(|device| !device.revoked).ok_or(NO_DEVICE)?;
        let _ = device;
        let left = open.state.devices.values().filter(|device| !device.revoked).count();
        let aliases = open.known_aliases();
        let last = left == 1;
        let names: Vec<_> = open.spaces.rows.iter().filter(|(_, row)| !row.halo).map(|(id, _)| *id).collect();
        let mut only_there = Vec::new();
        let ahead: Vec<_> = {
            let peers = self.peers.all.values().filter(|peer| peer.device == key);
            peers.flat_map(|peer| peer.links.iter()).map(|(space, link)| (*space, link.clone())).collect()
        };
        let open = self.unlocked()?;
        for space in names {
            let behind = ahead.iter().filter(|(of, _)| *of == space).any(|(_, link)| {
                open.here(space).is_some_and(|here| {
                    let progress = link.progress(&here);
                    progress.received < progress.to_receive
                })
            });
            if behind {
                only_there.push(open.space_name(space)?.unwrap_or_else(|| space.to_string()));
            }
        }
        Ok(Removal { device_key: key.to_string(), last, only_there, aliases })
    }

    fn sync_view(&mut self) -> Result<SyncView, WalletError> {
        self.unlocked()?;
        let servers = self.server_views();
        let lan = self.config.network.lan.unwrap_or(self.network.lan);
        let Some(open) = &self.open else { return Err(WalletError::Locked) };
        let own = open.keys.device_key().to_string();
        let (mut peers, mut links) = (Vec::new(), Vec::new());
        let mut spaces: BTreeMap<_, SpaceSyncView> = BTreeMap::new();
        for (id, row) in &open.spaces.rows {
            let here = open.store.feeds(&row.id)?.iter().map(|feed| feed.length).sum();
            let name = if row.halo { None } else { open.space_name(*id)? };
            spaces.insert(*id, SpaceSyncView { id: row.id.clone(), name, here, peers: Vec::new() });
        }
        for peer in self.peers.all.values() {
            let device_key = peer.device.to_string();
            let profile = open.state.devices.get(&peer.device).and_then(|device| device.profile.as_ref());
            let mut in_step = !peer.links.is_empty();
            for (id, link) in &peer.links {
                let (Some(here), Some(space)) = (open.here(*id), spaces.get_mut(id)) else { continue };
                let progress = link.progress(&here);
                let missing_here = progress.to_receive.saturating_sub(progress.received);
                let missing_there = progress.to_send.saturating_sub(progress.sent);
                in_step &= missing_here == 0 && missing_there == 0;
                space.peers.push(SpacePeerView {
                    device_key: device_key.clone(),
                    missing_here,
                    missing_there,
                });
            }
            let path = match peer.path {
                Some(PathKind::Direct | PathKind::Local) => PathView::Direct,
                Some(PathKind::Lan) => PathView::Lan,
                Some(PathKind::Relay | PathKind::Turn) | None => PathView::Relay,
            };
            let stats = peer.sender.as_ref().map(|sender| sender.stats()).unwrap_or_default();
            links.push(LinkView { from: own.clone(), to: device_key.clone(), path });
            peers.push(PeerView {
                device_key,
                label: profile.map(|profile| profile.label.clone()).unwrap_or_default(),
                path,
                since: peer.since.as_millis(),
                bytes_in: stats.received,
                bytes_out: stats.sent,
                in_step,
            });
        }
        Ok(SyncView { peers, links, spaces: spaces.into_values().collect(), servers, lan })
    }

    /// Whether everything that connected devices have is here, and how much of it.
    pub(crate) fn progress(&self) -> (super::view::Progress, bool) {
        let mut sum = super::view::Progress::default();
        let Some(open) = &self.open else { return (sum, false) };
        let mut in_step = !self.peers.all.is_empty();
        for peer in self.peers.all.values() {
            in_step &= !peer.links.is_empty() && peer.links.len() >= open.spaces.rows.len();
            for (id, link) in &peer.links {
                let Some(here) = open.here(*id) else {
                    in_step = false;
                    continue;
                };
                let progress = link.progress(&here);
                sum.done += progress.received;
                sum.total += progress.to_receive;
                in_step &= link.has_heard() && progress.received == progress.to_receive;
            }
        }
        (sum, in_step)
    }

    /// Servers where devices meet.
    pub(crate) fn servers(&self) -> Vec<url::Url> {
        self.mesh_config().servers
    }

    fn server_views(&self) -> Vec<ServerView> {
        let states = self.net.as_ref().map(super::net::Net::servers);
        let state = |url: &url::Url| match states.as_ref().map(|states| states.get(url)) {
            Some(Some(halo_mesh::ServerState::Up)) => ServerState::Connected,
            Some(Some(halo_mesh::ServerState::Down)) => ServerState::Waiting,
            Some(None) | None => ServerState::Connecting,
        };
        self.servers()
            .iter()
            .map(|url| ServerView { url: url.to_string(), state: state(url), error: None })
            .collect()
    }
}

impl Open {
    pub(crate) fn is_on_probation(&self, device: &halo_protocol::identity::DeviceState) -> bool {
        device.is_on_probation(clock())
    }

    fn revoked_at(&self, key: &DeviceKey) -> Option<u64> {
        let of = |said: &Draft| matches!(&said.assertion, Assertion::RevokedDevice { device_key, .. } if device_key == key);
        let said = self.credentials().iter().map(|credential| credential.said()).find(|said| of(said));
        said.map(|said| said.issued.as_millis())
    }

    /// Says what this device is, once it was let in.
    pub(crate) fn describe_itself(&mut self, profile: DeviceProfile) -> Result<(), WalletError> {
        let own = *self.keys.device_key().as_bytes();
        let credential = self.sign(clock(), own, Assertion::DeviceProfile(profile), &[])?;
        self.publish(vec![credential])
    }

    fn rename_device(&mut self, key: DeviceKey, label: String) -> Result<(), WalletError> {
        let device = self.state.devices.get(&key).filter(|device| !device.revoked).ok_or(NO_DEVICE)?;
        let profile = DeviceProfile { label: label.clone(), ..device.profile.clone().unwrap_or_default() };
        let event = AuditEvent::DeviceRenamed { device: key.to_string(), label };
        self.issue_credential(clock(), *key.as_bytes(), Assertion::DeviceProfile(profile), event, |_| Ok(()))
    }

    /// Ends a device: what it says from here on counts for nothing, and it reads nothing written from here on.
    fn revoke_device(
        &mut self,
        key: DeviceKey,
        phrase: Option<Zeroizing<String>>,
    ) -> Result<(), WalletError> {
        let device = self.state.devices.get(&key).filter(|device| !device.revoked).ok_or(NO_DEVICE)?;
        let label = device.profile.as_ref().map(|profile| profile.label.clone()).unwrap_or_default();
        if key == self.keys.device_key() {
            return Err(WalletError::BadInput {
                what: "a device cannot remove itself: do it on another one".into(),
            });
        }
        let now = clock();
        let cuts = self.cuts_of(&key)?;
        let assertion = Assertion::RevokedDevice { device_key: key, cuts };
        let credential = match phrase {
            None => self.sign(now, *key.as_bytes(), assertion, &[])?,
            Some(words) => {
                let secrets = self.keys.identity_from_phrase(halo_keystore::Phrase::parse(&words)?);
                let signer = secrets.signer()?;
                if signer.identity_key() != self.identity_key {
                    return Err(WalletError::BadInput {
                        what: "these are the words of another identity".into(),
                    });
                }
                let draft = Draft {
                    issuer: *self.identity_key.as_bytes(),
                    subject: *key.as_bytes(),
                    issued: now,
                    expires: None,
                    parents: self.state.heads.iter().take(MOST_PARENTS).copied().collect(),
                    assertion,
                };
                draft.sign(&signer)?
            }
        };
        let after = self.state_with(credential.clone(), None)?;
        if after.devices.get(&key).is_some_and(|device| !device.revoked) {
            return Err(WalletError::BadInput {
                what: "that device was let in before this one: only the 24 words remove it".into(),
            });
        }
        // The HALO space first: the others can begin later.
        let halo = self.halo()?;
        let others: Vec<_> = self.spaces.rows.keys().copied().filter(|id| *id != halo).collect();
        let fresh = self.fresh_epochs(std::iter::once(halo).chain(others), &after)?;
        let (last, subject) = (credential.id(), *self.identity_key.as_bytes());
        let mut said = vec![credential];
        if let Some(seed) = fresh.first().map(FreshEpoch::alias_seed) {
            // The keys that DXOS apps know the identity by are of a seed that the removed device knows.
            for grant in self.moved_real(seed) {
                said.push(self.sign(now, subject, grant.assertion(false), &[last])?);
            }
        }
        let event = AuditEvent::DeviceRevoked { device: key.to_string(), label };
        let payload = Payload {
            credentials: said.iter().map(|credential| credential.bytes().to_vec()).collect(),
            epochs: fresh.iter().map(FreshEpoch::bytes).collect(),
            ..Payload::default()
        };
        self.record_with(
            now,
            event,
            payload,
            |_, _| Ok(()),
            |tx| {
                said.iter().try_for_each(|credential| tx.add_credential(credential).map(drop))?;
                fresh.iter().try_for_each(|fresh| fresh.keep(tx))
            },
        )?;
        self.begun(fresh)?;
        self.learn(said)
    }

    /// Where the feeds of a device end: at what is here of them.
    fn cuts_of(&mut self, key: &DeviceKey) -> Result<Vec<Cut>, WalletError> {
        let mut cuts = Vec::new();
        let of: Vec<(SpaceKey, FeedKey)> = self
            .state
            .feeds
            .iter()
            .flat_map(|(space, feeds)| feeds.iter().map(move |(feed, state)| (*space, *feed, state.device)))
            .filter(|(_, _, device)| device == key)
            .map(|(space, feed, _)| (space, feed))
            .collect();
        for (space, feed) in of {
            let id = halo_echo::SpaceId::of_key(space.as_bytes());
            let known = match self.spaces.rows.contains_key(&id) {
                true => self.feeds(id)?.replica.feed(&feed).map(|feed| (feed.length(), feed.head())),
                false => None,
            };
            let (length, head) = known.unwrap_or((0, BlockHash::NONE));
            if length > 0 {
                cuts.push(Cut { feed, length, head });
            }
        }
        cuts.sort_unstable();
        // A feed that is not named ends before its first block.
        cuts.truncate(MOST_CUTS);
        Ok(cuts)
    }

    /// The private aliases, all of which a device knows that is in.
    fn known_aliases(&self) -> Vec<KnownAlias> {
        let mut known: Vec<KnownAlias> = self
            .grants
            .values()
            .filter(|grant| !grant.identity)
            .map(|grant| KnownAlias {
                grant: grant.id.clone(),
                name: grant.name.clone(),
                client_id: grant.client_id.clone(),
                moved: false,
            })
            .collect();
        known.sort_by(|a, b| a.client_id.cmp(&b.client_id));
        known
    }
}
