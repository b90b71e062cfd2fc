//! What an operator sees.

use futures_util::{SinkExt, StreamExt};
use halo_protocol::signal::{ClientMessage, Refusal, ServerMessage, Topic};
use tokio_tungstenite::tungstenite::Message;

use crate::kube::Kube;

const LOOPBACK: [&str; 4] = ["--listen", "127.0.0.1:0", "--turn", "127.0.0.1:0"];

#[test]
fn it_serves_without_configuration_and_says_where() {
    let kube = Kube::start(&LOOPBACK);
    assert!(kube.signal_url.starts_with("ws://127.0.0.1:") && kube.signal_url.ends_with("/signal"));
    assert!(kube.turn_url.as_deref().unwrap().starts_with("turn:127.0.0.1:"));
    assert!(kube.page("/health").ends_with("\r\n\r\nok\n"));
    assert_eq!(kube.metric("kube_signal_clients"), 0);
    assert!(kube.page("/elsewhere").starts_with("HTTP/1.1 404"));
}

#[test]
fn turn_can_be_left_out() {
    let kube = Kube::start(&["--listen", "127.0.0.1:0", "--turn", "off"]);
    assert_eq!(kube.turn_url, None);
    assert!(!kube.page("/metrics").contains("turn"));
}

#[tokio::test]
async fn sigterm_ends_it_in_good_order_and_clients_are_told() {
    let mut kube = Kube::start(&LOOPBACK);
    let (mut socket, _) = tokio_tungstenite::connect_async(&kube.signal_url).await.unwrap();
    let join = ClientMessage::Join { topic: Topic::from_bytes([1; 16]) };
    socket.send(Message::Binary(join.encode().into())).await.unwrap();
    let joined = socket.next().await.unwrap().unwrap().into_data();
    assert!(matches!(ServerMessage::decode(&joined), Ok(ServerMessage::Joined { .. })));
    assert_eq!((kube.metric("kube_signal_clients"), kube.metric("kube_signal_topics")), (1, 1));
    let ended = tokio::task::spawn_blocking(move || kube.terminate());
    let said = socket.next().await.unwrap().unwrap().into_data();
    assert_eq!(
        ServerMessage::decode(&said),
        Ok(ServerMessage::Refused { topic: None, why: Refusal::Closing })
    );
    assert!(ended.await.unwrap().success());
}

#[test]
fn what_is_wrong_is_said_and_ends_it() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (options, words) in [
        (vec!["--listen", address.as_str()], "cannot listen at"),
        (vec!["--listen", "127.0.0.1:0", "--public-url", "ftp://kube.example"], "public address"),
        (
            vec!["--listen", "127.0.0.1:0", "--tls-cert", "/nowhere.pem", "--tls-key", "/nowhere.pem"],
            "/nowhere.pem",
        ),
    ] {
        let output = Kube::command().arg("serve").args(options).output().unwrap();
        let trouble = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{trouble}");
        assert!(trouble.starts_with("kube: ") && trouble.contains(words), "{trouble}");
        assert!(output.stdout.is_empty(), "it never says that it is ready");
    }
}
