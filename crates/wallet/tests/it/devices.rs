//! Two wallets and a signaller on one machine: a device is let in, both stay in step, and one is shut out.

use std::time::Duration;

use halo_mesh::signaller::{Signaller, SignallerConfig};
use halo_wallet::{
    By, Event, Gauge, InvitationState, InviteDevice, JoinDevice, KeychainChoice, NetworkOptions, PutItem,
    RecoverIdentity, RevokeDevice, SpaceId, Wallet, WalletConfig,
};
use serde_json::json;
use tokio::net::TcpListener;
use zeroize::Zeroizing;

use crate::world::{PAGE, World, create, page, request, yes};

/// Whatever does not happen by then does not happen.
const PATIENCE: Duration = Duration::from_secs(30);

struct Signalling {
    signaller: Signaller,
    url: url::Url,
}

impl Signalling {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/signal", listener.local_addr().unwrap()).parse().unwrap();
        let signaller = Signaller::new(SignallerConfig::default()).unwrap();
        let serving = signaller.clone();
        tokio::spawn(async move { serving.serve(listener, None).await });
        Self { signaller, url }
    }

    async fn open(&self, world: &World) -> Wallet {
        let network = NetworkOptions { servers: vec![self.url.clone()], lan: Some(false), loopback: true };
        Wallet::open(WalletConfig { network, ..world.config() }).await.unwrap()
    }
}

impl Signalling {
    /// A wallet with Ada's identity, without a passphrase.
    async fn ada(&self, world: &World) -> Wallet {
        let wallet = self.open(world).await;
        wallet.create_identity(create("Ada", None)).await.unwrap();
        wallet
    }
}

impl Drop for Signalling {
    fn drop(&mut self) {
        self.signaller.close();
    }
}

