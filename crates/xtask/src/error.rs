//! What goes wrong while building and checking, each with what to do next.

use std::path::{Path, PathBuf};

/// Why a command of `cargo xtask` ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// A program ran and failed; it has said why.
    #[error("`{command}` failed ({status})")]
    Failed {
        /// As it would be typed.
        command: String,
        /// How it ended.
        status: String,
    },
    /// A program could not be started.
    #[error("`{command}` could not be started: {source}")]
    NotStarted {
        /// As it would be typed.
        command: String,
        /// Why.
        source: std::io::Error,
    },
    /// The user has to do something first.
    #[error("{0}")]
    Wanted(String),
    /// A check found faults.
    #[error("{}", list(.0))]
    Faults(Vec<String>),
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Something answered what nobody expected.
    #[error("{0}")]
    Unexpected(String),
}

impl Trouble {
    /// For `map_err` on a file operation.
    pub(crate) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
}

fn list(faults: &[String]) -> String {
    let mut text = match faults.len() {
        1 => "one fault:".to_owned(),
        count => format!("{count} faults:"),
    };
    for fault in faults {
        text.push_str("\n  - ");
        text.push_str(fault);
    }
    text
}
