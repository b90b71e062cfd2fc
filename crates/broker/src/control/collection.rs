//! The methods about spaces and what is in them.

use std::path::PathBuf;

use halo_wallet::{By, Gauge, GrantId, Passphrase, PutItem, Query, Sealing, SpaceId, Wallet};
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::ControlError;
use super::methods::{Answer, bad, done, params, telling};
use super::server::Reply;

#[derive(Deserialize)]
struct Space {
    id: String,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct Share {
    id: String,
    grant: String,
}

#[derive(Deserialize)]
struct Unshare {
    id: String,
    app: String,
}

#[derive(Deserialize)]
struct Export {
    id: String,
    path: PathBuf,
    #[serde(default)]
    passphrase: Option<String>,
    #[serde(default)]
    plain: bool,
}

#[derive(Deserialize)]
struct Import {
    path: PathBuf,
    #[serde(default)]
    passphrase: Option<String>,
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
    #[serde(flatten)]
    item: PutItem,
}

/// Carries out one request.
pub(super) async fn call(wallet: &Wallet, method: &str, text: &[u8], reply: &mut Reply<'_>) -> Answer {
    match method {
        "spaces.list" => Ok(json!(wallet.all_spaces().await?)),
        "spaces.create" => Ok(json!(wallet.add_space(params::<Named>(text)?.name).await?)),
        "spaces.rename" => {
            let Named { name } = params(text)?;
            done(wallet.rename_space(space(&params::<Space>(text)?.id)?, name).await)
        }
        "spaces.compact" => Ok(json!(wallet.compact_space(space(&params::<Space>(text)?.id)?).await?)),
        "spaces.share" => {
            let Share { id, grant } = params(text)?;
            done(wallet.share_space(space(&id)?, &GrantId(grant)).await)
        }
        "spaces.unshare" => {
            let Unshare { id, app } = params(text)?;
            done(wallet.unshare_space(space(&id)?, app).await)
        }
        "spaces.delete" => done(wallet.delete_space(space(&params::<Space>(text)?.id)?).await),
        "spaces.export" => {
            let Export { id, path, passphrase, plain } = params(text)?;
            let how = match passphrase {
                Some(passphrase) => Sealing::Passphrase(Passphrase::new(passphrase)),
                None if plain => Sealing::Plain,
                None => Sealing::Own,
            };
            let (gauge, steps) = Gauge::seen();
            done(telling(reply, steps, wallet.export_space(space(&id)?, path, how, gauge)).await)
        }
        "spaces.import" => {
            let Import { path, passphrase } = params(text)?;
            let (gauge, steps) = Gauge::seen();
            let work = wallet.import_space(path, passphrase.map(Passphrase::new), gauge);
            Ok(json!(telling(reply, steps, work).await?))
        }
        "items.query" => {
            let InSpace { space: id, query, .. } = params(text)?;
            let query = query.unwrap_or_else(everything).to_string();
            let query = Query::parse(&query).map_err(|error| bad(error.to_string()))?;
            Ok(json!(wallet.items(&By::Owner, space(&id)?, query).await?))
        }
        "items.get" => {
            let InSpace { space: id, id: item, .. } = params(text)?;
            Ok(json!(wallet.item(&By::Owner, space(&id)?, item).await?))
        }
        "items.put" => {
            let Put { space: id, item } = params(text)?;
            Ok(json!(wallet.put_item(&By::Owner, space(&id)?, item).await?))
        }
        "items.delete" | "items.restore" => {
            let InSpace { space: id, id: item, .. } = params(text)?;
            done(wallet.set_item_deleted(&By::Owner, space(&id)?, item, method == "items.delete").await)
        }
        _ => Err(ControlError::new("control.unknown_method", format!("there is no method {method:?}"))),
    }
}

fn space(id: &str) -> Result<SpaceId, ControlError> {
    id.parse().map_err(|_| bad("that is no space id"))
}

/// The query that finds every item.
fn everything() -> Value {
    json!({"type": "select", "filter": {"type": "object", "typename": null, "props": {}}})
}
