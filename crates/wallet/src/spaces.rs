//! Spaces: the documents and items that apps keep with the user.
//!
//! An app sees the spaces it made and those the user shared with it; one of those it made is its default. An update of
//! several documents is one transaction, with the items in them; when it returns, it is on disk.
//!
//! The attack this guards against is an app that names somebody else's space or document: both are looked up by what
//! the app's grant allows, and a document that is another space's does not exist for it.

use std::collections::BTreeMap;

use halo_echo::query::{Query, evaluate};
use halo_echo::{Document, DocumentId, EchoError, Heads, Index, Item, NewItem, Pen, SpaceId};
use halo_keystore::Keys;
use halo_protocol::SpaceKey;
use halo_protocol::feed::Change;
use halo_store::{SpaceAppRow, SpaceRow, Store};
use sha2::{Digest, Sha256};

use crate::collection::{By, checked_name};
use crate::engine::{Engine, clock};
use crate::error::WalletError;
use crate::feeds::OwnFeed;
use crate::grant::Grant;
use crate::handle::Wallet;
use crate::open::Open;
use crate::random::random;
use crate::request::{GrantId, Scope};
use crate::view::Event;

/// Changes of a document are folded into it when they are larger than it was, and than this: so that neither a small
/// one is written too often, nor a large one for every change.
const SMALL: usize = 8 * 1024;
/// Documents kept in memory.
const MOST_DOCUMENTS: usize = 1_024;
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
    /// What it is called, by its owner or by an app.
    pub name: Option<String>,
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
            // Made before the client comes, so its properties are not the client's to write.
            engine.make_space(&grant, true, Some(properties(None)?))
        })
        .await
    }

    /// Makes a space that the app sees: with this name, or without one for a client that names it itself.
    ///
    /// # Errors
    /// [`WalletError::Forbidden`] without the scope `halo:spaces:write`.
    pub async fn create_space(
        &self,
        grant: &GrantId,
        name: Option<String>,
    ) -> Result<SpaceView, WalletError> {
        let grant = grant.clone();
        let properties = name.map(|name| properties(Some(&checked_name(&name)?))).transpose()?;
        self.try_job(move |engine| engine.make_space(&grant, false, properties)).await
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
            open.check(&By::App(grant), space, Scope::Spaces)?;
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
            open.check(&By::App(grant), space, Scope::SpacesWrite)?;
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
                let name = space.id.to_string();
                let items = open.store.items(&name);
                for id in evaluate::<_, WalletError>(&query, &items)? {
                    if let Some(item) = items.item(&id)? {
                        hits.push(Hit { id, space: space.id, document: item.document });
                    }
                }
            }
            Ok(hits)
        })
        .await
    }
}

