//! What an app is shown: JSON Web Tokens (RFC 7519) in compact form (RFC 7515), signed with EdDSA (RFC 8037).
//!
//! The *proof* is for backends anywhere: `iss` and `sub` are a `did:key`, so a stock JOSE library verifies it
//! without asking anybody. In alias mode the alias signs for itself. In identity mode the device signs, and
//! the header carries the credentials that lead from the device to the identity. The *ID token* is for code on
//! this machine; the *hello* shows an app that it talks to the wallet it knows.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::credential::{Assertion, Credential, CredentialError};
use crate::keys::{AliasKey, ClientKey, DeviceKey, IdentityKey, KeyError};
use crate::statement::{Sign, Signature, Statement, StatementKind, verify};
use crate::time::Timestamp;

/// A proof may not live longer.
pub const LONGEST_LIFE: Duration = Duration::from_secs(5 * 60);
/// A longer token is refused before it is read.
pub const LONGEST_TOKEN: usize = 32 * 1024;
/// Clocks of two machines may differ by so much.
const CLOCK_SKEW: u64 = 60;
/// More devices between a device and its identity are refused.
const LONGEST_CHAIN: usize = 8;
const PROOF_TYPE: &str = "halo-proof+jwt";
const HELLO_TYPE: &str = "halo-hello+jwt";

/// Whom a proof shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// The alias this app knows.
    Alias(AliasKey),
    /// The real identity.
    Identity {
        /// The identity.
        identity_key: IdentityKey,
        /// The device that signs.
        device_key: DeviceKey,
        /// Credentials from the device to the identity, the device's own first.
        chain: Vec<Vec<u8>>,
    },
}

/// Claims of a proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofClaims {
    /// The app's origin or id.
    pub audience: String,
    /// The app's nonce.
    pub nonce: Option<String>,
    /// When it was made.
    pub issued: Timestamp,
    /// At most [`LONGEST_LIFE`] later.
    pub expires: Timestamp,
    /// Whom it shows.
    pub subject: Subject,
    /// Display name, if shared.
    pub name: Option<String>,
}

/// Claims of an ID token (OpenID Connect Core 1.0 §2; CIBA Core 1.0 for `auth_req_id`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdTokenClaims {
    /// The broker's URL.
    pub issuer: String,
    /// The app.
    pub audience: String,
    /// The subject (`did:key:…`).
    pub subject: String,
    /// The app's nonce.
    pub nonce: Option<String>,
    /// When it was made.
    pub issued: Timestamp,
    /// When it is over.
    pub expires: Timestamp,
    /// When the user answered.
    pub auth_time: Timestamp,
    /// The back-channel request it answers.
    pub auth_req_id: Option<String>,
    /// Display name, if shared.
    pub name: Option<String>,
}

/// Claims of the answer to a challenge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelloClaims {
    /// The broker's URL.
    pub issuer: String,
    /// The app.
    pub audience: String,
    /// The app's challenge.
    pub nonce: String,
    /// When it was made.
    pub issued: Timestamp,
    /// When it is over.
    pub expires: Timestamp,
}

/// Why a token was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PresentError {
    /// Another key would have to sign.
    #[error("this key cannot sign for that subject")]
    Signer,
    /// Ask for a shorter life.
    #[error("a proof lives five minutes at most")]
    Life,
}

#[derive(Serialize, Deserialize)]
struct Header {
    alg: String,
    typ: String,
    kid: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    halo_chain: Vec<String>,
}

#[derive(Default, Serialize, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nonce: Option<String>,
    iat: u64,
    exp: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    auth_time: Option<u64>,
    #[serde(
        rename = "urn:openid:params:jwt:claim:auth_req_id",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    auth_req_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

fn header(typ: &str, kid: String) -> Header {
    Header { alg: "EdDSA".into(), typ: typ.into(), kid, halo_chain: Vec::new() }
}

fn signed(header: &Header, claims: &Claims, signer: &impl Sign) -> String {
    // Structs of strings and numbers always serialise.
    let part = |json: serde_json::Result<Vec<u8>>| BASE64URL_NOPAD.encode(&json.unwrap_or_default());
    let input = format!("{}.{}", part(serde_json::to_vec(header)), part(serde_json::to_vec(claims)));
    let signature = signer.sign(&Statement::new(StatementKind::Jwt, input.as_bytes()));
    format!("{input}.{}", BASE64URL_NOPAD.encode(signature.as_bytes()))
}

