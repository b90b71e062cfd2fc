//! Several devices write at once, over a network that loses, repeats and reorders, and die in between: in the end all
//! have the same documents, the same items, and find the same by their indexes. Seeded: `HALO_SEED=N` runs one,
//! `HALO_SEEDS=N` the first N.

use std::collections::{BTreeMap, BTreeSet};

use ed25519_dalek::{Signer, SigningKey};
use halo_echo::query::{Query, evaluate};
use halo_echo::replication::{
    Blocks, Effect, Input, Link, Message, Open, Replica, ReplicaError, Timeframe, Urgency, fitting,
};
use halo_echo::{
    Document, DocumentId, EchoError, Heads, Index, Item, ItemKind, MemoryIndex, Near, NewItem, Pen, Splice,
};
use halo_protocol::feed::{
    Block, BlockHash, BlockHeader, Change, EpochId, Feed, FeedError, Payload, SignedHead,
};
use halo_protocol::{FeedKey, Sign, Signature, Statement, Timestamp};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;

/// Seeds that are tried without being asked for more.
const SLICE: u64 = 30;

/// Bytes that may be on their way from one to another: a few blocks.
const ROOM: usize = 2_000;

struct Key(SigningKey);

impl Sign for Key {
    fn public_key(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    fn sign(&self, statement: &Statement<'_>) -> Signature {
        Signature::from_bytes(self.0.sign(&statement.signing_bytes()).to_bytes())
    }
}

/// Payloads that are not sealed: sealing has tests of its own.
struct Plain;

impl Open for Plain {
    type Error = String;

    fn open(&self, _: &BlockHeader, sealed: &[u8]) -> Result<Option<Payload>, String> {
        Payload::decode(sealed).map(Some).map_err(|error| error.to_string())
    }
}

/// What survives a crash: the blocks, how far they were applied, and the documents and items written with them.
#[derive(Default)]
struct Disk {
    /// For bytes on their way to whoever is spoken with.
    room: usize,
    blocks: BTreeMap<FeedKey, Vec<(Block, Option<SignedHead>)>>,
    applied: Timeframe,
    documents: BTreeMap<DocumentId, Vec<u8>>,
    index: MemoryIndex,
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
        let rest = self.blocks.get(feed)?.get(usize::try_from(from).unwrap()..)?;
        // Only where somebody signed is there a head.
        let sizes = rest.iter().map(|(block, head)| (block.sealed.len(), head.is_some()));
        let run = &rest[..fitting(sizes, most, bytes)];
        Some((run.iter().map(|(block, _)| block.clone()).collect(), run.last()?.1))
    }

    fn room(&self, _: Urgency) -> usize {
        self.room
    }
}

struct Device {
    number: u8,
    key: Key,
    disk: Disk,
    replica: Replica,
    documents: BTreeMap<DocumentId, Document>,
    links: BTreeMap<usize, Link>,
}

impl Device {
    fn new(number: u8, keys: &[FeedKey]) -> Self {
        let key = Key(SigningKey::from_bytes(&[number + 1; 32]));
        let mut disk = Disk::default();
        for feed in keys {
            disk.blocks.insert(*feed, Vec::new());
        }
        let mut device = Self {
            number,
            key,
            disk,
            replica: Replica::default(),
            documents: BTreeMap::new(),
            links: BTreeMap::new(),
        };
        device.start();
        device
    }

    fn feed(&self) -> FeedKey {
        FeedKey::from_bytes(&self.key.public_key()).unwrap()
    }

    /// Everything in memory is made anew from the disk.
    fn start(&mut self) {
        self.replica = Replica::default();
        for (key, blocks) in &self.disk.blocks {
            let head = blocks.last().map_or(BlockHash::NONE, |(block, _)| block.header.hash());
            let applied = self.disk.applied.get(key).copied().unwrap_or_default();
            self.replica.admit(Feed::resume(*key, blocks.len() as u64, head, false), applied);
            for (block, _) in &blocks[usize::try_from(applied).unwrap()..] {
                let payload = Plain.open(&block.header, &block.sealed).unwrap();
                self.replica.wait(&block.header, payload);
            }
        }
        assert_eq!(self.replica.ready(), [], "what could be applied was, in the transaction that made it so");
        self.documents =
            self.disk.documents.iter().map(|(id, bytes)| (*id, Document::load(bytes).unwrap())).collect();
    }

