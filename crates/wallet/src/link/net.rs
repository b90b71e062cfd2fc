//! The mesh of a wallet: begun when it is first needed, shared by the meeting of the user's devices and by invitations.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use halo_keystore::PeerKeys;
use halo_mesh::{
    Connection, Direct, Handshaker, Lan, Meeting, MeetingId, Mesh, MeshConfig, MeshEvent, ServerState, Side,
};
use halo_protocol::channel::{Handshake, HandshakeError, Purpose, Role};
use halo_protocol::invitation::Rendezvous;
use halo_protocol::signal::{IceServer, Topic, TopicSecret};
use rand::CryptoRng;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use url::Url;

use super::desk::Desk;
use super::talk::talk;
use crate::engine::Engine;
use crate::error::WalletError;
use crate::handle::Wallet;
use crate::view::Event;

/// Connections of a meeting that nobody has looked at yet.
const WAITING: usize = 16;

/// How devices find each other, as the user set it on this device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct NetworkSettings {
    /// Signalling servers.
    pub(crate) servers: Vec<String>,
    /// Look in the local network.
    pub(crate) lan: bool,
    /// TURN servers.
    pub(crate) turn: Vec<Turn>,
}

/// A TURN server of the user's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Turn {
    pub(crate) url: String,
    pub(crate) username: String,
    pub(crate) credential: String,
}

impl Turn {
    fn server(self) -> Option<IceServer> {
        let Self { url, username, credential } = self;
        (!url.is_empty()).then(|| IceServer { urls: vec![url], username, credential })
    }
}

/// The address of a server as people write it: `kube.example`, `https://kube.example`, `wss://kube.example/signal`.
///
/// # Errors
/// [`WalletError::BadInput`].
pub fn server_url(text: &str) -> Result<Url, WalletError> {
    let bad = || WalletError::BadInput { what: format!("{text} is no address of a server") };
    let text = text.trim();
    let spelled = match text.split_once("://") {
        Some(("https", rest)) => format!("wss://{rest}"),
        Some(("http", rest)) => format!("ws://{rest}"),
        Some(_) => text.to_owned(),
        None => format!("wss://{text}"),
    };
    let mut url: Url = spelled.parse().map_err(|_| bad())?;
    if !matches!(url.scheme(), "ws" | "wss")
        || url.host_str().is_none_or(str::is_empty)
        || !url.username().is_empty()
    {
        return Err(bad());
    }
    if matches!(url.path(), "" | "/") {
        url.set_path("/signal");
    }
    Ok(url)
}

impl Default for NetworkSettings {
    fn default() -> Self {
        Self { servers: Vec::new(), lan: true, turn: Vec::new() }
    }
}

/// What a program is started with, whatever the user set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetworkOptions {
    /// Servers beside those of the settings: `ws://host:port/signal` or `wss://…`.
    pub servers: Vec<Url>,
    /// The local network; none for what the settings say.
    pub lan: Option<bool>,
    /// Direct paths over the loopback interface too, for tests on one machine.
    pub loopback: bool,
}

/// A running mesh, and who waits for connections of which meeting.
#[derive(Clone)]
pub(crate) struct Net {
    pub(crate) mesh: Mesh,
    routes: Arc<Mutex<Routes>>,
    /// What the mesh was last told.
    told: Arc<tokio::sync::Mutex<MeshConfig>>,
}

#[derive(Default)]
struct Routes {
    to: BTreeMap<MeetingId, mpsc::Sender<Connection>>,
    /// How many meetings are being joined, of which nobody knows the name yet.
    joining: usize,
    /// Connections that may be of one of those.
    early: Vec<(MeetingId, Connection)>,
    servers: BTreeMap<Url, ServerState>,
}

