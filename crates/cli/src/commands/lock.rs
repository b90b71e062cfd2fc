//! `halo lock`, `halo unlock`, `halo passphrase`.

use std::path::Path;

use halo_broker::control::Client;
use serde_json::{Value, json};

use crate::args::{Passphrase, Unlock};
use crate::connect::{ask, connect};
use crate::error::Failure;
use crate::secret::{Source, into_value};
use crate::show::Out;

pub(super) async fn lock(profile: &Path, out: &Out) -> Result<(), Failure> {
    let mut client = connect(profile).await?;
    ask(&mut client, "lock").await?;
    out.answer(&json!({"state": "locked"}), |_| "Locked.".to_owned());
    Ok(())
}

pub(super) async fn unlock(profile: &Path, unlock: &Unlock, out: &Out) -> Result<(), Failure> {
    let mut client = connect(profile).await?;
    let status = ask(&mut client, "status").await?;
    // Without a passphrase it is the keychain that opens: worth another try after it was in the way.
    let passphrase = if protected(&status) || unlock.passphrase_stdin {
        Some(Source::of(unlock.passphrase_stdin).read("Passphrase")?)
    } else {
        None
    };
    let given = passphrase.is_some();
    let params = |passphrase: Option<_>| json!({"passphrase": passphrase.map(into_value), "accept_older": unlock.accept_older});
    match client.call("unlock", params(passphrase)).await {
        // Nobody knew before the keychain could be read.
        Err(error) if error.code == "keystore.passphrase_required" && !given => {
            let passphrase = Source::of(unlock.passphrase_stdin).read("Passphrase")?;
            client.call("unlock", params(Some(passphrase))).await?;
        }
        tried => drop(tried?),
    }
    out.answer(&json!({"state": "unlocked"}), |page| page.good("Unlocked."));
    Ok(())
}

pub(super) async fn passphrase(profile: &Path, command: &Passphrase, out: &Out) -> Result<(), Failure> {
    let mut client = connect(profile).await?;
    let status = ask(&mut client, "status").await?;
    let (Passphrase::Set(input) | Passphrase::Remove(input)) = command;
    let source = Source::of(input.passphrase_stdin);
    let current = match protected(&status) {
        true => Some(source.read("The current passphrase")?),
        false => None,
    };
    match command {
        Passphrase::Set(_) => {
            let new = source.read_new("The new passphrase")?;
            let params = json!({"current": current.map(into_value), "new": into_value(new)});
            client.call("passphrase.set", params).await?;
            out.answer(&json!({"passphrase": true}), |_| "The passphrase is set.".to_owned());
        }
        Passphrase::Remove(_) => {
            client.call("passphrase.remove", json!({"current": current.map(into_value)})).await?;
            out.answer(&json!({"passphrase": false}), |_| {
                "The passphrase is removed; the keychain alone opens this profile now.".to_owned()
            });
        }
    }
    Ok(())
}

/// Whether a passphrase is needed to unlock.
pub(super) fn protected(status: &Value) -> bool {
    status.get("passphrase") == Some(&Value::Bool(true))
}

/// The passphrase, where there is one, as parameters: some things are done only for somebody who is there.
pub(super) async fn presence(client: &mut Client, source: Source) -> Result<Value, Failure> {
    let status = ask(client, "status").await?;
    if !protected(&status) {
        return Ok(json!({}));
    }
    Ok(json!({"passphrase": into_value(source.read("Passphrase")?)}))
}
