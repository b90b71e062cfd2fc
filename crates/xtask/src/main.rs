//! Builds, checks, measures and runs HALO: `cargo xtask`.
//!
//! Every command installs what it needs first, or says exactly what to install: a fresh Debian machine with git,
//! Rust and Node is enough. Nothing here is part of what ships.

mod bench;
mod bindings;
mod dist;
mod error;
mod fences;
mod fuzz;
mod mutants;
mod place;
mod process;
mod run;
mod setup;
mod shots;
mod soak;
mod test;
mod ui;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::Trouble;
use crate::place::Place;

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    about = "Builds, checks, measures and runs HALO",
    disable_help_subcommand = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build the page and the app, and open the window.
    Run(run::Options),
    /// Everything CI checks, or only the steps named.
    Test(test::Options),
    /// Measure, beside a peer where there is one.
    Bench(bench::Options),
    /// Make the packages that people install.
    Dist,
    /// Check the architecture: who may depend on whom, how long files are, that each threat has a test.
    Fences(fences::Options),
    /// Write the TypeScript types of what crosses into the window, from the Rust types.
    Bindings(bindings::Options),
    /// Fuzz the parsers.
    Fuzz(fuzz::Options),
    /// The fault tests with their full counts.
    Soak(soak::Options),
    /// Change the pure crates in small ways and see whether a test notices.
    Mutants(mutants::Options),
    /// Every screen as a picture, into docs/screenshots.
    Shots,
    /// Install what the other commands need.
    Setup,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match Place::find().and_then(|place| carry_out(&place, cli.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            process::say(&format!("\n{} {trouble}", process::bold("xtask:")));
            ExitCode::FAILURE
        }
    }
}

fn carry_out(place: &Place, command: Command) -> Result<(), Trouble> {
    match command {
        Command::Run(options) => run::run(place, &options),
        Command::Test(options) => test::run(place, &options),
        Command::Bench(options) => bench::run(place, &options),
        Command::Dist => dist::run(place),
        Command::Fences(options) => fences::run(place, &options),
        Command::Bindings(options) => bindings::run(place, &options),
        Command::Fuzz(options) => fuzz::run(place, &options),
        Command::Soak(options) => soak::run(place, &options),
        Command::Mutants(options) => mutants::run(place, &options),
        Command::Shots => shots::run(place),
        Command::Setup => setup::everything(place),
    }
}
