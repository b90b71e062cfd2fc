//! One peer, one space: what is asked for, what is sent, and what a hostile peer gets.

mod introduction;

use std::collections::{BTreeMap, BTreeSet};

use halo_echo::replication::{
    Acquaint, Assembler, Blocks, Effect, Frames, Input, LONGEST_FRAME, LONGEST_MESSAGE, LONGEST_SNAPSHOT,
    Link, LinkError, Message, Open, Ready, Replica, ReplicaError, SnapshotOffer, Timeframe, Urgency, Void,
    WINDOW, WINDOW_BYTES, fitting,
};
use halo_protocol::credential::Cut;
use halo_protocol::feed::{
    Block, BlockHash, BlockHeader, Branch, Change, EpochId, Feed, FeedError, ForkProof, Payload, SignedHead,
};
use halo_protocol::{FeedKey, Timestamp};
use proptest::prelude::*;

use crate::keys::Key;

const NOW: Timestamp = Timestamp::from_millis(1_000_000);
const OPEN: EpochId = EpochId::from_bytes([1; 32]);
const LATER: EpochId = EpochId::from_bytes([2; 32]);

/// Opens epochs that it was given.
struct Keys(BTreeSet<EpochId>);

impl Open for Keys {
    type Error = ();

    fn open(&self, header: &BlockHeader, sealed: &[u8]) -> Result<Option<Payload>, ()> {
        if self.0.contains(&header.epoch) {
            Payload::decode(sealed).map(Some).map_err(|_| ())
        } else {
            Ok(None)
        }
    }
}

fn keys() -> Keys {
    Keys(BTreeSet::from([OPEN]))
}

/// A feed and all its blocks.
#[derive(Clone)]
struct Owner {
    number: u8,
    feed: Feed,
    blocks: Vec<(Block, SignedHead)>,
}

impl Owner {
    fn new(number: u8) -> Self {
        Self { number, feed: Feed::new(Key::new(number).feed()), blocks: Vec::new() }
    }

    fn with(number: u8, length: u8) -> Self {
        let mut owner = Self::new(number);
        (0..length).for_each(|at| owner.say(&[at], OPEN, &[]));
        owner
    }

    fn say(&mut self, what: &[u8], epoch: EpochId, seen: &[(FeedKey, u64)]) {
        let changes = vec![Change { document: [0; 16], bytes: what.to_vec() }];
        let payload = Payload { timeframe: seen.to_vec(), changes, ..Payload::default() };
        let next = self.feed.next(epoch);
        let made = self.feed.append(next, payload.encode(), &Key::new(self.number)).unwrap();
        self.blocks.push(made);
    }

    fn key(&self) -> FeedKey {
        self.feed.key()
    }

    fn run(&self, from: usize, to: usize) -> (Vec<Block>, SignedHead) {
        (self.blocks[from..to].iter().map(|(block, _)| block.clone()).collect(), self.blocks[to - 1].1)
    }

    fn cut(&self, length: usize) -> Cut {
        let head = if length == 0 { BlockHash::NONE } else { self.blocks[length - 1].1.hash };
        Cut { feed: self.key(), length: length as u64, head }
    }

    fn known(&self) -> impl Fn(&FeedKey, u64) -> Option<BlockHash> {
        let names: Vec<BlockHash> = self.blocks.iter().map(|(_, head)| head.hash).collect();
        move |_, at| names.get(usize::try_from(at).ok()?).copied()
    }

    /// As a thief does with a copy: the same up to there, then something else.
    fn split(&self, at: usize, length: usize) -> Self {
        let mut other = Self::with(self.number, 0);
        for (block, _) in &self.blocks[..at] {
            let next = other.feed.next(block.header.epoch);
            let made = other.feed.append(next, block.sealed.clone(), &Key::new(self.number)).unwrap();
            other.blocks.push(made);
        }
        (at..length).for_each(|number| other.say(&[255, u8::try_from(number).unwrap()], OPEN, &[]));
        other
    }
}

fn taken_from(owner: &Owner, length: usize) -> Replica {
    let mut replica = Replica::default();
    replica.admit(Feed::new(owner.key()), 0);
    if length > 0 {
        let (blocks, head) = owner.run(0, length);
        replica.take(&blocks, Some(&head), |_, _| None, &keys()).unwrap();
    }
    replica
}

fn numbers(ready: &[Ready]) -> Vec<u64> {
    ready.iter().map(|ready| ready.sequence).collect()
}

// threat: 36
#[test]
fn blocks_behind_a_cut_are_not_taken_whoever_signed_them() {
    let owner = Owner::with(1, 10);
    let mut replica = taken_from(&owner, 3);
    assert_eq!(replica.cut(owner.cut(6), owner.known()), None, "nothing of it was here");
    let (blocks, head) = owner.run(6, 10);
    let refused = replica.take(&blocks, Some(&head), owner.known(), &keys());
    assert_eq!(refused, Err(ReplicaError::Void { at: 6 }));
    // Of a run that goes on behind it, the part before counts, and the cut vouches for that.
    let (blocks, head) = owner.run(2, 9);
    let taken = replica.take(&blocks, Some(&head), owner.known(), &keys()).unwrap();
    assert_eq!((taken.known, taken.taken, taken.head), (1, 4, None));
    assert_eq!(numbers(&taken.ready), [3, 4, 5]);
    assert_eq!(replica.timeframe()[&owner.key()], 6);
    let refused = replica.take(&blocks, Some(&head), owner.known(), &keys()).map(|taken| taken.known);
    assert_eq!(refused, Ok(4), "and again: known");
}

