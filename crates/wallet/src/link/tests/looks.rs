//! The space that somebody looks at comes first.

use halo_echo::replication::{Message, Timeframe, Urgency};
use halo_protocol::feed::Payload;

use super::aliases::let_in_for;
use super::puppet::{Cable, Puppet, known, tag};
use super::stolen::lengths;
use super::*;
use crate::link::wire::{Say, SpaceTag};
use crate::request::Scope;

/// So many blocks are more than connections keep in between, and not worth a snapshot.
const MANY: u64 = 38;
/// Bytes in each of them.
const LONG: usize = 100_000;
/// And those of a space that is quickly there.
const FEW: u64 = 4;

/// A desktop and a laptop that is linked with it, and two spaces with next to nothing in them. They do not meet.
pub(super) struct Two {
    _computers: [Computer; 2],
    pub(super) desktop: Wallet,
    pub(super) laptop: Wallet,
    /// The one that comes first where there is no other reason.
    pub(super) archive: SpaceId,
    pub(super) home: SpaceId,
}

impl Two {
    pub(super) async fn new() -> Self {
        let computers = [Computer::new(), Computer::new()];
        let [desktop, laptop] = [&computers[0], &computers[1]].map(Computer::on);
        let (desktop, laptop) = (desktop.await, laptop.await);
        let mut spaces: Vec<SpaceId> = Vec::new();
        {
            let meeting = Meeting::begin().await;
            for wallet in [&desktop, &laptop] {
                meeting.tell(wallet).await;
            }
            identity(&desktop).await;
            for name in ["One", "Other"] {
                spaces.push(desktop.add_space(name.into()).await.unwrap().id.parse().unwrap());
            }
            link(&desktop, &laptop).await;
            for wallet in [desktop, laptop] {
                wallet.close().await;
            }
        }
        spaces.sort();
        let (desktop, laptop) = (computers[0].on().await, computers[1].on().await);
        Self { _computers: computers, desktop, laptop, archive: spaces[0], home: spaces[1] }
    }
}

/// Writes blocks that are quickly taken in: what they say is nothing in these spaces.
pub(super) async fn fill(wallet: &Wallet, space: SpaceId, blocks: u64, bytes: usize) {
    for number in 0..blocks {
        let said = Payload { credentials: vec![vec![number as u8; bytes]], ..Payload::default() };
        inside(wallet, move |open| open.say(space, said, |_, _| Ok(()), |_| Ok(())).map(drop)).await.unwrap();
    }
}

/// How many blocks of a space are there.
async fn count(wallet: &Wallet, space: SpaceId) -> u64 {
    lengths(wallet, space).await.values().sum()
}

/// Of which spaces blocks are said, in order and with how many.
pub(super) fn blocks(said: &[Say]) -> Vec<(SpaceTag, u64)> {
    let of = |say: &Say| match say {
        Say::Space(tag, Message::Blocks { blocks, .. }) => Some((*tag, blocks.len() as u64)),
        _ => None,
    };
    said.iter().filter_map(of).collect()
}

#[tokio::test]
async fn blocks_of_what_a_peer_looks_at_go_before_those_of_other_spaces() {
    let two = Two::new().await;
    let laptop = device(&two.laptop).await;
    let before: Vec<Timeframe> =
        vec![lengths(&two.desktop, two.archive).await, lengths(&two.desktop, two.home).await];
    for space in [two.archive, two.home] {
        fill(&two.desktop, space, FEW, 100).await;
    }
    let knows = known(&two.desktop).await;
    let (archive, home) = (tag(&two.desktop, two.archive).await, tag(&two.desktop, two.home).await);
    let have = |space: usize, on_screen| Message::Have {
        timeframe: before[space].iter().map(|(feed, length)| (*feed, *length)).collect(),
        again: false,
        on_screen,
    };

    let puppet = Puppet::arrive(&two.desktop, laptop, knows.clone()).await;
    puppet.of(&two.desktop, two.archive, have(0, false)).await;
    puppet.of(&two.desktop, two.home, have(1, true)).await;
    let said = puppet.go(&two.desktop).await;
    assert_eq!(blocks(&said[&Urgency::OnScreen]), [(home, FEW)]);
    assert_eq!(blocks(&said[&Urgency::Data]), [(archive, FEW)]);
    assert_eq!(blocks(&said[&Urgency::Control]), []);

    // What waits changes its place when somebody looks, and when they look away.
    let puppet = Puppet::arrive(&two.desktop, laptop, knows).await;
    for (space, number, on_screen) in
        [(two.archive, 0, true), (two.home, 1, false), (two.archive, 0, false), (two.home, 1, true)]
    {
        puppet.of(&two.desktop, space, have(number, on_screen)).await;
    }
    let said = puppet.go(&two.desktop).await;
    assert_eq!(blocks(&said[&Urgency::OnScreen]), [(home, FEW)]);
    assert_eq!(blocks(&said[&Urgency::Data]), [(archive, FEW)]);
}

