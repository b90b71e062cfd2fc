//! What a session does at its edges: windows, budgets, silence, the end, and peers that do not behave.

use std::time::Duration;

use halo_protocol::channel::{
    Closed, Input, LONGEST_FRAME, LONGEST_MESSAGE, Limits, PathKind, Priority, Session, StreamId, Unsent,
};

use super::world::{Weather, World, established};
use crate::signer::NOON;

const CONTROL: StreamId = StreamId::new(Priority::Control, 1);
const TALK: StreamId = StreamId::new(Priority::Interactive, 1);
const BULK: StreamId = StreamId::new(Priority::Bulk, 1);
const OTHER: StreamId = StreamId::new(Priority::Bulk, 2);

#[test]
fn the_longest_message_and_the_empty_one_come_through() {
    for stream in [CONTROL, TALK, BULK] {
        let mut world = World::new(1);
        world.open(PathKind::Direct, Weather::FAIR);
        let long: Vec<u8> = (0..LONGEST_MESSAGE).map(|at| u8::try_from(at % 251).unwrap()).collect();
        for message in [vec![], long.clone(), vec![], long.clone(), vec![7]] {
            assert!(world.until(5_000, |world| world.ends[0].room(stream) > 0));
            world.say(0, stream, message);
        }
        assert!(world.until(5_000, |world| world.heard(1, stream).len() == 5), "{stream:?}");
        assert!(
            *world.heard(1, stream) == [vec![], long.clone(), vec![], long, vec![7]],
            "{stream:?}: the same bytes"
        );
        assert!(world.seen[0].frames.iter().all(|frame| frame.len() <= LONGEST_FRAME));
    }
}

#[test]
fn a_message_that_is_too_long_is_given_back() {
    let mut world = World::new(1);
    world.open(PathKind::Local, Weather::FAIR);
    world.say(0, TALK, vec![0; LONGEST_MESSAGE + 1]);
    assert_eq!(world.seen[0].unsent, [(TALK, Unsent::TooLong)]);
    world.say(0, TALK, "short");
    assert!(world.until(1_000, |world| world.heard(1, TALK).len() == 1), "nothing else suffered");
}

#[test]
fn a_stream_that_nobody_reads_fills_up_and_stops_and_no_other() {
    let mut world = World::new(1);
    world.open(PathKind::Direct, Weather::FAIR);
    world.unread[1].insert(BULK);
    let mut given = 0_usize;
    for _ in 0..100 {
        while world.ends[0].room(BULK) > 0 {
            world.say(0, BULK, vec![1; 100_000]);
            given += 100_000;
        }
        world.pass(50);
    }
    let delivered: usize = world.heard(1, BULK).iter().map(Vec::len).sum();
    let window = usize::try_from(Limits::default().stream_window).unwrap();
    assert!(delivered <= window, "{delivered} bytes wait at the receiver");
    assert!(given <= window + 2 * LONGEST_MESSAGE, "{given} bytes were taken from the writer");
    world.say(0, BULK, vec![1; 100_000]);
    assert_eq!(world.seen[0].unsent.last(), Some(&(BULK, Unsent::Full)), "the writer is told");
    for stream in [CONTROL, TALK, OTHER] {
        world.say(0, stream, vec![2; LONGEST_MESSAGE]);
        assert!(world.until(2_000, |world| world.heard(1, stream).len() == 1), "{stream:?} is not held up");
    }
    // The reader comes back.
    world.unread[1].clear();
    for message in world.seen[1].delivered.remove(&BULK).unwrap() {
        world.input(1, Input::Taken { stream: BULK, bytes: message.len() });
    }
    assert!(world.until(5_000, |world| world.seen[0].writable.contains(&BULK)), "the writer may go on");
}

#[test]
fn saying_that_more_was_taken_than_came_opens_no_larger_window() {
    let mut world = World::new(1);
    world.open(PathKind::Direct, Weather::FAIR);
    world.unread[1].insert(BULK);
    world.say(0, BULK, "one");
    world.pass(100);
    for _ in 0..100 {
        world.input(1, Input::Taken { stream: BULK, bytes: LONGEST_MESSAGE });
    }
    for _ in 0..100 {
        while world.ends[0].room(BULK) > 0 {
            world.say(0, BULK, vec![1; 100_000]);
        }
        world.pass(20);
    }
    let delivered: usize = world.heard(1, BULK).iter().map(Vec::len).sum();
    assert!(delivered <= usize::try_from(Limits::default().stream_window).unwrap(), "{delivered}");
}

