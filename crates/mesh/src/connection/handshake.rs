//! Making sure of a peer: drives the course of a handshake over whatever paths there are.
//!
//! Who speaks first numbers the attempts; the other end answers the newest. Words of an older one come to nothing. What
//! a signaller swaps, repeats or alters does not open its seal, and what it withholds is said again.

use std::time::Duration;

use halo_protocol::channel::{Established, HandshakeError, PathId, Role};
use tokio::time::{Instant, sleep_until};

use super::CloseReason;
use super::course::Word;
use super::task::{Peer, ToPeer};
use crate::greeting::Greeting;
use crate::meeting::Handshaker;

/// Without any path for so long, somebody who was met has gone.
const ALONE: Duration = if cfg!(test) { Duration::from_millis(50) } else { Duration::from_secs(10) };

impl Peer {
    /// Returns when it is done.
    pub(super) async fn handshake(&mut self) -> Result<Established, CloseReason> {
        self.course.restart(Instant::now());
        if let Some((path, attempt, bytes)) = self.pending.take()
            && let Some(established) = self.heard(path, attempt, &bytes).await
        {
            return Ok(established);
        }
        // Each repetition takes another path, if there are several: one may swallow everything.
        let mut turn = 0;
        let mut spoken = None;
        let mut alone = Instant::now() + ALONE;
        loop {
            let reached = !self.carriers.is_empty();
            let alarm = self.course.due().filter(|_| reached);
            tokio::select! {
                message = self.inbox.recv() => {
                    let message = message.ok_or(CloseReason::Here)?;
                    message.note(&mut self.carriers);
                    if reached {
                        alone = Instant::now() + ALONE;
                    }
                    match message {
                        ToPeer::Opened { .. } if spoken.is_none_or(|path| !self.carriers.contains_key(&path)) => {
                            self.course.hurry(Instant::now());
                        }
                        ToPeer::End(reason) => return Err(reason),
                        ToPeer::Said { path, greeting: Greeting::Handshake { attempt, bytes } } => {
                            if let Some(established) = self.heard(path, attempt, &bytes).await {
                                return Ok(established);
                            }
                        }
                        _ => {}
                    }
                }
                () = sleep_until(alone), if !reached => return Err(CloseReason::Lost),
                () = sleep_until(alarm.unwrap_or_else(Instant::now)), if alarm.is_some() => {
                    let handshaker = &self.handshaker;
                    let word = self.course.tick(Instant::now(), &mut |role| begin(handshaker.as_ref(), role));
                    let path = self.carriers.keys().nth(turn % self.carriers.len().max(1)).copied();
                    if let (Some(word), Some(path)) = (word, path) {
                        (turn, spoken) = (turn + 1, Some(path));
                        self.utter(path, word).await;
                    }
                }
            }
        }
    }

    /// Takes the peer's next message; the outcome if it was the last.
    async fn heard(&mut self, path: PathId, attempt: u32, bytes: &[u8]) -> Option<Established> {
        let handshaker = &self.handshaker;
        let begin = &mut |role| begin(handshaker.as_ref(), role);
        let (word, established) = self.course.hear((attempt, bytes), Instant::now(), begin);
        if let Some(word) = word {
            self.utter(path, word).await;
        }
        established
    }

    pub(super) async fn utter(&self, path: PathId, (attempt, bytes): Word) {
        self.say(path, Greeting::Handshake { attempt, bytes }).await;
    }
}

fn begin(
    handshaker: &dyn Handshaker,
    role: Role,
) -> Result<(halo_protocol::channel::Handshake, Option<Vec<u8>>), HandshakeError> {
    handshaker.begin(role, &mut rand::rng())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::{mpsc, watch};

    use super::*;
    use crate::connection::task::{Carrier, PeerKey, PeerNotice, PeerOptions};
    use crate::greeting::Instance;
    use crate::meeting::{MeetingId, Side};

    /// Never gets to its turn: the other side is to speak first.
    struct Nobody;

    impl Handshaker for Nobody {
        fn begin(
            &self,
            _: Role,
            _: &mut dyn rand::CryptoRng,
        ) -> Result<(halo_protocol::channel::Handshake, Option<Vec<u8>>), HandshakeError> {
            Err(HandshakeError::Failed)
        }
    }

    #[tokio::test]
    async fn who_was_met_and_went_before_the_handshake_is_done_is_let_go() {
        let key = PeerKey { meeting: MeetingId(1), instance: Instance([1; 16]) };
        let (_options, options) = watch::channel(PeerOptions::default());
        let (notices, mut told) = mpsc::channel(8);
        let peer = Peer::start(key, false, Side::Peer, Arc::new(Nobody), options, notices);
        peer.try_send(ToPeer::Opened { path: PathId(1), carrier: Carrier::Relay }).unwrap();
        // As long as it can be reached it is waited for.
        let early = tokio::time::timeout(ALONE * 10, told.recv()).await;
        assert!(early.is_err());
        peer.try_send(ToPeer::Gone { path: PathId(1) }).unwrap();
        let ended = told.recv().await.unwrap();
        assert!(matches!(ended, PeerNotice::Ended { peer, reason: CloseReason::Lost } if peer == key));
    }
}
