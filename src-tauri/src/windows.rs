//! The two windows: the wallet, and the prompt.
//!
//! Both are made once and only hidden, never closed: the app lives on in the tray, and a prompt that already
//! exists is in front at once. They load nothing but the pages inside the program.

use std::sync::Once;
use std::time::Duration;

use halo_wallet::Theme;
use tauri::webview::{NewWindowResponse, PageLoadEvent, PermissionKind, PermissionResponse};
use tauri::window::Color;
use tauri::{
    AppHandle, LogicalPosition, LogicalSize, Manager, Url, UserAttentionType, WebviewUrl, WebviewWindow,
    WebviewWindowBuilder, WindowEvent,
};

use crate::session::Session;
use crate::tray;

/// Label of the wallet's window, as in `capabilities/main.json`.
pub(crate) const MAIN: &str = "main";
/// Label of the prompt, as in `capabilities/approval.json`.
pub(crate) const APPROVAL: &str = "approval";

/// The page's own background (`--bg` in ui/src/styles/tokens.css), so that nothing flashes before it has painted.
const DARK: Color = Color(0x14, 0x16, 0x1b, 0xff);
const LIGHT: Color = Color(0xf7, 0xf7, 0xf5, 0xff);

/// Room for who asks, what for, and four triples of words; less where the screen is smaller.
const PROMPT: LogicalSize<f64> = LogicalSize { width: 520.0, height: 720.0 };

/// A page that has not loaded by then is shown as it is.
const PATIENCE: Duration = Duration::from_secs(2);

/// Makes the window of the wallet; it appears with its page.
pub(crate) fn open_main(app: &AppHandle) -> tauri::Result<()> {
    let window = fenced(app, MAIN, "index.html")
        .title("HALO")
        .inner_size(1000.0, 720.0)
        .min_inner_size(720.0, 560.0)
        .center()
        // To scan the code of another device, which the user asked for by a button. The prompt may use nothing.
        .on_permission_request(|_, kind| match kind {
            PermissionKind::Camera => PermissionResponse::Allow,
            _ => PermissionResponse::Deny,
        })
        .on_page_load(|window, page| {
            if page.event() == PageLoadEvent::Finished {
                appear(&window);
            }
        })
        .build()?;
    paint_background(&window);
    let hiding = window.clone();
    window.on_window_event(move |event| {
        if let WindowEvent::CloseRequested { api, .. } = event {
            api.prevent_close();
            let _ = hiding.hide();
        }
    });
    // A page that does not load must not leave the user without a window.
    tauri::async_runtime::spawn(async move {
        tokio::time::sleep(PATIENCE).await;
        appear(&window);
    });
    Ok(())
}

/// Shows the wallet's window and puts it in front.
pub(crate) fn raise_main(app: &AppHandle) {
    if let Some(window) = app.get_webview_window(MAIN) {
        raise(&window);
    }
}

/// Whether the prompt is on the screen.
pub(crate) fn approval_is_up(app: &AppHandle) -> bool {
    app.get_webview_window(APPROVAL).is_some_and(|window| window.is_visible().unwrap_or(false))
}

/// Puts the prompt on the screen, if it is not there yet.
pub(crate) fn show_approval(app: &AppHandle) {
    if !approval_is_up(app) {
        raise_approval(app);
    }
}

/// Puts the prompt on the screen and in front.
pub(crate) fn raise_approval(app: &AppHandle) {
    if let Some(window) = app.get_webview_window(APPROVAL) {
        let appears = !window.is_visible().unwrap_or(false);
        raise(&window);
        if appears {
            // After it appears: window managers forget where a hidden window was put.
            put_in_the_middle(&window);
        }
        // Where programs may not take the focus, the window at least asks for it.
        let _ = window.request_user_attention(Some(UserAttentionType::Critical));
        app.state::<Session>().prompt_moved.notify_one();
    }
}

/// Takes the prompt away: nothing waits.
pub(crate) fn hide_approval(app: &AppHandle) {
    if approval_is_up(app)
        && let Some(window) = app.get_webview_window(APPROVAL)
    {
        let _ = window.hide();
    }
}

/// Lets title bars follow the theme that the user chose.
pub(crate) fn follow_theme(app: &AppHandle, theme: Theme) {
    let wanted = match theme {
        Theme::System => None,
        Theme::Light => Some(tauri::Theme::Light),
        Theme::Dark => Some(tauri::Theme::Dark),
    };
    if app.state::<Session>().theme.send_replace(wanted) != wanted {
        app.set_theme(wanted);
        app.webview_windows().values().for_each(paint_background);
    }
}

