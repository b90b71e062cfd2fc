//! Snapshots as files: offered to other devices of a space, fetched from them, and taken.
//!
//! A snapshot is a file: sealed parts, then the signed [`SignedSnapshot`] that names them. A device takes one instead of
//! blocks that others dropped: its bytes are kept as they come, so that a line that breaks loses nothing, and when all
//! are there, they are checked against what was signed, opened, and applied in one transaction with how far the feeds are.
//!
//! The rule guarded here: of a snapshot that is not genuine nothing is believed, and nothing stays.

use std::collections::BTreeMap;

use halo_echo::replication::SnapshotOffer;
use halo_echo::{Beginning, Document, DocumentId, Item, NewDocument, SpaceId};
use halo_protocol::feed::{BlockHeader, EpochId, Payload};
use halo_protocol::snapshot::{
    LONGEST_PART, LONGEST_SNAPSHOT, Reach, SignedSnapshot, SnapshotError, Unpacked, length,
};
use halo_protocol::{FeedKey, SpaceKey};
use halo_store::{FeedRow, SnapshotRow, SnapshotState, Store, StoreError, Tx};
use sha2::{Digest, Sha256};

use crate::compaction::drop_covered;
use crate::contents::ContentKeys;
use crate::error::WalletError;
use crate::feeds::damaged;
use crate::held::keep_made;
use crate::ingest::Ingested;
use crate::open::Open;
use crate::spaces::NO_SPACE;

/// Its content key may come yet.
pub(crate) const NO_EPOCH: WalletError = WalletError::NotFound { what: "the epoch" };

pub(crate) fn refused(error: SnapshotError) -> WalletError {
    WalletError::BadInput { what: error.to_string() }
}

/// The snapshot of a space that was taken last.
pub(crate) fn last_snapshot<'a>(
    store: &'a Store,
    space: &str,
) -> Result<Option<(SnapshotRow, SnapshotFile<'a>)>, WalletError> {
    let Some(row) = store.snapshot(space)? else { return Ok(None) };
    let SnapshotRow { id, size } = row;
    let read =
        move |start, most| -> Result<Vec<u8>, WalletError> { Ok(store.snapshot_bytes(&id, start, most)?) };
    Ok(Some((row, SnapshotFile { read: Box::new(read), size, at: 0, part: 0 })))
}

/// The snapshot that a peer may take instead of old blocks.
pub(crate) fn offer(store: &Store, space: &str) -> Result<Option<SnapshotOffer>, WalletError> {
    let Some((row, file)) = last_snapshot(store, space)? else { return Ok(None) };
    let base = file.signed()?.snapshot.reach.iter().map(|reach| (reach.feed, reach.length())).collect();
    Ok(Some(SnapshotOffer { id: row.id, size: row.size, base }))
}

impl Open {
    /// Reads the snapshot of a space, if there is one: everything that is signed, and every document in it.
    pub(crate) fn read_snapshot(
        &self,
        space: &str,
        mut document: impl FnMut([u8; 16], Vec<u8>) -> Result<(), WalletError>,
    ) -> Result<Option<SignedSnapshot>, WalletError> {
        let Some((_, mut file)) = last_snapshot(&self.store, space)? else { return Ok(None) };
        let signed = file.signed()?;
        signed.verify().map_err(damaged)?;
        let contents = ContentKeys::load(&self.store, &self.keys, space)?;
        file.all(&contents, &signed, &mut document)?;
        Ok(Some(signed))
    }

    /// How many bytes of a peer's snapshot are durable here.
    pub(crate) fn snapshot_fetched(&self, space: SpaceId, id: &[u8; 32]) -> Result<u64, WalletError> {
        Ok(self.store.snapshot_fetched(&space.to_string(), id)?)
    }

    /// Notes whose content key is missing for a peer's snapshot that is whole by now.
    pub(crate) fn want_epoch_of_snapshot(
        &mut self,
        space: SpaceId,
        id: &[u8; 32],
    ) -> Result<(), WalletError> {
        let epoch = self.epoch_of_snapshot(space, id)?;
        self.feeds(space)?.wanted.insert(epoch);
        Ok(())
    }

