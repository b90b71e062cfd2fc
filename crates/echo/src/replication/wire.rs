//! Messages as bytes: protobuf, in frames of at most 1 MiB.
//!
//! A frame is one byte (0: the message ends here, 1: there is more) and a part of the message. The parts of a message follow each
//! other on one stream, so one block may be larger than a frame. The rule it guards: what a peer announces costs nothing; memory is
//! taken for what it really sent, and no more of that than one message is long.

use halo_protocol::feed::{
    Block, BlockHash, BlockHeader, EpochId, ForkProof, HEADER_LENGTH, LONGEST_PROOF, LONGEST_SEALED,
    SignedHead,
};
use halo_protocol::{FeedKey, Signature};
use prost::Message as _;

use super::message::{LONGEST_SNAPSHOT, Message, SnapshotOffer};

/// A longer frame is refused.
pub const LONGEST_FRAME: usize = 1024 * 1024;
/// A longer message is refused: one block of the largest size, and what is around it.
pub const LONGEST_MESSAGE: usize = LONGEST_SEALED + 64 * 1024;
/// Feeds of one timeframe.
const MOST_FEEDS: usize = 4_096;
/// Blocks of one message.
pub(super) const MOST_BLOCKS: usize = 1_024;
/// Content keys of one message.
pub(super) const MOST_KEYS: usize = 256;
/// Bytes of one part of a snapshot.
pub(super) const LONGEST_CHUNK: usize = 256 * 1024;

const LAST: u8 = 0;
const MORE: u8 = 1;

/// Why some bytes are no message: drop the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a message cannot be read: {why}")]
pub struct WireError {
    pub(super) why: &'static str,
}

