//! Node and the packages of a folder.

use std::path::Path;
use std::time::SystemTime;

use crate::error::Trouble;
use crate::place::Place;
use crate::process::Run;

/// Oldest Node that the tool chain of the page runs on.
const NODE: u32 = 20;

/// Checks that Node is there and new enough.
pub(crate) fn node(place: &Place) -> Result<(), Trouble> {
    let found = Run::program("node", &place.root).args(["--version"]).answer();
    let major = found
        .as_deref()
        .and_then(|version| version.trim().trim_start_matches('v').split('.').next())
        .and_then(|major| major.parse::<u32>().ok());
    match (major, found) {
        (Some(major), _) if major >= NODE => Ok(()),
        (_, Some(version)) => {
            Err(Trouble::Wanted(format!("Node {NODE} or later is needed; this is {}", version.trim())))
        }
        (_, None) => Err(Trouble::Wanted(format!("Node {NODE} or later is needed: https://nodejs.org"))),
    }
}

/// Installs the packages of `dir`, exactly as its lock file says, unless they are there.
pub(crate) fn installed(place: &Place, dir: &str) -> Result<(), Trouble> {
    let here = place.at(dir);
    let lock = changed(&here.join("package-lock.json"));
    let there = changed(&here.join("node_modules/.package-lock.json"));
    if lock.is_some() && there >= lock {
        return Ok(());
    }
    Run::npm(place, dir).args(["ci", "--no-audit", "--no-fund"]).run()
}

fn changed(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|metadata| metadata.modified()).ok()
}
