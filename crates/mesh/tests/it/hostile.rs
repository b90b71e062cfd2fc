//! A signalling server that reads, withholds, swaps, repeats and alters.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt, StreamExt};
use halo_mesh::{Direct, MeshEvent};
use halo_protocol::signal::{ClientMessage, PeerId, ServerMessage, TopicSecret};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;
use url::Url;

use crate::world::{Node, Served, Two, device, message, says, secret, stream, two};

/// What it does to a payload that it should hand on.
type Mood = dyn FnMut(ServerMessage) -> Vec<ServerMessage> + Send;

/// Stands before an honest signaller and does as it likes.
struct Hostile {
    address: SocketAddr,
    read: Arc<Mutex<Vec<u8>>>,
    behind: Served,
}

impl Hostile {
    /// Every client gets a mood of its own.
    async fn start(mood: impl Fn() -> Box<Mood> + Send + 'static) -> Self {
        let behind = Served::start().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let read = Arc::new(Mutex::new(Vec::new()));
        let (url, reads) = (behind.url(), Arc::clone(&read));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, url.clone(), Arc::clone(&reads), mood()));
            }
        });
        Self { address, read, behind }
    }

    fn url(&self) -> Url {
        format!("ws://{}/signal", self.address).parse().unwrap()
    }
}

