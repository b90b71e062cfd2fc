//! TURN, by a client of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use halo_protocol::signal::IceServer;
use tokio::net::UdpSocket;
use tokio::time::timeout;
use turn::client::{Client, ClientConfig};
use webrtc_util::Conn;

use crate::kube::Kube;

const PATIENCE: Duration = Duration::from_secs(30);
const LOOPBACK: [&str; 4] = ["--listen", "127.0.0.1:0", "--turn", "127.0.0.1:0"];

fn address_of(server: &IceServer) -> String {
    let (_, rest) = server.urls[0].split_once(':').unwrap();
    rest.split('?').next().unwrap().to_owned()
}

async fn client(server: &IceServer, password: &str) -> Client {
    let conn = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let address = address_of(server);
    let client = Client::new(ClientConfig {
        stun_serv_addr: address.clone(),
        turn_serv_addr: address,
        username: server.username.clone(),
        password: password.to_owned(),
        realm: "kube".to_owned(),
        software: String::new(),
        rto_in_ms: 0,
        conn,
        vnet: None,
    })
    .await
    .unwrap();
    client.listen().await.unwrap();
    client
}

fn named(servers: &[IceServer], scheme: &str) -> IceServer {
    servers.iter().find(|server| server.urls[0].starts_with(scheme)).unwrap().clone()
}

/// A socket that would hear whatever got through.
async fn victim() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

// threat: 41
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn turn_reaches_no_private_address_unless_it_was_allowed_to() {
    let kube = Kube::start(&LOOPBACK);
    let server = named(&kube.ice().await, "turn:");
    let client = client(&server, &server.credential).await;
    let relay = timeout(PATIENCE, client.allocate()).await.unwrap().unwrap();
    let (victim, address) = victim().await;
    while kube.metric("kube_turn_denied_total") < 3 {
        relay.send_to(b"into the house", address).await.unwrap();
    }
    let mut buffer = [0; 64];
    assert!(victim.try_recv(&mut buffer).is_err(), "nothing came through");
    assert_eq!(kube.metric("kube_turn_relayed_bytes_total"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn turn_relays_both_ways_where_it_may() {
    let kube = Kube::start(&[&LOOPBACK[..], &["--turn-allow-private"]].concat());
    let server = named(&kube.ice().await, "turn:");
    let client = client(&server, &server.credential).await;
    let relay = timeout(PATIENCE, client.allocate()).await.unwrap().unwrap();
    let (peer, address) = victim().await;
    relay.send_to(b"there", address).await.unwrap();
    let mut buffer = [0; 64];
    let (length, from) = timeout(PATIENCE, peer.recv_from(&mut buffer)).await.unwrap().unwrap();
    assert_eq!((&buffer[..length], from), (&b"there"[..], relay.local_addr().unwrap()));
    peer.send_to(b"and back", from).await.unwrap();
    let (length, from) = timeout(PATIENCE, relay.recv_from(&mut buffer)).await.unwrap().unwrap();
    assert_eq!((&buffer[..length], from), (&b"and back"[..], address));
    assert_eq!(kube.metric("kube_turn_relayed_bytes_total"), 13);
    assert_eq!(kube.metric("kube_turn_allocations"), 1);
}

// threat: 41
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn turn_gives_one_name_so_many_addresses_and_no_more() {
    let kube = Kube::start(&LOOPBACK);
    let server = named(&kube.ice().await, "turn:");
    let mut clients = Vec::new();
    let mut relays = Vec::new();
    for _ in 0..8 {
        let client = client(&server, &server.credential).await;
        relays.push(timeout(PATIENCE, client.allocate()).await.unwrap().unwrap());
        clients.push(client);
    }
    let ninth = client(&server, &server.credential).await;
    let refused = timeout(PATIENCE, ninth.allocate()).await.unwrap();
    assert!(refused.is_err(), "486, allocation quota reached");
    assert_eq!(kube.metric("kube_turn_allocations"), 8);
    assert!(kube.metric("kube_turn_over_quota_total") >= 1);
    let another = named(&kube.ice().await, "turn:");
    assert_ne!(another.username, server.username, "every client has a name of its own");
    let other = client(&another, &another.credential).await;
    assert!(timeout(PATIENCE, other.allocate()).await.unwrap().is_ok());
}

// threat: 41
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn turn_is_nothing_for_strangers() {
    let kube = Kube::start(&LOOPBACK);
    let server = named(&kube.ice().await, "turn:");
    let guess = client(&server, "guessed").await;
    assert!(timeout(PATIENCE, guess.allocate()).await.unwrap().is_err(), "a wrong password");
    let made_up = IceServer { username: "9999999999:00".to_owned(), ..server.clone() };
    let stranger = client(&made_up, &server.credential).await;
    assert!(timeout(PATIENCE, stranger.allocate()).await.unwrap().is_err(), "a name that was never given");
    assert_eq!(kube.metric("kube_turn_allocations"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stun_tells_a_client_its_address() {
    let kube = Kube::start(&LOOPBACK);
    let stun = named(&kube.ice().await, "stun:");
    let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let own = socket.local_addr().unwrap();
    let client = Client::new(ClientConfig {
        stun_serv_addr: address_of(&stun),
        turn_serv_addr: address_of(&stun),
        username: String::new(),
        password: String::new(),
        realm: String::new(),
        software: String::new(),
        rto_in_ms: 0,
        conn: socket,
        vnet: None,
    })
    .await
    .unwrap();
    client.listen().await.unwrap();
    assert_eq!(timeout(PATIENCE, client.send_binding_request()).await.unwrap().unwrap(), own);
}
