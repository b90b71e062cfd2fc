//! The new device's half of being linked to an account.
//!
//! It shows six digits and waits until somebody has typed them at the trusted device. What then comes is held back
//! until the wallet has all of it and has kept it: a device that vanishes at any moment before is no device of the
//! account, and can come again with the same keys.
//!
//! Nothing that the host says is opened, followed or run: there is a label to show and an admission to give to the
//! wallet.

use rand_core::CryptoRng;

use super::code::{InvitationCode, NewcomerCode};
use super::digits::{Digits, Nonce, commitment, digits};
use super::message::{FromGuest, FromHost, GuestKeys, LinkTranscript, PORTION, Refused};
use super::profile::clean_profile;
use super::rendezvous::Rendezvous;
use super::{ADMITTING, ConnectionId, GREETING, LONGEST_ADMISSION, State};
use crate::channel::{HandshakeHash, OneTimeSecret};
use crate::credential::DeviceProfile;
use crate::statement::Signature;
use crate::time::Timestamp;

/// After so many portions the host hears how far the admission has come.
const TELL: usize = 4 * PORTION;

/// What happens to a guest.
#[derive(Debug)]
pub enum GuestInput {
    /// A handshake of [`Guest::rendezvous`] is complete.
    Arrived {
        /// A new name.
        connection: ConnectionId,
        /// Of the handshake.
        hash: HandshakeHash,
    },
    /// The host says something, on [`super::STREAM`].
    Message {
        /// Over which channel.
        connection: ConnectionId,
        /// What.
        bytes: Vec<u8>,
    },
    /// A channel is gone.
    Left {
        /// Which.
        connection: ConnectionId,
    },
    /// The keystore signed what [`GuestEffect::Sign`] asked for.
    Signed {
        /// For which channel.
        connection: ConnectionId,
        /// By the device's key.
        signature: Signature,
    },
    /// The wallet keeps the admission: this is a device of the account now.
    Durable,
    /// The wallet cannot take the admission.
    NotTaken,
    /// The user thought better of it.
    Cancel,
    /// The [`Guest::deadline`] is here.
    Tick,
}

/// What is to be done.
#[derive(Debug)]
pub enum GuestEffect {
    /// Say this on [`super::STREAM`].
    Send {
        /// Over which channel.
        connection: ConnectionId,
        /// At most 96 KiB.
        message: Vec<u8>,
    },
    /// Close the channel once everything is said.
    Drop {
        /// Which.
        connection: ConnectionId,
    },
    /// Show this.
    Changed(State),
    /// Show who the host says it is: cleaned.
    Host {
        /// Its label.
        label: String,
    },
    /// Have this signed by the device's key, and answer with [`GuestInput::Signed`].
    Sign {
        /// Over which channel.
        connection: ConnectionId,
        /// [`LinkTranscript::sign`] does it.
        transcript: LinkTranscript,
    },
    /// Show these digits, to be typed into the trusted device; `None` to show them no longer.
    Digits(Option<Digits>),
    /// So much of the admission is here.
    Progress {
        /// Bytes.
        bytes: u64,
        /// Of so many.
        total: u64,
    },
    /// Check this, keep it, and answer with [`GuestInput::Durable`] or [`GuestInput::NotTaken`].
    Admission(Vec<u8>),
    /// It is over.
    Ended(GuestEnded),
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuestEnded {
    /// This is a device of the account.
    Linked,
    /// It is not: the host, or this side, would not go on.
    Not {
        /// Why.
        why: Refused,
    },
}

enum Stage {
    Alone,
    /// It has said who it is.
    Introduced {
        hash: HandshakeHash,
        introduction: Vec<u8>,
    },
    /// It waits for its signature.
    Welcomed {
        commitment: [u8; 32],
        nonce: Nonce,
        hash: HandshakeHash,
        transcript: LinkTranscript,
    },
    /// It has proved its keys.
    Replied {
        commitment: [u8; 32],
        hash: HandshakeHash,
        transcript: LinkTranscript,
    },
    /// Its digits are on the screen.
    Shown,
    /// They were right.
    Accepted {
        /// Length of the admission, once known, and its beginning.
        total: usize,
        bytes: Vec<u8>,
    },
    /// The wallet has the admission.
    Keeping,
    Over,
}

/// The new device's half.
pub struct Guest {
    rendezvous: Rendezvous,
    profile: DeviceProfile,
    keys: GuestKeys,
    stage: Stage,
    state: State,
    /// The one channel that is used.
    connection: Option<ConnectionId>,
    /// When the present stage has lasted too long.
    until: Option<Timestamp>,
    /// Digits are on the screen.
    shows: bool,
    /// The digits were right: it may come again until then, whatever the code says.
    again: Option<Timestamp>,
}

/// What is to be done, in this order.
type Effects = Vec<GuestEffect>;

impl Guest {
    /// Uses the code that a device of the account shows.
    #[must_use]
    pub fn join(code: &InvitationCode, profile: &DeviceProfile, keys: GuestKeys) -> Self {
        Self::new(Rendezvous::invitation(code, None), profile, keys)
    }

