//! Changes that the wallet itself makes to documents: new items, what an item is besides its properties, and the
//! transaction that every edit is. Properties are edited by [`crate::model`]s.
//!
//! Written as DXOS's clients write: texts are Automerge texts, maps and lists are Automerge's own.

use automerge::transaction::{CommitOptions, Transactable, Transaction};
use automerge::{AutomergeError, ChangeHash, ObjId, ObjType, PatchLog, ROOT, ReadDoc, Value as Stored};
use serde_json::{Map, Value, json};

use crate::document::{Document, LARGEST_CHUNK};
use crate::error::EchoError;
use crate::item::{EXPANDO, Item, ItemKind};
use crate::model::{ObjectEdit, ObjectModel, put, refused};

/// Who writes, and when.
#[derive(Debug, Clone, Copy)]
pub struct Pen {
    /// Automerge's name of whoever changes a document; the same one must never write in two places at once.
    pub actor: [u8; 16],
    /// Seconds since the epoch.
    pub seconds: i64,
}

/// A new item.
#[derive(Debug, Clone, Default)]
pub struct NewItem {
    /// Its id, a ULID.
    pub id: String,
    /// Object or relation.
    pub kind: ItemKind,
    /// Its type, for instance `dxn:type:example.org/type/Task:0.1.0`.
    pub typename: String,
    /// The item it belongs to.
    pub parent: Option<String>,
    /// Where a relation comes from and leads.
    pub ends: Option<(String, String)>,
    /// Its names elsewhere: source and id.
    pub keys: Vec<(String, String)>,
    /// What it is filed under.
    pub tags: Vec<String>,
    /// Its properties.
    pub data: Map<String, Value>,
}

impl NewItem {
    /// One like another.
    #[must_use]
    pub fn copy_of(item: Item) -> Self {
        let Item { id, kind, typename, parent, source, target, keys, tags, data, .. } = item;
        let data = if let Value::Object(data) = data { data } else { Map::new() };
        let typename = typename.unwrap_or_else(|| EXPANDO.to_owned());
        Self { id, kind, typename, parent, ends: source.zip(target), keys, tags, data }
    }
}

/// A reference to an item of the same space, as DXOS writes it.
#[must_use]
pub fn reference(id: &str) -> Value {
    json!({ "/": format!("dxn:echo:@:{id}") })
}

/// Makes a ULID: 48 bits of milliseconds and 80 random bits, in Crockford's base32.
#[must_use]
pub fn item_id(millis: u64, random: [u8; 10]) -> String {
    const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let mut number = u128::from(millis) << 80;
    for (place, byte) in random.iter().enumerate() {
        number |= u128::from(*byte) << (72 - 8 * place);
    }
    (0..26)
        .rev()
        .filter_map(|place| LETTERS.get(usize::from(u8::try_from(number >> (place * 5) & 31).unwrap_or(0))))
        .map(|letter| char::from(*letter))
        .collect()
}

impl Document {
    /// Adds an item, or writes over the one of that id. Returns the change, for feed and peers.
    ///
    /// # Errors
    /// [`EchoError::Malformed`] for a document that is not laid out as a directory.
    pub fn put_item(&mut self, pen: Pen, item: &NewItem) -> Result<Vec<u8>, EchoError> {
        let object = object_of(item);
        self.write(pen, None, |tx| {
            let objects = child(tx, &ROOT, "objects").map_err(refused)?;
            put(tx, &objects, item.id.as_str().into(), &object).map_err(refused)
        })
    }

    /// Makes the properties of an item equal to `data`; those that `data` does not name are removed.
    ///
    /// # Errors
    /// [`EchoError::Malformed`] if there is no such item.
    pub fn set_data(&mut self, pen: Pen, id: &str, data: &Map<String, Value>) -> Result<Vec<u8>, EchoError> {
        self.edit::<ObjectModel>(pen, (id, ""), None, &ObjectEdit::Set(Value::Object(data.clone())))
    }

    /// Writes some properties of an item and leaves the others; `null` removes one.
    ///
    /// # Errors
    /// [`EchoError::Malformed`] if there is no such item.
    pub fn merge_data(
        &mut self,
        pen: Pen,
        id: &str,
        some: &Map<String, Value>,
    ) -> Result<Vec<u8>, EchoError> {
        self.edit::<ObjectModel>(pen, (id, ""), None, &ObjectEdit::Merge(some.clone()))
    }

    /// Deletes an item, or restores it: a mark, so that it can be taken back.
    ///
    /// # Errors
    /// [`EchoError::Malformed`] if there is no such item.
    pub fn set_deleted(&mut self, pen: Pen, id: &str, deleted: bool) -> Result<Vec<u8>, EchoError> {
        self.write(pen, None, |tx| {
            let item = existing(tx, id)?;
            let system = child(tx, &item, "system").map_err(refused)?;
            put(tx, &system, "deleted".into(), &deleted.into()).map_err(refused)
        })
    }

