//! The devices that this one is connected to, on the engine's side: what they say goes in, what they are to hear goes
//! out, and who is not to be spoken with is dropped.
//!
//! First credentials, until each knows all that the other knows of who is who; then the spaces. What waits for a slow
//! peer is bounded: nothing more is read for it then. Whoever is dropped for cause is not told what still waits.

use std::collections::{BTreeMap, BTreeSet};

use halo_echo::SpaceId;
use halo_echo::replication::{
    Effect, Input, Introduction, IntroductionEffect, IntroductionInput, Link, Message, Urgency,
};
use halo_mesh::{ConnectionSender, PathKind};
use halo_protocol::epoch::EpochShare;
use halo_protocol::feed::ForkProof;
use halo_protocol::{DeviceKey, Timestamp};

use super::here::{Here, Known};
use super::outbox::{Behind, Outbox};
use super::snapshots::Fetching;
use super::wire::{Say, SpaceTag};
use crate::engine::{Engine, clock};
use crate::error::WalletError;
use crate::ingest::{IngestError, Ingested};
use crate::open::Open;
use crate::view::Event;

/// Names a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PeerId(pub(crate) u64);

/// A device at the other end of a connection.
pub(crate) struct Peer {
    pub(crate) device: DeviceKey,
    pub(super) outbox: Outbox,
    introduction: Introduction,
    pub(crate) links: BTreeMap<SpaceId, Link>,
    /// Spaces of which neither lacks anything, as was last told.
    even: BTreeSet<SpaceId>,
    /// Spaces are spoken of.
    speaks: bool,
    /// How bytes go, and since when.
    pub(crate) path: Option<PathKind>,
    pub(crate) since: Timestamp,
    /// Counts them.
    pub(crate) sender: Option<ConnectionSender>,
}

/// All of them.
#[derive(Default)]
pub(crate) struct Peers {
    pub(crate) all: BTreeMap<PeerId, Peer>,
    /// Snapshots that are on their way, and from whom.
    pub(crate) fetching: BTreeMap<SpaceId, Fetching>,
    next: u64,
}

/// Why a peer is dropped.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unwanted(pub(super) String);

impl Peer {
    /// How urgent something of a space is to it.
    fn urgency(&self, space: SpaceId, halo: bool, message: &Message) -> Urgency {
        let urgency = message.urgency(self.links.get(&space).is_some_and(Link::is_watched));
        if halo { urgency.in_halo_space() } else { urgency }
    }
}

impl Engine {
    /// A device proved who it is.
    pub(crate) fn peer_arrived(&mut self, device: DeviceKey, outbox: Outbox) -> PeerId {
        self.peers.next += 1;
        let id = PeerId(self.peers.next);
        let peer = Peer {
            device,
            outbox,
            introduction: Introduction::default(),
            links: BTreeMap::new(),
            even: BTreeSet::new(),
            speaks: false,
            path: None,
            since: clock(),
            sender: None,
        };
        self.peers.all.insert(id, peer);
        self.seen.insert(device, clock());
        self.introduce(id, IntroductionInput::Opened);
        self.devices_changed();
        id
    }

    /// A connection has ended.
    pub(crate) fn peer_gone(&mut self, id: PeerId) {
        if let Some(peer) = self.peers.all.remove(&id) {
            self.seen.insert(peer.device, clock());
            if let Some(open) = &mut self.open {
                open.keep_heard();
            }
            self.devices_changed();
            self.fetch_elsewhere(id);
        }
    }

    /// Everything of an urgency that waited for a peer was sent, after something was held back or dropped.
    pub(crate) fn peer_caught_up(&mut self, id: PeerId) {
        match self.peers.all.get(&id).and_then(|peer| peer.outbox.catch_up()) {
            Some(Behind::Held) => self.each_link(id, &Input::Grown),
            Some(Behind::Dropped) => {
                self.introduce(id, IntroductionInput::Opened);
                self.each_link(id, &Input::Opened);
            }
            None => {}
        }
    }

