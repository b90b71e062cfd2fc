//! What a block says, once it is opened.

use prost::Message;

use super::FeedKey;

/// Largest payload, before it is sealed.
pub const LONGEST_PAYLOAD: usize = 16 * 1024 * 1024;
/// Feeds that one block may name as read.
const MOST_FEEDS: usize = 1_024;
/// Changes or credentials of one block.
const MOST_PARTS: usize = 10_000;

/// A change of one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The document, 16 bytes.
    pub document: [u8; 16],
    /// Automerge chunks.
    pub bytes: Vec<u8>,
}

/// What a block says. Credentials make it a control block, changes a data block; one block's changes belong together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Payload {
    /// How many blocks of which other feeds its writer had taken in: ascending by feed, one row a feed.
    pub timeframe: Vec<(FeedKey, u64)>,
    /// Encoded credentials.
    pub credentials: Vec<Vec<u8>>,
    /// Changes of documents.
    pub changes: Vec<Change>,
    /// Encoded epochs, of this space or of others that the same devices keep.
    pub epochs: Vec<Vec<u8>>,
    /// Content keys of epochs, each sealed to a device that came later.
    pub shares: Vec<Vec<u8>>,
}

/// Why some bytes are no payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the payload of a block cannot be read: {why}")]
pub struct PayloadError {
    why: &'static str,
}

#[derive(Clone, PartialEq, Message)]
struct Wire {
    #[prost(message, repeated, tag = "1")]
    timeframe: Vec<WireFrame>,
    #[prost(bytes = "vec", repeated, tag = "2")]
    credentials: Vec<Vec<u8>>,
    #[prost(message, repeated, tag = "3")]
    changes: Vec<WireChange>,
    #[prost(bytes = "vec", repeated, tag = "4")]
    epochs: Vec<Vec<u8>>,
    #[prost(bytes = "vec", repeated, tag = "5")]
    shares: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct WireFrame {
    #[prost(bytes = "vec", tag = "1")]
    feed: Vec<u8>,
    #[prost(uint64, tag = "2")]
    length: u64,
}

#[derive(Clone, PartialEq, Message)]
struct WireChange {
    #[prost(bytes = "vec", tag = "1")]
    document: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    bytes: Vec<u8>,
}

impl Payload {
    /// The encoded payload.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        Wire {
            timeframe: self
                .timeframe
                .iter()
                .map(|(feed, length)| WireFrame { feed: feed.as_bytes().to_vec(), length: *length })
                .collect(),
            credentials: self.credentials.clone(),
            changes: self
                .changes
                .iter()
                .map(|change| WireChange { document: change.document.to_vec(), bytes: change.bytes.clone() })
                .collect(),
            epochs: self.epochs.clone(),
            shares: self.shares.clone(),
        }
        .encode_to_vec()
    }

    /// Reads an encoded payload; length first, then structure.
    ///
    /// # Errors
    /// [`PayloadError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, PayloadError> {
        let no = |why| PayloadError { why };
        if bytes.len() > LONGEST_PAYLOAD {
            return Err(no("it is too long"));
        }
        let mut wire = Wire::decode(bytes).map_err(|_| no("it is no such message"))?;
        if wire.timeframe.len() > MOST_FEEDS
            || wire.credentials.len() > MOST_PARTS
            || wire.changes.len() > MOST_PARTS
            || wire.epochs.len() > MOST_PARTS
            || wire.shares.len() > MOST_PARTS
        {
            return Err(no("it has too many parts"));
        }
        let timeframe = wire
            .timeframe
            .iter()
            .map(|frame| Some((FeedKey::from_bytes(&frame.feed).ok()?, frame.length)))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| no("a feed of its timeframe is none"))?;
        if !timeframe.is_sorted_by(|(one, _), (next, _)| one < next) {
            return Err(no("its timeframe is not in order"));
        }
        let changes = std::mem::take(&mut wire.changes)
            .into_iter()
            .map(|change| Some(Change { document: change.document.try_into().ok()?, bytes: change.bytes }))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| no("a document's name has not 16 bytes"))?;
        let Wire { credentials, epochs, shares, .. } = wire;
        Ok(Self { timeframe, credentials, changes, epochs, shares })
    }
}
