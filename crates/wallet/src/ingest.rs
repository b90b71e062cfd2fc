//! What other devices said, taken in: judged, opened, applied to the documents and kept, in one transaction a run.
//!
//! Another device of the same identity is trusted to speak and not to be right: what it says wrongly (a change that is
//! none, a credential that is not genuine) is left out and noted, and holds up nothing else.

use std::collections::{BTreeMap, BTreeSet};

use halo_echo::replication::{Ready, ReplicaError};
use halo_echo::{DocumentId, SpaceId};
use halo_protocol::Verified;
use halo_protocol::credential::Credential;
use halo_protocol::epoch::Epoch;
use halo_protocol::feed::{Block, FeedError, Payload, SignedHead};
use halo_store::{StoreError, Tx};

use crate::engine::Engine;
use crate::error::WalletError;
use crate::feeds::block_row;
use crate::held::{Spaces, keep_documents};
use crate::open::Open;
use crate::request::GrantId;
use crate::view::Event;

/// What came of a run of blocks.
#[derive(Debug, Default)]
pub(crate) struct Ingested {
    /// How many of them were here already.
    pub(crate) known: usize,
    /// Documents that changed.
    pub(crate) documents: Vec<DocumentId>,
    /// Spaces that came or went, or that others see.
    pub(crate) spaces: BTreeSet<SpaceId>,
    /// Grants that were taken back on another device.
    pub(crate) revoked: Vec<GrantId>,
    /// Something of the identity changed: devices, profile, grants.
    pub(crate) identity: bool,
}

/// Why a run of blocks was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IngestError {
    /// Ask again for what is before it, or later.
    #[error("blocks before these are missing")]
    Missing,
    /// Its feed says two things at one number. It is in quarantine from now on.
    #[error("a device said two things in one place")]
    Forked,
    /// The peer sends what no device of ours said.
    #[error("blocks that are not genuine: {0}")]
    Hostile(String),
    /// This device failed.
    #[error(transparent)]
    Here(#[from] WalletError),
}

/// What the payloads of a run ask for, besides changes of documents.
#[derive(Default)]
struct Aside {
    credentials: Vec<Verified<Credential>>,
    epochs: Vec<Epoch>,
}

impl Engine {
    /// Takes in a run of another device's blocks, and tells everybody what changed.
    pub(crate) fn ingest(
        &mut self,
        space: SpaceId,
        blocks: Vec<Block>,
        head: &SignedHead,
    ) -> Result<usize, IngestError> {
        let done = self.unlocked()?.ingest(space, blocks, head)?;
        if done.identity {
            self.changed();
        }
        for grant in done.revoked {
            self.tell(Event::Revoked(grant));
        }
        if !done.spaces.is_empty() {
            self.tell(Event::Spaces);
        }
        if !done.documents.is_empty() {
            self.tell(Event::Documents { space, documents: done.documents });
        }
        Ok(done.known)
    }
}

impl Open {
    fn ingest(
        &mut self,
        space: SpaceId,
        mut blocks: Vec<Block>,
        head: &SignedHead,
    ) -> Result<Ingested, IngestError> {
        let feeds = self.spaces.feeds(&self.store, &self.keys, space)?;
        let taken = match feeds.take(&self.store, &blocks, head) {
            Ok(taken) => taken,
            Err(ReplicaError::Feed(FeedError::Fork(_) | FeedError::Quarantined)) => {
                let feeds = self.spaces.feeds(&self.store, &self.keys, space)?;
                self.store.write(|tx| feeds.keep_progress(tx)).map_err(WalletError::from)?;
                return Err(IngestError::Forked);
            }
            Err(
                ReplicaError::Feed(FeedError::Gap { .. })
                | ReplicaError::Stranger
                | ReplicaError::Waiting
                | ReplicaError::Closed { why: WalletError::NotFound { .. }, .. },
            ) => return Err(IngestError::Missing),
            Err(error) => return Err(IngestError::Hostile(error.to_string())),
        };
        let fresh = blocks.split_off(taken.known);
        let kept = self.apply(space, fresh, head, taken.ready);
        let (changed, aside) = kept.inspect_err(|_| {
            // What is in memory may have taken a part of it.
            self.spaces.forget(space);
        })?;
        let mut done = Ingested { known: taken.known, documents: changed, ..Ingested::default() };
        self.learn_aside(aside, &mut done)?;
        if self.halo()? == space && !done.documents.is_empty() {
            done.spaces = self.read_records()?;
        }
        Ok(done)
    }

