//! Spaces: the documents and items that apps keep with the user.
//!
//! An app sees the spaces it made and those the user shared with it; one of those it made is its default. An update of
//! several documents is one transaction, with the items in them; when it returns, it is on disk.
//!
//! The attack this guards against is an app that names somebody else's space or document: both are looked up by what
//! the app's grant allows, and a document that is another space's does not exist for it.

use std::collections::BTreeMap;

use halo_echo::query::{Query, evaluate};
use halo_echo::{Document, DocumentId, EchoError, Heads, Item, MemoryIndex, NewItem, Pen, SpaceId};
use halo_keystore::Keys;
use halo_protocol::SpaceKey;
use halo_protocol::feed::Change;
use halo_store::{SpaceAppRow, SpaceRow, Store};
use sha2::{Digest, Sha256};

use crate::engine::{Engine, clock};
use crate::error::WalletError;
use crate::feeds::OwnFeed;
use crate::grant::Grant;
use crate::handle::Wallet;
use crate::open::Open;
use crate::random::random;
use crate::request::{GrantId, Scope};
use crate::view::Event;

/// Changes of a document are folded into one after so many.
const MOST_CHANGES: usize = 64;
/// Documents kept in memory.
const MOST_DOCUMENTS: usize = 4_096;
/// Documents in one update.
const MOST_UPDATES: usize = 10_000;

/// The type of the item that says what a space is called.
pub(crate) const PROPERTIES: &str = "dxn:type:dxos.org/type/Properties:0.1.0";

pub(crate) const NO_SPACE: WalletError = WalletError::NotFound { what: "the space" };
pub(crate) const NO_ITEM: WalletError = WalletError::NotFound { what: "the item" };
const NO_DOCUMENT: WalletError = WalletError::NotFound { what: "the document" };

/// A space, as an app may know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpaceView {
    /// `B…`.
    pub id: SpaceId,
    /// Its public key.
    pub key: [u8; 32],
    /// The document that lists its objects.
    pub root: DocumentId,
    /// When it was made, in milliseconds since the epoch.
    pub created: u64,
    /// It is where this app keeps what has no other place.
    pub default: bool,
}

/// What somebody lacks of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentChange {
    /// The document.
    pub document: DocumentId,
    /// Automerge chunks: the whole, or the changes since.
    pub bytes: Vec<u8>,
    /// What they have then.
    pub heads: Heads,
}

/// What an update did to a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentUpdated {
    /// The document.
    pub document: DocumentId,
    /// Its heads before.
    pub before: Heads,
    /// Its heads now.
    pub after: Heads,
}

/// An item that a query found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// The item.
    pub id: String,
    /// Its space.
    pub space: SpaceId,
    /// Its document.
    pub document: DocumentId,
}

impl Wallet {
    /// The spaces that an app sees, oldest first.
    ///
    /// # Errors
    /// [`WalletError::Forbidden`] without the scope `halo:spaces`.
    pub async fn spaces(&self, grant: &GrantId) -> Result<Vec<SpaceView>, WalletError> {
        let grant = grant.clone();
        self.try_job(move |engine| {
            let open = engine.unlocked()?;
            let app = open.app(&grant, Scope::Spaces)?;
            open.spaces_of(&app)
        })
        .await
    }

    /// The app's default space, which is made the first time; also for an app that may only look.
    ///
    /// # Errors
    /// [`WalletError::Forbidden`] without the scope `halo:spaces`.
    pub async fn default_space(&self, grant: &GrantId) -> Result<SpaceView, WalletError> {
        let grant = grant.clone();
        self.try_job(move |engine| {
            let open = engine.unlocked()?;
            let app = open.app(&grant, Scope::Spaces)?;
            if let Some(space) = open.spaces_of(&app)?.into_iter().find(|space| space.default) {
                return Ok(space);
            }
            engine.make_space(&grant, true)
        })
        .await
    }

    /// Makes a space that the app sees.
    ///
    /// # Errors
    /// [`WalletError::Forbidden`] without the scope `halo:spaces:write`.
    pub async fn create_space(&self, grant: &GrantId) -> Result<SpaceView, WalletError> {
        let grant = grant.clone();
        self.try_job(move |engine| engine.make_space(&grant, false)).await
    }

