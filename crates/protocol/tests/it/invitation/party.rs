//! Host and guests in one room, with their messages on the table where tests can take, change and repeat them.

use halo_protocol::channel::{Handshake, HandshakeHash, OneTimeSecret, Step};
use halo_protocol::credential::DeviceProfile;
use halo_protocol::invitation::{
    Authentication, Called, Confirmed, ConnectionId, Digits, EnterError, Guest, GuestEffect, GuestEnded,
    GuestInput, GuestKeys, Hint, Host, HostEffect, HostEnded, HostInput, InvitationCode, Kind, Meeting,
    NewcomerCode, Rendezvous, State,
};
use halo_protocol::signal::TopicSecret;
use halo_protocol::{AgreementKey, Timestamp};
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::signer::{Key, NOON, laptop};

/// Ten minutes after noon.
pub(crate) const EXPIRY: Timestamp = Timestamp::from_millis(NOON.as_millis() + 600_000);

pub(crate) fn later(millis: u64) -> Timestamp {
    Timestamp::from_millis(NOON.as_millis() + millis)
}

pub(crate) fn meeting(secret: &OneTimeSecret) -> Meeting {
    Meeting {
        kind: Kind::Device,
        authentication: Authentication::DigitsOnNewDevice,
        topic: TopicSecret::from_bytes(&[3; 16]).unwrap(),
        key: secret.public(),
        hints: vec![Hint::Signaller("wss://kube.example/signal".into())],
        expires: EXPIRY,
    }
}

pub(crate) fn secret() -> OneTimeSecret {
    OneTimeSecret::from_bytes([42; 32])
}

pub(crate) fn code() -> InvitationCode {
    InvitationCode::new(meeting(&secret()))
}

pub(crate) fn newcomer_code() -> NewcomerCode {
    NewcomerCode::new(meeting(&secret()))
}

pub(crate) fn keys(device: &Key) -> GuestKeys {
    GuestKeys {
        device: device.device(),
        agreement: AgreementKey::from_bytes(&[9; 32]).unwrap(),
        sealing: vec![5; 1_216],
    }
}

/// Runs the handshake between who called and who answers.
pub(crate) fn meet(caller: &Rendezvous, answerer: &Rendezvous, rng: &mut StdRng) -> [HandshakeHash; 2] {
    let Called { handshake, message } = caller.call(rng).unwrap();
    finish(handshake, &message, answerer.answer(rng).unwrap())
}

fn finish(caller: Handshake, message: &[u8], answerer: Handshake) -> [HandshakeHash; 2] {
    let Step::Done { reply: Some(reply), established: theirs } = answerer.read(message).unwrap() else {
        panic!()
    };
    let Step::Done { reply: None, established: ours } = caller.read(&reply).unwrap() else { panic!() };
    [ours.hash(), theirs.hash()]
}

/// A host with all that it wanted done.
pub(crate) struct HostSide {
    pub(crate) host: Host,
    pub(crate) states: Vec<State>,
    pub(crate) guests: Vec<DeviceProfile>,
    pub(crate) confirmed: Vec<Confirmed>,
    pub(crate) refused: Vec<EnterError>,
    pub(crate) saved: Vec<Vec<u8>>,
    pub(crate) dropped: Vec<ConnectionId>,
    pub(crate) ended: Option<HostEnded>,
    pub(crate) out: Vec<(ConnectionId, Vec<u8>)>,
    pub(crate) rng: StdRng,
}

impl HostSide {
    pub(crate) fn new(host: Host, now: Timestamp) -> Self {
        let mut side = Self {
            host,
            states: Vec::new(),
            guests: Vec::new(),
            confirmed: Vec::new(),
            refused: Vec::new(),
            saved: Vec::new(),
            dropped: Vec::new(),
            ended: None,
            out: Vec::new(),
            rng: StdRng::seed_from_u64(11),
        };
        let effects = side.host.start(now);
        side.does(effects);
        side
    }

    pub(crate) fn input(&mut self, input: HostInput, now: Timestamp) {
        let effects = self.host.handle(input, now, &mut self.rng);
        self.does(effects);
    }

    fn does(&mut self, effects: Vec<HostEffect>) {
        for effect in effects {
            match effect {
                HostEffect::Send { connection, message } => self.out.push((connection, message)),
                HostEffect::Drop { connection } => self.dropped.push(connection),
                HostEffect::Changed(state) => self.states.push(state),
                HostEffect::Guest(profile) => self.guests.push(profile),
                HostEffect::Confirmed(confirmed) => self.confirmed.push(confirmed),
                HostEffect::NotConfirmed(why) => self.refused.push(why),
                HostEffect::Save(bytes) => self.saved.push(bytes),
                HostEffect::Ended(ended) => {
                    assert_eq!(self.ended, None, "it ends once");
                    self.ended = Some(ended);
                }
            }
        }
    }
}

