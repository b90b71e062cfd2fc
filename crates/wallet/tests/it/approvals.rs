//! Requests, from asking to the grant and back.

use std::time::{Duration, Instant};

use halo_wallet::{
    AnsweredBy, Approval, Comparison, Event, Outcome, ProfileField, Scope, State, WalletError,
};

use crate::world::{OTHER_PAGE, PAGE, World, approved, page, program, request, yes};

#[tokio::test]
async fn an_approved_app_is_listed_and_logged() {
    let world = World::new();
    let wallet = world.ada().await;
    let ticket = wallet.ask(request(page(PAGE), &[Scope::OpenId, Scope::Profile])).await.unwrap();
    let shown = wallet.snapshot().requests[0].clone();
    assert_eq!(shown.app.origin.as_deref(), Some(PAGE));
    assert_eq!(shown.app.registrable_domain.as_deref(), Some("app.example"));
    let approval = Approval { fields: Some(vec![ProfileField::Name]), ..yes() };
    wallet.approve(&ticket.id, approval, AnsweredBy::Command).await.unwrap();
    let snapshot = wallet.snapshot();
    assert!(snapshot.requests.is_empty());
    assert_eq!(snapshot.apps[0].fields, [ProfileField::Name]);
    let log = wallet.activity(None, 1, None, None).await.unwrap();
    assert_eq!((log[0].event.as_str(), log[0].app.as_deref()), ("approved", Some(PAGE)));
}

#[tokio::test]
async fn a_denied_app_gets_nothing() {
    let world = World::new();
    let wallet = world.ada().await;
    let ticket = wallet.ask(request(page(PAGE), &[Scope::OpenId])).await.unwrap();
    wallet.deny(&ticket.id).await.unwrap();
    assert_eq!(ticket.outcome().await, Outcome::Denied);
    assert!(wallet.snapshot().apps.is_empty());
}

// threat: 13
#[tokio::test]
async fn a_click_in_the_window_counts_only_after_half_a_second() {
    let world = World::new();
    let wallet = world.ada().await;
    // Until an answer was quick enough to tell: the machine may be busy with something else for half a second.
    for _ in 0..100 {
        let began = Instant::now();
        let ticket = wallet.ask(request(page(PAGE), &[Scope::OpenId])).await.unwrap();
        let early = wallet.approve(&ticket.id, yes(), AnsweredBy::Window).await;
        if began.elapsed() < Duration::from_millis(500) {
            assert!(matches!(early, Err(WalletError::TooSoon)));
            assert_eq!(wallet.snapshot().requests.len(), 1, "the prompt stays");
            return;
        }
    }
    panic!("no answer came within half a second");
}

// threat: 11, 12
#[tokio::test]
async fn a_site_has_one_prompt_and_one_mute_however_many_addresses_it_has() {
    let world = World::new();
    let wallet = world.ada().await;
    let ask = |origin: &str| wallet.ask(request(page(origin), &[Scope::OpenId]));
    let waiting = || wallet.snapshot().requests.len();
    let first = ask("https://a.evil.example").await.unwrap();
    let second = ask("https://b.evil.example").await.unwrap();
    assert_eq!((waiting(), first.outcome().await), (1, Outcome::Withdrawn));
    wallet.deny(&second.id).await.unwrap();
    for address in ["https://c.evil.example", "https://evil.example:8443"] {
        let ticket = ask(address).await.unwrap();
        wallet.deny(&ticket.id).await.unwrap();
    }
    let again = ask("https://d.evil.example").await.unwrap();
    assert_eq!((waiting(), again.outcome().await), (0, Outcome::Muted));
    // Others are others: another site, and what is served from another port of this machine.
    let _others = [
        ask("https://good.example").await.unwrap(),
        ask("http://localhost:4000").await.unwrap(),
        ask("http://localhost:5000").await.unwrap(),
        ask("https://192.0.2.1").await.unwrap(),
        ask("https://192.0.2.2").await.unwrap(),
    ];
    assert_eq!(waiting(), 5);
}

// threat: 8
#[tokio::test]
async fn the_right_words_are_among_four_and_a_wrong_choice_denies() {
    let world = World::new();
    let wallet = world.ada().await;
    let right = ["amber", "boat", "candle"].map(str::to_owned);
    let mut asked = request(page(PAGE), &[Scope::OpenId]);
    asked.comparison = Comparison::Picked(right.clone());
    let ticket = wallet.ask(asked).await.unwrap();
    let choices = wallet.snapshot().requests[0].word_choices.clone().unwrap();
    assert_eq!(choices.len(), 4);
    assert!(choices.contains(&right));
    let wrong = choices.into_iter().find(|choice| *choice != right);
    let picked = wallet.approve(&ticket.id, Approval { words: wrong, ..yes() }, AnsweredBy::Command).await;
    assert!(matches!(picked, Err(WalletError::WrongWords)));
    assert_eq!(ticket.outcome().await, Outcome::Denied);
}

// threat: 5
#[tokio::test]
async fn a_grant_answers_only_the_instance_that_was_let_in() {
    let world = World::new();
    let wallet = world.ada().await;
    let mut asker = page(PAGE);
    asker.instance = Some("key-of-this-browser".into());
    let grant = approved(&wallet, request(asker.clone(), &[Scope::OpenId]), yes()).await;
    let again = wallet.ask(request(asker.clone(), &[Scope::OpenId])).await.unwrap();
    assert_eq!(again.outcome().await, Outcome::Approved(grant), "no prompt for a known instance");
    for stranger in [None, Some("another key".to_owned())] {
        asker.instance = stranger;
        let ticket = wallet.ask(request(asker.clone(), &[Scope::OpenId])).await.unwrap();
        assert_eq!(wallet.snapshot().requests.len(), 1, "the origin alone is not enough");
        wallet.deny(&ticket.id).await.unwrap();
        let _ = ticket.outcome().await;
    }
}

