//! Documents of new items, written down at once: what an Automerge document that is made and saved would say, without
//! making one. Many items at once take a fraction of the time.

use std::num::NonZeroU64;

use automerge::legacy::{ElementId, Key, ObjectId, Op, OpId, OpType};
use automerge::{ActorId, Change, ChangeHash, ExpandedChange, ObjId, ObjType, ROOT, ReadDoc};
use serde_json::Value;

use crate::document::{DEEPEST, Document};
use crate::error::EchoError;
use crate::ids::DocumentId;
use crate::item::Item;
use crate::model::scalar;
use crate::write::{NewItem, Pen, object_of};

/// Levels of a document around the properties of an item.
const OUTSIDE: usize = 3;

/// What the documents of new items begin as: an empty directory of their space, as DXOS's clients have it.
pub struct Beginning {
    saved: Vec<u8>,
    heads: Vec<ChangeHash>,
    pen: Pen,
    /// The map that items are in.
    objects: OpId,
    /// The first operation that is free.
    next: NonZeroU64,
}

/// An item in a document of its own.
pub struct NewDocument {
    /// The whole document.
    pub bytes: Vec<u8>,
    /// Its newest change.
    pub head: ChangeHash,
    /// What is read in it.
    pub items: Vec<Item>,
}

impl Beginning {
    /// # Errors
    /// [`EchoError::Malformed`] if Automerge refuses, which it has no reason to.
    pub fn new(pen: Pen, space_key_hex: &str) -> Result<Self, EchoError> {
        let empty = Document::directory(pen, space_key_hex)?;
        let wrong = || EchoError::malformed("directory", "it has no map of objects");
        let last = empty.view().get_changes(&[]).pop().ok_or_else(wrong)?;
        match empty.view().get(ROOT, "objects") {
            Ok(Some((_, ObjId::Id(number, actor, _)))) => Ok(Self {
                saved: empty.save(),
                heads: empty.heads(),
                pen,
                objects: OpId::new(number, &actor),
                next: NonZeroU64::MIN.saturating_add(last.max_op()),
            }),
            _ => Err(wrong()),
        }
    }

    /// Writes the document of a new item.
    ///
    /// # Errors
    /// [`EchoError::Malformed`] for an item that does not read as what it is.
    pub fn with_item(&self, document: DocumentId, item: &NewItem) -> Result<NewDocument, EchoError> {
        let object = object_of(item);
        let actor = ActorId::from(self.pen.actor.as_slice());
        let mut writer = Writer { actor, next: self.next.get(), operations: Vec::new() };
        writer.put(&ObjectId::Id(self.objects.clone()), Key::Map(item.id.as_str().into()), false, &object);
        let change = Change::from(ExpandedChange {
            operations: writer.operations,
            actor_id: writer.actor,
            hash: None,
            seq: 2,
            start_op: self.next,
            time: self.pen.seconds,
            message: None,
            deps: self.heads.clone(),
            extra_bytes: Vec::new(),
            author: None,
        });
        let bytes = [self.saved.as_slice(), change.raw_bytes()].concat();
        let items = match is_shallow(&item.data, DEEPEST - OUTSIDE) {
            true => Item::read(document, &item.id, &object).into_iter().collect(),
            // It is cut off where it is read.
            false => Item::all_in(document, &Document::load(&bytes)?.objects()),
        };
        Ok(NewDocument { bytes, head: change.hash(), items })
    }
}

/// Operations, one behind the other.
struct Writer {
    actor: ActorId,
    next: u64,
    operations: Vec<Op>,
}

impl Writer {
    /// Writes one, and gives its name.
    fn write(&mut self, obj: &ObjectId, key: Key, insert: bool, action: OpType) -> OpId {
        let id = OpId::new(self.next, &self.actor);
        self.next += 1;
        self.operations.push(Op { action, obj: obj.clone(), key, pred: Vec::new().into(), insert });
        id
    }

    /// Writes a value and what is in it.
    fn put(&mut self, obj: &ObjectId, key: Key, insert: bool, value: &Value) -> OpId {
        match value {
            Value::String(text) => {
                let id = self.write(obj, key, insert, OpType::Make(ObjType::Text));
                let obj = ObjectId::Id(id.clone());
                let mut place = ElementId::Head;
                for letter in text.chars() {
                    let letter = OpType::Put(letter.to_string().as_str().into());
                    place = ElementId::Id(self.write(&obj, Key::Seq(place), true, letter));
                }
                id
            }
            Value::Array(list) => {
                let id = self.write(obj, key, insert, OpType::Make(ObjType::List));
                let obj = ObjectId::Id(id.clone());
                let mut place = ElementId::Head;
                for value in list {
                    place = ElementId::Id(self.put(&obj, Key::Seq(place), true, value));
                }
                id
            }
            Value::Object(map) => {
                let id = self.write(obj, key, insert, OpType::Make(ObjType::Map));
                let obj = ObjectId::Id(id.clone());
                for (key, value) in map {
                    self.put(&obj, Key::Map(key.as_str().into()), false, value);
                }
                id
            }
            other => self.write(obj, key, insert, OpType::Put(scalar(other))),
        }
    }
}

fn is_shallow<'a>(values: impl IntoIterator<Item = (&'a String, &'a Value)>, depth: usize) -> bool {
    fn value_is(value: &Value, depth: usize) -> bool {
        depth > 0
            && match value {
                Value::Array(list) => list.iter().all(|value| value_is(value, depth - 1)),
                Value::Object(map) => is_shallow(map, depth),
                _ => true,
            }
    }
    depth > 0 && values.into_iter().all(|(_, value)| value_is(value, depth - 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::item::ItemKind;
    use crate::write::tests::{pen, value};

    proptest! {
        #[test]
        fn what_is_written_at_once_is_what_automerge_writes_piece_by_piece(
            data in value(), more in value(), depth in 55..70_usize, linked in any::<bool>(),
        ) {
            let deep = (0..if linked { 2 } else { depth }).fold(more, |inner, _| json!([inner, { "in": 1 }]));
            let mut new = NewItem {
                id: "A".into(),
                typename: "dxn:type:example.org/type/Task:0.1.0".into(),
                data: json!({ "it": data, "more": deep, "title": "Ä €\u{1F600} e\u{301}" }).as_object().unwrap().clone(),
                ..NewItem::default()
            };
            if linked {
                (new.kind, new.ends) = (ItemKind::Relation, Some(("A".into(), "B:C".into())));
                (new.parent, new.tags) = (Some("P".into()), vec!["x".into()]);
                new.keys = vec![("github.com".into(), "1".into())];
            }
            let id = DocumentId::from_random([1; 16]);
            let made = Beginning::new(pen(1), "00").unwrap().with_item(id, &new).unwrap();
            let mut piecewise = Document::directory(pen(1), "00").unwrap();
            piecewise.put_item(pen(1), &new).unwrap();

            let mut read = Document::load(&made.bytes).unwrap();
            prop_assert_eq!(read.heads(), vec![made.head]);
            prop_assert_eq!(read.objects(), piecewise.objects());
            prop_assert_eq!(&made.items, &Item::all_in(id, &piecewise.objects()));
            // It goes on as any other does.
            read.merge_data(pen(2), "A", json!({ "title": "other" }).as_object().unwrap()).unwrap();
            prop_assert_eq!(&read.objects()["A"]["data"]["title"], "other");
        }
    }
}
