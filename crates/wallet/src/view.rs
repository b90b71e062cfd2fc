//! What leaves the wallet: snapshots and events, without a secret in them.

use std::collections::{BTreeMap, BTreeSet};

use halo_echo::{DocumentId, SpaceId};
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::asker::AppKind;
use crate::error::WalletError;
use crate::link::{DeviceView, InvitationView, JoinView, NetworkView, RefusedView};
use crate::request::{GrantId, Outcome, ProfileField, RequestId, RequestView, Scope};

/// Where the profile stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export)]
pub enum State {
    /// No identity yet.
    Empty,
    /// There is one; no key is in memory and the store is closed.
    Locked,
    /// Open.
    Unlocked,
}

/// What keeps the profile from opening by itself; the code names a screen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Trouble {
    /// Stable code, for instance `keystore.entry_missing`.
    pub code: String,
    /// What happened, without a secret.
    pub message: String,
}

impl Trouble {
    pub(crate) fn of(error: &WalletError) -> Self {
        Self { code: error.code().to_owned(), message: error.to_string() }
    }
}

/// The state of the keychain of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export)]
pub enum KeychainView {
    /// Not asked yet.
    Unknown,
    /// It keeps and returns what it is given.
    Ready,
    /// It is locked.
    Locked,
    /// There is none.
    Missing,
    /// It refuses.
    Denied,
    /// It returned something else than it was given.
    Changed,
}

/// Where the device root sleeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export)]
pub enum RootPlace {
    /// In the keychain of the operating system.
    Keychain,
    /// In a file sealed by the passphrase.
    File,
}

/// What has become of the 24 words on this device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export)]
pub enum PhraseState {
    /// Sealed here; the user has not shown yet that they wrote them down.
    Unconfirmed,
    /// Sealed here, and written down.
    Confirmed,
    /// Not on this device any more.
    Forgotten,
}

/// The identity, as the user sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct IdentityView {
    /// `did:halo:B…`.
    pub did: String,
    /// `did:key:z6Mk…`, the same identity outside DXOS.
    pub did_key: String,
    /// Display name.
    pub name: String,
    /// Picture as a `data:` URL.
    pub avatar: Option<String>,
    /// Key of this device, in hex.
    pub device_key: String,
    /// Name of this device.
    pub device_label: String,
    /// The 24 words.
    pub phrase: PhraseState,
}

/// An app with a grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct AppView {
    /// The grant.
    pub id: GrantId,
    /// What the app calls itself, cleaned.
    pub name: Option<String>,
    /// Web or native.
    pub kind: AppKind,
    /// Origin of a web app.
    pub origin: Option<String>,
    /// The id the app uses.
    pub client_id: String,
    /// Executable of a native app.
    pub process: Option<String>,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// Profile fields it may read.
    pub fields: Vec<ProfileField>,
    /// It knows the real identity, not an alias.
    pub identity: bool,
    /// The spaces it sees.
    pub spaces: Vec<String>,
    /// The subject it knows the user by (`did:key:…`).
    pub sub: String,
    /// When the grant was made, in milliseconds since the epoch.
    #[ts(type = "number")]
    pub created: u64,
    /// When it was last used, in milliseconds since the epoch.
    #[ts(type = "number | null")]
    pub last_used: Option<u64>,
}

/// What the user can set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(default)]
#[ts(export)]
pub struct Settings {
    /// Lock after so many minutes without input; 0 for never. Takes effect where a passphrase is set.
    pub auto_lock_minutes: u32,
    /// Lock when the screen locks or the machine sleeps.
    pub lock_with_screen: bool,
    /// `system`, `light` or `dark`.
    pub theme: Theme,
    /// Programs written for DXOS find HALO where they look for DXOS's agent; each asks once.
    pub dxos_agent: bool,
}

impl Default for Settings {
    fn default() -> Self {
        // Ten minutes: what 1Password does.
        Self { auto_lock_minutes: 10, lock_with_screen: true, theme: Theme::System, dxos_agent: false }
    }
}

/// Colours of the window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export)]
pub enum Theme {
    /// As the desktop says.
    #[default]
    System,
    /// Light.
    Light,
    /// Dark.
    Dark,
}

