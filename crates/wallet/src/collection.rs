//! Spaces as their owner sees them: all of them, whoever made them, with everything in them.

use std::collections::BTreeSet;

use halo_echo::query::{Query, evaluate};
use halo_echo::{DocumentId, Index, Item, ItemKind, SpaceId};
use halo_protocol::DeviceKey;
use halo_store::SpaceAppRow;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use ts_rs::TS;

use crate::asker::Asker;
use crate::engine::Engine;
use crate::error::WalletError;
use crate::handle::Wallet;
use crate::held;
use crate::open::Open;
use crate::request::{GrantId, Scope, SpaceChoice};
use crate::spaces::{NO_ITEM, NO_SPACE, PROPERTIES, app_of, properties};
use crate::view::Event;

/// Versions of an item that are shown.
const MOST_VERSIONS: usize = 50;
/// Spaces to choose from in one request; the rest can be shared later.
const MOST_CHOICES: usize = 200;
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

/// A name of an item in another program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct ForeignKey {
    /// Where, such as `github.com`.
    pub source: String,
    /// The name there.
    pub id: String,
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
    /// Its names in other programs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[ts(optional, as = "Option<Vec<ForeignKey>>")]
    pub keys: Vec<ForeignKey>,
    /// What it is filed under.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[ts(optional, as = "Option<Vec<String>>")]
    pub tags: Vec<String>,
    /// How it is not what the schema of its type says, where that was looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[ts(optional, as = "Option<Vec<String>>")]
    pub mismatch: Vec<String>,
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
    /// Who wrote it; none if nobody knows, and for apps, which are not told of each other.
    pub by: Option<WriterView>,
    /// It was deleted then.
    pub deleted: bool,
    /// Its properties then.
    #[ts(type = "unknown")]
    pub data: Value,
}

/// Who wrote something, as far as this device knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct WriterView {
    /// Name of the device.
    pub device: Option<String>,
    /// The app, as spaces name it; none for the owner.
    pub app: Option<String>,
}

/// Who looks, or writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// The owner, in the window or by command line: everything.
    Owner,
    /// An app: what its grant allows.
    App(GrantId),
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
        self.change_space(By::Owner, id, move |open| {
            let documents = match open.properties_of(id)? {
                Some(item) => open.edit(id, &item.id, |document, pen, found| {
                    let mut data = found.data.as_object().cloned().unwrap_or_default();
                    data.insert("name".into(), name.into());
                    document.set_data(pen, &found.id, &data)
                }),
                None => open.add_items(id, &[properties(Some(&name))?]),
            };
            Ok((documents?, ()))
        })
        .await
    }

    /// Lets an app see a space.
    ///
    /// # Errors
    /// [`WalletError::NotFound`]; [`WalletError::Forbidden`] if its grant knows nothing of spaces.
    pub async fn share_space(&self, id: SpaceId, grant: &GrantId) -> Result<(), WalletError> {
        let grant = grant.clone();
        self.change_space(By::Owner, id, move |open| {
            let app = open.app(&grant, Scope::Spaces)?;
            if open.spaces.sees(&app, id) {
                return Ok((Vec::new(), ()));
            }
            let row = SpaceAppRow { app, space: id.to_string(), made: false, default: false };
            open.set_apps(id, |apps| apps.push(row))?;
            Ok((Vec::new(), ()))
        })
        .await
    }

    /// Hides a space from an app again; one that it made as well.
    ///
    /// # Errors
    /// [`WalletError::NotFound`]; [`WalletError::BadInput`] for the default space of an app, which would make another.
    pub async fn unshare_space(&self, id: SpaceId, app: String) -> Result<(), WalletError> {
        self.change_space(By::Owner, id, move |open| {
            let space = id.to_string();
            let row = open.spaces.apps.iter().find(|row| row.app == app && row.space == space);
            if row.is_some_and(|row| row.default) {
                let what = "an app cannot be without its own space; end its access instead".to_owned();
                return Err(WalletError::BadInput { what });
            }
            open.set_apps(id, |apps| apps.retain(|row| row.app != app))?;
            Ok((Vec::new(), ()))
        })
        .await
    }

    /// Deletes a space with everything in it, for good.
    ///
    /// # Errors
    /// [`WalletError::NotFound`].
    pub async fn delete_space(&self, id: SpaceId) -> Result<(), WalletError> {
        self.change_space(By::Owner, id, move |open| {
            open.leave_space(id)?;
            Ok((Vec::new(), ()))
        })
        .await
    }

    /// What a query finds in a space, deleted items included if the query asks for them.
    ///
    /// # Errors
    /// [`WalletError::NotFound`], [`WalletError::Forbidden`], [`WalletError::Echo`] for a query that asks for too much.
    pub async fn items(&self, by: &By, id: SpaceId, query: Query) -> Result<Vec<ItemView>, WalletError> {
        let by = by.clone();
        self.try_job(move |engine| {
            let open = engine.unlocked()?;
            open.visit(&by, id, Scope::Spaces)?;
            let items = open.name_of(id)?;
            let items = open.store.items(&items);
            let found = evaluate::<_, WalletError>(&query, &items)?;
            let found = found.iter().filter_map(|item| items.item(item).transpose());
            Ok(found.map(|item| item.map(|item| shown(id, &item))).collect::<Result<_, _>>()?)
        })
        .await
    }

    /// One item, and whether it matches the schema of its type.
    ///
    /// # Errors
    /// [`WalletError::NotFound`], [`WalletError::Forbidden`].
    pub async fn item(&self, by: &By, id: SpaceId, item: String) -> Result<ItemView, WalletError> {
        let by = by.clone();
        self.try_job(move |engine| {
            let open = engine.unlocked()?;
            open.visit(&by, id, Scope::Spaces)?;
            let item = open.item_of(id, &item)?;
            Ok(ItemView { mismatch: open.mismatch(&id.to_string(), &item)?, ..shown(id, &item) })
        })
        .await
    }

    /// The states that an item was in, newest first, the present one included; at most fifty.
    ///
    /// # Errors
    /// [`WalletError::NotFound`].
    pub async fn item_versions(
        &self,
        by: &By,
        id: SpaceId,
        item: String,
    ) -> Result<Vec<ItemVersion>, WalletError> {
        let by = by.clone();
        self.try_job(move |engine| {
            let open = engine.unlocked()?;
            open.visit(&by, id, Scope::Spaces)?;
            let document = open.item_of(id, &item)?.document;
            let held = open.spaces.hold(&open.store, id, document)?.ok_or(NO_ITEM)?;
            let versions = held.document.versions(&item, MOST_VERSIONS);
            let versions = versions.into_iter().map(|version| {
                Ok::<_, WalletError>(ItemVersion {
                    change: version.change,
                    at: u64::try_from(version.seconds)
                        .ok()
                        .filter(|at| *at > 0)
                        .map(|at| at.saturating_mul(1000)),
                    by: match by {
                        By::Owner => open.writer_of(id, &version.actor)?,
                        By::App(_) => None,
                    },
                    deleted: version.deleted,
                    data: version.data,
                })
            });
            versions.collect()
        })
        .await
    }

    /// Does something in a space, and tells everybody what changed.
    pub(crate) async fn change_space<T: Send + 'static>(
        &self,
        by: By,
        id: SpaceId,
        work: impl FnOnce(&mut Open) -> Result<(Vec<DocumentId>, T), WalletError> + Send + 'static,
    ) -> Result<T, WalletError> {
        self.try_job(move |engine: &mut Engine| {
            let open = engine.unlocked()?;
            open.visit(&by, id, Scope::SpacesWrite)?;
            let (documents, done) = open.by_hand_of(&by, work)?;
            // Which spaces an app sees is in the snapshot.
            engine.changed();
            engine.tell(Event::Spaces);
            if !documents.is_empty() {
                engine.tell(Event::Documents { space: id, documents });
            }
            Ok(done)
        })
        .await
    }
}

