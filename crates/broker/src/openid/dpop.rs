//! DPoP: proofs that whoever calls holds the key of an app instance (RFC 9449).
//!
//! A proof is for one method, one path, one minute and one use. Used ones are remembered for as long as they
//! would be taken; if there is no room, new ones are refused, since forgetting would let one be replayed.
//! Proofs from before this process began are refused: an earlier one may have seen them.

use std::collections::HashMap;
use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use halo_protocol::Timestamp;
use http::{HeaderMap, Method};
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::error::OAuthError;
use super::jwk::PublicJwk;
use crate::clock;
use crate::limits::lock;
use crate::secret::{Digest32, digest, digest_base64, same};
use crate::state::Face;

/// How far the clocks of app and wallet, which are the same machine's, may be apart, in seconds.
const WINDOW: u64 = 60;
/// Longest proof.
const LONGEST: usize = 4 * 1024;
/// Longest `jti`.
const LONGEST_JTI: usize = 256;
/// Used proofs remembered: twice the window at the rate one source may ask with, several times over.
const MOST_SEEN: usize = 64 * 1024;

/// Proofs that were used.
#[derive(Default)]
pub(super) struct Seen(HashMap<Digest32, u64>);

impl Seen {
    /// Remembers a proof until `until` (seconds); `false` if it was used before or there is no room.
    fn insert(&mut self, proof: Digest32, until: u64, now: u64) -> bool {
        if self.0.len() >= MOST_SEEN {
            self.0.retain(|_, until| *until >= now);
        }
        if self.0.len() >= MOST_SEEN || self.0.contains_key(&proof) {
            return false;
        }
        self.0.insert(proof, until);
        true
    }

    pub(super) fn expire(&mut self, now: Timestamp) {
        let now = now.seconds();
        self.0.retain(|_, until| *until >= now);
    }
}

#[derive(Deserialize)]
struct Head {
    typ: String,
    alg: String,
    jwk: Value,
}

#[derive(Deserialize)]
pub(super) struct Claims {
    jti: String,
    htm: String,
    htu: String,
    iat: u64,
    #[serde(default)]
    ath: Option<String>,
}

/// Checks the proof of a request, if it has one, and returns the thumbprint of its key.
///
/// `token` is the access token that the request carries, if it is a resource that is asked for.
pub(super) fn instance(
    face: &Arc<Face>,
    headers: &HeaderMap,
    method: &Method,
    path: &str,
    token: Option<&str>,
) -> Result<Option<String>, OAuthError> {
    let mut proofs = headers.get_all("dpop").iter();
    let Some(proof) = proofs.next() else { return Ok(None) };
    if proofs.next().is_some() {
        return Err(OAuthError::invalid_proof("there is more than one proof"));
    }
    let proof = proof.to_str().map_err(|_| OAuthError::invalid_proof("the proof is not a JWT"))?;
    check(face, proof, method, path, token).map(Some)
}

/// Checks one proof and uses it up.
pub(super) fn check(
    face: &Arc<Face>,
    proof: &str,
    method: &Method,
    path: &str,
    token: Option<&str>,
) -> Result<String, OAuthError> {
    let invalid = OAuthError::invalid_proof;
    let (thumbprint, claims) = verify(proof)?;
    if claims.htm != method.as_str() {
        return Err(invalid("htm is another method"));
    }
    let target = Url::parse(&claims.htu).map_err(|_| invalid("htu is not an address"))?;
    if !face.address.is_mine(&target) || target.path() != path {
        return Err(invalid("htu is another address"));
    }
    let now = clock::now().seconds();
    if claims.iat.abs_diff(now) > WINDOW {
        return Err(invalid("iat is not now"));
    }
    if claims.iat < face.since.seconds() {
        return Err(invalid("the proof is older than this wallet has run: make a new one"));
    }
    match (token, &claims.ath) {
        (Some(token), Some(ath)) if same(ath, &digest_base64(token.as_bytes())) => {}
        (Some(_), _) => return Err(invalid("ath is not the hash of the token")),
        (None, _) => {}
    }
    if claims.jti.is_empty() || claims.jti.len() > LONGEST_JTI {
        return Err(invalid("jti must have 1 to 256 bytes"));
    }
    let name = digest(format!("{thumbprint} {}", claims.jti).as_bytes());
    if !lock(&face.openid.seen).insert(name, claims.iat.saturating_add(WINDOW), now) {
        return Err(invalid("the proof was used before"));
    }
    Ok(thumbprint)
}

/// Checks form and signature; what the claims mean is left to the caller.
pub(super) fn verify(proof: &str) -> Result<(String, Claims), OAuthError> {
    let invalid = OAuthError::invalid_proof;
    if proof.len() > LONGEST {
        return Err(invalid("the proof is too long"));
    }
    let (message, signature) = proof.rsplit_once('.').ok_or_else(|| invalid("the proof is not a JWT"))?;
    let (head, claims) = message.split_once('.').ok_or_else(|| invalid("the proof is not a JWT"))?;
    let head: Head = part(head)?;
    if head.typ != "dpop+jwt" {
        return Err(invalid("typ must be dpop+jwt"));
    }
    let jwk =
        PublicJwk::read(&head.jwk).ok_or_else(|| invalid("jwk must be a public P-256 or Ed25519 key"))?;
    let (algorithm, key) = match (&jwk, head.alg.as_str()) {
        (PublicJwk::Ec { x, y }, "ES256") => (Algorithm::ES256, DecodingKey::from_ec_components(x, y)),
        (PublicJwk::Okp { x }, "EdDSA" | "Ed25519") => (Algorithm::EdDSA, DecodingKey::from_ed_components(x)),
        _ => return Err(invalid("alg must be ES256 or EdDSA, and fit the key")),
    };
    let key = key.map_err(|_| invalid("jwk is not a key"))?;
    if !crypto::verify(signature, message.as_bytes(), &key, algorithm).unwrap_or(false) {
        return Err(invalid("the signature is not right"));
    }
    Ok((jwk.thumbprint(), part(claims)?))
}

fn part<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, OAuthError> {
    BASE64URL_NOPAD
        .decode(text.as_bytes())
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .ok_or_else(|| OAuthError::invalid_proof("the proof is not a JWT of the right form"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn used_proofs_are_bounded_and_never_forgotten_early() {
        let mut seen = Seen::default();
        let name = |n: usize| digest(&n.to_be_bytes());
        for n in 0..MOST_SEEN {
            assert!(seen.insert(name(n), 100, 50));
        }
        assert!(!seen.insert(name(0), 100, 50), "used before");
        assert!(!seen.insert(name(MOST_SEEN), 100, 50), "no room: refused, nothing is forgotten");
        assert!(seen.insert(name(MOST_SEEN), 200, 101), "the others are too old by now");
        assert!(seen.0.len() <= MOST_SEEN);
    }

    proptest! {
        // threat: 21
        #[test]
        fn no_text_passes_for_a_proof(text in "[A-Za-z0-9_.-]{0,200}") {
            prop_assert!(verify(&text).is_err());
        }
    }
}
