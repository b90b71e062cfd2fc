//! Letting in a new device, on one that is in.

use std::time::Duration;

use data_encoding::HEXLOWER;
use halo_keystore::Passphrase;
use halo_protocol::channel::OneTimeSecret;
use halo_protocol::invitation::{
    Authentication, Digits, EnterError, Hint, Host, HostEffect, HostEnded, HostInput, InvitationCode, Kind,
    LIFE, Meeting, NewcomerCode, State,
};
use halo_protocol::signal::TopicSecret;
use rand::SeedableRng;
use rand::rngs::{StdRng, SysRng};
use tokio::sync::{mpsc, oneshot};
use zeroize::Zeroizing;

use super::attempt::{Attempt, Happening};
use super::desk::Desk;
use super::net::Net;
use super::view::{
    AddAskingDevice, CodeBy, InvitationId, InvitationState, InvitationView, InviteDevice, OtherSide,
};
use crate::engine::{Engine, clock};
use crate::error::WalletError;
use crate::handle::Wallet;
use crate::random::random;
use crate::view::Event;

/// A code lives an hour at most.
const LONGEST_LIFE: u64 = 60 * 60;
/// Invitations at once.
const MOST: usize = 8;
/// Invitations that ended and are still shown.
const MOST_SHOWN: usize = 16;

/// What the user wants of an invitation.
enum Order {
    Digits(Digits, oneshot::Sender<Result<(), EnterError>>),
    Cancel,
}

/// An invitation, while it can be used.
pub(crate) struct Hosting {
    pub(crate) view: InvitationView,
    orders: mpsc::Sender<Order>,
}

impl Hosting {
    /// The wallet locks: nobody is let in.
    pub(crate) fn withdraw(&self) {
        // It is noticed within half a minute, otherwise.
        let _ = self.orders.try_send(Order::Cancel);
    }
}

pub(crate) fn rng() -> Result<StdRng, WalletError> {
    StdRng::try_from_rng(&mut SysRng)
        .map_err(|error| WalletError::BadInput { what: format!("the system gave no randomness: {error}") })
}

impl Wallet {
    /// Shows a code by which a new device can be let in: once, and for some minutes.
    ///
    /// # Errors
    /// [`WalletError::Locked`]; [`WalletError::BadInput`] while this device is on probation, or for a life that is none.
    pub async fn invite_device(&self, wanted: InviteDevice) -> Result<InvitationView, WalletError> {
        let life = wanted.expires_in.unwrap_or(LIFE.as_secs());
        if !(10..=LONGEST_LIFE).contains(&life) {
            return Err(WalletError::BadInput { what: "a code lives between 10 seconds and an hour".into() });
        }
        let label = self.try_job(|engine| engine.may_invite()).await?;
        let net = self.net().await?;
        let lan = net.mesh.local_servers().await.map_err(super::net::bad)?;
        let servers = self.job(|engine| engine.servers()).await?;
        let mut hints: Vec<Hint> = servers.iter().map(|url| Hint::Signaller(url.to_string())).collect();
        hints.extend(lan.iter().filter_map(lan_hint));
        let mut rng = rng()?;
        let secret = OneTimeSecret::make(&mut rng);
        let code = InvitationCode::new(Meeting {
            kind: Kind::Device,
            authentication: Authentication::DigitsOnNewDevice,
            topic: TopicSecret::make(&mut rng),
            key: secret.public(),
            hints,
            expires: clock().plus(Duration::from_secs(life)),
        });
        let url = code.link();
        let host = Host::offer(code, secret, &label, false);
        self.host(net, host, CodeBy::Trusted, Some(url), rng).await
    }

    /// Lets in a device that shows its own code. Never by a link, and only for a user who proved to be there.
    ///
    /// # Errors
    /// [`WalletError::BadInput`] for a code that is none, or of the other direction; a wrong passphrase; as
    /// [`Self::invite_device`].
    pub async fn add_asking_device(&self, wanted: AddAskingDevice) -> Result<InvitationView, WalletError> {
        self.check_presence(wanted.passphrase).await?;
        let code = NewcomerCode::parse(&wanted.url)
            .map_err(|error| WalletError::BadInput { what: error.to_string() })?;
        let label = self.try_job(|engine| engine.may_invite()).await?;
        let host = Host::add(&code, &label);
        self.host(self.net().await?, host, CodeBy::New, None, rng()?).await
    }

