//! The trusted device's half of linking a new device.
//!
//! The new device shows six digits; the user types them here. Somebody who photographed the code, or relays it, has
//! *other* digits on screen, so a single miss proves an impostor and withdraws the invitation, for everybody.
//!
//! One guest at a time is greeted; whoever comes meanwhile is told that it is taken. Digits are made for three guests at
//! most in the life of an invitation, so that nobody can come again and again until theirs happen to be somebody else's.
//!
//! Sans-IO: messages, digits and time come in, effects go out.

use rand_core::CryptoRng;

use super::code::{InvitationCode, NewcomerCode};
use super::digits::{Digits, Nonce, commitment, digits};
use super::host_io::{Confirmed, EnterError, HostEffect, HostEnded, HostInput};
use super::message::{FromGuest, FromHost, GuestKeys, LinkTranscript, PORTION, Refused};
use super::profile::clean_label;
use super::rendezvous::Rendezvous;
use super::{ADMITTING, ConnectionId, GREETING, LONGEST_ADMISSION, State};
use crate::channel::{HandshakeHash, OneTimeSecret};
use crate::credential::DeviceProfile;
use crate::time::Timestamp;

/// Guests for whom digits are made.
const MOST_READY: u32 = 3;
/// Channels of those who have not said anything yet.
const MOST_ARRIVED: usize = 8;
/// Bytes of an admission that the guest has not yet seen.
const AHEAD: u64 = 512 * 1024;

/// A guest that has introduced itself.
struct Greeted {
    connection: ConnectionId,
    hash: HandshakeHash,
    nonce: Nonce,
    profile: DeviceProfile,
    introduction: Vec<u8>,
    welcome: Vec<u8>,
    since: Timestamp,
}

/// A guest that has proved its keys.
pub(super) struct Known {
    pub(super) keys: GuestKeys,
    pub(super) profile: DeviceProfile,
}

pub(super) enum Stage {
    Open,
    Ready {
        connection: ConnectionId,
        known: Known,
        digits: Digits,
    },
    Admitting {
        /// Its channel, while there is one.
        connection: Option<ConnectionId>,
        known: Known,
        admission: Option<Admission>,
        until: Timestamp,
    },
    Over,
}

pub(super) struct Admission {
    bytes: Vec<u8>,
    sent: u64,
}

/// The trusted device's half.
pub struct Host {
    /// The code, if this side shows it and the invitation outlives a restart.
    pub(super) resumable: Option<InvitationCode>,
    pub(super) rendezvous: Rendezvous,
    pub(super) label: String,
    pub(super) stage: Stage,
    state: State,
    arrived: Vec<(ConnectionId, HandshakeHash)>,
    greeted: Option<Greeted>,
    /// Guests for whom digits were made.
    pub(super) ready: u32,
    /// What digits are answered with once it is over.
    over: EnterError,
}

/// What is to be done, in this order.
type Effects = Vec<HostEffect>;

impl Host {
    /// Shows a code. `label` is what this device is called; a `resumable` invitation outlives a restart.
    #[must_use]
    pub fn offer(code: InvitationCode, secret: OneTimeSecret, label: &str, resumable: bool) -> Self {
        let rendezvous = Rendezvous::invitation(&code, Some(secret));
        Self::new(rendezvous, label, resumable.then_some(code))
    }

    /// Adds the device whose code was scanned, where the user went to do so.
    #[must_use]
    pub fn add(code: &NewcomerCode, label: &str) -> Self {
        Self::new(Rendezvous::newcomer(code, None), label, None)
    }

    fn new(rendezvous: Rendezvous, label: &str, resumable: Option<InvitationCode>) -> Self {
        Self {
            resumable,
            rendezvous,
            label: clean_label(label),
            stage: Stage::Open,
            state: State::Init,
            arrived: Vec::new(),
            greeted: None,
            ready: 0,
            over: EnterError::Over,
        }
    }

    /// Where to meet, and the handshakes.
    #[must_use]
    pub const fn rendezvous(&self) -> &Rendezvous {
        &self.rendezvous
    }

