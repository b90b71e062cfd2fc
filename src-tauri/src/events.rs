//! From the wallet's events to what the user sees: the snapshot in every window, the prompt in front, a
//! notification, the tray.
//!
//! Snapshots are sent at once when things are quiet and at most every 16 ms when they are not: a window cannot
//! paint more often, and a flood of requests must not make it slow.

use std::sync::Arc;
use std::time::Duration;

use halo_wallet::{Event, Snapshot, Wallet};
use tauri::{AppHandle, Emitter, Manager};
use tokio::time::Instant;

use crate::session::{Session, Stage};
use crate::{notify, tray, windows};

/// One frame of a 60 Hz screen.
const FRAME: Duration = Duration::from_millis(16);

/// How often screens about spaces and connections look again while much happens there.
const LOOK: Duration = Duration::from_millis(250);

/// Follows the wallet for as long as the app runs.
pub(crate) fn pump(app: &AppHandle) {
    let following = app.clone();
    tauri::async_runtime::spawn(async move {
        let session = following.state::<Session>();
        let mut stages = session.stages();
        loop {
            let stage = stages.borrow_and_update().clone();
            match stage {
                Stage::Opening => {}
                Stage::Open(wallet) => follow(&following, &wallet).await,
                Stage::Failed(_) => show(&following, &session.snapshot().await),
                Stage::Closed => return,
            }
            if stages.changed().await.is_err() {
                return;
            }
        }
    });
    let moving = app.clone();
    tauri::async_runtime::spawn(async move {
        let session = moving.state::<Session>();
        loop {
            session.prompt_moved.notified().await;
            if let Ok(wallet) = session.wallet().await {
                restart_half_second(&wallet).await;
            }
        }
    });
}

/// Shows every change until the wallet is closed.
async fn follow(app: &AppHandle, wallet: &Wallet) {
    let mut watch = wallet.watch();
    show(app, &watch.snapshot);
    let mut shown = Instant::now();
    let mut stale = false;
    let mut spaces = Nudge::new("spaces");
    let mut sync = Nudge::new("sync");
    loop {
        tokio::select! {
            event = watch.next() => {
                let Some(event) = event else { return };
                // Nothing that the snapshot shows; screens about it look again.
                match event {
                    Event::Spaces | Event::Documents { .. } => {
                        spaces.wanted = true;
                        continue;
                    }
                    Event::Sync => {
                        sync.wanted = true;
                        continue;
                    }
                    _ => {}
                }
                stale = true;
                if shown.elapsed() >= FRAME || matches!(event, Event::Asked(_)) {
                    show(app, &wallet.snapshot());
                    (shown, stale) = (Instant::now(), false);
                }
                react(app, wallet, &event);
            }
            () = spaces.due(), if spaces.wanted => spaces.give(app),
            () = sync.due(), if sync.wanted => sync.give(app),
            () = tokio::time::sleep_until(shown + FRAME), if stale => {
                show(app, &wallet.snapshot());
                (shown, stale) = (Instant::now(), false);
            }
        }
    }
}

/// Tells screens to look again, but not too often.
struct Nudge {
    event: &'static str,
    wanted: bool,
    given: Instant,
}

impl Nudge {
    fn new(event: &'static str) -> Self {
        Self { event, wanted: false, given: Instant::now() }
    }

    fn due(&self) -> tokio::time::Sleep {
        tokio::time::sleep_until(self.given + LOOK)
    }

    fn give(&mut self, app: &AppHandle) {
        // A window that is gone looks at nothing.
        let _ = app.emit(self.event, ());
        (self.given, self.wanted) = (Instant::now(), false);
    }
}

/// Brings windows, prompt and tray up to date.
fn show(app: &AppHandle, snapshot: &Arc<Snapshot>) {
    if let Err(error) = app.emit("snapshot", &**snapshot) {
        tracing::warn!(%error, "a window missed a change");
    }
    if snapshot.requests.is_empty() {
        windows::hide_approval(app);
    } else {
        windows::show_approval(app);
    }
    windows::follow_theme(app, snapshot.settings.theme);
    tray::update(app, snapshot);
}

fn react(app: &AppHandle, wallet: &Wallet, event: &Event) {
    match event {
        Event::Asked(id) => {
            windows::raise_approval(app);
            if let Some(request) = wallet.snapshot().requests.iter().find(|request| request.id == *id) {
                notify::asked(app, request);
            }
        }
        Event::UnlockWanted => {
            windows::raise_main(app);
            notify::unlock_wanted(app);
        }
        Event::NewDevice(key) => {
            if let Some(device) = wallet.snapshot().devices.iter().find(|device| device.device_key == *key) {
                notify::new_device(app, device);
            }
        }
        Event::Changed
        | Event::Answered(..)
        | Event::Revoked(_)
        | Event::Locked
        | Event::Unlocked
        | Event::Spaces
        | Event::Documents { .. }
        | Event::Invitation(_)
        | Event::Join(_)
        | Event::Devices
        | Event::Sync => {}
    }
}

/// Whatever waits was just put somewhere else on the screen, under a pointer that meant something else.
async fn restart_half_second(wallet: &Wallet) {
    for request in &wallet.snapshot().requests {
        // Over already: then there is nothing to protect.
        let _ = wallet.prompt_moved(&request.id).await;
    }
}
