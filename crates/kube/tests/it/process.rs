//! A device in a process of its own: it joins a meeting, says so many numbered messages when told, and says what it
//! hears.

use std::io::BufRead;
use std::path::Path;
use std::sync::Arc;

use halo_mesh::{
    ConnectionEvent, ConnectionSender, Handshaker, Lan, Meeting, Mesh, MeshConfig, MeshEvent, Side,
};
use halo_protocol::channel::{Handshake, HandshakeError, Priority, Purpose, Role, StreamId};
use halo_protocol::signal::TopicSecret;
use halo_testing::process::{Other, role, say};
use rand::CryptoRng;
use tokio::sync::mpsc;

/// Starts one by a command that ends in this test binary.
pub(crate) fn device(command: std::process::Command, number: u8, server: &str) -> Other {
    let number = number.to_string();
    Other::start_by(command, "device", Path::new("."), &[("DEVICE", number.as_str()), ("SERVER", server)])
}

/// The role of this process, if it has one.
#[test]
fn child() {
    if role().is_none() {
        return;
    }
    let number: u8 = std::env::var("DEVICE").unwrap().parse().unwrap();
    let server = std::env::var("SERVER").unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(run(number, &server));
}

struct Device {
    secret: [u8; 32],
    purpose: Purpose,
}

impl Handshaker for Device {
    fn begin(
        &self,
        role: Role,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Handshake, Option<Vec<u8>>), HandshakeError> {
        match role {
            Role::Initiator => {
                let (handshake, first) = Handshake::calling(&self.purpose, &self.secret, rng)?;
                Ok((handshake, Some(first)))
            }
            Role::Responder => Ok((Handshake::answering(&self.purpose, &self.secret, rng)?, None)),
        }
    }
}

async fn run(number: u8, server: &str) {
    // Standard input is read on a thread of its own, and says nothing more when the parent lets go.
    let (lines, mut told) = mpsc::channel(16);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if lines.blocking_send(line).is_err() {
                return;
            }
        }
    });
    let config = if server == "lan" {
        MeshConfig { lan: Lan::On { port: 0 }, ..MeshConfig::default() }
    } else {
        MeshConfig { servers: vec![server.parse().unwrap()], ..MeshConfig::default() }
    };
    let (mesh, mut events) = Mesh::start(config).unwrap();
    let secret = TopicSecret::from_bytes(&[1; 16]).unwrap();
    let purpose = Purpose::Peers { topic: secret.topic() };
    let handshaker = Arc::new(Device { secret: [number; 32], purpose });
    mesh.join(Meeting::new(secret, Side::Peer, handshaker)).await.unwrap();
    let mut speaker: Option<ConnectionSender> = None;
    loop {
        tokio::select! {
            event = events.recv() => {
                if let Some(MeshEvent::Connected { connection, .. }) = event {
                    say("connected");
                    let (sender, mut hears) = connection.split();
                    speaker = Some(sender);
                    tokio::spawn(async move {
                        let mut next = 0_u32;
                        while let Some(event) = hears.next().await {
                            match event {
                                ConnectionEvent::Message { bytes, .. } => {
                                    assert_eq!(bytes, block(next), "each once, in order, unaltered");
                                    next += 1;
                                    if next.is_multiple_of(100) {
                                        say(format!("heard {next}"));
                                    }
                                }
                                ConnectionEvent::Path(Some(way)) => say(format!("path {way:?}")),
                                ConnectionEvent::Path(None) => say("path none"),
                                ConnectionEvent::Closed(reason) => say(format!("closed: {reason}")),
                            }
                        }
                    });
                }
            }
            line = told.recv() => match line.as_deref().and_then(|line| line.split_once(' ')) {
                Some(("say", count)) => {
                    let (count, sender): (u32, _) = (count.parse().unwrap(), speaker.clone().unwrap());
                    tokio::spawn(async move {
                        for number in 0..count {
                            sender.send(StreamId::new(Priority::Interactive, 1), block(number)).await.unwrap();
                        }
                        say("said");
                    });
                }
                Some(other) => panic!("{other:?} is nothing to do"),
                None => break,
            },
        }
    }
    mesh.close().await;
}

/// 4 KiB that no other message has.
fn block(number: u32) -> Vec<u8> {
    number.to_be_bytes().repeat(1024)
}
