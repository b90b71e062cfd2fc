//! First contact of an app on the SDK, and how it knows its wallet again.

use data_encoding::BASE64URL_NOPAD;
use halo_protocol::words::{FirstContact, words};
use halo_wallet::{AnsweredBy, Approval};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::app::{APP, CIBA, Instance, base64, bound_sign_in, claims, random_text, sha256};
use crate::http::{Http, Reply};
use crate::world::{World, browser, yes};

struct Contact {
    instance: Instance,
    nonce: String,
    answer: Value,
}

impl Contact {
    /// Asks over the back channel, as the SDK does.
    async fn begin(world: &World, http: &mut Http) -> Self {
        let (instance, nonce) = (Instance::new(), random_text());
        let proof = instance.proof("POST", &format!("{}/bc-authorize", world.broker.url()), None);
        let headers = [("Origin", APP), ("DPoP", proof.as_str())];
        let commitment = sha256(&nonce);
        let fields = [
            ("scope", "openid profile"),
            ("halo_commitment", commitment.as_str()),
            ("halo_name", "Example App"),
        ];
        let answer = http.form("/bc-authorize", &headers, &fields).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        Self { instance, nonce, answer: answer.json() }
    }

    fn member(&self, name: &str) -> &str {
        self.answer[name].as_str().unwrap()
    }

    async fn reveal(&self, world: &World, http: &mut Http, nonce: &str) -> Reply {
        let proof = self.instance.proof("POST", &format!("{}/halo/reveal", world.broker.url()), None);
        let body = json!({"request_id": self.member("request_id"), "app_nonce": nonce}).to_string();
        http.send("POST", "/halo/reveal", &[("Origin", APP), ("DPoP", &proof)], &body).await
    }

    /// The words that the page shows.
    fn words(&self) -> [String; 3] {
        let contact = FirstContact {
            client_id: APP,
            app_jkt: &self.instance.thumbprint(),
            app_nonce: &self.nonce,
            wallet_commitment: self.member("halo_wallet_commitment"),
            wallet_nonce: self.member("halo_wallet_nonce"),
            request_id: self.member("request_id"),
        };
        words(&contact.transcript()).map(str::to_owned)
    }

    async fn tokens(&self, world: &World, http: &mut Http) -> Reply {
        let proof = self.instance.proof("POST", &format!("{}/token", world.broker.url()), None);
        let fields = [("grant_type", CIBA), ("auth_req_id", self.member("auth_req_id"))];
        http.form("/token", &[("Origin", APP), ("DPoP", &proof)], &fields).await
    }
}

