//! The methods about devices: letting them in, joining, removing, and how they stand to each other.
//!
//! Invitations and joining go on by themselves once they were begun; `…watch` streams what becomes of them. Whoever hangs
//! up stops watching and nothing else: `invitations.cancel` and `join.cancel` end things.

use halo_wallet::{
    AddAskingDevice, AgreeDevice, AskToJoin, Event, GrantId, InvitationId, InviteDevice, JoinDevice,
    NetworkChange, RevokeDevice, Snapshot, TurnServer, Wallet, WalletError,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::client::ControlError;
use super::methods::{Answer, Keychain, done, params, passphrase, unlocked};
use super::server::Reply;
use crate::secret::Secret;

/// Methods of this module begin so.
const SUBJECTS: [&str; 6] = ["devices.", "invitations.", "join.", "apps.alias.", "sync.", "network."];

/// Whether a method is one of these.
pub(super) fn is_ours(method: &str) -> bool {
    SUBJECTS.iter().any(|subject| method.starts_with(subject))
}

#[derive(Deserialize)]
struct Id {
    id: String,
}

#[derive(Deserialize)]
struct Invite {
    #[serde(default)]
    expires: Option<u64>,
}

#[derive(Deserialize)]
struct Asking {
    url: Secret,
    #[serde(default)]
    passphrase: Option<Secret>,
}

#[derive(Deserialize)]
struct Digits {
    id: String,
    digits: Secret,
}

#[derive(Deserialize)]
struct Join {
    /// None to show a code here.
    #[serde(default)]
    url: Option<Secret>,
    label: String,
    #[serde(default)]
    passphrase: Option<Secret>,
    #[serde(default)]
    keychain: Keychain,
}

#[derive(Deserialize)]
struct Device {
    device_key: String,
}

#[derive(Deserialize)]
struct Rename {
    device_key: String,
    label: String,
}

#[derive(Deserialize)]
struct Revoke {
    device_key: String,
    #[serde(default)]
    phrase: Option<Secret>,
    #[serde(default)]
    passphrase: Option<Secret>,
}

#[derive(Deserialize)]
struct Agree {
    admission: String,
    /// What the user was shown of what that does; nothing unless it is said.
    #[serde(default)]
    brings: Vec<String>,
    #[serde(default)]
    puts_out: Vec<String>,
    #[serde(default)]
    passphrase: Option<Secret>,
}

#[derive(Deserialize)]
struct Network {
    #[serde(default)]
    servers: Option<Vec<String>>,
    #[serde(default)]
    lan: Option<bool>,
    #[serde(default)]
    turn: Option<Vec<Turn>>,
}

#[derive(Deserialize)]
struct Turn {
    url: String,
    username: String,
    #[serde(default)]
    credential: Option<Secret>,
}

/// Carries out one request.
pub(super) async fn call(wallet: &Wallet, method: &str, text: &[u8], reply: &mut Reply<'_>) -> Answer {
    match method {
        "devices.list" => Ok(json!(unlocked(wallet)?.devices)),
        "devices.invite" => {
            let Invite { expires } = params(text)?;
            Ok(json!(wallet.invite_device(InviteDevice { expires_in: expires }).await?))
        }
        "devices.add_asking" => {
            let Asking { url, passphrase: proof } = params(text)?;
            let add = AddAskingDevice { url: url.into_inner(), passphrase: proof.map(passphrase) };
            Ok(json!(wallet.add_asking_device(add).await?))
        }
        "devices.join" => join(wallet, params(text)?).await,
        "devices.rename" => {
            let Rename { device_key, label } = params(text)?;
            done(wallet.rename_device(device_key, label).await)
        }
        "devices.removal" => Ok(json!(wallet.removal_of(params::<Device>(text)?.device_key).await?)),
        "devices.revoke" => {
            let Revoke { device_key, phrase, passphrase: proof } = params(text)?;
            let phrase = phrase.map(Secret::into_inner);
            let revoke = RevokeDevice { device_key, phrase, passphrase: proof.map(passphrase) };
            Ok(json!(wallet.revoke_device(revoke).await?))
        }
        "devices.undo" => done(wallet.undo_device(params::<Device>(text)?.device_key).await),
        "devices.refused" => Ok(json!(unlocked(wallet)?.refused)),
        "devices.agree" => {
            let Agree { admission, brings, puts_out, passphrase: proof } = params(text)?;
            let passphrase = proof.map(passphrase);
            done(wallet.agree_device(AgreeDevice { admission, brings, puts_out, passphrase }).await)
        }
        "apps.alias.fresh" => done(wallet.fresh_alias(&GrantId(params::<Id>(text)?.id)).await),
        "invitations.list" => Ok(json!(unlocked(wallet)?.invitations)),
        "invitations.watch" => {
            let id = InvitationId(params::<Id>(text)?.id);
            let of = |snapshot: &Snapshot| {
                snapshot.invitations.iter().find(|invitation| invitation.invitation_id == id).cloned()
            };
            let heard = |event: &Event| match event {
                Event::Invitation(view) if view.invitation_id == id => Some((**view).clone()),
                _ => None,
            };
            stream(wallet, reply, of, heard, |invitation| invitation.state.is_over()).await
        }
        "invitations.enter" => {
            let Digits { id, digits } = params(text)?;
            done(wallet.enter_digits(&InvitationId(id), digits.into_inner()).await)
        }
        "invitations.cancel" => done(wallet.cancel_invitation(&InvitationId(params::<Id>(text)?.id)).await),
        "join.watch" => {
            let heard = |event: &Event| match event {
                Event::Join(view) => Some((**view).clone()),
                _ => None,
            };
            // After it was let in, a device is watched until it is in step.
            let over = |join: &halo_wallet::JoinView| match join.state {
                halo_wallet::InvitationState::Success => join.in_step,
                state => state.is_over(),
            };
            stream(wallet, reply, |snapshot| snapshot.join.clone(), heard, over).await
        }
        "join.cancel" => done(wallet.cancel_join().await),
        "sync.status" => Ok(json!(wallet.sync_status().await?)),
        "sync.watch" => watch_sync(wallet, reply).await,
        "network.get" => Ok(json!(wallet.snapshot().network)),
        "network.set" => {
            let Network { servers, lan, turn } = params(text)?;
            let turn = turn.map(|turn| turn.into_iter().map(Turn::into_server).collect());
            done(wallet.set_network(NetworkChange { servers, lan, turn }).await)
        }
        _ => Err(ControlError::new("control.unknown_method", format!("there is no method {method:?}"))),
    }
}

impl Turn {
    fn into_server(self) -> TurnServer {
        let Self { url, username, credential } = self;
        TurnServer { url, username, credential: credential.map(Secret::into_inner) }
    }
}

async fn join(wallet: &Wallet, join: Join) -> Answer {
    let Join { url, label, passphrase: chosen, keychain } = join;
    let (passphrase, keychain) = (chosen.map(passphrase), keychain.into());
    let view = match url {
        Some(url) => {
            wallet.join_device(JoinDevice { url: url.into_inner(), label, passphrase, keychain }).await?
        }
        None => wallet.ask_to_join(AskToJoin { label, passphrase, keychain }).await?,
    };
    Ok(json!(view))
}

/// Streams the states of one thing, the present one first, until it is over; the last is the result as well.
async fn stream<T: Clone + PartialEq + Serialize>(
    wallet: &Wallet,
    reply: &mut Reply<'_>,
    of: impl Fn(&Snapshot) -> Option<T>,
    heard: impl Fn(&Event) -> Option<T>,
    over: impl Fn(&T) -> bool,
) -> Answer {
    let gone = |_| ControlError::new("control.broken", "nobody listens");
    let mut watch = wallet.watch();
    let mut last = of(&watch.snapshot).ok_or(WalletError::NotFound { what: "what is to be watched" })?;
    loop {
        let view = json!(last);
        reply.item(view.clone()).await.map_err(gone)?;
        if over(&last) {
            return Ok(view);
        }
        last = loop {
            let Some(event) = watch.next().await else { return Ok(Value::Null) };
            let next = match event {
                Event::Locked => return Err(WalletError::Locked.into()),
                // Also what somebody hears who was too slow for the events.
                Event::Changed => of(&wallet.snapshot()),
                event => heard(&event),
            };
            if let Some(next) = next.filter(|next| *next != last) {
                break next;
            }
        };
    }
}

/// Streams how devices stand to each other; ends with the wallet.
async fn watch_sync(wallet: &Wallet, reply: &mut Reply<'_>) -> Answer {
    let gone = |_| ControlError::new("control.broken", "nobody listens");
    let mut watch = wallet.watch();
    let mut last = None;
    loop {
        let status = wallet.sync_status().await?;
        if last.as_ref() != Some(&status) {
            reply.item(json!(status)).await.map_err(gone)?;
            last = Some(status);
        }
        loop {
            match watch.next().await {
                None => return Ok(Value::Null),
                Some(Event::Locked) => return Err(WalletError::Locked.into()),
                Some(
                    Event::Sync | Event::Devices | Event::Spaces | Event::Documents { .. } | Event::Changed,
                ) => break,
                Some(_) => {}
            }
        }
    }
}
