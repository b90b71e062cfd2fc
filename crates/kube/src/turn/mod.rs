//! STUN and TURN: the `turn` crate's server, behind a door that counts.
//!
//! It relays for whoever the signaller gave a name, for a limited time ([`credentials`]); within quotas ([`ledger`]);
//! to the public internet only ([`allowed`]). Strangers are answered by the door, so that they cost no memory.

mod allowed;
mod credentials;
mod door;
mod ledger;
mod relay;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::SystemTime;

use halo_protocol::signal::IceServer;
use tokio::net::UdpSocket;
use turn::server::Server;
use turn::server::config::{ConnConfig, ServerConfig};

pub(crate) use allowed::Reach;
use credentials::Credentials;
use door::{Door, REALM};
use ledger::Ledger;
pub(crate) use ledger::{Counters, Quotas};
use relay::Relays;

use crate::error::KubeError;

/// How TURN is run.
pub(crate) struct TurnConfig {
    /// Where it listens.
    pub(crate) listen: SocketAddr,
    /// The address that clients are told.
    pub(crate) public: IpAddr,
    /// How clients find it: a name or an address.
    pub(crate) host: String,
    pub(crate) reach: Reach,
    pub(crate) quotas: Quotas,
    /// What passwords are derived from.
    pub(crate) secret: [u8; 32],
    /// Ports of ours that nobody shall reach through us.
    pub(crate) own: Vec<u16>,
}

/// A TURN server that runs.
pub(crate) struct Turn {
    server: Server,
    credentials: Credentials,
    ledger: Ledger,
    host: String,
    port: u16,
}

impl Turn {
    pub(crate) async fn start(config: TurnConfig) -> Result<Self, KubeError> {
        let socket = UdpSocket::bind(config.listen)
            .await
            .map_err(|source| KubeError::Listen { address: config.listen, source })?;
        let port = socket.local_addr().map_err(KubeError::system("the TURN socket has no address"))?.port();
        let credentials = Credentials::new(config.secret);
        let ledger = Ledger::new(config.quotas, Arc::new(Counters::default()));
        let key = crate::random()?;
        let mut own = config.own;
        own.push(port);
        let relays = Relays {
            bind: config.listen.ip(),
            public: config.public,
            reach: config.reach,
            ledger: ledger.clone(),
            own,
        };
        let server = Server::new(ServerConfig {
            conn_configs: vec![ConnConfig {
                conn: Arc::new(Door::new(socket, ledger.clone(), key)),
                relay_addr_generator: Box::new(relays),
            }],
            realm: REALM.to_owned(),
            auth_handler: Arc::new(credentials.clone()),
            channel_bind_timeout: std::time::Duration::ZERO,
            alloc_close_notify: None,
        })
        .await
        .map_err(|error| KubeError::Turn { what: error.to_string() })?;
        Ok(Self { server, credentials, ledger, host: config.host, port })
    }

    /// What a client is told, with a name of its own.
    pub(crate) fn servers(&self) -> Vec<IceServer> {
        // Without randomness nobody gets a name; the relay through the signaller remains.
        let Ok(nonce) = crate::random() else { return Vec::new() };
        let issued = self.credentials.issue(SystemTime::now(), nonce);
        let stun = IceServer {
            urls: vec![format!("stun:{}:{}", self.host, self.port)],
            username: String::new(),
            credential: String::new(),
        };
        let turn =
            IceServer { urls: vec![self.url()], username: issued.username, credential: issued.password };
        vec![stun, turn]
    }

    /// Its address, as clients of WebRTC write it.
    pub(crate) fn url(&self) -> String {
        format!("turn:{}:{}?transport=udp", self.host, self.port)
    }

    pub(crate) fn counters(&self) -> &Counters {
        self.ledger.counters()
    }

    /// How many relayed addresses there are.
    pub(crate) fn allocations(&self) -> usize {
        self.ledger.altogether()
    }

    pub(crate) async fn close(&self) {
        // It is gone already, otherwise.
        let _ = self.server.close().await;
    }
}
