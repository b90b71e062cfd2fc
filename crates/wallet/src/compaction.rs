//! Snapshots of spaces, and old blocks that go because a snapshot covers them.
//!
//! Blocks repeat what the documents hold. Once they take more than the documents and than some mebibytes, this device
//! makes a snapshot: the documents as they are, sealed and signed, reaching as far as the feeds were applied when it
//! began. It is made piece by piece, a piece with each write, so that no write waits for all of it; what documents take in
//! meanwhile is in later blocks as well, and applying it twice is applying it once. With the last piece, in one
//! transaction, the snapshot takes the place of the one before, and the blocks it covers go.
//!
//! The rule guarded here: no block goes before everything it says is in a snapshot that is on disk, and before every other
//! device of the identity said that it has it. What control blocks say is carried along whole, since membership cannot be
//! judged from a part; the HALO space keeps all of its blocks. Blocks that this device cannot open, and the feed of a
//! device that said two things at once, stay.

use std::collections::BTreeMap;

use halo_echo::SpaceId;
use halo_echo::replication::{Open as _, Timeframe};
use halo_protocol::feed::{BlockHeader, EpochId, Payload, SignedHead};
use halo_protocol::snapshot::{Packer, Reach, Snapshot, framed};
use halo_protocol::{DeviceKey, FeedKey, Signature, SpaceKey};
use halo_store::{ConfirmedRow, FeedBase, FeedRow, SnapshotState, StoreError, Tx};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use ts_rs::TS;

use crate::collection::By;
use crate::contents::ContentKeys;
use crate::error::WalletError;
use crate::feeds::damaged;
use crate::handle::Wallet;
use crate::open::Open;
use crate::random::random;
use crate::request::Scope;
use crate::snapshots::{NO_EPOCH, last_snapshot, open_part, refused};
use crate::spaces::NO_SPACE;
use crate::view::Event;

/// Fewer bytes of blocks are not worth a snapshot.
const SMALLEST: u64 = 4 * 1024 * 1024;
/// After so many bytes of blocks it is looked whether a snapshot is due.
const LOOK: usize = 512 * 1024;
/// Bytes of documents or blocks that one piece of work goes through.
const PIECE: usize = 256 * 1024;
/// Blocks that are read at once.
const STEP: usize = 500;

/// Snapshots that are being made, and how much was written since it was last looked.
pub(crate) struct Compaction {
    making: Option<Making>,
    /// What other devices said they have.
    heard: BTreeMap<(SpaceId, DeviceKey), Timeframe>,
    written: usize,
    smallest: u64,
    look: usize,
}

impl Default for Compaction {
    fn default() -> Self {
        Self { making: None, heard: BTreeMap::new(), written: 0, smallest: SMALLEST, look: LOOK }
    }
}

/// A snapshot that is being made.
struct Making {
    space: SpaceId,
    /// What its bytes are kept under until it has a name.
    id: [u8; 32],
    epoch: EpochId,
    reach: Vec<Reach>,
    packer: Packer,
    parts: Vec<[u8; 32]>,
    /// Of the file so far.
    size: u64,
    hash: Sha256,
    stage: Stage,
}

/// How far it has come.
enum Stage {
    /// Control blocks from here on are to be looked through: which feed, which number.
    Blocks(usize, u64),
    /// Documents from this one on are to be packed.
    Documents(Vec<[u8; 16]>),
}

/// What came of a compaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Compacted {
    /// Bytes of blocks before.
    #[ts(type = "number")]
    pub before: u64,
    /// And after.
    #[ts(type = "number")]
    pub after: u64,
    /// Names of devices that lack some of the blocks, which stay until they have them.
    pub waits_for: Vec<String>,
}

