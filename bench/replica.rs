//! What deciding takes its time for: verifying what another device said, and editing a long text. One JSON row a figure,
//! for `cargo xtask bench echo`.
//!
//! The text is typed as people do: in runs here and there, with a part of it taken back; as many keystrokes, and as many of
//! each kind, as in the trace of a paper that such libraries are often compared by. Beside ours stand Automerge by itself,
//! Yrs and Loro, each of which makes a change of each keystroke and writes it down for others.

use std::hint::black_box;
use std::time::{Duration, Instant};

use automerge::transaction::Transactable;
use automerge::{Automerge, ObjType, ROOT, ReadDoc, TextEncoding};
use ed25519_dalek::Signer;
use halo_echo::{Document, NewItem, Pen, Splice};
use halo_protocol::feed::{Block, Change, EpochId, Feed, LONGEST_RUN, Payload};
use halo_protocol::{FeedKey, Sign, Signature, Statement};
use loro::{ExportMode, LoroDoc};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;
use yrs::{GetString, Text, Transact};

const BLOCKS: usize = 100_000;
const INSERTED: usize = 182_315;
const REMOVED: usize = 77_463;

type Failed = Box<dyn std::error::Error>;

fn row(name: &str, ours: f64, peer: Option<f64>, unit: &str) {
    println!("{}", json!({ "name": format!("echo: {name}"), "ours": ours, "peer": peer, "unit": unit }));
}

fn main() -> Result<(), Failed> {
    verify(BLOCKS)?;
    edit(&typed(INSERTED, REMOVED))
}

struct Key(ed25519_dalek::SigningKey);