impl Net {
    /// Begins; `told` hears whenever a server is reached or not any more.
    fn start(config: MeshConfig, desk: Desk) -> Result<Self, WalletError> {
        let (mesh, mut events) = Mesh::start(config.clone()).map_err(bad)?;
        let routes = Arc::new(Mutex::new(Routes::default()));
        let told = Arc::new(tokio::sync::Mutex::new(config));
        let net = Self { mesh, routes: routes.clone(), told };
        tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                match event {
                    MeshEvent::Connected { meeting, connection } => {
                        let goes = lock(&routes).came(meeting, connection);
                        if let Some((to, connection)) = goes {
                            drop(to.send(connection).await);
                        }
                    }
                    MeshEvent::Server { url, state } => {
                        lock(&routes).servers.insert(url, state);
                        if desk.job(|engine| engine.tell(Event::Sync)).await.is_err() {
                            return;
                        }
                    }
                }
            }
        });
        Ok(net)
    }

    /// Joins a meeting, and gives the connections that come of it.
    pub(crate) async fn meet(
        &self,
        meeting: Meeting,
    ) -> Result<(MeetingId, mpsc::Receiver<Connection>), WalletError> {
        lock(&self.routes).joining += 1;
        let joined = self.mesh.join(meeting).await.map_err(bad);
        let mut routes = lock(&self.routes);
        let (to, connections) = mpsc::channel(WAITING);
        if let Ok(id) = &joined {
            for (_, connection) in routes.early.extract_if(.., |(of, _)| of == id) {
                // There is room for the few that can have come.
                let _ = to.try_send(connection);
            }
            routes.to.insert(*id, to);
        }
        routes.joining = routes.joining.saturating_sub(1);
        if routes.joining == 0 {
            routes.early.clear();
        }
        joined.map(|id| (id, connections))
    }

    /// Tells the mesh what is wanted of it now.
    pub(crate) async fn follow(&self, desk: &Desk) -> Result<(), WalletError> {
        // Asked for under the lock, so that what is older is never told after what is newer.
        let mut told = self.told.lock().await;
        let wanted = desk.job(|engine| engine.mesh_config()).await?;
        if *told != wanted {
            self.mesh.reconfigure(wanted.clone()).await.map_err(bad)?;
            *told = wanted;
        }
        Ok(())
    }

    /// Waits for nobody of a meeting any more.
    fn forget(&self, id: MeetingId) {
        lock(&self.routes).to.remove(&id);
    }

    /// Leaves a meeting; its connections end.
    pub(crate) async fn leave(&self, id: MeetingId) {
        self.forget(id);
        // A mesh that has ended has no meetings.
        let _ = self.mesh.leave(id).await;
    }

    /// Which servers are reached.
    pub(crate) fn servers(&self) -> BTreeMap<Url, ServerState> {
        lock(&self.routes).servers.clone()
    }
}

impl Routes {
    /// Where a new connection is to go, unless it waits for somebody who is about to ask for it. One that nobody asks for
    /// is closed by being dropped.
    fn came(
        &mut self,
        meeting: MeetingId,
        connection: Connection,
    ) -> Option<(mpsc::Sender<Connection>, Connection)> {
        if let Some(to) = self.to.get(&meeting) {
            return Some((to.clone(), connection));
        }
        if self.joining > 0 {
            self.early.push((meeting, connection));
        }
        None
    }
}

fn lock(routes: &Mutex<Routes>) -> MutexGuard<'_, Routes> {
    routes.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn bad(error: halo_mesh::MeshError) -> WalletError {
    WalletError::BadInput { what: error.to_string() }
}

/// Makes sure of peers by this device's agreement key, as long as the wallet is unlocked.
struct Peers {
    keys: Weak<PeerKeys>,
    topic: Topic,
}

impl Handshaker for Peers {
    fn begin(
        &self,
        role: Role,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Handshake, Option<Vec<u8>>), HandshakeError> {
        let keys = self.keys.upgrade().ok_or(HandshakeError::Failed)?;
        let purpose = Purpose::Peers { topic: self.topic };
        match role {
            Role::Initiator => keys.call(&purpose, rng).map(|(handshake, first)| (handshake, Some(first))),
            Role::Responder => Ok((keys.answer(&purpose, rng)?, None)),
        }
    }
}

/// Makes sure of the other side of an invitation by the key in its code.
pub(crate) struct Guests(pub(crate) Rendezvous);

impl Handshaker for Guests {
    fn begin(
        &self,
        role: Role,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Handshake, Option<Vec<u8>>), HandshakeError> {
        match role {
            Role::Initiator => {
                let called = self.0.call(rng)?;
                Ok((called.handshake, Some(called.message)))
            }
            Role::Responder => Ok((self.0.answer(rng)?, None)),
        }
    }
}

impl Engine {
    pub(crate) fn mesh_config(&self) -> MeshConfig {
        let NetworkSettings { servers, lan, turn } = self.network.clone();
        let options = &self.config.network;
        let mut all = options.servers.clone();
        let own = servers.iter().filter_map(|url| url.parse().ok());
        all.extend(own.filter(|url| !options.servers.contains(url)));
        MeshConfig {
            servers: all,
            lan: if options.lan.unwrap_or(lan) { Lan::On { port: 0 } } else { Lan::Off },
            direct: if options.loopback { Direct::Loopback } else { Direct::Any },
            ice: turn.into_iter().filter_map(|turn| turn.server()).collect(),
            ..MeshConfig::default()
        }
    }

