//! The methods of the control socket: one call of the wallet each.

use std::time::Duration;

use data_encoding::BASE64;
use halo_wallet::{
    CreateIdentity, Created, Gauge, GrantId, KeychainChoice, Passphrase, ProfileChange, RecoverIdentity,
    RequestId, Settings, State, Step, Wallet, WalletError,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use super::client::ControlError;
use super::requests;
use super::server::{Desk, Reply};
use crate::secret::Secret;

/// How often somebody hears how far something long has come.
const TELLING: Duration = Duration::from_millis(50);
/// Entries of the activity log in one answer.
const MOST_ENTRIES: u32 = 1_000;

impl From<WalletError> for ControlError {
    fn from(error: WalletError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

pub(super) type Answer = Result<Value, ControlError>;

/// Carries out one request. `text` is the whole line: secrets go from there into what wipes them.
pub(super) async fn call(desk: &Desk, method: &str, text: &[u8], reply: &mut Reply<'_>) -> Answer {
    let wallet = &desk.wallet;
    // Somebody is there; whoever only looks again and again need not be.
    if !["status", "requests.list", "requests.watch"].contains(&method) {
        wallet.touch();
    }
    match method {
        "status" => Ok(status(wallet)),
        "init" => init(wallet, params(text)?).await,
        "recover" => recover(wallet, params(text)?).await,
        "lock" => done(wallet.lock().await),
        "unlock" => unlock(wallet, params(text)?).await,
        "passphrase.set" => {
            let Change { current, new } = params(text)?;
            let new = new.ok_or_else(|| bad("new is missing"))?;
            done(wallet.set_passphrase(current.map(passphrase), Some(passphrase(new))).await)
        }
        "passphrase.remove" => {
            let Change { current, .. } = params(text)?;
            done(wallet.set_passphrase(current.map(passphrase), None).await)
        }
        "keychain.probe" => Ok(json!({"keychain": wallet.probe_keychain().await})),
        "requests.list" => Ok(json!(unlocked(wallet)?.requests)),
        "requests.watch" => requests::watch(wallet, reply).await,
        "requests.approve" => requests::approve(wallet, params(text)?).await,
        "requests.deny" => done(wallet.deny(&RequestId(params::<Id>(text)?.id)).await),
        "apps.list" => Ok(json!(unlocked(wallet)?.apps)),
        "apps.revoke" => done(wallet.revoke(&GrantId(params::<Id>(text)?.id)).await),
        "identity.show" => Ok(json!(unlocked(wallet)?.identity)),
        "identity.set" => set_profile(wallet, params(text)?).await,
        "identity.phrase.quiz" => Ok(json!({"positions": wallet.phrase_quiz().await?})),
        "identity.phrase.confirm" => {
            let Answers { answers } = params(text)?;
            let answers = answers.into_iter().map(|(at, word)| (at, word.expose().to_owned())).collect();
            done(wallet.confirm_phrase(answers).await)
        }
        "identity.phrase.reveal" => {
            let phrase = wallet.reveal_phrase(presence(text)?).await?;
            Ok(json!({"phrase": phrase.as_str()}))
        }
        "identity.phrase.forget" => done(wallet.forget_phrase(presence(text)?).await),
        "audit" => audit(wallet, params(text)?).await,
        method if method.starts_with("spaces.") || method.starts_with("items.") => {
            super::collection::call(wallet, method, text, reply).await
        }
        "doctor" => {
            let (gauge, steps) = Gauge::seen();
            let work = wallet.doctor(params::<Doctor>(text)?.rebuild, gauge);
            Ok(json!(telling(reply, steps, work).await?))
        }
        method if super::devices::is_ours(method) => super::devices::call(wallet, method, text, reply).await,
        "settings.get" => Ok(json!(wallet.snapshot().settings)),
        "settings.set" => set_settings(wallet, text).await,
        "shutdown" => {
            desk.end.send_replace(true);
            Ok(Value::Null)
        }
        _ => Err(ControlError::new("control.unknown_method", format!("there is no method {method:?}"))),
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Doctor {
    rebuild: bool,
}

/// Reads the params straight out of the line, so that no copy of a secret is left behind.
pub(super) fn params<T: DeserializeOwned>(text: &[u8]) -> Result<T, ControlError> {
    #[derive(Deserialize)]
    struct Body<T> {
        params: Option<T>,
    }
    let body = serde_json::from_slice(text).and_then(|body: Body<T>| match body.params {
        Some(params) => Ok(params),
        None => serde_json::from_str("{}"),
    });
    // The message of the parser may quote what it read, which may be a secret; the place is enough.
    body.map_err(|error| bad(format!("params do not fit the method (column {})", error.column())))
}

/// Waits for something long, and says now and then how far it has come.
pub(super) async fn telling<T>(
    reply: &mut Reply<'_>,
    mut steps: watch::Receiver<Step>,
    work: impl Future<Output = Result<T, WalletError>>,
) -> Result<T, WalletError> {
    let mut work = std::pin::pin!(work);
    let (mut told, mut over) = (None, false);
    loop {
        let wait = tokio::time::sleep_until(told.unwrap_or_else(Instant::now));
        tokio::select! {
            // What was said last is told before the end, however short the work was.
            biased;
            changed = steps.changed(), if told.is_none() && !over => match changed {
                Ok(()) => {
                    let step = *steps.borrow_and_update();
                    // Who does not listen any more is noticed by whoever reads from them.
                    let _ = reply.item(json!(step)).await;
                    told = Some(Instant::now() + TELLING);
                }
                Err(_) => over = true,
            },
            done = &mut work => return done,
            () = wait, if told.is_some() => told = None,
        }
    }
}

pub(super) fn bad(message: impl Into<String>) -> ControlError {
    ControlError::new("control.bad_params", message)
}

pub(super) fn done(result: Result<(), WalletError>) -> Answer {
    result?;
    Ok(Value::Null)
}

pub(super) fn unlocked(wallet: &Wallet) -> Result<std::sync::Arc<halo_wallet::Snapshot>, ControlError> {
    let snapshot = wallet.snapshot();
    match snapshot.state {
        State::Unlocked => Ok(snapshot),
        State::Locked => Err(WalletError::Locked.into()),
        State::Empty => Err(WalletError::NoIdentity.into()),
    }
}

pub(super) fn passphrase(secret: Secret) -> Passphrase {
    Passphrase::new(secret.into_text())
}

fn presence(text: &[u8]) -> Result<Option<Passphrase>, ControlError> {
    Ok(params::<Presence>(text)?.passphrase.map(passphrase))
}

fn status(wallet: &Wallet) -> Value {
    let snapshot = wallet.snapshot();
    let identity = snapshot.identity.as_ref();
    let peers = snapshot.devices.iter().filter(|device| device.online && !device.current);
    let peers: Vec<_> = peers.map(|device| &device.device_key).collect();
    json!({
        "state": snapshot.state,
        "did": identity.map(|identity| &identity.did),
        "did_key": identity.map(|identity| &identity.did_key),
        "name": identity.map(|identity| &identity.name),
        "device_key": identity.map(|identity| &identity.device_key),
        "phrase": identity.map(|identity| identity.phrase),
        "broker_url": snapshot.broker_url,
        "kubes": snapshot.network.servers,
        "peers": peers,
        "passphrase": snapshot.passphrase,
        "keychain": snapshot.keychain,
        "root_place": snapshot.root_place,
        "trouble": snapshot.trouble,
        "profile": snapshot.profile,
        "pid": std::process::id(),
        "audit_broken_at": snapshot.audit_broken_at,
    })
}

#[derive(Deserialize)]
struct Id {
    id: String,
}

#[derive(Deserialize)]
struct Presence {
    #[serde(default)]
    passphrase: Option<Secret>,
}

#[derive(Deserialize)]
struct Change {
    #[serde(default)]
    current: Option<Secret>,
    #[serde(default)]
    new: Option<Secret>,
}

#[derive(Deserialize)]
struct Answers {
    answers: Vec<(u8, Secret)>,
}

#[derive(Deserialize, Clone, Copy, Default)]
#[serde(rename_all = "snake_case")]
pub(super) enum Keychain {
    #[default]
    Auto,
    Os,
    None,
}

impl From<Keychain> for KeychainChoice {
    fn from(choice: Keychain) -> Self {
        match choice {
            Keychain::Auto => Self::Auto,
            Keychain::Os => Self::Os,
            Keychain::None => Self::None,
        }
    }
}

#[derive(Deserialize)]
struct Init {
    name: String,
    #[serde(default)]
    passphrase: Option<Secret>,
    #[serde(default)]
    keychain: Keychain,
}

async fn init(wallet: &Wallet, init: Init) -> Answer {
    let created = wallet
        .create_identity(CreateIdentity {
            name: init.name,
            passphrase: init.passphrase.map(passphrase),
            keychain: init.keychain.into(),
        })
        .await?;
    Ok(created_view(&created))
}

#[derive(Deserialize)]
struct Recover {
    phrase: Secret,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    passphrase: Option<Secret>,
    #[serde(default)]
    keychain: Keychain,
}

async fn recover(wallet: &Wallet, recover: Recover) -> Answer {
    let created = wallet
        .recover_identity(RecoverIdentity {
            phrase: recover.phrase.into_inner(),
            // The words do not hold a name; whoever brings none is asked later, in Settings.
            name: recover.name.unwrap_or_else(|| "Me".to_owned()),
            passphrase: recover.passphrase.map(passphrase),
            keychain: recover.keychain.into(),
        })
        .await?;
    Ok(created_view(&created))
}

fn created_view(created: &Created) -> Value {
    let mut view = json!({"did": created.did, "did_key": created.did_key, "device_key": created.device_key});
    if let (Some(phrase), Some(members)) = (&created.phrase, view.as_object_mut()) {
        members.insert("phrase".to_owned(), phrase.as_str().into());
    }
    view
}

#[derive(Deserialize)]
struct Unlock {
    #[serde(default)]
    passphrase: Option<Secret>,
    #[serde(default)]
    accept_older: bool,
}

async fn unlock(wallet: &Wallet, unlock: Unlock) -> Answer {
    done(wallet.unlock(unlock.passphrase.map(passphrase), unlock.accept_older).await)
}

#[derive(Deserialize)]
struct SetProfile {
    #[serde(default)]
    name: Option<String>,
    #[serde(default, deserialize_with = "present")]
    avatar: Option<Option<String>>,
}

/// Tells `null` from a member that is not there.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

async fn set_profile(wallet: &Wallet, set: SetProfile) -> Answer {
    let avatar = match set.avatar {
        None => None,
        Some(None) => Some(None),
        Some(Some(text)) => {
            Some(Some(BASE64.decode(text.as_bytes()).map_err(|_| bad("avatar is not base64"))?))
        }
    };
    done(wallet.set_profile(ProfileChange { name: set.name, avatar }).await)
}

#[derive(Deserialize)]
struct Audit {
    #[serde(default)]
    since: Option<u64>,
    #[serde(default)]
    before: Option<u64>,
    #[serde(default)]
    limit: Option<u32>,
    #[serde(default)]
    event: Option<String>,
    #[serde(default)]
    app: Option<String>,
}

async fn audit(wallet: &Wallet, audit: Audit) -> Answer {
    let limit = audit.limit.unwrap_or(200).clamp(1, MOST_ENTRIES);
    let mut entries = wallet.activity(audit.before, limit, audit.event, audit.app).await?;
    if let Some(since) = audit.since {
        entries.retain(|entry| entry.at >= since);
    }
    Ok(json!(entries))
}

async fn set_settings(wallet: &Wallet, text: &[u8]) -> Answer {
    #[derive(Deserialize)]
    struct Changes {
        auto_lock_minutes: Option<u32>,
        lock_with_screen: Option<bool>,
        theme: Option<halo_wallet::Theme>,
        dxos_agent: Option<bool>,
    }
    let changes: Changes = params(text)?;
    let before = wallet.snapshot().settings.clone();
    done(
        wallet
            .set_settings(Settings {
                auto_lock_minutes: changes.auto_lock_minutes.unwrap_or(before.auto_lock_minutes),
                lock_with_screen: changes.lock_with_screen.unwrap_or(before.lock_with_screen),
                theme: changes.theme.unwrap_or(before.theme),
                dxos_agent: changes.dxos_agent.unwrap_or(before.dxos_agent),
            })
            .await,
    )
}
