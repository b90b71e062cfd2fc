//! Queries over the store's index find what they find by looking at every item.

#![expect(clippy::indexing_slicing, reason = "JSON values make what is missing")]

use halo_echo::query::{Query, evaluate, find};
use halo_echo::{DocumentId, EchoError, Item, MemoryIndex};
use halo_store::{SpaceRow, Store, StoreError};
use proptest::prelude::*;
use serde_json::{Value, json};

const SPACE: &str = "BAAAAAAAA";
const TYPES: [&str; 3] =
    ["dxn:type:e.org/type/Task:0.1.0", "dxn:type:e.org/type/Task", "dxn:type:e.org/type/Person:0.1.0"];

/// What went wrong, on either side.
#[derive(Debug)]
enum Failed {
    Echo,
    Store,
}

impl From<EchoError> for Failed {
    fn from(_: EchoError) -> Self {
        Self::Echo
    }
}

impl From<StoreError> for Failed {
    fn from(_: StoreError) -> Self {
        Self::Store
    }
}

impl From<std::convert::Infallible> for Failed {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

fn id() -> impl Strategy<Value = String> {
    (0..6_u8).prop_map(|number| format!("ITEM{number}"))
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-2..3_i64).prop_map(Value::from),
        Just(json!(0.5)),
        Just(json!(i64::MAX)),
        prop::sample::select(vec!["", "milk", "Milk and bread", "OΔΟΣ straße", "\u{93e}a ä"])
            .prop_map(Value::from),
        (148..152_usize).prop_map(|length| Value::from("x".repeat(length))),
        id().prop_map(|id| json!({ "/": format!("dxn:echo:@:{id}") })),
    ]
}

fn data() -> impl Strategy<Value = Value> {
    let value = prop_oneof![
        3 => scalar(),
        1 => prop::collection::vec(scalar(), 0..3).prop_map(Value::from),
        1 => scalar().prop_map(|value| json!({ "b": value })),
        1 => Just(Value::from((0..1_200).collect::<Vec<i64>>())),
    ];
    prop::collection::btree_map(prop::sample::select(vec!["a", "b", "a.b", "c"]), value, 0..4)
        .prop_map(|map| json!(map))
}

prop_compose! {
    fn object()(
        typename in prop::option::of(prop::sample::select(TYPES.to_vec())),
        deleted in any::<bool>(),
        ends in prop::option::of((id(), id())),
        parent in prop::option::of(id()),
        key in prop::option::of("[a-c]"),
        data in data(),
    ) -> Value {
        let refer = |id: &String| json!({ "/": format!("dxn:echo:@:{id}") });
        let mut system = json!({ "kind": "object", "deleted": deleted });
        if let Some(typename) = typename {
            system["type"] = json!({ "/": typename });
        }
        if let Some((source, target)) = &ends {
            system["kind"] = json!("relation");
            (system["source"], system["target"]) = (refer(source), refer(target));
        }
        if let Some(parent) = &parent {
            system["parent"] = refer(parent);
        }
        let keys: Vec<Value> = key.iter().map(|key| json!({ "source": "s", "id": key })).collect();
        json!({ "system": system, "meta": { "keys": keys }, "data": data })
    }
}

fn value_filter() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        (prop::sample::select(vec!["eq", "neq", "gt", "gte", "lt", "lte"]), scalar())
            .prop_map(|(operator, value)| json!({ "type": "compare", "operator": operator, "value": value })),
        prop::collection::vec(scalar(), 0..3).prop_map(|values| json!({ "type": "in", "values": values })),
        scalar().prop_map(|value| json!({ "type": "contains", "value": value })),
        (scalar(), scalar()).prop_map(|(from, to)| json!({ "type": "range", "from": from, "to": to })),
        prop::sample::select(vec!["", "mi", "bread milk", "οδος", "STRASSE", "ä", "\u{93e}"])
            .prop_map(|text| json!({ "type": "text-search", "text": text })),
    ];
    leaf.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|filter| json!({ "type": "not", "filter": filter })),
            prop::collection::vec(inner.clone(), 0..3)
                .prop_map(|filters| json!({ "type": "and", "filters": filters })),
            prop::collection::vec(inner.clone(), 0..3)
                .prop_map(|filters| json!({ "type": "or", "filters": filters })),
            inner.prop_map(|filter| json!({ "type": "object", "props": { "b": filter } })),
        ]
    })
}

