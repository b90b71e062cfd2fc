//! A device on probation lets in another, and the user is asked: on one device they agree, on another they remove.

use halo_keystore::FeedSigner;
use halo_protocol::Verified;
use halo_protocol::credential::{Assertion, Credential, Draft};

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

/// Devices that are none, by keys of the tablet's: it let in the guest, and the guest let in the watch.
struct Outside {
    keys: [FeedSigner; 2],
    guest: DeviceKey,
    watch: DeviceKey,
    guest_in: Verified<Credential>,
    watch_in: Verified<Credential>,
    /// The watch says that a device is removed.
    removal: Verified<Credential>,
}

impl Outside {
    async fn of(three: &Three, removed: DeviceKey) -> Self {
        let home = three.home;
        let keys = inside(&three.tablet, move |open| {
            [open.halo().unwrap(), home].map(|space| {
                let key = halo_protocol::SpaceKey::from_bytes(&open.spaces.rows[&space].key).unwrap();
                open.keys.feed(&key).unwrap()
            })
        })
        .await;
        let [guest, watch] =
            [&keys[0], &keys[1]].map(|key| DeviceKey::from_bytes(key.feed_key().as_bytes()).unwrap());
        let guest_in = lets_in(&three.tablet, guest).await;
        let watch_in =
            says(&keys[0], watch, &[&guest_in], lets_in(&three.tablet, watch).await.said().assertion.clone());
        let removal = Assertion::RevokedDevice { device_key: removed, cuts: vec![] };
        let removal = says(&keys[1], removed, &[&watch_in], removal);
        Self { keys, guest, watch, guest_in, watch_in, removal }
    }

    /// What a device says who vouches for the watch.
    async fn vouched_by(&self, wallet: &Wallet) -> Vec<Verified<Credential>> {
        let (watch, watch_in) = (self.watch, self.watch_in.id());
        let word = Assertion::Endorsed { authorisation: watch_in };
        inside(wallet, move |open| vec![open.sign(clock(), *watch.as_bytes(), word, &[watch_in]).unwrap()])
            .await
    }
}

/// What a device says who lets in another.
async fn lets_in(wallet: &Wallet, device_key: DeviceKey) -> Verified<Credential> {
    inside(wallet, move |open| {
        let (identity_key, agreement_key) = (open.identity_key, open.keys.agreement_key());
        let let_in = Assertion::AuthorizedDevice { identity_key, device_key, agreement_key };
        open.sign(clock(), *device_key.as_bytes(), let_in, &[]).unwrap()
    })
    .await
}

/// What somebody says who is no device.
fn says(
    by: &FeedSigner,
    of: DeviceKey,
    after: &[&Verified<Credential>],
    assertion: Assertion,
) -> Verified<Credential> {
    let mut parents: Vec<_> = after.iter().map(|one| one.id()).collect();
    parents.sort_unstable();
    let (issuer, subject) = (*by.feed_key().as_bytes(), *of.as_bytes());
    Draft { issuer, subject, issued: clock(), expires: None, parents, assertion }.sign(by).unwrap()
}

/// A day passes on a device.
async fn tomorrow(wallet: &Wallet) {
    let passes = wallet.job(|engine| {
        AHEAD.set(DAY_AND_A_BIT);
        engine.last_touch = clock();
    });
    passes.await.unwrap();
}

async fn number_of_credentials(wallet: &Wallet) -> usize {
    inside(wallet, |open| open.credentials().len()).await
}

