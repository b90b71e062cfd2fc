//! Feeds: any run that was not written by their owner is refused, and two at one number are caught.

use halo_protocol::FeedKey;
use halo_protocol::feed::{
    Block, BlockHash, BlockHeader, Change, EpochId, Feed, FeedError, HEADER_LENGTH, Payload, SignedHead,
    Vouch,
};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use crate::signer::Key;

const EPOCH: EpochId = EpochId::from_bytes([9; 32]);

/// A feed as its owner keeps it.
struct Owner {
    key: Key,
    feed: Feed,
    blocks: Vec<Block>,
    heads: Vec<SignedHead>,
}

impl Owner {
    fn new(number: u8) -> Self {
        let key = Key::new(number);
        let feed = Feed::new(FeedKey::from_bytes(&key.bytes()).unwrap());
        Self { key, feed, blocks: Vec::new(), heads: Vec::new() }
    }

    fn with(number: u8, length: usize) -> Self {
        let mut owner = Self::new(number);
        (0..length).for_each(|at| owner.say(format!("block {at}").as_bytes()));
        owner
    }

    fn say(&mut self, what: &[u8]) {
        let next = self.feed.next(EPOCH);
        let (block, head) = self.feed.append(next, what.to_vec(), &self.key).unwrap();
        self.blocks.push(block);
        self.heads.push(head);
    }

    /// Blocks from..to with the head of the last.
    fn run(&self, from: usize, to: usize) -> (&[Block], &SignedHead) {
        (&self.blocks[from..to], &self.heads[to - 1])
    }

    fn key(&self) -> FeedKey {
        self.feed.key()
    }
}

fn nothing(_: u64) -> Option<BlockHash> {
    None
}

#[test]
fn a_feed_is_taken_in_whole_or_in_parts_and_again() {
    let owner = Owner::with(1, 30);
    let mut whole = Feed::new(owner.key());
    let (blocks, head) = owner.run(0, 30);
    assert_eq!(whole.accept(blocks, head, nothing), Ok(0));
    let mut parts = Feed::new(owner.key());
    let known = |at: u64| Some(owner.blocks[usize::try_from(at).unwrap()].header.hash());
    for (from, to, overlap) in [(0, 1, 0), (1, 10, 0), (5, 12, 5), (0, 12, 12), (3, 8, 5), (12, 30, 0)] {
        let (blocks, head) = owner.run(from, to);
        assert_eq!(parts.accept(blocks, head, known), Ok(overlap), "{from}..{to}");
    }
    assert_eq!(parts, whole);
    assert_eq!((whole.length(), whole.head()), (30, owner.heads[29].hash));
}

#[test]
fn a_gap_is_said_and_takes_nothing() {
    let owner = Owner::with(1, 10);
    let mut feed = Feed::new(owner.key());
    let (blocks, head) = owner.run(4, 10);
    assert_eq!(feed.accept(blocks, head, nothing), Err(FeedError::Gap { have: 0, got: 4 }));
    assert_eq!(feed, Feed::new(owner.key()));
}

// threat: 21
#[test]
fn blocks_of_others_and_with_altered_bytes_are_refused() {
    let (owner, other) = (Owner::with(1, 5), Owner::with(2, 5));
    let mut feed = Feed::new(owner.key());
    let (blocks, head) = other.run(0, 5);
    assert_eq!(feed.accept(blocks, head, nothing), Err(FeedError::Foreign { at: 0 }));
    // Somebody else's head over our blocks.
    let forged = SignedHead::sign(&owner.blocks[4].header, &other.key);
    assert!(matches!(feed.accept(&owner.blocks, &forged, nothing), Err(FeedError::Head(_))));
    // A payload.
    let mut altered = owner.blocks.clone();
    altered[2].sealed.push(0);
    assert_eq!(feed.accept(&altered, &owner.heads[4], nothing), Err(FeedError::Payload { at: 2 }));
    // A payload with a header that fits it.
    altered[2].header.payload = Sha256::digest(&altered[2].sealed).into();
    assert_eq!(feed.accept(&altered, &owner.heads[4], nothing), Err(FeedError::Broken { at: 3 }));
    // One left out, one twice, in another order, the end cut off.
    for order in [vec![0, 1, 3, 4], vec![0, 1, 1, 2, 3, 4], vec![0, 2, 1, 3, 4], vec![0, 1, 2, 3]] {
        let blocks: Vec<Block> = order.iter().map(|at| owner.blocks[*at].clone()).collect();
        let refused = feed.accept(&blocks, &owner.heads[4], nothing);
        assert!(matches!(refused, Err(FeedError::Broken { .. })), "{order:?}: {refused:?}");
    }
    assert_eq!(feed, Feed::new(owner.key()));
}