/// The key id of a `did:key` verification method (did:key §3.1.2).
fn did_kid(did_key: &str) -> String {
    format!("{did_key}#{}", did_key.trim_start_matches("did:key:"))
}

impl ProofClaims {
    /// Signs: the alias for itself, the device for its identity.
    ///
    /// # Errors
    /// [`PresentError`] if another key signs than the subject needs, or the life is too long.
    pub fn sign(self, signer: &impl Sign) -> Result<String, PresentError> {
        if self.expires > self.issued.plus(LONGEST_LIFE) {
            return Err(PresentError::Life);
        }
        let (sub, key, chain) = match &self.subject {
            Subject::Alias(alias) => (alias.did_key(), *alias.as_bytes(), Vec::new()),
            Subject::Identity { identity_key, device_key, chain } => {
                (identity_key.did_key(), *device_key.as_bytes(), chain.clone())
            }
        };
        if signer.public_key() != key {
            return Err(PresentError::Signer);
        }
        let kid = did_kid(&DeviceKey::from_bytes(&key).map_err(|_| PresentError::Signer)?.did_key());
        let mut header = header(PROOF_TYPE, kid);
        header.halo_chain = chain.iter().map(|link| BASE64URL_NOPAD.encode(link)).collect();
        let claims = Claims {
            iss: sub.clone(),
            sub,
            aud: self.audience,
            nonce: self.nonce,
            iat: self.issued.seconds(),
            exp: self.expires.seconds(),
            name: self.name,
            ..Claims::default()
        };
        Ok(signed(&header, &claims, signer))
    }
}

/// RFC 7638 thumbprint of an Ed25519 key as a JWK (RFC 8037): the key id of ID tokens.
#[must_use]
pub fn thumbprint(key: &ClientKey) -> [u8; 32] {
    let x = BASE64URL_NOPAD.encode(key.as_bytes());
    Sha256::digest(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#)).into()
}

fn client_header(typ: &str, signer: &impl Sign) -> Result<Header, PresentError> {
    let key = ClientKey::from_bytes(&signer.public_key()).map_err(|_| PresentError::Signer)?;
    Ok(header(typ, BASE64URL_NOPAD.encode(&thumbprint(&key))))
}

impl IdTokenClaims {
    /// Signs with the app's client key.
    ///
    /// # Errors
    /// [`PresentError::Signer`] if the key is none.
    pub fn sign(self, signer: &impl Sign) -> Result<String, PresentError> {
        let claims = Claims {
            iss: self.issuer,
            sub: self.subject,
            aud: self.audience,
            nonce: self.nonce,
            iat: self.issued.seconds(),
            exp: self.expires.seconds(),
            auth_time: Some(self.auth_time.seconds()),
            auth_req_id: self.auth_req_id,
            name: self.name,
        };
        Ok(signed(&client_header("JWT", signer)?, &claims, signer))
    }
}

impl HelloClaims {
    /// Signs with the app's client key.
    ///
    /// # Errors
    /// [`PresentError::Signer`] if the key is none.
    pub fn sign(self, signer: &impl Sign) -> Result<String, PresentError> {
        let claims = Claims {
            sub: self.issuer.clone(),
            iss: self.issuer,
            aud: self.audience,
            nonce: Some(self.nonce),
            iat: self.issued.seconds(),
            exp: self.expires.seconds(),
            ..Claims::default()
        };
        Ok(signed(&client_header(HELLO_TYPE, signer)?, &claims, signer))
    }
}

/// What the verifier of a proof knows.
#[derive(Debug, Clone, Copy)]
pub struct Expect<'a> {
    /// Its own origin or id.
    pub audience: &'a str,
    /// The nonce it gave out for this sign-in.
    pub nonce: Option<&'a str>,
    /// The time.
    pub now: Timestamp,
}

/// A proof that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedProof {
    /// The subject (`did:key:…`), by which to know the user again.
    pub subject: String,
    /// The identity, if the user showed it.
    pub identity: Option<IdentityKey>,
    /// Display name, if shared.
    pub name: Option<String>,
}

/// Why a proof does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// Not a token of this kind.
    #[error("not a proof: {what}")]
    Form {
        /// What is wrong.
        what: &'static str,
    },
    /// Made for somebody else.
    #[error("the proof was made for another app")]
    Audience,
    /// Made for another sign-in.
    #[error("the proof was made for another sign-in")]
    Nonce,
    /// Ask for a new one.
    #[error("the proof is over, or of the future, or lives too long")]
    Expired,
    /// Not signed by whom it names.
    #[error("the signature does not fit")]
    Signature,
    /// The device does not speak for the identity.
    #[error("the chain from device to identity does not hold: {what}")]
    Chain {
        /// What is wrong.
        what: &'static str,
    },
}

