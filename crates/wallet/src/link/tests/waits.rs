//! What waits for a peer: how much of it, for how long, and who is not told of it.

use halo_echo::replication::{Acquaint, Message, Urgency};
use halo_mesh::{ConnectionSender, pair};

use super::looks::{Two, blocks, fill};
use super::puppet::{Puppet, known, tag};
use super::stolen::{lengths, revoke};
use super::*;
use crate::link::desk::Desk;
use crate::link::talk::talk;
use crate::link::wire::{HELLO, Say};

/// So many blocks are more than may wait for one peer at once.
const MANY: u64 = 60;
/// Bytes in each of them.
const LONG: usize = 100_000;
const FEW: u64 = 3;

/// A peer has so much of a space that `lacking` of the blocks of the wallet's own feed are missing.
async fn have(wallet: &Wallet, space: SpaceId, lacking: u64, on_screen: bool) -> Message {
    let own = inside(wallet, move |open| open.feeds(space).unwrap().own()).await;
    let has = |(feed, length): (halo_protocol::FeedKey, u64)| {
        (feed, if feed == own { length - lacking } else { length })
    };
    let timeframe = lengths(wallet, space).await.into_iter().map(has).collect();
    Message::Have { timeframe, again: false, on_screen }
}

#[tokio::test]
async fn no_more_is_read_for_a_peer_than_may_wait_and_what_was_held_back_comes_then() {
    let two = Two::new().await;
    let (desktop, archive, home) = (&two.desktop, two.archive, two.home);
    let (of_archive, of_home) = (tag(desktop, archive).await, tag(desktop, home).await);
    fill(desktop, archive, MANY, LONG).await;
    fill(desktop, home, FEW, 100).await;
    let puppet = Puppet::arrive(desktop, device(&two.laptop).await, known(desktop).await).await;
    puppet.of(desktop, archive, have(desktop, archive, MANY, false).await).await;
    puppet.of(desktop, home, have(desktop, home, FEW, false).await).await;
    assert_eq!(puppet.room(desktop, Urgency::Data).await, 0);
    let said = puppet.go(desktop).await;
    let waited = blocks(&said[&Urgency::Data]);
    let archived: u64 = waited.iter().filter(|(space, _)| *space == of_archive).map(|(_, many)| many).sum();
    assert!((1..MANY).contains(&archived), "{archived}");
    assert!(!waited.iter().any(|(space, _)| *space == of_home), "it waits for the rest");

    // What waits is withdrawn before any of it was said: nobody takes it out and asks for more.
    let puppet = Puppet::arrive(desktop, device(&two.laptop).await, known(desktop).await).await;
    puppet.of(desktop, archive, have(desktop, archive, MANY, false).await).await;
    puppet.of(desktop, home, have(desktop, home, FEW, false).await).await;
    puppet.of(desktop, archive, have(desktop, archive, MANY - 1, true).await).await;
    let said = puppet.go(desktop).await;
    assert!(blocks(&said[&Urgency::OnScreen]).iter().all(|(space, _)| *space == of_archive));
    assert_eq!(blocks(&said[&Urgency::Data]), [(of_home, FEW)]);
}

#[tokio::test]
async fn the_halo_space_waits_for_no_other() {
    let two = Two::new().await;
    let (desktop, home) = (&two.desktop, two.home);
    let halo = inside(desktop, |open| open.halo().unwrap()).await;
    let of_home = tag(desktop, home).await;
    fill(desktop, home, MANY, LONG).await;
    fill(desktop, halo, FEW, 100).await;
    let puppet = Puppet::arrive(desktop, device(&two.laptop).await, known(desktop).await).await;
    puppet.of(desktop, home, have(desktop, home, MANY, true).await).await;
    assert_eq!(puppet.room(desktop, Urgency::OnScreen).await, 0);
    puppet.of(desktop, halo, have(desktop, halo, FEW, false).await).await;
    let said = puppet.go(desktop).await;
    assert_eq!(blocks(&said[&Urgency::Halo]), [(tag(desktop, halo).await, FEW)]);
    let looked = blocks(&said[&Urgency::OnScreen]);
    assert!(!looked.is_empty());
    assert!(looked.iter().all(|(space, _)| *space == of_home));
}

