//! What is asked once.

use data_encoding::BASE64;
use halo_wallet::{DocumentId, Heads, InItem, PutItem, Query, Side, SpaceId, SpaceView};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Failure, Peer};

/// Every item; as DXOS's clients write it.
pub(super) fn everything() -> Value {
    json!({ "type": "select", "filter": { "type": "object", "typename": null, "props": {} } })
}

pub(super) fn params<T: DeserializeOwned>(params: &Value) -> Result<T, Failure> {
    T::deserialize(params).map_err(|error| Failure::bad(format!("the parameters: {error}")))
}

pub(super) fn space(id: &str) -> Result<SpaceId, Failure> {
    id.parse().map_err(|_| Failure::bad("that is no id of a space"))
}

pub(super) fn document(id: &str) -> Result<DocumentId, Failure> {
    id.parse().map_err(|_| Failure::bad("that is no id of a document"))
}

pub(super) fn query(query: Option<&Value>) -> Result<Query, Failure> {
    let query = query.cloned().unwrap_or_else(everything).to_string();
    Query::parse(&query).map_err(|error| Failure::bad(error.to_string()))
}

pub(super) fn shown(space: &SpaceView) -> Value {
    json!({ "id": space.id.to_string(), "created": space.created, "default": space.default, "name": space.name })
}

#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    name: Option<String>,
}

#[derive(Deserialize)]
struct InSpace {
    space: String,
    #[serde(default)]
    id: String,
    #[serde(default)]
    query: Option<Value>,
}

#[derive(Deserialize)]
struct Put {
    space: String,
    items: Vec<PutItem>,
}

/// A property of an item, to read or edit by a model.
#[derive(Deserialize)]
pub(super) struct Modelled {
    pub(super) space: String,
    #[serde(flatten)]
    pub(super) at: InItem,
    #[serde(default)]
    model: String,
    #[serde(default)]
    version: Option<Vec<String>>,
    #[serde(default)]
    edit: Value,
}

#[derive(Deserialize)]
struct Cursors {
    positions: Vec<Position>,
}

#[derive(Deserialize)]
struct Position {
    position: usize,
    #[serde(default)]
    side: Side,
}

#[derive(Deserialize)]
struct Positions {
    cursors: Vec<String>,
}

#[derive(Deserialize)]
struct SyncMessage {
    watch: u64,
    message: String,
}

fn told(version: &Heads) -> Vec<String> {
    version.iter().map(ToString::to_string).collect()
}

/// What a text was read as, with its version beside.
pub(super) fn text((mut view, version): (Value, Heads)) -> Value {
    if let Some(view) = view.as_object_mut() {
        view.insert("version".into(), json!(told(&version)));
    }
    view
}

fn heads(version: Option<Vec<String>>) -> Result<Option<Heads>, Failure> {
    let head = |head: String| head.parse().map_err(|_| Failure::bad("that is no version"));
    version.map(|heads| heads.into_iter().map(head).collect()).transpose()
}

