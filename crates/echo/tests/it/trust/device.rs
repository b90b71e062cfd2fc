//! One device: what it keeps, what it believes, what it says.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use halo_echo::replication::{
    Acquaintance, Assembler, Blocks, Introduction, Link, Open, Ready, Replica, ReplicaError, Room, Timeframe,
    fitting,
};
use halo_protocol::credential::{Assertion, Credential, CredentialId, Draft, MOST_PARENTS};
use halo_protocol::epoch::{Epoch, SealedKey};
use halo_protocol::feed::{
    Block, BlockHash, BlockHeader, Change, EpochId, Feed, FeedError, Payload, SignedHead,
};
use halo_protocol::identity::{DeviceState, IdentityState, complete};
use halo_protocol::{AgreementKey, DeviceKey, FeedKey, Recipient, SealTo, SpaceKey, Timestamp, Verified};

use crate::keys::Key;

pub(super) const IDENTITY: u8 = 100;
/// Devices wait a little longer than they must, so that nobody's clock is ahead of theirs.
pub(super) const CAUTION: Duration = Duration::from_secs(60 * 60);

pub(super) fn identity() -> Key {
    Key::new(IDENTITY)
}

pub(super) fn space() -> SpaceKey {
    Key::new(200).space()
}

pub(super) fn agreement(number: usize) -> AgreementKey {
    AgreementKey::from_bytes(&[u8::try_from(number).unwrap() + 1; 32]).unwrap()
}

pub(super) fn change_id(bytes: &[u8]) -> Change {
    Change { document: [0; 16], bytes: bytes.to_vec() }
}

/// The content keys that a device was given, and what it knows of the epochs they belong to.
#[derive(Default, Clone)]
pub(super) struct ContentKeys {
    pub(super) opens: BTreeSet<EpochId>,
    /// Who began it, as its feed says.
    pub(super) begun: BTreeMap<EpochId, (DeviceKey, Epoch)>,
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
pub(super) struct Disk {
    pub(super) credentials: BTreeMap<CredentialId, Vec<u8>>,
    pub(super) first_seen: BTreeMap<CredentialId, Timestamp>,
    pub(super) blocks: BTreeMap<FeedKey, Vec<(Block, Option<SignedHead>)>>,
    pub(super) applied: Timeframe,
    pub(super) forked: BTreeSet<FeedKey>,
    /// What the documents are made of.
    pub(super) content: BTreeSet<Vec<u8>>,
    pub(super) keys: ContentKeys,
}

impl Acquaintance for Disk {
    fn ids(&self) -> Vec<CredentialId> {
        self.credentials.keys().copied().collect()
    }

    fn bytes(&self, id: &CredentialId) -> Option<Vec<u8>> {
        self.credentials.get(id).cloned()
    }

    fn room(&self) -> Room {
        let read = |bytes: &Vec<u8>| Credential::decode(bytes).and_then(Credential::verify).unwrap();
        let all: Vec<_> = self.credentials.values().map(read).collect();
        Room::beside(&IdentityState::from_credentials(&identity().identity(), &all), &all)
    }
}

/// What is durable, and what of it waits.
pub(super) struct Here<'a> {
    pub(super) disk: &'a Disk,
    pub(super) replica: &'a Replica,
}

impl Disk {
    pub(super) fn timeframe(&self) -> Timeframe {
        self.blocks.iter().map(|(feed, blocks)| (*feed, blocks.len() as u64)).collect()
    }
}

impl Blocks for Here<'_> {
    fn timeframe(&self) -> Timeframe {
        self.disk.timeframe()
    }

    fn closed(&self) -> BTreeSet<EpochId> {
        self.replica.closed()
    }

    fn run(
        &self,
        feed: &FeedKey,
        from: u64,
        most: usize,
        bytes: usize,
    ) -> Option<(Vec<Block>, Option<SignedHead>)> {
        let all = self.disk.blocks.get(feed)?;
        let rest = all.get(usize::try_from(from).unwrap()..)?;
        let end = rest.len();
        // Where a feed was cut its end needs no head.
        let sizes =
            rest.iter().zip(1..).map(|((block, head), at)| (block.sealed.len(), head.is_some() || at == end));
        let run = &rest[..fitting(sizes, most, bytes)];
        Some((run.iter().map(|(block, _)| block.clone()).collect(), run.last()?.1))
    }
}

pub(super) struct Device {
    pub(super) number: usize,
    pub(super) key: Key,
    pub(super) feed: Key,
    pub(super) skew: Duration,
    pub(super) disk: Disk,
    pub(super) replica: Replica,
    pub(super) state: Option<IdentityState>,
    /// Said and kept, and so promised.
    pub(super) acknowledged: BTreeSet<Vec<u8>>,
    /// Void things that it had applied, and is to say again.
    pub(super) owed: Vec<Payload>,
    pub(super) peers: BTreeMap<usize, Peer>,
}

#[derive(Default)]
pub(super) struct Peer {
    pub(super) introduction: Introduction,
    pub(super) link: Link,
    pub(super) assembler: Assembler,
    pub(super) is_open: bool,
}

/// What goes over a wire.
#[derive(Clone)]
pub(super) enum Word {
    Opened,
    Acquaint(Vec<u8>),
    Frame(Vec<u8>),
}

