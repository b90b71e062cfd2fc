//! Where this broker can be reached, and which names for that place are honest.
//!
//! A page of an attacker can make its own domain resolve to 127.0.0.1 (DNS rebinding); the browser then sends
//! that domain as `Host`. Only names that can never point anywhere else are taken.

use url::{Host, Url};

/// The port this broker listens on, and what follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) port: u16,
}

impl Address {
    /// The issuer of ID tokens, and the base of every endpoint.
    pub(crate) fn issuer(self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The URL of one endpoint.
    pub(crate) fn endpoint(self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Whether a `Host` header names this place. Over a Unix socket there is no port to name.
    pub(crate) fn is_host(self, host: &str, over_unix_socket: bool) -> bool {
        let host = host.to_ascii_lowercase();
        ["127.0.0.1", "[::1]", "localhost"].into_iter().any(|name| match host.strip_prefix(name) {
            Some("") => over_unix_socket || self.port == 80,
            Some(rest) => rest.strip_prefix(':').is_some_and(|port| port == self.port.to_string()),
            None => false,
        })
    }

    /// Whether a URL points at this broker.
    pub(crate) fn is_mine(self, url: &Url) -> bool {
        url.scheme() == "http" && url.port_or_known_default() == Some(self.port) && is_loopback(url)
    }

    /// Whether an origin is this broker's own.
    pub(crate) fn is_own_origin(self, origin: &str) -> bool {
        Url::parse(origin).is_ok_and(|url| self.is_mine(&url))
    }
}

/// Whether a URL points at this machine, by a name that cannot point elsewhere.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(domain)) => domain == "localhost" || domain.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // threat: 2
    #[test]
    fn only_loopback_names_with_our_port_are_hosts() {
        let address = Address { port: 47110 };
        for good in ["127.0.0.1:47110", "[::1]:47110", "localhost:47110", "LOCALHOST:47110"] {
            assert!(address.is_host(good, false), "{good}");
        }
        for bad in [
            "127.0.0.1",
            "127.0.0.1:47111",
            "127.0.0.1:",
            "127.0.0.1:047110",
            "evil.example:47110",
            "localhost.evil.example:47110",
            "localhost:47110.evil.example",
            "127.0.0.1.evil.example:47110",
            "127.0.0.2:47110",
            "0.0.0.0:47110",
            "",
        ] {
            assert!(!address.is_host(bad, false), "{bad}");
        }
        assert!(address.is_host("localhost", true), "a socket has no port");
        assert!(!address.is_host("evil.example", true));
    }
}
