//! `cargo xtask soak`: the tests that inject faults, with their full counts.

use crate::error::Trouble;
use crate::place::Place;
use crate::process::Run;
use crate::{setup, ui};

/// How long to soak.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many times the process is killed while it writes; at other things, a fifth as often each.
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    rounds: u32,
    /// How many cases a property is tried with, and how many seeds a simulation.
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    cases: u32,
}

/// Kills processes and tries properties.
pub(crate) fn run(place: &Place, options: &Options) -> Result<(), Trouble> {
    setup::for_testing(place)?;
    ui::built(place)?;
    crash(place, options.rounds)?;
    Run::cargo(place)
        .env("PROPTEST_CASES", options.cases.to_string())
        .env("HALO_SEEDS", options.cases.to_string())
        .args(["test", "--locked", "--workspace", "--lib", "--test", "it"])
        .run()
}

/// `kill -9` at random points of writing, create, approve, revoke and passphrase change.
pub(crate) fn crash(place: &Place, rounds: u32) -> Result<(), Trouble> {
    Run::cargo(place)
        .env("HALO_CRASH_ROUNDS", rounds.to_string())
        .args(["test", "--locked", "--workspace", "--test", "it", "crash::", "--", "--nocapture"])
        .run()
}
