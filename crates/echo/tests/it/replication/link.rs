//! What two devices say to each other of a space: who sends what, how much at once, and from where on.

use super::*;

/// What is durable at one end.
#[derive(Clone, Default)]
pub(super) struct Here {
    blocks: BTreeMap<FeedKey, Vec<(Block, Option<SignedHead>)>>,
    base: Timeframe,
    snapshot: Option<Vec<u8>>,
    fetched: u64,
    closed: BTreeSet<EpochId>,
    room: Option<usize>,
}

pub(super) const SNAPSHOT: [u8; 32] = [9; 32];

impl Here {
    pub(super) fn of(owners: &[&Owner], length: usize) -> Self {
        let blocks = owners.iter().map(|owner| {
            let some = owner.blocks.iter().take(length);
            (owner.key(), some.map(|(block, head)| (block.clone(), Some(*head))).collect())
        });
        Self { blocks: blocks.collect(), ..Self::default() }
    }

    fn keep(&mut self, blocks: Vec<Block>, head: Option<SignedHead>) {
        let kept = self.blocks.get_mut(&blocks[0].header.feed).unwrap();
        kept.extend(blocks.into_iter().map(|block| (block, None)));
        kept.last_mut().unwrap().1 = head;
    }
}

impl Blocks for Here {
    fn timeframe(&self) -> Timeframe {
        self.blocks.iter().map(|(feed, blocks)| (*feed, blocks.len() as u64)).collect()
    }

    fn closed(&self) -> BTreeSet<EpochId> {
        self.closed.clone()
    }

    fn run(
        &self,
        feed: &FeedKey,
        from: u64,
        most: usize,
        bytes: usize,
    ) -> Option<(Vec<Block>, Option<SignedHead>)> {
        let rest = self.blocks.get(feed)?.get(usize::try_from(from).ok()?..)?;
        let sizes = rest.iter().map(|(block, head)| (block.sealed.len(), head.is_some()));
        let run = &rest[..fitting(sizes, most, bytes)];
        Some((run.iter().map(|(block, _)| block.clone()).collect(), run.last()?.1))
    }

    fn base(&self) -> Timeframe {
        self.base.clone()
    }

    fn snapshot(&self) -> Option<SnapshotOffer> {
        let bytes = self.snapshot.as_ref()?;
        let base = self.base.iter().map(|(feed, length)| (*feed, *length)).collect();
        Some(SnapshotOffer { id: SNAPSHOT, size: bytes.len() as u64, base })
    }

    fn chunk(&self, id: &[u8; 32], offset: u64, most: usize) -> Option<Vec<u8>> {
        let bytes = self.snapshot.as_ref().filter(|_| *id == SNAPSHOT)?;
        let rest = bytes.get(usize::try_from(offset).ok()?..)?;
        Some(rest[..rest.len().min(most)].to_vec())
    }

    fn fetched(&self, _: &[u8; 32]) -> u64 {
        self.fetched
    }

    fn room(&self, _: Urgency) -> usize {
        self.room.unwrap_or(usize::MAX)
    }
}

fn sent(effects: &[Effect]) -> Vec<Message> {
    let message = |effect: &Effect| match effect {
        Effect::Send(message) => Some(message.clone()),
        _ => None,
    };
    effects.iter().filter_map(message).collect()
}

#[test]
fn billions_of_blocks_that_a_peer_announces_cost_nothing() {
    let owner = Owner::with(1, 3);
    let here = Here::of(&[&owner], 3);
    let mut link = Link::default();
    link.handle(Input::Opened, &here, NOW).unwrap();
    let mut timeframe = vec![(owner.key(), u64::MAX), (Key::new(2).feed(), 4_000_000_000)];
    timeframe.sort();
    let have = Message::Have { timeframe, again: true, on_screen: false };
    let said = link.handle(Input::Message(Message::decode(&have.encode()).unwrap()), &here, NOW).unwrap();
    assert_eq!(sent(&said).len(), 1, "what is here is said, and nothing asked for: {said:?}");
    let progress = link.progress(&here);
    assert_eq!((progress.received, progress.to_receive), (3, u64::MAX));
    assert!(format!("{link:?}").len() < 4_000, "feeds that are not admitted here are not kept");
}

