//! Spaces: the documents and items that apps keep with the user.
//!
//! An app sees the spaces it made and those the user shared with it; one of those it made is its default. An update of
//! several documents is one transaction, with the items in them; when it returns, it is on disk.
//!
//! The attack this guards against is an app that names somebody else's space or document: both are looked up by what
//! the app's grant allows, and a document that is another space's does not exist for it.

use std::collections::BTreeSet;

use halo_echo::query::{Query, find};
use halo_echo::{Document, DocumentId, EchoError, Heads, Item, NewItem, SpaceId};
use halo_protocol::feed::Payload;
use halo_store::{SpaceAppRow, SpaceRow};

use crate::collection::{By, checked_name};
use crate::engine::{Engine, clock};
use crate::error::WalletError;
use crate::grant::Grant;
use crate::handle::Wallet;
use crate::held::FreshSpace;
use crate::open::Open;
use crate::random::random;
use crate::request::{GrantId, Scope};
use crate::view::Event;

/// Documents in one update.
const MOST_UPDATES: usize = 10_000;

/// The type of the item that says what a space is called.
pub(crate) const PROPERTIES: &str = "dxn:type:dxos.org/type/Properties:0.1.0";

pub(crate) const NO_SPACE: WalletError = WalletError::NotFound { what: "the space" };
pub(crate) const NO_ITEM: WalletError = WalletError::NotFound { what: "the item" };
pub(crate) const NO_DOCUMENT: WalletError = WalletError::NotFound { what: "the document" };

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
            open.visit(&By::App(grant), space, Scope::Spaces)?;
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
            let by = By::App(grant);
            open.visit(&by, space, Scope::SpacesWrite)?;
            let done = open.by_hand_of(&by, |open| open.update(space, updates))?;
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
                open.look(space.id);
                let name = space.id.to_string();
                let found = find::<_, WalletError>(&query, &open.store.items(&name))?;
                hits.extend(found.into_iter().map(|(id, document)| Hit { id, space: space.id, document }));
            }
            Ok(hits)
        })
        .await
    }

    /// What becomes of a query's answer by changes of documents: of each item that is in them, or was by what is
    /// `known`, the document that it is found in now, if it is. `None` if that is not enough to know, and the query has
    /// to be asked anew.
    ///
    /// # Errors
    /// [`WalletError::Forbidden`], [`WalletError::NotFound`].
    pub async fn query_again(
        &self,
        grant: &GrantId,
        query: Query,
        space: SpaceId,
        documents: Vec<DocumentId>,
        known: Vec<String>,
    ) -> Result<Option<Vec<(String, Option<DocumentId>)>>, WalletError> {
        let by = By::App(grant.clone());
        self.try_job(move |engine| {
            let open = engine.unlocked()?;
            open.check(&by, space, Scope::Spaces)?;
            let mut ids: BTreeSet<String> = known.into_iter().collect();
            for document in documents {
                if let Some(held) = open.spaces.hold(&open.store, space, document)? {
                    ids.extend(
                        Item::all_in(document, &held.document.objects()).into_iter().map(|item| item.id),
                    );
                }
            }
            let name = space.to_string();
            Ok(query.again(&open.store.items(&name), ids)?)
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

    pub(crate) fn spaces_of(&self, app: &str) -> Result<Vec<SpaceView>, WalletError> {
        let mut spaces = self
            .spaces
            .apps
            .iter()
            .filter(|row| row.app == app)
            .filter_map(|row| Some((self.spaces.rows.get(&row.space.parse().ok()?)?, row.default)))
            .filter(|(row, _)| self.has_come(row).unwrap_or_default())
            .map(|(row, default)| self.view(row, default))
            .collect::<Result<Vec<_>, _>>()?;
        spaces.sort_by_key(|space| (space.created, space.id));
        Ok(spaces)
    }

    /// Makes a space: its directory, its first epoch, and this device's feed with the directory in its first block; and
    /// tells the other devices of it.
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
        let row = SpaceRow { id: id.to_string(), key, root: *root.as_bytes(), created: clock(), halo: false };
        let default = app.as_ref().is_some_and(|(_, default)| *default);
        let seen = app.map(|(app, default)| SpaceAppRow { app, space: row.id.clone(), made: true, default });
        let fresh = FreshSpace::new(self, &row, &signer.space_key(), &directory)?;
        let record = self.record_of(&row, seen.as_slice())?;
        let admission = self.admission_of_own_feed(&signer.space_key())?;
        let halo = self.halo()?;
        let said = Payload {
            credentials: vec![admission.bytes().to_vec()],
            epochs: vec![fresh.epoch.bytes.clone()],
            ..Payload::default()
        };
        self.say(
            halo,
            said,
            |open, batch| open.add_to(batch, halo, std::slice::from_ref(&record)),
            |tx| {
                fresh.keep(tx, &row)?;
                tx.add_credential(&admission)?;
                seen.iter().try_for_each(|seen| tx.put_space_app(seen))
            },
        )?;
        self.spaces.begun(id, row.clone(), fresh);
        self.spaces.records.insert(id, record.id);
        self.spaces.apps.extend(seen);
        self.learn(vec![admission])?;
        self.view(&row, default)
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
}

/// What DXOS's clients look for in a space before they call it ready.
pub(crate) fn properties(name: Option<&str>) -> Result<NewItem, WalletError> {
    Ok(NewItem {
        id: halo_echo::item_id(clock().as_millis(), random()?),
        typename: PROPERTIES.to_owned(),
        data: name.map(|name| ("name".to_owned(), name.into())).into_iter().collect(),
        ..NewItem::default()
    })
}

/// Names an app as its spaces know it: what asks under the same id from another executable is another app.
pub(crate) fn app_of(grant: &Grant) -> String {
    let name = Grant::alias_name(grant.kind, &grant.client_id);
    match &grant.row.process {
        Some(process) => format!("{name} {process}"),
        None => name,
    }
}
