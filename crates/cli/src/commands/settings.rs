//! `halo settings`: when the wallet locks by itself, and how the window looks.

use std::path::Path;

use halo_broker::control::Client;
use serde_json::Value;

use crate::args::{OnOff, SetSettings, Settings};
use crate::connect::{ask, connect};
use crate::error::Failure;
use crate::show::{Out, Page, text};

pub(super) async fn run(profile: &Path, command: Settings, out: &Out) -> Result<(), Failure> {
    let mut client = connect(profile).await?;
    if let Settings::Set(set) = command {
        client.call("settings.set", changes(&set)).await?;
    }
    show(&mut client, out).await
}

fn changes(set: &SetSettings) -> Value {
    let mut changes = serde_json::Map::new();
    if let Some(minutes) = set.auto_lock {
        changes.insert("auto_lock_minutes".to_owned(), minutes.into());
    }
    if let Some(with_screen) = set.lock_with_screen {
        changes.insert("lock_with_screen".to_owned(), (with_screen == OnOff::On).into());
    }
    if let Some(agent) = set.dxos_agent {
        changes.insert("dxos_agent".to_owned(), (agent == OnOff::On).into());
    }
    if let Some(theme) = set.theme {
        changes.insert("theme".to_owned(), theme.as_str().into());
    }
    changes.into()
}

async fn show(client: &mut Client, out: &Out) -> Result<(), Failure> {
    let settings = ask(client, "settings.get").await?;
    let status = ask(client, "status").await?;
    out.answer(&settings, |page| words(page, &settings, super::lock::protected(&status)));
    Ok(())
}

fn words(page: &Page<'_>, settings: &Value, protected: bool) -> String {
    let minutes = settings.get("auto_lock_minutes").and_then(Value::as_u64).unwrap_or_default();
    let after = match minutes {
        0 => "never".to_owned(),
        1 => "after one minute without use".to_owned(),
        minutes => format!("after {minutes} minutes without use"),
    };
    let with_screen = settings.get("lock_with_screen") == Some(&Value::Bool(true));
    let agent = settings.get("dxos_agent") == Some(&Value::Bool(true));
    let without = "only once there is a passphrase: `halo passphrase set`";
    page.facts(&[
        ("locks", after),
        ("locks with the screen", if with_screen { "yes" } else { "no" }.to_owned()),
        ("serves programs made for DXOS", if agent { "yes" } else { "no" }.to_owned()),
        ("theme", text(settings, "theme")),
        ("this counts", if protected { String::new() } else { page.alert(without) }),
    ])
}
