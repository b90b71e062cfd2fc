//! A stolen device that keeps everything it ever had, and says what it likes: three wallets, and what each of them has on
//! its disk.

use std::collections::BTreeMap;

use halo_echo::replication::{MOST_CREDENTIALS_OF_AN_ISSUER, Open as _, RESERVED_FOR_REMOVALS, Timeframe};
use halo_protocol::FeedKey;
use halo_protocol::Verified;
use halo_protocol::channel::HandshakeHash;
use halo_protocol::credential::{Assertion, Credential, Draft};
use halo_protocol::epoch::Epoch;
use halo_protocol::feed::{Block, Payload, SignedHead};

use super::*;
use crate::RevokeDevice;
use crate::contents::epoch_row;
use crate::engine::clock;
use crate::feeds::run_of;

/// The laptop at home, the phone, and the tablet that is going to be stolen.
pub(super) struct Three {
    pub(super) meeting: Meeting,
    pub(super) computers: [Computer; 3],
    pub(super) laptop: Wallet,
    pub(super) phone: Wallet,
    pub(super) tablet: Wallet,
    pub(super) home: SpaceId,
}

impl Three {
    pub(super) async fn new() -> Self {
        let meeting = Meeting::begin().await;
        let computers = [Computer::new(), Computer::new(), Computer::new()];
        let [laptop, phone, tablet] = [&computers[0], &computers[1], &computers[2]].map(Computer::on);
        let (laptop, phone, tablet) = (laptop.await, phone.await, tablet.await);
        for wallet in [&laptop, &phone, &tablet] {
            meeting.tell(wallet).await;
        }
        identity(&laptop).await;
        let home = laptop.add_space("Home".into()).await.unwrap().id.parse().unwrap();
        put(&laptop, home, "Milk").await;
        link(&laptop, &phone).await;
        link(&laptop, &tablet).await;
        let key = device(&tablet).await;
        until(&phone, "the phone knows the tablet", async |phone| {
            inside(phone, move |open| open.state.devices.contains_key(&key)).await
        })
        .await;
        Self { meeting, computers, laptop, phone, tablet, home }
    }

    pub(super) async fn halo(&self) -> SpaceId {
        inside(&self.laptop, |open| open.halo().unwrap()).await
    }
}

/// A run of blocks, and what vouches for it.
pub(super) type Run = (Vec<Block>, Option<SignedHead>);

pub(super) async fn lengths(wallet: &Wallet, space: SpaceId) -> Timeframe {
    inside(wallet, move |open| open.feeds(space).unwrap().replica.timeframe()).await
}

/// What a device has on its disk of a space, from a number on in each feed.
pub(super) async fn kept(wallet: &Wallet, space: SpaceId, from: &Timeframe) -> Vec<Run> {
    let from = from.clone();
    inside(wallet, move |open| {
        let rows = open.store.feeds(&space.to_string()).unwrap();
        let run = |key: [u8; 32]| {
            let from = from.get(&FeedKey::from_bytes(&key).unwrap()).copied().unwrap_or_default();
            run_of(open.store.blocks(&key, from, 1_000).unwrap()).unwrap()
        };
        rows.iter().map(|row| run(row.key)).filter(|(blocks, _)| !blocks.is_empty()).collect()
    })
    .await
}

/// Brings blocks to a device by whatever way.
pub(super) async fn bring(wallet: &Wallet, space: SpaceId, runs: Vec<Run>) {
    for (blocks, head) in runs {
        let _ = wallet.job(move |engine| engine.ingest(space, blocks, head.as_ref())).await.unwrap();
    }
}

/// What of some blocks a device can read.
pub(super) async fn read(wallet: &Wallet, space: SpaceId, runs: &[Run]) -> Vec<Payload> {
    let blocks: Vec<Block> = runs.iter().flat_map(|(blocks, _)| blocks.clone()).collect();
    inside(wallet, move |open| {
        let contents = &open.feeds(space).unwrap().contents;
        let read = |block: &Block| contents.open(&block.header, &block.sealed).unwrap();
        blocks.iter().filter_map(read).collect()
    })
    .await
}