    async fn host(
        &self,
        net: Net,
        host: Host,
        code_by: CodeBy,
        url: Option<String>,
        rng: StdRng,
    ) -> Result<InvitationView, WalletError> {
        let id = InvitationId(HEXLOWER.encode(&random::<8>()?));
        let (orders, taken) = mpsc::channel(8);
        let view = InvitationView {
            invitation_id: id.clone(),
            code_by,
            state: InvitationState::Init,
            url,
            created: clock().as_millis(),
            expires: host.rendezvous().meeting().expires.as_millis(),
            guest: None,
            device_key: None,
            error: None,
        };
        let attempt = Attempt::begin(net, host.rendezvous(), taken).await?;
        let hosting = Hosting { view: view.clone(), orders };
        let key = id.clone();
        self.try_job(move |engine| engine.begin_hosting(key, hosting)).await?;
        tokio::spawn(run(Desk::of(self), attempt, host, id, rng));
        Ok(view)
    }

    /// The digits that the new device shows. A miss withdraws the invitation for good.
    ///
    /// # Errors
    /// [`WalletError::NotFound`]; [`WalletError::BadInput`] for what are no six digits, if they did not match, nobody is
    /// there, or it is over.
    pub async fn enter_digits(
        &self,
        id: &InvitationId,
        digits: Zeroizing<String>,
    ) -> Result<(), WalletError> {
        let digits = Digits::parse(&digits)
            .ok_or_else(|| WalletError::BadInput { what: "that is not six digits".into() })?;
        let (answer, answered) = oneshot::channel();
        self.order(id, Order::Digits(digits, answer)).await?;
        let entered = answered.await.map_err(|_| GONE)?;
        entered.map_err(|error| WalletError::BadInput { what: error.to_string() })
    }

    /// Withdraws an invitation.
    ///
    /// # Errors
    /// [`WalletError::NotFound`] if it is over.
    pub async fn cancel_invitation(&self, id: &InvitationId) -> Result<(), WalletError> {
        self.order(id, Order::Cancel).await
    }

    async fn order(&self, id: &InvitationId, order: Order) -> Result<(), WalletError> {
        let id = id.clone();
        let orders = self
            .try_job(move |engine| {
                let hosting = engine.hosting.get(&id).filter(|hosting| !hosting.view.state.is_over());
                hosting.map(|hosting| hosting.orders.clone()).ok_or(GONE)
            })
            .await?;
        orders.send(order).await.map_err(|_| GONE)
    }

    /// Checks the passphrase where one is set: an unlocked wallet may have been left alone.
    pub(crate) async fn prove_presence(&self, passphrase: Option<Passphrase>) -> Result<(), WalletError> {
        self.check_presence(passphrase).await
    }
}

const GONE: WalletError = WalletError::NotFound { what: "the invitation" };

impl Engine {
    /// The name of this device, if it may let in others.
    fn may_invite(&mut self) -> Result<String, WalletError> {
        let running = self.hosting.values().filter(|hosting| !hosting.view.state.is_over()).count();
        let open = self.unlocked()?;
        let own = open.state.devices.get(&open.keys.device_key());
        if own.is_none_or(|own| own.revoked || own.is_on_probation(clock())) {
            return Err(WalletError::BadInput {
                what: "this device was let in less than a day ago, and cannot let in others yet".into(),
            });
        }
        if running >= MOST {
            return Err(WalletError::Busy);
        }
        Ok(own.and_then(|own| own.profile.as_ref()).map(|own| own.label.clone()).unwrap_or_default())
    }

    fn begin_hosting(&mut self, id: InvitationId, hosting: Hosting) -> Result<(), WalletError> {
        self.unlocked()?;
        self.tell(Event::Invitation(Box::new(hosting.view.clone())));
        self.hosting.insert(id, hosting);
        let mut over: Vec<(u64, InvitationId)> = Vec::new();
        for (id, hosting) in &self.hosting {
            if hosting.view.state.is_over() {
                over.push((hosting.view.created, id.clone()));
            }
        }
        over.sort();
        for (_, id) in over.iter().take(over.len().saturating_sub(MOST_SHOWN)) {
            self.hosting.remove(id);
        }
        self.changed();
        Ok(())
    }

    fn invitation(&mut self, id: &InvitationId, change: impl FnOnce(&mut InvitationView)) {
        let Some(hosting) = self.hosting.get_mut(id) else { return };
        change(&mut hosting.view);
        if hosting.view.state.is_over() || hosting.view.state != InvitationState::Connecting {
            // Somebody is there, or nobody will be: it is not shown any more.
            hosting.view.url.take_if(|_| hosting.view.state.is_over());
        }
        let view = hosting.view.clone();
        self.tell(Event::Invitation(Box::new(view)));
        self.changed();
    }
}

