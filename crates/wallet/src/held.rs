//! The documents of spaces: in memory while they are used, in the store always, and how a change of some becomes one
//! block and one transaction.

use std::collections::{BTreeMap, BTreeSet};

use halo_echo::{Beginning, Document, DocumentId, EchoError, Item, NewDocument, Pen, SpaceId};
use halo_keystore::Keys;
use halo_protocol::credential::Cut;
use halo_protocol::feed::{Change, EpochId, Payload};
use halo_protocol::identity::IdentityState;
use halo_protocol::{DeviceKey, SpaceKey};
use halo_store::{EpochRow, SpaceAppRow, SpaceRow, Store, StoreError, Tx};
use sha2::{Digest, Sha256};

use crate::collection::By;
use crate::compaction::Compaction;
use crate::contents::epoch_row;
use crate::engine::clock;
use crate::error::WalletError;
use crate::feeds::{SpaceFeeds, Written, damaged};
use crate::looks::Looks;
use crate::open::Open;
use crate::spaces::{DocumentUpdated, NO_DOCUMENT, NO_SPACE, app_of};

/// Changes of a document are folded into it when they are larger than it was, and than this: so that neither a small
/// one is written too often, nor a large one for every change.
const SMALL: usize = 8 * 1024;
/// Documents kept in memory.
const MOST_DOCUMENTS: usize = 1_024;

impl Open {
    /// How this wallet signs its own changes in a space, and those it makes for the app at hand.
    pub(crate) fn pen(&self, space: SpaceId) -> Pen {
        let actor = actor(&self.keys.device_key(), space, self.hand.as_deref());
        Pen { actor, seconds: i64::try_from(clock().seconds()).unwrap_or_default() }
    }

    /// Does something for somebody: what is written meanwhile is known as theirs.
    pub(crate) fn by_hand_of<T>(&mut self, by: &By, work: impl FnOnce(&mut Self) -> T) -> T {
        self.hand = match by {
            By::Owner => None,
            By::App(grant) => self.grants.get(grant).map(app_of),
        };
        let done = work(self);
        self.hand = None;
        done
    }

    /// Changes documents of one space in one transaction, and one block of this device's feed.
    pub(crate) fn together(
        &mut self,
        space: SpaceId,
        work: impl FnOnce(&mut Self, &mut Batch) -> Result<(), WalletError>,
    ) -> Result<Vec<DocumentUpdated>, WalletError> {
        Ok(self.say(space, Payload::default(), work, |_| Ok(()))?.0)
    }

    /// Says something in a space: one block with `said` and the changes that `work` makes, in one transaction with
    /// whatever `also` keeps. Without anything to say there is no block.
    pub(crate) fn say<T>(
        &mut self,
        space: SpaceId,
        said: Payload,
        work: impl FnOnce(&mut Self, &mut Batch) -> Result<(), WalletError>,
        also: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError>,
    ) -> Result<(Vec<DocumentUpdated>, T), WalletError> {
        self.admit_own_feed(space)?;
        self.say_admitted(space, said, work, also)
    }

    /// The same, where this device's feed was let in, or is let in by what is said.
    pub(crate) fn say_admitted<T>(
        &mut self,
        space: SpaceId,
        said: Payload,
        work: impl FnOnce(&mut Self, &mut Batch) -> Result<(), WalletError>,
        also: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError>,
    ) -> Result<(Vec<DocumentUpdated>, T), WalletError> {
        let under = self.epoch_of(space)?;
        let mut batch = Batch::of(space);
        let kept = work(self, &mut batch).and_then(|()| {
            let (actors, app) = (std::mem::take(&mut batch.actors), self.hand.clone());
            let (fresh, made) = (std::mem::take(&mut batch.fresh), std::mem::take(&mut batch.made));
            self.keep(space, under, fresh, made, said, |tx| {
                if let Some(app) = app {
                    let name = space.to_string();
                    actors.iter().try_for_each(|actor| tx.add_writer(&name, actor, &app))?;
                }
                also(tx)
            })
        });
        let kept = kept.inspect_err(|_| {
            // What is in memory may have taken a part of it.
            self.spaces.forget(space);
        })?;
        Ok((batch.done.into_values().collect(), kept))
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
        let done = DocumentUpdated { document, before: before.clone(), after: after.clone() };
        batch.done.entry(document).and_modify(|one| one.after = after).or_insert(done);
        if !bytes.is_empty() {
            if self.hand.is_some() {
                batch.actors.extend(held.document.actors_since(&before));
            }
            // Chunks one behind the other are a file of changes as well.
            batch.fresh.entry(document).or_default().extend(bytes);
        }
        Ok(())
    }