#[test]
fn the_end_of_a_feed_needs_no_signature_and_its_middle_does() {
    let owner = Owner::with(1, 10);
    let mut replica = taken_from(&owner, 0);
    replica.cut(owner.cut(6), owner.known());
    let (blocks, _) = owner.run(0, 5);
    let unsigned = replica.take(&blocks, None, owner.known(), &keys());
    assert_eq!(unsigned, Err(ReplicaError::Unvouched));
    assert!(!unsigned.unwrap_err().blames_the_peer(), "it may have heard of an end that this device has not");
    let (blocks, _) = owner.run(0, 6);
    assert_eq!(replica.take(&blocks, None, owner.known(), &keys()).unwrap().taken, 6);
}

#[test]
fn what_was_taken_behind_a_cut_becomes_void() {
    let owner = Owner::with(1, 10);
    let mut replica = taken_from(&owner, 8);
    let void = replica.cut(owner.cut(5), owner.known());
    assert_eq!(void, Some(Void { feed: owner.key(), from: 5, applied: 8 }));
    assert_eq!(replica.timeframe()[&owner.key()], 5);
    assert_eq!(replica.applied()[&owner.key()], 5);
    assert_eq!(replica.feed(&owner.key()).unwrap().head(), owner.cut(5).head);
    assert_eq!(replica.cut(owner.cut(5), owner.known()), None, "once");
    let void = replica.cut(owner.cut(0), owner.known());
    assert_eq!(void, Some(Void { feed: owner.key(), from: 0, applied: 5 }), "the smaller one");
    replica.lift(&owner.key());
    let (blocks, head) = owner.run(0, 10);
    assert_eq!(replica.take(&blocks, Some(&head), owner.known(), &keys()).unwrap().taken, 10, "lifted");
}

#[test]
fn nobody_waits_for_what_is_void() {
    let (thief, mut honest) = (Owner::with(1, 9), Owner::new(2));
    honest.say(b"built on it", OPEN, &[(thief.key(), 9)]);
    let mut replica = taken_from(&thief, 0);
    replica.admit(Feed::new(honest.key()), 0);
    let (blocks, head) = honest.run(0, 1);
    assert_eq!(replica.take(&blocks, Some(&head), |_, _| None, &keys()).unwrap().ready, []);
    replica.cut(thief.cut(4), thief.known());
    assert_eq!(replica.ready(), [], "what counts of it is still missing");
    let (blocks, _) = thief.run(0, 4);
    let ready = replica.take(&blocks, None, thief.known(), &keys()).unwrap().ready;
    assert_eq!(ready.len(), 5);
    assert_eq!(ready.last().unwrap().feed, honest.key());
    // A feed that was admitted behind the revocation was never seen here.
    let mut replica = Replica::default();
    replica.admit(Feed::new(honest.key()), 0);
    let (blocks, head) = honest.run(0, 1);
    assert_eq!(replica.take(&blocks, Some(&head), |_, _| None, &keys()).unwrap().ready, []);
    replica.cut(Cut::before_all(thief.key()), |_, _| None);
    assert_eq!(replica.ready().len(), 1);
}

#[test]
fn a_cut_says_which_branch_of_a_forked_feed_counts() {
    let owner = Owner::with(1, 6);
    let other = owner.split(3, 8);
    // This device took the other branch, and heard of the fork.
    let mut replica = taken_from(&other, 5);
    let (blocks, head) = owner.run(0, 6);
    let forked = replica.take(&blocks, Some(&head), other.known(), &keys());
    assert!(matches!(forked, Err(ReplicaError::Feed(FeedError::Fork(_)))));
    // Revoked by somebody who had the first one, longer than what is here.
    assert_eq!(replica.cut(owner.cut(6), other.known()), None);
    let anew = replica.take(&blocks, None, other.known(), &keys());
    assert_eq!(anew, Err(ReplicaError::Anew));
    assert_eq!(replica.take(&blocks, None, |_, _| None, &keys()).unwrap().taken, 6);
    let (blocks, head) = other.run(0, 6);
    let refused = replica.take(&blocks, Some(&head), owner.known(), &keys());
    assert!(
        matches!(refused, Err(ReplicaError::Feed(FeedError::Broken { .. }) | ReplicaError::Void { .. })),
        "{refused:?}"
    );
    // Where the cut is within what is here, it is seen at once.
    let mut replica = taken_from(&other, 8);
    let void = replica.cut(owner.cut(6), other.known());
    assert_eq!(void, Some(Void { feed: owner.key(), from: 0, applied: 8 }));
}

