//! Snapshots: everything a space says at a timeframe, so that nobody has to replay its life, and old blocks can go.
//!
//! A [`Snapshot`] names how far it reaches in each feed, with the head of the feed there as its owner signed it, and the
//! hashes of its [parts](Packer), which are sealed under the content key of an epoch. A device of the space signs the whole
//! ([`SignedSnapshot`]). Whoever takes it takes the feeds from there on; whoever can read nothing can check and keep
//! it like blocks.
//!
//! The rule it guards: a snapshot covers no block that its owner did not sign. The attack that remains is a device of the
//! space that leaves out, or puts in, what its documents do not say: who may make a snapshot is who may write, and
//! whoever has the blocks still can compare.

use prost::Message;
use sha2::{Digest, Sha256};

use crate::feed::{BlockHash, Change, EpochId, FeedError, Payload, SignedHead};
use crate::keys::{FeedKey, SpaceKey};
use crate::statement::{Sign, Signature, SignatureError, Statement, StatementKind, verify};

/// Feeds that a snapshot may reach into.
pub const MOST_FEEDS: usize = 1_024;
/// Parts of one snapshot.
pub const MOST_PARTS: usize = 640;
/// Bytes of documents in one part; a larger document goes on in the next.
pub const PART: usize = 1024 * 1024;
/// Largest sealed part: what a [`Packer`] puts into one, with names, lengths, nonce and tag.
pub const LONGEST_PART: usize = PART + 512 * 1024;
/// What [`SignedSnapshot::decode`] takes.
pub const LONGEST_SNAPSHOT: usize = 256 * 1024;
/// Documents, credentials and epochs in one part.
const MOST_IN_PART: usize = 4_096;

/// How far a snapshot reaches in one feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// Whose.
    pub feed: FeedKey,
    /// The last block that it covers, and all before, as the owner of the feed signed it.
    pub head: SignedHead,
}

impl Reach {
    /// How many blocks it covers.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.head.sequence.saturating_add(1)
    }
}

/// What a snapshot is, without its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Of which space.
    pub space: SpaceKey,
    /// Whose content key seals the parts.
    pub epoch: EpochId,
    /// How far it reaches, ascending by feed.
    pub reach: Vec<Reach>,
    /// SHA-256 of each sealed part, in order.
    pub parts: Vec<[u8; 32]>,
}

/// A snapshot, signed by a device of its space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedSnapshot {
    /// What it is.
    pub snapshot: Snapshot,
    /// The feed of the device that made it.
    pub by: FeedKey,
    /// Over the name of the snapshot.
    pub signature: Signature,
}

/// Names a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotId([u8; 32]);

impl SnapshotId {
    /// From 32 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Why a snapshot is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Not the bytes of one.
    #[error("the snapshot cannot be read: {why}")]
    Malformed {
        /// Why.
        why: &'static str,
    },
    /// Not signed by whom it says.
    #[error("the snapshot: {0}")]
    Signature(#[from] SignatureError),
    /// It reaches to a block that the owner of the feed did not sign.
    #[error("the snapshot reaches to a block that was never said")]
    Reach,
    /// Another part, or an altered one.
    #[error("part {number} of the snapshot is not the one that was signed")]
    Part {
        /// Which.
        number: usize,
    },
    /// Larger than snapshots may be.
    #[error("the space is too large for a snapshot")]
    TooLarge,
}

const fn no(why: &'static str) -> SnapshotError {
    SnapshotError::Malformed { why }
}

#[derive(Clone, PartialEq, Message)]
struct Wire {
    #[prost(bytes = "vec", tag = "1")]
    space: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    epoch: Vec<u8>,
    #[prost(message, repeated, tag = "3")]
    reach: Vec<WireReach>,
    #[prost(bytes = "vec", repeated, tag = "4")]
    parts: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct WireReach {
    #[prost(bytes = "vec", tag = "1")]
    feed: Vec<u8>,
    #[prost(uint64, tag = "2")]
    sequence: u64,
    #[prost(bytes = "vec", tag = "3")]
    hash: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    signature: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct WireSigned {
    #[prost(message, optional, tag = "1")]
    snapshot: Option<Wire>,
    #[prost(bytes = "vec", tag = "2")]
    by: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    signature: Vec<u8>,
}

impl Snapshot {
    fn wire(&self) -> Wire {
        let reach = self.reach.iter().map(|Reach { feed, head }| WireReach {
            feed: feed.as_bytes().to_vec(),
            sequence: head.sequence,
            hash: head.hash.as_bytes().to_vec(),
            signature: head.signature.as_bytes().to_vec(),
        });
        Wire {
            space: self.space.as_bytes().to_vec(),
            epoch: self.epoch.as_bytes().to_vec(),
            reach: reach.collect(),
            parts: self.parts.iter().map(|part| part.to_vec()).collect(),
        }
    }

    /// Its name: the hash of all of it.
    #[must_use]
    pub fn id(&self) -> SnapshotId {
        let encoded = self.wire().encode_to_vec();
        SnapshotId(Sha256::new().chain_update(b"halo snapshot v1\0").chain_update(encoded).finalize().into())
    }

    /// Signs it as a device of the space, by its feed there.
    #[must_use]
    pub fn sign(self, by: FeedKey, feed: &impl Sign) -> SignedSnapshot {
        let signature = feed.sign(&Statement::new(StatementKind::Snapshot, self.id().as_bytes()));
        SignedSnapshot { snapshot: self, by, signature }
    }

    /// How many blocks of a feed it covers.
    #[must_use]
    pub fn covers(&self, feed: &FeedKey) -> u64 {
        self.reach.iter().find(|reach| reach.feed == *feed).map_or(0, Reach::length)
    }

    /// Whether a sealed part is the one of that number.
    ///
    /// # Errors
    /// [`SnapshotError::Part`].
    pub fn check_part(&self, number: usize, sealed: &[u8]) -> Result<(), SnapshotError> {
        let hash: [u8; 32] = Sha256::digest(sealed).into();
        let fits = sealed.len() <= LONGEST_PART && self.parts.get(number) == Some(&hash);
        fits.then_some(()).ok_or(SnapshotError::Part { number })
    }
}

impl SignedSnapshot {
    /// The encoded snapshot.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        WireSigned {
            snapshot: Some(self.snapshot.wire()),
            by: self.by.as_bytes().to_vec(),
            signature: self.signature.as_bytes().to_vec(),
        }
        .encode_to_vec()
    }

