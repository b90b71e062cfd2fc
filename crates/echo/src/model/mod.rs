//! Models: by which rules a place in an item changes, and what it reads as.
//!
//! Automerge keeps maps, lists, texts and counters; a [`Model`] says which of them a place is, what one edit of it may
//! be, and how two edits made at once come together. [`ObjectModel`] is keys and values, the last writer of a key wins;
//! [`TextModel`] is a text that several people write; [`CounterModel`] is a number that several people add to. A type of
//! an app's own implements the trait and is as good as these: [`Document::read`] and [`Document::edit`] know no other
//! way to any of them.
//!
//! The rule guarded here: an edit is one transaction, and one that fails leaves the document as it was.

mod counter;
mod object;
mod text;

use automerge::transaction::{Transactable, Transaction};
use automerge::{Automerge, ChangeHash, ObjId, ObjType, Prop, ROOT, ReadDoc, Value as Stored};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::document::{DEEPEST, Document, Heads, read};
use crate::error::EchoError;
use crate::write::Pen;

pub use counter::{CounterEdit, CounterModel};
pub use object::{ObjectEdit, ObjectModel};
pub(crate) use object::{put, scalar};
pub use text::{Expand, Mark, Side, Splice, TextEdit, TextModel, TextView};

/// The consistency rules of a place in an item.
pub trait Model {
    /// Names it where models are named, such as in calls of an app.
    const NAME: &'static str;
    /// One edit.
    type Edit;
    /// What it reads as.
    type View;

    /// What the place is.
    ///
    /// # Errors
    /// [`EchoError::Malformed`] if it is not of this model.
    fn view(spot: &Spot<'_>) -> Result<Self::View, EchoError>;

    /// Does one edit; what it did before it failed is undone.
    ///
    /// # Errors
    /// [`EchoError::Malformed`] if the place is not of this model, or the edit does not fit it.
    fn edit(site: &mut Site<'_, '_>, edit: &Self::Edit) -> Result<(), EchoError>;
}

/// A place in an item, to look at.
pub struct Spot<'a> {
    document: &'a Automerge,
    parent: ObjId,
    prop: Prop,
}

impl Spot<'_> {
    /// The document, for what JSON cannot say.
    #[must_use]
    pub const fn document(&self) -> &Automerge {
        self.document
    }

    /// What is there: a value, and the object it is if it is one.
    ///
    /// # Errors
    /// [`EchoError::Malformed`] if Automerge refuses, which it has no reason to.
    pub fn value(&self) -> Result<Option<(Stored<'_>, ObjId)>, EchoError> {
        self.document.get(&self.parent, self.prop.clone()).map_err(refused)
    }

    /// What is there as JSON; `null` for nothing.
    ///
    /// # Errors
    /// [`EchoError::Malformed`] if Automerge refuses, which it has no reason to.
    pub fn json(&self) -> Result<Value, EchoError> {
        Ok(match self.value()? {
            Some((Stored::Object(kind), id)) => read(self.document, (&id, kind), None, DEEPEST),
            Some((Stored::Scalar(scalar), _)) => crate::document::scalar_json(scalar.into_owned()),
            None => Value::Null,
        })
    }
}

/// A place in an item, to change.
pub struct Site<'a, 'd> {
    tx: &'a mut Transaction<'d>,
    parent: ObjId,
    prop: Prop,
}

impl<'d> Site<'_, 'd> {
    /// The transaction: reads see the version that the edit is made on.
    pub const fn transaction(&mut self) -> &mut Transaction<'d> {
        self.tx
    }

    /// What is there: a value, and the object it is if it is one.
    ///
    /// # Errors
    /// [`EchoError::Malformed`] if Automerge refuses, which it has no reason to.
    pub fn value(&self) -> Result<Option<(Stored<'_>, ObjId)>, EchoError> {
        self.tx.get(&self.parent, self.prop.clone()).map_err(refused)
    }

    /// Puts a number, a truth or a short text there that does not merge.
    ///
    /// # Errors
    /// [`EchoError::Malformed`] if the place went away.
    pub fn put(&mut self, scalar: impl Into<automerge::ScalarValue>) -> Result<(), EchoError> {
        self.tx.put(&self.parent, self.prop.clone(), scalar).map_err(refused)
    }
}

pub(crate) fn refused(error: impl ToString) -> EchoError {
    EchoError::malformed("document", error)
}

/// Where a property of an item is (dots between names, a number in a list, nothing for all properties): the object
/// that holds it, and its name there.
fn locate(document: &impl ReadDoc, item: &str, property: &str) -> Result<(ObjId, Prop), EchoError> {
    let object = |at: &ObjId, prop: Prop| match document.get(at, prop) {
        Ok(Some((Stored::Object(_), id))) => Some(id),
        _ => None,
    };
    let no_item = || EchoError::malformed("item", "there is none of that id");
    let objects = object(&ROOT, "objects".into()).ok_or_else(no_item)?;
    let mut at = object(&objects, item.into()).ok_or_else(no_item)?;
    let mut prop = Prop::from("data");
    let names = if property.is_empty() { Vec::new() } else { property.split('.').collect() };
    for name in names {
        let nothing = || EchoError::malformed("property", format!("there is no {property:?}"));
        at = object(&at, prop).ok_or_else(nothing)?;
        prop = match document.object_type(&at) {
            Ok(ObjType::Map) => name.into(),
            Ok(ObjType::List) => name.parse::<usize>().map_err(|_| nothing())?.into(),
            _ => return Err(nothing()),
        };
    }
    Ok((at, prop))
}