#[test]
fn a_block_waits_for_its_content_key() {
    let mut owner = Owner::with(1, 2);
    owner.say(b"later", LATER, &[]);
    owner.say(b"after", OPEN, &[]);
    let mut replica = taken_from(&owner, 0);
    let (blocks, head) = owner.run(0, 4);
    let taken = replica.take(&blocks, Some(&head), |_, _| None, &keys()).unwrap();
    assert_eq!((taken.taken, numbers(&taken.ready)), (4, vec![0, 1]), "it is durable, and in turn");
    assert_eq!(replica.closed(), BTreeSet::from([LATER]));
    let kept = |_: &FeedKey, at: u64| blocks.get(usize::try_from(at).ok()?).cloned();
    assert_eq!(replica.reopen(kept, &keys()).unwrap(), [], "nothing new");
    let more = Keys(BTreeSet::from([OPEN, LATER]));
    assert_eq!(numbers(&replica.reopen(kept, &more).unwrap()), [2, 3]);
    assert_eq!(replica.closed(), BTreeSet::new());
}

// threat: 42
#[test]
fn a_fork_proves_itself_to_whoever_hears_of_it() {
    let owner = Owner::with(1, 6);
    let other = owner.split(3, 8);
    let branch = |of: &Owner| {
        let headers = of.blocks[3..].iter().map(|(block, _)| block.header).collect();
        Branch::new(headers, of.blocks.last().unwrap().1)
    };
    let proof = ForkProof::new(branch(&owner), branch(&other)).unwrap();
    assert_eq!(proof.verify(), Ok((owner.key(), 3)));
    // It travels: from one link to the next, once, and a feed that splits takes nothing more.
    let here = Here::of(&[&owner], 6);
    let (mut one, mut next) = (Link::default(), Link::default());
    let said = one.handle(Input::Forked(Box::new(proof.clone())), &here, NOW).unwrap();
    let [Effect::Send(message @ Message::Forked(_))] = said.as_slice() else { panic!("{said:?}") };
    let read = Message::decode(&message.encode()).unwrap();
    let heard = next.handle(Input::Message(read.clone()), &here, NOW).unwrap();
    assert_eq!(heard, [Effect::Quarantine(Box::new(proof.clone()))]);
    assert_eq!(next.handle(Input::Message(read), &here, NOW).unwrap(), [], "once");
    assert_eq!(next.handle(Input::Forked(Box::new(proof.clone())), &here, NOW).unwrap(), [], "not back");
    let mut replica = taken_from(&owner, 4);
    assert!(replica.quarantine(&owner.key()));
    assert!(!replica.quarantine(&owner.key()), "no news");
    let (blocks, head) = owner.run(4, 6);
    let refused = replica.take(&blocks, Some(&head), owner.known(), &keys());
    assert_eq!(refused, Err(ReplicaError::Feed(FeedError::Quarantined)));
    assert_eq!(replica.timeframe()[&owner.key()], 4, "what was taken before stays");
}

#[test]
fn what_proves_no_fork_is_none() {
    let owner = Owner::with(1, 6);
    let (other, stranger) = (owner.split(3, 8), Owner::with(2, 6));
    let branch = |of: &Owner, from: usize| {
        let headers: Vec<BlockHeader> = of.blocks[from..].iter().map(|(block, _)| block.header).collect();
        Branch::new(headers, of.blocks.last().unwrap().1)
    };
    assert!(ForkProof::new(branch(&owner, 3), branch(&owner, 3)).is_err(), "the same twice");
    assert!(ForkProof::new(branch(&owner, 3), branch(&stranger, 3)).is_err(), "two feeds");
    assert!(ForkProof::new(branch(&owner, 3), branch(&other, 4)).is_err(), "two numbers");
    assert!(ForkProof::new(branch(&owner, 2), branch(&other, 2)).is_err(), "before it splits");
    let unsigned = Branch::new(vec![other.blocks[3].0.header], other.blocks[4].1);
    assert!(ForkProof::new(branch(&owner, 3), unsigned).is_err(), "nobody signed that");
    let mut headers: Vec<BlockHeader> = other.blocks[3..].iter().map(|(block, _)| block.header).collect();
    headers.remove(1);
    let holed = Branch::new(headers, other.blocks.last().unwrap().1);
    assert!(ForkProof::new(branch(&owner, 3), holed).is_err(), "a hole");
    let empty = Branch::new(vec![], other.blocks[3].1);
    assert!(ForkProof::new(branch(&owner, 3), empty).is_err());
    let bytes = ForkProof::new(branch(&owner, 3), branch(&other, 3)).unwrap().encode();
    for length in 0..bytes.len() {
        assert!(ForkProof::decode(&bytes[..length]).is_err(), "{length}");
    }
    for at in 0..bytes.len() {
        let mut altered = bytes.clone();
        altered[at] ^= 1;
        assert!(ForkProof::decode(&altered).is_err(), "byte {at}");
    }
}

/// What is durable at one end.
#[derive(Clone, Default)]
struct Here {
    blocks: BTreeMap<FeedKey, Vec<(Block, Option<SignedHead>)>>,
    base: Timeframe,
    snapshot: Option<Vec<u8>>,
    fetched: u64,
    closed: BTreeSet<EpochId>,
}

const SNAPSHOT: [u8; 32] = [9; 32];

