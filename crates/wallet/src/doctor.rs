//! `halo doctor`: everything that is kept, checked against everything else.

use std::collections::{BTreeMap, BTreeSet};

use halo_echo::replication::Open as _;
use halo_echo::{Document, DocumentId, Index, Item, Near, SpaceId};
use halo_protocol::FeedKey;
use halo_protocol::credential::Credential;
use halo_protocol::epoch::EpochShare;
use halo_protocol::feed::BlockHeader;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::contents::{ContentKeys, read_epoch};
use crate::error::WalletError;
use crate::feeds::{checked, damaged};
use crate::gauge::Gauge;
use crate::handle::Wallet;
use crate::open::Open;

/// Blocks that are read at once.
const STEP: usize = 1_000;
/// Items that do not match their schemas that are named.
const MOST_MISMATCHES: usize = 100;

/// What was looked at, and what is wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct DoctorReport {
    /// Spaces.
    pub spaces: usize,
    /// Blocks, each with its place in the chain and its seal.
    #[ts(type = "number")]
    pub blocks: u64,
    /// Documents.
    pub documents: usize,
    /// Items.
    pub items: usize,
    /// Snapshots, each with its signature, its parts and what is in them.
    #[serde(default)]
    pub snapshots: usize,
    /// What is wrong, in sentences.
    pub problems: Vec<String>,
    /// Documents whose items were written anew.
    pub rebuilt: usize,
    /// Items that do not match the schema of their type, in sentences; the first hundred. Nothing is broken: they came
    /// from apps and devices that go by another schema.
    #[serde(default)]
    pub mismatches: Vec<String>,
}

impl Wallet {
    /// Checks the database page by page, the credentials, the activity log and its signatures, the epochs, the chains
    /// and seals of all blocks, that every change in a block is in its document, and that the indexes say what the
    /// documents say. With `rebuild`, indexes that do not are made anew; nothing else is ever changed. Takes about four
    /// seconds for 10,000 items.
    ///
    /// # Errors
    /// [`WalletError::Locked`]; what is wrong with the data is in the report.
    pub async fn doctor(&self, rebuild: bool, gauge: Gauge) -> Result<DoctorReport, WalletError> {
        self.try_job(move |engine| {
            let open = engine.unlocked()?;
            let mut report = DoctorReport::default();
            gauge.say("database", 0, 0);
            if let Err(error) = open.store.verify() {
                report.problems.push(format!("the database: {error}"));
            }
            if let Err(error) = open.examine_identity(&mut report) {
                report.problems.push(format!("the identity: {error}"));
            }
            let ids: Vec<SpaceId> = open.spaces.rows.keys().copied().collect();
            for id in ids {
                report.spaces += 1;
                if let Err(error) = open.examine(id, rebuild, &gauge, &mut report) {
                    report.problems.push(format!("space {id}: {error}"));
                }
            }
            gauge.say("indexes", 0, 0);
            for space in open.store.faulty_indexes()? {
                if rebuild {
                    open.store.write(|tx| tx.rebuild_index(&space))?;
                    report.rebuilt += 1;
                } else {
                    report.problems.push(format!("the index of space {space} is not what is in its items"));
                }
            }
            Ok(report)
        })
        .await
    }
}

impl Open {
    /// What the identity and its devices signed.
    fn examine_identity(&self, report: &mut DoctorReport) -> Result<(), WalletError> {
        for (number, bytes) in (1..).zip(self.store.credentials()?) {
            if let Err(error) = Credential::decode(&bytes).and_then(Credential::verify) {
                report.problems.push(format!("credential {number} is not genuine: {error}"));
            }
        }
        if let Some(seq) = self.log_broken_at()? {
            report.problems.push(format!("the activity log is not what was written from entry {seq} on"));
        }
        Ok(())
    }

    fn examine(
        &mut self,
        id: SpaceId,
        rebuild: bool,
        gauge: &Gauge,
        report: &mut DoctorReport,
    ) -> Result<(), WalletError> {
        let space = id.to_string();
        let mut documents: BTreeMap<DocumentId, Document> = BTreeMap::new();
        let all = self.store.documents(&space)?;
        for (done, bytes) in all.iter().enumerate() {
            gauge.say("documents", done, all.len());
            report.documents += 1;
            let document = DocumentId::from_bytes(bytes)?;
            match self.read(bytes) {
                Ok(read) => drop(documents.insert(document, read)),
                Err(error) => report.problems.push(format!("document {document} of space {id}: {error}")),
            }
        }
        if self.spaces.rows.get(&id).is_some_and(|row| !documents.keys().any(|id| *id.as_bytes() == row.root))
        {
            report.problems.push(format!("space {id} has no document that lists its items"));
        }
        self.examine_feeds(&space, &mut documents, gauge, report)?;
        self.examine_items(&space, &documents, rebuild, report)
    }

    /// A document as the store has it, whatever is in memory.
    fn read(&self, id: &[u8; 16]) -> Result<Document, WalletError> {
        Ok(Document::load(&self.store.document(id)?.concat())?)
    }

