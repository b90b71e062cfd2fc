//! How a mesh is run.

use std::net::IpAddr;

use halo_protocol::signal::IceServer;
use url::Url;

use crate::error::MeshError;

/// Servers, the local network, and which paths may be used.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MeshConfig {
    /// Signalling servers, `ws://host:port/signal` or `wss://…`. All are used at once; any one suffices.
    pub servers: Vec<Url>,
    /// Certificates (DER) that are trusted beside the system's: of a KUBE that signed its own.
    pub trusted: Vec<Vec<u8>>,
    /// The local network.
    pub lan: Lan,
    /// Direct paths.
    pub direct: Direct,
    /// STUN and TURN servers beside those that the signalling servers name.
    pub ice: Vec<IceServer>,
}

/// Whether peers on the same network may find each other without a server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Lan {
    /// Neither listen nor look.
    #[default]
    Off,
    /// Serve signalling on the addresses of the local network, say so by mDNS, and look for others.
    On {
        /// The port; 0 for any.
        port: u16,
    },
    /// The same on given addresses and without mDNS: for tests.
    At {
        /// The addresses.
        addresses: Vec<IpAddr>,
        /// The port; 0 for any.
        port: u16,
    },
}

/// Which direct paths may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direct {
    /// Whichever opens.
    #[default]
    Any,
    /// Only through a TURN server, so that peers do not learn this device's address.
    TurnOnly,
    /// None: everything goes through the signalling server.
    Off,
    /// Whichever opens, over the loopback interface too: for tests.
    Loopback,
}

impl MeshConfig {
    /// Checks the addresses of the servers.
    pub(crate) fn check(&self) -> Result<(), MeshError> {
        self.servers.iter().try_for_each(check)
    }
}

/// Checks one server's address.
pub(crate) fn check(url: &Url) -> Result<(), MeshError> {
    let bad = |why| MeshError::BadServer { url: without_secrets(url), why };
    if !matches!(url.scheme(), "ws" | "wss") {
        return Err(bad("it must begin with ws:// or wss://"));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(bad("it names no host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("it carries a user name or password"));
    }
    Ok(())
}

/// An address as it may be shown and logged.
fn without_secrets(url: &Url) -> String {
    let mut url = url.clone();
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_none_of_a_server_is_named_without_what_is_secret_in_it() {
        let check = |text: &str| check(&text.parse().unwrap()).map_err(|error| error.to_string());
        assert_eq!(check("wss://kube.example/signal"), Ok(()));
        assert_eq!(check("ws://[::1]:8080/signal"), Ok(()));
        assert!(check("https://kube.example").unwrap_err().contains("ws://"));
        let error = check("wss://ada:geheim@kube.example/?token=geheim").unwrap_err();
        assert!(error.contains("password") && !error.contains("geheim"), "{error}");
    }
}