#[tokio::test]
async fn a_space_that_is_opened_while_others_are_fetched_is_there_before_them() {
    let two = Two::new().await;
    let (desktop, laptop, archive, home) = (&two.desktop, &two.laptop, two.archive, two.home);
    let (archived, at_home) = (count(laptop, archive).await + MANY, count(laptop, home).await + FEW);
    fill(desktop, archive, MANY, LONG).await;
    fill(desktop, home, FEW, 100).await;

    let cable = Cable::between(desktop, laptop).await;
    while count(laptop, archive).await < archived - MANY + 2 {
        assert!(cable.carry().await, "the archive comes first, as long as nobody looks");
    }
    assert!(count(laptop, home).await < at_home);
    laptop.look_at_space(Some(home)).await.unwrap();
    while count(laptop, home).await < at_home {
        assert!(cable.carry().await);
    }
    let came = count(laptop, archive).await;
    assert!(came < archived - MANY / 2, "{came} blocks of the archive came first");
    // What was on its way in another order comes all the same, whatever the user looks at meanwhile.
    for space in [Some(archive), None, Some(archive)] {
        assert!(cable.carry().await);
        laptop.look_at_space(space).await.unwrap();
    }
    while cable.carry().await {}
    assert_eq!((count(laptop, archive).await, count(laptop, home).await), (archived, at_home));
}

#[tokio::test]
async fn an_app_that_asks_for_what_is_in_a_space_looks_at_it() {
    let two = Two::new().await;
    let (desktop, laptop, archive, home) = (&two.desktop, &two.laptop, two.archive, two.home);
    let (archived, at_home) = (count(laptop, archive).await + MANY, count(laptop, home).await + FEW);
    fill(desktop, archive, MANY, LONG).await;
    fill(desktop, home, FEW, 100).await;
    assert_eq!(titles(laptop, home).await, [] as [&str; 0]);
    let meeting = Meeting::begin().await;
    for wallet in [desktop, laptop] {
        meeting.tell(wallet).await;
    }
    let mut came = 0;
    until(laptop, "what was asked for", async |laptop| {
        came = count(laptop, archive).await;
        count(laptop, home).await == at_home
    })
    .await;
    assert!(came < archived, "the archive came first");
    until(laptop, "the rest", async |laptop| count(laptop, archive).await == archived).await;
}

#[tokio::test]
async fn who_asks_for_something_or_writes_looks_and_who_is_told_what_changed_does_not() {
    let computer = Computer::new();
    let wallet = computer.on().await;
    identity(&wallet).await;
    let app = let_in_for(&wallet, "https://tasks.example", &[Scope::OpenId, Scope::Spaces]).await;
    let space = wallet.default_space(&app).await.unwrap();
    let id = space.id;
    let looks = async |space| inside(&wallet, move |open| open.spaces.looks.told(&space)).await;
    let query = Query::of_type("dxn:type:example.org/type/Task");
    let again = wallet.query_again(&app, query.clone(), id, vec![space.root], vec![]).await.unwrap();
    assert!(again.is_some_and(|items| items.iter().all(|(_, found)| found.is_none())), "there are no tasks");
    assert!(!looks(id).await, "nobody asked");
    wallet.items(&By::App(app), id, query).await.unwrap();
    assert!(looks(id).await);
    let home = wallet.add_space("Home".into()).await.unwrap().id.parse().unwrap();
    assert!(!looks(home).await);
    put(&wallet, home, "Milk").await;
    assert!(looks(home).await);
}
