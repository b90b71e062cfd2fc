//! `cargo xtask mutants`: does a test notice when a pure crate changes?

use crate::error::Trouble;
use crate::place::Place;
use crate::process::Run;
use crate::setup::{CARGO_MUTANTS, tool};

/// What to mutate.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only files whose path matches.
    #[arg(long, value_name = "GLOB")]
    file: Option<String>,
}

/// Mutates the pure crates; survivors are listed under `target/mutants.out`, excused ones in `.cargo/mutants.toml`.
pub(crate) fn run(place: &Place, options: &Options) -> Result<(), Trouble> {
    tool(place, &CARGO_MUTANTS)?;
    let mut run =
        Run::cargo(place).args(["mutants", "--package", "halo-protocol", "--output"]).args([&place.target]);
    if let Some(file) = &options.file {
        run = run.args(["--file", file]);
    }
    run.run()
}
