//! Fresh aliases after a theft: the thief keeps its full state, and is given everything that is written afterwards.

use std::collections::BTreeSet;

use halo_echo::replication::Timeframe;
use halo_keystore::{ContentKey, DxosRole};
use halo_protocol::audit::AuditEvent;
use halo_protocol::credential::{Credential, SeedName};
use halo_protocol::dxos::SignDxos;

use super::stolen::{Three, begin_epochs, bring, kept, revoke};
use super::*;
use crate::engine::clock;
use crate::grant::Grant;
use crate::request::{Approval, Comparison, GrantId, Outcome, Scope, SignInRequest};
use crate::{AnsweredBy, AppKind, Asker, WalletError};

const BANK: &str = "https://bank.example";
const SHOP: &str = "https://shop.example";

fn asker(origin: &str) -> Asker {
    Asker {
        client_id: origin.into(),
        kind: AppKind::Web,
        process: None,
        claimed_name: None,
        impostor: false,
        instance: None,
    }
}

/// The user lets an app in.
async fn let_in(wallet: &Wallet, origin: &str, identity: bool) -> GrantId {
    let scopes: &[Scope] = if identity { &[Scope::OpenId, Scope::Identity] } else { &[Scope::OpenId] };
    let_in_for(wallet, origin, scopes).await
}

/// The same with what it wants to do.
pub(super) async fn let_in_for(wallet: &Wallet, origin: &str, scopes: &[Scope]) -> GrantId {
    let request = SignInRequest {
        asker: asker(origin),
        scopes: scopes.iter().copied().collect(),
        binding_message: None,
        comparison: Comparison::None,
        force_prompt: false,
        expires_in: Duration::from_secs(60),
    };
    let ticket = wallet.ask(request).await.unwrap();
    let identity = scopes.contains(&Scope::Identity);
    let approval = Approval { words: None, scopes: None, fields: None, identity, spaces: Vec::new() };
    let grant = wallet.approve(&ticket.id.clone(), approval, AnsweredBy::Command).await.unwrap();
    assert_eq!(ticket.outcome().await, Outcome::Approved(grant.clone()));
    grant
}

/// By which key a device signs in to an app; `None` while it cannot.
async fn account(wallet: &Wallet, origin: &str) -> Option<String> {
    let origin = origin.to_owned();
    inside(wallet, move |open| {
        let grant = open.grants.values().find(|grant| grant.client_id == origin)?;
        open.alias(grant).ok().map(|alias| alias.alias_key().did_key())
    })
    .await
}

/// By which key DXOS apps know the identity itself; `None` while a device waits for what it comes of.
async fn real(wallet: &Wallet) -> Option<[u8; 65]> {
    inside(wallet, |open| {
        let grant = open.grants.values().find(|grant| grant.identity)?;
        Some(*open.dxos_signer(grant, DxosRole::Identity).ok()?.dxos_key().as_bytes())
    })
    .await
}

/// What a thief can work out with everything that it ever had: every account at an app, and every DXOS key of the identity.
async fn worked_out(thief: &Wallet, origin: &str) -> (BTreeSet<String>, BTreeSet<[u8; 65]>) {
    let origin = origin.to_owned();
    inside(thief, move |open| {
        let spaces: Vec<SpaceId> = open.spaces.rows.keys().copied().collect();
        let mut seeds = vec![open.keys.alias_seed(0).unwrap()];
        for space in spaces {
            seeds.extend(open.feeds(space).unwrap().contents.every().map(ContentKey::alias_seed));
        }
        let numbers = || (0..20).chain(u32::MAX - 3..=u32::MAX);
        let pairs = || seeds.iter().flat_map(|seed| numbers().map(move |number| (seed, number)));
        let account = |(seed, number): (&halo_keystore::AliasSeed, u32)| {
            seed.alias(&origin, number).unwrap().alias_key().did_key()
        };
        let key = |(seed, number): (&halo_keystore::AliasSeed, u32)| {
            *seed.dxos(DxosRole::Identity, "identity", number).unwrap().dxos_key().as_bytes()
        };
        (pairs().map(account).collect(), pairs().map(key).collect())
    })
    .await
}

/// The thief is given every block of the HALO space that others have.
async fn show(thief: &Wallet, others: &[&Wallet], halo: SpaceId) {
    for other in others {
        bring(thief, halo, kept(other, halo, &Timeframe::new()).await).await;
    }
}

async fn knows_of_removal(wallet: &Wallet, thief: DeviceKey) {
    until(wallet, "the removal", async |wallet| {
        inside(wallet, move |open| open.state.devices[&thief].revoked).await
    })
    .await;
}

