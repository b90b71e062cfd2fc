//! Texts that several people write at once, with marks over their parts and cursors that stay where they belong.
//!
//! Positions count UTF-16 code units, as JavaScript's strings do. An edit names the version it was made on; what others
//! wrote since then stays where it belongs. A mark (bold, a link, a comment) covers letters, and letters that come between
//! them later; of two marks of one name on the same letters one wins, the same one everywhere. A cursor is a letter's
//! name instead of its number, so that it moves with what is written around it.

use automerge::marks::{ExpandMark, Mark as StoredMark};
use automerge::transaction::Transactable;
use automerge::{Cursor, CursorPosition, MoveCursor, ObjId, ObjType, ReadDoc, ScalarValue, Value as Stored};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Model, Site, Spot};
use crate::document::{Document, Heads, scalar_json};
use crate::error::EchoError;
use crate::write::Pen;

/// More marks of one text are not shown.
const MOST_MARKS: usize = 10_000;
/// Longest name of a mark, in bytes.
const LONGEST_NAME: usize = 100;
/// Longest text that a mark carries, in bytes: an address, a short comment.
const LONGEST_VALUE: usize = 4 * 1024;
/// Longest cursor in text: a number, and a name of 128 bytes in hex.
const LONGEST_CURSOR: usize = 300;

/// Texts.
#[derive(Debug)]
pub enum TextModel {}

/// A change of a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Splice {
    /// Where, in UTF-16 code units from the beginning.
    pub position: usize,
    /// How many code units go.
    pub remove: usize,
    /// What comes in their place.
    pub insert: String,
}

/// What a part of a text is marked as.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    /// Where it begins, in UTF-16 code units.
    pub start: usize,
    /// Where it ends: the first code unit that it does not cover.
    pub end: usize,
    /// Of which kind it is, such as `bold`.
    pub name: String,
    /// What it says: a truth, a number or a short text; `null` takes the mark away.
    pub value: Value,
}

/// Whether what is written at an edge of a mark is covered by it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Expand {
    /// What comes right before it.
    Before,
    /// What comes right after it, as bold letters do.
    #[default]
    After,
    /// Both.
    Both,
    /// Neither, as links do.
    None,
}

/// An edit of a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TextEdit {
    /// Removes and inserts.
    Splice(Splice),
    /// Marks a part, or takes marks of that name away from it.
    Mark {
        /// Which, and as what.
        #[serde(flatten)]
        mark: Mark,
        /// At its edges.
        #[serde(default)]
        expand: Expand,
    },
}

/// A text as it is shown.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TextView {
    /// The letters.
    pub text: String,
    /// What is marked, by where it begins; no more than 10,000.
    pub marks: Vec<Mark>,
}

/// Where a cursor goes when its letter does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// To the letter before.
    Before,
    /// To the letter after.
    #[default]
    After,
}

impl Model for TextModel {
    const NAME: &'static str = "text";
    type Edit = TextEdit;
    type View = TextView;

    fn view(spot: &Spot<'_>) -> Result<TextView, EchoError> {
        let id = text_of(spot.value()?)?;
        let text = spot.document().text(&id).map_err(bad)?;
        let marks = spot.document().marks(&id).map_err(bad)?.into_iter().take(MOST_MARKS).map(|mark| Mark {
            start: mark.start,
            end: mark.end,
            name: mark.name.to_string(),
            value: scalar_json(mark.value),
        });
        let mut marks: Vec<Mark> = marks.collect();
        marks.sort_by(|one, other| {
            (one.start, one.end, &one.name).cmp(&(other.start, other.end, &other.name))
        });
        Ok(TextView { text, marks })
    }

    fn edit(site: &mut Site<'_, '_>, edit: &TextEdit) -> Result<(), EchoError> {
        let id = text_of(site.value()?)?;
        let tx = site.transaction();
        match edit {
            TextEdit::Splice(Splice { position, remove, insert }) => {
                let end = position.saturating_add(*remove);
                letter(tx, &id, *position)?;
                letter(tx, &id, end)?;
                let remove = isize::try_from(*remove).map_err(bad)?;
                tx.splice_text(&id, *position, remove, insert).map_err(bad)
            }
            TextEdit::Mark { mark: Mark { start, end, name, value }, expand } => {
                if start >= end {
                    return Err(bad("a mark covers one letter at least"));
                }
                if name.is_empty() || name.len() > LONGEST_NAME {
                    return Err(bad("the name of a mark has 1 to 100 bytes"));
                }
                letter(tx, &id, *start)?;
                letter(tx, &id, *end)?;
                let expand = match expand {
                    Expand::Before => ExpandMark::Before,
                    Expand::After => ExpandMark::After,
                    Expand::Both => ExpandMark::Both,
                    Expand::None => ExpandMark::None,
                };
                match mark_value(value)? {
                    ScalarValue::Null => tx.unmark(&id, name, *start, *end, expand),
                    value => tx.mark(&id, StoredMark::new(name.clone(), value, *start, *end), expand),
                }
                .map_err(bad)
            }
        }
    }
}

