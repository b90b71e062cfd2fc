//! Connections: where they come in, how many there may be, and how long they may take.

mod connections;
mod door;
mod gate;

use std::net::{Ipv4Addr, Ipv6Addr};

use tokio::net::TcpListener;

use crate::error::BrokerError;

pub(crate) use connections::Connections;
pub(crate) use door::Door;
pub(crate) use gate::gate;

/// The ports where apps look for a wallet.
const FIRST_PORT: u16 = 47110;
const LAST_PORT: u16 = 47114;
/// Tries to find a port that is free on both loopback addresses.
const TRIES: u16 = 16;

/// Listens on 127.0.0.1 and `[::1]` at one port: the given one, or the first free one of five.
///
/// A port counts as taken if either address is: a squatter on the other one would answer half of the apps.
pub(crate) async fn bind(port: Option<u16>) -> Result<(Vec<TcpListener>, u16), BrokerError> {
    let (first, last) = match port {
        Some(0) => {
            for _ in 0..TRIES {
                if let Some(bound) = bind_both(0).await? {
                    return Ok(bound);
                }
            }
            (0, 0)
        }
        Some(port) => (port, port),
        None => (FIRST_PORT, LAST_PORT),
    };
    if first != 0 {
        for port in first..=last {
            if let Some(bound) = bind_both(port).await? {
                return Ok(bound);
            }
        }
    }
    Err(BrokerError::NoPort { first, last })
}

async fn bind_both(port: u16) -> Result<Option<(Vec<TcpListener>, u16)>, BrokerError> {
    let taken = |error: &std::io::Error| error.kind() == std::io::ErrorKind::AddrInUse;
    let v4 = match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
        Ok(listener) => listener,
        Err(error) if taken(&error) => return Ok(None),
        Err(error) => return Err(BrokerError::io("127.0.0.1 cannot be listened on")(error)),
    };
    let port = v4.local_addr().map_err(BrokerError::io("the port cannot be read"))?.port();
    match TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await {
        Ok(v6) => Ok(Some((vec![v4, v6], port))),
        Err(error) if taken(&error) => Ok(None),
        Err(error) => {
            tracing::info!(%error, "no IPv6 on this machine");
            Ok(Some((vec![v4], port)))
        }
    }
}
