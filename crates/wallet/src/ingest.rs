//! What other devices said, taken in: judged, opened, applied to the documents and kept, in one transaction a run.
//!
//! Another device of the same identity is trusted to speak and not to be right: what it says wrongly (a change that is
//! none, a credential that is not genuine) is left out and noted, and holds up nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;

use halo_echo::replication::{Ready, ReplicaError, Room};
use halo_echo::{Change, Document, DocumentId, EchoError, NewDocument, SpaceId};
use halo_protocol::audit::AuditEvent;
use halo_protocol::credential::Credential;
use halo_protocol::epoch::Epoch;
use halo_protocol::feed::{Block, Branch, FeedError, Fork, ForkProof, Payload, SignedHead};
use halo_protocol::{DeviceKey, Verified};
use halo_store::{Store, StoreError, Tx};

use crate::contents::epoch_row;
use crate::engine::{Engine, clock};
use crate::error::WalletError;
use crate::feeds::{block_row, run_of};
use crate::held::{Spaces, keep_documents, keep_made};
use crate::open::Open;
use crate::request::GrantId;
use crate::shares::Share;
use crate::view::Event;

/// So many new documents are read by two threads.
const MANY: usize = 256;

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
    /// They come again, once this device has heard what the peer knows.
    #[error("nothing vouches for these blocks yet")]
    Early,
    /// Its feed says two things at one number. It is in quarantine from now on; with the proof, where there is one.
    #[error("a device said two things in one place")]
    Forked(Option<Box<ForkProof>>),
    /// The peer sends what no device of ours said.
    #[error("blocks that are not genuine: {0}")]
    Hostile(String),
    /// This device failed.
    #[error(transparent)]
    Here(#[from] WalletError),
}

/// Changes of one document, in order.
type Said = Vec<Vec<u8>>;

/// What the payloads of a run ask for, besides changes of documents.
#[derive(Default)]
struct Aside {
    credentials: Vec<Verified<Credential>>,
    /// With who began them.
    epochs: Vec<(DeviceKey, Epoch)>,
    shares: Vec<Share>,
}

impl Engine {
    /// Takes in a run of another device's blocks, and tells everybody what changed.
    pub(crate) fn ingest(
        &mut self,
        space: SpaceId,
        blocks: Vec<Block>,
        head: Option<&SignedHead>,
    ) -> Result<usize, IngestError> {
        let done = self.unlocked()?.ingest(space, blocks, head)?;
        let known = done.known;
        self.tell_ingested(space, done);
        Ok(known)
    }

    /// Tells everybody what changed.
    pub(crate) fn tell_ingested(&mut self, space: SpaceId, done: Ingested) {
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
    }
}

impl Open {
    fn ingest(
        &mut self,
        space: SpaceId,
        mut blocks: Vec<Block>,
        head: Option<&SignedHead>,
    ) -> Result<Ingested, IngestError> {
        let feeds = self.spaces.feeds(&self.store, &self.keys, space, &self.state)?;
        let taken = match feeds.take(&self.store, &blocks, head) {
            Ok(taken) => taken,
            Err(error) => return Err(self.not_taken(space, error, &blocks, head)?),
        };
        blocks.truncate(taken.taken);
        let fresh = blocks.split_off(taken.known);
        let kept = self.apply(space, fresh, taken.head.as_ref(), taken.ready);
        let (changed, aside) = kept.inspect_err(|_| {
            // What is in memory may have taken a part of it.
            self.spaces.forget(space);
        })?;
        let mut done = Ingested { known: taken.known, documents: changed, ..Ingested::default() };
        self.learn_aside(space, aside, &mut done)?;
        Ok(done)
    }

