//! The one owner of the wallet's state.
//!
//! A thread with a bounded inbox: everything that changes something is a job that runs here, one after the
//! other, so that nothing needs a lock. Slow work (key derivation, the keychain's first answer) runs beside
//! it and comes back as a job. After each job that changed something a new snapshot is published; readers
//! never wait for this thread.

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use halo_keystore::Keystore;
use halo_protocol::{DeviceKey, Timestamp};
use halo_store::ProfileDir;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use crate::approvals::{Approvals, Effect};
use crate::config::WalletConfig;
use crate::error::WalletError;
use crate::link::{Hosting, InvitationId, Joining, Net, NetworkSettings, Peers};
use crate::open::Open;
use crate::request::{Outcome, RequestId};
use crate::view::{Event, KeychainView, RootPlace, Settings, Snapshot, State, Trouble};

/// One thing to do on the engine's thread.
pub(crate) type Job = Box<dyn FnOnce(&mut Engine) + Send>;

/// Jobs that may wait; whoever sends one more waits for room.
pub(crate) const INBOX: usize = 256;
/// Events a slow listener may lag behind before it must look at the snapshot instead.
const EVENTS: usize = 256;
/// The longest sleep: clocks jump when a machine wakes up, deadlines are by the clock.
const LONGEST_NAP: Duration = Duration::from_secs(30);

/// Why the wallet locks; recorded in the activity log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LockReason {
    /// The user said so.
    User,
    /// Nobody touched it for a while.
    Idle,
    /// The screen locked or the machine sleeps.
    Session,
    /// The program ends.
    Closing,
}

impl LockReason {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Idle => "idle",
            Self::Session => "session",
            Self::Closing => "closing",
        }
    }
}

/// The state.
pub(crate) struct Engine {
    pub(crate) config: WalletConfig,
    pub(crate) dir: ProfileDir,
    pub(crate) keystore: Option<Arc<Keystore>>,
    pub(crate) needs_passphrase: bool,
    pub(crate) open: Option<Open>,
    pub(crate) approvals: Approvals,
    pub(crate) askers: HashMap<RequestId, (crate::request::SignInRequest, oneshot::Sender<Outcome>)>,
    pub(crate) keychain: KeychainView,
    pub(crate) trouble: Option<Trouble>,
    pub(crate) settings: Settings,
    pub(crate) broker_url: Option<String>,
    /// Creating or unlocking is under way beside this thread.
    pub(crate) busy: bool,
    /// What came while it was being unlocked and wants it locked: done as soon as it is open.
    pub(crate) lock_wanted: Option<LockReason>,
    pub(crate) failed_unlocks: u32,
    /// The places of the phrase the user was asked to re-enter.
    pub(crate) quiz: Vec<u8>,
    pub(crate) next_suspicion: Timestamp,
    pub(crate) last_touch: Timestamp,
    pub(crate) closing: bool,
    /// Devices that this one is connected to.
    pub(crate) peers: Peers,
    /// How devices find each other.
    pub(crate) net: Option<Net>,
    pub(crate) network: NetworkSettings,
    /// Invitations made since the wallet was opened.
    pub(crate) hosting: BTreeMap<InvitationId, Hosting>,
    /// This device is being linked, or just was.
    pub(crate) joining: Option<Joining>,
    /// When others were last heard of.
    pub(crate) seen: BTreeMap<DeviceKey, Timestamp>,
    dirty: bool,
    snapshots: watch::Sender<Arc<Snapshot>>,
    events: broadcast::Sender<Event>,
}

/// The ends of the engine that the handle keeps.
pub(crate) struct Ends {
    pub(crate) inbox: mpsc::Sender<Job>,
    pub(crate) snapshots: watch::Receiver<Arc<Snapshot>>,
    pub(crate) events: broadcast::Sender<Event>,
    pub(crate) thread: JoinHandle<()>,
}

/// The time by this machine's clock.
pub(crate) fn clock() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    #[cfg(test)]
    let since = since + AHEAD.get();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
std::thread_local! {
    /// By how much the clock of one wallet is wrong, on the thread of its engine.
    pub(crate) static AHEAD: std::cell::Cell<Duration> = const { std::cell::Cell::new(Duration::ZERO) };
}

