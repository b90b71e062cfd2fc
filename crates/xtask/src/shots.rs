//! `cargo xtask shots`: every screen as a picture, so that a change of looks shows up in review.

use crate::error::Trouble;
use crate::place::Place;
use crate::process::Run;
use crate::setup;

/// Writes docs/screenshots.
pub(crate) fn run(place: &Place) -> Result<(), Trouble> {
    setup::for_testing(place)?;
    setup::installed(place, "ui")?;
    Run::npm(place, "ui").args(["run", "shots", "--"]).args([place.at("docs/screenshots")]).run()
}