impl Peer {
    /// Answers a call.
    pub(super) async fn call(&mut self, method: &str, given: Value) -> Result<Value, Failure> {
        let by = self.by();
        match method {
            "spaces.list" => {
                let spaces = self.wallet().spaces(self.access.grant()).await?;
                Ok(json!(spaces.iter().map(shown).collect::<Vec<_>>()))
            }
            "spaces.default" => Ok(shown(&self.wallet().default_space(self.access.grant()).await?)),
            "spaces.create" => {
                let Named { name } = params(&given)?;
                Ok(shown(
                    &self.wallet().create_space(self.access.grant(), Some(name.unwrap_or_default())).await?,
                ))
            }
            "items.query" => {
                let asked: InSpace = params(&given)?;
                let query = query(asked.query.as_ref())?;
                Ok(json!(self.wallet().items(&by, space(&asked.space)?, query).await?))
            }
            "items.get" => {
                let asked: InSpace = params(&given)?;
                Ok(json!(self.wallet().item(&by, space(&asked.space)?, asked.id).await?))
            }
            "items.history" => {
                let asked: InSpace = params(&given)?;
                Ok(json!(self.wallet().item_versions(&by, space(&asked.space)?, asked.id).await?))
            }
            "items.put" => {
                let Put { space: id, items } = params(&given)?;
                Ok(json!(self.wallet().put_items(&by, space(&id)?, items).await?))
            }
            "items.delete" | "items.restore" => {
                let asked: InSpace = params(&given)?;
                let deleted = method == "items.delete";
                self.wallet().set_item_deleted(&by, space(&asked.space)?, asked.id, deleted).await?;
                Ok(Value::Null)
            }
            "items.text" => {
                let Modelled { space: id, at, .. } = params(&given)?;
                Ok(text(self.wallet().read_model(&by, space(&id)?, at, "text".into()).await?))
            }
            "items.splice" | "items.mark" => {
                let Modelled { space: id, at, version, .. } = params(&given)?;
                let verb = if method == "items.mark" { "mark" } else { "splice" };
                let (version, edit) = (heads(version)?, json!({ verb: given }));
                let told =
                    self.wallet().edit_model(&by, space(&id)?, at, "text".into(), version, edit).await?;
                Ok(text(told))
            }
            "items.cursors" => {
                let Modelled { space: id, at, version, .. } = params(&given)?;
                let Cursors { positions } = params(&given)?;
                let positions = positions.into_iter().map(|one| (one.position, one.side)).collect();
                let cursors = self.wallet().text_cursors(&by, space(&id)?, at, heads(version)?, positions);
                Ok(json!({ "cursors": cursors.await? }))
            }
            "items.positions" => {
                let Modelled { space: id, at, .. } = params(&given)?;
                let Positions { cursors } = params(&given)?;
                let (positions, version) =
                    self.wallet().cursor_positions(&by, space(&id)?, at, cursors).await?;
                Ok(json!({ "positions": positions, "version": told(&version) }))
            }
            "items.read" => {
                let Modelled { space: id, at, model, .. } = params(&given)?;
                let (value, version) = self.wallet().read_model(&by, space(&id)?, at, model).await?;
                Ok(json!({ "value": value, "version": told(&version) }))
            }
            "items.edit" => {
                let Modelled { space: id, at, model, version, edit } = params(&given)?;
                let version = heads(version)?;
                let (value, version) =
                    self.wallet().edit_model(&by, space(&id)?, at, model, version, edit).await?;
                Ok(json!({ "value": value, "version": told(&version) }))
            }
            "documents.message" => {
                let SyncMessage { watch, message } = params(&given)?;
                let message = BASE64
                    .decode(message.as_bytes())
                    .map_err(|_| Failure::bad("the message is not in base64"))?;
                let wallet = self.face.wallet.clone();
                let watch = self.watches.get_mut(&watch);
                let watch = watch.ok_or_else(|| Failure::bad("there is no such watch"))?;
                Ok(json!({ "known": watch.take_message(&wallet, &by, message).await? }))
            }
            other => {
                Err(Failure { code: "unknown_method", message: format!("there is no method {other:?}") })
            }
        }
    }
}

/// Reads parameters as those of every method, for `fuzz/`.
#[cfg(fuzzing)]
pub(super) fn fuzz(given: &Value) {
    let _ = params::<Named>(given);
    if let Ok(asked) = params::<InSpace>(given) {
        let _ = (space(&asked.space), query(asked.query.as_ref()));
    }
    let _ = params::<Put>(given);
    if let Ok(Modelled { version, .. }) = params(given) {
        let _ = heads(version);
    }
    let _ = (params::<Cursors>(given), params::<Positions>(given));
    if let Ok(SyncMessage { message, .. }) = params(given) {
        let _ = BASE64.decode(message.as_bytes());
    }
}
