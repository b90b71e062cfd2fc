//! Secrets on their way in: from standard input, or from a prompt that shows nothing.

use std::io::{BufRead, IsTerminal, Read};

use zeroize::{Zeroize, Zeroizing};

use crate::error::Failure;

/// Longest line that is a secret.
const LONGEST: u64 = 4096;

/// Where secrets come from in this run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// Lines of standard input.
    Lines,
    /// Prompts.
    Terminal,
}

impl Source {
    /// Lines if they were announced, or if there is nobody to be asked.
    pub(crate) fn of(announced: bool) -> Self {
        if announced || !std::io::stdin().is_terminal() { Self::Lines } else { Self::Terminal }
    }

    /// One secret.
    ///
    /// # Errors
    /// Usage, if the input ends first.
    pub(crate) fn read(self, what: &str) -> Result<Zeroizing<String>, Failure> {
        match self {
            Self::Lines => line(what),
            Self::Terminal => prompt(what),
        }
    }

    /// A secret that is about to be set: at a terminal it is typed twice.
    ///
    /// # Errors
    /// Usage, if the two differ.
    pub(crate) fn read_new(self, what: &str) -> Result<Zeroizing<String>, Failure> {
        let secret = self.read(what)?;
        if self == Self::Terminal && *prompt("The same again")? != *secret {
            return Err(Failure::usage("the two are not the same"));
        }
        Ok(secret)
    }
}

fn prompt(what: &str) -> Result<Zeroizing<String>, Failure> {
    rpassword::prompt_password(format!("{what}: "))
        .map(Zeroizing::new)
        .map_err(|error| Failure::io("the terminal cannot be read", &error))
}

/// One line of standard input, without its end.
fn line(what: &str) -> Result<Zeroizing<String>, Failure> {
    let missing =
        || Failure::usage(format!("{} is expected on standard input, one line", what.to_lowercase()));
    // Never moved while it grows: the limit is its capacity.
    let mut bytes = Zeroizing::new(Vec::with_capacity(5000));
    let mut input = std::io::stdin().lock().take(LONGEST + 1);
    input
        .read_until(b'\n', &mut bytes)
        .map_err(|error| Failure::io("standard input cannot be read", &error))?;
    if bytes.len() as u64 > LONGEST {
        return Err(Failure::usage(format!("{} is too long", what.to_lowercase())));
    }
    if bytes.is_empty() {
        return Err(missing());
    }
    while matches!(bytes.last(), Some(b'\n' | b'\r')) {
        bytes.pop();
    }
    let text = std::str::from_utf8(&bytes).map(|text| Zeroizing::new(text.to_owned()));
    text.map_err(|_| Failure::usage(format!("{} is not UTF-8", what.to_lowercase())))
}

/// Puts a secret into a request; the caller's copy is wiped.
pub(crate) fn into_value(mut secret: Zeroizing<String>) -> serde_json::Value {
    let value = serde_json::Value::String(secret.as_str().to_owned());
    secret.zeroize();
    value
}
