//! Programs from crates.io.

use crate::error::Trouble;
use crate::place::Place;
use crate::process::{Run, say};

/// A program that `cargo install` brings, at the version that was tried.
pub(crate) struct Tool {
    /// Its crate, and its program.
    name: &'static str,
    /// The version.
    version: &'static str,
    /// Build it without optimisation: half the time, where its speed does not matter.
    debug: bool,
}

/// Checks bans, licences and sources of dependencies.
pub(crate) const CARGO_DENY: Tool = Tool { name: "cargo-deny", version: "0.20.2", debug: true };
/// Lets WebDriver drive the window. 3.0 is for Tauri 3.
pub(crate) const TAURI_DRIVER: Tool = Tool { name: "tauri-driver", version: "2.1.0", debug: false };
/// Coverage-guided fuzzing.
pub(crate) const CARGO_FUZZ: Tool = Tool { name: "cargo-fuzz", version: "0.13.2", debug: true };
/// Mutation testing.
pub(crate) const CARGO_MUTANTS: Tool = Tool { name: "cargo-mutants", version: "27.1.0", debug: false };

/// Installs a program unless this version is there.
pub(crate) fn tool(place: &Place, tool: &Tool) -> Result<(), Trouble> {
    let installed = Run::cargo(place).args(["install", "--list"]).output()?;
    if installed.lines().any(|line| line.trim_end_matches(':') == format!("{} v{}", tool.name, tool.version))
    {
        return Ok(());
    }
    say(&format!("{} {} is installed under the home of cargo, once.", tool.name, tool.version));
    let mut run = Run::cargo(place).args(["install", "--locked", "--quiet"]);
    if tool.debug {
        run = run.args(["--debug"]);
    }
    // Not into our target directory: its files would outlive their use there.
    let beside = place.target.join("tools");
    let outcome = run
        .env("CARGO_TARGET_DIR", &beside)
        .env("CARGO_PROFILE_DEV_DEBUG", "false")
        .args([format!("{}@{}", tool.name, tool.version)])
        .run();
    let _ = std::fs::remove_dir_all(&beside);
    outcome
}