impl Document {
    /// What a property of an item reads as by a model, and the version it is. Names have dots between them; an empty
    /// one means all properties.
    ///
    /// # Errors
    /// [`EchoError::Malformed`] if there is no such place, or it is not of this model.
    pub fn read<M: Model>(&self, item: &str, property: &str) -> Result<(M::View, Heads), EchoError> {
        Ok((M::view(&self.spot(item, property)?)?, self.heads()))
    }

    fn spot(&self, item: &str, property: &str) -> Result<Spot<'_>, EchoError> {
        let (parent, prop) = locate(self.view(), item, property)?;
        Ok(Spot { document: self.view(), parent, prop })
    }

    /// Edits a property of an item by a model, as somebody saw it who had the version `at`; none means now. Returns the
    /// change, for feed and peers: empty if it came to nothing.
    ///
    /// # Errors
    /// [`EchoError::Malformed`] if there is no such place or version, or the edit does not fit; [`EchoError::TooLarge`].
    pub fn edit<M: Model>(
        &mut self,
        pen: Pen,
        (item, property): (&str, &str),
        at: Option<&[ChangeHash]>,
        edit: &M::Edit,
    ) -> Result<Vec<u8>, EchoError> {
        self.write(pen, at, |tx| {
            let (parent, prop) = locate(tx, item, property)?;
            M::edit(&mut Site { tx, parent, prop }, edit)
        })
    }
}

/// A model that is known by name only: edits and views are JSON.
#[derive(Clone, Copy)]
pub struct NamedModel {
    name: &'static str,
    read: Read,
    edit: Edit,
}

type Read = fn(&Document, &str, &str) -> Result<(Value, Heads), EchoError>;
type Edit = fn(&mut Document, Pen, (&str, &str), Option<&[ChangeHash]>, &Value) -> Result<Vec<u8>, EchoError>;

/// The models that calls of an app may name.
const KNOWN: &[NamedModel] =
    &[NamedModel::of::<ObjectModel>(), NamedModel::of::<TextModel>(), NamedModel::of::<CounterModel>()];

impl NamedModel {
    /// A model whose edits and views are JSON.
    #[must_use]
    pub const fn of<M>() -> Self
    where
        M: Model,
        M::Edit: DeserializeOwned,
        M::View: Serialize,
    {
        Self {
            name: M::NAME,
            read: |document, item, property| {
                let (view, heads) = document.read::<M>(item, property)?;
                Ok((serde_json::to_value(view).map_err(refused)?, heads))
            },
            edit: |document, pen, place, at, edit| {
                let edit = M::Edit::deserialize(edit)
                    .map_err(|error| EchoError::malformed("edit", format!("{error} ({})", M::NAME)))?;
                document.edit::<M>(pen, place, at, &edit)
            },
        }
    }

    /// The model of that name.
    ///
    /// # Errors
    /// [`EchoError::Malformed`] if there is none.
    pub fn find(name: &str) -> Result<Self, EchoError> {
        let known = KNOWN.iter().find(|model| model.name == name).copied();
        known.ok_or_else(|| EchoError::malformed("model", format!("there is none called {name:?}")))
    }

    /// As [`Document::read`].
    ///
    /// # Errors
    /// As [`Document::read`].
    pub fn read(&self, document: &Document, item: &str, property: &str) -> Result<(Value, Heads), EchoError> {
        (self.read)(document, item, property)
    }

