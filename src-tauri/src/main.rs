//! The desktop app: windows, tray and notifications around one wallet and one broker.
//!
//! Nothing is decided here. A command is one call of the wallet, an event is shown, and what a window may call at
//! all stands in `capabilities/`: the approval window can look and answer, and nothing else.

#![cfg_attr(not(debug_assertions), windows_subsystem = "windows")]

mod commands;
mod deep_link;
mod error;
mod events;
mod notify;
mod secret;
mod session;
mod tray;
mod windows;

use tauri::{Manager, RunEvent};

use crate::session::Session;

fn main() -> tauri::Result<()> {
    log_to_stderr();
    let session = Session::of_default_profile();
    let app = tauri::Builder::default()
        // First, so that a second start ends before it has touched anything.
        .plugin(single_instance(&session))
        .plugin(tauri_plugin_deep_link::init())
        .plugin(tauri_plugin_notification::init())
        .plugin(tauri_plugin_opener::init())
        .manage(session)
        .manage(deep_link::Waiting::default())
        .invoke_handler(commands::handler())
        .setup(|app| {
            // The wallet opens while the window is being made; commands wait for it.
            session::open_beside(app.handle());
            events::pump(app.handle());
            windows::open_main(app.handle())?;
            deep_link::listen(app.handle());
            session::quit_when_asked(app.handle());
            Ok(())
        })
        .build(tauri::generate_context!())?;
    app.run(|app, event| match event {
        // All windows are hidden, none is ever closed, so only "quit" and the end of the session get here.
        RunEvent::Exit => {
            // Whoever starts the app from here on wants a new one, not this one.
            tauri_plugin_single_instance::destroy(app);
            tauri::async_runtime::block_on(app.state::<Session>().close());
        }
        #[cfg(target_os = "macos")]
        RunEvent::Reopen { .. } => windows::raise_main(app),
        _ => {}
    });
    Ok(())
}

/// A second start of the same profile raises the window of the first; other profiles run side by side.
fn single_instance(session: &Session) -> tauri::plugin::TauriPlugin<tauri::Wry> {
    let builder = tauri_plugin_single_instance::Builder::new().callback(|app, arguments, _| {
        // A link was already followed by the deep link plugin, which may have raised the prompt instead.
        if !arguments.iter().any(|argument| deep_link::is_link(argument)) {
            windows::raise_main(app);
        }
    });
    match session.short_name() {
        Some(name) => builder.dbus_id(format!("app.halo.wallet.p{name}")).build(),
        None => builder.build(),
    }
}

/// `HALO_LOG=debug` shows more; the default is silence unless something is wrong. WebRTC warns of what is usual while it
/// looks for a way.
fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("HALO_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn,rtc=error,webrtc=error"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}
