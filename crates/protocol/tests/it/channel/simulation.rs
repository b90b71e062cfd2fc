//! A session in a simulated world: whatever paths do, what was said is heard, once, in order, whole.
//!
//! Seeded: `HALO_SEED=N` runs one, `HALO_SEEDS=N` the first N.

use std::collections::BTreeMap;

use halo_protocol::channel::{Input, PathKind, Priority, StreamId};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::world::{Weather, World};

const CONTROL: StreamId = StreamId::new(Priority::Control, 1);
const TALK: StreamId = StreamId::new(Priority::Interactive, 1);
const BULK: StreamId = StreamId::new(Priority::Bulk, 1);

#[expect(clippy::disallowed_methods, reason = "which seeds to run is asked from outside")]
fn seeds(default: u64) -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    match number("HALO_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("HALO_SEEDS").unwrap_or(default),
    }
}

/// Says messages of chance lengths on chance streams, and remembers them.
struct Talk {
    said: [BTreeMap<StreamId, Vec<Vec<u8>>>; 2],
    rng: StdRng,
}

impl Talk {
    fn new(seed: u64) -> Self {
        Self { said: Default::default(), rng: StdRng::seed_from_u64(seed) }
    }

    fn say(&mut self, world: &mut World) {
        let end = self.rng.random_range(0..2);
        let stream = [CONTROL, TALK, BULK, StreamId::new(Priority::Bulk, 2)][self.rng.random_range(0..4)];
        if world.ends[end].room(stream) == 0 {
            return;
        }
        let longest = [10, 1_000, 10_000, 40_000][self.rng.random_range(0..4)];
        let length = self.rng.random_range(0..longest);
        let fill = self.rng.random_range(0..=255_u8);
        let message: Vec<u8> =
            (0..length).map(|at| fill.wrapping_add(u8::try_from(at % 253).unwrap())).collect();
        self.said[end].entry(stream).or_default().push(message.clone());
        world.say(end, stream, message);
    }

    fn all_heard(&self, world: &World) -> bool {
        (0..2).all(|end| {
            let heard = |(stream, said): (&StreamId, &Vec<Vec<u8>>)| {
                world.heard(1 - end, *stream).len() == said.len()
            };
            self.said[end].iter().all(heard)
        })
    }

    /// What was heard is the beginning of what was said.
    fn check(&self, world: &World, seed: u64) {
        for end in 0..2 {
            for (stream, heard) in &world.seen[1 - end].delivered {
                let said = self.said[end].get(stream).map(Vec::as_slice).unwrap_or_default();
                assert!(
                    heard.len() <= said.len(),
                    "seed {seed}: {stream:?} of {end} heard more than was said"
                );
                for (number, (heard, said)) in heard.iter().zip(said).enumerate() {
                    assert!(heard == said, "seed {seed}: message {number} of {end} on {stream:?} is another");
                }
            }
        }
    }
}

fn chance_weather(rng: &mut StdRng) -> Weather {
    Weather {
        delay: rng.random_range(1..120),
        jitter: [0, 0, 30, 200][rng.random_range(0..4)],
        lost: [0, 0, 50, 200][rng.random_range(0..4)],
        repeated: [0, 0, 100][rng.random_range(0..3)],
        altered: [0, 0, 30][rng.random_range(0..3)],
        rate: [0, 500, 4_000][rng.random_range(0..3)],
    }
}

fn delivers(seed: u64) {
    let mut world = World::new(seed);
    let mut talk = Talk::new(seed ^ 1);
    let mut rng = StdRng::seed_from_u64(seed ^ 2);
    let mut open = Vec::new();
    for _ in 0..60 {
        match rng.random_range(0..12) {
            0 if open.len() < 4 => {
                let kind = [PathKind::Relay, PathKind::Relay, PathKind::Direct, PathKind::Lan]
                    [rng.random_range(0..4)];
                let weather = chance_weather(&mut rng);
                open.push(world.open(kind, weather));
            }
            1 if !open.is_empty() => {
                let path = open.swap_remove(rng.random_range(0..open.len()));
                world.close(path);
            }
            2 if !open.is_empty() => world.kill(open[rng.random_range(0..open.len())]),
            3 if !open.is_empty() => world.mend(open[rng.random_range(0..open.len())]),
            4 => world.input(rng.random_range(0..2), Input::Doubt),
            5 => world.pass(rng.random_range(1..4_000)),
            _ => {
                talk.say(&mut world);
                world.pass(rng.random_range(0..200));
            }
        }
        talk.check(&world, seed);
    }
    // In the end the sun comes out.
    for path in open {
        world.close(path);
    }
    if world.seen.iter().any(|seen| seen.closed.is_some()) {
        // So long without a path that they gave each other up: what was heard is the beginning of what was said.
        return talk.check(&world, seed);
    }
    world.open(PathKind::Direct, Weather::FAIR);
    let done = world.until(60_000, |world| talk.all_heard(world));
    talk.check(&world, seed);
    assert!(done, "seed {seed}: not everything was heard");
    assert!(world.seen.iter().all(|seen| seen.closed.is_none()), "seed {seed}: nobody broke off");
}

