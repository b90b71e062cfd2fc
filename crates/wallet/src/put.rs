//! What the owner writes into a space: new items, new properties, deletions.
//!
//! Everything in one call is one transaction, with one block of this device's feed.

use halo_echo::{
    Document, DocumentId, EchoError, Heads, Item, ItemKind, NewItem, Pen, SpaceId, Splice, SyncState, item_id,
};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::collection::{By, ItemView, shown};
use crate::engine::clock;
use crate::error::WalletError;
use crate::handle::Wallet;
use crate::open::Open;
use crate::random::random;
use crate::request::Scope;
use crate::spaces::{DocumentUpdated, NO_ITEM, NO_SPACE};
use crate::view::Event;

/// Items in one call.
pub(crate) const MOST_ITEMS: usize = 10_000;

/// What to write.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct PutItem {
    /// Of which item; none for a new one.
    pub id: Option<String>,
    /// Its type, for a new one: `example.org/type/Task`, with `:0.1.0` or without.
    pub r#type: Option<String>,
    /// The item that a new one belongs to.
    pub parent: Option<String>,
    /// Where a new relation comes from, and
    pub source: Option<String>,
    /// where it leads.
    pub target: Option<String>,
    /// All of its properties.
    pub data: Map<String, Value>,
    /// Only those in `data` are written, and `null` removes one; the others stay.
    #[serde(default)]
    pub merge: bool,
}

/// How far a peer has come with a document.
#[derive(Debug, Clone)]
pub struct Synced {
    /// For the next time.
    pub state: SyncState,
    /// What to say to them.
    pub message: Option<Vec<u8>>,
    /// There is such a document.
    pub known: bool,
}

impl Wallet {
    /// Adds an item, or writes all properties of one.
    ///
    /// # Errors
    /// [`WalletError::NotFound`], [`WalletError::BadInput`].
    pub async fn put_item(&self, by: &By, id: SpaceId, put: PutItem) -> Result<ItemView, WalletError> {
        let items = self.put_items(by, id, vec![put]).await?;
        items.into_iter().next().ok_or(NO_SPACE)
    }

    /// Adds items, or writes all properties of some; all of them or none.
    ///
    /// # Errors
    /// [`WalletError::NotFound`], [`WalletError::BadInput`].
    pub async fn put_items(
        &self,
        by: &By,
        id: SpaceId,
        put: Vec<PutItem>,
    ) -> Result<Vec<ItemView>, WalletError> {
        if put.len() > MOST_ITEMS {
            return Err(bad("at most 10,000 items are written at once"));
        }
        self.change_space(by.clone(), id, move |open| {
            let mut ids = Vec::with_capacity(put.len());
            let (mut fresh, mut edits) = (Vec::new(), Vec::new());
            for put in put {
                match put.id {
                    Some(id) => {
                        ids.push(id.clone());
                        edits.push((id, put.data, put.merge));
                    }
                    None => {
                        let item = new_item(put)?;
                        ids.push(item.id.clone());
                        fresh.push(item);
                    }
                }
            }
            let pen = open.pen(id);
            let edits = edits
                .into_iter()
                .map(|(item, data, merge)| Ok((open.item_of(id, &item)?, data, merge)))
                .collect::<Result<Vec<_>, WalletError>>()?;
            let done = open.together(id, |open, batch| {
                open.add_to(batch, id, &fresh)?;
                edits.iter().try_for_each(|(found, data, merge)| {
                    open.change(batch, found.document, |document| match merge {
                        true => document.merge_data(pen, &found.id, data),
                        false => document.set_data(pen, &found.id, data),
                    })
                })
            })?;
            let items = ids.iter().map(|item| Ok(shown(id, &open.item_of(id, item)?)));
            Ok((documents(done), items.collect::<Result<_, WalletError>>()?))
        })
        .await
    }

    /// Deletes an item, or restores it.
    ///
    /// # Errors
    /// [`WalletError::NotFound`].
    pub async fn set_item_deleted(
        &self,
        by: &By,
        id: SpaceId,
        item: String,
        deleted: bool,
    ) -> Result<(), WalletError> {
        self.change_space(by.clone(), id, move |open| {
            let edit =
                |document: &mut Document, pen, found: &Item| document.set_deleted(pen, &found.id, deleted);
            Ok((open.edit(id, &item, edit)?, ()))
        })
        .await
    }

    /// A text of an item, and the version it is.
    ///
    /// # Errors
    /// [`WalletError::NotFound`], [`WalletError::Forbidden`], [`WalletError::Echo`] if there is no such text.
    pub async fn text(
        &self,
        by: &By,
        id: SpaceId,
        item: String,
        property: String,
    ) -> Result<(String, Heads), WalletError> {
        let by = by.clone();
        self.try_job(move |engine| {
            let open = engine.unlocked()?;
            open.check(&by, id, Scope::Spaces)?;
            let document = open.item_of(id, &item)?.document;
            let held = open.spaces.hold(&open.store, id, document)?.ok_or(NO_ITEM)?;
            Ok(held.document.text(&item, &property)?)
        })
        .await
    }

    /// Changes a text as it was at a version, and gives what it is then.
    ///
    /// # Errors
    /// [`WalletError::NotFound`], [`WalletError::Forbidden`], [`WalletError::Echo`] if there is no such text, version or
    /// place.
    pub async fn splice_text(
        &self,
        by: &By,
        id: SpaceId,
        (item, property): (String, String),
        at: Option<Heads>,
        splice: Splice,
    ) -> Result<(String, Heads), WalletError> {
        self.change_space(by.clone(), id, move |open| {
            let edit = |document: &mut Document, pen, found: &Item| {
                document.splice_text(pen, &found.id, &property, at.as_deref(), &splice)
            };
            let documents = open.edit(id, &item, edit)?;
            let document = open.item_of(id, &item)?.document;
            let held = open.spaces.hold(&open.store, id, document)?.ok_or(NO_ITEM)?;
            Ok((documents, held.document.text(&item, &property)?))
        })
        .await
    }