/// The thief begins epochs of its own, with a number higher than anybody's.
pub(super) async fn begin_epochs(thief: &Wallet, spaces: [SpaceId; 2]) {
    inside(thief, move |open| {
        let halo = open.halo().unwrap();
        let own = open.keys.device_key();
        let to = open.recipients_by(&open.state);
        for space in spaces {
            let key = halo_protocol::SpaceKey::from_bytes(&open.spaces.rows[&space].key).unwrap();
            let (epoch, content) = open.keys.begin_epoch(key, 1_000, vec![], vec![], &to).unwrap();
            let said = Payload { epochs: vec![epoch.encode()], ..Payload::default() };
            let under = open.epoch_of(halo).unwrap();
            let (row, name) = (epoch_row(&own, &epoch), space.to_string());
            open.keep_under(halo, under, said, |tx| tx.add_epoch(&name, &row)).unwrap();
            open.feeds(space).unwrap().contents.begin(own, &epoch, content);
        }
    })
    .await;
}

/// Which epochs of a space a device knows, by number.
async fn numbers(wallet: &Wallet, space: SpaceId) -> Vec<u64> {
    inside(wallet, move |open| {
        open.store.epochs(&space.to_string()).unwrap().iter().map(|row| row.number).collect()
    })
    .await
}

pub(super) fn revoke(key: DeviceKey) -> RevokeDevice {
    RevokeDevice { device_key: key.to_string(), phrase: None, passphrase: None }
}

