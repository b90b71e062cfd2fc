//! One Automerge document, within limits.

use std::collections::BTreeSet;

use automerge::{
    Automerge, AutomergeError, ChangeHash, ObjId, ObjType, ROOT, ReadDoc, ScalarValue, TextEncoding,
    ValueRef, transaction::Transactable,
};
use serde_json::{Map, Value};

use crate::error::EchoError;
use crate::guard;
use crate::strict;
use crate::write::Pen;

/// The newest changes of a document.
pub type Heads = Vec<ChangeHash>;

/// More bytes in one message are refused.
pub const LARGEST_CHUNK: usize = 8 * 1024 * 1024;
/// A document is not let grow beyond it.
pub const LARGEST_DOCUMENT: usize = 64 * 1024 * 1024;
/// Deeper values are cut off where they are shown, which is nowhere near what apps write.
pub(crate) const DEEPEST: usize = 64;

/// Changes that are looked through for the versions of an item.
const LONGEST_HISTORY: usize = 1_000;

/// A document in memory.
pub struct Document {
    inner: Automerge,
    /// About how large it is when saved.
    size: usize,
}

/// What applying some bytes did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Nothing changed: it was there already, or waits.
    pub known: bool,
    /// Something in the document, of these bytes or of earlier ones, waits for changes that are not here.
    pub waits: bool,
}

/// A state that an item was in.
#[derive(Debug, Clone, PartialEq)]
pub struct Version {
    /// The change that brought it about, in hex.
    pub change: String,
    /// Whoever wrote it, by Automerge's name for them.
    pub actor: Vec<u8>,
    /// When, in seconds since the epoch, by the clock of whoever wrote it; 0 if they did not say.
    pub seconds: i64,
    /// It was deleted then.
    pub deleted: bool,
    /// Its properties then.
    pub data: Value,
}

impl Document {
    /// The root document of a new space: the directory of its objects (DXOS, `SpaceDirectory` version 1).
    ///
    /// # Errors
    /// [`EchoError::Malformed`] if Automerge refuses, which it has no reason to.
    pub fn directory(pen: Pen, space_key_hex: &str) -> Result<Self, EchoError> {
        let mut doc = automerge::AutoCommit::new();
        doc.set_actor(pen.actor.as_slice().into());
        let mut build = || {
            doc.put(ROOT, "version", 1_i64)?;
            let access = doc.put_object(ROOT, "access", ObjType::Map)?;
            let key = doc.put_object(&access, "spaceKey", ObjType::Text)?;
            doc.splice_text(&key, 0, 0, space_key_hex)?;
            doc.put_object(ROOT, "objects", ObjType::Map)?;
            doc.put_object(ROOT, "links", ObjType::Map)?;
            Ok::<(), automerge::AutomergeError>(())
        };
        build().map_err(|error| EchoError::malformed("directory", error))?;
        doc.commit_with(automerge::transaction::CommitOptions::default().with_time(pen.seconds));
        Self::load(&doc.save())
    }

    /// An empty document.
    #[must_use]
    pub fn empty() -> Self {
        // Places in texts count as in JavaScript.
        Self { inner: Automerge::new_with_encoding(TextEncoding::Utf16CodeUnit), size: 0 }
    }

    /// Loads what [`Self::save`] or an app wrote.
    ///
    /// # Errors
    /// [`EchoError::TooLarge`], [`EchoError::Malformed`].
    pub fn load(bytes: &[u8]) -> Result<Self, EchoError> {
        let mut document = Self::empty();
        if !document.take_at_most(bytes, LARGEST_DOCUMENT)?.known {
            document.size = bytes.len();
        }
        Ok(document)
    }

    /// Applies a whole document or further changes.
    ///
    /// After an error nothing may be in the document any more: load it anew.
    ///
    /// # Errors
    /// [`EchoError::TooLarge`], [`EchoError::Malformed`].
    pub fn apply(&mut self, bytes: &[u8]) -> Result<Change, EchoError> {
        self.apply_all(&[bytes])
    }