    /// What is to be done about blocks that were not taken.
    fn not_taken(
        &mut self,
        space: SpaceId,
        error: ReplicaError<WalletError>,
        blocks: &[Block],
        head: Option<&SignedHead>,
    ) -> Result<IngestError, WalletError> {
        match error {
            ReplicaError::Feed(FeedError::Fork(fork)) => {
                let proof = fork_proof(&self.store, &fork, blocks, head);
                let feeds = self.spaces.feeds(&self.store, &self.keys, space, &self.state)?;
                self.store.write(|tx| feeds.keep_progress(tx))?;
                let what = "a device said two things in one place, and is not heard any more".to_owned();
                self.record(clock(), AuditEvent::Suspicious { what, client: None }, |_| Ok(()))?;
                Ok(IngestError::Forked(proof.map(Box::new)))
            }
            ReplicaError::Feed(FeedError::Quarantined) => Ok(IngestError::Forked(None)),
            // It begins again on the branch that its end vouches for.
            ReplicaError::Anew => {
                let feed = blocks.first().map(|block| block.header.feed);
                let feeds = self.spaces.feeds(&self.store, &self.keys, space, &self.state)?;
                self.store.write(|tx| {
                    feed.iter().try_for_each(|feed| tx.drop_blocks(feed.as_bytes(), 0))?;
                    feeds.keep_progress(tx)
                })?;
                Ok(IngestError::Missing)
            }
            ReplicaError::Unvouched => Ok(IngestError::Early),
            error if error.blames_the_peer() => Ok(IngestError::Hostile(error.to_string())),
            ReplicaError::Closed { at, why } => {
                tracing::warn!(at, %why, "a block cannot be read");
                Ok(IngestError::Missing)
            }
            _ => Ok(IngestError::Missing),
        }
    }

    /// Opens what waited for a content key.
    pub(crate) fn reopen(&mut self, space: SpaceId) -> Result<Ingested, WalletError> {
        let feeds = self.spaces.feeds(&self.store, &self.keys, space, &self.state)?;
        if feeds.replica.closed().is_empty() {
            return Ok(Ingested::default());
        }
        let ready = feeds.reopen(&self.store)?;
        let (documents, aside) = self.apply(space, Vec::new(), None, ready).inspect_err(|_| {
            self.spaces.forget(space);
        })?;
        let mut done = Ingested { documents, ..Ingested::default() };
        self.learn_aside(space, aside, &mut done)?;
        Ok(done)
    }

    /// Applies what waited for others and does not any more, such as after a snapshot.
    pub(crate) fn settle(&mut self, space: SpaceId, done: &mut Ingested) -> Result<(), WalletError> {
        let ready = self.feeds(space)?.replica.ready();
        if ready.is_empty() {
            return Ok(());
        }
        let (changed, aside) = self.apply(space, Vec::new(), None, ready).inspect_err(|_| {
            self.spaces.forget(space);
        })?;
        done.documents.extend(changed);
        self.learn_aside(space, aside, done)
    }

    /// Applies what is ready, and keeps it with the blocks.
    fn apply(
        &mut self,
        space: SpaceId,
        fresh: Vec<Block>,
        head: Option<&SignedHead>,
        ready: Vec<Ready>,
    ) -> Result<(Vec<DocumentId>, Aside), WalletError> {
        let mut coming: BTreeMap<DocumentId, Said> = BTreeMap::new();
        // Documents that are not here, and that one change makes as far as it is known yet.
        let mut fresh_ones: BTreeMap<DocumentId, Vec<u8>> = BTreeMap::new();
        let mut aside = Aside::default();
        let halo = self.halo()?;
        for ready in ready {
            let Payload { changes: said, credentials, epochs, shares, .. } = ready.payload;
            for change in said {
                let Ok(document) = DocumentId::from_bytes(&change.document) else { continue };
                if let Some(coming) = coming.get_mut(&document) {
                    coming.push(change.bytes);
                } else if let Some(first) = fresh_ones.remove(&document) {
                    // It goes on at once.
                    coming.insert(document, vec![first, change.bytes]);
                } else if self.spaces.is_there(&self.store, document)? {
                    coming.insert(document, vec![change.bytes]);
                } else {
                    fresh_ones.insert(document, change.bytes);
                }
            }
            // Only the HALO space says who is who.
            if space == halo {
                let genuine = credentials
                    .iter()
                    .filter_map(|bytes| Credential::decode(bytes).and_then(Credential::verify).ok());
                aside.credentials.extend(genuine.filter(|one| !self.knows(one)));
                if let Some(by) = self.device_of(&ready.feed) {
                    let genuine = epochs.iter().filter_map(|bytes| Epoch::decode(bytes).ok());
                    aside.epochs.extend(genuine.map(|epoch| (by, epoch)));
                }
                let ours = shares.iter().filter_map(|bytes| Share::decode(bytes));
                aside.shares.extend(ours.filter(|share| self.is_for_us(share)));
            }
        }
        let (made, others) = read_new(fresh_ones);
        coming.extend(others);
        let mut changes = BTreeMap::new();
        for (document, said) in coming {
            let taken = self.take_changes(space, document, &said)?;
            if !taken.is_empty() {
                changes.insert(document, taken);
            }
        }
        if !aside.credentials.is_empty() {
            let (taken, left) =
                Room::beside(&self.state, self.credentials()).fit(std::mem::take(&mut aside.credentials));
            for (_, why) in &left {
                tracing::warn!(%why, "a credential of another device was left out");
            }
            aside.credentials = taken;
        }
        let name = space.to_string();
        let size = fresh.iter().map(|block| block.sealed.len()).sum();
        let Spaces { documents, feeds, .. } = &mut self.spaces;
        let feeds = feeds.get_mut(&space).ok_or(crate::spaces::NO_SPACE)?;
        self.store.write(|tx| {
            feeds.keep_progress(tx)?;
            for block in fresh {
                let head = head.filter(|head| head.sequence == block.header.sequence);
                let key = block.header.feed;
                tx.add_block(key.as_bytes(), &block_row(block, head))?;
            }
            keep_documents(tx, &name, documents, &changes)?;
            keep_made(tx, &name, &made)?;
            aside.keep(tx)
        })?;
        self.spaces.grown.insert(space);
        self.spaces.evict();
        self.tidy(space, size);
        Ok((changes.into_keys().chain(made.into_keys()).collect(), aside))
    }

