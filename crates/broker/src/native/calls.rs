//! What is asked once.

use data_encoding::BASE64;
use halo_wallet::{DocumentId, Heads, PutItem, Query, SpaceId, SpaceView, Splice};
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

#[derive(Deserialize)]
struct Text {
    space: String,
    id: String,
    property: String,
}

#[derive(Deserialize)]
struct Edit {
    #[serde(default)]
    version: Option<Vec<String>>,
    position: usize,
    remove: usize,
    insert: String,
}

#[derive(Deserialize)]
struct SyncMessage {
    watch: u64,
    message: String,
}

fn text((text, version): (String, Heads)) -> Value {
    json!({ "text": text, "version": version.iter().map(ToString::to_string).collect::<Vec<_>>() })
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
                let Text { space: id, id: item, property } = params(&given)?;
                Ok(text(self.wallet().text(&by, space(&id)?, item, property).await?))
            }
            "items.splice" => {
                let Text { space: id, id: item, property } = params(&given)?;
                let Edit { version, position, remove, insert } = params(&given)?;
                let (at, splice) = (heads(version)?, Splice { position, remove, insert });
                Ok(text(self.wallet().splice_text(&by, space(&id)?, (item, property), at, splice).await?))
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
    let _ = params::<Text>(given);
    if let Ok(Edit { version, .. }) = params(given) {
        let _ = heads(version);
    }
    if let Ok(SyncMessage { message, .. }) = params(given) {
        let _ = BASE64.decode(message.as_bytes());
    }
}