#[test]
fn a_peer_that_never_answers_is_dropped_and_is_sent_ever_less() {
    let owner = Owner::with(1, 3);
    let here = Here::of(&[&owner], 3);
    let mut link = Link::default();
    link.handle(Input::Opened, &here, NOW).unwrap();
    let mut waits = Vec::new();
    let mut now = NOW;
    loop {
        let deadline = link.deadline().unwrap();
        waits.push(deadline.as_millis() - now.as_millis());
        now = deadline;
        match link.handle(Input::Tick, &here, now) {
            Ok(effects) => assert!(effects.len() <= 1),
            Err(error) => {
                assert_eq!(error, LinkError::Silent);
                break;
            }
        }
    }
    assert!(waits.is_sorted_by(|one, next| one < next), "{waits:?}");
    assert!((60_000..600_000).contains(&waits.iter().sum::<u64>()));
}

#[test]
fn no_more_is_on_its_way_than_the_windows_hold() {
    let mut owner = Owner::new(1);
    let large = vec![7; 900 * 1024];
    (0..24).for_each(|_| owner.say(&large, OPEN, &[]));
    let here = Here::of(&[&owner], 24);
    let mut link = Link::default();
    link.handle(Input::Opened, &here, NOW).unwrap();
    let empty = Message::Have { timeframe: vec![(owner.key(), 0)], again: true, on_screen: false };
    let said = link.handle(Input::Message(empty), &here, NOW).unwrap();
    let size = |messages: &[Message]| -> usize {
        let of = |message: &Message| match message {
            Message::Blocks { blocks, .. } => blocks.iter().map(|block| block.sealed.len()).sum(),
            _ => 0,
        };
        messages.iter().map(of).sum()
    };
    let flying = size(&sent(&said));
    assert!(flying > WINDOW_BYTES - 1024 * 1024 && flying < WINDOW_BYTES + 1024 * 1024, "{flying}");
    // As they arrive, others follow.
    let some = Message::Have { timeframe: vec![(owner.key(), 4)], again: false, on_screen: false };
    let more = size(&sent(&link.handle(Input::Message(some), &here, NOW).unwrap()));
    assert!((3 * 900 * 1024..5 * 1024 * 1024).contains(&more), "{more}");
    const { assert!(WINDOW > 1_024) };
}

#[test]
fn a_feed_that_the_peer_does_not_name_is_not_sent() {
    let (one, other) = (Owner::with(1, 3), Owner::with(2, 3));
    let here = Here::of(&[&one, &other], 3);
    let mut link = Link::default();
    let have = Message::Have { timeframe: vec![(one.key(), 0)], again: false, on_screen: false };
    for message in sent(&link.handle(Input::Message(have), &here, NOW).unwrap()) {
        if let Message::Blocks { blocks, .. } = message {
            assert!(blocks.iter().all(|block| block.header.feed == one.key()));
        }
    }
}

/// The numbers of the blocks that are sent, run by run.
fn runs(effects: &[Effect]) -> Vec<(u64, u64)> {
    let run = |message: Message| match message {
        Message::Blocks { blocks, .. } => {
            Some((blocks.first()?.header.sequence, blocks.last()?.header.sequence))
        }
        _ => None,
    };
    sent(effects).into_iter().filter_map(run).collect()
}

/// Large blocks: two are a message.
fn large(length: usize) -> Owner {
    let mut owner = Owner::new(1);
    (0..length).for_each(|_| owner.say(&vec![7; 120 * 1024], OPEN, &[]));
    owner
}