    /// Applies changes of one document, and returns those that are to be kept.
    pub(crate) fn take_changes(
        &mut self,
        space: SpaceId,
        id: DocumentId,
        said: &[Vec<u8>],
    ) -> Result<Vec<u8>, WalletError> {
        let said: Vec<&[u8]> = said.iter().map(Vec::as_slice).collect();
        let mut taken = Vec::new();
        // At once if it can be: a change to a long document takes as long as the document.
        match self.take_change(space, id, |document| document.apply_all(&said))? {
            Ok(true) => taken.extend(said),
            Ok(false) => {}
            Err(_) => self.take_without_bad_ones(space, id, &said, &mut taken)?,
        }
        Ok(taken.concat())
    }

    /// Applies those changes that are some: halves of halves, until each that is none stands alone.
    fn take_without_bad_ones<'a>(
        &mut self,
        space: SpaceId,
        id: DocumentId,
        said: &[&'a [u8]],
        taken: &mut Vec<&'a [u8]>,
    ) -> Result<(), WalletError> {
        match self.take_change(space, id, |document| document.try_apply_all(said))? {
            Ok(true) => taken.extend(said),
            Ok(false) => {}
            Err(error) if said.len() == 1 => {
                tracing::warn!(%error, document = %id, "a change of another device was left out");
            }
            Err(_) => {
                let (first, then) = said.split_at(said.len() / 2);
                self.take_without_bad_ones(space, id, first, taken)?;
                self.take_without_bad_ones(space, id, then, taken)?;
            }
        }
        Ok(())
    }

    /// Applies changes, and says whether anything came of them. A document that an error left nothing of is not held any more.
    fn take_change(
        &mut self,
        space: SpaceId,
        id: DocumentId,
        apply: impl FnOnce(&mut Document) -> Result<Change, EchoError>,
    ) -> Result<Result<bool, EchoError>, WalletError> {
        let held = match self.spaces.hold_or_make(&self.store, space, id) {
            Ok(held) => held,
            // Of another space: there is nothing to change here.
            Err(WalletError::NotFound { .. }) => return Ok(Ok(false)),
            Err(error) => return Err(error),
        };
        let taken = apply(&mut held.document);
        // What waits is in no other block: whoever built on void ones says those again later.
        let kept = taken.map(|change| !change.known || change.waits || held.is_new);
        if kept.is_err() && held.document.is_empty() {
            self.spaces.documents.remove(&id);
        }
        Ok(kept)
    }

