//! What apps keep: each sees its own, half an update is none, and what was acknowledged is there after a restart.

use halo_echo::{Document, NewItem, Pen};
use halo_wallet::{
    AnsweredBy, Approval, By, DocumentId, Gauge, GrantId, PutItem, Query, Scope, SpaceId, SpaceView, Wallet,
    WalletError, WriterView,
};

use crate::world::{OTHER_PAGE, PAGE, World, page, request, signed_in, yes};

const PEN: Pen = Pen { actor: [7; 16], seconds: 1 };
const READ: [Scope; 2] = [Scope::OpenId, Scope::Spaces];
const WRITE: [Scope; 3] = [Scope::OpenId, Scope::Spaces, Scope::SpacesWrite];

async fn app(wallet: &Wallet, origin: &str, scopes: &[Scope]) -> GrantId {
    signed_in(wallet, origin, scopes, yes()).await.0
}

/// A document with one task in it, as an app would write it.
fn task(id: &str, title: &str) -> Vec<u8> {
    let mut document = Document::directory(PEN, "00").unwrap();
    document.put_item(PEN, &item(id, title)).unwrap();
    document.save()
}

fn item(id: &str, title: &str) -> NewItem {
    NewItem {
        id: id.into(),
        typename: "dxn:type:example.org/type/Task:0.1.0".into(),
        data: serde_json::Map::from_iter([("title".to_owned(), title.into())]),
        ..NewItem::default()
    }
}

fn document(number: u8) -> DocumentId {
    DocumentId::from_random([number; 16])
}

fn tasks() -> Query {
    Query::parse(
        r#"{"type":"select","filter":{"type":"object","typename":"dxn:type:example.org/type/Task","props":{}}}"#,
    )
    .unwrap()
}

async fn found(wallet: &Wallet, grant: &GrantId) -> Vec<String> {
    wallet.query(grant, tasks()).await.unwrap().into_iter().map(|hit| hit.id).collect()
}

async fn put(wallet: &Wallet, grant: &GrantId, space: &SpaceView, number: u8, bytes: Vec<u8>) {
    wallet.update_documents(grant, space.id, vec![(document(number), bytes)]).await.unwrap();
}

#[tokio::test]
async fn what_an_app_wrote_is_there_after_a_restart() {
    let world = World::new();
    let wallet = world.ada().await;
    let grant = app(&wallet, PAGE, &WRITE).await;
    let space = wallet.create_space(&grant, None).await.unwrap();
    put(&wallet, &grant, &space, 1, task("A", "Milk")).await;
    let default = wallet.default_space(&grant).await.unwrap();
    assert_eq!(wallet.default_space(&grant).await.unwrap(), default, "it is made once");
    wallet.close().await;

    let wallet = world.open().await;
    assert_eq!(wallet.spaces(&grant).await.unwrap(), [space.clone(), default]);
    assert_eq!(found(&wallet, &grant).await, ["A"]);
    let changes = wallet.documents_since(&grant, space.id, vec![(document(1), vec![])]).await.unwrap();
    let read = Document::load(&changes[0].bytes).unwrap();
    assert_eq!(read.objects()["A"]["data"]["title"], "Milk");
}

#[tokio::test]
async fn another_app_sees_nothing_of_it_whatever_it_names() {
    let world = World::new();
    let wallet = world.ada().await;
    let ours = app(&wallet, PAGE, &WRITE).await;
    let theirs = app(&wallet, OTHER_PAGE, &WRITE).await;
    let space = wallet.create_space(&ours, None).await.unwrap();
    let own = wallet.create_space(&theirs, None).await.unwrap();
    put(&wallet, &ours, &space, 1, task("A", "Milk")).await;

    assert_eq!(wallet.spaces(&theirs).await.unwrap(), std::slice::from_ref(&own));
    assert!(found(&wallet, &theirs).await.is_empty());
    let named = Query::parse(&format!(
        r#"{{"type":"options","query":{{"type":"select","filter":{{"type":"object","typename":null,"props":{{}}}}}},
            "options":{{"spaceIds":["{}"]}}}}"#,
        space.id
    ))
    .unwrap();
    assert!(wallet.query(&theirs, named).await.unwrap().is_empty());
    let wanted = vec![(document(1), vec![])];
    let refused = wallet.documents_since(&theirs, space.id, wanted.clone()).await;
    assert!(matches!(refused, Err(WalletError::NotFound { .. })));
    // Through its own space it does not reach that document either, neither to read nor to write.
    assert!(wallet.documents_since(&theirs, own.id, wanted).await.unwrap().is_empty());
    let forged = vec![(document(1), task("A", "Poison"))];
    let refused = wallet.update_documents(&theirs, own.id, forged.clone()).await;
    assert!(matches!(refused, Err(WalletError::NotFound { .. })));
    assert!(wallet.update_documents(&theirs, space.id, forged).await.is_err());
    let read = wallet.documents_since(&ours, space.id, vec![(document(1), vec![])]).await.unwrap();
    assert_eq!(Document::load(&read[0].bytes).unwrap().objects()["A"]["data"]["title"], "Milk");
}