/// Waits until something holds, looking again whenever something happened.
async fn until(wallet: &Wallet, what: &str, mut holds: impl AsyncFnMut(&Wallet) -> bool) {
    let mut watch = wallet.watch();
    let waiting = async {
        while !holds(wallet).await {
            assert!(watch.next().await.is_some(), "the wallet was closed before {what}");
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "never: {what}");
}

/// Lets a second device in, and waits until it has everything.
async fn linked(host: &Wallet, guest: &Wallet) -> String {
    let invitation = host.invite_device(InviteDevice::default()).await.unwrap();
    let url = Zeroizing::new(invitation.url.unwrap());
    let join = JoinDevice { url, label: "Laptop".into(), passphrase: None, keychain: KeychainChoice::Os };
    guest.join_device(join).await.unwrap();
    let digits = |guest: &Wallet| guest.snapshot().join.clone().and_then(|join| join.digits);
    until(guest, "digits on the new device", async |guest| digits(guest).is_some()).await;
    let digits = Zeroizing::new(digits(guest).unwrap());
    host.enter_digits(&invitation.invitation_id, digits).await.unwrap();
    let joined = |guest: &Wallet| guest.snapshot().join.clone().unwrap();
    until(guest, "success", async |guest| joined(guest).state.is_over()).await;
    assert_eq!(joined(guest).state, InvitationState::Success, "{:?}", joined(guest));
    until(guest, "in step", async |guest| joined(guest).in_step).await;
    guest.snapshot().identity.clone().unwrap().device_key
}

fn task(title: &str) -> PutItem {
    let data = json!({ "title": title }).as_object().unwrap().clone();
    PutItem { r#type: Some("example.org/type/Task".into()), data, ..PutItem::default() }
}

async fn titles(wallet: &Wallet, space: SpaceId) -> Vec<String> {
    let query = halo_wallet::Query::of_type("dxn:type:example.org/type/Task");
    let Ok(items) = wallet.items(&By::Owner, space, query).await else { return Vec::new() };
    let mut titles: Vec<String> =
        items.iter().map(|item| item.data.get("title").unwrap().as_str().unwrap().to_owned()).collect();
    titles.sort();
    titles
}

#[tokio::test]
async fn a_new_device_has_the_identity_the_spaces_and_the_grants_and_stays_in_step() {
    let signalling = Signalling::start().await;
    let (one, two) = (World::new(), World::new());
    let (host, guest) = (signalling.ada(&one).await, signalling.open(&two).await);
    let space: SpaceId = host.add_space("Home".into()).await.unwrap().id.parse().unwrap();
    host.put_item(&By::Owner, space, task("Milk")).await.unwrap();
    crate::world::approved(&host, request(page(PAGE), &[halo_wallet::Scope::Spaces]), yes()).await;
    let sub = host.snapshot().apps[0].sub.clone();

    let laptop = linked(&host, &guest).await;

    let identity = |wallet: &Wallet| wallet.snapshot().identity.clone().unwrap();
    assert_eq!(identity(&guest).did, identity(&host).did);
    assert_eq!(identity(&guest).name, "Ada");
    assert_eq!(guest.snapshot().apps[0].sub, sub, "the same alias at the same app");
    assert_eq!(
        guest.all_spaces().await.unwrap().iter().map(|space| space.name.clone()).collect::<Vec<_>>(),
        [Some("Home".into())]
    );
    assert_eq!(titles(&guest, space).await, ["Milk"]);

    // And from then on, both ways.
    guest.put_item(&By::Owner, space, task("Bread")).await.unwrap();
    until(&host, "what was written on the new device", async |host| titles(host, space).await.len() == 2)
        .await;
    host.put_item(&By::Owner, space, task("Tea")).await.unwrap();
    until(&guest, "what was written on the old device", async |guest| titles(guest, space).await.len() == 3)
        .await;
    let other: SpaceId = guest.add_space("Garden".into()).await.unwrap().id.parse().unwrap();
    guest.put_item(&By::Owner, other, task("Roses")).await.unwrap();
    until(&host, "a new space", async |host| titles(host, other).await == ["Roses"]).await;

    let devices = host.snapshot().devices.clone();
    assert_eq!(devices.len(), 2);
    assert!(
        devices[1].device_key == laptop && devices[1].label == "Laptop" && devices[1].online,
        "{devices:?}"
    );
    assert!(devices[1].probation_until.is_some(), "it is new");
    assert!(guest.invite_device(InviteDevice::default()).await.is_err(), "a new device lets in nobody");
    for wallet in [&host, &guest] {
        assert_eq!(wallet.doctor(false, Gauge::unseen()).await.unwrap().problems, [] as [&str; 0]);
    }
}

#[tokio::test]
async fn a_device_that_joins_later_gets_a_snapshot_and_nothing_goes_that_another_device_lacks() {
    let signalling = Signalling::start().await;
    let (one, two) = (World::new(), World::new());
    let (host, guest) = (signalling.ada(&one).await, signalling.open(&two).await);
    let space: SpaceId = host.add_space("Home".into()).await.unwrap().id.parse().unwrap();
    for number in 0..30 {
        host.put_item(&By::Owner, space, task(&format!("early {number:02}"))).await.unwrap();
    }
    let done = host.compact_space(space).await.unwrap();
    assert!(done.before > 0 && done.after == 0 && done.waits_for.is_empty(), "{done:?}");
    host.put_item(&By::Owner, space, task("after it")).await.unwrap();

    linked(&host, &guest).await;
    until(&guest, "what the snapshot has, and what came since", async |guest| {
        titles(guest, space).await.len() == 31
    })
    .await;
    assert_eq!(titles(&guest, space).await, titles(&host, space).await);
    let snapshots = guest.doctor(false, Gauge::unseen()).await.unwrap().snapshots;
    assert_eq!(snapshots, 1, "it did not come block by block");

    // Both go on behind the snapshot.
    guest.put_item(&By::Owner, space, task("Bread")).await.unwrap();
    until(&host, "what was written on the new device", async |host| titles(host, space).await.len() == 32)
        .await;
    // The other device is away: what it lacks stays.
    guest.close().await;
    until(&host, "the other device is gone", async |host| !host.snapshot().devices[1].online).await;
    host.put_item(&By::Owner, space, task("Tea")).await.unwrap();
    let done = host.compact_space(space).await.unwrap();
    assert!(done.after > 0, "{done:?}");
    assert_eq!(done.waits_for, ["Laptop"]);
    let guest = signalling.open(&two).await;
    until(&guest, "what was written meanwhile", async |guest| titles(guest, space).await.len() == 33).await;
    // Once it says that it has it, it goes.
    until(&host, "nothing waits any more", async |host| {
        let done = host.compact_space(space).await.unwrap();
        done.after == 0 && done.waits_for.is_empty()
    })
    .await;
    for wallet in [&host, &guest] {
        assert_eq!(wallet.doctor(false, Gauge::unseen()).await.unwrap().problems, [] as [&str; 0]);
    }
    guest.put_item(&By::Owner, space, task("Roses")).await.unwrap();
    until(&host, "it goes on", async |host| titles(host, space).await.len() == 34).await;
}

#[tokio::test]
async fn a_device_comes_back_and_catches_up() {
    let signalling = Signalling::start().await;
    let (one, two) = (World::new(), World::new());
    let (host, guest) = (signalling.ada(&one).await, signalling.open(&two).await);
    let space: SpaceId = host.add_space("Home".into()).await.unwrap().id.parse().unwrap();
    linked(&host, &guest).await;
    guest.close().await;
    for number in 0..20 {
        host.put_item(&By::Owner, space, task(&format!("{number:02}"))).await.unwrap();
    }
    let guest = signalling.open(&two).await;
    until(&guest, "what it missed", async |guest| titles(guest, space).await.len() == 20).await;
}

// threat: 38
#[tokio::test]
async fn a_device_that_was_removed_gets_nothing_any_more() {
    let signalling = Signalling::start().await;
    let (one, two) = (World::new(), World::new());
    let (host, guest) = (signalling.ada(&one).await, signalling.open(&two).await);
    let space: SpaceId = host.add_space("Home".into()).await.unwrap().id.parse().unwrap();
    host.put_item(&By::Owner, space, task("Milk")).await.unwrap();
    let laptop = linked(&host, &guest).await;

    let revoke = RevokeDevice { device_key: laptop.clone(), phrase: None, passphrase: None };
    let removal = host.revoke_device(revoke).await.unwrap();
    assert!(!removal.last);
    until(&guest, "the connection ends", async |guest| {
        guest.snapshot().devices.iter().all(|device| device.current || !device.online)
    })
    .await;
    host.put_item(&By::Owner, space, task("Secret")).await.unwrap();
    guest.put_item(&By::Owner, space, task("Backdated")).await.unwrap();
    guest.close().await;
    let mut watch = host.watch();
    let guest = signalling.open(&two).await;
    // It is turned away, however often it comes; what it hears of that is nothing.
    host.put_item(&By::Owner, space, task("Later")).await.unwrap();
    while let Ok(Some(event)) = tokio::time::timeout(Duration::from_secs(2), watch.next()).await {
        assert!(!matches!(event, Event::NewDevice(_)));
    }
    assert_eq!(titles(&host, space).await, ["Later", "Milk", "Secret"]);
    assert_eq!(titles(&guest, space).await, ["Backdated", "Milk"]);
    let devices = host.snapshot().devices.clone();
    let gone = devices.iter().find(|device| device.device_key == laptop).unwrap();
    assert!(gone.revoked.is_some() && !gone.online, "{gone:?}");
}

#[tokio::test]
async fn the_words_bring_everything_back_from_a_device_that_can_be_reached_and_evict_it() {
    let signalling = Signalling::start().await;
    let (one, two) = (World::new(), World::new());
    let host = signalling.open(&one).await;
    let words = host.create_identity(create("Ada", None)).await.unwrap().phrase.unwrap();
    let space: SpaceId = host.add_space("Home".into()).await.unwrap().id.parse().unwrap();
    host.put_item(&By::Owner, space, task("Milk")).await.unwrap();
    // It looks for others once there may be some.
    let recovering = signalling.open(&two).await;
    let recover = RecoverIdentity {
        phrase: words.clone(),
        name: "Ada".into(),
        passphrase: None,
        keychain: KeychainChoice::Os,
    };
    recovering.recover_identity(recover).await.unwrap();
    until(&recovering, "what the old device had", async |new| titles(new, space).await == ["Milk"]).await;
    recovering.put_item(&By::Owner, space, task("Bread")).await.unwrap();
    until(&host, "what the new device wrote", async |host| titles(host, space).await.len() == 2).await;
    let old = host.snapshot().identity.clone().unwrap().device_key;
    let revoke = RevokeDevice { device_key: old.clone(), phrase: Some(words), passphrase: None };
    recovering.revoke_device(revoke).await.unwrap();
    recovering.put_item(&By::Owner, space, task("Secret")).await.unwrap();
    let devices = recovering.snapshot().devices.clone();
    assert!(devices.iter().any(|device| device.device_key == old && device.revoked.is_some()), "{devices:?}");
    assert_eq!(titles(&host, space).await, ["Bread", "Milk"]);
}

#[tokio::test]
async fn an_app_is_moved_to_an_alias_that_a_removed_device_never_knew() {
    let signalling = Signalling::start().await;
    let (one, two) = (World::new(), World::new());
    let (host, guest) = (signalling.ada(&one).await, signalling.open(&two).await);
    let grant =
        crate::world::approved(&host, request(page(PAGE), &[halo_wallet::Scope::Profile]), yes()).await;
    let laptop = linked(&host, &guest).await;
    let sub = |wallet: &Wallet| wallet.snapshot().apps.first().unwrap().sub.clone();
    let before = sub(&host);
    assert_eq!(sub(&guest), before);
    let revoke = RevokeDevice { device_key: laptop, phrase: None, passphrase: None };
    let removal = host.revoke_device(revoke).await.unwrap();
    assert!(removal.aliases.iter().map(|alias| &alias.grant).eq([&grant]), "{removal:?}");
    assert_eq!(sub(&host), before, "apps know the user as before until they are moved");
    host.fresh_alias(&grant).await.unwrap();
    assert_ne!(sub(&host), before);
    let after = sub(&host);
    host.close().await;
    assert_eq!(sub(&signalling.open(&one).await), after);
}

// threat: 28
#[tokio::test]
async fn wrong_digits_burn_the_invitation_and_leave_nothing() {
    let signalling = Signalling::start().await;
    let (one, two) = (World::new(), World::new());
    let (host, guest) = (signalling.ada(&one).await, signalling.open(&two).await);
    let invitation = host.invite_device(InviteDevice::default()).await.unwrap();
    let url = Zeroizing::new(invitation.url.unwrap());
    let join = JoinDevice { url, label: "Laptop".into(), passphrase: None, keychain: KeychainChoice::Os };
    guest.join_device(join).await.unwrap();
    let digits = |guest: &Wallet| guest.snapshot().join.clone().and_then(|join| join.digits);
    until(&guest, "digits on the new device", async |guest| digits(guest).is_some()).await;
    let right = digits(&guest).unwrap();
    // Another first digit.
    let first = if right.starts_with('0') { '1' } else { '0' };
    let wrong: String = std::iter::once(first).chain(right.chars().skip(1)).collect();
    assert!(host.enter_digits(&invitation.invitation_id, Zeroizing::new(wrong)).await.is_err());
    assert!(host.enter_digits(&invitation.invitation_id, Zeroizing::new(right)).await.is_err(), "too late");
    until(&guest, "the end", async |guest| guest.snapshot().join.clone().unwrap().state.is_over()).await;
    assert_eq!(guest.snapshot().state, halo_wallet::State::Empty);
    assert_eq!(host.snapshot().devices.len(), 1);
}