/// The tablet's clock is ahead: to itself it is not new any more, and lets in another device.
async fn let_in_by_the_tablet(three: &Three, computer: &Computer) -> Wallet {
    tomorrow(&three.tablet).await;
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
        assert_eq!((&refused.puts_out, &refused.brings), (&vec![phone.to_string()], &vec![]));
        if agrees {
            let unaware = AgreeDevice { puts_out: vec![], ..agree(&refused) };
            let error = three.laptop.agree_device(unaware).await.unwrap_err();
            assert_eq!(error.code(), "wallet.changed", "the user was not told of the phone");
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

// threat: 29
#[tokio::test]
async fn agreeing_lets_in_whom_was_shown_and_nobody_else() {
    let three = Three::new().await;
    let (laptop, phone) = (&three.laptop, device(&three.phone).await);
    let outside = Outside::of(&three, phone).await;
    hear(laptop, vec![outside.guest_in.clone(), outside.watch_in.clone(), outside.removal.clone()]).await;
    let first = asked(laptop).await;
    assert_eq!(
        (&first.device_key, &first.brings),
        (&outside.guest.to_string(), &vec![]),
        "the watch waits as well"
    );
    assert_eq!(
        (&first.removes, &first.puts_out),
        (&vec![phone.to_string()], &vec![]),
        "nor does its word hold"
    );

    // Meanwhile another device vouches for the watch: with the guest it is in, and what it said holds.
    tomorrow(laptop).await;
    hear(laptop, outside.vouched_by(&three.phone).await).await;
    let known = number_of_credentials(laptop).await;
    let error = laptop.agree_device(agree(&first)).await.unwrap_err();
    assert_eq!(error.code(), "wallet.changed");
    let shown = asked(laptop).await;
    assert_eq!(
        shown.brings.iter().map(|brought| &brought.device_key).collect::<Vec<_>>(),
        [&outside.watch.to_string()]
    );
    assert_eq!(shown.puts_out, [phone.to_string()]);
    let stranger = [&agree(&shown).brings[..], &[phone.to_string()]].concat();
    for (what, unaware) in [
        ("not of the watch", AgreeDevice { brings: vec![], ..agree(&shown) }),
        ("not of the removal", AgreeDevice { puts_out: vec![], ..agree(&shown) }),
        ("of somebody who does not come", AgreeDevice { brings: stranger, ..agree(&shown) }),
    ] {
        let error = laptop.agree_device(unaware).await.unwrap_err();
        assert_eq!(error.code(), "wallet.changed", "the user was told {what}");
    }
    assert_eq!(
        (number_of_credentials(laptop).await, asked(laptop).await),
        (known, shown.clone()),
        "nothing was said"
    );
    assert!([outside.guest, outside.watch].iter().all(|key| view(laptop, *key).is_none()));

    laptop.agree_device(agree(&shown)).await.unwrap();
    assert!([outside.guest, outside.watch].iter().all(|key| view(laptop, *key).is_some()));
    assert!(view(laptop, phone).unwrap().revoked.is_some());
}

// threat: 29
#[tokio::test]
async fn whom_a_device_let_in_while_it_waited_outside_waits_as_it_did() {
    let three = Three::new().await;
    let outside = Outside::of(&three, device(&three.phone).await).await;
    let both = [&three.laptop, &three.phone];
    for wallet in both {
        hear(wallet, vec![outside.guest_in.clone()]).await;
        tomorrow(wallet).await;
        hear(wallet, vec![outside.watch_in.clone()]).await;
    }
    // The user agrees on the one a day later, and the other hears of it.
    let refused = asked(&three.laptop).await;
    assert_eq!(refused.brings, []);
    three.laptop.agree_device(agree(&refused)).await.unwrap();
    until(&three.phone, "the user's word", async |phone| view(phone, outside.guest).is_some()).await;
    for wallet in both {
        let (guest, now) = (view(wallet, outside.guest).unwrap(), wallet.job(|_| clock()).await.unwrap());
        let left = guest.probation_until.unwrap() - now.as_millis();
        assert!(left > 23 * 60 * 60 * 1_000, "its day begins now: {left} ms are left");
        assert_eq!(view(wallet, outside.watch), None);
        let next = asked(wallet).await;
        assert_eq!((next.device_key, next.by), (outside.watch.to_string(), outside.guest.to_string()));
    }
    // One press takes it back.
    three.laptop.undo_device(outside.guest.to_string()).await.unwrap();
    assert_eq!(three.laptop.snapshot().refused, []);
}

// threat: 29
#[tokio::test]
async fn nobody_agrees_with_what_would_put_out_their_own_device_and_may_with_what_would_not() {
    let three = Three::new().await;
    let own = device(&three.laptop).await;
    let outside = Outside::of(&three, own).await;
    hear(&three.laptop, vec![outside.guest_in.clone(), outside.watch_in.clone(), outside.removal.clone()])
        .await;
    let refused = asked(&three.laptop).await;
    assert_eq!(
        (&refused.removes, refused.hindrance),
        (&vec![own.to_string()], None),
        "the watch says so, and waits"
    );
    tomorrow(&three.laptop).await;
    let word = outside.vouched_by(&three.phone).await;
    hear(&three.laptop, word).await;
    let refused = asked(&three.laptop).await;
    assert_eq!(refused.hindrance, Some(Hindrance::RemovesThis), "with the guest comes the watch");
    let error = three.laptop.agree_device(agree(&refused)).await.unwrap_err();
    assert!(matches!(error, WalletError::BadInput { .. }), "{error}");
    assert!(view(&three.laptop, own).unwrap().revoked.is_none());
}

// threat: 29
#[tokio::test]
async fn who_was_removed_already_is_not_agreed_with() {
    let three = Three::new().await;
    let outside = Outside::of(&three, device(&three.phone).await).await;
    let (guest, guest_in) = (outside.guest, outside.guest_in.id());
    let removal = Assertion::RevokedDevice { device_key: guest, cuts: vec![] };
    let removal = inside(&three.phone, move |open| {
        open.sign(clock(), *guest.as_bytes(), removal, &[guest_in]).unwrap()
    });
    hear(&three.laptop, vec![outside.guest_in.clone(), removal.await]).await;
    let refused = asked(&three.laptop).await;
    assert_eq!(refused.hindrance, Some(Hindrance::InVain));
    let error = three.laptop.agree_device(agree(&refused)).await.unwrap_err();
    assert!(matches!(error, WalletError::BadInput { .. }), "{error}");
    assert_eq!(view(&three.laptop, guest), None);
}

// threat: 29
#[tokio::test]
async fn whom_somebody_removes_that_a_newcomer_vouches_for_is_named_with_the_newcomer() {
    let three = Three::new().await;
    let (phone, tablet) = (device(&three.phone).await, device(&three.tablet).await);
    let Outside { keys: [guest, watch], watch: watch_key, guest_in, .. } = Outside::of(&three, tablet).await;
    // The phone lets in the watch, and is removed: by its word alone the watch is nobody.
    let watch_in = lets_in(&three.phone, watch_key).await;
    let removal = Assertion::RevokedDevice { device_key: tablet, cuts: vec![] };
    let removal = says(&watch, tablet, &[&guest_in, &watch_in], removal);
    hear(&three.laptop, vec![guest_in.clone(), watch_in.clone(), removal]).await;
    three.laptop.revoke_device(revoke(phone)).await.unwrap();
    let paused = || view(&three.laptop, tablet).unwrap().suspended;
    assert!(!paused());
    assert_eq!(asked(&three.laptop).await.removes, [] as [String; 0]);
    let word = Assertion::Endorsed { authorisation: watch_in.id() };
    hear(&three.laptop, vec![says(&guest, watch_key, &[&guest_in, &watch_in], word)]).await;
    let refused = asked(&three.laptop).await;
    assert!(paused());
    assert_eq!((refused.removes, refused.puts_out), (vec![tablet.to_string()], vec![]));
}

// threat: 29, 42
#[tokio::test]
async fn who_lets_in_many_is_judged_for_a_few_at_a_time() {
    let three = Three::new().await;
    let laptop = &three.laptop;
    let outside = Outside::of(&three, device(&three.phone).await).await;
    let mut said = vec![outside.guest_in.clone(), lets_in(&three.tablet, outside.watch).await];
    for fill in 1..=3 {
        said.push(lets_in(&three.tablet, key_filled_with(fill)).await);
    }
    hear(laptop, said).await;
    let open = |wallet: &Wallet| {
        let (mut free, mut later) = (Vec::new(), Vec::new());
        for refused in &wallet.snapshot().refused {
            match refused.hindrance {
                None => free.push(refused.clone()),
                Some(Hindrance::OthersFirst) => later.push(refused.clone()),
                other => panic!("{other:?}"),
            }
        }
        (free, later)
    };
    let (free, later) = open(laptop);
    assert_eq!((free.len(), later.len()), (3, 2));
    assert!(
        free.iter().any(|refused| refused.device_key == outside.guest.to_string()),
        "the first that came"
    );
    let error = laptop.agree_device(agree(&later[0])).await.unwrap_err();
    assert!(matches!(error, WalletError::BadInput { .. }), "nobody was shown what that does: {error}");
    laptop.agree_device(agree(&free[0])).await.unwrap();
    let (free, later) = open(laptop);
    assert_eq!((free.len(), later.len()), (3, 1), "one is settled");
}

fn key_filled_with(fill: u8) -> DeviceKey {
    // Half of all numbers are points of the curve.
    let key = |last: u8| DeviceKey::from_bytes(&[&[fill; 31][..], &[last][..]].concat()).ok();
    (0..=255).find_map(key).unwrap()
}