// threat: 36, 38
#[tokio::test]
async fn a_stolen_device_with_everything_it_ever_had_reads_nothing_says_nothing_and_meets_nobody() {
    let three = Three::new().await;
    let (home, halo) = (three.home, three.halo().await);
    let thief = device(&three.tablet).await;

    // The laptop is off. The phone alone hears what the tablet says, and of epochs that outrank all others.
    three.laptop.close().await;
    begin_epochs(&three.tablet, [halo, home]).await;
    put(&three.tablet, home, "Bread").await;
    until(&three.phone, "what the tablet wrote", async |phone| titles(phone, home).await.len() == 2).await;
    put(&three.phone, home, "Tea").await;
    until(&three.tablet, "what the phone wrote", async |tablet| titles(tablet, home).await.len() == 3).await;
    assert!(numbers(&three.phone, home).await.contains(&1_000));
    three.phone.close().await;
    three.tablet.close().await;

    // The tablet is stolen, and the laptop removes it. It writes, and says nothing to anybody who has not heard yet: that
    // would be the word of whoever believed it.
    let laptop = three.computers[0].on().await;
    assert!(!numbers(&laptop, home).await.contains(&1_000), "the laptop has not heard of those");
    let before: BTreeMap<SpaceId, Timeframe> =
        [(home, lengths(&laptop, home).await), (halo, lengths(&laptop, halo).await)].into();
    laptop.revoke_device(revoke(thief)).await.unwrap();
    put(&laptop, home, "Secret of the laptop").await;
    let tablet = three.computers[2].on().await;
    put(&tablet, home, "Backdated").await;
    tablet.close().await;

    // The phone comes back, hears of it from the laptop, and writes.
    let phone = three.computers[1].on().await;
    let phone_before: BTreeMap<SpaceId, Timeframe> =
        [(home, lengths(&phone, home).await), (halo, lengths(&phone, halo).await)].into();
    for wallet in [&laptop, &phone] {
        three.meeting.tell(wallet).await;
    }
    until(&phone, "the laptop's secret", async |phone| {
        titles(phone, home).await.contains(&"Secret of the laptop".to_owned())
    })
    .await;
    // And there is the tablet, at the place where they meet.
    let tablet = &three.computers[2].on().await;
    three.meeting.tell(tablet).await;
    put(&phone, home, "Secret of the phone").await;
    until(&laptop, "the phone's secret", async |laptop| {
        titles(laptop, home).await.contains(&"Secret of the phone".to_owned())
    })
    .await;
    // What the phone had built on it says again as its own.
    let left = ["Bread", "Milk", "Secret of the laptop", "Secret of the phone", "Tea"];
    until(&laptop, "the same", async |laptop| titles(laptop, home).await == left).await;
    assert_eq!(titles(&phone, home).await, left);

    // It is given every byte that was written since, and reads none: of who is who it sees what concerns itself.
    for (wallet, before) in [(&laptop, &before), (&phone, &phone_before)] {
        let own =
            inside(wallet, move |open| [home, halo].map(|space| open.feeds(space).unwrap().own())).await;
        for (space, own) in [home, halo].into_iter().zip(own) {
            let mut runs = kept(wallet, space, &before[&space]).await;
            runs.retain(|(blocks, _)| blocks[0].header.feed == own);
            assert!(!runs.is_empty(), "something was written");
            bring(tablet, space, runs.clone()).await;
            for payload in read(tablet, space, &runs).await {
                let changes = payload.changes.len();
                assert!(space == halo && changes == 0, "it reads {changes} changes in space {space}");
                assert!(!payload.credentials.is_empty() || !payload.epochs.is_empty());
                for epoch in payload.epochs.iter().map(|bytes| Epoch::decode(bytes).unwrap()) {
                    let opened = inside(tablet, move |open| open.keys.open_epoch(&epoch).is_ok()).await;
                    assert!(!opened, "an epoch that opens for it");
                }
            }
        }
    }
    assert_eq!(titles(tablet, home).await, ["Backdated", "Bread", "Milk", "Tea"]);

    // Whatever it signs, whoever brings it: nothing is taken, and nothing that it said behind the cut is there.
    let feeds = inside(tablet, move |open| [home, halo].map(|space| open.feeds(space).unwrap().own())).await;
    for wallet in [&laptop, &phone] {
        for (space, feed) in [home, halo].into_iter().zip(feeds) {
            let mut theirs = kept(tablet, space, &Timeframe::new()).await;
            theirs.retain(|(blocks, _)| blocks[0].header.feed == feed);
            let known = lengths(wallet, space).await;
            bring(wallet, space, theirs).await;
            assert_eq!(lengths(wallet, space).await, known);
            let length = inside(wallet, move |open| {
                let cut = open.cut_of(&feed).unwrap();
                let here = open.feeds(space).unwrap().replica.feed(&feed).map_or(0, |feed| feed.length());
                assert!(here <= cut.length);
                here
            });
            assert!(length.await <= before[&space].get(&feed).copied().unwrap_or_default());
        }
        assert_eq!(titles(wallet, home).await, left);
    }

    // It is refused at the door, and given no key by anybody who knows.
    let handshake = HandshakeHash::from_bytes([7; 32]);
    for wallet in [&laptop, &phone] {
        let (hello, agreement) = tablet
            .job(move |engine| {
                (engine.hello(handshake, true).unwrap(), engine.unlocked().unwrap().keys.agreement_key())
            })
            .await
            .unwrap();
        let met =
            wallet.job(move |engine| engine.peer_of(&hello, handshake, false, agreement)).await.unwrap();
        assert!(met.is_err(), "it was let in at the door");
        let given = inside(wallet, move |open| {
            let epochs = open.store.epochs(&home.to_string()).unwrap();
            let epochs: Vec<_> =
                epochs.iter().map(|row| halo_protocol::feed::EpochId::from_bytes(row.id)).collect();
            open.content_for(&thief, home, &epochs).unwrap()
        });
        assert_eq!(given.await, []);
    }
    // It is all the same after a restart.
    phone.close().await;
    let phone = three.computers[1].on().await;
    put(&phone, home, "Later").await;
    let runs = kept(&phone, home, &lengths(&laptop, home).await).await;
    assert!(!runs.is_empty());
    assert_eq!(read(tablet, home, &runs).await, []);
    for wallet in [&laptop, &phone] {
        assert_eq!(wallet.doctor(false, crate::Gauge::unseen()).await.unwrap().problems, [] as [&str; 0]);
    }
}