async fn run(desk: Desk, mut attempt: Attempt<Order>, mut host: Host, id: InvitationId, mut rng: StdRng) {
    let mut effects = host.start(clock());
    let mut answers: Option<oneshot::Sender<Result<(), EnterError>>> = None;
    let mut device = None;
    let mut end = State::Error;
    loop {
        let mut inputs = Vec::new();
        let (mut ended, mut refused) = (None, None);
        for effect in effects {
            match effect {
                HostEffect::Send { connection, message } => attempt.send(connection, message).await,
                HostEffect::Drop { connection } => attempt.drop(connection).await,
                // Said with what it came to, below: whoever waits for the end looks no further.
                HostEffect::Changed(state) if state.is_final() => end = state,
                HostEffect::Changed(state) => {
                    let id = id.clone();
                    let _ = desk
                        .job(move |engine| engine.invitation(&id, |view| view.state = shown(state)))
                        .await;
                }
                HostEffect::Guest(profile) => {
                    let guest = OtherSide { label: profile.label, platform: profile.platform };
                    let id = id.clone();
                    let _ =
                        desk.job(move |engine| engine.invitation(&id, |view| view.guest = Some(guest))).await;
                }
                HostEffect::Confirmed(confirmed) => {
                    if let Some(answer) = answers.take() {
                        let _ = answer.send(Ok(()));
                    }
                    device = Some(confirmed.device().to_string());
                    let admitted = desk.job(move |engine| engine.admit(&confirmed)).await;
                    inputs.push(match admitted {
                        Ok(Ok(admission)) => HostInput::Admission(admission),
                        Ok(Err(error)) | Err(error) => {
                            tracing::warn!(%error, "a device was not let in");
                            HostInput::NotAdmitted
                        }
                    });
                }
                // Told below, once what it came to can be seen.
                HostEffect::NotConfirmed(error) => refused = Some(error),
                // An invitation ends with the program that made it.
                HostEffect::Save(_) => {}
                HostEffect::Ended(how) => ended = Some(how),
            }
        }
        let is_over = ended.is_some();
        if let Some(how) = ended {
            let (device, of) = (device.take(), id.clone());
            let _ = desk
                .job(move |engine| {
                    engine.invitation(&of, |view| {
                        view.state = shown(end);
                        match how {
                            HostEnded::Linked | HostEnded::Unseen => view.device_key = device,
                            HostEnded::Nobody { why } => view.error = Some(super::refusal(why)),
                        }
                    });
                })
                .await;
        }
        if let Some(error) = refused
            && let Some(answer) = answers.take()
        {
            let _ = answer.send(Err(error));
        }
        if is_over {
            break;
        }
        if inputs.is_empty() {
            inputs.push(match attempt.next(host.deadline()).await {
                Happening::Arrived(connection, hash) => HostInput::Arrived { connection, hash },
                Happening::Message(connection, bytes) => HostInput::Message { connection, bytes },
                Happening::Left(connection) => HostInput::Left { connection },
                Happening::Order(Order::Digits(digits, answer)) => {
                    answers = Some(answer);
                    HostInput::Entered(digits)
                }
                Happening::Order(Order::Cancel) => HostInput::Cancel,
                Happening::Tick => {
                    // An invitation goes with the wallet that made it.
                    match desk.job(|engine| engine.open.is_some()).await {
                        Ok(true) => HostInput::Tick,
                        _ => HostInput::Cancel,
                    }
                }
            });
        }
        effects = Vec::new();
        for input in inputs {
            effects.extend(host.handle(input, clock(), &mut rng));
        }
    }
    attempt.end().await;
}

pub(crate) fn shown(state: State) -> InvitationState {
    match state {
        State::Init => InvitationState::Init,
        State::Connecting => InvitationState::Connecting,
        State::Connected => InvitationState::Connected,
        State::ReadyForAuthentication => InvitationState::ReadyForAuthentication,
        State::Authenticating => InvitationState::Authenticating,
        State::Success => InvitationState::Success,
        State::Cancelled => InvitationState::Cancelled,
        State::Timeout => InvitationState::Timeout,
        State::Error => InvitationState::Error,
        State::Expired => InvitationState::Expired,
    }
}

/// A server of this device in the local network, as a code names it.
pub(crate) fn lan_hint(url: &url::Url) -> Option<Hint> {
    let port = url.port()?;
    let address = match url.host()? {
        url::Host::Ipv4(address) => std::net::IpAddr::V4(address),
        url::Host::Ipv6(address) => std::net::IpAddr::V6(address),
        url::Host::Domain(_) => return None,
    };
    Some(Hint::Lan(std::net::SocketAddr::new(address, port)))
}