    /// Shows a code by which a device of the account can add this one.
    #[must_use]
    pub fn show(
        code: &NewcomerCode,
        secret: OneTimeSecret,
        profile: &DeviceProfile,
        keys: GuestKeys,
    ) -> Self {
        Self::new(Rendezvous::newcomer(code, Some(secret)), profile, keys)
    }

    fn new(rendezvous: Rendezvous, profile: &DeviceProfile, keys: GuestKeys) -> Self {
        Self {
            rendezvous,
            profile: clean_profile(profile),
            keys,
            stage: Stage::Alone,
            state: State::Init,
            connection: None,
            until: None,
            shows: false,
            again: None,
        }
    }

    /// Where to meet, and the handshakes.
    #[must_use]
    pub const fn rendezvous(&self) -> &Rendezvous {
        &self.rendezvous
    }

    /// What this device said it is: cleaned.
    #[must_use]
    pub const fn profile(&self) -> &DeviceProfile {
        &self.profile
    }

    /// Where it stands.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// When to call [`Self::handle`] with [`GuestInput::Tick`] if nothing else happens before.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        let expires = self.expires();
        match self.stage {
            Stage::Over | Stage::Keeping => None,
            Stage::Accepted { .. } => self.until,
            _ => Some(self.until.map_or(expires, |until| until.min(expires))),
        }
    }

    fn expires(&self) -> Timestamp {
        let expires = self.rendezvous.meeting().expires;
        self.again.map_or(expires, |again| again.max(expires))
    }

    /// Begins: the code may be shown, or the host called, from here on.
    #[must_use = "effects are the only way in which a guest acts"]
    pub fn start(&mut self, now: Timestamp) -> Effects {
        let mut effects = Vec::new();
        self.becomes(State::Connecting, &mut effects);
        self.clock(now, &mut effects);
        effects
    }

    /// Takes what happened.
    #[must_use = "effects are the only way in which a guest acts"]
    pub fn handle(&mut self, input: GuestInput, now: Timestamp, rng: &mut dyn CryptoRng) -> Effects {
        let mut effects = Vec::new();
        self.clock(now, &mut effects);
        if matches!(self.stage, Stage::Over) {
            if let GuestInput::Arrived { connection, .. } = input {
                effects.push(GuestEffect::Drop { connection });
            }
            return effects;
        }
        match input {
            GuestInput::Arrived { connection, hash } => self.arrived(connection, hash, now, &mut effects),
            GuestInput::Message { connection, bytes } if self.connection == Some(connection) => {
                self.message(connection, &bytes, now, rng, &mut effects);
            }
            GuestInput::Left { connection } if self.connection == Some(connection) => {
                self.alone(&mut effects)
            }
            GuestInput::Signed { connection, signature } if self.connection == Some(connection) => {
                self.signed(connection, signature, now, &mut effects);
            }
            GuestInput::Durable => self.durable(&mut effects),
            GuestInput::NotTaken => {
                if matches!(self.stage, Stage::Keeping) {
                    self.end(State::Error, GuestEnded::Not { why: Refused::Failed }, &mut effects);
                }
            }
            GuestInput::Cancel => self.cancel(&mut effects),
            GuestInput::Message { .. }
            | GuestInput::Left { .. }
            | GuestInput::Signed { .. }
            | GuestInput::Tick => {}
        }
        effects
    }

