//! Snapshots by a device that has only read in a space, and devices that cannot place their signer yet.

use halo_echo::replication::{Acquaint, Message};
use halo_protocol::credential::Assertion;
use halo_protocol::epoch::EpochShare;
use halo_protocol::feed::EpochId;

use super::puppet::{Puppet, known};
use super::stolen::Three;
use super::*;
use crate::compaction::tests::{Sent, emptied, sent};
use crate::link::wire::Say;
use crate::{Gauge, WalletError};

/// Three devices that are in step, of which only the laptop ever wrote something.
async fn in_step() -> Three {
    let three = Three::new().await;
    for wallet in [&three.phone, &three.tablet] {
        until(wallet, "what the laptop wrote", async |wallet| titles(wallet, three.home).await == ["Milk"])
            .await;
    }
    three
}

/// The tablet, as if it had just been let in: nobody else is there.
async fn newcomer(three: &Three) -> Wallet {
    for wallet in [&three.laptop, &three.phone, &three.tablet] {
        wallet.clone().close().await;
    }
    let tablet = three.computers[2].on().await;
    emptied(&tablet, three.home).await;
    assert!(titles(&tablet, three.home).await.is_empty());
    tablet
}

/// The credentials that let a device's own feed into a space.
async fn admissions(wallet: &Wallet, space: SpaceId) -> Vec<Vec<u8>> {
    inside(wallet, move |open| {
        let own = open.feeds(space).unwrap().own();
        let lets_in = |assertion: &Assertion| matches!(assertion, Assertion::AdmittedFeed(admitted) if admitted.feed_key == own);
        let all = open.credentials().iter().filter(|one| lets_in(&one.said().assertion));
        all.map(|one| one.bytes().to_vec()).collect()
    })
    .await
}

#[tokio::test]
async fn a_newcomer_comes_in_step_by_the_snapshot_of_a_device_that_has_only_read() {
    let three = in_step().await;
    let home = three.home;
    until(&three.phone, "nobody lacks what the phone may drop", async |phone| {
        phone.compact_space(home).await.unwrap().after == 0
    })
    .await;
    let tablet = newcomer(&three).await;
    // Only the phone comes, and has nothing but its snapshot.
    let phone = three.computers[1].on().await;
    for wallet in [&phone, &tablet] {
        three.meeting.tell(wallet).await;
    }
    until(&tablet, "what the snapshot has", async |tablet| titles(tablet, home).await == ["Milk"]).await;
    let report = tablet.doctor(false, Gauge::unseen()).await.unwrap();
    assert_eq!((report.snapshots, report.problems), (1, vec![]));
    // Both go on behind it.
    put(&tablet, home, "Bread").await;
    until(&phone, "what the newcomer wrote", async |phone| titles(phone, home).await.len() == 2).await;
}

#[tokio::test]
async fn who_cannot_place_the_signer_of_a_snapshot_yet_waits_and_drops_nobody() {
    let three = in_step().await;
    let home = three.home;
    // The tablet is off, and does not hear that the phone's feed was let in.
    let before = known(&three.tablet).await;
    let (phone, newcomer_key) = (device(&three.phone).await, device(&three.tablet).await);
    three.tablet.clone().close().await;
    three.phone.compact_space(home).await.unwrap();
    let (offer, file, _): Sent = sent(&three.phone, home).await;
    let admissions = admissions(&three.phone, home).await;
    assert_eq!(admissions.len(), 1, "it lets its feed in before it signs");
    let keys = inside(&three.phone, move |open| {
        let epochs = open.store.epochs(&home.to_string()).unwrap();
        let epochs: Vec<EpochId> = epochs.iter().map(|row| EpochId::from_bytes(row.id)).collect();
        open.content_for(&newcomer_key, home, &epochs).unwrap().iter().map(EpochShare::encode).collect()
    })
    .await;
    let tablet = newcomer(&three).await;
    let waits = async |id| {
        let (taken, left) = inside(&tablet, move |open| {
            (open.take_snapshot(home, &id), open.snapshot_fetched(home, &id).unwrap())
        })
        .await;
        let what = match taken {
            Err(WalletError::NotFound { what }) => what,
            other => panic!("it is taken, or is not: {other:?}"),
        };
        (what, left)
    };

    let phone = Puppet::arrive(&tablet, phone, before).await;
    phone.of(&tablet, home, Message::SnapshotOffer(offer.clone())).await;
    let chunk = Message::SnapshotChunk { id: offer.id, offset: 0, bytes: file };
    phone.of(&tablet, home, chunk).await;
    phone.of(&tablet, home, Message::Keys(keys)).await;
    assert!(phone.is_there(&tablet).await, "it said nothing wrong");
    assert!(titles(&tablet, home).await.is_empty());
    assert_eq!(waits(offer.id).await, ("who wrote what is in the snapshot", offer.size), "all of it is kept");

    phone.say(&tablet, Say::Acquaint(Acquaint::Credentials(admissions))).await;
    assert_eq!(titles(&tablet, home).await, ["Milk"]);
    assert!(phone.is_there(&tablet).await);
    let report = tablet.doctor(false, Gauge::unseen()).await.unwrap();
    assert_eq!((report.snapshots, report.problems), (1, vec![]));
}
