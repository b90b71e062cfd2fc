//! Changes that the wallet itself makes to documents: new items, edits from screen and command line.
//!
//! Written as DXOS's clients write: texts are Automerge texts, maps and lists are Automerge's own. What is equal
//! already is left alone, so that a concurrent edit of another property is not undone.

use automerge::transaction::{CommitOptions, Transactable, Transaction};
use automerge::{
    AutomergeError, ObjId, ObjType, Prop, ROOT, ReadDoc, ScalarValue, TextEncoding, Value as Stored, hydrate,
};
use serde_json::{Map, Value, json};

use crate::document::Document;
use crate::error::EchoError;
use crate::item::{EXPANDO, Item, ItemKind};

/// Who writes, and when.
#[derive(Debug, Clone, Copy)]
pub struct Pen {
    /// Automerge's name of whoever changes a document; the same one must never write in two places at once.
    pub actor: [u8; 16],
    /// Seconds since the epoch.
    pub seconds: i64,
}

/// A new item.
#[derive(Debug, Clone)]
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
    /// Its properties.
    pub data: Map<String, Value>,
}

impl NewItem {
    /// One like another.
    #[must_use]
    pub fn copy_of(item: Item) -> Self {
        let Item { id, kind, typename, parent, source, target, keys, data, .. } = item;
        let data = if let Value::Object(data) = data { data } else { Map::new() };
        let typename = typename.unwrap_or_else(|| EXPANDO.to_owned());
        Self { id, kind, typename, parent, ends: source.zip(target), keys, data }
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
        self.write(pen, |tx| {
            let objects = child(tx, &ROOT, "objects")?;
            put(tx, &objects, item.id.as_str().into(), &object)
        })
    }

    /// The document of one new item, as DXOS's clients make it. `empty` is a [`Self::directory`] of the space, which all
    /// of its documents begin as.
    ///
    /// # Errors
    /// [`EchoError::Malformed`] if Automerge refuses, which it has no reason to.
    pub fn with_item(empty: &Self, pen: Pen, item: &NewItem) -> Result<Self, EchoError> {
        let mut document = empty.copy();
        document.write(pen, |tx| {
            let objects = child(tx, &ROOT, "objects")?;
            tx.batch_create_object(&objects, item.id.as_str(), &hydrated(&object_of(item)), false).map(|_| ())
        })?;
        Ok(document)
    }

    /// Makes the properties of an item equal to `data`; those that `data` does not name are removed.
    ///
    /// # Errors
    /// [`EchoError::Malformed`] if there is no such item.
    pub fn set_data(&mut self, pen: Pen, id: &str, data: &Map<String, Value>) -> Result<Vec<u8>, EchoError> {
        self.write(pen, |tx| {
            let item = existing(tx, id)?;
            put(tx, &item, "data".into(), &Value::Object(data.clone()))
        })
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
        self.write(pen, |tx| {
            let item = existing(tx, id)?;
            let data = child(tx, &item, "data")?;
            some.iter().try_for_each(|(key, value)| match value {
                Value::Null if tx.get(&data, key.as_str())?.is_none() => Ok(()),
                Value::Null => tx.delete(&data, key.as_str()),
                value => put(tx, &data, key.as_str().into(), value),
            })
        })
    }

    /// Deletes an item, or restores it: a mark, so that it can be taken back.
    ///
    /// # Errors
    /// [`EchoError::Malformed`] if there is no such item.
    pub fn set_deleted(&mut self, pen: Pen, id: &str, deleted: bool) -> Result<Vec<u8>, EchoError> {
        self.write(pen, |tx| {
            let item = existing(tx, id)?;
            let system = child(tx, &item, "system")?;
            tx.put(&system, "deleted", deleted)
        })
    }

    /// Names the documents of items in the directory of a space: ids and urls.
    ///
    /// # Errors
    /// [`EchoError::Malformed`].
    pub fn put_links(&mut self, pen: Pen, new: &[(String, String)]) -> Result<Vec<u8>, EchoError> {
        self.write(pen, |tx| {
            let links = child(tx, &ROOT, "links")?;
            new.iter().try_for_each(|(id, url)| tx.put(&links, id, url.as_str()))
        })
    }

    pub(crate) fn write(
        &mut self,
        pen: Pen,
        change: impl FnOnce(&mut Transaction<'_>) -> Result<(), AutomergeError>,
    ) -> Result<Vec<u8>, EchoError> {
        let before = self.heads();
        let inner = self.inner();
        inner.set_actor(pen.actor.as_slice().into());
        let mut tx = inner.transaction();
        change(&mut tx).map_err(|error| EchoError::malformed("document", error))?;
        tx.commit_with(CommitOptions::default().with_time(pen.seconds));
        let change = self.since(&before);
        self.grow(change.len())?;
        Ok(change)
    }
}

/// How texts count where they are made as a whole; the result is the same for all.
const TEXT: TextEncoding = TextEncoding::UnicodeCodePoint;

/// A value as Automerge takes it whole, which is several times faster than piece by piece.
#[expect(
    clippy::disallowed_types,
    reason = "Automerge takes nothing else; which of two keys comes first is no matter"
)]
fn hydrated(value: &Value) -> hydrate::Value {
    match value {
        Value::String(text) => hydrate::Value::Text(hydrate::Text::new(TEXT, text)),
        Value::Array(list) => list.iter().map(hydrated).collect::<Vec<_>>().into(),
        Value::Object(map) => {
            let fields = map.iter().map(|(key, value)| (key.clone(), hydrated(value)));
            hydrate::Map::from(fields.collect::<std::collections::HashMap<_, _>>()).into()
        }
        other => scalar(other).into(),
    }
}