impl Wallet {
    /// Changes what is in a space, and tells those who look at it. `work` says whether it changed what the space says of
    /// itself; only then others hear of it: whoever asks for something else would ask for all of it again at each
    /// letter.
    pub(crate) async fn change_items<T: Send + 'static>(
        &self,
        by: By,
        id: SpaceId,
        work: impl FnOnce(&mut Open) -> Result<(Vec<DocumentId>, bool, T), WalletError> + Send + 'static,
    ) -> Result<T, WalletError> {
        self.try_job(move |engine: &mut Engine| {
            let open = engine.unlocked()?;
            open.visit(&by, id, Scope::SpacesWrite)?;
            let (documents, of_itself, done) = open.by_hand_of(&by, work)?;
            if of_itself {
                engine.tell(Event::Spaces);
            }
            if !documents.is_empty() {
                engine.tell(Event::Documents { space: id, documents });
            }
            Ok(done)
        })
        .await
    }
}

impl Open {
    /// The spaces that people see, oldest first.
    fn space_ids(&self) -> Vec<SpaceId> {
        let shown =
            self.spaces.rows.iter().filter(|(_, row)| !row.halo && self.has_come(row).unwrap_or_default());
        let mut ids: Vec<_> = shown.map(|(id, row)| (row.created, *id)).collect();
        ids.sort_unstable();
        ids.into_iter().map(|(_, id)| id).collect()
    }

    pub(crate) fn details(&mut self, id: SpaceId) -> Result<SpaceDetails, WalletError> {
        let text = id.to_string();
        let apps = self.spaces.apps.iter().filter(|row| row.space == text).map(|row| SpaceApp {
            app: row.app.clone(),
            grant: self.grants.iter().find(|(_, grant)| app_of(grant) == row.app).map(|(id, _)| id.clone()),
            made: row.made,
            default: row.default,
        });
        let apps = apps.collect();
        let created = self.spaces.rows.get(&id).ok_or(NO_SPACE)?.created.as_millis();
        let bytes = u64::try_from(self.store.space_size(&text)?).unwrap_or_default();
        let name = self.space_name(id)?;
        let about_itself =
            evaluate::<_, WalletError>(&Query::of_type(PROPERTIES), &self.store.items(&text))?.len();
        let items = self.store.item_count(&text)?.saturating_sub(about_itself);
        Ok(SpaceDetails { id: text, name, created, items, bytes, apps })
    }

