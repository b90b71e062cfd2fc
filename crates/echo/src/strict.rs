//! Changes of a document as bytes, read once and strictly, before anything is done with them.
//!
//! Automerge passes over everything behind a chunk that is none: what came with one would be kept and never applied. Here one
//! chunk that is none refuses all of them.

use automerge::{Automerge, Change, LoadOptions, OnPartialLoad, TextEncoding};

use crate::error::EchoError;
use crate::guard;

/// The kind of a chunk that is a whole document.
const DOCUMENT: u8 = 0;
/// Where a chunk says its kind, and its checksum.
const KIND: usize = 8;
const CHECKSUM: std::ops::Range<usize> = 4..8;

/// Reads chunks, each of them a change or a document of which all changes are taken.
///
/// # Errors
/// [`EchoError::Malformed`].
pub(crate) fn changes(bytes: &[u8]) -> Result<Vec<Change>, EchoError> {
    guard::check(bytes)?;
    guard::caught(|| {
        let (mut rest, mut changes) = (bytes, Vec::new());
        while let Some((chunk, behind)) = guard::first(rest) {
            if is_document(chunk) {
                changes.extend(whole(chunk)?.get_changes(&[]));
            } else {
                changes.push(change(chunk)?);
            }
            rest = behind;
        }
        Ok(changes)
    })
}

/// Whether a whole document comes first.
pub(crate) fn is_document(bytes: &[u8]) -> bool {
    bytes.get(KIND) == Some(&DOCUMENT)
}

/// Reads a whole document, and changes behind it.
///
/// # Errors
/// [`EchoError::Malformed`].
pub(crate) fn document(bytes: &[u8]) -> Result<Automerge, EchoError> {
    guard::check(bytes)?;
    guard::caught(|| whole(bytes))
}

fn whole(bytes: &[u8]) -> Result<Automerge, EchoError> {
    // Places in texts count as in JavaScript.
    let options =
        LoadOptions::new().text_encoding(TextEncoding::Utf16CodeUnit).on_partial_load(OnPartialLoad::Error);
    Automerge::load_with_options(bytes, options).map_err(|error| EchoError::malformed("document", error))
}

fn change(chunk: &[u8]) -> Result<Change, EchoError> {
    let change = Change::try_from(chunk).map_err(|error| EchoError::malformed("document", error))?;
    // Automerge does not look at it here. It is the beginning of the hash, also of a change that is deflated.
    if change.hash().0.get(..CHECKSUM.len()) != chunk.get(CHECKSUM) {
        return Err(EchoError::malformed("document", "its checksum is wrong"));
    }
    Ok(change)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::KIND;
    use crate::write::tests::pen;
    use crate::{Change, Document, EchoError, NewItem};

    const ID: &str = "01J00000000000000000000000";

    /// A document, and what was added to it piece by piece: some small enough to stay as they are, one that is deflated.
    fn written() -> (Vec<u8>, Vec<Vec<u8>>) {
        let mut document = Document::directory(pen(1), "00").unwrap();
        let new = NewItem {
            id: ID.into(),
            typename: "dxn:type:example.org/type/Task".into(),
            ..NewItem::default()
        };
        document.put_item(pen(1), &new).unwrap();
        let whole = document.save();
        let long = "Oat milk, and ".repeat(40);
        let titles = ["Milk", long.as_str(), "Bread"];
        let edits = titles.map(|title| {
            let data = json!({ "title": title }).as_object().unwrap().clone();
            document.set_data(pen(1), ID, &data).unwrap()
        });
        let mut edits = edits.to_vec();
        // As others write it who send it by itself.
        edits[1] = automerge::Change::try_from(edits[1].as_slice()).unwrap().bytes().into_owned();
        (whole, edits)
    }

    fn pieces(all: &[Vec<u8>]) -> Vec<&[u8]> {
        all.iter().map(Vec::as_slice).collect()
    }

    #[test]
    fn what_comes_in_pieces_is_the_same_at_once() {
        let (whole, edits) = written();
        assert_eq!(edits[1][KIND], 2, "it is deflated");
        let mut one_by_one = Document::load(&whole).unwrap();
        edits.iter().for_each(|edit| assert!(!one_by_one.apply(edit).unwrap().known));
        let mut at_once = Document::load(&whole).unwrap();
        let change = at_once.apply_all(&pieces(&edits)).unwrap();
        assert_eq!(change, Change { known: false, waits: false });
        assert_eq!((at_once.heads(), at_once.size()), (one_by_one.heads(), one_by_one.size()));
        assert!(at_once.apply_all(&pieces(&edits)).unwrap().known);
        assert_eq!(at_once.size(), one_by_one.size(), "it did not grow");
        // Also from nothing on, in one piece or another, and behind others.
        let mut fresh = Document::empty();
        fresh.apply_all(&[&whole, &edits.concat()]).unwrap();
        assert_eq!(fresh.heads(), at_once.heads());
        let mut fresh = Document::empty();
        assert_eq!(fresh.apply(&edits[2]).unwrap(), Change { known: true, waits: true });
        fresh.apply_all(&[&edits[0], &whole, &edits[1]]).unwrap();
        assert_eq!(fresh.heads(), at_once.heads());
        assert_eq!(fresh.objects(), one_by_one.objects());
    }

    #[test]
    fn a_piece_that_is_none_refuses_all_and_what_was_there_stays() {
        let (whole, edits) = written();
        let mut document = Document::load(&whole).unwrap();
        let (heads, size) = (document.heads(), document.size());
        let mut wrong = edits[1].clone();
        wrong[4] ^= 1;
        let trailing = [edits[1].as_slice(), b"more"].concat();
        let long = vec![0; crate::LARGEST_CHUNK + 1];
        // Somebody says another thing in the place of one that was said: Automerge refuses it while it applies it.
        let mut other = Document::load(&whole).unwrap();
        let tea = json!({ "title": "Tea" }).as_object().unwrap().clone();
        let twice = other.set_data(pen(1), ID, &tea).unwrap();
        let again = [edits[0].as_slice(), &twice].concat();
        for bad in [b"no change".to_vec(), wrong, trailing, long, again] {
            let all = [edits[0].as_slice(), &bad, &edits[1]];
            let refused = document.try_apply_all(&all).unwrap_err();
            assert!(matches!(refused, EchoError::Malformed { .. } | EchoError::TooLarge { .. }), "{refused}");
            assert_eq!((document.heads(), document.size()), (heads.clone(), size));
        }
        document.try_apply_all(&pieces(&edits)).unwrap();
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Automerge does not look at the checksum of a change that is read by itself.
        #[test]
        fn one_altered_byte_is_an_error_or_alters_nothing(which in 0..4_usize, at: prop::sample::Index, with in 1..=u8::MAX) {
            let (whole, mut all) = written();
            all.insert(0, whole.clone());
            let mut good = Document::load(&whole).unwrap();
            good.apply_all(&pieces(&all)).unwrap();
            let at = at.index(all[which].len());
            all[which][at] ^= with;
            let mut document = Document::load(&whole).unwrap();
            if document.try_apply_all(&pieces(&all)).is_ok() {
                prop_assert_eq!(document.heads(), good.heads());
                // The same may be deflated in more than one way.
                prop_assert_eq!(which, 2);
            }
        }
    }
}
