//! Profile, settings and the 24 words.

use halo_wallet::{KeychainChoice, PhraseState, ProfileChange, RecoverIdentity, Scope, Settings, Theme};

use crate::world::{PAGE, World, signed_in, yes};

#[tokio::test]
async fn the_words_bring_back_identity_and_aliases() {
    let first = World::new();
    let wallet = first.ada().await;
    let words = wallet.reveal_phrase(None).await.unwrap();
    let (_, before) = signed_in(&wallet, PAGE, &[Scope::OpenId], yes()).await;

    let second = World::new();
    let other = second.open().await;
    let wanted =
        RecoverIdentity { phrase: words, name: "Ada".into(), passphrase: None, keychain: KeychainChoice::Os };
    let recovered = other.recover_identity(wanted).await.unwrap();
    assert_eq!(recovered.did, wallet.snapshot().identity.as_ref().unwrap().did);
    assert_ne!(recovered.device_key, wallet.snapshot().identity.as_ref().unwrap().device_key);
    let (_, after) = signed_in(&other, PAGE, &[Scope::OpenId], yes()).await;
    assert_eq!(after.sub, before.sub, "the app knows the same account again");
}

#[tokio::test]
async fn words_that_are_no_phrase_make_nothing() {
    let world = World::new();
    let wallet = world.open().await;
    let wanted = RecoverIdentity {
        phrase: "abandon ".repeat(24).into(),
        name: "Ada".into(),
        passphrase: None,
        keychain: KeychainChoice::Os,
    };
    assert!(wallet.recover_identity(wanted).await.is_err());
    assert!(world.keychain.is_empty(), "no entry stays behind");
    assert!(!world.profile().join("identity").exists());
}

#[tokio::test]
async fn the_words_leave_the_device_only_after_they_were_written_down() {
    let world = World::new();
    let wallet = world.ada().await;
    assert!(wallet.forget_phrase(None).await.is_err(), "not confirmed yet");
    let words = wallet.reveal_phrase(None).await.unwrap();
    let words: Vec<&str> = words.split(' ').collect();
    let places = wallet.phrase_quiz().await.unwrap();
    let wrong = places.iter().map(|place| (*place, "zoo".to_owned())).collect();
    assert!(wallet.confirm_phrase(wrong).await.is_err());
    let right = places.iter().map(|place| (*place, words[usize::from(*place) - 1].to_owned())).collect();
    wallet.confirm_phrase(right).await.unwrap();
    assert_eq!(wallet.snapshot().identity.as_ref().unwrap().phrase, PhraseState::Confirmed);
    wallet.forget_phrase(None).await.unwrap();
    assert_eq!(wallet.snapshot().identity.as_ref().unwrap().phrase, PhraseState::Forgotten);
    assert_eq!(wallet.reveal_phrase(None).await.unwrap_err().code(), "wallet.not_found");
    let (_, tokens) = signed_in(&wallet, PAGE, &[Scope::OpenId], yes()).await;
    assert!(!tokens.proof.is_empty(), "signing in needs no words");
}

#[tokio::test]
async fn profile_and_settings_survive_a_restart() {
    let world = World::new();
    let wallet = world.ada().await;
    let png = [b"\x89PNG\r\n\x1a\n".as_slice(), &[0; 32]].concat();
    let change = ProfileChange { name: Some("Ada L.".into()), avatar: Some(Some(png)) };
    wallet.set_profile(change).await.unwrap();
    let settings =
        Settings { auto_lock_minutes: 5, lock_with_screen: false, theme: Theme::Dark, dxos_agent: true };
    wallet.set_settings(settings.clone()).await.unwrap();
    wallet.close().await;
    let snapshot = world.open().await.snapshot();
    let identity = snapshot.identity.as_ref().unwrap();
    assert_eq!(identity.name, "Ada L.");
    assert!(identity.avatar.as_ref().unwrap().starts_with("data:image/png;base64,"));
    assert_eq!(snapshot.settings, settings);
}

// threat: 15
#[tokio::test]
async fn a_picture_that_can_carry_script_is_refused() {
    let world = World::new();
    let wallet = world.ada().await;
    let svg = b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>".to_vec();
    for picture in [svg, vec![0x89; 9_000]] {
        let change = ProfileChange { name: None, avatar: Some(Some(picture)) };
        assert_eq!(wallet.set_profile(change).await.unwrap_err().code(), "wallet.bad_input");
    }
    assert!(wallet.snapshot().identity.as_ref().unwrap().avatar.is_none());
}