/// A guest with all that it wanted done, and its own keystore.
pub(crate) struct GuestSide {
    pub(crate) guest: Guest,
    pub(crate) device: Key,
    pub(crate) states: Vec<State>,
    pub(crate) hosts: Vec<String>,
    pub(crate) digits: Option<Digits>,
    pub(crate) admission: Option<Vec<u8>>,
    pub(crate) progress: Vec<(u64, u64)>,
    pub(crate) ended: Option<GuestEnded>,
    pub(crate) dropped: Vec<ConnectionId>,
    pub(crate) out: Vec<(ConnectionId, Vec<u8>)>,
    pub(crate) rng: StdRng,
}

impl GuestSide {
    pub(crate) fn new(guest: Guest, device: Key, now: Timestamp) -> Self {
        let seed = u64::from(device.bytes()[0]);
        let mut side = Self {
            guest,
            device,
            states: Vec::new(),
            hosts: Vec::new(),
            digits: None,
            admission: None,
            progress: Vec::new(),
            ended: None,
            dropped: Vec::new(),
            out: Vec::new(),
            rng: StdRng::seed_from_u64(seed),
        };
        let effects = side.guest.start(now);
        side.does(effects, now);
        side
    }

    pub(crate) fn joins(code: &InvitationCode, device: u8) -> Self {
        let device = Key::new(device);
        Self::new(Guest::join(code, &laptop(), keys(&device)), device, NOON)
    }

    pub(crate) fn input(&mut self, input: GuestInput, now: Timestamp) {
        let effects = self.guest.handle(input, now, &mut self.rng);
        self.does(effects, now);
    }

    fn does(&mut self, effects: Vec<GuestEffect>, now: Timestamp) {
        for effect in effects {
            match effect {
                GuestEffect::Send { connection, message } => self.out.push((connection, message)),
                GuestEffect::Drop { connection } => self.dropped.push(connection),
                GuestEffect::Changed(state) => self.states.push(state),
                GuestEffect::Host { label } => self.hosts.push(label),
                GuestEffect::Sign { connection, transcript } => {
                    let signature = transcript.sign(&self.device);
                    self.input(GuestInput::Signed { connection, signature }, now);
                }
                GuestEffect::Digits(digits) => self.digits = digits,
                GuestEffect::Progress { bytes, total } => self.progress.push((bytes, total)),
                GuestEffect::Admission(bytes) => self.admission = Some(bytes),
                GuestEffect::Ended(ended) => {
                    assert_eq!(self.ended, None, "it ends once");
                    self.ended = Some(ended);
                }
            }
        }
    }
}

/// Opens a channel between the two under this name.
pub(crate) fn connect(host: &mut HostSide, guest: &mut GuestSide, name: u64, now: Timestamp) {
    let hashes = if host.host.rendezvous().shows() {
        let [guest_hash, host_hash] = meet(guest.guest.rendezvous(), host.host.rendezvous(), &mut guest.rng);
        [host_hash, guest_hash]
    } else {
        meet(host.host.rendezvous(), guest.guest.rendezvous(), &mut guest.rng)
    };
    let connection = ConnectionId(name);
    host.input(HostInput::Arrived { connection, hash: hashes[0] }, now);
    guest.input(GuestInput::Arrived { connection, hash: hashes[1] }, now);
}

/// Carries messages both ways until nobody has anything to say.
pub(crate) fn talk(host: &mut HostSide, guest: &mut GuestSide, name: u64, now: Timestamp) {
    let ours = ConnectionId(name);
    loop {
        let to_guest = take(&mut host.out, ours);
        let to_host = take(&mut guest.out, ours);
        if to_guest.is_empty() && to_host.is_empty() {
            return;
        }
        for bytes in to_guest {
            guest.input(GuestInput::Message { connection: ours, bytes }, now);
        }
        for bytes in to_host {
            host.input(HostInput::Message { connection: ours, bytes }, now);
        }
    }
}

fn take(out: &mut Vec<(ConnectionId, Vec<u8>)>, name: ConnectionId) -> Vec<Vec<u8>> {
    let (ours, others) = std::mem::take(out).into_iter().partition(|(connection, _)| *connection == name);
    *out = others;
    let ours: Vec<(ConnectionId, Vec<u8>)> = ours;
    ours.into_iter().map(|(_, bytes)| bytes).collect()
}

/// A host that shows a code.
pub(crate) fn host() -> HostSide {
    HostSide::new(Host::offer(code(), secret(), "Ada's desktop", false), NOON)
}

/// A host and a guest with digits on its screen.
pub(crate) fn ready() -> (HostSide, GuestSide) {
    let (mut host, mut guest) = (host(), GuestSide::joins(&code(), 2));
    connect(&mut host, &mut guest, 1, NOON);
    talk(&mut host, &mut guest, 1, NOON);
    assert_eq!(host.host.state(), State::ReadyForAuthentication);
    assert_eq!(guest.guest.state(), State::ReadyForAuthentication);
    (host, guest)
}

/// Digits that are not these.
pub(crate) fn other_than(digits: Digits) -> Digits {
    let number: u32 = digits.reveal().parse().unwrap();
    Digits::parse(&format!("{:06}", (number + 1) % 1_000_000)).unwrap()
}