// threat: 8
#[tokio::test]
async fn page_and_wallet_agree_on_words_and_the_wallet_opens_its_commitment() {
    let world = World::new().await;
    let mut http = world.connect(browser()).await;
    let contact = Contact::begin(&world, &mut http).await;
    assert!(world.wallet.snapshot().requests.is_empty(), "nobody is asked before the app has revealed");
    assert_eq!(contact.reveal(&world, &mut http, &contact.nonce).await.status, 200);
    let prompt = world.prompt().await;
    assert_eq!(prompt.app.name.as_deref(), Some("Example App"));
    let choices = prompt.word_choices.unwrap();
    assert_eq!(choices.len(), 4);
    assert!(choices.contains(&contact.words()), "the page's words are among the choices");
    let approval = Approval { words: Some(contact.words()), ..yes() };
    world.wallet.approve(&prompt.id, approval, AnsweredBy::Command).await.unwrap();
    let tokens = contact.tokens(&world, &mut http).await.json();
    let salt = BASE64URL_NOPAD.decode(tokens["halo_wallet_salt"].as_str().unwrap().as_bytes()).unwrap();
    let x = tokens["halo_wallet_key"]["x"].as_str().unwrap();
    let thumbprint = Sha256::digest(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#));
    let opened = Sha256::digest([salt.as_slice(), thumbprint.as_slice()].concat());
    assert_eq!(base64(&opened), contact.member("halo_wallet_commitment"));
}

// threat: 8
#[tokio::test]
async fn the_wrong_words_are_a_no() {
    let world = World::new().await;
    let mut http = world.connect(browser()).await;
    let contact = Contact::begin(&world, &mut http).await;
    contact.reveal(&world, &mut http, &contact.nonce).await;
    let prompt = world.prompt().await;
    let wrong = prompt.word_choices.unwrap().into_iter().find(|choice| *choice != contact.words());
    let refused =
        world.wallet.approve(&prompt.id, Approval { words: wrong, ..yes() }, AnsweredBy::Command).await;
    assert_eq!(refused.unwrap_err().code(), "wallet.wrong_words");
    loop {
        let error = contact.tokens(&world, &mut http).await.error();
        if !["authorization_pending", "slow_down"].contains(&error.as_str()) {
            assert_eq!(error, "access_denied");
            break;
        }
    }
}

// threat: 8
#[tokio::test]
async fn a_number_that_was_not_committed_to_ends_the_attempt() {
    let world = World::new().await;
    let mut http = world.connect(browser()).await;
    let contact = Contact::begin(&world, &mut http).await;
    assert_eq!(contact.reveal(&world, &mut http, &random_text()).await.status, 400);
    assert_eq!(contact.reveal(&world, &mut http, &contact.nonce).await.status, 400, "one try");
    assert!(world.wallet.snapshot().requests.is_empty());
}

// threat: 5
#[tokio::test]
async fn another_origin_or_key_cannot_reveal_for_the_app() {
    let world = World::new().await;
    let mut http = world.connect(browser()).await;
    let contact = Contact::begin(&world, &mut http).await;
    let body = json!({"request_id": contact.member("request_id"), "app_nonce": contact.nonce}).to_string();
    let url = format!("{}/halo/reveal", world.broker.url());
    let theirs = Instance::new().proof("POST", &url, None);
    let refused = http.send("POST", "/halo/reveal", &[("Origin", APP), ("DPoP", &theirs)], &body).await;
    assert_eq!(refused.status, 400);
    let mine = contact.instance.proof("POST", &url, None);
    let evil = [("Origin", "https://evil.example"), ("DPoP", mine.as_str())];
    assert_eq!(http.send("POST", "/halo/reveal", &evil, &body).await.status, 400);
    assert_eq!(contact.reveal(&world, &mut http, &contact.nonce).await.status, 200, "the app still can");
}

// threat: 5
#[tokio::test]
async fn an_origin_with_a_grant_is_asked_again_without_the_instance_key() {
    let world = World::new().await;
    let mut http = world.connect(browser()).await;
    bound_sign_in(&world, &mut http, APP, &Instance::new(), "openid").await;
    let stranger = Instance::new();
    let proof = stranger.proof("POST", &format!("{}/bc-authorize", world.broker.url()), None);
    http.form("/bc-authorize", &[("Origin", APP), ("DPoP", &proof)], &[("scope", "openid")]).await;
    let prompt = world.prompt().await;
    assert!(prompt.known, "the app is known, this instance is not");
}

// threat: 7
#[tokio::test]
async fn an_app_knows_its_wallet_by_its_key_and_no_other() {
    let world = World::new().await;
    let mut http = world.connect(browser()).await;
    let instance = Instance::new();
    let tokens = bound_sign_in(&world, &mut http, APP, &instance, "openid").await;
    let pinned = crate::app::head(&tokens["id_token"])["kid"].clone();
    let hello = async |world: &World, http: &mut Http, challenge: &str| {
        let proof = instance.proof("POST", &format!("{}/halo/hello", world.broker.url()), None);
        let body = json!({"challenge": challenge, "client_id": APP}).to_string();
        http.send("POST", "/halo/hello", &[("Origin", APP), ("DPoP", &proof)], &body).await
    };
    let challenge = random_text();
    let answer = hello(&world, &mut http, &challenge).await.json()["token"].clone();
    assert_eq!(crate::app::head(&answer)["typ"], "halo-hello+jwt");
    assert_eq!(crate::app::head(&answer)["kid"], pinned);
    assert_eq!(claims(&answer)["nonce"], challenge.as_str());
    assert_eq!(claims(&answer)["iss"], world.broker.url(), "a relay cannot pass the question on");
    // Somebody else's wallet, at another port, cannot have that key, and does not know the instance.
    let squatter = World::new().await;
    let mut http = squatter.connect(browser()).await;
    let refused = hello(&squatter, &mut http, &challenge).await;
    assert_eq!((refused.status, refused.error().as_str()), (404, "unknown_instance"));
}
