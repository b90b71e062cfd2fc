//! Keys and values: the last writer of a key wins, and of nobody else's.
//!
//! Values nest: a map within a map merges key by key, lists and texts merge by their elements. What is equal already is
//! left alone, so that a concurrent edit of another key is not undone, and an edit that changes nothing is none.

use automerge::transaction::{Transactable, Transaction};
use automerge::{AutomergeError, ObjId, ObjType, Prop, ReadDoc, ScalarValue, Value as Stored};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Model, Site, Spot, refused};
use crate::error::EchoError;

/// Keys and values.
#[derive(Debug)]
pub enum ObjectModel {}

/// An edit of a value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ObjectEdit {
    /// Makes it equal to this; keys that are not in it are removed.
    Set(Value),
    /// Writes some keys of a map and leaves the others; `null` removes one.
    Merge(Map<String, Value>),
}

impl Model for ObjectModel {
    const NAME: &'static str = "object";
    type Edit = ObjectEdit;
    type View = Value;

    fn view(spot: &Spot<'_>) -> Result<Value, EchoError> {
        spot.json()
    }

    fn edit(site: &mut Site<'_, '_>, edit: &ObjectEdit) -> Result<(), EchoError> {
        let (parent, prop) = (site.parent.clone(), site.prop.clone());
        let tx = site.transaction();
        let edited = match edit {
            ObjectEdit::Set(value) => put(tx, &parent, prop, value),
            ObjectEdit::Merge(some) => merge(tx, &parent, prop, some),
        };
        edited.map_err(refused)
    }
}

fn merge(
    tx: &mut Transaction<'_>,
    of: &ObjId,
    at: Prop,
    some: &Map<String, Value>,
) -> Result<(), AutomergeError> {
    let map = match tx.get(of, at.clone())? {
        Some((Stored::Object(ObjType::Map), id)) => id,
        _ => tx.put_object(of, at, ObjType::Map)?,
    };
    some.iter().try_for_each(|(key, value)| match value {
        Value::Null if tx.get(&map, key.as_str())?.is_none() => Ok(()),
        Value::Null => tx.delete(&map, key.as_str()),
        value => put(tx, &map, key.as_str().into(), value),
    })
}

/// Makes what is at a place equal to a value, and touches only what differs.
pub(crate) fn put(
    tx: &mut Transaction<'_>,
    of: &ObjId,
    at: Prop,
    value: &Value,
) -> Result<(), AutomergeError> {
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
            let Some((Stored::Scalar(same), _)) = &there else { return tx.put(of, at, scalar) };
            match (same.as_ref(), &scalar) {
                (same, scalar) if same == scalar => Ok(()),
                // A counter that is written as a number is added to, so that what others add at once counts as well.
                (ScalarValue::Counter(counter), ScalarValue::Int(number)) => {
                    match number.checked_sub(i64::from(counter)) {
                        Some(0) => Ok(()),
                        Some(by) => tx.increment(of, at, by),
                        None => tx.put(of, at, scalar),
                    }
                }
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

pub(crate) fn scalar(value: &Value) -> ScalarValue {
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
    use serde_json::json;

    use super::*;
    use crate::document::Document;
    use crate::model::tests::{OTHER, PEN, data, with};

    fn edit(document: &mut Document, pen: crate::Pen, property: &str, edit: ObjectEdit) -> Vec<u8> {
        document.edit::<ObjectModel>(pen, ("A", property), None, &edit).unwrap()
    }

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn the_last_writer_of_a_key_wins_and_of_no_other() {
        let mut one = with(json!({ "deep": { "er": { "a": 1, "b": 1 } } }));
        let mut other = Document::load(&one.save()).unwrap();
        let change = edit(&mut other, OTHER, "deep.er", ObjectEdit::Merge(map(json!({ "a": 2, "c": 3 }))));
        edit(&mut one, PEN, "deep.er", ObjectEdit::Merge(map(json!({ "b": null }))));
        one.apply(&change).unwrap();
        assert_eq!(data(&one), json!({ "deep": { "er": { "a": 2, "c": 3 } } }));
    }

    #[test]
    fn what_changes_nothing_is_no_change() {
        let all = json!({ "a": [1, "x", { "y": null }], "t": "text", "n": 2.5 });
        let mut document = with(all.clone());
        assert_eq!(edit(&mut document, PEN, "", ObjectEdit::Set(all)), Vec::<u8>::new());
        assert_eq!(
            edit(&mut document, PEN, "a.2", ObjectEdit::Merge(map(json!({ "z": null })))),
            Vec::<u8>::new()
        );
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-zäß😀]{0,4}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 12, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("[abc]", inner, 0..3)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_set_is_what_is_read(first in value(), then in value()) {
            let mut document = with(json!({ "p": first }));
            prop_assert_eq!(document.read::<ObjectModel>("A", "p").unwrap().0, first);
            edit(&mut document, PEN, "p", ObjectEdit::Set(then.clone()));
            prop_assert_eq!(document.read::<ObjectModel>("A", "p").unwrap().0, then);
        }

        #[test]
        fn writers_of_different_keys_do_not_meet(all in proptest::collection::btree_map("[abcd]", value(), 1..4), a in value(), b in value()) {
            let mut one = with(json!(all));
            let mut other = Document::load(&one.save()).unwrap();
            let change = edit(&mut other, OTHER, "", ObjectEdit::Merge(map(json!({ "y": b }))));
            edit(&mut one, PEN, "", ObjectEdit::Merge(map(json!({ "x": a }))));
            one.apply(&change).unwrap();
            let mut wanted = map(json!(all));
            wanted.extend([("x".to_owned(), a), ("y".to_owned(), b)].into_iter().filter(|(_, value)| !value.is_null()));
            prop_assert_eq!(data(&one), Value::Object(wanted));
        }
    }
}
