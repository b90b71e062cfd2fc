//! DPoP: proofs that whoever calls holds the key of an app instance (RFC 9449).
//!
//! A proof is for one method, one path, one minute and one use. Used ones are remembered for as long as they
//! would be taken; if there is no room, new ones are refused, since forgetting would let one be replayed.
//! Proofs from before this process began are refused: an earlier one may have seen them.
//!
//! Room is shared out: who asks has a share of its own that nobody else can use up, and beyond that takes from what all have
//! together. So whoever fills it, and be it all sources but one together, keeps nobody else from signing in. Where a proof
//! was used does not matter: it works once.

use std::collections::HashMap;
use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use halo_protocol::Timestamp;
use http::{HeaderMap, Method, StatusCode};
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::error::OAuthError;
use super::jwk::PublicJwk;
use crate::clock;
use crate::evidence::Caller;
use crate::limits::lock;
use crate::secret::{Digest32, digest, digest_base64, same};
use crate::state::Face;

/// How far the clocks of app and wallet, which are the same machine's, may be apart, in seconds.
const WINDOW: u64 = 60;
/// Longest proof.
const LONGEST: usize = 4 * 1024;
/// Longest `jti`.
const LONGEST_JTI: usize = 256;
/// Used proofs of one source, such as an app, for which there is always room: more than a sign-in needs in the minute that they count.
const OWN_SHARE: usize = 64;
/// Sources that have a share at once.
const MOST_SOURCES: usize = 512;
/// Used proofs beyond those shares, of all sources together.
const MOST_COMMON: usize = 32 * 1024;
/// Used proofs of one source: more than one a second for each of sixty tabs.
const MOST_OF_ONE: usize = 4 * 1024;

/// Proofs that were used, and by whom.
#[derive(Default)]
pub(super) struct Seen {
    used: HashMap<Digest32, Used>,
    /// How many of them each source used.
    shares: HashMap<Digest32, usize>,
    /// When those that do not count any more were last forgotten, in seconds.
    swept: u64,
}

#[derive(Clone, Copy)]
struct Used {
    /// Until when it would be taken, in seconds.
    until: u64,
    by: Digest32,
}

/// Why a proof is not taken.
#[derive(Debug, PartialEq, Eq)]
enum Unusable {
    /// It was used before.
    Before,
    /// Its source has used up its share.
    NoRoom,
}

impl Seen {
    /// Remembers that a source used a proof, until `until`; times are in seconds.
    fn insert(&mut self, proof: Digest32, by: Digest32, until: u64, now: u64) -> Result<(), Unusable> {
        if self.used.contains_key(&proof) {
            return Err(Unusable::Before);
        }
        if !self.has_room(&by) {
            // Once a second: who is refused is not to make this busy.
            if self.swept < now {
                self.sweep(now);
            }
            if !self.has_room(&by) {
                return Err(Unusable::NoRoom);
            }
        }
        self.used.insert(proof, Used { until, by });
        *self.shares.entry(by).or_default() += 1;
        Ok(())
    }

    fn has_room(&self, by: &Digest32) -> bool {
        match self.shares.get(by) {
            None => self.shares.len() < MOST_SOURCES,
            Some(share) if *share < OWN_SHARE => true,
            Some(share) => *share < MOST_OF_ONE && self.common() < MOST_COMMON,
        }
    }

    fn common(&self) -> usize {
        self.shares.values().map(|share| share.saturating_sub(OWN_SHARE)).sum()
    }

    fn sweep(&mut self, now: u64) {
        self.used.retain(|_, used| used.until >= now);
        self.shares.clear();
        for used in self.used.values() {
            *self.shares.entry(used.by).or_default() += 1;
        }
        self.swept = now;
    }

    pub(super) fn expire(&mut self, now: Timestamp) {
        self.sweep(now.seconds());
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
    caller: &Caller,
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
    check(face, caller, proof, method, path, token).map(Some)
}

/// Checks one proof and uses it up.
pub(super) fn check(
    face: &Arc<Face>,
    caller: &Caller,
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
    let by = digest(caller.limited_as().as_bytes());
    match lock(&face.openid.seen).insert(name, by, claims.iat.saturating_add(WINDOW), now) {
        Ok(()) => Ok(thumbprint),
        Err(Unusable::Before) => Err(invalid("the proof was used before")),
        Err(Unusable::NoRoom) => {
            tracing::warn!("proofs of one source are refused, since it used too many");
            Err(OAuthError::status(StatusCode::TOO_MANY_REQUESTS, "too many proofs were used")
                .retry_after(WINDOW))
        }
    }
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

    fn name(kind: &str, n: usize) -> Digest32 {
        digest(format!("{kind} {n}").as_bytes())
    }

    /// As many proofs as a source can use; how many those are.
    fn fill(seen: &mut Seen, by: usize) -> usize {
        let proof = |n: usize| name("proof", by * 10_000 + n);
        (0..MOST_OF_ONE + 1).take_while(|n| seen.insert(proof(*n), name("by", by), 100, 50).is_ok()).count()
    }

    // threat: 9
    #[test]
    fn used_proofs_are_bounded_and_never_forgotten_early() {
        let mut seen = Seen::default();
        let most = MOST_COMMON + MOST_SOURCES * OWN_SHARE;
        let all: usize = (0..2 * MOST_SOURCES).map(|by| fill(&mut seen, by)).sum();
        assert_eq!((all, seen.used.len(), seen.shares.len()), (most, most, MOST_SOURCES));
        // Whoever it was that used a proof: nobody uses it again.
        for by in [0, 1, MOST_SOURCES] {
            assert_eq!(seen.insert(name("proof", 0), name("by", by), 100, 50), Err(Unusable::Before));
        }
        assert_eq!(seen.insert(name("proof", usize::MAX), name("by", 0), 100, 50), Err(Unusable::NoRoom));
        assert_eq!(
            seen.insert(name("proof", usize::MAX), name("by", 0), 200, 101),
            Ok(()),
            "the others are too old"
        );
        assert_eq!((seen.used.len(), seen.shares.len()), (1, 1));
    }

    // threat: 11
    #[test]
    fn whoever_fills_the_room_for_proofs_keeps_nobody_else_out() {
        let mut seen = Seen::default();
        for by in 0..MOST_SOURCES - 1 {
            assert!(fill(&mut seen, by) >= OWN_SHARE);
        }
        assert_eq!(seen.insert(name("proof", usize::MAX), name("by", 0), 100, 50), Err(Unusable::NoRoom));
        assert_eq!(fill(&mut seen, MOST_SOURCES), OWN_SHARE, "who comes now has a share all the same");
    }

    #[test]
    fn one_source_alone_leaves_most_of_the_room_to_others() {
        let mut seen = Seen::default();
        assert_eq!(fill(&mut seen, 0), MOST_OF_ONE);
        assert_eq!(fill(&mut seen, 1), MOST_OF_ONE);
    }

    proptest! {
        // threat: 21
        #[test]
        fn no_text_passes_for_a_proof(text in "[A-Za-z0-9_.-]{0,200}") {
            prop_assert!(verify(&text).is_err());
        }
    }
}