    /// The end of the file of a snapshot, behind its [`framed`] parts: the encoded snapshot, and its length (4). So a
    /// file is written and hashed while it is made.
    #[must_use]
    pub fn trailer(&self) -> Vec<u8> {
        let encoded = self.encode();
        let length = length_of(&encoded);
        [encoded.as_slice(), &length].concat()
    }

    /// Reads an encoded snapshot; only the bytes that [`Self::encode`] gives are one. Length first, then structure;
    /// signatures are for [`Self::verify`].
    ///
    /// # Errors
    /// [`SnapshotError::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, SnapshotError> {
        if bytes.len() > LONGEST_SNAPSHOT {
            return Err(no("it is too long"));
        }
        let wire = WireSigned::decode(bytes).map_err(|_| no("it is no such message"))?;
        let inner = wire.snapshot.as_ref().ok_or_else(|| no("there is none in it"))?;
        if inner.reach.len() > MOST_FEEDS || inner.parts.len() > MOST_PARTS {
            return Err(no("it has too many feeds or parts"));
        }
        let read = || -> Option<Self> {
            let reach = inner.reach.iter().map(|reach| {
                let hash = BlockHash::from_bytes(reach.hash.as_slice().try_into().ok()?);
                let signature = Signature::from_bytes(reach.signature.as_slice().try_into().ok()?);
                let head = SignedHead { sequence: reach.sequence, hash, signature };
                Some(Reach { feed: FeedKey::from_bytes(&reach.feed).ok()?, head })
            });
            let parts = inner.parts.iter().map(|part| part.as_slice().try_into().ok());
            Some(Self {
                snapshot: Snapshot {
                    space: SpaceKey::from_bytes(&inner.space).ok()?,
                    epoch: EpochId::from_bytes(inner.epoch.as_slice().try_into().ok()?),
                    reach: reach.collect::<Option<_>>()?,
                    parts: parts.collect::<Option<_>>()?,
                },
                by: FeedKey::from_bytes(&wire.by).ok()?,
                signature: Signature::from_bytes(wire.signature.as_slice().try_into().ok()?),
            })
        };
        let signed = read().ok_or_else(|| no("a part of it has another length, or is no key"))?;
        if !signed.snapshot.reach.is_sorted_by(|one, next| one.feed < next.feed) {
            return Err(no("its feeds are not in order"));
        }
        if signed.encode() == bytes { Ok(signed) } else { Err(no("it could be written shorter")) }
    }

    /// Checks that the device signed it, and that the owner of every feed said the block it reaches to. Whether that
    /// device may write in the space is for the caller to know.
    ///
    /// # Errors
    /// [`SnapshotError::Signature`], [`SnapshotError::Reach`].
    pub fn verify(&self) -> Result<(), SnapshotError> {
        let id = self.snapshot.id();
        verify(StatementKind::Snapshot, self.by.as_bytes(), id.as_bytes(), &self.signature)?;
        let said = |reach: &Reach| -> Result<(), FeedError> { reach.head.verify(&reach.feed) };
        let all = self.snapshot.reach.iter().try_for_each(said);
        all.map_err(|_| SnapshotError::Reach)
    }
}

