//! Public keys as JSON, and `/jwks`.
//!
//! Each app's ID tokens are signed by a key of its own, and `/jwks` shows a caller only the keys of its own
//! apps: a key that two apps could see would link the user between them.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use data_encoding::BASE64URL_NOPAD;
use halo_protocol::ClientKey;
use halo_wallet::AppKind;
use serde_json::{Value, json};

use super::error::OAuthError;
use crate::evidence::{Caller, Source};
use crate::limits::lock;
use crate::secret::digest_base64;
use crate::state::Face;

/// RFC 7638 thumbprint of an Ed25519 key: the members in order, without white space.
fn thumbprint_of_okp(x: &str) -> String {
    digest_base64(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#).as_bytes())
}

/// RFC 7638 thumbprint of a P-256 key.
fn thumbprint_of_ec(x: &str, y: &str) -> String {
    digest_base64(format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#).as_bytes())
}

/// A public key out of the head of a DPoP proof.
pub(super) enum PublicJwk<'a> {
    /// Ed25519.
    Okp { x: &'a str },
    /// P-256.
    Ec { x: &'a str, y: &'a str },
}

impl<'a> PublicJwk<'a> {
    /// Reads a key; one with private members is refused, since then it is no secret (RFC 9449 §4.3).
    pub(super) fn read(jwk: &'a Value) -> Option<Self> {
        const PRIVATE: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "k"];
        if PRIVATE.into_iter().any(|member| jwk.get(member).is_some()) {
            return None;
        }
        // 32 bytes are 43 letters; other lengths are other encodings of a key, with other thumbprints.
        let coordinate = |name| {
            let text = jwk.get(name)?.as_str()?;
            (text.len() == 43 && BASE64URL_NOPAD.decode(text.as_bytes()).is_ok()).then_some(text)
        };
        match (jwk.get("kty")?.as_str()?, jwk.get("crv")?.as_str()?) {
            ("OKP", "Ed25519") => Some(Self::Okp { x: coordinate("x")? }),
            ("EC", "P-256") => Some(Self::Ec { x: coordinate("x")?, y: coordinate("y")? }),
            _ => None,
        }
    }

    pub(super) fn thumbprint(&self) -> String {
        match self {
            Self::Okp { x } => thumbprint_of_okp(x),
            Self::Ec { x, y } => thumbprint_of_ec(x, y),
        }
    }
}

/// A client key as JSON Web Key.
pub(super) fn public(key: &ClientKey) -> Value {
    json!({
        "kty": "OKP",
        "crv": "Ed25519",
        "x": BASE64URL_NOPAD.encode(key.as_bytes()),
        "kid": BASE64URL_NOPAD.encode(&halo_protocol::presentation::thumbprint(key)),
        "alg": "EdDSA",
        "use": "sig",
    })
}

/// `GET /jwks`: the keys of the caller's own apps.
pub(super) async fn jwks(
    State(face): State<Arc<Face>>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, OAuthError> {
    if !face.is_open() {
        return Err(OAuthError::locked());
    }
    let mut clients = match caller.source() {
        Some(Source::Origin(origin)) => {
            let snapshot = face.wallet.snapshot();
            let granted =
                snapshot.grants.values().any(|grant| grant.kind == AppKind::Web && grant.client_id == origin);
            if granted { vec![origin] } else { Vec::new() }
        }
        Some(Source::Program(path)) => {
            let snapshot = face.wallet.snapshot();
            let mut clients: Vec<String> = snapshot
                .grants
                .values()
                .filter(|grant| grant.kind == AppKind::Native && grant.process.as_ref() == Some(&path))
                .map(|grant| grant.client_id.clone())
                .collect();
            clients.extend(lock(&face.openid.sessions).clients_of(&Source::Program(path)));
            clients
        }
        Some(source @ (Source::Untold | Source::Impostor { .. })) => {
            lock(&face.openid.sessions).clients_of(&source)
        }
        None => Vec::new(),
    };
    clients.sort();
    clients.dedup();
    let mut keys = Vec::with_capacity(clients.len());
    for client in clients {
        keys.push(public(&face.wallet.client_key(&client).await?));
    }
    Ok(axum::Json(json!({ "keys": keys })).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thumbprint_is_that_of_the_specification() {
        // RFC 8037, appendix A.3.
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        assert_eq!(thumbprint_of_okp(x), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    // threat: 9
    #[test]
    fn a_private_or_odd_key_is_no_instance_key() {
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        let key = json!({"kty": "OKP", "crv": "Ed25519", "x": x});
        assert!(PublicJwk::read(&key).is_some());
        for bad in [
            json!({"kty": "OKP", "crv": "Ed25519", "x": x, "d": x}),
            json!({"kty": "oct", "k": x}),
            json!({"kty": "RSA", "n": x, "e": "AQAB"}),
            json!({"kty": "EC", "crv": "P-384", "x": x, "y": x}),
            json!({"kty": "EC", "crv": "P-256", "x": x}),
            json!({"kty": "OKP", "crv": "Ed25519", "x": format!("{x}=")}),
            json!({"kty": "OKP", "crv": "X25519", "x": x}),
            json!(null),
        ] {
            assert!(PublicJwk::read(&bad).is_none(), "{bad}");
        }
    }
}
