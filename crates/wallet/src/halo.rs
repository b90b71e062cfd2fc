//! The HALO space: what all devices of the identity know. Credentials travel in its control blocks; which spaces there
//! are, and which apps see them, are items in it.
//!
//! The tables of spaces and of what apps see are made from these items and can be made anew. Key and directory of the
//! HALO space derive from a seed that all devices share, and its first change is the same everywhere: wherever it is
//! begun, it is one space.

use std::collections::{BTreeMap, BTreeSet};

use halo_echo::query::{Query, evaluate};
use halo_echo::{Document, DocumentId, Index, Item, NewItem, Pen, SpaceId, item_id};
use halo_protocol::feed::Payload;
use halo_protocol::identity::IdentityState;
use halo_protocol::{SealTo, SpaceKey, Timestamp};
use halo_store::{SpaceAppRow, SpaceRow, StoreError, Tx};
use serde_json::{Map, Value, json};

use crate::engine::clock;
use crate::error::WalletError;
use crate::feeds::damaged;
use crate::held::{Batch, FreshSpace};
use crate::open::Open;
use crate::random::random;
use crate::spaces::NO_SPACE;

/// The type of an item that tells of a space: `key` and `root` in hex, `created` in milliseconds, and `apps`, by name, each
/// with `made` and `default`.
const SPACE: &str = "dxn:type:halo.dxos.org/type/Space:0.1.0";

impl Open {
    /// The HALO space.
    pub(crate) fn halo(&self) -> Result<SpaceId, WalletError> {
        let halo = self.spaces.rows.iter().find(|(_, row)| row.halo);
        halo.map(|(id, _)| *id).ok_or_else(|| damaged("the HALO space is missing"))
    }

    /// Makes the HALO space where there is none yet, with what was there before it: the credentials, and the spaces.
    pub(crate) fn begin_halo(&mut self) -> Result<(), WalletError> {
        if self.spaces.rows.values().any(|row| row.halo) {
            return Ok(());
        }
        let key = self.keys.halo_space()?.space_key();
        let id = SpaceId::of_key(key.as_bytes());
        let root = DocumentId::from_random(self.keys.halo_document()?);
        // The same change on every device: nothing in it depends on who makes it, or when.
        let everybody = Pen { actor: *root.as_bytes(), seconds: 0 };
        let directory = Document::directory(everybody, &data_encoding::HEXLOWER.encode(key.as_bytes()))?;
        let row = SpaceRow {
            id: id.to_string(),
            key: *key.as_bytes(),
            root: *root.as_bytes(),
            created: clock(),
            halo: true,
        };
        let fresh = FreshSpace::new(self, &row, &key, &directory)?;
        self.store.write(|tx| fresh.keep(tx, &row))?;
        self.spaces.begun(id, row, fresh);
        let mut records = Vec::new();
        let mut said = Payload { credentials: self.credential_bytes(), ..Payload::default() };
        said.epochs.extend(self.store.epochs(&id.to_string())?.into_iter().map(|row| row.bytes));
        let others: Vec<SpaceRow> = self.spaces.rows.values().filter(|row| !row.halo).cloned().collect();
        for row in others {
            let apps: Vec<SpaceAppRow> =
                self.spaces.apps.iter().filter(|app| app.space == row.id).cloned().collect();
            let record = self.record_of(&row, &apps)?;
            self.spaces.records.insert(row.id.parse()?, record.id.clone());
            records.push(record);
            said.epochs.extend(self.store.epochs(&row.id)?.into_iter().map(|row| row.bytes));
        }
        self.say(id, said, |open, batch| open.add_to(batch, id, &records), |_| Ok(()))?;
        Ok(())
    }

    /// Who reads what is said from now on, by `state`: the devices of the identity that nobody put out.
    pub(crate) fn recipients_by(&self, state: &IdentityState) -> Vec<SealTo> {
        let own = self.keys.device_key();
        let others = state.devices.iter().filter(|(key, _)| state.is_in(key) && **key != own);
        let others = others.map(|(_, device)| device.seal_to());
        std::iter::once(SealTo::Hybrid(self.keys.hybrid_key().clone())).chain(others).collect()
    }

