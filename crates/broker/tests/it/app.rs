//! What an app does: proofs, and the ways to sign in.

use std::time::{SystemTime, UNIX_EPOCH};

use data_encoding::BASE64URL_NOPAD;
use ed25519_dalek::{Signer, SigningKey};
use rand::random;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::http::{Http, Reply};
use crate::world::World;

pub(crate) const APP: &str = "https://app.example";
pub(crate) const REDIRECT: &str = "https://app.example/cb";
pub(crate) const CIBA: &str = "urn:openid:params:grant-type:ciba";

/// The key of one installation of an app.
pub(crate) struct Instance(SigningKey);

pub(crate) fn base64(bytes: &[u8]) -> String {
    BASE64URL_NOPAD.encode(bytes)
}

pub(crate) fn sha256(text: &str) -> String {
    base64(&Sha256::digest(text.as_bytes()))
}

pub(crate) fn random_text() -> String {
    base64(&random::<[u8; 32]>())
}

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

impl Instance {
    pub(crate) fn new() -> Self {
        Self(SigningKey::from_bytes(&random()))
    }

    pub(crate) fn jwk(&self) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "x": base64(self.0.verifying_key().as_bytes())})
    }

    pub(crate) fn thumbprint(&self) -> String {
        let x = base64(self.0.verifying_key().as_bytes());
        sha256(&format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#))
    }

    /// A proof as it should be.
    pub(crate) fn proof(&self, method: &str, url: &str, token: Option<&str>) -> String {
        let mut claims = json!({"jti": random_text(), "htm": method, "htu": url, "iat": now()});
        if let Some(token) = token {
            claims["ath"] = sha256(token).into();
        }
        self.sign(&json!({"typ": "dpop+jwt", "alg": "EdDSA", "jwk": self.jwk()}), &claims)
    }

    /// A proof as a test wants it.
    pub(crate) fn sign(&self, head: &Value, claims: &Value) -> String {
        let message =
            format!("{}.{}", base64(head.to_string().as_bytes()), base64(claims.to_string().as_bytes()));
        let signature = base64(&self.0.sign(message.as_bytes()).to_bytes());
        format!("{message}.{signature}")
    }
}

/// The two ends of PKCE.
pub(crate) struct Pkce {
    pub(crate) verifier: String,
    pub(crate) challenge: String,
}

impl Pkce {
    pub(crate) fn new() -> Self {
        let verifier = random_text();
        let challenge = sha256(&verifier);
        Self { verifier, challenge }
    }
}

/// What a browser says when the user is sent to the approval page.
pub(crate) const NAVIGATION: [(&str, &str); 3] =
    [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document")];

/// The address the user is sent to.
pub(crate) fn authorize_path(client: &str, redirect: &str, pkce: &Pkce, more: &[(&str, &str)]) -> String {
    let mut fields = vec![
        ("response_type", "code"),
        ("client_id", client),
        ("redirect_uri", redirect),
        ("scope", "openid profile"),
        ("state", "xyzzy"),
        ("nonce", "n-0S6"),
        ("code_challenge", &pkce.challenge),
        ("code_challenge_method", "S256"),
    ];
    for (name, value) in more {
        fields.retain(|(other, _)| other != name);
        fields.push((name, value));
    }
    format!("/authorize?{}", crate::http::form(&fields))
}

/// The secret of the approval page.
pub(crate) fn page_secret(page: &Reply) -> String {
    let text = page.text();
    let (_, rest) = text.split_once("data-request=\"").expect("the approval page");
    rest.split_once('"').unwrap().0.to_owned()
}

/// Goes through the redirect way until the code is there.
pub(crate) async fn code(
    world: &World,
    browser: &mut Http,
    client: &str,
    redirect: &str,
    pkce: &Pkce,
) -> String {
    let page = browser.get(&authorize_path(client, redirect, pkce, &[]), &NAVIGATION).await;
    assert_eq!(page.status, 200, "{}", page.text());
    world.approve().await;
    let done = status(browser, &page_secret(&page)).await;
    crate::http::parameter(done["redirect"].as_str().unwrap(), "code").unwrap()
}

/// Asks as the page does until it is over.
pub(crate) async fn status(browser: &mut Http, secret: &str) -> Value {
    let path = format!("/authorize/status?request={secret}&seen=waiting");
    let reply = browser.get(&path, &[("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Mode", "cors")]).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

/// Turns a code into tokens.
pub(crate) async fn redeem(
    http: &mut Http,
    headers: &[(&str, &str)],
    client: &str,
    code: &str,
    pkce: &Pkce,
) -> Reply {
    let fields = [
        ("grant_type", "authorization_code"),
        ("client_id", client),
        ("code", code),
        ("code_verifier", &pkce.verifier),
    ];
    http.form("/token", headers, &fields).await
}

/// Signs in over the back channel as a page, without DPoP; returns the token answer.
pub(crate) async fn back_channel(world: &World, page: &mut Http, origin: &str, scope: &str) -> Value {
    let asked = page.form("/bc-authorize", &[("Origin", origin)], &[("scope", scope)]).await;
    assert_eq!(asked.status, 200, "{}", asked.text());
    world.approve().await;
    let id = asked.json()["auth_req_id"].as_str().unwrap().to_owned();
    let got = page.form("/token", &[("Origin", origin)], &[("grant_type", CIBA), ("auth_req_id", &id)]).await;
    assert_eq!(got.status, 200, "{}", got.text());
    got.json()
}

/// Signs in over the back channel with a DPoP key.
pub(crate) async fn bound_sign_in(
    world: &World,
    page: &mut Http,
    origin: &str,
    instance: &Instance,
    scope: &str,
) -> Value {
    let url = world.broker.url();
    let proof = instance.proof("POST", &format!("{url}/bc-authorize"), None);
    let asked =
        page.form("/bc-authorize", &[("Origin", origin), ("DPoP", &proof)], &[("scope", scope)]).await;
    assert_eq!(asked.status, 200, "{}", asked.text());
    let id = asked.json()["auth_req_id"].as_str().unwrap().to_owned();
    loop {
        let proof = instance.proof("POST", &format!("{url}/token"), None);
        let headers = [("Origin", origin), ("DPoP", proof.as_str())];
        let got = page.form("/token", &headers, &[("grant_type", CIBA), ("auth_req_id", &id)]).await;
        if got.status == 200 {
            return got.json();
        }
        assert!(["authorization_pending", "slow_down"].contains(&got.error().as_str()), "{}", got.text());
        if !world.wallet.snapshot().requests.is_empty() {
            world.approve().await;
        }
        tokio::task::yield_now().await;
    }
}

/// What a JWT says; the signature is the wallet's affair.
pub(crate) fn claims(jwt: &Value) -> Value {
    let part = jwt.as_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64URL_NOPAD.decode(part.as_bytes()).unwrap()).unwrap()
}

/// What the head of a JWT says.
pub(crate) fn head(jwt: &Value) -> Value {
    let part = jwt.as_str().unwrap().split('.').next().unwrap();
    serde_json::from_slice(&BASE64URL_NOPAD.decode(part.as_bytes()).unwrap()).unwrap()
}