impl Here {
    fn of(owners: &[&Owner], length: usize) -> Self {
        let blocks = owners.iter().map(|owner| {
            let some = owner.blocks.iter().take(length);
            (owner.key(), some.map(|(block, head)| (block.clone(), Some(*head))).collect())
        });
        Self { blocks: blocks.collect(), ..Self::default() }
    }

    fn keep(&mut self, blocks: Vec<Block>, head: Option<SignedHead>) {
        let kept = self.blocks.get_mut(&blocks[0].header.feed).unwrap();
        kept.extend(blocks.into_iter().map(|block| (block, None)));
        kept.last_mut().unwrap().1 = head;
    }
}

impl Blocks for Here {
    fn timeframe(&self) -> Timeframe {
        self.blocks.iter().map(|(feed, blocks)| (*feed, blocks.len() as u64)).collect()
    }

    fn closed(&self) -> BTreeSet<EpochId> {
        self.closed.clone()
    }

    fn run(
        &self,
        feed: &FeedKey,
        from: u64,
        most: usize,
        bytes: usize,
    ) -> Option<(Vec<Block>, Option<SignedHead>)> {
        let rest = self.blocks.get(feed)?.get(usize::try_from(from).ok()?..)?;
        let sizes = rest.iter().map(|(block, head)| (block.sealed.len(), head.is_some()));
        let run = &rest[..fitting(sizes, most, bytes)];
        Some((run.iter().map(|(block, _)| block.clone()).collect(), run.last()?.1))
    }

    fn base(&self) -> Timeframe {
        self.base.clone()
    }

    fn snapshot(&self) -> Option<SnapshotOffer> {
        let bytes = self.snapshot.as_ref()?;
        let base = self.base.iter().map(|(feed, length)| (*feed, *length)).collect();
        Some(SnapshotOffer { id: SNAPSHOT, size: bytes.len() as u64, base })
    }

    fn chunk(&self, id: &[u8; 32], offset: u64, most: usize) -> Option<Vec<u8>> {
        let bytes = self.snapshot.as_ref().filter(|_| *id == SNAPSHOT)?;
        let rest = bytes.get(usize::try_from(offset).ok()?..)?;
        Some(rest[..rest.len().min(most)].to_vec())
    }

    fn fetched(&self, _: &[u8; 32]) -> u64 {
        self.fetched
    }
}

fn sent(effects: &[Effect]) -> Vec<Message> {
    let message = |effect: &Effect| match effect {
        Effect::Send(message) => Some(message.clone()),
        _ => None,
    };
    effects.iter().filter_map(message).collect()
}

#[test]
fn billions_of_blocks_that_a_peer_announces_cost_nothing() {
    let owner = Owner::with(1, 3);
    let here = Here::of(&[&owner], 3);
    let mut link = Link::default();
    link.handle(Input::Opened, &here, NOW).unwrap();
    let mut timeframe = vec![(owner.key(), u64::MAX), (Key::new(2).feed(), 4_000_000_000)];
    timeframe.sort();
    let have = Message::Have { timeframe, again: true, on_screen: false };
    let said = link.handle(Input::Message(Message::decode(&have.encode()).unwrap()), &here, NOW).unwrap();
    assert_eq!(sent(&said).len(), 1, "what is here is said, and nothing asked for: {said:?}");
    let progress = link.progress(&here);
    assert_eq!((progress.received, progress.to_receive), (3, u64::MAX));
    assert!(format!("{link:?}").len() < 4_000, "feeds that are not admitted here are not kept");
}

#[test]
fn a_peer_that_never_answers_is_dropped_and_is_sent_ever_less() {
    let owner = Owner::with(1, 3);
    let here = Here::of(&[&owner], 3);
    let mut link = Link::default();
    link.handle(Input::Opened, &here, NOW).unwrap();
    let mut waits = Vec::new();
    let mut now = NOW;
    loop {
        let deadline = link.deadline().unwrap();
        waits.push(deadline.as_millis() - now.as_millis());
        now = deadline;
        match link.handle(Input::Tick, &here, now) {
            Ok(effects) => assert!(effects.len() <= 1),
            Err(error) => {
                assert_eq!(error, LinkError::Silent);
                break;
            }
        }
    }
    assert!(waits.is_sorted_by(|one, next| one < next), "{waits:?}");
    assert!((60_000..600_000).contains(&waits.iter().sum::<u64>()));
}

#[test]
fn no_more_is_on_its_way_than_the_windows_hold() {
    let mut owner = Owner::new(1);
    let large = vec![7; 900 * 1024];
    (0..24).for_each(|_| owner.say(&large, OPEN, &[]));
    let here = Here::of(&[&owner], 24);
    let mut link = Link::default();
    link.handle(Input::Opened, &here, NOW).unwrap();
    let empty = Message::Have { timeframe: vec![(owner.key(), 0)], again: true, on_screen: false };
    let said = link.handle(Input::Message(empty), &here, NOW).unwrap();
    let size = |messages: &[Message]| -> usize {
        let of = |message: &Message| match message {
            Message::Blocks { blocks, .. } => blocks.iter().map(|block| block.sealed.len()).sum(),
            _ => 0,
        };
        messages.iter().map(of).sum()
    };
    let flying = size(&sent(&said));
    assert!(flying > WINDOW_BYTES - 1024 * 1024 && flying < WINDOW_BYTES + 1024 * 1024, "{flying}");
    // As they arrive, others follow.
    let some = Message::Have { timeframe: vec![(owner.key(), 4)], again: false, on_screen: false };
    let more = size(&sent(&link.handle(Input::Message(some), &here, NOW).unwrap()));
    assert!((3 * 900 * 1024..5 * 1024 * 1024).contains(&more), "{more}");
    const { assert!(WINDOW > 1_024) };
}