#[test]
fn what_was_said_is_heard_whatever_paths_do() {
    seeds(40).for_each(delivers);
}

#[test]
fn a_path_cut_in_the_middle_loses_and_repeats_nothing() {
    for seed in seeds(6) {
        let mut world = World::new(seed);
        let mut rng = StdRng::seed_from_u64(seed);
        let mut talk = Talk::new(seed);
        world.open(PathKind::Relay, Weather { delay: 15, ..Weather::FAIR });
        let mut direct = world.open(PathKind::Direct, Weather { rate: 3_000, ..Weather::FAIR });
        for _ in 0..20 {
            (0..5).for_each(|_| talk.say(&mut world));
            world.pass(rng.random_range(1..150));
            if rng.random_range(0..3) == 0 {
                // Told or not: the relay takes over, and gives back.
                if rng.random_range(0..2) == 0 {
                    world.close(direct);
                } else {
                    world.kill(direct);
                }
                world.pass(rng.random_range(1..5_000));
                direct = world.open(PathKind::Direct, Weather { rate: 3_000, ..Weather::FAIR });
            }
        }
        assert!(world.until(60_000, |world| talk.all_heard(world)), "seed {seed}");
        talk.check(&world, seed);
        for seen in &world.seen {
            assert!(seen.in_use.contains(&Some(PathKind::Direct)), "seed {seed}: {:?}", seen.in_use);
            assert_eq!(seen.closed, None, "seed {seed}");
        }
    }
}

#[test]
fn a_dead_direct_path_is_left_for_the_relay_within_seconds() {
    let mut world = World::new(1);
    world.open(PathKind::Relay, Weather::FAIR);
    let direct = world.open(PathKind::Direct, Weather::FAIR);
    world.pass(1_000);
    assert_eq!(world.ends[0].path_in_use(), Some(PathKind::Direct));
    world.kill(direct);
    world.say(0, CONTROL, "still there?");
    assert!(world.until(4_000, |world| world.heard(1, CONTROL).len() == 1), "over the relay");
    assert_eq!(world.ends[0].path_in_use(), Some(PathKind::Relay));
    world.mend(direct);
    assert!(world.until(8_000, |world| world.ends[0].path_in_use() == Some(PathKind::Direct)), "and back");
}

#[test]
fn foul_weather_is_slow_and_loses_nothing() {
    for seed in seeds(5) {
        let mut world = World::new(seed);
        let mut talk = Talk::new(seed);
        world.open(PathKind::Direct, Weather::FOUL);
        for _ in 0..40 {
            talk.say(&mut world);
            world.pass(20);
        }
        assert!(world.until(120_000, |world| talk.all_heard(world)), "seed {seed}");
        talk.check(&world, seed);
    }
}

#[test]
fn both_ends_crash_and_a_new_session_begins_clean() {
    for seed in seeds(10) {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut world = World::new(seed);
        let mut talk = Talk::new(seed);
        world.open(PathKind::Relay, Weather { delay: 15, ..Weather::FAIR });
        for _ in 0..rng.random_range(1..30) {
            talk.say(&mut world);
            world.pass(rng.random_range(0..20));
        }
        talk.check(&world, seed);
        // Neither remembers anything; what was on the way arrives at a session that never sealed it.
        let late = world.seen[0].frames.clone();
        let mut after = World::new(seed ^ 0xffff);
        let path = after.open(PathKind::Relay, Weather::FAIR);
        for frame in late.into_iter().rev().take(20) {
            after.forge(1, path, frame);
        }
        let mut talk = Talk::new(seed ^ 1);
        (0..10).for_each(|_| talk.say(&mut after));
        assert!(after.until(20_000, |world| talk.all_heard(world)), "seed {seed}");
        talk.check(&after, seed);
    }
}