impl WireError {
    pub(super) const fn new(why: &'static str) -> Self {
        Self { why }
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct Wire {
    #[prost(oneof = "Kind", tags = "1, 2, 3, 4, 5, 6, 7, 8")]
    kind: Option<Kind>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Kind {
    #[prost(message, tag = "1")]
    Have(WireHave),
    #[prost(message, tag = "2")]
    Blocks(WireBlocks),
    #[prost(bytes = "vec", tag = "3")]
    Forked(Vec<u8>),
    #[prost(message, tag = "4")]
    Offer(WireOffer),
    #[prost(message, tag = "5")]
    Wanted(WireWanted),
    #[prost(message, tag = "6")]
    Chunk(WireChunk),
    #[prost(message, tag = "7")]
    KeysWanted(WireParts),
    #[prost(message, tag = "8")]
    Keys(WireParts),
}

#[derive(Clone, PartialEq, prost::Message)]
struct WireParts {
    #[prost(bytes = "vec", repeated, tag = "1")]
    parts: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct WireFrame {
    #[prost(bytes = "vec", tag = "1")]
    feed: Vec<u8>,
    #[prost(uint64, tag = "2")]
    length: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct WireHave {
    #[prost(message, repeated, tag = "1")]
    timeframe: Vec<WireFrame>,
    #[prost(bool, tag = "2")]
    again: bool,
    #[prost(bool, tag = "3")]
    on_screen: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
struct WireBlocks {
    #[prost(message, repeated, tag = "1")]
    blocks: Vec<WireBlock>,
    #[prost(bytes = "vec", tag = "2")]
    signature: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct WireBlock {
    #[prost(bytes = "vec", tag = "1")]
    header: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    sealed: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct WireOffer {
    #[prost(bytes = "vec", tag = "1")]
    id: Vec<u8>,
    #[prost(uint64, tag = "2")]
    size: u64,
    #[prost(message, repeated, tag = "3")]
    base: Vec<WireFrame>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct WireWanted {
    #[prost(bytes = "vec", tag = "1")]
    id: Vec<u8>,
    #[prost(uint64, tag = "2")]
    from: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct WireChunk {
    #[prost(bytes = "vec", tag = "1")]
    id: Vec<u8>,
    #[prost(uint64, tag = "2")]
    offset: u64,
    #[prost(bytes = "vec", tag = "3")]
    bytes: Vec<u8>,
}

impl Message {
    /// The encoded message.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let kind = match self {
            Self::Have { timeframe, again, on_screen } => {
                Kind::Have(WireHave { timeframe: frames(timeframe), again: *again, on_screen: *on_screen })
            }
            Self::Blocks { blocks, head } => Kind::Blocks(WireBlocks {
                blocks: blocks
                    .iter()
                    .map(|block| WireBlock {
                        header: block.header.encode().to_vec(),
                        sealed: block.sealed.clone(),
                    })
                    .collect(),
                signature: head.map(|head| head.signature.as_bytes().to_vec()).unwrap_or_default(),
            }),
            Self::Forked(proof) => Kind::Forked(proof.encode()),
            Self::KeysWanted(epochs) => Kind::KeysWanted(WireParts {
                parts: epochs.iter().map(|epoch| epoch.as_bytes().to_vec()).collect(),
            }),
            Self::Keys(shares) => Kind::Keys(WireParts { parts: shares.clone() }),
            Self::SnapshotOffer(offer) => {
                Kind::Offer(WireOffer { id: offer.id.to_vec(), size: offer.size, base: frames(&offer.base) })
            }
            Self::SnapshotWanted { id, from } => Kind::Wanted(WireWanted { id: id.to_vec(), from: *from }),
            Self::SnapshotChunk { id, offset, bytes } => {
                Kind::Chunk(WireChunk { id: id.to_vec(), offset: *offset, bytes: bytes.clone() })
            }
        };
        Wire { kind: Some(kind) }.encode_to_vec()
    }

    /// Reads an encoded message; length first, then structure. Signatures of blocks are for whoever takes them.
    ///
    /// # Errors
    /// [`WireError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let no = WireError::new;
        if bytes.len() > LONGEST_MESSAGE {
            return Err(no("it is too long"));
        }
        let wire = Wire::decode(bytes).map_err(|_| no("it is no such message"))?;
        Ok(match wire.kind.ok_or_else(|| no("it says nothing"))? {
            Kind::Have(wire) => Self::Have {
                timeframe: timeframe(&wire.timeframe)?,
                again: wire.again,
                on_screen: wire.on_screen,
            },
            Kind::Blocks(wire) => blocks(wire)?,
            Kind::Forked(proof) => {
                if proof.len() > LONGEST_PROOF {
                    return Err(no("a proof is too long"));
                }
                let proof = ForkProof::decode(&proof).map_err(|_| no("a proof proves nothing"))?;
                Self::Forked(Box::new(proof))
            }
            Kind::KeysWanted(wire) => {
                let epoch = |part: &Vec<u8>| Some(EpochId::from_bytes(part.as_slice().try_into().ok()?));
                let epochs: Option<Vec<_>> = parts(&wire)?.iter().map(epoch).collect();
                Self::KeysWanted(epochs.ok_or_else(|| no("the id of an epoch has 32 bytes"))?)
            }
            Kind::Keys(wire) => Self::Keys(parts(&wire)?.to_vec()),
            Kind::Offer(wire) => {
                if wire.size > LONGEST_SNAPSHOT || wire.size == 0 {
                    return Err(no("a snapshot is too large, or empty"));
                }
                let (id, base) = (id(&wire.id)?, timeframe(&wire.base)?);
                Self::SnapshotOffer(SnapshotOffer { id, size: wire.size, base })
            }
            Kind::Wanted(wire) => Self::SnapshotWanted { id: id(&wire.id)?, from: wire.from },
            Kind::Chunk(wire) => {
                if wire.bytes.is_empty() || wire.bytes.len() > LONGEST_CHUNK {
                    return Err(no("a part of a snapshot is too large, or empty"));
                }
                Self::SnapshotChunk { id: id(&wire.id)?, offset: wire.offset, bytes: wire.bytes }
            }
        })
    }
}

fn frames(timeframe: &[(FeedKey, u64)]) -> Vec<WireFrame> {
    let frame =
        |(feed, length): &(FeedKey, u64)| WireFrame { feed: feed.as_bytes().to_vec(), length: *length };
    timeframe.iter().map(frame).collect()
}

fn timeframe(wire: &[WireFrame]) -> Result<Vec<(FeedKey, u64)>, WireError> {
    if wire.len() > MOST_FEEDS {
        return Err(WireError::new("it names too many feeds"));
    }
    let read = |frame: &WireFrame| Some((FeedKey::from_bytes(&frame.feed).ok()?, frame.length));
    let frames: Option<Vec<_>> = wire.iter().map(read).collect();
    let frames = frames.ok_or_else(|| WireError::new("a feed of a timeframe is none"))?;
    if frames.is_sorted_by(|(one, _), (next, _)| one < next) {
        Ok(frames)
    } else {
        Err(WireError::new("a timeframe is not in order"))
    }
}

fn blocks(wire: WireBlocks) -> Result<Message, WireError> {
    let no = WireError::new;
    if wire.blocks.is_empty() || wire.blocks.len() > MOST_BLOCKS {
        return Err(no("it has too many blocks, or none"));
    }
    let mut blocks = Vec::with_capacity(wire.blocks.len());
    for block in wire.blocks {
        if block.header.len() != HEADER_LENGTH || block.sealed.len() > LONGEST_SEALED {
            return Err(no("a block has another length"));
        }
        let header = BlockHeader::decode(&block.header).map_err(|_| no("a header is none"))?;
        blocks.push(Block { header, sealed: block.sealed });
    }
    let last = blocks.last().map(|block| block.header);
    let head = match (wire.signature.as_slice(), last) {
        ([], _) | (_, None) => None,
        (signature, Some(last)) => {
            let signature = signature.try_into().map_err(|_| no("a signature has another length"))?;
            let hash: BlockHash = last.hash();
            Some(SignedHead { sequence: last.sequence, hash, signature: Signature::from_bytes(signature) })
        }
    };
    Ok(Message::Blocks { blocks, head })
}

fn parts(wire: &WireParts) -> Result<&[Vec<u8>], WireError> {
    if wire.parts.is_empty() || wire.parts.len() > MOST_KEYS {
        return Err(WireError::new("it has too many keys, or none"));
    }
    Ok(&wire.parts)
}

fn id(bytes: &[u8]) -> Result<[u8; 32], WireError> {
    bytes.try_into().map_err(|_| WireError::new("the id of a snapshot has 32 bytes"))
}

/// Encoded messages, cut into frames.
#[derive(Debug)]
pub struct Frames {
    bytes: Vec<u8>,
    at: usize,
    done: bool,
}

impl Frames {
    /// The frames of an encoded message.
    #[must_use]
    pub const fn of(encoded: Vec<u8>) -> Self {
        Self { bytes: encoded, at: 0, done: false }
    }
}

impl Iterator for Frames {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        if self.done {
            return None;
        }
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let part = rest.get(..LONGEST_FRAME - 1).unwrap_or(rest);
        self.done = part.len() == rest.len();
        let frame = [&[if self.done { LAST } else { MORE }], part].concat();
        self.at += part.len();
        Some(frame)
    }
}

/// Puts the frames of one stream together again.
#[derive(Debug, Default)]
pub struct Assembler {
    parts: Vec<u8>,
}

impl Assembler {
    /// Takes the next frame; gives the encoded message that it completes.
    ///
    /// # Errors
    /// [`WireError`]: drop the peer.
    pub fn take(&mut self, frame: &[u8]) -> Result<Option<Vec<u8>>, WireError> {
        let no = WireError::new;
        if frame.len() > LONGEST_FRAME {
            return Err(no("a frame is too long"));
        }
        let (more, part) = frame.split_first().ok_or_else(|| no("a frame is empty"))?;
        if self.parts.len() + part.len() > LONGEST_MESSAGE {
            return Err(no("it is too long"));
        }
        match *more {
            LAST => {
                self.parts.extend_from_slice(part);
                Ok(Some(std::mem::take(&mut self.parts)))
            }
            // Small parts of a large message are nobody's way to send it.
            MORE if part.len() == LONGEST_FRAME - 1 => {
                self.parts.extend_from_slice(part);
                Ok(None)
            }
            _ => Err(no("a frame is none")),
        }
    }
}