    /// A peer said something.
    pub(crate) fn peer_said(&mut self, id: PeerId, say: Say) {
        match say {
            Say::Acquaint(said) => self.introduce(id, IntroductionInput::Message(said)),
            Say::Space(tag, message) => {
                let Some(space) = self.spoken_of(id, tag) else { return };
                if let (Message::Have { timeframe, .. }, Some(peer), Some(open)) =
                    (&message, self.peers.all.get(&id), &mut self.open)
                {
                    open.heard(space, peer.device, timeframe);
                }
                self.link(id, space, Input::Message(message));
            }
        }
    }

    /// A space that is here, if the peer may speak of it. One that is spoken of too early is spoken of again.
    fn spoken_of(&self, id: PeerId, tag: SpaceTag) -> Option<SpaceId> {
        self.peers.all.get(&id).filter(|peer| peer.speaks)?;
        let open = self.open.as_ref()?;
        open.spaces.rows.iter().find(|(_, row)| SpaceTag::of(&row.key) == tag).map(|(id, _)| *id)
    }

    fn drop_peer(&mut self, id: PeerId, why: impl std::fmt::Display) {
        tracing::warn!(%why, "a peer was dropped");
        self.silence(id);
    }

    /// Ends the connection to a peer, which is told nothing more.
    fn silence(&mut self, id: PeerId) {
        if let Some(peer) = self.peers.all.get(&id) {
            peer.outbox.empty();
            // A peer that does not read what is being said would otherwise keep the connection as long as it likes.
            peer.sender.iter().for_each(ConnectionSender::begin_to_close);
        }
        self.peer_gone(id);
    }

    /// Lets the exchange of credentials with a peer go on.
    fn introduce(&mut self, id: PeerId, input: IntroductionInput) {
        let Some(open) = &mut self.open else { return };
        let Some(peer) = self.peers.all.get_mut(&id) else { return };
        let effects = match peer.introduction.handle(input, &Known(open.credentials(), &open.state), clock())
        {
            Ok(effects) => effects,
            Err(error) => return self.drop_peer(id, error),
        };
        let mut learnt = Vec::new();
        for effect in effects {
            match effect {
                IntroductionEffect::Send(said) => peer.outbox.put(Say::Acquaint(said), Urgency::Control),
                IntroductionEffect::Learn(credentials) => learnt.extend(credentials),
            }
        }
        if !learnt.is_empty()
            && let Err(error) = self.learn_introduced(learnt)
        {
            return self.drop_peer(id, error);
        }
        self.speak(id);
    }

    pub(super) fn learn_introduced(
        &mut self,
        learnt: Vec<halo_protocol::Verified<halo_protocol::credential::Credential>>,
    ) -> Result<(), WalletError> {
        let now = clock();
        let open = self.unlocked()?;
        open.store.write(|tx| learnt.iter().try_for_each(|one| tx.learn_credential(one, now)))?;
        let mut done = Ingested::default();
        open.learn_from_others(learnt, &mut done)?;
        open.endorse()?;
        let halo = open.halo()?;
        self.tell_ingested(halo, done);
        self.devices_changed();
        Ok(())
    }

    /// Once both know who is who, and the peer is one of us, spaces are spoken of.
    fn speak(&mut self, id: PeerId) {
        let Some(open) = &self.open else { return };
        let Some(peer) = self.peers.all.get_mut(&id) else { return };
        if peer.speaks || !peer.introduction.is_settled(&Known(open.credentials(), &open.state)) {
            return;
        }
        if !open.state.is_in(&peer.device) {
            return self.drop_peer(id, "what it says of itself does not hold");
        }
        peer.speaks = true;
        self.links_to(id);
    }

