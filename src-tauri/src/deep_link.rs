//! `halo://` links: anybody can make one, so all they do is show a screen that exists anyway.
//!
//! `halo://join/…` brings a code along. It is only ever put before the user of a computer that has no identity yet, and
//! never opened, fetched or passed on. The codes by which a *trusted* device would let in a stranger are no links at all
//! (`halo-newcomer:…`), so that nobody can be talked into clicking one.
//!
//! The attack that remains is a page that raises our window without being asked to; it gains nothing by it.

use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use tauri::{AppHandle, Emitter, Manager, Url};
use tauri_plugin_deep_link::DeepLinkExt;

use crate::windows;

/// Codes are drawn as pictures and cannot be longer.
const LONGEST_CODE: usize = 300;

/// Where a link leads.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// The prompt, if a request waits.
    Prompt,
    /// A screen of the wallet, by the name that the page knows it by.
    Screen(&'static str),
    /// Joining, with the link as it came.
    Join(String),
}

/// Where the page is to go.
#[derive(Clone, Serialize)]
pub(crate) struct Destination {
    to: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
}

/// Where the last link leads, until the page asks: a link that starts the app comes before there is a page.
#[derive(Default)]
pub(crate) struct Waiting(Mutex<Option<Destination>>);

impl Waiting {
    fn put(&self, destination: Destination) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(destination);
    }

    /// Where to go, once.
    pub(crate) fn take(&self) -> Option<Destination> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Follows links, the one that started the app included.
pub(crate) fn listen(app: &AppHandle) {
    let links = app.deep_link();
    if let Ok(Some(urls)) = links.get_current() {
        urls.iter().for_each(|url| follow(app, url));
    }
    let following = app.clone();
    links.on_open_url(move |event| event.urls().iter().for_each(|url| follow(&following, url)));
    #[cfg(target_os = "linux")]
    register_image(app);
}

/// Packages say in their desktop entry that `halo://` is ours; an AppImage is not installed by anybody.
#[cfg(target_os = "linux")]
fn register_image(app: &AppHandle) {
    if app.env().appimage.is_none() {
        return;
    }
    let app = app.clone();
    // It runs `xdg-mime`, which takes its time.
    tauri::async_runtime::spawn_blocking(move || {
        if let Err(error) = app.deep_link().register_all() {
            tracing::warn!(%error, "halo:// links will not lead here");
        }
    });
}

/// Whether an argument of the command line is a link of ours.
pub(crate) fn is_link(argument: &str) -> bool {
    argument.starts_with("halo://")
}

fn follow(app: &AppHandle, url: &Url) {
    match read(url) {
        Some(Place::Prompt) if windows::approval_is_up(app) => windows::raise_approval(app),
        Some(Place::Prompt) => windows::raise_main(app),
        Some(Place::Screen(screen)) => show(app, Destination { to: screen, code: None }),
        Some(Place::Join(code)) => show(app, Destination { to: "join", code: Some(code) }),
        None => tracing::debug!("a link that leads nowhere"),
    }
}

fn show(app: &AppHandle, destination: Destination) {
    app.state::<Waiting>().put(destination);
    windows::raise_main(app);
    if let Err(error) = app.emit_to(windows::MAIN, "navigate", ()) {
        tracing::warn!(%error, "the window did not hear of the link");
    }
}

/// A link is one word from a closed list, or `join` and a code. Whatever carries more was made to mean something, and is
/// ignored.
fn read(url: &Url) -> Option<Place> {
    let bare = url.query().is_none()
        && url.fragment().is_none()
        && url.port().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    if url.scheme() != "halo" || !bare {
        return None;
    }
    let host = url.host_str()?;
    if host == "join" {
        let code = url.path().strip_prefix('/').filter(|code| is_code(code))?;
        return Some(Place::Join(format!("halo://join/{code}")));
    }
    if !matches!(url.path(), "" | "/") {
        return None;
    }
    match host {
        "approve" => Some(Place::Prompt),
        "identity" => Some(Place::Screen("identity")),
        "apps" => Some(Place::Screen("apps")),
        "devices" => Some(Place::Screen("devices")),
        "activity" => Some(Place::Screen("activity")),
        "settings" => Some(Place::Screen("settings")),
        _ => None,
    }
}

/// Whether this could be a code: base64url, and no longer than codes are. What it says is looked at when the user joins.
fn is_code(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=LONGEST_CODE).contains(&text.len()) && text.bytes().all(letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(link: &str) -> Option<Place> {
        read(&Url::parse(link).unwrap())
    }

    #[test]
    fn a_link_shows_a_screen() {
        assert_eq!(place("halo://apps"), Some(Place::Screen("apps")));
        assert_eq!(place("halo://settings/"), Some(Place::Screen("settings")));
        assert_eq!(place("halo://approve"), Some(Place::Prompt));
    }

    // threat: 25, 30
    #[test]
    fn a_link_brings_a_code_to_join_with_and_nothing_to_let_somebody_in_with() {
        assert_eq!(place("halo://join/AQEB-_9"), Some(Place::Join("halo://join/AQEB-_9".to_owned())));
        for link in [
            "halo://join",
            "halo://join/",
            "halo://join/AQEB/more",
            "halo://join/AQEB?to=x",
            "halo://join/AQEB#x",
            "halo://join/AQ%0AEB",
            "halo://user@join/AQEB",
            "halo://add/AQEB",
            "halo://newcomer/AQEB",
            "halo-newcomer:AQEB",
            "https://halo.example/join#AQEB",
        ] {
            assert_eq!(place(link), None, "{link} must be ignored");
        }
        assert_eq!(place(&format!("halo://join/{}", "A".repeat(301))), None);
    }

    #[test]
    fn a_link_can_do_nothing_else() {
        for link in [
            "halo://approve?id=1",
            "halo://approve/all",
            "halo://revoke",
            "halo://unlock",
            "halo://apps#x",
            "halo://user@apps",
            "halo://apps:1",
            "halo:apps",
            "https://apps",
        ] {
            assert_eq!(place(link), None, "{link} must be ignored");
        }
    }
}
