//! Requests of a real app over HTTP, answered on the command line.

use std::io::{BufRead, BufReader};

use serde_json::Value;

use crate::app;
use crate::world::World;

#[test]
fn an_app_signs_in_is_listed_and_signed_out_by_revoking() {
    let world = World::new();
    world.init();
    let daemon = world.daemon();
    assert_eq!(world.json(&["requests", "list"]), serde_json::json!([]));
    let asked = app::ask(&daemon, "notes");
    let (status, pending) = app::tokens(&daemon, "notes", &asked);
    assert_eq!((status, &pending["error"]), (400, &"authorization_pending".into()));

    let requests = world.json(&["requests", "list"]);
    let request = &requests[0];
    for member in ["id", "app", "scopes", "binding_message", "created"] {
        assert!(request.get(member).is_some(), "{member} is missing in {request}");
    }
    assert_eq!(request["scopes"], serde_json::json!(["openid", "profile"]));
    let process = request["app"]["process"]["path"].as_str().unwrap();
    assert_eq!(process, std::env::current_exe().unwrap().to_str().unwrap(), "the asker is this very process");
    let words = world.run(&["requests", "list"]).stdout();
    assert!(words.contains("notes") && words.contains(process), "{words}");

    let id = request["id"].as_str().unwrap();
    let approved = world.json(&["requests", "approve", &id[..6], "--alias"]);
    let grant = approved["grant"].as_str().unwrap();
    let (status, tokens) = app::tokens(&daemon, "notes", &asked);
    assert_eq!(status, 200, "{tokens}");

    let apps = world.json(&["apps", "list"]);
    assert_eq!(apps[0]["id"], grant);
    for member in ["id", "name", "origin", "scopes", "spaces", "sub", "last_used"] {
        assert!(apps[0].get(member).is_some(), "{member} is missing in {}", apps[0]);
    }
    assert!(apps[0]["sub"].as_str().unwrap().starts_with("did:key:z6Mk"));
    assert!(world.run(&["apps", "list"]).stdout().contains("notes"));

    world.json(&["apps", "revoke", &grant[..6]]);
    assert_eq!(world.json(&["apps", "list"]), serde_json::json!([]));
    let refresh = tokens["refresh_token"].as_str().unwrap();
    let (status, refused) = app::refreshed(&daemon, "notes", refresh);
    assert_eq!((status, &refused["error"]), (400, &"invalid_grant".into()));

    let log = world.json(&["audit"]);
    let events: Vec<&str> =
        log.as_array().unwrap().iter().map(|entry| entry["event"].as_str().unwrap()).collect();
    for event in ["approved", "revoked"] {
        assert!(events.contains(&event), "{event} is missing in {events:?}");
    }
    let recent = world.json(&["audit", "--since", "1h", "--event", "approved"]);
    assert_eq!(recent.as_array().unwrap().len(), 1);
    assert!(world.run(&["audit"]).stdout().contains("approved"));
}

#[test]
fn no_is_no() {
    let world = World::new();
    world.init();
    let daemon = world.daemon();
    let asked = app::ask(&daemon, "notes");
    let id = world.json(&["requests", "list"])[0]["id"].as_str().unwrap().to_owned();
    world.json(&["requests", "deny", &id]);
    let (status, answer) = app::tokens(&daemon, "notes", &asked);
    assert_eq!((status, &answer["error"]), (400, &"access_denied".into()));
    let late = world.run(&["--json", "requests", "approve", &id]);
    assert_eq!((late.status(), late.error_code().as_str()), (5, "wallet.not_found"));
    let unknown = world.run(&["--json", "apps", "revoke", "00112233445566778899aabbccddeeff"]);
    assert_eq!(unknown.status(), 5, "{}", unknown.stderr());
}

#[test]
fn a_watcher_sees_requests_come_and_go() {
    let world = World::new();
    world.init();
    let daemon = world.daemon();
    let mut watcher = world.halo(&["--json", "requests", "watch"]).spawn().unwrap();
    let mut lines = BufReader::new(watcher.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(next(), serde_json::json!([]));
    app::ask(&daemon, "notes");
    let waiting = next();
    assert_eq!(waiting[0]["app"]["client_id"], "notes");
    world.json(&["requests", "deny", waiting[0]["id"].as_str().unwrap()]);
    assert_eq!(next(), serde_json::json!([]));
    drop(daemon);
    watcher.wait().unwrap();
}