/// Everything a window or a command shows, at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Snapshot {
    /// Where the profile stands.
    pub state: State,
    /// Why it did not open by itself, if it should have.
    pub trouble: Option<Trouble>,
    /// The keychain, as last probed.
    pub keychain: KeychainView,
    /// Where the root is; `None` before there is an identity.
    pub root_place: Option<RootPlace>,
    /// Whether a passphrase is needed to unlock.
    pub passphrase: bool,
    /// The identity; `None` unless unlocked.
    pub identity: Option<IdentityView>,
    /// Requests waiting for an answer, oldest first.
    pub requests: Vec<RequestView>,
    /// Apps with a grant, last used first.
    pub apps: Vec<AppView>,
    /// The user's devices, this one first, removed ones last.
    pub devices: Vec<DeviceView>,
    /// Devices that one on probation let in, which wait for the user's word.
    pub refused: Vec<RefusedView>,
    /// Invitations for devices: those that can still be used, and those that ended since the wallet was opened.
    pub invitations: Vec<InvitationView>,
    /// Joining an identity; `None` unless under way, or just over.
    pub join: Option<JoinView>,
    /// How devices find each other.
    pub network: NetworkView,
    /// Settings.
    pub settings: Settings,
    /// Where the broker listens, once it does.
    pub broker_url: Option<String>,
    /// The directory of this profile.
    pub profile: String,
    /// The log of activity was altered at this entry.
    #[ts(type = "number | null")]
    pub audit_broken_at: Option<u64>,
    /// What the broker needs to know of grants; not for windows.
    #[serde(skip)]
    #[ts(skip)]
    pub grants: BTreeMap<GrantId, GrantFacts>,
}

impl Snapshot {
    /// Of a profile nobody has looked at yet.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            state: State::Empty,
            trouble: None,
            keychain: KeychainView::Unknown,
            root_place: None,
            passphrase: false,
            identity: None,
            requests: Vec::new(),
            apps: Vec::new(),
            devices: Vec::new(),
            refused: Vec::new(),
            invitations: Vec::new(),
            join: None,
            network: NetworkView::default(),
            settings: Settings::default(),
            broker_url: None,
            profile: String::new(),
            audit_broken_at: None,
            grants: BTreeMap::new(),
        }
    }
}

/// What the broker needs to know of a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantFacts {
    /// Whose it is.
    pub client_id: String,
    /// Web or native.
    pub kind: AppKind,
    /// What it allows.
    pub scopes: BTreeSet<Scope>,
    /// Thumbprints of the instance keys that may use it without a prompt.
    pub instances: BTreeSet<String>,
    /// Executable of a native app.
    pub process: Option<String>,
}

/// Something happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The snapshot changed.
    Changed,
    /// A request wants an answer: raise the window.
    Asked(RequestId),
    /// A request is over.
    Answered(RequestId, Outcome),
    /// An app asked while locked: raise the unlock screen.
    UnlockWanted,
    /// A grant is gone: close everything it opened.
    Revoked(GrantId),
    /// The wallet was locked: close everything.
    Locked,
    /// The wallet was unlocked.
    Unlocked,
    /// There are other spaces than before, or others see them.
    Spaces,
    /// An invitation for a device changed.
    Invitation(Box<InvitationView>),
    /// Joining an identity went on.
    Join(Box<JoinView>),
    /// A device was let in, here or elsewhere: say so, and offer to undo it. Its key, in hex.
    NewDevice(String),
    /// Devices, their names or their presence changed.
    Devices,
    /// Connections changed, or what they carry; at most a few times a second.
    Sync,
    /// Documents of a space changed.
    Documents {
        /// The space.
        space: SpaceId,
        /// Which.
        documents: Vec<DocumentId>,
    },
}

/// One line of the activity log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct ActivityView {
    /// Position in the log, from 1.
    #[ts(type = "number")]
    pub seq: u64,
    /// Milliseconds since the epoch.
    #[ts(type = "number")]
    pub at: u64,
    /// Stable name of what happened, for instance `approved`.
    pub event: String,
    /// The app concerned.
    pub app: Option<String>,
    /// Further facts, each a name and a value.
    pub details: Vec<(String, String)>,
}