impl Wallet {
    /// Makes a snapshot of a space now, and drops the blocks that it covers and that every other device has. Others are
    /// served in between.
    ///
    /// # Errors
    /// [`WalletError::NotFound`]; [`WalletError::BadInput`] for a space larger than a snapshot may be.
    pub async fn compact_space(&self, id: SpaceId) -> Result<Compacted, WalletError> {
        let before = self
            .try_job(move |engine| {
                let open = engine.unlocked()?;
                open.check(&By::Owner, id, Scope::SpacesWrite)?;
                let before = open.store.blocks_size(&id.to_string())?;
                open.begin_snapshot(id)?;
                Ok(before)
            })
            .await?;
        while !self.try_job(move |engine| engine.unlocked()?.go_on_with(id)).await? {}
        self.try_job(move |engine| {
            let open = engine.unlocked()?;
            open.trim(id)?;
            let after = open.store.blocks_size(&id.to_string())?;
            let waits_for = open.behind(id)?.iter().map(|device| open.label_of(device)).collect();
            engine.changed();
            engine.tell(Event::Spaces);
            Ok(Compacted { before, after, waits_for })
        })
        .await
    }
}

impl Open {
    /// A block of so many bytes was written: does a piece of what is due. It must not fail what was written already.
    pub(crate) fn tidy(&mut self, space: SpaceId, bytes: usize) {
        if let Err(error) = self.try_tidy(space, bytes) {
            tracing::warn!(%error, %space, "old blocks stay for now");
            self.spaces.compaction.making = None;
        }
    }

    fn try_tidy(&mut self, space: SpaceId, bytes: usize) -> Result<(), WalletError> {
        if self.spaces.rows.get(&space).is_none_or(|row| row.halo) {
            return Ok(());
        }
        if self.spaces.compaction.making.is_some() {
            return self.continue_snapshot().map(drop);
        }
        self.spaces.compaction.written += bytes;
        if self.spaces.compaction.written < self.spaces.compaction.look {
            return Ok(());
        }
        self.spaces.compaction.written = 0;
        self.trim(space)?;
        let name = space.to_string();
        let blocks = self.uncovered(&name)?;
        let documents = u64::try_from(self.store.space_size(&name)?).unwrap_or_default();
        if blocks > self.spaces.compaction.smallest.max(documents) {
            self.begin_snapshot(space)
        } else {
            Ok(())
        }
    }

    /// Bytes of blocks that no snapshot covers.
    fn uncovered(&self, space: &str) -> Result<u64, WalletError> {
        let covered = match last_snapshot(&self.store, space)? {
            Some((_, file)) => Some(file.signed()?.snapshot),
            None => None,
        };
        let mut size = 0_u64;
        for row in self.store.feeds(space)? {
            let feed = FeedKey::from_bytes(&row.key).map_err(damaged)?;
            let from = covered.as_ref().map_or(0, |snapshot| snapshot.covers(&feed));
            size = size.saturating_add(self.store.feed_size(&row.key, from)?);
        }
        Ok(size)
    }

    /// Does a piece of the snapshot of a space; `true` if there is nothing left to do.
    fn go_on_with(&mut self, space: SpaceId) -> Result<bool, WalletError> {
        match &self.spaces.compaction.making {
            Some(making) if making.space == space => Ok(self.continue_snapshot()?.is_some()),
            _ => Ok(true),
        }
    }

    /// Drops blocks that the snapshot of a space covers, and that every other device has by now.
    pub(crate) fn trim(&mut self, space: SpaceId) -> Result<(), WalletError> {
        let name = space.to_string();
        let signed = match last_snapshot(&self.store, &name)? {
            Some((_, file)) => file.signed()?,
            None => return Ok(()),
        };
        let bases = self.bases(space, &signed.snapshot)?;
        if bases.is_empty() {
            return Ok(());
        }
        let heard = self.heard_in(space);
        self.store.write(|tx| {
            keep_heard(tx, &heard)?;
            drop_until(tx, &name, &bases)
        })?;
        Ok(())
    }

    /// Where feeds begin from now on: behind what the snapshot covers and every other device has.
    fn bases(&self, space: SpaceId, snapshot: &Snapshot) -> Result<Vec<(FeedKey, FeedBase)>, WalletError> {
        let confirmed = self.confirmed(space)?;
        let mut bases = Vec::new();
        for Reach { feed, head } in &snapshot.reach {
            let by_all = |has: &Timeframe| has.get(feed).copied().unwrap_or_default();
            let covered = head.sequence.saturating_add(1);
            let length = confirmed.values().map(by_all).fold(covered, u64::min);
            let begins = self.store.feed_base(feed.as_bytes())?.map_or(0, |base| base.length);
            if length <= begins {
                continue;
            }
            let last = self.store.header(feed.as_bytes(), length - 1)?;
            let last = last.ok_or_else(|| damaged("a block is missing"))?;
            let hash = BlockHeader::decode(&last).map_err(damaged)?.hash();
            bases.push((*feed, FeedBase { length, head: *hash.as_bytes() }));
        }
        Ok(bases)
    }

