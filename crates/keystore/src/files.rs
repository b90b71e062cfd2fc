//! Small files that are replaced as a whole.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;

use crate::error::KeystoreError;

/// Nothing here is longer.
const LONGEST: u64 = 4096;

/// Reads a small file; `None` if there is none.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, KeystoreError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(KeystoreError::io(path)(error)),
    };
    let mut bytes = Vec::new();
    file.take(LONGEST).read_to_end(&mut bytes).map_err(KeystoreError::io(path))?;
    Ok(Some(bytes))
}

/// Replaces a file in one step (0600): after a crash it is the old one or the new one.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), KeystoreError> {
    let new = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(&new)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .map_err(KeystoreError::io(&new))?;
    std::fs::rename(&new, path).map_err(KeystoreError::io(path))?;
    #[cfg(unix)]
    if let Some(dir) = path.parent() {
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(KeystoreError::io(dir))?;
    }
    Ok(())
}
