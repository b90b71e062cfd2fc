//! A KUBE in a process of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use futures_util::{SinkExt, StreamExt};
use halo_protocol::signal::{ClientMessage, IceServer, ServerMessage};
use tokio_tungstenite::tungstenite::Message;

/// Ends with the test.
pub(crate) struct Kube {
    child: Child,
    pub(crate) signal_url: String,
    pub(crate) turn_url: Option<String>,
}

impl Kube {
    pub(crate) fn command() -> Command {
        Command::new(env!("CARGO_BIN_EXE_kube"))
    }

    pub(crate) fn start(options: &[&str]) -> Self {
        Self::start_by(Self::command(), options)
    }

    pub(crate) fn start_by(mut command: Command, options: &[&str]) -> Self {
        let mut child = command.arg("serve").args(options).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(ready["ready"], true);
        let signal_url = ready["signal_url"].as_str().unwrap().to_owned();
        Self { child, signal_url, turn_url: ready["turn_url"].as_str().map(str::to_owned) }
    }

    /// A page of it.
    pub(crate) fn page(&self, path: &str) -> String {
        let host = self.signal_url.trim_start_matches("ws://").trim_end_matches("/signal");
        let mut stream = TcpStream::connect(host).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: kube\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// A number of its `/metrics`.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        metric(&self.page("/metrics"), name)
    }

    /// What it tells a client to use for ICE.
    pub(crate) async fn ice(&self) -> Vec<IceServer> {
        let (mut socket, _) = tokio_tungstenite::connect_async(&self.signal_url).await.unwrap();
        socket.send(Message::Binary(ClientMessage::AskIceServers.encode().into())).await.unwrap();
        loop {
            if let Message::Binary(bytes) = socket.next().await.unwrap().unwrap()
                && let ServerMessage::IceServers { servers } = ServerMessage::decode(&bytes).unwrap()
            {
                return servers;
            }
        }
    }

    /// SIGTERM, and how it ended.
    pub(crate) fn terminate(&mut self) -> std::process::ExitStatus {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        self.child.wait().unwrap()
    }
}

impl Drop for Kube {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A number on the page of metrics.
pub(crate) fn metric(page: &str, name: &str) -> u64 {
    let line = page.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
    line.unwrap_or_else(|| panic!("{name} is not in {page}")).parse().unwrap()
}