    /// Writes changes that the documents in memory have already.
    fn keep<T>(
        &mut self,
        space: SpaceId,
        under: EpochId,
        fresh: BTreeMap<DocumentId, Vec<u8>>,
        made: BTreeMap<DocumentId, NewDocument>,
        said: Payload,
        also: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError>,
    ) -> Result<T, WalletError> {
        let made_of = made.iter().map(|(id, made)| (id, &made.bytes));
        let changes = fresh
            .iter()
            .chain(made_of)
            .map(|(id, bytes)| Change { document: *id.as_bytes(), bytes: bytes.clone() });
        let said = Payload { changes: changes.collect(), ..said };
        if said == Payload::default() {
            return Ok(self.store.write(also)?);
        }
        let written = self.feeds(space)?.write(under, said)?;
        let name = space.to_string();
        let Spaces { documents, feeds, .. } = &mut self.spaces;
        let feed = feeds.get_mut(&space).ok_or(NO_SPACE)?;
        let done = self.store.write(|tx| {
            feed.keep(tx, &written)?;
            keep_documents(tx, &name, documents, &fresh)?;
            keep_made(tx, &name, &made)?;
            also(tx)
        })?;
        let size = written.size();
        feed.said(written);
        self.spaces.grown.insert(space);
        self.spaces.evict();
        self.tidy(space, size);
        Ok(done)
    }

    /// Says something under an epoch, without changes of documents.
    pub(crate) fn keep_under<T>(
        &mut self,
        space: SpaceId,
        under: EpochId,
        said: Payload,
        also: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError>,
    ) -> Result<T, WalletError> {
        self.keep(space, under, BTreeMap::new(), BTreeMap::new(), said, also)
    }
}

/// Keeps documents that were written down at once.
pub(crate) fn keep_made(
    tx: &mut Tx<'_>,
    space: &str,
    made: &BTreeMap<DocumentId, NewDocument>,
) -> Result<(), StoreError> {
    for (id, NewDocument { bytes, items, .. }) in made {
        tx.make_document(space, id.as_bytes(), bytes)?;
        tx.add_items(space, id.as_bytes(), items)?;
    }
    tx.grow_space(space, made.values().map(|made| size(made.bytes.len())).sum())
}

/// Keeps what was added to documents that are in memory, and the items in them.
pub(crate) fn keep_documents(
    tx: &mut Tx<'_>,
    space: &str,
    documents: &mut BTreeMap<DocumentId, Held>,
    fresh: &BTreeMap<DocumentId, Vec<u8>>,
) -> Result<(), StoreError> {
    let mut grown = 0;
    for (id, bytes) in fresh {
        let Some(held) = documents.get_mut(id) else { continue };
        held.changes += bytes.len();
        grown += size(bytes.len());
        if held.is_new {
            // What is fresh is all of it.
            tx.save_document(space, id.as_bytes(), bytes)?;
            (held.is_new, held.changes, held.saved) = (false, 0, bytes.len());
        } else if let Some(saved) = held.folded() {
            tx.save_document(space, id.as_bytes(), &saved)?;
            grown += size(saved.len()) - size(held.saved) - size(held.changes);
            (held.changes, held.saved) = (0, saved.len());
        } else {
            tx.add_change(id.as_bytes(), bytes)?;
        }
        tx.put_items(space, id.as_bytes(), &Item::all_in(*id, &held.document.objects()))?;
    }
    tx.grow_space(space, grown)
}