// threat: 38
#[tokio::test]
async fn who_hears_of_a_removal_before_its_epochs_writes_under_none_that_the_removed_was_given() {
    let three = Three::new().await;
    let home = three.home;
    let (tablet, thief) = (&three.tablet, device(&three.tablet).await);
    let before = lengths(&three.laptop, home).await;
    three.laptop.close().await;
    let laptop = three.computers[0].on().await;
    // The credential alone comes to the laptop, and not the block that it is in.
    three.phone.revoke_device(revoke(thief)).await.unwrap();
    let credentials: Vec<Vec<u8>> = inside(&three.phone, |open| open.credential_bytes()).await;
    let learnt =
        credentials.iter().map(|bytes| Credential::decode(bytes).unwrap().verify().unwrap()).collect();
    laptop.job(move |engine| engine.learn_introduced(learnt)).await.unwrap().unwrap();
    // The first epoch names the laptop alone; the tablet was given its key when it was let in.
    put(&laptop, home, "Secret").await;
    let runs = kept(&laptop, home, &before).await;
    assert!(!runs.is_empty());
    assert_eq!(read(tablet, home, &runs).await, []);
    // The two find together.
    for wallet in [&laptop, &three.phone] {
        three.meeting.tell(wallet).await;
    }
    until(&three.phone, "the secret", async |phone| titles(phone, home).await == ["Milk", "Secret"]).await;
    put(&three.phone, home, "Later").await;
    until(&laptop, "what comes later", async |laptop| titles(laptop, home).await.len() == 3).await;
}

// threat: 38
#[tokio::test]
async fn nobody_passes_on_the_key_of_an_epoch_whose_removal_they_have_not_heard_of() {
    let three = Three::new().await;
    let (home, thief) = (three.home, device(&three.tablet).await);
    three.phone.close().await;
    let phone = three.computers[1].on().await;
    three.laptop.revoke_device(revoke(thief)).await.unwrap();
    // The epoch comes to the phone, and the removal does not: to the phone the tablet is one of us.
    let laptop = device(&three.laptop).await;
    let epochs = inside(&three.laptop, move |open| open.store.epochs(&home.to_string()).unwrap()).await;
    let given = inside(&phone, move |open| {
        let keys = open.keys.clone();
        let mut ids = Vec::new();
        for row in &epochs {
            let epoch = Epoch::decode(&row.bytes).unwrap();
            open.feeds(home).unwrap().contents.add(&keys, laptop, &epoch);
            ids.push(epoch.id());
        }
        let given = open.content_for(&thief, home, &ids).unwrap();
        let first = ids[0];
        (ids.len(), first, given.iter().map(|share| share.epoch).collect::<Vec<_>>())
    });
    let (all, first, given) = given.await;
    assert!(all > 1 && given == [first], "the first epoch is the tablet's as well, and it gets {given:?}");
}

// threat: 38
#[tokio::test]
async fn a_device_that_was_removed_is_not_let_in_again_under_the_same_key() {
    let three = Three::new().await;
    let thief = device(&three.tablet).await;
    assert!(inside(&three.laptop, move |open| open.may_come(&thief).is_ok()).await);
    three.laptop.revoke_device(revoke(thief)).await.unwrap();
    assert!(inside(&three.laptop, move |open| open.may_come(&thief).is_err()).await);
}

// threat: 29
#[tokio::test]
async fn whom_a_device_on_probation_let_in_is_refused_by_those_who_come_later_as_well() {
    let three = Three::new().await;
    // Some key of the tablet's, as that of its accomplice.
    let accomplice = inside(&three.tablet, |open| {
        let halo = open.halo().unwrap();
        let device_key = DeviceKey::from_bytes(open.feeds(halo).unwrap().own().as_bytes()).unwrap();
        let assertion = Assertion::AuthorizedDevice {
            identity_key: open.identity_key,
            device_key,
            agreement_key: open.keys.agreement_key(),
        };
        let said = open.sign(clock(), *device_key.as_bytes(), assertion, &[]).unwrap();
        open.publish(vec![said]).unwrap();
        device_key
    })
    .await;
    put(&three.tablet, three.home, "Bread").await;
    until(&three.laptop, "what the tablet said", async |laptop| {
        inside(laptop, |open| !open.state.rejected.is_empty()).await
    })
    .await;
    let computer = Computer::new();
    let desktop = computer.on().await;
    three.meeting.tell(&desktop).await;
    link(&three.laptop, &desktop).await;
    for wallet in [&three.laptop, &desktop] {
        let known = inside(wallet, move |open| open.state.devices.contains_key(&accomplice)).await;
        assert!(!known, "it was let in");
    }
}