/// Verifies a proof: form, signature, chain, audience, nonce, life.
///
/// # Errors
/// The first thing that does not hold.
pub fn verify_proof(jwt: &str, expect: &Expect<'_>) -> Result<VerifiedProof, ProofError> {
    let form = |what| ProofError::Form { what };
    if jwt.len() > LONGEST_TOKEN {
        return Err(form("it is too long"));
    }
    let (input, signature) = jwt.rsplit_once('.').ok_or_else(|| form("it has no signature"))?;
    let (header, claims) = input.split_once('.').ok_or_else(|| form("it has not three parts"))?;
    let part = |text: &str| BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| form("it is not base64url"));
    let header: Header =
        serde_json::from_slice(&part(header)?).map_err(|_| form("its header is no header"))?;
    if header.alg != "EdDSA" || header.typ != PROOF_TYPE {
        return Err(form("it is another kind of token"));
    }
    let claims: Claims =
        serde_json::from_slice(&part(claims)?).map_err(|_| form("its claims are no claims"))?;
    let signature: [u8; 64] =
        part(signature)?.try_into().map_err(|_| form("its signature has another length"))?;
    if claims.iss != claims.sub {
        return Err(form("its issuer is not its subject"));
    }
    let did_form = |_: KeyError| form("its subject is not a did:key");
    let (signer, fragment) =
        header.kid.split_once('#').ok_or_else(|| form("its key id is not a did:key's"))?;
    let signer = DeviceKey::from_did_key(signer).map_err(did_form)?;
    if did_kid(&signer.did_key()) != header.kid || fragment.is_empty() {
        return Err(form("its key id is not a did:key's"));
    }
    verify(StatementKind::Jwt, signer.as_bytes(), input.as_bytes(), &Signature::from_bytes(signature))
        .map_err(|_| ProofError::Signature)?;
    let subject = IdentityKey::from_did_key(&claims.sub).map_err(did_form)?;
    let identity = if header.halo_chain.is_empty() {
        if subject.as_bytes() != signer.as_bytes() {
            return Err(ProofError::Chain { what: "the signer is not the subject" });
        }
        None
    } else {
        verify_chain(&header.halo_chain, &signer, &subject, expect.now)?;
        Some(subject)
    };
    if claims.aud != expect.audience {
        return Err(ProofError::Audience);
    }
    if claims.nonce.as_deref() != expect.nonce {
        return Err(ProofError::Nonce);
    }
    let now = expect.now.seconds();
    let too_long = claims.exp > claims.iat.saturating_add(LONGEST_LIFE.as_secs());
    if too_long || claims.exp <= now || claims.iat > now.saturating_add(CLOCK_SKEW) {
        return Err(ProofError::Expired);
    }
    Ok(VerifiedProof { subject: claims.sub, identity, name: claims.name })
}

/// Each credential authorises the one before it, and the identity authorises the last.
fn verify_chain(
    links: &[String],
    device: &DeviceKey,
    identity: &IdentityKey,
    now: Timestamp,
) -> Result<(), ProofError> {
    let broken = |what| ProofError::Chain { what };
    if links.len() > LONGEST_CHAIN {
        return Err(broken("it is too long"));
    }
    let mut speaker = *device.as_bytes();
    for link in links {
        let bytes = BASE64URL_NOPAD.decode(link.as_bytes()).map_err(|_| broken("it is not base64url"))?;
        let credential =
            Credential::decode(&bytes).and_then(Credential::verify).map_err(|error| match error {
                CredentialError::Signature(_) => broken("a signature does not fit"),
                _ => broken("a link is not a credential"),
            })?;
        let said = credential.said();
        match &said.assertion {
            Assertion::AuthorizedDevice { identity_key, device_key, .. }
                if identity_key == identity
                    && device_key.as_bytes() == &speaker
                    && said.subject == speaker => {}
            _ => return Err(broken("a link does not authorise this device for this identity")),
        }
        if said.expires.is_some_and(|expires| expires <= now) {
            return Err(broken("a link is over"));
        }
        speaker = said.issuer;
    }
    if &speaker != identity.as_bytes() {
        return Err(broken("it does not lead to the identity"));
    }
    Ok(())
}