// threat: 38
#[tokio::test]
async fn a_fresh_alias_comes_of_nothing_that_a_stolen_device_had_spread() {
    let three = Three::new().await;
    let (home, halo) = (three.home, three.halo().await);
    let thief = device(&three.tablet).await;
    let grant = let_in(&three.laptop, BANK, false).await;
    let old = account(&three.laptop, BANK).await.unwrap();
    for wallet in [&three.phone, &three.tablet] {
        until(wallet, "the app", async |wallet| account(wallet, BANK).await.is_some()).await;
        assert_eq!(account(wallet, BANK).await.as_ref(), Some(&old));
    }
    // The laptop is off. The phone alone hears of epochs of the tablet that outrank all others.
    three.laptop.close().await;
    begin_epochs(&three.tablet, [halo, home]).await;
    put(&three.tablet, home, "Bread").await;
    until(&three.phone, "what the tablet wrote", async |phone| titles(phone, home).await.len() == 2).await;
    three.phone.close().await;
    three.tablet.close().await;

    // The tablet is stolen, and the laptop removes it. The phone hears of that, and moves the app.
    let laptop = three.computers[0].on().await;
    laptop.revoke_device(revoke(thief)).await.unwrap();
    let phone = three.computers[1].on().await;
    for wallet in [&laptop, &phone] {
        three.meeting.tell(wallet).await;
    }
    knows_of_removal(&phone, thief).await;
    phone.fresh_alias(&grant).await.unwrap();
    let fresh = account(&phone, BANK).await.unwrap();
    until(&laptop, "the same account", async |laptop| account(laptop, BANK).await.as_ref() == Some(&fresh))
        .await;

    let tablet = three.computers[2].on().await;
    show(&tablet, &[&laptop, &phone], halo).await;
    let (known, _) = worked_out(&tablet, BANK).await;
    assert!(known.contains(&old), "the thief knew the one before");
    assert!(!known.contains(&fresh), "and signs in to the fresh one");

    // It stays the same after a restart, and for a device that comes later.
    phone.close().await;
    let phone = three.computers[1].on().await;
    assert_eq!(account(&phone, BANK).await.as_ref(), Some(&fresh));
    let computer = Computer::new();
    let desktop = computer.on().await;
    three.meeting.tell(&desktop).await;
    link(&laptop, &desktop).await;
    until(&desktop, "the account", async |desktop| account(desktop, BANK).await.as_ref() == Some(&fresh))
        .await;
}

// threat: 38
#[tokio::test]
async fn who_hears_of_a_removal_alone_makes_a_fresh_alias_of_an_epoch_of_its_own() {
    let three = Three::new().await;
    let halo = three.halo().await;
    let thief = device(&three.tablet).await;
    let grant = let_in(&three.laptop, BANK, false).await;
    until(&three.phone, "the app", async |phone| account(phone, BANK).await.is_some()).await;
    three.laptop.close().await;
    let laptop = three.computers[0].on().await;
    // The credential comes to the laptop, and not the block with the epochs.
    three.phone.revoke_device(revoke(thief)).await.unwrap();
    learn_all(&laptop, &three.phone).await;
    laptop.fresh_alias(&grant).await.unwrap();
    let fresh = account(&laptop, BANK).await.unwrap();
    show(&three.tablet, &[&laptop, &three.phone], halo).await;
    assert!(!worked_out(&three.tablet, BANK).await.0.contains(&fresh));
    // The two find together.
    for wallet in [&laptop, &three.phone] {
        three.meeting.tell(wallet).await;
    }
    until(&three.phone, "the account", async |phone| account(phone, BANK).await.as_ref() == Some(&fresh))
        .await;
}

/// Credentials come to a device without the blocks that they are in.
async fn learn_all(wallet: &Wallet, from: &Wallet) {
    let credentials: Vec<Vec<u8>> = inside(from, |open| open.credential_bytes()).await;
    let learnt =
        credentials.iter().map(|bytes| Credential::decode(bytes).unwrap().verify().unwrap()).collect();
    wallet.job(move |engine| engine.learn_introduced(learnt)).await.unwrap().unwrap();
}

// threat: 38
#[tokio::test]
async fn who_lacks_the_seed_of_an_alias_waits_for_it_and_takes_no_other() {
    let three = Three::new().await;
    let thief = device(&three.tablet).await;
    let grant = let_in(&three.laptop, BANK, false).await;
    until(&three.phone, "the app", async |phone| account(phone, BANK).await.is_some()).await;
    three.phone.close().await;
    let phone = three.computers[1].on().await;
    three.laptop.revoke_device(revoke(thief)).await.unwrap();
    three.laptop.fresh_alias(&grant).await.unwrap();
    learn_all(&phone, &three.laptop).await;
    assert_eq!(account(&phone, BANK).await, None);
    let refused = phone.user_info(&grant).await;
    assert!(matches!(refused, Err(WalletError::Awaited { .. })), "{refused:?}");
    // It is shown, so that it can be signed out.
    let snapshot = phone.snapshot();
    assert!(snapshot.apps.iter().map(|app| (&app.id, app.sub.as_str())).eq([(&grant, "")]));
    for wallet in [&three.laptop, &phone] {
        three.meeting.tell(wallet).await;
    }
    until(&phone, "the account", async |phone| account(phone, BANK).await.is_some()).await;
    assert_eq!(account(&phone, BANK).await, account(&three.laptop, BANK).await);
}

