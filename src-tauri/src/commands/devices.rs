//! What windows may call about devices, codes, sync and the network.

use halo_wallet::{
    AddAskingDevice, AgreeDevice, AskToJoin, GrantId, InvitationId, InvitationView, InviteDevice, JoinDevice,
    NetworkChange, QrView, Removal, RevokeDevice, SyncView, TurnServer, WalletError,
};
use serde::Deserialize;
use tauri::State;
use tauri::ipc::{InvokeBody, Request};

use super::{Answer, Keychain};
use crate::secret::Secret;
use crate::session::Session;

#[tauri::command]
pub(super) async fn invite_device(session: State<'_, Session>) -> Answer<InvitationView> {
    Ok(session.wallet().await?.invite_device(InviteDevice::default()).await?)
}

#[tauri::command]
pub(super) async fn add_asking_device(
    session: State<'_, Session>,
    url: Secret,
    passphrase: Option<Secret>,
) -> Answer<InvitationView> {
    let passphrase = passphrase.map(Secret::into_passphrase);
    let add = AddAskingDevice { url: url.into_text(), passphrase };
    Ok(session.wallet().await?.add_asking_device(add).await?)
}

#[tauri::command]
pub(super) async fn enter_digits(
    session: State<'_, Session>,
    id: InvitationId,
    digits: Secret,
) -> Answer<()> {
    Ok(session.wallet().await?.enter_digits(&id, digits.into_text()).await?)
}

#[tauri::command]
pub(super) async fn cancel_invitation(session: State<'_, Session>, id: InvitationId) -> Answer<()> {
    Ok(session.wallet().await?.cancel_invitation(&id).await?)
}

#[tauri::command]
pub(super) async fn join_device(
    session: State<'_, Session>,
    url: Secret,
    label: String,
    passphrase: Option<Secret>,
    keychain: Keychain,
) -> Answer<()> {
    let passphrase = passphrase.map(Secret::into_passphrase);
    let join = JoinDevice { url: url.into_text(), label, passphrase, keychain: keychain.into() };
    // How it goes on is in the snapshot.
    session.wallet().await?.join_device(join).await?;
    Ok(())
}

#[tauri::command]
pub(super) async fn ask_to_join(
    session: State<'_, Session>,
    label: String,
    passphrase: Option<Secret>,
    keychain: Keychain,
) -> Answer<()> {
    let passphrase = passphrase.map(Secret::into_passphrase);
    session.wallet().await?.ask_to_join(AskToJoin { label, passphrase, keychain: keychain.into() }).await?;
    Ok(())
}

#[tauri::command]
pub(super) async fn cancel_join(session: State<'_, Session>) -> Answer<()> {
    Ok(session.wallet().await?.cancel_join().await?)
}

#[tauri::command]
pub(super) async fn rename_device(session: State<'_, Session>, key: String, label: String) -> Answer<()> {
    Ok(session.wallet().await?.rename_device(key, label).await?)
}

#[tauri::command]
pub(super) async fn removal_of(session: State<'_, Session>, key: String) -> Answer<Removal> {
    Ok(session.wallet().await?.removal_of(key).await?)
}

#[tauri::command]
pub(super) async fn revoke_device(
    session: State<'_, Session>,
    key: String,
    phrase: Option<Secret>,
    passphrase: Option<Secret>,
) -> Answer<Removal> {
    let (phrase, passphrase) = (phrase.map(Secret::into_text), passphrase.map(Secret::into_passphrase));
    Ok(session.wallet().await?.revoke_device(RevokeDevice { device_key: key, phrase, passphrase }).await?)
}

#[tauri::command]
pub(super) async fn undo_device(session: State<'_, Session>, key: String) -> Answer<()> {
    Ok(session.wallet().await?.undo_device(key).await?)
}

#[tauri::command]
pub(super) async fn agree_device(
    session: State<'_, Session>,
    admission: String,
    brings: Vec<String>,
    puts_out: Vec<String>,
    passphrase: Option<Secret>,
) -> Answer<()> {
    let passphrase = passphrase.map(Secret::into_passphrase);
    let agree = AgreeDevice { admission, brings, puts_out, passphrase };
    Ok(session.wallet().await?.agree_device(agree).await?)
}

#[tauri::command]
pub(super) async fn fresh_alias(session: State<'_, Session>, grant: GrantId) -> Answer<()> {
    Ok(session.wallet().await?.fresh_alias(&grant).await?)
}

#[tauri::command]
pub(super) async fn sync_status(session: State<'_, Session>) -> Answer<SyncView> {
    Ok(session.wallet().await?.sync_status().await?)
}

/// A TURN server as a window names it.
#[derive(Deserialize)]
pub(super) struct Turn {
    url: String,
    username: String,
    credential: Option<Secret>,
}

#[tauri::command]
pub(super) async fn set_network(
    session: State<'_, Session>,
    servers: Option<Vec<String>>,
    lan: Option<bool>,
    turn: Option<Vec<Turn>>,
) -> Answer<()> {
    let turn = turn.map(|turn| {
        let server = |Turn { url, username, credential }| TurnServer {
            url,
            username,
            credential: credential.map(Secret::into_text),
        };
        turn.into_iter().map(server).collect()
    });
    Ok(session.wallet().await?.set_network(NetworkChange { servers, lan, turn }).await?)
}

#[tauri::command]
pub(super) fn draw_code(text: Secret) -> Answer<QrView> {
    Ok(halo_wallet::draw_code(&text.into_text())?)
}

/// Takes the bytes of a picture as they are.
#[tauri::command]
pub(super) async fn read_code(request: Request<'_>) -> Answer<Option<String>> {
    let picture = match request.body() {
        InvokeBody::Raw(bytes) => bytes.clone(),
        // Where the bridge has no way for bytes.
        InvokeBody::Json(numbers) => serde_json::from_value(numbers.clone())
            .map_err(|_| WalletError::BadInput { what: "this is not a picture".to_owned() })?,
    };
    // Beside everything else: a large picture takes its time.
    let read = tauri::async_runtime::spawn_blocking(move || halo_wallet::read_code(&picture)).await;
    Ok(read.map_err(|_| WalletError::Closed)??)
}
