//! What an app gets, and when it is over.

use halo_protocol::presentation::{Expect, verify_proof};
use halo_wallet::{AppKind, Approval, Binding, Exchange, Scope, WalletError};

use crate::world::{
    OTHER_PAGE, PAGE, World, approved, page, program, request, signed_in, token_request, yes,
};

fn now() -> halo_protocol::Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    halo_protocol::Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap())
}

#[tokio::test]
async fn two_apps_cannot_link_the_user_and_one_app_knows_them_again() {
    let world = World::new();
    let wallet = world.ada().await;
    let (_, one) = signed_in(&wallet, PAGE, &[Scope::OpenId], yes()).await;
    let (_, other) = signed_in(&wallet, OTHER_PAGE, &[Scope::OpenId], yes()).await;
    assert_ne!(one.sub, other.sub);
    assert_ne!(wallet.client_key(PAGE).await.unwrap(), wallet.client_key(OTHER_PAGE).await.unwrap());
    let identity = wallet.snapshot().identity.clone().unwrap();
    for said in [&one.sub, &one.id_token, &one.proof] {
        assert!(!said.contains(&identity.did_key) && !said.contains(&identity.did));
    }
    wallet.close().await;
    let wallet = world.open().await;
    let (_, again) = signed_in(&wallet, PAGE, &[Scope::OpenId], yes()).await;
    assert_eq!(again.sub, one.sub, "also after a restart");
}

#[tokio::test]
async fn a_program_cannot_take_the_alias_of_a_page() {
    let world = World::new();
    let wallet = world.ada().await;
    let (_, web) = signed_in(&wallet, PAGE, &[Scope::OpenId], yes()).await;
    let grant = approved(&wallet, request(program(PAGE, "/tmp/evil"), &[Scope::OpenId]), yes()).await;
    let mut wanted = token_request(PAGE, &grant);
    wanted.kind = AppKind::Native;
    assert_ne!(wallet.issue(wanted).await.unwrap().sub, web.sub);
}

#[tokio::test]
async fn the_proof_is_for_this_app_and_this_nonce() {
    let world = World::new();
    let wallet = world.ada().await;
    let (_, tokens) = signed_in(&wallet, PAGE, &[Scope::OpenId], yes()).await;
    let expect = |audience| Expect { audience, nonce: Some("n-0S6_WzA2Mj"), now: now() };
    let proof = verify_proof(&tokens.proof, &expect(PAGE)).unwrap();
    assert_eq!(proof.subject, tokens.sub);
    assert!(verify_proof(&tokens.proof, &expect(OTHER_PAGE)).is_err());
}

#[tokio::test]
async fn the_real_identity_is_shown_only_where_it_was_asked_for_and_allowed() {
    let world = World::new();
    let wallet = world.ada().await;
    let did_key = wallet.snapshot().identity.as_ref().unwrap().did_key.clone();
    let scopes = [Scope::OpenId, Scope::Identity];
    let (_, alias) = signed_in(&wallet, PAGE, &scopes, yes()).await;
    assert_ne!(alias.sub, did_key, "asked for, but not allowed");
    let (_, real) = signed_in(&wallet, OTHER_PAGE, &scopes, Approval { identity: true, ..yes() }).await;
    assert_eq!(real.sub, did_key);
    let expect = Expect { audience: OTHER_PAGE, nonce: Some("n-0S6_WzA2Mj"), now: now() };
    assert_eq!(verify_proof(&real.proof, &expect).unwrap().subject, did_key);
}

#[tokio::test]
async fn profile_fields_are_shared_one_by_one() {
    let world = World::new();
    let wallet = world.ada().await;
    let scopes = [Scope::OpenId, Scope::Profile];
    let (shy, _) = signed_in(&wallet, PAGE, &scopes, Approval { fields: Some(vec![]), ..yes() }).await;
    let (open, _) = signed_in(&wallet, OTHER_PAGE, &scopes, yes()).await;
    assert_eq!(wallet.user_info(&shy).await.unwrap().name, None);
    assert_eq!(wallet.user_info(&open).await.unwrap().name.as_deref(), Some("Ada"));
}