#[test]
fn what_somebody_looks_at_there_is_sent_anew_from_what_is_confirmed_on() {
    let owner = large(6);
    let here = Here::of(&[&owner], 6);
    let mut link = Link::default();
    let mut have = |length, on_screen, now| {
        let timeframe = vec![(owner.key(), length)];
        let have = Message::Have { timeframe, again: false, on_screen };
        let effects = link.handle(Input::Message(have), &here, now).unwrap();
        (link.is_watched(), effects.contains(&Effect::Withdraw), runs(&effects))
    };
    assert_eq!(have(0, false, NOW), (false, false, vec![(0, 1), (2, 3), (4, 5)]));
    assert_eq!(have(1, true, NOW), (true, true, vec![(1, 2), (3, 4), (5, 5)]));
    assert_eq!(have(3, true, NOW), (true, false, vec![]), "it is on its way");
    let now = NOW.plus(PAUSE);
    assert_eq!(have(5, false, now), (false, true, vec![(5, 5)]));
    assert_eq!(have(6, false, now), (false, false, vec![]));
    assert_eq!(have(6, true, now), (true, false, vec![]), "nothing is on its way");
}

#[test]
fn what_was_sent_is_sent_once_more_a_second_at_most_whatever_the_peer_says() {
    let owner = large(8);
    let mut here = Here::of(&[&owner], 6);
    let mut link = Link::default();
    let have = |again, on_screen| {
        Input::Message(Message::Have { timeframe: vec![(owner.key(), 0)], again, on_screen })
    };
    let say = |link: &mut Link, input, now, here: &Here| {
        let effects = link.handle(input, here, now).unwrap();
        (link.is_watched(), runs(&effects).len(), link.deadline())
    };
    assert_eq!(say(&mut link, have(true, false), NOW, &here), (false, 3, Some(NOW.plus(RETRY))));
    let mut sent = 0;
    for round in 0..1_000 {
        let looks = say(&mut link, have(round % 3 == 0, round % 2 == 0), NOW, &here);
        sent += looks.1;
    }
    assert_eq!(sent, 3, "once");
    // The last wish counts: somebody looked away, and something is missing.
    let resumes = NOW.plus(PAUSE);
    here = Here::of(&[&owner], 8);
    assert_eq!(
        say(&mut link, Input::Grown, NOW, &here),
        (true, 0, Some(resumes)),
        "what comes behind a gap comes in vain"
    );
    assert_eq!(say(&mut link, Input::Tick, resumes, &here), (false, 4, Some(NOW.plus(RETRY))));
    assert_eq!(say(&mut link, have(true, true), resumes, &here), (false, 0, Some(resumes.plus(PAUSE))));
    // Who has everything is sent nothing twice, and waits for nothing.
    let all = |on_screen| {
        Input::Message(Message::Have { timeframe: vec![(owner.key(), 8)], again: false, on_screen })
    };
    assert_eq!(say(&mut link, all(true), resumes, &here), (true, 0, None));
    assert_eq!(say(&mut link, all(false), resumes, &here), (false, 0, None));
    // Nor does it count that all of it was there before.
    assert_eq!(say(&mut link, have(true, false), resumes, &here), (false, 0, Some(resumes.plus(PAUSE))));
    // Clocks go back: nobody waits for them.
    assert_eq!(say(&mut link, have(true, false), NOW, &here), (false, 4, Some(NOW.plus(RETRY))));
}

#[test]
fn what_waits_is_withdrawn_when_it_is_sent_once_more_for_want_of_an_answer() {
    let owner = large(6);
    let here = Here::of(&[&owner], 6);
    let mut link = Link::default();
    let none = Message::Have { timeframe: vec![(owner.key(), 0)], again: false, on_screen: false };
    let first = link.handle(Input::Message(none), &here, NOW).unwrap();
    let lost = |effects: &[Effect]| effects.iter().position(|effect| *effect == Effect::Withdraw);
    assert_eq!((lost(&first), runs(&first).len()), (None, 3));
    let again = link.handle(Input::Tick, &here, NOW.plus(RETRY)).unwrap();
    let withdrawn = lost(&again).expect("what waits would be sent twice");
    assert_eq!(runs(&again[withdrawn..]), runs(&first), "and then all of it is sent");
    // A link that begins anew sends it as well, once the peer says what it has.
    assert!(lost(&link.handle(Input::Opened, &here, NOW.plus(RETRY)).unwrap()).is_some());
}

