//! Five devices of one identity: let in and evicted at random, with partitions, crashes and clocks that disagree. In the end those that
//! are left believe the same, nothing that they acknowledged is lost, and a revoked device that kept everything got nothing in behind its
//! cut and reads nothing that was said after it.
//!
//! Seeded: `HALO_SEED=N` runs one, `HALO_SEEDS=N` the first N. Content keys are modelled by who was given which; that sealing keeps others out is
//! tested where it is done.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use halo_echo::replication::{
    Acquaint, Acquaintance, Assembler, Blocks, Effect, Frames, Input, Introduction, IntroductionEffect,
    IntroductionInput, Link, Message, Open, Ready, Replica, ReplicaError, Timeframe, fitting,
};
use halo_protocol::credential::{
    AdmittedFeed, Assertion, Credential, CredentialId, Cut, DeviceProfile, Draft, MOST_PARENTS,
};
use halo_protocol::epoch::{Epoch, EpochShare, SealedKey};
use halo_protocol::feed::{Block, BlockHash, BlockHeader, Change, EpochId, Feed, Payload, SignedHead};
use halo_protocol::identity::{DeviceState, IdentityState, Why, genesis};
use halo_protocol::{AgreementKey, DeviceKey, FeedKey, Recipient, SealTo, SpaceKey, Timestamp, Verified};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::keys::Key;

const DEVICES: usize = 5;
const IDENTITY: u8 = 100;
/// Devices wait a little longer than they must, so that nobody's clock is ahead of theirs.
const CAUTION: Duration = Duration::from_secs(60 * 60);

fn identity() -> Key {
    Key::new(IDENTITY)
}

fn space() -> SpaceKey {
    Key::new(200).space()
}

fn agreement(number: usize) -> AgreementKey {
    AgreementKey::from_bytes(&[u8::try_from(number).unwrap() + 1; 32]).unwrap()
}

fn change_id(bytes: &[u8]) -> Change {
    Change { document: [0; 16], bytes: bytes.to_vec() }
}

/// The content keys that a device was given, and what it knows of the epochs they belong to.
#[derive(Default, Clone)]
struct ContentKeys {
    opens: BTreeSet<EpochId>,
    /// Who began it, as its feed says.
    begun: BTreeMap<EpochId, (DeviceKey, Epoch)>,
}

impl Open for ContentKeys {
    type Error = String;

    fn open(&self, header: &BlockHeader, sealed: &[u8]) -> Result<Option<Payload>, String> {
        if !self.opens.contains(&header.epoch) {
            return Ok(None);
        }
        Payload::decode(sealed).map(Some).map_err(|error| error.to_string())
    }
}

/// What survives a crash.
#[derive(Default, Clone)]
struct Disk {
    credentials: BTreeMap<CredentialId, Vec<u8>>,
    first_seen: BTreeMap<CredentialId, Timestamp>,
    blocks: BTreeMap<FeedKey, Vec<(Block, Option<SignedHead>)>>,
    applied: Timeframe,
    forked: BTreeSet<FeedKey>,
    /// What the documents are made of.
    content: BTreeSet<Vec<u8>>,
    keys: ContentKeys,
}

impl Acquaintance for Disk {
    fn ids(&self) -> Vec<CredentialId> {
        self.credentials.keys().copied().collect()
    }

    fn bytes(&self, id: &CredentialId) -> Option<Vec<u8>> {
        self.credentials.get(id).cloned()
    }
}

impl Blocks for Disk {
    fn timeframe(&self) -> Timeframe {
        self.blocks.iter().map(|(feed, blocks)| (*feed, blocks.len() as u64)).collect()
    }

    fn run(
        &self,
        feed: &FeedKey,
        from: u64,
        most: usize,
        bytes: usize,
    ) -> Option<(Vec<Block>, Option<SignedHead>)> {
        let all = self.blocks.get(feed)?;
        let rest = all.get(usize::try_from(from).unwrap()..)?;
        let end = rest.len();
        // Where a feed was cut its end needs no head.
        let sizes =
            rest.iter().zip(1..).map(|((block, head), at)| (block.sealed.len(), head.is_some() || at == end));
        let run = &rest[..fitting(sizes, most, bytes)];
        Some((run.iter().map(|(block, _)| block.clone()).collect(), run.last()?.1))
    }
}