#[test]
fn there_are_only_so_many_streams() {
    let mut world = World::with(1, Limits { streams: 3, ..Limits::default() });
    world.open(PathKind::Local, Weather::FAIR);
    for number in 0..4 {
        world.say(0, StreamId::new(Priority::Control, number), "x");
    }
    let fourth = StreamId::new(Priority::Control, 3);
    assert_eq!(world.seen[0].unsent, [(fourth, Unsent::TooManyStreams)]);
    assert_eq!(world.ends[0].room(fourth), 0);
    world.pass(100);
    assert_eq!(world.seen[1].closed, None);
}

#[test]
fn a_peer_that_opens_too_many_streams_is_cut_off() {
    let [guest, host] = established(1);
    let mut world = World::new(1);
    world.ends = [
        Session::new(&guest, Limits::default(), NOON),
        Session::new(&host, Limits { streams: 3, ..Limits::default() }, NOON),
    ];
    world.open(PathKind::Local, Weather::FAIR);
    for number in 0..4 {
        world.say(0, StreamId::new(Priority::Control, number), "x");
    }
    world.pass(100);
    assert!(matches!(world.seen[1].closed, Some(Closed::Violation { .. })), "{:?}", world.seen[1].closed);
    assert_eq!(world.seen[0].closed, Some(Closed::Broken));
}

#[test]
fn control_goes_over_the_relay_at_once_while_bulk_waits_for_its_budget() {
    let mut world = World::new(1);
    world.open(PathKind::Relay, Weather::FAIR);
    for _ in 0..20 {
        world.say(0, BULK, vec![1; 50_000]);
    }
    world.pass(200);
    let before = world.now;
    world.say(0, CONTROL, vec![2; 60_000]);
    assert!(
        world.until(100, |world| world.heard(1, CONTROL).len() == 1),
        "control does not wait behind bulk"
    );
    assert!(world.now - before < 100, "it took {} ms", world.now - before);
    world.pass(1_000);
    let limit = Limits::default().relay_budget as usize;
    let bulk = |world: &World| world.heard(1, BULK).iter().map(Vec::len).sum::<usize>();
    assert!(bulk(&world) > limit, "some of it goes at once, and then more: {}", bulk(&world));
    assert!(bulk(&world) < 3 * limit, "but not faster than the relay's budget: {}", bulk(&world));
    assert!(
        world.until(10_000, |world| bulk(world) == 1_000_000),
        "all of it in the end, also without a direct path"
    );
}

#[test]
fn bulk_goes_as_soon_as_a_direct_path_is_there() {
    let mut world = World::new(1);
    world.open(PathKind::Relay, Weather::FAIR);
    for _ in 0..20 {
        world.say(0, BULK, vec![1; 50_000]);
    }
    world.pass(600);
    let relayed = world.seen[0].relayed;
    world.open(PathKind::Direct, Weather::FAIR);
    assert!(
        world.until(300, |world| world.heard(1, BULK).len() == 20),
        "{} came",
        world.heard(1, BULK).len()
    );
    assert_eq!(world.seen[0].in_use.last(), Some(&Some(PathKind::Direct)));
    assert!(world.seen[0].relayed - relayed < 100_000, "little more went over the relay");
}

#[test]
fn a_path_that_opens_and_leads_nowhere_costs_nothing() {
    let mut world = World::new(1);
    world.open(PathKind::Relay, Weather { delay: 50, ..Weather::FAIR });
    // Before the relay has answered its first ping.
    let nowhere = world.open(PathKind::Lan, Weather::FAIR);
    world.kill(nowhere);
    for number in 0..20_u8 {
        let before = world.now;
        world.say(0, CONTROL, vec![number]);
        assert!(
            world.until(200, |world| world.heard(1, CONTROL).len() == usize::from(number) + 1),
            "{number}"
        );
        assert!(world.now - before <= 60, "message {number} took {} ms", world.now - before);
        world.pass(500);
    }
    assert!(
        world.seen[0].in_use.iter().all(|kind| *kind == Some(PathKind::Relay)),
        "{:?}",
        world.seen[0].in_use
    );
}

