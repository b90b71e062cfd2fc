//! Which app a request is for, and where its answer may go.

use halo_wallet::{AppKind, Asker, Process};
use url::Url;

use super::error::OAuthError;
use crate::address::{Address, is_loopback};
use crate::evidence::{Caller, Sender};

/// Longest id of a native program.
const LONGEST_ID: usize = 128;
/// Longest origin.
const LONGEST_ORIGIN: usize = 272;
/// Longest address an answer is sent to.
const LONGEST_REDIRECT: usize = 2_048;

/// An app. There is no registration: a page is its origin, a program what it calls itself plus its executable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Client {
    /// Origin, or the id a program chose.
    pub(crate) id: String,
    /// Which of the two.
    pub(crate) kind: AppKind,
}

impl Client {
    /// Reads a `client_id`: the canonical origin of a page, or any short printable name for a program.
    pub(crate) fn parse(id: &str) -> Result<Self, OAuthError> {
        let invalid = || OAuthError::new("invalid_client", "client_id is neither an origin nor a short name");
        let scheme = id.split(':').next().unwrap_or_default().to_ascii_lowercase();
        if scheme == "http" || scheme == "https" {
            let url = Url::parse(id).map_err(|_| invalid())?;
            if url.origin().ascii_serialization() != id || id.len() > LONGEST_ORIGIN {
                return Err(OAuthError::new(
                    "invalid_client",
                    "client_id of a web app is its origin, such as https://app.example",
                ));
            }
            return Ok(Self { id: id.to_owned(), kind: AppKind::Web });
        }
        if id.is_empty() || id.len() > LONGEST_ID || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(invalid());
        }
        Ok(Self { id: id.to_owned(), kind: AppKind::Native })
    }

    /// The app that `caller` may act as.
    ///
    /// A page is its origin and nothing else. A program is any native id; it may stand for a web app only if
    /// that is served from this machine, which is how a web app in development has its own back end.
    pub(crate) fn of(caller: &Caller, claimed: Option<&str>) -> Result<Self, OAuthError> {
        if let Some(origin) = caller.origin() {
            if claimed.is_some_and(|claimed| claimed != origin) {
                return Err(OAuthError::new("invalid_client", "client_id of a web app is its origin"));
            }
            return Ok(Self { id: origin.to_owned(), kind: AppKind::Web });
        }
        let claimed = claimed.ok_or_else(|| OAuthError::invalid_request("client_id is missing"))?;
        let client = Self::parse(claimed)?;
        let local = Url::parse(&client.id).is_ok_and(|url| is_loopback(&url));
        if client.kind == AppKind::Web && caller.sender == Sender::Program && !local {
            return Err(OAuthError::new("unauthorized_client", "only a page of that origin can ask this"));
        }
        Ok(client)
    }

    /// Reads a `redirect_uri`: the same origin for a page, loopback at any port for a program (RFC 8252 §7.3).
    ///
    /// # Errors
    /// Whoever gets one of these must not be sent anywhere: the address may be an attacker's.
    pub(crate) fn redirect(&self, text: &str, address: Address) -> Result<Url, OAuthError> {
        let invalid = |why| Err(OAuthError::invalid_request(why));
        if text.len() > LONGEST_REDIRECT {
            return invalid("redirect_uri is too long");
        }
        let Ok(url) = Url::parse(text) else { return invalid("redirect_uri is not an address") };
        if url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
            return invalid("redirect_uri must have neither a fragment nor a user");
        }
        if address.is_mine(&url) {
            return invalid("redirect_uri points at the wallet itself");
        }
        let fits = match self.kind {
            AppKind::Web => {
                url.origin().ascii_serialization() == self.id
                    && (url.scheme() == "https" || is_loopback(&url))
            }
            AppKind::Native => url.scheme() == "http" && is_loopback(&url) && url.port().is_some(),
        };
        if fits { Ok(url) } else { invalid("redirect_uri does not belong to this client") }
    }

    /// The evidence, as the wallet takes it.
    pub(crate) fn asker(
        &self,
        caller: &Caller,
        process: Option<Process>,
        claimed_name: Option<String>,
        instance: Option<String>,
    ) -> Asker {
        Asker {
            client_id: self.id.clone(),
            kind: self.kind,
            process,
            claimed_name,
            // Asked on behalf of a web origin by something that is known not to be a browser.
            impostor: self.kind == AppKind::Web && caller.is_program(),
            instance,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::Owner;

    const ADDRESS: Address = Address { port: 47110 };

    fn page(origin: &str) -> Caller {
        Caller { sender: Sender::Page(origin.into()), owner: Owner::Unsupported }
    }

    fn program() -> Caller {
        Caller { sender: Sender::Program, owner: Owner::Unsupported }
    }

    // threat: 10
    #[test]
    fn a_page_can_only_be_its_own_origin() {
        let evil = page("https://evil.example");
        assert_eq!(Client::of(&evil, None).unwrap().id, "https://evil.example");
        assert!(Client::of(&evil, Some("https://bank.example")).is_err());
        assert!(Client::of(&evil, Some("bank-app")).is_err());
    }

    // threat: 4
    #[test]
    fn a_program_cannot_be_a_web_app_of_the_internet() {
        assert!(Client::of(&program(), Some("https://bank.example")).is_err());
        assert_eq!(Client::of(&program(), Some("http://localhost:3000")).unwrap().kind, AppKind::Web);
        assert_eq!(Client::of(&program(), Some("my-app")).unwrap().kind, AppKind::Native);
        assert!(Client::of(&program(), None).is_err());
    }

    #[test]
    fn client_ids_have_one_form() {
        for bad in [
            "",
            "https://app.example/",
            "https://APP.example",
            "https://app.example:443",
            "HTTPS://app.example",
            "https://user@app.example",
            "http:",
            "with space",
            "ünïcode",
            "\u{202e}",
            &"x".repeat(129),
        ] {
            assert!(Client::parse(bad).is_err(), "{bad}");
        }
        for good in
            ["https://app.example", "http://127.0.0.1:8080", "https://xn--pple-43d.com", "org.example.App"]
        {
            assert!(Client::parse(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn answers_go_to_the_same_origin_or_to_loopback() {
        let web = Client::parse("https://app.example").unwrap();
        assert!(web.redirect("https://app.example/cb?x=1", ADDRESS).is_ok());
        for bad in [
            "https://evil.example/cb",
            "http://app.example/cb",
            "https://app.example.evil.example/cb",
            "https://app.example@evil.example/cb",
            "https://app.example:8443/cb",
            "https://app.example/cb#fragment",
            "javascript:alert(1)",
            "//app.example/cb",
            "/cb",
            "",
        ] {
            assert!(web.redirect(bad, ADDRESS).is_err(), "{bad}");
        }
        let native = Client::parse("my-app").unwrap();
        for good in ["http://127.0.0.1:3000/cb", "http://[::1]:1/", "http://localhost:8080/cb"] {
            assert!(native.redirect(good, ADDRESS).is_ok(), "{good}");
        }
        for bad in [
            "https://app.example/cb",
            "http://127.0.0.1/cb",
            "http://127.0.0.1:47110/token",
            "http://localhost:47110/",
            "my-app:/cb",
        ] {
            assert!(native.redirect(bad, ADDRESS).is_err(), "{bad}");
        }
        let insecure = Client::parse("http://app.example").unwrap();
        assert!(insecure.redirect("http://app.example/cb", ADDRESS).is_err(), "OAuth 2.1 wants TLS");
    }
}