    /// Puts an item under another one, or under none.
    ///
    /// # Errors
    /// [`EchoError::Malformed`] if there is no such item.
    pub fn set_parent(&mut self, pen: Pen, id: &str, parent: Option<&str>) -> Result<Vec<u8>, EchoError> {
        self.write(pen, None, |tx| {
            let item = existing(tx, id)?;
            let system = child(tx, &item, "system").map_err(refused)?;
            match parent {
                Some(parent) => put(tx, &system, "parent".into(), &reference(parent)),
                None if tx.get(&system, "parent").map_err(refused)?.is_none() => Ok(()),
                None => tx.delete(&system, "parent"),
            }
            .map_err(refused)
        })
    }

    /// Names an item elsewhere: all of its foreign keys.
    ///
    /// # Errors
    /// [`EchoError::Malformed`] if there is no such item.
    pub fn set_keys(&mut self, pen: Pen, id: &str, keys: &[(String, String)]) -> Result<Vec<u8>, EchoError> {
        self.set_meta(pen, id, "keys", &keys_json(keys))
    }

    /// Files an item under these tags and no others.
    ///
    /// # Errors
    /// [`EchoError::Malformed`] if there is no such item.
    pub fn set_tags(&mut self, pen: Pen, id: &str, tags: &[String]) -> Result<Vec<u8>, EchoError> {
        self.set_meta(pen, id, "tags", &json!(tags))
    }

    fn set_meta(&mut self, pen: Pen, id: &str, name: &str, value: &Value) -> Result<Vec<u8>, EchoError> {
        self.write(pen, None, |tx| {
            let item = existing(tx, id)?;
            let meta = child(tx, &item, "meta").map_err(refused)?;
            put(tx, &meta, name.into(), value).map_err(refused)
        })
    }

    /// Names the documents of items in the directory of a space: ids and urls.
    ///
    /// # Errors
    /// [`EchoError::Malformed`].
    pub fn put_links(&mut self, pen: Pen, new: &[(String, String)]) -> Result<Vec<u8>, EchoError> {
        self.write(pen, None, |tx| {
            let links = child(tx, &ROOT, "links").map_err(refused)?;
            new.iter().try_for_each(|(id, url)| tx.put(&links, id, url.as_str())).map_err(refused)
        })
    }

    /// Refuses versions that are not in this document.
    pub(crate) fn knows(&self, at: Option<&[ChangeHash]>) -> Result<(), EchoError> {
        let unknown = |head: &ChangeHash| !self.has(head);
        match at {
            Some(at) if at.iter().any(unknown) => {
                Err(EchoError::malformed("version", "it is not known here"))
            }
            _ => Ok(()),
        }
    }

