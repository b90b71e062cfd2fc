//! The signaller, by its sockets: limits, patience, silence about its clients.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use halo_mesh::signaller::{HallLimits, Page, Patience, SignallerConfig};
use halo_protocol::signal::{ClientMessage, LONGEST_PAYLOAD, Refusal, ServerMessage, Topic};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::world::{Served, soon};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn connect(served: &Served) -> Result<Socket, Error> {
    tokio_tungstenite::connect_async(served.url().as_str()).await.map(|(socket, _)| socket)
}

async fn say(socket: &mut Socket, message: &ClientMessage) {
    socket.send(Message::Binary(message.encode().into())).await.unwrap();
}

async fn hears(socket: &mut Socket) -> ServerMessage {
    soon("an answer", async {
        loop {
            match socket.next().await {
                Some(Ok(Message::Binary(bytes))) => return ServerMessage::decode(&bytes).unwrap(),
                Some(Ok(_)) => {}
                other => panic!("{other:?} instead of an answer"),
            }
        }
    })
    .await
}

async fn closed(socket: &mut Socket) {
    soon("the connection ends", async { while let Some(Ok(_)) = socket.next().await {} }).await;
}

async fn start(config: SignallerConfig) -> Served {
    Served::start_with(config, "127.0.0.1:0".parse().unwrap()).await
}

fn topic(number: u8) -> Topic {
    Topic::from_bytes([number; 16])
}

