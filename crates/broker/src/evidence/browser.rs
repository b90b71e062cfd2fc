//! Which executables are browsers.

/// File names of browsers and of those of their processes that own network connections. Chromium's network
/// service runs from the browser's own executable; WebKitGTK's is a program of its own.
const BROWSERS: &[&str] = &[
    "brave",
    "brave-browser",
    "chrome",
    "chrome-headless-shell",
    "chromium",
    "chromium-browser",
    "epiphany",
    "epiphany-browser",
    "falkon",
    "firefox",
    "firefox-bin",
    "firefox-esr",
    "firefox.real",
    "floorp",
    "google-chrome",
    "google-chrome-beta",
    "google-chrome-stable",
    "headless_shell",
    "librewolf",
    "microsoft-edge",
    "microsoft-edge-stable",
    "msedge",
    "opera",
    "QtWebEngineProcess",
    "ungoogled-chromium",
    "vivaldi",
    "vivaldi-bin",
    "waterfox",
    "waterfox-bin",
    "WebKitNetworkProcess",
    "zen",
    "zen-bin",
];

/// Whether the executable at `path` is a browser we know, by its file name.
///
/// A browser that was updated while it runs is `… (deleted)` to the kernel, and still a browser.
#[must_use]
pub fn is_browser(path: &str) -> bool {
    let path = path.strip_suffix(" (deleted)").unwrap_or(path);
    let name = path.rsplit('/').next().unwrap_or(path);
    BROWSERS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_known_by_file_name() {
        for browser in [
            "/usr/lib/chromium/chromium",
            "/opt/google/chrome/chrome",
            "/usr/lib/firefox-esr/firefox-esr",
            "/snap/firefox/4173/usr/lib/firefox/firefox",
            "/usr/lib/x86_64-linux-gnu/webkit2gtk-4.1/WebKitNetworkProcess",
            "/opt/brave.com/brave/brave (deleted)",
        ] {
            assert!(is_browser(browser), "{browser}");
        }
        for other in
            ["/usr/bin/node", "/usr/bin/firefox-helper", "/home/ada/chromium/run", "/usr/bin/curl", ""]
        {
            assert!(!is_browser(other), "{other}");
        }
    }
}
