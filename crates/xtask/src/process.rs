//! Starting programs and talking to the person at the terminal.

use std::ffi::OsStr;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::Trouble;
use crate::place::Place;

/// One line for the person who waits.
pub(crate) fn say(line: &str) {
    // Nobody reads any more: that is their business.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// A question that Enter answers with yes. Without a terminal the answer is no.
pub(crate) fn agree(question: &str) -> bool {
    if !std::io::stdin().is_terminal() {
        return false;
    }
    let _ = write!(std::io::stdout().lock(), "{question} [Y/n] ");
    let _ = std::io::stdout().flush();
    let mut answer = String::new();
    if std::io::stdin().read_line(&mut answer).is_err() {
        return false;
    }
    matches!(answer.trim(), "" | "y" | "Y" | "yes")
}

/// Bold on a terminal.
pub(crate) fn bold(text: &str) -> String {
    if std::io::stdout().is_terminal() { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
}

/// Whether nobody is there to be asked.
pub(crate) fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true" || value == "1")
}

/// What runs longer than this in CI hangs. `timeout` ends it with all that it started, and exits with 124.
const LONGEST: &str = "30m";

/// A program to be run in some directory.
pub(crate) struct Run {
    command: Command,
}

impl Run {
    /// Any program, in `dir`.
    pub(crate) fn program(name: impl AsRef<OsStr>, dir: &Path) -> Self {
        let mut command = Command::new(name);
        command.current_dir(dir);
        // `cargo run` describes this crate to us in the environment. A build script that looked at
        // these would run again each time.
        for (name, _) in std::env::vars_os() {
            let described = name.to_str().is_some_and(|name| {
                name.starts_with("CARGO_PKG_")
                    || name.starts_with("CARGO_MANIFEST_")
                    || name == "CARGO_BIN_NAME"
            });
            if described {
                command.env_remove(name);
            }
        }
        Self { command }
    }

    /// Cargo, at the top of the repository.
    pub(crate) fn cargo(place: &Place) -> Self {
        // Without a path, so that `+nightly` goes through rustup.
        Self::program("cargo", &place.root).env("CARGO_TARGET_DIR", &place.target)
    }

    /// npm, in a directory of the repository.
    pub(crate) fn npm(place: &Place, dir: &str) -> Self {
        let name = if cfg!(windows) { "npm.cmd" } else { "npm" };
        // Quiet about funding and newer versions of itself: a log of CI is long enough.
        Self::program(name, &place.at(dir))
            .env("npm_config_fund", "false")
            .env("npm_config_audit", "false")
            .env("npm_config_update_notifier", "false")
    }

    /// Adds arguments.
    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    /// Sets a variable.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs it, its output going where ours goes.
    pub(crate) fn run(mut self) -> Result<(), Trouble> {
        let shown = self.shown();
        say(&format!("$ {shown}"));
        if in_ci() && cfg!(target_os = "linux") {
            self.command = within(LONGEST, &self.command);
        }
        let status =
            self.command.status().map_err(|source| Trouble::NotStarted { command: shown.clone(), source })?;
        if status.success() {
            return Ok(());
        }
        Err(Trouble::Failed { command: shown, status: status.to_string() })
    }

    /// Runs it and returns what it printed; its errors go where ours go.
    pub(crate) fn output(mut self) -> Result<String, Trouble> {
        let shown = self.shown();
        let output = self
            .command
            .stderr(Stdio::inherit())
            .output()
            .map_err(|source| Trouble::NotStarted { command: shown.clone(), source })?;
        if !output.status.success() {
            return Err(Trouble::Failed { command: shown, status: output.status.to_string() });
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// What it prints, if it runs and succeeds; its errors are dropped.
    pub(crate) fn answer(mut self) -> Option<String> {
        let output = self.command.stdin(Stdio::null()).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Whether it runs and succeeds; its output is dropped.
    pub(crate) fn succeeds(mut self) -> bool {
        self.command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }

    fn shown(&self) -> String {
        let mut shown = Path::new(self.command.get_program())
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        for arg in self.command.get_args() {
            shown.push(' ');
            shown.push_str(&arg.to_string_lossy());
        }
        shown
    }
}

/// The same command, ended after `longest`.
fn within(longest: &str, command: &Command) -> Command {
    let mut limited = Command::new("timeout");
    limited.args(["--kill-after=10s", longest]).arg(command.get_program()).args(command.get_args());
    if let Some(dir) = command.get_current_dir() {
        limited.current_dir(dir);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    limited
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn what_hangs_is_ended() {
        let mut hangs = Command::new("sh");
        hangs.args(["-c", "test \"$MARK\" = kept && exec sleep 600"]).env("MARK", "kept");
        assert_eq!(within("0.1s", &hangs).status().unwrap().code(), Some(124));
    }
}
