//! Becoming a device of an identity, on the new one.
//!
//! Everything is built in a directory that does not count yet, as for a new identity; it counts once the admission is on
//! disk. Whatever ends the attempt before that leaves nothing.

use std::path::PathBuf;
use std::sync::Arc;

use halo_keystore::{KdfCost, KeychainChoice, Keys, Keystore, NewKeystore, Passphrase};
use halo_protocol::channel::OneTimeSecret;
use halo_protocol::credential::DeviceProfile;
use halo_protocol::invitation::{
    Authentication, Guest, GuestEffect, GuestEnded, GuestInput, GuestKeys, Hint, InvitationCode, Kind, LIFE,
    Meeting, NewcomerCode, State,
};
use halo_protocol::signal::TopicSecret;
use halo_store::Creation;
use rand::rngs::StdRng;
use tokio::sync::mpsc;

use super::attempt::{Attempt, Happening};
use super::desk::Desk;
use super::invite::{rng, shown};
use super::view::{AskToJoin, CodeBy, InvitationState, JoinDevice, JoinView, OtherSide, Progress};
use crate::config::WalletConfig;
use crate::engine::{Engine, clock};
use crate::error::WalletError;
use crate::handle::{Wallet, beside};
use crate::lifecycle::{Made, check_passphrase, kdf_cost};
use crate::open::{Open, this_device};
use crate::view::Event;

/// A device that is being linked.
pub(crate) struct Joining {
    pub(crate) view: JoinView,
    /// Everything has come.
    pub(crate) arrived: bool,
    orders: mpsc::Sender<()>,
}

/// A device before it is one.
struct Unborn {
    config: WalletConfig,
    creation: Creation,
    keystore: Keystore,
    protected: bool,
    keys: Keys,
}

impl Wallet {
    /// Becomes a device of the identity whose device shows `url`. Goes on by itself; [`Event::Join`] tells how.
    ///
    /// # Errors
    /// [`WalletError::IdentityExists`]; [`WalletError::BadInput`] for a code that is none or of the other direction; what
    /// the keystore says.
    pub async fn join_device(&self, wanted: JoinDevice) -> Result<JoinView, WalletError> {
        let code = InvitationCode::parse(&wanted.url)
            .map_err(|error| WalletError::BadInput { what: error.to_string() })?;
        let unborn = self.prepare(wanted.passphrase, wanted.keychain).await?;
        let guest = Guest::join(&code, &profile(&wanted.label), guest_keys(&unborn.keys));
        self.join(unborn, guest, CodeBy::Trusted, None, rng()?).await
    }

    /// Shows a code by which a device that is in can let this one in.
    ///
    /// # Errors
    /// [`WalletError::IdentityExists`]; what the keystore says.
    pub async fn ask_to_join(&self, wanted: AskToJoin) -> Result<JoinView, WalletError> {
        let net = self.net().await?;
        let servers = self.job(|engine| engine.servers()).await?;
        let lan = net.mesh.local_servers().await.map_err(super::net::bad)?;
        let mut hints: Vec<Hint> = servers.iter().map(|url| Hint::Signaller(url.to_string())).collect();
        hints.extend(lan.iter().filter_map(super::invite::lan_hint));
        let mut rng = rng()?;
        let secret = OneTimeSecret::make(&mut rng);
        let code = NewcomerCode::new(Meeting {
            kind: Kind::Device,
            authentication: Authentication::DigitsOnNewDevice,
            topic: TopicSecret::make(&mut rng),
            key: secret.public(),
            hints,
            expires: clock().plus(LIFE),
        });
        let unborn = self.prepare(wanted.passphrase, wanted.keychain).await?;
        let guest = Guest::show(&code, secret, &profile(&wanted.label), guest_keys(&unborn.keys));
        self.join(unborn, guest, CodeBy::New, Some(code.text()), rng).await
    }

    /// Gives up joining; nothing is left behind.
    ///
    /// # Errors
    /// [`WalletError::NotFound`] if nothing is under way.
    pub async fn cancel_join(&self) -> Result<(), WalletError> {
        let gone = WalletError::NotFound { what: "a join under way" };
        let orders = self
            .try_job(|engine| {
                let joining = engine.joining.as_ref().filter(|joining| !joining.view.state.is_over());
                joining.map(|joining| joining.orders.clone()).ok_or(gone)
            })
            .await?;
        // It may have ended meanwhile.
        let _ = orders.send(()).await;
        Ok(())
    }

