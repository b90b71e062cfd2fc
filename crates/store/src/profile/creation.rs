//! An identity in the making.

use std::fs::{self, DirBuilder, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::lock::Lock;
use super::{CREATING, IDENTITY, private, sync_dir};
use crate::error::StoreError;

/// A directory that becomes the identity by [`Self::commit`], or is removed when dropped.
#[must_use = "dropping it removes what was made"]
pub struct Creation {
    profile: PathBuf,
    path: PathBuf,
    committed: bool,
    /// The profile stays taken for as long as somebody fills a part of it.
    _lock: Arc<Lock>,
}

impl Creation {
    pub(super) fn start(profile: &Path, lock: Arc<Lock>) -> Result<Self, StoreError> {
        let mut builder = DirBuilder::new();
        private(&mut builder);
        for number in 0_u32.. {
            let path = profile.join(format!("{CREATING}{}-{number}", std::process::id()));
            match builder.create(&path) {
                Ok(()) => {
                    return Ok(Self { profile: profile.to_owned(), path, committed: false, _lock: lock });
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(StoreError::io("begin an identity")(error)),
            }
        }
        Err(StoreError::Refused { what: "too many unfinished creations" })
    }

    /// Where to put the parts.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the identity count, durably. Everything in it must be closed before. Returns where it is.
    ///
    /// # Errors
    /// [`StoreError::IdentityExists`], [`StoreError::Io`]; there is no identity then, and what was made is
    /// removed.
    pub fn commit(mut self) -> Result<PathBuf, StoreError> {
        let doing = "complete the identity";
        let target = self.profile.join(IDENTITY);
        // The contents first: after the rename the name must never be there without them.
        sync_contents(&self.path).map_err(StoreError::io(doing))?;
        if target.symlink_metadata().is_ok() {
            return Err(StoreError::IdentityExists);
        }
        fs::rename(&self.path, &target).map_err(StoreError::io(doing))?;
        if let Err(error) = sync_dir(&self.profile) {
            // Not durable, so it must not count. If it cannot be taken back either it is there, whole, and
            // saying otherwise would have its root removed from the keychain.
            if fs::rename(&target, &self.path).is_ok() {
                return Err(StoreError::io(doing)(error));
            }
            tracing::warn!(%error, "the identity is there, and may not outlast a power failure in this minute");
        }
        self.committed = true;
        Ok(target)
    }
}

impl Drop for Creation {
    fn drop(&mut self) {
        if !self.committed
            && let Err(error) = fs::remove_dir_all(&self.path)
        {
            tracing::warn!(%error, "an unfinished identity stays until the next start");
        }
    }
}

/// Makes every file below `dir`, and the names in it, durable.
fn sync_contents(dir: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_contents(&entry.path())?;
        } else {
            File::options().write(true).open(entry.path())?.sync_all()?;
        }
    }
    sync_dir(dir)
}