impl Document {
    /// A text of an item, by its property (dots between names), and the version it is.
    ///
    /// # Errors
    /// [`EchoError::Malformed`] if there is no such text.
    pub fn text(&self, item: &str, property: &str) -> Result<(TextView, Heads), EchoError> {
        self.read::<TextModel>(item, property)
    }

    /// Changes a text as somebody saw it who had the version `at`; none means now. Returns the change, for feed and
    /// peers.
    ///
    /// # Errors
    /// [`EchoError::Malformed`] if there is no such text or version, or the splice is beyond its end.
    pub fn splice_text(
        &mut self,
        pen: Pen,
        item: &str,
        property: &str,
        at: Option<&[automerge::ChangeHash]>,
        splice: &Splice,
    ) -> Result<Vec<u8>, EchoError> {
        self.edit::<TextModel>(pen, (item, property), at, &TextEdit::Splice(splice.clone()))
    }

    /// A cursor before the letter at a position of a text, as it was at a version; at the end of the text, one that stays
    /// at the end.
    ///
    /// # Errors
    /// [`EchoError::Malformed`] if there is no such text, version or place.
    pub fn cursor(
        &self,
        (item, property): (&str, &str),
        at: Option<&[automerge::ChangeHash]>,
        position: usize,
        side: Side,
    ) -> Result<String, EchoError> {
        let id = text_of(self.spot(item, property)?.value()?)?;
        self.knows(at)?;
        let document = self.view();
        let length = at.map_or_else(|| document.length(&id), |at| document.length_at(&id, at));
        let place = if position == length { CursorPosition::End } else { CursorPosition::Index(position) };
        let side = if side == Side::Before { MoveCursor::Before } else { MoveCursor::After };
        let cursor = document.get_cursor_moving(&id, place, at, side).map_err(|_| nowhere())?;
        Ok(cursor.to_string())
    }

    /// Where a cursor is now.
    ///
    /// # Errors
    /// [`EchoError::Malformed`] if there is no such text, or that is no cursor of it.
    pub fn cursor_position(&self, item: &str, property: &str, cursor: &str) -> Result<usize, EchoError> {
        let id = text_of(self.spot(item, property)?.value()?)?;
        let cursor = checked(cursor).ok_or_else(|| bad("that is no cursor"))?;
        self.view()
            .get_cursor_position(&id, &cursor, None)
            .map_err(|_| bad("that cursor is not of this text"))
    }
}

/// Reads a cursor: `s`, `e`, or `[-]COUNTER@ACTOR`. Automerge's own reader expects nothing else, and falls over what is.
fn checked(text: &str) -> Option<Cursor> {
    let is_name = |text: &str| {
        let (counter, actor) = text.strip_prefix('-').unwrap_or(text).split_once('@')?;
        let digits = !counter.is_empty() && counter.bytes().all(|byte| byte.is_ascii_digit());
        let hex = actor.len() % 2 == 0 && actor.bytes().all(|byte| byte.is_ascii_hexdigit());
        (digits && hex).then_some(())
    };
    if text.len() > LONGEST_CURSOR || !(matches!(text, "s" | "e") || is_name(text).is_some()) {
        return None;
    }
    Cursor::try_from(text).ok()
}