    fn arrived(
        &mut self,
        connection: ConnectionId,
        hash: HandshakeHash,
        now: Timestamp,
        effects: &mut Effects,
    ) {
        // One at a time: what comes beside it is dropped, whoever it is.
        if self.connection.is_some() || !matches!(self.stage, Stage::Alone) {
            effects.push(GuestEffect::Drop { connection });
            return;
        }
        let introduction = FromGuest::Introduce { profile: self.profile.clone() }.encode();
        effects.push(GuestEffect::Send { connection, message: introduction.clone() });
        self.connection = Some(connection);
        self.until = Some(now.plus(GREETING));
        self.stage = Stage::Introduced { hash, introduction };
    }

    fn message(
        &mut self,
        connection: ConnectionId,
        bytes: &[u8],
        now: Timestamp,
        rng: &mut dyn CryptoRng,
        effects: &mut Effects,
    ) {
        let message = FromHost::decode(bytes);
        match (std::mem::replace(&mut self.stage, Stage::Alone), message) {
            (_, Some(FromHost::Refused(why))) => {
                let state = match why {
                    Refused::Cancelled => State::Cancelled,
                    Refused::Expired => State::Expired,
                    _ => State::Error,
                };
                self.end(state, GuestEnded::Not { why }, effects);
            }
            (Stage::Introduced { hash, introduction }, Some(FromHost::Welcome { label, commitment })) => {
                let mut nonce = [0; 32];
                rng.fill_bytes(&mut nonce);
                let transcript = LinkTranscript::new(&hash, &introduction, bytes, &nonce, &self.keys);
                effects.push(GuestEffect::Host { label });
                self.becomes(State::Connected, effects);
                effects.push(GuestEffect::Sign { connection, transcript });
                self.until = None;
                self.stage = Stage::Welcomed { commitment, nonce, hash, transcript };
            }
            (
                Stage::Replied { commitment: committed, hash, transcript },
                Some(FromHost::Reveal { nonce }),
            ) => {
                if commitment(&hash, &nonce) != committed {
                    return self.misunderstood(effects);
                }
                effects.push(GuestEffect::Digits(Some(digits(transcript.as_bytes(), &nonce))));
                self.shows = true;
                self.until = None;
                self.stage = Stage::Shown;
                self.becomes(State::ReadyForAuthentication, effects);
            }
            // A host that knows these keys from before needs no digits again.
            (Stage::Shown | Stage::Replied { .. }, Some(FromHost::Accepted)) => {
                self.hide(effects);
                self.until = Some(now.plus(ADMITTING));
                self.again = self.until;
                self.stage = Stage::Accepted { total: 0, bytes: Vec::new() };
                self.becomes(State::Authenticating, effects);
            }
            (
                Stage::Accepted { total, bytes: mut came },
                Some(FromHost::Portion { total: announced, bytes: more }),
            ) => {
                let announced = usize::try_from(announced).unwrap_or(usize::MAX);
                let fits = announced <= LONGEST_ADMISSION && came.len() + more.len() <= announced;
                if !fits || more.is_empty() || (!came.is_empty() && announced != total) {
                    return self.misunderstood(effects);
                }
                let before = came.len() / TELL;
                came.extend_from_slice(&more);
                self.until = Some(now.plus(ADMITTING));
                let bytes = came.len() as u64;
                effects.push(GuestEffect::Progress { bytes, total: announced as u64 });
                if came.len() == announced {
                    effects.push(GuestEffect::Admission(came));
                    self.stage = Stage::Keeping;
                    return;
                }
                if came.len() / TELL > before {
                    effects
                        .push(GuestEffect::Send { connection, message: FromGuest::Got { bytes }.encode() });
                }
                self.stage = Stage::Accepted { total: announced, bytes: came };
            }
            (stage, _) => {
                self.stage = stage;
                self.misunderstood(effects);
            }
        }
    }

