//! What windows may call: each command is one call of the wallet.
//!
//! Which window may call which stands in `permissions/` and `capabilities/`; a command that is in neither is
//! refused to every window.

mod devices;

use std::sync::Arc;
use std::time::Duration;

use halo_wallet::{
    ActivityView, AnsweredBy, Approval, By, Compacted, CreateIdentity, Created, DoctorReport, Gauge, GrantId,
    ItemVersion, ItemView, KeychainChoice, KeychainView, ProfileChange, PutItem, Query, RecoverIdentity,
    RequestId, Settings, Snapshot, SpaceDetails, SpaceId, Step, WalletError,
};
use serde::{Deserialize, Serialize};
use tauri::ipc::Channel;
use tauri::{AppHandle, State};

use crate::deep_link::{Destination, Waiting};
use crate::error::CommandError;
use crate::secret::Secret;
use crate::session::Session;

/// How often a window hears how far something long has come.
const TELLING: Duration = Duration::from_millis(100);

type Answer<T> = Result<T, CommandError>;

/// Registers the commands, and keeps their names for the test that compares them with the permissions.
macro_rules! commands {
    ($($name:ident),+; $($module:ident::$other:ident),+ $(,)?) => {
        /// What Tauri calls for each message of a window.
        pub(crate) fn handler() -> impl Fn(tauri::ipc::Invoke) -> bool + Send + Sync + 'static {
            tauri::generate_handler![$($name),+, $($module::$other),+]
        }

        #[cfg(test)]
        const NAMES: &[&str] = &[$(stringify!($name)),+, $(stringify!($other)),+];
    };
}

commands![
    snapshot,
    probe_keychain,
    create_identity,
    recover_identity,
    unlock,
    lock,
    set_passphrase,
    reveal_phrase,
    phrase_quiz,
    confirm_phrase,
    forget_phrase,
    set_profile,
    set_settings,
    touch,
    approve,
    deny,
    prompt_moved,
    revoke,
    activity,
    spaces,
    add_space,
    rename_space,
    share_space,
    unshare_space,
    delete_space,
    compact_space,
    look_at_space,
    items,
    put_item,
    set_item_deleted,
    item_versions,
    doctor,
    take_destination,
    quit,
    about;
    devices::invite_device,
    devices::add_asking_device,
    devices::enter_digits,
    devices::cancel_invitation,
    devices::join_device,
    devices::ask_to_join,
    devices::cancel_join,
    devices::rename_device,
    devices::removal_of,
    devices::revoke_device,
    devices::undo_device,
    devices::agree_device,
    devices::fresh_alias,
    devices::sync_status,
    devices::set_network,
    devices::draw_code,
    devices::read_code,
];

#[tauri::command]
async fn snapshot(session: State<'_, Session>) -> Answer<Arc<Snapshot>> {
    Ok(session.snapshot().await)
}

#[tauri::command]
async fn probe_keychain(session: State<'_, Session>) -> Answer<KeychainView> {
    Ok(session.wallet().await?.probe_keychain().await)
}

/// Where a window wants the root to be kept.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Keychain {
    Auto,
    Os,
    None,
}

impl From<Keychain> for KeychainChoice {
    fn from(keychain: Keychain) -> Self {
        match keychain {
            Keychain::Auto => Self::Auto,
            Keychain::Os => Self::Os,
            Keychain::None => Self::None,
        }
    }
}

/// A new identity. The words follow by `reveal_phrase`, so that they travel only when they are shown.
#[derive(Serialize)]
struct Made {
    did: String,
    did_key: String,
    device_key: String,
}

impl From<Created> for Made {
    fn from(created: Created) -> Self {
        Self { did: created.did, did_key: created.did_key, device_key: created.device_key }
    }
}

#[tauri::command]
async fn create_identity(
    session: State<'_, Session>,
    name: String,
    passphrase: Option<Secret>,
    keychain: Keychain,
) -> Answer<Made> {
    let passphrase = passphrase.map(Secret::into_passphrase);
    let create = CreateIdentity { name, passphrase, keychain: keychain.into() };
    Ok(session.wallet().await?.create_identity(create).await?.into())
}

#[tauri::command]
async fn recover_identity(
    session: State<'_, Session>,
    phrase: Secret,
    name: String,
    passphrase: Option<Secret>,
    keychain: Keychain,
) -> Answer<Made> {
    let passphrase = passphrase.map(Secret::into_passphrase);
    let recover = RecoverIdentity { phrase: phrase.into_text(), name, passphrase, keychain: keychain.into() };
    Ok(session.wallet().await?.recover_identity(recover).await?.into())
}

