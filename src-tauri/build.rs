//! Checks that the page is there, then lets Tauri read configuration, permissions and capabilities.

use std::error::Error;
use std::path::Path;

use tauri_build::{AppManifest, Attributes};

/// What `generate_context!` embeds; without them its own message names no remedy.
const PAGES: [&str; 2] = ["ui/dist/index.html", "ui/dist/approval.html"];

fn main() -> Result<(), Box<dyn Error>> {
    for watched in ["ui/dist", "icons", "src-tauri/capabilities", "src-tauri/permissions"] {
        println!("cargo::rerun-if-changed={watched}");
    }
    for page in PAGES {
        if !Path::new(page).is_file() {
            println!(
                "cargo::error={page} is missing: build the page first, with `cargo xtask run` or with `npm ci && npm run build` in ui/"
            );
            return Ok(());
        }
    }
    // With an app manifest no window may call a command that no capability names; without one, every
    // window may call every command.
    let manifest = AppManifest::new().permissions_path_pattern("./src-tauri/permissions/*.json");
    tauri_build::try_build(
        Attributes::new().app_manifest(manifest).capabilities_path_pattern("./src-tauri/capabilities/*.json"),
    )?;
    Ok(())
}