#[test]
fn what_is_on_the_way_is_bounded() {
    let mut world = World::new(1);
    let path = world.open(PathKind::Direct, Weather::FAIR);
    world.pass(100);
    world.kill(path);
    let before = world.seen[0].direct;
    for _ in 0..100 {
        while world.ends[0].room(BULK) > 0 {
            world.say(0, BULK, vec![1; 100_000]);
        }
    }
    let out = world.seen[0].direct - before;
    assert!(out <= Limits::default().window + LONGEST_FRAME, "{out} bytes went out unacknowledged");
}

#[test]
fn an_idle_pair_says_little() {
    let mut world = World::new(1);
    world.open(PathKind::Relay, Weather::FAIR);
    world.open(PathKind::Direct, Weather::FAIR);
    world.say(0, CONTROL, "hello");
    world.pass(5_000);
    let bytes = |world: &World| world.seen.iter().map(|seen| seen.relayed + seen.direct).sum::<usize>();
    let before = bytes(&world);
    world.pass(600_000);
    let rate = (bytes(&world) - before) / 600;
    assert!(rate < 20, "{rate} bytes a second");
    assert!(world.seen.iter().all(|seen| seen.closed.is_none()), "and stays");
}

#[test]
fn a_peer_that_falls_silent_is_given_up_and_its_deadline_says_when() {
    let mut world = World::new(1);
    let path = world.open(PathKind::Direct, Weather::FAIR);
    world.pass(1_000);
    world.kill(path);
    world.pass(44_000);
    assert_eq!(world.seen[0].closed, None);
    world.pass(20_000);
    for seen in &world.seen {
        assert!(matches!(seen.closed, Some(Closed::Silent { seconds: 45..=60 })), "{:?}", seen.closed);
    }
    assert_eq!(world.ends[0].deadline(), None, "nothing follows");
    world.say(0, CONTROL, "hello?");
    assert_eq!(world.seen[0].unsent, [(CONTROL, Unsent::Closed)]);
}

#[test]
fn a_machine_that_slept_asks_before_it_gives_up() {
    let mut world = World::new(1);
    world.open(PathKind::Direct, Weather::FAIR);
    world.pass(1_000);
    // Both sleep: no clock runs, and then it is much later.
    world.now += 3_600_000;
    world.input(0, Input::Tick);
    world.input(1, Input::Tick);
    world.say(0, TALK, "good morning");
    assert!(world.until(1_000, |world| world.heard(1, TALK).len() == 1));
    assert!(world.seen.iter().all(|seen| seen.closed.is_none()));
}

#[test]
fn closing_says_everything_first() {
    let mut world = World::new(1);
    world.open(PathKind::Relay, Weather::FAIR);
    for number in 0..50_u8 {
        world.say(0, TALK, vec![number; 10_000]);
    }
    world.input(0, Input::Close);
    world.say(0, TALK, "too late");
    assert_eq!(world.seen[0].unsent, [(TALK, Unsent::Closed)]);
    world.pass(5_000);
    assert_eq!(world.heard(1, TALK).len(), 50);
    assert_eq!(world.seen.each_ref().map(|seen| seen.closed), [Some(Closed::Here), Some(Closed::ByPeer)]);
}

#[test]
fn closing_does_not_wait_for_ever() {
    let mut world = World::new(1);
    let path = world.open(PathKind::Relay, Weather::FAIR);
    world.pass(100);
    world.kill(path);
    world.say(0, TALK, "nobody hears this");
    world.input(0, Input::Close);
    world.pass(5_100);
    assert_eq!(world.seen[0].closed, Some(Closed::Here));
}

#[test]
fn breaking_off_is_told_apart_from_closing() {
    let mut world = World::new(1);
    world.open(PathKind::Relay, Weather::FAIR);
    world.pass(100);
    world.input(0, Input::Abort);
    world.pass(100);
    assert_eq!(world.seen.each_ref().map(|seen| seen.closed), [Some(Closed::Here), Some(Closed::Broken)]);
}

