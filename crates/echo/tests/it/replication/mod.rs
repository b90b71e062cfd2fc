//! One peer, one space: what is asked for, what is sent, and what a hostile peer gets.

mod introduction;
mod link;

use std::collections::{BTreeMap, BTreeSet};

use halo_echo::replication::{
    Acquaint, Assembler, Blocks, Effect, Frames, Input, LONGEST_FRAME, LONGEST_MESSAGE, LONGEST_SNAPSHOT,
    Link, LinkError, Message, Open, PAUSE, RETRY, Ready, Replica, ReplicaError, SnapshotOffer, Timeframe,
    Urgency, Void, WINDOW, WINDOW_BYTES, fitting,
};
use halo_protocol::credential::Cut;
use halo_protocol::feed::{
    Block, BlockHash, BlockHeader, Branch, Change, EpochId, Feed, FeedError, ForkProof, Payload, SignedHead,
};
use halo_protocol::{FeedKey, Timestamp};
use proptest::prelude::*;

use self::link::{Here, SNAPSHOT};
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

/// Somebody who said two things, and what proves it.
fn forked() -> (Owner, ForkProof) {
    let owner = Owner::with(1, 6);
    let other = owner.split(3, 8);
    let branch = |of: &Owner| {
        let headers = of.blocks[3..].iter().map(|(block, _)| block.header).collect();
        Branch::new(headers, of.blocks.last().unwrap().1)
    };
    let proof = ForkProof::new(branch(&owner), branch(&other)).unwrap();
    (owner, proof)
}

// threat: 42
#[test]
fn a_fork_proves_itself_to_whoever_hears_of_it() {
    let (owner, proof) = forked();
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