async fn serve(stream: tokio::net::TcpStream, url: Url, reads: Arc<Mutex<Vec<u8>>>, mut mood: Box<Mood>) {
    let mut client = tokio_tungstenite::accept_async(stream).await.unwrap();
    let (mut server, _) = tokio_tungstenite::connect_async(url.as_str()).await.unwrap();
    loop {
        tokio::select! {
            from_client = client.next() => {
                let Some(Ok(message)) = from_client else { return };
                reads.lock().unwrap().extend_from_slice(&message.clone().into_data());
                if server.send(message).await.is_err() {
                    return;
                }
            }
            from_server = server.next() => {
                let Some(Ok(message)) = from_server else { return };
                let Message::Binary(bytes) = &message else { continue };
                let said = match ServerMessage::decode(bytes).unwrap() {
                    payload @ ServerMessage::Payload { .. } => mood(payload),
                    other => vec![other],
                };
                for message in said {
                    if client.send(Message::Binary(message.encode().into())).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}

fn altered(message: ServerMessage, alter: impl Fn(&mut Vec<u8>, &mut PeerId)) -> ServerMessage {
    let ServerMessage::Payload { topic, mut from, mut payload } = message else { return message };
    alter(&mut payload, &mut from);
    ServerMessage::Payload { topic, from, payload }
}

/// Says a hundred things both ways, and hears exactly those.
async fn converse(two: &mut Two) {
    for number in 0..100_u8 {
        two.here.send(stream(1), vec![number; 100]).await.unwrap();
        two.there.send(stream(1), vec![!number; 100]).await.unwrap();
        assert_eq!(says(&mut two.there).await, vec![number; 100]);
        assert_eq!(says(&mut two.here).await, vec![!number; 100]);
    }
}

// threat: 26
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signaller_that_repeats_everything_is_heard_once() {
    let hostile = Hostile::start(|| Box::new(|message| vec![message.clone(), message])).await;
    let mut two = two(&hostile.url(), Direct::Off).await;
    converse(&mut two).await;
}

// threat: 26
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signaller_that_replays_old_messages_releases_nothing() {
    let hostile = Hostile::start(|| {
        let mut recorded = VecDeque::new();
        Box::new(move |message| {
            recorded.push_back(message.clone());
            let old = if recorded.len() > 8 { recorded.pop_front() } else { None };
            old.into_iter().chain([message]).collect()
        })
    })
    .await;
    let mut two = two(&hostile.url(), Direct::Off).await;
    converse(&mut two).await;
}

// threat: 26
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signaller_that_drops_and_swaps_delays_and_alters_nothing() {
    let hostile = Hostile::start(|| {
        let mut number = 0;
        let mut held = None;
        Box::new(move |message| {
            number += 1;
            match number % 7 {
                // One in seven is lost, and one overtaken by the next.
                3 if number > 7 => Vec::new(),
                5 if number > 7 => {
                    held = Some(message);
                    Vec::new()
                }
                _ => std::iter::once(message).chain(held.take()).collect(),
            }
        })
    })
    .await;
    let Two { a: _a, b: _b, here, mut there } = two(&hostile.url(), Direct::Off).await;
    for number in 0..40_u8 {
        here.send(stream(1), vec![number; 1000]).await.unwrap();
    }
    for number in 0..40_u8 {
        assert_eq!(
            message(&mut there, &mut Vec::new()).await,
            (stream(1), vec![number; 1000]),
            "in order, once"
        );
    }
}

// threat: 26
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signaller_that_flips_bits_is_not_believed() {
    let hostile = Hostile::start(|| {
        let mut number = 0_usize;
        Box::new(move |message| {
            number += 1;
            let wrong = altered(message.clone(), |payload, _| {
                let at = number * 31 % payload.len();
                payload[at] ^= 1 << (number % 8);
            });
            let cut = altered(message.clone(), |payload, _| payload.truncate(number * 17 % payload.len()));
            vec![wrong, cut, message]
        })
    })
    .await;
    let mut two = two(&hostile.url(), Direct::Off).await;
    converse(&mut two).await;
}

// threat: 26
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signaller_cannot_say_that_words_come_from_somebody_else() {
    let hostile = Hostile::start(|| {
        let mut names: Vec<PeerId> = Vec::new();
        Box::new(move |message| {
            let ServerMessage::Payload { from, .. } = &message else { return vec![message] };
            if !names.contains(from) {
                names.push(*from);
            }
            // The same words, once under every name it knows, and then truly.
            let truly = message.clone();
            let liars = names.iter().filter(|name| *name != from);
            let lies = liars.map(|name| altered(message.clone(), |_, from| *from = *name));
            lies.chain([truly]).collect::<Vec<_>>()
        })
    })
    .await;
    let mut nodes = Vec::new();
    for number in 1..=3 {
        let node = Node::at(&hostile.url(), Direct::Off);
        node.join(&secret(1), number).await;
        nodes.push(node);
    }
    let mut connections = Vec::new();
    for node in &mut nodes {
        connections.push(node.connected().await);
        connections.push(node.connected().await);
    }
    for connection in &connections {
        connection.send(stream(1), connection.hash().as_bytes().to_vec()).await.unwrap();
    }
    for connection in &mut connections {
        let words = says(connection).await;
        assert_eq!(words, connection.hash().as_bytes(), "the words of this very peer");
    }
}

// threat: 26
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signaller_that_knows_no_secret_meets_nobody() {
    let served = Served::start().await;
    let mut a = Node::at(&served.url(), Direct::Off);
    a.join(&secret(1), 1).await;
    // It is at the right topic, as the signaller itself is, but holds another secret.
    let (mut eve, _) = tokio_tungstenite::connect_async(served.url().as_str()).await.unwrap();
    let topic = secret(1).topic();
    eve.send(Message::Binary(ClientMessage::Join { topic }.encode().into())).await.unwrap();
    let mut rng = rand::rng();
    let (mut heard, mut myself) = (0, None);
    while heard < 3 {
        let Some(Ok(Message::Binary(bytes))) = eve.next().await else { continue };
        let (me, them) = match ServerMessage::decode(&bytes).unwrap() {
            ServerMessage::Joined { you, peers, .. } => {
                myself = Some(you);
                let Some(them) = peers.first() else { continue };
                (you, *them)
            }
            // It may have come later than we.
            ServerMessage::PeerJoined { peer, .. } => (myself.unwrap(), peer),
            ServerMessage::Payload { from, payload, .. } => {
                heard += 1;
                // It says the same words back, and makes some up.
                let back = ClientMessage::Send { topic, to: from, payload };
                eve.send(Message::Binary(back.encode().into())).await.unwrap();
                continue;
            }
            _ => continue,
        };
        let wrong = TopicSecret::from_bytes(&[99; 16]).unwrap();
        let mut line = halo_protocol::signal::SealedLine::new(&wrong, me, them);
        for words in [vec![1, 0], vec![1; 18], vec![2; 60], Vec::new()] {
            let payload = line.seal(&words, &mut rng).unwrap();
            let send = ClientMessage::Send { topic, to: them, payload };
            eve.send(Message::Binary(send.encode().into())).await.unwrap();
        }
        heard += 2;
    }
    // Somebody who does hold it is met all the same.
    let mut b = Node::at(&served.url(), Direct::Off);
    b.join(&secret(1), 2).await;
    let (to_b, _) = tokio::join!(a.connected(), b.connected());
    assert_eq!(to_b.remote().map(|key| *key.as_bytes()), Some(crate::world::public(2)));
}

// threat: 26
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signaller_reads_no_word_and_no_key() {
    let hostile = Hostile::start(|| Box::new(|message| vec![message])).await;
    let mut two = two(&hostile.url(), Direct::Off).await;
    let words = b"Ada Lovelace lives at 12 St James's Square".to_vec();
    two.here.send(stream(1), words.clone()).await.unwrap();
    assert_eq!(says(&mut two.there).await, words);
    let read = hostile.read.lock().unwrap().clone();
    assert!(read.len() > 500, "it saw everything that went through it");
    let keys = [crate::world::public(1).to_vec(), crate::world::public(2).to_vec(), vec![1; 16]];
    let hashes = [two.here.hash().as_bytes().to_vec()];
    for known in [words].iter().chain(&keys).chain(&hashes) {
        let found = read.windows(16).any(|window| window == &known[..16]);
        assert!(!found, "{known:?} went through it in clear");
    }
    assert!(hostile.behind.signaller.counts().forwarded > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_holds_the_secret_but_not_the_key_is_not_connected() {
    let served = Served::start().await;
    let (mut a, mut mallory) = (Node::at(&served.url(), Direct::Off), Node::at(&served.url(), Direct::Off));
    a.join(&secret(1), 1).await;
    // Mallory's end means another meeting: its handshake does not complete.
    let meeting = halo_mesh::Meeting::new(secret(1), halo_mesh::Side::Peer, device(9, &secret(2)));
    mallory.mesh.join(meeting).await.unwrap();
    let mut b = Node::at(&served.url(), Direct::Off);
    b.join(&secret(1), 2).await;
    let (to_b, _) = tokio::join!(a.connected(), b.connected());
    assert_eq!(to_b.remote().map(|key| *key.as_bytes()), Some(crate::world::public(2)));
    let met = std::iter::from_fn(|| mallory.events.try_recv().ok());
    assert!(met.into_iter().all(|event| !matches!(event, MeshEvent::Connected { .. })));
}
