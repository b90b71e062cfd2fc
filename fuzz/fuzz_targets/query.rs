//! Queries of an app, over a few items that have a bit of everything.
#![no_main]

use std::sync::LazyLock;

use halo_echo::query::{Query, evaluate};
use halo_echo::{DocumentId, EchoError, Item, MemoryIndex};

static INDEX: LazyLock<MemoryIndex> = LazyLock::new(|| {
    let items = serde_json::json!({
        "A": { "system": { "kind": "object", "type": { "/": "dxn:type:example.org/type/Task:0.1.0" } },
               "meta": { "keys": [{ "source": "s", "id": "1" }] },
               "data": { "title": "Oat milk", "n": 1, "owner": { "/": "dxn:echo:@:B" }, "tags": ["a", "b"] } },
        "B": { "system": { "kind": "object", "parent": { "/": "dxn:echo:@:A" } }, "data": { "name": "Ada" } },
        "C": { "system": { "kind": "relation", "source": { "/": "dxn:echo:@:A" }, "target": { "/": "dxn:echo:@:B" } },
               "data": null },
        "D": { "system": { "deleted": true }, "data": { "n": 2.5 } },
    });
    let document = DocumentId::from_random([0; 16]);
    let mut index = MemoryIndex::default();
    index.replace(document, Item::all_in(document, &items));
    index
});

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(query) = Query::parse(text) {
        if let Ok(found) = evaluate::<_, EchoError>(&query, &*INDEX) {
            assert!(found.len() <= 4);
        }
    }
});