struct Device {
    number: usize,
    key: Key,
    feed: Key,
    skew: Duration,
    disk: Disk,
    replica: Replica,
    state: Option<IdentityState>,
    /// Said and kept, and so promised.
    acknowledged: BTreeSet<Vec<u8>>,
    /// Void things that it had applied, and is to say again.
    owed: Vec<Payload>,
    peers: BTreeMap<usize, Peer>,
}

#[derive(Default)]
struct Peer {
    introduction: Introduction,
    link: Link,
    assembler: Assembler,
    is_open: bool,
}

/// What goes over a wire.
#[derive(Clone)]
enum Word {
    Opened,
    Acquaint(Vec<u8>),
    Frame(Vec<u8>),
}

impl Device {
    fn new(number: usize, skew: Duration) -> Self {
        let device = u8::try_from(number).unwrap() + 1;
        Self {
            number,
            key: Key::new(device),
            feed: Key::new(device + 50),
            skew,
            disk: Disk::default(),
            replica: Replica::default(),
            state: None,
            acknowledged: BTreeSet::new(),
            owed: Vec::new(),
            peers: BTreeMap::new(),
        }
    }

    fn clock(&self, now: Timestamp) -> Timestamp {
        now.plus(self.skew)
    }

    fn is_in(&self) -> bool {
        let own = self.state.as_ref().and_then(|state| state.devices.get(&self.key.device()));
        own.is_some_and(|device| !device.revoked)
    }

    fn takes(&self, other: &Key) -> bool {
        let state = self.state.as_ref();
        self.is_in()
            && state
                .and_then(|state| state.devices.get(&other.device()))
                .is_some_and(|device| !device.revoked)
    }

    fn may_let_in(&self, now: Timestamp) -> bool {
        let state = self.state.as_ref().and_then(|state| state.devices.get(&self.key.device()));
        self.is_in()
            && state
                .and_then(|device| device.probation_until)
                .is_none_or(|until| until.plus(CAUTION) <= self.clock(now))
    }

    fn set(&self) -> Vec<Verified<Credential>> {
        let read = |bytes: &Vec<u8>| Credential::decode(bytes).and_then(Credential::verify).unwrap();
        self.disk.credentials.values().map(read).collect()
    }

    fn says(
        &self,
        by: &Key,
        subject: [u8; 32],
        assertion: Assertion,
        now: Timestamp,
    ) -> Verified<Credential> {
        let heads = self.state.as_ref().map(|state| state.heads.clone()).unwrap_or_default();
        let parents = heads.into_iter().take(MOST_PARENTS).collect();
        let issued = self.clock(now);
        Draft { issuer: by.bytes(), subject, issued, expires: None, parents, assertion }.sign(by).unwrap()
    }

    /// Everything in memory is made anew from the disk.
    fn start(&mut self) {
        self.state = None;
        self.replica = Replica::default();
        if self.disk.credentials.is_empty() {
            return;
        }
        for (key, blocks) in &self.disk.blocks {
            let head = blocks.last().map_or(BlockHash::NONE, |(block, _)| block.header.hash());
            let applied = self.disk.applied.get(key).copied().unwrap_or_default();
            let feed = Feed::resume(*key, blocks.len() as u64, head, self.disk.forked.contains(key));
            self.replica.admit(feed, applied);
            for (block, _) in &blocks[usize::try_from(applied).unwrap()..] {
                let payload = self.disk.keys.open(&block.header, &block.sealed).unwrap();
                self.replica.wait(&block.header, payload);
            }
        }
        self.judge();
        assert_eq!(self.replica.ready(), [], "what could be applied was, in the transaction that made it so");
    }

