//! The page inside the window.

use std::path::Path;
use std::time::SystemTime;

use crate::error::Trouble;
use crate::place::Place;
use crate::process::Run;
use crate::setup;

/// A text that the fake carries and nothing else does.
const FAKE: &str = "halo-fake-port";

/// Builds the page unless what was built is newer than everything it is made of.
pub(crate) fn built(place: &Place) -> Result<(), Trouble> {
    setup::installed(place, "ui")?;
    let ui = place.at("ui");
    let made = ui.join("dist/index.html").metadata().and_then(|metadata| metadata.modified()).ok();
    if made.is_some() && made > newest(&ui, true)? {
        return Ok(());
    }
    Run::npm(place, "ui").args(["run", "build"]).run()
}

/// Fails if the built page contains the made-up wallet that its tests and pictures use.
pub(crate) fn ships_no_fake(place: &Place) -> Result<(), Trouble> {
    let dist = place.at("ui/dist");
    let mut faults = Vec::new();
    let mut left = vec![dist];
    while let Some(dir) = left.pop() {
        for entry in dir.read_dir().map_err(Trouble::file(&dir))? {
            let path = entry.map_err(Trouble::file(&dir))?.path();
            if path.is_dir() {
                left.push(path);
            } else if String::from_utf8_lossy(&std::fs::read(&path).map_err(Trouble::file(&path))?)
                .contains(FAKE)
            {
                faults.push(format!("{} contains the fake of the wallet", path.display()));
            }
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(Trouble::Faults(faults)) }
}

/// When anything the page is made of last changed.
fn newest(dir: &Path, top: bool) -> Result<Option<SystemTime>, Trouble> {
    let mut latest = None;
    for entry in dir.read_dir().map_err(Trouble::file(dir))? {
        let entry = entry.map_err(Trouble::file(dir))?;
        let name = entry.file_name();
        if top && (name == "node_modules" || name == "dist" || name == "test-results") {
            continue;
        }
        let path = entry.path();
        let metadata = entry.metadata().map_err(Trouble::file(&path))?;
        let changed = if metadata.is_dir() { newest(&path, false)? } else { metadata.modified().ok() };
        latest = latest.max(changed);
    }
    Ok(latest)
}
