//! One door of the broker: accepts connections and speaks HTTP/1.1 on each.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tower::ServiceExt;

use super::connections::{Connections, Place};
use crate::evidence::{self, Peer};
use crate::state::Face;

/// Largest head of a request.
const HEAD_BYTES: usize = 32 * 1024;
/// Most lines in the head of a request.
const HEAD_LINES: usize = 64;
/// When the system has no descriptor left, trying again at once would only burn the processor.
const BREATH: Duration = Duration::from_millis(50);
/// How long an answer on its way may take when the broker stops.
const GRACE: Duration = Duration::from_secs(1);

pub(crate) struct Door {
    face: Arc<Face>,
    router: Router,
    connections: Arc<Connections>,
    open: JoinSet<()>,
}

impl Door {
    pub(crate) fn new(face: &Arc<Face>, router: &Router, connections: &Arc<Connections>) -> Self {
        Self {
            face: Arc::clone(face),
            router: router.clone(),
            connections: Arc::clone(connections),
            open: JoinSet::new(),
        }
    }

    /// Accepts loopback connections until the broker stops.
    pub(crate) async fn serve_tcp(mut self, listener: TcpListener) {
        let stopping = self.face.stopping.clone();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, theirs)) => {
                        let Ok(ours) = stream.local_addr() else { continue };
                        // Answers are small; waiting to fill a packet would only delay them.
                        let _ = stream.set_nodelay(true);
                        self.admit(stream, evidence::Place::Tcp { theirs, ours });
                    }
                    Err(error) => breathe(&error).await,
                },
                Some(_) = self.open.join_next() => {}
                () = stopping.begun() => break,
            }
        }
        while self.open.join_next().await.is_some() {}
    }

    /// Accepts connections on the Unix socket until the broker stops.
    #[cfg(unix)]
    pub(crate) async fn serve_unix(mut self, listener: crate::socket::Listener) {
        let stopping = self.face.stopping.clone();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) if crate::socket::same_user(&stream) => {
                        let pid = stream.peer_cred().ok().and_then(|peer| peer.pid());
                        let pid = pid.and_then(|pid| u32::try_from(pid).ok());
                        self.admit(stream, evidence::Place::Unix { pid });
                    }
                    Ok(_) => tracing::warn!("another user knocked at broker.sock"),
                    Err(error) => breathe(&error).await,
                },
                Some(_) = self.open.join_next() => {}
                () = stopping.begun() => break,
            }
        }
        while self.open.join_next().await.is_some() {}
    }

    fn admit<S>(&mut self, stream: S, at: evidence::Place)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Some(place) = self.connections.admit() else {
            tracing::debug!("every connection is busy; one more was refused");
            return;
        };
        let peer = Arc::new(Peer::new(at, Arc::clone(&self.face.kernel)));
        self.open.spawn(converse(stream, peer, Arc::clone(&self.face), self.router.clone(), place));
    }
}

async fn breathe(error: &std::io::Error) {
    tracing::warn!(%error, "a connection could not be accepted");
    tokio::time::sleep(BREATH).await;
}

/// Answers the requests of one connection, one after the other.
async fn converse<S>(stream: S, peer: Arc<Peer>, face: Arc<Face>, router: Router, place: Place)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let stopping = face.stopping.clone();
    let service = service_fn(|request: Request<Incoming>| {
        let busy = Arc::new(place.busy());
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Arc::clone(&peer));
        request.extensions_mut().insert(Arc::clone(&busy));
        let router = router.clone();
        async move {
            let response = router.oneshot(request).await;
            drop(busy);
            response as Result<_, Infallible>
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(face.limits.head)
        .max_buf_size(HEAD_BYTES)
        .max_header_size(HEAD_BYTES)
        .max_headers(HEAD_LINES)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(connection);
    tokio::select! {
        ended = &mut connection => {
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended early");
            }
        }
        () = place.closed() => {}
        () = stopping.begun() => {
            connection.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(GRACE, connection).await;
        }
    }
}