    /// The same of several at once, which takes hardly longer than one of them: all, or none.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub fn apply_all(&mut self, all: &[&[u8]]) -> Result<Change, EchoError> {
        let too_large = |what, size, most| Err(EchoError::TooLarge { what, size, most });
        if let Some(one) = all.iter().find(|one| one.len() > LARGEST_CHUNK) {
            return too_large("a change", one.len(), LARGEST_CHUNK);
        }
        let size = all.iter().fold(self.size, |size, one| size.saturating_add(one.len()));
        if size > LARGEST_DOCUMENT {
            return too_large("a document", size, LARGEST_DOCUMENT);
        }
        let read = |some: &[&[u8]]| {
            let each: Result<Vec<_>, _> = some.iter().map(|one| strict::changes(one)).collect();
            Ok::<_, EchoError>(each?.concat())
        };
        let change = match all.split_first() {
            // Where there is nothing yet, a whole document need not be taken apart.
            Some((first, rest)) if self.inner.is_empty() && strict::is_document(first) => {
                let (document, rest) = (strict::document(first)?, read(rest)?);
                self.take(|inner| {
                    *inner = document;
                    inner.apply_changes(rest)
                })?
            }
            _ => {
                let changes = read(all)?;
                self.take(|inner| inner.apply_changes(changes))?
            }
        };
        if !change.known {
            self.size = size;
        }
        Ok(change)
    }

    /// The same, and after an error the document is as it was: it takes a copy.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub fn try_apply_all(&mut self, all: &[&[u8]]) -> Result<Change, EchoError> {
        let before = Self { inner: self.inner.clone(), size: self.size };
        self.apply_all(all).inspect_err(|_| *self = before)
    }

    /// Takes in all that another replica has of this document, such as a snapshot says.
    ///
    /// After an error nothing is in the document any more: load it anew.
    ///
    /// # Errors
    /// [`EchoError::TooLarge`], [`EchoError::Malformed`].
    pub fn take_whole(&mut self, bytes: &[u8]) -> Result<Change, EchoError> {
        let too_large = |size| EchoError::TooLarge { what: "a document", size, most: LARGEST_DOCUMENT };
        let change = self.take_at_most(bytes, LARGEST_DOCUMENT)?;
        if !change.known {
            // Most of it may have been here, so that the sizes cannot be added up.
            self.size = self.inner.save().len();
        }
        if self.size > LARGEST_DOCUMENT { Err(too_large(self.size)) } else { Ok(change) }
    }

    fn take_at_most(&mut self, bytes: &[u8], most: usize) -> Result<Change, EchoError> {
        if bytes.len() > most {
            return Err(EchoError::TooLarge { what: "a document", size: bytes.len(), most });
        }
        guard::check(bytes)?;
        self.take(|inner| inner.load_incremental(bytes).map(drop))
    }

    fn take(
        &mut self,
        work: impl FnOnce(&mut Automerge) -> Result<(), AutomergeError>,
    ) -> Result<Change, EchoError> {
        let before = self.heads();
        let taken = guard::caught(|| {
            work(&mut self.inner).map_err(|error| EchoError::malformed("document", error))?;
            let known = self.heads() == before;
            Ok(Change { known, waits: !self.inner.get_missing_deps(&[]).is_empty() })
        });
        taken.inspect_err(|_| *self = Self::empty())
    }

    /// Whether [`Self::load`] takes a document that was saved: not one of more operations than it lets pass.
    #[must_use]
    pub fn loads(saved: &[u8]) -> bool {
        guard::check(saved).is_ok()
    }

    /// About how many bytes it takes when it is saved.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.size
    }

    /// Whether nothing is in it, not even changes that wait for others.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inner.is_empty()
    }

    /// The newest changes.
    #[must_use]
    pub fn heads(&self) -> Heads {
        self.inner.get_heads()
    }

    /// The whole document.
    #[must_use]
    pub fn save(&self) -> Vec<u8> {
        self.inner.save()
    }

    /// What somebody who has `heads` lacks; all of it if the heads are not known here.
    #[must_use]
    pub fn since(&self, heads: &[ChangeHash]) -> Vec<u8> {
        if heads.is_empty() || !heads.iter().all(|head| self.has(head)) {
            return self.save();
        }
        self.inner.save_after(heads)
    }

    /// Whether a change is here. Putting the change itself together takes as long as writing it.
    pub(crate) fn has(&self, change: &ChangeHash) -> bool {
        self.inner.get_change_meta_by_hash(change).is_some()
    }

    /// The states that an item was in, newest first, the present one included; equal ones that follow each other count
    /// once, and at most `most` are given.
    #[must_use]
    pub fn versions(&self, item: &str, most: usize) -> Vec<Version> {
        let mut versions: Vec<Version> = Vec::new();
        let Ok(Some((_, objects))) = self.inner.get(ROOT, "objects") else { return versions };
        let Ok(Some((automerge::Value::Object(kind), object))) = self.inner.get(&objects, item) else {
            return versions;
        };
        for change in self.inner.get_changes(&[]).iter().rev().take(LONGEST_HISTORY) {
            // Before the item was there, there is nothing to read.
            let then = read(&self.inner, (&object, kind), Some(&[change.hash()]), DEEPEST);
            let Some(data) = then.get("data").cloned() else { break };
            let deleted = then.pointer("/system/deleted").and_then(Value::as_bool).unwrap_or_default();
            let version = Version {
                change: change.hash().to_string(),
                actor: change.actor_id().to_bytes().to_vec(),
                seconds: change.timestamp(),
                deleted,
                data,
            };
            let full = versions.len() == most;
            match versions.last_mut() {
                // The same as later on: it has been so since the earlier change.
                Some(last) if last.data == version.data && last.deleted == version.deleted => *last = version,
                _ if full => break,
                _ => versions.push(version),
            }
        }
        versions
    }

    /// Who wrote what came after a version.
    #[must_use]
    pub fn actors_since(&self, heads: &[ChangeHash]) -> BTreeSet<Vec<u8>> {
        let changes = self.inner.get_changes(heads);
        changes.iter().map(|change| change.actor_id().to_bytes().to_vec()).collect()
    }

    /// Counts what a change adds.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), EchoError> {
        self.size = self.size.saturating_add(bytes);
        if self.size > LARGEST_DOCUMENT {
            return Err(EchoError::TooLarge { what: "a document", size: self.size, most: LARGEST_DOCUMENT });
        }
        Ok(())
    }

    pub(crate) const fn inner(&mut self) -> &mut Automerge {
        &mut self.inner
    }

    pub(crate) const fn view(&self) -> &Automerge {
        &self.inner
    }

    /// The objects in it, by id, as JSON: texts as strings, bytes as base64. Not the links of a directory, which are many.
    #[must_use]
    pub fn objects(&self) -> Value {
        guard::caught(|| match self.inner.get(ROOT, "objects") {
            Ok(Some((automerge::Value::Object(ObjType::Map), id))) => {
                Ok(read(&self.inner, (&id, ObjType::Map), None, DEEPEST))
            }
            _ => Ok(Value::Null),
        })
        .unwrap_or(Value::Null)
    }
}

