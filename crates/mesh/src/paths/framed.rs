//! Frames over a stream of bytes: TCP on the local network, and a pipe within a process.
//!
//! length (2, most significant byte first) ‖ frame. Nothing on the wire is secret or trusted: frames are sealed.
//!
//! On the local network one end listens and tells the other, over the channel that stands, where, and a token for this
//! one connection. Who connects says the token; who says anything else is cut off. So a stranger on the network can
//! neither take part nor learn who talks to whom.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use halo_protocol::channel::LONGEST_FRAME;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, BufWriter};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{AsyncTell, Path, PathEvent};

/// To connect, and to say the token.
const CONNECT: Duration = Duration::from_secs(3);
/// Frames that wait to be written. The session has less than that on its way.
const WAITING: usize = 2_048;
/// Connections at once that have not said their token.
const MOST_STRANGERS: usize = 64;

/// Which connection is meant; unguessable.
pub(crate) type Token = [u8; 32];

/// Carries frames over a stream that is there already.
#[cfg(test)]
pub(crate) fn carry<S, F>(stream: S, tell: F) -> Path
where
    S: AsyncRead + AsyncWrite + Send + 'static,
    F: AsyncTell,
{
    begin(tell, async move { Some(stream) })
}

/// Carries frames over the connection that will say this token.
pub(crate) fn accept<F: AsyncTell>(expected: Expected, tell: F) -> Path {
    let Expected { stream, _entry: entry } = expected;
    begin(tell, async move {
        let came = stream.await.ok();
        // Not before: the token is forgotten with it.
        drop(entry);
        came
    })
}

/// Connects to the first of these addresses that answers.
pub(crate) fn dial<F: AsyncTell>(addresses: Vec<SocketAddr>, token: Token, tell: F) -> Path {
    begin(tell, async move {
        for address in addresses {
            let attempt = async {
                let mut stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                stream.write_all(&token).await?;
                Ok::<TcpStream, io::Error>(stream)
            };
            if let Ok(Ok(stream)) = timeout(CONNECT, attempt).await {
                return Some(stream);
            }
        }
        None
    })
}

fn begin<S, F, O>(tell: F, open: O) -> Path
where
    S: AsyncRead + AsyncWrite + Send + 'static,
    F: AsyncTell,
    O: Future<Output = Option<S>> + Send + 'static,
{
    let (frames, waiting) = mpsc::channel(WAITING);
    let (signals, mut unused) = mpsc::channel(1);
    tokio::spawn(async move {
        let run = async {
            if let Some(stream) = open.await
                && tell.tell(PathEvent::Open { relayed: false }).await
            {
                pass(stream, waiting, &tell).await;
            }
        };
        tokio::select! {
            () = run => { tell.tell(PathEvent::Down).await; }
            // The owner let go.
            _ = unused.recv() => {}
        }
    });
    Path { frames, signals }
}

async fn pass<S: AsyncRead + AsyncWrite>(
    stream: S,
    mut frames: mpsc::Receiver<Vec<u8>>,
    tell: &impl AsyncTell,
) {
    let (from, to) = tokio::io::split(stream);
    let (mut from, mut to) =
        (BufReader::with_capacity(64 * 1024, from), BufWriter::with_capacity(64 * 1024, to));
    let sending = async {
        while let Some(frame) = frames.recv().await {
            let Ok(length) = u16::try_from(frame.len()) else { continue };
            to.write_all(&length.to_be_bytes()).await?;
            to.write_all(&frame).await?;
            if frames.is_empty() {
                to.flush().await?;
            }
        }
        Ok::<(), io::Error>(())
    };
    let receiving = async {
        loop {
            let length = usize::from(from.read_u16().await?);
            if length > LONGEST_FRAME {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let mut frame = vec![0; length];
            from.read_exact(&mut frame).await?;
            if !tell.tell(PathEvent::Frame(frame)).await {
                return Ok::<(), io::Error>(());
            }
        }
    };
    tokio::select! {
        _ = sending => {}
        _ = receiving => {}
    }
}

/// Listens on the local network for connections that were announced.
#[derive(Clone)]
pub(crate) struct Doorstep {
    inner: Arc<Inner>,
}

struct Inner {
    addresses: Vec<SocketAddr>,
    expected: Mutex<HashMap<Token, oneshot::Sender<TcpStream>>>,
    tasks: Vec<JoinHandle<()>>,
}

/// A connection that was announced. Dropping it forgets the token.
pub(crate) struct Expected {
    stream: oneshot::Receiver<TcpStream>,
    _entry: Entry,
}

struct Entry {
    doorstep: std::sync::Weak<Inner>,
    token: Token,
}

impl Doorstep {
    /// Listens on these addresses, on any port; on those of them where that works.
    pub(crate) async fn open(addresses: &[IpAddr]) -> Option<Self> {
        let mut listeners = Vec::new();
        for address in addresses {
            if let Ok(listener) = TcpListener::bind((*address, 0)).await
                && let Ok(address) = listener.local_addr()
            {
                listeners.push((listener, address));
            }
        }
        if listeners.is_empty() {
            return None;
        }
        let strangers = Arc::new(Semaphore::new(MOST_STRANGERS));
        let addresses = listeners.iter().map(|(_, address)| *address).collect();
        let inner = Arc::new_cyclic(|inner: &std::sync::Weak<Inner>| {
            let listen =
                |(listener, _)| tokio::spawn(listen(listener, inner.clone(), Arc::clone(&strangers)));
            Inner {
                addresses,
                expected: Mutex::default(),
                tasks: listeners.into_iter().map(listen).collect(),
            }
        });
        Some(Self { inner })
    }

    /// Where it listens.
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.inner.addresses
    }

    /// Announces a connection.
    pub(crate) fn expect(&self, token: Token) -> Expected {
        let (sender, stream) = oneshot::channel();
        self.inner.expected().insert(token, sender);
        Expected { stream, _entry: Entry { doorstep: Arc::downgrade(&self.inner), token } }
    }
}