    fn examine_feeds(
        &self,
        space: &str,
        documents: &mut BTreeMap<DocumentId, Document>,
        gauge: &Gauge,
        report: &mut DoctorReport,
    ) -> Result<(), WalletError> {
        let mut contents = ContentKeys::default();
        let mut opens = false;
        for row in self.store.epochs(space)? {
            match read_epoch(&row) {
                Ok((by, epoch)) => opens |= contents.add(&self.keys, by, &epoch),
                Err(error) => report.problems.push(format!("an epoch of space {space}: {error}")),
            }
        }
        for bytes in self.store.epoch_shares(space)? {
            match EpochShare::decode(&bytes) {
                Ok(share) => opens |= contents.add_share(&self.keys, &share),
                Err(error) => report.problems.push(format!("a key of space {space}: {error}")),
            }
        }
        if !opens && self.store.feeds(space)?.iter().any(|feed| feed.applied > 0) {
            report.problems.push(format!("no epoch of space {space} opens for this device"));
        }
        let mut missing: BTreeSet<DocumentId> = BTreeSet::new();
        self.examine_snapshot(space, documents, report)?;
        for feed in self.store.feeds(space)? {
            let cut = FeedKey::from_bytes(&feed.key).ok().and_then(|key| self.cut_of(&key));
            if let Err(problem) = checked(&self.store, &feed, cut.as_ref()) {
                report.problems.push(format!("a feed of space {space}: {problem}"));
                continue;
            }
            if !self.store.blocks(&feed.key, feed.length, 1)?.is_empty() {
                report.problems.push(format!("a feed of space {space} has blocks behind its end"));
            }
            let mut next = self.store.feed_base(&feed.key)?.map_or(0, |base| base.length);
            while next < feed.length {
                gauge.say(
                    "blocks",
                    usize::try_from(next).unwrap_or(0),
                    usize::try_from(feed.length).unwrap_or(0),
                );
                for row in self.store.blocks(&feed.key, next, STEP)? {
                    report.blocks += 1;
                    next = row.sequence + 1;
                    let Ok(header) = BlockHeader::decode(&row.header) else { continue };
                    match contents.open(&header, &row.sealed) {
                        // What waits for others is in no document yet.
                        Ok(_) if row.sequence >= feed.applied => {}
                        Ok(payload) => {
                            // Without its content key a block waits, and says nothing yet.
                            for change in payload.into_iter().flat_map(|payload| payload.changes) {
                                let id = DocumentId::from_bytes(&change.document)?;
                                let there = documents.get_mut(&id).is_some_and(|document| {
                                    document.apply(&change.bytes).is_ok_and(|it| it.known)
                                });
                                if !there {
                                    missing.insert(id);
                                }
                            }
                        }
                        Err(error) => {
                            report.problems.push(format!("block {} of space {space}: {error}", row.sequence));
                        }
                    }
                }
            }
        }
        for id in missing {
            report.problems.push(format!("document {id} of space {space} lacks changes that its feed has"));
        }
        Ok(())
    }

    /// Everything that a snapshot says is in the documents, and it covers what was dropped.
    fn examine_snapshot(
        &self,
        space: &str,
        documents: &mut BTreeMap<DocumentId, Document>,
        report: &mut DoctorReport,
    ) -> Result<(), WalletError> {
        let mut missing = Vec::new();
        let snapshot = self.read_snapshot(space, |document, bytes| {
            let id = DocumentId::from_bytes(&document)?;
            let there = documents
                .get_mut(&id)
                .is_some_and(|document| document.take_whole(&bytes).is_ok_and(|it| it.known));
            if !there {
                missing.push(format!("document {id} of space {space} lacks changes that the snapshot has"));
            }
            Ok(())
        })?;
        report.problems.extend(missing);
        report.snapshots += usize::from(snapshot.is_some());
        for feed in self.store.feeds(space)? {
            let base = self.store.feed_base(&feed.key)?.map_or(0, |base| base.length);
            let key = FeedKey::from_bytes(&feed.key).map_err(damaged)?;
            if snapshot.as_ref().map_or(0, |signed| signed.snapshot.covers(&key)) < base {
                let what =
                    format!("{base} blocks of a feed of space {space} are gone that no snapshot covers");
                report.problems.push(what);
            }
        }
        Ok(())
    }

    fn examine_items(
        &mut self,
        space: &str,
        documents: &BTreeMap<DocumentId, Document>,
        rebuild: bool,
        report: &mut DoctorReport,
    ) -> Result<(), WalletError> {
        let mut kept: BTreeMap<DocumentId, BTreeMap<String, Item>> = BTreeMap::new();
        self.store.items(space).visit(&Near::All, &mut |item| {
            report.items += 1;
            kept.entry(item.document).or_default().insert(item.id.clone(), item.clone());
        })?;
        let schemas = self.schemas(space)?;
        for (id, document) in documents {
            let items = Item::all_in(*id, &document.objects());
            let named =
                items.iter().filter_map(|item| Some((&item.id, schemas.check(item).into_iter().next()?)));
            let left = MOST_MISMATCHES.saturating_sub(report.mismatches.len());
            let said =
                named.take(left).map(|(id, mismatch)| format!("item {id} of space {space}: {mismatch}"));
            report.mismatches.extend(said);
            let wanted: BTreeMap<_, _> = items.iter().map(|item| (item.id.clone(), item.clone())).collect();
            if kept.remove(id).unwrap_or_default() == wanted {
                continue;
            }
            if rebuild {
                self.store.write(|tx| tx.put_items(space, id.as_bytes(), &items))?;
                report.rebuilt += 1;
            } else {
                report
                    .problems
                    .push(format!("the items of document {id} of space {space} are not what is in it"));
            }
        }
        let (counted, measured) = (self.store.space_size(space)?, self.store.measured_size(space)?);
        if counted != measured {
            if rebuild {
                self.store.write(|tx| tx.grow_space(space, measured - counted))?;
                report.rebuilt += 1;
            } else {
                report
                    .problems
                    .push(format!("space {space} takes {measured} bytes and is said to take {counted}"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
