//! Documents of new items, written and read at once: what an Automerge document that is made would say, without making
//! one. Many items at once take a fraction of the time.
//!
//! Read that way is only what says one thing once: an empty directory and one change that makes one item in it. For
//! everything else there is [`Document`].

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use automerge::legacy::{ElementId, Key, ObjectId, Op, OpId, OpType};
use automerge::{ActorId, Change, ChangeHash, ExpandedChange, ObjId, ObjType, ROOT, ReadDoc, ScalarValue};
use serde_json::{Map, Value};

use crate::document::{DEEPEST, Document, LARGEST_CHUNK, scalar_json};
use crate::error::EchoError;
use crate::guard;
use crate::ids::DocumentId;
use crate::item::Item;
use crate::model::scalar;
use crate::write::{NewItem, Pen, object_of};

/// Operations that are read at once, at most: each takes room of its own then.
const MOST_OPERATIONS: usize = 16_384;
/// Levels of a document around the properties of an item.
const OUTSIDE: usize = 3;

/// What the documents of new items begin as: an empty directory of their space, as DXOS's clients have it.
pub struct Beginning {
    saved: Vec<u8>,
    heads: Vec<ChangeHash>,
    /// Who wrote it.
    actor: ActorId,
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
        Self::of(&empty, &empty.save())
            .ok_or_else(|| EchoError::malformed("directory", "it has no map of objects"))
    }

    /// Of a document with one change and no item.
    fn of(document: &Document, saved: &[u8]) -> Option<Self> {
        let changes = document.view().get_changes(&[]);
        let ([change], Value::Object(items)) = (changes.as_slice(), document.objects()) else { return None };
        match document.view().get(ROOT, "objects") {
            Ok(Some((_, ObjId::Id(number, actor, _)))) if items.is_empty() => Some(Self {
                saved: saved.to_vec(),
                heads: document.heads(),
                actor: change.actor_id().clone(),
                objects: OpId::new(number, &actor),
                next: NonZeroU64::MIN.saturating_add(change.max_op()),
            }),
            _ => None,
        }
    }

    /// Writes the document of a new item, by the pen that wrote the beginning.
    ///
    /// # Errors
    /// [`EchoError::TooLarge`], [`EchoError::Malformed`] for an item that does not read as what it is.
    pub fn with_item(
        &self,
        pen: Pen,
        document: DocumentId,
        item: &NewItem,
    ) -> Result<NewDocument, EchoError> {
        let object = object_of(item);
        let mut writer = Writer { actor: self.actor.clone(), next: self.next.get(), operations: Vec::new() };
        writer.put(&ObjectId::Id(self.objects.clone()), Key::Map(item.id.as_str().into()), false, &object);
        let change = Change::from(ExpandedChange {
            operations: writer.operations,
            actor_id: writer.actor,
            hash: None,
            seq: 2,
            start_op: self.next,
            time: pen.seconds,
            message: None,
            deps: self.heads.clone(),
            extra_bytes: Vec::new(),
            author: None,
        });
        let bytes = [self.saved.as_slice(), change.raw_bytes()].concat();
        if bytes.len() > LARGEST_CHUNK {
            return Err(EchoError::TooLarge { what: "an item", size: bytes.len(), most: LARGEST_CHUNK });
        }
        let items = match is_shallow(&item.data, DEEPEST - OUTSIDE) {
            true => Item::read(document, &item.id, &object).into_iter().collect(),
            // It is cut off where it is read.
            false => Item::all_in(document, &Document::load(&bytes)?.objects()),
        };
        Ok(NewDocument { bytes, head: change.hash(), items })
    }

    /// Reads a whole document; none if it does not begin as this, or says more than one thing.
    fn read(&self, document: DocumentId, bytes: &[u8]) -> Option<NewDocument> {
        let rest = bytes.strip_prefix(self.saved.as_slice())?;
        let change = Change::try_from(rest).ok()?;
        let is_whole = rest.get(4..8) == Some(change.hash().0.get(..4)?);
        let is_next = change.deps() == self.heads
            && change.start_op() == self.next
            && change.seq() == if *change.actor_id() == self.actor { 2 } else { 1 };
        // Each actor is there for something: that of the beginning for the map that the item is in.
        let others: &[ActorId] = match *change.actor_id() == self.actor {
            true => &[],
            false => std::slice::from_ref(&self.actor),
        };
        let counts = change.len() <= MOST_OPERATIONS && u32::try_from(change.max_op()).is_ok();
        if !(is_whole && is_next && counts) || change.other_actor_ids() != others {
            return None;
        }
        let (id, object) = Reader::read(self, &change.decode())?;
        let items = Item::read(document, &id, &object).into_iter().collect();
        Some(NewDocument { bytes: bytes.to_vec(), head: change.hash(), items })
    }
}