impl Sign for Key {
    fn public_key(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    fn sign(&self, statement: &Statement<'_>) -> Signature {
        Signature::from_bytes(self.0.sign(&statement.signing_bytes()).to_bytes())
    }
}

/// Another device's blocks: hashes, the chain, and a signature a run.
fn verify(count: usize) -> Result<(), Failed> {
    let key = Key(ed25519_dalek::SigningKey::from_bytes(&[7; 32]));
    let feed_key = FeedKey::from_bytes(key.0.verifying_key().as_bytes())?;
    let mut feed = Feed::new(feed_key);
    let change = Change { document: [1; 16], bytes: vec![3; 200] };
    let payload = Payload { changes: vec![change], ..Payload::default() }.encode();
    let mut runs = Vec::new();
    let mut run: Vec<Block> = Vec::new();
    for number in 1..=count {
        let next = feed.next(EpochId::from_bytes([9; 32]));
        let (block, head) = feed.append(next, payload.clone(), &key)?;
        run.push(block);
        if run.len() == LONGEST_RUN || number == count {
            runs.push((std::mem::take(&mut run), head));
        }
    }
    let mut taken = Feed::new(feed_key);
    let start = Instant::now();
    for (blocks, head) in &runs {
        taken.accept(blocks, head, |_| None)?;
    }
    let rate = count as f64 / start.elapsed().as_secs_f64();
    assert_eq!(taken.length(), feed.length(), "all of them were taken");
    row("verify another device's blocks", rate, None, "blocks/s");
    Ok(())
}

/// One keystroke.
struct Stroke {
    position: usize,
    remove: usize,
    insert: &'static str,
}

/// The same for the same.
fn typed(inserted: usize, removed: usize) -> Vec<Stroke> {
    const LETTERS: [&str; 8] = ["e", "t", "a", "o", " ", "i", "n", "\n"];
    let mut rng = StdRng::seed_from_u64(1);
    let (mut strokes, mut length, mut cursor) = (Vec::with_capacity(inserted + removed), 0, 0);
    let (mut to_insert, mut to_remove) = (inserted, removed);
    while to_insert + to_remove > 0 {
        if rng.random_bool(0.02) {
            cursor = rng.random_range(0..=length);
        }
        let removes = cursor > 0 && to_remove > 0 && rng.random_range(0..to_insert + to_remove) < to_remove;
        if removes || (to_insert == 0 && cursor > 0) {
            (cursor, length, to_remove) = (cursor - 1, length - 1, to_remove - 1);
            strokes.push(Stroke { position: cursor, remove: 1, insert: "" });
        } else if to_insert > 0 {
            let insert = LETTERS.get(rng.random_range(0..LETTERS.len())).copied().unwrap_or("e");
            strokes.push(Stroke { position: cursor, remove: 0, insert });
            (cursor, length, to_insert) = (cursor + 1, length + 1, to_insert - 1);
        } else {
            cursor = length;
        }
    }
    strokes
}

/// Each keystroke is a change of its own, as an app that saves as one types.
fn edit(strokes: &[Stroke]) -> Result<(), Failed> {
    let pen = Pen { actor: [1; 16], seconds: 1 };
    let data = json!({ "text": "" }).as_object().cloned().unwrap_or_default();
    let item = NewItem {
        id: "A".into(),
        typename: "dxn:type:e.org/type/T:0.1.0".into(),
        data,
        ..NewItem::default()
    };
    let mut document = Document::directory(pen, "00")?;
    document.put_item(pen, &item)?;
    let start = Instant::now();
    for Stroke { position, remove, insert } in strokes {
        let splice = Splice { position: *position, remove: *remove, insert: (*insert).into() };
        document.splice_text(pen, "A", "text", None, &splice)?;
    }
    let ours = start.elapsed();
    let text = document.text("A", "text")?.0.text;

    let rate = |time: Duration| strokes.len() as f64 / time.as_secs_f64();
    for (name, (time, theirs)) in
        [("Automerge", automerge(strokes)?), ("Yrs", yrs(strokes)), ("Loro", loro(strokes)?)]
    {
        assert_eq!(text, theirs, "all end alike");
        let name = format!("{} keystrokes through TextModel, a change each (peer: {name})", strokes.len());
        row(&name, rate(ours), Some(rate(time)), "keystrokes/s");
    }

    let start = Instant::now();
    let saved = document.save();
    row("save that text", start.elapsed().as_secs_f64() * 1000.0, None, "ms");
    row("size of that text, saved", saved.len() as f64 / 1024.0, None, "KiB");
    let start = Instant::now();
    Document::load(&saved)?;
    row("load that text", start.elapsed().as_secs_f64() * 1000.0, None, "ms");
    Ok(())
}

/// How long it took, and what came of it.
type Typed = (Duration, String);

fn automerge(strokes: &[Stroke]) -> Result<Typed, Failed> {
    let mut document = Automerge::new_with_encoding(TextEncoding::Utf16CodeUnit);
    let mut tx = document.transaction();
    let text = tx.put_object(ROOT, "text", ObjType::Text)?;
    tx.commit();
    let start = Instant::now();
    for Stroke { position, remove, insert } in strokes {
        let before = document.get_heads();
        let mut tx = document.transaction();
        tx.splice_text(&text, *position, isize::try_from(*remove)?, insert)?;
        tx.commit();
        black_box(document.save_after(&before));
    }
    Ok((start.elapsed(), document.text(&text)?))
}

fn yrs(strokes: &[Stroke]) -> Typed {
    let document = yrs::Doc::new();
    let text = document.get_or_insert_text("text");
    let start = Instant::now();
    for Stroke { position, remove, insert } in strokes {
        let mut tx = document.transact_mut();
        if *remove > 0 {
            text.remove_range(&mut tx, *position as u32, *remove as u32);
        } else {
            text.insert(&mut tx, *position as u32, insert);
        }
        black_box(tx.encode_update_v1());
    }
    (start.elapsed(), text.get_string(&document.transact()))
}

fn loro(strokes: &[Stroke]) -> Result<Typed, Failed> {
    let document = LoroDoc::new();
    let text = document.get_text("text");
    let start = Instant::now();
    for Stroke { position, remove, insert } in strokes {
        let before = document.oplog_vv();
        if *remove > 0 {
            text.delete(*position, *remove)?;
        } else {
            text.insert(*position, insert)?;
        }
        document.commit();
        black_box(document.export(ExportMode::updates(&before))?);
    }
    Ok((start.elapsed(), text.to_string()))
}
