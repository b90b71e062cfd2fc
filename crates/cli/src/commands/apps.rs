//! `halo apps`: who was let in.

use std::path::Path;

use serde_json::{Value, json};

use crate::args::Apps;
use crate::connect::{ask, connect, full_id};
use crate::error::Failure;
use crate::show::{Out, Page, ago, joined, now, short, text};

pub(super) async fn run(profile: &Path, command: Apps, out: &Out) -> Result<(), Failure> {
    let mut client = connect(profile).await?;
    match command {
        Apps::List => {
            let apps = ask(&mut client, "apps.list").await?;
            out.answer(&apps, |page| list(page, &apps));
        }
        Apps::FreshAlias { id } => {
            let id = full_id(&mut client, "apps.list", &id).await?;
            client.call("apps.alias.fresh", json!({"id": id})).await?;
            out.answer(&json!({"moved": id}), |_| "The app knows you by a fresh account now.".to_owned());
        }
        Apps::Revoke { id } => {
            let id = full_id(&mut client, "apps.list", &id).await?;
            client.call("apps.revoke", json!({"id": id})).await?;
            out.answer(&json!({"revoked": id}), |_| "Revoked; the app is signed out.".to_owned());
        }
    }
    Ok(())
}

fn list(page: &Page<'_>, apps: &Value) -> String {
    let apps = apps.as_array().map(Vec::as_slice).unwrap_or_default();
    if apps.is_empty() {
        return "No app was let in.".to_owned();
    }
    let now = now();
    let rows: Vec<[String; 4]> = apps
        .iter()
        .map(|app| {
            let used = app.get("last_used").and_then(Value::as_u64);
            let knows =
                if app.get("identity") == Some(&Value::Bool(true)) { "your identity" } else { "an alias" };
            let shared = joined(app, "fields", ", ");
            [
                short(&text(app, "id")),
                super::requests::who(app),
                used.map_or_else(|| "never used".to_owned(), |used| ago(used, now)),
                if shared.is_empty() { knows.to_owned() } else { format!("{knows}, {shared}") },
            ]
        })
        .collect();
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let (names, times) = (width(1), width(2));
    let lines: Vec<String> = rows
        .iter()
        .map(|[id, who, used, knows]| {
            format!(
                "{}  {}  {}  {knows}",
                page.strong(id),
                page.strong(&format!("{who:<names$}")),
                page.faint(&format!("{used:<times$}"))
            )
        })
        .collect();
    lines.join("\n")
}