impl NewDocument {
    /// Reads a whole document that says one thing once; none for any other. `last` is what the one read before began as:
    /// those that were written together begin alike.
    #[must_use]
    pub fn read(document: DocumentId, bytes: &[u8], last: &mut Option<Beginning>) -> Option<Self> {
        if bytes.len() > LARGEST_CHUNK {
            return None;
        }
        // Before Automerge sees it, which takes the numbers of actors for granted.
        guard::check(bytes).ok()?;
        let mut read = || {
            if let Some(found) = last.as_ref().and_then(|beginning| beginning.read(document, bytes)) {
                return Some(found);
            }
            let (first, rest) = guard::first(bytes)?;
            if rest.is_empty() {
                return None;
            }
            let beginning = Beginning::of(&Document::load(first).ok()?, first)?;
            last.insert(beginning).read(document, bytes)
        };
        guard::caught(|| Ok(read())).ok()?
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

/// What an operation made.
enum Node {
    Map(BTreeMap<String, Part>),
    /// With the operation that made its last element.
    List(Vec<Part>, Option<OpId>),
    Text(String, Option<OpId>),
}

/// What is in it.
enum Part {
    Scalar(Value),
    Node(OpId),
}

/// Reads operations, one behind the other.
struct Reader {
    nodes: BTreeMap<u64, (Node, usize)>,
}

impl Reader {
    /// The one item that a change makes, by its id; none if it does anything else.
    fn read(beginning: &Beginning, change: &ExpandedChange) -> Option<(String, Value)> {
        let mut reader = Self { nodes: BTreeMap::new() };
        let (first, rest) = change.operations.split_first()?;
        let (
            Op { action: OpType::Make(ObjType::Map), key: Key::Map(id), insert: false, .. },
            ObjectId::Id(objects),
        ) = (first, &first.obj)
        else {
            return None;
        };
        if *objects != beginning.objects || !first.pred.is_empty() {
            return None;
        }
        let mut number = beginning.next.get();
        reader.nodes.insert(number, (Node::Map(BTreeMap::new()), OUTSIDE - 1));
        for operation in rest {
            number += 1;
            reader.take(&OpId::new(number, &change.actor_id), operation)?;
        }
        Some((id.to_string(), reader.value(beginning.next.get())?))
    }

    fn take(&mut self, id: &OpId, operation: &Op) -> Option<()> {
        let ObjectId::Id(of) = &operation.obj else { return None };
        if of.actor() != id.actor() || !operation.pred.is_empty() {
            return None;
        }
        let made = match &operation.action {
            OpType::Put(_) => None,
            OpType::Make(ObjType::Map) => Some(Node::Map(BTreeMap::new())),
            OpType::Make(ObjType::List) => Some(Node::List(Vec::new(), None)),
            OpType::Make(ObjType::Text) => Some(Node::Text(String::new(), None)),
            _ => return None,
        };
        let part = || match &operation.action {
            OpType::Put(value) => Part::Scalar(scalar_json(value.clone())),
            _ => Part::Node(id.clone()),
        };
        let (node, depth) = self.nodes.get_mut(&of.counter())?;
        match (node, &operation.key, &operation.action) {
            (Node::Map(map), Key::Map(key), _) if !operation.insert => {
                if map.insert(key.to_string(), part()).is_some() {
                    return None;
                }
            }
            (Node::List(list, last), Key::Seq(place), _)
                if operation.insert && follows(place, last.as_ref()) =>
            {
                list.push(part());
                *last = Some(id.clone());
            }
            (Node::Text(text, last), Key::Seq(place), OpType::Put(ScalarValue::Str(letter)))
                if operation.insert && follows(place, last.as_ref()) =>
            {
                text.push_str(letter);
                *last = Some(id.clone());
            }
            _ => return None,
        }
        let depth = *depth + 1;
        if let Some(made) = made {
            self.nodes.insert(id.counter(), (made, depth));
        }
        (depth < DEEPEST).then_some(())
    }

    fn value(&mut self, number: u64) -> Option<Value> {
        let (node, _) = self.nodes.remove(&number)?;
        let mut part = |part| match part {
            Part::Scalar(value) => Some(value),
            Part::Node(id) => self.value(id.counter()),
        };
        Some(match node {
            Node::Map(map) => Value::Object(
                map.into_iter().map(|(key, of)| Some((key, part(of)?))).collect::<Option<Map<_, _>>>()?,
            ),
            Node::List(list, _) => Value::Array(list.into_iter().map(part).collect::<Option<_>>()?),
            Node::Text(text, _) => Value::String(text),
        })
    }
}

/// It comes behind the last one.
fn follows(place: &ElementId, last: Option<&OpId>) -> bool {
    match place {
        ElementId::Head => last.is_none(),
        ElementId::Id(id) => last == Some(id),
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
    use sha2::{Digest, Sha256};

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
            let made = Beginning::new(pen(1), "00").unwrap().with_item(pen(1), id, &new).unwrap();
            let mut piecewise = Document::directory(pen(1), "00").unwrap();
            piecewise.put_item(pen(1), &new).unwrap();

            let at_once = NewDocument::read(id, &made.bytes, &mut None);
            prop_assert!(at_once.is_some() || !linked, "it is not deep");
            if let Some(read) = at_once {
                prop_assert_eq!((&read.items, read.head, &read.bytes), (&made.items, made.head, &made.bytes));
            }
            let mut read = Document::load(&made.bytes).unwrap();
            prop_assert_eq!(read.heads(), vec![made.head]);
            prop_assert_eq!(read.objects(), piecewise.objects());
            prop_assert_eq!(&made.items, &Item::all_in(id, &piecewise.objects()));
            // It goes on as any other does.
            read.merge_data(pen(2), "A", json!({ "title": "other" }).as_object().unwrap()).unwrap();
            prop_assert_eq!(&read.objects()["A"]["data"]["title"], "other");
        }

        // threat: 21
        #[test]
        fn whatever_is_read_at_once_is_what_automerge_reads(
            data in value(), edits in proptest::collection::vec((0..9_u8, value()), 0..3),
            at: prop::sample::Index,
        ) {
            let id = DocumentId::from_random([1; 16]);
            let mut document = Document::directory(pen(1), "00").unwrap();
            let mut bytes = document.save();
            let one = NewItem { id: "A".into(), typename: "t".into(), ..NewItem::default() };
            bytes.extend(document.put_item(pen(2), &NewItem { data: json!({ "a": data }).as_object().unwrap().clone(), ..one.clone() }).unwrap());
            for (kind, value) in edits {
                let change = match kind {
                    0 => document.put_item(pen(1), &NewItem { id: "B".into(), ..one.clone() }),
                    1 => document.set_deleted(pen(1), "A", true),
                    2 => document.put_links(pen(1), &[("A".into(), "b".into())]),
                    _ => document.merge_data(pen(2), "A", json!({ "a": value }).as_object().unwrap()),
                };
                bytes.extend(change.unwrap());
            }
            let same = |bytes: &[u8]| {
                let Some(read) = NewDocument::read(id, bytes, &mut None) else { return Ok(()) };
                let whole = Document::load(bytes).unwrap();
                prop_assert_eq!(&read.items, &Item::all_in(id, &whole.objects()));
                prop_assert_eq!(vec![read.head], whole.heads());
                Ok(())
            };
            same(&bytes)?;
            same(&document.save())?;
            same(&bytes[..at.index(bytes.len())])?;
        }

        // threat: 21
        #[test]
        fn what_contradicts_itself_is_read_by_nobody_or_by_both(
            data in value(), by_another in any::<bool>(),
            edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 1..4),
        ) {
            let id = DocumentId::from_random([1; 16]);
            let first = Document::directory(pen(1), "00").unwrap().save();
            let mut document = Document::load(&first).unwrap();
            let data = json!({ "a": data, "b": "text" }).as_object().unwrap().clone();
            let one = NewItem { id: "A".into(), typename: "t".into(), data, ..NewItem::default() };
            let change = document.put_item(pen(if by_another { 2 } else { 1 }), &one).unwrap();
            let mut body = body(&change).to_vec();
            for (at, with, kind) in edits {
                let at = at.index(body.len());
                match kind {
                    0 => body[at] = with,
                    1 => body[at] = body[at].wrapping_add(1),
                    2 => body.insert(at, with),
                    _ => drop(body.remove(at)),
                }
            }
            // The checksum is right: what is wrong is what it says.
            let bytes = [first, chunk(&body)].concat();
            let whole = Document::load(&bytes);
            if let Some(read) = NewDocument::read(id, &bytes, &mut None) {
                let whole = whole.unwrap();
                prop_assert_eq!(&read.items, &Item::all_in(id, &whole.objects()));
                prop_assert_eq!(vec![read.head], whole.heads());
            }
        }
    }

