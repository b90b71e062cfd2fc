//! Items besides their properties: schemas, names elsewhere, tags, hierarchy, relations.

use halo_echo::{Beginning, Document, DocumentId, NewItem, Pen};
use halo_wallet::{
    By, ForeignKey, Gauge, GrantId, InItem, PutItem, Query, Scope, SpaceId, Wallet, WalletError,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::world::{PAGE, World, approved, page, request, yes};

const TASK: &str = "example.org/type/Task:0.1.0";

async fn home(wallet: &Wallet) -> SpaceId {
    wallet.add_space("Home".into()).await.unwrap().id.parse().unwrap()
}

fn new(kind: &str, data: Value) -> PutItem {
    PutItem { r#type: Some(kind.into()), data: data.as_object().unwrap().clone(), ..PutItem::default() }
}

fn edit(id: &str, data: Value) -> PutItem {
    PutItem { id: Some(id.into()), r#type: None, merge: true, ..new("", data) }
}

async fn put(wallet: &Wallet, space: SpaceId, put: PutItem) -> Result<String, WalletError> {
    Ok(wallet.put_item(&By::Owner, space, put).await?.id)
}

/// Ids of what a query finds.
async fn found(wallet: &Wallet, space: SpaceId, query: Value) -> Vec<String> {
    let query = Query::parse(&query.to_string()).unwrap();
    wallet.items(&By::Owner, space, query).await.unwrap().into_iter().map(|item| item.id).collect()
}

fn tasks() -> Value {
    json!({ "type": "select", "filter": { "type": "object", "typename": "dxn:type:example.org/type/Task", "props": {} } })
}

fn schema() -> Value {
    json!({
        "typename": "example.org/type/Task", "version": "0.1.0",
        "jsonSchema": {
            "$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "required": ["id", "title"],
            "properties": { "id": { "type": "string" }, "title": { "type": "string", "maxLength": 5 }, "n": { "type": "number" } },
            "additionalProperties": false,
        },
    })
}

fn why(error: &WalletError) -> (&'static str, String) {
    (error.code(), error.to_string())
}

#[tokio::test]
async fn what_is_written_has_to_match_the_schema_of_its_type() {
    let world = World::new();
    let wallet = world.ada().await;
    let space = home(&wallet).await;
    let early = put(&wallet, space, new(TASK, json!({ "title": 7 }))).await.unwrap();
    put(&wallet, space, new("dxos.org/type/Schema:0.1.0", schema())).await.unwrap();

    let refused = put(&wallet, space, new(TASK, json!({ "title": 1 }))).await.unwrap_err();
    let wanted = "\"title\" is of type number, not string (schema of example.org/type/Task:0.1.0)";
    assert_eq!(why(&refused), ("wallet.mismatch", wanted.to_owned()));
    let milk = put(&wallet, space, new(TASK, json!({ "title": "Milk" }))).await.unwrap();
    assert!(put(&wallet, space, edit(&milk, json!({ "colour": "red" }))).await.is_err());
    assert!(put(&wallet, space, edit(&milk, json!({ "title": null }))).await.is_err());
    put(&wallet, space, edit(&milk, json!({ "n": 2 }))).await.unwrap();
    // Also letter by letter, and a model that makes something else of a property.
    let at = InItem { id: milk.clone(), property: "title".into() };
    let splice = json!({ "splice": { "position": 4, "remove": 0, "insert": " and bread" } });
    let edited = wallet.edit_model(&By::Owner, space, at.clone(), "text".into(), None, splice).await;
    assert_eq!(edited.unwrap_err().code(), "wallet.mismatch");
    let text = wallet.read_model(&By::Owner, space, at, "text".into()).await.unwrap().0;
    assert_eq!(text["text"], "Milk", "what was refused left nothing in memory");
    // All or none.
    let both = vec![new(TASK, json!({ "title": "Salt" })), new(TASK, json!({}))];
    assert!(wallet.put_items(&By::Owner, space, both).await.is_err());
    assert_eq!(found(&wallet, space, tasks()).await.len(), 2);

    // What was there before the schema is shown as not matching, and can be edited as long as that is no worse.
    let shown = wallet.item(&By::Owner, space, early.clone()).await.unwrap();
    assert_eq!(shown.mismatch, ["\"title\" is of type number, not string"]);
    put(&wallet, space, edit(&early, json!({ "n": 1 }))).await.unwrap();
    assert!(put(&wallet, space, edit(&early, json!({ "n": "1" }))).await.is_err());
    put(&wallet, space, edit(&early, json!({ "title": "Seven" }))).await.unwrap();
    assert_eq!(wallet.item(&By::Owner, space, early).await.unwrap().mismatch, [] as [&str; 0]);
}

#[tokio::test]
async fn a_schema_and_its_items_come_in_one_call_and_a_bad_schema_does_not() {
    let world = World::new();
    let wallet = world.ada().await;
    let space = home(&wallet).await;
    let kind = "dxos.org/type/Schema:0.1.0";
    let both = |title: Value| vec![new(kind, schema()), new(TASK, json!({ "title": title }))];
    assert!(wallet.put_items(&By::Owner, space, both(json!(1))).await.is_err());
    assert!(put(&wallet, space, new(TASK, json!({ "title": 1 }))).await.is_ok(), "there is no schema yet");
    wallet.put_items(&By::Owner, space, both(json!("x"))).await.unwrap();
    assert!(put(&wallet, space, new(TASK, json!({ "title": 1 }))).await.is_err());
    for bad in [json!({ "$ref": "https://example.org/" }), json!({ "pattern": "(?=a)" }), json!([])] {
        let mut data = schema();
        data["jsonSchema"] = bad;
        let refused = put(&wallet, space, new(kind, data)).await.unwrap_err();
        assert!(refused.to_string().contains("jsonSchema"), "{refused}");
    }
}

#[tokio::test]
async fn changes_of_a_dxos_client_are_kept_and_said_not_to_match() {
    let world = World::new();
    let wallet = world.ada().await;
    let grant: GrantId =
        approved(&wallet, request(page(PAGE), &[Scope::OpenId, Scope::Spaces, Scope::SpacesWrite]), yes())
            .await;
    let space = wallet.create_space(&grant, None).await.unwrap();
    let by = By::App(grant.clone());
    let kind = Some("dxos.org/type/Schema:0.1.0".to_owned());
    let put = PutItem { r#type: kind, data: schema().as_object().unwrap().clone(), ..PutItem::default() };
    wallet.put_item(&by, space.id, put).await.unwrap();
    let pen = Pen { actor: [7; 16], seconds: 1 };
    let item = NewItem {
        id: "01J00J9B45YHYSGZQTQMSKMGJ6".into(),
        typename: format!("dxn:type:{TASK}"),
        data: json!({ "title": false }).as_object().unwrap().clone(),
        ..NewItem::default()
    };
    let document = DocumentId::from_random([5; 16]);
    let raw = Beginning::new(pen, "00").unwrap().with_item(pen, document, &item).unwrap().bytes;
    wallet.update_documents(&grant, space.id, vec![(document, raw)]).await.unwrap();
    let shown = wallet.item(&by, space.id, item.id).await.unwrap();
    assert_eq!(shown.mismatch, ["\"title\" is of type boolean, not string"]);
    let report = wallet.doctor(false, Gauge::unseen()).await.unwrap();
    assert_eq!((report.problems.len(), report.mismatches.len()), (0, 1), "{report:?}");
    assert!(report.mismatches[0].contains("01J00J9B45YHYSGZQTQMSKMGJ6"), "{report:?}");
}

#[tokio::test]
async fn items_are_found_by_their_names_elsewhere_and_by_tags() {
    let world = World::new();
    let wallet = world.ada().await;
    let space = home(&wallet).await;
    let key = |id: &str| ForeignKey { source: "github.com".into(), id: id.into() };
    let keyed = PutItem {
        keys: Some(vec![key("1")]),
        tags: Some(vec!["urgent".into(), "home".into()]),
        ..new(TASK, json!({ "title": "a" }))
    };
    let one = put(&wallet, space, keyed).await.unwrap();
    let other = put(&wallet, space, new(TASK, json!({ "title": "urgent" }))).await.unwrap();
    let by_key = |id: &str| {
        let keys = json!([{ "source": "github.com", "id": id }]);
        json!({ "type": "select", "filter": { "type": "object", "typename": null, "props": {}, "foreignKeys": keys } })
    };
    let by_tag = |tag: &str| json!({ "type": "select", "filter": { "type": "tag", "tag": tag } });
    assert_eq!(found(&wallet, space, by_key("1")).await, std::slice::from_ref(&one));
    assert_eq!(
        found(&wallet, space, by_tag("urgent")).await,
        std::slice::from_ref(&one),
        "a tag, not a word"
    );
    let shown = wallet.item(&By::Owner, space, one.clone()).await.unwrap();
    assert_eq!((shown.keys, shown.tags), (vec![key("1")], vec!["urgent".to_owned(), "home".into()]));

    let moved =
        PutItem { keys: Some(vec![key("2"), key("3")]), tags: Some(Vec::new()), ..edit(&one, json!({})) };
    put(&wallet, space, moved).await.unwrap();
    let tagged = PutItem { tags: Some(vec!["urgent".into()]), ..edit(&other, json!({})) };
    put(&wallet, space, tagged).await.unwrap();
    assert_eq!(found(&wallet, space, by_key("1")).await, [] as [&str; 0]);
    assert_eq!(found(&wallet, space, by_key("3")).await, std::slice::from_ref(&one));
    assert_eq!(found(&wallet, space, by_tag("urgent")).await, [other]);
    let shown = wallet.item(&By::Owner, space, one.clone()).await.unwrap();
    assert_eq!(shown.data, json!({ "title": "a" }), "the properties stayed");
    wallet.close().await;
    let wallet = world.open().await;
    assert_eq!(found(&wallet, space, by_key("2")).await, std::slice::from_ref(&one));
    assert_eq!(wallet.doctor(false, Gauge::unseen()).await.unwrap().problems, [] as [&str; 0]);
    for bad in [
        PutItem { keys: Some(vec![key("")]), ..edit(&one, json!({})) },
        PutItem { tags: Some(vec!["x".repeat(501)]), ..edit(&one, json!({})) },
        PutItem { tags: Some(vec!["x".into(); 101]), ..edit(&one, json!({})) },
    ] {
        assert_eq!(put(&wallet, space, bad).await.unwrap_err().code(), "wallet.bad_input");
    }
}

#[tokio::test]
async fn deleting_a_parent_hides_what_is_below_it_until_it_is_restored() {
    let world = World::new();
    let wallet = world.ada().await;
    let space = home(&wallet).await;
    let below = |parent: &str| PutItem { parent: Some(parent.into()), ..new(TASK, json!({})) };
    let top = put(&wallet, space, new(TASK, json!({}))).await.unwrap();
    let child = put(&wallet, space, below(&top)).await.unwrap();
    let grandchild = put(&wallet, space, below(&child)).await.unwrap();
    let own = put(&wallet, space, below(&top)).await.unwrap();
    let deleted = |id: &String, deleted| wallet.set_item_deleted(&By::Owner, space, id.clone(), deleted);
    let with =
        |deleted: &str| json!({ "type": "options", "query": tasks(), "options": { "deleted": deleted } });
    deleted(&own, true).await.unwrap();
    deleted(&top, true).await.unwrap();
    assert_eq!(found(&wallet, space, tasks()).await, [] as [&str; 0]);
    assert_eq!(found(&wallet, space, with("include")).await.len(), 4);
    assert_eq!(
        found(&wallet, space, with("only")).await,
        [top.clone(), own.clone()],
        "those that can be restored"
    );
    deleted(&top, false).await.unwrap();
    assert_eq!(found(&wallet, space, tasks()).await, [top.clone(), child.clone(), grandchild.clone()]);

    let into = |item: &str, parent: &str| PutItem { parent: Some(parent.into()), ..edit(item, json!({})) };
    for circle in [&top, &child, &grandchild] {
        let refused = put(&wallet, space, into(&top, circle)).await.unwrap_err();
        assert!(refused.to_string().contains("under itself"), "{refused}");
    }
    assert!(put(&wallet, space, below("nobody")).await.is_err());
    put(&wallet, space, into(&grandchild, "")).await.unwrap();
    assert_eq!(wallet.item(&By::Owner, space, grandchild.clone()).await.unwrap().parent, None);
    deleted(&top, true).await.unwrap();
    assert_eq!(found(&wallet, space, tasks()).await, [grandchild]);
}

#[tokio::test]
async fn a_relation_leads_from_one_item_to_another() {
    let world = World::new();
    let wallet = world.ada().await;
    let space = home(&wallet).await;
    let ada = put(&wallet, space, new("e.org/type/Person", json!({}))).await.unwrap();
    let milk = put(&wallet, space, new(TASK, json!({}))).await.unwrap();
    let ends = |source: &str, target: &str| PutItem {
        source: Some(source.into()),
        target: Some(target.into()),
        ..new("e.org/type/Likes", json!({ "much": true }))
    };
    let likes = put(&wallet, space, ends(&ada, &milk)).await.unwrap();
    let of_ada = json!({ "type": "select", "filter": { "type": "object", "typename": null, "props": {}, "id": [ada] } });
    let relation = json!({ "type": "relation", "anchor": of_ada, "direction": "outgoing", "filter": null });
    assert_eq!(found(&wallet, space, relation.clone()).await, std::slice::from_ref(&likes));
    let target = json!({ "type": "relation-traversal", "anchor": relation.clone(), "direction": "target" });
    assert_eq!(found(&wallet, space, target).await, [milk]);
    wallet.set_item_deleted(&By::Owner, space, likes.clone(), true).await.unwrap();
    assert_eq!(found(&wallet, space, relation.clone()).await, [] as [&str; 0]);
    wallet.set_item_deleted(&By::Owner, space, likes.clone(), false).await.unwrap();
    assert_eq!(found(&wallet, space, relation).await, [likes]);
    let nowhere = put(&wallet, space, ends(&ada, "nobody")).await.unwrap_err();
    assert!(nowhere.to_string().contains("the target is no item of this space"), "{nowhere}");
}

// threat: 21
#[tokio::test]
async fn a_change_that_contradicts_itself_ends_nobody_s_work() {
    let world = World::new();
    let wallet = world.ada().await;
    let scopes = [Scope::OpenId, Scope::Spaces, Scope::SpacesWrite];
    let grant: GrantId = approved(&wallet, request(page(PAGE), &scopes), yes()).await;
    let space = wallet.create_space(&grant, None).await.unwrap();
    let by = By::App(grant.clone());
    let pen = Pen { actor: [7; 16], seconds: 0 };
    let item = NewItem { id: "A".into(), typename: format!("dxn:type:{TASK}"), ..NewItem::default() };
    let document = DocumentId::from_random([5; 16]);
    let beginning = Document::directory(pen, "00").unwrap().save();
    let raw = Beginning::new(pen, "00").unwrap().with_item(pen, document, &item).unwrap().bytes;
    let change = raw.strip_prefix(beginning.as_slice()).unwrap();
    // Its sequence number, behind one head and an actor of 16 bytes, is that of a change that never was; the checksum is
    // right. Automerge panics on it.
    let header = 9 + change[9..].iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
    let mut said = change[8..].to_vec();
    said[header - 8 + 1 + 32 + 1 + 16] = 99;
    let digest = Sha256::digest(&said);
    let bad = [&beginning, &[0x85, 0x6f, 0x4a, 0x83][..], &digest[..4], &said].concat();
    let refused = wallet.update_documents(&grant, space.id, vec![(document, bad)]).await.unwrap_err();
    assert!(matches!(refused, WalletError::Echo(_)), "{refused:?}");
    wallet.update_documents(&grant, space.id, vec![(document, raw)]).await.unwrap();
    assert_eq!(wallet.item(&by, space.id, "A".into()).await.unwrap().id, "A");
}
