//! Hears when the screen locks or the machine goes to sleep.
//!
//! On Linux: logind's `PrepareForSleep` and `Lock` on the system bus (org.freedesktop.login1), and
//! `ActiveChanged` of the screen saver on the session bus (freedesktop.org and GNOME spell it alike). A
//! machine without these simply never says so; the inactivity lock does not depend on it.

use futures_util::StreamExt;
use futures_util::stream::SelectAll;
use zbus::{Connection, MatchRule, MessageStream, message::Type};

use crate::engine::{Engine, Job, LockReason};
use crate::handle::Wallet;

/// What the platform said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    /// The screen locked, or the machine is about to sleep.
    Leaving,
    /// The machine woke up: clocks have jumped.
    Back,
}

/// Calls `tell` at every sign until it answers `false` (nobody listens any more).
pub(crate) async fn listen(tell: impl AsyncFn(Sign) -> bool) {
    let mut signs = SelectAll::new();
    for (bus, interface, member) in [
        (Connection::system().await, "org.freedesktop.login1.Manager", "PrepareForSleep"),
        (Connection::system().await, "org.freedesktop.login1.Session", "Lock"),
        (Connection::session().await, "org.freedesktop.ScreenSaver", "ActiveChanged"),
        (Connection::session().await, "org.gnome.ScreenSaver", "ActiveChanged"),
    ] {
        match stream(bus, interface, member).await {
            Ok(stream) => signs.push(stream),
            Err(error) => tracing::debug!(interface, %error, "the platform does not tell"),
        }
    }
    while let Some(message) = signs.next().await {
        let Ok(message) = message else { continue };
        if let Some(sign) = read(&message)
            && !tell(sign).await
        {
            return;
        }
    }
}

async fn stream(
    bus: zbus::Result<Connection>,
    interface: &'static str,
    member: &'static str,
) -> zbus::Result<MessageStream> {
    let rule = MatchRule::builder().msg_type(Type::Signal).interface(interface)?.member(member)?.build();
    MessageStream::for_match_rule(rule, &bus?, Some(8)).await
}

fn read(message: &zbus::Message) -> Option<Sign> {
    let header = message.header();
    let flag = || message.body().deserialize::<bool>().ok();
    match header.member()?.as_str() {
        "Lock" => Some(Sign::Leaving),
        "ActiveChanged" => flag()?.then_some(Sign::Leaving),
        "PrepareForSleep" => Some(if flag()? { Sign::Leaving } else { Sign::Back }),
        _ => None,
    }
}

/// Locks `wallet` when the platform says that the user left, where the settings want it.
pub(crate) fn spawn(wallet: &Wallet) {
    // Weak: the watch must not keep the wallet alive.
    let inbox = wallet.weak_inbox();
    tokio::spawn(listen(async move |sign| match inbox.upgrade() {
        // Waits for room: whoever floods the wallet must not keep it open when the user leaves.
        Some(inbox) => {
            let job: Job = Box::new(move |engine| engine.session(sign));
            inbox.send(job).await.is_ok()
        }
        None => false,
    }));
}

impl Engine {
    pub(crate) fn session(&mut self, sign: Sign) {
        // Every job begins with a look at the clock, which is all that waking up needs.
        if sign == Sign::Leaving && self.needs_passphrase && self.settings.lock_with_screen {
            self.lock(LockReason::Session);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(interface: &str, member: &str, body: Option<bool>) -> Option<Sign> {
        let signal = zbus::Message::signal("/", interface, member).unwrap();
        let message = match body {
            Some(flag) => signal.build(&(flag,)),
            None => signal.build(&()),
        };
        read(&message.unwrap())
    }

    #[test]
    fn the_platform_is_understood() {
        let (manager, session) = ("org.freedesktop.login1.Manager", "org.freedesktop.login1.Session");
        assert_eq!(said(manager, "PrepareForSleep", Some(true)), Some(Sign::Leaving));
        assert_eq!(said(manager, "PrepareForSleep", Some(false)), Some(Sign::Back));
        assert_eq!(said(session, "Lock", None), Some(Sign::Leaving));
        for interface in ["org.freedesktop.ScreenSaver", "org.gnome.ScreenSaver"] {
            assert_eq!(said(interface, "ActiveChanged", Some(true)), Some(Sign::Leaving));
            assert_eq!(said(interface, "ActiveChanged", Some(false)), None, "the user is back");
            assert_eq!(said(interface, "ActiveChanged", None), None, "it says nothing");
        }
        assert_eq!(said(session, "Unlock", None), None);
    }
}
