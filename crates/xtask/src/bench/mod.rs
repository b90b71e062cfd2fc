//! `cargo xtask bench`.
use crate::error::Trouble;
use crate::place::Place;
#[derive(clap::Args)]
pub(crate) struct Options {
    names: Vec<String>,
}
pub(crate) fn run(_p: &Place, _o: &Options) -> Result<(), Trouble> {
    Ok(())
}