/// A space that is about to be.
pub(crate) struct FreshSpace {
    root: DocumentId,
    saved: Vec<u8>,
    items: Vec<Item>,
    feeds: SpaceFeeds,
    written: Written,
    pub(crate) epoch: EpochRow,
}

impl FreshSpace {
    pub(crate) fn new(
        open: &Open,
        row: &SpaceRow,
        key: &SpaceKey,
        directory: &Document,
    ) -> Result<Self, WalletError> {
        let root = DocumentId::from_bytes(&row.root)?;
        let saved = directory.save();
        let after = open.state.revocations.clone();
        let to = open.recipients_by(&open.state);
        let (feeds, epoch) = SpaceFeeds::begin(&open.keys, key, &row.id, &to, after)?;
        let changes = vec![Change { document: row.root, bytes: saved.clone() }];
        let written = feeds.write(epoch.id(), Payload { changes, ..Payload::default() })?;
        let items = Item::all_in(root, &directory.objects());
        let epoch = epoch_row(&open.keys.device_key(), &epoch);
        Ok(Self { root, saved, items, feeds, written, epoch })
    }

    pub(crate) fn keep(&self, tx: &mut Tx<'_>, row: &SpaceRow) -> Result<(), StoreError> {
        tx.add_space(row)?;
        tx.add_epoch(&row.id, &self.epoch)?;
        self.feeds.keep(tx, &self.written)?;
        tx.save_document(&row.id, self.root.as_bytes(), &self.saved)?;
        tx.grow_space(&row.id, size(self.saved.len()))?;
        tx.put_items(&row.id, self.root.as_bytes(), &self.items)
    }
}

/// By which of Automerge's actors a device writes in a space, for itself or for an app. Nothing that two apps, or two
/// members of different spaces, could compare; each device of the user can work out those of the others.
pub(crate) fn actor(device: &DeviceKey, space: SpaceId, app: Option<&str>) -> [u8; 16] {
    let mut digest = Sha256::new()
        .chain_update(b"halo automerge actor\0")
        .chain_update(device.as_bytes())
        .chain_update(space.to_string());
    if let Some(app) = app {
        digest = digest.chain_update(b"\0").chain_update(app);
    }
    let mut actor = [0; 16];
    actor.iter_mut().zip(digest.finalize()).for_each(|(to, from)| *to = from);
    actor
}

