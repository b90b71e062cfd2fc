//! Signing in as a stock OpenID client does.

use halo_broker::evidence::Owner;
use serde_json::json;

use crate::app::{
    APP, CIBA, Instance, NAVIGATION, Pkce, REDIRECT, authorize_path, back_channel, bound_sign_in, claims,
    code, head, now, page_secret, random_text, redeem, status,
};
use crate::http::parameter;
use crate::world::{NAME, World, browser, program};

const NATIVE: &str = "org.example.Tool";
const TOOL: &str = "/usr/bin/tool";

#[tokio::test]
async fn a_page_signs_in_by_code_and_pkce() {
    let world = World::new().await;
    let mut http = world.connect(browser()).await;
    let pkce = Pkce::new();
    let page = http.get(&authorize_path(APP, REDIRECT, &pkce, &[]), &NAVIGATION).await;
    assert!(page.text().contains(APP), "the page says who asks");
    let prompt = world.prompt().await;
    for word in prompt.compare_words.as_ref().unwrap() {
        assert!(page.text().contains(word), "page and prompt show the same words");
    }
    world.approve().await;
    let done = status(&mut http, &page_secret(&page)).await;
    let back = done["redirect"].as_str().unwrap();
    assert!(back.starts_with(REDIRECT));
    assert_eq!(parameter(back, "state").as_deref(), Some("xyzzy"));
    assert_eq!(parameter(back, "iss").as_deref(), Some(world.broker.url()), "RFC 9207");
    let code = parameter(back, "code").unwrap();
    let tokens = redeem(&mut http, &[("Origin", APP)], APP, &code, &pkce).await;
    assert_eq!(tokens.status, 200, "{}", tokens.text());
    assert_eq!(tokens.header("cache-control"), Some("no-store"));
    let tokens = tokens.json();
    assert_eq!(tokens["token_type"], "Bearer");
    let id = claims(&tokens["id_token"]);
    assert_eq!(id["iss"], world.broker.url());
    assert_eq!(id["aud"], APP);
    assert_eq!(id["nonce"], "n-0S6");
    let proof = claims(&tokens["proof"]);
    assert_eq!((&proof["aud"], &proof["sub"]), (&id["aud"], &id["sub"]));
    let bearer = format!("Bearer {}", tokens["access_token"].as_str().unwrap());
    let user = http.get("/userinfo", &[("Origin", APP), ("Authorization", &bearer)]).await;
    assert_eq!(user.json()["name"], NAME);
    assert_eq!(user.json()["sub"], id["sub"]);
    let keys = http.get("/jwks", &[("Origin", APP)]).await.json();
    assert_eq!(keys["keys"][0]["kid"], head(&tokens["id_token"])["kid"]);
    assert_eq!(keys["keys"][0].get("d"), None);
}

#[tokio::test]
async fn a_program_signs_in_over_the_back_channel_and_stays_signed_in() {
    let world = World::new().await;
    let mut http = world.connect(program(TOOL)).await;
    let fields = [("client_id", NATIVE), ("scope", "openid profile"), ("binding_message", "W4SCT")];
    let asked = http.form("/bc-authorize", &[], &fields).await.json();
    let id = asked["auth_req_id"].as_str().unwrap();
    assert!(asked["interval"].as_u64().is_some());
    let poll = [("grant_type", CIBA), ("client_id", NATIVE), ("auth_req_id", id)];
    assert_eq!(http.form("/token", &[], &poll).await.error(), "authorization_pending");
    assert_eq!(http.form("/token", &[], &poll).await.error(), "slow_down");
    let prompt = world.prompt().await;
    assert_eq!(prompt.binding_message.as_deref(), Some("W4SCT"));
    assert_eq!(prompt.app.process.unwrap().path.as_deref(), Some(TOOL), "the prompt names the program");
    world.approve().await;
    let tokens = http.form("/token", &[], &poll).await.json();
    assert_eq!(claims(&tokens["id_token"])["urn:openid:params:jwt:claim:auth_req_id"], id);
    // threat: 9
    assert_eq!(http.form("/token", &[], &poll).await.error(), "invalid_grant", "an answer is fetched once");
    let refresh = tokens["refresh_token"].as_str().unwrap();
    let fields = [("grant_type", "refresh_token"), ("client_id", NATIVE), ("refresh_token", refresh)];
    let again = http.form("/token", &[], &fields).await.json();
    assert_eq!(claims(&again["id_token"])["sub"], claims(&tokens["id_token"])["sub"]);
    let keys = http.get("/jwks", &[]).await.json();
    assert_eq!(keys["keys"][0]["kid"], head(&again["id_token"])["kid"]);
}

