//! What all requests share.

use std::collections::HashMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use halo_protocol::Timestamp;
use halo_wallet::{State, Wallet};
use tokio::sync::watch;

use crate::address::Address;
use crate::dxos::Gossip;
use crate::evidence::Attribution;
use crate::limits::{Buckets, Limits, lock};
use crate::openid::Openid;

/// What all requests share; one a broker.
pub(crate) struct Face {
    pub(crate) wallet: Wallet,
    pub(crate) address: Address,
    pub(crate) limits: Limits,
    pub(crate) kernel: Arc<dyn Attribution>,
    pub(crate) requests: Buckets,
    pub(crate) asks: Buckets,
    pub(crate) openid: Openid,
    /// What lines of DXOS apps tell each other.
    pub(crate) gossip: Gossip,
    /// WebSockets that are open.
    pub(crate) sockets: AtomicUsize,
    /// When this process began to serve: proofs from before may have been used up by an earlier one.
    pub(crate) since: Timestamp,
    /// Says when the broker stops.
    pub(crate) stopping: Stopping,
    noted: Mutex<HashMap<&'static str, Instant>>,
}

/// The same oddity is written to the activity log so often at most.
const NOTE_EVERY: Duration = Duration::from_secs(60);

impl Face {
    pub(crate) fn new(
        wallet: Wallet,
        address: Address,
        limits: Limits,
        kernel: Arc<dyn Attribution>,
        stopping: Stopping,
    ) -> Self {
        Self {
            wallet,
            address,
            limits,
            kernel,
            requests: Buckets::new(limits.requests),
            asks: Buckets::new(limits.asks),
            openid: Openid::default(),
            gossip: Gossip::default(),
            sockets: AtomicUsize::new(0),
            since: crate::clock::now(),
            stopping,
            noted: Mutex::new(HashMap::new()),
        }
    }

    /// Whether the wallet can answer anything now.
    pub(crate) fn is_open(&self) -> bool {
        self.wallet.snapshot().state == State::Unlocked
    }

    /// Puts an oddity in the activity log, rarely enough that nobody can fill it.
    pub(crate) async fn note(&self, client_id: Option<String>, what: &'static str) {
        let now = Instant::now();
        {
            let mut noted = lock(&self.noted);
            if noted.get(what).is_some_and(|last| now.saturating_duration_since(*last) < NOTE_EVERY) {
                return;
            }
            noted.insert(what, now);
        }
        self.wallet.note_suspicious(client_id, what).await;
    }
}

/// Says when the broker stops.
#[derive(Clone)]
pub(crate) struct Stopping(watch::Receiver<bool>);

impl Stopping {
    pub(crate) fn new(stop: &watch::Sender<bool>) -> Self {
        Self(stop.subscribe())
    }

    /// Resolves when the broker stops, or is gone.
    pub(crate) async fn begun(&self) {
        let mut stop = self.0.clone();
        let _ = stop.wait_for(|stop| *stop).await;
    }
}
