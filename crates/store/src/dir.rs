//! The directory of a profile.
//!
//! ```text
//! PROFILE/lock        held by the process that has the profile; names it
//! PROFILE/identity/   everything of the identity; appears by one rename
//! PROFILE/.creating-* an identity being made; counts for nothing until the rename
//! ```

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::error::StoreError;

const LOCK: &str = "lock";
const IDENTITY: &str = "identity";
const CREATING: &str = ".creating-";
/// More is not read of what a lock file says.
const LONGEST_NAME: u64 = 256;

/// A profile's directory, held by this process until it is dropped.
#[derive(Debug)]
pub struct ProfileDir {
    path: PathBuf,
    _lock: File,
}

/// An identity being made. Dropped without [`Creation::commit`], it leaves a directory that counts for nothing.
#[derive(Debug)]
pub struct Creation {
    building: PathBuf,
    identity: PathBuf,
}

impl ProfileDir {
    /// Takes a profile for this process, which calls itself `program`; makes the directory (0700) if need be.
    ///
    /// # Errors
    /// [`StoreError::Held`] says who has it.
    pub fn open(path: &Path, program: &str) -> Result<Self, StoreError> {
        make_dir(path, true)?;
        let lock_path = path.join(LOCK);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut lock = options.open(&lock_path).map_err(StoreError::io(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(holder(&mut lock)),
            Err(TryLockError::Error(source)) => return Err(StoreError::Io { path: lock_path, source }),
        }
        let named = lock
            .set_len(0)
            .and_then(|()| lock.rewind())
            .and_then(|()| writeln!(lock, "{} {program}", std::process::id()));
        named.map_err(StoreError::io(&lock_path))?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// The directory of the identity, if there is one.
    #[must_use]
    pub fn identity_dir(&self) -> Option<PathBuf> {
        Some(self.path.join(IDENTITY)).filter(|dir| dir.is_dir())
    }

    /// Begins to make an identity in a directory that counts for nothing yet.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn start_creation(&self) -> Result<Creation, StoreError> {
        for number in 0_u32.. {
            let building = self.path.join(format!("{CREATING}{}-{number}", std::process::id()));
            if !building.exists() {
                make_dir(&building, false)?;
                return Ok(Creation { building, identity: self.path.join(IDENTITY) });
            }
        }
        Err(StoreError::damaged("no free name for a directory"))
    }

    /// Directories of creations that were cut short.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn leftovers(&self) -> Result<Vec<PathBuf>, StoreError> {
        let entries = std::fs::read_dir(&self.path).map_err(StoreError::io(&self.path))?;
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.map_err(StoreError::io(&self.path))?;
            if entry.file_name().to_string_lossy().starts_with(CREATING) {
                found.push(entry.path());
            }
        }
        Ok(found)
    }

    /// Removes a leftover. Anything else is left alone.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn sweep(&self, leftover: &Path) -> Result<(), StoreError> {
        let ours = leftover.parent() == Some(&self.path)
            && leftover.file_name().is_some_and(|name| name.to_string_lossy().starts_with(CREATING));
        if ours {
            std::fs::remove_dir_all(leftover).map_err(StoreError::io(leftover))?;
        }
        Ok(())
    }
}

impl Creation {
    /// Where to build.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.building
    }

    /// Makes it count: one rename. Returns the directory of the identity.
    ///
    /// # Errors
    /// [`StoreError::Io`]; then there is no identity.
    pub fn commit(self) -> Result<PathBuf, StoreError> {
        sync_dir(&self.building)?;
        // A rename onto an existing identity must not happen; onto an empty directory it would succeed.
        if self.identity.exists() {
            return Err(StoreError::damaged("there is an identity already"));
        }
        std::fs::rename(&self.building, &self.identity).map_err(StoreError::io(&self.identity))?;
        // The rename has happened; whether it survives a power loss in this very moment changes nothing about
        // there being all of it or nothing.
        if let Some(parent) = self.identity.parent()
            && let Err(error) = sync_dir(parent)
        {
            tracing::warn!(%error, "the directory of the profile could not be synced");
        }
        Ok(self.identity)
    }
}

fn make_dir(path: &Path, recursive: bool) -> Result<(), StoreError> {
    let mut builder = DirBuilder::new();
    builder.recursive(recursive);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(StoreError::io(path))
}

/// Makes the entries of a directory durable; on Windows directories cannot be synced, and need not.
fn sync_dir(path: &Path) -> Result<(), StoreError> {
    #[cfg(unix)]
    File::open(path).and_then(|dir| dir.sync_all()).map_err(StoreError::io(path))?;
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

fn holder(lock: &mut File) -> StoreError {
    let mut said = String::new();
    let read = lock.take(LONGEST_NAME).read_to_string(&mut said);
    let (pid, program) = match (read, said.trim().split_once(' ')) {
        (Ok(_), Some((pid, program))) => (pid.parse().unwrap_or_default(), program.to_owned()),
        _ => (0, "another program".to_owned()),
    };
    StoreError::Held { pid, program }
}
