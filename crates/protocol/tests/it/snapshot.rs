//! Snapshots: what was not signed, not said, or not there is refused; and what goes in comes out.

use std::path::Path;

use halo_protocol::feed::{EpochId, Feed, Payload, SignedHead};
use halo_protocol::snapshot::{
    LONGEST_PART, LONGEST_SNAPSHOT, MOST_PARTS, PART, Packer, Reach, SignedSnapshot, Snapshot, SnapshotError,
    Unpacked, associated,
};
use halo_protocol::{FeedKey, SpaceKey};
use proptest::prelude::*;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::signer::Key;

const EPOCH: EpochId = EpochId::from_bytes([9; 32]);

/// All parts of these documents, and of these as credentials, epochs and keys.
fn pack(
    credentials: Vec<Vec<u8>>,
    documents: impl IntoIterator<Item = ([u8; 16], Vec<u8>)>,
) -> Result<Vec<Payload>, SnapshotError> {
    let (mut packer, mut parts) = (Packer::default(), Vec::new());
    let (epochs, shares) = (credentials.clone(), credentials.clone());
    parts.extend(packer.control(Payload { credentials, epochs, shares, ..Payload::default() })?);
    for (document, bytes) in documents {
        parts.extend(packer.document(document, &bytes)?);
    }
    parts.push(packer.finish());
    Ok(parts)
}

fn feed_of(key: &Key) -> FeedKey {
    FeedKey::from_bytes(&key.bytes()).unwrap()
}

/// The head of a feed with so many blocks.
fn head(key: &Key, length: u64) -> SignedHead {
    let mut feed = Feed::new(feed_of(key));
    let said = (0..length).map(|at| feed.append(feed.next(EPOCH), at.to_be_bytes().to_vec(), key).unwrap().1);
    said.last().unwrap()
}

/// A snapshot of two feeds, with two parts.
fn snapshot() -> Snapshot {
    let (one, other) = (Key::new(1), Key::new(2));
    let mut reach = vec![
        Reach { feed: feed_of(&one), head: head(&one, 3) },
        Reach { feed: feed_of(&other), head: head(&other, 1) },
    ];
    reach.sort_by_key(|reach| reach.feed);
    let space = SpaceKey::from_bytes(&Key::new(5).bytes()).unwrap();
    let parts = [b"one".as_slice(), b"two"].map(|part| Sha256::digest(part).into()).to_vec();
    Snapshot { space, epoch: EPOCH, reach, parts }
}

fn signed() -> SignedSnapshot {
    let key = Key::new(1);
    snapshot().sign(feed_of(&key), &key)
}

#[test]
fn a_snapshot_is_taken_as_its_maker_signed_it() {
    let signed = signed();
    let read = SignedSnapshot::decode(&signed.encode()).unwrap();
    assert_eq!((&read, read.verify()), (&signed, Ok(())));
    let snapshot = read.snapshot;
    assert_eq!(snapshot.covers(&feed_of(&Key::new(1))), 3);
    assert_eq!(snapshot.covers(&feed_of(&Key::new(2))), 1);
    assert_eq!(snapshot.covers(&feed_of(&Key::new(3))), 0);
    assert_eq!(snapshot.check_part(1, b"two"), Ok(()));
    for (number, part) in [(0, b"two"), (1, b"tow"), (2, b"two")] {
        assert_eq!(snapshot.check_part(number, part), Err(SnapshotError::Part { number }));
    }
}

// threat: 42
#[test]
fn a_snapshot_that_was_altered_or_reaches_too_far_is_refused() {
    let other = Key::new(2);
    let altered = |alter: &dyn Fn(&mut SignedSnapshot)| {
        let mut snapshot = signed();
        alter(&mut snapshot);
        SignedSnapshot::decode(&snapshot.encode()).and_then(|snapshot| snapshot.verify())
    };
    let mismatch = |result: Result<(), SnapshotError>| matches!(result, Err(SnapshotError::Signature(_)));
    assert!(mismatch(altered(&|signed| signed.by = feed_of(&Key::new(2)))), "somebody else's name on it");
    assert!(mismatch(altered(&|signed| signed.snapshot.parts.swap(0, 1))));
    assert!(mismatch(altered(&|signed| signed.snapshot.epoch = EpochId::from_bytes([8; 32]))));
    assert!(mismatch(altered(&|signed| signed.snapshot.reach.truncate(1))));
    let order = altered(&|signed| signed.snapshot.reach.reverse());
    assert!(order.unwrap_err().to_string().contains("not in order"));
    // The maker itself signs a block that the owner of the feed never said.
    let further = altered(&|signed| {
        let mut snapshot = signed.snapshot.clone();
        let at = snapshot.reach.iter().position(|reach| reach.feed == feed_of(&other)).unwrap();
        snapshot.reach[at].head.sequence = 7;
        *signed = snapshot.sign(feed_of(&Key::new(1)), &Key::new(1));
    });
    assert_eq!(further, Err(SnapshotError::Reach));
    // And a head is no snapshot: each signature is over its own kind of statement.
    let lent = altered(&|signed| signed.signature = signed.snapshot.reach[0].head.signature);
    assert!(mismatch(lent));
}

