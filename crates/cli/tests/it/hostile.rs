//! Bytes of an app that means no good: each is refused in words, and the daemon neither dies nor grows.

use halo_echo::{Document, DocumentId, ItemKind, NewItem, Pen};
use serde_json::{Value, json};

use crate::crash::signed_in;
use crate::lines::{Dxos, Sdk};
use crate::world::{Daemon, World};

/// What a daemon may hold more after all of it than before: less than any one of the bombs would come to.
const MOST_GROWTH: u64 = 64 * 1024;

/// Resident memory, in KiB.
fn memory(daemon: &Daemon) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// An Automerge chunk of one kind around a body.
fn chunk(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x85, 0x6f, 0x4a, 0x83, 0, 0, 0, 0, kind];
    let mut length = body.len();
    while length > 0x7f {
        bytes.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    bytes.push(u8::try_from(length).unwrap());
    bytes.extend_from_slice(body);
    bytes
}

/// A change that claims a billion operations in one run.
fn billion() -> Vec<u8> {
    let mut body = vec![0, 1, 7, 1, 1, 0, 0, 0, 1, 0x42, 6];
    body.extend([0x80, 0x94, 0xeb, 0xdc, 0x03, 1]);
    chunk(1, &body)
}

/// A deflated change that comes to 200 MB: one stored block of zeroes again and again would not be small, so runs of
/// DEFLATE's longest match are.
fn inflating() -> Vec<u8> {
    // A fixed Huffman block: one literal zero, then matches of length 258 at distance 1 (code 285 is 8 bits
    // `11000101`, distance 0 is 5 bits `00000`), without an end: the limit comes first.
    let mut bits: Vec<bool> = vec![true, true, false];
    bits.extend([false, false, true, true, false, false, false, false]);
    let run = [true, true, false, false, false, true, false, true, false, false, false, false, false];
    for _ in 0..800_000 {
        bits.extend(run);
    }
    let body: Vec<u8> = bits
        .chunks(8)
        .map(|byte| byte.iter().enumerate().fold(0, |sum, (at, bit)| sum | u8::from(*bit) << at))
        .collect();
    chunk(2, &body)
}

fn nested(depth: usize) -> Value {
    let mut filter = json!({ "type": "object", "typename": null, "props": {} });
    for _ in 0..depth {
        filter = json!({ "type": "not", "filter": filter });
    }
    json!({ "type": "select", "filter": filter })
}

fn wide(count: usize) -> Value {
    let one = json!({ "type": "select", "filter": { "type": "text-search", "text": "a" } });
    json!({ "type": "union", "queries": vec![one; count] })
}

// threat: 21
#[test]
fn hostile_documents_and_queries_are_refused_and_cost_nothing() {
    let world = World::new();
    world.init();
    let daemon = world.daemon();
    let (token, _) = signed_in(&world, &daemon);
    let mut sdk = Sdk::open(daemon.port(), &token).unwrap();
    let space = sdk.call("spaces.default", &json!({})).unwrap()["result"]["id"].as_str().unwrap().to_owned();
    let mut dxos = Dxos::open(daemon.port(), &token, &space).unwrap();
    let id = |number: u8| DocumentId::from_random([number; 16]).to_string();
    let mut good = Document::empty();
    let item = NewItem {
        id: "01JH0000000000000000000000".into(),
        kind: ItemKind::Object,
        typename: "dxn:type:example.org/type/Task".into(),
        parent: None,
        ends: None,
        keys: Vec::new(),
        tags: Vec::new(),
        data: json!({ "title": "Milk" }).as_object().unwrap().clone(),
    };
    let change = good.put_item(Pen { actor: [1; 16], seconds: 1 }, &item).unwrap();
    dxos.update(vec![(id(1), change.clone())]).unwrap().unwrap();
    let before = memory(&daemon);

    let mut cut_short = change.clone();
    cut_short.truncate(change.len() - 3);
    let mut altered = change.clone();
    *altered.last_mut().unwrap() ^= 1;
    for (what, bytes) in [
        ("no document", b"no document at all".to_vec()),
        ("cut short", cut_short),
        ("altered", altered),
        ("a billion operations", billion()),
        ("a deflated bomb", inflating()),
        ("oversized", vec![0x85; 9 * 1024 * 1024]),
        (
            "claims a length it has not",
            vec![0x85, 0x6f, 0x4a, 0x83, 0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0x7f],
        ),
    ] {
        // Also when there is something good beside it: all of an update or nothing.
        let refused = dxos.update(vec![(id(2), change.clone()), (id(3), bytes)]);
        let words = refused.unwrap_or_else(|| panic!("{what}: the line is still there")).unwrap_err();
        assert!(!words.is_empty(), "{what}");
    }
    for (what, query) in [("deep", nested(40)), ("wide", wide(1_001)), ("none", json!({ "type": "bomb" }))] {
        let answer = sdk.call("items.query", &json!({ "space": space, "query": query }));
        let answer = answer.unwrap_or_else(|| panic!("{what}: the line is still there"));
        assert!(
            answer["error"]["message"].as_str().is_some_and(|words| !words.is_empty()),
            "{what}: {answer}"
        );
    }
    // Nobody who speaks the protocol says this; the line goes, and nothing else.
    let deep = "[".repeat(1_000_000);
    let mut other = Sdk::open(daemon.port(), &token).unwrap();
    assert_eq!(
        other.call("items.query", &json!({ "space": deep })).map(|answer| answer["error"].is_null()),
        Some(false)
    );
    for method in ["DataService.Update", "QueryService.ExecQuery"] {
        for bytes in [vec![0xff; 1_000], vec![0x0a, 0xff, 0xff, 0xff, 0xff, 0x7f]] {
            let refused = dxos.request(method, bytes, method.starts_with("Query"));
            assert!(matches!(refused, Some(Err(_))), "{method}: {refused:?}");
        }
    }

    let grown = memory(&daemon).saturating_sub(before);
    assert!(grown < MOST_GROWTH, "{grown} KiB more than before");
    let items = world.json(&["items", "list", "--space", &space]);
    let titles: Vec<&str> =
        items.as_array().unwrap().iter().filter_map(|item| item["data"]["title"].as_str()).collect();
    assert_eq!(titles, ["Milk"], "nothing of it was kept");
    assert_eq!(world.json(&["doctor"])["problems"], json!([]));
}
