//! `cargo xtask bindings`: the TypeScript types of what crosses into the window.
//!
//! ts-rs writes one file a type while the tests of the wallet run. They are kept in the repository, so that the
//! page builds without cargo; `--check` fails when they do not match the Rust types any more.

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::Trouble;
use crate::place::Place;
use crate::process::{Run, say};

/// Where the page keeps them.
const KEPT: &str = "ui/src/ipc/bindings";

/// Write or check.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Change nothing; fail if something would change.
    #[arg(long)]
    check: bool,
}

impl Options {
    /// Only compare.
    pub(crate) const fn checking() -> Self {
        Self { check: true }
    }
}

/// Writes the types, or compares them with those kept.
pub(crate) fn run(place: &Place, options: &Options) -> Result<(), Trouble> {
    let fresh = tempfile::tempdir().map_err(Trouble::file(Path::new("a temporary directory")))?;
    Run::cargo(place)
        .env("TS_RS_EXPORT_DIR", fresh.path())
        .args(["test", "--locked", "--quiet", "--workspace", "--lib", "export_bindings"])
        .run()?;
    let fresh = files(fresh.path())?;
    let kept_dir = place.at(KEPT);
    let kept = if kept_dir.is_dir() { files(&kept_dir)? } else { BTreeMap::new() };
    if fresh == kept {
        return Ok(());
    }
    if options.check {
        let mut faults = Vec::new();
        for name in fresh.keys().chain(kept.keys().filter(|name| !fresh.contains_key(*name))) {
            if fresh.get(name) != kept.get(name) {
                faults.push(format!(
                    "{KEPT}/{name} is not what the Rust types say: run `cargo xtask bindings`"
                ));
            }
        }
        return Err(Trouble::Faults(faults));
    }
    std::fs::create_dir_all(&kept_dir).map_err(Trouble::file(&kept_dir))?;
    for name in kept.keys().filter(|name| !fresh.contains_key(*name)) {
        let path = kept_dir.join(name);
        std::fs::remove_file(&path).map_err(Trouble::file(&path))?;
    }
    for (name, text) in &fresh {
        let path = kept_dir.join(name);
        std::fs::write(&path, text).map_err(Trouble::file(&path))?;
    }
    say(&format!("{} types written to {KEPT}", fresh.len()));
    Ok(())
}

fn files(dir: &Path) -> Result<BTreeMap<String, String>, Trouble> {
    let mut files = BTreeMap::new();
    for entry in dir.read_dir().map_err(Trouble::file(dir))? {
        let path = entry.map_err(Trouble::file(dir))?.path();
        if path.extension().is_some_and(|extension| extension == "ts") {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            files.insert(name, std::fs::read_to_string(&path).map_err(Trouble::file(&path))?);
        }
    }
    Ok(files)
}
