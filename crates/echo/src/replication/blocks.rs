//! What is durable on a device, as a link looks at it: nothing is sent, or said to be here, that is not.

use std::collections::BTreeSet;

use halo_protocol::FeedKey;
use halo_protocol::feed::{Block, EpochId, SignedHead};

use super::Timeframe;
use super::message::{SnapshotOffer, Urgency};

/// The blocks that are durable here.
pub trait Blocks {
    /// How many of each feed that is admitted and has any that count; zero for those of which none came yet.
    fn timeframe(&self) -> Timeframe;
    /// Blocks of a feed from a number on, with the head of the last one, or none if the feed ends there: up to the last head within `most`
    /// blocks and `bytes` of payload, and up to the first head if that is farther ([`fitting`] counts). `None` if they are not here.
    fn run(
        &self,
        feed: &FeedKey,
        from: u64,
        most: usize,
        bytes: usize,
    ) -> Option<(Vec<Block>, Option<SignedHead>)>;
    /// Epochs whose content keys are missing ([`super::Replica::closed`]).
    fn closed(&self) -> BTreeSet<EpochId> {
        BTreeSet::new()
    }
    /// How many of the first blocks of each feed were dropped, where any were.
    fn base(&self) -> Timeframe {
        Timeframe::new()
    }
    /// What stands for the blocks that were dropped.
    fn snapshot(&self) -> Option<SnapshotOffer> {
        None
    }
    /// Bytes of a snapshot from `offset` on, `most` at most; `None` if it is not here any more.
    fn chunk(&self, _id: &[u8; 32], _offset: u64, _most: usize) -> Option<Vec<u8>> {
        None
    }
    /// How many bytes of this urgency may wait for the peer beside those that do.
    fn room(&self, _urgency: Urgency) -> usize {
        usize::MAX
    }
    /// How many bytes of a peer's snapshot are durable here.
    fn fetched(&self, _id: &[u8; 32]) -> u64 {
        0
    }
}

/// How many of some blocks make one run: their sizes and which of them have heads, in order.
#[must_use]
pub fn fitting(blocks: impl Iterator<Item = (usize, bool)>, most: usize, bytes: usize) -> usize {
    let (mut size, mut fit) = (0_usize, 0);
    for (count, (length, has_head)) in (1..).zip(blocks) {
        size = size.saturating_add(length);
        if fit > 0 && (count > most || size > bytes) {
            break;
        }
        if has_head {
            fit = count;
        }
    }
    fit
}
