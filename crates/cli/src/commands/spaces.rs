//! `halo spaces`: what apps keep here.

use std::io::{IsTerminal, Write};
use std::path::Path;

use serde_json::{Value, json};

use crate::args::Spaces;
use crate::connect::{ask, connect, full_id};
use crate::error::Failure;
use crate::secret::{Source, into_value};
use crate::show::{Bar, Out, Page, short, size, text};

pub(super) async fn run(profile: &Path, command: Spaces, out: &Out) -> Result<(), Failure> {
    let mut client = connect(profile).await?;
    match command {
        Spaces::List => {
            let spaces = ask(&mut client, "spaces.list").await?;
            out.answer(&spaces, |page| list(page, &spaces));
        }
        Spaces::Create { name } => {
            let space = client.call("spaces.create", json!({"name": name})).await?;
            out.answer(&space, |page| {
                format!("Made {}, {}.", page.strong(&text(&space, "name")), text(&space, "id"))
            });
        }
        Spaces::Rename { id, name } => {
            let id = full_id(&mut client, "spaces.list", &id).await?;
            client.call("spaces.rename", json!({"id": id, "name": name})).await?;
            out.answer(&json!({"renamed": id}), |_| "Renamed.".to_owned());
        }
        Spaces::Share { id, app } => {
            let id = full_id(&mut client, "spaces.list", &id).await?;
            let grant = full_id(&mut client, "apps.list", &app).await?;
            client.call("spaces.share", json!({"id": id, "grant": grant})).await?;
            out.answer(&json!({"shared": id}), |_| "The app sees the space now.".to_owned());
        }
        Spaces::Unshare { id, app } => {
            let id = full_id(&mut client, "spaces.list", &id).await?;
            let grant = full_id(&mut client, "apps.list", &app).await?;
            let spaces = ask(&mut client, "spaces.list").await?;
            let app = app_in(&spaces, &id, &grant);
            let app = app.ok_or_else(|| Failure::new("cli.not_found", "that app does not see this space"))?;
            client.call("spaces.unshare", json!({"id": id, "app": app})).await?;
            out.answer(&json!({"unshared": id}), |_| "The app does not see the space any more.".to_owned());
        }
        Spaces::Compact { id } => {
            let id = full_id(&mut client, "spaces.list", &id).await?;
            let done = client.call("spaces.compact", json!({"id": id})).await?;
            out.answer(&done, |_| compacted(&done));
        }
        Spaces::Export { id, file, passphrase_stdin, passphrase, plain } => {
            let id = full_id(&mut client, "spaces.list", &id).await?;
            let path = absolute(&file)?;
            let sealed = (passphrase || passphrase_stdin)
                .then(|| Source::of(passphrase_stdin).read_new("A passphrase for the file"))
                .transpose()?;
            let params =
                json!({"id": id, "path": path, "passphrase": sealed.map(into_value), "plain": plain});
            let bar = Bar::new(out);
            client.call_showing("spaces.export", params, |step| bar.show(&step)).await?;
            bar.clear();
            out.answer(&json!({"exported": id, "file": path}), |_| format!("Written to {path}."));
        }
        Spaces::Import { file, passphrase_stdin, passphrase } => {
            let path = absolute(&file)?;
            let sealed = (passphrase || passphrase_stdin)
                .then(|| Source::of(passphrase_stdin).read("The passphrase of the file"))
                .transpose()?;
            let params = json!({"path": path, "passphrase": sealed.map(into_value)});
            let bar = Bar::new(out);
            let imported = client.call_showing("spaces.import", params, |step| bar.show(&step)).await?;
            bar.clear();
            out.answer(&imported, |page| {
                let space = imported.get("space").cloned().unwrap_or_default();
                let name = page.strong(&text(&space, "name"));
                if imported.get("merged") == Some(&Value::Bool(true)) {
                    format!("{name} has everything that was in the file.")
                } else {
                    format!("Made {name}, {}, with the items of the file.", text(&space, "id"))
                }
            });
        }
        Spaces::Leave { id, yes } => {
            let id = full_id(&mut client, "spaces.list", &id).await?;
            if !yes && !sure(&id)? {
                return Err(Failure::new("cli.declined", "nothing was deleted; --yes does not ask"));
            }
            client.call("spaces.delete", json!({"id": id})).await?;
            out.answer(&json!({"left": id}), |_| "You left the space; it is deleted.".to_owned());
        }
    }
    Ok(())
}

fn compacted(done: &Value) -> String {
    let bytes = |name: &str| done.get(name).and_then(Value::as_u64).unwrap_or_default();
    let devices = done.get("waits_for").and_then(Value::as_array).into_iter().flatten();
    let devices: Vec<&str> = devices.filter_map(Value::as_str).collect();
    let mut said = format!(
        "What devices said takes {} now; before it took {}.",
        size(bytes("after")),
        size(bytes("before"))
    );
    if !devices.is_empty() {
        said += &format!(" Some of it stays until {} has it.", devices.join(", "));
    }
    said
}

/// Who writes and reads the file is another process, in another directory.
fn absolute(file: &Path) -> Result<String, Failure> {
    let path = std::path::absolute(file).map_err(|error| Failure::io("the file has no place", &error))?;
    path.to_str().map(str::to_owned).ok_or_else(|| Failure::usage("the name of the file is no text"))
}

/// How a space names the app of a grant.
fn app_in(spaces: &Value, id: &str, grant: &str) -> Option<String> {
    let space = spaces.as_array()?.iter().find(|space| text(space, "id") == id)?;
    let app = space.get("apps")?.as_array()?.iter().find(|app| text(app, "grant") == grant)?;
    Some(text(app, "app"))
}

/// Asks at a terminal; elsewhere the answer is no.
fn sure(id: &str) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    let broken = |error| Failure::io("the answer could not be read", &error);
    let mut stderr = std::io::stderr().lock();
    write!(stderr, "Delete {id} with everything in it, for good? [y/N] ").map_err(broken)?;
    stderr.flush().map_err(broken)?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).map_err(broken)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn list(page: &Page<'_>, spaces: &Value) -> String {
    let spaces = spaces.as_array().map(Vec::as_slice).unwrap_or_default();
    if spaces.is_empty() {
        return "There is no space yet. Apps make them, and so does `halo spaces create --name NAME`."
            .to_owned();
    }
    let lines = spaces.iter().map(|space| {
        let name =
            Some(text(space, "name")).filter(|name| !name.is_empty()).unwrap_or_else(|| "(no name)".into());
        let apps: Vec<String> = space
            .get("apps")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .map(|app| text(app, "app").split_once(':').map(|(_, name)| name.to_owned()).unwrap_or_default())
            .collect();
        let seen = if apps.is_empty() {
            "no app sees it".to_owned()
        } else {
            format!("seen by {}", apps.join(", "))
        };
        let items = space.get("items").and_then(Value::as_u64).unwrap_or_default();
        let counted = if items == 1 { "1 item".to_owned() } else { format!("{items} items") };
        let bytes = size(space.get("bytes").and_then(Value::as_u64).unwrap_or_default());
        format!(
            "{}  {}  {counted}, {bytes}; {seen}",
            page.faint(&short(&text(space, "id"))),
            page.strong(&name)
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}