/// What is in an object, now or at some heads, as JSON: texts as strings, bytes as base64, and nothing for what is deeper
/// than `depth`. Automerge's own way to read all of it goes as deep as the object does, which the stack does not.
pub(crate) fn read(
    document: &Automerge,
    (object, kind): (&ObjId, ObjType),
    heads: Option<&[ChangeHash]>,
    depth: usize,
) -> Value {
    let inner = |value: ValueRef<'_>, id: &dyn Fn() -> ObjId| match value {
        _ if depth <= 1 => Value::Null,
        ValueRef::Object(kind) => read(document, (&id(), kind), heads, depth - 1),
        value @ ValueRef::Scalar(_) => match value.into_value() {
            automerge::Value::Scalar(scalar) => scalar_json(scalar.into_owned()),
            automerge::Value::Object(_) => Value::Null,
        },
    };
    match kind {
        ObjType::Map | ObjType::Table => {
            let range = match heads {
                Some(heads) => document.map_range_at(object, .., heads),
                None => document.map_range(object, ..),
            };
            let entry = |entry: automerge::iter::MapRangeItem<'_>| {
                let value = inner(entry.value.clone(), &|| entry.id());
                (entry.key.into_owned(), value)
            };
            Value::Object(range.map(entry).collect::<Map<_, _>>())
        }
        ObjType::List => {
            let range = match heads {
                Some(heads) => document.list_range_at(object, .., heads),
                None => document.list_range(object, ..),
            };
            Value::Array(range.map(|entry| inner(entry.value.clone(), &|| entry.id())).collect())
        }
        ObjType::Text => {
            let text = match heads {
                Some(heads) => document.text_at(object, heads),
                None => document.text(object),
            };
            text.map_or(Value::Null, Value::String)
        }
    }
}

pub(crate) fn scalar_json(scalar: ScalarValue) -> Value {
    match scalar {
        ScalarValue::Str(text) => Value::String(text.to_string()),
        ScalarValue::Int(number) | ScalarValue::Timestamp(number) => number.into(),
        ScalarValue::Uint(number) => number.into(),
        ScalarValue::F64(number) => number.into(),
        ScalarValue::Counter(counter) => i64::from(&counter).into(),
        ScalarValue::Boolean(flag) => flag.into(),
        ScalarValue::Bytes(bytes) => data_encoding::BASE64.encode(&bytes).into(),
        ScalarValue::Null | ScalarValue::Unknown { .. } => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use automerge::AutoCommit;

    use super::*;

    // threat: 21
    #[test]
    fn a_value_nested_without_end_is_cut_off_and_costs_no_stack() {
        let mut nested = AutoCommit::new();
        let mut object = nested.put_object(ROOT, "objects", ObjType::Map).unwrap();
        for _ in 0..5_000 {
            object = nested.put_object(&object, "in", ObjType::Map).unwrap();
        }
        let document = Document::load(&nested.save()).unwrap();
        let objects = document.objects();
        let (mut here, mut depth) = (&objects, 0);
        while let Some(inner) = here.get("in") {
            (here, depth) = (inner, depth + 1);
        }
        assert_eq!((here, depth), (&Value::Null, DEEPEST));
    }
}
