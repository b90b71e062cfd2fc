//! What both sides of an invitation have in common: a meeting, channels that come and go, a clock.

use std::collections::BTreeMap;
use std::time::Duration;

use halo_mesh::{Connection, ConnectionEvent, ConnectionSender, Meeting, MeetingId, Side};
use halo_protocol::Timestamp;
use halo_protocol::channel::HandshakeHash;
use halo_protocol::invitation::{ConnectionId, Hint, Rendezvous, STREAM};
use tokio::sync::mpsc;
use url::Url;

use super::net::{Guests, Net};
use crate::engine::clock;
use crate::error::WalletError;

/// What channels say at once, before it is listened to.
const WAITING: usize = 64;
/// How long the last words may take.
const GOODBYE: Duration = Duration::from_secs(5);
/// The longest sleep: clocks jump when a machine wakes up.
const LONGEST_NAP: Duration = Duration::from_secs(30);

/// What happens at an invitation.
pub(crate) enum Happening<O> {
    /// A handshake is complete.
    Arrived(ConnectionId, HandshakeHash),
    /// Somebody says something.
    Message(ConnectionId, Vec<u8>),
    /// A channel is gone.
    Left(ConnectionId),
    /// The user wants something.
    Order(O),
    /// It is time.
    Tick,
}

/// The channels of one invitation.
pub(crate) struct Attempt<O> {
    net: Net,
    meeting: MeetingId,
    connections: mpsc::Receiver<Connection>,
    senders: BTreeMap<ConnectionId, ConnectionSender>,
    next: u64,
    heard: mpsc::Receiver<(ConnectionId, Option<Vec<u8>>)>,
    hear: mpsc::Sender<(ConnectionId, Option<Vec<u8>>)>,
    orders: mpsc::Receiver<O>,
}

impl<O> Attempt<O> {
    /// Goes where a code says.
    pub(crate) async fn begin(
        net: Net,
        rendezvous: &Rendezvous,
        orders: mpsc::Receiver<O>,
    ) -> Result<Self, WalletError> {
        let side = if rendezvous.shows() { Side::Host } else { Side::Guest };
        let meeting = Meeting {
            secret: rendezvous.meeting().topic.clone(),
            side,
            handshaker: std::sync::Arc::new(Guests(rendezvous.clone())),
            servers: rendezvous.meeting().hints.iter().filter_map(server).collect(),
            lan: true,
        };
        let (meeting, connections) = net.meet(meeting).await?;
        let (hear, heard) = mpsc::channel(WAITING);
        let senders = BTreeMap::new();
        Ok(Self { net, meeting, connections, senders, next: 0, heard, hear, orders })
    }

    /// What happens next.
    pub(crate) async fn next(&mut self, deadline: Option<Timestamp>) -> Happening<O> {
        let nap = deadline.map_or(LONGEST_NAP, |at| {
            Duration::from_millis(at.as_millis().saturating_sub(clock().as_millis())).min(LONGEST_NAP)
        });
        tokio::select! {
            Some(connection) = self.connections.recv() => {
                let id = ConnectionId(self.next);
                self.next += 1;
                let hash = connection.hash();
                let (sender, events) = connection.split();
                self.senders.insert(id, sender);
                tokio::spawn(listen(id, events, self.hear.clone()));
                Happening::Arrived(id, hash)
            }
            Some((id, said)) = self.heard.recv() => match said {
                Some(bytes) => Happening::Message(id, bytes),
                None => {
                    self.senders.remove(&id);
                    Happening::Left(id)
                }
            },
            Some(order) = self.orders.recv() => Happening::Order(order),
            () = tokio::time::sleep(nap) => Happening::Tick,
        }
    }

    /// Says something on a channel; one that has gone says so by itself.
    pub(crate) async fn send(&self, connection: ConnectionId, message: Vec<u8>) {
        if let Some(sender) = self.senders.get(&connection) {
            let _ = sender.send(STREAM, message).await;
        }
    }

    /// Closes a channel once everything is said.
    pub(crate) async fn drop(&self, connection: ConnectionId) {
        if let Some(sender) = self.senders.get(&connection) {
            sender.close().await;
        }
    }

    /// Lets last words arrive, and leaves.
    pub(crate) async fn end(mut self) {
        for sender in self.senders.values() {
            sender.close().await;
        }
        let gone = async {
            while !self.senders.is_empty() {
                match self.heard.recv().await {
                    Some((id, None)) => drop(self.senders.remove(&id)),
                    Some(_) => {}
                    None => return,
                }
            }
        };
        // Whoever does not hear them by then will not.
        let _ = tokio::time::timeout(GOODBYE, gone).await;
        self.net.leave(self.meeting).await;
    }
}

async fn listen(
    id: ConnectionId,
    mut events: halo_mesh::ConnectionReceiver,
    hear: mpsc::Sender<(ConnectionId, Option<Vec<u8>>)>,
) {
    while let Some(event) = events.next().await {
        let told = match event {
            ConnectionEvent::Message { stream, bytes } if stream == STREAM => {
                hear.send((id, Some(bytes))).await
            }
            ConnectionEvent::Message { .. } | ConnectionEvent::Path(_) => Ok(()),
            ConnectionEvent::Closed(_) => break,
        };
        if told.is_err() {
            return;
        }
    }
    let _ = hear.send((id, None)).await;
}

/// Where a hint leads.
fn server(hint: &Hint) -> Option<Url> {
    match hint {
        Hint::Signaller(url) => url.parse().ok(),
        Hint::Lan(address) => format!("ws://{address}/signal").parse().ok(),
    }
}