#[test]
fn a_feed_that_the_peer_does_not_name_is_not_sent() {
    let (one, other) = (Owner::with(1, 3), Owner::with(2, 3));
    let here = Here::of(&[&one, &other], 3);
    let mut link = Link::default();
    let have = Message::Have { timeframe: vec![(one.key(), 0)], again: false, on_screen: false };
    for message in sent(&link.handle(Input::Message(have), &here, NOW).unwrap()) {
        if let Message::Blocks { blocks, .. } = message {
            assert!(blocks.iter().all(|block| block.header.feed == one.key()));
        }
    }
}

/// The numbers of the blocks that are sent, run by run.
fn runs(effects: &[Effect]) -> Vec<(u64, u64)> {
    let run = |message: Message| match message {
        Message::Blocks { blocks, .. } => {
            Some((blocks.first()?.header.sequence, blocks.last()?.header.sequence))
        }
        _ => None,
    };
    sent(effects).into_iter().filter_map(run).collect()
}

/// Large blocks: two are a message.
fn large(length: usize) -> Owner {
    let mut owner = Owner::new(1);
    (0..length).for_each(|_| owner.say(&vec![7; 120 * 1024], OPEN, &[]));
    owner
}

#[test]
fn what_somebody_looks_at_there_is_sent_anew_from_what_is_confirmed_on() {
    let owner = large(6);
    let here = Here::of(&[&owner], 6);
    let mut link = Link::default();
    let mut have = |length, on_screen| {
        let timeframe = vec![(owner.key(), length)];
        let have = Message::Have { timeframe, again: false, on_screen };
        let effects = link.handle(Input::Message(have), &here, NOW).unwrap();
        (link.is_watched(), effects.contains(&Effect::Withdraw), runs(&effects))
    };
    assert_eq!(have(0, false), (false, false, vec![(0, 1), (2, 3), (4, 5)]));
    assert_eq!(have(1, true), (true, true, vec![(1, 2), (3, 4), (5, 5)]));
    assert_eq!(have(3, true), (true, false, vec![]), "it is on its way");
    assert_eq!(have(5, false), (false, true, vec![(5, 5)]));
    assert_eq!(have(6, false), (false, false, vec![]));
    assert_eq!(have(6, true), (true, false, vec![]), "nothing is on its way");
}

#[test]
fn a_peer_is_told_once_that_somebody_looks() {
    let owner = Owner::with(1, 1);
    let here = Here::of(&[&owner], 1);
    let mut link = Link::of(false);
    let mut said = |input| {
        let said = sent(&link.handle(input, &here, NOW).unwrap());
        let look = |message: &Message| match message {
            Message::Have { again, on_screen, .. } => (*again, *on_screen),
            other => panic!("{other:?}"),
        };
        said.iter().map(look).collect::<Vec<_>>()
    };
    assert_eq!(said(Input::Looked(true)), [], "nobody is there to be told yet");
    assert_eq!(said(Input::Opened), [(true, true)]);
    assert_eq!(said(Input::Looked(true)), []);
    assert_eq!(said(Input::Opened), [(true, true)], "whoever begins anew says it again");
    assert_eq!(said(Input::Looked(false)), [(false, false)]);
    assert_eq!(said(Input::Looked(false)), []);
}

