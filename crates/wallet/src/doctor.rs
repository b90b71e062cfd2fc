//! `halo doctor`: everything that is kept, checked against everything else.

use std::collections::{BTreeMap, BTreeSet};

use halo_echo::replication::Open as _;
use halo_echo::{Document, DocumentId, Index, Item, Near, SpaceId};
use halo_protocol::FeedKey;
use halo_protocol::feed::BlockHeader;
use serde::{Deserialize, Serialize};

use crate::error::WalletError;
use crate::feeds::{ContentKeys, checked};
use crate::handle::Wallet;
use crate::open::Open;

/// Blocks that are read at once.
const STEP: usize = 1_000;

/// What was looked at, and what is wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoctorReport {
    /// Spaces.
    pub spaces: usize,
    /// Blocks, each with its place in the chain and its seal.
    pub blocks: u64,
    /// Documents.
    pub documents: usize,
    /// Items.
    pub items: usize,
    /// What is wrong, in sentences.
    pub problems: Vec<String>,
    /// Documents whose items were written anew.
    pub rebuilt: usize,
}

impl Wallet {
    /// Checks the database page by page, the activity log, the chains and seals of all blocks, that every change in a
    /// block is in its document, and that the indexes say what the documents say. With `rebuild`, indexes that do not
    /// are made anew; nothing else is ever changed. Takes about four seconds for 10,000 items.
    ///
    /// # Errors
    /// [`WalletError::Locked`]; what is wrong with the data is in the report.
    pub async fn doctor(&self, rebuild: bool) -> Result<DoctorReport, WalletError> {
        self.try_job(move |engine| {
            let open = engine.unlocked()?;
            let mut report = DoctorReport::default();
            if let Err(error) = open.store.verify() {
                report.problems.push(format!("the database: {error}"));
            }
            let ids: Vec<SpaceId> = open.spaces.rows.keys().copied().collect();
            for id in ids {
                report.spaces += 1;
                if let Err(error) = open.examine(id, rebuild, &mut report) {
                    report.problems.push(format!("space {id}: {error}"));
                }
            }
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
    fn examine(&mut self, id: SpaceId, rebuild: bool, report: &mut DoctorReport) -> Result<(), WalletError> {
        let space = id.to_string();
        let mut documents: BTreeMap<DocumentId, Document> = BTreeMap::new();
        for bytes in self.store.documents(&space)? {
            report.documents += 1;
            let document = DocumentId::from_bytes(&bytes)?;
            match self.read(&bytes) {
                Ok(read) => drop(documents.insert(document, read)),
                Err(error) => report.problems.push(format!("document {document} of space {id}: {error}")),
            }
        }
        self.examine_feeds(&space, &mut documents, report)?;
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
        report: &mut DoctorReport,
    ) -> Result<(), WalletError> {
        let contents = ContentKeys::load(&self.store, &self.keys, space)?;
        let mut missing: BTreeSet<DocumentId> = BTreeSet::new();
        for feed in self.store.feeds(space)? {
            let cut = FeedKey::from_bytes(&feed.key).ok().and_then(|key| self.cut_of(&key));
            if let Err(problem) = checked(&self.store, &feed, cut.as_ref()) {
                report.problems.push(format!("a feed of space {space}: {problem}"));
                continue;
            }
            let mut next = 0;
            while next < feed.length {
                for row in self.store.blocks(&feed.key, next, STEP)? {
                    report.blocks += 1;
                    next = row.sequence + 1;
                    let Ok(header) = BlockHeader::decode(&row.header) else { continue };
                    match contents.open(&header, &row.sealed) {
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
        for (id, document) in documents {
            let items = Item::all_in(*id, &document.objects());
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
mod tests {
    use std::sync::Arc;

    use halo_keystore::{KeychainChoice, MemoryKeychain};
    use halo_store::FeedRow;
    use serde_json::json;

    use super::*;
    use crate::{By, CreateIdentity, KdfTarget, PutItem, WalletConfig};

    /// A wallet with one item in one space.
    async fn wallet(dir: &std::path::Path) -> (Wallet, SpaceId) {
        let wallet = Wallet::open(WalletConfig {
            profile: dir.join("profile"),
            keychain: Arc::new(MemoryKeychain::default()),
            program: "test".into(),
            kdf_target: KdfTarget::Floor,
            watch_session: false,
        })
        .await
        .unwrap();
        let new = CreateIdentity { name: "Ada".into(), passphrase: None, keychain: KeychainChoice::Os };
        wallet.create_identity(new).await.unwrap();
        let space: SpaceId = wallet.add_space("Home".into()).await.unwrap().id.parse().unwrap();
        let data = json!({"title": "Milk"}).as_object().unwrap().clone();
        let put = PutItem { r#type: Some("example.org/type/Task".into()), data, ..PutItem::default() };
        wallet.put_item(&By::Owner, space, put).await.unwrap();
        (wallet, space)
    }

    /// Changes the store behind the back of the wallet.
    async fn behind_the_back(
        wallet: &Wallet,
        change: impl FnOnce(
            &mut halo_store::Tx<'_>,
            &str,
            &FeedRow,
            Vec<[u8; 16]>,
        ) -> Result<(), halo_store::StoreError>
        + Send
        + 'static,
        space: SpaceId,
    ) {
        wallet
            .try_job(move |engine| {
                let open = engine.unlocked()?;
                let name = space.to_string();
                let feed = open.store.feeds(&name)?.remove(0);
                let documents = open.store.documents(&name)?;
                Ok(open.store.write(|tx| change(tx, &name, &feed, documents))?)
            })
            .await
            .unwrap();
    }

    // threat: 32
    #[tokio::test]
    async fn an_index_that_is_not_what_is_in_a_document_is_found_and_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let (wallet, space) = wallet(dir.path()).await;
        assert_eq!(wallet.doctor(false).await.unwrap().problems, [] as [&str; 0]);
        let damage = |tx: &mut halo_store::Tx<'_>, space: &str, _: &FeedRow, documents: Vec<[u8; 16]>| {
            documents.iter().try_for_each(|id| tx.put_items(space, id, &[]))
        };
        behind_the_back(&wallet, damage, space).await;
        let report = wallet.doctor(false).await.unwrap();
        assert_eq!((report.problems.len(), report.items), (2, 1), "the HALO space has one item: {report:?}");
        assert_eq!(wallet.doctor(true).await.unwrap().rebuilt, 2);
        let report = wallet.doctor(false).await.unwrap();
        assert_eq!((report.problems.len(), report.items), (0, 2 + 1), "{report:?}");
    }

    // threat: 32
    #[tokio::test]
    async fn a_document_that_lost_a_change_and_a_feed_that_lost_a_block_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let (wallet, space) = wallet(dir.path()).await;
        behind_the_back(
            &wallet,
            |tx, space, _, documents| {
                documents.iter().try_for_each(|id| tx.save_document(space, id, &Document::empty().save()))
            },
            space,
        )
        .await;
        let problems = wallet.doctor(true).await.unwrap().problems.join("\n");
        assert!(problems.contains("lacks changes that its feed has"), "{problems}");
        behind_the_back(
            &wallet,
            |tx, space, feed, _| tx.put_feed(space, &FeedRow { length: feed.length + 1, ..feed.clone() }),
            space,
        )
        .await;
        let problems = wallet.doctor(false).await.unwrap().problems.join("\n");
        assert!(problems.contains("no signature covers block"), "{problems}");
    }
}