    /// What tells the other devices of a space.
    pub(crate) fn record_of(&self, row: &SpaceRow, apps: &[SpaceAppRow]) -> Result<NewItem, WalletError> {
        let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
        let mut data = Map::new();
        data.insert("key".into(), hex(&row.key).into());
        data.insert("root".into(), hex(&row.root).into());
        data.insert("created".into(), row.created.as_millis().into());
        data.insert("apps".into(), Value::Object(apps.iter().map(app_entry).collect()));
        Ok(NewItem {
            id: item_id(clock().as_millis(), random()?),
            typename: SPACE.to_owned(),
            data,
            ..NewItem::default()
        })
    }

    /// Changes which apps see a space, here and for the other devices.
    pub(crate) fn set_apps(
        &mut self,
        space: SpaceId,
        change: impl FnOnce(&mut Vec<SpaceAppRow>),
    ) -> Result<(), WalletError> {
        let name = space.to_string();
        let before: Vec<SpaceAppRow> =
            self.spaces.apps.iter().filter(|row| row.space == name).cloned().collect();
        let mut after = before.clone();
        change(&mut after);
        let gone: Vec<&SpaceAppRow> =
            before.iter().filter(|row| after.iter().all(|other| other.app != row.app)).collect();
        let halo = self.halo()?;
        self.say(
            halo,
            Payload::default(),
            |open, batch| open.write_apps(batch, space, &after),
            |tx| {
                gone.iter().try_for_each(|row| tx.remove_space_app(&row.app, &row.space))?;
                after.iter().try_for_each(|row| tx.put_space_app(row))
            },
        )?;
        self.spaces.apps.retain(|row| row.space != name);
        self.spaces.apps.extend(after);
        Ok(())
    }

    /// Writes into the record of a space which apps see it.
    pub(crate) fn write_apps(
        &mut self,
        batch: &mut Batch,
        space: SpaceId,
        apps: &[SpaceAppRow],
    ) -> Result<(), WalletError> {
        let record = self.spaces.records.get(&space).cloned().ok_or(NO_SPACE)?;
        let halo = self.halo()?;
        let found = self.item_in(halo, &record)?;
        let pen = self.pen(halo);
        let mut data = found.data.as_object().cloned().unwrap_or_default();
        data.insert("apps".into(), Value::Object(apps.iter().map(app_entry).collect()));
        self.change(batch, found.document, |document| document.set_data(pen, &found.id, &data))
    }

    /// Drops a space with everything in it, here and on the other devices.
    pub(crate) fn leave_space(&mut self, space: SpaceId) -> Result<(), WalletError> {
        let record = self.spaces.records.get(&space).cloned().ok_or(NO_SPACE)?;
        let halo = self.halo()?;
        let found = self.item_in(halo, &record)?;
        let pen = self.pen(halo);
        self.say(
            halo,
            Payload::default(),
            |open, batch| {
                open.change(batch, found.document, |document| document.set_deleted(pen, &found.id, true))
            },
            |tx| tx.delete_space(&space.to_string()),
        )?;
        self.spaces.drop_space(space);
        Ok(())
    }

    fn item_in(&self, space: SpaceId, item: &str) -> Result<Item, WalletError> {
        self.store.items(&space.to_string()).item(item)?.ok_or(NO_SPACE)
    }