    /// What somebody who has these heads lacks of these documents. Documents that are not there are left out.
    ///
    /// # Errors
    /// [`WalletError::Forbidden`], [`WalletError::NotFound`] for a space that is not this app's.
    pub async fn documents_since(
        &self,
        grant: &GrantId,
        space: SpaceId,
        wanted: Vec<(DocumentId, Heads)>,
    ) -> Result<Vec<DocumentChange>, WalletError> {
        let grant = grant.clone();
        self.try_job(move |engine| {
            let open = engine.unlocked()?;
            open.check_space(&grant, space, Scope::Spaces)?;
            let mut changes = Vec::new();
            for (document, have) in wanted {
                let Some(held) = open.spaces.hold(&open.store, space, document)? else { continue };
                let heads = held.document.heads();
                if heads != have {
                    changes.push(DocumentChange { document, bytes: held.document.since(&have), heads });
                }
            }
            Ok(changes)
        })
        .await
    }

    /// Applies changes to documents, all of them or none; a document that is not there yet is made. On disk when it
    /// returns.
    ///
    /// # Errors
    /// [`WalletError::Forbidden`], [`WalletError::NotFound`], [`WalletError::Echo`] for bytes that are no changes.
    pub async fn update_documents(
        &self,
        grant: &GrantId,
        space: SpaceId,
        updates: Vec<(DocumentId, Vec<u8>)>,
    ) -> Result<Vec<DocumentUpdated>, WalletError> {
        let grant = grant.clone();
        self.try_job(move |engine| {
            let open = engine.unlocked()?;
            open.check_space(&grant, space, Scope::SpacesWrite)?;
            let done = open.update(space, updates)?;
            let documents =
                done.iter().filter(|one| one.before != one.after).map(|one| one.document).collect::<Vec<_>>();
            if !documents.is_empty() {
                engine.tell(Event::Documents { space, documents });
            }
            Ok(done)
        })
        .await
    }

    /// What a query finds in the spaces that the app sees.
    ///
    /// # Errors
    /// [`WalletError::Forbidden`].
    pub async fn query(&self, grant: &GrantId, query: Query) -> Result<Vec<Hit>, WalletError> {
        let grant = grant.clone();
        self.try_job(move |engine| {
            let open = engine.unlocked()?;
            let app = open.app(&grant, Scope::Spaces)?;
            let wanted = query.options().space_ids;
            let mut hits = Vec::new();
            for space in open.spaces_of(&app)? {
                if wanted.as_ref().is_some_and(|ids| !ids.contains(&space.id.to_string())) {
                    continue;
                }
                let index = open.spaces.index(&open.store, space.id)?;
                for id in evaluate(&query, index) {
                    if let Some(item) = halo_echo::query::Index::item(index, id) {
                        hits.push(Hit { id: item.id.clone(), space: space.id, document: item.document });
                    }
                }
            }
            Ok(hits)
        })
        .await
    }
}

impl Engine {
    fn make_space(&mut self, grant: &GrantId, default: bool) -> Result<SpaceView, WalletError> {
        let open = self.unlocked()?;
        let app = open.app(grant, if default { Scope::Spaces } else { Scope::SpacesWrite })?;
        let space = open.make_space(app, default)?;
        self.tell(Event::Spaces);
        Ok(space)
    }
}

impl Open {
    /// The name of the app that spaces are kept for, if its grant has the scope.
    pub(crate) fn app(&self, grant: &GrantId, scope: Scope) -> Result<String, WalletError> {
        let grant = self.grants.get(grant).ok_or(WalletError::NotFound { what: "the grant" })?;
        if !grant.scopes.contains(&scope) {
            return Err(WalletError::Forbidden { scope: scope.as_str() });
        }
        Ok(app_of(grant))
    }

    fn check_space(&self, grant: &GrantId, space: SpaceId, scope: Scope) -> Result<(), WalletError> {
        let app = self.app(grant, scope)?;
        self.spaces.sees(&app, space).then_some(()).ok_or(NO_SPACE)
    }

    fn spaces_of(&self, app: &str) -> Result<Vec<SpaceView>, WalletError> {
        let mut spaces = self
            .spaces
            .apps
            .iter()
            .filter(|row| row.app == app)
            .filter_map(|row| Some((self.spaces.rows.get(&row.space.parse().ok()?)?, row.default)))
            .map(|(row, default)| view(row, default))
            .collect::<Result<Vec<_>, _>>()?;
        spaces.sort_by_key(|space| (space.created, space.id));
        Ok(spaces)
    }

