//! Feeds: what one device says in one space, as a chain of blocks (design §5).
//!
//! A [`BlockHeader`] names the block before it and the hash of its sealed payload; the hash of the last header is
//! signed together with its number ([`SignedHead`]). So one signature vouches for any number of blocks, and
//! somebody who cannot read a single payload can check a feed.
//!
//! The rule [`Feed`] guards: at each number there is one block. A device that signs two is caught by whoever sees
//! both, with the proof in hand, and nothing more is taken of that feed. The attack that remains is a device that
//! says nothing: what was never sent is not missed here but by the timeframes of others.

mod fork;
mod payload;

use sha2::{Digest, Sha256};

pub use fork::{Branch, ForkProof, LONGEST_PROOF};
pub use payload::{Change, LONGEST_PAYLOAD, Payload, PayloadError};

use crate::keys::{FeedKey, KeyError};
use crate::statement::{Sign, Signature, SignatureError, Statement, StatementKind, verify};

/// Blocks that are checked at once.
pub const LONGEST_RUN: usize = 10_000;
/// Largest sealed payload: [`LONGEST_PAYLOAD`] with nonce and tag.
pub const LONGEST_SEALED: usize = LONGEST_PAYLOAD + 40;

macro_rules! hash_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
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

        impl std::fmt::Debug for $name {
            fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(out, concat!(stringify!($name), "({:.8}…)"), data_encoding::HEXLOWER.encode(&self.0))
            }
        }
    };
}

hash_type!(
    /// Names a block: the hash of its header.
    BlockHash
);
hash_type!(
    /// Names an epoch, and with it the content key of a block.
    EpochId
);

impl BlockHash {
    /// What the first block of a feed names as the one before.
    pub const NONE: Self = Self([0; 32]);
}

/// What a block is, without its payload. Encoded as feed (32) ‖ sequence (8, most significant byte first) ‖
/// previous (32) ‖ epoch (32) ‖ SHA-256 of the sealed payload (32).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockHeader {
    /// Whose feed.
    pub feed: FeedKey,
    /// Its number, from 0.
    pub sequence: u64,
    /// The block before; [`BlockHash::NONE`] for the first.
    pub previous: BlockHash,
    /// Whose content key seals the payload.
    pub epoch: EpochId,
    /// SHA-256 of the sealed payload.
    pub payload: [u8; 32],
}

/// Length of an encoded header.
pub const HEADER_LENGTH: usize = 136;

impl BlockHeader {
    /// The encoded header.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_LENGTH] {
        let mut bytes = [0; HEADER_LENGTH];
        let sequence = self.sequence.to_be_bytes();
        let parts: [&[u8]; 5] =
            [self.feed.as_bytes(), &sequence, self.previous.as_bytes(), self.epoch.as_bytes(), &self.payload];
        bytes.iter_mut().zip(parts.into_iter().flatten()).for_each(|(to, from)| *to = *from);
        bytes
    }

    /// Reads an encoded header.
    ///
    /// # Errors
    /// [`FeedError::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, FeedError> {
        let read = || -> Option<Self> {
            let bytes: &[u8; HEADER_LENGTH] = bytes.try_into().ok()?;
            let (feed, rest) = bytes.split_first_chunk::<32>()?;
            let (sequence, rest) = rest.split_first_chunk::<8>()?;
            let (previous, rest) = rest.split_first_chunk::<32>()?;
            let (epoch, payload) = rest.split_first_chunk::<32>()?;
            Some(Self {
                feed: FeedKey::from_bytes(feed).ok()?,
                sequence: u64::from_be_bytes(*sequence),
                previous: BlockHash(*previous),
                epoch: EpochId(*epoch),
                payload: payload.try_into().ok()?,
            })
        };
        read().ok_or(FeedError::Malformed { what: "header" })
    }

    /// The name of the block.
    #[must_use]
    pub fn hash(&self) -> BlockHash {
        BlockHash(
            Sha256::new().chain_update(b"halo block v1\0").chain_update(self.encode()).finalize().into(),
        )
    }

    /// What the seal of the payload covers besides it: everything of the header but the payload's own hash.
    #[must_use]
    pub fn associated(&self) -> Vec<u8> {
        let encoded = self.encode();
        let (header, _) = encoded.split_at(HEADER_LENGTH - 32);
        [b"halo block payload v1\0", header].concat()
    }
}

/// A block as it is kept and sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// What it is.
    pub header: BlockHeader,
    /// Its payload, sealed.
    pub sealed: Vec<u8>,
}

/// The last block of a feed, signed by the feed's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedHead {
    /// Its number.
    pub sequence: u64,
    /// Its name.
    pub hash: BlockHash,
    /// Over feed ‖ sequence ‖ hash.
    pub signature: Signature,
}