    fn pen(&self) -> Pen {
        Pen { actor: [self.number + 1; 16], seconds: 1 }
    }

    /// Changes one or two documents, in one block.
    fn edit(&mut self, rng: &mut StdRng) {
        let pen = self.pen();
        let mut changes = Vec::new();
        let mut touched = BTreeSet::new();
        for _ in 0..rng.random_range(1..3) {
            let id = DocumentId::from_random([rng.random_range(0..4); 16]);
            touched.insert(id);
            let document = self.documents.entry(id).or_insert_with(Document::empty);
            let name = format!("I{}", rng.random_range(0..3));
            let there = Item::all_in(id, &document.objects()).iter().any(|item| item.id == name);
            let data =
                json!({ "title": format!("t{}", rng.random_range(0..9)), "n": rng.random_range(0..9) });
            let data = data.as_object().unwrap();
            let bytes = match rng.random_range(0..4) {
                0 if there => document.set_deleted(pen, &name, rng.random_bool(0.5)),
                1 if there => document.merge_data(pen, &name, data),
                2 if there && document.text(&name, "title").is_ok() => {
                    let splice = Splice { position: 0, remove: 0, insert: format!("{}", self.number) };
                    document.splice_text(pen, &name, "title", None, &splice)
                }
                _ => document.put_item(
                    pen,
                    &NewItem {
                        id: name,
                        kind: ItemKind::Object,
                        typename: "dxn:type:e.org/type/T:0.1.0".into(),
                        data: data.clone(),
                        ..NewItem::default()
                    },
                ),
            };
            changes.push(Change { document: *id.as_bytes(), bytes: bytes.unwrap() });
        }
        let mut feed = self.replica.feed(&self.feed()).unwrap().clone();
        let timeframe = self.replica.applied().into_iter().collect();
        let payload = Payload { timeframe, changes, ..Payload::default() };
        let (block, head) =
            feed.append(feed.next(EpochId::from_bytes([0; 32])), payload.encode(), &self.key).unwrap();
        self.disk.blocks.get_mut(&feed.key()).unwrap().push((block, Some(head)));
        self.disk.applied.insert(feed.key(), feed.length());
        self.replica.said(feed);
        self.save(&touched);
    }

    /// Writes documents that changed, and their items and no others.
    fn save(&mut self, touched: &BTreeSet<DocumentId>) {
        for id in touched {
            let document = self.documents.get_mut(id).unwrap();
            self.disk.documents.insert(*id, document.save());
            self.disk.index.replace(*id, Item::all_in(*id, &document.objects()));
        }
    }

    /// Takes blocks, in one transaction. Whether some before them are missing.
    fn take(&mut self, blocks: &[Block], head: Option<&SignedHead>) -> bool {
        let known = |feed: &FeedKey, at: u64| {
            self.disk.blocks.get(feed)?.get(usize::try_from(at).ok()?).map(|(block, _)| block.header.hash())
        };
        let taken = match self.replica.take(blocks, head, known, &Plain) {
            Ok(taken) => taken,
            Err(ReplicaError::Feed(FeedError::Gap { .. })) => return true,
            Err(error) => panic!("{error}"),
        };
        let fresh = &blocks[taken.known..];
        if let Some(kept) = fresh.first().and_then(|first| self.disk.blocks.get_mut(&first.header.feed)) {
            kept.extend(fresh.iter().map(|block| (block.clone(), None)));
            kept.last_mut().unwrap().1 = taken.head;
        }
        let mut touched = BTreeSet::new();
        for ready in taken.ready {
            for (feed, length) in &ready.payload.timeframe {
                let applied = self.disk.applied.get(feed).copied().unwrap_or_default();
                assert!(applied >= *length, "a block comes after what its writer had seen");
            }
            for change in ready.payload.changes {
                let id = DocumentId::from_bytes(&change.document).unwrap();
                self.documents.entry(id).or_insert_with(Document::empty).apply(&change.bytes).unwrap();
                touched.insert(id);
            }
            self.disk.applied.insert(ready.feed, ready.sequence + 1);
        }
        self.save(&touched);
        false
    }