#[test]
fn a_snapshot_of_what_somebody_looks_at_is_asked_for_anew_from_where_it_is() {
    let owner = Owner::with(1, 1);
    let here = Here::of(&[&owner], 0);
    let mut link = Link::default();
    link.handle(Input::Opened, &here, NOW).unwrap();
    let offer = SnapshotOffer { id: SNAPSHOT, size: 30, base: vec![(owner.key(), 1)] };
    let mut say = |input| link.handle(input, &here, NOW).unwrap();
    let wanted = |from| Message::SnapshotWanted { id: SNAPSHOT, from };
    let chunk = |offset: u64| {
        let bytes = vec![7; 10];
        Input::Message(Message::SnapshotChunk { id: SNAPSHOT, offset, bytes })
    };
    let keep =
        |offset: u64, is_last| vec![Effect::Keep { id: SNAPSHOT, offset, bytes: vec![7; 10], is_last }];
    assert_eq!(sent(&say(Input::Fetch(offer))), [wanted(0)]);
    assert_eq!(say(chunk(0)), keep(0, false));
    let looked = sent(&say(Input::Looked(true)));
    assert!(matches!(looked.first(), Some(Message::Have { on_screen: true, .. })), "{looked:?}");
    assert_eq!(looked[1..], [wanted(10)]);
    // What was on its way before and what comes now, in any order: each part counts once.
    assert_eq!(say(chunk(10)), keep(10, false));
    assert_eq!(say(chunk(10)), []);
    assert_eq!(say(chunk(20)), keep(20, true));
    assert_eq!(say(chunk(20)), [], "the last one too");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// One stream for what is on screen and one for the rest, each in order, whichever of the two is quicker; and a user who
    /// looks at the space and away.
    #[test]
    fn nothing_is_missed_between_the_two_streams(steps in proptest::collection::vec((0..5_u8, any::<bool>()), 0..120)) {
        let owner = large(24);
        let (here, mut there) = (Here::of(&[&owner], 24), Here::of(&[&owner], 0));
        let (mut host, mut guest) = (Link::default(), Link::default());
        let mut asked: Vec<Message> = sent(&guest.handle(Input::Opened, &there, NOW).unwrap());
        let mut streams: [Vec<Message>; 2] = [vec![], vec![]];
        let finish = [0, 1, 2].repeat(150).into_iter().map(|step| (step, false));
        for (step, other) in steps.into_iter().chain(finish) {
            match step {
                0 if !asked.is_empty() => {
                    let have = asked.remove(0);
                    for effect in host.handle(Input::Message(have), &here, NOW).unwrap() {
                        match effect {
                            Effect::Send(blocks @ Message::Blocks { .. }) => {
                                streams[usize::from(host.is_watched())].push(blocks);
                            }
                            // Some of it is in the stream already.
                            Effect::Withdraw => streams.iter_mut().for_each(|stream| {
                                stream.truncate(if other { 1 } else { 3 });
                            }),
                            _ => {}
                        }
                    }
                }
                1 | 2 if !streams[usize::from(step - 1)].is_empty() => {
                    let blocks = streams[usize::from(step - 1)].remove(0);
                    for effect in guest.handle(Input::Message(blocks), &there, NOW).unwrap() {
                        let Effect::Take { mut blocks, head } = effect else { continue };
                        let have = there.timeframe()[&owner.key()];
                        prop_assert!(blocks[0].header.sequence <= have, "some before these are missing");
                        blocks.retain(|block| block.header.sequence >= have);
                        if !blocks.is_empty() {
                            there.keep(blocks, head);
                        }
                    }
                    asked.extend(sent(&guest.handle(Input::Grown, &there, NOW).unwrap()));
                }
                3 | 4 => asked.extend(sent(&guest.handle(Input::Looked(step == 4), &there, NOW).unwrap())),
                _ => {}
            }
        }
        prop_assert_eq!(there.timeframe()[&owner.key()], 24);
    }
}