impl SignedHead {
    /// Signs the head of one's own feed.
    #[must_use]
    pub fn sign(header: &BlockHeader, feed: &impl Sign) -> Self {
        let (sequence, hash) = (header.sequence, header.hash());
        let body = head_body(&header.feed, sequence, hash);
        Self { sequence, hash, signature: feed.sign(&Statement::new(StatementKind::FeedHead, &body)) }
    }

    /// Checks that the owner of the feed signed it.
    ///
    /// # Errors
    /// [`FeedError::Head`].
    pub fn verify(&self, feed: &FeedKey) -> Result<(), FeedError> {
        let body = head_body(feed, self.sequence, self.hash);
        Ok(verify(StatementKind::FeedHead, feed.as_bytes(), &body, &self.signature)?)
    }
}

fn head_body(feed: &FeedKey, sequence: u64, hash: BlockHash) -> [u8; 72] {
    let mut body = [0; 72];
    let number = sequence.to_be_bytes();
    let parts: [&[u8]; 3] = [feed.as_bytes(), &number, hash.as_bytes()];
    body.iter_mut().zip(parts.into_iter().flatten()).for_each(|(to, from)| *to = *from);
    body
}

/// Who vouches for a run of blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vouch {
    /// The owner of the feed: it signed the last block.
    Head(SignedHead),
    /// The cut where the feed ends: it names the last block. `length` and `head` as there.
    Cut {
        /// How many blocks the feed has.
        length: u64,
        /// The last of them.
        head: BlockHash,
    },
}

impl Vouch {
    /// Number and name of the block it vouches for; `None` for the end of an empty feed.
    #[must_use]
    pub fn last(&self) -> Option<(u64, BlockHash)> {
        match self {
            Self::Head(head) => Some((head.sequence, head.hash)),
            Self::Cut { length, head } => Some((length.checked_sub(1)?, *head)),
        }
    }
}

/// Two blocks of one number, and who vouches for the second. [`ForkProof`] is what others can check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fork {
    /// The number at which the feed splits.
    pub at: u64,
    /// What was taken.
    pub ours: BlockHash,
    /// What came later, and who vouches for it.
    pub theirs: (BlockHash, Vouch),
}

/// Why blocks are not taken; nothing has changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FeedError {
    /// Not the bytes of one.
    #[error("this is no {what} of a block")]
    Malformed {
        /// What.
        what: &'static str,
    },
    /// Ask for less at once.
    #[error("there are more than {LONGEST_RUN} blocks at once, or one is too large")]
    TooMuch,
    /// Another feed's.
    #[error("block {at} is of another feed")]
    Foreign {
        /// Its number.
        at: u64,
    },
    /// Ask for what is between first.
    #[error("blocks from {have} on are missing before {got}")]
    Gap {
        /// What is there ends before this.
        have: u64,
        /// What came begins here.
        got: u64,
    },
    /// Altered, put in, or taken out.
    #[error("the chain breaks at block {at}")]
    Broken {
        /// There.
        at: u64,
    },
    /// Altered.
    #[error("the payload of block {at} is not the one its header names")]
    Payload {
        /// There.
        at: u64,
    },
    /// Nobody vouches for the last block.
    #[error("the head of the feed: {0}")]
    Head(#[from] SignatureError),
    /// The device said two things at one number.
    #[error("the feed splits at block {}", .0.at)]
    Fork(Box<Fork>),
    /// It did so before.
    #[error("the feed is in quarantine since it split")]
    Quarantined,
}

impl From<KeyError> for FeedError {
    fn from(error: KeyError) -> Self {
        Self::Head(error.into())
    }
}

/// What is known of one feed: how long it is, and its last block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feed {
    key: FeedKey,
    length: u64,
    head: BlockHash,
    forked: bool,
}

impl Feed {
    /// A feed of which nothing is known.
    #[must_use]
    pub const fn new(key: FeedKey) -> Self {
        Self { key, length: 0, head: BlockHash::NONE, forked: false }
    }

    /// A feed as it was known when `length` blocks were kept, the last of them `head`.
    #[must_use]
    pub const fn resume(key: FeedKey, length: u64, head: BlockHash, forked: bool) -> Self {
        Self { key, length, head, forked }
    }

    /// Whose it is.
    #[must_use]
    pub const fn key(&self) -> FeedKey {
        self.key
    }

    /// How many blocks are known.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// The name of the last.
    #[must_use]
    pub const fn head(&self) -> BlockHash {
        self.head
    }

    /// Whether the device was caught saying two things at one number.
    #[must_use]
    pub const fn is_forked(&self) -> bool {
        self.forked
    }

    /// The header of the next block, still without its payload: seal that with [`BlockHeader::associated`], then call
    /// [`Self::append`]. For the owner of the feed.
    #[must_use]
    pub const fn next(&self, epoch: EpochId) -> BlockHeader {
        BlockHeader { feed: self.key, sequence: self.length, previous: self.head, epoch, payload: [0; 32] }
    }

