//! A profile in an empty directory, the `halo` command on it, and a daemon.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread::JoinHandle;

use halo_testing::keychain;
use serde_json::Value;
use tempfile::TempDir;

pub(crate) const PASSPHRASE: &str = "correct horse battery staple";

/// Where this test lives.
pub(crate) struct World {
    dir: TempDir,
    bus: Option<String>,
    /// What comes before the daemon's command: the machine it runs on.
    on: Vec<String>,
}

impl World {
    /// With an unlocked Secret Service.
    pub(crate) fn new() -> Self {
        Self { bus: Some(keychain::shared().address.clone()), ..Self::without_keychain() }
    }

    /// With this session bus, which also speaks for the system.
    pub(crate) fn on(bus: &str) -> Self {
        Self { bus: Some(bus.to_owned()), ..Self::without_keychain() }
    }

    /// The same profile, after the user has logged in anew.
    pub(crate) fn moves_to(&mut self, bus: Option<&str>) {
        self.bus = bus.map(str::to_owned);
    }

    /// As on a server: no session bus.
    pub(crate) fn without_keychain() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("run")).unwrap();
        Self { dir, bus: None, on: Vec::new() }
    }

    /// Its daemon runs on another machine, whose prefix this is; the rest goes through files and sockets.
    pub(crate) fn on_machine(prefix: &[&str]) -> Self {
        Self { on: prefix.iter().map(|&word| word.to_owned()).collect(), ..Self::new() }
    }

    /// Where everything of it is.
    pub(crate) fn home(&self) -> &std::path::Path {
        self.dir.path()
    }

    pub(crate) fn profile(&self) -> PathBuf {
        self.dir.path().join("profile")
    }

    /// The command, on this profile, with nothing of the user's own environment.
    pub(crate) fn halo(&self, args: &[&str]) -> Command {
        self.clean(Command::new(env!("CARGO_BIN_EXE_halo")), args)
    }

    fn clean(&self, mut command: Command, args: &[&str]) -> Command {
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.dir.path())
            .env("XDG_RUNTIME_DIR", self.dir.path().join("run"))
            .env("HALO_PROFILE", self.profile())
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // Never the bus of this machine, which may go to sleep.
        let nowhere = format!("unix:path={}", self.dir.path().join("no-bus").display());
        command.env("DBUS_SYSTEM_BUS_ADDRESS", self.bus.as_ref().unwrap_or(&nowhere));
        if let Some(bus) = &self.bus {
            command.env("DBUS_SESSION_BUS_ADDRESS", bus);
        }
        command
    }

    /// Where the daemon of this profile listens for commands.
    pub(crate) fn control_socket(&self) -> PathBuf {
        let mut left = vec![self.dir.path().join("run")];
        while let Some(dir) = left.pop() {
            for entry in dir.read_dir().unwrap() {
                let path = entry.unwrap().path();
                if path.ends_with("control.sock") {
                    return path;
                }
                if path.is_dir() {
                    left.push(path);
                }
            }
        }
        panic!("no control socket");
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        Ran(self.halo(args).output().unwrap())
    }

    /// Runs it to its end with something on standard input.
    pub(crate) fn run_with(&self, args: &[&str], input: &str) -> Ran {
        let mut child = self.halo(args).stdin(Stdio::piped()).spawn().unwrap();
        // It may have failed before it read.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        Ran(child.wait_with_output().unwrap())
    }

    /// What a script gets.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        self.run(&[&["--json"], args].concat()).json()
    }

    /// An identity whose root the keychain keeps.
    pub(crate) fn init(&self) -> Value {
        self.json(&["init", "--name", "Ada"])
    }

    /// An identity in a sealed file.
    pub(crate) fn init_sealed(&self) -> Value {
        let args = ["--json", "init", "--name", "Ada", "--keychain", "none", "--passphrase-stdin"];
        self.run_with(&args, &format!("{PASSPHRASE}\n")).json()
    }

    /// A daemon that serves.
    pub(crate) fn daemon(&self) -> Daemon {
        self.daemon_logging("warn")
    }

    pub(crate) fn daemon_logging(&self, level: &str) -> Daemon {
        self.daemon_with(&[], level)
    }

    /// The same with more options.
    pub(crate) fn daemon_with(&self, options: &[&str], level: &str) -> Daemon {
        let mut words = self.on.iter().map(String::as_str).chain([env!("CARGO_BIN_EXE_halo")]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words);
        let args = [&["daemon", "--listen-port", "0"], options].concat();
        let mut child = self.clean(command, &args).env("HALO_LOG", level).spawn().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let log = std::thread::spawn(move || {
            let mut log = String::new();
            stderr.read_to_string(&mut log).unwrap();
            log
        });
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let Ok(ready) = serde_json::from_str::<Value>(&line) else {
            panic!("the daemon did not start: {line:?} {}", log.join().unwrap());
        };
        Daemon { child, ready, log: Some(log) }
    }
}

/// A command that ended.
pub(crate) struct Ran(Output);

impl Ran {
    pub(crate) fn status(&self) -> i32 {
        self.0.status.code().unwrap_or(-1)
    }

    pub(crate) fn ok(&self) -> bool {
        self.0.status.success()
    }

    pub(crate) fn stdout(&self) -> String {
        String::from_utf8(self.0.stdout.clone()).unwrap()
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8(self.0.stderr.clone()).unwrap()
    }

    /// The one JSON value on standard output.
    pub(crate) fn json(&self) -> Value {
        assert!(self.ok(), "status {}: {}", self.status(), self.stderr());
        serde_json::from_str(&self.stdout()).unwrap()
    }

    /// The code of the failure on standard error; standard output must be empty.
    pub(crate) fn error_code(&self) -> String {
        assert_eq!(self.stdout(), "", "a failure says nothing on standard output");
        let error: Value = serde_json::from_str(&self.stderr()).unwrap();
        assert!(error["error"]["message"].as_str().is_some_and(|message| !message.is_empty()));
        error["error"]["code"].as_str().unwrap().to_owned()
    }
}

/// A daemon; killed when the test ends.
pub(crate) struct Daemon {
    child: Child,
    pub(crate) ready: Value,
    log: Option<JoinHandle<String>>,
}

impl Daemon {
    pub(crate) fn url(&self) -> &str {
        self.ready["broker_url"].as_str().unwrap()
    }

    pub(crate) fn port(&self) -> u16 {
        self.url().rsplit(':').next().unwrap().parse().unwrap()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// As a power cut would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// As a service manager would. Returns its exit status and what it logged.
    pub(crate) fn terminate(mut self) -> (std::process::ExitStatus, String) {
        let sent = Command::new("kill").arg(self.pid().to_string()).status().unwrap();
        assert!(sent.success());
        let status = self.child.wait().unwrap();
        (status, self.log.take().unwrap().join().unwrap())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
