//! A device on probation lets in another, and the user is asked: on one device they agree, on another they remove.

use super::stolen::{Three, hear, removals_by_a_newcomer, revoke};
use super::*;
use crate::engine::{AHEAD, clock};
use crate::{AgreeDevice, DeviceView, Hindrance, RefusedView, WalletError};

const DAY_AND_A_BIT: Duration = Duration::from_secs(26 * 60 * 60);

/// The user's word, on what they were shown.
fn agree(refused: &RefusedView) -> AgreeDevice {
    AgreeDevice {
        admission: refused.admission.clone(),
        brings: refused.brings.iter().map(|brought| brought.device_key.clone()).collect(),
        puts_out: refused.puts_out.clone(),
        passphrase: None,
    }
}

/// What waits for the user's word on a device, once it has heard of it.
async fn asked(wallet: &Wallet) -> RefusedView {
    until(wallet, "the user is asked", async |wallet| !wallet.snapshot().refused.is_empty()).await;
    let refused = wallet.snapshot().refused.clone();
    assert_eq!(refused.len(), 1, "{refused:?}");
    refused[0].clone()
}

fn view(wallet: &Wallet, key: DeviceKey) -> Option<DeviceView> {
    wallet.snapshot().devices.iter().find(|view| view.device_key == key.to_string()).cloned()
}

/// The tablet's clock is ahead: to itself it is not new any more, and lets in another device.
async fn let_in_by_the_tablet(three: &Three, computer: &Computer) -> Wallet {
    let ahead = three.tablet.job(|engine| {
        AHEAD.set(DAY_AND_A_BIT);
        engine.last_touch = clock();
    });
    ahead.await.unwrap();
    let desktop = computer.on().await;
    three.meeting.tell(&desktop).await;
    link(&three.tablet, &desktop).await;
    desktop
}

// threat: 29
#[tokio::test]
async fn whom_a_device_on_probation_let_in_is_in_once_the_user_agrees_on_another() {
    let (three, computer) = (Three::new().await, Computer::new());
    let home = three.home;
    let desktop = let_in_by_the_tablet(&three, &computer).await;
    let (key, tablet) = (device(&desktop).await, device(&three.tablet).await);
    assert_eq!(three.tablet.snapshot().refused, [], "by its own clock it may");

    let refused = asked(&three.laptop).await;
    assert_eq!((&refused.device_key, &refused.by), (&key.to_string(), &tablet.to_string()));
    assert_eq!((refused.hindrance, &refused.removes), (None, &vec![]));
    until(&three.laptop, "what it calls itself", async |laptop| {
        laptop.snapshot().refused[0].label == "Laptop"
    })
    .await;
    assert_eq!(view(&three.laptop, key), None, "it is no device yet");
    // Whoever is new itself does not agree either.
    let at_the_phone = asked(&three.phone).await;
    assert_eq!(at_the_phone.hindrance, Some(Hindrance::New));
    let error = three.phone.agree_device(agree(&at_the_phone)).await.unwrap_err();
    assert!(matches!(error, WalletError::BadInput { .. }), "{error}");
    assert_eq!(asked(&three.phone).await, at_the_phone, "nothing has changed");

    // Without the tablet it has nobody to speak with.
    three.tablet.close().await;
    put(&three.laptop, home, "Tea").await;
    three.laptop.agree_device(agree(&refused)).await.unwrap();
    assert_eq!(three.laptop.snapshot().refused, []);
    assert!(view(&three.laptop, key).is_some_and(|view| view.revoked.is_none() && !view.suspended));
    let all = ["Milk", "Tea"];
    until(&desktop, "what the laptop wrote", async |desktop| titles(desktop, home).await == all).await;
    put(&desktop, home, "Bread").await;
    for wallet in [&three.laptop, &three.phone] {
        until(wallet, "what it wrote", async |wallet| titles(wallet, home).await.len() == 3).await;
        assert_eq!(wallet.snapshot().refused, []);
    }
    let log = three.laptop.activity(None, 1, Some("device_agreed".into()), None).await.unwrap();
    assert!(log[0].details.contains(&("device".into(), key.to_string())), "{log:?}");
    let again = three.laptop.agree_device(agree(&refused)).await.unwrap_err();
    assert!(matches!(again, WalletError::NotFound { .. }), "{again}");
}

