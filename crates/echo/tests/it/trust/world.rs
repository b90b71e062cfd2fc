//! What happens to them: edits, partitions, crashes, time, admissions and revocations; and the wire between them.

use std::collections::BTreeSet;
use std::time::Duration;

use halo_echo::replication::{
    Acquaint, Effect, Frames, Input, IntroductionEffect, IntroductionInput, Message,
};
use halo_protocol::credential::{
    AdmittedFeed, Assertion, Credential, CredentialId, Cut, DeviceProfile, Draft,
};
use halo_protocol::epoch::EpochShare;
use halo_protocol::feed::{BlockHash, EpochId, Payload};
use halo_protocol::identity::{Why, genesis};
use halo_protocol::{FeedKey, Recipient, Timestamp, Verified};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::device::{Device, Here, Peer, Word, agreement, change_id, identity, sealed, space};
use crate::keys::Key;

pub(super) const DEVICES: usize = 5;

pub(super) struct World {
    pub(super) seed: u64,
    pub(super) devices: Vec<Device>,
    pub(super) wire: Vec<(usize, usize, Word)>,
    /// Pairs that cannot reach each other.
    pub(super) apart: BTreeSet<(usize, usize)>,
    pub(super) now: Timestamp,
    pub(super) rng: StdRng,
    pub(super) edits: u32,
    /// Devices that were revoked and go on with everything they have.
    pub(super) thieves: BTreeSet<usize>,
    /// Content keys of epochs that were begun by somebody who knew of a revocation: which device must not have them.
    pub(super) secret: Vec<(EpochId, usize)>,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let skews = (0..DEVICES).map(|_| Duration::from_secs(rng.random_range(0..1_000_000)));
        let devices = skews.enumerate().map(|(number, skew)| Device::new(number, skew)).collect();
        let now = Timestamp::from_millis(1_795_435_200_000);
        let mut world = Self {
            seed,
            devices,
            wire: Vec::new(),
            apart: BTreeSet::new(),
            now,
            rng,
            edits: 0,
            thieves: BTreeSet::new(),
            secret: Vec::new(),
        };
        let first = &mut world.devices[0];
        let profile = DeviceProfile::default();
        let born = genesis(&identity(), &first.key, &agreement(0), profile, "Ada", now).unwrap();
        first.learn(&born, now);
        world.admit_feed(0);
        world
    }

    pub(super) fn admit_feed(&mut self, at: usize) {
        let device = &mut self.devices[at];
        let claim = AdmittedFeed::claim(space(), device.key.device(), &device.feed).unwrap();
        let said = device.says(&device.key, device.feed.bytes(), Assertion::AdmittedFeed(claim), self.now);
        device.learn(&[said], self.now);
        self.tell_all(at, &IntroductionInput::Grown);
    }

    /// One device lets in another, as an invitation does: it hands over all credentials and content keys.
    pub(super) fn admit(&mut self) {
        let Some(guest) = self.devices.iter().position(|device| device.state.is_none()) else { return };
        let host = self.rng.random_range(0..DEVICES);
        if !self.devices[host].may_let_in(self.now) || self.thieves.contains(&host) {
            return;
        }
        let now = self.now;
        let device_key = self.devices[guest].key.device();
        let assertion = Assertion::AuthorizedDevice {
            identity_key: identity().identity(),
            device_key,
            agreement_key: agreement(guest),
        };
        let host_device = &mut self.devices[host];
        let said = host_device.says(&host_device.key, *device_key.as_bytes(), assertion, now);
        host_device.learn(std::slice::from_ref(&said), now);
        let (all, keys) = (host_device.set(), host_device.disk.keys.clone());
        let guest_device = &mut self.devices[guest];
        guest_device.disk.keys = keys;
        guest_device.learn(&all, now);
        // What was handed over was judged by the host; of its own admission the guest knows when it was.
        guest_device.disk.first_seen.retain(|id, _| *id == said.id());
        guest_device.judge();
        self.tell_all(host, &IntroductionInput::Grown);
        self.admit_feed(guest);
        for other in 0..DEVICES {
            self.connect(guest, other);
        }
    }

    pub(super) fn revoke(&mut self) {
        let (by, whom) = (self.rng.random_range(0..DEVICES), self.rng.random_range(0..DEVICES));
        let by_words = self.rng.random_bool(0.3);
        let now = self.now;
        let device = &self.devices[by];
        if by == whom || !device.is_in() || self.thieves.contains(&by) {
            return;
        }
        let state = device.state.as_ref().unwrap();
        let left = state.devices.values().filter(|device| !device.revoked).count();
        let victim = self.devices[whom].key.device();
        if left < 2 || state.devices.get(&victim).is_none_or(|device| device.revoked) {
            return;
        }
        let own = |found: &(&FeedKey, &halo_protocol::identity::FeedState)| found.1.device == victim;
        let cuts = state.feeds.get(&space()).into_iter().flatten().filter(own).map(|(feed, _)| {
            let held = device.replica.feed(feed);
            let (length, head) = held.map_or((0, BlockHash::NONE), |held| (held.length(), held.head()));
            Cut { feed: *feed, length, head }
        });
        let assertion = Assertion::RevokedDevice { device_key: victim, cuts: cuts.collect() };
        let signer = if by_words { identity() } else { Key::new(u8::try_from(by).unwrap() + 1) };
        let said = device.says(&signer, *victim.as_bytes(), assertion, now);
        let device = &mut self.devices[by];
        let bytes = said.bytes().to_vec();
        device.learn(&[said], now);
        if device.is_in() && device.state.as_ref().unwrap().devices[&victim].revoked {
            let epoch = device.begin();
            assert!(epoch.keys.iter().all(|key| key.recipient != Recipient::Agreement(agreement(whom))));
            self.secret.push((epoch.id(), whom));
            let epochs = vec![epoch.encode()];
            device.say(Payload { credentials: vec![bytes], epochs, ..Payload::default() });
        }
        device.adopt();
        if self.rng.random_bool(0.5) {
            self.thieves.insert(whom);
        }
        self.tell_all(by, &IntroductionInput::Grown);
        self.tell_links(by, &Input::Grown);
    }

    pub(super) fn edit(&mut self) {
        let at = self.rng.random_range(0..DEVICES);
        let is_thief = self.thieves.contains(&at);
        let device = &mut self.devices[at];
        // A thief knows that it is one and writes all the same, if it has where.
        if device.state.is_none() || !(device.is_in() || is_thief) {
            return;
        }
        self.edits += 1;
        let bytes = self.edits.to_be_bytes().to_vec();
        if device.epoch().is_none() && !device.is_in() {
            return;
        }
        let before = device.disk.blocks.get(&device.feed.feed()).map_or(0, Vec::len);
        let own = device.state.as_ref().unwrap().feeds.get(&space());
        let cut = own.and_then(|feeds| feeds.get(&device.feed.feed())).and_then(|own| own.cut);
        if cut.is_some_and(|cut| cut.length <= before as u64) {
            return;
        }
        device.say(Payload { changes: vec![change_id(&bytes)], ..Payload::default() });
        device.acknowledged.insert(bytes);
        self.tell_links(at, &Input::Grown);
    }

    pub(super) fn connect(&mut self, one: usize, other: usize) {
        if one == other || self.apart.contains(&(one.min(other), one.max(other))) {
            return;
        }
        for (from, to) in [(one, other), (other, one)] {
            // Each end proves what it is, or is refused.
            if !self.devices[from].takes(&self.devices[to].key) && !self.thieves.contains(&from) {
                continue;
            }
            if self.devices[from].state.is_none() {
                continue;
            }
            self.devices[from].peers.insert(to, Peer { is_open: true, ..Peer::default() });
            self.wire.push((from, to, Word::Opened));
        }
    }

    pub(super) fn send(&mut self, from: usize, to: usize, words: Vec<Word>) {
        if !self.apart.contains(&(from.min(to), from.max(to))) {
            self.wire.extend(words.into_iter().map(|word| (from, to, word)));
        }
    }

    pub(super) fn introduce(&mut self, at: usize, about: usize, input: IntroductionInput) {
        let now = self.devices[at].clock(self.now);
        let device = &mut self.devices[at];
        let Some(peer) = device.peers.get_mut(&about) else { return };
        let Ok(effects) = peer.introduction.handle(input, &device.disk, now) else {
            device.peers.remove(&about);
            return;
        };
        for effect in effects {
            match effect {
                IntroductionEffect::Send(message) => {
                    self.send(at, about, vec![Word::Acquaint(message.encode())]);
                }
                IntroductionEffect::Learn(all) => self.learn(at, &all),
            }
        }
    }

    pub(super) fn learn(&mut self, at: usize, all: &[Verified<Credential>]) {
        let now = self.now;
        if !self.devices[at].learn(all, now) {
            return;
        }
        self.learnt(at);
    }

    /// There are new credentials at a device.
    pub(super) fn learnt(&mut self, at: usize) {
        self.devices[at].adopt();
        // Doors close at once.
        let refused: Vec<usize> = (0..DEVICES).filter(|other| *other != at).collect();
        for other in refused {
            let key = Key::new(u8::try_from(other).unwrap() + 1);
            if !self.devices[at].takes(&key) && !self.thieves.contains(&at) {
                self.devices[at].peers.remove(&other);
            }
        }
        self.witness(at);
        self.tell_all(at, &IntroductionInput::Grown);
        self.tell_links(at, &Input::Grown);
        // And open.
        for other in 0..DEVICES {
            let key = Key::new(u8::try_from(other).unwrap() + 1);
            if other != at && self.devices[at].takes(&key) && !self.devices[at].peers.contains_key(&other) {
                self.connect(at, other);
            }
        }
    }

    /// Tells the others what it saw for itself.
    pub(super) fn witness(&mut self, at: usize) {
        let device = &self.devices[at];
        if !device.may_let_in(self.now) {
            return;
        }
        let own = device.key.device();
        let witnessed = &device.state.as_ref().unwrap().witnessed;
        let mut open = witnessed
            .iter()
            .filter(|(_, all)| all.here && !all.by.contains(&own))
            .map(|(id, _)| (*id, Credential::decode(&device.disk.credentials[id]).unwrap().said().clone()));
        let is_foreign =
            |said: &Draft| said.issuer != device.key.bytes() && said.subject != device.key.bytes();
        let Some((id, subject)) = open.find(|(_, said)| is_foreign(said)) else { return };
        let said =
            device.says(&device.key, subject.subject, Assertion::Endorsed { authorisation: id }, self.now);
        self.learn(at, &[said]);
    }

    /// The user at each device agrees to what is refused there, and to what rests on the word of others alone.
    pub(super) fn agree(&mut self) {
        for at in 0..DEVICES {
            let device = &self.devices[at];
            if !device.may_let_in(self.now) || self.thieves.contains(&at) {
                continue;
            }
            let state = device.state.as_ref().unwrap();
            let own = device.key.device();
            let refused = state.rejected.iter().filter(|(_, why)| *why == Why::Probation).map(|(id, _)| *id);
            let others = state.witnessed.iter().filter(|(_, all)| !all.here && !all.by.contains(&own));
            let open: Vec<CredentialId> = refused.chain(others.map(|(id, _)| *id)).collect();
            for id in open {
                let device = &self.devices[at];
                let refused = Credential::decode(&device.disk.credentials[&id]).unwrap().said().clone();
                let is_own = [refused.issuer, refused.subject].contains(&device.key.bytes());
                if is_own || !matches!(refused.assertion, Assertion::AuthorizedDevice { .. }) {
                    continue;
                }
                let agrees = Assertion::Endorsed { authorisation: id };
                let said = device.says(&device.key, refused.subject, agrees, self.now);
                self.learn(at, &[said]);
            }
        }
    }

    pub(super) fn tell(&mut self, at: usize, about: usize, input: Input) {
        let now = self.devices[at].clock(self.now);
        let device = &mut self.devices[at];
        let Some(peer) = device.peers.get_mut(&about).filter(|peer| peer.is_open) else { return };
        let here = Here { disk: &device.disk, replica: &device.replica };
        let Ok(effects) = peer.link.handle(input, &here, now) else {
            device.peers.remove(&about);
            return;
        };
        for effect in effects {
            match effect {
                Effect::Send(message) => {
                    let frames = Frames::of(message.encode()).map(Word::Frame).collect();
                    self.send(at, about, frames);
                }
                Effect::Take { blocks, head } => {
                    let known = self.devices[at].disk.credentials.len();
                    let missed = self.devices[at].take(&blocks, head.as_ref(), self.now);
                    if self.devices[at].disk.credentials.len() > known {
                        self.learnt(at);
                    }
                    if missed {
                        self.tell(at, about, Input::Missed);
                    } else {
                        self.tell_links(at, &Input::Grown);
                    }
                }
                Effect::Share(epochs) => {
                    let device = &self.devices[at];
                    if !device.takes(&self.devices[about].key) {
                        continue;
                    }
                    let own: Vec<EpochId> =
                        epochs.into_iter().filter(|epoch| device.may_pass_on(epoch)).collect();
                    let to = Recipient::Agreement(agreement(about));
                    let shares = own
                        .iter()
                        .map(|epoch| EpochShare { epoch: *epoch, key: sealed(to) }.encode())
                        .collect();
                    self.tell(at, about, Input::Keys { epochs: own, shares });
                }
                Effect::Unlock(shares) => {
                    for share in shares {
                        let share = EpochShare::decode(&share).unwrap();
                        assert_eq!(share.key.recipient, Recipient::Agreement(agreement(at)));
                        self.devices[at].disk.keys.opens.insert(share.epoch);
                    }
                    let (known, now) = (self.devices[at].disk.credentials.len(), self.now);
                    self.devices[at].reopen(now);
                    if self.devices[at].disk.credentials.len() > known {
                        self.learnt(at);
                    }
                    self.tell_links(at, &Input::Opens);
                    self.tell_links(at, &Input::Grown);
                }
                // Nothing waits here: it is on its way, and comes twice.
                Effect::Withdraw => {}
                other => panic!("{other:?}: nobody forks or drops anything here"),
            }
        }
    }

    pub(super) fn tell_links(&mut self, at: usize, input: &Input) {
        let peers: Vec<usize> = self.devices[at].peers.keys().copied().collect();
        for peer in peers {
            self.tell(at, peer, input.clone());
        }
    }

    pub(super) fn tell_all(&mut self, at: usize, input: &IntroductionInput) {
        let peers: Vec<usize> = self.devices[at].peers.keys().copied().collect();
        for peer in peers {
            self.introduce(at, peer, input.clone());
        }
    }

    pub(super) fn deliver(&mut self, losing: bool) {
        if self.wire.is_empty() {
            return;
        }
        let at = self.rng.random_range(0..self.wire.len());
        let repeats = losing && self.rng.random_bool(0.1);
        let (from, to, word) = if repeats { self.wire[at].clone() } else { self.wire.swap_remove(at) };
        if losing && self.rng.random_bool(0.15) {
            return;
        }
        // A device that refuses the other hears nothing.
        let accepts = self.devices[to].takes(&self.devices[from].key);
        if self.devices[to].state.is_none() || (!accepts && !self.thieves.contains(&to)) {
            return;
        }
        match word {
            Word::Opened => {
                self.devices[to].peers.entry(from).or_default().is_open = true;
                self.introduce(to, from, IntroductionInput::Opened);
                self.tell(to, from, Input::Opened);
            }
            Word::Acquaint(bytes) => {
                let message = Acquaint::decode(&bytes).unwrap();
                self.introduce(to, from, IntroductionInput::Message(message));
            }
            Word::Frame(frame) => {
                let Some(peer) = self.devices[to].peers.get_mut(&from) else { return };
                if let Some(bytes) = peer.assembler.take(&frame).unwrap() {
                    let message = Message::decode(&bytes).unwrap();
                    self.tell(to, from, Input::Message(message));
                }
            }
        }
    }

    pub(super) fn tick(&mut self, by: Duration) {
        self.now = self.now.plus(by);
        for at in 0..DEVICES {
            self.tell_all(at, &IntroductionInput::Tick);
            self.tell_links(at, &Input::Tick);
            if self.devices[at].is_in() {
                self.witness(at);
            }
        }
    }

    /// A device dies and comes back: what was in its memory is gone, and so is what was on the wire to it.
    pub(super) fn crash(&mut self) {
        let at = self.rng.random_range(0..DEVICES);
        self.wire.retain(|(_, to, _)| *to != at);
        self.devices[at].start();
        self.devices[at].peers.clear();
        for other in 0..DEVICES {
            self.connect(at, other);
        }
    }

    pub(super) fn part(&mut self) {
        let (one, other) = (self.rng.random_range(0..DEVICES), self.rng.random_range(0..DEVICES));
        let pair = (one.min(other), one.max(other));
        if !self.apart.remove(&pair) {
            self.apart.insert(pair);
            self.wire.retain(|(from, to, _)| (*from.min(to), *from.max(to)) != pair);
        }
        self.connect(one, other);
    }

    pub(super) fn settle(&mut self) {
        for _ in 0..60 {
            while !self.wire.is_empty() {
                self.deliver(false);
            }
            let quiet = |device: &Device| {
                device
                    .peers
                    .values()
                    .all(|peer| peer.link.deadline().is_none() && peer.introduction.deadline().is_none())
            };
            if self.devices.iter().all(quiet) {
                return;
            }
            self.tick(Duration::from_secs(2));
        }
    }

    pub(super) fn run(&mut self) {
        for _ in 0..self.rng.random_range(40..160) {
            match self.rng.random_range(0..40) {
                0..8 => self.edit(),
                8..28 => self.deliver(true),
                28..31 => self.tick(Duration::from_secs(2)),
                31..33 => {
                    let hours = self.rng.random_range(1..30);
                    self.tick(Duration::from_secs(hours * 3_600));
                }
                33..36 => self.admit(),
                36 => self.revoke(),
                37 => self.crash(),
                _ => self.part(),
            }
        }
        // From here on everybody reaches everybody, as far as they let each other in; and users look at what was refused.
        self.apart.clear();
        for _ in 0..4 {
            for one in 0..DEVICES {
                for other in one + 1..DEVICES {
                    self.connect(one, other);
                }
            }
            self.settle();
            self.tick(Duration::from_secs(30 * 3_600));
            self.settle();
            self.agree();
            self.settle();
        }
    }
}
