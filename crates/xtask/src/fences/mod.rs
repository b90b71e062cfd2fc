//! `cargo xtask fences`: the rules of the house that no compiler checks.
//!
//! [`tree`] holds the crates apart, [`size`] keeps a file to one subject, [`marks`] ties each threat to its tests.
//! cargo-deny (`deny.toml`) guards single dependencies: `rusqlite` only under store, and so on.

mod marks;
mod size;
mod tree;

use crate::error::Trouble;
use crate::place::Place;
use crate::process::{Run, say};
use crate::setup::{CARGO_DENY, tool};

/// Check or write.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Write the names of the tests into docs/threat-model.md, instead of checking them.
    #[arg(long)]
    write_threats: bool,
}

/// All fences, with those of cargo-deny.
pub(crate) fn run(place: &Place, options: &Options) -> Result<(), Trouble> {
    if options.write_threats {
        return marks::write(place);
    }
    check(place)?;
    threats(place)?;
    tool(place, &CARGO_DENY)?;
    Run::cargo(place).args(["deny", "--locked", "--all-features", "check", "bans"]).run()
}

/// The fences that need nothing but cargo and git.
pub(crate) fn check(place: &Place) -> Result<(), Trouble> {
    let mut faults = tree::faults(place)?;
    faults.extend(size::faults(place)?);
    if !faults.is_empty() {
        return Err(Trouble::Faults(faults));
    }
    say("the fences hold");
    Ok(())
}

/// Each row of the threat table has a test that names it, and each test it names exists.
pub(crate) fn threats(place: &Place) -> Result<(), Trouble> {
    let faults = marks::faults(place)?;
    if faults.is_empty() { Ok(()) } else { Err(Trouble::Faults(faults)) }
}

/// Files of the repository that match one of `endings`, committed or about to be.
fn sources(place: &Place, endings: &[&str]) -> Result<Vec<String>, Trouble> {
    let listed = Run::program("git", &place.root)
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate"])
        .output()?;
    Ok(listed
        .lines()
        .filter(|path| endings.iter().any(|ending| path.ends_with(ending)) && place.at(path).is_file())
        .map(str::to_owned)
        .collect())
}
