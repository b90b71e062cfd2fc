//! The handle that everybody holds.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::{broadcast, mpsc, oneshot, watch};

use crate::config::WalletConfig;
use crate::engine::{Ends, Engine, Job};
use crate::error::WalletError;
use crate::view::{Event, Snapshot};

/// The wallet: one profile, opened by this process.
///
/// Cheap to clone; all clones speak to the same engine. When the last one is dropped the wallet locks and the
/// profile is free for another process.
#[derive(Clone)]
pub struct Wallet {
    inbox: mpsc::Sender<Job>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    events: broadcast::Sender<Event>,
    /// Behind `inbox`, so that the engine has been told to end when this waits for it.
    thread: Arc<EngineThread>,
}

/// The engine's thread, until somebody has waited for its end: [`Wallet::close`], or the last handle as it is dropped.
/// OpenSSL must not be torn down, at the end of the program, while a thread still uses it.
struct EngineThread(Mutex<Option<JoinHandle<()>>>);

impl EngineThread {
    fn take(&self) -> Option<JoinHandle<()>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for EngineThread {
    fn drop(&mut self) {
        if let Some(thread) = self.take()
            && thread.thread().id() != std::thread::current().id()
        {
            // A panic in it was reported by itself.
            let _ = thread.join();
        }
    }
}

/// A snapshot, and every event after it.
pub struct Watch {
    /// The state at the moment the watch began.
    pub snapshot: Arc<Snapshot>,
    events: broadcast::Receiver<Event>,
}

impl Watch {
    /// The next event; `None` when the wallet was closed.
    ///
    /// Whoever is slow hears [`Event::Changed`] in place of what it missed, and must look at the snapshot.
    pub async fn next(&mut self) -> Option<Event> {
        match self.events.recv().await {
            Ok(event) => Some(event),
            Err(broadcast::error::RecvError::Lagged(_)) => Some(Event::Changed),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

impl Wallet {
    /// Opens a profile: takes it for this process and, where no passphrase is set, unlocks it.
    ///
    /// What keeps it from unlocking is in [`Snapshot::trouble`]; only a profile that cannot be taken at all is
    /// an error.
    ///
    /// # Errors
    /// [`WalletError::Held`] if another process has it.
    pub async fn open(config: WalletConfig) -> Result<Self, WalletError> {
        let watch_session = config.watch_session;
        let (dir, keystore) = {
            let config = config.clone();
            beside(move || crate::startup::take(&config)).await?
        };
        let Ends { inbox, snapshots, events, thread } = Engine::start(config, dir, keystore)?;
        let wallet =
            Self { inbox, snapshots, events, thread: Arc::new(EngineThread(Mutex::new(Some(thread)))) };
        if let Err(error) = wallet.unlock_at_start().await {
            wallet.close().await;
            return Err(error);
        }
        crate::link::spawn(&wallet);
        if watch_session {
            #[cfg(target_os = "linux")]
            crate::session_watch::spawn(&wallet);
        }
        Ok(wallet)
    }

    /// The state as last published; never waits.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshots.borrow().clone()
    }

    /// The state and everything that happens after it.
    #[must_use]
    pub fn watch(&self) -> Watch {
        // Subscribed first, so that nothing falls between.
        let events = self.events.subscribe();
        Watch { snapshot: self.snapshot(), events }
    }

    /// Locks, puts everything to rest and frees the profile.
    ///
    /// A program calls this before it ends. The last handle does the same as it is dropped, and blocks meanwhile.
    pub async fn close(self) {
        let _ = self.job(|engine| engine.closing = true).await;
        self.inbox.closed().await;
        if let Some(thread) = self.thread.take() {
            // The thread has its last few instructions ahead of it; a panic in it was reported by itself.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }

    /// Runs `work` on the engine's thread.
    pub(crate) async fn job<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Engine) -> T + Send + 'static,
    ) -> Result<T, WalletError> {
        let (answer, answered) = oneshot::channel();
        self.inbox
            .send(Box::new(move |engine| {
                let done = work(engine);
                // First the snapshot, then the answer: whoever has the answer sees what it did.
                engine.publish();
                // Whoever asked may have gone; the work is done all the same.
                let _ = answer.send(done);
            }))
            .await
            .map_err(|_| WalletError::Closed)?;
        answered.await.map_err(|_| WalletError::Closed)
    }

    /// Like [`Self::job`], for work that can fail.
    pub(crate) async fn try_job<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Engine) -> Result<T, WalletError> + Send + 'static,
    ) -> Result<T, WalletError> {
        self.job(work).await?
    }

    /// Every event from now on, without keeping the wallet alive.
    pub(crate) fn listen(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// The inbox, without keeping the wallet alive.
    pub(crate) fn weak_inbox(&self) -> mpsc::WeakSender<Job> {
        self.inbox.downgrade()
    }

    /// Sends a job without waiting for it; if the inbox is full it is dropped.
    pub(crate) fn nudge(&self, work: impl FnOnce(&mut Engine) + Send + 'static) {
        let _ = self.inbox.try_send(Box::new(work));
    }
}

/// Runs slow work beside the engine.
pub(crate) async fn beside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, WalletError> + Send + 'static,
) -> Result<T, WalletError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| WalletError::Closed)?
}