// threat: 4
#[tokio::test]
async fn a_grant_does_not_answer_a_program_that_claims_to_be_a_page() {
    let world = World::new();
    let wallet = world.ada().await;
    let mut asker = page(PAGE);
    asker.instance = Some("key".into());
    approved(&wallet, request(asker.clone(), &[Scope::OpenId]), yes()).await;
    asker.impostor = true;
    let _ticket = wallet.ask(request(asker, &[Scope::OpenId])).await.unwrap();
    assert_eq!(wallet.snapshot().requests.len(), 1);
}

// threat: 17
#[tokio::test]
async fn more_scopes_are_a_prompt_with_the_difference() {
    let world = World::new();
    let wallet = world.ada().await;
    let mut asker = page(PAGE);
    asker.instance = Some("key".into());
    approved(&wallet, request(asker.clone(), &[Scope::OpenId]), yes()).await;
    let _ticket = wallet.ask(request(asker, &[Scope::OpenId, Scope::Profile])).await.unwrap();
    let shown = wallet.snapshot().requests[0].clone();
    assert!(shown.known);
    assert_eq!(shown.new_scopes, [Scope::Profile]);
}

#[tokio::test]
async fn another_program_with_the_same_id_is_another_app() {
    let world = World::new();
    let wallet = world.ada().await;
    let mine = approved(&wallet, request(program("notes", "/opt/notes"), &[Scope::OpenId]), yes()).await;
    let other = approved(&wallet, request(program("notes", "/tmp/notes"), &[Scope::OpenId]), yes()).await;
    assert_ne!(mine, other);
    assert_eq!(wallet.snapshot().apps.len(), 2);
}

#[tokio::test]
async fn the_user_cannot_be_made_to_allow_what_was_not_asked() {
    let world = World::new();
    let wallet = world.ada().await;
    let ticket = wallet.ask(request(page(PAGE), &[Scope::OpenId])).await.unwrap();
    for approval in [
        Approval { identity: true, ..yes() },
        Approval { scopes: Some(vec![Scope::OpenId, Scope::Profile]), ..yes() },
        Approval { fields: Some(vec![ProfileField::Name]), ..yes() },
        Approval { scopes: Some(vec![]), ..yes() },
    ] {
        let refused = wallet.approve(&ticket.id, approval, AnsweredBy::Command).await.unwrap_err();
        assert_eq!(refused.code(), "wallet.bad_input");
    }
    assert_eq!(wallet.snapshot().requests.len(), 1);
}

// threat: 12
#[tokio::test]
async fn an_app_that_was_told_no_three_times_is_muted_also_after_a_restart() {
    let world = World::new();
    let wallet = world.ada().await;
    for _ in 0..3 {
        let ticket = wallet.ask(request(page(PAGE), &[Scope::OpenId])).await.unwrap();
        wallet.deny(&ticket.id).await.unwrap();
        assert_eq!(ticket.outcome().await, Outcome::Denied);
    }
    wallet.close().await;
    let wallet = world.open().await;
    let again = wallet.ask(request(page(PAGE), &[Scope::OpenId])).await.unwrap();
    assert_eq!(again.outcome().await, Outcome::Muted);
    let _other = wallet.ask(request(page(OTHER_PAGE), &[Scope::OpenId])).await.unwrap();
    assert_eq!(wallet.snapshot().requests.len(), 1, "others are heard");
}

// threat: 23
#[tokio::test]
async fn locking_answers_whoever_waits() {
    let world = World::new();
    let wallet = world.ada().await;
    let ticket = wallet.ask(request(page(PAGE), &[Scope::OpenId])).await.unwrap();
    wallet.lock().await.unwrap();
    assert_eq!(ticket.outcome().await, Outcome::Locked);
    let mut watch = wallet.watch();
    let refused = wallet.ask(request(page(PAGE), &[Scope::OpenId])).await.err().unwrap();
    assert!(matches!(refused, WalletError::Locked));
    assert_eq!(watch.next().await, Some(Event::UnlockWanted), "so that the window comes up");
}

// threat: 23
#[tokio::test]
async fn nobody_waits_longer_than_the_deadline() {
    let world = World::new();
    let wallet = world.ada().await;
    let mut asked = request(page(PAGE), &[Scope::OpenId]);
    asked.expires_in = Duration::from_millis(1);
    let ticket = wallet.ask(asked).await.unwrap();
    assert_eq!(ticket.outcome().await, Outcome::Expired);
    let log = wallet.activity(None, 1, Some("denied".into()), None).await.unwrap();
    assert_eq!(log.len(), 1);
}

#[tokio::test]
async fn an_asker_that_goes_away_takes_its_prompt_along() {
    let world = World::new();
    let wallet = world.ada().await;
    let ticket = wallet.ask(request(page(PAGE), &[Scope::OpenId])).await.unwrap();
    let mut watch = wallet.watch();
    let id = ticket.id.clone();
    drop(ticket);
    assert_eq!(watch.next().await, Some(Event::Answered(id, Outcome::Withdrawn)));
}

#[tokio::test]
async fn an_empty_wallet_says_so() {
    let world = World::new();
    let wallet = world.open().await;
    assert_eq!(wallet.snapshot().state, State::Empty);
    let refused = wallet.ask(request(page(PAGE), &[Scope::OpenId])).await.err().unwrap();
    assert!(matches!(refused, WalletError::NoIdentity));
}
