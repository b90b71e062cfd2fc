//! What is durable on this device, as the machines of replication look at it.

use std::collections::BTreeSet;

use halo_echo::replication::{Acquaintance, Blocks, Timeframe, fitting};
use halo_protocol::FeedKey;
use halo_protocol::Verified;
use halo_protocol::credential::{Credential, CredentialId};
use halo_protocol::feed::{Block, EpochId, LONGEST_RUN, SignedHead};
use halo_store::Store;

use crate::feeds::{SpaceFeeds, run_of};

/// The credentials of the identity.
pub(crate) struct Known<'a>(pub(crate) &'a [Verified<Credential>]);

impl Acquaintance for Known<'_> {
    fn ids(&self) -> Vec<CredentialId> {
        let mut ids: Vec<CredentialId> = self.0.iter().map(|credential| credential.id()).collect();
        ids.sort_unstable();
        ids
    }

    fn bytes(&self, id: &CredentialId) -> Option<Vec<u8>> {
        self.0.iter().find(|credential| credential.id() == *id).map(|credential| credential.bytes().to_vec())
    }
}

/// The blocks of one space.
pub(crate) struct Here<'a> {
    pub(crate) store: &'a Store,
    pub(crate) feeds: &'a SpaceFeeds,
}

impl Blocks for Here<'_> {
    fn timeframe(&self) -> Timeframe {
        self.feeds.replica.timeframe()
    }

    fn closed(&self) -> BTreeSet<EpochId> {
        self.feeds.replica.closed()
    }

    fn run(
        &self,
        feed: &FeedKey,
        from: u64,
        most: usize,
        bytes: usize,
    ) -> Option<(Vec<Block>, Option<SignedHead>)> {
        let rows = |most| self.store.blocks(feed.as_bytes(), from, most).ok();
        let mut found = rows(most)?;
        if found.first()?.sequence != from {
            return None;
        }
        let sizes = |rows: &[halo_store::BlockRow]| {
            let each = rows.iter().map(|row| (row.sealed.len(), row.signature.is_some()));
            fitting(each, most, bytes)
        };
        let mut fit = sizes(&found);
        if fit == 0 && found.len() == most {
            // The first head is farther than that.
            found = rows(LONGEST_RUN)?;
            fit = sizes(&found);
        }
        if fit > 0 {
            found.truncate(fit);
        }
        run_of(found).ok()
    }
}
