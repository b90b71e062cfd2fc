//! Starting and stopping.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use halo_wallet::{Event, Wallet};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::address::Address;
use crate::discovery::{Announced, private_dir};
use crate::error::BrokerError;
use crate::evidence::{Attribution, Kernel};
use crate::limits::Limits;
use crate::serve::{Connections, bind};
use crate::state::{Face, Stopping};

/// How long connections may take to finish when the broker stops.
const GRACE: Duration = Duration::from_secs(2);

/// What a broker is started with.
#[derive(Debug, Clone)]
pub struct BrokerConfig {
    /// The port; `None` for the first free one of 47110–47114, `Some(0)` for any.
    pub listen_port: Option<u16>,
    /// Where `broker.json` and the sockets go ([`halo_wallet::runtime_dir`]).
    pub runtime_dir: PathBuf,
}

/// What tests set and shipped programs leave alone.
pub struct Tuning {
    /// Bounds.
    pub limits: Limits,
    /// Who says which process is at the other end.
    pub kernel: Arc<dyn Attribution>,
    /// Where DXOS's clients look for an agent.
    #[cfg(unix)]
    pub agent_folder: PathBuf,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            kernel: Arc::new(Kernel),
            #[cfg(unix)]
            agent_folder: crate::dxos::agent::folder(),
        }
    }
}

/// A running broker. Dropping it stops it at once; [`Broker::shutdown`] lets answers on their way finish.
#[must_use = "dropping it stops it"]
pub struct Broker {
    wallet: Wallet,
    address: Address,
    url: String,
    announced: Announced,
    stop: watch::Sender<bool>,
    end_wanted: watch::Receiver<bool>,
    tasks: JoinSet<()>,
}

impl Broker {
    /// Listens on loopback and on the sockets, and says where in `broker.json` and in the wallet's snapshot.
    ///
    /// # Errors
    /// [`BrokerError`]; nothing is left behind.
    pub async fn start(wallet: Wallet, config: BrokerConfig) -> Result<Self, BrokerError> {
        Self::start_with(wallet, config, Tuning::default()).await
    }

    /// As [`Broker::start`], with other bounds or another source of evidence.
    ///
    /// # Errors
    /// [`BrokerError`]; nothing is left behind.
    pub async fn start_with(
        wallet: Wallet,
        config: BrokerConfig,
        tuning: Tuning,
    ) -> Result<Self, BrokerError> {
        private_dir(&config.runtime_dir)?;
        let (listeners, port) = bind(config.listen_port).await?;
        let address = Address { port };
        let url = address.issuer();
        let stop = watch::Sender::new(false);
        let stopping = Stopping::new(&stop);
        let (end, end_wanted) = watch::channel(false);
        let face =
            Arc::new(Face::new(wallet.clone(), address, tuning.limits, tuning.kernel, stopping.clone()));
        let connections = Arc::new(Connections::new(&tuning.limits));
        let router = crate::openid::router(Arc::clone(&face));
        let mut tasks = JoinSet::new();
        for listener in listeners {
            let door = crate::serve::Door::new(&face, &router, &connections);
            tasks.spawn(door.serve_tcp(listener));
        }
        #[cfg(unix)]
        {
            use crate::socket;
            let native = socket::bind(&config.runtime_dir, socket::BROKER)
                .map_err(BrokerError::io("broker.sock cannot be opened"))?;
            let control = socket::bind(&config.runtime_dir, socket::CONTROL)
                .map_err(BrokerError::io("control.sock cannot be opened"))?;
            let door = crate::serve::Door::new(&face, &router, &connections);
            tasks.spawn(door.serve_unix(native));
            let agent =
                crate::dxos::agent::keep(Arc::clone(&face), Arc::clone(&connections), tuning.agent_folder);
            tasks.spawn(agent);
            tasks.spawn(crate::control::serve(control, wallet.clone(), stopping.clone(), end));
        }
        #[cfg(not(unix))]
        drop(end);
        tasks.spawn(follow(Arc::clone(&face), wallet.watch(), stopping));
        let announced = Announced::write(&config.runtime_dir, port, &url)
            .map_err(BrokerError::io("broker.json cannot be written"))?;
        let broker = Self { wallet, address, url, announced, stop, end_wanted, tasks };
        broker.wallet.set_broker_url(Some(broker.url.clone())).await?;
        tracing::info!(url = broker.url, "the broker serves");
        Ok(broker)
    }

    /// `http://127.0.0.1:PORT`: the issuer, and the base of every endpoint.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port
    }

    /// Waits until somebody asks, over the control socket, that the whole program ends.
    pub async fn end_wanted(&self) {
        let mut wanted = self.end_wanted.clone();
        if wanted.wait_for(|wanted| *wanted).await.is_err() {
            // Nobody can ask any more.
            std::future::pending::<()>().await;
        }
    }

    /// Stops listening, lets answers on their way finish, and ends every task.
    pub async fn shutdown(mut self) {
        self.announced.remove();
        let _ = self.stop.send(true);
        let done = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, done).await.is_err() {
            self.tasks.shutdown().await;
        }
        // The wallet may have been closed first; then nobody shows the address any more.
        let _ = self.wallet.set_broker_url(None).await;
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        self.announced.remove();
    }
}

/// Forgets what hangs on a grant that is gone, and everything when the wallet locks.
async fn follow(face: Arc<Face>, mut wallet: halo_wallet::Watch, stopping: Stopping) {
    let mut sweep = tokio::time::interval(Duration::from_secs(5));
    loop {
        let event = tokio::select! {
            event = wallet.next() => event,
            _ = sweep.tick() => {
                face.openid.expire(crate::clock::now());
                continue;
            }
            () = stopping.begun() => return,
        };
        match event {
            Some(Event::Revoked(grant)) => {
                face.openid.forget(&grant);
                face.gossip.forget(&grant);
            }
            Some(Event::Locked) => {
                face.openid.forget_all();
                face.gossip.forget_all();
            }
            // Some events may have been missed: what the snapshot does not vouch for is gone.
            Some(Event::Changed) => face.openid.keep_only(&face.wallet.snapshot()),
            Some(_) => {}
            None => {
                face.openid.forget_all();
                return;
            }
        }
    }
}
