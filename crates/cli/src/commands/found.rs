//! `halo init` and `halo recover`: how an identity comes into a profile.
//!
//! Through the wallet that runs for the profile, if one does; else this command opens the profile itself for a
//! moment. Creating is all or nothing either way: that is the wallet's promise.

use std::path::Path;

use halo_wallet::{
    CreateIdentity, Created, KeychainChoice, NetworkChange, Passphrase, RecoverIdentity, Wallet,
    WalletConfig, WalletError,
};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::args::{Init, Keychain, Protection, Recover};
use crate::connect::connect_if_running;
use crate::error::Failure;
use crate::secret::{Source, into_value};
use crate::show::{Out, Page};

/// What an identity is called whose owner gave no name at recovery: the words do not hold one.
const NAMELESS: &str = "Me";

pub(super) async fn init(profile: &Path, init: Init, out: &Out) -> Result<(), Failure> {
    let passphrase = passphrase(&init.protection, Source::of(init.protection.passphrase_stdin))?;
    let keychain = init.protection.keychain;
    let answer = if let Some(mut client) = connect_if_running(profile).await? {
        let passphrase = passphrase.map(into_value);
        let params = json!({"name": init.name, "passphrase": passphrase, "keychain": keychain.as_str()});
        client.call("init", params).await?
    } else {
        let passphrase = passphrase.map(owned);
        let create = CreateIdentity { name: init.name, passphrase, keychain: choice(keychain) };
        let wallet = open(profile).await?;
        finish(wallet.create_identity(create).await, wallet).await?
    };
    out.answer(&answer, |page| created(page, &answer));
    Ok(())
}

pub(super) async fn recover(profile: &Path, recover: Recover, out: &Out) -> Result<(), Failure> {
    let source = Source::of(recover.phrase_stdin || recover.protection.passphrase_stdin);
    let phrase = source.read("The 24 words")?;
    let passphrase = passphrase(&recover.protection, source)?;
    let keychain = recover.protection.keychain;
    let name = recover.name.unwrap_or_else(|| NAMELESS.to_owned());
    let answer = if let Some(mut client) = connect_if_running(profile).await? {
        let passphrase = passphrase.map(into_value);
        let params = json!({
            "phrase": into_value(phrase), "name": name, "passphrase": passphrase, "keychain": keychain.as_str(),
        });
        let recovered = client.call("recover", params).await?;
        if !recover.kubes.is_empty() {
            client.call("network.set", json!({"servers": recover.kubes})).await?;
        }
        recovered
    } else {
        let passphrase = passphrase.map(owned);
        let wanted = RecoverIdentity { phrase, name, passphrase, keychain: choice(keychain) };
        let wallet = open(profile).await?;
        let mut recovered = wallet.recover_identity(wanted).await;
        if recovered.is_ok() && !recover.kubes.is_empty() {
            let change = NetworkChange { servers: Some(recover.kubes), ..NetworkChange::default() };
            if let Err(error) = wallet.set_network(change).await {
                recovered = Err(error);
            }
        }
        finish(recovered, wallet).await?
    };
    out.answer(&answer, |page| {
        let identity = page.facts(&facts(page, &answer));
        format!(
            "{identity}\n\nYour identity is back, and with it your accounts at apps. Grants and settings of the old \
             device are not in the words."
        )
    });
    Ok(())
}

/// How a new profile is protected, as parameters.
pub(super) fn protection(protection: &Protection) -> Result<Value, Failure> {
    let passphrase = passphrase(protection, Source::of(protection.passphrase_stdin))?;
    Ok(json!({"passphrase": passphrase.map(into_value), "keychain": protection.keychain.as_str()}))
}

/// The passphrase for a new profile, if there is to be one.
fn passphrase(protection: &Protection, source: Source) -> Result<Option<Zeroizing<String>>, Failure> {
    if protection.passphrase_stdin {
        return source.read_new("A passphrase").map(Some);
    }
    match (protection.keychain, source) {
        (Keychain::Auto | Keychain::Os, _) => Ok(None),
        // A sealed file is nothing without one. At a terminal there is somebody to ask.
        (Keychain::None, Source::Terminal) => source.read_new("A passphrase").map(Some),
        (Keychain::None, Source::Lines) => {
            Err(Failure::usage("without a keychain a passphrase is needed: --passphrase-stdin"))
        }
    }
}

async fn open(profile: &Path) -> Result<Wallet, Failure> {
    let mut config = WalletConfig::new(profile.to_owned(), "halo");
    // Only for a moment.
    config.watch_session = false;
    Ok(Wallet::open(config).await?)
}

async fn finish(outcome: Result<Created, WalletError>, wallet: Wallet) -> Result<Value, Failure> {
    wallet.close().await;
    let created = outcome?;
    let mut answer =
        json!({"did": created.did, "did_key": created.did_key, "device_key": created.device_key});
    if let (Some(phrase), Some(members)) = (created.phrase, answer.as_object_mut()) {
        members.insert("phrase".to_owned(), into_value(phrase));
    }
    Ok(answer)
}

const fn choice(keychain: Keychain) -> KeychainChoice {
    match keychain {
        Keychain::Auto => KeychainChoice::Auto,
        Keychain::Os => KeychainChoice::Os,
        Keychain::None => KeychainChoice::None,
    }
}

fn facts(page: &Page<'_>, answer: &Value) -> [(&'static str, String); 3] {
    [
        ("identity", page.strong(&crate::show::text(answer, "did"))),
        ("did:key", crate::show::text(answer, "did_key")),
        ("device", crate::show::text(answer, "device_key")),
    ]
}

fn created(page: &Page<'_>, answer: &Value) -> String {
    let identity = page.facts(&facts(page, answer));
    let phrase = Zeroizing::new(crate::show::text(answer, "phrase"));
    let words = super::identity::grid(&phrase);
    format!(
        "{identity}\n\n{}\n\n{}\n\n{}",
        page.strong("Write these 24 words down, on paper. Whoever has them is you."),
        words.as_str(),
        page.faint("`halo identity phrase confirm` checks what you wrote.")
    )
}

/// The wallet wipes what it takes over.
fn owned(mut passphrase: Zeroizing<String>) -> Passphrase {
    Passphrase::new(std::mem::take(&mut *passphrase))
}
