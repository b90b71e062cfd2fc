//! The page inside the window.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::error::Trouble;
use crate::place::Place;
use crate::process::Run;
use crate::setup;

/// Where the made-up wallet lives that tests and pictures use, and texts that only it contains.
const FAKE: &str = "ui/src/ipc/fake";
const ONLY_IN_FAKE: [&str; 2] = ["orbit camera velvet", "2d1a6f2b0c8f4c1a9e57d3b2a1c0ffee"];

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

/// Fails if the built page contains the made-up wallet.
pub(crate) fn ships_no_fake(place: &Place) -> Result<(), Trouble> {
    let fake = texts(&place.at(FAKE))?;
    let mut faults = Vec::new();
    for mark in ONLY_IN_FAKE {
        // Else the search below would find nothing for ever.
        if fake.iter().all(|(_, text)| !text.contains(mark)) {
            faults.push(format!("{FAKE} does not contain {mark:?} any more: choose another text in ui.rs"));
        }
    }
    for (path, text) in texts(&place.at("ui/dist"))? {
        if ONLY_IN_FAKE.iter().any(|mark| text.contains(mark)) {
            faults.push(format!("{} contains the fake of the wallet", path.display()));
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(Trouble::Faults(faults)) }
}

/// All files below a directory.
fn texts(dir: &Path) -> Result<Vec<(PathBuf, String)>, Trouble> {
    let mut texts = Vec::new();
    let mut left = vec![dir.to_owned()];
    while let Some(dir) = left.pop() {
        for entry in dir.read_dir().map_err(Trouble::file(&dir))? {
            let path = entry.map_err(Trouble::file(&dir))?.path();
            if path.is_dir() {
                left.push(path);
            } else {
                let bytes = std::fs::read(&path).map_err(Trouble::file(&path))?;
                texts.push((path, String::from_utf8_lossy(&bytes).into_owned()));
            }
        }
    }
    Ok(texts)
}

/// When anything the page is made of last changed.
fn newest(dir: &Path, top: bool) -> Result<Option<SystemTime>, Trouble> {
    let mut latest = None;
    for entry in dir.read_dir().map_err(Trouble::file(dir))? {
        let entry = entry.map_err(Trouble::file(dir))?;
        let name = entry.file_name();
        if top && (name == "node_modules" || name == "dist" || name == "dist-shots") {
            continue;
        }
        let path = entry.path();
        let metadata = entry.metadata().map_err(Trouble::file(&path))?;
        let changed = if metadata.is_dir() { newest(&path, false)? } else { metadata.modified().ok() };
        latest = latest.max(changed);
    }
    Ok(latest)
}