    /// The meeting of the user's devices, if there is anybody to meet.
    pub(super) fn wanted_meeting(&self) -> Option<Wanted> {
        let open = self.open.as_ref()?;
        let others = open
            .state
            .devices
            .iter()
            .filter(|(key, device)| !device.revoked && **key != open.keys.device_key());
        // The words may bring back another device elsewhere: that one is waited for where a server was set, or by whoever
        // wants to be found in the local network.
        let may_come = !self.mesh_config().servers.is_empty() || self.config.network.lan == Some(true);
        if others.count() == 0 && !open.recovered && !may_come {
            return None;
        }
        let secret = TopicSecret::from_bytes(open.keys.meeting_secret().ok()?.as_slice())?;
        Some(Wanted { secret, keys: Arc::downgrade(&open.peer_keys), anew: open.meets_anew })
    }
}

/// A meeting of the user's devices.
pub(super) struct Wanted {
    secret: TopicSecret,
    keys: Weak<PeerKeys>,
    /// How often somebody was to be met who had been turned away: within one meeting they are not met again.
    anew: u64,
}

impl Wanted {
    pub(super) fn meeting(&self) -> Meeting {
        let peers = Peers { keys: self.keys.clone(), topic: self.secret.topic() };
        Meeting::new(self.secret.clone(), Side::Peer, Arc::new(peers))
    }

    /// Whether it is the same, of the same time that the wallet was unlocked.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.secret.topic() == other.secret.topic()
            && self.keys.ptr_eq(&other.keys)
            && self.anew == other.anew
    }
}

impl Wallet {
    /// The mesh, which is begun if it was not.
    pub(crate) async fn net(&self) -> Result<Net, WalletError> {
        net(&Desk::of(self)).await
    }
}

pub(crate) async fn net(desk: &Desk) -> Result<Net, WalletError> {
    let begun = desk.job(|engine| (engine.net.clone(), engine.mesh_config())).await?;
    let net = match begun {
        (Some(net), _) => net,
        (None, config) => {
            let net = Net::start(config, desk.clone())?;
            // Somebody else may have begun one meanwhile: that one stays.
            desk.job(move |engine| engine.net.get_or_insert(net).clone()).await?
        }
    };
    net.follow(desk).await?;
    Ok(net)
}

/// Tells the mesh what is wanted of it now, if it was begun.
pub(crate) async fn follow(desk: &Desk) -> Result<(), WalletError> {
    match desk.job(|engine| engine.net.clone()).await? {
        Some(net) => net.follow(desk).await,
        None => Ok(()),
    }
}

/// Meets the user's other devices while the wallet is unlocked and there are any.
pub(crate) fn spawn(wallet: &Wallet) {
    let desk = Desk::of(wallet);
    let mut events = wallet.listen();
    tokio::spawn(async move {
        let mut joined: Option<(Wanted, MeetingId)> = None;
        loop {
            if let Err(error) = meet(&desk, &mut joined).await {
                if matches!(error, WalletError::Closed) {
                    return;
                }
                tracing::warn!(%error, "other devices are not looked for");
            }
            loop {
                match events.recv().await {
                    Ok(Event::Devices | Event::Locked | Event::Unlocked) => break,
                    Err(tokio::sync::broadcast::error::RecvError::Closed) => return,
                    Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => break,
                    Ok(_) => {}
                }
            }
        }
    });
}

/// Joins the meeting that is wanted now, unless it was joined before, and leaves any other.
async fn meet(desk: &Desk, joined: &mut Option<(Wanted, MeetingId)>) -> Result<(), WalletError> {
    let wanted = desk.job(|engine| engine.wanted_meeting()).await?;
    let before = joined.as_ref().map(|(meeting, _)| meeting);
    if wanted.is_none() && before.is_none() {
        return Ok(());
    }
    let net = net(desk).await?;
    if wanted.as_ref().zip(before).is_some_and(|(wanted, before)| wanted.is(before)) {
        return Ok(());
    }
    let topic = |meeting: &Wanted| meeting.secret.topic();
    match joined.take() {
        // Joining it again leaves the one before, and nobody takes the two for one.
        Some((before, id)) if wanted.as_ref().map(topic) == Some(topic(&before)) => net.forget(id),
        Some((_, id)) => net.leave(id).await,
        None => {}
    }
    let Some(wanted) = wanted else { return Ok(()) };
    let (id, mut connections) = net.meet(wanted.meeting()).await?;
    *joined = Some((wanted, id));
    let desk = desk.clone();
    tokio::spawn(async move {
        while let Some(connection) = connections.recv().await {
            tokio::spawn(talk(desk.clone(), connection));
        }
    });
    Ok(())
}
