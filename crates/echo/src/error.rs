//! What can be wrong with what somebody sends.

/// Why a replica refuses something; nothing has changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EchoError {
    /// Send less at once.
    #[error("{what} has {size} bytes; at most {most} are taken")]
    TooLarge {
        /// What.
        what: &'static str,
        /// How large it is.
        size: usize,
        /// How large it may be.
        most: usize,
    },
    /// Not what it should be.
    #[error("the {what} cannot be read: {why}")]
    Malformed {
        /// What.
        what: &'static str,
        /// Why not.
        why: String,
    },
    /// Ask for less.
    #[error("the query is too much: {why}")]
    Query {
        /// What is too much.
        why: &'static str,
    },
}

impl From<std::convert::Infallible> for EchoError {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

impl EchoError {
    pub(crate) fn malformed(what: &'static str, why: impl ToString) -> Self {
        Self::Malformed { what, why: why.to_string() }
    }

    /// Stable code, for instance `echo.too_large`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "echo.too_large",
            Self::Malformed { .. } => "echo.malformed",
            Self::Query { .. } => "echo.query",
        }
    }
}