    /// The spaces that the user may share with an app while letting it in: those that it does not see yet.
    pub(crate) fn spaces_to_share(&self, asker: &Asker) -> Result<Vec<SpaceChoice>, WalletError> {
        let app = self.grant_of(asker).map(app_of);
        let sees = |id| app.as_ref().is_some_and(|app| self.spaces.sees(app, id));
        let unseen = self.space_ids().into_iter().filter(|id| !sees(*id)).take(MOST_CHOICES);
        unseen.map(|id| Ok(SpaceChoice { id: id.to_string(), name: self.space_name(id)? })).collect()
    }

    /// The spaces of these names, each once.
    ///
    /// # Errors
    /// [`WalletError::NotFound`] if one of them is not there.
    pub(crate) fn spaces_named(&self, names: &[String]) -> Result<Vec<SpaceId>, WalletError> {
        let there = |name: &String| {
            let id = name.parse().ok().filter(|id| self.spaces.rows.contains_key(id));
            id.ok_or(NO_SPACE)
        };
        let ids: BTreeSet<SpaceId> = names.iter().map(there).collect::<Result<_, _>>()?;
        Ok(ids.into_iter().collect())
    }

    /// Whether somebody may do something in a space; what they do not see does not exist for them.
    pub(crate) fn check(&self, by: &By, space: SpaceId, scope: Scope) -> Result<(), WalletError> {
        let seen = match by {
            // The HALO space is the wallet's own affair.
            By::Owner => self.spaces.rows.get(&space).is_some_and(|row| !row.halo),
            By::App(grant) => self.spaces.sees(&self.app(grant, scope)?, space),
        };
        if seen { Ok(()) } else { Err(NO_SPACE) }
    }

    /// Somebody asks for something in a space, or writes there: if they may, they look at it.
    pub(crate) fn visit(&mut self, by: &By, space: SpaceId, scope: Scope) -> Result<(), WalletError> {
        self.check(by, space, scope)?;
        self.look(space);
        Ok(())
    }

    /// Who is behind one of Automerge's actors: a device that writes for the user or for an app, or an app by itself.
    fn writer_of(&self, space: SpaceId, actor: &[u8]) -> Result<Option<WriterView>, WalletError> {
        let name = space.to_string();
        let label = |key: &DeviceKey| {
            let profile = self.state.devices.get(key).and_then(|device| device.profile.as_ref());
            profile.map(|profile| profile.label.clone())
        };
        let apps = self.spaces.apps.iter().filter(|row| row.space == name).map(|row| Some(row.app.as_str()));
        let apps: Vec<Option<&str>> = std::iter::once(None).chain(apps).collect();
        for device in self.state.devices.keys() {
            if let Some(app) = apps.iter().find(|app| held::actor(device, space, **app) == actor) {
                return Ok(Some(WriterView { device: label(device), app: app.map(str::to_owned) }));
            }
        }
        let app = self.store.writer(&name, actor)?;
        Ok(app.map(|app| WriterView { device: label(&self.keys.device_key()), app: Some(app) }))
    }

    /// The name of a space in the store, if there is such a space.
    fn name_of(&self, id: SpaceId) -> Result<String, WalletError> {
        self.spaces.rows.get(&id).map(|row| row.id.clone()).ok_or(NO_SPACE)
    }

    pub(crate) fn item_of(&self, id: SpaceId, item: &str) -> Result<Item, WalletError> {
        let space = self.name_of(id)?;
        self.store.items(&space).item(item)?.ok_or(NO_ITEM)
    }

    pub(crate) fn space_name(&self, id: SpaceId) -> Result<Option<String>, WalletError> {
        let named = self.properties_of(id)?;
        Ok(named.and_then(|item| Some(item.data.get("name")?.as_str()?.to_owned())))
    }

    /// The item that says what a space is called: the oldest, should there be several.
    fn properties_of(&self, id: SpaceId) -> Result<Option<Item>, WalletError> {
        let space = self.name_of(id)?;
        let items = self.store.items(&space);
        let found = evaluate::<_, WalletError>(&Query::of_type(PROPERTIES), &items)?;
        Ok(found.first().map(|first| items.item(first)).transpose()?.flatten())
    }
}

pub(crate) fn shown(space: SpaceId, item: &Item) -> ItemView {
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
        keys: item
            .keys
            .iter()
            .map(|(source, id)| ForeignKey { source: source.clone(), id: id.clone() })
            .collect(),
        tags: item.tags.clone(),
        mismatch: Vec::new(),
        data: item.data.clone(),
    }
}

pub(crate) fn checked_name(name: &str) -> Result<String, WalletError> {
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
