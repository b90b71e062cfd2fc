//! The directory of a profile: who may use it, and how an identity comes to be in it.
//!
//! ```text
//! PROFILE/             0700
//!   lock               held by the one process that uses the profile; says which
//!   .creating-…/       an identity in the making; does not count
//!   identity/          the identity: keystore.json, root.sealed?, store.db, …
//! ```
//!
//! An identity is made in `.creating-…` and appears by *one* rename. Whatever is killed, and whenever, there is either no
//! `identity/` or a whole one; what a killed creation leaves behind never counted and is swept by the next start.

mod creation;
mod lock;

use std::fs::{self, DirBuilder};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use creation::Creation;

use crate::error::StoreError;
use lock::Lock;

/// Name of the directory that, by being there, says that the profile has an identity.
const IDENTITY: &str = "identity";
/// What the names of creations under way begin with.
const CREATING: &str = ".creating-";

/// A profile's directory, taken for this process for as long as this lives.
pub struct ProfileDir {
    path: PathBuf,
    lock: Arc<Lock>,
}

impl ProfileDir {
    /// Takes the profile at `path`, making the directory if there is none.
    ///
    /// `program` is what another process is told about who has it.
    ///
    /// # Errors
    /// [`StoreError::Held`] if another process has it, [`StoreError::Io`].
    pub fn open(path: &Path, program: &str) -> Result<Self, StoreError> {
        let path = std::path::absolute(path).map_err(StoreError::io("find the profile"))?;
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        private(&mut builder);
        builder.create(&path).map_err(StoreError::io("make the directory of the profile"))?;
        close_to_others(&path)?;
        let lock = Arc::new(Lock::take(&path.join("lock"), program)?);
        Ok(Self { path, lock })
    }

    /// The directory itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the identity is, if there is one.
    #[must_use]
    pub fn identity_dir(&self) -> Option<PathBuf> {
        let dir = self.path.join(IDENTITY);
        dir.is_dir().then_some(dir)
    }

    /// Begins an identity: a directory to fill, which counts only after [`Creation::commit`].
    ///
    /// # Errors
    /// [`StoreError::IdentityExists`], [`StoreError::Io`].
    pub fn start_creation(&self) -> Result<Creation, StoreError> {
        if self.identity_dir().is_some() {
            return Err(StoreError::IdentityExists);
        }
        Creation::start(&self.path, Arc::clone(&self.lock))
    }

    /// What creations that were cut short left behind. To be asked before the first creation of this process.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn leftovers(&self) -> Result<Vec<PathBuf>, StoreError> {
        let doing = "list the profile";
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(StoreError::io(doing))? {
            let entry = entry.map_err(StoreError::io(doing))?;
            if is_creation(&entry.path()) {
                found.push(entry.path());
            }
        }
        found.sort();
        Ok(found)
    }

    /// Removes one of [`Self::leftovers`], and nothing else.
    ///
    /// # Errors
    /// [`StoreError::Refused`] for any other path, [`StoreError::Io`].
    pub fn sweep(&self, leftover: &Path) -> Result<(), StoreError> {
        if leftover.parent() != Some(&self.path) || !is_creation(leftover) {
            return Err(StoreError::Refused {
                what: "only what an unfinished creation left behind can be swept",
            });
        }
        let doing = "remove an unfinished creation";
        fs::remove_dir_all(leftover).map_err(StoreError::io(doing))?;
        sync_dir(&self.path).map_err(StoreError::io(doing))
    }
}

fn is_creation(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(CREATING))
        && path.symlink_metadata().is_ok_and(|found| found.is_dir())
}

/// Makes a builder's directories the owner's alone.
#[cfg(unix)]
fn private(builder: &mut DirBuilder) {
    use std::os::unix::fs::DirBuilderExt;
    builder.mode(0o700);
}

/// Other systems give a user's directories to that user alone already.
#[cfg(not(unix))]
fn private(_builder: &mut DirBuilder) {}

/// Takes away what others may do in a directory that was there before.
#[cfg(unix)]
fn close_to_others(path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::PermissionsExt;
    let doing = "close the profile to other users";
    let mode = fs::metadata(path).map_err(StoreError::io(doing))?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(StoreError::io(doing))
}

#[cfg(not(unix))]
fn close_to_others(_path: &Path) -> Result<(), StoreError> {
    Ok(())
}

/// Makes the *names* in a directory durable; a file's own fsync does not.
#[cfg(unix)]
fn sync_dir(path: &Path) -> std::io::Result<()> {
    fs::File::open(path)?.sync_all()
}

/// Directories cannot be opened for that here; the journal of the file system keeps the order.
#[cfg(not(unix))]
fn sync_dir(_path: &Path) -> std::io::Result<()> {
    Ok(())
}