    /// Begins links for spaces that have none, and ends those of spaces that have gone.
    fn links_to(&mut self, id: PeerId) {
        let Some(open) = &self.open else { return };
        let Some(peer) = self.peers.all.get_mut(&id).filter(|peer| peer.speaks) else { return };
        let spaces: Vec<SpaceId> = open.spaces.rows.keys().copied().collect();
        peer.links.retain(|space, _| spaces.contains(space));
        let fresh: Vec<SpaceId> =
            spaces.into_iter().filter(|space| !peer.links.contains_key(space)).collect();
        for space in fresh {
            let looks = self.open.as_ref().is_some_and(|open| open.spaces.looks.told(&space));
            if let Some(peer) = self.peers.all.get_mut(&id) {
                peer.links.insert(space, Link::of(looks));
            }
            self.link(id, space, Input::Opened);
        }
    }

    fn each_link(&mut self, id: PeerId, input: &Input) {
        let Some(peer) = self.peers.all.get(&id) else { return };
        let spaces: Vec<SpaceId> = peer.links.keys().copied().collect();
        for space in spaces {
            self.link(id, space, input.clone());
        }
    }

    /// Lets one link go on.
    pub(super) fn link(&mut self, id: PeerId, space: SpaceId, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let effects = match self.step(id, space, input) {
                Ok(effects) => effects,
                Err(why) => return self.drop_peer(id, why),
            };
            for effect in effects {
                match self.effect(id, space, effect) {
                    Ok(next) => inputs.extend(next),
                    Err(why) => return self.drop_peer(id, why),
                }
            }
        }
        self.tell_evenness(id, space);
    }

    /// Whoever watches hears when two devices come to have the same of a space, and when they no longer do.
    fn tell_evenness(&mut self, id: PeerId, space: SpaceId) {
        let Some(here) = self.open.as_ref().and_then(|open| open.here(space)) else { return };
        let Some(peer) = self.peers.all.get_mut(&id) else { return };
        let Some(link) = peer.links.get(&space) else { return };
        let progress = link.progress(&here);
        let even = progress.received == progress.to_receive && progress.sent == progress.to_send;
        let changed = if even { peer.even.insert(space) } else { peer.even.remove(&space) };
        if changed {
            self.tell(Event::Sync);
        }
    }

    fn step(&mut self, id: PeerId, space: SpaceId, input: Input) -> Result<Vec<Effect>, Unwanted> {
        let unwanted = |error: &dyn std::fmt::Display| Unwanted(error.to_string());
        let Some(open) = &mut self.open else { return Ok(Vec::new()) };
        let Some(peer) = self.peers.all.get_mut(&id) else { return Ok(Vec::new()) };
        let Some(link) = peer.links.get_mut(&space) else { return Ok(Vec::new()) };
        open.feeds(space).map_err(|error| unwanted(&error))?;
        let Some(here) = open.here(space) else { return Ok(Vec::new()) };
        let here = Here { outbox: Some(&peer.outbox), ..here };
        link.handle(input, &here, clock()).map_err(|error| unwanted(&error))
    }

    /// Does what a link wants; gives what to tell it then.
    fn effect(&mut self, id: PeerId, space: SpaceId, effect: Effect) -> Result<Option<Input>, Unwanted> {
        match effect {
            Effect::Send(message) => {
                let Some(open) = &self.open else { return Ok(None) };
                let Some(row) = open.spaces.rows.get(&space) else { return Ok(None) };
                if let Some(peer) = self.peers.all.get(&id) {
                    let urgency = peer.urgency(space, row.halo, &message);
                    peer.outbox.put(Say::Space(SpaceTag::of(&row.key), message), urgency);
                }
                Ok(None)
            }
            Effect::Withdraw => {
                let row = self.open.as_ref().and_then(|open| open.spaces.rows.get(&space));
                if let (Some(row), Some(peer)) = (row, self.peers.all.get(&id)) {
                    peer.outbox.withdraw(SpaceTag::of(&row.key));
                }
                Ok(None)
            }
            Effect::Held(urgency) => {
                let row = self.open.as_ref().and_then(|open| open.spaces.rows.get(&space));
                if let (Some(row), Some(peer)) = (row, self.peers.all.get(&id)) {
                    peer.outbox.hold(if row.halo { urgency.in_halo_space() } else { urgency });
                }
                Ok(None)
            }
            Effect::Take { blocks, head } => match self.ingest(space, blocks, head.as_ref()) {
                Ok(_) => Ok(Some(Input::Grown)),
                Err(IngestError::Missing) => Ok(Some(Input::Missed)),
                Err(IngestError::Early) => Ok(None),
                Err(IngestError::Forked(proof)) => {
                    if let Some(proof) = proof {
                        self.tell_fork(space, &proof);
                    }
                    Ok(None)
                }
                Err(IngestError::Hostile(what)) => Err(Unwanted(what)),
                Err(IngestError::Here(error)) => {
                    tracing::warn!(%error, "what another device said was not taken in");
                    Ok(None)
                }
            },
            Effect::Quarantine(proof) => {
                match self.unlocked().and_then(|open| open.quarantine(space, &proof)) {
                    Ok(true) => self.tell_fork(space, &proof),
                    Ok(false) => {}
                    Err(error) => tracing::warn!(%error, "a feed that splits was not put into quarantine"),
                }
                Ok(None)
            }
            Effect::Share(epochs) => {
                let Some(device) = self.peers.all.get(&id).map(|peer| peer.device) else { return Ok(None) };
                match self.unlocked().and_then(|open| open.content_for(&device, space, &epochs)) {
                    Ok(shares) => {
                        let epochs = shares.iter().map(|share| share.epoch).collect();
                        let shares = shares.iter().map(EpochShare::encode).collect();
                        Ok(Some(Input::Keys { epochs, shares }))
                    }
                    Err(error) => {
                        tracing::warn!(%error, "content keys were not given to another device");
                        Ok(None)
                    }
                }
            }
            Effect::Unlock(shares) => {
                match self.unlocked().and_then(|open| open.unlock_with(space, &shares)) {
                    Ok(done) => {
                        self.tell_ingested(space, done);
                        self.take_fetched(space);
                        let ids: Vec<PeerId> = self.peers.all.keys().copied().collect();
                        for id in ids {
                            self.link(id, space, Input::Opens);
                        }
                    }
                    Err(error) => tracing::warn!(%error, "content keys were not taken in"),
                }
                Ok(None)
            }
            Effect::Offered(offer) => self.snapshot_offered(id, space, offer),
            Effect::Keep { id: snapshot, offset, bytes, is_last } => {
                self.keep_snapshot(id, space, snapshot, (offset, &bytes))?;
                if is_last { self.take_snapshot(id, space, snapshot) } else { Ok(None) }
            }
        }
    }

    fn tell_fork(&mut self, space: SpaceId, proof: &ForkProof) {
        let ids: Vec<PeerId> = self.peers.all.keys().copied().collect();
        for id in ids {
            self.link(id, space, Input::Forked(Box::new(proof.clone())));
        }
    }

    /// Peers that have caught up: what waited for them may have been withdrawn, or said before something was held back.
    fn caught_up(&self) -> impl Iterator<Item = PeerId> {
        self.peers.all.iter().filter(|(_, peer)| peer.outbox.has_caught_up()).map(|(id, _)| *id)
    }

    /// Whether there is something to be said to a peer at once.
    pub(crate) fn owes_peers(&self) -> bool {
        self.caught_up().next().is_some()
    }

    /// Tells every peer what is new here, and what was held back as long as there was no room for it.
    pub(crate) fn spread(&mut self) {
        let caught_up: Vec<PeerId> = self.caught_up().collect();
        caught_up.into_iter().for_each(|id| self.peer_caught_up(id));
        let Some(open) = &mut self.open else {
            self.peers.all.clear();
            return;
        };
        let grown = std::mem::take(&mut open.spaces.grown);
        let learnt = std::mem::take(&mut open.learnt);
        let looked = open.spaces.looks.news(clock());
        if grown.is_empty() && !learnt && looked.is_empty() {
            return;
        }
        // A content key may have come, or a feed was let in.
        let waiting: Vec<SpaceId> = self.peers.fetching.keys().copied().collect();
        waiting.into_iter().for_each(|space| self.take_fetched(space));
        let ids: Vec<PeerId> = self.peers.all.keys().copied().collect();
        if learnt {
            self.drop_revoked();
            self.changed();
            self.tell(Event::Devices);
        }
        for id in ids {
            if learnt {
                self.introduce(id, IntroductionInput::Grown);
                // Feeds may have been let in, and what was kept back for want of a credential may be given.
                self.each_link(id, &Input::Grown);
                self.each_link(id, &Input::Opens);
            }
            self.links_to(id);
            for (space, looks) in &looked {
                self.link(id, *space, Input::Looked(*looks));
            }
            for space in &grown {
                self.link(id, *space, Input::Grown);
            }
        }
    }

    /// Ends the connections of devices that are none of ours any more, or that somebody says are none.
    fn drop_revoked(&mut self) {
        let Some(open) = &self.open else { return };
        let gone = self.peers.all.iter().filter(|(_, peer)| peer.speaks && !open.state.is_in(&peer.device));
        let gone: Vec<PeerId> = gone.map(|(id, _)| *id).collect();
        gone.into_iter().for_each(|id| self.silence(id));
    }

    /// When a peer is to be spoken to again if it says nothing.
    pub(crate) fn peers_deadline(&self) -> Option<Timestamp> {
        let of = |peer: &Peer| {
            peer.links.values().filter_map(Link::deadline).chain(peer.introduction.deadline()).min()
        };
        self.peers.all.values().filter_map(of).min()
    }

    /// Speaks again to peers that said nothing for too long.
    pub(crate) fn tick_peers(&mut self) {
        let now = clock();
        let is_due = |deadline: Option<Timestamp>| deadline.is_some_and(|deadline| deadline <= now);
        let mut links: Vec<(PeerId, SpaceId)> = Vec::new();
        let mut introductions: BTreeSet<PeerId> = BTreeSet::new();
        for (id, peer) in &self.peers.all {
            if is_due(peer.introduction.deadline()) {
                introductions.insert(*id);
            }
            links.extend(
                peer.links.iter().filter(|(_, link)| is_due(link.deadline())).map(|(space, _)| (*id, *space)),
            );
        }
        for id in introductions {
            self.introduce(id, IntroductionInput::Tick);
        }
        for (id, space) in links {
            self.link(id, space, Input::Tick);
        }
    }

    pub(crate) fn devices_changed(&mut self) {
        self.changed();
        self.tell(Event::Devices);
        self.tell(Event::Sync);
    }
}

impl Open {
    /// What is durable of a space that was looked at before.
    pub(crate) fn here(&self, space: SpaceId) -> Option<Here<'_>> {
        let halo = self.spaces.rows.get(&space)?.halo;
        Some(Here { store: &self.store, feeds: self.spaces.feeds.get(&space)?, halo, outbox: None })
    }

    /// Takes no more of a feed that splits. Whether that is news.
    fn quarantine(&mut self, space: SpaceId, proof: &ForkProof) -> Result<bool, WalletError> {
        let Ok((feed, _)) = proof.verify() else { return Ok(false) };
        let feeds = self.spaces.feeds(&self.store, &self.keys, space, &self.state)?;
        if !feeds.replica.quarantine(&feed) {
            return Ok(false);
        }
        self.store.write(|tx| feeds.keep_progress(tx))?;
        Ok(true)
    }
}