    /// Completes the next block with its sealed payload, and signs it. For the owner of the feed.
    ///
    /// # Errors
    /// [`FeedError::TooMuch`]; [`FeedError::Broken`] for a header that is not the next; [`FeedError::Quarantined`].
    pub fn append(
        &mut self,
        mut header: BlockHeader,
        sealed: Vec<u8>,
        signer: &impl Sign,
    ) -> Result<(Block, SignedHead), FeedError> {
        if self.forked {
            return Err(FeedError::Quarantined);
        }
        if header != self.next(header.epoch) || signer.public_key() != *self.key.as_bytes() {
            return Err(FeedError::Broken { at: header.sequence });
        }
        if sealed.len() > LONGEST_SEALED {
            return Err(FeedError::TooMuch);
        }
        header.payload = Sha256::digest(&sealed).into();
        let head = SignedHead::sign(&header, signer);
        (self.length, self.head) = (self.length + 1, head.hash);
        Ok((Block { header, sealed }, head))
    }

    /// Says no more of this feed, since somebody proved that it splits.
    pub const fn quarantine(&mut self) {
        self.forked = true;
    }

    /// Takes blocks that continue the feed: one signature, whatever their number. Those that are known already are
    /// compared with `known`, which gives the name of a block that was kept. Returns how many were known.
    ///
    /// # Errors
    /// Everything of [`FeedError`]; after [`FeedError::Fork`] the feed is in quarantine.
    pub fn accept(
        &mut self,
        blocks: &[Block],
        head: &SignedHead,
        known: impl Fn(u64) -> Option<BlockHash>,
    ) -> Result<usize, FeedError> {
        self.accept_vouched(blocks, &Vouch::Head(*head), known)
    }

    /// As [`Self::accept`], whoever vouches for the last of the blocks. A cut vouches because a credential says so: never because
    /// the sender does.
    ///
    /// # Errors
    /// As [`Self::accept`].
    pub fn accept_vouched(
        &mut self,
        blocks: &[Block],
        vouch: &Vouch,
        known: impl Fn(u64) -> Option<BlockHash>,
    ) -> Result<usize, FeedError> {
        if self.forked {
            return Err(FeedError::Quarantined);
        }
        let (Some(first), Some(last)) = (blocks.first(), blocks.last()) else { return Ok(0) };
        if blocks.len() > LONGEST_RUN || blocks.iter().any(|block| block.sealed.len() > LONGEST_SEALED) {
            return Err(FeedError::TooMuch);
        }
        if first.header.sequence > self.length {
            return Err(FeedError::Gap { have: self.length, got: first.header.sequence });
        }
        let names = self.chain(blocks)?;
        let vouched = vouch.last().ok_or(FeedError::Broken { at: 0 })?;
        if last.header.sequence != vouched.0 || names.last() != Some(&vouched.1) {
            return Err(FeedError::Broken { at: vouched.0 });
        }
        if let Vouch::Head(head) = vouch {
            head.verify(&self.key)?;
        }
        // From here on the owner of the feed vouches for all of it.
        for (block, name) in blocks.iter().zip(&names) {
            let at = block.header.sequence;
            let before = if at == 0 { BlockHash::NONE } else { block.header.previous };
            // The block before the first new one is one that we have: the same?
            if at == self.length && before != self.head {
                let at = at.saturating_sub(1);
                return Err(self.fork(at, self.head, before, vouch));
            }
            if at < self.length
                && let Some(ours) = known(at)
                && ours != *name
            {
                return Err(self.fork(at, ours, *name, vouch));
            }
        }
        let overlap = usize::try_from(self.length - first.header.sequence).unwrap_or(usize::MAX);
        if vouched.0 >= self.length {
            (self.length, self.head) = (vouched.0 + 1, vouched.1);
        }
        Ok(overlap.min(blocks.len()))
    }

    /// Checks that blocks follow each other and carry the payloads they name; returns their names.
    fn chain(&self, blocks: &[Block]) -> Result<Vec<BlockHash>, FeedError> {
        let mut names: Vec<BlockHash> = Vec::with_capacity(blocks.len());
        let mut number = blocks.first().map_or(0, |block| block.header.sequence);
        for Block { header, sealed } in blocks {
            let at = header.sequence;
            if header.feed != self.key {
                return Err(FeedError::Foreign { at });
            }
            let follows = names.last().is_none_or(|before| header.previous == *before);
            if at != number || !follows || (at == 0 && header.previous != BlockHash::NONE) {
                return Err(FeedError::Broken { at: number });
            }
            if Sha256::digest(sealed).as_slice() != header.payload {
                return Err(FeedError::Payload { at });
            }
            names.push(header.hash());
            number = number.checked_add(1).ok_or(FeedError::TooMuch)?;
        }
        Ok(names)
    }

    fn fork(&mut self, at: u64, ours: BlockHash, theirs: BlockHash, vouch: &Vouch) -> FeedError {
        self.forked = true;
        FeedError::Fork(Box::new(Fork { at, ours, theirs: (theirs, *vouch) }))
    }
}