    fn believes(&self) -> BTreeMap<DocumentId, (Heads, Vec<Item>)> {
        let mut believed = BTreeMap::new();
        for (id, document) in &self.documents {
            let mut heads = document.heads();
            heads.sort();
            believed.insert(*id, (heads, Item::all_in(*id, &document.objects())));
        }
        believed
    }
}

/// Everything in an index, as it would be made anew from documents.
fn made_anew(believed: &BTreeMap<DocumentId, (Heads, Vec<Item>)>) -> Vec<Item> {
    let mut index = MemoryIndex::default();
    for (id, (_, items)) in believed {
        index.replace(*id, items.clone());
    }
    everything(&index)
}

fn everything(index: &MemoryIndex) -> Vec<Item> {
    let mut items = Vec::new();
    index.visit(&Near::All, &mut |item| items.push(item.clone())).unwrap();
    items
}

/// What apps ask, and what they are told.
fn answers(index: &MemoryIndex) -> Vec<Vec<String>> {
    let select = |filter| json!({ "type": "select", "filter": filter });
    let props = |filter| select(json!({ "type": "object", "typename": null, "props": { "n": filter } }));
    let queries = [
        select(json!({ "type": "object", "typename": "dxn:type:e.org/type/T", "props": {} })),
        props(json!({ "type": "compare", "operator": "gte", "value": 5 })),
        props(json!({ "type": "compare", "operator": "eq", "value": 3 })),
        select(json!({ "type": "text-search", "text": "t" })),
    ];
    let ask = |query: serde_json::Value| {
        evaluate::<_, EchoError>(&Query::parse(&query.to_string()).unwrap(), index).unwrap()
    };
    queries.into_iter().map(ask).collect()
}

