//! When it is over, it is over at once: revocation, lock, end.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::app::{
    APP, CIBA, Instance, NAVIGATION, Pkce, REDIRECT, authorize_path, back_channel, bound_sign_in,
    page_secret, status,
};
use crate::http::{Http, parameter};
use crate::world::{World, browser, wallet};

struct Line(WebSocketStream<TcpStream>);

impl Line {
    async fn open(world: &World, origin: &str) -> Self {
        world.kernel.says(browser());
        let mut request = format!("ws://127.0.0.1:{}/halo", world.port()).into_client_request().unwrap();
        request.headers_mut().insert("origin", origin.parse().unwrap());
        let stream = TcpStream::connect(("127.0.0.1", world.port())).await.unwrap();
        Self(tokio_tungstenite::client_async(request, stream).await.unwrap().0)
    }

    async fn hello(&mut self, token: &Value, dpop: Option<String>) -> Option<String> {
        let mut hello = json!({"type": "hello", "access_token": token});
        if let Some(dpop) = dpop {
            hello["dpop"] = dpop.into();
        }
        self.0.send(Message::text(hello.to_string())).await.unwrap();
        self.next().await
    }

    /// The type of the next message; `None` when it is closed.
    async fn next(&mut self) -> Option<String> {
        loop {
            match self.0.next().await?.ok()? {
                Message::Text(text) => {
                    let value: Value = serde_json::from_str(text.as_str()).unwrap();
                    return Some(value["type"].as_str().unwrap().to_owned());
                }
                Message::Close(_) => return None,
                _ => {}
            }
        }
    }
}

async fn refresh(http: &mut Http, tokens: &Value) -> crate::http::Reply {
    let token = tokens["refresh_token"].as_str().unwrap();
    http.form("/token", &[("Origin", APP)], &[("grant_type", "refresh_token"), ("refresh_token", token)])
        .await
}

async fn userinfo(http: &mut Http, tokens: &Value) -> crate::http::Reply {
    let bearer = format!("Bearer {}", tokens["access_token"].as_str().unwrap());
    http.get("/userinfo", &[("Origin", APP), ("Authorization", &bearer)]).await
}

// threat: 18
#[tokio::test]
async fn a_revoked_grant_ends_tokens_and_lines_at_once() {
    let world = World::new().await;
    let mut http = world.connect(browser()).await;
    let instance = Instance::new();
    let tokens = bound_sign_in(&world, &mut http, APP, &instance, "openid profile").await;
    let token = tokens["access_token"].as_str().unwrap();
    let mut line = Line::open(&world, APP).await;
    let proof = instance.proof("GET", &format!("{}/halo", world.broker.url()), Some(token));
    assert_eq!(line.hello(&tokens["access_token"], Some(proof)).await.as_deref(), Some("ready"));
    let grant = world.wallet.snapshot().apps[0].id.clone();
    world.wallet.revoke(&grant).await.unwrap();
    assert_eq!(line.next().await.as_deref(), Some("revoked"));
    assert_eq!(line.next().await, None, "and it is closed");
    let authorization = format!("DPoP {token}");
    let proof = instance.proof("GET", &format!("{}/userinfo", world.broker.url()), Some(token));
    let headers = [("Origin", APP), ("Authorization", authorization.as_str()), ("DPoP", proof.as_str())];
    assert_eq!(http.get("/userinfo", &headers).await.status, 401);
    let url = format!("{}/token", world.broker.url());
    let proof = instance.proof("POST", &url, None);
    let fields =
        [("grant_type", "refresh_token"), ("refresh_token", tokens["refresh_token"].as_str().unwrap())];
    let refused = http.form("/token", &[("Origin", APP), ("DPoP", &proof)], &fields).await;
    assert_eq!(refused.error(), "invalid_grant");
    assert_eq!(http.get("/jwks", &[("Origin", APP)]).await.json(), json!({"keys": []}));
}

