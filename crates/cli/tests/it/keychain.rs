//! A Secret Service without a desktop, for the time of this test run.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;

/// Bus and keychain end when the shell's standard input does: also when this process is killed.
const SCRIPT: &str = r#"
set -e
bus=$(dbus-daemon --session --fork --print-pid=1 --address="unix:path=$HOME/bus")
trap 'kill "$bus"; rm -rf "$HOME"' EXIT
printf password | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1
echo ready
cat >/dev/null
"#;

/// The bus of a running Secret Service.
pub(crate) struct Keychain {
    pub(crate) address: String,
    _shell: Child,
    _alive: ChildStdin,
}

/// One for all tests of this run; each profile has entries of its own.
pub(crate) fn shared() -> &'static Keychain {
    static SHARED: OnceLock<Keychain> = OnceLock::new();
    SHARED.get_or_init(start)
}

fn start() -> Keychain {
    // Not a `TempDir`: a static is never dropped. The shell removes it.
    let home: PathBuf = tempfile::tempdir().unwrap().keep();
    let mut shell = Command::new("sh")
        .args(["-c", SCRIPT])
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY")
        .env_remove("DBUS_SESSION_BUS_ADDRESS")
        .env("DBUS_SESSION_BUS_ADDRESS", address(&home))
        .env("HOME", &home)
        .env("XDG_DATA_HOME", home.join("data"))
        .env("XDG_RUNTIME_DIR", &home)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(shell.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(
        line.trim(),
        "ready",
        "these tests need dbus-daemon and gnome-keyring-daemon: `cargo xtask setup` installs them"
    );
    let alive = shell.stdin.take().unwrap();
    Keychain { address: address(&home), _shell: shell, _alive: alive }
}

fn address(home: &Path) -> String {
    format!("unix:path={}", home.join("bus").display())
}
