//! The way to the engine for tasks that must not keep the wallet alive.

use tokio::sync::{mpsc, oneshot};

use crate::engine::{Engine, Job};
use crate::error::WalletError;
use crate::handle::Wallet;

/// Sends jobs to an engine as long as somebody else holds its wallet.
#[derive(Clone)]
pub(crate) struct Desk {
    inbox: mpsc::WeakSender<Job>,
}

impl Desk {
    pub(crate) fn of(wallet: &Wallet) -> Self {
        Self { inbox: wallet.weak_inbox() }
    }

    /// Runs `work` on the engine's thread.
    ///
    /// # Errors
    /// [`WalletError::Closed`] once the wallet has gone.
    pub(crate) async fn job<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Engine) -> T + Send + 'static,
    ) -> Result<T, WalletError> {
        let (answer, answered) = oneshot::channel();
        let inbox = self.inbox.upgrade().ok_or(WalletError::Closed)?;
        let job: Job = Box::new(move |engine| {
            // Whoever asked may have gone; the work is done all the same.
            let _ = answer.send(work(engine));
        });
        inbox.send(job).await.map_err(|_| WalletError::Closed)?;
        drop(inbox);
        answered.await.map_err(|_| WalletError::Closed)
    }
}