    /// Makes one change, on the version `at` or on the present one. An error leaves the document as it was.
    pub(crate) fn write(
        &mut self,
        pen: Pen,
        at: Option<&[ChangeHash]>,
        change: impl FnOnce(&mut Transaction<'_>) -> Result<(), EchoError>,
    ) -> Result<Vec<u8>, EchoError> {
        let before = self.heads();
        self.knows(at)?;
        // On the newest version there is nothing to go back to.
        let at = at.filter(|at| *at != before);
        let inner = self.inner();
        inner.set_actor(pen.actor.as_slice().into());
        let mut tx = match at {
            Some(at) => inner.transaction_at(PatchLog::inactive(), at).map_err(refused)?,
            None => inner.transaction(),
        };
        change(&mut tx)?;
        tx.commit_with(CommitOptions::default().with_time(pen.seconds));
        // It had all of those, of course.
        let change = self.view().save_after(&before);
        if change.len() > LARGEST_CHUNK {
            // No other device would take it.
            return Err(EchoError::TooLarge { what: "a change", size: change.len(), most: LARGEST_CHUNK });
        }
        self.grow(change.len())?;
        Ok(change)
    }
}

pub(crate) fn object_of(item: &NewItem) -> Value {
    let mut system = json!({
        "kind": if item.kind == ItemKind::Relation { "relation" } else { "object" },
        "type": { "/": item.typename },
    });
    if let (Some(system), Some(parent)) = (system.as_object_mut(), &item.parent) {
        system.insert("parent".into(), reference(parent));
    }
    if let (Some(system), Some((source, target))) = (system.as_object_mut(), &item.ends) {
        system.insert("source".into(), reference(source));
        system.insert("target".into(), reference(target));
    }
    let mut meta = json!({ "keys": keys_json(&item.keys) });
    if let (Some(meta), false) = (meta.as_object_mut(), item.tags.is_empty()) {
        meta.insert("tags".into(), json!(item.tags));
    }
    json!({ "system": system, "meta": meta, "data": item.data })
}

fn keys_json(keys: &[(String, String)]) -> Value {
    keys.iter().map(|(source, id)| json!({ "source": source, "id": id })).collect()
}

fn child(tx: &mut Transaction<'_>, of: &ObjId, name: &str) -> Result<ObjId, AutomergeError> {
    match tx.get(of, name)? {
        Some((Stored::Object(ObjType::Map), id)) => Ok(id),
        _ => tx.put_object(of, name, ObjType::Map),
    }
}

fn existing(tx: &Transaction<'_>, id: &str) -> Result<ObjId, EchoError> {
    if let Some((Stored::Object(ObjType::Map), objects)) = tx.get(ROOT, "objects").map_err(refused)?
        && let Some((Stored::Object(ObjType::Map), item)) = tx.get(&objects, id).map_err(refused)?
    {
        return Ok(item);
    }
    Err(EchoError::malformed("item", "there is none of that id"))
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ids::DocumentId;
    use crate::item::Item;

    pub(crate) fn pen(number: u8) -> Pen {
        Pen { actor: [number; 16], seconds: 1_795_435_200 }
    }

    fn task(title: &str) -> NewItem {
        let Value::Object(data) = json!({ "title": title, "done": false, "tags": ["a", "b"] }) else {
            panic!()
        };
        let typename = "dxn:type:example.org/type/Task:0.1.0".to_owned();
        let id = item_id(1_795_435_200_000, *b"0123456789");
        NewItem { id, kind: ItemKind::Object, typename, data, ..NewItem::default() }
    }

    fn items(document: &Document) -> Vec<Item> {
        Item::all_in(DocumentId::from_random([1; 16]), &document.objects())
    }

    #[test]
    fn a_ulid_is_the_one_others_compute() {
        // From the examples of the specification: the first ten letters are the time.
        assert!(item_id(1_469_918_176_385, [0; 10]).starts_with("01ARYZ6S41"));
        assert_eq!(item_id(u64::MAX >> 16, [0xff; 10]), "7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
    }

    #[test]
    fn an_item_is_added_edited_deleted_and_restored() {
        let mut document = Document::directory(pen(1), "00").unwrap();
        let new = task("Milk");
        document.put_item(pen(1), &new).unwrap();
        let found = items(&document);
        assert_eq!(found[0].data, Value::Object(new.data.clone()));
        assert_eq!(found[0].typename.as_deref(), Some("dxn:type:example.org/type/Task:0.1.0"));

        let Value::Object(edited) =
            json!({ "title": "Oat milk", "tags": ["b"], "deep": { "er": [1, 2.5, null] } })
        else {
            panic!()
        };
        document.set_data(pen(1), &new.id, &edited).unwrap();
        assert_eq!(items(&document)[0].data, Value::Object(edited));
        document.set_deleted(pen(1), &new.id, true).unwrap();
        assert!(items(&document)[0].deleted);
        assert_eq!(document.versions(&new.id, 10).len(), 3);
        document.set_deleted(pen(1), &new.id, false).unwrap();
        let versions = document.versions(&new.id, 10);
        let states: Vec<_> =
            versions.iter().map(|version| (version.deleted, &version.data["title"])).collect();
        let (oat, milk) = (json!("Oat milk"), json!("Milk"));
        assert_eq!(states, [(false, &oat), (true, &oat), (false, &oat), (false, &milk)]);
        assert_eq!(versions[0].seconds, 1_795_435_200);
        assert_eq!(document.versions(&new.id, 2).len(), 2);
        assert!(!items(&document)[0].deleted);
        assert!(document.set_deleted(pen(1), "nobody", true).is_err());
    }

    #[test]
    fn what_differs_not_is_left_to_others() {
        let mut one = Document::directory(pen(1), "00").unwrap();
        let new = task("Milk");
        one.put_item(pen(1), &new).unwrap();
        let mut other = Document::load(&one.save()).unwrap();
        let mut theirs = new.data.clone();
        theirs.insert("title".into(), "Milk, two of it".into());
        let change = other.set_data(pen(2), &new.id, &theirs).unwrap();
        let mut ours = new.data.clone();
        ours.insert("done".into(), true.into());
        one.set_data(pen(1), &new.id, &ours).unwrap();
        one.apply(&change).unwrap();
        let merged = &items(&one)[0].data;
        assert_eq!(merged["title"], "Milk, two of it");
        assert_eq!(merged["done"], true);
    }

    pub(crate) fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-zäöü😀 ]{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("[a-z]{1,3}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_whatever_was_there_before(before in value(), after in value()) {
            let mut document = Document::directory(pen(1), "00").unwrap();
            let mut new = task("");
            new.data = Map::from_iter([("it".to_owned(), before)]);
            document.put_item(pen(1), &new).unwrap();
            let data = Map::from_iter([("it".to_owned(), after.clone())]);
            let change = document.set_data(pen(1), &new.id, &data).unwrap();
            prop_assert_eq!(&items(&document)[0].data["it"], &after);
            // And by somebody who has the document and is sent the change.
            if !change.is_empty() {
                let mut peer = Document::load(&document.save()).unwrap();
                peer.apply(&change).unwrap();
                prop_assert_eq!(peer.heads(), document.heads());
            }
        }
    }
}
