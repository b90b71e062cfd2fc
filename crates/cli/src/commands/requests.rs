//! `halo requests`: what apps ask for, and the answer.

use std::path::Path;

use serde_json::{Value, json};

use crate::args::{Approve, Requests};
use crate::connect::{ask, connect, full_id};
use crate::error::Failure;
use crate::show::{self, Out, Page, joined, now, short, text, until};

pub(super) async fn run(profile: &Path, command: Requests, out: &Out) -> Result<(), Failure> {
    let mut client = connect(profile).await?;
    match command {
        Requests::List => {
            let requests = ask(&mut client, "requests.list").await?;
            out.answer(&requests, |page| list(page, &requests));
        }
        Requests::Watch => {
            // Locked or empty is worth an error here: the stream would just stay silent.
            ask(&mut client, "requests.list").await?;
            watch(client.stream("requests.watch", json!({})).await?, out).await;
        }
        Requests::Approve(approve) => {
            let id = full_id(&mut client, "requests.list", &approve.id).await?;
            let mut approve = approve;
            for space in &mut approve.spaces {
                *space = full_id(&mut client, "spaces.list", space).await?;
            }
            let answer = client.call("requests.approve", params(id, approve)).await?;
            out.answer(&answer, |page| {
                format!(
                    "{} {}",
                    page.good("Approved."),
                    page.faint(&format!("grant {}", text(&answer, "grant")))
                )
            });
        }
        Requests::Deny { id } => {
            let id = full_id(&mut client, "requests.list", &id).await?;
            client.call("requests.deny", json!({"id": id})).await?;
            out.answer(&json!({"denied": id}), |_| "Denied.".to_owned());
        }
    }
    Ok(())
}

fn params(id: String, approve: Approve) -> Value {
    let mut params = json!({"id": id, "identity": approve.identity});
    if let Some(members) = params.as_object_mut() {
        if let Some(words) = approve.words {
            members.insert("words".to_owned(), words.into());
        }
        if !approve.scopes.is_empty() {
            members.insert("scopes".to_owned(), approve.scopes.into());
        }
        if !approve.spaces.is_empty() {
            members.insert("spaces".to_owned(), approve.spaces.into());
        }
        if !approve.fields.is_empty() || approve.no_fields {
            members.insert("fields".to_owned(), approve.fields.into());
        }
    }
    params
}

/// Shows what comes in, until the wallet goes away.
async fn watch(mut items: halo_broker::control::Items, out: &Out) {
    let mut waiting: Vec<Value> = Vec::new();
    if out.json() {
        show::line(&json!(waiting).to_string());
    }
    while let Some(item) = items.next().await {
        let kind = text(&item, "type");
        let before = waiting.len();
        match kind.as_str() {
            "asked" => waiting.extend(item.get("request").cloned()),
            "answered" => waiting.retain(|request| request.get("id") != item.get("id")),
            "locked" => waiting.clear(),
            _ => {}
        }
        if out.json() {
            if waiting.len() != before {
                show::line(&json!(waiting).to_string());
            }
            continue;
        }
        out.answer(&item, |page| match (kind.as_str(), item.get("request")) {
            ("asked", Some(request)) => described(page, request),
            ("answered", _) => {
                let id = short(&text(&item, "id"));
                format!("{}  {}\n", page.strong(&id), text(&item, "outcome"))
            }
            ("unlock_wanted", _) => page.alert("An app asks, but the wallet is locked.\n"),
            _ => page.faint(&format!("({kind})\n")),
        });
    }
}

fn list(page: &Page<'_>, requests: &Value) -> String {
    let requests = requests.as_array().map(Vec::as_slice).unwrap_or_default();
    if requests.is_empty() {
        return "No app asks for anything.".to_owned();
    }
    let described: Vec<String> = requests.iter().map(|request| described(page, request)).collect();
    described.join("\n").trim_end().to_owned()
}

fn described(page: &Page<'_>, request: &Value) -> String {
    let app = request.get("app").unwrap_or(&Value::Null);
    let time = |member: &str| request.get(member).and_then(Value::as_u64).unwrap_or_default();
    let id = short(&text(request, "id"));
    let claimed = text(app, "name");
    let scopes = joined(request, "scopes", ", ");
    let new = joined(request, "new_scopes", ", ");
    let known = request.get("known") == Some(&Value::Bool(true));
    let choices: Vec<String> = request
        .get("word_choices")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|words| joined(&json!({ "words": words }), "words", " "))
        .collect();
    let facts = page.facts(&[
        ("calls itself", claimed),
        ("process", process(app)),
        ("asks for", scopes.clone()),
        ("new", if known && new != scopes { new } else { String::new() }),
        ("would see", joined(request, "fields", ", ")),
        ("could see", spaces(request)),
        ("message", text(request, "binding_message")),
        ("beware", page.alert(&warnings(app))),
        ("its page shows", joined(request, "compare_words", " ")),
        ("choose", choices.join(" | ")),
    ]);
    let head = format!(
        "{}  {}  {}",
        page.strong(&id),
        page.strong(&who(app)),
        page.faint(&until(time("expires"), now()))
    );
    let example = if choices.is_empty() {
        format!("halo requests approve {id}")
    } else {
        format!("halo requests approve {id} --words \"the three that its page shows\"")
    };
    format!("{head}\n{}\n  {}\n", indented(&facts), page.faint(&example))
}

/// The spaces of the user that could be shared with it: by name, with what to type.
fn spaces(request: &Value) -> String {
    let spaces = request.get("spaces").and_then(Value::as_array).into_iter().flatten();
    let named: Vec<String> = spaces
        .map(|space| {
            let (id, name) = (short(&text(space, "id")), text(space, "name"));
            if name.is_empty() { format!("--space {id}") } else { format!("{name} (--space {id})") }
        })
        .collect();
    named.join(", ")
}

/// Who asks, by evidence: the origin of a page, the executable of a program.
pub(super) fn who(app: &Value) -> String {
    let origin = text(app, "origin");
    if origin.is_empty() { text(app, "client_id") } else { origin }
}

fn process(app: &Value) -> String {
    let Some(process) = app.get("process").filter(|process| process.is_object()) else {
        return String::new();
    };
    let path = text(process, "path");
    let path = if path.is_empty() { text(process, "name") } else { path };
    format!("{path} ({})", text(process, "pid"))
}

fn warnings(app: &Value) -> String {
    let warnings: Vec<String> = app
        .get("warnings")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|warning| match text(warning, "kind").as_str() {
            "not_a_browser" => "says it is a web page, but is not a browser".to_owned(),
            "unknown_process" => "the program behind it was not found".to_owned(),
            "international" => "its address has letters that look like others".to_owned(),
            "looks_like" => format!("looks like {}, but is another", text(warning, "known")),
            "insecure" => "its connection is not encrypted".to_owned(),
            other => other.to_owned(),
        })
        .collect();
    warnings.join("; ")
}

fn indented(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|line| format!("  {line}")).collect();
    lines.join("\n")
}