#[test]
fn a_peer_is_told_once_that_somebody_looks() {
    let owner = Owner::with(1, 1);
    let here = Here::of(&[&owner], 1);
    let mut link = Link::of(false);
    let mut said = |input| {
        let said = sent(&link.handle(input, &here, NOW).unwrap());
        let look = |message: &Message| match message {
            Message::Have { again, on_screen, .. } => (*again, *on_screen),
            other => panic!("{other:?}"),
        };
        said.iter().map(look).collect::<Vec<_>>()
    };
    assert_eq!(said(Input::Looked(true)), [], "nobody is there to be told yet");
    assert_eq!(said(Input::Opened), [(true, true)]);
    assert_eq!(said(Input::Looked(true)), []);
    assert_eq!(said(Input::Opened), [(true, true)], "whoever begins anew says it again");
    assert_eq!(said(Input::Looked(false)), [(false, false)]);
    assert_eq!(said(Input::Looked(false)), []);
}

#[test]
fn a_snapshot_of_what_somebody_looks_at_is_asked_for_anew_from_where_it_is() {
    let owner = Owner::with(1, 1);
    let here = Here::of(&[&owner], 0);
    let mut link = Link::default();
    link.handle(Input::Opened, &here, NOW).unwrap();
    let offer = SnapshotOffer { id: SNAPSHOT, size: 30, base: vec![(owner.key(), 1)] };
    let mut say = |input| link.handle(input, &here, NOW).unwrap();
    let wanted = |from| Message::SnapshotWanted { id: SNAPSHOT, from };
    let chunk = |offset: u64| {
        let bytes = vec![7; 10];
        Input::Message(Message::SnapshotChunk { id: SNAPSHOT, offset, bytes })
    };
    let keep =
        |offset: u64, is_last| vec![Effect::Keep { id: SNAPSHOT, offset, bytes: vec![7; 10], is_last }];
    assert_eq!(sent(&say(Input::Fetch(offer))), [wanted(0)]);
    assert_eq!(say(chunk(0)), keep(0, false));
    let looked = sent(&say(Input::Looked(true)));
    assert!(matches!(looked.first(), Some(Message::Have { on_screen: true, .. })), "{looked:?}");
    assert_eq!(looked[1..], [wanted(10)]);
    // What was on its way before and what comes now, in any order: each part counts once.
    assert_eq!(say(chunk(10)), keep(10, false));
    assert_eq!(say(chunk(10)), []);
    assert_eq!(say(chunk(20)), keep(20, true));
    assert_eq!(say(chunk(20)), [], "the last one too");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// One stream for what is on screen and one for the rest, each in order, whichever of the two is quicker; and a user who
    /// looks at the space and away.
    #[test]
    fn nothing_is_missed_between_the_two_streams(steps in proptest::collection::vec((0..6_u8, any::<bool>()), 0..120)) {
        let owner = large(24);
        let (here, mut there) = (Here::of(&[&owner], 24), Here::of(&[&owner], 0));
        let (mut host, mut guest) = (Link::default(), Link::default());
        let mut asked: Vec<Message> = sent(&guest.handle(Input::Opened, &there, NOW).unwrap());
        let mut streams: [Vec<Message>; 2] = [vec![], vec![]];
        let mut now = NOW;
        let finish = [0, 1, 2, 5].repeat(150).into_iter().map(|step| (step, false));
        for (step, other) in steps.into_iter().chain(finish) {
            now = now.plus(PAUSE / 5);
            match step {
                0 | 5 => {
                    let input = match step {
                        0 if !asked.is_empty() => Input::Message(asked.remove(0)),
                        _ => Input::Tick,
                    };
                    for effect in host.handle(input, &here, now).unwrap() {
                        match effect {
                            Effect::Send(blocks @ Message::Blocks { .. }) => {
                                streams[usize::from(host.is_watched())].push(blocks);
                            }
                            // Some of it is in the stream already.
                            Effect::Withdraw => streams.iter_mut().for_each(|stream| {
                                stream.truncate(if other { 1 } else { 3 });
                            }),
                            _ => {}
                        }
                    }
                }
                1 | 2 if !streams[usize::from(step - 1)].is_empty() => {
                    let blocks = streams[usize::from(step - 1)].remove(0);
                    for effect in guest.handle(Input::Message(blocks), &there, now).unwrap() {
                        let Effect::Take { mut blocks, head } = effect else { continue };
                        let have = there.timeframe()[&owner.key()];
                        prop_assert!(blocks[0].header.sequence <= have, "some before these are missing");
                        blocks.retain(|block| block.header.sequence >= have);
                        if !blocks.is_empty() {
                            there.keep(blocks, head);
                        }
                    }
                    asked.extend(sent(&guest.handle(Input::Grown, &there, now).unwrap()));
                }
                3 | 4 => asked.extend(sent(&guest.handle(Input::Looked(step == 4), &there, now).unwrap())),
                _ => {}
            }
        }
        prop_assert_eq!(there.timeframe()[&owner.key()], 24);
    }
}