fn filter() -> impl Strategy<Value = Value> {
    let object = (
        prop::option::of(prop::sample::select(TYPES.to_vec())),
        prop::collection::btree_map(prop::sample::select(vec!["a", "b", "a.b"]), value_filter(), 0..3),
        prop::option::of(prop::collection::vec(id(), 0..3)),
        prop::option::of("[a-c]"),
    )
        .prop_map(|(typename, props, ids, key)| {
            let mut filter = json!({ "type": "object", "typename": typename, "props": props });
            if let Some(ids) = ids {
                filter["id"] = json!(ids);
            }
            if let Some(key) = key {
                filter["foreignKeys"] = json!([{ "source": "s", "id": key }]);
            }
            filter
        });
    prop_oneof![3 => object, 1 => value_filter()]
}

fn query() -> impl Strategy<Value = Value> {
    let select = filter().prop_map(|filter| json!({ "type": "select", "filter": filter }));
    select.prop_recursive(3, 8, 2, |inner| {
        let anchor = || inner.clone();
        prop_oneof![
            (anchor(), filter())
                .prop_map(|(of, filter)| json!({ "type": "filter", "selection": of, "filter": filter })),
            anchor().prop_map(|of| json!({ "type": "reference-traversal", "anchor": of, "property": "a" })),
            anchor().prop_map(|of| json!({ "type": "incoming-references", "anchor": of, "property": "a" })),
            (anchor(), prop::sample::select(vec!["outgoing", "incoming", "both"]))
                .prop_map(|(of, way)| json!({ "type": "relation", "anchor": of, "direction": way })),
            (anchor(), prop::sample::select(vec!["source", "target", "both"])).prop_map(
                |(of, way)| json!({ "type": "relation-traversal", "anchor": of, "direction": way })
            ),
            (anchor(), prop::sample::select(vec!["to-parent", "to-children"])).prop_map(
                |(of, way)| json!({ "type": "hierarchy-traversal", "anchor": of, "direction": way })
            ),
            (anchor(), anchor()).prop_map(|(one, other)| json!({ "type": "union", "queries": [one, other] })),
            (anchor(), anchor()).prop_map(
                |(one, other)| json!({ "type": "set-difference", "source": one, "exclude": other })
            ),
            (anchor(), any::<bool>()).prop_map(|(of, down)| {
                json!({ "type": "order", "query": of, "by": [{ "property": "a", "descending": down }] })
            }),
            // As later versions of DXOS write it.
            (anchor(), prop::sample::select(vec!["asc", "desc"]), prop::sample::select(vec!["property", "natural", "rank"]))
                .prop_map(|(of, turn, kind)| {
                    json!({ "type": "order", "query": of, "order": [{ "kind": kind, "property": "a", "direction": turn }] })
                }),
            (anchor(), 0..4_usize).prop_map(|(of, skip)| json!({ "type": "skip", "query": of, "skip": skip })),
            anchor().prop_map(|of| json!({ "type": "incoming-references", "anchor": of, "property": null })),
            (anchor(), 0..4_usize)
                .prop_map(|(of, limit)| json!({ "type": "limit", "query": of, "limit": limit })),
            (anchor(), prop::sample::select(vec!["exclude", "include", "only"])).prop_map(
                |(of, what)| json!({ "type": "options", "query": of, "options": { "deleted": what } })
            ),
        ]
    })
}

/// Documents with up to three items each, several times over: later states replace earlier ones.
fn steps() -> impl Strategy<Value = Vec<(u8, Value)>> {
    let objects = prop::collection::btree_map(id(), object(), 0..4).prop_map(|objects| json!(objects));
    prop::collection::vec((0..3_u8, objects), 1..8)
}