#[test]
fn what_is_no_snapshot_is_refused() {
    let bytes = signed().encode();
    for wrong in [
        vec![],
        bytes[..bytes.len() - 1].to_vec(),
        [bytes.as_slice(), &[0x20, 0]].concat(),
        vec![0; LONGEST_SNAPSHOT + 1],
    ] {
        assert!(SignedSnapshot::decode(&wrong).is_err(), "{} bytes", wrong.len());
    }
    let mut many = signed();
    many.snapshot.parts = vec![[0; 32]; MOST_PARTS + 1];
    assert!(SignedSnapshot::decode(&many.encode()).unwrap_err().to_string().contains("too many"));
    assert!(snapshot().check_part(0, &vec![0; LONGEST_PART + 1]).is_err());
}

#[test]
fn a_large_document_goes_on_in_the_next_part() {
    let large = vec![7; PART * 2 + 5];
    let documents = vec![([1; 16], vec![1; 10]), ([2; 16], large.clone()), ([3; 16], vec![])];
    let parts = pack(vec![b"credential".to_vec()], documents.clone()).unwrap();
    assert_eq!(parts.len(), 3);
    let mut all = Unpacked::default();
    for part in parts {
        let encoded = part.encode();
        assert!(encoded.len() + 40 <= LONGEST_PART);
        all.add(Payload::decode(&encoded).unwrap());
    }
    assert_eq!((all.control.credentials, all.documents), (vec![b"credential".to_vec()], documents));
    let huge = (0..=MOST_PARTS).map(|number| ([u8::try_from(number % 256).unwrap(); 16], vec![0; PART]));
    assert_eq!(pack(Vec::new(), huge), Err(SnapshotError::TooLarge));
}

#[test]
fn the_seal_of_a_part_covers_its_maker_and_its_number() {
    let (one, other) = (feed_of(&Key::new(1)), feed_of(&Key::new(2)));
    let all = [associated(&one, 0), associated(&one, 1), associated(&other, 0)];
    assert!(all[0] != all[1] && all[0] != all[2] && all[1] != all[2]);
}

proptest! {
    #[test]
    fn what_is_packed_comes_out_again(
        credentials in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..6),
        sizes in proptest::collection::vec(prop_oneof![0..50_usize, PART - 60..PART + 60], 0..5),
    ) {
        let documents: Vec<_> = sizes.iter().zip(0_u8..).map(|(size, number)| ([number; 16], vec![number; *size])).collect();
        let parts = pack(credentials.clone(), documents.clone()).unwrap();
        let mut all = Unpacked::default();
        for part in &parts {
            prop_assert!(part.encode().len() + 40 <= LONGEST_PART);
            let size: usize = part.changes.iter().map(|change| change.bytes.len()).sum();
            prop_assert!(size <= PART);
        }
        parts.into_iter().for_each(|part| all.add(part));
        let Payload { credentials: some, epochs, shares, .. } = all.control;
        prop_assert_eq!((&some, &epochs, &shares), (&credentials, &credentials, &credentials));
        prop_assert_eq!(all.documents, documents);
    }

    #[test]
    fn any_bytes_end_in_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = SignedSnapshot::decode(&bytes).map(|signed| signed.verify());
    }
}

fn file() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/snapshots.json")
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

fn vectors() -> Vec<Value> {
    let bytes = signed().encode();
    let id = hex(signed().snapshot.id().as_bytes());
    let mut other = signed();
    other.by = feed_of(&Key::new(2));
    let mut flipped = bytes.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let unsaid = {
        let mut snapshot = snapshot();
        snapshot.reach[0].head.sequence += 1;
        snapshot.sign(feed_of(&Key::new(1)), &Key::new(1)).encode()
    };
    let mut swapped = signed();
    swapped.snapshot.reach.reverse();
    let good = json!({ "name": "two feeds, two parts", "valid": true, "hex": hex(&bytes), "id": id });
    let bad = |name: &str, bytes: &[u8]| json!({ "name": name, "valid": false, "hex": hex(bytes) });
    vec![
        good,
        bad("signed by another device than it names", &other.encode()),
        bad("a flipped bit in the signature", &flipped),
        bad("reaches to a block that was not said", &unsaid),
        bad("feeds out of order", &swapped.encode()),
        bad("a field too many", &[bytes.as_slice(), &[0x20, 0]].concat()),
        bad("cut off", &bytes[..bytes.len() - 1]),
    ]
}

#[test]
fn the_vectors_are_taken_and_refused() {
    let all: Vec<Value> = serde_json::from_slice(&std::fs::read(file()).unwrap()).unwrap();
    assert_eq!(all.len(), vectors().len());
    for vector in all {
        let bytes = data_encoding::HEXLOWER.decode(vector["hex"].as_str().unwrap().as_bytes()).unwrap();
        let taken = SignedSnapshot::decode(&bytes).and_then(|signed| signed.verify().map(|()| signed));
        assert_eq!(taken.is_ok(), vector["valid"].as_bool().unwrap(), "{}: {taken:?}", vector["name"]);
        if let Ok(signed) = taken {
            assert_eq!(hex(signed.snapshot.id().as_bytes()), vector["id"].as_str().unwrap());
            assert_eq!(signed, self::signed(), "this build writes the same bytes");
        }
    }
}

#[test]
#[ignore = "writes vectors/snapshots.json; a published vector is never changed"]
fn write_the_snapshot_vectors() {
    std::fs::write(file(), serde_json::to_vec_pretty(&vectors()).unwrap()).unwrap();
    let seed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/snapshot/signed");
    std::fs::write(seed, signed().encode()).unwrap();
}
