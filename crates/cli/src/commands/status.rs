//! `halo status`.

use std::path::Path;

use serde_json::{Value, json};

use crate::connect::{ask, connect_if_running};
use crate::error::Failure;
use crate::show::{Out, Page, text};

pub(super) async fn run(profile: &Path, out: &Out) -> Result<(), Failure> {
    let status = match connect_if_running(profile).await? {
        Some(mut client) => {
            let mut status = ask(&mut client, "status").await?;
            if let Some(members) = status.as_object_mut() {
                members.insert("running".to_owned(), true.into());
            }
            status
        }
        None => at_rest(profile),
    };
    out.answer(&status, |page| words(page, &status));
    Ok(())
}

/// What can be said of a profile that nothing serves: whether there is an identity in it.
fn at_rest(profile: &Path) -> Value {
    // The wallet makes this directory in one step, when an identity is whole.
    let state = if profile.join("identity").is_dir() { "locked" } else { "empty" };
    json!({
        "running": false,
        "state": state,
        "did": null,
        "name": null,
        "device_key": null,
        "broker_url": null,
        "kubes": [],
        "peers": [],
        "profile": profile,
    })
}

fn words(page: &Page<'_>, status: &Value) -> String {
    let running = status.get("running") == Some(&Value::Bool(true));
    let state = match text(status, "state").as_str() {
        "unlocked" => page.good("unlocked"),
        "locked" if running => page.alert("locked"),
        "empty" => "no identity yet".to_owned(),
        other => other.to_owned(),
    };
    let served = if running {
        let url = text(status, "broker_url");
        format!("{url} (process {})", text(status, "pid"))
    } else {
        "nothing runs for this profile".to_owned()
    };
    let protection = match (running, status.get("passphrase")) {
        (true, Some(Value::Bool(true))) => "passphrase",
        (true, Some(Value::Bool(false)))
            if status.get("root_place").is_some_and(|place| !place.is_null()) =>
        {
            "keychain only, no passphrase"
        }
        _ => "",
    };
    let phrase = match text(status, "phrase").as_str() {
        "unconfirmed" => page.alert("not confirmed: `halo identity phrase confirm`"),
        "confirmed" => "confirmed, still on this device".to_owned(),
        "forgotten" => "confirmed, not on this device".to_owned(),
        _ => String::new(),
    };
    let (trouble, todo) = match status.get("trouble").filter(|trouble| trouble.is_object()) {
        Some(trouble) => {
            let failure = Failure::new(&text(trouble, "code"), text(trouble, "message"));
            let todo = failure.next_step().unwrap_or_default().to_owned();
            (failure.message, todo)
        }
        None => Default::default(),
    };
    let log = text(status, "audit_broken_at");
    page.facts(&[
        ("state", state),
        ("name", page.strong(&text(status, "name"))),
        ("identity", text(status, "did")),
        ("did:key", text(status, "did_key")),
        ("device", text(status, "device_key")),
        ("24 words", phrase),
        ("protected by", protection.to_owned()),
        ("serves", served),
        ("profile", text(status, "profile")),
        ("trouble", page.alert(&trouble)),
        ("what to do", todo),
        (
            "activity",
            if log.is_empty() { log } else { page.alert(&format!("the log was altered at entry {log}")) },
        ),
    ])
}
