//! What the owner writes into a space: new items, new properties, deletions.
//!
//! Everything in one call is one transaction, with one block of this device's feed.

use std::collections::btree_map::Entry;

use halo_echo::schema::{SCHEMA, is_schema};
use halo_echo::{
    Beginning, Document, DocumentId, EchoError, Item, ItemKind, NewItem, Pen, SpaceId, SyncState, item_id,
};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::collection::{By, ForeignKey, ItemView, shown};
use crate::engine::clock;
use crate::error::WalletError;
use crate::handle::Wallet;
use crate::open::Open;
use crate::random::random;
use crate::request::Scope;
use crate::spaces::{DocumentUpdated, NO_SPACE, PROPERTIES};
use crate::view::Event;

/// Items in one call.
pub(crate) const MOST_ITEMS: usize = 10_000;
/// Foreign keys of an item, and tags.
const MOST_NAMES: usize = 100;
/// Letters in one of them.
const LONGEST_NAME: usize = 500;
/// Generations that are looked through for a circle.
const MOST_ANCESTORS: usize = 64;

/// What to write.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct PutItem {
    /// Of which item; none for a new one.
    pub id: Option<String>,
    /// Its type, for a new one: `example.org/type/Task`, with `:0.1.0` or without.
    pub r#type: Option<String>,
    /// The item that it belongs to; an empty one takes it out of where it is.
    pub parent: Option<String>,
    /// Where a new relation comes from, and
    pub source: Option<String>,
    /// where it leads.
    pub target: Option<String>,
    /// All of its names elsewhere.
    pub keys: Option<Vec<ForeignKey>>,
    /// All that it is filed under.
    pub tags: Option<Vec<String>>,
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
        self.change_items(by.clone(), id, move |open| {
            let mut ids = Vec::with_capacity(put.len());
            let (mut fresh, mut edits) = (Vec::new(), Vec::new());
            for put in put {
                check_names(&put)?;
                match put.id.clone() {
                    Some(item) => {
                        let found = open.item_of(id, &item)?;
                        open.check_parent(id, &put, Some(&item))?;
                        ids.push(item);
                        edits.push((found, put));
                    }
                    None => {
                        open.check_parent(id, &put, None)?;
                        open.check_ends(id, &put)?;
                        let item = new_item(put)?;
                        ids.push(item.id.clone());
                        fresh.push(item);
                    }
                }
            }
            let of_schemas = fresh.iter().any(|item| is_schema(&item.typename))
                || edits.iter().any(|(item, _)| item.is_of(SCHEMA));
            let of_itself = fresh.iter().any(|item| item.typename == PROPERTIES)
                || edits.iter().any(|(item, _)| item.is_of(PROPERTIES));
            let pen = open.pen(id);
            let done = open.together_by_schema(id, of_schemas, |open, batch| {
                open.add_to(batch, id, &fresh)?;
                edits.iter().try_for_each(|(found, put)| {
                    open.change(batch, found.document, |document| write(document, pen, &found.id, put))
                })
            })?;
            let items = ids.iter().map(|item| Ok(shown(id, &open.item_of(id, item)?)));
            Ok((documents(done), of_itself, items.collect::<Result<_, WalletError>>()?))
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
        self.change_items(by.clone(), id, move |open| {
            let of_itself = open.item_of(id, &item)?.is_of(PROPERTIES);
            let edit =
                |document: &mut Document, pen, found: &Item| document.set_deleted(pen, &found.id, deleted);
            Ok((open.edit(id, &item, edit)?, of_itself, ()))
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
                    open.visit(&by, id, Scope::Spaces)?;
                    open.next_sync(id, document, state)
                })
                .await;
        };
        self.try_job(move |engine| {
            let open = engine.unlocked()?;
            open.visit(&by, id, Scope::Spaces)?;
            // Whoever may only look is answered, and what they send is not kept.
            let fresh = if open.check(&by, id, Scope::SpacesWrite).is_ok() {
                let receive = |held: &mut Document| held.receive_sync(&mut state, &message);
                documents(open.by_hand_of(&by, |open| {
                    open.together(id, |open, batch| open.change(batch, document, receive))
                })?)
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
        let beginning = match self.spaces.beginnings.entry((space, pen.actor)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(room) => room.insert(Beginning::new(pen, &key)?),
        };
        let mut links = Vec::with_capacity(items.len());
        for item in items {
            let document = DocumentId::from_random(random::<16>()?);
            links.push((item.id.clone(), document.url()));
            batch.make(document, beginning.with_item(pen, document, item)?, pen);
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
        self.together_by_schema(space, found.is_of(SCHEMA), |open, batch| {
            open.change(batch, found.document, |document| edit(document, pen, &found))
        })
        .map(documents)
    }

    /// The item that another one is put under is there, and not below that one itself.
    fn check_parent(&self, space: SpaceId, put: &PutItem, child: Option<&str>) -> Result<(), WalletError> {
        let Some(parent) = put.parent.as_deref().filter(|parent| !parent.is_empty()) else { return Ok(()) };
        let mut next = Some(self.end_of(space, parent, "parent")?);
        for _ in 0..MOST_ANCESTORS {
            let Some(item) = next else { break };
            if child == Some(item.id.as_str()) {
                return Err(bad("an item cannot be put under itself"));
            }
            next = item.parent.and_then(|above| self.item_of(space, &above).ok());
        }
        Ok(())
    }

    /// Both ends of a relation are there.
    fn check_ends(&self, space: SpaceId, put: &PutItem) -> Result<(), WalletError> {
        for (end, what) in [(&put.source, "source"), (&put.target, "target")] {
            if let Some(end) = end {
                self.end_of(space, end, what)?;
            }
        }
        Ok(())
    }

    fn end_of(&self, space: SpaceId, item: &str, what: &str) -> Result<Item, WalletError> {
        self.item_of(space, item).map_err(|error| match error {
            WalletError::NotFound { .. } => bad(&format!("the {what} is no item of this space")),
            other => other,
        })
    }
}

/// Everything that is to be written of an item that is there.
fn write(document: &mut Document, pen: Pen, id: &str, put: &PutItem) -> Result<Vec<u8>, EchoError> {
    let mut change = match put.merge {
        true => document.merge_data(pen, id, &put.data)?,
        false => document.set_data(pen, id, &put.data)?,
    };
    if let Some(parent) = &put.parent {
        let parent = Some(parent.as_str()).filter(|parent| !parent.is_empty());
        change.extend(document.set_parent(pen, id, parent)?);
    }
    if let Some(keys) = &put.keys {
        change.extend(document.set_keys(pen, id, &pairs(keys))?);
    }
    if let Some(tags) = &put.tags {
        change.extend(document.set_tags(pen, id, tags)?);
    }
    Ok(change)
}

fn pairs(keys: &[ForeignKey]) -> Vec<(String, String)> {
    keys.iter().map(|key| (key.source.clone(), key.id.clone())).collect()
}

/// Keys and tags are few and short.
fn check_names(put: &PutItem) -> Result<(), WalletError> {
    let (keys, tags) = (put.keys.as_deref().unwrap_or_default(), put.tags.as_deref().unwrap_or_default());
    if keys.len() > MOST_NAMES || tags.len() > MOST_NAMES {
        return Err(bad("an item has at most 100 foreign keys and 100 tags"));
    }
    let mut names = keys.iter().flat_map(|key| [&key.source, &key.id]).chain(tags);
    if names.any(|name| name.is_empty() || name.chars().take(LONGEST_NAME + 1).count() > LONGEST_NAME) {
        return Err(bad("foreign keys and tags have 1 to 500 letters"));
    }
    Ok(())
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
    let parent = put.parent.filter(|parent| !parent.is_empty());
    let (keys, tags) = (pairs(&put.keys.unwrap_or_default()), put.tags.unwrap_or_default());
    Ok(NewItem { id, kind, typename, parent, ends, keys, tags, data: put.data })
}

fn bad(what: &str) -> WalletError {
    WalletError::BadInput { what: what.to_owned() }
}