    fn epoch_of_snapshot(&self, space: SpaceId, id: &[u8; 32]) -> Result<EpochId, WalletError> {
        let size = self.store.snapshot_fetched(&space.to_string(), id)?;
        let read =
            |start, most| -> Result<Vec<u8>, WalletError> { Ok(self.store.snapshot_bytes(id, start, most)?) };
        let file = SnapshotFile { read: Box::new(read), size, at: 0, part: 0 };
        Ok(file.signed()?.snapshot.epoch)
    }

    /// Keeps bytes of a peer's snapshot, behind those that are here. One that was coming before is given up.
    ///
    /// # Errors
    /// [`WalletError::NotFound`]; [`WalletError::Store`] if they do not follow.
    pub(crate) fn keep_snapshot_chunk(
        &mut self,
        space: SpaceId,
        id: &[u8; 32],
        start: u64,
        bytes: &[u8],
    ) -> Result<(), WalletError> {
        let name = self.spaces.rows.get(&space).ok_or(NO_SPACE)?.id.clone();
        self.store.write(|tx| {
            tx.begin_snapshot(&name, id, SnapshotState::Coming)?;
            tx.add_snapshot_bytes(&name, id, start, bytes)
        })?;
        Ok(())
    }

    /// Takes a peer's snapshot that is whole by now: documents, what control blocks said, and how far the feeds are, in
    /// one transaction. Who made it has to be a device that may write in the space. One that is not genuine is thrown
    /// away.
    ///
    /// # Errors
    /// [`WalletError::NotFound`] if its epoch is not known, yet, or a feed in it; [`WalletError::BadInput`], [`WalletError::Keystore`],
    /// [`WalletError::Echo`] if it is not genuine.
    pub(crate) fn take_snapshot(&mut self, space: SpaceId, id: &[u8; 32]) -> Result<Ingested, WalletError> {
        let name = self.spaces.rows.get(&space).ok_or(NO_SPACE)?.id.clone();
        let taken = self.apply_snapshot(space, id);
        // What is in memory is older, or took a part.
        self.spaces.forget(space);
        let mut done = match taken {
            Ok(done) => done,
            Err(error) => {
                if !matches!(error, WalletError::NotFound { .. } | WalletError::Store(_)) {
                    self.store.write(|tx| tx.forget_snapshot(&name, id))?;
                }
                return Err(error);
            }
        };
        self.settle(space, &mut done)?;
        Ok(done)
    }

