//! A Secret Service without a desktop, for the time of this test run.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;

/// Bus and keychain end when the shell's standard input does: also when this process is killed.
const SCRIPT: &str = r#"
set -e
echo '<busconfig><type>session</type><listen>unix:path='"$HOME"'/bus</listen>
  <policy context="default"><allow send_destination="*"/><allow own="*"/><allow eavesdrop="true"/></policy>
</busconfig>' > "$HOME/bus.conf"
bus=$(dbus-daemon --config-file="$HOME/bus.conf" --fork --print-pid=1)
trap 'kill "$bus"; rm -rf "$HOME"' EXIT
if [ "$1" != bus ]; then
  printf password | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1
  # It goes to the background before it has taken its name.
  until dbus-send --session --print-reply --dest=org.freedesktop.DBus / org.freedesktop.DBus.NameHasOwner \
    string:org.freedesktop.secrets | grep -q 'boolean true'; do sleep 0.02; done
fi
echo ready
cat >/dev/null
"#;

/// A bus, with a Secret Service on it or without.
pub struct Keychain {
    /// D-Bus address.
    pub address: String,
    _shell: Child,
    _alive: ChildStdin,
}

/// One for all tests of this run; each profile has entries of its own.
#[must_use]
pub fn shared() -> &'static Keychain {
    static SHARED: OnceLock<Keychain> = OnceLock::new();
    SHARED.get_or_init(Keychain::start)
}

impl Keychain {
    /// A Secret Service of one's own.
    #[must_use]
    pub fn start() -> Self {
        start("service")
    }

    /// A bus on which nobody keeps secrets.
    #[must_use]
    pub fn only_a_bus() -> Self {
        start("bus")
    }

    /// Sends a signal on the bus, as a screen saver or the session manager does.
    pub fn signal(&self, name: &str, body: &[&str]) {
        let sent = Command::new("dbus-send")
            .env("DBUS_SESSION_BUS_ADDRESS", &self.address)
            .args(["--session", "--type=signal", "/org/freedesktop/login1", name])
            .args(body)
            .status()
            .unwrap();
        assert!(sent.success());
    }

    /// Locks the collection, as its owner can at any time; without a screen nobody can unlock it again.
    pub fn lock(&self) {
        let locked = Command::new("dbus-send")
            .env("DBUS_SESSION_BUS_ADDRESS", &self.address)
            .args([
                "--session",
                "--print-reply",
                "--dest=org.freedesktop.secrets",
                "/org/freedesktop/secrets",
            ])
            .arg("org.freedesktop.Secret.Service.Lock")
            .arg("array:objpath:/org/freedesktop/secrets/collection/login")
            .output()
            .unwrap();
        assert!(locked.status.success(), "{}", String::from_utf8_lossy(&locked.stderr));
    }
}

fn start(what: &str) -> Keychain {
    // Not a `TempDir`: a static is never dropped. The shell removes it.
    let home: PathBuf = tempfile::tempdir().unwrap().keep();
    let mut shell = Command::new("sh")
        .args(["-c", SCRIPT, "sh", what])
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
