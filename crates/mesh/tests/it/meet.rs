//! Devices meet, talk and part.

use std::sync::Arc;

use halo_mesh::{
    CloseReason, Direct, Meeting, MeshConfig, MeshError, MeshEvent, PathKind, ServerState, Side, pair,
};
use halo_protocol::channel::{LONGEST_MESSAGE, OneTimeSecret};

use crate::world::{
    Invitation, Node, Served, Two, device, end, goes, message, public, says, secret, soon, stream, two,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_devices_meet_and_talk_at_once() {
    let served = Served::start().await;
    let Two { a: _a, b: _b, mut here, mut there } = two(&served.url(), Direct::Off).await;
    assert_eq!(here.hash(), there.hash(), "one handshake");
    assert_ne!(here.initiator(), there.initiator());
    assert_eq!(here.remote().map(|key| *key.as_bytes()), Some(public(2)));
    assert_eq!(there.remote().map(|key| *key.as_bytes()), Some(public(1)));
    here.send(stream(1), b"hello".to_vec()).await.unwrap();
    assert_eq!(message(&mut there, &mut Vec::new()).await, (stream(1), b"hello".to_vec()));
    there.send(stream(2), vec![7; LONGEST_MESSAGE]).await.unwrap();
    assert_eq!(message(&mut here, &mut Vec::new()).await, (stream(2), vec![7; LONGEST_MESSAGE]));
    let too_long = here.send(stream(1), vec![0; LONGEST_MESSAGE + 1]).await;
    assert!(matches!(too_long, Err(MeshError::TooLong { .. })));
    assert_eq!(here.stats().path, Some(PathKind::Relay));
    assert!(here.stats().sent > 0 && here.stats().received > 1024 * 1024);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_closes_is_heard_and_not_connected_to_again() {
    let served = Served::start().await;
    let Two { mut a, mut b, here, mut there } = two(&served.url(), Direct::Off).await;
    here.send(stream(1), b"last words".to_vec()).await.unwrap();
    here.close().await;
    assert_eq!(says(&mut there).await, b"last words");
    assert_eq!(end(&mut there).await, CloseReason::ByPeer);
    assert!(there.next().await.is_none(), "nothing follows");
    assert!(matches!(there.send(stream(1), vec![1]).await, Err(MeshError::Disconnected)));

    // Another device comes to the same meeting: by then a second connection of these two would have come.
    let mut c = Node::at(&served.url(), Direct::Off);
    c.join(&secret(1), 3).await;
    let (to_c, _) = tokio::join!(a.connected(), b.connected());
    assert_eq!(to_c.remote().map(|key| *key.as_bytes()), Some(public(3)), "and not the one before");
    c.connected().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_leaves_says_goodbye() {
    let served = Served::start().await;
    let Two { a, b, mut here, mut there } = two(&served.url(), Direct::Off).await;
    let meeting = b.join(&secret(2), 2).await;
    b.mesh.leave(meeting).await.unwrap();
    a.mesh.close().await;
    assert_eq!(end(&mut there).await, CloseReason::ByPeer);
    assert_eq!(end(&mut here).await, CloseReason::Here);
    assert!(matches!(a.mesh.local_servers().await, Err(MeshError::Closed)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_starts_anew_replaces_what_it_was() {
    let served = Served::start().await;
    let mut a = Node::at(&served.url(), Direct::Off);
    a.join(&secret(1), 1).await;
    // It dies without a word, with everything it had.
    let dying = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let url = served.url();
    let b = dying.spawn(async move {
        let mut b = Node::at(&url, Direct::Off);
        b.join(&secret(1), 2).await;
        (b.connected().await, b)
    });
    let mut here = a.connected().await;
    let b = soon("the other end", b).await.unwrap();
    dying.shutdown_background();
    let mut again = Node::at(&served.url(), Direct::Off);
    again.join(&secret(1), 2).await;
    let (mut to_b, from_b) = tokio::join!(a.connected(), again.connected());
    assert_eq!(end(&mut here).await, CloseReason::Replaced);
    from_b.send(stream(1), b"back".to_vec()).await.unwrap();
    assert_eq!(says(&mut to_b).await, b"back");
    drop(b);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_meet_guests_and_guests_do_not_meet_each_other() {
    let served = Served::start().await;
    let shown = OneTimeSecret::from_bytes([5; 32]);
    let invitation = secret(5);
    let topic = invitation.topic();
    let (mut host, mut ada, mut ben) = (
        Node::at(&served.url(), Direct::Off),
        Node::at(&served.url(), Direct::Off),
        Node::at(&served.url(), Direct::Off),
    );
    let guest = || Arc::new(Invitation::Guest(shown.public(), topic));
    ada.mesh.join(Meeting::new(invitation.clone(), Side::Guest, guest())).await.unwrap();
    ben.mesh.join(Meeting::new(invitation.clone(), Side::Guest, guest())).await.unwrap();
    let showing = Arc::new(Invitation::Host(shown.clone(), topic));
    host.mesh.join(Meeting::new(invitation.clone(), Side::Host, showing)).await.unwrap();
    let (mut first, mut second) = (host.connected().await, host.connected().await);
    let (from_ada, from_ben) = tokio::join!(ada.connected(), ben.connected());
    assert_ne!(first.hash(), second.hash());
    assert!(first.remote().is_none() && from_ada.initiator() && from_ben.initiator());
    from_ada.send(stream(1), from_ada.hash().as_bytes().to_vec()).await.unwrap();
    from_ben.send(stream(1), from_ben.hash().as_bytes().to_vec()).await.unwrap();
    assert_eq!(says(&mut first).await, first.hash().as_bytes());
    assert_eq!(says(&mut second).await, second.hash().as_bytes());
    let others = [ada.events.try_recv(), ben.events.try_recv()];
    let met = others.iter().any(|event| matches!(event, Ok(MeshEvent::Connected { .. })));
    assert!(!met, "guests are nothing to each other");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_restarts_is_joined_again_and_nothing_is_lost() {
    let served = Served::start().await;
    let (address, url) = (served.address, served.url());
    let Two { a, b: _b, mut here, mut there } = two(&url, Direct::Off).await;
    goes(&mut here, PathKind::Relay).await;
    served.stop().await;
    let said = tokio::spawn(async move {
        for number in 0..100_u32 {
            here.send(stream(1), number.to_be_bytes().to_vec()).await.unwrap();
        }
        here
    });
    let _again = Served::start_with(Default::default(), address).await;
    a.mesh.disturbed().await;
    for number in 0..100_u32 {
        assert_eq!(says(&mut there).await, number.to_be_bytes(), "each once, in order");
    }
    said.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_of_several_servers_suffices_and_two_peers_are_one_connection() {
    let (first, second) = (Served::start().await, Served::start().await);
    let nowhere = "ws://127.0.0.1:9/signal".parse().unwrap();
    let config = |servers: &[&url::Url]| MeshConfig {
        servers: servers.iter().map(|url| (*url).clone()).collect(),
        direct: Direct::Off,
        ..MeshConfig::default()
    };
    let (one, two) = (first.url(), second.url());
    let mut a = Node::start(config(&[&nowhere, &one, &two]));
    let mut b = Node::start(config(&[&two, &one]));
    for (node, servers) in [(&mut a, 2), (&mut b, 2)] {
        for _ in 0..servers {
            let event = soon("a server", node.events.recv()).await;
            assert!(matches!(event, Some(MeshEvent::Server { state: ServerState::Up, .. })), "{event:?}");
        }
    }
    a.join(&secret(1), 1).await;
    b.join(&secret(1), 2).await;
    let (here, mut there) = tokio::join!(a.connected(), b.connected());
    first.stop().await;
    for number in 0..50_u8 {
        here.send(stream(1), vec![number]).await.unwrap();
        assert_eq!(says(&mut there).await, [number]);
    }
    let again = std::iter::from_fn(|| a.events.try_recv().ok());
    assert!(
        again.into_iter().all(|event| !matches!(event, MeshEvent::Connected { .. })),
        "there is one connection"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_meetings_go_over_one_line() {
    let served = Served::start().await;
    let (mut a, mut b) = (Node::at(&served.url(), Direct::Off), Node::at(&served.url(), Direct::Off));
    for number in 1..=50 {
        a.join(&secret(number), 1).await;
        b.join(&secret(number), 2).await;
    }
    let mut connections = Vec::new();
    for _ in 0..50 {
        let (here, there) = tokio::join!(a.connected(), b.connected());
        connections.push((here, there));
    }
    assert_eq!((served.signaller.counts().clients, served.signaller.counts().topics), (2, 50));
    let hashes = |second: bool| -> std::collections::BTreeSet<_> {
        connections.iter().map(|(here, there)| if second { there.hash() } else { here.hash() }).collect()
    };
    assert_eq!(hashes(false).len(), 50);
    assert_eq!(hashes(false), hashes(true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_meeting_that_is_joined_again_is_met_again() {
    let served = Served::start().await;
    let Two { mut a, mut b, here: _here, mut there } = two(&served.url(), Direct::Off).await;
    a.join(&secret(1), 1).await;
    let (here, mut again) = tokio::join!(a.connected(), b.connected());
    assert_eq!(end(&mut there).await, CloseReason::Replaced);
    here.send(stream(1), b"once more".to_vec()).await.unwrap();
    assert_eq!(says(&mut again).await, b"once more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_meeting_that_is_left_and_joined_at_once_is_met_again() {
    let served = Served::start().await;
    let [mut a, mut b] = [(); 2].map(|()| Node::at(&served.url(), Direct::Off));
    b.join(&secret(1), 2).await;
    // So fast that the line to the server may see both at once.
    for _ in 0..20 {
        let meeting = a.join(&secret(1), 1).await;
        let (_here, mut there) = tokio::join!(a.connected(), b.connected());
        a.mesh.leave(meeting).await.unwrap();
        assert_eq!(end(&mut there).await, CloseReason::ByPeer);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_are_changed_while_it_runs() {
    let (first, second) = (Served::start().await, Served::start().await);
    let Two { a, b, here, mut there } = two(&first.url(), Direct::Off).await;
    for node in [&a, &b] {
        let config = MeshConfig { servers: vec![second.url()], direct: Direct::Off, ..MeshConfig::default() };
        node.mesh.reconfigure(config).await.unwrap();
    }
    first.stop().await;
    here.send(stream(1), b"over there".to_vec()).await.unwrap();
    assert_eq!(says(&mut there).await, b"over there");
    let bad = MeshConfig { servers: vec!["http://kube.example".parse().unwrap()], ..MeshConfig::default() };
    assert!(matches!(a.mesh.reconfigure(bad).await, Err(MeshError::BadServer { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_ends_in_one_process_need_no_network() {
    let meeting = secret(1);
    let (mut here, mut there) = soon("a pair", pair(device(1, &meeting), device(2, &meeting))).await.unwrap();
    assert_eq!((here.initiator(), here.remote().map(|key| *key.as_bytes())), (true, Some(public(2))));
    here.send(stream(1), b"ping".to_vec()).await.unwrap();
    assert_eq!(says(&mut there).await, b"ping");
    there.send(stream(1), b"pong".to_vec()).await.unwrap();
    assert_eq!(says(&mut here).await, b"pong");
    goes(&mut here, PathKind::Local).await;
    drop(there);
    assert_eq!(end(&mut here).await, CloseReason::ByPeer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pair_that_does_not_agree_is_none() {
    let (ours, theirs) = (secret(1), secret(2));
    let outcome =
        tokio::time::timeout(std::time::Duration::from_secs(1), pair(device(1, &ours), device(2, &theirs)));
    assert!(outcome.await.is_err(), "they mean different meetings");
}