    fn apply_snapshot(&mut self, space: SpaceId, id: &[u8; 32]) -> Result<Ingested, WalletError> {
        let bad = |what: &str| WalletError::BadInput { what: what.to_owned() };
        let row = self.spaces.rows.get(&space).ok_or(NO_SPACE)?;
        let (name, key) = (row.id.clone(), row.key);
        let size = self.store.snapshot_fetched(&name, id)?;
        let signed = {
            let read = |start, most| -> Result<Vec<u8>, WalletError> {
                Ok(self.store.snapshot_bytes(id, start, most)?)
            };
            let file = SnapshotFile { read: Box::new(read), size, at: 0, part: 0 };
            if file.hash()? != *id {
                return Err(bad("the snapshot is not the one that was offered"));
            }
            file.signed()?
        };
        signed.verify().map_err(refused)?;
        if *signed.snapshot.space.as_bytes() != key {
            return Err(bad("the snapshot is of another space"));
        }
        let admitted = self.state.feeds.get(&SpaceKey::from_bytes(&key).map_err(damaged)?);
        let feed = |key: &FeedKey| admitted.and_then(|admitted| admitted.get(key));
        // What a device says after it was shut out nobody takes.
        if feed(&signed.by).is_some_and(|feed| feed.cut.is_some()) {
            return Err(bad("the snapshot was made by somebody who may not write"));
        }
        // Who was let in is said in the HALO space, which may be behind.
        let mut feeds = signed.snapshot.reach.iter().map(|reach| &reach.feed).chain([&signed.by]);
        if feeds.any(|key| feed(key).is_none()) {
            return Err(WalletError::NotFound { what: "who wrote what is in the snapshot" });
        }
        let contents = ContentKeys::load(&self.store, &self.keys, &name)?;
        let known = self.store.feeds(&name)?;
        signed.snapshot.reach.iter().try_for_each(|reach| self.check_reach(&known, reach))?;
        let mut done = Ingested::default();
        write_with(&mut self.store, |tx| {
            let (mut all, mut at, mut part) = (Unpacked::default(), 0, 0);
            let mut beginning = None;
            loop {
                let sealed = {
                    // Read through the transaction, which alone has the store now.
                    let read = |start, most| -> Result<Vec<u8>, WalletError> {
                        Ok(tx.snapshot_bytes(id, start, most)?)
                    };
                    let mut file = SnapshotFile { read: Box::new(read), size, at, part };
                    let sealed = file.next(&signed)?;
                    (at, part) = (file.at, file.part);
                    sealed
                };
                let is_last = sealed.is_none();
                if let Some(sealed) = sealed {
                    all.add(open_part(&contents, &signed, part - 1, &sealed)?);
                }
                // The last document may go on in the next part.
                let open_end = if is_last { None } else { all.documents.pop() };
                for (document, bytes) in all.documents.drain(..) {
                    done.documents.extend(take_document(tx, &name, &document, &bytes, &mut beginning)?);
                }
                all.documents.extend(open_end);
                if is_last {
                    break;
                }
            }
            for reach in &signed.snapshot.reach {
                let there = known.iter().find(|row| row.key == *reach.feed.as_bytes());
                tx.put_feed(&name, &further(there, reach))?;
            }
            tx.finish_snapshot(&name, id, id)?;
            Ok(drop_covered(tx, &name, &signed.snapshot)?)
        })?;
        Ok(done)
    }

    /// A snapshot cannot reach to another block than the one that is here.
    fn check_reach(&self, known: &[FeedRow], Reach { feed, head }: &Reach) -> Result<(), WalletError> {
        let Some(row) = known.iter().find(|row| row.key == *feed.as_bytes()) else { return Ok(()) };
        let here = if row.length == head.sequence + 1 {
            Some(row.head)
        } else {
            let header = self.store.header(feed.as_bytes(), head.sequence)?;
            header.and_then(|header| Some(*BlockHeader::decode(&header).ok()?.hash().as_bytes()))
        };
        if row.forked || here.is_some_and(|here| here != *head.hash.as_bytes()) {
            let what = "the snapshot reaches into a feed that says two things at one number".to_owned();
            return Err(WalletError::BadInput { what });
        }
        Ok(())
    }
}

/// The file of a snapshot, read from its beginning.
pub(crate) struct SnapshotFile<'a> {
    read: Box<dyn Fn(u64, usize) -> Result<Vec<u8>, WalletError> + 'a>,
    size: u64,
    at: u64,
    /// Which part comes next.
    pub(crate) part: usize,
}

