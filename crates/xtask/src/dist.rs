//! `cargo xtask dist`: what people install.
//!
//! .deb and .rpm here; the AppImage target is configured as well, but its tooling is downloaded from elsewhere
//! while it builds, so it is made where that is allowed.

use crate::error::Trouble;
use crate::place::Place;
use crate::process::{Run, say};
use crate::{setup, ui};

/// The newest 2.x that was tried.
const TAURI_CLI: &str = "@tauri-apps/cli@2.12";

/// Builds the packages and names them.
pub(crate) fn run(place: &Place) -> Result<(), Trouble> {
    setup::for_building(place)?;
    ui::built(place)?;
    Run::program(if cfg!(windows) { "npx.cmd" } else { "npx" }, &place.root)
        .env("CARGO_TARGET_DIR", &place.target)
        .args(["--yes", TAURI_CLI, "build", "--bundles", "deb,rpm"])
        .run()?;
    let bundles = place.target.join("release/bundle");
    for kind in ["deb", "rpm"] {
        let dir = bundles.join(kind);
        for entry in dir.read_dir().map_err(Trouble::file(&dir))? {
            let path = entry.map_err(Trouble::file(&dir))?.path();
            if path.extension().is_some_and(|extension| extension == kind) {
                let size = path.metadata().map_err(Trouble::file(&path))?.len();
                say(&format!("{} ({} KiB)", path.display(), size / 1024));
            }
        }
    }
    Ok(())
}
