//! A wallet in a directory of its own, with a keychain in memory.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use halo_keystore::MemoryKeychain;
use halo_wallet::{
    AnsweredBy, AppKind, Approval, Asker, Binding, Comparison, CreateIdentity, Exchange, GrantId, KdfTarget,
    KeychainChoice, NetworkOptions, Outcome, Passphrase, Process, Scope, SignInRequest, TokenRequest, Tokens,
    Wallet, WalletConfig,
};

pub(crate) const PAGE: &str = "https://app.example";
pub(crate) const OTHER_PAGE: &str = "https://other.example";
pub(crate) const ISSUER: &str = "http://127.0.0.1:47110";

pub(crate) struct World {
    dir: tempfile::TempDir,
    pub(crate) keychain: Arc<MemoryKeychain>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), keychain: Arc::new(MemoryKeychain::default()) }
    }

    pub(crate) fn profile(&self) -> PathBuf {
        self.dir.path().join("profile")
    }

    pub(crate) fn config(&self) -> WalletConfig {
        WalletConfig {
            profile: self.profile(),
            keychain: self.keychain.clone(),
            program: "test".into(),
            kdf_target: KdfTarget::Floor,
            watch_session: false,
            network: NetworkOptions::default(),
        }
    }

    pub(crate) async fn open(&self) -> Wallet {
        Wallet::open(self.config()).await.unwrap()
    }

    /// A wallet with Ada's identity, without a passphrase.
    pub(crate) async fn ada(&self) -> Wallet {
        let wallet = self.open().await;
        wallet.create_identity(create("Ada", None)).await.unwrap();
        wallet
    }
}

pub(crate) fn create(name: &str, passphrase: Option<&str>) -> CreateIdentity {
    CreateIdentity { name: name.into(), passphrase: passphrase.map(pass), keychain: KeychainChoice::Os }
}

pub(crate) fn pass(text: &str) -> Passphrase {
    Passphrase::new(text.to_owned())
}

pub(crate) fn page(origin: &str) -> Asker {
    Asker {
        client_id: origin.into(),
        kind: AppKind::Web,
        process: Some(process("/usr/bin/chromium", true)),
        claimed_name: Some("App".into()),
        impostor: false,
        instance: None,
    }
}

pub(crate) fn program(id: &str, path: &str) -> Asker {
    Asker { client_id: id.into(), kind: AppKind::Native, process: Some(process(path, false)), ..page(id) }
}

fn process(path: &str, browser: bool) -> Process {
    let name = path.rsplit('/').next().unwrap_or_default().to_owned();
    Process { pid: 4242, name, path: Some(path.into()), started: 1, browser }
}

pub(crate) fn request(asker: Asker, scopes: &[Scope]) -> SignInRequest {
    SignInRequest {
        asker,
        scopes: scopes.iter().copied().collect::<BTreeSet<_>>(),
        binding_message: None,
        comparison: Comparison::None,
        force_prompt: false,
        expires_in: Duration::from_secs(60),
    }
}

/// Asks and says yes on the command line.
pub(crate) async fn approved(wallet: &Wallet, request: SignInRequest, approval: Approval) -> GrantId {
    let ticket = wallet.ask(request).await.unwrap();
    let grant = wallet.approve(&ticket.id.clone(), approval, AnsweredBy::Command).await.unwrap();
    assert_eq!(ticket.outcome().await, Outcome::Approved(grant.clone()));
    grant
}

pub(crate) fn yes() -> Approval {
    Approval { words: None, scopes: None, fields: None, identity: false, spaces: Vec::new() }
}

pub(crate) fn token_request(client_id: &str, grant: &GrantId) -> TokenRequest {
    TokenRequest {
        grant: Some(grant.clone()),
        client_id: client_id.into(),
        kind: AppKind::Web,
        issuer: ISSUER.into(),
        nonce: Some("n-0S6_WzA2Mj".into()),
        auth_req_id: None,
        binding: Binding::Origin(client_id.into()),
        exchange: Exchange::Fresh,
    }
}

pub(crate) async fn signed_in(
    wallet: &Wallet,
    origin: &str,
    scopes: &[Scope],
    approval: Approval,
) -> (GrantId, Tokens) {
    let grant = approved(wallet, request(page(origin), scopes), approval).await;
    let tokens = wallet.issue(token_request(origin, &grant)).await.unwrap();
    (grant, tokens)
}
