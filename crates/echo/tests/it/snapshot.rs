//! A space from a snapshot and what was said later is the space from all that was ever said.

use std::collections::BTreeMap;

use halo_echo::{CounterEdit, CounterModel, Document, DocumentId, Item, NewItem, Pen, Splice};
use halo_protocol::feed::Payload;
use halo_protocol::snapshot::{Packer, Unpacked};
use proptest::prelude::*;
use serde_json::{Value, json};

/// One edit: who, which document, what, with which number.
type Step = (u8, u8, u8, i64);

fn id(number: u8) -> DocumentId {
    DocumentId::from_random([number; 16])
}

type Space = BTreeMap<DocumentId, Document>;

/// What one step adds to which document.
fn step(space: &mut Space, (who, document, what, number): Step) -> (DocumentId, Vec<u8>) {
    let pen = Pen { actor: [who + 1; 16], seconds: 1 };
    let at = id(document);
    let document = space.entry(at).or_insert_with(Document::empty);
    let there = document.text("A", "title").is_ok();
    let data = json!({ "n": number, "deep": { "list": [number, "x"] } }).as_object().unwrap().clone();
    let change = match what {
        0 if there => document.merge_data(pen, "A", &data),
        1 if there => {
            let insert = number.to_string();
            document.splice_text(pen, "A", "title", None, &Splice { position: 0, remove: 0, insert })
        }
        2 if there => document.set_deleted(pen, "A", number > 0),
        3 if there => {
            document.edit::<CounterModel>(pen, ("A", "count"), None, &CounterEdit::Increment(number))
        }
        _ => {
            let data = json!({ "title": "t" }).as_object().unwrap().clone();
            let typename = "dxn:type:e.org/type/T:0.1.0".into();
            document.put_item(pen, &NewItem { id: "A".into(), typename, data, ..NewItem::default() })
        }
    };
    (at, change.unwrap())
}

/// What is believed of a space: heads and items of each document.
fn believed(space: &Space) -> Vec<(DocumentId, Vec<String>, Vec<Item>, Value)> {
    let each = space.iter().filter(|(_, document)| !document.heads().is_empty());
    each.map(|(id, document)| {
        let mut heads: Vec<String> = document.heads().iter().map(ToString::to_string).collect();
        heads.sort();
        (*id, heads, Item::all_in(*id, &document.objects()), document.objects())
    })
    .collect()
}

fn say(space: &mut Space, (id, bytes): &(DocumentId, Vec<u8>)) {
    if !bytes.is_empty() {
        space.entry(*id).or_insert_with(Document::empty).apply(bytes).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn a_snapshot_and_what_came_later_is_everything(
        steps in proptest::collection::vec((0..3_u8, 0..3_u8, 0..5_u8, -3..4_i64), 1..24),
        at in 0..24_usize,
        had in 0..24_usize,
        from in 0..24_usize,
    ) {
        let (mut writer, mut said, mut snapshot) = (Space::new(), Vec::new(), Vec::new());
        let at = at % steps.len();
        for (number, one) in steps.iter().enumerate() {
            if number == at {
                let mut packer = Packer::default();
                let mut parts = Vec::new();
                for (id, document) in writer.iter().filter(|(_, document)| !document.heads().is_empty()) {
                    parts.extend(packer.document(*id.as_bytes(), &document.save()).unwrap());
                }
                parts.push(packer.finish());
                snapshot = parts.iter().map(Payload::encode).collect();
            }
            said.push(step(&mut writer, *one));
        }
        // A newcomer, or somebody who had a part, or more than the snapshot.
        let mut newcomer = Space::new();
        said.iter().take(had % (steps.len() + 1)).for_each(|one| say(&mut newcomer, one));
        let mut all = Unpacked::default();
        for part in &snapshot {
            all.add(Payload::decode(part).unwrap());
        }
        for (document, bytes) in all.documents {
            let id = DocumentId::from_bytes(&document).unwrap();
            newcomer.entry(id).or_insert_with(Document::empty).take_whole(&bytes).unwrap();
        }
        // Blocks from the snapshot on; some from before come again.
        said.iter().skip(at.min(from)).for_each(|one| say(&mut newcomer, one));
        prop_assert_eq!(believed(&newcomer), believed(&writer));
        for (id, document) in &newcomer {
            let saved = Document::load(&document.save()).unwrap();
            prop_assert_eq!(saved.heads(), writer[id].heads());
        }
    }
}