    /// Where it stands.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// When to call [`Self::handle`] with [`HostInput::Tick`] if nothing else happens before.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        let fixed = match &self.stage {
            Stage::Over => return None,
            Stage::Admitting { until, .. } => *until,
            Stage::Open | Stage::Ready { .. } => self.rendezvous.meeting().expires,
        };
        let greeting = self.greeted.as_ref().map(|greeted| greeted.since.plus(GREETING));
        Some(greeting.map_or(fixed, |greeting| greeting.min(fixed)))
    }

    /// Begins: the code may be shown, or the newcomer called, from here on.
    #[must_use = "effects are the only way in which a host acts"]
    pub fn start(&mut self, now: Timestamp) -> Effects {
        let mut effects = Vec::new();
        match &self.stage {
            Stage::Over => {}
            Stage::Admitting { known, .. } => {
                let confirmed = Confirmed::witness(known.keys.clone(), known.profile.clone());
                effects.push(HostEffect::Confirmed(confirmed));
                self.becomes(State::Authenticating, &mut effects);
            }
            Stage::Open | Stage::Ready { .. } => self.becomes(State::Connecting, &mut effects),
        }
        self.save(&mut effects);
        self.clock(now, &mut effects);
        effects
    }

    /// Takes what happened.
    #[must_use = "effects are the only way in which a host acts"]
    pub fn handle(&mut self, input: HostInput, now: Timestamp, rng: &mut dyn CryptoRng) -> Effects {
        let mut effects = Vec::new();
        if matches!(self.stage, Stage::Over) {
            match input {
                HostInput::Entered(_) => effects.push(HostEffect::NotConfirmed(self.over)),
                HostInput::Arrived { connection, .. } => effects.push(HostEffect::Drop { connection }),
                _ => {}
            }
            return effects;
        }
        // Digits typed after the end are late, not right.
        if let (HostInput::Entered(_), Some(seconds)) = (&input, self.late(now)) {
            effects.push(HostEffect::NotConfirmed(EnterError::Expired { seconds }));
        }
        self.clock(now, &mut effects);
        if matches!(self.stage, Stage::Over) {
            return effects;
        }
        match input {
            HostInput::Arrived { connection, hash } => self.arrived(connection, hash, &mut effects),
            HostInput::Message { connection, bytes } => {
                self.message(connection, &bytes, now, rng, &mut effects)
            }
            HostInput::Left { connection } => self.left(connection, &mut effects),
            HostInput::Entered(digits) => self.entered(digits, now, &mut effects),
            HostInput::Admission(bytes) => self.admission(bytes, &mut effects),
            HostInput::NotAdmitted => {
                if matches!(self.stage, Stage::Admitting { admission: None, .. }) {
                    self.end(State::Error, HostEnded::Nobody { why: Refused::Failed }, &mut effects);
                }
            }
            HostInput::Cancel => self.cancel(&mut effects),
            HostInput::Tick => {}
        }
        effects
    }

    fn arrived(&mut self, connection: ConnectionId, hash: HandshakeHash, effects: &mut Effects) {
        if self.arrived.len() < MOST_ARRIVED {
            self.arrived.push((connection, hash));
        } else {
            refuse(connection, Refused::Taken, effects);
        }
    }

    fn message(
        &mut self,
        connection: ConnectionId,
        bytes: &[u8],
        now: Timestamp,
        rng: &mut dyn CryptoRng,
        effects: &mut Effects,
    ) {
        let Some(message) = FromGuest::decode(bytes) else {
            return self.misunderstood(connection, effects);
        };
        let admitted =
            matches!(&self.stage, Stage::Admitting { connection: Some(is), .. } if *is == connection);
        match message {
            FromGuest::Introduce { profile } => {
                self.introduced(connection, profile, bytes, now, rng, effects)
            }
            FromGuest::Reply { nonce, keys, signature } => {
                match self.greeted.take_if(|greeted| greeted.connection == connection) {
                    Some(greeted) => {
                        let transcript = LinkTranscript::new(
                            &greeted.hash,
                            &greeted.introduction,
                            &greeted.welcome,
                            &nonce,
                            &keys,
                        );
                        if transcript.is_signed(&keys.device, &signature) {
                            self.proved(greeted, keys, &transcript, effects);
                        } else {
                            refuse(connection, Refused::Misunderstood, effects);
                            self.waits(effects);
                        }
                    }
                    None => self.misunderstood(connection, effects),
                }
            }
            FromGuest::Got { bytes } if admitted => {
                // It is coming along, however slowly.
                if let Stage::Admitting { until, .. } = &mut self.stage {
                    *until = now.plus(ADMITTING);
                }
                self.portions(bytes, effects);
            }
            FromGuest::Durable if admitted => {
                if matches!(&self.stage, Stage::Admitting { admission: Some(admission), .. } if admission.is_sent())
                {
                    effects.push(HostEffect::Drop { connection });
                    self.end(State::Success, HostEnded::Linked, effects);
                }
            }
            FromGuest::Leaving => {
                effects.push(HostEffect::Drop { connection });
                self.left(connection, effects);
            }
            FromGuest::Got { .. } | FromGuest::Durable => self.misunderstood(connection, effects),
        }
    }

    fn introduced(
        &mut self,
        connection: ConnectionId,
        profile: DeviceProfile,
        introduction: &[u8],
        now: Timestamp,
        rng: &mut dyn CryptoRng,
        effects: &mut Effects,
    ) {
        let Some(at) = self.arrived.iter().position(|(arrived, _)| *arrived == connection) else {
            return self.misunderstood(connection, effects);
        };
        let (_, hash) = self.arrived.remove(at);
        // While somebody is admitted, it may come back over another channel, and proves that by its key.
        let free = match &self.stage {
            Stage::Open => true,
            Stage::Admitting { connection, .. } => connection.is_none(),
            Stage::Ready { .. } | Stage::Over => false,
        };
        if self.greeted.is_some() || !free {
            return refuse(connection, Refused::Taken, effects);
        }
        let mut nonce = [0; 32];
        rng.fill_bytes(&mut nonce);
        let welcome =
            FromHost::Welcome { label: self.label.clone(), commitment: commitment(&hash, &nonce) }.encode();
        effects.push(HostEffect::Send { connection, message: welcome.clone() });
        if matches!(self.stage, Stage::Open) {
            effects.push(HostEffect::Guest(profile.clone()));
            self.becomes(State::Connected, effects);
        }
        let introduction = introduction.to_vec();
        self.greeted = Some(Greeted { connection, hash, nonce, profile, introduction, welcome, since: now });
    }

    /// The guest holds the keys that it names.
    fn proved(
        &mut self,
        greeted: Greeted,
        keys: GuestKeys,
        transcript: &LinkTranscript,
        effects: &mut Effects,
    ) {
        let connection = greeted.connection;
        match &mut self.stage {
            Stage::Open => {}
            Stage::Admitting { connection: channel, known, admission, .. } => {
                if known.keys != keys {
                    return refuse(connection, Refused::Taken, effects);
                }
                *channel = Some(connection);
                effects.push(HostEffect::Send { connection, message: FromHost::Accepted.encode() });
                if let Some(admission) = admission {
                    admission.sent = 0;
                }
                return self.portions(0, effects);
            }
            Stage::Ready { .. } | Stage::Over => return refuse(connection, Refused::Taken, effects),
        }
        if self.ready >= MOST_READY {
            refuse(connection, Refused::Burnt, effects);
            return self.end(State::Error, HostEnded::Nobody { why: Refused::Burnt }, effects);
        }
        self.ready += 1;
        // Kept before it is said, so that a restart gives nobody another attempt.
        self.save(effects);
        effects.push(HostEffect::Send {
            connection,
            message: FromHost::Reveal { nonce: greeted.nonce }.encode(),
        });
        let digits = digits(transcript.as_bytes(), &greeted.nonce);
        self.stage = Stage::Ready { connection, known: Known { keys, profile: greeted.profile }, digits };
        self.becomes(State::ReadyForAuthentication, effects);
    }

    /// Compares what the user typed with the digits of this handshake. A miss ends the invitation for good.
    fn entered(&mut self, typed: Digits, now: Timestamp, effects: &mut Effects) {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Ready { connection, known, digits } if digits == typed => {
                effects.push(HostEffect::Send { connection, message: FromHost::Accepted.encode() });
                let confirmed = Confirmed::witness(known.keys.clone(), known.profile.clone());
                let until = now.plus(ADMITTING);
                self.stage = Stage::Admitting { connection: Some(connection), known, admission: None, until };
                self.save(effects);
                effects.push(HostEffect::Confirmed(confirmed));
                self.becomes(State::Authenticating, effects);
            }
            Stage::Ready { connection, known, digits } => {
                self.stage = Stage::Ready { connection, known, digits };
                effects.push(HostEffect::NotConfirmed(EnterError::Burnt));
                self.end(State::Error, HostEnded::Nobody { why: Refused::Burnt }, effects);
            }
            other => {
                let why = match other {
                    Stage::Admitting { .. } => EnterError::AlreadyRight,
                    _ => EnterError::NobodyThere,
                };
                self.stage = other;
                effects.push(HostEffect::NotConfirmed(why));
            }
        }
    }

    fn admission(&mut self, bytes: Vec<u8>, effects: &mut Effects) {
        let Stage::Admitting { admission, .. } = &mut self.stage else { return };
        if bytes.is_empty() || bytes.len() > LONGEST_ADMISSION {
            return self.end(State::Error, HostEnded::Unseen, effects);
        }
        if admission.is_none() {
            *admission = Some(Admission { bytes, sent: 0 });
            self.portions(0, effects);
        }
    }

    /// Sends more of the admission; `got` is what the guest has of it.
    fn portions(&mut self, got: u64, effects: &mut Effects) {
        let Stage::Admitting { connection: Some(connection), admission: Some(admission), .. } =
            &mut self.stage
        else {
            return;
        };
        while let Some(message) = admission.next(got) {
            effects.push(HostEffect::Send { connection: *connection, message });
        }
    }

    fn left(&mut self, connection: ConnectionId, effects: &mut Effects) {
        self.arrived.retain(|(arrived, _)| *arrived != connection);
        let greeting = self.greeted.take_if(|greeted| greeted.connection == connection).is_some();
        match &mut self.stage {
            Stage::Ready { connection: there, .. } if *there == connection => {
                self.stage = Stage::Open;
                self.waits(effects);
            }
            Stage::Admitting { connection: there, .. } if *there == Some(connection) => *there = None,
            Stage::Open if greeting => self.waits(effects),
            _ => {}
        }
    }

    fn misunderstood(&mut self, connection: ConnectionId, effects: &mut Effects) {
        refuse(connection, Refused::Misunderstood, effects);
        self.left(connection, effects);
    }

    fn waits(&mut self, effects: &mut Effects) {
        if matches!(self.stage, Stage::Open) {
            self.becomes(State::Connecting, effects);
        }
    }

    fn cancel(&mut self, effects: &mut Effects) {
        // Whoever was admitted is a device; that is undone by removing it.
        let ended = match &self.stage {
            Stage::Admitting { admission: Some(_), .. } => HostEnded::Unseen,
            _ => HostEnded::Nobody { why: Refused::Cancelled },
        };
        self.end(State::Cancelled, ended, effects);
    }

    fn clock(&mut self, now: Timestamp, effects: &mut Effects) {
        let expires = self.rendezvous.meeting().expires;
        match &self.stage {
            Stage::Over => return,
            Stage::Open | Stage::Ready { .. } if now >= expires => {
                return self.end(State::Expired, HostEnded::Nobody { why: Refused::Expired }, effects);
            }
            Stage::Admitting { until, admission, .. } if now >= *until => {
                let ended = match admission {
                    Some(_) => HostEnded::Unseen,
                    None => HostEnded::Nobody { why: Refused::Failed },
                };
                return self.end(State::Timeout, ended, effects);
            }
            _ => {}
        }
        if let Some(greeted) = self.greeted.take_if(|greeted| now >= greeted.since.plus(GREETING)) {
            refuse(greeted.connection, Refused::Failed, effects);
            self.waits(effects);
        }
    }

    /// Whole seconds since the end, if digits are too late.
    fn late(&self, now: Timestamp) -> Option<u64> {
        let expires = self.rendezvous.meeting().expires;
        let waits = matches!(self.stage, Stage::Open | Stage::Ready { .. });
        (waits && now >= expires).then(|| now.seconds().saturating_sub(expires.seconds()))
    }

    fn end(&mut self, state: State, ended: HostEnded, effects: &mut Effects) {
        let why = match ended {
            HostEnded::Linked => Refused::Used,
            HostEnded::Unseen => Refused::Failed,
            HostEnded::Nobody { why } => why,
        };
        if why == Refused::Burnt {
            self.over = EnterError::Burnt;
        }
        let there = match &self.stage {
            Stage::Ready { connection, .. } => Some(*connection),
            Stage::Admitting { connection, .. } if ended != HostEnded::Linked => *connection,
            _ => None,
        };
        let greeted = self.greeted.take().map(|greeted| greeted.connection);
        let arrived = std::mem::take(&mut self.arrived);
        for connection in
            there.into_iter().chain(greeted).chain(arrived.into_iter().map(|(connection, _)| connection))
        {
            refuse(connection, why, effects);
        }
        self.stage = Stage::Over;
        self.becomes(state, effects);
        effects.push(HostEffect::Ended(ended));
    }

    fn becomes(&mut self, state: State, effects: &mut Effects) {
        if self.state != state {
            self.state = state;
            effects.push(HostEffect::Changed(state));
        }
    }
}

impl Admission {
    fn is_sent(&self) -> bool {
        self.sent == self.bytes.len() as u64
    }

    /// The next portion, if the guest has enough of what went before.
    fn next(&mut self, got: u64) -> Option<Vec<u8>> {
        if self.is_sent() || self.sent >= got.saturating_add(AHEAD) {
            return None;
        }
        let rest = self.bytes.get(usize::try_from(self.sent).ok()?..)?;
        let portion = rest.get(..PORTION).unwrap_or(rest);
        self.sent += portion.len() as u64;
        Some(FromHost::Portion { total: self.bytes.len() as u64, bytes: portion.to_vec() }.encode())
    }
}

fn refuse(connection: ConnectionId, why: Refused, effects: &mut Effects) {
    effects.push(HostEffect::Send { connection, message: FromHost::Refused(why).encode() });
    effects.push(HostEffect::Drop { connection });
}