    /// What each other device of the identity said last that it has of a space; nothing of one that never said anything.
    fn confirmed(&self, space: SpaceId) -> Result<BTreeMap<DeviceKey, Timeframe>, WalletError> {
        let own = self.keys.device_key();
        let others = self.state.devices.iter().filter(|(key, device)| !device.revoked && **key != own);
        let mut all: BTreeMap<DeviceKey, Timeframe> =
            others.map(|(key, _)| (*key, Timeframe::new())).collect();
        for ConfirmedRow { device, feed, length } in self.store.confirmed(&space.to_string())? {
            let (Ok(device), Ok(feed)) = (DeviceKey::from_bytes(&device), FeedKey::from_bytes(&feed)) else {
                continue;
            };
            if let Some(has) = all.get_mut(&device) {
                has.insert(feed, length);
            }
        }
        for (device, has) in &mut all {
            if let Some(heard) = self.spaces.compaction.heard.get(&(space, *device)) {
                has.clone_from(heard);
            }
        }
        Ok(all)
    }

    /// Devices that lack something of what the snapshot covers.
    fn behind(&self, space: SpaceId) -> Result<Vec<DeviceKey>, WalletError> {
        let Some((_, file)) = last_snapshot(&self.store, &space.to_string())? else { return Ok(Vec::new()) };
        let snapshot = file.signed()?.snapshot;
        let lacks = |has: &Timeframe| {
            let lacks = |reach: &Reach| has.get(&reach.feed).copied().unwrap_or_default() < reach.length();
            snapshot.reach.iter().any(lacks)
        };
        let all = self.confirmed(space)?.into_iter();
        Ok(all.filter(|(_, has)| lacks(has)).map(|(device, _)| device).collect())
    }

    fn label_of(&self, device: &DeviceKey) -> String {
        let profile = self.state.devices.get(device).and_then(|device| device.profile.as_ref());
        profile.map_or_else(|| device.to_string(), |profile| profile.label.clone())
    }

    /// Another device said what it has of a space. It is kept when something is dropped for it, or the device goes.
    pub(crate) fn heard(&mut self, space: SpaceId, device: DeviceKey, timeframe: &[(FeedKey, u64)]) {
        let known = timeframe.iter().copied().collect();
        self.spaces.compaction.heard.insert((space, device), known);
    }

    fn heard_in(&self, space: SpaceId) -> Vec<(DeviceKey, Timeframe)> {
        let heard = self.spaces.compaction.heard.iter().filter(|((of, _), _)| *of == space);
        heard.map(|((_, device), has)| (*device, has.clone())).collect()
    }

    /// Keeps what other devices said they have.
    pub(crate) fn keep_heard(&mut self) {
        let heard = std::mem::take(&mut self.spaces.compaction.heard);
        let heard: Vec<_> = heard.into_iter().map(|((_, device), has)| (device, has)).collect();
        if heard.is_empty() {
            return;
        }
        if let Err(error) = self.store.write(|tx| keep_heard(tx, &heard)) {
            tracing::warn!(%error, "what other devices have was not kept");
        }
    }

    /// A feed ended: what was being made may reach behind that, and what its device made nobody new would take.
    pub(crate) fn snapshot_after_cut(&mut self, space: SpaceId, feed: &FeedKey) -> Result<(), WalletError> {
        if self.spaces.compaction.making.as_ref().is_some_and(|making| making.space == space) {
            self.spaces.compaction.making = None;
        }
        let by = match last_snapshot(&self.store, &space.to_string())? {
            Some((_, file)) => file.signed()?.by,
            None => return Ok(()),
        };
        if by != *feed {
            return Ok(());
        }
        self.begin_snapshot(space)?;
        while !self.go_on_with(space)? {}
        Ok(())
    }