// threat: 38
#[tokio::test]
async fn an_app_that_is_let_in_after_a_removal_is_told_nothing_that_the_removed_device_knows() {
    let three = Three::new().await;
    let (home, halo) = (three.home, three.halo().await);
    let thief = device(&three.tablet).await;
    // One app was here before and signed out; of another the thief says that it was.
    let shop = let_in(&three.laptop, SHOP, false).await;
    let before = account(&three.laptop, SHOP).await.unwrap();
    three.laptop.revoke(&shop).await.unwrap();
    inside(&three.tablet, |open| {
        for revoked in [false, true] {
            let mut planted = Grant::fresh(&asker(BANK), [9; 16], clock());
            planted.alias_epoch = u32::MAX;
            let halo = open.halo().unwrap();
            let mine = open.epoch_of(halo).unwrap();
            let seed = open.feeds(halo).unwrap().contents.get(&mine).unwrap().alias_seed();
            planted.alias_seed = Some(seed.name());
            let event = AuditEvent::AliasMoved { grant: planted.row.id, client: BANK.into() };
            let subject = *open.identity_key.as_bytes();
            open.issue_credential(clock(), subject, planted.assertion(revoked), event, |_| Ok(())).unwrap();
        }
    })
    .await;
    put(&three.tablet, home, "Bread").await;
    until(&three.laptop, "what the tablet wrote", async |laptop| titles(laptop, home).await.len() == 2).await;
    three.laptop.revoke_device(revoke(thief)).await.unwrap();
    let_in(&three.laptop, BANK, false).await;
    let fresh = account(&three.laptop, BANK).await.unwrap();
    show(&three.tablet, &[&three.laptop], halo).await;
    assert!(!worked_out(&three.tablet, BANK).await.0.contains(&fresh));
    let_in(&three.laptop, SHOP, false).await;
    assert_eq!(account(&three.laptop, SHOP).await, Some(before), "the account that the user had there");
}

// threat: 38
#[tokio::test]
async fn dxos_apps_know_the_identity_by_keys_that_a_removed_device_does_not_have() {
    let three = Three::new().await;
    let halo = three.halo().await;
    let thief = device(&three.tablet).await;
    let_in(&three.laptop, BANK, true).await;
    let_in(&three.laptop, SHOP, true).await;
    until(&three.phone, "the apps", async |phone| {
        inside(phone, |open| open.grants.values().filter(|grant| grant.identity).count()).await == 2
    })
    .await;
    let old = real(&three.laptop).await.unwrap();
    assert_eq!(real(&three.phone).await, Some(old));
    three.laptop.revoke_device(revoke(thief)).await.unwrap();
    let fresh = real(&three.laptop).await.unwrap();
    knows_of_removal(&three.phone, thief).await;
    until(&three.phone, "the same keys", async |phone| real(phone).await == Some(fresh)).await;
    show(&three.tablet, &[&three.laptop, &three.phone], halo).await;
    let (_, known) = worked_out(&three.tablet, BANK).await;
    assert!(known.contains(&old) && !known.contains(&fresh));
    // All of them see the same ones, also those that are let in later.
    let_in(&three.phone, "https://later.example", true).await;
    let which = inside(&three.phone, |open| {
        let knowing = open.grants.values().filter(|grant| grant.identity);
        knowing
            .map(|grant| (grant.alias_epoch, grant.alias_seed))
            .collect::<BTreeSet<(u32, Option<SeedName>)>>()
    });
    assert_eq!(which.await.len(), 1);
}

// threat: 38
#[tokio::test]
async fn a_device_that_hears_of_its_own_removal_makes_no_fresh_alias() {
    let three = Three::new().await;
    let thief = device(&three.tablet).await;
    let grant = let_in(&three.laptop, BANK, false).await;
    until(&three.tablet, "the app", async |tablet| account(tablet, BANK).await.is_some()).await;
    let before = account(&three.tablet, BANK).await;
    three.laptop.revoke_device(revoke(thief)).await.unwrap();
    learn_all(&three.tablet, &three.laptop).await;
    let refused = three.tablet.fresh_alias(&grant).await;
    assert!(matches!(refused, Err(WalletError::BadInput { .. })), "{refused:?}");
    assert_eq!(account(&three.tablet, BANK).await, before);
}
