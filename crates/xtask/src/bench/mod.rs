//! `cargo xtask bench`: what people and apps wait for, in a release build.
//!
//! The programs under `tests/` that drive a real daemon and a real window print one JSON row a figure; here they are
//! built, run and put into one table. Times are those of whoever waits, in the process that asks.

use serde::{Deserialize, Serialize};

use crate::error::Trouble;
use crate::place::Place;
use crate::process::{Run, say};
use crate::setup::{TAURI_DRIVER, tool};
use crate::{setup, ui};

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only these; all without it.
    #[arg(value_parser = ["start", "login", "unlock", "echo", "mesh", "dxos"])]
    names: Vec<String>,
    /// One JSON array, for scripts.
    #[arg(long)]
    json: bool,
}

/// One figure.
#[derive(Serialize, Deserialize)]
struct Row {
    name: String,
    ours: f64,
    /// The same by somebody else, in the same run.
    #[serde(default)]
    peer: Option<f64>,
    #[serde(default)]
    ratio: Option<f64>,
    unit: String,
}

const NAMES: [&str; 6] = ["start", "login", "unlock", "echo", "mesh", "dxos"];
/// A session bus with an unlocked keychain of its own: nobody's real one is touched.
const KEYCHAIN: &str =
    "printf bench | gnome-keyring-daemon --unlock --components=secrets >/dev/null && exec \"$@\"";

/// Builds for release, measures, and shows the figures.
pub(crate) fn run(place: &Place, options: &Options) -> Result<(), Trouble> {
    setup::for_testing(place)?;
    tool(place, &TAURI_DRIVER)?;
    ui::built(place)?;
    setup::installed(place, "sdk")?;
    setup::installed(place, "tests/clients")?;
    setup::installed(place, "tests/e2e")?;
    Run::npm(place, "sdk").args(["run", "build"]).run()?;
    setup::installed(place, "examples/hello-login")?;
    Run::cargo(place).args(["build", "--locked", "--release", "--workspace", "--bins"]).run()?;

    let chosen: Vec<&str> = NAMES
        .into_iter()
        .filter(|name| options.names.is_empty() || options.names.iter().any(|chosen| chosen == name))
        .collect();
    let halo = place.built("release", "halo");
    let wants = |names: &[&str]| chosen.iter().any(|name| names.contains(name));
    let mut printed = String::new();
    if wants(&["start", "login", "unlock"]) {
        printed += &Run::program("dbus-run-session", &place.at("tests/clients"))
            .env("HALO_BIN", &halo)
            .args(["--", "sh", "-c", KEYCHAIN, "sh", "node", "bench.mjs"])
            .args(chosen.iter().filter(|name| ["start", "login", "unlock"].contains(name)))
            .output()?;
    }
    if wants(&["start", "login"]) {
        printed += &Run::npm(place, "tests/e2e")
            .env("HALO_DESKTOP", place.built("release", "halo-desktop"))
            .env("HALO_BIN", &halo)
            .args(["run", "--silent", "bench"])
            .output()?;
    }
    if wants(&["echo"]) {
        printed +=
            &Run::cargo(place).args(["bench", "--locked", "--workspace", "--bench", "echo"]).output()?;
        // With what it is compared with it is a workspace of its own.
        printed += &Run::cargo(place)
            .env("CARGO_TARGET_DIR", place.target.join("bench"))
            .args(["run", "--release", "--locked", "--manifest-path", "bench/Cargo.toml"])
            .output()?;
        for program in ["echo.mjs", "ingest.mjs"] {
            printed += &Run::program("node", &place.at("tests/clients"))
                .env("HALO_BIN", &halo)
                .args([program])
                .output()?;
        }
    }
    if wants(&["mesh"]) {
        printed +=
            &Run::cargo(place).args(["bench", "--locked", "--workspace", "--bench", "mesh"]).output()?;
        dxos_installed(place)?;
        printed += &Run::program("node", &place.at("tests/clients"))
            .env("HALO_BIN", &halo)
            .args(["mesh.mjs"])
            .output()?;
    }
    if wants(&["dxos"]) {
        dxos_installed(place)?;
        printed += &Run::program("node", &place.at("tests/dxos"))
            .env("HALO_BIN", &halo)
            .args(["bench.mjs"])
            .output()?;
    }
    let mut rows: Vec<Row> = printed.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    rows.retain(|row| chosen.iter().any(|name| row.name.starts_with(name)));
    for row in &mut rows {
        row.ratio = row.peer.map(|peer| peer / row.ours);
    }
    rows.sort_by_key(|row| NAMES.iter().position(|name| row.name.starts_with(name)));
    show(&rows, options.json)
}

/// DXOS's client, with what its own host locks its files with; our tests do without that.
fn dxos_installed(place: &Place) -> Result<(), Trouble> {
    setup::installed(place, "tests/dxos")?;
    Run::npm(place, "tests/dxos").args(["rebuild", "fs-ext", "--ignore-scripts=false"]).run()
}

fn show(rows: &[Row], json: bool) -> Result<(), Trouble> {
    if json {
        let text = serde_json::to_string_pretty(rows)
            .map_err(|error| Trouble::Unexpected(format!("the rows cannot be written: {error}")))?;
        say(&text);
        return Ok(());
    }
    let figure = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"));
    say(&format!("{:<62}{:>10}{:>10}{:>8}  unit", "name", "ours", "peer", "ratio"));
    for row in rows {
        let (ours, peer, ratio) = (figure(Some(row.ours)), figure(row.peer), figure(row.ratio));
        say(&format!("{:<62}{ours:>10}{peer:>10}{ratio:>8}  {}", row.name, row.unit));
    }
    Ok(())
}