#[tokio::test]
async fn a_narrower_grant_gets_no_more_than_it_says() {
    let world = World::new();
    let wallet = world.ada().await;
    let none = app(&wallet, OTHER_PAGE, &[Scope::OpenId]).await;
    let query = tasks();
    assert!(matches!(wallet.spaces(&none).await, Err(WalletError::Forbidden { .. })));
    assert!(matches!(wallet.default_space(&none).await, Err(WalletError::Forbidden { .. })));
    assert!(matches!(wallet.create_space(&none, None).await, Err(WalletError::Forbidden { .. })));
    assert!(matches!(wallet.query(&none, query).await, Err(WalletError::Forbidden { .. })));

    let reader = app(&wallet, PAGE, &READ).await;
    let space = wallet.default_space(&reader).await.unwrap();
    assert!(matches!(wallet.create_space(&reader, None).await, Err(WalletError::Forbidden { .. })));
    let update = vec![(document(1), task("A", "Milk"))];
    let refused = wallet.update_documents(&reader, space.id, update).await;
    assert!(matches!(refused, Err(WalletError::Forbidden { scope: "halo:spaces:write" })));
    assert!(found(&wallet, &reader).await.is_empty());
}

// threat: 21
#[tokio::test]
async fn half_an_update_is_none() {
    let world = World::new();
    let wallet = world.ada().await;
    let grant = app(&wallet, PAGE, &WRITE).await;
    let space = wallet.create_space(&grant, None).await.unwrap();
    put(&wallet, &grant, &space, 1, task("A", "Milk")).await;
    let mut broken = task("C", "Bread");
    let last = broken.len() - 1;
    broken[last] ^= 1;
    let mut edited = Document::load(&task("A", "Milk")).unwrap();
    let change = edited.put_item(Pen { actor: [8; 16], seconds: 2 }, &item("B", "Butter")).unwrap();
    for bad in [broken, b"no chunk".to_vec(), vec![0; 9 * 1024 * 1024]] {
        let update = vec![(document(1), change.clone()), (document(2), task("D", "Tea")), (document(3), bad)];
        let refused = wallet.update_documents(&grant, space.id, update).await;
        assert!(matches!(refused, Err(WalletError::Echo(_))), "{refused:?}");
        assert_eq!(found(&wallet, &grant).await, ["A"]);
        let changes = wallet.documents_since(&grant, space.id, vec![(document(2), vec![])]).await.unwrap();
        assert!(changes.is_empty(), "the good part of it was not kept either");
    }
    wallet.close().await;
    let wallet = world.open().await;
    assert_eq!(found(&wallet, &grant).await, ["A"]);
}

#[tokio::test]
async fn a_locked_wallet_serves_nothing_and_a_revoked_app_finds_its_data_when_it_comes_back() {
    let world = World::new();
    let wallet = world.ada().await;
    let grant = app(&wallet, PAGE, &WRITE).await;
    let space = wallet.create_space(&grant, None).await.unwrap();
    put(&wallet, &grant, &space, 1, task("A", "Milk")).await;
    wallet.lock().await.unwrap();
    assert!(matches!(wallet.spaces(&grant).await, Err(WalletError::Locked)));
    wallet.unlock(None, false).await.unwrap();
    wallet.revoke(&grant).await.unwrap();
    assert!(wallet.spaces(&grant).await.is_err());
    let again = app(&wallet, PAGE, &WRITE).await;
    assert_eq!(found(&wallet, &again).await, ["A"]);
    assert_eq!(wallet.spaces(&again).await.unwrap()[0].id, space.id);
}

fn fields(json: &serde_json::Value) -> serde_json::Map<String, serde_json::Value> {
    json.as_object().unwrap().clone()
}

