//! What can go wrong, by what the caller can do about it.

/// Why the mesh did not do something.
#[derive(Debug, thiserror::Error)]
pub enum MeshError {
    /// Start it again.
    #[error("the mesh is closed")]
    Closed,
    /// The other side went away; it comes back as a new connection.
    #[error("the connection is closed")]
    Disconnected,
    /// Send it in parts.
    #[error("a message of {length} bytes is longer than {most}")]
    TooLong {
        /// How long it was.
        length: usize,
        /// How long it may be.
        most: usize,
    },
    /// Correct the address: `ws://…` or `wss://…`.
    #[error("{url} is not the address of a signalling server: {why}")]
    BadServer {
        /// What was given.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

impl MeshError {
    /// Stable code, for windows and command lines to find their words.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Closed => "mesh.closed",
            Self::Disconnected => "mesh.disconnected",
            Self::TooLong { .. } => "mesh.too_long",
            Self::BadServer { .. } => "mesh.bad_server",
        }
    }
}

impl From<url::ParseError> for MeshError {
    fn from(_: url::ParseError) -> Self {
        Self::BadServer { url: String::new(), why: "it is not an address at all" }
    }
}
