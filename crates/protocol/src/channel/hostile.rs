//! A peer that completed the handshake and now sends what it likes: sealed well, and with anything inside.

use super::handshake::{Established, HandshakeHash, Role};
use super::io::{Closed, Effect, Input, Limits};
use super::path::{PathId, PathKind};
use super::seal::{Sealer, Space};
use super::session::Session;
use super::stream::{LONGEST_MESSAGE, Priority, StreamId};
use crate::time::Timestamp;

const PATH: PathId = PathId(1);

fn established(role: Role) -> Established {
    Established {
        role,
        keys: [[1; 32].into(), [2; 32].into()],
        hash: HandshakeHash::from_bytes([3; 32]),
        peer: None,
    }
}

/// Sends frames to a session that has said a few things itself, and answers nothing that is delivered. The frames are
/// space, how many numbers to skip, and what is inside. Says how it ended.
#[cfg_attr(not(fuzzing), expect(unreachable_pub, reason = "the fuzz target calls it"))]
pub fn hostile<'a>(frames: impl Iterator<Item = (u8, u8, &'a [u8])>) -> Option<Closed> {
    let mut now = Timestamp::from_millis(1_000);
    let limits = Limits { streams: 4, ..Limits::default() };
    let mut session = Session::new(&established(Role::Responder), limits, now);
    let mut sealer = Sealer::outgoing(&established(Role::Initiator));
    let mut numbers = [0_u64; 3];
    let said = [Priority::Control, Priority::Bulk]
        .map(|priority| Input::Send { stream: StreamId::new(priority, 1), message: vec![7; 40_000] });
    let mut inputs: Vec<Input> = vec![Input::PathOpened { path: PATH, kind: PathKind::Relay }];
    inputs.extend(said);
    inputs.extend(frames.map(|(space, skip, plain)| {
        let (space, number) = match space % 3 {
            0 => (Space::Urgent, &mut numbers[0]),
            1 => (Space::Bulk, &mut numbers[1]),
            _ => (Space::Signal, &mut numbers[2]),
        };
        *number += u64::from(skip);
        let bytes = sealer.seal(space, *number, plain);
        *number += 1;
        Input::Frame { path: PATH, bytes }
    }));
    let (mut waits, mut closed) = (0_u64, None);
    for input in inputs {
        now = now.plus(std::time::Duration::from_millis(20));
        for effect in session.handle(input, now) {
            match effect {
                Effect::Deliver { message, .. } => waits += message.len() as u64,
                Effect::Closed { why } => closed = Some(why),
                Effect::SendFrame { bytes, .. } => assert!(bytes.len() <= super::LONGEST_FRAME),
                _ => {}
            }
        }
        assert!(waits <= 4 * limits.stream_window, "what nobody reads is bounded: {waits}");
        if closed.is_some() {
            assert_eq!(session.deadline(), None);
            break;
        }
        assert!(
            session.deadline().is_some_and(|deadline| deadline > now),
            "it does not ask for the time at once"
        );
        assert!(session.room(StreamId::new(Priority::Control, 1)) <= LONGEST_MESSAGE);
    }
    closed
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::frame::{Part, Sign};
    use super::*;

    /// Parts with few values, so that they meet each other.
    fn part() -> impl Strategy<Value = Vec<u8>> {
        let stream = prop_oneof![Just(1_u16), Just(2), Just(0x4001), Just(0x8001), 0_u16..0xc000];
        let length = prop_oneof![Just(0_usize), Just(1), Just(3), 0_usize..600];
        (stream, length.clone(), length, 0_u64..2_000_000, 0..4_u8).prop_map(
            |(stream, total, sent, granted, kind)| {
                let stream = StreamId::from_wire(stream).unwrap();
                let bytes = vec![9; sent];
                let mut out = Vec::new();
                match kind {
                    0 => Part::First { stream, total: sent, bytes: &bytes }.write(&mut out),
                    1 => Part::First { stream, total, bytes: &bytes }.write(&mut out),
                    2 => Part::More { stream, bytes: &bytes }.write(&mut out),
                    _ => Part::Credit { stream, granted }.write(&mut out),
                }
                out
            },
        )
    }

    fn sign() -> impl Strategy<Value = Vec<u8>> {
        let number = || prop_oneof![0_u64..5, Just(u64::MAX), any::<u64>()];
        let ranges = prop::collection::vec((number(), number()), 0..3);
        prop_oneof![
            (any::<bool>(), number(), ranges).prop_map(|(bulk, next, ranges)| Sign::Ack {
                bulk,
                next,
                ranges
            }),
            number().prop_map(Sign::Ping),
            number().prop_map(Sign::Pong),
            any::<u8>().prop_map(Sign::Close),
        ]
        .prop_map(|sign| {
            let mut out = Vec::new();
            sign.write(&mut out);
            out
        })
    }

    fn frame() -> impl Strategy<Value = (u8, u8, Vec<u8>)> {
        let inside = prop_oneof![
            8 => prop::collection::vec(part(), 0..4).prop_map(|parts| parts.concat()),
            4 => prop::collection::vec(sign(), 0..3).prop_map(|signs| signs.concat()),
            1 => prop::collection::vec(any::<u8>(), 0..40),
        ];
        (0_u8..3, prop_oneof![8 => Just(0_u8), 1 => 0_u8..3], inside)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]

        #[test]
        fn a_peer_that_sends_anything_is_served_or_cut_off(frames in prop::collection::vec(frame(), 1..30)) {
            hostile(frames.iter().map(|(space, skip, plain)| (*space, *skip, plain.as_slice())));
        }
    }

    /// How a session ends to which these parts were sent in one frame.
    fn ends(space: u8, parts: &[Part<'_>]) -> Option<Closed> {
        let mut plain = Vec::new();
        parts.iter().for_each(|part| part.write(&mut plain));
        hostile([(space, 0, plain.as_slice())].into_iter())
    }

    const TALK: StreamId = StreamId::new(Priority::Interactive, 1);
    const BULK: StreamId = StreamId::new(Priority::Bulk, 1);

    #[test]
    fn each_thing_that_no_peer_does_is_named() {
        let first = Part::First { stream: TALK, total: 3, bytes: b"ab" };
        let more = Part::More { stream: TALK, bytes: b"c" };
        assert_eq!(ends(0, &[first, more]), None, "and this is what peers do");
        let violations = [
            (ends(0, &[more]), "it went on with a message that it had not begun"),
            (ends(0, &[first, first]), "it began a message within another"),
            (
                ends(0, &[first, Part::More { stream: TALK, bytes: b"cd" }]),
                "a message is longer than announced",
            ),
            (ends(1, &[first]), "a stream is in the other lane"),
            (
                ends(0, &[Part::First { stream: BULK, total: 1, bytes: b"a" }]),
                "a stream is in the other lane",
            ),
            (ends(0, &[Part::Credit { stream: TALK, granted: 1 }]), "it granted what nobody asked for"),
            (ends(1, &[Part::Credit { stream: BULK, granted: 1 }]), "it granted what nobody asked for"),
            (ends(0, &[Part::First { stream: TALK, total: 1, bytes: b"ab" }]), "a frame has no form"),
            (ends(0, &[Part::More { stream: TALK, bytes: b"" }]), "a frame has no form"),
            (
                ends(0, &[Part::First { stream: TALK, total: LONGEST_MESSAGE + 1, bytes: b"" }]),
                "a frame has no form",
            ),
        ];
        for (closed, what) in violations {
            assert_eq!(closed, Some(Closed::Violation { what }));
        }
        let mut ack = Vec::new();
        Sign::Ack { bulk: false, next: 1_000, ranges: vec![] }.write(&mut ack);
        let what = "it acknowledged what was never sent";
        assert_eq!(hostile([(2, 0, ack.as_slice())].into_iter()), Some(Closed::Violation { what }));
    }

    #[test]
    fn more_than_was_granted_is_a_violation() {
        let message = vec![5; 15_000];
        let part = Part::First { stream: TALK, total: 15_000, bytes: &message };
        let mut plain = Vec::new();
        part.write(&mut plain);
        let what = "it sent more on a stream than it was granted";
        let enough = usize::try_from(Limits::default().stream_window).unwrap() / 15_032;
        let frames = |count| std::iter::repeat_n((0, 0, plain.as_slice()), count);
        assert_eq!(hostile(frames(enough)), None);
        assert_eq!(hostile(frames(enough + 1)), Some(Closed::Violation { what }));
    }
}