// threat: 9
#[tokio::test]
async fn a_refresh_token_used_twice_ends_its_session() {
    let world = World::new();
    let wallet = world.ada().await;
    let (_, first) = signed_in(&wallet, PAGE, &[Scope::OpenId], yes()).await;
    let refresh = |token: &str| {
        let mut wanted = token_request(PAGE, &first.grant);
        wanted.exchange = Exchange::Refresh(token.to_owned().into());
        wallet.issue(wanted)
    };
    let second = refresh(&first.refresh_token).await.unwrap();
    assert_eq!(second.sub, first.sub);
    assert!(matches!(refresh(&first.refresh_token).await, Err(WalletError::SessionOver)));
    assert!(
        matches!(refresh(&second.refresh_token).await, Err(WalletError::SessionOver)),
        "the family is over"
    );
}

// threat: 9
#[tokio::test]
async fn an_instance_whose_answer_was_lost_comes_again_with_the_token_before() {
    let world = World::new();
    let wallet = world.ada().await;
    let (grant, _) = signed_in(&wallet, PAGE, &[Scope::OpenId], yes()).await;
    let request = |exchange, key: &str| halo_wallet::TokenRequest {
        binding: Binding::Instance(key.into()),
        exchange,
        ..token_request(PAGE, &grant)
    };
    let refresh =
        |token: &str, key: &str| wallet.issue(request(Exchange::Refresh(token.to_owned().into()), key));
    let first = wallet.issue(request(Exchange::Fresh, "key")).await.unwrap();
    let lost = refresh(&first.refresh_token, "key").await.unwrap();
    let again = refresh(&first.refresh_token, "key").await.unwrap();
    assert_ne!(again.refresh_token, lost.refresh_token);
    assert!(
        matches!(refresh(&lost.refresh_token, "key").await, Err(WalletError::SessionOver)),
        "what was lost is not worth anything"
    );
    let thief = refresh(&again.refresh_token, "another key").await;
    assert!(matches!(thief, Err(WalletError::SessionOver)), "the key is needed");
    let next = refresh(&again.refresh_token, "key").await.unwrap();
    assert!(
        matches!(refresh(&first.refresh_token, "key").await, Err(WalletError::SessionOver)),
        "once a later one was used, an older one is a replay"
    );
    assert!(refresh(&next.refresh_token, "key").await.is_err(), "and ends the session");
}

#[tokio::test]
async fn a_refresh_token_works_only_where_it_was_given() {
    let world = World::new();
    let wallet = world.ada().await;
    let (grant, tokens) = signed_in(&wallet, PAGE, &[Scope::OpenId], yes()).await;
    let mut elsewhere = token_request(PAGE, &grant);
    elsewhere.exchange = Exchange::Refresh(tokens.refresh_token.clone());
    elsewhere.binding = Binding::Process("/tmp/thief".into());
    assert!(matches!(wallet.issue(elsewhere).await, Err(WalletError::SessionOver)));
}

// threat: 18
#[tokio::test]
async fn nothing_works_after_revocation() {
    let world = World::new();
    let wallet = world.ada().await;
    let (grant, tokens) = signed_in(&wallet, PAGE, &[Scope::OpenId], yes()).await;
    let mut watch = wallet.watch();
    wallet.revoke(&grant).await.unwrap();
    assert_eq!(watch.next().await, Some(halo_wallet::Event::Revoked(grant.clone())));
    assert!(wallet.snapshot().apps.is_empty() && wallet.snapshot().grants.is_empty());
    assert!(wallet.issue(token_request(PAGE, &grant)).await.is_err());
    assert!(wallet.user_info(&grant).await.is_err());
    let mut refresh = token_request(PAGE, &grant);
    refresh.exchange = Exchange::Refresh(tokens.refresh_token);
    assert!(matches!(wallet.issue(refresh).await, Err(WalletError::SessionOver)));
    wallet.close().await;
    assert!(world.open().await.snapshot().apps.is_empty(), "also after a restart");
    let _ = page(PAGE);
}

#[tokio::test]
async fn signing_out_ends_one_session_only() {
    let world = World::new();
    let wallet = world.ada().await;
    let (grant, one) = signed_in(&wallet, PAGE, &[Scope::OpenId], yes()).await;
    let other = wallet.issue(token_request(PAGE, &grant)).await.unwrap();
    wallet.revoke_refresh(PAGE, &one.refresh_token).await.unwrap();
    wallet.revoke_refresh(PAGE, "unknown").await.unwrap();
    let refresh = |token| {
        let mut wanted = token_request(PAGE, &grant);
        wanted.exchange = Exchange::Refresh(token);
        wallet.issue(wanted)
    };
    assert!(refresh(one.refresh_token).await.is_err());
    assert!(refresh(other.refresh_token).await.is_ok());
}
