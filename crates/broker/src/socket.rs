//! Unix sockets in the run-time directory.
//!
//! The address of a Unix socket has room for 107 bytes on Linux; a profile directory may be deeper than
//! that. Longer paths go through `/proc/self/fd`, which is short whatever it points to.

#[cfg(unix)]
pub(crate) use unix::{Listener, Stream, bind, connect, same_user};

/// Name of the socket for native apps.
pub(crate) const BROKER: &str = "broker.sock";
/// Name of the socket for the `halo` command.
pub(crate) const CONTROL: &str = "control.sock";

#[cfg(unix)]
mod unix {
    use std::fs::{File, Permissions};
    use std::io;
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::PermissionsExt;
    use std::path::{Path, PathBuf};

    pub(crate) use tokio::net::{UnixListener as Listener, UnixStream as Stream};

    /// `sun_path` minus its terminator (unix(7)); the BSDs have 104.
    const LONGEST: usize = 103;

    /// Listens at `dir/name`, in place of whatever an earlier process left there.
    pub(crate) fn bind(dir: &Path, name: &str) -> io::Result<Listener> {
        let path = dir.join(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let (_guard, short) = shorten(dir, name)?;
        let listener = Listener::bind(short)?;
        std::fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        Ok(listener)
    }

    /// Connects to `dir/name`.
    pub(crate) async fn connect(dir: &Path, name: &str) -> io::Result<Stream> {
        let (_guard, short) = shorten(dir, name)?;
        Stream::connect(short).await
    }

    /// Whether the other end belongs to the user of this process.
    pub(crate) fn same_user(stream: &Stream) -> bool {
        stream.peer_cred().is_ok_and(|peer| peer.uid() == rustix::process::geteuid().as_raw())
    }

    fn shorten(dir: &Path, name: &str) -> io::Result<(Option<File>, PathBuf)> {
        let path = dir.join(name);
        if path.as_os_str().len() <= LONGEST || !cfg!(target_os = "linux") {
            return Ok((None, path));
        }
        let dir = File::open(dir)?;
        let short = PathBuf::from(format!("/proc/self/fd/{}/{name}", dir.as_raw_fd()));
        Ok((Some(dir), short))
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[tokio::test]
        async fn a_deep_directory_is_no_obstacle() {
            let dir = tempfile::tempdir().unwrap();
            let deep = dir.path().join("x".repeat(120));
            std::fs::create_dir(&deep).unwrap();
            let _listener = bind(&deep, "s").unwrap();
            assert!(connect(&deep, "s").await.is_ok());
        }
    }
}
