//! A space in a file: everything of it for oneself or to a passphrase, or its items for reading.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use halo_echo::{Document, DocumentId, Index, Item, NewItem, SpaceId};
use halo_keystore::{ArchiveForm, ArchiveKey, KdfCost, Passphrase};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::collection::{SpaceDetails, shown};
use crate::engine::Engine;
use crate::error::WalletError;
use crate::gauge::Gauge;
use crate::handle::{Wallet, beside};
use crate::open::Open;
use crate::spaces::{NO_SPACE, PROPERTIES, properties};
use crate::view::Event;

/// Larger files are not read.
const LARGEST: u64 = 1024 * 1024 * 1024;
/// Documents, and about how many bytes of them, in one transaction.
const BATCH: (usize, usize) = (1_000, 4 * 1024 * 1024);

/// Bytes that are written at once.
const PART: usize = 1024 * 1024;

/// How a space is written to a file.
pub enum Sealing {
    /// For oneself: any wallet of the same words opens it.
    Own,
    /// Whoever knows the passphrase opens it.
    Passphrase(Passphrase),
    /// Not at all: its items as JSON, for reading.
    Plain,
}

/// What came of reading a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// The space.
    pub space: SpaceDetails,
    /// It was here and took in what the file had; otherwise it is a new space with the items as they were last.
    pub merged: bool,
}

/// A whole space.
#[derive(Serialize, Deserialize)]
struct Archive {
    format: u32,
    id: String,
    name: Option<String>,
    /// Document id and Automerge bytes in base64, by id.
    documents: Vec<(String, String)>,
}

fn bad(what: impl Into<String>) -> WalletError {
    WalletError::BadInput { what: what.into() }
}

impl Wallet {
    /// Writes a space to a new file that only this user may read.
    ///
    /// # Errors
    /// [`WalletError::NotFound`]; [`WalletError::BadInput`] if the file is there already or cannot be written.
    pub async fn export_space(
        &self,
        id: SpaceId,
        file: PathBuf,
        how: Sealing,
        gauge: Gauge,
    ) -> Result<(), WalletError> {
        let telling = gauge.clone();
        let cost = KdfCost::FLOOR;
        let (content, key) = match how {
            Sealing::Plain => {
                (self.try_job(move |engine| engine.unlocked()?.items_in_plain(id, &telling)).await?, None)
            }
            Sealing::Own => {
                let (content, key) = self
                    .try_job(move |engine| {
                        let open = engine.unlocked()?;
                        Ok((open.archive(id, &telling)?, open.keys.archive_key()?))
                    })
                    .await?;
                (content, Some(key))
            }
            Sealing::Passphrase(passphrase) => {
                let key = beside(move || Ok(ArchiveKey::by_passphrase(&passphrase, cost)?)).await?;
                (self.try_job(move |engine| engine.unlocked()?.archive(id, &telling)).await?, Some(key))
            }
        };
        beside(move || {
            let bytes = match key {
                Some(key) => {
                    gauge.say("seal", 0, content.len());
                    key.seal(&content)?
                }
                None => content,
            };
            write_new(&file, &bytes, &gauge)
        })
        .await
    }

    /// Reads what [`Self::export_space`] wrote. A space that is still here takes in what it lacks, history included;
    /// otherwise a new space is made of the items as they were last.
    ///
    /// # Errors
    /// [`WalletError::BadInput`] if the file cannot be read, or needs a passphrase; [`WalletError::Keystore`] if it does
    /// not open; [`WalletError::Echo`] if what is in it is no space.
    pub async fn import_space(
        &self,
        file: PathBuf,
        passphrase: Option<Passphrase>,
        gauge: Gauge,
    ) -> Result<Imported, WalletError> {
        let bytes = beside(move || read_whole(&file)).await?;
        let key = match (ArchiveForm::of(&bytes)?, passphrase) {
            (ArchiveForm::Own, _) => {
                self.try_job(|engine| Ok(engine.unlocked()?.keys.archive_key()?)).await?
            }
            (ArchiveForm::Passphrase(cost, salt), Some(passphrase)) => {
                beside(move || Ok(ArchiveKey::again(&passphrase, cost, salt)?)).await?
            }
            (ArchiveForm::Passphrase(..), None) => {
                return Err(bad("this file was sealed with a passphrase, which is needed to read it"));
            }
        };
        let telling = gauge.clone();
        let (archive, documents) = beside(move || parse(&key.open(&bytes)?, &telling)).await?;
        self.try_job(move |engine| engine.import(&archive, documents, &gauge)).await
    }
}

fn parse(plain: &[u8], gauge: &Gauge) -> Result<(Archive, Vec<(DocumentId, Document)>), WalletError> {
    let archive: Archive =
        serde_json::from_slice(plain).map_err(|_| bad("what is in the file is no space"))?;
    if archive.format != 1 {
        return Err(bad("the file was written by a newer version of HALO"));
    }
    let mut documents = Vec::with_capacity(archive.documents.len());
    for (done, (id, bytes)) in archive.documents.iter().enumerate() {
        gauge.say("read", done, archive.documents.len());
        let bytes = BASE64.decode(bytes.as_bytes()).map_err(|_| bad("a document in the file is damaged"))?;
        documents.push((id.parse()?, Document::load(&bytes)?));
    }
    Ok((archive, documents))
}