fn text_of(value: Option<(Stored<'_>, ObjId)>) -> Result<ObjId, EchoError> {
    match value {
        Some((Stored::Object(ObjType::Text), id)) => Ok(id),
        _ => Err(bad("there is no such text")),
    }
}

/// Checks that a letter begins at a place, or that it is the end. Whether it lies within a letter of two units is told by
/// the cursor, which is that of the place before then; to ask where a cursor is takes as long as the text is.
fn letter(document: &impl ReadDoc, text: &ObjId, place: usize) -> Result<(), EchoError> {
    let length = document.length(text);
    let at = |place| document.get_cursor(text, place, None).map_err(|_| nowhere());
    let within = |before| Ok::<_, EchoError>(at(before)? == at(place)?);
    match place.checked_sub(1) {
        _ if place > length => Err(nowhere()),
        Some(before) if place < length && within(before)? => Err(nowhere()),
        _ => Ok(()),
    }
}

fn mark_value(value: &Value) -> Result<ScalarValue, EchoError> {
    match value {
        Value::Null => Ok(ScalarValue::Null),
        Value::Bool(flag) => Ok((*flag).into()),
        Value::Number(number) => Ok(match number.as_i64() {
            Some(whole) => whole.into(),
            None => number.as_f64().unwrap_or_default().into(),
        }),
        Value::String(text) if text.len() <= LONGEST_VALUE => Ok(text.as_str().into()),
        Value::String(_) => Err(bad("a mark says at most 4,096 bytes")),
        Value::Array(_) | Value::Object(_) => Err(bad("a mark says a truth, a number or a text")),
    }
}

fn bad(why: impl ToString) -> EchoError {
    EchoError::malformed("text", why)
}

fn nowhere() -> EchoError {
    bad("the place is not in the text")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::model::tests::{OTHER, PEN, with};

    fn note(text: &str) -> Document {
        with(json!({ "body": text }))
    }

    fn splice(position: usize, remove: usize, insert: &str) -> Splice {
        Splice { position, remove, insert: insert.into() }
    }

    fn text(document: &Document) -> String {
        document.text("A", "body").unwrap().0.text
    }

    fn mark(
        document: &mut Document,
        (start, end): (usize, usize),
        name: &str,
        value: Value,
        expand: Expand,
    ) -> Result<Vec<u8>, EchoError> {
        let mark = Mark { start, end, name: name.into(), value };
        document.edit::<TextModel>(PEN, ("A", "body"), None, &TextEdit::Mark { mark, expand })
    }

    fn marks(document: &Document) -> Vec<(usize, usize, String, Value)> {
        let marks = document.text("A", "body").unwrap().0.marks.into_iter();
        marks.map(|mark| (mark.start, mark.end, mark.name, mark.value)).collect()
    }

    #[test]
    fn what_two_write_on_the_same_version_is_both_there() {
        let mut document = note("Hello world");
        let (_, seen) = document.text("A", "body").unwrap();
        document.splice_text(PEN, "A", "body", Some(&seen), &splice(0, 5, "Good day")).unwrap();
        document.splice_text(OTHER, "A", "body", Some(&seen), &splice(11, 0, "!")).unwrap();
        assert_eq!(text(&document), "Good day world!");
    }

    #[test]
    fn places_count_as_javascript_counts() {
        let mut document = note("a😀b");
        document.splice_text(PEN, "A", "body", None, &splice(3, 1, "c")).unwrap();
        assert_eq!(text(&document), "a😀c");
        for (at, remove) in [(2, 0), (1, 1), (5, 0), (0, 5), (usize::MAX, 2)] {
            let wrong = document.splice_text(PEN, "A", "body", None, &splice(at, remove, "x"));
            assert!(wrong.unwrap_err().to_string().contains("not in the text"), "{at} {remove}");
        }
        assert_eq!(text(&document), "a😀c");
    }

    #[test]
    fn what_is_no_text_is_said_to_be_none() {
        let mut document = note("a");
        for (item, property) in [("B", "body"), ("A", "other"), ("A", "body.more"), ("A", "")] {
            assert!(document.text(item, property).is_err(), "{item} {property}");
        }
        let unknown = automerge::ChangeHash([9; 32]);
        assert!(document.splice_text(PEN, "A", "body", Some(&[unknown]), &splice(0, 0, "x")).is_err());
    }

    #[test]
    fn a_mark_grows_with_what_is_written_into_it() {
        let mut document = note("😀 bold link");
        mark(&mut document, (3, 7), "bold", json!(true), Expand::After).unwrap();
        mark(&mut document, (8, 12), "link", json!("https://a.example"), Expand::None).unwrap();
        assert_eq!(marks(&document)[0], (3, 7, "bold".into(), json!(true)));
        document.splice_text(PEN, "A", "body", None, &splice(12, 0, "s")).unwrap();
        document.splice_text(PEN, "A", "body", None, &splice(7, 0, "er")).unwrap();
        document.splice_text(PEN, "A", "body", None, &splice(4, 0, "l")).unwrap();
        assert_eq!(text(&document), "😀 blolder links");
        let link = (11, 15, "link".to_owned(), json!("https://a.example"));
        assert_eq!(marks(&document), [(3, 10, "bold".into(), json!(true)), link.clone()]);
        mark(&mut document, (3, 10), "bold", Value::Null, Expand::After).unwrap();
        assert_eq!(marks(&document), [link]);
    }

    #[test]
    fn marks_of_two_people_come_together() {
        let mut one = note("hello");
        let mut other = Document::load(&one.save()).unwrap();
        let bold = Mark { start: 0, end: 3, name: "bold".into(), value: json!(true) };
        let bold = TextEdit::Mark { mark: bold, expand: Expand::After };
        let change = other.edit::<TextModel>(OTHER, ("A", "body"), None, &bold).unwrap();
        one.splice_text(PEN, "A", "body", None, &splice(1, 0, "🙂")).unwrap();
        one.apply(&change).unwrap();
        assert_eq!(marks(&one), [(0, 5, "bold".into(), json!(true))]);
    }

    #[test]
    fn marks_that_are_none_are_refused() {
        let mut document = note("a😀b");
        let long = "x".repeat(LONGEST_NAME + 1);
        for ((start, end), name, value) in [
            ((0, 0), "bold", json!(true)),
            ((1, 0), "bold", json!(true)),
            ((0, 2), "bold", json!(true)),
            ((0, 9), "bold", json!(true)),
            ((0, 1), "", json!(true)),
            ((0, 1), &*long, json!(true)),
            ((0, 1), "bold", json!([])),
            ((0, 1), "bold", json!("x".repeat(LONGEST_VALUE + 1))),
        ] {
            assert!(
                mark(&mut document, (start, end), name, value, Expand::After).is_err(),
                "{start} {end} {name}"
            );
        }
        assert_eq!(marks(&document), []);
    }

    #[test]
    fn a_cursor_stays_with_its_letter() {
        let mut document = note("a😀bc");
        let at = |document: &Document, cursor: &str| document.cursor_position("A", "body", cursor).unwrap();
        let (_, seen) = document.text("A", "body").unwrap();
        let cursor = document.cursor(("A", "body"), None, 3, Side::After).unwrap();
        let end = document.cursor(("A", "body"), None, 5, Side::After).unwrap();
        assert_eq!((at(&document, &cursor), at(&document, &end)), (3, 5));
        document.splice_text(PEN, "A", "body", None, &splice(0, 0, "12")).unwrap();
        assert_eq!((at(&document, &cursor), at(&document, &end)), (5, 7));
        let older = document.cursor(("A", "body"), Some(&seen), 3, Side::After).unwrap();
        assert_eq!(at(&document, &older), 5, "the place at that version");
        let before = document.cursor(("A", "body"), None, 5, Side::Before).unwrap();
        document.splice_text(PEN, "A", "body", None, &splice(5, 1, "")).unwrap();
        assert_eq!((at(&document, &cursor), at(&document, &before)), (5, 3), "its letter is gone");
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        let document = note("abc");
        for cursor in
            ["", "x", "ä", "-", "@", "1@", "1@zz", "-1@ä", "1@aaa", "99999999999999999999999@aa", "7@ffff"]
        {
            assert!(document.cursor_position("A", "body", cursor).is_err(), "{cursor:?}");
        }
        assert!(document.cursor(("A", "body"), None, 4, Side::After).is_err());
        assert!(
            document.cursor(("A", "body"), Some(&[automerge::ChangeHash([9; 32])]), 1, Side::After).is_err()
        );
    }

    proptest! {
        #[test]
        fn a_splice_does_what_it_does_to_a_string(
            before in "[a-z😀ä]{0,12}", at in 0..12_usize, remove in 0..12_usize, insert in "[A-Z😀]{0,4}",
        ) {
            let mut document = note(&before);
            let letters: Vec<char> = before.chars().collect();
            let (at, remove) = (at.min(letters.len()), remove.min(letters.len() - at.min(letters.len())));
            let units = |letters: &[char]| letters.iter().map(|letter| letter.len_utf16()).sum::<usize>();
            let position = units(&letters[..at]);
            let change = splice(position, units(&letters[at..at + remove]), &insert);
            document.splice_text(PEN, "A", "body", None, &change).unwrap();
            let wanted: String =
                letters[..at].iter().copied().chain(insert.chars()).chain(letters[at + remove..].iter().copied()).collect();
            prop_assert_eq!(text(&document), wanted);
        }

        #[test]
        fn any_cursor_ends_in_an_answer(cursor in "[-0-9a-f@se ä]{0,12}") {
            let _ = note("abc").cursor_position("A", "body", &cursor);
        }
    }
}