// threat: 42
#[test]
fn a_device_that_says_two_things_at_one_number_is_caught_and_not_heard_again() {
    let honest = Owner::with(1, 6);
    // The same key, restored from an older backup, or lying.
    let mut split = Owner::with(1, 4);
    (0..4).for_each(|_| split.say(b"something else"));
    let known = |at: u64| Some(honest.blocks[usize::try_from(at).unwrap()].header.hash());

    // It overlaps what we have.
    let mut feed = Feed::new(honest.key());
    feed.accept(&honest.blocks, &honest.heads[5], nothing).unwrap();
    let (blocks, head) = split.run(2, 8);
    let Err(FeedError::Fork(fork)) = feed.accept(blocks, head, known) else { panic!("the fork was missed") };
    assert_eq!((fork.at, fork.ours), (4, honest.blocks[4].header.hash()));
    assert_eq!(fork.theirs, (split.blocks[4].header.hash(), Vouch::Head(split.heads[7])));
    assert!(feed.is_forked());
    assert_eq!(feed.accept(&honest.blocks, &honest.heads[5], nothing), Err(FeedError::Quarantined));
    assert_eq!((feed.length(), feed.head()), (6, honest.heads[5].hash), "what was taken before stays");

    // It goes on behind what we have, from another past.
    let mut feed = Feed::new(honest.key());
    feed.accept(&honest.blocks, &honest.heads[5], nothing).unwrap();
    let (blocks, head) = split.run(6, 8);
    let Err(FeedError::Fork(fork)) = feed.accept(blocks, head, known) else { panic!("the fork was missed") };
    assert_eq!(fork.at, 5);
}

#[test]
fn the_owner_appends_only_what_comes_next() {
    let mut owner = Owner::with(1, 2);
    let stale = owner.feed.next(EPOCH);
    owner.say(b"third");
    assert!(matches!(owner.feed.append(stale, vec![], &owner.key), Err(FeedError::Broken { at: 2 })));
    let next = owner.feed.next(EPOCH);
    assert!(owner.feed.append(next, vec![], &Key::new(2)).is_err(), "only the owner signs");
    let huge = vec![0; halo_protocol::feed::LONGEST_SEALED + 1];
    assert_eq!(owner.feed.append(next, huge, &owner.key), Err(FeedError::TooMuch));
}

fn payload() -> impl Strategy<Value = Payload> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..40);
    (
        proptest::collection::btree_map(1_u8..20, any::<u64>(), 0..5),
        proptest::collection::vec(bytes(), 0..4),
        proptest::collection::vec((any::<[u8; 16]>(), bytes()), 0..4),
        proptest::collection::vec(bytes(), 0..3),
        proptest::collection::vec(bytes(), 0..3),
    )
        .prop_map(|(frames, credentials, changes, epochs, shares)| {
            let mut timeframe: Vec<_> = frames
                .into_iter()
                .map(|(key, length)| (FeedKey::from_bytes(&Key::new(key).bytes()).unwrap(), length))
                .collect();
            timeframe.sort();
            let changes = changes.into_iter().map(|(document, bytes)| Change { document, bytes }).collect();
            Payload { timeframe, credentials, changes, epochs, shares }
        })
}

proptest! {
    #[test]
    fn a_header_reads_back(sequence: u64, previous: [u8; 32], epoch: [u8; 32], payload: [u8; 32]) {
        let header = BlockHeader {
            feed: FeedKey::from_bytes(&Key::new(1).bytes()).unwrap(),
            sequence,
            previous: BlockHash::from_bytes(previous),
            epoch: EpochId::from_bytes(epoch),
            payload,
        };
        prop_assert_eq!(BlockHeader::decode(&header.encode()), Ok(header));
    }

    // threat: 21
    #[test]
    fn any_bytes_are_a_header_that_reads_back_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(header) = BlockHeader::decode(&bytes) {
            prop_assert_eq!(header.encode().to_vec(), bytes.clone());
            prop_assert_eq!(bytes.len(), HEADER_LENGTH);
        }
        let _ = Payload::decode(&bytes);
    }

    #[test]
    fn a_payload_reads_back(payload in payload()) {
        prop_assert_eq!(Payload::decode(&payload.encode()), Ok(payload));
    }

    // threat: 21
    #[test]
    fn one_flipped_bit_anywhere_is_refused(length in 1_usize..6, at: prop::sample::Index, bit in 0_u32..8) {
        let owner = Owner::with(1, length);
        let mut bytes: Vec<u8> = owner
            .blocks
            .iter()
            .flat_map(|block| [block.header.encode().as_slice(), &block.sealed].concat())
            .collect();
        let head = &owner.heads[length - 1];
        bytes.extend(head.hash.as_bytes());
        bytes.extend(head.signature.as_bytes());
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        // Taken apart again, as a peer would read it.
        let mut rest = bytes.as_slice();
        let mut take = |count: usize| { let (taken, left) = rest.split_at(count); rest = left; taken.to_vec() };
        let mut blocks = Vec::new();
        for block in &owner.blocks {
            let Ok(header) = BlockHeader::decode(&take(HEADER_LENGTH)) else { return Ok(()) };
            blocks.push(Block { header, sealed: take(block.sealed.len()) });
        }
        let hash = BlockHash::from_bytes(take(32).try_into().unwrap());
        let signature = halo_protocol::Signature::from_bytes(take(64).try_into().unwrap());
        let head = SignedHead { sequence: head.sequence, hash, signature };
        let mut feed = Feed::new(owner.key());
        prop_assert!(feed.accept(&blocks, &head, nothing).is_err());
        prop_assert_eq!(feed, Feed::new(owner.key()));
    }
}
