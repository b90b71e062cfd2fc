//! Where things lie: the repository and cargo's target directory.

use std::path::{Path, PathBuf};

use crate::error::Trouble;

/// The repository this command works on.
pub(crate) struct Place {
    /// Its top directory.
    pub(crate) root: PathBuf,
    /// Where cargo builds.
    pub(crate) target: PathBuf,
}

impl Place {
    /// Finds the repository from the manifest of this crate.
    pub(crate) fn find() -> Result<Self, Trouble> {
        // Set by `cargo run`; the one at compile time serves a binary that is started by hand.
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest
            .ancestors()
            .nth(2)
            .map(Path::to_owned)
            .ok_or_else(|| Trouble::Unexpected("the repository was not found".into()))?;
        let target = std::env::var_os("CARGO_TARGET_DIR").filter(|dir| !dir.is_empty()).map_or_else(
            || root.join("target"),
            |dir| root.join(dir), // an absolute one replaces the root
        );
        Ok(Self { root, target })
    }

    /// A path in the repository.
    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// A program that cargo has built.
    pub(crate) fn built(&self, profile: &str, name: &str) -> PathBuf {
        self.target.join(profile).join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
    }
}
