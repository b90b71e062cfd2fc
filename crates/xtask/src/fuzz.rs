//! `cargo xtask fuzz`: bytes from outside, made up by a fuzzer that watches the branches.
//!
//! The targets live in `fuzz/`, a workspace of their own, since they need the nightly compiler.

use crate::error::Trouble;
use crate::place::Place;
use crate::process::{Run, say};
use crate::setup::{CARGO_FUZZ, tool};

/// What to fuzz, and for how long.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// One target; all without it.
    target: Option<String>,
    /// For each target.
    #[arg(long, default_value_t = 60, value_name = "N")]
    seconds: u32,
}

/// Runs each target for its time; a finding fails.
pub(crate) fn run(place: &Place, options: &Options) -> Result<(), Trouble> {
    if !Run::program("rustc", &place.root).args(["+nightly", "--version"]).succeeds() {
        Run::program("rustup", &place.root)
            .args(["toolchain", "install", "nightly", "--profile", "minimal"])
            .run()?;
    }
    tool(place, &CARGO_FUZZ)?;
    let listed = Run::cargo(place).args(["+nightly", "fuzz", "list"]).output()?;
    let targets: Vec<&str> = listed.lines().filter(|name| !name.is_empty()).collect();
    let chosen: Vec<&str> = match options.target.as_deref() {
        Some(name) if !targets.contains(&name) => {
            return Err(Trouble::Wanted(format!("no such target; there are: {}", targets.join(", "))));
        }
        Some(name) => vec![name],
        None => targets,
    };
    let time = format!("-max_total_time={}", options.seconds);
    for target in &chosen {
        say(&format!("fuzzing {target} for {} s", options.seconds));
        let mut args = vec!["+nightly", "fuzz", "run", target];
        // Findings and new inputs go to fuzz/corpus; kept seeds are under fuzz/seeds.
        let seeds = format!("fuzz/seeds/{target}");
        let corpus = format!("fuzz/corpus/{target}");
        std::fs::create_dir_all(place.at(&corpus)).map_err(Trouble::file(&place.at(&corpus)))?;
        args.push(&corpus);
        if place.at(&seeds).is_dir() {
            args.push(&seeds);
        }
        args.extend(["--", &time, "-rss_limit_mb=1024", "-timeout=10"]);
        Run::cargo(place).env("CARGO_TARGET_DIR", place.target.join("fuzz")).args(args).run()?;
    }
    say(&format!("{} targets, nothing found", chosen.len()));
    Ok(())
}
