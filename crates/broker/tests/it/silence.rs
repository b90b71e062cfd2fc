//! Before the user said yes, no answer says anything about the user.

use crate::app::{
    APP, CIBA, Instance, NAVIGATION, Pkce, REDIRECT, authorize_path, page_secret, random_text, sha256,
};
use crate::http::Reply;
use crate::world::{NAME, World, browser, program};

// threat: 1
#[tokio::test]
async fn no_answer_before_approval_says_anything_about_the_user() {
    let world = World::new().await;
    let snapshot = world.wallet.snapshot();
    let identity = snapshot.identity.clone().unwrap();
    let other = crate::app::back_channel(
        &world,
        &mut world.connect(browser()).await,
        "https://other.example",
        "openid profile",
    )
    .await;
    let alias = crate::app::claims(&other["proof"])["sub"].as_str().unwrap().to_owned();
    let secrets = [
        NAME.to_owned(),
        "Ada".to_owned(),
        "Lovelace".to_owned(),
        identity.did,
        identity.did_key,
        identity.device_key,
        identity.device_label,
        alias,
        "other.example".to_owned(),
        snapshot.profile.clone(),
        world.dir.path().display().to_string(),
    ];
    let mut answers: Vec<Reply> = Vec::new();
    let mut page = world.connect(browser()).await;
    let mut tool = world.connect(program("/usr/bin/tool")).await;
    let instance = Instance::new();
    let url = world.broker.url();
    let proof = |path: &str| instance.proof("POST", &format!("{url}{path}"), None);
    let pkce = Pkce::new();
    for path in
        ["/.well-known/halo", "/.well-known/openid-configuration", "/jwks", "/userinfo", "/nothing", "/halo"]
    {
        answers.push(page.get(path, &[("Origin", APP)]).await);
        answers.push(tool.get(path, &[]).await);
    }
    let approval = page.get(&authorize_path(APP, REDIRECT, &pkce, &[]), &NAVIGATION).await;
    let secret = page_secret(&approval);
    answers.push(approval);
    answers.push(page.get("/authorize?client_id=x", &NAVIGATION).await);
    let same = [("Sec-Fetch-Site", "same-origin")];
    answers.push(page.get(&format!("/authorize/status?request={secret}&seen="), &same).await);
    answers.push(page.get("/authorize/page.js", &same).await);
    answers.push(page.get("/authorize/page.css", &same).await);
    let nonce = random_text();
    let (commitment, pushed) = (sha256(&nonce), proof("/bc-authorize"));
    let fields = [("scope", "openid profile halo:identity"), ("halo_commitment", &commitment)];
    let asked = page.form("/bc-authorize", &[("Origin", APP), ("DPoP", &pushed)], &fields).await;
    let id = asked.json()["request_id"].as_str().unwrap().to_owned();
    answers.push(asked);
    let body = serde_json::json!({"request_id": id, "app_nonce": nonce}).to_string();
    answers.push(
        page.send("POST", "/halo/reveal", &[("Origin", APP), ("DPoP", &proof("/halo/reveal"))], &body).await,
    );
    world.prompt().await;
    let hello = serde_json::json!({"challenge": random_text()}).to_string();
    answers.push(
        page.send("POST", "/halo/hello", &[("Origin", APP), ("DPoP", &proof("/halo/hello"))], &hello).await,
    );
    for fields in [
        vec![("grant_type", CIBA), ("auth_req_id", id.as_str())],
        vec![("grant_type", "authorization_code"), ("code", "guess"), ("code_verifier", &pkce.verifier)],
        vec![("grant_type", "refresh_token"), ("refresh_token", "guess")],
        vec![("grant_type", "password")],
        vec![],
    ] {
        answers.push(page.form("/token", &[("Origin", APP)], &fields).await);
        answers.push(page.form("/token", &[("Origin", APP), ("DPoP", &proof("/token"))], &fields).await);
        answers.push(tool.form("/token", &[], &fields).await);
    }
    answers.push(page.form("/revoke", &[("Origin", APP)], &[("token", "guess")]).await);
    answers.push(page.get("/userinfo", &[("Origin", APP), ("Authorization", "Bearer guess")]).await);
    answers.push(page.form("/par", &[("Origin", APP)], &[]).await);
    world.wallet.lock().await.unwrap();
    answers.push(page.form("/bc-authorize", &[("Origin", APP)], &[("scope", "openid")]).await);
    answers.push(page.get("/jwks", &[("Origin", APP)]).await);
    for answer in &answers {
        let text = format!("{}\n{}", answer.head, answer.text());
        for secret in &secrets {
            assert!(!says(&text, secret), "{secret:?} in:\n{text}");
        }
    }
}

/// Whether a text has a secret in it; a short one only as a word, since random ids spell short words by chance.
fn says(text: &str, secret: &str) -> bool {
    let in_a_word = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
    if secret.len() < 8 && secret.chars().all(in_a_word) {
        return text.split(|letter| !in_a_word(letter)).any(|word| word == secret);
    }
    text.contains(secret)
}
