//! What is asked once and answered whenever the answer changes.

use std::collections::BTreeMap;

use data_encoding::BASE64;
use halo_wallet::{By, DocumentId, Event, GrantId, InItem, Query, SpaceId, SyncState, Wallet};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Failure;
use super::calls::{Modelled, document, params, query, shown, space, text};

#[derive(Deserialize)]
struct Items {
    space: String,
    #[serde(default)]
    query: Option<Value>,
}

#[derive(Deserialize)]
struct Documents {
    space: String,
    document: String,
}

/// Something watched.
pub(super) enum Watch {
    /// The spaces of the app: all of them, each time.
    Spaces { last: Option<Value> },
    /// What a query finds: `{"ids": […], "changed": […]}`, the items that are new or other than before.
    Items { space: SpaceId, query: Box<Query>, last: Option<BTreeMap<String, Value>>, ids: Vec<String> },
    /// A text of an item and its marks: all of it, each time. Items that a query finds do not show their marks.
    Text { space: SpaceId, at: InItem, last: Option<Value> },
    /// A document, by Automerge's sync protocol: `{"message"}` in base64.
    Document { space: SpaceId, document: DocumentId, state: Box<SyncState>, message: Option<Vec<u8>> },
}

impl Watch {
    /// What a method watches; none if it is a call.
    pub(super) fn open(method: &str, given: &Value) -> Option<Result<Self, Failure>> {
        match method {
            "spaces.watch" => Some(Ok(Self::Spaces { last: None })),
            "items.watch" => Some(params(given).and_then(|Items { space: id, query: asked }| {
                let (space, query) = (space(&id)?, Box::new(query(asked.as_ref())?));
                Ok(Self::Items { space, query, last: None, ids: Vec::new() })
            })),
            "items.text.watch" => Some(params(given).and_then(|Modelled { space: id, at, .. }| {
                Ok(Self::Text { space: space(&id)?, at, last: None })
            })),
            "documents.sync" => Some(params(given).and_then(|Documents { space: id, document: of }| {
                let (space, document) = (space(&id)?, document(&of)?);
                Ok(Self::Document { space, document, state: Box::default(), message: None })
            })),
            _ => None,
        }
    }

    /// Whether an event may have changed what it says.
    pub(super) fn concerns(&self, event: &Event) -> bool {
        match (self, event) {
            // Also what somebody hears who was too slow for the events.
            (_, Event::Changed) => true,
            (Self::Spaces { .. }, Event::Spaces) => true,
            (
                Self::Items { space, .. } | Self::Text { space, .. },
                Event::Documents { space: changed, .. },
            ) => space == changed,
            (Self::Document { document, .. }, Event::Documents { documents, .. }) => {
                documents.contains(document)
            }
            _ => false,
        }
    }

    /// Whether it has something to say that no event announces.
    pub(super) const fn has_message(&self) -> bool {
        matches!(self, Self::Document { message: Some(_), .. })
    }

    /// Takes a sync message; whether there is such a document.
    pub(super) async fn take_message(
        &mut self,
        wallet: &Wallet,
        by: &By,
        bytes: Vec<u8>,
    ) -> Result<bool, Failure> {
        let Self::Document { space, document, state, message } = self else {
            return Err(Failure::bad("that watch takes no messages"));
        };
        let synced = wallet.sync_document(by, *space, *document, (**state).clone(), Some(bytes)).await?;
        **state = synced.state;
        *message = synced.message;
        Ok(synced.known)
    }

    /// What it has to say that it has not said.
    pub(super) async fn news(
        &mut self,
        wallet: &Wallet,
        by: &By,
        grant: &GrantId,
    ) -> Result<Vec<Value>, Failure> {
        match self {
            Self::Spaces { last } => {
                let spaces = wallet.spaces(grant).await?;
                let now = json!(spaces.iter().map(shown).collect::<Vec<_>>());
                if last.as_ref() == Some(&now) {
                    return Ok(Vec::new());
                }
                Ok(vec![last.insert(now).clone()])
            }
            Self::Items { space, query, last, ids } => {
                let found = wallet.items(by, *space, (**query).clone()).await?;
                let order: Vec<String> = found.iter().map(|item| item.id.clone()).collect();
                let now: BTreeMap<String, Value> =
                    found.into_iter().map(|item| (item.id.clone(), json!(item))).collect();
                let changed: Vec<&Value> = now
                    .iter()
                    .filter(|(id, item)| last.as_ref().and_then(|last| last.get(*id)) != Some(*item))
                    .map(|(_, item)| item)
                    .collect();
                if last.is_some() && changed.is_empty() && *ids == order {
                    return Ok(Vec::new());
                }
                let event = json!({ "ids": order, "changed": changed });
                *ids = order;
                *last = Some(now);
                Ok(vec![event])
            }
            Self::Text { space, at, last } => {
                let (now, version) = wallet.read_model(by, *space, at.clone(), "text".into()).await?;
                if last.as_ref() == Some(&now) {
                    return Ok(Vec::new());
                }
                Ok(vec![text((last.insert(now).clone(), version))])
            }
            Self::Document { space, document, state, message } => {
                let next = match message.take() {
                    Some(message) => Some(message),
                    None => {
                        let synced =
                            wallet.sync_document(by, *space, *document, (**state).clone(), None).await?;
                        **state = synced.state;
                        synced.message
                    }
                };
                Ok(next.map(|next| json!({ "message": BASE64.encode(&next) })).into_iter().collect())
            }
        }
    }
}
