//! `halo audit`: what was allowed, refused and used.

use std::path::Path;

use halo_broker::control::Client;
use serde_json::{Value, json};

use crate::args::Audit;
use crate::connect::{ask, connect};
use crate::error::Failure;
use crate::show::{Out, Page, ago, now, plain, text};

/// Entries in one question.
const PAGE: usize = 500;

/// Entries shown where nobody said how many.
const SOME: usize = 50;

pub(super) async fn run(profile: &Path, audit: &Audit, out: &Out) -> Result<(), Failure> {
    let mut client = connect(profile).await?;
    let entries = Value::Array(read(&mut client, audit).await?);
    let status = ask(&mut client, "status").await?;
    out.answer(&entries, |page| words(page, &entries, &text(&status, "audit_broken_at")));
    Ok(())
}

/// Newest first, page by page, until the beginning that was asked for.
async fn read(client: &mut Client, audit: &Audit) -> Result<Vec<Value>, Failure> {
    let since = audit.since.map(|since| since.at(now()));
    let most = audit.limit.unwrap_or(if since.is_some() { usize::MAX } else { SOME });
    let mut entries: Vec<Value> = Vec::new();
    let mut before: Option<u64> = None;
    while entries.len() < most {
        let limit = PAGE.min(most - entries.len());
        let params =
            json!({"since": since, "before": before, "limit": limit, "event": audit.event, "app": audit.app});
        let Value::Array(page) = client.call("audit", params).await? else { break };
        let full = page.len() == limit;
        before = page.last().and_then(|entry| entry.get("seq")).and_then(Value::as_u64);
        entries.extend(page);
        if !full || before.is_none() {
            break;
        }
    }
    Ok(entries)
}

fn words(page: &Page<'_>, entries: &Value, broken_at: &str) -> String {
    let now = now();
    let entries = entries.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut lines: Vec<String> = Vec::new();
    if !broken_at.is_empty() {
        lines.push(page.alert(&format!(
            "This log was altered: from entry {broken_at} on it cannot be trusted, nor what is missing before it."
        )));
    }
    if entries.is_empty() {
        lines.push("Nothing has happened.".to_owned());
    }
    for entry in entries {
        let at = entry.get("at").and_then(Value::as_u64).unwrap_or_default();
        lines.push(format!(
            "{}  {}  {}  {}",
            page.faint(&format!("{:>5}  {:<12}", text(entry, "seq"), ago(at, now))),
            page.strong(&format!("{:<18}", text(entry, "event").replace('_', " "))),
            text(entry, "app"),
            page.faint(&details(entry))
        ));
    }
    let lines: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
    lines.join("\n")
}

fn details(entry: &Value) -> String {
    let details: Vec<String> = entry
        .get("details")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|detail| {
            let detail = detail.as_array()?;
            Some(format!("{}: {}", detail.first()?.as_str()?, detail.get(1)?.as_str()?))
        })
        .collect();
    plain(&details.join(", ")).replace('\n', " ")
}
