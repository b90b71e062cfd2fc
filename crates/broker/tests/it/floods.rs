//! Too much, too long, too slow.

use std::time::Duration;

use halo_broker::{Limits, evidence::Owner};
use proptest::prelude::*;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::app::{APP, back_channel};
use crate::http::Http;
use crate::world::{World, browser, program};

/// Long enough for any machine; short enough to say that something hangs.
const PATIENCE: Duration = Duration::from_secs(60);

// threat: 11
#[tokio::test]
async fn ten_thousand_first_contacts_are_one_prompt_for_each_app_and_then_a_refusal() {
    let world = World::new().await;
    let mut http = world.connect(browser()).await;
    let mut refused = 0;
    for n in 0..10_000_u32 {
        let answer = http.form("/bc-authorize", &[("Origin", APP)], &[("scope", "openid")]).await;
        match answer.status {
            200 => assert!(world.wallet.snapshot().requests.len() <= 1, "attempt {n}"),
            429 => {
                assert!(answer.header("retry-after").is_some());
                refused += 1;
            }
            other => panic!("{other}: {}", answer.text()),
        }
    }
    assert!(refused > 5_000, "{refused} were refused");
    assert_eq!(world.prompt().await.app.origin.as_deref(), Some(APP));
    assert_eq!(world.wallet.snapshot().requests.len(), 1);
    // Another app is not kept out.
    let other =
        http.form("/bc-authorize", &[("Origin", "https://other.example")], &[("scope", "openid")]).await;
    assert_eq!(other.status, 200);
}

// threat: 11
#[tokio::test]
async fn a_thousand_apps_are_a_bounded_number_of_prompts() {
    let world = World::new().await;
    let mut http = world.connect(browser()).await;
    for n in 0..1_000 {
        let origin = format!("https://a{n}.example");
        let answer = http.form("/bc-authorize", &[("Origin", &origin)], &[("scope", "openid")]).await;
        assert!([200, 503].contains(&answer.status), "{}", answer.text());
    }
    let waiting = world.wallet.snapshot().requests.len();
    assert!((1..=16).contains(&waiting), "{waiting} prompts");
}

// threat: 11
#[tokio::test]
async fn a_program_gets_no_more_by_claiming_many_origins() {
    let world = World::new().await;
    let mut tool = world.connect(program("/usr/bin/flood")).await;
    let mut refused = 0;
    for n in 0..1_000 {
        let origin = format!("https://a{n}.example");
        let answer = tool.form("/bc-authorize", &[("Origin", &origin)], &[("scope", "openid")]).await;
        refused += usize::from(answer.status == 429);
    }
    assert!(refused > 500, "{refused}");
    assert_eq!(world.wallet.snapshot().requests.len(), 1, "it is one asker, whatever it says");
}

// threat: 11
#[tokio::test]
async fn a_site_gets_no_more_by_its_many_addresses() {
    let world = World::new().await;
    let mut http = world.connect(browser()).await;
    let mut refused = 0;
    for n in 0..1_000 {
        let origin = format!("https://a{n}.flood.example");
        let answer = http.form("/bc-authorize", &[("Origin", &origin)], &[("scope", "openid")]).await;
        refused += usize::from(answer.status == 429);
    }
    assert!(refused > 500, "{refused}");
    let other = http.form("/bc-authorize", &[("Origin", APP)], &[("scope", "openid")]).await;
    assert_eq!(other.status, 200, "{}", other.text());
}

