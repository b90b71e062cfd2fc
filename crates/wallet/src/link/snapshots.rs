//! Snapshots on their way from another device: one for a space at a time, from whoever offered it first.
//!
//! What came is kept piece by piece, so that a line that breaks loses nothing. One that is whole waits here while its
//! content key is missing.

use halo_echo::SpaceId;
use halo_echo::replication::{Input, SnapshotOffer};

use super::peers::{PeerId, Unwanted};
use crate::engine::Engine;
use crate::error::WalletError;

/// A snapshot on its way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fetching {
    from: PeerId,
    id: [u8; 32],
    /// All of it is here.
    whole: bool,
}

impl Engine {
    /// A peer has a snapshot for what it dropped. The HALO space is never taken as one: nobody makes it.
    pub(super) fn snapshot_offered(
        &mut self,
        from: PeerId,
        space: SpaceId,
        offer: SnapshotOffer,
    ) -> Result<Option<Input>, Unwanted> {
        let Ok(open) = self.unlocked() else { return Ok(None) };
        let is_halo = open.halo().is_ok_and(|halo| halo == space);
        let here = open.snapshot_fetched(space, &offer.id).unwrap_or_default();
        let other = self.peers.fetching.get(&space).is_some_and(|under_way| under_way.from != from);
        if is_halo || other {
            return Ok(None);
        }
        if here == offer.size {
            // The program ended before it was taken.
            return self.take_snapshot(from, space, offer.id);
        }
        self.peers.fetching.insert(space, Fetching { from, id: offer.id, whole: false });
        Ok(Some(Input::Fetch(offer)))
    }

    /// Keeps a piece of the snapshot that is on its way.
    pub(super) fn keep_snapshot(
        &mut self,
        from: PeerId,
        space: SpaceId,
        id: [u8; 32],
        (offset, bytes): (u64, &[u8]),
    ) -> Result<(), Unwanted> {
        let is_it = |under_way: &&Fetching| under_way.from == from && under_way.id == id;
        let wanted = self.peers.fetching.get(&space).filter(is_it).is_some();
        if !wanted {
            return Err(Unwanted("a snapshot that nobody asked for".into()));
        }
        let kept = self.unlocked().and_then(|open| open.keep_snapshot_chunk(space, &id, offset, bytes));
        kept.map_err(|error| Unwanted(error.to_string()))
    }

    /// Takes the snapshot that is here as a whole now.
    pub(super) fn take_snapshot(
        &mut self,
        from: PeerId,
        space: SpaceId,
        id: [u8; 32],
    ) -> Result<Option<Input>, Unwanted> {
        match self.unlocked().and_then(|open| open.take_snapshot(space, &id)) {
            Ok(done) => {
                self.peers.fetching.remove(&space);
                self.tell_ingested(space, done);
                Ok(Some(Input::Grown))
            }
            Err(WalletError::NotFound { .. }) => {
                self.peers.fetching.insert(space, Fetching { from, id, whole: true });
                // Whoever is asked next is asked for its content key as well.
                let wanted = self.unlocked().and_then(|open| open.want_epoch_of_snapshot(space, &id));
                Ok(wanted.is_ok().then_some(Input::Grown))
            }
            Err(error @ (WalletError::Store(_) | WalletError::Damaged { .. } | WalletError::Locked)) => {
                tracing::warn!(%error, "a snapshot was not taken in");
                self.peers.fetching.remove(&space);
                Ok(None)
            }
            Err(error) => {
                self.peers.fetching.remove(&space);
                Err(Unwanted(error.to_string()))
            }
        }
    }

    /// Tries again with a snapshot that waited for its content key.
    pub(super) fn take_fetched(&mut self, space: SpaceId) {
        let Some(Fetching { from, id, .. }) =
            self.peers.fetching.get(&space).copied().filter(|under_way| under_way.whole)
        else {
            return;
        };
        match self.take_snapshot(from, space, id) {
            Ok(Some(Input::Grown)) => {
                let ids: Vec<PeerId> = self.peers.all.keys().copied().collect();
                ids.into_iter().for_each(|peer| self.link(peer, space, Input::Grown));
            }
            Ok(_) => {}
            Err(why) => tracing::warn!(%why, "a snapshot was thrown away"),
        }
    }

    /// A peer has gone: what it was sending may come from another one.
    pub(super) fn fetch_elsewhere(&mut self, gone: PeerId) {
        let of_it = |under_way: &Fetching| under_way.from == gone && !under_way.whole;
        let left = self.peers.fetching.iter().filter(|(_, under_way)| of_it(under_way));
        let spaces: Vec<SpaceId> = left.map(|(space, _)| *space).collect();
        let ids: Vec<PeerId> = self.peers.all.keys().copied().collect();
        for space in spaces {
            self.peers.fetching.remove(&space);
            for id in &ids {
                self.link(*id, space, Input::Missed);
            }
        }
    }
}