    /// Takes a sync message for a document, which is made if there is none, and gives what to answer: on disk by then.
    /// Without a message it gives what to say first, or after a change.
    ///
    /// # Errors
    /// [`WalletError::NotFound`], [`WalletError::Forbidden`], [`WalletError::Echo`] for bytes that are no message.
    pub async fn sync_document(
        &self,
        by: &By,
        id: SpaceId,
        document: DocumentId,
        mut state: SyncState,
        message: Option<Vec<u8>>,
    ) -> Result<Synced, WalletError> {
        let by = by.clone();
        let Some(message) = message else {
            return self
                .try_job(move |engine| {
                    let open = engine.unlocked()?;
                    open.check(&by, id, Scope::Spaces)?;
                    open.next_sync(id, document, state)
                })
                .await;
        };
        self.try_job(move |engine| {
            let open = engine.unlocked()?;
            open.check(&by, id, Scope::Spaces)?;
            // Whoever may only look is answered, and what they send is not kept.
            let fresh = if open.check(&by, id, Scope::SpacesWrite).is_ok() {
                let receive = |held: &mut Document| held.receive_sync(&mut state, &message);
                documents(open.together(id, |open, batch| open.change(batch, document, receive))?)
            } else {
                if let Some(held) = open.spaces.hold(&open.store, id, document)? {
                    held.document.hear_sync(&mut state, &message)?;
                }
                Vec::new()
            };
            let synced = open.next_sync(id, document, state)?;
            if !fresh.is_empty() {
                engine.tell(Event::Documents { space: id, documents: fresh });
            }
            Ok(synced)
        })
        .await
    }
}

impl Open {
    /// What to say of a document; of one that is not here, that nothing of it is.
    fn next_sync(
        &mut self,
        space: SpaceId,
        document: DocumentId,
        mut state: SyncState,
    ) -> Result<Synced, WalletError> {
        let (known, message) = match self.spaces.hold(&self.store, space, document)? {
            Some(held) => (true, held.document.next_sync(&mut state)),
            None => (false, Document::empty().next_sync(&mut state)),
        };
        Ok(Synced { state, message, known })
    }

    /// Adds items to a space.
    pub(crate) fn add_items(
        &mut self,
        space: SpaceId,
        items: &[NewItem],
    ) -> Result<Vec<DocumentId>, WalletError> {
        self.together(space, |open, batch| open.add_to(batch, space, items)).map(documents)
    }

    /// As DXOS's clients do: a document for each item, and a link to it in the directory.
    pub(crate) fn add_to(
        &mut self,
        batch: &mut crate::held::Batch,
        space: SpaceId,
        items: &[NewItem],
    ) -> Result<(), WalletError> {
        if items.is_empty() {
            return Ok(());
        }
        let root = self.spaces.rows.get(&space).ok_or(NO_SPACE)?;
        let (key, root) = (data_encoding::HEXLOWER.encode(&root.key), DocumentId::from_bytes(&root.root)?);
        let pen = self.pen(space);
        let first = Document::directory(pen, &key)?;
        let mut links = Vec::with_capacity(items.len());
        for item in items {
            let document = DocumentId::from_random(random::<16>()?);
            links.push((item.id.clone(), document.url()));
            self.change(batch, document, |empty| {
                *empty = Document::with_item(&first, pen, item)?;
                Ok(empty.save())
            })?;
        }
        self.change(batch, root, |directory| directory.put_links(pen, &links))
    }

    /// Changes an item by the wallet's own pen.
    pub(crate) fn edit(
        &mut self,
        space: SpaceId,
        item: &str,
        edit: impl FnOnce(&mut Document, Pen, &Item) -> Result<Vec<u8>, EchoError>,
    ) -> Result<Vec<DocumentId>, WalletError> {
        let pen = self.pen(space);
        let found = self.item_of(space, item)?;
        self.together(space, |open, batch| {
            open.change(batch, found.document, |document| edit(document, pen, &found))
        })
        .map(documents)
    }
}

/// What was changed, without what was only looked at.
fn documents(done: Vec<DocumentUpdated>) -> Vec<DocumentId> {
    done.into_iter().filter(|one| one.before != one.after).map(|one| one.document).collect()
}

fn new_item(put: PutItem) -> Result<NewItem, WalletError> {
    let name = put.r#type.filter(|name| !name.is_empty() && !name.contains(char::is_whitespace));
    let name = name.ok_or_else(|| bad("an item needs a type"))?;
    let typename = if name.starts_with("dxn:") { name } else { format!("dxn:type:{name}") };
    let ends = match (put.source, put.target) {
        (Some(source), Some(target)) => Some((source, target)),
        (None, None) => None,
        _ => return Err(bad("a relation needs a source and a target")),
    };
    let kind = if ends.is_some() { ItemKind::Relation } else { ItemKind::Object };
    let id = item_id(clock().as_millis(), random()?);
    Ok(NewItem { id, kind, typename, parent: put.parent, ends, keys: Vec::new(), data: put.data })
}

fn bad(what: &str) -> WalletError {
    WalletError::BadInput { what: what.to_owned() }
}
