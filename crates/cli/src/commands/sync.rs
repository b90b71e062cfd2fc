//! `halo sync`: who is connected, and who lacks what.

use std::path::Path;

use serde_json::{Value, json};

use crate::args::Sync;
use crate::connect::{ask, connect};
use crate::error::Failure;
use crate::show::{Out, Page, ago, now, size, text};

pub(super) async fn run(profile: &Path, command: Sync, out: &Out) -> Result<(), Failure> {
    let mut client = connect(profile).await?;
    let Sync::Status { watch } = command;
    if !watch {
        let status = ask(&mut client, "sync.status").await?;
        out.answer(&status, |page| words(page, &status));
        return Ok(());
    }
    let mut states = client.stream("sync.watch", json!({})).await?;
    while let Some(status) = states.next().await {
        out.answer(&status, |page| format!("{}\n", words(page, &status)));
    }
    Ok(())
}

fn words(page: &Page<'_>, status: &Value) -> String {
    let now = now();
    let count = |value: &Value, member: &str| value.get(member).and_then(Value::as_u64).unwrap_or_default();
    let mut lines = Vec::new();
    for peer in members(status, "peers") {
        let state = if peer.get("in_step") == Some(&Value::Bool(true)) {
            page.good("in step")
        } else {
            page.alert("catching up")
        };
        let path = match text(peer, "path").as_str() {
            "direct" => "direct".to_owned(),
            "lan" => "in this network".to_owned(),
            "relay" => "relayed".to_owned(),
            other => other.to_owned(),
        };
        lines.push(format!(
            "{}  {path} since {}  {} in, {} out  {state}",
            page.strong(&text(peer, "label")),
            ago(count(peer, "since"), now),
            size(count(peer, "bytes_in")),
            size(count(peer, "bytes_out")),
        ));
    }
    if lines.is_empty() {
        lines.push("No other device is reachable.".to_owned());
    }
    for space in members(status, "spaces") {
        let missing: (u64, u64) = members(space, "peers").fold((0, 0), |(here, there), peer| {
            (here + count(peer, "missing_here"), there + count(peer, "missing_there"))
        });
        let name = text(space, "name");
        let name = if name.is_empty() { text(space, "id") } else { name };
        let state = match missing {
            (0, 0) => page.good("in step"),
            (here, there) => page.alert(&format!("{here} to come, {there} to send")),
        };
        lines.push(format!("{name}  {} here  {state}", count(space, "here")));
    }
    for server in members(status, "servers") {
        let error = text(server, "error");
        let state = text(server, "state");
        let state = if state == "connected" { page.good(&state) } else { page.alert(&state) };
        lines.push(format!("{}  {state}  {}", text(server, "url"), page.faint(&error)).trim_end().to_owned());
    }
    lines.join("\n")
}

fn members<'a>(value: &'a Value, member: &str) -> impl Iterator<Item = &'a Value> {
    value.get(member).and_then(Value::as_array).into_iter().flatten()
}
