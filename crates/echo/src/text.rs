//! Texts that several people write at once (DXOS's `TextModel`): Automerge texts, spliced where the writer saw them.
//!
//! Positions count UTF-16 code units, as JavaScript's strings do. A splice names the version it was made on; what others
//! wrote since then stays where it belongs.

use automerge::transaction::{CommitOptions, Transactable};
use automerge::{Automerge, ObjId, ObjType, PatchLog, ROOT, ReadDoc, Value};

use crate::document::{Document, Heads};
use crate::error::EchoError;
use crate::write::Pen;

/// A change of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Splice {
    /// Where, in UTF-16 code units from the beginning.
    pub position: usize,
    /// How many code units go.
    pub remove: usize,
    /// What comes in their place.
    pub insert: String,
}

impl Document {
    /// A text of an item, by its property (dots between names), and the version it is.
    ///
    /// # Errors
    /// [`EchoError::Malformed`] if there is no such text.
    pub fn text(&self, item: &str, property: &str) -> Result<(String, Heads), EchoError> {
        let id = text_id(self.view(), item, property)?;
        let text = self.view().text(&id).map_err(|error| EchoError::malformed("text", error))?;
        Ok((text, self.heads()))
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
        let bad = |error: &dyn ToString| EchoError::malformed("text", error.to_string());
        let id = text_id(self.view(), item, property)?;
        let before = self.heads();
        let at = at.unwrap_or(&before).to_vec();
        if at.iter().any(|head| self.view().get_change_by_hash(head).is_none()) {
            return Err(bad(&"that version is not known here"));
        }
        let then = self.view().text_at(&id, &at).map_err(|error| bad(&error))?;
        let units = |from: usize| letters(&then, from).ok_or_else(|| bad(&"the place is not in the text"));
        let start = units(splice.position)?;
        let end = units(splice.position.saturating_add(splice.remove))?;
        let inner = self.inner();
        inner.set_actor(pen.actor.as_slice().into());
        let mut tx = inner.transaction_at(PatchLog::inactive(), &at).map_err(|error| bad(&error))?;
        let removed = isize::try_from(end - start).map_err(|error| bad(&error))?;
        tx.splice_text(&id, start, removed, &splice.insert).map_err(|error| bad(&error))?;
        tx.commit_with(CommitOptions::default().with_time(pen.seconds));
        let change = self.since(&before);
        self.grow(change.len())?;
        Ok(change)
    }
}

fn text_id(document: &Automerge, item: &str, property: &str) -> Result<ObjId, EchoError> {
    let mut at = ROOT;
    for name in ["objects", item, "data"].into_iter().chain(property.split('.')) {
        at = match document.get(&at, name) {
            Ok(Some((Value::Object(ObjType::Map | ObjType::Text), id))) => id,
            _ => return Err(EchoError::malformed("text", "there is no such text")),
        };
    }
    match document.object_type(&at) {
        Ok(ObjType::Text) => Ok(at),
        _ => Err(EchoError::malformed("text", "there is no such text")),
    }
}

/// How many letters stand before a place; none if it is beyond the end, or inside of a letter.
fn letters(text: &str, units: usize) -> Option<usize> {
    let mut passed = 0;
    for (count, letter) in text.chars().enumerate() {
        if passed >= units {
            return (passed == units).then_some(count);
        }
        passed += letter.len_utf16();
    }
    (passed == units).then(|| text.chars().count())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::item::ItemKind;
    use crate::write::NewItem;

    const PEN: Pen = Pen { actor: [1; 16], seconds: 1 };
    const OTHER: Pen = Pen { actor: [2; 16], seconds: 1 };

    fn note(text: &str) -> Document {
        let data = json!({ "body": text }).as_object().unwrap().clone();
        let item = NewItem {
            id: "A".into(),
            kind: ItemKind::Object,
            typename: "dxn:type:e.org/type/Note:0.1.0".into(),
            parent: None,
            ends: None,
            keys: Vec::new(),
            data,
        };
        Document::with_item(&Document::directory(PEN, "00").unwrap(), PEN, &item).unwrap()
    }

    fn splice(position: usize, remove: usize, insert: &str) -> Splice {
        Splice { position, remove, insert: insert.into() }
    }

    #[test]
    fn what_two_write_on_the_same_version_is_both_there() {
        let mut document = note("Hello world");
        let (_, seen) = document.text("A", "body").unwrap();
        document.splice_text(PEN, "A", "body", Some(&seen), &splice(0, 5, "Good day")).unwrap();
        document.splice_text(OTHER, "A", "body", Some(&seen), &splice(11, 0, "!")).unwrap();
        assert_eq!(document.text("A", "body").unwrap().0, "Good day world!");
    }

    #[test]
    fn places_count_as_javascript_counts() {
        let mut document = note("a😀b");
        document.splice_text(PEN, "A", "body", None, &splice(3, 1, "c")).unwrap();
        assert_eq!(document.text("A", "body").unwrap().0, "a😀c");
        let inside = document.splice_text(PEN, "A", "body", None, &splice(2, 0, "x"));
        assert!(inside.unwrap_err().to_string().contains("not in the text"));
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

    proptest! {
        #[test]
        fn a_splice_does_what_it_does_to_a_string(
            text in "[a-z😀ä]{0,12}", at in 0..12_usize, remove in 0..12_usize, insert in "[A-Z😀]{0,4}",
        ) {
            let mut document = note(&text);
            let letters: Vec<char> = text.chars().collect();
            let (at, remove) = (at.min(letters.len()), remove.min(letters.len() - at.min(letters.len())));
            let units = |letters: &[char]| letters.iter().map(|letter| letter.len_utf16()).sum::<usize>();
            let position = units(&letters[..at]);
            let change = splice(position, units(&letters[at..at + remove]), &insert);
            document.splice_text(PEN, "A", "body", None, &change).unwrap();
            let wanted: String =
                letters[..at].iter().copied().chain(insert.chars()).chain(letters[at + remove..].iter().copied()).collect();
            prop_assert_eq!(document.text("A", "body").unwrap().0, wanted);
        }
    }
}
