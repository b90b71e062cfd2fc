//! Where a profile and its run-time files live.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::WalletError;

/// The profile used when nobody names one: `HALO_PROFILE`, else the platform's data directory.
///
/// # Errors
/// [`WalletError::BadInput`] if the platform says no home directory.
pub fn default_profile() -> Result<PathBuf, WalletError> {
    if let Some(named) = set("HALO_PROFILE") {
        return Ok(named);
    }
    let base = if cfg!(target_os = "macos") {
        set("HOME").map(|home| home.join("Library/Application Support"))
    } else if cfg!(windows) {
        set("LOCALAPPDATA")
    } else {
        // XDG Base Directory Specification 0.8: relative paths are to be ignored.
        set("XDG_DATA_HOME")
            .filter(|path| path.is_absolute())
            .or_else(|| set("HOME").map(|home| home.join(".local/share")))
    };
    base.map(|base| base.join("halo")).ok_or_else(|| WalletError::BadInput {
        what: "no home directory is set; name a profile directory with HALO_PROFILE".into(),
    })
}

/// The directory of sockets and `broker.json` of a profile; made on demand, readable by this user only.
///
/// `XDG_RUNTIME_DIR/halo/<8 hex digits>`, so that several profiles run side by side; `PROFILE/run` where there
/// is no run-time directory.
///
/// # Errors
/// [`WalletError::BadInput`] if it cannot be made.
pub fn runtime_dir(profile: &Path) -> Result<PathBuf, WalletError> {
    let absolute = std::path::absolute(profile).unwrap_or_else(|_| profile.to_path_buf());
    let name = Sha256::digest(absolute.as_os_str().as_encoded_bytes());
    let name: String = name.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let dir = match set("XDG_RUNTIME_DIR").filter(|path| path.is_absolute() && path.is_dir()) {
        Some(base) => base.join("halo").join(name),
        None => absolute.join("run"),
    };
    make_private(&dir).map_err(|error| WalletError::BadInput {
        what: format!("{} cannot be made: {error}", dir.display()),
    })?;
    Ok(dir)
}

fn set(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn make_private(dir: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_profiles_have_two_runtime_directories() {
        let dir = tempfile::tempdir().unwrap();
        let one = runtime_dir(&dir.path().join("one")).unwrap();
        let two = runtime_dir(&dir.path().join("two")).unwrap();
        assert_ne!(one, two);
        assert!(one.is_dir() && two.is_dir());
    }

    // threat: 19
    #[cfg(unix)]
    #[test]
    fn the_runtime_directory_is_for_this_user_only() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("run");
        make_private(&run).unwrap();
        assert_eq!(run.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    }
}
