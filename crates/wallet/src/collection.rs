//! Spaces as their owner sees them: all of them, whoever made them, with everything in them.

use halo_echo::query::{Index, Query, evaluate};
use halo_echo::{Document, DocumentId, Item, ItemKind, NewItem, SpaceId, item_id};
use halo_store::SpaceAppRow;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use ts_rs::TS;

use crate::engine::{Engine, clock};
use crate::error::WalletError;
use crate::handle::Wallet;
use crate::open::Open;
use crate::random::random;
use crate::request::{GrantId, Scope};
use crate::spaces::{NO_ITEM, NO_SPACE, PROPERTIES, app_of, properties};
use crate::view::Event;

/// Versions of an item that are shown.
const MOST_VERSIONS: usize = 50;
/// A name of a space is not longer.
const LONGEST_NAME: usize = 100;

/// A space, with what its owner wants to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct SpaceDetails {
    /// `B…`.
    pub id: String,
    /// What it is called, by its owner or by the app that made it.
    pub name: Option<String>,
    /// Milliseconds since the epoch.
    #[ts(type = "number")]
    pub created: u64,
    /// Items in it, without deleted ones.
    pub items: usize,
    /// Bytes of its documents.
    #[ts(type = "number")]
    pub bytes: u64,
    /// Who sees it.
    pub apps: Vec<SpaceApp>,
}

/// An app that sees a space.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct SpaceApp {
    /// How spaces name it.
    pub app: String,
    /// Its grant; none while it is not let in.
    pub grant: Option<GrantId>,
    /// It made the space; otherwise the owner shared it.
    pub made: bool,
    /// It keeps here what has no other place.
    pub default: bool,
}

/// An item, with what is in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct ItemView {
    /// A ULID.
    pub id: String,
    /// Its space.
    pub space: String,
    /// `object` or `relation`.
    pub kind: String,
    /// Its type, without what all types have in common.
    pub r#type: Option<String>,
    /// Deleted, and can be restored.
    pub deleted: bool,
    /// The item it belongs to.
    pub parent: Option<String>,
    /// Where a relation comes from.
    pub source: Option<String>,
    /// Where it leads.
    pub target: Option<String>,
    /// Its properties.
    #[ts(type = "unknown")]
    pub data: Value,
}

/// A state that an item was in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct ItemVersion {
    /// Names it.
    pub change: String,
    /// Milliseconds since the epoch, by the clock of whoever wrote it; none if they did not say.
    #[ts(type = "number | null")]
    pub at: Option<u64>,
    /// It was deleted then.
    pub deleted: bool,
    /// Its properties then.
    #[ts(type = "unknown")]
    pub data: Value,
}

/// What to write.
#[derive(Debug, Clone, Deserialize)]
pub struct PutItem {
    /// Of which item; none for a new one.
    pub id: Option<String>,
    /// Its type, for a new one: `example.org/type/Task`, with `:0.1.0` or without.
    pub r#type: Option<String>,
    /// All of its properties.
    pub data: Map<String, Value>,
}

impl Wallet {
    /// Every space, oldest first.
    ///
    /// # Errors
    /// [`WalletError::Locked`].
    pub async fn all_spaces(&self) -> Result<Vec<SpaceDetails>, WalletError> {
        self.try_job(|engine| {
            let open = engine.unlocked()?;
            open.space_ids().into_iter().map(|id| open.details(id)).collect()
        })
        .await
    }

    /// Makes a space that no app sees yet.
    ///
    /// # Errors
    /// [`WalletError::BadInput`] for a name that is none.
    pub async fn add_space(&self, name: String) -> Result<SpaceDetails, WalletError> {
        let name = checked_name(&name)?;
        self.try_job(move |engine| {
            let open = engine.unlocked()?;
            let id = open.begin_space(None, Some(properties(Some(&name))?))?.id;
            let details = open.details(id)?;
            engine.tell(Event::Spaces);
            Ok(details)
        })
        .await
    }

    /// Names a space.
    ///
    /// # Errors
    /// [`WalletError::NotFound`], [`WalletError::BadInput`].
    pub async fn rename_space(&self, id: SpaceId, name: String) -> Result<(), WalletError> {
        let name = checked_name(&name)?;
        self.owner(id, move |open| {
            let named = open.index_of(id)?.of_type(PROPERTIES).first().map(|item| (*item).to_owned());
            match named {
                Some(item) => open.edit(id, &item, |document, pen, found| {
                    let mut data = found.data.as_object().cloned().unwrap_or_default();
                    data.insert("name".into(), name.into());
                    document.set_data(pen, &found.id, &data)
                }),
                None => open.add_item(id, &properties(Some(&name))?),
            }
        })
        .await
    }

    /// Lets an app see a space.
    ///
    /// # Errors
    /// [`WalletError::NotFound`]; [`WalletError::Forbidden`] if its grant knows nothing of spaces.
    pub async fn share_space(&self, id: SpaceId, grant: &GrantId) -> Result<(), WalletError> {
        let grant = grant.clone();
        self.owner(id, move |open| {
            let app = open.app(&grant, Scope::Spaces)?;
            if open.spaces.sees(&app, id) {
                return Ok(Vec::new());
            }
            let row = SpaceAppRow { app, space: id.to_string(), made: false, default: false };
            open.store.write(|tx| tx.put_space_app(&row))?;
            open.spaces.apps.push(row);
            Ok(Vec::new())
        })
        .await
    }

