//! Making sure of a peer: the handshake, tried again until it is done.
//!
//! Who speaks first numbers the attempts; the other end answers the newest. Words of an older one come to nothing. What
//! a signaller swaps, repeats or alters does not open its seal, and what it withholds is said again.

use std::time::Duration;

use halo_protocol::channel::{Established, Handshake, HandshakeError, PathId, Role, Step};
use tokio::time::{Instant, sleep_until};

use super::CloseReason;
use super::task::{Peer, ToPeer};
use crate::greeting::Greeting;

/// From one attempt to the next; doubles up to the second.
const PAUSES: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(30));

/// A handshake under way.
#[derive(Default)]
struct Run {
    state: Option<Handshake>,
    pause: Duration,
    alarm: Option<Instant>,
}

impl Peer {
    /// Returns when it is done.
    pub(super) async fn handshake(&mut self) -> Result<Established, CloseReason> {
        let mut run = Run { pause: PAUSES.0, ..Run::default() };
        if let Some((path, attempt, bytes)) = self.pending.take()
            && let Some(established) = self.step(&mut run, path, attempt, &bytes).await
        {
            return Ok(established);
        }
        run.alarm = Some(Instant::now());
        loop {
            let knock = self.first && !self.carriers.is_empty();
            let alarm = run.alarm.unwrap_or_else(Instant::now);
            tokio::select! {
                message = self.inbox.recv() => {
                    let message = message.ok_or(CloseReason::Here)?;
                    message.note(&mut self.carriers);
                    match message {
                        // Another path: what was said on one that is gone may not have arrived.
                        ToPeer::Opened { .. } if run.state.is_none() => run.alarm = Some(Instant::now()),
                        ToPeer::End(reason) => return Err(reason),
                        ToPeer::Said { path, greeting: Greeting::Handshake { attempt, bytes } } => {
                            if let Some(established) = self.step(&mut run, path, attempt, &bytes).await {
                                return Ok(established);
                            }
                        }
                        _ => {}
                    }
                }
                () = sleep_until(alarm), if knock => {
                    self.knock(&mut run).await;
                    run.alarm = Some(Instant::now() + run.pause);
                    run.pause = (run.pause * 2).min(PAUSES.1);
                }
            }
        }
    }

    fn begin(&self, role: Role) -> Result<(Handshake, Option<Vec<u8>>), HandshakeError> {
        self.handshaker.begin(role, &mut rand::rng())
    }

    /// Begins another attempt.
    async fn knock(&mut self, run: &mut Run) {
        run.state = None;
        let Some(path) = self.carriers.keys().next().copied() else { return };
        let begun = self.begin(Role::Initiator);
        match begun {
            Ok((handshake, Some(bytes))) => {
                self.attempt = self.attempt.saturating_add(1);
                run.state = Some(handshake);
                self.say(path, Greeting::Handshake { attempt: self.attempt, bytes }).await;
            }
            Ok((_, None)) | Err(_) => tracing::debug!("a handshake cannot be begun now"),
        }
    }

    /// Takes the peer's next message; the outcome if it was the last.
    async fn step(&mut self, run: &mut Run, path: PathId, attempt: u32, bytes: &[u8]) -> Option<Established> {
        let handshake = if self.first {
            if attempt != self.attempt {
                return None;
            }
            run.state.take()?
        } else if attempt > self.attempt {
            self.attempt = attempt;
            match self.begin(Role::Responder) {
                Ok((handshake, _)) => handshake,
                Err(_) => {
                    tracing::debug!("a handshake cannot be answered now");
                    return None;
                }
            }
        } else if attempt == self.attempt {
            run.state.take()?
        } else {
            return None;
        };
        match handshake.read(bytes) {
            Ok(Step::Continue { reply, handshake }) => {
                run.state = Some(handshake);
                self.say(path, Greeting::Handshake { attempt, bytes: reply }).await;
                None
            }
            Ok(Step::Done { reply, established }) => {
                if let Some(bytes) = reply {
                    self.say(path, Greeting::Handshake { attempt, bytes }).await;
                }
                Some(established)
            }
            Err(error) => {
                tracing::debug!(%error, "a handshake failed");
                None
            }
        }
    }
}