    fn make_space(&mut self, app: String, default: bool) -> Result<SpaceView, WalletError> {
        // A client that makes a space writes its properties itself; the default one is there before the client.
        let properties = if default { Some(properties(None)?) } else { None };
        self.begin_space(Some((app, default)), properties)
    }

    /// Makes a space: its directory, its first epoch, and this device's feed with the directory in its first block.
    pub(crate) fn begin_space(
        &mut self,
        app: Option<(String, bool)>,
        properties: Option<NewItem>,
    ) -> Result<SpaceView, WalletError> {
        let root = DocumentId::from_random(random::<16>()?);
        let signer = self.keys.space(root.as_bytes())?;
        let key = *signer.space_key().as_bytes();
        let id = SpaceId::of_key(&key);
        let pen = self.pen(id);
        let mut directory = Document::directory(pen, &data_encoding::HEXLOWER.encode(&key))?;
        if let Some(properties) = &properties {
            directory.put_item(pen, properties)?;
        }
        let items = Item::all_in(root, &directory.objects());
        let saved = directory.save();
        let (mut feed, epoch) = OwnFeed::begin(&self.keys, &signer.space_key(), &id.to_string())?;
        let written = feed.write(vec![Change { document: *root.as_bytes(), bytes: saved.clone() }])?;
        let row = SpaceRow { id: id.to_string(), key, root: *root.as_bytes(), created: clock() };
        let default = app.as_ref().is_some_and(|(_, default)| *default);
        let seen = app.map(|(app, default)| SpaceAppRow { app, space: row.id.clone(), made: true, default });
        self.store.write(|tx| {
            tx.add_space(&row)?;
            seen.iter().try_for_each(|seen| tx.put_space_app(seen))?;
            tx.add_epoch(&row.id, epoch.id().as_bytes(), epoch.number, &epoch.encode())?;
            feed.keep(tx, &written)?;
            tx.save_document(&row.id, &row.root, &saved)?;
            tx.put_items(&row.id, &row.root, &rows_of(&items))
        })?;
        feed.said(written);
        self.spaces.feeds.insert(id, feed);
        let space = view(&row, default)?;
        self.spaces.rows.insert(id, row);
        self.spaces.apps.extend(seen);
        Ok(space)
    }

    /// How this wallet signs its own changes in a space. Nothing that two apps could compare.
    pub(crate) fn pen(&self, space: SpaceId) -> Pen {
        let digest = Sha256::new()
            .chain_update(b"halo automerge actor\0")
            .chain_update(self.keys.device_key().as_bytes())
            .chain_update(space.to_string())
            .finalize();
        let mut actor = [0; 16];
        actor.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        Pen { actor, seconds: i64::try_from(clock().seconds()).unwrap_or_default() }
    }

    /// Applies changes, all of them or none.
    pub(crate) fn update(
        &mut self,
        space: SpaceId,
        updates: Vec<(DocumentId, Vec<u8>)>,
    ) -> Result<Vec<DocumentUpdated>, WalletError> {
        let done = self.try_update(space, updates);
        if done.is_err() {
            // What is in memory may have taken a part of it.
            self.spaces.forget(space);
        }
        done
    }

    fn try_update(
        &mut self,
        space: SpaceId,
        updates: Vec<(DocumentId, Vec<u8>)>,
    ) -> Result<Vec<DocumentUpdated>, WalletError> {
        if updates.len() > MOST_UPDATES {
            let size = updates.len();
            return Err(EchoError::TooLarge { what: "an update", size, most: MOST_UPDATES }.into());
        }
        let mut done: BTreeMap<DocumentId, DocumentUpdated> = BTreeMap::new();
        let mut fresh: BTreeMap<DocumentId, Vec<u8>> = BTreeMap::new();
        for (document, bytes) in updates {
            let held = self.spaces.hold_or_make(&self.store, space, document)?;
            let before = held.document.heads();
            if held.document.apply(&bytes)?.known {
                done.entry(document).or_insert(DocumentUpdated { document, after: before.clone(), before });
                continue;
            }
            held.changes += 1;
            let after = held.document.heads();
            done.entry(document).and_modify(|one| one.after.clone_from(&after)).or_insert(DocumentUpdated {
                document,
                before,
                after,
            });
            // Chunks one behind the other are a file of changes as well.
            fresh.entry(document).or_default().extend(bytes);
        }
        self.keep(space, fresh)?;
        Ok(done.into_values().collect())
    }