    /// Works out who is in, and which feeds count how far. Gives what it had built on and what became void.
    fn judge(&mut self) -> Vec<Payload> {
        let seen = &self.disk.first_seen;
        let state = IdentityState::judge(&identity().identity(), &self.set(), |id| seen.get(id).copied());
        let mut void = Vec::new();
        for (feed, found) in state.feeds.get(&space()).into_iter().flatten() {
            let closed_at_once = found.cut.is_some_and(|cut| cut.length == 0);
            if !closed_at_once {
                self.disk.blocks.entry(*feed).or_default();
            }
            if self.replica.feed(feed).is_none() {
                self.replica.admit(Feed::new(*feed), 0);
            }
            match found.cut {
                Some(cut) if self.replica.end_of(feed) != Some(cut) => {
                    let blocks = &self.disk.blocks;
                    let gone = self.replica.cut(cut, |feed, at| {
                        Some(blocks.get(feed)?.get(usize::try_from(at).ok()?)?.0.header.hash())
                    });
                    if let Some(gone) = gone {
                        let kept = self.disk.blocks.get_mut(feed).unwrap();
                        let from = usize::try_from(gone.from).unwrap();
                        let applied = usize::try_from(gone.applied).unwrap().max(from);
                        for (block, _) in &kept[from..applied] {
                            void.push(self.disk.keys.open(&block.header, &block.sealed).unwrap().unwrap());
                        }
                        kept.truncate(from);
                    }
                    self.disk.forked.remove(feed);
                }
                None if self.replica.end_of(feed).is_some() => self.replica.lift(feed),
                _ => {}
            }
        }
        // A feed that nobody admitted after all.
        let admitted: BTreeSet<FeedKey> =
            state.feeds.get(&space()).into_iter().flatten().map(|(feed, _)| *feed).collect();
        assert!(self.disk.blocks.keys().all(|feed| admitted.contains(feed)), "what was admitted stays so");
        for (feed, length) in self.replica.timeframe() {
            let applied = self.replica.applied().get(&feed).copied().unwrap_or_default();
            self.disk.applied.insert(feed, applied.min(length));
        }
        self.state = Some(state);
        void
    }

    /// Takes in credentials, durably, and what that makes ready. Whether there is anything new.
    fn learn(&mut self, all: &[Verified<Credential>], now: Timestamp) -> bool {
        let is_new = self.note(all, now);
        if is_new {
            // What waited for blocks that do not count.
            self.apply(Vec::new(), now);
            self.reopen(now);
        }
        is_new
    }

    fn note(&mut self, all: &[Verified<Credential>], now: Timestamp) -> bool {
        let mut is_new = false;
        for credential in all {
            if self.disk.credentials.insert(credential.id(), credential.bytes().to_vec()).is_none() {
                is_new = true;
                self.disk.first_seen.insert(credential.id(), self.clock(now));
            }
        }
        if is_new {
            let void = self.judge();
            self.owed.extend(void);
        }
        is_new
    }

    /// The epoch to write under; none if one must be begun.
    fn epoch(&self) -> Option<EpochId> {
        let state = self.state.as_ref()?;
        let fits = |(id, (by, epoch)): &(&EpochId, &(DeviceKey, Epoch))| {
            self.disk.keys.opens.contains(*id) && state.may_write_under(by, epoch)
        };
        let newest =
            self.disk.keys.begun.iter().filter(fits).max_by_key(|(id, (_, epoch))| (epoch.number, **id));
        newest.map(|(id, _)| *id)
    }

    /// Begins an epoch for all who are in.
    fn begin(&mut self) -> Epoch {
        let known = self.disk.keys.begun.values().map(|(_, epoch)| epoch);
        let number = known.clone().map(|epoch| epoch.number + 1).max().unwrap_or_default();
        let devices = self.state.as_ref().unwrap().devices.values();
        let key = |device: &DeviceState| match device.seal_to() {
            SealTo::Agreement(key) => sealed(Recipient::Agreement(key)),
            SealTo::Hybrid(_) => unreachable!("nobody says one here"),
        };
        let keys = devices.filter(|device| !device.revoked).map(key).collect();
        // Two that begin at once begin two.
        let previous = vec![EpochId::from_bytes(*self.key.device().as_bytes())];
        let after = self.state.as_ref().unwrap().revocations.clone();
        let epoch = Epoch { space: space(), number, previous, after, keys };
        self.disk.keys.opens.insert(epoch.id());
        self.disk.keys.begun.insert(epoch.id(), (self.key.device(), epoch.clone()));
        epoch
    }

    /// Says a block.
    fn say(&mut self, mut payload: Payload) {
        let (epoch, begun) = match self.epoch() {
            Some(epoch) => (epoch, None),
            None => {
                let epoch = self.begin();
                (epoch.id(), Some(epoch))
            }
        };
        payload.epochs.extend(begun.map(|epoch| epoch.encode()));
        let own = self.feed.feed();
        let applied = self.replica.applied();
        payload.timeframe = applied.into_iter().filter(|(feed, _)| *feed != own).collect();
        let mut feed = self.replica.feed(&own).unwrap().clone();
        let (block, head) = feed.append(feed.next(epoch), payload.encode(), &self.feed).unwrap();
        self.disk.blocks.get_mut(&own).unwrap().push((block, Some(head)));
        self.disk.applied.insert(own, feed.length());
        self.replica.said(feed);
        self.disk.content.extend(payload.changes.into_iter().map(|change| change.bytes));
    }

