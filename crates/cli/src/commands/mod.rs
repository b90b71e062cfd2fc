//! One module a subject; each command is one call of the wallet and what is said about it.

mod apps;
mod audit;
mod daemon;
mod devices;
mod doctor;
mod found;
mod identity;
mod items;
mod lock;
mod refused;
mod requests;
mod settings;
mod spaces;
mod status;
mod sync;

use std::future::Future;

use clap::CommandFactory;

use crate::args::{Args, Command};
use crate::connect;
use crate::error::Failure;
use crate::show::Out;

/// Carries out what was typed.
pub(crate) fn carry_out(args: Args, out: &Out) -> Result<(), Failure> {
    if let Command::Completions { shell } = args.command {
        clap_complete::generate(shell, &mut Args::command(), "halo", &mut std::io::stdout());
        return Ok(());
    }
    let profile = connect::profile(args.profile)?;
    match args.command {
        Command::Daemon(options) => daemon::run(profile, &options),
        Command::Init(init) => wait(found::init(&profile, init, out)),
        Command::Recover(recover) => wait(found::recover(&profile, recover, out)),
        Command::Status => wait(status::run(&profile, out)),
        Command::Lock => wait(lock::lock(&profile, out)),
        Command::Unlock(unlock) => wait(lock::unlock(&profile, &unlock, out)),
        Command::Passphrase(passphrase) => wait(lock::passphrase(&profile, &passphrase, out)),
        Command::Requests(requests) => wait(requests::run(&profile, requests, out)),
        Command::Apps(apps) => wait(apps::run(&profile, apps, out)),
        Command::Identity(identity) => wait(identity::run(&profile, identity, out)),
        Command::Devices(devices) => wait(devices::run(&profile, devices, out)),
        Command::Invitations(invitations) => wait(devices::invitations(&profile, invitations, out)),
        Command::Sync(sync) => wait(sync::run(&profile, sync, out)),
        Command::Spaces(spaces) => wait(spaces::run(&profile, spaces, out)),
        Command::Items(items) => wait(items::run(&profile, items, out)),
        Command::Doctor { rebuild } => wait(doctor::run(&profile, rebuild, out)),
        Command::Settings(settings) => wait(settings::run(&profile, settings, out)),
        Command::Audit(audit) => wait(audit::run(&profile, &audit, out)),
        Command::Completions { .. } => Ok(()),
    }
}

/// Runs one command; a single thread is plenty.
fn wait(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::io("the command cannot start", &error))?
        .block_on(work)
}
