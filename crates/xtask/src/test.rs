//! `cargo xtask test`: everything CI checks, the quick things first.

use std::time::{Duration, Instant};

use crate::error::Trouble;
use crate::place::Place;
use crate::process::{Run, bold, say};
use crate::setup::{CARGO_DENY, TAURI_DRIVER, tool};
use crate::{bindings, fences, setup, soak, ui};

/// What to check.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only these steps; `--list` names them.
    steps: Vec<String>,
    /// Name the steps and end.
    #[arg(long)]
    list: bool,
    /// Go on after a step that failed.
    #[arg(long)]
    keep_going: bool,
}

/// One thing that CI checks.
struct Step {
    name: &'static str,
    about: &'static str,
    check: fn(&Place) -> Result<(), Trouble>,
}

/// In the order that finds a fault soonest.
const STEPS: [Step; 15] = [
    Step { name: "setup", about: "what is missing is installed", check: setup::for_testing },
    Step { name: "fmt", about: "the code is formatted", check: fmt },
    Step { name: "fences", about: "who depends on whom, how long files are", check: fences::check },
    Step { name: "threats", about: "each threat has a test", check: fences::threats },
    Step { name: "deny", about: "bans, licences and sources of dependencies", check: deny },
    Step { name: "sdk", about: "the SDK builds, and passes its checks and tests", check: sdk },
    Step { name: "ui", about: "the page builds, and passes its checks and tests", check: page },
    Step { name: "clippy", about: "no warnings", check: clippy },
    Step { name: "rust", about: "the tests of all crates", check: rust },
    Step { name: "docs", about: "the examples in the documentation, and its links", check: docs },
    Step { name: "crash", about: "kill -9 at random points", check: crash },
    Step { name: "bindings", about: "the page's types are those of the wallet", check: types },
    Step { name: "clients", about: "other people's OpenID and JOSE libraries", check: clients },
    Step { name: "dxos", about: "an unmodified DXOS client, with HALO as its host", check: dxos },
    Step { name: "e2e", about: "the real window, keychain and browser", check: end_to_end },
];

/// Runs the steps and says how each went.
pub(crate) fn run(place: &Place, options: &Options) -> Result<(), Trouble> {
    if options.list {
        for step in &STEPS {
            say(&format!("{:<10}{}", step.name, step.about));
        }
        return Ok(());
    }
    if let Some(unknown) = options.steps.iter().find(|name| STEPS.iter().all(|step| step.name != **name)) {
        let names: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
        return Err(Trouble::Wanted(format!(
            "there is no step {unknown:?}; there are: {}",
            names.join(", ")
        )));
    }
    let chosen: Vec<&Step> = STEPS
        .iter()
        .filter(|step| options.steps.is_empty() || options.steps.iter().any(|name| name == step.name))
        .collect();
    let mut rows: Vec<(&Step, &str, Duration)> = Vec::new();
    let mut failed = 0;
    for step in chosen {
        if failed > 0 && !options.keep_going {
            rows.push((step, "not run", Duration::ZERO));
            continue;
        }
        say(&format!("\n{} {}", bold(&format!("== {}", step.name)), step.about));
        let started = Instant::now();
        let outcome = (step.check)(place);
        let took = started.elapsed();
        let verdict = if let Err(trouble) = outcome {
            failed += 1;
            say(&format!("{trouble}"));
            "FAILED"
        } else {
            "passed"
        };
        say(&format!("-- {} {verdict} in {}", step.name, seconds(took)));
        rows.push((step, verdict, took));
    }
    say("");
    for (step, verdict, took) in &rows {
        say(&format!("{:<10}{:<9}{:>8}", step.name, verdict, seconds(*took)));
    }
    let passed = rows.iter().filter(|(_, verdict, _)| *verdict == "passed").count();
    let total: Duration = rows.iter().map(|(_, _, took)| *took).sum();
    let left_out = rows.len() - passed - failed;
    let not_run = if left_out > 0 { format!(", {left_out} not run") } else { String::new() };
    say(&format!("\n{passed} passed, {failed} failed{not_run} in {}", seconds(total)));
    if failed > 0 { Err(Trouble::Unexpected("not everything passed".into())) } else { Ok(()) }
}

fn seconds(took: Duration) -> String {
    format!("{:.1} s", took.as_secs_f64())
}

