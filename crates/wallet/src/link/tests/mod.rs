//! Wallets on one machine that meet over a signaller, seen from inside.

mod aliases;
mod changes;
mod looks;
mod meetings;
#[cfg(target_os = "linux")]
pub(crate) mod powercut;
mod puppet;
mod refused;
mod snapshots;
mod stolen;
mod waits;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use halo_echo::SpaceId;
use halo_keystore::{KeychainChoice, MemoryKeychain};
use halo_mesh::signaller::{Signaller, SignallerConfig};
use halo_protocol::DeviceKey;
use serde_json::json;
use tokio::net::TcpListener;
use zeroize::Zeroizing;

use super::NetworkOptions;
use crate::open::Open;
use crate::{
    By, CreateIdentity, InvitationState, InviteDevice, JoinDevice, KdfTarget, PutItem, Query, Wallet,
    WalletConfig,
};

/// Whatever does not happen by then does not happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where devices meet.
struct Meeting {
    signaller: Signaller,
    url: url::Url,
}

impl Meeting {
    async fn begin() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/signal", listener.local_addr().unwrap()).parse().unwrap();
        let signaller = Signaller::new(SignallerConfig::default()).unwrap();
        let serving = signaller.clone();
        tokio::spawn(async move { serving.serve(listener, None).await });
        Self { signaller, url }
    }

    /// Lets a wallet look for the others there.
    async fn tell(&self, wallet: &Wallet) {
        finds(wallet, vec![self.url.clone()]).await;
    }
}

impl Drop for Meeting {
    fn drop(&mut self) {
        self.signaller.close();
    }
}

/// A computer with a wallet, that can be switched off and on.
struct Computer {
    dir: tempfile::TempDir,
    keychain: Arc<MemoryKeychain>,
}

impl Computer {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), keychain: Arc::new(MemoryKeychain::default()) }
    }

    fn profile(&self) -> PathBuf {
        self.dir.path().join("profile")
    }

    /// Nobody is reached until it is told where.
    async fn on(&self) -> Wallet {
        Wallet::open(WalletConfig {
            profile: self.profile(),
            keychain: self.keychain.clone(),
            program: "test".into(),
            kdf_target: KdfTarget::Floor,
            watch_session: false,
            network: NetworkOptions { servers: vec![], lan: Some(false), loopback: true },
        })
        .await
        .unwrap()
    }
}

/// Lets a wallet meet nobody.
async fn apart(wallet: &Wallet) {
    finds(wallet, Vec::new()).await;
}

/// Lets a wallet look for others at these servers only, as if it had been started so.
async fn finds(wallet: &Wallet, servers: Vec<url::Url>) {
    wallet.job(|engine| engine.config.network.servers = servers).await.unwrap();
    super::net::follow(&super::desk::Desk::of(wallet)).await.unwrap();
    wallet.job(|engine| engine.tell(crate::view::Event::Devices)).await.unwrap();
}

/// Does something inside an unlocked wallet.
async fn inside<T: Send + 'static>(wallet: &Wallet, work: impl FnOnce(&mut Open) -> T + Send + 'static) -> T {
    wallet.job(|engine| work(engine.unlocked().unwrap())).await.unwrap()
}

async fn device(wallet: &Wallet) -> DeviceKey {
    inside(wallet, |open| open.keys.device_key()).await
}

/// Waits until something holds, looking again whenever something happened.
async fn until(wallet: &Wallet, what: &str, mut holds: impl AsyncFnMut(&Wallet) -> bool) {
    let mut watch = wallet.watch();
    let waiting = async {
        while !holds(wallet).await {
            assert!(watch.next().await.is_some(), "the wallet was closed before {what}");
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "never: {what}");
}

async fn identity(wallet: &Wallet) {
    let new = CreateIdentity { name: "Ada".into(), passphrase: None, keychain: KeychainChoice::Os };
    wallet.create_identity(new).await.unwrap();
}

/// Lets a device in.
async fn link(host: &Wallet, guest: &Wallet) {
    let invitation = host.invite_device(InviteDevice::default()).await.unwrap();
    let url = Zeroizing::new(invitation.url.unwrap());
    let join = JoinDevice { url, label: "Laptop".into(), passphrase: None, keychain: KeychainChoice::Os };
    guest.join_device(join).await.unwrap();
    let digits = |guest: &Wallet| guest.snapshot().join.clone().and_then(|join| join.digits);
    until(guest, "digits on the new device", async |guest| digits(guest).is_some()).await;
    let digits = Zeroizing::new(digits(guest).unwrap());
    host.enter_digits(&invitation.invitation_id, digits).await.unwrap();
    let joined = |guest: &Wallet| guest.snapshot().join.clone().unwrap();
    until(guest, "success", async |guest| joined(guest).state.is_over()).await;
    assert_eq!(joined(guest).state, InvitationState::Success);
    until(guest, "in step", async |guest| joined(guest).in_step).await;
}

async fn put(wallet: &Wallet, space: SpaceId, title: &str) {
    let data = json!({ "title": title }).as_object().unwrap().clone();
    let put = PutItem { r#type: Some("example.org/type/Task".into()), data, ..PutItem::default() };
    wallet.put_item(&By::Owner, space, put).await.unwrap();
}

async fn titles(wallet: &Wallet, space: SpaceId) -> Vec<String> {
    let query = Query::of_type("dxn:type:example.org/type/Task");
    let Ok(items) = wallet.items(&By::Owner, space, query).await else { return Vec::new() };
    let mut titles: Vec<String> =
        items.iter().map(|item| item.data.get("title").unwrap().as_str().unwrap().to_owned()).collect();
    titles.sort();
    titles
}