#[tokio::test]
async fn discovery_names_what_is_there() {
    let world = World::new().await;
    let mut http = world.connect(program(TOOL)).await;
    let found = http.get("/.well-known/openid-configuration", &[]).await.json();
    assert_eq!(found["issuer"], world.broker.url());
    assert_eq!(found["id_token_signing_alg_values_supported"], json!(["EdDSA"]));
    assert_eq!(found["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(found["backchannel_token_delivery_modes_supported"], json!(["poll"]));
    let halo = http.get("/.well-known/halo", &[]).await.json();
    assert_eq!(halo["name"], "HALO");
}

#[tokio::test]
async fn a_pushed_request_is_asked_once_and_by_name_only() {
    let world = World::new().await;
    let mut http = world.connect(browser()).await;
    let pkce = Pkce::new();
    let path = authorize_path(APP, REDIRECT, &pkce, &[]);
    let query = path.split_once('?').unwrap().1;
    let kind = ("Content-Type", "application/x-www-form-urlencoded");
    let pushed = http.send("POST", "/par", &[("Origin", APP), kind], query).await;
    assert_eq!(pushed.status, 201, "{}", pushed.text());
    assert!(world.wallet.snapshot().requests.is_empty(), "nobody is asked before the user is there");
    let uri = pushed.json()["request_uri"].as_str().unwrap().to_owned();
    let path = format!("/authorize?{}", crate::http::form(&[("client_id", APP), ("request_uri", &uri)]));
    let page = http.get(&path, &NAVIGATION).await;
    world.approve().await;
    let done = status(&mut http, &page_secret(&page)).await;
    let code = parameter(done["redirect"].as_str().unwrap(), "code").unwrap();
    assert_eq!(redeem(&mut http, &[("Origin", APP)], APP, &code, &pkce).await.status, 200);
    // threat: 9
    let again = http.get(&path, &NAVIGATION).await;
    assert_eq!(again.status, 400, "the request is used up");
    assert!(world.wallet.snapshot().requests.is_empty());
}

#[tokio::test]
async fn a_known_instance_signs_in_without_a_prompt() {
    let world = World::new().await;
    let mut http = world.connect(browser()).await;
    let instance = Instance::new();
    let first = bound_sign_in(&world, &mut http, APP, &instance, "openid profile").await;
    assert_eq!(first["token_type"], "DPoP");
    let url = world.broker.url();
    let pkce = Pkce::new();
    let path = authorize_path(APP, REDIRECT, &pkce, &[("prompt", "none")]);
    let proof = instance.proof("POST", &format!("{url}/par"), None);
    let kind = ("Content-Type", "application/x-www-form-urlencoded");
    let headers = [("Origin", APP), ("DPoP", proof.as_str()), kind];
    let pushed = http.send("POST", "/par", &headers, path.split_once('?').unwrap().1).await.json();
    let uri = pushed["request_uri"].as_str().unwrap();
    let path = format!("/authorize?{}", crate::http::form(&[("client_id", APP), ("request_uri", uri)]));
    let back = http.get(&path, &NAVIGATION).await;
    assert_eq!(back.status, 303, "no page is needed");
    let code = back.sent_to("code").unwrap();
    let bare = redeem(&mut http, &[("Origin", APP)], APP, &code, &pkce).await;
    assert_eq!(bare.error(), "invalid_grant", "the code is bound to the instance");
}

#[tokio::test]
async fn without_a_known_instance_prompt_none_asks_nobody() {
    let world = World::new().await;
    let mut http = world.connect(browser()).await;
    back_channel(&world, &mut http, APP, "openid profile").await;
    let back =
        http.get(&authorize_path(APP, REDIRECT, &Pkce::new(), &[("prompt", "none")]), &NAVIGATION).await;
    assert_eq!(back.sent_to("error").as_deref(), Some("interaction_required"));
    assert_eq!(back.sent_to("state").as_deref(), Some("xyzzy"));
    assert!(world.wallet.snapshot().requests.is_empty());
}

// threat: 9
#[tokio::test]
async fn a_code_works_once_and_its_replay_takes_back_what_it_gave() {
    let world = World::new().await;
    let mut http = world.connect(browser()).await;
    let pkce = Pkce::new();
    let code = code(&world, &mut http, APP, REDIRECT, &pkce).await;
    let tokens = redeem(&mut http, &[("Origin", APP)], APP, &code, &pkce).await.json();
    let bearer = format!("Bearer {}", tokens["access_token"].as_str().unwrap());
    let mine = [("Origin", APP), ("Authorization", bearer.as_str())];
    assert_eq!(http.get("/userinfo", &mine).await.status, 200);
    assert_eq!(redeem(&mut http, &[("Origin", APP)], APP, &code, &pkce).await.error(), "invalid_grant");
    assert_eq!(http.get("/userinfo", &mine).await.status, 401, "the access token is gone");
    let refresh = tokens["refresh_token"].as_str().unwrap();
    let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
    assert_eq!(http.form("/token", &[("Origin", APP)], &fields).await.error(), "invalid_grant");
}

#[tokio::test]
async fn a_code_without_its_verifier_is_worth_nothing() {
    let world = World::new().await;
    let mut http = world.connect(browser()).await;
    let pkce = Pkce::new();
    let first = code(&world, &mut http, APP, REDIRECT, &pkce).await;
    let fields = [("grant_type", "authorization_code"), ("code", first.as_str())];
    assert_eq!(http.form("/token", &[("Origin", APP)], &fields).await.error(), "invalid_request");
    let wrong = Pkce { verifier: random_text(), challenge: pkce.challenge.clone() };
    assert_eq!(redeem(&mut http, &[("Origin", APP)], APP, &first, &wrong).await.error(), "invalid_grant");
    let late = redeem(&mut http, &[("Origin", APP)], APP, &first, &pkce).await;
    assert_eq!(late.error(), "invalid_grant", "one guess uses it up");
}

#[tokio::test]
async fn a_code_works_only_for_its_client_and_its_key() {
    let world = World::new().await;
    let mut http = world.connect(browser()).await;
    let pkce = Pkce::new();
    let stolen = code(&world, &mut http, APP, REDIRECT, &pkce).await;
    let evil = "https://evil.example";
    assert_eq!(redeem(&mut http, &[("Origin", evil)], evil, &stolen, &pkce).await.error(), "invalid_grant");
    let stolen = code(&world, &mut http, APP, REDIRECT, &pkce).await;
    let mut tool = world.connect(program(TOOL)).await;
    let refused = redeem(&mut tool, &[], APP, &stolen, &pkce).await;
    assert_eq!(refused.error(), "unauthorized_client", "a program cannot redeem the code of a page");
}

#[tokio::test]
async fn nobody_is_sent_to_an_address_that_is_not_the_apps() {
    let world = World::new().await;
    let mut http = world.connect(browser()).await;
    for redirect in ["https://evil.example/cb", "http://app.example/cb", "https://app.example.evil.example/"]
    {
        let refused = http.get(&authorize_path(APP, redirect, &Pkce::new(), &[]), &NAVIGATION).await;
        assert_eq!((refused.status, refused.header("location")), (400, None), "{redirect}");
    }
    assert!(world.wallet.snapshot().requests.is_empty());
}

#[tokio::test]
async fn only_s256_and_codes_are_spoken() {
    let world = World::new().await;
    let mut http = world.connect(browser()).await;
    for (name, value, error) in [
        ("code_challenge_method", "plain", "invalid_request"),
        ("code_challenge", "short", "invalid_request"),
        ("response_type", "token", "unsupported_response_type"),
        ("response_mode", "fragment", "invalid_request"),
        ("scope", "openid halo:everything", "invalid_scope"),
        ("scope", "profile", "invalid_scope"),
        ("request", "x.y.z", "request_not_supported"),
    ] {
        let path = authorize_path(APP, REDIRECT, &Pkce::new(), &[(name, value)]);
        let back = http.get(&path, &NAVIGATION).await;
        assert_eq!(back.sent_to("error").as_deref(), Some(error), "{name}={value}");
        assert_eq!(back.sent_to("iss").as_deref(), Some(world.broker.url()));
    }
}

// threat: 9
#[tokio::test]
async fn a_proof_of_another_time_place_or_use_is_refused() {
    let world = World::new().await;
    let mut http = world.connect(browser()).await;
    let instance = Instance::new();
    let htu = format!("{}/bc-authorize", world.broker.url());
    let head = json!({"typ": "dpop+jwt", "alg": "EdDSA", "jwk": instance.jwk()});
    let good = json!({"jti": random_text(), "htm": "POST", "htu": htu, "iat": now()});
    let with = |name: &str, value: serde_json::Value| {
        let mut claims = good.clone();
        claims["jti"] = random_text().into();
        claims[name] = value;
        instance.sign(&head, &claims)
    };
    let other = Instance::new();
    let mut private = instance.jwk();
    private["d"] = random_text().into();
    let mut cases = vec![
        with("htm", "GET".into()),
        with("htu", format!("{}/token", world.broker.url()).into()),
        with("htu", "http://127.0.0.1:1/bc-authorize".into()),
        with("htu", "https://evil.example/bc-authorize".into()),
        with("iat", (now() - 120).into()),
        with("iat", (now() + 120).into()),
        // Within the window, but before this broker began: an earlier one may have seen it.
        with("iat", (now() - 50).into()),
        with("jti", "".into()),
        other.sign(&head, &good),
        instance.sign(&json!({"typ": "JWT", "alg": "EdDSA", "jwk": instance.jwk()}), &good),
        instance.sign(&json!({"typ": "dpop+jwt", "alg": "none", "jwk": instance.jwk()}), &good),
        instance.sign(&json!({"typ": "dpop+jwt", "alg": "EdDSA", "jwk": private}), &good),
        "not.a.proof".into(),
    ];
    let used = instance.sign(&head, &good);
    let fields = [("scope", "openid")];
    let first = http.form("/bc-authorize", &[("Origin", APP), ("DPoP", &used)], &fields).await;
    assert_eq!(first.status, 200, "{}", first.text());
    cases.push(used);
    for proof in cases {
        let refused = http.form("/bc-authorize", &[("Origin", APP), ("DPoP", &proof)], &fields).await;
        assert_eq!(refused.error(), "invalid_dpop_proof", "{proof}");
    }
}

// threat: 6
#[tokio::test]
async fn a_bound_token_is_worth_nothing_without_its_key() {
    let world = World::new().await;
    let mut http = world.connect(browser()).await;
    let instance = Instance::new();
    let tokens = bound_sign_in(&world, &mut http, APP, &instance, "openid profile").await;
    let token = tokens["access_token"].as_str().unwrap();
    let url = format!("{}/userinfo", world.broker.url());
    let dpop = format!("DPoP {token}");
    let ask = async |http: &mut crate::http::Http, authorization: &str, proof: Option<String>| {
        let mut headers = vec![("Origin", APP), ("Authorization", authorization)];
        if let Some(proof) = &proof {
            headers.push(("DPoP", proof));
        }
        http.get("/userinfo", &headers).await.status
    };
    assert_eq!(ask(&mut http, &dpop, Some(instance.proof("GET", &url, Some(token)))).await, 200);
    assert_eq!(ask(&mut http, &dpop, None).await, 401);
    assert_eq!(ask(&mut http, &format!("Bearer {token}"), None).await, 401);
    assert_eq!(ask(&mut http, &dpop, Some(Instance::new().proof("GET", &url, Some(token)))).await, 401);
    assert_eq!(ask(&mut http, &dpop, Some(instance.proof("GET", &url, Some("another")))).await, 401);
    assert_eq!(ask(&mut http, &dpop, Some(instance.proof("GET", &url, None))).await, 401);
    let refresh = tokens["refresh_token"].as_str().unwrap();
    let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
    let copied = http.form("/token", &[("Origin", APP)], &fields).await;
    assert_eq!(copied.error(), "invalid_grant", "a copied refresh token needs the key as well");
}

// threat: 10
#[tokio::test]
async fn a_proof_names_the_origin_that_asked_whatever_it_says_it_is() {
    let world = World::new().await;
    let mut http = world.connect(browser()).await;
    let evil = "https://evil.example";
    let posing = [("client_id", "https://bank.example"), ("scope", "openid")];
    assert_eq!(http.form("/bc-authorize", &[("Origin", evil)], &posing).await.error(), "invalid_client");
    let tokens = back_channel(&world, &mut http, evil, "openid").await;
    assert_eq!(claims(&tokens["proof"])["aud"], evil);
    assert_eq!(claims(&tokens["id_token"])["aud"], evil);
}

#[tokio::test]
async fn two_apps_cannot_link_their_user() {
    let world = World::new().await;
    let mut http = world.connect(browser()).await;
    let (one, two) = ("https://one.example", "https://two.example");
    let first = back_channel(&world, &mut http, one, "openid").await;
    let second = back_channel(&world, &mut http, two, "openid").await;
    assert_ne!(claims(&first["proof"])["sub"], claims(&second["proof"])["sub"]);
    assert_ne!(head(&first["id_token"])["kid"], head(&second["id_token"])["kid"]);
    let keys_of_one = http.get("/jwks", &[("Origin", one)]).await.text();
    let keys_of_two = http.get("/jwks", &[("Origin", two)]).await.text();
    let kid = |tokens: &serde_json::Value| head(&tokens["id_token"])["kid"].as_str().unwrap().to_owned();
    assert!(keys_of_one.contains(&kid(&first)) && !keys_of_one.contains(&kid(&second)));
    assert!(keys_of_two.contains(&kid(&second)) && !keys_of_two.contains(&kid(&first)));
    let stranger = http.get("/jwks", &[("Origin", "https://three.example")]).await.json();
    assert_eq!(stranger, json!({"keys": []}));
    let again = back_channel(&world, &mut http, one, "openid").await;
    assert_eq!(claims(&first["proof"])["sub"], claims(&again["proof"])["sub"], "one app sees one user");
}

// threat: 17
#[tokio::test]
async fn a_wider_request_is_a_prompt_with_the_difference_only() {
    let world = World::new().await;
    let mut http = world.connect(browser()).await;
    let instance = Instance::new();
    bound_sign_in(&world, &mut http, APP, &instance, "openid").await;
    let proof = instance.proof("POST", &format!("{}/bc-authorize", world.broker.url()), None);
    let headers = [("Origin", APP), ("DPoP", proof.as_str())];
    http.form("/bc-authorize", &headers, &[("scope", "openid profile")]).await;
    let prompt = world.prompt().await;
    assert!(prompt.known);
    assert_eq!(prompt.new_scopes, vec![halo_wallet::Scope::Profile]);
}

// threat: 4
#[tokio::test]
async fn a_program_that_claims_an_origin_is_marked_and_gets_nothing_remembered() {
    let world = World::new().await;
    let bank = "https://bank.example";
    let instance = Instance::new();
    let mut page = world.connect(browser()).await;
    let tokens = bound_sign_in(&world, &mut page, bank, &instance, "openid").await;
    let mut tool = world.connect(program(TOOL)).await;
    // Even with the very key of the page.
    let url = world.broker.url();
    let proof = instance.proof("POST", &format!("{url}/bc-authorize"), None);
    tool.form("/bc-authorize", &[("Origin", bank), ("DPoP", &proof)], &[("scope", "openid")]).await;
    let prompt = world.prompt().await;
    assert!(prompt.app.warnings.contains(&halo_wallet::Warning::NotABrowser), "{:?}", prompt.app.warnings);
    let proof = instance.proof("POST", &format!("{url}/halo/hello"), None);
    let hello = json!({"challenge": random_text()}).to_string();
    let refused = tool.send("POST", "/halo/hello", &[("Origin", bank), ("DPoP", &proof)], &hello).await;
    assert_eq!(refused.error(), "unknown_instance");
    let token = tokens["access_token"].as_str().unwrap();
    let proof = instance.proof("GET", &format!("{url}/userinfo"), Some(token));
    let authorization = format!("DPoP {token}");
    let headers = [("Origin", bank), ("DPoP", proof.as_str()), ("Authorization", authorization.as_str())];
    assert_eq!(tool.get("/userinfo", &headers).await.status, 401, "a page's token is no use to a program");
}

// threat: 3
#[tokio::test]
async fn a_program_without_origin_is_known_by_its_executable() {
    let world = World::new().await;
    let mut tool = world.connect(program(TOOL)).await;
    let fields = [("client_id", NATIVE), ("scope", "openid")];
    let id =
        tool.form("/bc-authorize", &[], &fields).await.json()["auth_req_id"].as_str().unwrap().to_owned();
    world.approve().await;
    let poll = [("grant_type", CIBA), ("client_id", NATIVE), ("auth_req_id", id.as_str())];
    let mut other = world.connect(program("/usr/bin/other")).await;
    assert_eq!(other.form("/token", &[], &poll).await.error(), "invalid_grant");
    let tokens = tool.form("/token", &[], &poll).await.json();
    let bearer = format!("Bearer {}", tokens["access_token"].as_str().unwrap());
    assert_eq!(tool.get("/userinfo", &[("Authorization", &bearer)]).await.status, 200);
    assert_eq!(other.get("/userinfo", &[("Authorization", &bearer)]).await.status, 401);
    let refresh = tokens["refresh_token"].as_str().unwrap();
    let fields = [("grant_type", "refresh_token"), ("client_id", NATIVE), ("refresh_token", refresh)];
    assert_eq!(other.form("/token", &[], &fields).await.error(), "invalid_grant");
    assert_eq!(other.get("/jwks", &[]).await.json(), json!({"keys": []}));
}

// threat: 20
#[tokio::test]
async fn who_cannot_be_found_gets_a_prompt_each_time_and_no_token_as_a_program() {
    let world = World::new().await;
    let mut unknown = world.connect(Owner::Unsure).await;
    let fields = [("client_id", NATIVE), ("scope", "openid")];
    let id =
        unknown.form("/bc-authorize", &[], &fields).await.json()["auth_req_id"].as_str().unwrap().to_owned();
    let prompt = world.prompt().await;
    assert!(prompt.app.warnings.contains(&halo_wallet::Warning::UnknownProcess));
    world.approve().await;
    let poll = [("grant_type", CIBA), ("client_id", NATIVE), ("auth_req_id", id.as_str())];
    assert_eq!(unknown.form("/token", &[], &poll).await.error(), "unauthorized_client");
}

#[tokio::test]
async fn a_refresh_token_that_comes_twice_ends_its_session() {
    let world = World::new().await;
    let mut http = world.connect(browser()).await;
    let first = back_channel(&world, &mut http, APP, "openid").await;
    let refresh = |token: &serde_json::Value| token["refresh_token"].as_str().unwrap().to_owned();
    let old = refresh(&first);
    let mine = [("Origin", APP)];
    let second =
        http.form("/token", &mine, &[("grant_type", "refresh_token"), ("refresh_token", &old)]).await.json();
    let bearer = format!("Bearer {}", second["access_token"].as_str().unwrap());
    assert_eq!(http.get("/userinfo", &[("Origin", APP), ("Authorization", &bearer)]).await.status, 200);
    let reused =
        http.form("/token", &mine, &[("grant_type", "refresh_token"), ("refresh_token", &old)]).await;
    assert_eq!(reused.error(), "invalid_grant");
    let fresh = refresh(&second);
    let family =
        http.form("/token", &mine, &[("grant_type", "refresh_token"), ("refresh_token", &fresh)]).await;
    assert_eq!(family.error(), "invalid_grant", "the whole family is dead");
    let token = http.get("/userinfo", &[("Origin", APP), ("Authorization", &bearer)]).await;
    assert_eq!(token.status, 401, "and its access tokens");
}

// threat: 12
#[tokio::test]
async fn who_asks_again_and_again_after_no_is_not_shown_any_more() {
    let world = World::new().await;
    let mut http = world.connect(browser()).await;
    let mut last = String::new();
    for _ in 0..3 {
        let asked = http.form("/bc-authorize", &[("Origin", APP)], &[("scope", "openid")]).await.json();
        let id = asked["auth_req_id"].as_str().unwrap().to_owned();
        world.deny().await;
        last = http
            .form("/token", &[("Origin", APP)], &[("grant_type", CIBA), ("auth_req_id", &id)])
            .await
            .error();
    }
    assert_eq!(last, "access_denied");
    let asked = http.form("/bc-authorize", &[("Origin", APP)], &[("scope", "openid")]).await.json();
    let id = asked["auth_req_id"].as_str().unwrap();
    let fields = [("grant_type", CIBA), ("auth_req_id", id)];
    let muted = loop {
        let muted = http.form("/token", &[("Origin", APP)], &fields).await;
        if !["authorization_pending", "slow_down"].contains(&muted.error().as_str()) {
            break muted;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(muted.error(), "access_denied");
    assert!(muted.text().contains("several times"));
    assert!(world.wallet.snapshot().requests.is_empty(), "no prompt");
}