impl Engine {
    /// Starts the thread. It ends when the last handle is gone or [`Engine::closing`] is set.
    pub(crate) fn start(
        config: WalletConfig,
        dir: ProfileDir,
        keystore: Option<Arc<Keystore>>,
    ) -> Result<Ends, WalletError> {
        let (inbox, jobs) = mpsc::channel(INBOX);
        let (events, _) = broadcast::channel(EVENTS);
        let engine = Self {
            config,
            dir,
            needs_passphrase: false,
            keystore,
            open: None,
            approvals: Approvals::default(),
            askers: HashMap::new(),
            keychain: KeychainView::Unknown,
            trouble: None,
            settings: Settings::default(),
            broker_url: None,
            busy: false,
            lock_wanted: None,
            failed_unlocks: 0,
            quiz: Vec::new(),
            next_suspicion: Timestamp::from_millis(0),
            last_touch: clock(),
            closing: false,
            peers: Peers::default(),
            net: None,
            network: NetworkSettings::default(),
            hosting: BTreeMap::new(),
            joining: None,
            seen: BTreeMap::new(),
            dirty: false,
            snapshots: watch::Sender::new(Arc::new(Snapshot::empty())),
            events: events.clone(),
        };
        engine.snapshots.send_replace(Arc::new(engine.snapshot()));
        let snapshots = engine.snapshots.subscribe();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(|error| WalletError::BadInput { what: format!("no thread for the wallet: {error}") })?;
        let thread = std::thread::Builder::new()
            .name("halo-wallet".into())
            .spawn(move || {
                let mut jobs = jobs;
                // The engine and with it the lock on the profile goes first: whoever waits for the inbox to close
                // may open the profile anew.
                runtime.block_on(engine.run(&mut jobs));
                drop(jobs);
            })
            .map_err(|error| WalletError::BadInput { what: format!("no thread for the wallet: {error}") })?;
        Ok(Ends { inbox, snapshots, events, thread })
    }

    async fn run(mut self, jobs: &mut mpsc::Receiver<Job>) {
        while !self.closing {
            let job = tokio::select! {
                job = jobs.recv() => match job {
                    Some(job) => Some(job),
                    None => break,
                },
                () = tokio::time::sleep(self.nap()) => None,
            };
            self.tick();
            if let Some(job) = job {
                self.carry_out(job);
            }
            self.spread();
            self.watch_arrival();
            self.publish();
        }
        self.lock(LockReason::Closing);
        self.publish();
    }

    /// Does a job. One that comes to no end by a fault of ours takes nobody else's along: whoever asked for it is told
    /// that there is no answer, the store has nothing of it, and what is in memory of spaces is read anew.
    fn carry_out(&mut self, job: Job) {
        if catch_unwind(AssertUnwindSafe(|| job(self))).is_err() {
            tracing::error!("something was given up halfway, please report this");
            if let Some(open) = &mut self.open {
                open.spaces.forget_all();
            }
        }
    }

    /// How long nothing happens by itself.
    fn nap(&self) -> Duration {
        if self.owes_peers() {
            return Duration::ZERO;
        }
        let now = clock();
        let looks = self.open.as_ref().and_then(|open| open.spaces.looks.deadline());
        [self.approvals.deadline(), self.auto_lock_at(), self.peers_deadline(), looks]
            .into_iter()
            .flatten()
            .map(|at| Duration::from_millis(at.as_millis().saturating_sub(now.as_millis())))
            .fold(LONGEST_NAP, Duration::min)
    }

    fn auto_lock_at(&self) -> Option<Timestamp> {
        let minutes = u64::from(self.settings.auto_lock_minutes);
        (self.open.is_some() && self.needs_passphrase && minutes > 0)
            .then(|| self.last_touch.plus(Duration::from_secs(minutes.saturating_mul(60))))
    }

    /// Does what is due.
    pub(crate) fn tick(&mut self) {
        let now = clock();
        let effects = self.approvals.tick(now);
        for effect in &effects {
            if let Effect::Close(id, Outcome::Expired) = effect {
                self.record_end(id, "expired");
            }
        }
        self.apply(effects);
        self.tick_peers();
        if self.auto_lock_at().is_some_and(|at| at <= now) {
            self.lock(LockReason::Idle);
        }
    }