impl Engine {
    fn import(
        &mut self,
        archive: &Archive,
        documents: Vec<(DocumentId, Document)>,
        gauge: &Gauge,
    ) -> Result<Imported, WalletError> {
        let open = self.unlocked()?;
        let id: SpaceId = archive.id.parse()?;
        let merged = open.spaces.rows.contains_key(&id);
        let id = match merged {
            true => open.merge(id, &documents, gauge)?,
            false => open.copy_of(archive, &documents, gauge)?,
        };
        let space = open.details(id)?;
        let changed = documents.into_iter().map(|(document, _)| document).collect();
        self.tell(Event::Spaces);
        self.tell(Event::Documents { space: id, documents: changed });
        Ok(Imported { space, merged })
    }
}

impl Open {
    fn archive(&mut self, id: SpaceId, gauge: &Gauge) -> Result<Vec<u8>, WalletError> {
        let space = self.spaces.rows.get(&id).ok_or(NO_SPACE)?.id.clone();
        let all = self.store.documents(&space)?;
        let mut documents = Vec::with_capacity(all.len());
        for (done, document) in all.iter().enumerate() {
            gauge.say("read", done, all.len());
            let bytes = BASE64.encode(&self.store.document(document)?.concat());
            documents.push((DocumentId::from_bytes(document)?.to_string(), bytes));
        }
        let archive = Archive { format: 1, id: space, name: self.space_name(id)?, documents };
        serde_json::to_vec(&archive).map_err(|error| bad(error.to_string()))
    }

    fn items_in_plain(&mut self, id: SpaceId, gauge: &Gauge) -> Result<Vec<u8>, WalletError> {
        let space = self.spaces.rows.get(&id).ok_or(NO_SPACE)?.id.clone();
        let items = self.store.items(&space);
        let count = self.store.item_count(&space)?;
        let mut shown_items = Vec::new();
        items.visit(&halo_echo::Near::All, &mut |item| {
            gauge.say("read", shown_items.len().min(count), count);
            if !item.is_of(PROPERTIES) {
                shown_items.push(shown(id, item));
            }
        })?;
        shown_items.sort_by(|one, other| one.id.cmp(&other.id));
        let all = json!({ "space": space, "name": self.space_name(id)?, "items": shown_items });
        serde_json::to_vec_pretty(&all).map_err(|error| bad(error.to_string()))
    }

    fn merge(
        &mut self,
        id: SpaceId,
        documents: &[(DocumentId, Document)],
        gauge: &Gauge,
    ) -> Result<SpaceId, WalletError> {
        let mut done = 0;
        for some in batches(documents) {
            gauge.say("write", done, documents.len());
            done += some.len();
            self.together(id, |open, batch| {
                some.iter().try_for_each(|(document, theirs)| {
                    open.change(batch, *document, |held| {
                        let bytes = theirs.since(&held.heads());
                        Ok(if held.apply(&bytes)?.known { Vec::new() } else { bytes })
                    })
                })
            })?;
        }
        Ok(id)
    }

    /// A new space with the items as they were last. Its documents are new: another space's key is in the old ones.
    fn copy_of(
        &mut self,
        archive: &Archive,
        documents: &[(DocumentId, Document)],
        gauge: &Gauge,
    ) -> Result<SpaceId, WalletError> {
        let mut items = Vec::new();
        for (id, document) in documents {
            items.extend(Item::all_in(*id, &document.objects()));
        }
        items.retain(|item| !item.deleted && !item.is_of(PROPERTIES));
        let id = self.begin_space(None, Some(properties(archive.name.as_deref())?))?.id;
        let items: Vec<NewItem> = items.into_iter().map(NewItem::copy_of).collect();
        for (batch, some) in items.chunks(BATCH.0).enumerate() {
            gauge.say("write", batch * BATCH.0, items.len());
            self.add_items(id, some)?;
        }
        Ok(id)
    }
}

/// Parts that fit into one transaction.
fn batches(documents: &[(DocumentId, Document)]) -> Vec<&[(DocumentId, Document)]> {
    let mut batches = Vec::new();
    let mut rest = documents;
    while !rest.is_empty() {
        let mut size = 0;
        let count = rest
            .iter()
            .take(BATCH.0)
            .take_while(|(_, document)| {
                size += document.size();
                size < BATCH.1
            })
            .count()
            .max(1);
        let (some, left) = rest.split_at(count);
        batches.push(some);
        rest = left;
    }
    batches
}

fn write_new(path: &Path, bytes: &[u8], gauge: &Gauge) -> Result<(), WalletError> {
    if !path.is_absolute() {
        return Err(bad("the file needs an absolute path"));
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(path).and_then(|mut file| {
        for (part, some) in bytes.chunks(PART).enumerate() {
            gauge.say("write", part * PART, bytes.len());
            file.write_all(some)?;
        }
        file.sync_all()
    });
    written.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => bad("there is a file of that name already"),
        _ => bad(format!("the file cannot be written: {error}")),
    })
}

fn read_whole(path: &Path) -> Result<Vec<u8>, WalletError> {
    let unreadable = |error: std::io::Error| bad(format!("the file cannot be read: {error}"));
    if !path.is_absolute() {
        return Err(bad("the file needs an absolute path"));
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .map_err(unreadable)?
        .take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST {
        return Err(bad("the file is larger than 1 GiB"));
    }
    Ok(bytes)
}

/// Reads any bytes as a file of a space, and as what is sealed in one, for `fuzz/`.
#[cfg(fuzzing)]
pub fn fuzz(bytes: &[u8]) {
    let _ = ArchiveForm::of(bytes);
    if let Ok((_, documents)) = parse(bytes, &Gauge::unseen()) {
        let _ = batches(&documents);
    }
}
