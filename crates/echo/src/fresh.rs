//! Documents of new items, written and read at once: what an Automerge document that is made would say, without making
//! one. Many items at once take a fraction of the time.
//!
//! Read that way is only what says one thing once: an empty directory and one change that makes one item in it. For
//! everything else there is [`Document`].

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use automerge::legacy::{ElementId, Key, ObjectId, Op, OpId, OpType};
use automerge::{ActorId, ChangeHash, ExpandedChange, ObjId, ObjType, ROOT, ReadDoc, ScalarValue};
use serde_json::{Map, Value};

use crate::columns::{self, Action, Change, Operation, Place};
use crate::document::{DEEPEST, Document, LARGEST_CHUNK, scalar_json};
use crate::error::EchoError;
use crate::guard;
use crate::ids::DocumentId;
use crate::item::Item;
use crate::model::scalar;
use crate::write::{NewItem, Pen, object_of};

/// Operations that are read at once, at most: each takes room of its own then.
const MOST_OPERATIONS: u64 = 16_384;
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
        // Nothing in it is about something that would come later: it would be about what is made of it.
        if document.heads() != [change.hash()] || !is_self_contained(&change.decode()) {
            return None;
        }
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
        let change = automerge::Change::from(ExpandedChange {
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
        let (body, name) = columns::body(bytes.strip_prefix(self.saved.as_slice())?)?;
        let change = Change::read(&body)?;
        let is_own = change.actor == self.actor.to_bytes();
        let is_next = self.heads.iter().map(|head| head.0).eq(change.deps.chunks_exact(32))
            && change.start == self.next.get()
            && change.seq == if is_own { 2 } else { 1 };
        // Each actor is there for something: that of the beginning for the map that the item is in.
        let others: &[&[u8]] = if is_own { &[] } else { &[self.actor.to_bytes()] };
        if !is_next || change.others != others {
            return None;
        }
        let objects = (if is_own { 0 } else { 1 }, self.objects.counter());
        let (id, object) = Reader::read(&change, objects)?;
        let items = Item::read(document, &id, &object).into_iter().collect();
        Some(NewDocument { bytes: bytes.to_vec(), head: ChangeHash(name), items })
    }
}

/// Whether each operation is about what operations before it in this change made.
fn is_self_contained(change: &ExpandedChange) -> bool {
    let start = change.start_op.get();
    (start..).zip(&change.operations).all(|(number, operation)| {
        let is_before = |id: &OpId| *id.actor() == change.actor_id && (start..number).contains(&id.counter());
        let object = match &operation.obj {
            ObjectId::Root => true,
            ObjectId::Id(id) => is_before(id),
        };
        let place = match &operation.key {
            Key::Map(_) | Key::Seq(ElementId::Head) => true,
            Key::Seq(ElementId::Id(id)) => is_before(id),
        };
        object && place && operation.pred.iter().all(is_before)
    })
}

impl NewDocument {
    /// Reads a whole document that says one thing once; none for any other. `last` is what the one read before began as:
    /// those that were written together begin alike.
    #[must_use]
    pub fn read(document: DocumentId, bytes: &[u8], last: &mut Option<Beginning>) -> Option<Self> {
        if bytes.len() > LARGEST_CHUNK {
            return None;
        }
        let (first, rest) = guard::first(bytes)?;
        // What is deflated counts together; and Automerge takes the numbers of actors for granted.
        if rest.is_empty() || !columns::is_plain(rest) && guard::check(bytes).is_err() {
            return None;
        }
        if let Some(found) = last.as_ref().and_then(|beginning| beginning.read(document, bytes)) {
            return Some(found);
        }
        guard::check(first).ok()?;
        let begin = || Ok(Document::load(first).ok().and_then(|document| Beginning::of(&document, first)));
        last.insert(guard::caught(begin).ok()??).read(document, bytes)
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
    /// With the number of the operation that made its last element.
    List(Vec<Part>, Option<u64>),
    Text(String, Option<u64>),
}

/// What is in it.
enum Part {
    Scalar(Value),
    Node(u64),
}

/// Reads operations, one behind the other.
struct Reader {
    /// By the number of the operation that made it, with how deep it is.
    nodes: BTreeMap<u64, (Node, usize)>,
}

impl Reader {
    /// The one item that a change makes in the map of objects, by its id; none if it does anything else.
    fn read(change: &Change<'_>, objects: (u64, u64)) -> Option<(String, Value)> {
        let mut reader = Self { nodes: BTreeMap::new() };
        let mut number = change.start;
        let mut item = None;
        change.operations(MOST_OPERATIONS, |operation| {
            if item.is_some() {
                reader.take(number, operation)?;
            } else {
                let Operation { action: Action::MakeMap, place: Place::Key(id), insert: false, .. } =
                    operation
                else {
                    return None;
                };
                if operation.object != objects {
                    return None;
                }
                item = Some(id.to_owned());
                reader.nodes.insert(number, (Node::Map(BTreeMap::new()), OUTSIDE - 1));
            }
            number += 1;
            u32::try_from(number).ok().map(drop)
        })?;
        Some((item?, reader.value(change.start)?))
    }

