//! `cargo xtask run`: the window, from nothing.

use crate::error::Trouble;
use crate::place::Place;
use crate::process::{Run, say};
use crate::{setup, ui};

/// How to run.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Optimised, as it ships.
    #[arg(long)]
    release: bool,
    /// Another profile than the user's own.
    #[arg(long, value_name = "DIR")]
    profile: Option<std::path::PathBuf>,
}

/// Installs what is missing, builds page and app, opens the window and waits until it is closed.
pub(crate) fn run(place: &Place, options: &Options) -> Result<(), Trouble> {
    setup::for_building(place)?;
    ui::built(place)?;
    let mut build = Run::cargo(place).args(["build", "--locked", "--workspace", "--bins"]);
    if options.release {
        build = build.args(["--release"]);
    }
    say("The first build takes several minutes; later ones take seconds.");
    build.run()?;
    let profile = if options.release { "release" } else { "debug" };
    let mut app = Run::program(place.built(profile, "halo-desktop"), &place.root);
    if let Some(dir) = &options.profile {
        app = app.env("HALO_PROFILE", std::path::absolute(dir).map_err(Trouble::file(dir))?);
    }
    app.run()
}
