//! `broker.json`: where native apps find the broker.
//!
//! Mode 0600 in a directory of mode 0700: another user can neither read it nor put one of their own there.
//! It is written beside its place and renamed, so that nobody ever reads half of it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::BrokerError;
use crate::socket;

const NAME: &str = "broker.json";

/// The content of `broker.json`.
#[derive(Debug, Serialize, Deserialize)]
struct Discovery {
    version: u32,
    pid: u32,
    url: String,
    port: u16,
    socket: PathBuf,
}

/// The file while the broker runs.
#[derive(Debug)]
pub(crate) struct Announced {
    path: PathBuf,
}

impl Announced {
    /// Writes the file.
    pub(crate) fn write(dir: &Path, port: u16, url: &str) -> io::Result<Self> {
        let path = dir.join(NAME);
        let pid = std::process::id();
        let discovery =
            Discovery { version: 1, pid, url: url.to_owned(), port, socket: dir.join(socket::BROKER) };
        let fresh = dir.join(format!("{NAME}.{pid}"));
        let _ = fs::remove_file(&fresh);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&fresh)?;
        file.write_all(&serde_json::to_vec_pretty(&discovery)?)?;
        file.sync_all()?;
        fs::rename(&fresh, &path)?;
        Ok(Self { path })
    }

    /// Removes the file, unless another process has put its own there.
    pub(crate) fn remove(&self) {
        let mine = fs::read(&self.path)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Discovery>(&bytes).ok())
            .is_some_and(|discovery| discovery.pid == std::process::id());
        if mine && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(%error, "broker.json was not removed");
        }
    }
}

/// Makes the run-time directory if it is not there, and refuses one that others can reach into.
pub(crate) fn private_dir(dir: &Path) -> Result<(), BrokerError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(BrokerError::io("the run-time directory cannot be made"))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let metadata = fs::metadata(dir).map_err(BrokerError::io("the run-time directory cannot be read"))?;
        if metadata.uid() != rustix::process::geteuid().as_raw() || metadata.mode() & 0o022 != 0 {
            return Err(BrokerError::OpenDirectory { path: dir.to_owned() });
        }
        if metadata.mode() & 0o077 != 0 {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(dir, fs::Permissions::from_mode(0o700))
                .map_err(BrokerError::io("the run-time directory cannot be closed to others"))?;
        }
    }
    Ok(())
}