    /// Makes the keys of this device.
    async fn prepare(
        &self,
        passphrase: Option<Passphrase>,
        choice: KeychainChoice,
    ) -> Result<Unborn, WalletError> {
        if let Some(passphrase) = &passphrase {
            check_passphrase(passphrase)?;
        }
        let (config, creation) = self.try_job(Engine::begin_creation).await?;
        let made = beside(move || {
            let protected = passphrase.is_some();
            let cost = if protected { kdf_cost(config.kdf_target) } else { KdfCost::FLOOR };
            let wanted = NewKeystore { choice, passphrase, cost };
            let (keystore, keys) = Keystore::create(creation.path(), wanted, config.keychain.clone())?;
            Ok(Unborn { config, creation, keystore, protected, keys })
        })
        .await;
        if made.is_err() {
            self.job(|engine| engine.busy = false).await?;
        }
        made
    }

    async fn join(
        &self,
        unborn: Unborn,
        guest: Guest,
        code_by: CodeBy,
        url: Option<String>,
        rng: StdRng,
    ) -> Result<JoinView, WalletError> {
        let (orders, taken) = mpsc::channel(1);
        let view = JoinView {
            code_by,
            state: InvitationState::Init,
            url,
            digits: None,
            host: None,
            name: None,
            expires: guest.rendezvous().meeting().expires.as_millis(),
            progress: Progress::default(),
            in_step: false,
            error: None,
        };
        let begun = async {
            let attempt = Attempt::begin(self.net().await?, guest.rendezvous(), taken).await?;
            let joining = Joining { view: view.clone(), arrived: false, orders };
            self.job(move |engine| {
                engine.joining = Some(joining);
                engine.changed();
            })
            .await?;
            Ok::<_, WalletError>(attempt)
        };
        match begun.await {
            Ok(attempt) => {
                tokio::spawn(run(Desk::of(self), attempt, guest, unborn, rng));
                Ok(view)
            }
            Err(error) => {
                give_up(&Desk::of(self), unborn).await;
                Err(error)
            }
        }
    }
}

fn profile(label: &str) -> DeviceProfile {
    let this = this_device();
    let label = crate::appearance::clean_name(label).unwrap_or_else(|| this.label.clone());
    DeviceProfile { label, ..this }
}

fn guest_keys(keys: &Keys) -> GuestKeys {
    GuestKeys {
        device: keys.device_key(),
        agreement: keys.agreement_key(),
        sealing: keys.hybrid_key().as_bytes().to_vec(),
    }
}

impl Engine {
    /// The servers where it was let in are where it finds the others.
    fn meet_at(&mut self, servers: Vec<String>) {
        let Some(open) = &mut self.open else { return };
        let next = super::net::NetworkSettings { servers, ..self.network.clone() };
        match open.store.write(|tx| tx.put_setting(crate::open::setting::NETWORK, &next)) {
            Ok(()) => self.network = next,
            Err(error) => tracing::warn!(%error, "the servers of the invitation were not kept"),
        }
    }

    /// How joining goes; once this is a device, how its data comes.
    pub(crate) fn join_view(&self) -> Option<JoinView> {
        Some(self.joining.as_ref()?.view.clone())
    }

    /// Looks how the data of a device that was just linked comes.
    pub(crate) fn watch_arrival(&mut self) {
        let coming = |joining: &Joining| joining.view.state == InvitationState::Success && !joining.arrived;
        if !self.joining.as_ref().is_some_and(coming) {
            return;
        }
        let (progress, in_step) = self.progress();
        let Some(joining) = &mut self.joining else { return };
        if (joining.view.progress, joining.view.in_step) == (progress, in_step) {
            return;
        }
        (joining.view.progress, joining.view.in_step, joining.arrived) = (progress, in_step, in_step);
        let view = joining.view.clone();
        self.tell(Event::Join(Box::new(view)));
        self.changed();
    }

    fn joining(&mut self, change: impl FnOnce(&mut JoinView)) {
        let Some(joining) = &mut self.joining else { return };
        change(&mut joining.view);
        if joining.view.state.is_over() {
            joining.view.url = None;
            joining.view.digits = None;
        }
        let view = joining.view.clone();
        self.tell(Event::Join(Box::new(view)));
        self.changed();
    }
}

async fn give_up(desk: &Desk, unborn: Unborn) {
    let removed = beside(move || Ok(unborn.keystore.remove()?)).await;
    if let Err(error) = removed {
        tracing::warn!(%error, "an entry of an unfinished creation stays in the keychain");
    }
    // A wallet that has gone is not busy.
    let _ = desk.job(|engine| engine.busy = false).await;
}

