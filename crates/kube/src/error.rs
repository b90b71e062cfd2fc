//! What keeps KUBE from serving.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub(crate) enum KubeError {
    /// Choose another address, or end what is there.
    #[error("cannot listen at {address}: {source}")]
    Listen { address: SocketAddr, source: io::Error },
    /// Look at the file.
    #[error("{what} {path}: {source}", path = path.display())]
    File { what: &'static str, path: PathBuf, source: io::Error },
    /// Give another file.
    #[error("{path} {why}", path = path.display())]
    BadFile { path: PathBuf, why: String },
    /// Give another address.
    #[error("{url} cannot be the public address: {why}")]
    BadUrl { url: String, why: &'static str },
    /// Give the address with `--turn`.
    #[error(
        "this machine has no address that TURN could use; say which with --turn ADDR:PORT, or --turn off"
    )]
    NoAddress,
    /// Look at what TURN says.
    #[error("TURN did not start: {what}")]
    Turn { what: String },
    /// Look at what the system says.
    #[error("{what}: {source}")]
    System { what: &'static str, source: io::Error },
}

impl KubeError {
    pub(crate) fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { what, source }
    }
}