#[tokio::test]
async fn a_removal_and_the_epochs_after_it_are_one_block() {
    let three = Three::new().await;
    let (home, halo) = (three.home, three.halo().await);
    let thief = device(&three.tablet).await;
    let before = lengths(&three.laptop, halo).await;
    three.laptop.revoke_device(revoke(thief)).await.unwrap();
    let runs = kept(&three.laptop, halo, &before).await;
    let said = read(&three.laptop, halo, &runs).await;
    let revokes = |bytes: &Vec<u8>| {
        matches!(Credential::decode(bytes).unwrap().said().assertion, Assertion::RevokedDevice { .. })
    };
    let block = said.iter().find(|payload| payload.credentials.iter().any(revokes)).unwrap();
    let epochs: Vec<SpaceId> = block
        .epochs
        .iter()
        .map(|bytes| SpaceId::of_key(Epoch::decode(bytes).unwrap().space.as_bytes()))
        .collect();
    assert!(epochs.len() == 2 && epochs.contains(&home) && epochs.contains(&halo), "{epochs:?}");
    // What comes next is sealed under them.
    put(&three.laptop, home, "Secret").await;
    let runs = kept(&three.laptop, home, &Timeframe::new()).await;
    let last =
        runs.iter().flat_map(|(blocks, _)| blocks).map(|block| block.header.epoch).next_back().unwrap();
    let fresh: Vec<_> = block.epochs.iter().map(|bytes| Epoch::decode(bytes).unwrap().id()).collect();
    assert!(fresh.contains(&last));
}

/// Some key of the tablet's, which is on probation, as that of a device it let in: that one removes others.
pub(super) async fn removals_by_a_newcomer(
    tablet: &Wallet,
    removed: Vec<DeviceKey>,
) -> Vec<Verified<Credential>> {
    inside(tablet, move |open| {
        let halo = open.halo().unwrap();
        let key = halo_protocol::SpaceKey::from_bytes(&open.spaces.rows[&halo].key).unwrap();
        let guest = open.keys.feed(&key).unwrap();
        let device_key = DeviceKey::from_bytes(guest.feed_key().as_bytes()).unwrap();
        let let_in = Assertion::AuthorizedDevice {
            identity_key: open.identity_key,
            device_key,
            agreement_key: open.keys.agreement_key(),
        };
        let let_in = open.sign(clock(), *device_key.as_bytes(), let_in, &[]).unwrap();
        let removal = |device: DeviceKey| {
            let draft = Draft {
                issuer: *device_key.as_bytes(),
                subject: *device.as_bytes(),
                issued: clock(),
                expires: None,
                parents: vec![let_in.id()],
                assertion: Assertion::RevokedDevice { device_key: device, cuts: vec![] },
            };
            draft.sign(&guest).unwrap()
        };
        let removals: Vec<_> = removed.into_iter().map(removal).collect();
        [vec![let_in.clone()], removals].concat()
    })
    .await
}

/// Credentials that a device hears of, by whatever way.
pub(super) async fn hear(wallet: &Wallet, said: Vec<Verified<Credential>>) {
    wallet.job(move |engine| engine.learn_introduced(said)).await.unwrap().unwrap();
}