// threat: 29
#[tokio::test]
async fn with_the_device_that_let_it_in_goes_whom_the_user_did_not_agree_with() {
    let (three, computer) = (Three::new().await, Computer::new());
    let home = three.home;
    let desktop = let_in_by_the_tablet(&three, &computer).await;
    let (key, tablet) = (device(&desktop).await, device(&three.tablet).await);
    let refused = asked(&three.laptop).await;
    three.laptop.undo_device(tablet.to_string()).await.unwrap();
    assert_eq!(three.laptop.snapshot().refused, [], "that is settled");
    until(&three.phone, "it is settled there as well", async |phone| phone.snapshot().refused.is_empty())
        .await;
    let late = three.laptop.agree_device(agree(&refused)).await.unwrap_err();
    assert!(matches!(late, WalletError::NotFound { .. }), "{late}");
    put(&three.laptop, home, "Secret").await;
    until(&three.phone, "what the laptop wrote", async |phone| titles(phone, home).await.len() == 2).await;
    for wallet in [&three.laptop, &three.phone] {
        assert_eq!(view(wallet, key), None, "it was never in");
    }
    assert_eq!(titles(&desktop, home).await, ["Milk"]);
}

// threat: 29, 38
#[tokio::test]
async fn whom_a_newcomer_removes_is_shown_as_suspended_until_the_user_decides() {
    for agrees in [true, false] {
        let three = Three::new().await;
        let (phone, tablet) = (device(&three.phone).await, device(&three.tablet).await);
        let said = removals_by_a_newcomer(&three.tablet, vec![phone]).await;
        hear(&three.laptop, said).await;
        let refused = asked(&three.laptop).await;
        assert_eq!((&refused.removes, &refused.label), (&vec![phone.to_string()], &String::new()));
        assert!(view(&three.laptop, phone).is_some_and(|view| view.suspended && view.revoked.is_none()));
        assert!(view(&three.laptop, tablet).is_some_and(|view| !view.suspended));
        if agrees {
            let passphrase = || halo_keystore::Passphrase::new("correct horse".into());
            three.laptop.set_passphrase(None, Some(passphrase())).await.unwrap();
            let error = three.laptop.agree_device(agree(&refused)).await.unwrap_err();
            assert_eq!(error.code(), "keystore.passphrase_required");
            assert_eq!(asked(&three.laptop).await, refused, "nothing has changed");
            let agree = AgreeDevice { passphrase: Some(passphrase()), ..agree(&refused) };
            three.laptop.agree_device(agree).await.unwrap();
        } else {
            three.laptop.revoke_device(revoke(tablet)).await.unwrap();
        }
        let after = view(&three.laptop, phone).unwrap();
        assert_eq!((after.revoked.is_some(), after.suspended), (agrees, false));
        assert_eq!(three.laptop.snapshot().refused, []);
    }
}

// threat: 29
#[tokio::test]
async fn where_all_are_suspended_each_names_the_one_to_remove_and_then_they_speak_again() {
    let three = Three::new().await;
    let home = three.home;
    let (laptop, phone) = (device(&three.laptop).await, device(&three.phone).await);
    let tablet = device(&three.tablet).await;
    let said = removals_by_a_newcomer(&three.tablet, vec![laptop, phone]).await;
    for (wallet, other, hindrance) in
        [(&three.laptop, phone, Hindrance::RemovesThis), (&three.phone, laptop, Hindrance::New)]
    {
        hear(wallet, said.clone()).await;
        let refused = asked(wallet).await;
        assert_eq!((&refused.by, refused.hindrance), (&tablet.to_string(), Some(hindrance)));
        assert!(
            refused.removes.contains(&laptop.to_string()) && refused.removes.contains(&phone.to_string())
        );
        assert!(view(wallet, other).is_some_and(|view| view.suspended), "the other is given nothing");
        assert!(wallet.agree_device(agree(&refused)).await.is_err(), "it would put itself out");
        assert!(view(wallet, other).is_some_and(|view| view.suspended), "nothing has changed");
    }
    put(&three.laptop, home, "Tea").await;
    // Neither hears of what is done on the other.
    three.laptop.revoke_device(revoke(tablet)).await.unwrap();
    assert!(view(&three.phone, laptop).is_some_and(|view| view.suspended));
    three.phone.revoke_device(revoke(tablet)).await.unwrap();
    until(&three.phone, "what the laptop wrote", async |phone| titles(phone, home).await.len() == 2).await;
    for wallet in [&three.laptop, &three.phone] {
        assert_eq!(wallet.snapshot().refused, []);
        assert!(wallet.snapshot().devices.iter().all(|view| !view.suspended));
    }
}
