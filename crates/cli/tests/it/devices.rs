//! A second device, in two terminals: the link, the six digits, and everything is there.

use serde_json::json;

use crate::states::States;
use crate::world::World;

#[test]
fn a_new_device_shows_digits_and_the_trusted_one_takes_them() {
    let (ada, new) = (World::new(), World::new());
    ada.init();
    let (_one, _other) = (ada.daemon(), new.daemon());
    ada.json(&["spaces", "create", "--name", "Household"]);

    let mut host = States::start(&ada, &["devices", "invite"]);
    let offered = host.next().unwrap();
    let url = offered["url"].as_str().unwrap();
    assert!(url.starts_with("halo://join/"), "{url}");
    let mut guest = States::start(&new, &["devices", "join", url, "--name", "Kitchen"]);
    let code = guest.until("READY_FOR_AUTHENTICATION")["code"].as_str().unwrap().to_owned();
    assert!(code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit()), "{code}");
    let asked = host.until("READY_FOR_AUTHENTICATION");
    assert_eq!(asked["guest"]["label"], "Kitchen");
    assert!(!asked.to_string().contains(&code), "the trusted device does not know them before");
    host.types(&code);
    let admitted = host.until("SUCCESS");
    assert_eq!((host.end(), guest.end()), (0, 0));

    let devices = ada.json(&["devices", "list"]);
    let labels: Vec<_> = devices.as_array().unwrap().iter().map(|device| device["label"].clone()).collect();
    assert!(labels.contains(&json!("Kitchen")), "{devices}");
    assert_eq!(new.json(&["identity", "show"])["name"], "Ada");
    assert_eq!(new.json(&["spaces", "list"])[0]["name"], "Household");
    let key = admitted["device_key"].as_str().unwrap();
    ada.json(&["devices", "rename", &key[..8], "--name", "Kitchen table"]);
    let removed = ada.json(&["devices", "revoke", &key[..8], "--yes"]);
    assert_eq!((removed["last"].clone(), removed["device_key"].clone()), (json!(false), json!(key)));
}

// threat: 24, 28
#[test]
fn wrong_digits_burn_the_invitation() {
    let (ada, new) = (World::new(), World::new());
    ada.init();
    let (_one, _other) = (ada.daemon(), new.daemon());
    let mut host = States::start(&ada, &["devices", "invite"]);
    let url = host.next().unwrap()["url"].as_str().unwrap().to_owned();
    let mut guest = States::start(&new, &["devices", "join", &url, "--name", "Stranger"]);
    let code = guest.until("READY_FOR_AUTHENTICATION")["code"].as_str().unwrap().to_owned();
    host.until("READY_FOR_AUTHENTICATION");
    host.types(if code == "000000" { "000001" } else { "000000" });
    assert_eq!(host.end(), 4);
    assert_ne!(guest.end(), 0);
    assert_eq!(new.json(&["status"])["state"], "empty", "nothing of the identity is there");
    assert_eq!(ada.json(&["devices", "list"]).as_array().unwrap().len(), 1);
}

#[test]
fn an_invitation_is_listed_and_withdrawn() {
    let ada = World::new();
    ada.init();
    let _daemon = ada.daemon();
    let mut host = States::start(&ada, &["devices", "invite", "--expires", "60"]);
    let id = host.next().unwrap()["invitation_id"].as_str().unwrap().to_owned();
    assert_eq!(ada.json(&["invitations", "list"])[0]["invitation_id"], json!(id));
    ada.json(&["invitations", "cancel", &id]);
    assert_eq!(host.end(), 1);
    let status = ada.json(&["sync", "status"]);
    assert_eq!(status["peers"], json!([]));
}

#[test]
fn who_is_not_refused_is_not_agreed_with() {
    let ada = World::new();
    ada.init();
    let _daemon = ada.daemon();
    assert_eq!(ada.json(&["devices", "refused"]), json!([]));
    assert_eq!(ada.json(&["devices", "list"])[0]["suspended"], json!(false));
    for id in ["5c0d", "", &"5c".repeat(32)] {
        let nobody = ada.run(&["--json", "devices", "agree", id, "--yes"]);
        assert_eq!((nobody.status(), nobody.error_code().as_str()), (5, "wallet.not_found"), "{id}");
    }
}

#[test]
fn what_is_no_code_is_said() {
    let (ada, new) = (World::new(), World::new());
    ada.init();
    let (_one, _other) = (ada.daemon(), new.daemon());
    let join =
        |world: &World, code: &str| world.run(&["--json", "devices", "join", code, "--name", "Kitchen"]);
    assert_eq!(join(&ada, "halo://join/AQID").error_code(), "wallet.identity_exists");
    for code in ["halo://join/AQID", "halo://join/", "https://example.org/", "halo-newcomer:AQID"] {
        let refused = join(&new, code);
        assert_ne!(refused.status(), 0, "{code}");
        refused.error_code();
    }
    assert_eq!(new.json(&["status"])["state"], "empty");
}