/// Joins that many topics as fast as it can, and tells what it hears until it has met somebody at each.
async fn joins(mut socket: Socket, topics: u8) -> Vec<ServerMessage> {
    for number in 0..topics {
        say(&mut socket, &ClientMessage::Join { topic: topic(number) }).await;
    }
    let mut heard = Vec::new();
    let mut met = 0;
    while met < topics {
        let message = hears(&mut socket).await;
        met += match &message {
            ServerMessage::Joined { peers, .. } => u8::try_from(peers.len()).unwrap(),
            _ => 1,
        };
        heard.push(message);
    }
    heard
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_joins_hears_that_before_anything_else_of_the_topic() {
    let served = start(SignallerConfig::default()).await;
    for _ in 0..10 {
        let (ada, ben) = (connect(&served).await.unwrap(), connect(&served).await.unwrap());
        let (ada, ben) = tokio::join!(tokio::spawn(joins(ada, 200)), tokio::spawn(joins(ben, 200)));
        for heard in [ada.unwrap(), ben.unwrap()] {
            let mut there = std::collections::BTreeSet::new();
            for message in heard {
                match message {
                    ServerMessage::Joined { topic, .. } => {
                        there.insert(topic);
                    }
                    ServerMessage::PeerJoined { topic, .. } => assert!(there.contains(&topic)),
                    ServerMessage::PeerLeft { .. } => {}
                    other => panic!("{other:?} was not expected"),
                }
            }
        }
    }
}

// threat: 40
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_of_one_block_of_addresses_have_an_end() {
    let limits = HallLimits { clients_each_block: 3, ..HallLimits::default() };
    let served = start(SignallerConfig { limits, ..SignallerConfig::default() }).await;
    let mut connections = Vec::new();
    for _ in 0..3 {
        connections.push(connect(&served).await.unwrap());
    }
    let fourth = connect(&served).await;
    assert!(matches!(&fourth, Err(Error::Http(response)) if response.status() == 429), "{fourth:?}");
    connections.clear();
    soon("room again", async { while connect(&served).await.is_err() {} }).await;
    assert!(served.signaller.counts().refused >= 1);
}

// threat: 40
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_long_or_no_message_ends_the_connection() {
    let served = Served::start().await;
    for bytes in [vec![0; 128 * 1024], vec![0xff; 10], Vec::new()] {
        let mut socket = connect(&served).await.unwrap();
        // A server that has hung up already takes nothing more.
        let _ = socket.send(Message::Binary(bytes.into())).await;
        closed(&mut socket).await;
    }
    let mut socket = connect(&served).await.unwrap();
    socket.send(Message::text("hello")).await.unwrap();
    closed(&mut socket).await;
}

// threat: 22
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_dribbles_or_falls_silent_is_let_go() {
    let patience = Patience {
        head: Duration::from_secs(3),
        quiet: Duration::from_millis(200),
        answer: Duration::from_secs(4),
    };
    let served = start(SignallerConfig { patience, ..SignallerConfig::default() }).await;
    let mut slow = TcpStream::connect(served.address).await.unwrap();
    slow.write_all(b"GET /signal HT").await.unwrap();
    let mut answer = String::new();
    soon("an end", slow.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");

    // One that answers pings stays; one that answers nothing goes.
    let mut alive = connect(&served).await.unwrap();
    let mut dead = connect(&served).await.unwrap();
    say(&mut dead, &ClientMessage::Join { topic: topic(1) }).await;
    hears(&mut dead).await;
    say(&mut alive, &ClientMessage::Join { topic: topic(1) }).await;
    hears(&mut alive).await;
    let left = hears(&mut alive).await;
    assert!(matches!(left, ServerMessage::PeerLeft { .. }), "{left:?}");
    assert_eq!(served.signaller.counts().clients, 1);
}

// threat: 40
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_read_costs_no_more_than_its_queue_and_the_sender_is_told() {
    let served = start(SignallerConfig { rate: (u32::MAX, u32::MAX), ..SignallerConfig::default() }).await;
    let (mut sender, mut deaf) = (connect(&served).await.unwrap(), connect(&served).await.unwrap());
    say(&mut deaf, &ClientMessage::Join { topic: topic(1) }).await;
    let ServerMessage::Joined { you: to, .. } = hears(&mut deaf).await else { panic!("not joined") };
    say(&mut sender, &ClientMessage::Join { topic: topic(1) }).await;
    hears(&mut sender).await;
    let flood = ClientMessage::Send { topic: topic(1), to, payload: vec![7; LONGEST_PAYLOAD] };
    let slow = soon("a refusal", async {
        loop {
            tokio::select! {
                biased;
                message = sender.next() => {
                    let Some(Ok(Message::Binary(bytes))) = message else { continue };
                    return ServerMessage::decode(&bytes).unwrap();
                }
                () = std::future::ready(()) => say(&mut sender, &flood).await,
            }
        }
    });
    assert_eq!(slow.await, ServerMessage::Refused { topic: Some(topic(1)), why: Refusal::Slow });
}

// threat: 40
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sends_too_fast_is_read_slower_and_loses_nothing() {
    let served = start(SignallerConfig { rate: (256 * 1024, 64 * 1024), ..SignallerConfig::default() }).await;
    let (mut sender, mut reader) = (connect(&served).await.unwrap(), connect(&served).await.unwrap());
    say(&mut reader, &ClientMessage::Join { topic: topic(1) }).await;
    let ServerMessage::Joined { you: to, .. } = hears(&mut reader).await else { panic!("not joined") };
    say(&mut sender, &ClientMessage::Join { topic: topic(1) }).await;
    let started = std::time::Instant::now();
    let sending = tokio::spawn(async move {
        for number in 0..8_u8 {
            let payload = vec![number; 32 * 1024];
            say(&mut sender, &ClientMessage::Send { topic: topic(1), to, payload }).await;
        }
        sender
    });
    let mut next = 0;
    while next < 8 {
        if let ServerMessage::Payload { payload, .. } = hears(&mut reader).await {
            assert_eq!(payload, vec![next; 32 * 1024]);
            next += 1;
        }
    }
    // 256 KiB at 256 KiB a second, less what may come at once: it cannot be quicker, however fast the machine.
    assert!(started.elapsed() > Duration::from_millis(500), "the rate was not kept");
    sending.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_are_served_beside_signalling() {
    let pages = Arc::new(|path: &str, _: &halo_mesh::signaller::Counts| {
        let body = "ok\n".to_owned();
        (path == "/health").then_some(Page { status: 200, media_type: "text/plain", body })
    });
    let served = start(SignallerConfig { pages, ..SignallerConfig::default() }).await;
    for (path, status) in [("/health", "200"), ("/nothing", "404"), ("/signal", "426")] {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: kube\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        soon("a page", stream.read_to_string(&mut answer)).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_is_said() {
    let served = Served::start().await;
    let mut socket = connect(&served).await.unwrap();
    socket.send(Message::Ping(Bytes::new())).await.unwrap();
    soon("a pong", socket.next()).await.unwrap().unwrap();
    served.signaller.close();
    assert_eq!(hears(&mut socket).await, ServerMessage::Refused { topic: None, why: Refusal::Closing });
    closed(&mut socket).await;
}

// threat: 26
#[tokio::test]
async fn logs_say_nothing_about_anybody() {
    let log = Log::default();
    // On this thread alone: the runtime has no other.
    let _guard = tracing::subscriber::set_default(log.clone());
    let served = Served::start().await;
    let mut socket = connect(&served).await.unwrap();
    say(&mut socket, &ClientMessage::Join { topic: topic(0xab) }).await;
    let ServerMessage::Joined { you, .. } = hears(&mut socket).await else { panic!("not joined") };
    let payload = b"Ada Lovelace".to_vec();
    say(&mut socket, &ClientMessage::Send { topic: topic(0xab), to: you, payload }).await;
    hears(&mut socket).await;
    drop(socket);
    served.stop().await;
    tracing::info!(target: "halo_mesh::signaller", "the log works");
    let log = log.0.lock().unwrap().clone();
    assert!(log.contains("the log works"), "{log}");
    for known in ["127.0.0.1", "abab", "Ada", &you.to_string()] {
        assert!(!log.contains(known), "{known} is in the log");
    }
}

/// Everything that our own crate says, in one text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl tracing::Subscriber for Log {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("halo_mesh")
    }

    fn new_span(&self, span: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        span.record(&mut Fields(&self.0));
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, values: &tracing::span::Record<'_>) {
        values.record(&mut Fields(&self.0));
    }

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut Fields(&self.0));
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

struct Fields<'a>(&'a Mutex<String>);

impl tracing::field::Visit for Fields<'_> {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        self.0.lock().unwrap().push_str(&format!("{field}={value:?}\n"));
    }
}