    /// Begins a snapshot that reaches as far as the feeds were applied.
    fn begin_snapshot(&mut self, space: SpaceId) -> Result<(), WalletError> {
        // It is signed as this device's blocks are, also where it has written none yet.
        self.admit_own_feed(space)?;
        let name = self.spaces.rows.get(&space).ok_or(NO_SPACE)?.id.clone();
        let mut reach = Vec::new();
        for row in self.store.feeds(&name)? {
            reach.extend(self.reach_of(&name, &row)?);
        }
        let epoch = self.epoch_of(space)?;
        let id = random::<32>()?;
        self.store.write(|tx| tx.begin_snapshot(&name, &id, SnapshotState::Making))?;
        self.spaces.compaction.making = Some(Making {
            space,
            id,
            epoch,
            reach,
            packer: Packer::default(),
            parts: Vec::new(),
            size: 0,
            hash: Sha256::new(),
            stage: Stage::Blocks(0, 0),
        });
        Ok(())
    }

    /// How far a snapshot can reach in a feed: to a block that its owner signed, of those that are in the documents.
    fn reach_of(&self, space: &str, row: &FeedRow) -> Result<Option<Reach>, WalletError> {
        if row.forked {
            return Ok(None);
        }
        let feed = FeedKey::from_bytes(&row.key).map_err(damaged)?;
        let Some(sequence) = self.store.last_signed(&row.key, row.applied)? else {
            // Nothing new: as far as the snapshot before.
            let Some((_, file)) = last_snapshot(&self.store, space)? else { return Ok(None) };
            return Ok(file.signed()?.snapshot.reach.into_iter().find(|reach| reach.feed == feed));
        };
        let Some(block) = self.store.blocks(&row.key, sequence, 1)?.into_iter().next() else {
            return Err(damaged("a block is missing"));
        };
        let header = BlockHeader::decode(&block.header).map_err(damaged)?;
        let signature =
            block.signature.map(Signature::from_bytes).ok_or_else(|| damaged("a head is missing"))?;
        Ok(Some(Reach { feed, head: SignedHead { sequence, hash: header.hash(), signature } }))
    }

    /// Does a piece of the snapshot that is being made; gives its name when it is done.
    fn continue_snapshot(&mut self) -> Result<Option<[u8; 32]>, WalletError> {
        let Some(mut making) = self.spaces.compaction.making.take() else { return Ok(None) };
        let Some(name) = self.spaces.rows.get(&making.space).map(|row| row.id.clone()) else {
            // The space was deleted meanwhile, and what was made with it.
            return Ok(None);
        };
        let mut full = Vec::new();
        making.stage = match std::mem::replace(&mut making.stage, Stage::Documents(Vec::new())) {
            Stage::Blocks(at, from) => self.pack_control(&name, &mut making, &mut full, (at, from))?,
            Stage::Documents(rest) => self.pack_documents(&mut making.packer, &mut full, rest)?,
        };
        let done = matches!(&making.stage, Stage::Documents(rest) if rest.is_empty());
        if done {
            full.push(std::mem::take(&mut making.packer).finish());
        }
        let feeds = self.feeds(making.space)?;
        let (by, content) = (feeds.own(), feeds.contents.get(&making.epoch).ok_or(NO_EPOCH)?);
        let mut fresh = Vec::new();
        for part in full {
            let sealed = content.seal_part(&by, making.parts.len() as u64, &part.encode())?;
            making.parts.push(Sha256::digest(&sealed).into());
            fresh.extend(framed(&sealed));
        }
        if !done {
            making.hash.update(&fresh);
            let start = making.size;
            making.size += fresh.len() as u64;
            if !fresh.is_empty() {
                self.store.write(|tx| tx.add_snapshot_bytes(&name, &making.id, start, &fresh))?;
            }
            self.spaces.compaction.making = Some(making);
            return Ok(None);
        }
        let key = &self.spaces.rows.get(&making.space).ok_or(NO_SPACE)?.key;
        let space = SpaceKey::from_bytes(key).map_err(damaged)?;
        let Making { id, epoch, reach, parts, size, mut hash, space: of, .. } = making;
        let feeds = self.feeds(of)?;
        let signed = feeds.sign_snapshot(Snapshot { space, epoch, reach, parts });
        fresh.extend(signed.trailer());
        hash.update(&fresh);
        let file: [u8; 32] = hash.finalize().into();
        let (bases, heard) = (self.bases(of, &signed.snapshot)?, self.heard_in(of));
        self.store.write(|tx| {
            tx.add_snapshot_bytes(&name, &id, size, &fresh)?;
            tx.finish_snapshot(&name, &id, &file)?;
            keep_heard(tx, &heard)?;
            drop_until(tx, &name, &bases)
        })?;
        Ok(Some(file))
    }