    /// Hides a space from an app again; one that it made as well.
    ///
    /// # Errors
    /// [`WalletError::NotFound`]; [`WalletError::BadInput`] for the default space of an app, which would make another.
    pub async fn unshare_space(&self, id: SpaceId, app: String) -> Result<(), WalletError> {
        self.owner(id, move |open| {
            let space = id.to_string();
            let row = open.spaces.apps.iter().find(|row| row.app == app && row.space == space);
            if row.is_some_and(|row| row.default) {
                let what = "an app cannot be without its own space; end its access instead".to_owned();
                return Err(WalletError::BadInput { what });
            }
            open.store.write(|tx| tx.remove_space_app(&app, &space))?;
            open.spaces.apps.retain(|row| row.app != app || row.space != space);
            Ok(Vec::new())
        })
        .await
    }

    /// Deletes a space with everything in it, for good.
    ///
    /// # Errors
    /// [`WalletError::NotFound`].
    pub async fn delete_space(&self, id: SpaceId) -> Result<(), WalletError> {
        self.owner(id, move |open| {
            open.store.write(|tx| tx.delete_space(&id.to_string()))?;
            open.spaces.drop_space(id);
            Ok(Vec::new())
        })
        .await
    }

    /// What a query finds in a space, deleted items included if the query asks for them.
    ///
    /// # Errors
    /// [`WalletError::NotFound`].
    pub async fn items(&self, id: SpaceId, query: Query) -> Result<Vec<ItemView>, WalletError> {
        self.try_job(move |engine| {
            let index = engine.unlocked()?.index_of(id)?;
            let found = evaluate(&query, index);
            Ok(found.into_iter().filter_map(|item| index.item(item)).map(|item| shown(id, item)).collect())
        })
        .await
    }

    /// Adds an item, or writes all properties of one.
    ///
    /// # Errors
    /// [`WalletError::NotFound`], [`WalletError::BadInput`].
    pub async fn put_item(&self, id: SpaceId, put: PutItem) -> Result<ItemView, WalletError> {
        let item = match &put.id {
            Some(item) => item.clone(),
            None => item_id(clock().as_millis(), random()?),
        };
        let made = item.clone();
        self.owner(id, move |open| match put.id {
            Some(item) => {
                open.edit(id, &item, |document, pen, found| document.set_data(pen, &found.id, &put.data))
            }
            None => {
                let name = put.r#type.filter(|name| !name.is_empty() && !name.contains(char::is_whitespace));
                let name =
                    name.ok_or_else(|| WalletError::BadInput { what: "an item needs a type".into() })?;
                let typename = if name.starts_with("dxn:") { name } else { format!("dxn:type:{name}") };
                let kind = ItemKind::Object;
                open.add_item(
                    id,
                    &NewItem { id: made, kind, typename, parent: None, ends: None, data: put.data },
                )
            }
        })
        .await?;
        self.item(id, item).await
    }

    /// One item.
    ///
    /// # Errors
    /// [`WalletError::NotFound`].
    pub async fn item(&self, id: SpaceId, item: String) -> Result<ItemView, WalletError> {
        self.try_job(move |engine| {
            let index = engine.unlocked()?.index_of(id)?;
            index.item(&item).map(|item| shown(id, item)).ok_or(NO_ITEM)
        })
        .await
    }

    /// The states that an item was in, newest first, the present one included; at most fifty.
    ///
    /// # Errors
    /// [`WalletError::NotFound`].
    pub async fn item_versions(&self, id: SpaceId, item: String) -> Result<Vec<ItemVersion>, WalletError> {
        self.try_job(move |engine| {
            let open = engine.unlocked()?;
            let document = open.index_of(id)?.item(&item).ok_or(NO_ITEM)?.document;
            let held = open.spaces.hold(&open.store, id, document)?.ok_or(NO_ITEM)?;
            let versions =
                held.document.versions(&item, MOST_VERSIONS).into_iter().map(|version| ItemVersion {
                    change: version.change,
                    at: u64::try_from(version.seconds)
                        .ok()
                        .filter(|at| *at > 0)
                        .map(|at| at.saturating_mul(1000)),
                    deleted: version.deleted,
                    data: version.data,
                });
            Ok(versions.collect())
        })
        .await
    }

    /// Deletes an item, or restores it.
    ///
    /// # Errors
    /// [`WalletError::NotFound`].
    pub async fn set_item_deleted(
        &self,
        id: SpaceId,
        item: String,
        deleted: bool,
    ) -> Result<(), WalletError> {
        self.owner(id, move |open| {
            open.edit(id, &item, |document, pen, found| document.set_deleted(pen, &found.id, deleted))
        })
        .await
    }