async fn run(desk: Desk, mut attempt: Attempt<()>, mut guest: Guest, unborn: Unborn, mut rng: StdRng) {
    let mut unborn = Some(unborn);
    let mut end = State::Error;
    let mut effects = guest.start(clock());
    loop {
        let mut inputs = Vec::new();
        let mut ended = None;
        for effect in effects {
            match effect {
                GuestEffect::Send { connection, message } => attempt.send(connection, message).await,
                GuestEffect::Drop { connection } => attempt.drop(connection).await,
                // Said with what it came to, below: whoever waits for the end looks no further.
                GuestEffect::Changed(state) if state.is_final() => end = state,
                GuestEffect::Changed(state) => tell(&desk, move |view| view.state = shown(state)).await,
                GuestEffect::Host { label: host } => {
                    let host = OtherSide { label: host, platform: String::new() };
                    tell(&desk, move |view| view.host = Some(host)).await;
                }
                GuestEffect::Sign { connection, transcript } => {
                    if let Some(unborn) = &unborn {
                        let signature = transcript.sign(&*unborn.keys.device());
                        inputs.push(GuestInput::Signed { connection, signature });
                    }
                }
                GuestEffect::Digits(digits) => {
                    let digits = digits.map(|digits| digits.reveal());
                    tell(&desk, move |view| view.digits = digits).await;
                }
                GuestEffect::Progress { bytes, total } => {
                    tell(&desk, move |view| view.progress = Progress { done: bytes, total }).await;
                }
                GuestEffect::Admission(admission) => {
                    let Some(ready) = unborn.take() else { continue };
                    let profile = guest.profile().clone();
                    let hints = guest.rendezvous().meeting().hints.clone();
                    inputs.push(match settle(&desk, ready, admission, profile, hints).await {
                        Ok(()) => GuestInput::Durable,
                        Err(error) => {
                            tracing::warn!(%error, "the answer of the other device was not taken");
                            let _ = desk.job(|engine| engine.busy = false).await;
                            GuestInput::NotTaken
                        }
                    });
                }
                GuestEffect::Ended(how) => ended = Some(how),
            }
        }
        if let Some(how) = ended {
            tell(&desk, move |view| match how {
                GuestEnded::Linked => view.state = InvitationState::Success,
                GuestEnded::Not { why } => {
                    view.state = shown(end);
                    view.error = Some(super::refusal(why));
                }
            })
            .await;
            break;
        }
        if inputs.is_empty() {
            inputs.push(match attempt.next(guest.deadline()).await {
                Happening::Arrived(connection, hash) => GuestInput::Arrived { connection, hash },
                Happening::Message(connection, bytes) => GuestInput::Message { connection, bytes },
                Happening::Left(connection) => GuestInput::Left { connection },
                Happening::Order(()) => GuestInput::Cancel,
                Happening::Tick => match desk.job(|engine| engine.closing).await {
                    Ok(false) => GuestInput::Tick,
                    _ => GuestInput::Cancel,
                },
            });
        }
        effects = Vec::new();
        for input in inputs {
            effects.extend(guest.handle(input, clock(), &mut rng));
        }
    }
    if let Some(unborn) = unborn {
        give_up(&desk, unborn).await;
    }
    attempt.end().await;
}

async fn tell(desk: &Desk, change: impl FnOnce(&mut JoinView) + Send + 'static) {
    // A wallet that has gone shows nothing.
    let _ = desk.job(move |engine| engine.joining(change)).await;
}

/// Keeps the admission: from here on this is a device of the identity.
async fn settle(
    desk: &Desk,
    unborn: Unborn,
    admission: Vec<u8>,
    profile: DeviceProfile,
    hints: Vec<Hint>,
) -> Result<(), WalletError> {
    let made = beside(move || {
        let Unborn { config, creation, keystore, protected, mut keys } = unborn;
        let settled = Open::create_admitted(creation.path(), &mut keys, &admission)
            .and_then(|()| creation.commit().map_err(WalletError::from));
        let dir: PathBuf = settled.inspect_err(|_| {
            if let Err(error) = keystore.remove() {
                tracing::warn!(%error, "an entry of an unfinished creation stays in the keychain");
            }
        })?;
        let keystore = Arc::new(Keystore::open(&dir, config.keychain.clone())?);
        let open = Open::load(&dir, keys, &keystore, false).and_then(|mut open| {
            open.describe_itself(profile)?;
            Ok(open)
        });
        Ok(Made { keystore, protected, open, phrase: None })
    })
    .await;
    let servers = hints.into_iter().filter_map(|hint| match hint {
        Hint::Signaller(url) => Some(url),
        Hint::Lan(_) => None,
    });
    let servers: Vec<String> = servers.collect();
    desk.job(move |engine| {
        engine.finish_creation(made).map(|_| {
            engine.meet_at(servers);
            let name = engine.open.as_ref().map(|open| open.name().to_owned());
            engine.joining(|view| view.name = name);
            engine.tell(Event::Devices);
        })
    })
    .await??;
    super::net::follow(desk).await
}
