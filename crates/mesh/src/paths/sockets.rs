//! The sockets that WebRTC sends through, with room for its bursts.
//!
//! SCTP sends a whole window at once. Where the socket's buffer is smaller, the kernel drops the rest, and what was
//! dropped is sent again only after a timer: 64 MiB at 4 MB/s instead of more than a hundred. So the buffers are
//! asked to be large (the kernel gives what it allows), and [`super::direct`] bounds what is in flight.
//!
//! And the clock it sleeps by. What `webrtc` 0.21.1 is to send because of its own events (the first packet of SCTP, then
//! the channel's opening) it sends when it next wakes, and its own alarm is 200 ms away: two of those are four fifths of
//! the time that a channel takes to open. So it wakes often for a moment after it was connected.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use webrtc::runtime::{
    AsyncInterval, AsyncTcpListener, AsyncTcpStream, AsyncUdpSocket, JoinHandle, Runtime, TokioRuntime,
};

/// What is asked of the kernel, each way. Linux gives an ordinary program 208 KiB unless its owner allows more.
const BUFFER: usize = 4 * 1024 * 1024;

/// So long after it was connected
const MOMENT: Duration = Duration::from_secs(1);
/// it sleeps no longer than this.
const NAP: Duration = Duration::from_millis(5);

/// Tokio, except for the size of the buffers, and for how long it sleeps.
#[derive(Debug, Clone, Default)]
pub(super) struct RoomySockets {
    connected: Arc<Mutex<Option<Instant>>>,
}

impl RoomySockets {
    /// ICE and DTLS are done: what is left is a few packets to and fro.
    pub(super) fn connected(&self) {
        *self.connected.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// The moment is over: the channel is open, or is not going to be.
    pub(super) fn settled(&self) {
        *self.connected.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn longest_sleep(&self) -> Duration {
        let connected = *self.connected.lock().unwrap_or_else(PoisonError::into_inner);
        if connected.is_some_and(|then| then.elapsed() < MOMENT) { NAP } else { Duration::MAX }
    }
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl Runtime for RoomySockets {
    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) -> Box<dyn JoinHandle> {
        TokioRuntime.spawn(future)
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        let reference = socket2::SockRef::from(&socket);
        // Smaller buffers only make it slower.
        let _ = reference.set_recv_buffer_size(BUFFER);
        let _ = reference.set_send_buffer_size(BUFFER);
        TokioRuntime.wrap_udp_socket(socket)
    }

    fn wrap_tcp_listener(&self, listener: TcpListener) -> io::Result<Arc<dyn AsyncTcpListener>> {
        TokioRuntime.wrap_tcp_listener(listener)
    }

    fn connect_tcp<'a>(&'a self, address: SocketAddr) -> Boxed<'a, io::Result<Arc<dyn AsyncTcpStream>>> {
        TokioRuntime.connect_tcp(address)
    }

    fn resolve_host<'a>(&'a self, host: &'a str) -> Boxed<'a, io::Result<Vec<SocketAddr>>> {
        TokioRuntime.resolve_host(host)
    }

    fn sleep(&self, duration: Duration) -> Boxed<'static, ()> {
        TokioRuntime.sleep(duration.min(self.longest_sleep()))
    }

    fn interval(&self, period: Duration) -> Box<dyn AsyncInterval> {
        TokioRuntime.interval(period)
    }

    fn block_on(&self, future: Pin<Box<dyn Future<Output = ()> + '_>>) {
        TokioRuntime.block_on(future);
    }

    fn yield_now(&self) -> Boxed<'static, ()> {
        TokioRuntime.yield_now()
    }

    fn name(&self) -> &'static str {
        "halo"
    }
}