#[tokio::test]
async fn the_owner_makes_names_shares_and_deletes_spaces() {
    let world = World::new();
    let wallet = world.ada().await;
    let grant = app(&wallet, PAGE, &READ).await;
    let space = wallet.add_space(" Household ".into()).await.unwrap();
    assert_eq!(space.name.as_deref(), Some("Household"));
    let id: SpaceId = space.id.parse().unwrap();
    assert!(wallet.spaces(&grant).await.unwrap().is_empty(), "nobody sees it yet");
    assert!(matches!(wallet.add_space("  ".into()).await, Err(WalletError::BadInput { .. })));

    wallet.share_space(id, &grant).await.unwrap();
    assert_eq!(wallet.spaces(&grant).await.unwrap()[0].id, id);
    wallet.rename_space(id, "Home".into()).await.unwrap();
    wallet.close().await;
    let wallet = world.open().await;
    let all = wallet.all_spaces().await.unwrap();
    assert_eq!((all[0].name.as_deref(), all[0].items), (Some("Home"), 0));
    assert_eq!(all[0].apps[0].grant, Some(grant.clone()));
    assert!(!all[0].apps[0].made);

    wallet.unshare_space(id, all[0].apps[0].app.clone()).await.unwrap();
    assert!(wallet.spaces(&grant).await.unwrap().is_empty());
    let default = wallet.default_space(&grant).await.unwrap();
    let all = wallet.all_spaces().await.unwrap();
    let app = all.iter().find(|space| space.id == default.id.to_string()).unwrap().apps[0].app.clone();
    assert!(wallet.unshare_space(default.id, app).await.is_err(), "an app has a space of its own");
    wallet.delete_space(id).await.unwrap();
    assert!(wallet.items(&By::Owner, id, tasks()).await.is_err());
    wallet.close().await;
    assert_eq!(world.open().await.all_spaces().await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_owner_adds_edits_deletes_and_restores_items_that_apps_see() {
    let world = World::new();
    let wallet = world.ada().await;
    let grant = app(&wallet, PAGE, &WRITE).await;
    let space = wallet.create_space(&grant, None).await.unwrap();
    let put = |id: Option<String>, kind: Option<&str>, data: serde_json::Value| PutItem {
        id,
        r#type: kind.map(str::to_owned),
        data: fields(&data),
        ..PutItem::default()
    };
    let item = wallet
        .put_item(
            &By::Owner,
            space.id,
            put(None, Some("example.org/type/Task:0.1.0"), serde_json::json!({"title": "Milk"})),
        )
        .await
        .unwrap();
    assert_eq!(found(&wallet, &grant).await, std::slice::from_ref(&item.id));
    let edited = wallet
        .put_item(
            &By::Owner,
            space.id,
            put(Some(item.id.clone()), None, serde_json::json!({"title": "Oat milk", "n": 2})),
        )
        .await
        .unwrap();
    assert_eq!(edited.data, serde_json::json!({"title": "Oat milk", "n": 2}));
    wallet.set_item_deleted(&By::Owner, space.id, item.id.clone(), true).await.unwrap();
    assert!(found(&wallet, &grant).await.is_empty());
    wallet.set_item_deleted(&By::Owner, space.id, item.id.clone(), false).await.unwrap();
    assert_eq!(found(&wallet, &grant).await, std::slice::from_ref(&item.id));
    assert!(
        wallet.put_item(&By::Owner, space.id, put(None, None, serde_json::json!({}))).await.is_err(),
        "no type"
    );
    assert!(wallet.set_item_deleted(&By::Owner, space.id, "nobody".into(), true).await.is_err());

    wallet.close().await;
    let wallet = world.open().await;
    let again = wallet.item(&By::Owner, space.id, item.id).await.unwrap();
    assert_eq!(again.data, edited.data);
    let versions = wallet.item_versions(&By::Owner, space.id, again.id).await.unwrap();
    let deleted: Vec<bool> = versions.iter().map(|version| version.deleted).collect();
    assert_eq!(deleted, [false, true, false, false]);
    assert_eq!(versions[3].data, serde_json::json!({"title": "Milk"}));
    assert!(versions.iter().all(|version| version.at.is_some()));
    let report = wallet.doctor(false, Gauge::unseen()).await.unwrap();
    assert!(report.problems.is_empty(), "{report:?}");
    // Here: the directory, the item with its link, an edit, a deletion, a restoration. In the HALO space: its directory,
    // three times what this device says of itself, the grant, and the space with its record.
    assert_eq!((report.spaces, report.blocks, report.documents, report.items), (2, 5 + 6, 2 + 2, 1 + 1));
}

#[tokio::test]
async fn the_user_may_share_spaces_while_letting_an_app_in() {
    let world = World::new();
    let wallet = world.ada().await;
    let household = wallet.add_space("Household".into()).await.unwrap().id;
    let diary = wallet.add_space("Diary".into()).await.unwrap().id;
    let ticket = wallet.ask(request(page(PAGE), &READ)).await.unwrap();
    let mut offered: Vec<_> =
        wallet.snapshot().requests[0].spaces.iter().filter_map(|space| space.name.clone()).collect();
    offered.sort();
    assert_eq!(offered, ["Diary", "Household"]);
    let sharing = |spaces: &[&String]| Approval {
        spaces: spaces.iter().map(|space| (*space).clone()).collect(),
        ..yes()
    };
    let (by, one) = (AnsweredBy::Command, std::slice::from_ref::<String>);
    let nowhere = wallet.approve(&ticket.id, sharing(&[&"nowhere".to_owned()]), by).await;
    assert!(matches!(nowhere, Err(WalletError::NotFound { .. })));
    let narrowed = Approval { scopes: Some(vec![Scope::OpenId]), ..sharing(&[&diary]) };
    let narrowed = wallet.approve(&ticket.id, narrowed, by).await;
    assert!(matches!(narrowed, Err(WalletError::BadInput { .. })), "it would not see it anyway");
    assert!(
        wallet.snapshot().apps.is_empty(),
        "nothing was granted by a mistake, and the prompt is still there"
    );

    let grant = wallet.approve(&ticket.id, sharing(&[&household, &household]), by).await.unwrap();
    let seen = wallet.spaces(&grant).await.unwrap();
    assert_eq!(seen.iter().map(|space| space.id.to_string()).collect::<Vec<_>>(), one(&household));
    assert_eq!(wallet.snapshot().apps[0].spaces, one(&household));
    wallet.close().await;
    let wallet = world.open().await;
    assert_eq!(wallet.snapshot().apps[0].spaces, one(&household), "also after a restart");

    // Who is known is offered the rest; who asks for no spaces is offered none, and can be given none.
    let again = wallet.ask(request(page(PAGE), &WRITE)).await.unwrap();
    let offered = wallet.snapshot().requests[0].spaces.clone();
    assert_eq!(offered.iter().map(|space| space.id.clone()).collect::<Vec<_>>(), one(&diary));
    drop(again);
    let stranger = wallet.ask(request(page(OTHER_PAGE), &[Scope::OpenId])).await.unwrap();
    let shown = wallet.snapshot().requests.iter().find(|request| request.id == stranger.id).cloned().unwrap();
    assert!(shown.spaces.is_empty());
    let refused = wallet.approve(&stranger.id, sharing(&[&diary]), by).await;
    assert!(matches!(refused, Err(WalletError::BadInput { .. })));
}

#[tokio::test]
async fn the_history_of_an_item_says_who_wrote_it() {
    let world = World::new();
    let wallet = world.ada().await;
    let grant = app(&wallet, PAGE, &WRITE).await;
    let space = wallet.create_space(&grant, None).await.unwrap();
    // By an actor of the app's own; then the owner; then the app again, through the wallet.
    put(&wallet, &grant, &space, 1, task("A", "Milk")).await;
    let edit = |title: &str| PutItem {
        id: Some("A".into()),
        data: fields(&serde_json::json!({ "title": title })),
        ..PutItem::default()
    };
    wallet.put_item(&By::Owner, space.id, edit("Oat milk")).await.unwrap();
    wallet.put_item(&By::App(grant.clone()), space.id, edit("Rice milk")).await.unwrap();
    wallet.close().await;

    let wallet = world.open().await;
    let device = wallet.snapshot().identity.as_ref().map(|identity| identity.device_label.clone());
    let versions = wallet.item_versions(&By::Owner, space.id, "A".into()).await.unwrap();
    let by: Vec<_> = versions.iter().map(|version| version.by.clone()).collect();
    let writer = |app: Option<&str>| Some(WriterView { device: device.clone(), app: app.map(str::to_owned) });
    assert_eq!(by, [writer(Some(PAGE)), writer(None), writer(Some(PAGE))]);
    let told = wallet.item_versions(&By::App(grant), space.id, "A".into()).await.unwrap();
    assert!(told.iter().all(|version| version.by.is_none()), "apps are not told of each other");
}
