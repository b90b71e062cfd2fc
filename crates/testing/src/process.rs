//! Other processes: a test binary, started again in a role, which talks through its standard output and can be
//! killed at any moment.
//!
//! The test binary needs `#[test] fn child()` in its module `process`, which calls [`role`] and does what it says.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

const ROLE: &str = "HALO_TEST_ROLE";
const DIR: &str = "HALO_TEST_DIR";
/// Begins the lines that are meant for the parent; the test harness prints others.
const MARK: &str = "@ ";

/// A process in a role.
pub struct Other {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Other {
    /// Starts this test binary again, in a role, with a directory to work in.
    #[must_use]
    pub fn start(role: &str, dir: &Path) -> Self {
        Self::start_with(role, dir, &[])
    }

    /// The same with more in its environment.
    #[must_use]
    pub fn start_with(role: &str, dir: &Path, env: &[(&str, &str)]) -> Self {
        Self::start_by(Command::new(std::env::current_exe().unwrap()), role, dir, env)
    }

    /// The same by a command that ends in the path of this test binary: within a namespace.
    #[must_use]
    pub fn start_by(mut command: Command, role: &str, dir: &Path, env: &[(&str, &str)]) -> Self {
        let mut child = command
            .args(["--exact", "process::child", "--nocapture", "--test-threads=1"])
            .env(ROLE, role)
            .env(DIR, dir)
            .envs(env.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next thing it says; `None` once it has ended.
    pub fn hear(&mut self) -> Option<String> {
        loop {
            let line = self.lines.next()?.unwrap_or_default();
            if let Some(said) = line.strip_prefix(MARK) {
                return Some(said.to_owned());
            }
        }
    }

    /// Lets it take its next step; it may have ended already.
    pub fn go_on(&mut self) {
        let _ = self.child.stdin.as_mut().unwrap().write_all(b"\n");
    }

    /// Says a line to it; it may have ended already.
    pub fn tell(&mut self, line: &str) {
        let _ = self.child.stdin.as_mut().unwrap().write_all(format!("{line}\n").as_bytes());
    }

    /// SIGKILL: it gets no chance to put anything in order. Returns what it had said before.
    pub fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        let mut said = Vec::new();
        while let Some(line) = self.hear() {
            said.push(line);
        }
        self.child.wait().unwrap();
        said
    }

    /// Lets it end by itself.
    pub fn finish(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
    }
}

/// Says something to the parent.
pub fn say(what: impl std::fmt::Display) {
    // The harness may have left a line unfinished. A parent that has gone on does not listen any more.
    let _ = writeln!(std::io::stdout(), "\n{MARK}{what}");
}

/// Waits until the parent ends this process, or lets it end.
pub fn wait() {
    let _ = std::io::stdin().read_line(&mut String::new());
}

/// The role this process was started in and its directory; `None` in the test run itself.
#[must_use]
pub fn role() -> Option<(String, PathBuf)> {
    Some((std::env::var(ROLE).ok()?, PathBuf::from(std::env::var_os(DIR).unwrap())))
}