    /// What a change says, behind its header.
    fn body(change: &[u8]) -> &[u8] {
        let header = 9 + change[9..].iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
        &change[header..]
    }

    /// A change that says this, with the checksum it has then.
    fn chunk(body: &[u8]) -> Vec<u8> {
        let mut said = vec![1];
        let mut length = body.len();
        while length > 0x7f {
            said.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
            length >>= 7;
        }
        said.push(u8::try_from(length).unwrap());
        said.extend(body);
        let digest = Sha256::digest(&said);
        [&[0x85, 0x6f, 0x4a, 0x83], &digest[..4], &said].concat()
    }

    fn made_by_hand(edit: impl FnOnce(&mut ExpandedChange)) -> Vec<u8> {
        let beginning = Beginning::new(pen(1), "00").unwrap();
        let item = NewItem { id: "A".into(), typename: "t".into(), ..NewItem::default() };
        let made = beginning.with_item(pen(1), DocumentId::from_random([1; 16]), &item).unwrap();
        let change = made.bytes.strip_prefix(beginning.saved.as_slice()).unwrap();
        let mut change = Change::try_from(change).unwrap().decode();
        edit(&mut change);
        [beginning.saved.as_slice(), Change::from(change).raw_bytes()].concat()
    }

    // threat: 21
    #[test]
    fn an_actor_that_does_nothing_is_read_by_nobody() {
        let id = DocumentId::from_random([1; 16]);
        let good = made_by_hand(|_| {});
        assert!(NewDocument::read(id, &good, &mut None).is_some());
        let beginning = Document::directory(pen(1), "00").unwrap().save();
        let change = good.strip_prefix(beginning.as_slice()).unwrap();
        let mut said = body(change).to_vec();
        // One head, an actor of 16 bytes, sequence number, first operation, time, message: then no other actor.
        let others = 1 + 32 + 1 + 16 + said[50..].iter().position(|byte| *byte == 0).unwrap() + 1;
        assert_eq!(said[others], 0, "no other actor");
        said.splice(others..=others, [1, 2, 9, 9]);
        let bytes = [beginning, chunk(&said)].concat();
        assert!(NewDocument::read(id, &bytes, &mut None).is_none());
        assert!(Document::load(&bytes).is_err(), "Automerge panics, and that is an error");
    }

    #[test]
    fn an_item_that_no_device_would_take_is_not_made() {
        let text = "a".repeat(LARGEST_CHUNK);
        let data = json!({ "text": text }).as_object().unwrap().clone();
        let item = NewItem { id: "A".into(), typename: "t".into(), data, ..NewItem::default() };
        let id = DocumentId::from_random([1; 16]);
        let beginning = Beginning::new(pen(1), "00").unwrap();
        assert!(matches!(beginning.with_item(pen(1), id, &item), Err(EchoError::TooLarge { .. })));
        let data = json!({ "text": "a".repeat(1_050_000) }).as_object().unwrap().clone();
        let made = beginning.with_item(pen(1), id, &NewItem { data, ..item }).unwrap();
        assert!(Document::load(&made.bytes).is_ok(), "what is made can be opened again");
    }
}