/// Lets two ends talk until nothing is left to say; the second one takes what comes.
fn talk(from: (&mut Link, &mut Here), to: (&mut Link, &mut Here)) -> Vec<u8> {
    let mut got = Vec::new();
    let (all, base) = (from.1.blocks.clone(), from.1.base.clone());
    let mut wire: Vec<(bool, Message)> = Vec::new();
    let opened = from.0.handle(Input::Opened, from.1, NOW).unwrap();
    wire.extend(sent(&opened).into_iter().map(|message| (true, message)));
    let opened = to.0.handle(Input::Opened, to.1, NOW).unwrap();
    wire.extend(sent(&opened).into_iter().map(|message| (false, message)));
    while !wire.is_empty() {
        let (forward, message) = wire.remove(0);
        let mut inputs = vec![Input::Message(Message::decode(&message.encode()).unwrap())];
        while !inputs.is_empty() {
            let (link, here) = if forward { (&mut *to.0, &mut *to.1) } else { (&mut *from.0, &mut *from.1) };
            for effect in link.handle(inputs.remove(0), here, NOW).unwrap() {
                match effect {
                    Effect::Send(message) => wire.push((!forward, message)),
                    Effect::Offered(offer) => inputs.push(Input::Fetch(offer)),
                    Effect::Keep { bytes, is_last, offset, .. } => {
                        assert_eq!(offset, here.fetched);
                        here.fetched += bytes.len() as u64;
                        got.extend(bytes);
                        if is_last {
                            // What a snapshot stands for is here now, as if it had come block by block.
                            here.blocks.clone_from(&all);
                            for (feed, base) in &base {
                                here.blocks.get_mut(feed).unwrap().truncate(usize::try_from(*base).unwrap());
                            }
                            inputs.push(Input::Grown);
                        }
                    }
                    Effect::Take { blocks, head } => {
                        here.keep(blocks, head);
                        inputs.push(Input::Grown);
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
    }
    got
}

#[test]
fn where_blocks_were_dropped_a_snapshot_comes_first_and_goes_on_where_it_was_cut() {
    let owner = Owner::with(1, 20);
    let snapshot: Vec<u8> = (0..5_000_000_u32).map(|at| (at % 251) as u8).collect();
    let mut from = Here::of(&[&owner], 20);
    from.base.insert(owner.key(), 12);
    from.snapshot = Some(snapshot.clone());
    for already in [0, 1_234_567] {
        let mut to = Here::of(&[&owner], 0);
        to.fetched = already as u64;
        let (mut one, mut other) = (Link::default(), Link::default());
        let got = talk((&mut one, &mut from), (&mut other, &mut to));
        assert_eq!(got.len(), snapshot.len() - already);
        assert!(got == snapshot[already..]);
        assert_eq!(to.timeframe(), from.timeframe(), "and then the blocks after it");
        assert!(one.in_step(&from) && other.in_step(&to));
        assert_eq!((one.deadline(), other.deadline()), (None, None));
    }
    // Who has enough is offered none.
    let mut to = Here::of(&[&owner], 15);
    let got = talk((&mut Link::default(), &mut from), (&mut Link::default(), &mut to));
    assert_eq!((got.len(), to.timeframe()), (0, from.timeframe()));
}

#[test]
fn a_part_of_a_snapshot_that_nobody_asked_for_ends_the_link() {
    let owner = Owner::with(1, 2);
    let here = Here::of(&[&owner], 2);
    let chunk =
        |id, offset, length| Input::Message(Message::SnapshotChunk { id, offset, bytes: vec![0; length] });
    let mut link = Link::default();
    assert_eq!(link.handle(chunk(SNAPSHOT, 0, 5), &here, NOW), Err(LinkError::Snapshot));
    let offer = SnapshotOffer { id: SNAPSHOT, size: 10, base: vec![(owner.key(), 5)] };
    let mut link = Link::default();
    link.handle(Input::Fetch(offer.clone()), &here, NOW).unwrap();
    assert_eq!(link.handle(chunk([8; 32], 0, 5), &here, NOW), Err(LinkError::Snapshot), "another");
    assert_eq!(link.handle(chunk(SNAPSHOT, 0, 11), &here, NOW), Err(LinkError::Snapshot), "too much");
    let mut link = Link::default();
    link.handle(Input::Fetch(offer.clone()), &here, NOW).unwrap();
    assert_eq!(link.handle(chunk(SNAPSHOT, 5, 5), &here, NOW), Ok(vec![]), "not its turn");
    // An offer that brings nothing is not looked at.
    let useless = SnapshotOffer { base: vec![(owner.key(), 2), (Key::new(9).feed(), 7)], ..offer };
    let mut link = Link::default();
    assert_eq!(link.handle(Input::Message(Message::SnapshotOffer(useless)), &here, NOW), Ok(vec![]));
}

#[test]
fn content_keys_are_given_on_request_and_as_soon_as_they_are_there() {
    let here = Here::default();
    let lacks = Here { closed: BTreeSet::from([LATER]), ..Here::default() };
    let (mut asks, mut gives) = (Link::default(), Link::default());
    let have = |again| Input::Message(Message::Have { timeframe: vec![], again, on_screen: false });
    let wants = |effects: Vec<Effect>| sent(&effects).contains(&Message::KeysWanted(vec![LATER]));
    assert!(wants(asks.handle(Input::Grown, &lacks, NOW).unwrap()));
    assert_eq!(asks.handle(Input::Grown, &lacks, NOW).unwrap(), [], "once");
    // Neither a link that begins anew nor a peer that does knows what was asked.
    assert!(wants(asks.handle(have(true), &lacks, NOW).unwrap()));
    assert!(!wants(asks.handle(have(false), &lacks, NOW).unwrap()));
    assert!(!wants(asks.handle(Input::Opened, &lacks, NOW).unwrap()), "the peer may not be there yet");
    assert!(wants(asks.handle(have(false), &lacks, NOW).unwrap()));
    let read = Message::decode(&Message::KeysWanted(vec![LATER]).encode()).unwrap();
    assert_eq!(gives.handle(Input::Message(read), &here, NOW).unwrap(), [Effect::Share(vec![LATER])]);
    // It has none yet; later it does.
    assert_eq!(gives.handle(Input::Keys { epochs: vec![], shares: vec![] }, &here, NOW).unwrap(), []);
    assert_eq!(gives.handle(Input::Opens, &here, NOW).unwrap(), [Effect::Share(vec![LATER])]);
    let keys = Input::Keys { epochs: vec![LATER], shares: vec![vec![1, 2]] };
    let said = sent(&gives.handle(keys, &here, NOW).unwrap());
    assert_eq!(gives.handle(Input::Opens, &here, NOW).unwrap(), [], "given once");
    let read = Message::decode(&said[0].encode()).unwrap();
    assert_eq!(
        asks.handle(Input::Message(read.clone()), &here, NOW).unwrap(),
        [Effect::Unlock(vec![vec![1, 2]])]
    );
    let mut another = Link::default();
    assert_eq!(another.handle(Input::Message(read), &here, NOW).unwrap(), [], "nobody asked");
}

#[test]
fn control_goes_before_data_and_what_is_on_screen_before_the_rest() {
    let owner = Owner::with(1, 1);
    let (blocks, head) = owner.run(0, 1);
    let blocks = Message::Blocks { blocks, head: Some(head) };
    let have = Message::Have { timeframe: vec![], again: false, on_screen: false };
    let chunk = Message::SnapshotChunk { id: SNAPSHOT, offset: 0, bytes: vec![1] };
    let halo = blocks.urgency(false).in_halo_space();
    let order =
        [have.urgency(false), halo, blocks.urgency(true), blocks.urgency(false), chunk.urgency(false)];
    assert_eq!(order, Urgency::ALL);
    assert!(order.is_sorted_by(|one, next| one < next));
    assert_eq!(chunk.urgency(true), Urgency::OnScreen);
    assert_eq!((blocks.urgency(true).in_halo_space(), have.urgency(true).in_halo_space()), (halo, order[0]));
}

#[test]
fn what_waits_weighs_what_it_takes() {
    let owner = Owner::with(1, 40);
    let (blocks, head) = owner.run(0, 40);
    let feeds: Vec<(FeedKey, u64)> = (0..100).map(|number| (Key::new(number).feed(), 1)).collect();
    let long = vec![7; 100_000];
    let messages = [
        Message::Have { timeframe: feeds.clone(), again: true, on_screen: true },
        Message::Blocks { blocks, head: Some(head) },
        Message::Forked(Box::new(forked().1)),
        Message::KeysWanted(vec![LATER; 200]),
        Message::Keys(vec![long.clone(), long.clone()]),
        Message::SnapshotOffer(SnapshotOffer { id: SNAPSHOT, size: 1, base: feeds }),
        Message::SnapshotWanted { id: SNAPSHOT, from: u64::MAX },
        Message::SnapshotChunk { id: SNAPSHOT, offset: 0, bytes: long.clone() },
    ];
    for message in messages {
        let (weight, bytes) = (message.weight(), message.encode().len());
        assert!(weight > bytes - bytes / 8, "{weight} for {bytes} bytes: {message:?}");
    }
    let ids = vec![halo_protocol::credential::CredentialId::from_bytes([7; 32]); 30_000];
    for said in [Acquaint::Ids { ids, answer: true }, Acquaint::Credentials(vec![long.clone(), long])] {
        assert!(said.weight() >= said.encode().len());
    }
}

#[test]
fn nothing_is_read_for_which_there_is_no_room_and_it_goes_on_once_there_is() {
    let owner = large(8);
    let here = |room| Here { room: Some(room), ..Here::of(&[&owner], 8) };
    let mut link = Link::default();
    let have = Message::Have { timeframe: vec![(owner.key(), 0)], again: true, on_screen: false };
    let mut say = |input, room| {
        let effects = link.handle(input, &here(room), NOW).unwrap();
        (runs(&effects), effects.contains(&Effect::Held(Urgency::Data)))
    };
    assert_eq!(say(Input::Message(have), 0), (vec![], true));
    assert_eq!(say(Input::Grown, 300 * 1024), (vec![(0, 1), (2, 2)], true), "as much as there is room for");
    assert_eq!(say(Input::Grown, 0), (vec![], true));
    assert_eq!(say(Input::Grown, usize::MAX), (vec![(3, 4), (5, 6), (7, 7)], false));
    assert_eq!(say(Input::Grown, 0), (vec![], false), "nothing more is to be said");
    // Of a snapshot as well, however often it is asked for.
    let snapshot = vec![7; 1_000_000];
    let here = |room| Here { room: Some(room), snapshot: Some(snapshot.clone()), ..Here::default() };
    let mut link = Link::default();
    let mut say = |input, room| {
        let effects = link.handle(input, &here(room), NOW).unwrap();
        let offset = |message: &Message| match message {
            Message::SnapshotChunk { offset, .. } => Some(*offset),
            _ => None,
        };
        let offsets: Vec<u64> = sent(&effects).iter().filter_map(offset).collect();
        (offsets, effects.contains(&Effect::Held(Urgency::Bulk)))
    };
    let wanted = |from| Input::Message(Message::SnapshotWanted { id: SNAPSHOT, from });
    assert_eq!(say(wanted(0), 300 * 1024), (vec![0, 262_144], true));
    for _ in 0..1_000 {
        assert_eq!(say(wanted(262_144), 0), (vec![], true));
    }
    assert_eq!(
        say(Input::Grown, usize::MAX),
        (vec![262_144, 524_288, 786_432], false),
        "what was asked for last"
    );
    assert_eq!(say(Input::Grown, usize::MAX), (vec![], false));
}
