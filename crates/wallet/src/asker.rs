//! Who is asking, by evidence.
//!
//! The broker gathers what the browser and the kernel say about the other end of a connection; nothing in
//! here is a claim of the asker itself except [`Asker::claimed_name`], which the prompt labels as such.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// What sort of program an app is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export)]
pub enum AppKind {
    /// A page in a browser; its `client_id` is its origin.
    Web,
    /// A program on this machine; it is known by its executable.
    Native,
}

/// A process on this machine, as the kernel describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Process {
    /// Process id at the time of the request.
    pub pid: u32,
    /// Short name, for instance `firefox`.
    pub name: String,
    /// Full path of the executable, if it could be read.
    pub path: Option<String>,
    /// Start time in clock ticks since boot: with the pid it names one process for ever, a reused pid differs.
    #[serde(skip)]
    #[ts(skip)]
    pub started: u64,
    /// Whether the executable is a browser we know.
    pub browser: bool,
}

/// The evidence about one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asker {
    /// Origin of a web app (`https://app.example`), or the id a native program chose.
    pub client_id: String,
    /// Web or native.
    pub kind: AppKind,
    /// The process that owns the other end, if the kernel named exactly one and it did not change meanwhile.
    pub process: Option<Process>,
    /// What the app calls itself; cleaned and labelled before anyone sees it.
    pub claimed_name: Option<String>,
    /// The request names a web origin, but the process behind it is not a browser.
    pub impostor: bool,
    /// RFC 7638 thumbprint of the DPoP key that signed this request, if one did.
    pub instance: Option<String>,
}
