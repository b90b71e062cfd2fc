//! The control socket, through its own client.

use halo_broker::Limits;
use halo_broker::control::Client;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use crate::app::{APP, CIBA};
use crate::world::{NAME, World, browser, wallet};

async fn client(world: &World) -> Client {
    Client::connect(&world.runtime_dir()).await.unwrap()
}

#[tokio::test]
async fn an_identity_is_made_shown_locked_and_unlocked() {
    let dir = tempfile::tempdir().unwrap();
    let wallet = wallet(&dir).await;
    let world = World::around(wallet, dir, Limits::default()).await;
    let mut client = client(&world).await;
    assert_eq!(client.call("status", Value::Null).await.unwrap()["state"], "empty");
    assert_eq!(client.call("identity.show", json!({})).await.unwrap_err().code, "wallet.no_identity");
    let created = client.call("init", json!({"name": "Grace", "keychain": "os"})).await.unwrap();
    assert_eq!(created["phrase"].as_str().unwrap().split_whitespace().count(), 24);
    let status = client.call("status", json!({})).await.unwrap();
    assert_eq!(status["state"], "unlocked");
    assert_eq!(status["name"], "Grace");
    assert_eq!(status["did"], created["did"]);
    assert_eq!(status["broker_url"], world.broker.url());
    client.call("identity.set", json!({"name": "Grace Hopper"})).await.unwrap();
    assert_eq!(client.call("identity.show", json!({})).await.unwrap()["name"], "Grace Hopper");
    client.call("lock", json!({})).await.unwrap();
    assert_eq!(client.call("apps.list", json!({})).await.unwrap_err().code, "wallet.locked");
    client.call("unlock", json!({})).await.unwrap();
    assert_eq!(client.call("status", json!({})).await.unwrap()["state"], "unlocked");
}

#[tokio::test]
async fn the_phrase_is_confirmed_by_words_and_can_then_be_forgotten() {
    let world = World::new().await;
    let mut client = client(&world).await;
    let phrase = client.call("identity.phrase.reveal", json!({})).await.unwrap()["phrase"].clone();
    let words: Vec<&str> = phrase.as_str().unwrap().split_whitespace().collect();
    assert!(client.call("identity.phrase.forget", json!({})).await.is_err(), "not before it was confirmed");
    let quiz = client.call("identity.phrase.quiz", json!({})).await.unwrap();
    let answers: Vec<Value> = quiz["positions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|position| json!([position, words[usize::try_from(position.as_u64().unwrap()).unwrap() - 1]]))
        .collect();
    client.call("identity.phrase.confirm", json!({"answers": answers})).await.unwrap();
    client.call("identity.phrase.forget", json!({})).await.unwrap();
    assert_eq!(client.call("status", json!({})).await.unwrap()["phrase"], "forgotten");
}

#[tokio::test]
async fn a_request_is_listed_watched_approved_and_its_app_revoked() {
    let world = World::new().await;
    let mut client = client(&world).await;
    let mut watch = Client::connect(&world.runtime_dir()).await.unwrap();
    // Answered after the server has begun to watch, or not: the snapshot holds what was missed.
    watch.call("status", json!({})).await.unwrap();
    let mut watch = watch.stream("requests.watch", json!({})).await.unwrap();
    let mut page = world.connect(browser()).await;
    let asked = page.form("/bc-authorize", &[("Origin", APP)], &[("scope", "openid profile")]).await;
    let seen = watch.next().await.unwrap();
    assert_eq!(seen["type"], "asked");
    assert_eq!(seen["request"]["app"]["origin"], APP);
    let id = seen["request"]["id"].clone();
    let list = client.call("requests.list", json!({})).await.unwrap();
    assert_eq!(list[0]["id"], id);
    let granted = client.call("requests.approve", json!({"id": id})).await.unwrap();
    let over = loop {
        let item = watch.next().await.unwrap();
        if item["type"] == "answered" {
            break item;
        }
    };
    assert_eq!((&over["id"], &over["outcome"]), (&id, &json!("approved")));
    let asked = asked.json();
    let fields = [("grant_type", CIBA), ("auth_req_id", asked["auth_req_id"].as_str().unwrap())];
    assert_eq!(page.form("/token", &[("Origin", APP)], &fields).await.status, 200);
    let apps = client.call("apps.list", json!({})).await.unwrap();
    assert_eq!(apps[0]["id"], granted["grant"]);
    assert_eq!(apps[0]["origin"], APP);
    client.call("apps.revoke", json!({"id": granted["grant"]})).await.unwrap();
    assert_eq!(client.call("apps.list", json!({})).await.unwrap(), json!([]));
    let gone = client.call("apps.revoke", json!({"id": granted["grant"]})).await.unwrap_err();
    assert_eq!(gone.code, "wallet.not_found");
    let log = client.call("audit", json!({"limit": 50})).await.unwrap();
    let events: Vec<&str> =
        log.as_array().unwrap().iter().map(|entry| entry["event"].as_str().unwrap()).collect();
    assert!(events.contains(&"revoked") && events.contains(&"approved"), "{events:?}");
}

#[tokio::test]
async fn settings_change_one_by_one() {
    let world = World::new().await;
    let mut client = client(&world).await;
    client.call("settings.set", json!({"auto_lock_minutes": 3})).await.unwrap();
    client.call("settings.set", json!({"theme": "dark"})).await.unwrap();
    let settings = client.call("settings.get", json!({})).await.unwrap();
    assert_eq!((&settings["auto_lock_minutes"], &settings["theme"]), (&json!(3), &json!("dark")));
}

#[tokio::test]
async fn the_program_is_asked_to_end() {
    let world = World::new().await;
    client(&world).await.call("shutdown", json!({})).await.unwrap();
    world.broker.end_wanted().await;
}

// threat: 21
#[tokio::test]
async fn nonsense_is_answered_and_too_much_of_it_is_cut_off() {
    let world = World::new().await;
    let stream = UnixStream::connect(world.runtime_dir().join("control.sock")).await.unwrap();
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    let mut ask = async |text: &str| {
        writer.write_all(format!("{text}\n").as_bytes()).await.unwrap();
        serde_json::from_str::<Value>(&lines.next_line().await.unwrap().unwrap()).unwrap()
    };
    assert_eq!(ask("nonsense").await["error"]["code"], "control.bad_params");
    assert_eq!(ask(r#"{"id":7,"method":"fly"}"#).await["error"]["code"], "control.unknown_method");
    let bad = ask(r#"{"id":8,"method":"unlock","params":{"passphrase":["hunter2"]}}"#).await;
    assert_eq!((&bad["id"], &bad["error"]["code"]), (&json!(8), &json!("control.bad_params")));
    assert!(!bad.to_string().contains("hunter2"), "what was read is not repeated");
    assert_eq!(ask(r#"{"id":9,"method":"status"}"#).await["result"]["name"], NAME);
    assert_eq!(ask(&"x".repeat(70_000)).await["error"]["code"], "control.too_large");
}

#[tokio::test]
async fn nobody_there_is_said_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let error = Client::connect(dir.path()).await.err().unwrap();
    assert_eq!(error.code, "control.not_running");
}
