//! One conversation with a device of the same identity: who it is, and then whatever both engines have to say.
//!
//! Both ends answer for the handshake before anything else is said. One task reads, one writes for each urgency, so that
//! what is urgent waits for nothing else; the engine is in between and never waits for a peer.

use std::collections::BTreeMap;
use std::time::Duration;

use halo_echo::replication::Assembler;
use halo_mesh::{Connection, ConnectionEvent, ConnectionSender, PathKind};
use halo_protocol::channel::{Role, StreamId};
use halo_protocol::peer::{PeerExpect, PeerHello};
use halo_protocol::{AgreementKey, DeviceKey};
use tokio::task::JoinSet;

use super::desk::Desk;
use super::outbox::{Outgoing, outbox};
use super::peers::PeerId;
use super::wire::{HELLO, Say};
use crate::engine::{Engine, clock};
use crate::error::WalletError;

/// A peer that has not said who it is by then is let go.
const PATIENCE: Duration = Duration::from_secs(10);
/// Streams that messages come on.
const MOST_STREAMS: usize = 8;

/// Talks with whoever is at the other end, until one of the two ends it.
pub(crate) async fn talk(desk: Desk, connection: Connection) {
    let (sender, mut events) = connection.split();
    let arrived = tokio::time::timeout(PATIENCE, arrive(&desk, &sender, &mut events)).await;
    let Ok(Ok((id, outgoing))) = arrived else {
        tracing::info!("a peer did not say who it is, or is none");
        sender.close().await;
        return;
    };
    let writer = {
        let (desk, sender) = (desk.clone(), sender.clone());
        tokio::spawn(async move {
            let mut writers = JoinSet::new();
            for outgoing in outgoing {
                writers.spawn(write(desk.clone(), sender.clone(), id, outgoing));
            }
            while writers.join_next().await.is_some() {}
            // The engine wants nothing more of it.
            sender.close().await;
        })
    };
    let mut assemblers: BTreeMap<StreamId, Assembler> = BTreeMap::new();
    while let Some(event) = events.next().await {
        match event {
            ConnectionEvent::Message { stream, bytes } => {
                if !assemblers.contains_key(&stream) && assemblers.len() >= MOST_STREAMS {
                    break;
                }
                let message = match assemblers.entry(stream).or_default().take(&bytes) {
                    Ok(message) => message,
                    Err(_) => break,
                };
                let Some(message) = message else { continue };
                let Ok(say) = Say::decode(&message) else { break };
                if desk.job(move |engine| engine.peer_said(id, say)).await.is_err() {
                    break;
                }
            }
            ConnectionEvent::Path(path) => {
                let stats = sender.clone();
                let told = desk.job(move |engine| engine.peer_path(id, path, stats)).await;
                if told.is_err() {
                    break;
                }
            }
            ConnectionEvent::Closed(_) => break,
        }
    }
    // A wallet that has gone knows no peers.
    let _ = desk.job(move |engine| engine.peer_gone(id)).await;
    sender.close().await;
    writer.abort();
}

/// Says what is of one urgency, until there is nothing more to say.
async fn write(desk: Desk, sender: ConnectionSender, id: PeerId, outgoing: Outgoing) {
    while let Some(say) = outgoing.next().await {
        let stream = say.stream(outgoing.urgency());
        for frame in say.frames() {
            if sender.send(stream, frame).await.is_err() {
                return;
            }
        }
        if outgoing.has_caught_up() && desk.job(move |engine| engine.peer_caught_up(id)).await.is_err() {
            return;
        }
    }
}

/// Says hello, and hears who is there.
async fn arrive(
    desk: &Desk,
    sender: &ConnectionSender,
    events: &mut halo_mesh::ConnectionReceiver,
) -> Result<(PeerId, Vec<Outgoing>), WalletError> {
    let (hash, initiator) = (sender.hash(), sender.initiator());
    let remote = sender.remote().ok_or(NOBODY)?;
    let hello = desk.job(move |engine| engine.hello(hash, initiator)).await??;
    sender.send(HELLO, hello).await.map_err(|_| NOBODY)?;
    let mut path = None;
    let said = loop {
        match events.next().await.ok_or(NOBODY)? {
            ConnectionEvent::Message { stream, bytes } if stream == HELLO => break bytes,
            ConnectionEvent::Path(now) => path = now,
            // Whoever says something else first is no peer.
            ConnectionEvent::Message { .. } | ConnectionEvent::Closed(_) => return Err(NOBODY),
        }
    };
    let stats = sender.clone();
    desk.job(move |engine| {
        let device = engine.peer_of(&said, hash, initiator, remote)?;
        let (outbox, outgoing) = outbox();
        let id = engine.peer_arrived(device, outbox);
        engine.peer_path(id, path, stats);
        Ok((id, outgoing))
    })
    .await?
}

const NOBODY: WalletError = WalletError::NotFound { what: "the peer" };

impl Engine {
    /// This device answers for a handshake.
    pub(super) fn hello(
        &mut self,
        hash: halo_protocol::channel::HandshakeHash,
        initiator: bool,
    ) -> Result<Vec<u8>, WalletError> {
        let open = self.unlocked()?;
        let role = if initiator { Role::Initiator } else { Role::Responder };
        let chain = open.chain().unwrap_or_default();
        let hello = PeerHello::sign(role, hash, chain, &*open.keys.device());
        Ok(hello.map_err(|error| WalletError::BadInput { what: error.to_string() })?.encode())
    }

    /// Whose hello it is.
    pub(super) fn peer_of(
        &mut self,
        said: &[u8],
        handshake: halo_protocol::channel::HandshakeHash,
        initiator: bool,
        agreement_key: AgreementKey,
    ) -> Result<DeviceKey, WalletError> {
        let open = self.unlocked()?;
        let refused = |error: &dyn std::fmt::Display| {
            tracing::warn!(%error, "somebody who is no peer was refused");
            NOBODY
        };
        let hello = PeerHello::decode(said).map_err(|error| refused(&error))?;
        let ourselves = open.keys.device_key();
        let expect = PeerExpect {
            state: &open.state,
            ourselves: &ourselves,
            handshake,
            role: if initiator { Role::Responder } else { Role::Initiator },
            agreement_key,
            now: clock(),
        };
        Ok(hello.verify(&expect).map_err(|error| refused(&error))?.device_key())
    }

    /// Bytes go another way.
    fn peer_path(&mut self, id: PeerId, path: Option<PathKind>, sender: ConnectionSender) {
        if let Some(peer) = self.peers.all.get_mut(&id) {
            peer.path = path;
            peer.since = clock();
            peer.sender = Some(sender);
            self.tell(crate::view::Event::Sync);
        }
    }
}
