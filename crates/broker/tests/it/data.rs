//! Lines for data: who may open one, what it says, and when it is over.

use data_encoding::BASE64_NOPAD;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::app::{APP, Instance, bound_sign_in};
use crate::http::Http;
use crate::world::{World, browser};

const OTHER: &str = "https://other.example";
const READ: &str = "openid halo:spaces";
const WRITE: &str = "openid halo:spaces halo:spaces:write";

struct Line(WebSocketStream<TcpStream>);

impl Line {
    /// The status that refused it.
    async fn open(world: &World, origin: &str, path: &str, token: &str) -> Result<Self, u16> {
        world.kernel.says(browser());
        let mut request = format!("ws://127.0.0.1:{}{path}", world.port()).into_client_request().unwrap();
        let encoded = BASE64_NOPAD.encode(token.as_bytes());
        let protocol = format!("base64url.bearer.authorization.dxos.org.{encoded}");
        request.headers_mut().insert("origin", origin.parse().unwrap());
        request.headers_mut().insert("sec-websocket-protocol", protocol.parse().unwrap());
        let stream = TcpStream::connect(("127.0.0.1", world.port())).await.unwrap();
        match tokio_tungstenite::client_async(request, stream).await {
            Ok((line, _)) => Ok(Self(line)),
            Err(tokio_tungstenite::tungstenite::Error::Http(reply)) => Err(reply.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    async fn say(&mut self, frame: Value) {
        self.0.send(Message::text(frame.to_string())).await.unwrap();
    }

    /// The next frame; `None` when it is closed.
    async fn next(&mut self) -> Option<Value> {
        loop {
            match self.0.next().await?.ok()? {
                Message::Text(text) => return Some(serde_json::from_str(text.as_str()).unwrap()),
                Message::Close(_) => return None,
                _ => {}
            }
        }
    }

    /// The answer to a call, whatever else is said before.
    async fn call(&mut self, method: &str, params: Value) -> Value {
        self.say(json!({ "id": 7, "method": method, "params": params })).await;
        loop {
            let frame = self.next().await.expect("an answer");
            if frame["id"] == 7 {
                return frame;
            }
        }
    }
}

async fn ticket(world: &World, http: &mut Http, origin: &str, instance: &Instance, token: &str) -> String {
    let url = format!("{}/halo/ticket", world.broker.url());
    let proof = instance.proof("POST", &url, Some(token));
    let authorization = format!("DPoP {token}");
    let headers = [("Origin", origin), ("Authorization", authorization.as_str()), ("DPoP", proof.as_str())];
    let reply = http.form("/halo/ticket", &headers, &[]).await;
    assert_eq!(reply.status, 200);
    serde_json::from_slice::<Value>(&reply.body).unwrap()["ticket"].as_str().unwrap().to_owned()
}

/// An app that is signed in: its connection, key and access token.
async fn app(world: &World, origin: &str, scope: &str) -> (Http, Instance, String) {
    let mut http = world.connect(browser()).await;
    let instance = Instance::new();
    let tokens = bound_sign_in(world, &mut http, origin, &instance, scope).await;
    (http, instance, tokens["access_token"].as_str().unwrap().to_owned())
}

// threat: 12
#[tokio::test]
async fn a_ticket_opens_one_line_from_where_it_was_given() {
    let world = World::new().await;
    let (mut http, instance, token) = app(&world, APP, WRITE).await;
    for path in ["/halo/data", "/dxos"] {
        assert_eq!(Line::open(&world, APP, path, &token).await.err(), Some(401), "a bound token alone");
        let first = ticket(&world, &mut http, APP, &instance, &token).await;
        assert_eq!(Line::open(&world, OTHER, path, &first).await.err(), Some(401), "another origin");
        assert_eq!(Line::open(&world, APP, path, &first).await.err(), Some(401), "and then it is spent");
        let second = ticket(&world, &mut http, APP, &instance, &token).await;
        let _line = Line::open(&world, APP, path, &second).await.ok().unwrap();
        assert_eq!(Line::open(&world, APP, path, &second).await.err(), Some(401), "a second line");
        assert_eq!(Line::open(&world, APP, path, "made up").await.err(), Some(401));
    }
    let last = ticket(&world, &mut http, APP, &instance, &token).await;
    world.wallet.revoke(&world.wallet.snapshot().apps[0].id.clone()).await.unwrap();
    assert_eq!(Line::open(&world, APP, "/halo/data", &last).await.err(), Some(401), "after the revocation");
}

// threat: 18
#[tokio::test]
async fn a_line_ends_with_the_grant_and_with_the_session() {
    let world = World::new().await;
    let (mut http, instance, token) = app(&world, APP, READ).await;
    let name = ticket(&world, &mut http, APP, &instance, &token).await;
    let mut line = Line::open(&world, APP, "/halo/data", &name).await.ok().unwrap();
    assert_eq!(line.call("spaces.list", json!({})).await["result"], json!([]));
    world.wallet.revoke(&world.wallet.snapshot().apps[0].id.clone()).await.unwrap();
    assert_eq!(line.next().await, None);

    let (mut http, instance, token) = app(&world, OTHER, READ).await;
    let name = ticket(&world, &mut http, OTHER, &instance, &token).await;
    let mut line = Line::open(&world, OTHER, "/halo/data", &name).await.ok().unwrap();
    line.call("spaces.list", json!({})).await;
    let url = format!("{}/revoke", world.broker.url());
    let proof = instance.proof("POST", &url, None);
    let fields = [("token", token.as_str()), ("client_id", OTHER)];
    let reply = http.form("/revoke", &[("Origin", OTHER), ("DPoP", &proof)], &fields).await;
    assert_eq!(reply.status, 200);
    assert_eq!(line.next().await, None, "by itself");
}

// threat: 20
#[tokio::test]
async fn every_method_is_refused_where_the_grant_does_not_reach() {
    let world = World::new().await;
    let (mut http, instance, token) = app(&world, APP, "openid profile").await;
    let useless = ticket(&world, &mut http, APP, &instance, &token).await;
    let refused = Line::open(&world, APP, "/halo/data", &useless).await.err();
    assert_eq!(refused, Some(403), "a grant that knows nothing of spaces");

    // A space of somebody else, and one that this app may only read.
    let strange = world.wallet.add_space("Private".into()).await.unwrap().id;
    let shared = world.wallet.add_space("Shared".into()).await.unwrap().id;
    let (mut http, instance, token) = app(&world, OTHER, READ).await;
    let grants = world.wallet.snapshot().apps.clone();
    let grant = grants.iter().find(|app| app.client_id == OTHER).unwrap().id.clone();
    world.wallet.share_space(shared.parse().unwrap(), &grant).await.unwrap();
    let name = ticket(&world, &mut http, OTHER, &instance, &token).await;
    let mut line = Line::open(&world, OTHER, "/halo/data", &name).await.ok().unwrap();
    let document = "2akvofn6L1o4RMUEMQi7qzwRjKWZ";
    let of = |space: &str| {
        json!({ "space": space, "id": "A", "property": "a", "position": 0, "remove": 0, "insert": "", "document": document,
                "items": [{ "type": "t", "data": {} }], "model": "counter", "edit": { "increment": 1 },
                "start": 0, "end": 1, "name": "bold", "value": true, "positions": [{ "position": 0 }], "cursors": ["s"] })
    };
    let reads = [
        "items.query",
        "items.get",
        "items.history",
        "items.text",
        "items.read",
        "items.cursors",
        "items.positions",
        "items.watch",
        "items.text.watch",
        "documents.sync",
    ];
    let writes = ["items.put", "items.delete", "items.restore", "items.splice", "items.mark", "items.edit"];
    for method in reads.iter().chain(&writes) {
        let answer = line.call(method, of(&strange)).await;
        let code = answer["error"]["code"].as_str().unwrap_or_default().to_owned();
        let wanted = if writes.contains(method) { "wallet.forbidden" } else { "wallet.not_found" };
        assert_eq!(code, wanted, "{method}: {answer}");
        assert!(!answer.to_string().contains("Private"));
    }
    for method in writes {
        assert_eq!(line.call(method, of(&shared)).await["error"]["code"], "wallet.forbidden", "{method}");
    }
    assert_eq!(line.call("spaces.create", json!({ "name": "x" })).await["error"]["code"], "wallet.forbidden");
    // Reading works, and a sync message that would write is heard and not kept.
    let there = line.call("items.query", json!({ "space": shared })).await;
    assert_eq!(there["result"].as_array().unwrap().len(), 1, "{there}");
    line.say(
        json!({ "id": 9, "method": "documents.sync", "params": { "space": shared, "document": document } }),
    )
    .await;
    assert!(line.next().await.unwrap()["event"]["message"].is_string());
    let answer = line.call("documents.message", json!({ "watch": 9, "message": "QgAAAAA=" })).await;
    assert_eq!(answer["result"]["known"], false, "{answer}");
}

#[tokio::test]
async fn texts_have_marks_and_cursors_and_counters_add_up() {
    let world = World::new().await;
    let (mut http, instance, token) = app(&world, APP, WRITE).await;
    let name = ticket(&world, &mut http, APP, &instance, &token).await;
    let mut line = Line::open(&world, APP, "/halo/data", &name).await.ok().unwrap();
    let space = line.call("spaces.create", json!({ "name": "Home" })).await["result"]["id"].clone();
    let data = json!({ "body": "a\u{1f600}bc", "votes": 0 });
    let put = json!({ "space": space, "items": [{ "type": "e.org/type/Note:0.1.0", "data": data }] });
    let id = line.call("items.put", put).await["result"][0]["id"].clone();
    let body = |more: Value| {
        let mut at = json!({ "space": space, "id": id, "property": "body" });
        at.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        at
    };
    let positions = json!([{ "position": 3 }, { "position": 5, "side": "before" }]);
    let cursors = line.call("items.cursors", body(json!({ "positions": positions }))).await;
    let cursors = cursors["result"]["cursors"].clone();
    let bold = json!({ "start": 3, "end": 5, "name": "bold", "value": true });
    let marked = line.call("items.mark", body(bold.clone())).await;
    assert_eq!(marked["result"]["marks"], json!([bold]), "{marked}");
    let splice =
        json!({ "version": marked["result"]["version"], "position": 0, "remove": 0, "insert": "12" });
    line.call("items.splice", body(splice)).await;
    let text = line.call("items.text", body(json!({}))).await["result"].clone();
    assert_eq!((text["text"].as_str(), &text["marks"][0]["start"]), (Some("12a\u{1f600}bc"), &json!(5)));
    let now = line.call("items.positions", body(json!({ "cursors": cursors }))).await;
    assert_eq!((&now["result"]["positions"], &now["result"]["version"]), (&json!([5, 7]), &text["version"]));

    let votes = |by: i64| json!({ "space": space, "id": id, "property": "votes", "model": "counter", "edit": { "increment": by } });
    line.call("items.edit", votes(3)).await;
    assert_eq!(line.call("items.edit", votes(-1)).await["result"]["value"], 2);
    let get = json!({ "space": space, "id": id });
    assert_eq!(line.call("items.get", get).await["result"]["data"]["votes"], 2);
    for (method, wrong) in [
        ("items.mark", json!({ "start": 3, "end": 2, "name": "bold", "value": true })),
        ("items.mark", json!({ "start": 0, "end": 1, "name": "bold" })),
        ("items.positions", json!({ "cursors": ["", "\u{e4}"] })),
        ("items.positions", json!({ "cursors": vec!["s"; 1_001] })),
        ("items.cursors", json!({ "positions": [{ "position": 99 }] })),
        ("items.edit", json!({ "model": "counter", "edit": { "increment": 1 } })),
        ("items.edit", json!({ "model": "magic", "edit": {} })),
        ("items.read", json!({ "model": "counter" })),
    ] {
        let answer = line.call(method, body(wrong)).await;
        assert!(answer["error"]["message"].is_string(), "{method}: {answer}");
    }
}

// threat: 21
#[tokio::test]
async fn what_is_no_call_is_answered_or_ends_the_line() {
    let world = World::new().await;
    let (mut http, instance, token) = app(&world, APP, WRITE).await;
    let name = ticket(&world, &mut http, APP, &instance, &token).await;
    let mut line = Line::open(&world, APP, "/halo/data", &name).await.ok().unwrap();
    let space = line.call("spaces.create", json!({ "name": "Home" })).await["result"]["id"].clone();
    let deep = (0..40).fold(
        json!({ "type": "select", "filter": { "type": "object" } }),
        |query, _| json!({ "type": "union", "queries": [query] }),
    );
    for (method, params) in [
        ("nothing", json!({})),
        ("items.query", json!({})),
        ("items.query", json!({ "space": "B" })),
        ("items.query", json!({ "space": space, "query": { "type": "magic" } })),
        ("items.query", json!({ "space": space, "query": deep })),
        ("items.put", json!({ "space": space, "items": [{ "data": [] }] })),
        ("items.put", json!({ "space": space, "items": [{ "id": "nobody", "data": {} }] })),
        ("documents.sync", json!({ "space": space, "document": "not one" })),
        ("documents.message", json!({ "watch": 1, "message": "" })),
        ("spaces.create", json!({ "name": "x".repeat(1000) })),
    ] {
        let answer = line.call(method, params).await;
        assert!(answer["error"]["message"].is_string(), "{method}: {answer}");
    }
    line.say(json!({ "id": 9, "method": "documents.sync", "params": { "space": space, "document": "2akvofn6L1o4RMUEMQi7qzwRjKWZ" } })).await;
    line.next().await.unwrap();
    for message in ["*", "", "QgAAAAD/////", "Qv////8P"] {
        let answer = line.call("documents.message", json!({ "watch": 9, "message": message })).await;
        assert!(answer["error"]["message"].is_string(), "{message}: {answer}");
    }
    line.0.send(Message::text("no json")).await.unwrap();
    assert_eq!(line.next().await, None);
}
