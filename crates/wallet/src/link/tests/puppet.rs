//! Connections that a test holds in its hands: to a device whose words it says, and between two wallets.

use std::collections::BTreeMap;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use halo_echo::replication::{Acquaint, Message, Urgency};
use halo_protocol::credential::CredentialId;

use super::*;
use crate::link::outbox::{Outgoing, outbox};
use crate::link::peers::PeerId;
use crate::link::wire::{Say, SpaceTag};

/// Which credentials a device knows, ascending.
pub(super) async fn known(wallet: &Wallet) -> Vec<CredentialId> {
    inside(wallet, |open| {
        let mut ids: Vec<CredentialId> = open.credentials().iter().map(|one| one.id()).collect();
        ids.sort_unstable();
        ids
    })
    .await
}

/// A connection to a device whose words the test says.
pub(super) struct Puppet {
    id: PeerId,
    outgoing: Vec<Outgoing>,
}

impl Puppet {
    /// It comes, and knows as much of who is who as it is told.
    pub(super) async fn arrive(wallet: &Wallet, device: DeviceKey, knows: Vec<CredentialId>) -> Self {
        let (outbox, outgoing) = outbox();
        let id = wallet.job(move |engine| engine.peer_arrived(device, outbox)).await.unwrap();
        let puppet = Self { id, outgoing };
        puppet.say(wallet, Say::Acquaint(Acquaint::Ids { ids: knows, answer: false })).await;
        puppet
    }

    pub(super) async fn say(&self, wallet: &Wallet, say: Say) {
        let id = self.id;
        wallet.job(move |engine| engine.peer_said(id, say)).await.unwrap();
    }

    /// It says something of a space.
    pub(super) async fn of(&self, wallet: &Wallet, space: SpaceId, message: Message) {
        let tag = tag(wallet, space).await;
        self.say(wallet, Say::Space(tag, message)).await;
    }

    pub(super) async fn is_there(&self, wallet: &Wallet) -> bool {
        let id = self.id;
        wallet.job(move |engine| engine.peers.all.contains_key(&id)).await.unwrap()
    }

    /// How many bytes of an urgency may still be put to what waits for it.
    pub(super) async fn room(&self, wallet: &Wallet, urgency: Urgency) -> usize {
        let id = self.id;
        wallet.job(move |engine| engine.peers.all[&id].outbox.room(urgency)).await.unwrap()
    }

    /// It goes. What it was to hear, by urgency.
    pub(super) async fn go(self, wallet: &Wallet) -> BTreeMap<Urgency, Vec<Say>> {
        let id = self.id;
        wallet.job(move |engine| engine.peer_gone(id)).await.unwrap();
        let mut all = BTreeMap::new();
        for outgoing in self.outgoing {
            let said: &mut Vec<Say> = all.entry(outgoing.urgency()).or_default();
            while let Some(say) = outgoing.next().await {
                said.push(say);
            }
        }
        all
    }
}

/// Two wallets that hear each other as the test carries what they say: always what is most urgent.
pub(super) struct Cable {
    ends: [(Wallet, PeerId, Vec<Outgoing>); 2],
}

impl Cable {
    pub(super) async fn between(one: &Wallet, other: &Wallet) -> Self {
        Self { ends: [Self::end(one, device(other).await).await, Self::end(other, device(one).await).await] }
    }

    async fn end(wallet: &Wallet, peer: DeviceKey) -> (Wallet, PeerId, Vec<Outgoing>) {
        let (outbox, outgoing) = outbox();
        let id = wallet.job(move |engine| engine.peer_arrived(peer, outbox)).await.unwrap();
        (wallet.clone(), id, outgoing)
    }

    /// Carries a message each way; `false` if nobody has anything to say.
    pub(super) async fn carry(&self) -> bool {
        let [one, other] = &self.ends;
        let mut carried = false;
        for (from, to) in [(one, other), (other, one)] {
            if let Some(say) = from.2.iter().find_map(waiting) {
                let id = to.1;
                to.0.job(move |engine| engine.peer_said(id, say)).await.unwrap();
                carried = true;
            }
        }
        carried
    }
}

/// What waits, if anything does.
fn waiting(outgoing: &Outgoing) -> Option<Say> {
    match pin!(outgoing.next()).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(say) => say,
        Poll::Pending => None,
    }
}

/// How peers name a space.
pub(super) async fn tag(wallet: &Wallet, space: SpaceId) -> SpaceTag {
    inside(wallet, move |open| SpaceTag::of(&open.spaces.rows[&space].key)).await
}