    /// Carries out what the queue of approvals decided.
    pub(crate) fn apply(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            self.dirty = true;
            match effect {
                Effect::Show(id) => self.tell(Event::Asked(id)),
                Effect::Close(id, outcome) => {
                    if let Some((_, asker)) = self.askers.remove(&id) {
                        // An asker that has gone does not need to hear.
                        let _ = asker.send(outcome.clone());
                    }
                    self.tell(Event::Answered(id, outcome));
                }
                Effect::Mute { asker_key, until } => {
                    if let Some(open) = &mut self.open
                        && let Err(error) = open.store.write(|tx| tx.put_mute(&asker_key, until))
                    {
                        tracing::warn!(%error, "a mute was not kept");
                    }
                }
            }
        }
    }

    /// Drops every key, closes the store and answers whoever waits. What is just being unlocked is locked again at once.
    pub(crate) fn lock(&mut self, reason: LockReason) {
        let Some(mut open) = self.open.take() else {
            self.lock_wanted = self.busy.then_some(reason);
            return;
        };
        if let Err(error) = open.record_locked(reason, clock()) {
            tracing::warn!(%error, "locking was not recorded");
        }
        open.keep_heard();
        open.keep_mark(self.keystore.as_deref());
        drop(open);
        self.peers.all.clear();
        self.peers.fetching.clear();
        self.hosting.values().for_each(Hosting::withdraw);
        let effects = self.approvals.lock();
        self.apply(effects);
        self.dirty = true;
        // Whoever hears of it finds it in the snapshot.
        self.publish();
        self.tell(Event::Locked);
    }

    /// The open wallet, or why there is none.
    pub(crate) fn unlocked(&mut self) -> Result<&mut Open, WalletError> {
        let empty = self.keystore.is_none();
        self.open.as_mut().ok_or(if empty { WalletError::NoIdentity } else { WalletError::Locked })
    }

    /// Says that something changed.
    pub(crate) fn changed(&mut self) {
        self.dirty = true;
    }

    /// Sends an event; nobody listening is fine.
    pub(crate) fn tell(&self, event: Event) {
        let _ = self.events.send(event);
    }

    /// Publishes a snapshot if something changed.
    pub(crate) fn publish(&mut self) {
        if std::mem::take(&mut self.dirty) {
            self.snapshots.send_replace(Arc::new(self.snapshot()));
            self.tell(Event::Changed);
        }
    }

    fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot {
            state: match (&self.keystore, &self.open) {
                (None, _) => State::Empty,
                (Some(_), None) => State::Locked,
                (Some(_), Some(_)) => State::Unlocked,
            },
            trouble: self.trouble.clone(),
            keychain: self.keychain,
            root_place: self.keystore.as_ref().map(|keystore| match keystore.place() {
                halo_keystore::Place::Os => RootPlace::Keychain,
                halo_keystore::Place::File => RootPlace::File,
            }),
            passphrase: self.needs_passphrase,
            requests: self.approvals.views(),
            devices: self.device_views(),
            refused: self.refused_views(),
            invitations: self.hosting.values().map(|hosting| hosting.view.clone()).collect(),
            join: self.join_view(),
            network: self.network.view(),
            settings: self.settings.clone(),
            broker_url: self.broker_url.clone(),
            profile: self.config.profile.display().to_string(),
            ..Snapshot::empty()
        };
        if let Some(open) = &self.open {
            open.show(&mut snapshot);
        }
        snapshot
    }

    /// Records that a request ended without an answer.
    pub(crate) fn record_end(&mut self, id: &RequestId, why: &str) {
        let Some((request, _)) = self.askers.get(id) else { return };
        let client_id = request.asker.client_id.clone();
        if let Some(open) = &mut self.open
            && let Err(error) = open.record_denied(&client_id, why, clock())
        {
            tracing::warn!(%error, "a denial was not recorded");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use halo_keystore::{KeychainChoice, MemoryKeychain, Passphrase};

    use super::*;
    use crate::command::CreateIdentity;
    use crate::config::KdfTarget;
    use crate::handle::Wallet;

    /// Long enough for any machine; short enough to say that something hangs.
    const PATIENCE: Duration = Duration::from_secs(60);

    fn pass() -> Passphrase {
        Passphrase::new("correct horse".to_owned())
    }

    async fn protected(dir: &tempfile::TempDir) -> Wallet {
        let config = WalletConfig {
            profile: dir.path().join("profile"),
            keychain: Arc::new(MemoryKeychain::default()),
            program: "test".into(),
            kdf_target: KdfTarget::Floor,
            watch_session: false,
            network: crate::link::NetworkOptions::default(),
        };
        let wallet = Wallet::open(config).await.unwrap();
        let create =
            CreateIdentity { name: "Ada".into(), passphrase: Some(pass()), keychain: KeychainChoice::Os };
        wallet.create_identity(create).await.unwrap();
        wallet
    }

    /// Why it was locked the last time.
    async fn why(wallet: &Wallet) -> String {
        wallet.unlock(Some(pass()), false).await.unwrap();
        let log = wallet.activity(None, 1, Some("locked".into()), None).await.unwrap();
        log[0].details.iter().find(|(name, _)| name == "why").unwrap().1.clone()
    }

    #[tokio::test]
    async fn a_wallet_that_nobody_touches_locks_by_itself() {
        let dir = tempfile::tempdir().unwrap();
        let wallet = protected(&dir).await;
        let mut watch = wallet.watch();
        let minutes = wallet.snapshot().settings.auto_lock_minutes;
        assert_eq!(minutes, 10, "also when nobody has set it");
        let almost = Duration::from_millis(u64::from(minutes) * 60_000 - 50);
        let ago = Timestamp::from_millis(clock().as_millis() - u64::try_from(almost.as_millis()).unwrap());
        wallet.job(move |engine| engine.last_touch = ago).await.unwrap();
        // Nothing else happens: it is its own clock that locks it.
        let locked = async { while watch.next().await != Some(Event::Locked) {} };
        tokio::time::timeout(PATIENCE, locked).await.expect("it locks");
        assert_eq!(wallet.snapshot().state, State::Locked);
        assert_eq!(why(&wallet).await, "idle");
    }

    #[tokio::test]
    async fn whoever_is_there_keeps_it_open() {
        let dir = tempfile::tempdir().unwrap();
        let wallet = protected(&dir).await;
        let long_ago = Timestamp::from_millis(clock().as_millis() - 599_000);
        wallet.job(move |engine| engine.last_touch = long_ago).await.unwrap();
        wallet.touch();
        let left = wallet.job(|engine| engine.auto_lock_at().unwrap()).await.unwrap();
        assert!(left > Timestamp::from_millis(clock().as_millis() + 500_000), "the time begins anew");
        let never = Settings { auto_lock_minutes: 0, ..wallet.snapshot().settings.clone() };
        wallet.set_settings(never).await.unwrap();
        assert_eq!(wallet.job(|engine| engine.auto_lock_at()).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_lock_in_the_middle_of_unlocking_is_not_lost() {
        let dir = tempfile::tempdir().unwrap();
        let wallet = protected(&dir).await;
        wallet.lock().await.unwrap();
        let unlocking = tokio::spawn({
            let wallet = wallet.clone();
            async move { wallet.unlock(Some(pass()), false).await }
        });
        while !wallet.job(|engine| engine.busy).await.unwrap() && !unlocking.is_finished() {
            tokio::task::yield_now().await;
        }
        // The lid closes while the passphrase is being checked.
        wallet.lock().await.unwrap();
        unlocking.await.unwrap().unwrap();
        assert_eq!(wallet.snapshot().state, State::Locked);
        wallet.unlock(Some(pass()), false).await.unwrap();
        assert_eq!(wallet.snapshot().state, State::Unlocked, "the next unlocking is another one");
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn it_locks_with_the_screen_where_the_user_wants_it() {
        use crate::session_watch::Sign;
        let dir = tempfile::tempdir().unwrap();
        let wallet = protected(&dir).await;
        let state = async |sign| {
            wallet.job(move |engine| engine.session(sign)).await.unwrap();
            wallet.snapshot().state
        };
        assert_eq!(state(Sign::Back).await, State::Unlocked);
        assert_eq!(state(Sign::Leaving).await, State::Locked);
        assert_eq!(why(&wallet).await, "session");
        let stay = Settings { lock_with_screen: false, ..wallet.snapshot().settings.clone() };
        wallet.set_settings(stay).await.unwrap();
        assert_eq!(state(Sign::Leaving).await, State::Unlocked);
    }
}
