//! Paths come and go under a conversation that goes on.

use std::time::Duration;

use halo_mesh::{ConnectionEvent, Direct, Lan, Meeting, MeshConfig, PathKind, Side};

use crate::world::{Node, Served, Two, bulk, device, goes, message, says, secret, soon, stream, two};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_direct_path_opens_beside_the_relay() {
    let served = Served::start().await;
    let Two { a: _a, b: _b, mut here, mut there } = two(&served.url(), Direct::Loopback).await;
    here.send(stream(1), b"at once".to_vec()).await.unwrap();
    assert_eq!(says(&mut there).await, b"at once");
    goes(&mut here, PathKind::Direct).await;
    goes(&mut there, PathKind::Direct).await;
    served.stop().await;
    here.send(stream(1), b"without a server".to_vec()).await.unwrap();
    assert_eq!(says(&mut there).await, b"without a server");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_direct_path_that_dies_in_mid_transfer_costs_no_frame() {
    let served = Served::start().await;
    let Two { a, b: _b, mut here, mut there } = two(&served.url(), Direct::Loopback).await;
    goes(&mut here, PathKind::Direct).await;
    let (sender, mut hears) = here.split();
    let talking = tokio::spawn(async move {
        for number in 0..400_u32 {
            sender.send(stream(1), block(number)).await.unwrap();
        }
        sender
    });
    let mut ways = Vec::new();
    for number in 0..400_u32 {
        if number == 100 {
            let off =
                MeshConfig { servers: vec![served.url()], direct: Direct::Off, ..MeshConfig::default() };
            a.mesh.reconfigure(off).await.unwrap();
        }
        assert_eq!(message(&mut there, &mut ways).await, (stream(1), block(number)), "each once, in order");
    }
    talking.await.unwrap();
    assert!(ways.contains(&Some(PathKind::Direct)), "{ways:?}");
    let back = soon("the relay again", async {
        loop {
            if let Some(ConnectionEvent::Path(Some(way))) = hears.next().await
                && way == PathKind::Relay
            {
                return way;
            }
        }
    });
    assert_eq!(back.await, PathKind::Relay);
}

fn block(number: u32) -> Vec<u8> {
    number.to_be_bytes().repeat(512)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_never_reads_stops_its_writer_and_nobody_else() {
    let served = Served::start().await;
    let Two { a: _a, b: _b, here, there } = two(&served.url(), Direct::Loopback).await;
    let (sender, _hears) = here.split();
    let (other, mut reads) = (sender.clone(), there);
    let (count, mut written) = tokio::sync::watch::channel(0_usize);
    let writer = tokio::spawn(async move {
        loop {
            sender.send(bulk(1), vec![0; 64 * 1024]).await.unwrap();
            count.send_modify(|count| *count += 1);
        }
    });
    // Until nothing moves any more.
    while tokio::time::timeout(Duration::from_secs(3), written.changed()).await.is_ok() {}
    let stuck = *written.borrow() * 64 * 1024;
    assert!(stuck < 8 * 1024 * 1024, "{stuck} bytes were taken for a peer that does not read");
    other.send(stream(2), b"I am still here".to_vec()).await.unwrap();
    // Reading on: all of it comes, and what was said on the other stream did not wait behind it.
    let mut before = 0;
    loop {
        let (from, bytes) = message(&mut reads, &mut Vec::new()).await;
        if from == stream(2) {
            assert_eq!(bytes, b"I am still here");
            break;
        }
        before += bytes.len();
    }
    assert!(before <= stuck);
    soon("the writer goes on", written.wait_for(|count| count * 64 * 1024 > stuck)).await.unwrap();
    writer.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_local_network_needs_no_server_and_finds_its_own_way() {
    let lan = Lan::At { addresses: vec!["127.0.0.1".parse().unwrap()], port: 0 };
    let config = || MeshConfig { lan: lan.clone(), direct: Direct::Off, ..MeshConfig::default() };
    let (mut a, mut b) = (Node::start(config()), Node::start(config()));
    let servers = a.mesh.local_servers().await.unwrap();
    assert_eq!(servers.len(), 1);
    a.join(&secret(1), 1).await;
    let mut meeting = Meeting::new(secret(1), Side::Peer, device(2, &secret(1)));
    meeting.servers = servers;
    b.mesh.join(meeting).await.unwrap();
    let (mut here, mut there) = tokio::join!(a.connected(), b.connected());
    goes(&mut here, PathKind::Lan).await;
    goes(&mut there, PathKind::Lan).await;
    here.send(bulk(1), vec![1; 1024 * 1024]).await.unwrap();
    assert_eq!(says(&mut there).await, vec![1; 1024 * 1024]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_attempt_takes_over_when_the_network_changed() {
    let served = Served::start().await;
    let Two { a, b, mut here, mut there } = two(&served.url(), Direct::Loopback).await;
    goes(&mut here, PathKind::Direct).await;
    // The end that does not offer asks the other one to.
    let stirred = if here.initiator() { &b } else { &a };
    stirred.mesh.disturbed().await;
    soon("another direct path", async {
        loop {
            match here.next().await {
                Some(ConnectionEvent::Path(Some(PathKind::Direct))) => return,
                Some(ConnectionEvent::Path(_)) => {}
                other => panic!("{other:?} instead of another path"),
            }
        }
    })
    .await;
    for number in 0..20_u8 {
        here.send(stream(1), vec![number]).await.unwrap();
        assert_eq!(says(&mut there).await, [number]);
    }
}