    /// Says void things again, as its own.
    fn adopt(&mut self) {
        let void = std::mem::take(&mut self.owed);
        if void.is_empty() || !self.is_in() {
            return;
        }
        let changes = void.into_iter().flat_map(|payload| payload.changes).collect();
        self.say(Payload { changes, ..Payload::default() });
    }

    fn apply(&mut self, ready: Vec<Ready>, now: Timestamp) {
        let mut queue: VecDeque<Ready> = ready.into();
        loop {
            if queue.is_empty() {
                queue.extend(self.replica.ready());
            }
            let Some(ready) = queue.pop_front() else { return };
            // Who is out is learnt before what is sealed to those who are left.
            let read = |bytes: &Vec<u8>| Credential::decode(bytes).and_then(Credential::verify).unwrap();
            let said: Vec<_> = ready.payload.credentials.iter().map(read).collect();
            self.note(&said, now);
            if self.replica.end_of(&ready.feed).is_some_and(|cut| cut.length <= ready.sequence) {
                continue;
            }
            let state = self.state.as_ref().unwrap();
            let feeds = &state.feeds[&space()];
            for (feed, length) in &ready.payload.timeframe {
                let end = feeds
                    .get(feed)
                    .and_then(|found| found.cut)
                    .map_or(*length, |cut| cut.length.min(*length));
                let applied = self.disk.applied.get(feed).copied().unwrap_or_default();
                assert!(applied >= end, "a block comes after what its writer had seen");
            }
            let by = feeds[&ready.feed].device;
            for epoch in &ready.payload.epochs {
                let epoch = Epoch::decode(epoch).unwrap();
                let own = Recipient::Agreement(agreement(self.number));
                if epoch.keys.iter().any(|key| key.recipient == own) {
                    self.disk.keys.opens.insert(epoch.id());
                }
                self.disk.keys.begun.insert(epoch.id(), (by, epoch));
            }
            self.disk.content.extend(ready.payload.changes.into_iter().map(|change| change.bytes));
            self.disk.applied.insert(ready.feed, ready.sequence + 1);
        }
    }

    /// Takes blocks, in one transaction. Whether some before them are missing.
    fn take(&mut self, blocks: &[Block], head: Option<&SignedHead>, now: Timestamp) -> bool {
        let known = |feed: &FeedKey, at: u64| {
            Some(self.disk.blocks.get(feed)?.get(usize::try_from(at).ok()?)?.0.header.hash())
        };
        let taken = match self.replica.take(blocks, head, known, &self.disk.keys) {
            Ok(taken) => taken,
            Err(ReplicaError::Anew) => {
                let feed = blocks[0].header.feed;
                self.disk.blocks.insert(feed, Vec::new());
                self.disk.applied.insert(feed, 0);
                return true;
            }
            Err(error) => {
                assert!(!error.blames_the_peer(), "{error}: honest devices send no such thing");
                return matches!(error, ReplicaError::Feed(halo_protocol::feed::FeedError::Gap { .. }));
            }
        };
        let fresh = &blocks[taken.known..taken.taken];
        if let Some(kept) = fresh.first().and_then(|first| self.disk.blocks.get_mut(&first.header.feed)) {
            kept.extend(fresh.iter().map(|block| (block.clone(), None)));
            kept.last_mut().unwrap().1 = taken.head;
        }
        self.apply(taken.ready, now);
        self.reopen(now);
        false
    }

    /// Opens what content keys that came meanwhile open.
    fn reopen(&mut self, now: Timestamp) {
        loop {
            let missing = self.replica.closed();
            if missing.is_disjoint(&self.disk.keys.opens) {
                return;
            }
            let blocks = &self.disk.blocks;
            let kept =
                |feed: &FeedKey, at: u64| Some(blocks.get(feed)?.get(usize::try_from(at).ok()?)?.0.clone());
            let ready = self.replica.reopen(kept, &self.disk.keys).unwrap();
            self.apply(ready, now);
        }
    }
}

fn sealed(recipient: Recipient) -> SealedKey {
    SealedKey { recipient, encapsulated: vec![0; 32], sealed: [0; 48] }
}