    /// What control blocks said: those that the last snapshot covers, and some of those since.
    fn pack_control(
        &self,
        space: &str,
        making: &mut Making,
        full: &mut Vec<Payload>,
        (at, from): (usize, u64),
    ) -> Result<Stage, WalletError> {
        let contents = ContentKeys::load(&self.store, &self.keys, space)?;
        if (at, from) == (0, 0)
            && let Some((_, mut file)) = last_snapshot(&self.store, space)?
        {
            let signed = file.signed()?;
            while let Some(sealed) = file.next(&signed)? {
                let part = open_part(&contents, &signed, file.part - 1, &sealed)?;
                // They come first, so a part without any is behind the last of them.
                if !is_control(&part) {
                    break;
                }
                full.extend(making.packer.control(part).map_err(refused)?);
            }
        }
        let Some(Reach { feed, head }) = making.reach.get(at) else {
            return Ok(Stage::Documents(self.store.documents(space)?));
        };
        let base = self.store.feed_base(feed.as_bytes())?.map_or(0, |base| base.length);
        let (mut next, mut size) = (from.max(base), 0);
        while next <= head.sequence && size < PIECE {
            let blocks = self.store.blocks(feed.as_bytes(), next, STEP)?;
            if blocks.is_empty() {
                return Err(damaged("a block is missing"));
            }
            for block in blocks.into_iter().filter(|block| block.sequence <= head.sequence) {
                (next, size) = (block.sequence + 1, size + block.sealed.len());
                let header = BlockHeader::decode(&block.header).map_err(damaged)?;
                let payload = contents.open(&header, &block.sealed)?;
                let payload = payload.ok_or_else(|| damaged("a block stays closed"))?;
                if is_control(&payload) {
                    full.extend(making.packer.control(payload).map_err(refused)?);
                }
            }
        }
        Ok(if next > head.sequence { Stage::Blocks(at + 1, 0) } else { Stage::Blocks(at, next) })
    }

    /// Some of the documents; those that are left.
    fn pack_documents(
        &self,
        packer: &mut Packer,
        full: &mut Vec<Payload>,
        documents: Vec<[u8; 16]>,
    ) -> Result<Stage, WalletError> {
        let mut rest = documents.into_iter();
        let mut size = 0;
        while size < PIECE
            && let Some(document) = rest.next()
        {
            let bytes = self.store.document(&document)?.concat();
            size += bytes.len();
            // One that was deleted meanwhile has nothing to say.
            if !bytes.is_empty() {
                full.extend(packer.document(document, &bytes).map_err(refused)?);
            }
        }
        Ok(Stage::Documents(rest.collect()))
    }
}

fn is_control(payload: &Payload) -> bool {
    !(payload.credentials.is_empty() && payload.epochs.is_empty() && payload.shares.is_empty())
}

fn keep_heard(tx: &mut Tx<'_>, heard: &[(DeviceKey, Timeframe)]) -> Result<(), StoreError> {
    heard.iter().try_for_each(|(device, has)| {
        has.iter()
            .try_for_each(|(feed, length)| tx.put_confirmed(device.as_bytes(), feed.as_bytes(), *length))
    })
}

/// Drops the blocks before where feeds begin.
fn drop_until(tx: &mut Tx<'_>, space: &str, bases: &[(FeedKey, FeedBase)]) -> Result<(), StoreError> {
    bases.iter().try_for_each(|(feed, base)| tx.drop_covered_blocks(space, feed.as_bytes(), base))
}

/// Drops the blocks that a snapshot covers, where it was taken in their place.
pub(crate) fn drop_covered(tx: &mut Tx<'_>, space: &str, snapshot: &Snapshot) -> Result<(), StoreError> {
    snapshot.reach.iter().try_for_each(|reach| {
        let base = FeedBase { length: reach.length(), head: *reach.head.hash.as_bytes() };
        tx.drop_covered_blocks(space, reach.feed.as_bytes(), &base)
    })
}

#[cfg(test)]
pub(crate) mod tests;