    /// Writes changes that the documents in memory have already.
    fn keep(&mut self, space: SpaceId, fresh: BTreeMap<DocumentId, Vec<u8>>) -> Result<(), WalletError> {
        if fresh.is_empty() {
            return Ok(());
        }
        self.spaces.index(&self.store, space)?;
        let changes =
            fresh.iter().map(|(id, bytes)| Change { document: *id.as_bytes(), bytes: bytes.clone() });
        let written = self.spaces.feed(&self.store, &self.keys, space)?.write(changes.collect())?;
        let name = space.to_string();
        let Spaces { documents, indexes, feeds, .. } = &mut self.spaces;
        let index = indexes.entry(space).or_default();
        let feed = feeds.get_mut(&space).ok_or(NO_SPACE)?;
        self.store.write(|tx| {
            feed.keep(tx, &written)?;
            for (id, bytes) in fresh {
                let Some(held) = documents.get_mut(&id) else { continue };
                if held.is_new || held.changes > MOST_CHANGES {
                    tx.save_document(&name, id.as_bytes(), &held.document.save())?;
                    (held.is_new, held.changes) = (false, 0);
                } else {
                    tx.add_change(id.as_bytes(), &bytes)?;
                }
                if index.replace(id, Item::all_in(id, &held.document.objects())) {
                    tx.put_items(&name, id.as_bytes(), &rows_of(index.in_document(&id)))?;
                }
            }
            Ok(())
        })?;
        feed.said(written);
        self.spaces.evict();
        Ok(())
    }
}

/// What DXOS's clients look for in a space before they call it ready.
pub(crate) fn properties(name: Option<&str>) -> Result<NewItem, WalletError> {
    Ok(NewItem {
        id: halo_echo::item_id(clock().as_millis(), random()?),
        kind: halo_echo::ItemKind::Object,
        typename: PROPERTIES.to_owned(),
        parent: None,
        ends: None,
        data: name.map(|name| ("name".to_owned(), name.into())).into_iter().collect(),
    })
}

pub(crate) fn rows_of<'a>(items: impl IntoIterator<Item = &'a Item>) -> Vec<(&'a str, String)> {
    items.into_iter().filter_map(|item| Some((item.id.as_str(), serde_json::to_string(item).ok()?))).collect()
}

/// Names an app as its spaces know it: what asks under the same id from another executable is another app.
pub(crate) fn app_of(grant: &Grant) -> String {
    let name = Grant::alias_name(grant.kind, &grant.client_id);
    match &grant.row.process {
        Some(process) => format!("{name} {process}"),
        None => name,
    }
}

fn view(row: &SpaceRow, default: bool) -> Result<SpaceView, WalletError> {
    Ok(SpaceView {
        id: row.id.parse()?,
        key: row.key,
        root: DocumentId::from_bytes(&row.root)?,
        created: row.created.as_millis(),
        default,
    })
}

/// A document in memory.
pub(crate) struct Held {
    space: SpaceId,
    pub(crate) document: Document,
    /// Changes since it was saved as a whole.
    changes: usize,
    /// Not in the store yet.
    is_new: bool,
    used: u64,
}

/// The spaces of an open wallet.
#[derive(Default)]
pub(crate) struct Spaces {
    pub(crate) rows: BTreeMap<SpaceId, SpaceRow>,
    pub(crate) apps: Vec<SpaceAppRow>,
    indexes: BTreeMap<SpaceId, MemoryIndex>,
    documents: BTreeMap<DocumentId, Held>,
    feeds: BTreeMap<SpaceId, OwnFeed>,
    turn: u64,
}

impl Spaces {
    /// Reads which spaces there are; what is in them is read when somebody looks.
    pub(crate) fn load(store: &Store) -> Result<Self, WalletError> {
        let rows = store
            .spaces()?
            .into_iter()
            .map(|row| Ok((row.id.parse()?, row)))
            .collect::<Result<_, EchoError>>()?;
        Ok(Self { rows, apps: store.space_apps()?, ..Self::default() })
    }

