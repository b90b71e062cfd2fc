//! Installs what is missing.
//!
//! Three sources: Debian packages (asks before `sudo`), npm packages (`npm ci` of a folder's lock file), and
//! programs from crates.io. On another system it names what to install and stops, since a guess at somebody's
//! package manager helps nobody.

mod apt;
mod npm;
mod tools;

pub(crate) use apt::Needs;
pub(crate) use npm::installed;
pub(crate) use tools::{CARGO_DENY, CARGO_FUZZ, CARGO_MUTANTS, TAURI_DRIVER, tool};

use crate::error::Trouble;
use crate::place::Place;

/// System packages for building, and Node.
pub(crate) fn for_building(place: &Place) -> Result<(), Trouble> {
    npm::node(place)?;
    apt::install(place, &[Needs::Building])
}

/// System packages for everything that `cargo xtask test` does.
pub(crate) fn for_testing(place: &Place) -> Result<(), Trouble> {
    npm::node(place)?;
    apt::install(place, &[Needs::Building, Needs::Testing])
}

/// Everything any command needs.
pub(crate) fn everything(place: &Place) -> Result<(), Trouble> {
    for_testing(place)?;
    tool(place, &CARGO_DENY)?;
    tool(place, &TAURI_DRIVER)?;
    for dir in ["ui", "sdk", "tests/clients", "tests/e2e"] {
        if place.at(dir).join("package.json").is_file() {
            installed(place, dir)?;
        }
    }
    Ok(())
}