#[tauri::command]
async fn unlock(
    session: State<'_, Session>,
    passphrase: Option<Secret>,
    accept_older: Option<bool>,
) -> Answer<()> {
    // "Try again" where the profile itself could not be opened: opening it unlocks it, if that can be done.
    if session.try_again().await? {
        return Ok(());
    }
    let passphrase = passphrase.map(Secret::into_passphrase);
    Ok(session.wallet().await?.unlock(passphrase, accept_older.unwrap_or(false)).await?)
}

#[tauri::command]
async fn lock(session: State<'_, Session>) -> Answer<()> {
    Ok(session.wallet().await?.lock().await?)
}

#[tauri::command]
async fn set_passphrase(
    session: State<'_, Session>,
    current: Option<Secret>,
    new: Option<Secret>,
) -> Answer<()> {
    let (current, new) = (current.map(Secret::into_passphrase), new.map(Secret::into_passphrase));
    Ok(session.wallet().await?.set_passphrase(current, new).await?)
}

#[tauri::command]
async fn reveal_phrase(session: State<'_, Session>, passphrase: Option<Secret>) -> Answer<String> {
    let phrase = session.wallet().await?.reveal_phrase(passphrase.map(Secret::into_passphrase)).await?;
    // Tauri and the window keep copies from here on; ours is wiped.
    Ok(phrase.as_str().to_owned())
}

#[tauri::command]
async fn phrase_quiz(session: State<'_, Session>) -> Answer<Vec<u8>> {
    Ok(session.wallet().await?.phrase_quiz().await?)
}

#[tauri::command]
async fn confirm_phrase(session: State<'_, Session>, answers: Vec<(u8, String)>) -> Answer<()> {
    Ok(session.wallet().await?.confirm_phrase(answers).await?)
}

#[tauri::command]
async fn forget_phrase(session: State<'_, Session>, passphrase: Option<Secret>) -> Answer<()> {
    Ok(session.wallet().await?.forget_phrase(passphrase.map(Secret::into_passphrase)).await?)
}

#[tauri::command]
async fn set_profile(
    session: State<'_, Session>,
    name: Option<String>,
    avatar: Option<Vec<u8>>,
) -> Answer<()> {
    // No bytes at all: the picture goes. (Absent and null are the same to Tauri.)
    let avatar = avatar.map(|picture| Some(picture).filter(|picture| !picture.is_empty()));
    let change = ProfileChange { name, avatar };
    Ok(session.wallet().await?.set_profile(change).await?)
}

#[tauri::command]
async fn set_settings(session: State<'_, Session>, settings: Settings) -> Answer<()> {
    Ok(session.wallet().await?.set_settings(settings).await?)
}

#[tauri::command]
async fn touch(session: State<'_, Session>) -> Answer<()> {
    session.wallet().await?.touch();
    Ok(())
}

#[tauri::command]
async fn approve(session: State<'_, Session>, id: RequestId, approval: Approval) -> Answer<GrantId> {
    Ok(session.wallet().await?.approve(&id, approval, AnsweredBy::Window).await?)
}

#[tauri::command]
async fn deny(session: State<'_, Session>, id: RequestId) -> Answer<()> {
    Ok(session.wallet().await?.deny(&id).await?)
}

#[tauri::command]
async fn prompt_moved(session: State<'_, Session>, id: RequestId) -> Answer<()> {
    Ok(session.wallet().await?.prompt_moved(&id).await?)
}

#[tauri::command]
async fn revoke(session: State<'_, Session>, id: GrantId) -> Answer<()> {
    Ok(session.wallet().await?.revoke(&id).await?)
}

#[tauri::command]
async fn activity(
    session: State<'_, Session>,
    before: Option<u64>,
    limit: u32,
    event: Option<String>,
    app: Option<String>,
) -> Answer<Vec<ActivityView>> {
    Ok(session.wallet().await?.activity(before, limit, event, app).await?)
}

#[tauri::command]
async fn spaces(session: State<'_, Session>) -> Answer<Vec<SpaceDetails>> {
    Ok(session.wallet().await?.all_spaces().await?)
}

#[tauri::command]
async fn add_space(session: State<'_, Session>, name: String) -> Answer<SpaceDetails> {
    Ok(session.wallet().await?.add_space(name).await?)
}

#[tauri::command]
async fn rename_space(session: State<'_, Session>, id: String, name: String) -> Answer<()> {
    Ok(session.wallet().await?.rename_space(space(&id)?, name).await?)
}

#[tauri::command]
async fn share_space(session: State<'_, Session>, id: String, grant: GrantId) -> Answer<()> {
    Ok(session.wallet().await?.share_space(space(&id)?, &grant).await?)
}