    /// Does something in a space, and tells everybody what changed.
    async fn owner(
        &self,
        id: SpaceId,
        work: impl FnOnce(&mut Open) -> Result<Vec<DocumentId>, WalletError> + Send + 'static,
    ) -> Result<(), WalletError> {
        self.try_job(move |engine: &mut Engine| {
            let open = engine.unlocked()?;
            if !open.spaces.rows.contains_key(&id) {
                return Err(NO_SPACE);
            }
            let documents = work(open)?;
            engine.tell(Event::Spaces);
            if !documents.is_empty() {
                engine.tell(Event::Documents { space: id, documents });
            }
            Ok(())
        })
        .await
    }
}

impl Open {
    fn space_ids(&self) -> Vec<SpaceId> {
        let mut ids: Vec<_> = self.spaces.rows.iter().map(|(id, row)| (row.created, *id)).collect();
        ids.sort_unstable();
        ids.into_iter().map(|(_, id)| id).collect()
    }

    fn details(&mut self, id: SpaceId) -> Result<SpaceDetails, WalletError> {
        let text = id.to_string();
        let apps = self.spaces.apps.iter().filter(|row| row.space == text).map(|row| SpaceApp {
            app: row.app.clone(),
            grant: self.grants.iter().find(|(_, grant)| app_of(grant) == row.app).map(|(id, _)| id.clone()),
            made: row.made,
            default: row.default,
        });
        let apps = apps.collect();
        let created = self.spaces.rows.get(&id).ok_or(NO_SPACE)?.created.as_millis();
        let bytes = self.store.space_size(&text)?;
        let index = self.index_of(id)?;
        let named = index.of_type(PROPERTIES).into_iter().find_map(|item| index.item(item));
        let name = named.and_then(|item| item.data.get("name")?.as_str()).map(str::to_owned);
        let items = index.items().filter(|item| !item.deleted && !item.is_of(PROPERTIES)).count();
        Ok(SpaceDetails { id: text, name, created, items, bytes, apps })
    }

    fn index_of(&mut self, id: SpaceId) -> Result<&halo_echo::MemoryIndex, WalletError> {
        self.spaces.index(&self.store, id)
    }

    fn add_item(&mut self, space: SpaceId, item: &NewItem) -> Result<Vec<DocumentId>, WalletError> {
        // As DXOS's clients do: a document for the item, and a link to it in the directory.
        let root = self.spaces.rows.get(&space).ok_or(NO_SPACE)?;
        let (key, root) = (data_encoding::HEXLOWER.encode(&root.key), DocumentId::from_bytes(&root.root)?);
        let pen = self.pen(space);
        let document = DocumentId::from_random(random::<16>()?);
        let mut fresh = Document::directory(pen, &key)?;
        fresh.put_item(pen, item)?;
        let mut updates = vec![(document, fresh.save())];
        let held = self.spaces.hold(&self.store, space, root)?.ok_or(NO_SPACE)?;
        let mut directory = Document::load(&held.document.save())?;
        updates.push((root, directory.put_link(pen, &item.id, &document.url())?));
        self.updated(space, updates)
    }

    fn edit(
        &mut self,
        space: SpaceId,
        item: &str,
        edit: impl FnOnce(&mut Document, halo_echo::Pen, &Item) -> Result<Vec<u8>, halo_echo::EchoError>,
    ) -> Result<Vec<DocumentId>, WalletError> {
        let pen = self.pen(space);
        let found = self.index_of(space)?.item(item).cloned().ok_or(NO_ITEM)?;
        let held = self.spaces.hold(&self.store, space, found.document)?.ok_or(NO_ITEM)?;
        let mut document = Document::load(&held.document.save())?;
        let change = edit(&mut document, pen, &found)?;
        if change.is_empty() { Ok(Vec::new()) } else { self.updated(space, vec![(found.document, change)]) }
    }

    fn updated(
        &mut self,
        space: SpaceId,
        updates: Vec<(DocumentId, Vec<u8>)>,
    ) -> Result<Vec<DocumentId>, WalletError> {
        Ok(self.update(space, updates)?.into_iter().map(|one| one.document).collect())
    }
}

fn shown(space: SpaceId, item: &Item) -> ItemView {
    let name = |name: &String| name.strip_prefix("dxn:type:").unwrap_or(name).to_owned();
    ItemView {
        id: item.id.clone(),
        space: space.to_string(),
        kind: if item.kind == ItemKind::Relation { "relation" } else { "object" }.to_owned(),
        r#type: item.typename.as_ref().map(name),
        deleted: item.deleted,
        parent: item.parent.clone(),
        source: item.source.clone(),
        target: item.target.clone(),
        data: item.data.clone(),
    }
}

fn checked_name(name: &str) -> Result<String, WalletError> {
    let name = name.trim();
    let bad = |what: &str| WalletError::BadInput { what: what.to_owned() };
    if name.is_empty() {
        return Err(bad("the name is empty"));
    }
    if name.chars().count() > LONGEST_NAME {
        return Err(bad("the name is longer than 100 letters"));
    }
    if name.chars().any(char::is_control) {
        return Err(bad("the name has characters that cannot be seen"));
    }
    Ok(name.to_owned())
}