// threat: 22
#[tokio::test]
async fn a_request_that_comes_byte_by_byte_is_cut_off() {
    assert_eq!(Limits::default().head, Duration::from_secs(10));
    assert_eq!(Limits::default().body, Duration::from_secs(10));
    let brief = Duration::from_millis(150);
    let world = World::with(Limits { head: brief, ..Limits::default() }).await;
    world.kernel.says(program("/usr/bin/slow"));
    let dribble = async {
        let mut stream = TcpStream::connect(("127.0.0.1", world.port())).await.unwrap();
        let head = format!("GET /jwks HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nX: ", world.port());
        let endless = head.bytes().chain(std::iter::repeat(b'x'));
        for byte in endless {
            if stream.write_all(&[byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, dribble).await.expect("the head is cut off");
    // The body alone: a busy machine may take longer than this for the head.
    let world = World::with(Limits { body: brief, ..Limits::default() }).await;
    world.kernel.says(program("/usr/bin/slow"));
    let mut http = Http::connect(world.port()).await;
    let head = format!(
        "POST /token HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: 100\r\n\r\ngrant_type=",
        world.port()
    );
    http.stream.write_all(head.as_bytes()).await.unwrap();
    let answer = tokio::time::timeout(PATIENCE, http.read()).await.expect("the body is cut off").unwrap();
    assert_eq!(answer.status, 408);
    assert!(http.is_closed().await);
}

// threat: 21
#[tokio::test]
async fn what_is_too_large_is_refused_by_name() {
    let world = World::new().await;
    let long = "x".repeat(70_000);
    let mut http = world.connect(browser()).await;
    assert_eq!(http.form("/token", &[("Origin", APP)], &[("code", &long)]).await.status, 413);
    let mut http = world.connect(browser()).await;
    assert_eq!(http.get(&format!("/authorize?x={}", "y".repeat(9_000)), &[]).await.status, 414);
    let mut http = world.connect(browser()).await;
    let many = "z".repeat(40_000);
    assert_eq!(http.get("/jwks", &[("Origin", APP), ("X-Long", &many)]).await.status, 431);
    let mut http = world.connect(browser()).await;
    let chunked = "POST /token HTTP/1.1\r\nHost: 127.0.0.1:1\r\nTransfer-Encoding: chunked\r\n\r\nZZZ\r\n";
    http.stream.write_all(chunked.as_bytes()).await.unwrap();
    assert!(http.read().await.is_none_or(|answer| answer.status >= 400));
    assert_eq!(
        world.connect(browser()).await.get("/jwks", &[("Origin", APP)]).await.status,
        200,
        "it still serves"
    );
}

// threat: 21
#[test]
fn no_garbage_makes_the_broker_fail_otherwise_than_by_a_refusal() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(World::new());
    let words = prop_oneof![
        "[ -~]{0,40}",
        Just("openid".to_owned()),
        Just(APP.to_owned()),
        Just("S256".to_owned()),
        Just("code".to_owned()),
        any::<String>(),
    ];
    let names = prop::sample::select(vec![
        "client_id",
        "redirect_uri",
        "scope",
        "code",
        "code_verifier",
        "grant_type",
        "auth_req_id",
        "refresh_token",
        "token",
        "request_uri",
        "halo_commitment",
        "requested_expiry",
        "prompt",
        "login_hint",
        "[]",
    ]);
    let paths = prop::sample::select(vec![
        "/token",
        "/par",
        "/bc-authorize",
        "/revoke",
        "/halo/reveal",
        "/halo/hello",
    ]);
    let strategy = (paths, prop::collection::vec((names, words), 0..8), any::<bool>(), "[ -~]{0,80}");
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let world = &world;
    runner
        .run(&strategy, |(path, fields, as_json, dpop)| {
            runtime.block_on(async {
                let mut http = world.connect(browser()).await;
                let fields: Vec<(&str, &str)> =
                    fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
                let answer = if as_json {
                    let body = format!("{{{}", crate::http::form(&fields));
                    http.send("POST", path, &[("Origin", APP), ("DPoP", &dpop)], &body).await
                } else {
                    http.form(path, &[("Origin", APP)], &fields).await
                };
                prop_assert!(
                    (200..500).contains(&answer.status) || answer.status == 503,
                    "{}",
                    answer.text()
                );
                Ok(())
            })
        })
        .unwrap();
}

// threat: 11
#[tokio::test]
async fn two_thousand_idle_connections_do_not_keep_an_app_out() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(8_192, |most| most.min(8_192));
    if limit.current.is_some_and(|current| current < wanted) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum }).unwrap();
    }
    let world = World::new().await;
    let mut page = world.connect(browser()).await;
    back_channel(&world, &mut page, APP, "openid").await;
    let mut idle = Vec::new();
    for _ in 0..2_000 {
        idle.push(TcpStream::connect(("127.0.0.1", world.port())).await.unwrap());
    }
    let mut page = tokio::time::timeout(PATIENCE, world.connect(browser())).await.expect("it is let in");
    let tokens = back_channel(&world, &mut page, "https://other.example", "openid").await;
    assert!(tokens["access_token"].is_string());
    drop(idle);
}

#[tokio::test]
async fn an_unknown_process_is_no_way_around_the_limits() {
    let world = World::new().await;
    let mut http = world.connect(Owner::Unsure).await;
    let mut refused = 0;
    for n in 0..500 {
        let id = format!("app-{n}");
        let answer = http.form("/bc-authorize", &[], &[("client_id", &id), ("scope", "openid")]).await;
        refused += usize::from(answer.status == 429);
    }
    assert!(refused > 100, "{refused}");
}
