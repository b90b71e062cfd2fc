//! Who is asking, by evidence and not by claims.
//!
//! For a page it is the `Origin` that the browser sends *and* the process that owns the other end of the
//! connection, which must be a browser; for a program it is the process. The kernel says which process that
//! is; where it does not say exactly one, the asker counts as unknown and nothing remembered is used.
//!
//! The attack that remains: a program can start a browser of its own and drive it, or put a file called
//! `firefox` somewhere; as the same user it can also read the browser's memory.

mod browser;
mod caller;
mod headers;
#[cfg(target_os = "linux")]
mod linux;
mod peer;
#[cfg(target_os = "linux")]
mod sock_diag;

use std::net::SocketAddr;

use halo_wallet::Process;

pub(crate) use caller::{Caller, Source};
pub(crate) use headers::{Fault, Sender, read as read_headers};
pub(crate) use peer::{Peer, Place};

pub use browser::is_browser;

/// Whom the kernel names as the other end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// Exactly one program of this user.
    Process(Process),
    /// Somebody else on this machine.
    OtherUser,
    /// The kernel did not name exactly one, or it changed while we looked.
    Unsure,
    /// This platform cannot be asked (yet).
    Unsupported,
}

/// Asks the kernel about processes. The calls may take some milliseconds: not for an async thread.
pub trait Attribution: Send + Sync + 'static {
    /// Who owns the end `theirs` of the TCP connection to our end `ours`.
    fn owner(&self, theirs: SocketAddr, ours: SocketAddr) -> Owner;

    /// Who listens on a loopback port: where a native app wants its answer sent.
    fn listener(&self, port: u16) -> Option<Process>;

    /// The process with this id.
    fn process(&self, pid: u32) -> Owner;

    /// Whether this is still the same process, and runs the same program.
    fn is_still(&self, process: &Process) -> bool;
}

/// Asks the kernel of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct Kernel;

#[cfg(not(target_os = "linux"))]
impl Attribution for Kernel {
    fn owner(&self, _theirs: SocketAddr, _ours: SocketAddr) -> Owner {
        Owner::Unsupported
    }

    fn listener(&self, _port: u16) -> Option<Process> {
        None
    }

    fn process(&self, _pid: u32) -> Owner {
        Owner::Unsupported
    }

    fn is_still(&self, _process: &Process) -> bool {
        true
    }
}