/// Lets two ends talk until nothing is left to say; the second one takes what comes.
fn talk(from: (&mut Link, &mut Here), to: (&mut Link, &mut Here)) -> Vec<u8> {
    let mut got = Vec::new();
    let (all, base) = (from.1.blocks.clone(), from.1.base.clone());
    let mut wire: Vec<(bool, Message)> = Vec::new();
    let opened = from.0.handle(Input::Opened, from.1, NOW).unwrap();
    wire.extend(sent(&opened).into_iter().map(|message| (true, message)));
    let opened = to.0.handle(Input::Opened, to.1, NOW).unwrap();
    wire.extend(sent(&opened).into_iter().map(|message| (false, message)));
    while !wire.is_empty() {
        let (forward, message) = wire.remove(0);
        let mut inputs = vec![Input::Message(Message::decode(&message.encode()).unwrap())];
        while !inputs.is_empty() {
            let (link, here) = if forward { (&mut *to.0, &mut *to.1) } else { (&mut *from.0, &mut *from.1) };
            for effect in link.handle(inputs.remove(0), here, NOW).unwrap() {
                match effect {
                    Effect::Send(message) => wire.push((!forward, message)),
                    Effect::Offered(offer) => inputs.push(Input::Fetch(offer)),
                    Effect::Keep { bytes, is_last, offset, .. } => {
                        assert_eq!(offset, here.fetched);
                        here.fetched += bytes.len() as u64;
                        got.extend(bytes);
                        if is_last {
                            // What a snapshot stands for is here now, as if it had come block by block.
                            here.blocks.clone_from(&all);
                            for (feed, base) in &base {
                                here.blocks.get_mut(feed).unwrap().truncate(usize::try_from(*base).unwrap());
                            }
                            inputs.push(Input::Grown);
                        }
                    }
                    Effect::Take { blocks, head } => {
                        here.keep(blocks, head);
                        inputs.push(Input::Grown);
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
    }
    got
}

#[test]
fn where_blocks_were_dropped_a_snapshot_comes_first_and_goes_on_where_it_was_cut() {
    let owner = Owner::with(1, 20);
    let snapshot: Vec<u8> = (0..5_000_000_u32).map(|at| (at % 251) as u8).collect();
    let mut from = Here::of(&[&owner], 20);
    from.base.insert(owner.key(), 12);
    from.snapshot = Some(snapshot.clone());
    for already in [0, 1_234_567] {
        let mut to = Here::of(&[&owner], 0);
        to.fetched = already as u64;
        let (mut one, mut other) = (Link::default(), Link::default());
        let got = talk((&mut one, &mut from), (&mut other, &mut to));
        assert_eq!(got.len(), snapshot.len() - already);
        assert!(got == snapshot[already..]);
        assert_eq!(to.timeframe(), from.timeframe(), "and then the blocks after it");
        assert!(one.in_step(&from) && other.in_step(&to));
        assert_eq!((one.deadline(), other.deadline()), (None, None));
    }
    // Who has enough is offered none.
    let mut to = Here::of(&[&owner], 15);
    let got = talk((&mut Link::default(), &mut from), (&mut Link::default(), &mut to));
    assert_eq!((got.len(), to.timeframe()), (0, from.timeframe()));
}

#[test]
fn a_part_of_a_snapshot_that_nobody_asked_for_ends_the_link() {
    let owner = Owner::with(1, 2);
    let here = Here::of(&[&owner], 2);
    let chunk =
        |id, offset, length| Input::Message(Message::SnapshotChunk { id, offset, bytes: vec![0; length] });
    let mut link = Link::default();
    assert_eq!(link.handle(chunk(SNAPSHOT, 0, 5), &here, NOW), Err(LinkError::Snapshot));
    let offer = SnapshotOffer { id: SNAPSHOT, size: 10, base: vec![(owner.key(), 5)] };
    let mut link = Link::default();
    link.handle(Input::Fetch(offer.clone()), &here, NOW).unwrap();
    assert_eq!(link.handle(chunk([8; 32], 0, 5), &here, NOW), Err(LinkError::Snapshot), "another");
    assert_eq!(link.handle(chunk(SNAPSHOT, 0, 11), &here, NOW), Err(LinkError::Snapshot), "too much");
    let mut link = Link::default();
    link.handle(Input::Fetch(offer.clone()), &here, NOW).unwrap();
    assert_eq!(link.handle(chunk(SNAPSHOT, 5, 5), &here, NOW), Ok(vec![]), "not its turn");
    // An offer that brings nothing is not looked at.
    let useless = SnapshotOffer { base: vec![(owner.key(), 2), (Key::new(9).feed(), 7)], ..offer };
    let mut link = Link::default();
    assert_eq!(link.handle(Input::Message(Message::SnapshotOffer(useless)), &here, NOW), Ok(vec![]));
}

#[test]
fn content_keys_are_given_on_request_and_as_soon_as_they_are_there() {
    let here = Here::default();
    let lacks = Here { closed: BTreeSet::from([LATER]), ..Here::default() };
    let (mut asks, mut gives) = (Link::default(), Link::default());
    let have = |again| Input::Message(Message::Have { timeframe: vec![], again, on_screen: false });
    let wants = |effects: Vec<Effect>| sent(&effects).contains(&Message::KeysWanted(vec![LATER]));
    assert!(wants(asks.handle(Input::Grown, &lacks, NOW).unwrap()));
    assert_eq!(asks.handle(Input::Grown, &lacks, NOW).unwrap(), [], "once");
    // Neither a link that begins anew nor a peer that does knows what was asked.
    assert!(wants(asks.handle(have(true), &lacks, NOW).unwrap()));
    assert!(!wants(asks.handle(have(false), &lacks, NOW).unwrap()));
    assert!(!wants(asks.handle(Input::Opened, &lacks, NOW).unwrap()), "the peer may not be there yet");
    assert!(wants(asks.handle(have(false), &lacks, NOW).unwrap()));
    let read = Message::decode(&Message::KeysWanted(vec![LATER]).encode()).unwrap();
    assert_eq!(gives.handle(Input::Message(read), &here, NOW).unwrap(), [Effect::Share(vec![LATER])]);
    // It has none yet; later it does.
    assert_eq!(gives.handle(Input::Keys { epochs: vec![], shares: vec![] }, &here, NOW).unwrap(), []);
    assert_eq!(gives.handle(Input::Opens, &here, NOW).unwrap(), [Effect::Share(vec![LATER])]);
    let keys = Input::Keys { epochs: vec![LATER], shares: vec![vec![1, 2]] };
    let said = sent(&gives.handle(keys, &here, NOW).unwrap());
    assert_eq!(gives.handle(Input::Opens, &here, NOW).unwrap(), [], "given once");
    let read = Message::decode(&said[0].encode()).unwrap();
    assert_eq!(
        asks.handle(Input::Message(read.clone()), &here, NOW).unwrap(),
        [Effect::Unlock(vec![vec![1, 2]])]
    );
    let mut another = Link::default();
    assert_eq!(another.handle(Input::Message(read), &here, NOW).unwrap(), [], "nobody asked");
}

#[test]
fn control_goes_before_data_and_what_is_on_screen_before_the_rest() {
    let owner = Owner::with(1, 1);
    let (blocks, head) = owner.run(0, 1);
    let blocks = Message::Blocks { blocks, head: Some(head) };
    let have = Message::Have { timeframe: vec![], again: false, on_screen: false };
    let chunk = Message::SnapshotChunk { id: SNAPSHOT, offset: 0, bytes: vec![1] };
    let order = [have.urgency(false), blocks.urgency(true), blocks.urgency(false), chunk.urgency(false)];
    assert_eq!(order, Urgency::ALL);
    assert!(order.is_sorted_by(|one, next| one < next));
    assert_eq!(chunk.urgency(true), Urgency::OnScreen);
}

fn any_message() -> impl Strategy<Value = Message> {
    let frames = proptest::collection::btree_map(1..20_u8, any::<u64>(), 0..6).prop_map(|frames| {
        let mut frames: Vec<_> =
            frames.into_iter().map(|(number, length)| (Key::new(number).feed(), length)).collect();
        frames.sort();
        frames
    });
    prop_oneof![
        (frames.clone(), any::<bool>(), any::<bool>())
            .prop_map(|(timeframe, again, on_screen)| Message::Have { timeframe, again, on_screen }),
        (1..6_usize, any::<bool>()).prop_map(|(length, signed)| {
            let (blocks, head) = Owner::with(3, 6).run(0, length);
            Message::Blocks { blocks, head: signed.then_some(head) }
        }),
        (any::<[u8; 32]>(), 1..=LONGEST_SNAPSHOT, frames)
            .prop_map(|(id, size, base)| Message::SnapshotOffer(SnapshotOffer { id, size, base })),
        (any::<[u8; 32]>(), any::<u64>()).prop_map(|(id, from)| Message::SnapshotWanted { id, from }),
        (any::<[u8; 32]>(), any::<u64>(), proptest::collection::vec(any::<u8>(), 1..300))
            .prop_map(|(id, offset, bytes)| Message::SnapshotChunk { id, offset, bytes }),
        proptest::collection::vec(any::<[u8; 32]>(), 1..5)
            .prop_map(|ids| Message::KeysWanted(ids.into_iter().map(EpochId::from_bytes).collect())),
        proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 1..5)
            .prop_map(Message::Keys),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_said_reads_back(message in any_message()) {
        prop_assert_eq!(Message::decode(&message.encode()), Ok(message));
    }

    #[test]
    fn any_bytes_are_a_message_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(message) = Message::decode(&bytes) {
            prop_assert_eq!(Message::decode(&message.encode()), Ok(message));
        }
        if let Ok(message) = Acquaint::decode(&bytes) {
            prop_assert_eq!(Acquaint::decode(&message.encode()), Ok(message));
        }
    }

    #[test]
    fn frames_put_together_are_the_message(length in prop_oneof![
        0..5_usize,
        LONGEST_FRAME - 3..LONGEST_FRAME + 3,
        2 * LONGEST_FRAME - 4..2 * LONGEST_FRAME + 2,
    ]) {
        let bytes: Vec<u8> = (0..length).map(|at| (at % 253) as u8).collect();
        let frames: Vec<Vec<u8>> = Frames::of(bytes.clone()).collect();
        prop_assert!(frames.iter().all(|frame| frame.len() <= LONGEST_FRAME));
        prop_assert_eq!(frames.len(), (length.max(1)).div_ceil(LONGEST_FRAME - 1));
        let mut assembler = Assembler::default();
        let mut whole = Vec::new();
        for frame in &frames {
            whole.push(assembler.take(frame).unwrap());
        }
        prop_assert!(whole.pop().unwrap() == Some(bytes));
        prop_assert!(whole.iter().all(Option::is_none));
    }
}

#[test]
fn the_seeds_of_the_fuzz_target_are_messages() {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/replication");
    let seeds: Vec<Vec<u8>> =
        std::fs::read_dir(dir).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect();
    let messages = seeds.iter().filter(|seed| Message::decode(seed).is_ok()).count();
    let introductions = seeds.iter().filter(|seed| Acquaint::decode(seed).is_ok()).count();
    assert_eq!((seeds.len(), messages), (6, 5));
    // Whoever is older says nothing of screens.
    let looks = |seed: &Vec<u8>| matches!(Message::decode(seed), Ok(Message::Have { on_screen: true, .. }));
    assert_eq!(seeds.iter().filter(|seed| looks(seed)).count(), 1);
    assert!(introductions > 0);
}

// threat: 21
#[test]
fn frames_that_are_none_or_never_end_are_refused() {
    let mut assembler = Assembler::default();
    assert!(assembler.take(&[]).is_err());
    assert!(assembler.take(&[2, 1]).is_err(), "no such kind");
    assert!(assembler.take(&[1, 1]).is_err(), "small parts");
    assert!(assembler.take(&vec![0; LONGEST_FRAME + 1]).is_err());
    let endless = [&[1], vec![0; LONGEST_FRAME - 1].as_slice()].concat();
    let most = LONGEST_MESSAGE / (LONGEST_FRAME - 1);
    let ends = (0..most + 2).position(|_| assembler.take(&endless).is_err());
    assert_eq!(ends, Some(most));
    assert!(Message::decode(&vec![0; LONGEST_MESSAGE + 1]).is_err());
    let two = vec![(Key::new(1).feed(), 1), (Key::new(1).feed(), 2)];
    assert!(
        Message::decode(&Message::Have { timeframe: two, again: false, on_screen: false }.encode()).is_err(),
        "twice"
    );
    let empty = Message::Blocks { blocks: vec![], head: None };
    assert!(Message::decode(&empty.encode()).is_err());
    let offer = SnapshotOffer { id: SNAPSHOT, size: LONGEST_SNAPSHOT + 1, base: vec![] };
    assert!(Message::decode(&Message::SnapshotOffer(offer).encode()).is_err());
}
