//! Requests over the control socket: watched as they come, and answered.

use halo_wallet::{
    AnsweredBy, Approval, Event, Outcome, ProfileField, RequestId, RequestView, Scope, Wallet,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::ControlError;
use super::methods::{Answer, bad};
use super::server::Reply;

#[derive(Deserialize)]
pub(super) struct Approve {
    id: String,
    #[serde(default)]
    words: Option<Words>,
    #[serde(default)]
    scopes: Option<Vec<Scope>>,
    #[serde(default)]
    fields: Option<Vec<ProfileField>>,
    #[serde(default)]
    identity: bool,
    #[serde(default)]
    spaces: Vec<String>,
}

/// Three words, as a list or as a person types them.
#[derive(Deserialize)]
#[serde(untagged)]
enum Words {
    List([String; 3]),
    Text(String),
}

/// The user's yes.
pub(super) async fn approve(wallet: &Wallet, approve: Approve) -> Answer {
    let words = match approve.words {
        None => None,
        Some(Words::List(words)) => Some(words),
        Some(Words::Text(text)) => {
            let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
            Some(words.try_into().map_err(|_| bad("words must be three words"))?)
        }
    };
    let Approve { id, scopes, fields, identity, spaces, .. } = approve;
    let approval = Approval { words, scopes, fields, identity, spaces };
    let grant = wallet.approve(&RequestId(id), approval, AnsweredBy::Command).await?;
    Ok(json!({ "grant": grant }))
}

/// Streams what happens to requests; ends with the wallet.
pub(super) async fn watch(wallet: &Wallet, reply: &mut Reply<'_>) -> Answer {
    let gone = |_| ControlError::new("control.broken", "nobody listens");
    let mut watch = wallet.watch();
    let mut told: Vec<RequestId> = Vec::new();
    // Told from the snapshot, which holds also what a slow reader missed.
    let snapshot = watch.snapshot.clone();
    tell_new(&snapshot.requests, &mut told, reply).await.map_err(gone)?;
    while let Some(event) = watch.next().await {
        match event {
            Event::Answered(id, outcome) => {
                told.retain(|other| *other != id);
                let item = json!({"type": "answered", "id": id, "outcome": outcome_name(&outcome)});
                reply.item(item).await.map_err(gone)?;
            }
            Event::Locked => reply.item(json!({"type": "locked"})).await.map_err(gone)?,
            Event::Unlocked => reply.item(json!({"type": "unlocked"})).await.map_err(gone)?,
            Event::UnlockWanted => reply.item(json!({"type": "unlock_wanted"})).await.map_err(gone)?,
            Event::Changed | Event::Asked(_) | Event::Revoked(_) => {
                let snapshot = wallet.snapshot();
                tell_new(&snapshot.requests, &mut told, reply).await.map_err(gone)?;
            }
            // Nothing that requests hang on.
            Event::Spaces
            | Event::Documents { .. }
            | Event::Invitation(_)
            | Event::Join(_)
            | Event::NewDevice(_)
            | Event::Devices
            | Event::Sync => {}
        }
    }
    Ok(Value::Null)
}

async fn tell_new(
    requests: &[RequestView],
    told: &mut Vec<RequestId>,
    reply: &mut Reply<'_>,
) -> std::io::Result<()> {
    told.retain(|id| requests.iter().any(|request| request.id == *id));
    for request in requests {
        if !told.contains(&request.id) {
            told.push(request.id.clone());
            reply.item(json!({"type": "asked", "request": request})).await?;
        }
    }
    Ok(())
}

const fn outcome_name(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Approved(_) => "approved",
        Outcome::Denied => "denied",
        Outcome::Muted => "muted",
        Outcome::Expired => "expired",
        Outcome::Locked => "locked",
        Outcome::Withdrawn => "withdrawn",
    }
}
