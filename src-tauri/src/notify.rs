//! Native notifications: one for a request, one for an app that waits outside a locked wallet, one for a device that
//! was let in.
//!
//! They name the evidence (origin, program) and never what an app calls itself: there is no room to label it.

use halo_wallet::{DeviceView, RequestView};
use tauri::AppHandle;
use tauri_plugin_notification::NotificationExt;

/// Says that somebody asks.
pub(crate) fn asked(app: &AppHandle, request: &RequestView) {
    show(app, &format!("{} asks to sign you in", who(request)), "Answer in the window of HALO.");
}

/// Says that somebody asks while the wallet is locked; who it is was not even looked at.
pub(crate) fn unlock_wanted(app: &AppHandle) {
    show(app, "An app asks to sign you in", "Unlock HALO to see who it is.");
}

/// Says that a device was let in, in case it was not the user who did it.
pub(crate) fn new_device(app: &AppHandle, device: &DeviceView) {
    let title = format!("New device: {}", device.label);
    show(app, &title, "If this was not you, open HALO and undo it under Devices.");
}

fn show(app: &AppHandle, title: &str, body: &str) {
    // No notification service is no reason to trouble anybody: the prompt is on the screen.
    if let Err(error) = app.notification().builder().title(title).body(body).show() {
        tracing::debug!(%error, "no notification");
    }
}

fn who(request: &RequestView) -> String {
    let app = &request.app;
    if let Some(origin) = &app.origin {
        return origin.clone();
    }
    app.process.as_ref().map_or_else(|| "An unknown program".to_owned(), |process| process.name.clone())
}