    /// Makes the tables of spaces what the items of the HALO space say. Gives the spaces that came or went, or whose apps
    /// are others now.
    pub(crate) fn read_records(&mut self) -> Result<BTreeSet<SpaceId>, WalletError> {
        let halo = self.halo()?.to_string();
        let items = self.store.items(&halo);
        let found = evaluate::<_, WalletError>(&Query::of_type(SPACE), &items)?;
        let mut records: BTreeMap<SpaceId, (String, SpaceRow, Vec<SpaceAppRow>)> = BTreeMap::new();
        for id in found {
            // What another device wrote wrongly tells of no space.
            let Some((row, apps)) = items.item(&id)?.as_ref().and_then(read_record) else { continue };
            records.entry(row.id.parse()?).or_insert((id, row, apps));
        }
        one_default_an_app(&mut records);
        let mut changed = BTreeSet::new();
        let mut gone: Vec<SpaceId> = Vec::new();
        for (id, row) in &self.spaces.rows {
            if !row.halo && !records.contains_key(id) {
                changed.insert(*id);
                gone.push(*id);
            }
        }
        let mut fresh: Vec<&SpaceRow> = Vec::new();
        let mut apps: Vec<SpaceAppRow> = Vec::new();
        for (id, (_, row, seen)) in &records {
            if !self.spaces.rows.contains_key(id) {
                changed.insert(*id);
                fresh.push(row);
            }
            apps.extend(seen.iter().cloned());
        }
        apps.sort_by(|a, b| (&a.app, &a.space).cmp(&(&b.app, &b.space)));
        let mut before = self.spaces.apps.clone();
        before.sort_by(|a, b| (&a.app, &a.space).cmp(&(&b.app, &b.space)));
        for row in before
            .iter()
            .filter(|row| !apps.contains(row))
            .chain(apps.iter().filter(|row| !before.contains(row)))
        {
            changed.insert(row.space.parse()?);
        }
        if !changed.is_empty() {
            self.store.write(|tx| replace(tx, &gone, &fresh, &before, &apps))?;
            for id in gone {
                self.spaces.drop_space(id);
            }
            for row in fresh {
                self.spaces.rows.insert(row.id.parse()?, row.clone());
            }
            self.spaces.apps = apps;
        }
        self.spaces.records = records.into_iter().map(|(id, (record, ..))| (id, record)).collect();
        Ok(changed)
    }

    /// Whether the directory of a space has come: before that there is nothing to see in it.
    pub(crate) fn has_come(&self, row: &SpaceRow) -> Result<bool, WalletError> {
        Ok(self.store.space_of_document(&row.root)?.is_some())
    }
}

fn replace(
    tx: &mut Tx<'_>,
    gone: &[SpaceId],
    fresh: &[&SpaceRow],
    before: &[SpaceAppRow],
    apps: &[SpaceAppRow],
) -> Result<(), StoreError> {
    // First what goes: an app has one default space at a time.
    for row in before {
        tx.remove_space_app(&row.app, &row.space)?;
    }
    gone.iter().try_for_each(|id| tx.delete_space(&id.to_string()))?;
    fresh.iter().try_for_each(|row| tx.add_space(row))?;
    apps.iter().try_for_each(|row| tx.put_space_app(row))
}

fn app_entry(row: &SpaceAppRow) -> (String, Value) {
    (row.app.clone(), json!({ "made": row.made, "default": row.default }))
}

fn read_record(item: &Item) -> Option<(SpaceRow, Vec<SpaceAppRow>)> {
    let bytes = |name: &str| data_encoding::HEXLOWER.decode(item.data.get(name)?.as_str()?.as_bytes()).ok();
    let key: [u8; 32] = bytes("key")?.try_into().ok()?;
    let root: [u8; 16] = bytes("root")?.try_into().ok()?;
    SpaceKey::from_bytes(&key).ok()?;
    DocumentId::from_bytes(&root).ok()?;
    let id = SpaceId::of_key(&key).to_string();
    let created = Timestamp::from_millis(item.data.get("created").and_then(Value::as_u64)?);
    let apps = item.data.get("apps").and_then(Value::as_object).into_iter().flatten();
    let flag = |entry: &Value, name: &str| entry.get(name).and_then(Value::as_bool).unwrap_or_default();
    let apps = apps.map(|(app, entry)| SpaceAppRow {
        app: app.clone(),
        space: id.clone(),
        made: flag(entry, "made"),
        default: flag(entry, "default"),
    });
    let apps = apps.collect();
    Some((SpaceRow { id, key, root, created, halo: false }, apps))
}

/// Two devices may each have made a default space for an app before they met: the older one stays it.
fn one_default_an_app(records: &mut BTreeMap<SpaceId, (String, SpaceRow, Vec<SpaceAppRow>)>) {
    let mut defaults: BTreeMap<String, (Timestamp, SpaceId)> = BTreeMap::new();
    for (id, (_, row, apps)) in records.iter() {
        for app in apps.iter().filter(|app| app.default) {
            let this = (row.created, *id);
            let oldest = defaults.entry(app.app.clone()).or_insert(this);
            *oldest = this.min(*oldest);
        }
    }
    for (id, (.., apps)) in records.iter_mut() {
        for app in apps {
            app.default = app.default && defaults.get(&app.app).is_some_and(|(_, default)| default == id);
        }
    }
}