    fn take(&mut self, number: u64, operation: Operation<'_>) -> Option<()> {
        let Operation { action, object: (0, of), place, insert, value } = operation else { return None };
        let made = match action {
            Action::Put => None,
            Action::MakeMap => Some(Node::Map(BTreeMap::new())),
            Action::MakeList => Some(Node::List(Vec::new(), None)),
            Action::MakeText => Some(Node::Text(String::new(), None)),
        };
        let (node, depth) = self.nodes.get_mut(&of)?;
        let part = |value| if made.is_some() { Part::Node(number) } else { Part::Scalar(scalar_json(value)) };
        match (node, place, value) {
            (Node::Map(map), Place::Key(key), value) if !insert => {
                if map.insert(key.to_owned(), part(value)).is_some() {
                    return None;
                }
            }
            (Node::List(list, last), place, value) if insert && follows(place, *last) => {
                list.push(part(value));
                *last = Some(number);
            }
            (Node::Text(text, last), place, ScalarValue::Str(letter)) if insert && follows(place, *last) => {
                text.push_str(&letter);
                *last = Some(number);
            }
            _ => return None,
        }
        let depth = *depth + 1;
        if let Some(made) = made {
            self.nodes.insert(number, (made, depth));
        }
        (depth < DEEPEST).then_some(())
    }

    fn value(&mut self, number: u64) -> Option<Value> {
        let (node, _) = self.nodes.remove(&number)?;
        let mut part = |part| match part {
            Part::Scalar(value) => Some(value),
            Part::Node(number) => self.value(number),
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

/// It comes behind the last one, which the same actor made.
fn follows(place: Place<'_>, last: Option<u64>) -> bool {
    match place {
        Place::Head => last.is_none(),
        Place::Behind(0, number) => last == Some(number),
        _ => false,
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
            let (first, edits_made) = (bytes.len(), edits.len());
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
            let deflated = match edits_made {
                0 => automerge::Change::try_from(&bytes[first..]).unwrap().bytes().into_owned(),
                _ => Vec::new(),
            };
            let deflated = [&bytes[..first], &deflated].concat();
            if edits_made == 0 {
                // Piece by piece and deflated, as others write it, it is one item all the same.
                prop_assert!(NewDocument::read(id, &bytes, &mut None).is_some());
                prop_assert!(NewDocument::read(id, &deflated, &mut None).is_some());
            }
            let same = |bytes: &[u8]| {
                let Some(read) = NewDocument::read(id, bytes, &mut None) else { return Ok(()) };
                let whole = Document::load(bytes).unwrap();
                prop_assert_eq!(&read.items, &Item::all_in(id, &whole.objects()));
                prop_assert_eq!(vec![read.head], whole.heads());
                Ok(())
            };
            same(&bytes)?;
            same(&deflated)?;
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
        let mut change = automerge::Change::try_from(change).unwrap().decode();
        edit(&mut change);
        [beginning.saved.as_slice(), automerge::Change::from(change).raw_bytes()].concat()
    }

    // threat: 21
    #[test]
    fn what_is_about_something_that_comes_later_begins_nothing() {
        let empty = Document::directory(pen(1), "00").unwrap();
        assert!(Beginning::of(&empty, &empty.save()).is_some());
        // Automerge takes it where it does not check itself, and reads something else then.
        let is_refused = |edit: &dyn Fn(&mut Op, OpId)| {
            (0..8).all(|ahead| {
                let mut change = empty.view().get_changes(&[])[0].decode();
                let next = change.start_op.get() + change.operations.len() as u64;
                let later = OpId::new(next + ahead, &change.actor_id);
                edit(change.operations.last_mut().unwrap(), later);
                !is_self_contained(&change)
            })
        };
        assert!(!is_refused(&|_, _| {}));
        assert!(
            is_refused(&|operation, later| operation.pred = vec![later].into()),
            "it takes something away"
        );
        assert!(is_refused(&|operation, later| operation.obj = ObjectId::Id(later)), "it adds something");
        assert!(is_refused(&|operation, later| {
            (operation.key, operation.insert) = (Key::Seq(ElementId::Id(later)), true);
        }));
    }

    // threat: 21
    #[test]
    fn what_is_deflated_counts_together() {
        use automerge::transaction::Transactable;
        const MIB: usize = 1024 * 1024;
        let of = |large: usize| {
            let mut document = automerge::AutoCommit::new();
            document.put(ROOT, "large", "a".repeat(large)).unwrap();
            let objects = document.put_object(ROOT, "objects", ObjType::Map).unwrap();
            document.commit();
            let first = document.save();
            let item = document.put_object(&objects, "A", ObjType::Map).unwrap();
            let system = document.put_object(&item, "system", ObjType::Map).unwrap();
            document.put(&system, "kind", "object").unwrap();
            let data = document.put_object(&item, "data", ObjType::Map).unwrap();
            document.put(&data, "large", "b".repeat(large)).unwrap();
            document.commit();
            [first, document.get_last_local_change().unwrap().clone().bytes().into_owned()].concat()
        };
        let id = DocumentId::from_random([1; 16]);
        assert!(NewDocument::read(id, &of(MIB), &mut None).is_some());
        let most = of(36 * MIB);
        assert!(Document::load(&most).is_err());
        assert!(NewDocument::read(id, &most, &mut None).is_none());
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