/// Shows the window with its page in it, and then makes what can wait: the prompt (hidden) and the tray.
fn appear(window: &WebviewWindow) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let _ = window.show();
        let app = window.app_handle().clone();
        tauri::async_runtime::spawn(async move {
            if let Err(error) = prepare_approval(&app) {
                tracing::error!(%error, "there is no prompt");
            }
            if let Err(error) = tray::build(&app) {
                tracing::warn!(%error, "there is no tray");
            }
            let snapshot = app.state::<Session>().snapshot().await;
            tray::update(&app, &snapshot);
            if !snapshot.requests.is_empty() {
                raise_approval(&app);
            }
        });
    });
}

fn prepare_approval(app: &AppHandle) -> tauri::Result<()> {
    let window = fenced(app, APPROVAL, "approval.html")
        .title("HALO: a request")
        .inner_size(PROMPT.width, PROMPT.height)
        .min_inner_size(420.0, 480.0)
        .prevent_overflow()
        .always_on_top(true)
        .minimizable(false)
        .maximizable(false)
        .build()?;
    paint_background(&window);
    let app = app.clone();
    window.on_window_event(move |event| match event {
        WindowEvent::CloseRequested { api, .. } => {
            api.prevent_close();
            say_no(&app);
        }
        WindowEvent::Moved(_)
        | WindowEvent::Resized(_)
        | WindowEvent::Focused(true)
        | WindowEvent::ScaleFactorChanged { .. } => app.state::<Session>().prompt_moved.notify_one(),
        _ => {}
    });
    Ok(())
}

/// Closing the prompt is a no to what it showed, the oldest request.
fn say_no(app: &AppHandle) {
    let app = app.clone();
    tauri::async_runtime::spawn(async move {
        let Ok(wallet) = app.state::<Session>().wallet().await else { return };
        if let Some(request) = wallet.snapshot().requests.first() {
            // Over already: then the window goes anyway.
            let _ = wallet.deny(&request.id).await;
        }
    });
}

/// A hidden window that shows our own pages and nothing else.
fn fenced<'a>(
    app: &'a AppHandle,
    label: &str,
    page: &str,
) -> WebviewWindowBuilder<'a, tauri::Wry, AppHandle> {
    WebviewWindowBuilder::new(app, label, WebviewUrl::App(page.into()))
        .visible(false)
        .disable_drag_drop_handler()
        .on_navigation(is_ours)
        .on_new_window(|_, _| NewWindowResponse::Deny)
        .on_download(|_, _| false)
        .on_permission_request(|_, _| PermissionResponse::Deny)
}

/// Whether an address is inside the program: the rest of the world is for browsers.
fn is_ours(url: &Url) -> bool {
    let (scheme, host) = (url.scheme(), url.host_str());
    match scheme {
        "tauri" => host == Some("localhost"),
        // WebView2 has no custom schemes of its own.
        "http" => cfg!(windows) && host == Some("tauri.localhost"),
        _ => false,
    }
}

fn raise(window: &WebviewWindow) {
    let _ = window.unminimize();
    let _ = window.show();
    let _ = window.set_focus();
}

/// In the middle of its screen. Not `center()`: before its first appearance a window does not know its own size.
fn put_in_the_middle(window: &WebviewWindow) {
    let Ok(Some(monitor)) = window.current_monitor() else { return };
    let screen = LogicalPosition::<f64>::from_physical(*monitor.position(), monitor.scale_factor());
    let room = monitor.size().to_logical::<f64>(monitor.scale_factor());
    let x = screen.x + (room.width - PROMPT.width).max(0.0) / 2.0;
    let y = screen.y + (room.height - PROMPT.height).max(0.0) / 2.0;
    let _ = window.set_position(LogicalPosition::new(x, y));
}

fn paint_background(window: &WebviewWindow) {
    let dark = window.theme().is_ok_and(|theme| theme == tauri::Theme::Dark);
    let _ = window.set_background_color(Some(if dark { DARK } else { LIGHT }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_stay_inside_the_program() {
        assert!(is_ours(&Url::parse("tauri://localhost/approval.html").unwrap()));
        for foreign in [
            "https://example.org/",
            "http://127.0.0.1:47110/",
            "http://localhost/",
            "tauri://elsewhere/index.html",
            "file:///etc/passwd",
            "data:text/html,hello",
            "javascript:alert(1)",
            "about:blank",
        ] {
            assert!(!is_ours(&Url::parse(foreign).unwrap()), "{foreign} is not ours");
        }
    }
}
