//! Answers that say no, by the names of the specifications.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use halo_wallet::WalletError;
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

/// An error answer (RFC 6749 §5.2 and its descendants).
#[derive(Debug, Clone)]
pub(crate) struct OAuthError {
    status: StatusCode,
    /// The name an app decides by.
    pub(crate) error: &'static str,
    /// For the developer of the app; never a secret, never about the user.
    pub(crate) description: Cow<'static, str>,
    close: bool,
    retry_after: Option<u64>,
    challenge: Option<&'static str>,
}

impl OAuthError {
    pub(crate) fn new(error: &'static str, description: impl Into<Cow<'static, str>>) -> Self {
        let status = match error {
            "invalid_client" | "invalid_token" => StatusCode::UNAUTHORIZED,
            // RFC 6750, section 3.1.
            "insufficient_scope" => StatusCode::FORBIDDEN,
            "locked" | "no_identity" | "temporarily_unavailable" => StatusCode::SERVICE_UNAVAILABLE,
            "server_error" => StatusCode::INTERNAL_SERVER_ERROR,
            "unknown_instance" => StatusCode::NOT_FOUND,
            _ => StatusCode::BAD_REQUEST,
        };
        Self {
            status,
            error,
            description: description.into(),
            close: false,
            retry_after: None,
            challenge: None,
        }
    }

    /// Below OAuth: what HTTP itself has a status for.
    pub(crate) fn status(status: StatusCode, description: &'static str) -> Self {
        let error = match status {
            StatusCode::FORBIDDEN => "forbidden",
            StatusCode::NOT_FOUND => "not_found",
            StatusCode::TOO_MANY_REQUESTS => "too_many_requests",
            _ => "invalid_request",
        };
        Self { status, ..Self::new(error, description) }
    }

    /// The connection ends with this answer.
    pub(crate) fn closing(mut self) -> Self {
        self.close = true;
        self
    }

    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The answer of a resource: names the scheme that would have been right (RFC 6750 §3, RFC 9449 §7.1).
    pub(crate) fn challenging(mut self, scheme: &'static str) -> Self {
        self.status = StatusCode::UNAUTHORIZED;
        self.challenge = Some(scheme);
        self
    }

    pub(crate) fn invalid_request(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new("invalid_request", description)
    }

    pub(crate) fn invalid_grant(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new("invalid_grant", description)
    }

    pub(crate) fn invalid_proof(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new("invalid_dpop_proof", description)
    }

    pub(crate) fn locked() -> Self {
        Self::new("locked", "the wallet is locked")
    }
}

impl From<WalletError> for OAuthError {
    fn from(error: WalletError) -> Self {
        match error {
            WalletError::Locked | WalletError::Closed => Self::locked(),
            WalletError::NoIdentity => Self::new("no_identity", "there is no identity in the wallet yet"),
            WalletError::Busy => Self::new("temporarily_unavailable", "too many requests wait for the user"),
            WalletError::SessionOver | WalletError::NotFound { .. } => {
                Self::invalid_grant("what this stood for is over")
            }
            other => {
                // The words of other errors may speak of the user's machine; the code is enough for an app.
                tracing::warn!(code = other.code(), "the wallet could not answer an app");
                Self::new("server_error", other.code())
            }
        }
    }
}

impl From<std::io::Error> for OAuthError {
    fn from(error: std::io::Error) -> Self {
        tracing::error!(%error, "the system gave no randomness");
        Self::new("server_error", "the system gave no randomness")
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let body = json!({"error": self.error, "error_description": self.description});
        let mut response = (self.status, axum::Json(body)).into_response();
        let headers = response.headers_mut();
        if self.close {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(scheme) = self.challenge {
            let algorithms = if scheme == "DPoP" { ", algs=\"ES256 EdDSA\"" } else { "" };
            let challenge = format!("{scheme} error=\"{}\"{algorithms}", self.error);
            if let Ok(challenge) = HeaderValue::from_str(&challenge) {
                headers.insert(header::WWW_AUTHENTICATE, challenge);
            }
        }
        response
    }
}
