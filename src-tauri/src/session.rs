//! The wallet's life inside the app: opened at start beside the window, closed when the app quits.
//!
//! A profile that cannot be taken (another process has it, its disk is read-only) is a stage like any other: the
//! window shows why, and "try again" opens it once more.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use halo_broker::{Broker, BrokerConfig};
use halo_wallet::{Snapshot, State, Trouble, Wallet, WalletConfig, WalletError};
use tauri::{AppHandle, Manager};
use tokio::sync::{Mutex, Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::error::CommandError;

/// Longer than a checkpoint takes; the desktop kills what has not ended some seconds after it said so.
const CLOSING: Duration = Duration::from_secs(5);

/// How long another holder of the profile may take to let go before the user is told of it, and how often to look.
const PREDECESSOR: Duration = Duration::from_secs(1);
const AGAIN: Duration = Duration::from_millis(50);

/// How far the wallet is.
#[derive(Clone)]
pub(crate) enum Stage {
    /// Being opened.
    Opening,
    /// Open (perhaps locked).
    Open(Wallet),
    /// Could not be taken.
    Failed(CommandError),
    /// Closed: the app is about to end.
    Closed,
}

/// One profile, held by this app.
pub(crate) struct Session {
    profile: Result<PathBuf, CommandError>,
    stage: watch::Sender<Stage>,
    serving: Mutex<Option<JoinHandle<()>>>,
    end_wanted: Arc<Notify>,
    /// What the title bars follow.
    pub(crate) theme: watch::Sender<Option<tauri::Theme>>,
    /// The prompt was shown, moved, resized or focused.
    pub(crate) prompt_moved: Notify,
}

impl Session {
    /// Of `HALO_PROFILE` or the platform's directory; nothing is opened yet.
    pub(crate) fn of_default_profile() -> Self {
        Self {
            profile: halo_wallet::default_profile().map_err(CommandError::from),
            stage: watch::Sender::new(Stage::Opening),
            serving: Mutex::new(None),
            end_wanted: Arc::default(),
            theme: watch::Sender::new(None),
            prompt_moved: Notify::new(),
        }
    }

    /// Eight hex digits that differ between profiles, where there is a run-time directory to tell them apart.
    pub(crate) fn short_name(&self) -> Option<String> {
        let dir = halo_wallet::runtime_dir(self.profile.as_ref().ok()?).ok()?;
        let name = dir.file_name()?.to_str()?;
        (name.len() == 8 && name.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| name.to_owned())
    }

    /// The stage and its changes.
    pub(crate) fn stages(&self) -> watch::Receiver<Stage> {
        self.stage.subscribe()
    }

    /// The wallet, as soon as it is open.
    pub(crate) async fn wallet(&self) -> Result<Wallet, CommandError> {
        let mut stages = self.stage.subscribe();
        // The sender is in `self`, so waiting cannot fail.
        let _ = stages.wait_for(|stage| !matches!(stage, Stage::Opening)).await;
        let stage = self.stage.borrow().clone();
        match stage {
            Stage::Open(wallet) => Ok(wallet),
            Stage::Failed(error) => Err(error),
            Stage::Opening | Stage::Closed => Err(WalletError::Closed.into()),
        }
    }

    /// What windows show: of the wallet, or of a profile that could not be taken.
    pub(crate) async fn snapshot(&self) -> Arc<Snapshot> {
        match self.wallet().await {
            Ok(wallet) => wallet.snapshot(),
            Err(error) => Arc::new(self.troubled(error)),
        }
    }

    /// Opens a profile that could not be taken once more; `false` if there was nothing to do.
    pub(crate) async fn try_again(&self) -> Result<bool, CommandError> {
        let failed = self.stage.send_if_modified(|stage| {
            let failed = matches!(stage, Stage::Failed(_));
            if failed {
                *stage = Stage::Opening;
            }
            failed
        });
        if failed {
            self.open().await;
            self.wallet().await?;
        }
        Ok(failed)
    }

    /// Stops serving, locks and frees the profile.
    pub(crate) async fn close(&self) {
        let closing = async {
            let last = self.stage.send_replace(Stage::Closed);
            if let Some(serving) = self.serving.lock().await.take() {
                // A task that failed has let go of its sockets as well.
                let _ = serving.await;
            }
            if let Stage::Open(wallet) = last {
                wallet.close().await;
            }
        };
        if tokio::time::timeout(CLOSING, closing).await.is_err() {
            tracing::warn!("the wallet took too long to close; the next start repairs what is open");
        }
    }

    async fn open(&self) {
        let stage = match self.take().await {
            Ok(wallet) => Stage::Open(wallet),
            Err(error) => {
                tracing::warn!(error.code, error.message, "the profile could not be opened");
                Stage::Failed(error)
            }
        };
        self.stage.send_if_modified(|current| {
            // The app may be on its way out already.
            let wanted = !matches!(current, Stage::Closed);
            if wanted {
                *current = stage;
            }
            wanted
        });
    }

    async fn take(&self) -> Result<Wallet, CommandError> {
        let profile = self.profile.clone()?;
        let wallet = open_patiently(&profile).await?;
        let config = BrokerConfig { listen_port: None, runtime_dir: halo_wallet::runtime_dir(&profile)? };
        match Broker::start(wallet.clone(), config).await {
            Ok(broker) => {
                let serving = serve(broker, self.stage.subscribe(), Arc::clone(&self.end_wanted));
                *self.serving.lock().await = Some(tokio::spawn(serving));
            }
            // The window still shows and revokes; it says itself that no app can reach it.
            Err(error) => tracing::error!(%error, "apps cannot reach this wallet"),
        }
        Ok(wallet)
    }

    fn troubled(&self, error: CommandError) -> Snapshot {
        let profile = self.profile.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
        Snapshot {
            // Not `Empty`: nobody knows whether there is an identity, so none must be offered.
            state: State::Locked,
            trouble: Some(Trouble { code: error.code.to_owned(), message: error.message }),
            profile,
            ..Snapshot::empty()
        }
    }
}

/// Opens a profile, and gives a predecessor that is just closing it time to do so.
async fn open_patiently(profile: &Path) -> Result<Wallet, WalletError> {
    let deadline = Instant::now() + PREDECESSOR;
    loop {
        match Wallet::open(WalletConfig::new(profile.to_owned(), "HALO")).await {
            Err(WalletError::Held { .. }) if Instant::now() < deadline => tokio::time::sleep(AGAIN).await,
            opened => return opened,
        }
    }
}

/// Opens the wallet without holding up the window.
pub(crate) fn open_beside(app: &AppHandle) {
    let app = app.clone();
    tauri::async_runtime::spawn(async move { app.state::<Session>().open().await });
}

/// Holds the broker until the wallet is closed.
async fn serve(broker: Broker, mut stages: watch::Receiver<Stage>, end_wanted: Arc<Notify>) {
    let closed = async {
        // No sender any more: the app is gone as well.
        let _ = stages.wait_for(|stage| matches!(stage, Stage::Closed)).await;
    };
    tokio::pin!(closed);
    tokio::select! {
        () = broker.end_wanted() => {
            end_wanted.notify_one();
            closed.await;
        }
        () = &mut closed => {}
    }
    broker.shutdown().await;
}

/// Ends the app properly when the system asks it to, or the command line over the control socket.
pub(crate) fn quit_when_asked(app: &AppHandle) {
    let app = app.clone();
    tauri::async_runtime::spawn(async move {
        let session = app.state::<Session>();
        tokio::select! {
            () = session.end_wanted.notified() => {}
            () = signalled() => {}
        }
        app.exit(0);
    });
}

#[cfg(unix)]
async fn signalled() {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        _ => std::future::pending().await,
    }
}

#[cfg(not(unix))]
async fn signalled() {
    std::future::pending().await
}