struct World {
    devices: Vec<Device>,
    /// From, to, what.
    wire: Vec<(usize, usize, Message)>,
    /// Who has more to say to whom once there is room.
    held: BTreeSet<(usize, usize)>,
    now: Timestamp,
    rng: StdRng,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let count = rng.random_range(2..6_u8);
        let keys: Vec<FeedKey> = (0..count)
            .map(|number| {
                FeedKey::from_bytes(&SigningKey::from_bytes(&[number + 1; 32]).verifying_key().to_bytes())
                    .unwrap()
            })
            .collect();
        let devices = (0..count).map(|number| Device::new(number, &keys)).collect();
        let mut world =
            Self { devices, wire: Vec::new(), held: BTreeSet::new(), now: Timestamp::from_millis(0), rng };
        // A chain at least, so that some only hear of others through others.
        for one in 0..usize::from(count) {
            for other in one + 1..usize::from(count) {
                if other == one + 1 || world.rng.random_bool(0.4) {
                    world.connect(one, other);
                }
            }
        }
        world
    }

    fn connect(&mut self, one: usize, other: usize) {
        for (from, to) in [(one, other), (other, one)] {
            self.devices[from].links.insert(to, Link::default());
            self.held.remove(&(from, to));
            self.tell(from, to, Input::Opened);
        }
    }

    fn tell(&mut self, at: usize, about: usize, input: Input) {
        let device = &mut self.devices[at];
        let Some(link) = device.links.get_mut(&about) else { return };
        let waits = self.wire.iter().filter(|(from, to, _)| (*from, *to) == (at, about));
        device.disk.room = ROOM.saturating_sub(waits.map(|(_, _, message)| message.weight()).sum());
        for effect in link.handle(input, &device.disk, self.now).unwrap() {
            match effect {
                Effect::Send(message) => self.wire.push((at, about, message)),
                Effect::Withdraw => self.wire.retain(|(from, to, message)| {
                    (*from, *to) != (at, about) || !matches!(message, Message::Blocks { .. })
                }),
                Effect::Held(_) => {
                    self.held.insert((at, about));
                }
                Effect::Take { blocks, head } => {
                    if self.devices[at].take(&blocks, head.as_ref()) {
                        self.tell(at, about, Input::Missed);
                    } else {
                        self.tell_all(at, &Input::Grown);
                    }
                }
                other => panic!("{other:?}: nobody forks or drops anything here"),
            }
        }
    }

    fn tell_all(&mut self, at: usize, input: &Input) {
        let links: Vec<usize> = self.devices[at].links.keys().copied().collect();
        for link in links {
            self.tell(at, link, input.clone());
        }
    }

    fn deliver(&mut self, losing: bool) {
        if self.wire.is_empty() {
            return;
        }
        let at = self.rng.random_range(0..self.wire.len());
        if losing && self.rng.random_bool(0.2) {
            self.wire.swap_remove(at);
            return self.go_on();
        }
        let (from, to, message) = if losing && self.rng.random_bool(0.1) {
            self.wire[at].clone()
        } else {
            self.wire.swap_remove(at)
        };
        self.tell(to, from, Input::Message(message));
        self.go_on();
    }

    /// Where there is room again, what was held goes on.
    fn go_on(&mut self) {
        let waits: BTreeSet<(usize, usize)> = self.wire.iter().map(|(from, to, _)| (*from, *to)).collect();
        for (from, to) in self.held.difference(&waits).copied().collect::<Vec<_>>() {
            self.held.remove(&(from, to));
            self.tell(from, to, Input::Grown);
        }
    }

    fn tick(&mut self) {
        self.now = self.now.plus(std::time::Duration::from_millis(1_500));
        for at in 0..self.devices.len() {
            self.tell_all(at, &Input::Tick);
        }
    }

    /// A device dies and comes back: what was in its memory is gone, and so is what was on the wire to it.
    fn crash(&mut self) {
        let at = self.rng.random_range(0..self.devices.len());
        self.wire.retain(|(_, to, _)| *to != at);
        self.devices[at].start();
        let links: Vec<usize> = self.devices[at].links.keys().copied().collect();
        for other in links {
            self.connect(at, other);
        }
    }

    fn run(&mut self) {
        for _ in 0..self.rng.random_range(20..120) {
            match self.rng.random_range(0..21) {
                0..5 => {
                    let at = self.rng.random_range(0..self.devices.len());
                    self.devices[at].edit(&mut self.rng);
                    self.tell_all(at, &Input::Grown);
                }
                5..18 => self.deliver(true),
                18 => self.tick(),
                19 => {
                    let (at, looks) =
                        (self.rng.random_range(0..self.devices.len()), self.rng.random_bool(0.5));
                    self.tell_all(at, &Input::Looked(looks));
                }
                _ => self.crash(),
            }
        }
        // From here on the network behaves; in the end nobody has anything left to say.
        for _ in 0..200 {
            while !self.wire.is_empty() {
                self.deliver(false);
            }
            if self.devices.iter().all(|device| device.links.values().all(|link| link.deadline().is_none())) {
                return;
            }
            self.tick();
        }
        panic!("they never come to rest");
    }
}

fn converges(seed: u64) {
    let mut world = World::new(seed);
    world.run();
    let first = &world.devices[0];
    for device in &world.devices {
        let number = device.number;
        assert_eq!(device.disk.timeframe(), first.disk.timeframe(), "seed {seed}: blocks of device {number}");
        assert_eq!(
            device.replica.applied(),
            first.replica.applied(),
            "seed {seed}: what device {number} applied"
        );
        let believed = device.believes();
        assert_eq!(believed, first.believes(), "seed {seed}: what device {number} believes");
        assert_eq!(
            everything(&device.disk.index),
            made_anew(&believed),
            "seed {seed}: the index of device {number} says what its documents say"
        );
        assert_eq!(
            answers(&device.disk.index),
            answers(&first.disk.index),
            "seed {seed}: what device {number} finds"
        );
        assert!(
            device.links.values().all(|link| link.in_step(&device.disk)),
            "seed {seed}: device {number} in step"
        );
    }
}

#[test]
fn devices_come_to_believe_the_same() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    match number("HALO_SEED") {
        Some(seed) => converges(seed),
        None => (0..number("HALO_SEEDS").unwrap_or(SLICE)).for_each(converges),
    }
}