// threat: 42
#[tokio::test]
async fn a_device_that_was_removed_and_is_in_after_all_goes_on_where_it_was() {
    let three = Three::new().await;
    let home = three.home;
    put(&three.tablet, home, "Bread").await;
    until(&three.laptop, "what the tablet wrote", async |laptop| titles(laptop, home).await.len() == 2).await;
    let before = lengths(&three.laptop, home).await;
    let tablet = device(&three.tablet).await;
    three.laptop.close().await;
    let laptop = three.computers[0].on().await;
    put(&three.tablet, home, "Tea").await;
    until(&three.phone, "what the tablet wrote", async |phone| titles(phone, home).await.len() == 3).await;
    // The tablet is told that the laptop removed it, as of before it wrote; the phone is not.
    three.phone.close().await;
    laptop.revoke_device(revoke(tablet)).await.unwrap();
    let removal: Vec<Verified<Credential>> = inside(&laptop, |open| open.credentials().to_vec()).await;
    hear(&three.tablet, removal).await;
    let own = inside(&three.tablet, move |open| {
        assert!(open.state.devices[&open.keys.device_key()].revoked);
        open.feeds(home).unwrap().own()
    })
    .await;
    assert!(lengths(&three.tablet, home).await[&own] > before[&own], "it keeps what it said itself");
    put(&three.tablet, home, "Jam").await;
    // What it said is one feed with what the phone has of it, also after a restart.
    three.tablet.close().await;
    let again = three.computers[2].on().await;
    put(&again, home, "Salt").await;
    let phone_again = three.computers[1].on().await;
    let mut runs = kept(&again, home, &Timeframe::new()).await;
    runs.retain(|(blocks, _)| blocks[0].header.feed == own);
    bring(&phone_again, home, runs).await;
    let theirs = inside(&phone_again, move |open| {
        let held = open.feeds(home).unwrap().replica.feed(&own).cloned().unwrap();
        (held.is_forked(), held.length())
    });
    assert_eq!(theirs.await, (false, lengths(&again, home).await[&own]));
    assert_eq!(again.doctor(false, crate::Gauge::unseen()).await.unwrap().problems, [] as [&str; 0]);
}

// threat: 38
#[tokio::test]
async fn whom_a_device_removes_that_may_yet_be_vouched_for_is_given_nothing() {
    let three = Three::new().await;
    let (home, phone) = (three.home, device(&three.phone).await);
    let before = lengths(&three.laptop, home).await;
    let given = async || {
        inside(&three.laptop, move |open| {
            let epochs = open.store.epochs(&home.to_string()).unwrap();
            let epochs: Vec<_> =
                epochs.iter().map(|row| halo_protocol::feed::EpochId::from_bytes(row.id)).collect();
            (open.content_for(&phone, home, &epochs).unwrap().len(), open.may_come(&phone).is_ok())
        })
        .await
    };
    assert_eq!(given().await, (1, true));
    hear(&three.laptop, removals_by_a_newcomer(&three.tablet, vec![phone]).await).await;
    let suspended = inside(&three.laptop, move |open| {
        !open.state.devices[&phone].revoked && open.state.suspended.contains(&phone)
    });
    assert!(suspended.await, "nobody can say yet whether it is removed");
    assert_eq!(given().await, (0, false));
    put(&three.laptop, home, "Secret").await;
    let runs = kept(&three.laptop, home, &before).await;
    assert!(!runs.is_empty());
    assert_eq!(read(&three.phone, home, &runs).await, [], "the phone knows the key of the first epoch");
    // The user puts out whoever let in the one who said so.
    let tablet = device(&three.tablet).await;
    three.laptop.revoke_device(revoke(tablet)).await.unwrap();
    assert!(given().await.0 > 1, "it is one of us again, and reads what it missed");
}

#[tokio::test]
async fn a_device_that_has_said_what_it_can_says_so_and_removes_others_all_the_same() {
    let three = Three::new().await;
    let thief = device(&three.tablet).await;
    let said = inside(&three.laptop, |open| {
        let own = *open.keys.device_key().as_bytes();
        let profile = |number: usize| halo_protocol::credential::DeviceProfile {
            label: number.to_string(),
            ..Default::default()
        };
        let says = |number| open.sign(clock(), own, Assertion::DeviceProfile(profile(number)), &[]).unwrap();
        (0..MOST_CREDENTIALS_OF_AN_ISSUER - RESERVED_FOR_REMOVALS).map(says).collect::<Vec<_>>()
    })
    .await;
    hear(&three.laptop, said).await;
    let key = device(&three.laptop).await.to_string();
    let refused = three.laptop.rename_device(key, "Attic".into()).await.unwrap_err();
    assert!(refused.to_string().contains("another one"), "{refused}");
    three.laptop.close().await;
    let laptop = three.computers[0].on().await;
    laptop.revoke_device(revoke(thief)).await.unwrap();
    three.meeting.tell(&laptop).await;
    until(&three.phone, "the removal", async |phone| {
        inside(phone, move |open| open.state.devices[&thief].revoked).await
    })
    .await;
}