fn fmt(place: &Place) -> Result<(), Trouble> {
    Run::cargo(place).args(["fmt", "--all", "--check"]).run()
}

fn deny(place: &Place) -> Result<(), Trouble> {
    tool(place, &CARGO_DENY)?;
    // Advisories need a database that is not a package registry; deny.toml is ready for them.
    Run::cargo(place)
        .args(["deny", "--locked", "--all-features", "check", "bans", "licenses", "sources"])
        .run()
}

fn sdk(place: &Place) -> Result<(), Trouble> {
    setup::installed(place, "sdk")?;
    for script in ["build", "check", "lint", "test"] {
        Run::npm(place, "sdk").args(["run", script]).run()?;
    }
    Ok(())
}

fn page(place: &Place) -> Result<(), Trouble> {
    ui::built(place)?;
    for script in ["check", "lint", "test"] {
        Run::npm(place, "ui").args(["run", script]).run()?;
    }
    ui::ships_no_fake(place)
}

fn clippy(place: &Place) -> Result<(), Trouble> {
    ui::built(place)?;
    Run::cargo(place)
        .args(["clippy", "--locked", "--workspace", "--all-targets", "--", "--deny", "warnings"])
        .run()?;
    // What the fuzz targets call. They themselves need another compiler: `cargo xtask fuzz`.
    Run::cargo(place)
        .args(["clippy", "--locked", "--workspace", "--lib", "--", "--deny", "warnings", "--cfg", "fuzzing"])
        .run()
}

// Always the whole workspace: cargo chooses the features of dependencies by what is built together, and would
// compile OpenSSL anew for each crate on its own.

fn rust(place: &Place) -> Result<(), Trouble> {
    ui::built(place)?;
    // The crash tests are a step of their own.
    Run::cargo(place)
        .args([
            "test",
            "--locked",
            "--workspace",
            "--all-targets",
            "--no-fail-fast",
            "--",
            "--skip",
            "crash::",
        ])
        .run()
}

fn docs(place: &Place) -> Result<(), Trouble> {
    ui::built(place)?;
    Run::cargo(place).args(["test", "--locked", "--workspace", "--doc"]).run()?;
    Run::cargo(place)
        .env("RUSTDOCFLAGS", "--deny warnings")
        .args(["doc", "--locked", "--workspace", "--no-deps", "--document-private-items"])
        .run()
}

fn crash(place: &Place) -> Result<(), Trouble> {
    ui::built(place)?;
    soak::crash(place, 12)
}

fn types(place: &Place) -> Result<(), Trouble> {
    ui::built(place)?;
    bindings::run(place, &bindings::Options::checking())
}

fn clients(place: &Place) -> Result<(), Trouble> {
    programs(place)?;
    setup::installed(place, "examples/notes")?;
    setup::installed(place, "tests/clients")?;
    Run::npm(place, "tests/clients").env("HALO_BIN", place.built("debug", "halo")).args(["test"]).run()
}

fn dxos(place: &Place) -> Result<(), Trouble> {
    programs(place)?;
    // The browser that the example is tried in is driven as in the clients' tests.
    setup::installed(place, "tests/clients")?;
    setup::installed(place, "examples/dxos-tasks")?;
    Run::npm(place, "examples/dxos-tasks").args(["run", "build"]).run()?;
    setup::installed(place, "tests/dxos")?;
    Run::npm(place, "tests/dxos").env("HALO_BIN", place.built("debug", "halo")).args(["test"]).run()
}

fn end_to_end(place: &Place) -> Result<(), Trouble> {
    tool(place, &TAURI_DRIVER)?;
    programs(place)?;
    setup::installed(place, "tests/e2e")?;
    Run::npm(place, "tests/e2e")
        .env("HALO_DESKTOP", place.built("debug", "halo-desktop"))
        .env("HALO_BIN", place.built("debug", "halo"))
        .args(["test"])
        .run()
}

/// `halo`, the app, the SDK and the example, as the tests from outside use them.
fn programs(place: &Place) -> Result<(), Trouble> {
    ui::built(place)?;
    setup::installed(place, "sdk")?;
    Run::npm(place, "sdk").args(["run", "build"]).run()?;
    setup::installed(place, "examples/hello-login")?;
    Run::cargo(place).args(["build", "--locked", "--workspace", "--all-targets"]).run()
}
