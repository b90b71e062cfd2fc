//! KUBE: the meeting place of HALO devices, in one binary without configuration.
//!
//! It introduces devices to each other ([`halo_mesh::signaller`]), tells them their own address (STUN), and relays for
//! those that cannot reach each other (TURN). It knows no accounts, reads nothing that goes through it, and writes no
//! log about anybody.

mod args;
mod data;
mod error;
mod serve;
mod turn;

use std::alloc::System;
use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;
use zeroizing_alloc::ZeroAlloc;

use args::{Action, Command};
use error::KubeError;
use serve::Kube;

/// What is freed is overwritten: requests, payloads and addresses do not outlive their use.
#[global_allocator]
static MEMORY: ZeroAlloc<System> = ZeroAlloc(System);

fn main() -> ExitCode {
    let Command { action: Action::Serve(serve) } = Command::parse();
    // Of our own crates alone: others log addresses.
    let filter = EnvFilter::new("kube=info,halo_mesh=info");
    // Where nobody reads them any more, lines are lost; they do not take the process along.
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .log_internal_errors(false)
        .init();
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(KubeError::system("no runtime"))
        .and_then(|runtime| runtime.block_on(run(&serve)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "kube: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(serve: &args::Serve) -> Result<(), KubeError> {
    let kube = Kube::start(serve).await?;
    let stop = stopped()?;
    let mut out = std::io::stdout();
    writeln!(out, "{}", kube.ready())
        .and_then(|()| out.flush())
        .map_err(KubeError::system("cannot say that it is ready"))?;
    kube.run(stop).await
}

/// Returns when it is time to go.
#[cfg(unix)]
fn stopped() -> Result<impl Future<Output = ()>, KubeError> {
    use tokio::signal::unix::{SignalKind, signal};
    let failed = "cannot wait for signals";
    let mut terminate = signal(SignalKind::terminate()).map_err(KubeError::system(failed))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(KubeError::system(failed))?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Returns when it is time to go.
#[cfg(not(unix))]
fn stopped() -> Result<impl Future<Output = ()>, KubeError> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}

/// Fresh randomness from the system.
fn random<const N: usize>() -> Result<[u8; N], KubeError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| KubeError::System {
        what: "no randomness",
        source: std::io::Error::other(error.to_string()),
    })?;
    Ok(bytes)
}
