//! The activity log, as the user reads it.

use halo_protocol::audit::{AuditEntry, AuditEvent};

use crate::error::WalletError;
use crate::handle::Wallet;
use crate::view::ActivityView;

/// Entries read at a time while filtering.
const PAGE: u32 = 256;
/// The most that one call returns.
const MOST: u32 = 500;

impl Wallet {
    /// Entries of the log, newest first, below the position `before`; optionally of one kind or one app.
    ///
    /// # Errors
    /// [`WalletError::Locked`].
    pub async fn activity(
        &self,
        before: Option<u64>,
        limit: u32,
        event: Option<String>,
        app: Option<String>,
    ) -> Result<Vec<ActivityView>, WalletError> {
        self.try_job(move |engine| {
            let open = engine.unlocked()?;
            let limit = usize::try_from(limit.min(MOST)).unwrap_or_default();
            let mut found = Vec::new();
            let mut below = before.unwrap_or(u64::MAX);
            loop {
                let rows = open.store.audit_before(below, PAGE)?;
                let Some(last) = rows.last() else { return Ok(found) };
                below = last.seq;
                for row in &rows {
                    // An entry that cannot be read is shown as such: leaving it out would hide the damage.
                    let view = match AuditEntry::decode(&row.body) {
                        Ok(entry) => view(&entry),
                        Err(_) => unreadable(row.seq),
                    };
                    let wanted = event.as_ref().is_none_or(|event| *event == view.event)
                        && app.as_ref().is_none_or(|app| Some(app) == view.app.as_ref());
                    if wanted {
                        found.push(view);
                    }
                    if found.len() >= limit {
                        return Ok(found);
                    }
                }
            }
        })
        .await
    }
}

fn view(entry: &AuditEntry) -> ActivityView {
    let mut app = None;
    let mut details = Vec::new();
    let mut tell = |name: &str, value: String| details.push((name.to_owned(), value));
    let event = match &entry.event {
        AuditEvent::IdentityCreated => "identity_created",
        AuditEvent::IdentityRecovered => "identity_recovered",
        AuditEvent::Unlocked => "unlocked",
        AuditEvent::Locked { why } => {
            tell("why", why.clone());
            "locked"
        }
        AuditEvent::UnlockFailed => "unlock_failed",
        AuditEvent::Approved { client, scopes, identity, fields, .. } => {
            app = Some(client.clone());
            tell("scopes", scopes.join(" "));
            tell("as", if *identity { "identity" } else { "alias" }.to_owned());
            if !fields.is_empty() {
                tell("fields", fields.join(" "));
            }
            "approved"
        }
        AuditEvent::Denied { client, why } => {
            app = Some(client.clone());
            tell("why", why.clone());
            "denied"
        }
        AuditEvent::Used { client, what, .. } => {
            app = Some(client.clone());
            tell("what", what.clone());
            "used"
        }
        AuditEvent::Revoked { client, .. } => {
            app = Some(client.clone());
            "revoked"
        }
        AuditEvent::PassphraseSet => "passphrase_set",
        AuditEvent::PassphraseRemoved => "passphrase_removed",
        AuditEvent::PhraseShown => "phrase_shown",
        AuditEvent::PhraseConfirmed => "phrase_confirmed",
        AuditEvent::PhraseForgotten => "phrase_forgotten",
        AuditEvent::ProfileChanged => "profile_changed",
        AuditEvent::SettingsChanged => "settings_changed",
        AuditEvent::Suspicious { what, client } => {
            app.clone_from(client);
            tell("what", what.clone());
            "suspicious"
        }
        AuditEvent::DeviceJoined { by } => {
            tell("device", by.clone());
            "device_joined"
        }
        AuditEvent::DeviceAdmitted { device, label } => {
            tell("label", label.clone());
            tell("device", device.clone());
            "device_admitted"
        }
        AuditEvent::DeviceRevoked { device, label } => {
            tell("label", label.clone());
            tell("device", device.clone());
            "device_revoked"
        }
        AuditEvent::DeviceRenamed { device, label } => {
            tell("label", label.clone());
            tell("device", device.clone());
            "device_renamed"
        }
        AuditEvent::DeviceAgreed { device, label } => {
            tell("label", label.clone());
            tell("device", device.clone());
            "device_agreed"
        }
        AuditEvent::AliasMoved { client, .. } => {
            app = Some(client.clone());
            "alias_moved"
        }
    };
    ActivityView { seq: entry.seq, at: entry.at.as_millis(), event: event.to_owned(), app, details }
}

fn unreadable(seq: u64) -> ActivityView {
    ActivityView { seq, at: 0, event: "unreadable".to_owned(), app: None, details: Vec::new() }
}
