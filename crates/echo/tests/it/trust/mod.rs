//! Five devices of one identity: let in and evicted at random, with partitions, crashes and clocks that disagree. In the end those that
//! are left believe the same, nothing that they acknowledged is lost, and a revoked device that kept everything got nothing in behind its
//! cut and reads nothing that was said after it.
//!
//! Seeded: `HALO_SEED=N` runs one, `HALO_SEEDS=N` the first N. Content keys are modelled by who was given which; that sealing keeps others out is
//! tested where it is done.

mod check;
mod device;
mod world;

use world::World;

fn holds(seed: u64) {
    let mut world = World::new(seed);
    world.run();
    world.check();
}

/// Seeds that failed once, and what they found.
const ONCE_FAILED: [(u64, &str); 5] = [
    (821, "the witness of a device was put out by that very device"),
    (944, "the same, with a key given by who did not believe it"),
    (1_504, "a feed goes on that had ended when a block after it became ready"),
    (6_799, "what a block says itself lets a feed go on"),
    (2_325, "a key stays where the revocation before it cites what nobody has"),
];

#[test]
fn what_failed_once_holds() {
    for (seed, what) in ONCE_FAILED {
        eprintln!("seed {seed}: {what}");
        holds(seed);
    }
}

// threat: 36, 38
#[test]
fn whoever_is_left_believes_the_same_and_whoever_was_evicted_gets_nothing_in_or_out() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    match number("HALO_SEED") {
        Some(seed) => holds(seed),
        None => (0..number("HALO_SEEDS").unwrap_or(60)).for_each(holds),
    }
}
