//! Parameters of a request, as a form or as a query.

use axum::body::Bytes;
use http::{HeaderMap, header};

use super::error::OAuthError;
use crate::secret::Secret;

/// More parameters than any request needs.
const MOST: usize = 64;

/// The parameters of one request, each of which came once.
pub(crate) struct Params(Vec<(String, Secret)>);

impl Params {
    /// Reads a query or a form. An empty value counts as absent (RFC 6749 §3.1); a repeated name is an error.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, OAuthError> {
        let mut params: Vec<(String, Secret)> = Vec::new();
        for (name, value) in url::form_urlencoded::parse(text) {
            if params.len() >= MOST {
                return Err(OAuthError::invalid_request("too many parameters"));
            }
            if params.iter().any(|(other, _)| *other == name) {
                return Err(OAuthError::invalid_request("a parameter came twice"));
            }
            params.push((name.into_owned(), Secret::new(value.into_owned())));
        }
        Ok(Self(params))
    }

    /// Reads the body of a `POST`.
    pub(crate) fn of_form(headers: &HeaderMap, body: &Bytes) -> Result<Self, OAuthError> {
        let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(OAuthError::invalid_request("the body must be application/x-www-form-urlencoded"));
        }
        if headers.contains_key(header::AUTHORIZATION) {
            return Err(OAuthError::new("invalid_client", "clients are public: send client_id, no secret"));
        }
        let params = Self::parse(body)?;
        if ["client_secret", "client_assertion"].into_iter().any(|name| params.get(name).is_some()) {
            return Err(OAuthError::new("invalid_client", "clients are public: send client_id, no secret"));
        }
        Ok(params)
    }

    /// A parameter, if it came and is not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.expose())
            .filter(|value| !value.is_empty())
    }

    /// A parameter of at most `longest` bytes.
    pub(crate) fn short(&self, name: &'static str, longest: usize) -> Result<Option<&str>, OAuthError> {
        match self.get(name) {
            Some(value) if value.len() > longest => {
                Err(OAuthError::invalid_request(format!("{name} is longer than {longest} bytes")))
            }
            value => Ok(value),
        }
    }

    /// A parameter that must be there.
    pub(crate) fn need(&self, name: &'static str) -> Result<&str, OAuthError> {
        self.get(name).ok_or_else(|| OAuthError::invalid_request(format!("{name} is missing")))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_parameter_comes_once() {
        let params = Params::parse(b"a=1&b=&c=%C3%A9").unwrap();
        assert_eq!((params.get("a"), params.get("b"), params.get("c")), (Some("1"), None, Some("é")));
        assert!(Params::parse(b"a=1&a=1").is_err(), "even with the same value");
        assert!(Params::parse(b"a=1&a=").is_err());
    }

    // threat: 21
    #[test]
    fn the_number_of_parameters_is_bounded() {
        let many: String = (0..1_000).map(|n| format!("p{n}=1&")).collect();
        assert!(Params::parse(many.as_bytes()).is_err());
    }

    proptest! {
        // threat: 21
        #[test]
        fn no_bytes_make_the_parser_fail_otherwise_than_by_an_error(bytes: Vec<u8>) {
            if let Ok(params) = Params::parse(&bytes) {
                let _ = params.get("client_id");
                prop_assert!(params.0.len() <= MOST);
            }
        }
    }
}