    pub(crate) fn sees(&self, app: &str, space: SpaceId) -> bool {
        let space = space.to_string();
        self.apps.iter().any(|row| row.app == app && row.space == space)
    }

    /// What this device says in a space.
    fn feed(&mut self, store: &Store, keys: &Keys, space: SpaceId) -> Result<&OwnFeed, WalletError> {
        if !self.feeds.contains_key(&space) {
            let row = self.rows.get(&space).ok_or(NO_SPACE)?;
            let key = SpaceKey::from_bytes(&row.key)
                .map_err(|error| WalletError::Damaged { what: error.to_string() })?;
            self.feeds.insert(space, OwnFeed::load(store, keys, &key, &row.id)?);
        }
        self.feeds.get(&space).ok_or(NO_SPACE)
    }

    /// The items of a space.
    pub(crate) fn index(&mut self, store: &Store, space: SpaceId) -> Result<&MemoryIndex, WalletError> {
        if !self.rows.contains_key(&space) {
            return Err(NO_SPACE);
        }
        if let std::collections::btree_map::Entry::Vacant(place) = self.indexes.entry(space) {
            let damaged = |_| WalletError::Damaged { what: "an item cannot be read".into() };
            let mut items: BTreeMap<DocumentId, Vec<Item>> = BTreeMap::new();
            for row in store.items(&space.to_string())? {
                let mut item: Item = serde_json::from_str(&row.json).map_err(damaged)?;
                item.document = DocumentId::from_bytes(&row.document)?;
                items.entry(item.document).or_default().push(item);
            }
            let mut index = MemoryIndex::default();
            for (document, items) in items {
                index.replace(document, items);
            }
            place.insert(index);
        }
        self.indexes.get(&space).ok_or(NO_SPACE)
    }

    /// A document of a space, in memory.
    pub(crate) fn hold(
        &mut self,
        store: &Store,
        space: SpaceId,
        id: DocumentId,
    ) -> Result<Option<&mut Held>, WalletError> {
        self.turn += 1;
        if !self.documents.contains_key(&id) {
            let Some(of) = store.space_of_document(id.as_bytes())? else { return Ok(None) };
            let mut parts = store.document(id.as_bytes())?.into_iter();
            let mut document = Document::load(&parts.next().unwrap_or_default())?;
            let mut changes = 0;
            for part in parts {
                document.apply(&part)?;
                changes += 1;
            }
            let held = Held { space: of.parse()?, document, changes, is_new: false, used: self.turn };
            self.documents.insert(id, held);
        }
        // A document of another space does not exist for whoever asks in this one.
        let Some(held) = self.documents.get_mut(&id).filter(|held| held.space == space) else {
            return Ok(None);
        };
        held.used = self.turn;
        Ok(Some(held))
    }

    fn hold_or_make(
        &mut self,
        store: &Store,
        space: SpaceId,
        id: DocumentId,
    ) -> Result<&mut Held, WalletError> {
        let there = self.documents.contains_key(&id) || store.space_of_document(id.as_bytes())?.is_some();
        if !there {
            let used = self.turn;
            let held = Held { space, document: Document::empty(), changes: 0, is_new: true, used };
            self.documents.insert(id, held);
        }
        self.hold(store, space, id)?.ok_or(NO_DOCUMENT)
    }

    /// Drops what is in memory of a space; it is read anew.
    pub(crate) fn forget(&mut self, space: SpaceId) {
        self.indexes.remove(&space);
        self.feeds.remove(&space);
        self.documents.retain(|_, held| held.space != space);
    }

    /// Drops a space that is not in the store any more.
    pub(crate) fn drop_space(&mut self, space: SpaceId) {
        self.forget(space);
        self.rows.remove(&space);
        let space = space.to_string();
        self.apps.retain(|row| row.space != space);
    }

    /// Makes room, the longest unused first.
    fn evict(&mut self) {
        if self.documents.len() <= MOST_DOCUMENTS {
            return;
        }
        let mut uses: Vec<u64> = self.documents.values().map(|held| held.used).collect();
        uses.sort_unstable();
        let oldest = uses.get(uses.len() / 4).copied().unwrap_or_default();
        self.documents.retain(|_, held| held.is_new || held.used > oldest);
    }
}