/// Queries that judge each item alone, mostly.
fn local_query() -> impl Strategy<Value = Value> {
    let select = filter().prop_map(|filter| json!({ "type": "select", "filter": filter }));
    select.prop_recursive(3, 6, 2, |inner| {
        let some = || inner.clone();
        prop_oneof![
            (some(), filter())
                .prop_map(|(of, filter)| json!({ "type": "filter", "selection": of, "filter": filter })),
            (some(), some()).prop_map(|(one, other)| json!({ "type": "union", "queries": [one, other] })),
            (some(), some()).prop_map(
                |(one, other)| json!({ "type": "set-difference", "source": one, "exclude": other })
            ),
            (some(), prop::sample::select(vec!["exclude", "include", "only"])).prop_map(
                |(of, what)| json!({ "type": "options", "query": of, "options": { "deleted": what } })
            ),
            some().prop_map(|of| json!({ "type": "limit", "query": of, "limit": 2 })),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn an_answer_that_is_kept_up_is_the_one_that_asking_anew_gives(steps in steps(), query in local_query()) {
        let query = Query::parse(&query.to_string()).unwrap();
        let mut memory = MemoryIndex::default();
        let mut before: std::collections::BTreeMap<DocumentId, std::collections::BTreeSet<String>> =
            std::collections::BTreeMap::new();
        let mut kept: std::collections::BTreeMap<String, DocumentId> = std::collections::BTreeMap::new();
        for (number, objects) in &steps {
            let document = DocumentId::from_random([*number; 16]);
            let items = Item::all_in(document, objects);
            let mut ids: std::collections::BTreeSet<String> = items.iter().map(|item| item.id.clone()).collect();
            ids.extend(kept.iter().filter(|(_, at)| **at == document).map(|(id, _)| id.clone()));
            // Items are marked as deleted and do not vanish; where one does all the same, it is told.
            ids.extend(before.insert(document, ids.clone()).unwrap_or_default());
            memory.replace(document, items);
            let anew: std::collections::BTreeMap<String, DocumentId> =
                find::<_, Failed>(&query, &memory).unwrap().into_iter().collect();
            match query.again(&memory, ids).unwrap() {
                Some(judged) => for (id, place) in judged {
                    kept.remove(&id);
                    kept.extend(place.map(|place| (id, place)));
                },
                None => kept = anew.clone(),
            }
            prop_assert_eq!(&kept, &anew);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]
    #[test]
    fn an_index_finds_what_looking_at_everything_finds(
        steps in steps(),
        queries in prop::collection::vec(query(), 1..12),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::create(&dir.path().join("store.db"), &[1; 32]).unwrap();
        let mut memory = MemoryIndex::default();
        let created = halo_protocol::Timestamp::from_millis(1);
        let space = SpaceRow { id: SPACE.into(), key: [1; 32], root: [0; 16], created, halo: false };
        store.write(|tx| {
            tx.add_space(&space)?;
            (0..3).try_for_each(|number| tx.save_document(SPACE, DocumentId::from_random([number; 16]).as_bytes(), b""))
        }).unwrap();
        for (number, objects) in &steps {
            let document = DocumentId::from_random([*number; 16]);
            let items = Item::all_in(document, objects);
            store.write(|tx| tx.put_items(SPACE, document.as_bytes(), &items)).unwrap();
            memory.replace(document, items);
        }
        prop_assert!(store.faulty_indexes().unwrap().is_empty());
        for query in &queries {
            let parsed = Query::parse(&query.to_string()).unwrap();
            let wanted: Vec<String> = evaluate::<_, Failed>(&parsed, &memory).unwrap();
            let found: Vec<String> = evaluate::<_, Failed>(&parsed, &store.items(SPACE)).unwrap();
            prop_assert_eq!(wanted, found, "{}", query);
        }
        store.write(|tx| tx.rebuild_index(SPACE)).unwrap();
        prop_assert!(store.faulty_indexes().unwrap().is_empty());
        // What is gone leaves nothing behind.
        store.write(|tx| tx.delete_space(SPACE)).unwrap();
        prop_assert!(store.faulty_indexes().unwrap().is_empty());
    }
}
