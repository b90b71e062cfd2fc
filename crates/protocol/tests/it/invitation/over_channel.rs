//! Host and guest over a real channel in a simulated world.

use halo_protocol::Timestamp;
use halo_protocol::channel::{Input, Limits, PathKind, Step};
use halo_protocol::invitation::{
    Called, ConnectionId, GuestEnded, GuestInput, HostEnded, HostInput, STREAM, State,
};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::party::{GuestSide, HostSide, code, host};
use crate::channel::world::{Weather, World};

const CHANNEL: ConnectionId = ConnectionId(1);
const GUEST: usize = 0;
const HOST: usize = 1;

struct Link {
    world: World,
    host: HostSide,
    guest: GuestSide,
    /// How many messages of each end were handed on.
    handed: [usize; 2],
}

impl Link {
    fn new(seed: u64) -> Self {
        let (mut host, mut guest) = (host(), GuestSide::joins(&code(), 2));
        let mut rng = StdRng::seed_from_u64(seed);
        let Called { handshake, message } = guest.guest.rendezvous().call(&mut rng).unwrap();
        let answer = host.host.rendezvous().answer(&mut rng).unwrap();
        let Step::Done { reply: Some(reply), established: theirs } = answer.read(&message).unwrap() else {
            panic!()
        };
        let Step::Done { established: ours, .. } = handshake.read(&reply).unwrap() else { panic!() };
        let hash = ours.hash();
        let world = World::between(&[ours, theirs], Limits::invitation(), seed);
        host.input(HostInput::Arrived { connection: CHANNEL, hash }, world.time());
        guest.input(GuestInput::Arrived { connection: CHANNEL, hash }, world.time());
        Self { world, host, guest, handed: [0; 2] }
    }

    /// Hands on what was said and heard.
    fn turn(&mut self) {
        let now: Timestamp = self.world.time();
        for (_, message) in std::mem::take(&mut self.guest.out) {
            self.world.say(GUEST, STREAM, message);
        }
        for (_, message) in std::mem::take(&mut self.host.out) {
            self.world.say(HOST, STREAM, message);
        }
        for end in [GUEST, HOST] {
            let heard: Vec<Vec<u8>> = self.world.heard(end, STREAM)[self.handed[end]..].to_vec();
            self.handed[end] += heard.len();
            for bytes in heard {
                if end == GUEST {
                    self.guest.input(GuestInput::Message { connection: CHANNEL, bytes }, now);
                } else {
                    self.host.input(HostInput::Message { connection: CHANNEL, bytes }, now);
                }
            }
        }
        if self.guest.dropped.contains(&CHANNEL) {
            self.world.input(GUEST, Input::Close);
        }
    }

    /// Lets time pass, a millisecond at a time, until `done`; how long that took.
    fn until(&mut self, done: impl Fn(&Self) -> bool) -> u64 {
        let began = self.world.now;
        while !done(self) {
            self.turn();
            self.world.pass(1);
            assert!(self.world.now < began + 60_000, "it comes to an end");
        }
        self.world.now - began
    }

    fn goes_through(&mut self, admission: usize) -> u64 {
        self.until(|link| {
            link.host.host.state() == State::ReadyForAuthentication && link.guest.digits.is_some()
        });
        let now = self.world.time();
        self.host.input(HostInput::Entered(self.guest.digits.unwrap()), now);
        assert_eq!(self.host.confirmed.len(), 1);
        self.host.input(HostInput::Admission(vec![7; admission]), now);
        let took = self.until(|link| link.guest.admission.is_some());
        let now = self.world.time();
        self.guest.input(GuestInput::Durable, now);
        self.until(|link| link.host.ended.is_some());
        assert_eq!((self.host.ended, self.guest.ended), (Some(HostEnded::Linked), Some(GuestEnded::Linked)));
        took
    }
}

#[test]
fn the_admission_follows_the_right_digits_without_another_round_trip() {
    let mut link = Link::new(1);
    link.world.open(PathKind::Relay, Weather { delay: 40, ..Weather::FAIR });
    let took = link.goes_through(20_000);
    assert!(took < 80, "half a round trip and a little, not {took} ms of 80 each");
}

#[test]
fn a_device_is_linked_in_foul_weather() {
    for seed in 0..4 {
        let mut link = Link::new(seed);
        link.world.open(PathKind::Relay, Weather::FOUL);
        link.goes_through(300_000);
    }
}

#[test]
fn a_device_is_linked_while_paths_come_and_go() {
    let mut link = Link::new(1);
    let relay = link.world.open(PathKind::Relay, Weather { rate: 50, ..Weather::FAIR });
    link.until(|link| link.guest.digits.is_some());
    let now = link.world.time();
    link.host.input(HostInput::Entered(link.guest.digits.unwrap()), now);
    link.host.input(HostInput::Admission(vec![7; 2_000_000]), now);
    link.until(|link| link.guest.progress.len() > 3);
    let direct = link.world.open(PathKind::Direct, Weather { rate: 200, ..Weather::FAIR });
    link.until(|link| link.guest.progress.len() > 12);
    link.world.kill(direct);
    link.until(|link| link.guest.progress.len() > 16);
    link.world.close(relay);
    link.world.open(PathKind::Lan, Weather::FAIR);
    link.until(|link| link.guest.admission.is_some());
    assert!(link.guest.admission == Some(vec![7; 2_000_000]));
}
