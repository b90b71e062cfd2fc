//! A wallet with an identity, a broker before it, and a kernel that says what the test wants.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use halo_broker::evidence::{Attribution, Owner};
use halo_broker::{Broker, BrokerConfig, Limits, Tuning};
use halo_wallet::{
    AnsweredBy, Approval, CreateIdentity, GrantId, KdfTarget, KeychainChoice, MemoryKeychain, Process,
    RequestView, Wallet, WalletConfig,
};
use tempfile::TempDir;

use crate::http::Http;

/// The name of the user; no answer before approval may contain it.
pub(crate) const NAME: &str = "Ada Lovelace";

pub(crate) struct World {
    pub(crate) wallet: Wallet,
    pub(crate) broker: Broker,
    pub(crate) kernel: Arc<Witness>,
    pub(crate) dir: TempDir,
}

/// Says of every connection what the test has set.
pub(crate) struct Witness(Mutex<Owner>);

impl Witness {
    pub(crate) fn says(&self, owner: Owner) {
        *self.0.lock().unwrap() = owner;
    }
}

impl Attribution for Witness {
    fn owner(&self, _theirs: SocketAddr, _ours: SocketAddr) -> Owner {
        self.0.lock().unwrap().clone()
    }

    fn listener(&self, _port: u16) -> Option<Process> {
        None
    }

    fn process(&self, _pid: u32) -> Owner {
        self.0.lock().unwrap().clone()
    }

    fn is_still(&self, _process: &Process) -> bool {
        true
    }
}

pub(crate) fn browser() -> Owner {
    Owner::Process(Process {
        pid: 4_000_001,
        name: "chromium".into(),
        path: Some("/usr/lib/chromium/chromium".into()),
        started: 1,
        browser: true,
    })
}

pub(crate) fn program(path: &str) -> Owner {
    Owner::Process(Process {
        pid: 4_000_002,
        name: path.rsplit('/').next().unwrap().into(),
        path: Some(path.into()),
        started: 2,
        browser: false,
    })
}

impl World {
    /// A browser is at the other end, until the test says otherwise.
    pub(crate) async fn new() -> Self {
        Self::with(Limits::default()).await
    }

    pub(crate) async fn with(limits: Limits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let wallet = wallet(&dir).await;
        wallet
            .create_identity(CreateIdentity {
                name: NAME.into(),
                passphrase: None,
                keychain: KeychainChoice::Os,
            })
            .await
            .unwrap();
        Self::around(wallet, dir, limits).await
    }

    pub(crate) async fn around(wallet: Wallet, dir: TempDir, limits: Limits) -> Self {
        let kernel = Arc::new(Witness(Mutex::new(browser())));
        let config = BrokerConfig { listen_port: Some(0), runtime_dir: dir.path().join("run") };
        let agent_folder = dir.path().join("agent");
        let tuning = Tuning { limits, kernel: Arc::clone(&kernel) as Arc<dyn Attribution>, agent_folder };
        let broker = Broker::start_with(wallet.clone(), config, tuning).await.unwrap();
        Self { wallet, broker, kernel, dir }
    }

    pub(crate) fn runtime_dir(&self) -> PathBuf {
        self.dir.path().join("run")
    }

    pub(crate) fn port(&self) -> u16 {
        self.broker.port()
    }

    /// A connection from what the kernel is said to see.
    pub(crate) async fn connect(&self, owner: Owner) -> Http {
        self.kernel.says(owner);
        let mut http = Http::connect(self.port()).await;
        // The first request settles who it is; this one is refused or not, whatever else.
        http.get("/.well-known/halo", &[("Origin", "https://first.example")]).await;
        http
    }

    /// Waits until the user is asked.
    pub(crate) async fn prompt(&self) -> RequestView {
        let mut watch = self.wallet.watch();
        let asked = async {
            loop {
                if let Some(request) = self.wallet.snapshot().requests.first() {
                    return request.clone();
                }
                watch.next().await.expect("the wallet lives");
            }
        };
        tokio::time::timeout(Duration::from_secs(30), asked).await.expect("the user is asked")
    }

    /// The user says yes to what is asked.
    pub(crate) async fn approve(&self) -> GrantId {
        let request = self.prompt().await;
        self.wallet.approve(&request.id, yes(), AnsweredBy::Command).await.unwrap()
    }

    /// The user says no to what is asked.
    pub(crate) async fn deny(&self) {
        let request = self.prompt().await;
        self.wallet.deny(&request.id).await.unwrap();
    }
}

/// A wallet without an identity.
pub(crate) async fn wallet(dir: &TempDir) -> Wallet {
    let mut config = WalletConfig::new(dir.path().join("profile"), "test");
    config.keychain = Arc::new(MemoryKeychain::default());
    config.kdf_target = KdfTarget::Floor;
    config.watch_session = false;
    Wallet::open(config).await.unwrap()
}

/// Yes to everything as suggested.
pub(crate) fn yes() -> Approval {
    Approval { words: None, scopes: None, fields: None, identity: false, spaces: Vec::new() }
}
