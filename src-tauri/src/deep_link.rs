//! `halo://` links: anybody can make one, so all they do is show a screen that exists anyway.
//!
//! The attack that remains is a page that raises our window without being asked to; it gains nothing by it.

use serde::Serialize;
use tauri::{AppHandle, Emitter, Url};
use tauri_plugin_deep_link::DeepLinkExt;

use crate::windows;

/// Where a link leads.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// The prompt, if a request waits.
    Prompt,
    /// A screen of the wallet, by the name that the page knows it by.
    Screen(&'static str),
}

/// What the page hears.
#[derive(Clone, Serialize)]
struct Navigate {
    to: &'static str,
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
    use tauri::Manager;
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
        Some(Place::Screen(screen)) => {
            windows::raise_main(app);
            if let Err(error) = app.emit_to(windows::MAIN, "navigate", Navigate { to: screen }) {
                tracing::warn!(%error, "the window did not hear of the link");
            }
        }
        None => tracing::debug!("a link that leads nowhere"),
    }
}

/// A link is one word from a closed list. Whatever carries more was made to mean something, and is ignored.
fn read(url: &Url) -> Option<Place> {
    let bare = url.query().is_none()
        && url.fragment().is_none()
        && url.port().is_none()
        && url.username().is_empty()
        && url.password().is_none()
        && matches!(url.path(), "" | "/");
    if url.scheme() != "halo" || !bare {
        return None;
    }
    match url.host_str()? {
        "approve" => Some(Place::Prompt),
        "identity" => Some(Place::Screen("identity")),
        "apps" => Some(Place::Screen("apps")),
        "activity" => Some(Place::Screen("activity")),
        "settings" => Some(Place::Screen("settings")),
        _ => None,
    }
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