impl Engine {
    fn make_space(
        &mut self,
        grant: &GrantId,
        default: bool,
        properties: Option<NewItem>,
    ) -> Result<SpaceView, WalletError> {
        let open = self.unlocked()?;
        let app = open.app(grant, if default { Scope::Spaces } else { Scope::SpacesWrite })?;
        let space = open.begin_space(Some((app, default)), properties)?;
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

    fn spaces_of(&self, app: &str) -> Result<Vec<SpaceView>, WalletError> {
        let mut spaces = self
            .spaces
            .apps
            .iter()
            .filter(|row| row.app == app)
            .filter_map(|row| Some((self.spaces.rows.get(&row.space.parse().ok()?)?, row.default)))
            .map(|(row, default)| self.view(row, default))
            .collect::<Result<Vec<_>, _>>()?;
        spaces.sort_by_key(|space| (space.created, space.id));
        Ok(spaces)
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
            tx.grow_space(&row.id, size(saved.len()))?;
            tx.put_items(&row.id, &row.root, &items)
        })?;
        feed.said(written);
        self.spaces.feeds.insert(id, feed);
        self.spaces.rows.insert(id, row.clone());
        self.spaces.apps.extend(seen);
        let space = self.view(&row, default)?;
        Ok(space)
    }

    fn view(&self, row: &SpaceRow, default: bool) -> Result<SpaceView, WalletError> {
        let id = row.id.parse()?;
        Ok(SpaceView {
            id,
            key: row.key,
            root: DocumentId::from_bytes(&row.root)?,
            created: row.created.as_millis(),
            default,
            name: self.space_name(id)?,
        })
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

    /// Applies an app's changes, all of them or none.
    fn update(
        &mut self,
        space: SpaceId,
        updates: Vec<(DocumentId, Vec<u8>)>,
    ) -> Result<Vec<DocumentUpdated>, WalletError> {
        if updates.len() > MOST_UPDATES {
            let size = updates.len();
            return Err(EchoError::TooLarge { what: "an update", size, most: MOST_UPDATES }.into());
        }
        self.together(space, |open, batch| {
            updates.into_iter().try_for_each(|(document, bytes)| {
                open.change(batch, document, |held| {
                    let known = held.apply(&bytes)?.known;
                    Ok(if known { Vec::new() } else { bytes })
                })
            })
        })
    }

    /// Changes documents of one space in one transaction, and one block of this device's feed.
    pub(crate) fn together(
        &mut self,
        space: SpaceId,
        work: impl FnOnce(&mut Self, &mut Batch) -> Result<(), WalletError>,
    ) -> Result<Vec<DocumentUpdated>, WalletError> {
        let mut batch = Batch { space, fresh: BTreeMap::new(), done: BTreeMap::new() };
        let kept = work(self, &mut batch).and_then(|()| self.keep(space, batch.fresh));
        if let Err(error) = kept {
            // What is in memory may have taken a part of it.
            self.spaces.forget(space);
            return Err(error);
        }
        Ok(batch.done.into_values().collect())
    }

    /// Changes one document, which is made if there is none; `change` gives what it added, nothing for nothing.
    pub(crate) fn change(
        &mut self,
        batch: &mut Batch,
        document: DocumentId,
        change: impl FnOnce(&mut Document) -> Result<Vec<u8>, EchoError>,
    ) -> Result<(), WalletError> {
        let held = self.spaces.hold_or_make(&self.store, batch.space, document)?;
        let before = held.document.heads();
        let bytes = change(&mut held.document)?;
        let after = held.document.heads();
        if held.is_new && bytes.is_empty() && !batch.fresh.contains_key(&document) {
            // Nothing came of it: there is still no such document.
            self.spaces.documents.remove(&document);
            return Ok(());
        }
        let done = DocumentUpdated { document, before, after: after.clone() };
        batch.done.entry(document).and_modify(|one| one.after = after).or_insert(done);
        if !bytes.is_empty() {
            // Chunks one behind the other are a file of changes as well.
            batch.fresh.entry(document).or_default().extend(bytes);
        }
        Ok(())
    }

    /// Writes changes that the documents in memory have already.
    fn keep(&mut self, space: SpaceId, fresh: BTreeMap<DocumentId, Vec<u8>>) -> Result<(), WalletError> {
        if fresh.is_empty() {
            return Ok(());
        }
        let changes =
            fresh.iter().map(|(id, bytes)| Change { document: *id.as_bytes(), bytes: bytes.clone() });
        let written = self.spaces.feed(&self.store, &self.keys, space)?.write(changes.collect())?;
        let name = space.to_string();
        let Spaces { documents, feeds, .. } = &mut self.spaces;
        let feed = feeds.get_mut(&space).ok_or(NO_SPACE)?;
        self.store.write(|tx| {
            feed.keep(tx, &written)?;
            let mut grown = 0;
            for (id, bytes) in fresh {
                let Some(held) = documents.get_mut(&id) else { continue };
                held.changes += bytes.len();
                grown += size(bytes.len());
                if held.is_new || held.changes > held.saved.max(SMALL) {
                    let saved = held.document.save();
                    tx.save_document(&name, id.as_bytes(), &saved)?;
                    grown += size(saved.len()) - size(held.saved) - size(held.changes);
                    (held.is_new, held.changes, held.saved) = (false, 0, saved.len());
                } else {
                    tx.add_change(id.as_bytes(), &bytes)?;
                }
                tx.put_items(&name, id.as_bytes(), &Item::all_in(id, &held.document.objects()))?;
            }
            tx.grow_space(&name, grown)
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
        keys: Vec::new(),
        data: name.map(|name| ("name".to_owned(), name.into())).into_iter().collect(),
    })
}

fn size(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// Names an app as its spaces know it: what asks under the same id from another executable is another app.
pub(crate) fn app_of(grant: &Grant) -> String {
    let name = Grant::alias_name(grant.kind, &grant.client_id);
    match &grant.row.process {
        Some(process) => format!("{name} {process}"),
        None => name,
    }
}

/// Changes that become one transaction.
pub(crate) struct Batch {
    space: SpaceId,
    fresh: BTreeMap<DocumentId, Vec<u8>>,
    done: BTreeMap<DocumentId, DocumentUpdated>,
}

/// A document in memory.
pub(crate) struct Held {
    space: SpaceId,
    pub(crate) document: Document,
    /// Bytes of it when it was saved as a whole.
    saved: usize,
    /// Bytes of the changes since.
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

    /// The spaces that an app sees.
    pub(crate) fn of(&self, app: &str) -> Vec<String> {
        self.apps.iter().filter(|row| row.app == app).map(|row| row.space.clone()).collect()
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
            let parts = store.document(id.as_bytes())?;
            let saved = parts.first().map_or(0, Vec::len);
            let whole = parts.concat();
            let document = Document::load(&whole)?;
            let (changes, used) = (whole.len() - saved, self.turn);
            let held = Held { space: of.parse()?, document, saved, changes, is_new: false, used };
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
            let document = Document::empty();
            let held = Held { space, document, saved: 0, changes: 0, is_new: true, used };
            self.documents.insert(id, held);
        }
        self.hold(store, space, id)?.ok_or(NO_DOCUMENT)
    }

    /// Drops what is in memory of a space; it is read anew.
    pub(crate) fn forget(&mut self, space: SpaceId) {
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
