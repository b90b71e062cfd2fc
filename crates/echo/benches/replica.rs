//! What deciding takes its time for: verifying what another device said, and editing a long text. One JSON row a figure,
//! for `cargo xtask bench echo`.
//!
//! The text is typed as people do: in runs here and there, with a part of it taken back; as many keystrokes, and as many of
//! each kind, as in the trace of a paper that such libraries are often compared by. The peer is Automerge by itself.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "it prints figures, and only measures by the clock"
)]

use std::time::Instant;

use automerge::transaction::Transactable;
use automerge::{Automerge, ObjType, ROOT, ReadDoc, TextEncoding};
use ed25519_dalek::Signer;
use halo_echo::{Document, NewItem, Pen, Splice};
use halo_protocol::feed::{Block, Change, EpochId, Feed, LONGEST_RUN, Payload};
use halo_protocol::{FeedKey, Sign, Signature, Statement};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;

const BLOCKS: usize = 100_000;
const INSERTED: usize = 182_315;
const REMOVED: usize = 77_463;

type Failed = Box<dyn std::error::Error>;

fn row(name: &str, ours: f64, peer: Option<f64>, unit: &str) {
    println!("{}", json!({ "name": format!("echo: {name}"), "ours": ours, "peer": peer, "unit": unit }));
}

fn main() -> Result<(), Failed> {
    // `cargo test --all-targets` runs benchmarks as well, to see that they run.
    let small = !std::env::args().any(|arg| arg == "--bench");
    verify(if small { 100 } else { BLOCKS })?;
    let part = if small { 1_000 } else { 1 };
    edit(INSERTED / part, REMOVED / part)
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
fn edit(inserted: usize, removed: usize) -> Result<(), Failed> {
    let strokes = typed(inserted, removed);
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
    let mut bytes = 0;
    let start = Instant::now();
    for stroke in &strokes {
        let splice =
            Splice { position: stroke.position, remove: stroke.remove, insert: stroke.insert.into() };
        bytes += document.splice_text(pen, "A", "text", None, &splice)?.len();
    }
    let ours = start.elapsed();

    let mut plain = Automerge::new_with_encoding(TextEncoding::Utf16CodeUnit);
    let mut tx = plain.transaction();
    let text = tx.put_object(ROOT, "text", ObjType::Text)?;
    tx.commit();
    let start = Instant::now();
    for stroke in &strokes {
        let before = plain.get_heads();
        let mut tx = plain.transaction();
        tx.splice_text(&text, stroke.position, isize::try_from(stroke.remove)?, stroke.insert)?;
        tx.commit();
        bytes -= plain.save_after(&before).len().min(bytes);
    }
    let peer = start.elapsed();
    assert_eq!(document.text("A", "text")?.0.text, plain.text(&text)?, "both end alike");

    let rate = |time: std::time::Duration| strokes.len() as f64 / time.as_secs_f64();
    let name = format!("{} keystrokes through TextModel, a change each (Automerge)", strokes.len());
    row(&name, rate(ours), Some(rate(peer)), "keystrokes/s");

    let mut whole = Automerge::new_with_encoding(TextEncoding::Utf16CodeUnit);
    let start = Instant::now();
    let mut tx = whole.transaction();
    let text = tx.put_object(ROOT, "text", ObjType::Text)?;
    for stroke in &strokes {
        tx.splice_text(&text, stroke.position, isize::try_from(stroke.remove)?, stroke.insert)?;
    }
    tx.commit();
    row("the same in one change, Automerge alone", rate(start.elapsed()), None, "keystrokes/s");

    let start = Instant::now();
    let saved = document.save();
    row("save that text", start.elapsed().as_secs_f64() * 1000.0, None, "ms");
    row(
        "size of that text, saved",
        saved.len() as f64 / 1024.0,
        Some(whole.save().len() as f64 / 1024.0),
        "KiB",
    );
    let start = Instant::now();
    Document::load(&saved)?;
    row("load that text", start.elapsed().as_secs_f64() * 1000.0, None, "ms");
    Ok(())
}
