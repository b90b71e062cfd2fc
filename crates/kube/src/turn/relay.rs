//! Relayed addresses: a socket each, that reaches only what it may, and only so fast.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use tokio::net::UdpSocket;
use turn::relay::RelayAddressGenerator;
use webrtc_util::Conn;

use super::allowed::Reach;
use super::door::unsupported;
use super::ledger::{Lease, Ledger};

/// Makes relayed addresses.
pub(super) struct Relays {
    /// Where sockets are bound.
    pub(super) bind: IpAddr,
    /// What clients are told.
    pub(super) public: IpAddr,
    pub(super) reach: Reach,
    pub(super) ledger: Ledger,
    /// Our own ports, that nobody shall reach through us.
    pub(super) own: Vec<u16>,
}

#[async_trait]
impl RelayAddressGenerator for Relays {
    fn validate(&self) -> Result<(), turn::Error> {
        Ok(())
    }

    async fn allocate_conn(
        &self,
        use_ipv4: bool,
        requested_port: u16,
    ) -> Result<(Arc<dyn Conn + Send + Sync>, SocketAddr), turn::Error> {
        if use_ipv4 != self.bind.is_ipv4() {
            return Err(turn::Error::ErrNoAvailableConns);
        }
        let lease = self.ledger.lease().ok_or(turn::Error::ErrNoAvailableConns)?;
        let socket = UdpSocket::bind((self.bind, requested_port)).await?;
        let address = SocketAddr::new(self.public, socket.local_addr()?.port());
        let relay = Relay { socket, lease, reach: self.reach, public: self.public, own: self.own.clone() };
        Ok((Arc::new(relay), address))
    }
}

struct Relay {
    socket: UdpSocket,
    lease: Lease,
    reach: Reach,
    public: IpAddr,
    own: Vec<u16>,
}

impl Relay {
    fn allows(&self, peer: SocketAddr) -> bool {
        let our_own = self.own.contains(&peer.port())
            && (peer.ip() == self.public || peer.ip().is_loopback() || self.reach == Reach::PrivateToo);
        let allowed = peer.port() != 0 && self.reach.allows(peer.ip()) && !our_own;
        if !allowed {
            self.lease.deny();
        }
        allowed
    }
}

#[async_trait]
impl Conn for Relay {
    async fn recv_from(&self, buffer: &mut [u8]) -> webrtc_util::Result<(usize, SocketAddr)> {
        loop {
            match self.socket.recv_from(buffer).await {
                Ok((length, peer)) => {
                    if self.allows(peer) && self.lease.pass(length) {
                        return Ok((length, peer));
                    }
                }
                // A peer's port was closed. An error from here would end the relayed address.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn send_to(&self, packet: &[u8], peer: SocketAddr) -> webrtc_util::Result<usize> {
        if self.allows(peer) && self.lease.pass(packet.len()) {
            // Packets get lost on networks; whoever sent this one sees to it.
            let _ = self.socket.try_send_to(packet, peer);
        }
        Ok(packet.len())
    }

    fn local_addr(&self) -> webrtc_util::Result<SocketAddr> {
        Ok(self.socket.local_addr()?)
    }

    fn remote_addr(&self) -> Option<SocketAddr> {
        None
    }

    async fn connect(&self, _: SocketAddr) -> webrtc_util::Result<()> {
        Err(unsupported())
    }

    async fn recv(&self, _: &mut [u8]) -> webrtc_util::Result<usize> {
        Err(unsupported())
    }

    async fn send(&self, _: &[u8]) -> webrtc_util::Result<usize> {
        Err(unsupported())
    }

    async fn close(&self) -> webrtc_util::Result<()> {
        Ok(())
    }

    fn as_any(&self) -> &(dyn std::any::Any + Send + Sync) {
        self
    }
}
