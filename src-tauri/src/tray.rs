//! The icon in the tray: the app lives on there when its window is closed.
//!
//! Desktops without a tray (GNOME as it comes) simply show none; starting the app again raises its window.

use halo_wallet::{Snapshot, State};
use tauri::image::Image;
use tauri::menu::{Menu, MenuItem, PredefinedMenuItem};
use tauri::tray::{MouseButton, TrayIconBuilder, TrayIconEvent};
use tauri::{AppHandle, Manager, Wry};

use crate::session::Session;
use crate::windows;

const ID: &str = "halo";
/// Red 600 of the page's palette.
const DOT: [u8; 4] = [0xdc, 0x26, 0x26, 0xff];

/// The icon and what changes about it.
struct Tray {
    lock: MenuItem<Wry>,
    calm: Image<'static>,
    alert: Image<'static>,
    shown: std::sync::Mutex<Option<Looks>>,
}

/// What the tray says of the wallet.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Looks {
    waiting: bool,
    lockable: bool,
}

/// Puts the icon there.
pub(crate) fn build(app: &AppHandle) -> tauri::Result<()> {
    let Some(calm) = app.default_window_icon().cloned().map(Image::to_owned) else { return Ok(()) };
    let open = MenuItem::with_id(app, "open", "Open HALO", true, None::<&str>)?;
    let lock = MenuItem::with_id(app, "lock", "Lock", false, None::<&str>)?;
    let quit = MenuItem::with_id(app, "quit", "Quit HALO", true, None::<&str>)?;
    let line = PredefinedMenuItem::separator(app)?;
    let menu = Menu::with_items(app, &[&open, &lock, &line, &quit])?;
    TrayIconBuilder::with_id(ID)
        .icon(calm.clone())
        .tooltip("HALO")
        .menu(&menu)
        .show_menu_on_left_click(false)
        .on_menu_event(|app, event| match event.id().as_ref() {
            "open" => windows::raise_main(app),
            "lock" => lock_now(app),
            "quit" => app.exit(0),
            _ => {}
        })
        .on_tray_icon_event(|tray, event| {
            if let TrayIconEvent::Click { button: MouseButton::Left, .. } = event {
                windows::raise_main(tray.app_handle());
            }
        })
        .build(app)?;
    let alert = with_dot(&calm);
    app.manage(Tray { lock, calm, alert, shown: std::sync::Mutex::new(None) });
    Ok(())
}

/// Shows whether something waits, and whether there is anything to lock.
pub(crate) fn update(app: &AppHandle, snapshot: &Snapshot) {
    let (Some(tray), Some(icon)) = (app.try_state::<Tray>(), app.tray_by_id(ID)) else { return };
    let looks = Looks {
        waiting: !snapshot.requests.is_empty(),
        lockable: snapshot.state == State::Unlocked && snapshot.passphrase,
    };
    let Ok(mut shown) = tray.shown.lock() else { return };
    if *shown == Some(looks) {
        return;
    }
    *shown = Some(looks);
    drop(shown);
    let image = if looks.waiting { &tray.alert } else { &tray.calm };
    let _ = icon.set_icon(Some(image.clone()));
    let _ = icon.set_tooltip(Some(if looks.waiting { "HALO: a request waits" } else { "HALO" }));
    let _ = tray.lock.set_enabled(looks.lockable);
}

fn lock_now(app: &AppHandle) {
    let app = app.clone();
    tauri::async_runtime::spawn(async move {
        if let Ok(wallet) = app.state::<Session>().wallet().await
            && let Err(error) = wallet.lock().await
        {
            tracing::warn!(%error, "not locked");
        }
    });
}

/// The same icon with a red dot in its upper right corner.
fn with_dot(icon: &Image<'_>) -> Image<'static> {
    let (width, height) = (icon.width(), icon.height());
    let mut rgba = icon.rgba().to_vec();
    let radius = i64::from(width.min(height)) / 4;
    let centre = (i64::from(width) - radius - 1, radius);
    let row = usize::try_from(width).unwrap_or(1).max(1);
    for (at, pixel) in rgba.chunks_exact_mut(4).enumerate() {
        let (x, y) = (i64::try_from(at % row).unwrap_or(0), i64::try_from(at / row).unwrap_or(0));
        if (x - centre.0).pow(2) + (y - centre.1).pow(2) <= radius.pow(2) {
            pixel.copy_from_slice(&DOT);
        }
    }
    Image::new_owned(rgba, width, height)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alert_icon_has_a_dot_in_its_corner_and_is_otherwise_the_same() {
        let plain = Image::new_owned(vec![7; 32 * 32 * 4], 32, 32);
        let alert = with_dot(&plain);
        let pixel = |x: usize, y: usize| &alert.rgba()[(y * 32 + x) * 4..][..4];
        assert_eq!(pixel(24, 8), DOT, "the middle of the dot");
        assert_eq!(pixel(2, 30), [7; 4], "the far corner");
        assert_eq!((alert.width(), alert.height()), (32, 32));
    }
}
