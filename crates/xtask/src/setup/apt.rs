//! Debian packages.

use std::path::Path;

use crate::error::Trouble;
use crate::place::Place;
use crate::process::{Run, agree, in_ci, say};

/// What packages are for.
#[derive(Clone, Copy)]
pub(crate) enum Needs {
    /// Compiling the app: a C compiler for SQLCipher, the web view, the tray, D-Bus.
    Building,
    /// The window without a screen, a keychain without a desktop, a browser.
    Testing,
}

impl Needs {
    const fn packages(self) -> &'static [&'static str] {
        match self {
            Self::Building => &[
                "build-essential",
                "libayatana-appindicator3-dev",
                "libdbus-1-dev",
                "librsvg2-dev",
                "libssl-dev",
                "libwebkit2gtk-4.1-dev",
                "perl",
                "pkg-config",
            ],
            Self::Testing => &[
                "chromium",
                "dbus",
                "dbus-x11",
                "faketime",
                "fonts-dejavu-core",
                "gnome-keyring",
                "imagemagick",
                "iproute2",
                "iptables",
                "openbox",
                "webkit2gtk-driver",
                "xdotool",
                "xvfb",
                "zbar-tools",
            ],
        }
    }
}

/// Installs those packages that are missing.
pub(crate) fn install(place: &Place, needs: &[Needs]) -> Result<(), Trouble> {
    if !cfg!(target_os = "linux") {
        // macOS and Windows bring their own web view and keychain.
        return Ok(());
    }
    let wanted = needs.iter().flat_map(|needs| needs.packages()).copied();
    if !is_debian() {
        return elsewhere(place, wanted);
    }
    let missing: Vec<&str> = wanted.filter(|package| !is_installed(place, package)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let by_hand = format!("sudo apt-get install {}", missing.join(" "));
    let root = Run::program("id", &place.root).args(["-u"]).output()?.trim() == "0";
    if !root && !in_ci() {
        say(&format!("These Debian packages are missing:\n  {}", missing.join(" ")));
        if !agree("Install them with sudo?") {
            return Err(Trouble::Wanted(format!("install what is missing, then try again:\n  {by_hand}")));
        }
    }
    let apt = |args: &[&str]| {
        let run = if root {
            Run::program("apt-get", &place.root)
        } else {
            Run::program("sudo", &place.root).args(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"])
        };
        run.env("DEBIAN_FRONTEND", "noninteractive").args(args).run()
    };
    apt(&["update", "-q"])?;
    let mut args = vec!["install", "-q", "-y", "--no-install-recommends"];
    args.extend(&missing);
    apt(&args).map_err(|trouble| Trouble::Wanted(format!("{trouble}; by hand it is:\n  {by_hand}")))
}

fn is_debian() -> bool {
    let Ok(release) = std::fs::read_to_string("/etc/os-release") else { return false };
    release.lines().any(|line| {
        line.split_once('=').is_some_and(|(key, value)| {
            (key == "ID" || key == "ID_LIKE") && value.trim_matches('"').split(' ').any(|id| id == "debian")
        })
    })
}

fn is_installed(place: &Place, package: &str) -> bool {
    Run::program("dpkg-query", &place.root)
        .args(["--show", "--showformat=${db:Status-Status}\n", package])
        .answer()
        .is_some_and(|status| status.lines().any(|line| line == "installed"))
}

/// Another Linux: what pkg-config finds is there; the rest is named.
fn elsewhere<'a>(place: &Place, packages: impl Iterator<Item = &'a str>) -> Result<(), Trouble> {
    const LIBRARIES: [&str; 4] = ["webkit2gtk-4.1", "ayatana-appindicator3-0.1", "librsvg-2.0", "dbus-1"];
    let missing: Vec<&str> = LIBRARIES
        .into_iter()
        .filter(|library| !Run::program("pkg-config", &place.root).args(["--exists", library]).succeeds())
        .collect();
    let keyring = Path::new("/usr/bin/gnome-keyring-daemon").exists();
    if missing.is_empty() {
        if !keyring {
            say("note: gnome-keyring was not found; tests that need a Secret Service will fail");
        }
        return Ok(());
    }
    Err(Trouble::Wanted(format!(
        "pkg-config does not find {}. Install what your system calls these Debian packages:\n  {}",
        missing.join(", "),
        packages.collect::<Vec<_>>().join(" ")
    )))
}