    /// Applies what is ready, and keeps it with the blocks.
    fn apply(
        &mut self,
        space: SpaceId,
        fresh: Vec<Block>,
        head: &SignedHead,
        ready: Vec<Ready>,
    ) -> Result<(Vec<DocumentId>, Aside), WalletError> {
        let mut changes: BTreeMap<DocumentId, Vec<u8>> = BTreeMap::new();
        let mut aside = Aside::default();
        let halo = self.halo()?;
        for ready in ready {
            let Payload { changes: said, credentials, epochs, .. } = ready.payload;
            for change in said {
                let Ok(document) = DocumentId::from_bytes(&change.document) else { continue };
                let before = changes.get(&document).map(Vec::as_slice).unwrap_or_default();
                if self.take_change(space, document, before, &change.bytes)? {
                    changes.entry(document).or_default().extend(change.bytes);
                }
            }
            // Only the HALO space says who is who.
            if space == halo {
                let genuine = credentials
                    .iter()
                    .filter_map(|bytes| Credential::decode(bytes).and_then(Credential::verify).ok());
                aside.credentials.extend(genuine);
                aside.epochs.extend(epochs.iter().filter_map(|bytes| Epoch::decode(bytes).ok()));
            }
        }
        let name = space.to_string();
        let Spaces { documents, feeds, .. } = &mut self.spaces;
        let feeds = feeds.get_mut(&space).ok_or(crate::spaces::NO_SPACE)?;
        self.store.write(|tx| {
            for block in fresh {
                let last = block.header.sequence == head.sequence;
                let key = block.header.feed;
                tx.add_block(key.as_bytes(), &block_row(block, last.then_some(head)))?;
            }
            feeds.keep_progress(tx)?;
            keep_documents(tx, &name, documents, &changes)?;
            aside.keep(tx)
        })?;
        self.spaces.evict();
        Ok((changes.into_keys().collect(), aside))
    }

    /// Applies one change, after those `before` it that are not kept yet; `false` if nothing came of it.
    fn take_change(
        &mut self,
        space: SpaceId,
        id: DocumentId,
        before: &[u8],
        bytes: &[u8],
    ) -> Result<bool, WalletError> {
        let held = match self.spaces.hold_or_make(&self.store, space, id) {
            Ok(held) => held,
            // Of another space: there is nothing to change here.
            Err(WalletError::NotFound { .. }) => return Ok(false),
            Err(error) => return Err(error),
        };
        match held.document.apply(bytes) {
            Ok(change) => Ok(!change.known || held.is_new),
            Err(error) => {
                tracing::warn!(%error, document = %id, "a change of another device was left out");
                // It may have taken a part.
                self.spaces.documents.remove(&id);
                if !before.is_empty() {
                    self.spaces.hold_or_make(&self.store, space, id)?.document.apply(before)?;
                }
                Ok(false)
            }
        }
    }

    /// Takes in credentials and epochs that are in the store by now.
    fn learn_aside(&mut self, aside: Aside, done: &mut Ingested) -> Result<(), WalletError> {
        for epoch in &aside.epochs {
            let space = SpaceId::of_key(epoch.space.as_bytes());
            if let Some(feeds) = self.spaces.feeds.get_mut(&space) {
                feeds.contents.add(&self.keys, epoch);
            }
        }
        if aside.credentials.is_empty() {
            return Ok(());
        }
        let before: BTreeSet<GrantId> = self.grants.keys().cloned().collect();
        self.learn(aside.credentials)?;
        done.identity = true;
        done.revoked = before.into_iter().filter(|id| !self.grants.contains_key(id)).collect();
        Ok(())
    }
}

impl Aside {
    fn keep(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        for credential in &self.credentials {
            tx.add_credential(credential)?;
        }
        self.epochs.iter().try_for_each(|epoch| {
            let space = SpaceId::of_key(epoch.space.as_bytes()).to_string();
            tx.add_epoch(&space, epoch.id().as_bytes(), epoch.number, &epoch.encode())
        })
    }
}
