//! A number that several people add to, and nobody's addition is lost: votes, stock, points.
//!
//! Written as any other number it would be the last writer's. Here what is kept are the additions, and what it reads as
//! is their sum. A plain number becomes a counter with the first addition; two devices that make that very first
//! addition at once each begin a counter, and one of those is kept. So the app that makes the item adds to it at once,
//! with 0 if need be.

use automerge::transaction::Transactable;
use automerge::{ScalarValue, Value as Stored};
use serde::{Deserialize, Serialize};

use super::{Model, Site, Spot, refused};
use crate::error::EchoError;

/// Larger numbers are not whole ones any more for JavaScript (2^53 - 1).
const MOST: i64 = 9_007_199_254_740_991;

/// Sums.
#[derive(Debug)]
pub enum CounterModel {}

/// An edit of a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CounterEdit {
    /// Adds; less than nothing takes away.
    Increment(i64),
}

impl Model for CounterModel {
    const NAME: &'static str = "counter";
    type Edit = CounterEdit;
    type View = i64;

    fn view(spot: &Spot<'_>) -> Result<i64, EchoError> {
        Ok(number(spot.value()?.map(|(value, _)| value))?.map_or(0, |(count, _)| count))
    }

    fn edit(site: &mut Site<'_, '_>, CounterEdit::Increment(by): &CounterEdit) -> Result<(), EchoError> {
        let found = number(site.value()?.map(|(value, _)| value))?;
        let count = found.map_or(0, |(count, _)| count);
        let sum = count.checked_add(*by).filter(|sum| sum.abs() <= MOST && by.abs() <= MOST);
        let sum = sum.ok_or_else(|| bad("it would be larger than 2^53 - 1"))?;
        match found {
            Some((_, true)) => {
                let (parent, prop) = (site.parent.clone(), site.prop.clone());
                site.transaction().increment(&parent, prop, *by).map_err(refused)
            }
            _ => site.put(ScalarValue::counter(sum)),
        }
    }
}

/// How much it is, and whether it is a counter already.
fn number(value: Option<Stored<'_>>) -> Result<Option<(i64, bool)>, EchoError> {
    match value {
        None => Ok(None),
        Some(Stored::Scalar(scalar)) => match scalar.as_ref() {
            ScalarValue::Counter(counter) => Ok(Some((i64::from(counter), true))),
            ScalarValue::Int(number) => Ok(Some((*number, false))),
            ScalarValue::Uint(number) => {
                i64::try_from(*number).map(|number| Some((number, false))).map_err(bad)
            }
            // What JavaScript writes of a whole number that was once another.
            #[expect(clippy::cast_possible_truncation, reason = "it is whole, and within the bounds")]
            ScalarValue::F64(number) if number.fract() == 0.0 && number.abs() <= MOST as f64 => {
                Ok(Some((*number as i64, false)))
            }
            _ => Err(bad("there is something else")),
        },
        Some(Stored::Object(_)) => Err(bad("there is something else")),
    }
}

fn bad(why: impl ToString) -> EchoError {
    EchoError::malformed("counter", why)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::document::Document;
    use crate::model::tests::{OTHER, PEN, data, with};
    use crate::model::{ObjectEdit, ObjectModel};

    fn add(document: &mut Document, by: i64) -> Result<Vec<u8>, EchoError> {
        document.edit::<CounterModel>(PEN, ("A", "n"), None, &CounterEdit::Increment(by))
    }

    #[test]
    fn what_two_add_at_once_is_both_there() {
        let mut one = with(json!({ "n": 10 }));
        add(&mut one, 0).unwrap();
        let mut other = Document::load(&one.save()).unwrap();
        let change = other.edit::<CounterModel>(OTHER, ("A", "n"), None, &CounterEdit::Increment(5)).unwrap();
        add(&mut one, -2).unwrap();
        one.apply(&change).unwrap();
        assert_eq!(one.read::<CounterModel>("A", "n").unwrap().0, 13);
        assert_eq!(data(&one), json!({ "n": 13 }), "queries see a number");
    }

    #[test]
    fn who_writes_all_properties_back_does_not_end_a_counter() {
        let mut one = with(json!({ "n": 10, "title": "a" }));
        add(&mut one, 0).unwrap();
        let mut other = Document::load(&one.save()).unwrap();
        let change = other.edit::<CounterModel>(OTHER, ("A", "n"), None, &CounterEdit::Increment(5)).unwrap();
        let back = ObjectEdit::Set(json!({ "n": 11, "title": "b" }));
        one.edit::<ObjectModel>(PEN, ("A", ""), None, &back).unwrap();
        one.apply(&change).unwrap();
        assert_eq!(
            data(&one),
            json!({ "n": 16, "title": "b" }),
            "written as 11 it is one more than the 10 it was"
        );
    }

    #[test]
    fn it_begins_by_itself_and_is_not_made_of_anything() {
        let mut document = with(json!({ "text": "x", "half": 1.5, "whole": 2.0 }));
        add(&mut document, 3).unwrap();
        assert_eq!(document.read::<CounterModel>("A", "n").unwrap().0, 3);
        for property in ["text", "half", ""] {
            let edit = document.edit::<CounterModel>(PEN, ("A", property), None, &CounterEdit::Increment(1));
            assert!(edit.is_err(), "{property}");
        }
        document.edit::<CounterModel>(PEN, ("A", "whole"), None, &CounterEdit::Increment(1)).unwrap();
        assert_eq!(document.read::<CounterModel>("A", "whole").unwrap().0, 3);
    }

    #[test]
    fn it_ends_where_numbers_are_not_whole_any_more() {
        let mut document = with(json!({}));
        add(&mut document, MOST).unwrap();
        for by in [1, i64::MAX, i64::MIN] {
            assert!(add(&mut document, by).unwrap_err().to_string().contains("2^53"), "{by}");
        }
        add(&mut document, -MOST).unwrap();
        assert_eq!(document.read::<CounterModel>("A", "n").unwrap().0, 0);
    }

    proptest! {
        #[test]
        fn the_sum_is_the_same_in_any_order(steps in proptest::collection::vec((0..3_u8, -9..9_i64), 0..12), turn in 0..12_usize) {
            let mut first = with(json!({ "n": 0 }));
            add(&mut first, 0).unwrap();
            let mut changes: Vec<Vec<u8>> = Vec::new();
            let mut writers: Vec<Document> = (0..3).map(|_| Document::load(&first.save()).unwrap()).collect();
            for (writer, by) in &steps {
                let pen = crate::Pen { actor: [10 + writer; 16], seconds: 1 };
                let document = &mut writers[usize::from(*writer)];
                changes.push(document.edit::<CounterModel>(pen, ("A", "n"), None, &CounterEdit::Increment(*by)).unwrap());
            }
            let turn = turn % changes.len().max(1);
            changes.rotate_left(turn);
            for change in changes {
                first.apply(&change).unwrap();
            }
            let wanted: i64 = steps.iter().map(|(_, by)| by).sum();
            prop_assert_eq!(first.read::<CounterModel>("A", "n").unwrap().0, wanted);
        }
    }
}
