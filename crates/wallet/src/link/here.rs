//! What is durable on this device, as the machines of replication look at it.

use std::collections::BTreeSet;

use halo_echo::replication::{Acquaintance, Blocks, Room, SnapshotOffer, Timeframe, Urgency, fitting};
use halo_protocol::FeedKey;
use halo_protocol::Verified;
use halo_protocol::credential::{Credential, CredentialId};
use halo_protocol::feed::{Block, EpochId, LONGEST_RUN, SignedHead};
use halo_protocol::identity::IdentityState;
use halo_store::Store;

use super::outbox::Outbox;
use crate::feeds::{SpaceFeeds, run_of};
use crate::snapshots::offer;

/// The credentials of the identity, and what they say.
pub(crate) struct Known<'a>(pub(crate) &'a [Verified<Credential>], pub(crate) &'a IdentityState);

impl Acquaintance for Known<'_> {
    fn ids(&self) -> Vec<CredentialId> {
        let mut ids: Vec<CredentialId> = self.0.iter().map(|credential| credential.id()).collect();
        ids.sort_unstable();
        ids
    }

    fn bytes(&self, id: &CredentialId) -> Option<Vec<u8>> {
        self.0.iter().find(|credential| credential.id() == *id).map(|credential| credential.bytes().to_vec())
    }

    fn room(&self) -> Room {
        Room::beside(self.1, self.0)
    }
}

/// The blocks of one space.
pub(crate) struct Here<'a> {
    pub(crate) store: &'a Store,
    pub(crate) feeds: &'a SpaceFeeds,
    pub(crate) halo: bool,
    /// Of the peer that it goes to, if it goes to one.
    pub(crate) outbox: Option<&'a Outbox>,
}

impl Blocks for Here<'_> {
    fn timeframe(&self) -> Timeframe {
        self.feeds.replica.timeframe()
    }

    fn closed(&self) -> BTreeSet<EpochId> {
        let mut closed = self.feeds.replica.closed();
        closed.extend(&self.feeds.wanted);
        closed
    }

    fn run(
        &self,
        feed: &FeedKey,
        from: u64,
        most: usize,
        bytes: usize,
    ) -> Option<(Vec<Block>, Option<SignedHead>)> {
        // Sizes first: what does not fit is not read.
        let count = |sizes: &mut dyn Iterator<Item = (usize, bool)>| fitting(sizes, most, bytes);
        let fit = match self.store.count_blocks(feed.as_bytes(), from, LONGEST_RUN, count).ok()? {
            // Without a head at all.
            0 => LONGEST_RUN,
            fit => fit,
        };
        let found = self.store.blocks(feed.as_bytes(), from, fit).ok()?;
        if found.first()?.sequence != from {
            return None;
        }
        run_of(found).ok()
    }

    fn base(&self) -> Timeframe {
        let base = |feed: &FeedKey, length: u64| {
            let base = self.store.feed_base(feed.as_bytes()).ok()??.length;
            // It may have been cut before that.
            Some((*feed, base.min(length)))
        };
        self.timeframe().iter().filter_map(|(feed, length)| base(feed, *length)).collect()
    }

    fn snapshot(&self) -> Option<SnapshotOffer> {
        let timeframe = self.timeframe();
        let mut offer = offer(self.store, self.feeds.space()).ok()??;
        offer.base.retain_mut(|(feed, length)| {
            let ours = timeframe.get(feed);
            *length = (*length).min(ours.copied().unwrap_or_default());
            ours.is_some()
        });
        Some(offer)
    }

    fn chunk(&self, id: &[u8; 32], offset: u64, most: usize) -> Option<Vec<u8>> {
        let row = self.store.snapshot(self.feeds.space()).ok()?.filter(|row| row.id == *id)?;
        self.store.snapshot_bytes(&row.id, offset, most).ok()
    }

    fn room(&self, urgency: Urgency) -> usize {
        let urgency = if self.halo { urgency.in_halo_space() } else { urgency };
        self.outbox.map_or(usize::MAX, |outbox| outbox.room(urgency))
    }

    fn fetched(&self, id: &[u8; 32]) -> u64 {
        self.store.snapshot_fetched(self.feeds.space(), id).unwrap_or_default()
    }
}
