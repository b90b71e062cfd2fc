//! What the head of a request says about who sent it.
//!
//! A browser says where a request comes from, in `Origin` and `Sec-Fetch-*`, which pages cannot write.
//! `Host` must be a loopback name with our port (DNS rebinding dies here). A browser without `Origin` is let
//! in to the approval page only: as the user's own navigation, and as that page's own requests.

use http::{HeaderMap, Method, Uri, header};
use url::Url;

use crate::address::Address;

/// Paths of the approval page; no other page may read them.
const PAGE: &str = "/authorize";
/// Longest origin: a domain has at most 253 letters (RFC 1035), a scheme and a port a few.
const LONGEST_ORIGIN: usize = 272;

/// Why a request is turned away before anybody looks at what it wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It was sent to somebody else's name: DNS rebinding.
    Misdirected,
    /// `Origin: null`: a sandboxed frame, a local file, or a redirect across origins.
    NullOrigin,
    /// An origin that no browser would send.
    BadOrigin,
    /// It comes from a browser, which says `Origin` where this came from, and does not say it.
    MissingOrigin,
    /// A page asks for something that only the approval page may have.
    ForeignPage,
}

/// What the head says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sender {
    /// A page with this origin.
    Page(String),
    /// The user's navigation to the approval page, or that page itself.
    Approval,
    /// A program: neither `Origin` nor anything else only browsers send.
    Program,
}

/// Reads the head of a request.
pub(crate) fn read(
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    address: Address,
    over_unix_socket: bool,
    from_browser: bool,
) -> Result<Sender, Fault> {
    let host = single(headers, header::HOST.as_str()).ok_or(Fault::Misdirected)?;
    let named_elsewhere =
        uri.authority().is_some_and(|authority| !address.is_host(authority.as_str(), over_unix_socket));
    if !address.is_host(host, over_unix_socket) || named_elsewhere {
        return Err(Fault::Misdirected);
    }
    let path = uri.path();
    let on_page = path == PAGE || path.strip_prefix(PAGE).is_some_and(|rest| rest.starts_with('/'));
    if headers.contains_key(header::ORIGIN) {
        let origin = single(headers, header::ORIGIN.as_str()).ok_or(Fault::BadOrigin)?;
        if origin == "null" {
            return Err(Fault::NullOrigin);
        }
        let canonical = web_origin(origin)
            .filter(|canonical| canonical == origin && canonical.len() <= LONGEST_ORIGIN)
            .ok_or(Fault::BadOrigin)?;
        return match (on_page, address.is_own_origin(&canonical)) {
            (true, true) => Ok(Sender::Approval),
            (true, false) | (false, true) => Err(Fault::ForeignPage),
            (false, false) => Ok(Sender::Page(canonical)),
        };
    }
    let fetch = |name| single(headers, name);
    // Not `sec-fetch-mode`: Node's fetch sends that one as well.
    let says_fetch = headers.contains_key("sec-fetch-site") || headers.contains_key("sec-fetch-dest");
    if !says_fetch && !from_browser {
        return Ok(Sender::Program);
    }
    if method != Method::GET || !on_page {
        return Err(Fault::MissingOrigin);
    }
    let fits = if path == PAGE {
        // A frame or an image is not the user's navigation.
        fetch("sec-fetch-mode") == Some("navigate") && fetch("sec-fetch-dest") == Some("document")
    } else {
        fetch("sec-fetch-site") == Some("same-origin")
    };
    // Browsers of before 2023 say nothing; the page's secrets are unguessable and unreadable across origins.
    if fits || !says_fetch { Ok(Sender::Approval) } else { Err(Fault::ForeignPage) }
}

/// The canonical form of a web origin: `https://app.example`, without a path.
pub(crate) fn web_origin(text: &str) -> Option<String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let anonymous = url.username().is_empty() && url.password().is_none();
    (bare && anonymous).then(|| url.origin().ascii_serialization())
}

fn single<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: Address = Address { port: 47110 };

    fn head(
        method: &str,
        path: &str,
        lines: &[(&'static str, &str)],
        browser: bool,
    ) -> Result<Sender, Fault> {
        let mut headers = HeaderMap::new();
        headers.insert("host", "127.0.0.1:47110".parse().unwrap());
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        let method: Method = method.parse().unwrap();
        read(&method, &path.parse().unwrap(), &headers, ADDRESS, false, browser)
    }

    // threat: 3
    #[test]
    fn a_null_or_odd_origin_is_refused() {
        assert_eq!(head("POST", "/token", &[("origin", "null")], true), Err(Fault::NullOrigin));
        for odd in [
            "https://app.example/",
            "https://APP.example",
            "https://app.example:443",
            "https://a@app.example",
            "file://",
            "chrome-extension://abcdefgh",
            "app.example",
            &format!("https://{}example", "a.".repeat(1_000)),
            "",
        ] {
            assert_eq!(head("POST", "/token", &[("origin", odd)], true), Err(Fault::BadOrigin), "{odd}");
        }
        let two = [("origin", "https://a.example"), ("origin", "https://b.example")];
        assert_eq!(head("POST", "/token", &two, true), Err(Fault::BadOrigin));
    }

    // threat: 3
    #[test]
    fn a_browser_without_origin_gets_the_approval_page_only() {
        for path in ["/token", "/par", "/jwks", "/.well-known/halo", "/userinfo", "/halo"] {
            assert_eq!(head("GET", path, &[], true), Err(Fault::MissingOrigin), "{path}");
            let image = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")];
            assert_eq!(head("GET", path, &image, false), Err(Fault::MissingOrigin), "{path}");
        }
        let go = [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        ];
        assert_eq!(head("GET", "/authorize?x=1", &go, true), Ok(Sender::Approval));
        let frame = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")];
        assert_eq!(head("GET", "/authorize", &frame, true), Err(Fault::ForeignPage));
        assert_eq!(
            head("GET", "/authorize/status", &[("sec-fetch-site", "same-origin")], true),
            Ok(Sender::Approval)
        );
        assert_eq!(
            head("GET", "/authorize/status", &[("sec-fetch-site", "cross-site")], true),
            Err(Fault::ForeignPage)
        );
        assert_eq!(head("POST", "/authorize", &go, true), Err(Fault::MissingOrigin));
    }

    #[test]
    fn a_page_can_neither_pose_as_the_broker_nor_read_the_approval_page() {
        let own = [("origin", "http://127.0.0.1:47110")];
        assert_eq!(head("POST", "/token", &own, true), Err(Fault::ForeignPage));
        assert_eq!(head("GET", "/authorize/status", &own, true), Ok(Sender::Approval));
        let other = [("origin", "https://app.example")];
        assert_eq!(head("GET", "/authorize/status", &other, true), Err(Fault::ForeignPage));
        assert_eq!(head("POST", "/token", &other, true), Ok(Sender::Page("https://app.example".into())));
    }

    // threat: 2
    #[test]
    fn a_host_must_be_named_once_and_be_ours() {
        assert_eq!(head("GET", "/jwks", &[("host", "127.0.0.1:47110")], false), Err(Fault::Misdirected));
        assert_eq!(head("GET", "http://evil.example/jwks", &[], false), Err(Fault::Misdirected));
        assert_eq!(head("GET", "/jwks", &[], false), Ok(Sender::Program));
        let node = [("sec-fetch-mode", "cors")];
        assert_eq!(head("GET", "/jwks", &node, false), Ok(Sender::Program), "as Node's fetch does");
    }
}