// threat: 18
#[tokio::test]
async fn a_code_is_worth_nothing_once_its_grant_is_revoked() {
    let world = World::new().await;
    let mut http = world.connect(browser()).await;
    let pkce = Pkce::new();
    let code = crate::app::code(&world, &mut http, APP, REDIRECT, &pkce).await;
    let grant = world.wallet.snapshot().apps[0].id.clone();
    world.wallet.revoke(&grant).await.unwrap();
    let refused = crate::app::redeem(&mut http, &[("Origin", APP)], APP, &code, &pkce).await;
    assert_eq!(refused.error(), "invalid_grant");
}

// threat: 18
#[tokio::test]
async fn a_lock_ends_tokens_and_lines_and_unlocking_does_not_bring_them_back() {
    let world = World::new().await;
    let mut http = world.connect(browser()).await;
    let tokens = back_channel(&world, &mut http, APP, "openid profile").await;
    let mut line = Line::open(&world, APP).await;
    assert_eq!(line.hello(&tokens["access_token"], None).await.as_deref(), Some("ready"));
    world.wallet.lock().await.unwrap();
    assert_eq!(line.next().await.as_deref(), Some("locked"));
    assert_eq!(line.next().await, None, "and it is closed");
    assert_eq!(userinfo(&mut http, &tokens).await.error(), "locked");
    assert_eq!(refresh(&mut http, &tokens).await.error(), "locked");
    world.wallet.unlock(None, false).await.unwrap();
    let mut again = Line::open(&world, APP).await;
    // The broker hears of the lock a moment after the wallet; the line is closed by either.
    let answer = again.hello(&tokens["access_token"], None).await;
    assert_ne!(answer.as_deref(), Some("locked"));
    let fresh = refresh(&mut http, &tokens).await;
    assert_eq!(fresh.status, 200, "the refresh token has survived: {}", fresh.text());
    assert_eq!(userinfo(&mut http, &fresh.json()).await.status, 200);
    assert_eq!(userinfo(&mut http, &tokens).await.status, 401, "the access token has not");
}

#[tokio::test]
async fn signing_out_ends_the_session() {
    let world = World::new().await;
    let mut http = world.connect(browser()).await;
    for name in ["refresh_token", "access_token"] {
        let tokens = back_channel(&world, &mut http, APP, "openid").await;
        let mut line = Line::open(&world, APP).await;
        assert_eq!(line.hello(&tokens["access_token"], None).await.as_deref(), Some("ready"));
        let token = tokens[name].as_str().unwrap();
        let evil = http.form("/revoke", &[("Origin", "https://evil.example")], &[("token", token)]).await;
        assert_eq!(evil.status, 200, "RFC 7009: no hint whether it is known");
        assert_eq!(userinfo(&mut http, &tokens).await.status, 200, "nobody else can end it");
        assert_eq!(http.form("/revoke", &[("Origin", APP)], &[("token", token)]).await.status, 200);
        assert_eq!(userinfo(&mut http, &tokens).await.status, 401);
        assert_eq!(refresh(&mut http, &tokens).await.error(), "invalid_grant");
        assert_eq!(line.next().await.as_deref(), Some("revoked"));
    }
}

#[tokio::test]
async fn a_line_needs_a_token_of_its_own_origin() {
    let world = World::new().await;
    let mut http = world.connect(browser()).await;
    let tokens = back_channel(&world, &mut http, APP, "openid").await;
    let mut evil = Line::open(&world, "https://evil.example").await;
    assert_eq!(evil.hello(&tokens["access_token"], None).await.as_deref(), Some("invalid_token"));
    let mut guess = Line::open(&world, APP).await;
    assert_eq!(guess.hello(&json!("guess"), None).await.as_deref(), Some("invalid_token"));
    let mut garbage = Line::open(&world, APP).await;
    garbage.0.send(Message::text("{")).await.unwrap();
    assert_eq!(garbage.next().await.as_deref(), Some("invalid_request"));
    assert_eq!(garbage.next().await, None);
}

