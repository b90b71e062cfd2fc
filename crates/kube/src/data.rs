//! What outlives a restart.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use crate::error::KubeError;

const TURN_SECRET: &str = "turn-secret";

/// The secret behind TURN's passwords, made at the first start: clients keep theirs across restarts.
pub(crate) fn turn_secret(dir: &Path) -> Result<[u8; 32], KubeError> {
    let path = dir.join(TURN_SECRET);
    let failed = |what| move |source| KubeError::File { what, path: dir.join(TURN_SECRET), source };
    fs::create_dir_all(dir).map_err(failed("cannot create the directory of"))?;
    match fs::read(&path) {
        Ok(bytes) => bytes.try_into().map_err(|bytes: Vec<u8>| KubeError::BadFile {
            path: path.clone(),
            why: format!("has {} bytes instead of 32; remove it and a new one is made", bytes.len()),
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let secret: [u8; 32] = crate::random()?;
            private(&path)
                .and_then(|mut file| file.write_all(&secret).and_then(|()| file.sync_all()))
                .map_err(failed("cannot write"))?;
            Ok(secret)
        }
        Err(error) => Err(failed("cannot read")(error)),
    }
}

/// A new file that only its owner may read.
fn private(path: &Path) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_is_made_once_and_kept_for_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let first = turn_secret(dir.path()).unwrap();
        assert_eq!(turn_secret(dir.path()).unwrap(), first);
        let path = dir.path().join(TURN_SECRET);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        fs::write(&path, b"cut").unwrap();
        let error = turn_secret(dir.path()).unwrap_err().to_string();
        assert!(error.contains("3 bytes"), "{error}");
    }
}