    /// As [`Document::edit`].
    ///
    /// # Errors
    /// As [`Document::edit`], and [`EchoError::Malformed`] for JSON that is no edit.
    pub fn edit(
        &self,
        document: &mut Document,
        pen: Pen,
        place: (&str, &str),
        at: Option<&[ChangeHash]>,
        edit: &Value,
    ) -> Result<Vec<u8>, EchoError> {
        (self.edit)(document, pen, place, at, edit)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;
    use crate::item::ItemKind;
    use crate::write::NewItem;

    pub(crate) const PEN: Pen = Pen { actor: [1; 16], seconds: 1 };
    pub(crate) const OTHER: Pen = Pen { actor: [2; 16], seconds: 1 };

    /// A document with the item A.
    pub(crate) fn with(data: Value) -> Document {
        let Value::Object(data) = data else { panic!("properties are a map") };
        let typename = "dxn:type:e.org/type/Note:0.1.0".into();
        let item = NewItem { id: "A".into(), kind: ItemKind::Object, typename, data, ..NewItem::default() };
        let mut document = Document::directory(PEN, "00").unwrap();
        document.put_item(PEN, &item).unwrap();
        document
    }

    pub(crate) fn data(document: &Document) -> Value {
        document.objects()["A"]["data"].clone()
    }

    /// A type of an app's own: a set of words. Who adds wins over who removes at the same time.
    struct Words;

    impl Model for Words {
        const NAME: &'static str = "words";
        type Edit = (bool, String);
        type View = Vec<String>;

        fn view(spot: &Spot<'_>) -> Result<Vec<String>, EchoError> {
            let Some((Stored::Object(ObjType::Map), id)) = spot.value()? else {
                return Err(EchoError::malformed("set", "there is none"));
            };
            Ok(spot.document().keys(&id).collect())
        }

        fn edit(site: &mut Site<'_, '_>, (add, word): &(bool, String)) -> Result<(), EchoError> {
            let Some((Stored::Object(ObjType::Map), id)) = site.value()? else {
                return Err(EchoError::malformed("set", "there is none"));
            };
            let tx = site.transaction();
            if *add {
                tx.put_object(&id, word, ObjType::Map).map(drop)
            } else {
                tx.delete(&id, word.as_str())
            }
            .map_err(refused)
        }
    }

    #[test]
    fn a_model_of_an_apps_own_is_as_good_as_ours() {
        let mut document = with(json!({ "tags": { "old": {} }, "title": "x" }));
        let (_, seen) = document.read::<Words>("A", "tags").unwrap();
        document.edit::<Words>(PEN, ("A", "tags"), Some(&seen), &(false, "old".into())).unwrap();
        document.edit::<Words>(OTHER, ("A", "tags"), Some(&seen), &(true, "old".into())).unwrap();
        document.edit::<Words>(OTHER, ("A", "tags"), Some(&seen), &(true, "new".into())).unwrap();
        assert_eq!(document.read::<Words>("A", "tags").unwrap().0, ["new", "old"]);
        assert!(document.read::<Words>("A", "title").is_err());
    }

    #[test]
    fn an_edit_that_fails_leaves_everything_as_it_was() {
        let mut document = with(json!({ "title": "x" }));
        let before = document.heads();
        let failed = document.write(PEN, None, |tx| {
            let (parent, prop) = locate(tx, "A", "title")?;
            tx.put(&parent, prop, 1).map_err(refused)?;
            Err(EchoError::malformed("test", "it fails after it wrote"))
        });
        assert!(failed.is_err());
        assert_eq!((document.heads(), data(&document)), (before, json!({ "title": "x" })));
    }

    #[test]
    fn places_are_found_through_maps_and_lists_and_nowhere_else() {
        let mut document = with(json!({ "list": [{ "text": "a" }], "number": 1 }));
        let set = ObjectEdit::Set(json!("b"));
        document.edit::<ObjectModel>(PEN, ("A", "list.0.text"), None, &set).unwrap();
        document.edit::<ObjectModel>(PEN, ("A", "fresh"), None, &set).unwrap();
        assert_eq!(data(&document), json!({ "list": [{ "text": "b" }], "number": 1, "fresh": "b" }));
        for (item, property) in [
            ("B", ""),
            ("A", "list.x"),
            ("A", "list.7.text"),
            ("A", "number.x"),
            ("A", "a.b"),
            ("A", "list.0.text.0"),
        ] {
            let edited = document.edit::<ObjectModel>(PEN, (item, property), None, &set);
            assert!(edited.is_err(), "{item} {property}");
        }
        let unknown = [ChangeHash([9; 32])];
        assert!(document.edit::<ObjectModel>(PEN, ("A", "fresh"), Some(&unknown), &set).is_err());
    }

    #[test]
    fn models_are_found_by_name_and_take_json() {
        let mut document = with(json!({ "n": 1, "t": "ab" }));
        let edit = |document: &mut Document, name: &str, property: &str, edit: Value| {
            NamedModel::find(name)?.edit(document, PEN, ("A", property), None, &edit)
        };
        edit(&mut document, "counter", "n", json!({ "increment": 4 })).unwrap();
        edit(&mut document, "text", "t", json!({ "splice": { "position": 1, "remove": 0, "insert": "-" } }))
            .unwrap();
        edit(&mut document, "object", "", json!({ "merge": { "x": null, "y": [1] } })).unwrap();
        assert_eq!(data(&document), json!({ "n": 5, "t": "a-b", "y": [1] }));
        let read =
            |name, property| Ok::<_, EchoError>(NamedModel::find(name)?.read(&document, "A", property)?.0);
        assert_eq!(read("counter", "n"), Ok(json!(5)));
        assert_eq!(read("text", "t"), Ok(json!({ "text": "a-b", "marks": [] })));
        assert_eq!(read("object", "y"), Ok(json!([1])));
        assert!(read("counter", "t").is_err() && read("magic", "t").is_err());
        let wrong = edit(&mut with(json!({ "n": 1 })), "counter", "n", json!({ "increase": 1 })).unwrap_err();
        assert!(wrong.to_string().contains("increment"), "{wrong}");
    }
}
