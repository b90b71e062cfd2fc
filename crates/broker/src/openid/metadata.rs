//! What anybody may know: where things are and what is spoken. Nothing about the user.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use halo_wallet::Scope;
use serde_json::{Value, json};

use crate::state::Face;

/// `GET /.well-known/openid-configuration` (OpenID Connect Discovery, RFC 8414, RFC 9126, RFC 9449, CIBA).
pub(super) async fn openid_configuration(State(face): State<Arc<Face>>) -> Json<Value> {
    let at = |path| face.address.endpoint(path);
    Json(json!({
        "issuer": face.address.issuer(),
        "authorization_endpoint": at("/authorize"),
        "token_endpoint": at("/token"),
        "userinfo_endpoint": at("/userinfo"),
        "jwks_uri": at("/jwks"),
        "revocation_endpoint": at("/revoke"),
        "pushed_authorization_request_endpoint": at("/par"),
        "require_pushed_authorization_requests": false,
        "backchannel_authentication_endpoint": at("/bc-authorize"),
        "backchannel_token_delivery_modes_supported": ["poll"],
        "backchannel_user_code_parameter_supported": false,
        "scopes_supported": Scope::ALL.map(Scope::as_str),
        "claims_supported": ["sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "name", "picture"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": [
            "authorization_code",
            "refresh_token",
            "urn:openid:params:grant-type:ciba",
        ],
        "prompt_values_supported": ["none", "login", "consent"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["EdDSA"],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "code_challenge_methods_supported": ["S256"],
        "dpop_signing_alg_values_supported": ["ES256", "EdDSA", "Ed25519"],
        "authorization_response_iss_parameter_supported": true,
        "claims_parameter_supported": false,
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
    }))
}

/// `GET /.well-known/halo`.
pub(super) async fn halo(State(face): State<Arc<Face>>) -> Json<Value> {
    let at = |path| face.address.endpoint(path);
    Json(json!({
        "name": "HALO",
        "version": env!("CARGO_PKG_VERSION"),
        "endpoints": {
            "openid_configuration": at("/.well-known/openid-configuration"),
            "hello": at("/halo/hello"),
            "reveal": at("/halo/reveal"),
            "live": face.address.endpoint("/halo").replacen("http:", "ws:", 1),
        },
    }))
}