    fn signed(
        &mut self,
        connection: ConnectionId,
        signature: Signature,
        now: Timestamp,
        effects: &mut Effects,
    ) {
        match std::mem::replace(&mut self.stage, Stage::Alone) {
            Stage::Welcomed { commitment, nonce, hash, transcript } => {
                let reply = FromGuest::Reply { nonce, keys: self.keys.clone(), signature };
                effects.push(GuestEffect::Send { connection, message: reply.encode() });
                self.until = Some(now.plus(GREETING));
                self.stage = Stage::Replied { commitment, hash, transcript };
            }
            other => self.stage = other,
        }
    }

    fn durable(&mut self, effects: &mut Effects) {
        if !matches!(self.stage, Stage::Keeping) {
            return;
        }
        // The host may be gone; it then shows a device that was never seen, until the two meet as peers.
        if let Some(connection) = self.connection.take() {
            effects.push(GuestEffect::Send { connection, message: FromGuest::Durable.encode() });
            effects.push(GuestEffect::Drop { connection });
        }
        self.end(State::Success, GuestEnded::Linked, effects);
    }

    /// The channel is gone. Whatever had come of an admission is forgotten; what the wallet has is its own matter.
    fn alone(&mut self, effects: &mut Effects) {
        self.connection = None;
        match self.stage {
            Stage::Keeping => {}
            _ => {
                self.hide(effects);
                self.stage = Stage::Alone;
                self.until = None;
                self.becomes(State::Connecting, effects);
            }
        }
    }

    fn misunderstood(&mut self, effects: &mut Effects) {
        self.leave(effects);
        self.end(State::Error, GuestEnded::Not { why: Refused::Misunderstood }, effects);
    }

    fn cancel(&mut self, effects: &mut Effects) {
        // The wallet is about to say whether it has become a device; that is not called off.
        if !matches!(self.stage, Stage::Keeping) {
            self.leave(effects);
            self.end(State::Cancelled, GuestEnded::Not { why: Refused::Cancelled }, effects);
        }
    }

    fn leave(&mut self, effects: &mut Effects) {
        if let Some(connection) = self.connection {
            effects.push(GuestEffect::Send { connection, message: FromGuest::Leaving.encode() });
        }
    }

    fn clock(&mut self, now: Timestamp, effects: &mut Effects) {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        match self.stage {
            Stage::Accepted { .. } => {
                self.leave(effects);
                self.end(State::Timeout, GuestEnded::Not { why: Refused::Failed }, effects);
            }
            _ if now >= self.expires() => {
                self.leave(effects);
                self.end(State::Expired, GuestEnded::Not { why: Refused::Expired }, effects);
            }
            // This one does not answer; another may.
            _ => {
                self.leave(effects);
                if let Some(connection) = self.connection {
                    effects.push(GuestEffect::Drop { connection });
                }
                self.alone(effects);
            }
        }
    }

    fn end(&mut self, state: State, ended: GuestEnded, effects: &mut Effects) {
        self.hide(effects);
        if let Some(connection) = self.connection.take() {
            effects.push(GuestEffect::Drop { connection });
        }
        self.stage = Stage::Over;
        self.until = None;
        self.becomes(state, effects);
        effects.push(GuestEffect::Ended(ended));
    }

    fn hide(&mut self, effects: &mut Effects) {
        if std::mem::take(&mut self.shows) {
            effects.push(GuestEffect::Digits(None));
        }
    }

    fn becomes(&mut self, state: State, effects: &mut Effects) {
        if self.state != state {
            self.state = state;
            effects.push(GuestEffect::Changed(state));
        }
    }
}