impl SnapshotFile<'_> {
    /// What is signed, at its end. Not verified.
    pub(crate) fn signed(&self) -> Result<SignedSnapshot, WalletError> {
        let end = self.size.saturating_sub(4);
        let length = length(&(self.read)(end, 4)?, LONGEST_SNAPSHOT).map_err(refused)?;
        let start = end.saturating_sub(length as u64);
        SignedSnapshot::decode(&(self.read)(start, length)?).map_err(refused)
    }

    fn hash(&self) -> Result<[u8; 32], WalletError> {
        let (mut hash, mut at) = (Sha256::new(), 0);
        while at < self.size {
            let bytes = (self.read)(at, LONGEST_PART)?;
            if bytes.is_empty() {
                break;
            }
            hash.update(&bytes);
            at += bytes.len() as u64;
        }
        Ok(hash.finalize().into())
    }

    /// The next sealed part, as it was signed.
    pub(crate) fn next(&mut self, signed: &SignedSnapshot) -> Result<Option<Vec<u8>>, WalletError> {
        if self.part >= signed.snapshot.parts.len() {
            return Ok(None);
        }
        let length = length(&(self.read)(self.at, 4)?, LONGEST_PART).map_err(refused)?;
        let sealed = (self.read)(self.at + 4, length)?;
        signed.snapshot.check_part(self.part, &sealed).map_err(refused)?;
        (self.at, self.part) = (self.at + 4 + length as u64, self.part + 1);
        Ok(Some(sealed))
    }

    /// Shows every document, whole; gives what control blocks said.
    fn all(
        &mut self,
        contents: &ContentKeys,
        signed: &SignedSnapshot,
        document: &mut dyn FnMut([u8; 16], Vec<u8>) -> Result<(), WalletError>,
    ) -> Result<Payload, WalletError> {
        let mut all = Unpacked::default();
        while let Some(sealed) = self.next(signed)? {
            all.add(open_part(contents, signed, self.part - 1, &sealed)?);
            // The last document may go on in the next part.
            let last = all.documents.pop();
            all.documents.drain(..).try_for_each(|(id, bytes)| document(id, bytes))?;
            all.documents.extend(last);
        }
        all.documents.drain(..).try_for_each(|(id, bytes)| document(id, bytes))?;
        Ok(all.control)
    }
}

/// One transaction whose errors are not only the store's.
fn write_with(
    store: &mut Store,
    change: impl FnOnce(&mut Tx<'_>) -> Result<(), WalletError>,
) -> Result<(), WalletError> {
    let mut failed = None;
    let written = store.write(|tx| {
        change(tx).map_err(|error| {
            failed = Some(error);
            StoreError::Refused { what: "the snapshot is not taken" }
        })
    });
    match failed {
        Some(error) => Err(error),
        None => Ok(written?),
    }
}

pub(crate) fn open_part(
    contents: &ContentKeys,
    signed: &SignedSnapshot,
    number: usize,
    sealed: &[u8],
) -> Result<Payload, WalletError> {
    let mut part = Err(NO_EPOCH);
    for content in contents.all(&signed.snapshot.epoch) {
        part = content.open_part(&signed.by, number as u64, sealed).map_err(WalletError::from);
        if part.is_ok() {
            break;
        }
    }
    let part = part?;
    Payload::decode(&part).map_err(|error| WalletError::BadInput { what: error.to_string() })
}

/// Takes in what a snapshot says of one document; its id if that was news.
fn take_document(
    tx: &mut Tx<'_>,
    space: &str,
    document: &[u8; 16],
    bytes: &[u8],
    beginning: &mut Option<Beginning>,
) -> Result<Option<DocumentId>, WalletError> {
    let id = DocumentId::from_bytes(document)?;
    let before = tx.document(space, document)?.concat();
    if before.is_empty()
        && let Some(new) = NewDocument::read(id, bytes, beginning)
    {
        keep_made(tx, space, &BTreeMap::from([(id, new)]))?;
        return Ok(Some(id));
    }
    let mut held = Document::load(&before)?;
    if held.take_whole(bytes)?.known && !before.is_empty() {
        return Ok(None);
    }
    let saved = held.save();
    let grown = |bytes: usize| i64::try_from(bytes).unwrap_or(i64::MAX);
    tx.save_document(space, document, &saved)?;
    tx.grow_space(space, grown(saved.len()).saturating_sub(grown(before.len())))?;
    tx.put_items(space, document, &Item::all_in(id, &held.objects()))?;
    Ok(Some(id))
}

/// How far a feed is once a snapshot that reaches into it was taken.
fn further(there: Option<&FeedRow>, reach: &Reach) -> FeedRow {
    match there {
        Some(row) if row.length > reach.length() => {
            FeedRow { applied: row.applied.max(reach.length()), ..row.clone() }
        }
        _ => FeedRow {
            key: *reach.feed.as_bytes(),
            length: reach.length(),
            head: *reach.head.hash.as_bytes(),
            forked: false,
            applied: reach.length(),
        },
    }
}