impl Inner {
    fn expected(&self) -> MutexGuard<'_, HashMap<Token, oneshot::Sender<TcpStream>>> {
        self.expected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if let Some(doorstep) = self.doorstep.upgrade() {
            doorstep.expected().remove(&self.token);
        }
    }
}

async fn listen(listener: TcpListener, doorstep: std::sync::Weak<Inner>, strangers: Arc<Semaphore>) {
    while let Ok(permit) = Arc::clone(&strangers).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(timeout(CONNECT, introduce(stream, doorstep.clone(), permit)));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn introduce(mut stream: TcpStream, doorstep: std::sync::Weak<Inner>, _permit: OwnedSemaphorePermit) {
    let mut token = [0; 32];
    if stream.read_exact(&mut token).await.is_err() || stream.set_nodelay(true).is_err() {
        return;
    }
    // Tokens are found by hash, so the time it takes tells nothing of their bytes.
    let expected = doorstep.upgrade().and_then(|doorstep| doorstep.expected().remove(&token));
    if let Some(expected) = expected {
        let _ = expected.send(stream);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Told(mpsc::Sender<PathEvent>);

    impl AsyncTell for Told {
        async fn tell(&self, event: PathEvent) -> bool {
            self.0.send(event).await.is_ok()
        }
    }

    fn told() -> (Told, mpsc::Receiver<PathEvent>) {
        let (sender, receiver) = mpsc::channel(64);
        (Told(sender), receiver)
    }

    async fn frame(events: &mut mpsc::Receiver<PathEvent>) -> Vec<u8> {
        loop {
            match events.recv().await.unwrap() {
                PathEvent::Frame(frame) => return frame,
                PathEvent::Open { .. } => {}
                other => panic!("{other:?} instead of a frame"),
            }
        }
    }

    async fn ends(events: &mut mpsc::Receiver<PathEvent>) {
        while !matches!(events.recv().await.unwrap(), PathEvent::Down) {}
    }

    #[tokio::test]
    async fn frames_arrive_whole_and_in_order() {
        let (here, there) = tokio::io::duplex(1000);
        let ((tell_a, mut events_a), (tell_b, mut events_b)) = (told(), told());
        let (a, b) = (carry(here, tell_a), carry(there, tell_b));
        for length in [0, 1, 999, LONGEST_FRAME] {
            a.frames.send(vec![7; length]).await.unwrap();
            assert_eq!(frame(&mut events_b).await, vec![7; length]);
        }
        b.frames.send(b"back".to_vec()).await.unwrap();
        assert_eq!(frame(&mut events_a).await, b"back");
        drop(a);
        ends(&mut events_b).await;
    }

    #[tokio::test]
    async fn a_frame_that_is_too_long_ends_the_path() {
        let (mut here, there) = tokio::io::duplex(1000);
        let (tell, mut events) = told();
        let _path = carry(there, tell);
        here.write_all(&[0xff, 0xff]).await.unwrap();
        ends(&mut events).await;
    }

    #[tokio::test]
    async fn who_knows_the_token_is_let_in_and_nobody_else_is() {
        let doorstep = Doorstep::open(&["127.0.0.1".parse().unwrap()]).await.unwrap();
        let ((tell_a, mut events_a), (tell_b, mut events_b)) = (told(), told());
        let (token, wrong) = ([1; 32], [2; 32]);
        let _accepted = accept(doorstep.expect(token), tell_a);

        let mut stranger = TcpStream::connect(doorstep.addresses()[0]).await.unwrap();
        stranger.write_all(&wrong).await.unwrap();
        assert_eq!(stranger.read(&mut [0; 1]).await.unwrap_or(0), 0, "cut off without a word");

        let dialled = dial(doorstep.addresses().to_vec(), token, tell_b);
        dialled.frames.send(b"hello".to_vec()).await.unwrap();
        assert_eq!(frame(&mut events_a).await, b"hello");
        assert!(matches!(events_b.recv().await, Some(PathEvent::Open { relayed: false })));

        let mut again = TcpStream::connect(doorstep.addresses()[0]).await.unwrap();
        again.write_all(&token).await.unwrap();
        assert_eq!(again.read(&mut [0; 1]).await.unwrap_or(0), 0, "a token is good once");
    }

    #[tokio::test]
    async fn what_is_no_longer_expected_is_forgotten() {
        let doorstep = Doorstep::open(&["127.0.0.1".parse().unwrap()]).await.unwrap();
        drop(doorstep.expect([1; 32]));
        assert!(doorstep.inner.expected().is_empty());
    }
}