// threat: 36
#[tokio::test]
async fn whoever_is_dropped_for_cause_is_not_told_what_waits() {
    let two = Two::new().await;
    let (desktop, home, laptop) = (&two.desktop, two.home, device(&two.laptop).await);
    fill(desktop, home, FEW, 100).await;
    let arrive = async || {
        let puppet = Puppet::arrive(desktop, laptop, known(desktop).await).await;
        puppet.of(desktop, home, have(desktop, home, FEW, false).await).await;
        puppet
    };
    // Whoever goes, or is left, is told the rest.
    let said = arrive().await.go(desktop).await;
    assert_eq!(blocks(&said[&Urgency::Data]).len(), 1);

    let hostile = arrive().await;
    let nothing = Message::SnapshotChunk { id: [7; 32], offset: 0, bytes: vec![7] };
    hostile.of(desktop, home, nothing).await;
    assert!(!hostile.is_there(desktop).await);
    assert!(hostile.go(desktop).await.values().all(Vec::is_empty), "it said what nobody asked for");

    let removed = arrive().await;
    desktop.revoke_device(revoke(laptop)).await.unwrap();
    assert!(!removed.is_there(desktop).await);
    assert!(removed.go(desktop).await.values().all(Vec::is_empty), "it is no device of ours any more");
}

async fn say(sender: &ConnectionSender, say: Say) {
    let stream = say.stream(Urgency::Control);
    for frame in say.frames() {
        sender.send(stream, frame).await.unwrap();
    }
}

// threat: 36
#[tokio::test]
async fn a_removed_device_that_reads_nothing_does_not_keep_its_connection() {
    let two = Two::new().await;
    let (desktop, laptop, home) = (&two.desktop, device(&two.laptop).await, two.home);
    fill(desktop, home, 2 * MANY, LONG).await;
    let handshaker = async |wallet: &Wallet| {
        wallet.job(|engine| engine.wanted_meeting().unwrap().meeting().handshaker).await.unwrap()
    };
    let ends = pair(handshaker(&two.laptop).await, handshaker(desktop).await).await;
    let (there, here) = ends.unwrap();
    let talking = tokio::spawn(talk(Desk::of(desktop), here));

    // It says who it is, and asks for everything.
    let (sender, _unread) = there.split();
    let (hash, initiator) = (sender.hash(), sender.initiator());
    let hello = two.laptop.job(move |engine| engine.hello(hash, initiator)).await.unwrap().unwrap();
    sender.send(HELLO, hello).await.unwrap();
    say(&sender, Say::Acquaint(Acquaint::Ids { ids: known(desktop).await, answer: false })).await;
    let wanted = have(desktop, home, 2 * MANY, false).await;
    let of_home = tag(desktop, home).await;
    // Both may hold as much, and nothing is bulk.
    let waits = async |wallet: &Wallet| {
        let waits = |peer: &crate::link::peers::Peer| {
            peer.outbox.room(Urgency::Data) < peer.outbox.room(Urgency::Bulk)
        };
        wallet.job(move |engine| engine.peers.all.values().any(waits)).await.unwrap()
    };
    until(desktop, "a peer", async |wallet| wallet.job(|engine| !engine.peers.all.is_empty()).await.unwrap())
        .await;
    say(&sender, Say::Space(of_home, wanted)).await;
    until(desktop, "something to wait", waits).await;

    desktop.revoke_device(revoke(laptop)).await.unwrap();
    tokio::time::timeout(PATIENCE, talking).await.expect("it ends").unwrap();
}
