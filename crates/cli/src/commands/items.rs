//! `halo items`: what is in a space.

use std::path::Path;

use halo_broker::control::Client;
use serde_json::{Map, Value, json};

use crate::args::{FindItems, InSpace, ItemPlace, Items};
use crate::connect::{connect, full_id};
use crate::error::Failure;
use crate::show::{Out, Page, text};

pub(super) async fn run(profile: &Path, command: Items, out: &Out) -> Result<(), Failure> {
    let mut client = connect(profile).await?;
    match command {
        Items::List(space) => {
            let space = space_id(&mut client, &space).await?;
            show(&mut client, json!({"space": space}), out).await?;
        }
        Items::Query(find) => {
            let space = space_id(&mut client, &find.space).await?;
            let query = query(&find)?;
            show(&mut client, json!({"space": space, "query": query}), out).await?;
        }
        Items::Get { id, space } => {
            let space = space_id(&mut client, &space).await?;
            let id = item_id(&mut client, &space, &id).await?;
            let item = client.call("items.get", json!({"space": space, "id": id})).await?;
            let pretty = serde_json::to_string_pretty(&item).unwrap_or_default();
            out.answer(&item, |_| crate::show::plain(&pretty));
        }
        Items::Put { data, space, id, kind, merge, place } => {
            let data = input(&data)?;
            let data: Map<String, Value> = serde_json::from_str(&data)
                .map_err(|error| Failure::usage(format!("the properties are no JSON object: {error}")))?;
            let space = space_id(&mut client, &space).await?;
            let ItemPlace { parent, source, target, keys, tags } = place;
            let keys = keys.iter().map(|key| foreign_key(key)).collect::<Result<Vec<_>, _>>()?;
            let keys = Some(keys).filter(|keys| !keys.is_empty());
            let some: Vec<&String> = tags.iter().filter(|tag| !tag.is_empty()).collect();
            let tags = (!tags.is_empty()).then_some(some);
            let put = json!({
                "space": space, "id": id, "type": kind, "data": data, "merge": merge, "parent": parent,
                "source": source, "target": target, "keys": keys, "tags": tags,
            });
            let item = client.call("items.put", put).await?;
            out.answer(&item, |page| page.strong(&text(&item, "id")));
        }
        Items::Delete { id, space } => {
            let space = space_id(&mut client, &space).await?;
            let id = item_id(&mut client, &space, &id).await?;
            client.call("items.delete", json!({"space": space, "id": id})).await?;
            out.answer(&json!({"deleted": id}), |_| {
                format!("Deleted; `halo items restore {id}` takes it back.")
            });
        }
        Items::Restore { id, space } => {
            let space = space_id(&mut client, &space).await?;
            client.call("items.restore", json!({"space": space, "id": id})).await?;
            out.answer(&json!({"restored": id}), |_| "Restored.".to_owned());
        }
    }
    Ok(())
}

async fn space_id(client: &mut Client, space: &InSpace) -> Result<String, Failure> {
    full_id(client, "spaces.list", &space.space).await
}

/// The one item whose name is `id` or begins with it.
async fn item_id(client: &mut Client, space: &str, id: &str) -> Result<String, Failure> {
    let items = client.call("items.query", json!({"space": space})).await?;
    let ids = items.as_array().into_iter().flatten().filter_map(|item| item.get("id")?.as_str());
    crate::connect::choose(&ids.collect::<Vec<_>>(), id)
}

async fn show(client: &mut Client, params: Value, out: &Out) -> Result<(), Failure> {
    let items = client.call("items.query", params).await?;
    out.answer(&items, |page| list(page, &items));
    Ok(())
}

fn list(page: &Page<'_>, items: &Value) -> String {
    let items = items.as_array().map(Vec::as_slice).unwrap_or_default();
    if items.is_empty() {
        return "There is nothing.".to_owned();
    }
    let lines = items.iter().map(|item| {
        let data = item.get("data").map(ToString::to_string).unwrap_or_default();
        let data: String = data.chars().take(100).collect();
        format!("{}  {}  {}", text(item, "id"), page.faint(&text(item, "type")), crate::show::plain(&data))
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// What was typed, or all of standard input for `-`.
fn input(typed: &str) -> Result<String, Failure> {
    if typed != "-" {
        return Ok(typed.to_owned());
    }
    std::io::read_to_string(std::io::stdin().lock())
        .map_err(|error| Failure::io("standard input could not be read", &error))
}

fn foreign_key(typed: &str) -> Result<Value, Failure> {
    let (source, id) =
        typed.split_once('=').ok_or_else(|| Failure::usage(format!("{typed:?} is not SOURCE=ID")))?;
    Ok(json!({"source": source, "id": id}))
}

/// DXOS's query AST from what was typed.
fn query(find: &FindItems) -> Result<Value, Failure> {
    if let Some(typed) = &find.query {
        return serde_json::from_str(&input(typed)?)
            .map_err(|error| Failure::usage(format!("the query is no JSON: {error}")));
    }
    let mut props = Map::new();
    for condition in &find.conditions {
        let (property, value) = condition
            .split_once('=')
            .ok_or_else(|| Failure::usage(format!("{condition:?} is not PROPERTY=VALUE")))?;
        // A number or a truth where it reads as one, a text otherwise.
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
        props.insert(property.to_owned(), json!({"type": "compare", "operator": "eq", "value": value}));
    }
    let typename = find
        .kind
        .as_ref()
        .map(|kind| if kind.starts_with("dxn:") { kind.clone() } else { format!("dxn:type:{kind}") });
    let mut object = json!({"type": "object", "typename": typename, "props": props});
    if let (Some(key), Some(object)) = (&find.key, object.as_object_mut()) {
        object.insert("foreignKeys".to_owned(), json!([foreign_key(key)?]));
    }
    let mut filters = vec![object];
    filters.extend(find.text.as_ref().map(|words| json!({"type": "text-search", "text": words})));
    filters.extend(find.tag.as_ref().map(|tag| json!({"type": "tag", "tag": tag})));
    let select = json!({"type": "select", "filter": {"type": "and", "filters": filters}});
    if !find.deleted {
        return Ok(select);
    }
    Ok(json!({"type": "options", "query": select, "options": {"deleted": "only"}}))
}
