//! Two ends within one process: for tests, and for whatever is to be tried without a network.

use std::sync::Arc;

use halo_protocol::channel::PathId;
use tokio::sync::{mpsc, watch};

use super::task::{Carrier, Peer, PeerKey, PeerNotice, PeerOptions, ToPeer};
use super::{CloseReason, Connection};
use crate::config::Direct;
use crate::error::MeshError;
use crate::greeting::Instance;
use crate::meeting::{Handshaker, MeetingId, Side};

/// Connects two ends, of which the first speaks first. Frames go from task to task, without a network.
///
/// # Errors
/// [`MeshError::Disconnected`] if their handshake does not come about.
pub async fn pair(
    first: Arc<dyn Handshaker>,
    second: Arc<dyn Handshaker>,
) -> Result<(Connection, Connection), MeshError> {
    let (here, from_here) = end(true, first);
    let (there, from_there) = end(false, second);
    let (connected_here, mut a) = mpsc::channel(1);
    let (connected_there, mut b) = mpsc::channel(1);
    let opened = || ToPeer::Opened { path: PathId(0), carrier: Carrier::Local };
    // Both inboxes are empty, so there is room.
    let _ = (here.try_send(opened()), there.try_send(opened()));
    tokio::spawn(carry(from_here, there, connected_here));
    tokio::spawn(carry(from_there, here, connected_there));
    let (a, b) = tokio::join!(a.recv(), b.recv());
    Ok((a.ok_or(MeshError::Disconnected)?, b.ok_or(MeshError::Disconnected)?))
}

fn end(first: bool, handshaker: Arc<dyn Handshaker>) -> (mpsc::Sender<ToPeer>, mpsc::Receiver<PeerNotice>) {
    let key = PeerKey { meeting: MeetingId(0), instance: Instance([u8::from(first); 16]) };
    let options = PeerOptions { direct: Direct::Off, ..PeerOptions::default() };
    let (keep, options) = watch::channel(options);
    let (notices, heard) = mpsc::channel(64);
    let inbox = Peer::start(key, first, Side::Peer, handshaker, options, notices);
    // Options stay as they are for as long as somebody listens.
    tokio::spawn(async move { keep.closed().await });
    (inbox, heard)
}

/// Hands one end's words to the other until either has ended.
async fn carry(
    mut from: mpsc::Receiver<PeerNotice>,
    to: mpsc::Sender<ToPeer>,
    connected: mpsc::Sender<Connection>,
) {
    while let Some(notice) = from.recv().await {
        match notice {
            PeerNotice::Say { path, greeting, .. } => {
                // What does not fit is lost, as on any path, and said again: two ends that waited for each other to
                // take something would wait for ever.
                let _ = to.try_send(ToPeer::Said { path, greeting });
            }
            PeerNotice::Connected { connection, .. } => {
                // Who asked for a pair and went away does not want it.
                let _ = connected.send(connection).await;
            }
            PeerNotice::Ended { .. } => {
                let _ = to.send(ToPeer::End(CloseReason::Lost)).await;
                return;
            }
        }
    }
}