struct World {
    seed: u64,
    devices: Vec<Device>,
    wire: Vec<(usize, usize, Word)>,
    /// Pairs that cannot reach each other.
    apart: BTreeSet<(usize, usize)>,
    now: Timestamp,
    rng: StdRng,
    edits: u32,
    /// Devices that were revoked and go on with everything they have.
    thieves: BTreeSet<usize>,
    /// Content keys of epochs that were begun by somebody who knew of a revocation: which device must not have them.
    secret: Vec<(EpochId, usize)>,
}

impl World {
    fn new(seed: u64) -> Self {
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

    fn admit_feed(&mut self, at: usize) {
        let device = &mut self.devices[at];
        let claim = AdmittedFeed::claim(space(), device.key.device(), &device.feed).unwrap();
        let said = device.says(&device.key, device.feed.bytes(), Assertion::AdmittedFeed(claim), self.now);
        device.learn(&[said], self.now);
        self.tell_all(at, &IntroductionInput::Grown);
    }

    /// One device lets in another, as an invitation does: it hands over all credentials and content keys.
    fn admit(&mut self) {
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

    fn revoke(&mut self) {
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

    fn edit(&mut self) {
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
        if device.replica.end_of(&device.feed.feed()).is_some_and(|cut| cut.length <= before as u64) {
            return;
        }
        device.say(Payload { changes: vec![change_id(&bytes)], ..Payload::default() });
        device.acknowledged.insert(bytes);
        self.tell_links(at, &Input::Grown);
    }

    fn connect(&mut self, one: usize, other: usize) {
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

    fn send(&mut self, from: usize, to: usize, words: Vec<Word>) {
        if !self.apart.contains(&(from.min(to), from.max(to))) {
            self.wire.extend(words.into_iter().map(|word| (from, to, word)));
        }
    }

    fn introduce(&mut self, at: usize, about: usize, input: IntroductionInput) {
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

    fn learn(&mut self, at: usize, all: &[Verified<Credential>]) {
        let now = self.now;
        if !self.devices[at].learn(all, now) {
            return;
        }
        self.learnt(at);
    }

    /// There are new credentials at a device.
    fn learnt(&mut self, at: usize) {
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
    fn witness(&mut self, at: usize) {
        let device = &self.devices[at];
        if !device.may_let_in(self.now) {
            return;
        }
        let state = device.state.as_ref().unwrap();
        let Some(id) = state.unwitnessed.first().copied() else { return };
        let subject = Credential::decode(&device.disk.credentials[&id]).unwrap().said().clone();
        if subject.issuer == device.key.bytes() || subject.subject == device.key.bytes() {
            return;
        }
        let said =
            device.says(&device.key, subject.subject, Assertion::Endorsed { authorisation: id }, self.now);
        self.learn(at, &[said]);
    }

    /// The user at each device agrees to what is refused there.
    fn agree(&mut self) {
        for at in 0..DEVICES {
            let device = &self.devices[at];
            if !device.may_let_in(self.now) || self.thieves.contains(&at) {
                continue;
            }
            let state = device.state.as_ref().unwrap();
            let refused: Vec<CredentialId> =
                state.rejected.iter().filter(|(_, why)| *why == Why::Probation).map(|(id, _)| *id).collect();
            for id in refused {
                let device = &self.devices[at];
                let refused = Credential::decode(&device.disk.credentials[&id]).unwrap().said().clone();
                if !matches!(refused.assertion, Assertion::AuthorizedDevice { .. }) {
                    continue;
                }
                let agrees = Assertion::Endorsed { authorisation: id };
                let said = device.says(&device.key, refused.subject, agrees, self.now);
                self.learn(at, &[said]);
            }
        }
    }

    fn tell(&mut self, at: usize, about: usize, input: Input) {
        let now = self.devices[at].clock(self.now);
        let device = &mut self.devices[at];
        let Some(peer) = device.peers.get_mut(&about).filter(|peer| peer.is_open) else { return };
        let Ok(effects) = peer.link.handle(input, &device.disk, now) else {
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
                        let closed = self.devices[at].replica.closed();
                        self.tell_links(at, &Input::Closed(closed));
                        self.tell_links(at, &Input::Grown);
                    }
                }
                Effect::Share(epochs) => {
                    let device = &self.devices[at];
                    if !device.takes(&self.devices[about].key) {
                        continue;
                    }
                    let own: Vec<EpochId> =
                        epochs.into_iter().filter(|epoch| device.disk.keys.opens.contains(epoch)).collect();
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
                other => panic!("{other:?}: nobody forks or drops anything here"),
            }
        }
    }

    fn tell_links(&mut self, at: usize, input: &Input) {
        let peers: Vec<usize> = self.devices[at].peers.keys().copied().collect();
        for peer in peers {
            self.tell(at, peer, input.clone());
        }
    }

    fn tell_all(&mut self, at: usize, input: &IntroductionInput) {
        let peers: Vec<usize> = self.devices[at].peers.keys().copied().collect();
        for peer in peers {
            self.introduce(at, peer, input.clone());
        }
    }

    fn deliver(&mut self, losing: bool) {
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

    fn tick(&mut self, by: Duration) {
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
    fn crash(&mut self) {
        let at = self.rng.random_range(0..DEVICES);
        self.wire.retain(|(_, to, _)| *to != at);
        self.devices[at].start();
        self.devices[at].peers.clear();
        for other in 0..DEVICES {
            self.connect(at, other);
        }
    }

    fn part(&mut self) {
        let (one, other) = (self.rng.random_range(0..DEVICES), self.rng.random_range(0..DEVICES));
        let pair = (one.min(other), one.max(other));
        if !self.apart.remove(&pair) {
            self.apart.insert(pair);
            self.wire.retain(|(from, to, _)| (*from.min(to), *from.max(to)) != pair);
        }
        self.connect(one, other);
    }

    fn settle(&mut self) {
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

    fn run(&mut self) {
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

    fn check(&self) {
        let seed = self.seed;
        // What all that was ever said comes to.
        let mut all: BTreeMap<CredentialId, Verified<Credential>> = BTreeMap::new();
        let left: Vec<&Device> = self.devices.iter().filter(|device| device.is_in()).collect();
        for device in &left {
            all.extend(device.set().into_iter().map(|credential| (credential.id(), credential)));
        }
        let honest: Vec<&&Device> = left.iter().filter(|device| !self.is_out(device, &left)).collect();
        let first = honest[0];
        for device in &honest {
            let number = device.number;
            let says = |what: &str| format!("seed {seed}: {what} of device {number} and {}", first.number);
            assert_eq!(device.disk.ids(), first.disk.ids(), "{}", says("credentials"));
            let (state, other) = (device.state.as_ref().unwrap(), first.state.as_ref().unwrap());
            assert_eq!(state.feeds, other.feeds, "{}", says("feeds"));
            let blocks = |device: &Device| {
                let mut blocks = device.disk.timeframe();
                blocks.retain(|_, length| *length > 0);
                blocks
            };
            assert_eq!(blocks(device), blocks(first), "{}", says("blocks"));
            assert_eq!(device.replica.applied(), first.replica.applied(), "{}", says("what was applied"));
            assert_eq!(device.disk.content, first.disk.content, "{}", says("content"));
            assert!(device.acknowledged.is_subset(&device.disk.content), "{}", says("what was acknowledged"));
            for (feed, found) in &state.feeds[&space()] {
                let kept = device.disk.blocks.get(feed).map_or(0, Vec::len) as u64;
                if let Some(cut) = found.cut {
                    assert!(kept <= cut.length, "{}", says("a block behind a cut"));
                }
            }
        }
        for (epoch, whom) in &self.secret {
            let out = &self.devices[*whom];
            if honest.iter().all(|device| device.number != *whom) {
                assert!(!out.disk.keys.opens.contains(epoch), "seed {seed}: device {whom} reads on");
            }
        }
    }

    /// Whether those that are left agree that it is out, though it has not heard.
    fn is_out(&self, device: &Device, left: &[&Device]) -> bool {
        let key = device.key.device();
        left.iter().any(|other| {
            let known = other.state.as_ref().and_then(|state| state.devices.get(&key));
            known.is_none_or(|known| known.revoked)
        })
    }
}

fn holds(seed: u64) {
    let mut world = World::new(seed);
    world.run();
    world.check();
}

// threat: 36, 38
#[test]
fn whoever_is_left_believes_the_same_and_whoever_was_evicted_gets_nothing_in_or_out() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    match number("HALO_SEED") {
        Some(seed) => holds(seed),
        None => (0..number("HALO_SEEDS").unwrap_or(60)).for_each(holds),
    }
}