impl Device {
    pub(super) fn new(number: usize, skew: Duration) -> Self {
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

    pub(super) fn clock(&self, now: Timestamp) -> Timestamp {
        now.plus(self.skew)
    }

    pub(super) fn is_in(&self) -> bool {
        let own = self.state.as_ref().and_then(|state| state.devices.get(&self.key.device()));
        own.is_some_and(|device| !device.revoked)
    }

    pub(super) fn takes(&self, other: &Key) -> bool {
        let state = self.state.as_ref();
        self.is_in() && state.is_some_and(|state| state.is_in(&other.device()))
    }

    pub(super) fn may_let_in(&self, now: Timestamp) -> bool {
        let state = self.state.as_ref().and_then(|state| state.devices.get(&self.key.device()));
        self.is_in()
            && state
                .and_then(|device| device.probation_until)
                .is_none_or(|until| until.plus(CAUTION) <= self.clock(now))
    }

    pub(super) fn set(&self) -> Vec<Verified<Credential>> {
        let read = |bytes: &Vec<u8>| Credential::decode(bytes).and_then(Credential::verify).unwrap();
        self.disk.credentials.values().map(read).collect()
    }

    pub(super) fn says(
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
    pub(super) fn start(&mut self) {
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
    pub(super) fn judge(&mut self) -> Vec<Payload> {
        let seen = &self.disk.first_seen;
        let mut state = IdentityState::judge(&identity().identity(), &self.set(), |id| seen.get(id).copied());
        // What others make of it is for them.
        state.suspended.remove(&self.key.device());
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
                // What it said itself it keeps: it goes on there if it turns out to be in.
                Some(_) if *feed == self.feed.feed() => {}
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
    pub(super) fn learn(&mut self, all: &[Verified<Credential>], now: Timestamp) -> bool {
        let is_new = self.note(all, now);
        if is_new {
            // What waited for blocks that do not count.
            self.apply(Vec::new(), now);
            self.reopen(now);
        }
        is_new
    }

    pub(super) fn note(&mut self, all: &[Verified<Credential>], now: Timestamp) -> bool {
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
    pub(super) fn epoch(&self) -> Option<EpochId> {
        let state = self.state.as_ref()?;
        let fits = |(id, (by, epoch)): &(&EpochId, &(DeviceKey, Epoch))| {
            self.disk.keys.opens.contains(*id) && state.may_write_under(by, epoch)
        };
        let newest =
            self.disk.keys.begun.iter().filter(fits).max_by_key(|(id, (_, epoch))| (epoch.number, **id));
        newest.map(|(id, _)| *id)
    }

    /// Whether it has a content key, and knows of whoever the epoch puts out.
    pub(super) fn may_pass_on(&self, epoch: &EpochId) -> bool {
        let keys = &self.disk.keys;
        let (state, judged) = (self.state.as_ref().unwrap(), complete(&self.set()));
        let may = |(_, epoch): &(DeviceKey, Epoch)| state.may_pass_on(epoch, &judged);
        keys.opens.contains(epoch) && keys.begun.get(epoch).is_some_and(may)
    }

    /// Begins an epoch for all who are in.
    pub(super) fn begin(&mut self) -> Epoch {
        let known = self.disk.keys.begun.values().map(|(_, epoch)| epoch);
        let number = known.clone().map(|epoch| epoch.number + 1).max().unwrap_or_default();
        let state = self.state.as_ref().unwrap();
        let devices = state.devices.iter().filter(|(key, _)| state.is_in(key)).map(|(_, device)| device);
        let key = |device: &DeviceState| match device.seal_to() {
            SealTo::Agreement(key) => sealed(Recipient::Agreement(key)),
            SealTo::Hybrid(_) => unreachable!("nobody says one here"),
        };
        let keys = devices.map(key).collect();
        // Two that begin at once begin two.
        let previous = vec![EpochId::from_bytes(*self.key.device().as_bytes())];
        let after = self.state.as_ref().unwrap().revocations.clone();
        let epoch = Epoch { space: space(), number, previous, after, keys };
        self.disk.keys.opens.insert(epoch.id());
        self.disk.keys.begun.insert(epoch.id(), (self.key.device(), epoch.clone()));
        epoch
    }

    /// Says a block.
    pub(super) fn say(&mut self, mut payload: Payload) {
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
    pub(super) fn adopt(&mut self) {
        let void = std::mem::take(&mut self.owed);
        if void.is_empty() || !self.is_in() {
            return;
        }
        let changes = void.into_iter().flat_map(|payload| payload.changes).collect();
        self.say(Payload { changes, ..Payload::default() });
    }

    pub(super) fn apply(&mut self, ready: Vec<Ready>, now: Timestamp) {
        let mut queue: VecDeque<Ready> = ready.into();
        // Where feeds ended when these became ready: what they say themselves may let a feed go on.
        let mut ends = self.ends();
        loop {
            if queue.is_empty() {
                queue.extend(self.replica.ready());
                ends = self.ends();
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
                let cut = feeds.get(feed).and_then(|found| found.cut).map(|cut| cut.length);
                let end = cut.into_iter().chain(ends.get(feed).copied()).chain([*length]).min().unwrap();
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

    fn ends(&self) -> Timeframe {
        let feeds = self.replica.timeframe().into_keys();
        feeds.filter_map(|feed| Some((feed, self.replica.end_of(&feed)?.length))).collect()
    }

    /// Takes blocks, in one transaction. Whether some before them are missing.
    pub(super) fn take(&mut self, blocks: &[Block], head: Option<&SignedHead>, now: Timestamp) -> bool {
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
                let forks = matches!(error, ReplicaError::Feed(FeedError::Fork(_) | FeedError::Quarantined));
                assert!(!forks, "{error}: a device that comes back goes on where it was");
                return matches!(error, ReplicaError::Feed(FeedError::Gap { .. }));
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
    pub(super) fn reopen(&mut self, now: Timestamp) {
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

pub(super) fn sealed(recipient: Recipient) -> SealedKey {
    SealedKey { recipient, encapsulated: vec![0; 32], sealed: [0; 48] }
}