// threat: 23
#[tokio::test]
async fn a_lock_in_the_middle_answers_everybody() {
    let world = World::new().await;
    let mut http = world.connect(browser()).await;
    let page = http.get(&authorize_path(APP, REDIRECT, &Pkce::new(), &[]), &NAVIGATION).await;
    let secret = page_secret(&page);
    let asked =
        http.form("/bc-authorize", &[("Origin", "https://other.example")], &[("scope", "openid")]).await;
    let id = asked.json()["auth_req_id"].as_str().unwrap().to_owned();
    world.prompt().await;
    let mut second = world.connect(browser()).await;
    let (done, ()) = tokio::join!(status(&mut second, &secret), async { world.wallet.lock().await.unwrap() });
    assert_eq!(parameter(done["redirect"].as_str().unwrap(), "error").as_deref(), Some("locked"));
    let fields = [("grant_type", CIBA), ("auth_req_id", id.as_str())];
    let poll = http.form("/token", &[("Origin", "https://other.example")], &fields).await;
    assert_eq!((poll.status, poll.error().as_str()), (503, "locked"));
    let late = http.form("/bc-authorize", &[("Origin", APP)], &[("scope", "openid")]).await;
    assert_eq!((late.status, late.error().as_str()), (503, "locked"));
}

// threat: 23
#[tokio::test]
async fn the_approval_page_waits_for_the_unlocking_and_goes_on() {
    let world = World::new().await;
    let mut http = world.connect(browser()).await;
    world.wallet.lock().await.unwrap();
    let page = http.get(&authorize_path(APP, REDIRECT, &Pkce::new(), &[]), &NAVIGATION).await;
    let secret = page_secret(&page);
    assert_eq!(status(&mut http, &secret).await["state"], "locked");
    world.wallet.unlock(None, false).await.unwrap();
    world.approve().await;
    let done = status(&mut http, &secret).await;
    let done = if done["redirect"].is_string() { done } else { status(&mut http, &secret).await };
    assert!(parameter(done["redirect"].as_str().unwrap(), "code").is_some());
}

// threat: 23
#[tokio::test]
async fn a_wallet_that_is_closed_answers_by_saying_so() {
    let world = World::new().await;
    let mut http = world.connect(browser()).await;
    let asked = http.form("/bc-authorize", &[("Origin", APP)], &[("scope", "openid")]).await;
    let id = asked.json()["auth_req_id"].as_str().unwrap().to_owned();
    world.prompt().await;
    world.wallet.clone().close().await;
    let fields = [("grant_type", CIBA), ("auth_req_id", id.as_str())];
    assert_eq!(http.form("/token", &[("Origin", APP)], &fields).await.error(), "locked");
}

// threat: 23
#[tokio::test]
async fn without_an_identity_an_app_hears_so() {
    let dir = tempfile::tempdir().unwrap();
    let wallet = wallet(&dir).await;
    let world = World::around(wallet, dir, halo_broker::Limits::default()).await;
    let mut http = world.connect(browser()).await;
    let asked = http.form("/bc-authorize", &[("Origin", APP)], &[("scope", "openid")]).await;
    assert_eq!((asked.status, asked.error().as_str()), (503, "no_identity"));
}

#[tokio::test]
async fn shutting_down_ends_lines_and_leaves_nothing_behind() {
    let world = World::new().await;
    let mut http = world.connect(browser()).await;
    let tokens = back_channel(&world, &mut http, APP, "openid").await;
    let mut line = Line::open(&world, APP).await;
    assert_eq!(line.hello(&tokens["access_token"], None).await.as_deref(), Some("ready"));
    let (run, port, wallet) = (world.runtime_dir(), world.port(), world.wallet.clone());
    world.broker.shutdown().await;
    assert_eq!(line.next().await, None);
    assert!(http.is_closed().await);
    assert!(!run.join("broker.json").exists());
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err(), "nobody listens");
    assert_eq!(wallet.snapshot().broker_url, None);
}