fn size(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// Changes that become one transaction.
pub(crate) struct Batch {
    space: SpaceId,
    fresh: BTreeMap<DocumentId, Vec<u8>>,
    /// Documents that come to be, and that nobody needs in memory yet.
    made: BTreeMap<DocumentId, NewDocument>,
    done: BTreeMap<DocumentId, DocumentUpdated>,
    /// Who wrote what is fresh, where that is an app.
    actors: BTreeSet<Vec<u8>>,
}

impl Batch {
    const fn of(space: SpaceId) -> Self {
        Self {
            space,
            fresh: BTreeMap::new(),
            made: BTreeMap::new(),
            done: BTreeMap::new(),
            actors: BTreeSet::new(),
        }
    }

    /// Adds a document, which `pen` wrote. Nothing else of this batch changes it.
    pub(crate) fn make(&mut self, document: DocumentId, made: NewDocument, pen: Pen) {
        let done = DocumentUpdated { document, before: Vec::new(), after: vec![made.head] };
        self.done.insert(document, done);
        self.actors.insert(pen.actor.to_vec());
        self.made.insert(document, made);
    }

    /// The documents that it changes.
    pub(crate) fn changed(&self) -> Vec<DocumentId> {
        self.fresh.keys().copied().collect()
    }

    /// The items of those that come to be.
    pub(crate) fn new_items(&self) -> impl Iterator<Item = &Item> {
        self.made.values().flat_map(|made| &made.items)
    }
}

/// A document in memory.
pub(crate) struct Held {
    pub(crate) space: SpaceId,
    pub(crate) document: Document,
    /// Bytes of it when it was saved as a whole.
    saved: usize,
    /// Bytes of the changes since.
    changes: usize,
    /// Not in the store yet.
    pub(crate) is_new: bool,
    used: u64,
}

impl Held {
    /// All of it, where the changes have become more than the rest; not where it would not be taken as one any more.
    fn folded(&self) -> Option<Vec<u8>> {
        let saved = (self.changes > self.saved.max(SMALL)).then(|| self.document.save())?;
        Document::loads(&saved).then_some(saved)
    }
}

/// The spaces of an open wallet.
#[derive(Default)]
pub(crate) struct Spaces {
    pub(crate) rows: BTreeMap<SpaceId, SpaceRow>,
    pub(crate) apps: Vec<SpaceAppRow>,
    /// The items of the HALO space that tell of them.
    pub(crate) records: BTreeMap<SpaceId, String>,
    pub(crate) documents: BTreeMap<DocumentId, Held>,
    /// What documents of new items begin as, by who writes them.
    pub(crate) beginnings: BTreeMap<(SpaceId, [u8; 16]), Beginning>,
    pub(crate) feeds: BTreeMap<SpaceId, SpaceFeeds>,
    /// Ends of feeds that were carried out.
    pub(crate) cuts: BTreeSet<Cut>,
    /// Spaces in which there are blocks that other devices have not been told of.
    pub(crate) grown: BTreeSet<SpaceId>,
    pub(crate) compaction: Compaction,
    pub(crate) looks: Looks,
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

    /// What devices say in a space.
    pub(crate) fn feeds(
        &mut self,
        store: &Store,
        keys: &Keys,
        space: SpaceId,
        state: &IdentityState,
    ) -> Result<&mut SpaceFeeds, WalletError> {
        if !self.feeds.contains_key(&space) {
            let row = self.rows.get(&space).ok_or(NO_SPACE)?;
            let key = SpaceKey::from_bytes(&row.key).map_err(damaged)?;
            let mut feeds = SpaceFeeds::load(store, keys, &key, &row.id)?;
            if let Some(admitted) = state.feeds.get(&key) {
                feeds.admit(admitted);
                for cut in admitted.values().filter_map(|feed| feed.cut).filter(|cut| self.cuts.contains(cut))
                {
                    // It was dropped when it was cut.
                    let _ = feeds.cut(store, cut);
                }
            }
            self.feeds.insert(space, feeds);
        }
        self.feeds.get_mut(&space).ok_or(NO_SPACE)
    }

    /// A space was made.
    pub(crate) fn begun(&mut self, id: SpaceId, row: SpaceRow, mut fresh: FreshSpace) {
        fresh.feeds.said(fresh.written);
        self.feeds.insert(id, fresh.feeds);
        self.rows.insert(id, row);
        self.grown.insert(id);
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

    /// Whether there is such a document, in any space.
    pub(crate) fn is_there(&self, store: &Store, id: DocumentId) -> Result<bool, WalletError> {
        Ok(self.documents.contains_key(&id) || store.space_of_document(id.as_bytes())?.is_some())
    }

    pub(crate) fn hold_or_make(
        &mut self,
        store: &Store,
        space: SpaceId,
        id: DocumentId,
    ) -> Result<&mut Held, WalletError> {
        if !self.is_there(store, id)? {
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
        self.beginnings.retain(|(of, _), _| *of != space);
    }

    /// The same of all spaces.
    pub(crate) fn forget_all(&mut self) {
        self.feeds.clear();
        self.documents.clear();
        self.beginnings.clear();
    }

    /// Drops a space that is not in the store any more.
    pub(crate) fn drop_space(&mut self, space: SpaceId) {
        self.forget(space);
        self.rows.remove(&space);
        self.records.remove(&space);
        let space = space.to_string();
        self.apps.retain(|row| row.space != space);
    }

    /// Makes room, the longest unused first.
    pub(crate) fn evict(&mut self) {
        if self.documents.len() <= MOST_DOCUMENTS {
            return;
        }
        let mut uses: Vec<u64> = self.documents.values().map(|held| held.used).collect();
        uses.sort_unstable();
        let oldest = uses.get(uses.len() / 4).copied().unwrap_or_default();
        self.documents.retain(|_, held| held.is_new || held.used > oldest);
    }
}