/// A sealed part as it stands in the file of a snapshot: its length (4, most significant byte first), and the part.
#[must_use]
pub fn framed(sealed: &[u8]) -> Vec<u8> {
    [&length_of(sealed), sealed].concat()
}

fn length_of(bytes: &[u8]) -> [u8; 4] {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes()
}

/// How long something in the file of a snapshot is.
///
/// # Errors
/// [`SnapshotError::Malformed`] if the file ends before, or it is longer than `most`.
pub fn length(bytes: &[u8], most: usize) -> Result<usize, SnapshotError> {
    let length = bytes.try_into().map(u32::from_be_bytes).map_err(|_| no("it ends too soon"))?;
    usize::try_from(length)
        .ok()
        .filter(|length| *length <= most)
        .ok_or_else(|| no("a part of it is too long"))
}

/// What the seal of a part covers besides it: who made the snapshot, and which part it is.
#[must_use]
pub fn associated(by: &FeedKey, number: u64) -> Vec<u8> {
    [b"halo snapshot part v1\0".as_slice(), by.as_bytes(), &number.to_be_bytes()].concat()
}

/// Distributes what a space says over parts, as the payloads of blocks: what control blocks said first, then the
/// documents; one that does not fit goes on in the next part. The same for the same.
#[derive(Debug, Default)]
pub struct Packer {
    part: Payload,
    size: usize,
    count: usize,
    full: usize,
}

impl Packer {
    /// Adds what a control block says: credentials, epochs and their keys, each of them whole. Gives the parts that are
    /// full by then.
    ///
    /// # Errors
    /// [`SnapshotError::TooLarge`] for more than [`MOST_PARTS`].
    pub fn control(&mut self, said: Payload) -> Result<Vec<Payload>, SnapshotError> {
        let mut full = Vec::new();
        for one in said.credentials {
            full.extend(self.room()?);
            self.grow(one.len());
            self.part.credentials.push(one);
        }
        for one in said.epochs {
            full.extend(self.room()?);
            self.grow(one.len());
            self.part.epochs.push(one);
        }
        for one in said.shares {
            full.extend(self.room()?);
            self.grow(one.len());
            self.part.shares.push(one);
        }
        Ok(full)
    }

    /// Adds a document. Gives the parts that are full by then.
    ///
    /// # Errors
    /// [`SnapshotError::TooLarge`] for more than [`MOST_PARTS`].
    pub fn document(&mut self, document: [u8; 16], bytes: &[u8]) -> Result<Vec<Payload>, SnapshotError> {
        let mut full = Vec::new();
        let mut rest = bytes;
        loop {
            full.extend(self.room()?);
            let (piece, left) = rest.split_at(rest.len().min(PART.saturating_sub(self.size)));
            self.grow(piece.len());
            self.part.changes.push(Change { document, bytes: piece.to_vec() });
            rest = left;
            if rest.is_empty() {
                return Ok(full);
            }
        }
    }

    /// The last part.
    #[must_use]
    pub fn finish(self) -> Payload {
        self.part
    }

    const fn grow(&mut self, bytes: usize) {
        self.size += bytes;
        self.count += 1;
    }

    /// Begins a new part if this one is full, which is given back then.
    fn room(&mut self) -> Result<Option<Payload>, SnapshotError> {
        if self.size < PART && self.count < MOST_IN_PART {
            return Ok(None);
        }
        self.full += 1;
        if self.full >= MOST_PARTS {
            return Err(SnapshotError::TooLarge);
        }
        (self.size, self.count) = (0, 0);
        Ok(Some(std::mem::take(&mut self.part)))
    }
}

/// What is in the parts, put together again: what control blocks said, and whole documents.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unpacked {
    /// Credentials, epochs and their keys.
    pub control: Payload,
    /// Documents, in the order of the parts.
    pub documents: Vec<([u8; 16], Vec<u8>)>,
}

impl Unpacked {
    /// Takes the next part.
    pub fn add(&mut self, part: Payload) {
        self.control.credentials.extend(part.credentials);
        self.control.epochs.extend(part.epochs);
        self.control.shares.extend(part.shares);
        for Change { document, bytes } in part.changes {
            match self.documents.last_mut() {
                Some((last, whole)) if *last == document => whole.extend(bytes),
                _ => self.documents.push((document, bytes)),
            }
        }
    }
}