fn object_of(item: &NewItem) -> Value {
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
    let keys: Vec<Value> =
        item.keys.iter().map(|(source, id)| json!({ "source": source, "id": id })).collect();
    json!({ "system": system, "meta": { "keys": keys }, "data": item.data })
}

fn child(tx: &mut Transaction<'_>, of: &ObjId, name: &str) -> Result<ObjId, AutomergeError> {
    match tx.get(of, name)? {
        Some((Stored::Object(ObjType::Map), id)) => Ok(id),
        _ => tx.put_object(of, name, ObjType::Map),
    }
}

fn existing(tx: &Transaction<'_>, id: &str) -> Result<ObjId, AutomergeError> {
    if let Some((Stored::Object(ObjType::Map), objects)) = tx.get(ROOT, "objects")?
        && let Some((Stored::Object(ObjType::Map), item)) = tx.get(&objects, id)?
    {
        return Ok(item);
    }
    Err(AutomergeError::InvalidObjId(id.to_owned()))
}

/// Makes what is at a place equal to a value, and touches only what differs.
fn put(tx: &mut Transaction<'_>, of: &ObjId, at: Prop, value: &Value) -> Result<(), AutomergeError> {
    let there = tx.get(of, at.clone())?;
    match (value, there) {
        (Value::Object(map), there) => {
            let id = match there {
                Some((Stored::Object(ObjType::Map), id)) => id,
                _ => tx.put_object(of, at, ObjType::Map)?,
            };
            let gone: Vec<String> = tx.keys(&id).filter(|key| !map.contains_key(key)).collect();
            for key in gone {
                tx.delete(&id, key)?;
            }
            map.iter().try_for_each(|(key, value)| put(tx, &id, key.as_str().into(), value))
        }
        (Value::Array(list), there) => {
            let id = match there {
                Some((Stored::Object(ObjType::List), id)) => id,
                _ => tx.put_object(of, at, ObjType::List)?,
            };
            for (place, value) in list.iter().enumerate() {
                if place < tx.length(&id) {
                    put(tx, &id, place.into(), value)?;
                } else {
                    insert(tx, &id, place, value)?;
                }
            }
            while tx.length(&id) > list.len() {
                tx.delete(&id, list.len())?;
            }
            Ok(())
        }
        (Value::String(text), Some((Stored::Object(ObjType::Text), id))) => tx.update_text(&id, text),
        (Value::String(text), _) => {
            let id = tx.put_object(of, at, ObjType::Text)?;
            tx.splice_text(&id, 0, 0, text)
        }
        (value, there) => {
            let scalar = scalar(value);
            match there {
                Some((Stored::Scalar(same), _)) if *same == scalar => Ok(()),
                _ => tx.put(of, at, scalar),
            }
        }
    }
}

fn insert(tx: &mut Transaction<'_>, list: &ObjId, place: usize, value: &Value) -> Result<(), AutomergeError> {
    let kind = match value {
        Value::Object(_) => ObjType::Map,
        Value::Array(_) => ObjType::List,
        Value::String(_) => ObjType::Text,
        value => return tx.insert(list, place, scalar(value)),
    };
    tx.insert_object(list, place, kind)?;
    put(tx, list, place.into(), value)
}

fn scalar(value: &Value) -> ScalarValue {
    match value {
        Value::Bool(flag) => (*flag).into(),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(whole), _) => whole.into(),
            (None, Some(whole)) => whole.into(),
            (None, None) => number.as_f64().unwrap_or_default().into(),
        },
        _ => ScalarValue::Null,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ids::DocumentId;
    use crate::item::Item;

    fn pen(number: u8) -> Pen {
        Pen { actor: [number; 16], seconds: 1_795_435_200 }
    }

    fn task(title: &str) -> NewItem {
        let Value::Object(data) = json!({ "title": title, "done": false, "tags": ["a", "b"] }) else {
            panic!()
        };
        let typename = "dxn:type:example.org/type/Task:0.1.0".to_owned();
        let id = item_id(1_795_435_200_000, *b"0123456789");
        NewItem { id, kind: ItemKind::Object, typename, parent: None, ends: None, keys: Vec::new(), data }
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

    fn value() -> impl Strategy<Value = Value> {
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