    /// Takes in what was said besides changes, and is in the store by now.
    fn learn_aside(&mut self, space: SpaceId, aside: Aside, done: &mut Ingested) -> Result<(), WalletError> {
        let mut opened: BTreeSet<SpaceId> = BTreeSet::new();
        for (by, epoch) in &aside.epochs {
            let space = SpaceId::of_key(epoch.space.as_bytes());
            if let Some(feeds) = self.spaces.feeds.get_mut(&space)
                && feeds.contents.add(&self.keys, *by, epoch)
            {
                opened.insert(space);
            }
        }
        for share in aside.shares {
            opened.extend(self.take_share(&share)?);
        }
        if !aside.credentials.is_empty() {
            self.learn_from_others(aside.credentials, done)?;
        }
        if self.halo()? == space && !done.documents.is_empty() {
            done.spaces.extend(self.read_records()?);
        }
        opened.retain(|other| self.spaces.rows.contains_key(other));
        for other in opened {
            let reopened = self.reopen(other)?;
            done.identity |= reopened.identity;
            done.revoked.extend(reopened.revoked);
            done.spaces.extend(reopened.spaces);
            if other == space {
                done.documents.extend(reopened.documents);
            } else if !reopened.documents.is_empty() {
                done.spaces.insert(other);
            }
        }
        Ok(())
    }

    /// Takes in credentials that another device said; they are in the store.
    pub(crate) fn learn_from_others(
        &mut self,
        credentials: Vec<Verified<Credential>>,
        done: &mut Ingested,
    ) -> Result<(), WalletError> {
        let before: BTreeSet<GrantId> = self.grants.keys().cloned().collect();
        self.learn(credentials)?;
        done.identity = true;
        done.revoked.extend(before.into_iter().filter(|id| !self.grants.contains_key(id)));
        Ok(())
    }
}

/// Reads documents that are not here yet: those that say one thing once, and of all others the bytes.
fn read_new(
    documents: BTreeMap<DocumentId, Vec<u8>>,
) -> (BTreeMap<DocumentId, NewDocument>, BTreeMap<DocumentId, Said>) {
    let documents: Vec<(DocumentId, Vec<u8>)> = documents.into_iter().collect();
    let read = |some: &[(DocumentId, Vec<u8>)]| {
        let mut beginning = None;
        let each = some.iter().map(|(id, bytes)| NewDocument::read(*id, bytes, &mut beginning));
        each.collect::<Vec<_>>()
    };
    let here = if documents.len() < MANY { documents.len() } else { documents.len() / 2 };
    let (here, beside) = documents.split_at(here);
    let found = thread::scope(|scope| {
        let thread = (!beside.is_empty())
            .then(|| thread::Builder::new().spawn_scoped(scope, || read(beside)).ok())
            .flatten();
        let mut found = read(here);
        let others = thread.and_then(|thread| thread.join().ok());
        found.extend(others.unwrap_or_else(|| read(beside)));
        found
    });
    let (mut made, mut left) = (BTreeMap::new(), BTreeMap::new());
    for ((id, bytes), found) in documents.into_iter().zip(found) {
        match found {
            Some(new) => drop(made.insert(id, new)),
            None => drop(left.insert(id, vec![bytes])),
        }
    }
    (made, left)
}

/// Both branches of a feed that splits: what was kept, and what came.
fn fork_proof(store: &Store, fork: &Fork, blocks: &[Block], head: Option<&SignedHead>) -> Option<ForkProof> {
    const MOST: usize = 2_000;
    let theirs = blocks.iter().map(|block| block.header).skip_while(|header| header.sequence < fork.at);
    let theirs = Branch::new(theirs.collect(), *head?);
    let feed = blocks.first()?.header.feed;
    let (ours, head) = run_of(store.blocks(feed.as_bytes(), fork.at, MOST).ok()?).ok()?;
    let ours = Branch::new(ours.iter().map(|block| block.header).collect(), head?);
    ForkProof::new(ours, theirs).ok()
}

impl Aside {
    fn keep(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        let now = clock();
        for credential in &self.credentials {
            tx.learn_credential(credential, now)?;
        }
        self.epochs.iter().try_for_each(|(by, epoch)| {
            let space = SpaceId::of_key(epoch.space.as_bytes()).to_string();
            tx.add_epoch(&space, &epoch_row(by, epoch))
        })?;
        self.shares.iter().try_for_each(|share| share.keep(tx))
    }
}
