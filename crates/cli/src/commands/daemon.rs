//! `halo daemon`: the wallet without a window.

use std::path::PathBuf;

use halo_broker::{Broker, BrokerConfig};
use halo_wallet::{NetworkOptions, Wallet, WalletConfig};
use serde_json::json;

use crate::args::{Daemon, Lan};
use crate::error::Failure;
use crate::show;

/// Serves a profile until SIGTERM, SIGINT, or `shutdown` over the control socket.
pub(super) fn run(profile: PathBuf, options: &Daemon) -> Result<(), Failure> {
    log_to_stderr();
    // Two threads, so that no slow request holds up another; more would only cost memory.
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::io("the daemon cannot start", &error))?
        .block_on(serve(profile, options))
}

async fn serve(profile: PathBuf, options: &Daemon) -> Result<(), Failure> {
    let listen_port = options.listen_port;
    let network = network(options)?;
    // Asked for before anything is open: a signal during start also ends it cleanly.
    let end = Signals::new().map_err(|error| Failure::io("signals cannot be received", &error))?;
    let runtime_dir = halo_wallet::runtime_dir(&profile)?;
    let config = WalletConfig { network, ..WalletConfig::new(profile, "halo daemon") };
    let wallet = Wallet::open(config).await?;
    let broker = match Broker::start(wallet.clone(), BrokerConfig { listen_port, runtime_dir }).await {
        Ok(broker) => broker,
        Err(error) => {
            wallet.close().await;
            return Err(error.into());
        }
    };
    show::line(&json!({"ready": true, "broker_url": broker.url(), "pid": std::process::id()}).to_string());
    tokio::select! {
        () = end.received() => {}
        () = broker.end_wanted() => {}
    }
    broker.shutdown().await;
    wallet.close().await;
    Ok(())
}

/// What was said of the network.
fn network(options: &Daemon) -> Result<NetworkOptions, Failure> {
    let servers = options.kubes.iter().map(|url| halo_wallet::server_url(url)).collect::<Result<_, _>>()?;
    Ok(NetworkOptions { servers, lan: options.lan.map(|lan| lan == Lan::On), ..NetworkOptions::default() })
}

/// `HALO_LOG=debug` shows more; the default is silence unless something is wrong. WebRTC warns of what is usual while it
/// looks for a way.
fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("HALO_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn,rtc=error,webrtc=error"));
    // Where nobody reads them any more, lines are lost; they do not take the process along.
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .log_internal_errors(false)
        .init();
}

/// The signals that end a program politely.
struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    #[cfg(unix)]
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    #[cfg(not(unix))]
    fn new() -> std::io::Result<Self> {
        Ok(Self {})
    }

    #[cfg(unix)]
    async fn received(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    #[cfg(not(unix))]
    async fn received(self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