#[tauri::command]
async fn unshare_space(session: State<'_, Session>, id: String, app: String) -> Answer<()> {
    Ok(session.wallet().await?.unshare_space(space(&id)?, app).await?)
}

#[tauri::command]
async fn delete_space(session: State<'_, Session>, id: String) -> Answer<()> {
    Ok(session.wallet().await?.delete_space(space(&id)?).await?)
}

#[tauri::command]
async fn compact_space(session: State<'_, Session>, id: String) -> Answer<Compacted> {
    Ok(session.wallet().await?.compact_space(space(&id)?).await?)
}

/// Which space is on screen, if any.
#[tauri::command]
async fn look_at_space(session: State<'_, Session>, id: Option<String>) -> Answer<()> {
    let id = id.as_deref().map(space).transpose()?;
    Ok(session.wallet().await?.look_at_space(id).await?)
}

/// What a query finds, in DXOS's form.
#[tauri::command]
async fn items(session: State<'_, Session>, id: String, query: serde_json::Value) -> Answer<Vec<ItemView>> {
    let query = Query::parse(&query.to_string()).map_err(WalletError::from)?;
    Ok(session.wallet().await?.items(&By::Owner, space(&id)?, query).await?)
}

#[tauri::command]
async fn put_item(session: State<'_, Session>, id: String, item: PutItem) -> Answer<ItemView> {
    Ok(session.wallet().await?.put_item(&By::Owner, space(&id)?, item).await?)
}

#[tauri::command]
async fn set_item_deleted(
    session: State<'_, Session>,
    id: String,
    item: String,
    deleted: bool,
) -> Answer<()> {
    Ok(session.wallet().await?.set_item_deleted(&By::Owner, space(&id)?, item, deleted).await?)
}

#[tauri::command]
async fn item_versions(session: State<'_, Session>, id: String, item: String) -> Answer<Vec<ItemVersion>> {
    Ok(session.wallet().await?.item_versions(&By::Owner, space(&id)?, item).await?)
}

fn space(id: &str) -> Result<SpaceId, CommandError> {
    id.parse().map_err(|error| WalletError::from(error).into())
}

#[tauri::command]
async fn doctor(session: State<'_, Session>, rebuild: bool, steps: Channel<Step>) -> Answer<DoctorReport> {
    let (gauge, mut seen) = Gauge::seen();
    // Ends with the gauge, and that with the work.
    tauri::async_runtime::spawn(async move {
        while seen.changed().await.is_ok() {
            let step = *seen.borrow_and_update();
            // A window that is gone looks at nothing.
            let _ = steps.send(step);
            tokio::time::sleep(TELLING).await;
        }
    });
    Ok(session.wallet().await?.doctor(rebuild, gauge).await?)
}

#[tauri::command]
fn take_destination(waiting: State<'_, Waiting>) -> Option<Destination> {
    waiting.take()
}

#[tauri::command]
fn quit(app: AppHandle) {
    app.exit(0);
}

/// What the program says of itself.
#[derive(Serialize)]
struct About {
    name: String,
    version: String,
    /// What this machine calls itself.
    device_label: String,
}

#[tauri::command]
fn about(app: AppHandle) -> About {
    let package = app.package_info();
    let device_label = halo_wallet::device_label();
    About { name: package.name.clone(), version: package.version.to_string(), device_label }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn json(text: &str) -> serde_json::Value {
        serde_json::from_str(text).unwrap()
    }

    fn commands_of(permission: &str) -> BTreeSet<String> {
        let file = json(include_str!("../permissions/windows.json"));
        let named =
            file["permission"].as_array().unwrap().iter().find(|entry| entry["identifier"] == permission);
        let allowed = named.unwrap()["commands"]["allow"].as_array().unwrap();
        allowed.iter().map(|name| name.as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn every_command_stands_in_exactly_one_permission() {
        let (answering, keeping) = (commands_of("answer-requests"), commands_of("keep-wallet"));
        assert_eq!(answering.intersection(&keeping).count(), 0);
        let permitted: BTreeSet<_> = answering.union(&keeping).cloned().collect();
        assert_eq!(permitted, NAMES.iter().map(|name| (*name).to_owned()).collect());
    }

    #[test]
    fn the_approval_window_can_look_and_answer_and_nothing_else() {
        let capability = json(include_str!("../capabilities/approval.json"));
        assert_eq!(capability["windows"], serde_json::json!(["approval"]));
        assert_eq!(
            capability["permissions"],
            serde_json::json!(["answer-requests", "core:event:allow-listen", "core:event:allow-unlisten"])
        );
        let answering = ["approve", "deny", "prompt_moved", "snapshot"].map(str::to_owned);
        assert_eq!(commands_of("answer-requests"), BTreeSet::from(answering));
    }
}