// threat: 26
#[test]
fn frames_that_nobody_sealed_end_their_path_and_nothing_else() {
    let mut world = World::new(1);
    let relay = world.open(PathKind::Relay, Weather::FAIR);
    world.open(PathKind::Direct, Weather::FAIR);
    world.pass(1_000);
    for number in 0..40_u8 {
        world.forge(1, relay, vec![number; usize::from(number) * 3]);
    }
    assert_eq!(world.seen[1].refused.len(), 1, "the relay lies");
    world.say(0, TALK, "hello");
    assert!(world.until(1_000, |world| world.heard(1, TALK).len() == 1), "the other path goes on");
    assert_eq!(world.seen[1].closed, None);
}

// threat: 26
#[test]
fn frames_replayed_in_any_order_deliver_nothing_twice() {
    let mut world = World::new(1);
    let path = world.open(PathKind::Relay, Weather::FAIR);
    for number in 0..30_u8 {
        world.say(0, TALK, vec![number]);
        world.pass(15);
    }
    assert_eq!(world.heard(1, TALK).len(), 30);
    let frames = world.seen[0].frames.clone();
    for frame in frames.iter().rev().chain(&frames) {
        world.forge(1, path, frame.clone());
        // Mirrored back to whoever sent it.
        world.forge(0, path, frame.clone());
    }
    assert_eq!(world.heard(1, TALK).len(), 30);
    assert!(world.heard(0, TALK).is_empty(), "what is mirrored is not believed");
    world.say(0, TALK, "31");
    let path = world.open(PathKind::Relay, Weather::FAIR);
    assert!(world.until(1_000, |world| world.heard(1, TALK).len() == 31), "and path {path} goes on");
}

#[test]
fn keys_change_and_nothing_is_missed() {
    let mut world = World::new(1);
    world.open(PathKind::Local, Weather { delay: 1, jitter: 3, ..Weather::FAIR });
    // More frames than two generations of keys, of which there is one in 4,096.
    for number in 0..9_000_u32 {
        world.say(0, TALK, number.to_be_bytes());
        world.pass(1);
    }
    assert!(
        world.until(5_000, |world| world.heard(1, TALK).len() == 9_000),
        "{}",
        world.heard(1, TALK).len()
    );
    let numbers =
        world.heard(1, TALK).iter().map(|bytes| u32::from_be_bytes(bytes.as_slice().try_into().unwrap()));
    assert!(numbers.eq(0..9_000), "in order");
    // An old frame opens with no key that is left, and is known to be old.
    let first = world.seen[0].frames.first().unwrap().clone();
    world.forge(1, 1, first);
    assert_eq!(world.heard(1, TALK).len(), 9_000);
}

#[test]
fn priorities_hold_within_a_path() {
    let mut world = World::new(1);
    world.open(PathKind::Direct, Weather { rate: 2_000, ..Weather::FAIR });
    world.pass(500);
    for _ in 0..10 {
        world.say(0, BULK, vec![1; 100_000]);
        world.say(0, OTHER, vec![1; 100_000]);
    }
    world.say(0, TALK, vec![2; 1_000_000]);
    world.say(0, TALK, vec![2; 1_000_000]);
    world.say(0, CONTROL, vec![3; 1_000]);
    assert!(world.until(20_000, |world| world.seen[1].order.len() == 23));
    let order: Vec<StreamId> = world.seen[1].order.iter().map(|(_, stream)| *stream).collect();
    let place = |stream| order.iter().position(|other| *other == stream).unwrap();
    let last = |stream| order.iter().rposition(|other| *other == stream).unwrap();
    assert!(place(CONTROL) < last(TALK), "control overtakes what a person waits for: {order:?}");
    assert!(place(TALK) < last(BULK) && place(TALK) < last(OTHER), "and that overtakes bulk: {order:?}");
    let bulk = order.iter().take(10).filter(|stream| **stream == BULK).count();
    assert!((4..=6).contains(&bulk), "equals take turns: {order:?}");
}

#[test]
fn a_round_trip_is_measured() {
    let mut world = World::new(1);
    world.open(PathKind::Direct, Weather { delay: 50, ..Weather::FAIR });
    assert_eq!(world.ends[0].round_trip(), None);
    world.say(0, TALK, "x");
    world.pass(1_000);
    let took = world.ends[0].round_trip().unwrap();
    assert!((Duration::from_millis(100)..=Duration::from_millis(120)).contains(&took), "{took:?}");
}
