//! What window and command line see of devices, invitations and sync: facts, without a secret in them.
//!
//! What changes while somebody looks is in the [`Snapshot`](crate::Snapshot): `devices`, `refused`,
//! `invitations`, `join`, `network`. [`SyncView`] has counters that never stand still and is asked for instead, when
//! [`Event::Sync`](crate::Event::Sync) says that it is worth it. Each change is also an event that carries the whole
//! view, so that a stream of them misses no state even where snapshots come together.
//!
//! | method of the wallet | what it does | events |
//! | --- | --- | --- |
//! | `invite_device(InviteDevice) -> InvitationView` | this device shows a code, the new one scans it | `Invitation` |
//! | `add_asking_device(AddAskingDevice) -> InvitationView` | the new one shows a code ("I am new, add me"); gated | `Invitation` |
//! | `enter_digits(&InvitationId, Zeroizing<String>)` | what the user read on the new device; a miss burns the invitation | `Invitation`, `NewDevice` |
//! | `cancel_invitation(&InvitationId)` | withdraws it; [`InvitationState::Cancelled`] on both sides | `Invitation` |
//! | `join_device(JoinDevice) -> JoinView` | the new device's half, in a profile without an identity | `Join` |
//! | `ask_to_join(AskToJoin) -> JoinView` | the same, with the code shown here | `Join` |
//! | `cancel_join()` | gives up; nothing is left behind | `Join` |
//! | `rename_device(device_key, label)` | names any of the user's devices | `Devices` |
//! | `removal_of(device_key) -> Removal` | what removing it would mean, or has meant; changes nothing | |
//! | `revoke_device(RevokeDevice) -> Removal` | puts it out of every space, with new epochs; closes its connections | `Devices` |
//! | `undo_device(device_key)` | the same for one on probation | `Devices` |
//! | `agree_device(AgreeDevice)` | lets in a device after all that one on probation let in: `refused` in the snapshot | `Devices` |
//! | `fresh_alias(&GrantId)` | the app gets an alias that removed devices never knew | `Revoked` |
//! | `sync_status() -> SyncView` | who is connected to whom, and who lacks what | |
//! | `set_network(NetworkChange)` | servers, LAN, TURN | `Changed`, `Sync` |

use std::fmt;

use halo_keystore::{KeychainChoice, Passphrase};
use serde::{Deserialize, Serialize};
use ts_rs::TS;
use zeroize::Zeroizing;

use crate::request::GrantId;
use crate::view::Trouble;

/// Names one invitation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, TS)]
#[serde(transparent)]
#[ts(export)]
pub struct InvitationId(pub String);

impl fmt::Display for InvitationId {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&self.0)
    }
}

/// How far an invitation is, on either side. DXOS's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[ts(export)]
pub enum InvitationState {
    /// Made; nobody is there yet.
    Init,
    /// Somebody answers; the channel is being set up.
    Connecting,
    /// The channel stands.
    Connected,
    /// The digits are on the new device's screen and wait to be typed on the trusted one.
    ReadyForAuthentication,
    /// They were typed; the new device is being let in.
    Authenticating,
    /// It is in.
    Success,
    /// One of the two gave up.
    Cancelled,
    /// The other side went silent.
    Timeout,
    /// It failed, see the error; wrong digits, for instance.
    Error,
    /// Nobody used it in time.
    Expired,
}

impl InvitationState {
    /// Whether nothing follows.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Success | Self::Cancelled | Self::Timeout | Self::Error | Self::Expired)
    }
}

/// Who shows the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export)]
pub enum CodeBy {
    /// The device that is in already: the usual way.
    Trusted,
    /// The new one, which has no camera: never by a link, and only after the user proved to be there.
    New,
}

/// What the other side of an invitation says it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct OtherSide {
    /// What it calls itself, cleaned: a claim.
    pub label: String,
    /// `linux`, `macos`, `windows`, `android`, `ios`, or what it says.
    pub platform: String,
}

/// An invitation for a device, on the device that is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct InvitationView {
    /// Names it.
    pub invitation_id: InvitationId,
    /// Who shows the code.
    pub code_by: CodeBy,
    /// How far it is.
    pub state: InvitationState,
    /// The code, while somebody can still use it and it is this device's to show.
    pub url: Option<String>,
    /// Milliseconds since the epoch.
    #[ts(type = "number")]
    pub created: u64,
    /// Milliseconds since the epoch; nobody gets in afterwards.
    #[ts(type = "number")]
    pub expires: u64,
    /// Who is there.
    pub guest: Option<OtherSide>,
    /// Key of the device that was let in, in hex; after [`InvitationState::Success`].
    pub device_key: Option<String>,
    /// Why it failed.
    pub error: Option<Trouble>,
}

/// How much of what there is has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Progress {
    /// Blocks that are here.
    #[ts(type = "number")]
    pub done: u64,
    /// Blocks known of; grows while it is being found out.
    #[ts(type = "number")]
    pub total: u64,
}

/// Joining an identity, on the new device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct JoinView {
    /// Who shows the code.
    pub code_by: CodeBy,
    /// How far it is. In [`InvitationState::Success`] the identity is here and its data is coming.
    pub state: InvitationState,
    /// The code, where this device shows it.
    pub url: Option<String>,
    /// The six digits to be typed on the trusted device, in [`InvitationState::ReadyForAuthentication`].
    pub digits: Option<String>,
    /// The trusted device, once it is known.
    pub host: Option<OtherSide>,
    /// Whose device this becomes; known after [`InvitationState::Success`].
    pub name: Option<String>,
    /// Milliseconds since the epoch.
    #[ts(type = "number")]
    pub expires: u64,
    /// What has come of the data.
    pub progress: Progress,
    /// Everything has come: this device has what the other had.
    pub in_step: bool,
    /// Why it failed.
    pub error: Option<Trouble>,
}

/// One of the user's devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct DeviceView {
    /// Its signing key, in hex.
    pub device_key: String,
    /// What the user calls it.
    pub label: String,
    /// `linux`, `macos`, `windows`.
    pub platform: Option<String>,
    /// It is this one.
    pub current: bool,
    /// It is reachable now; always so for this one.
    pub online: bool,
    /// When it was let in, in milliseconds since the epoch, by the clock of whoever let it in.
    #[ts(type = "number | null")]
    pub added: Option<u64>,
    /// When it was last heard of, in milliseconds since the epoch; none if never.
    #[ts(type = "number | null")]
    pub last_seen: Option<u64>,
    /// Until then it can neither add devices nor export, and one press undoes it; by this device's clock.
    #[ts(type = "number | null")]
    pub probation_until: Option<u64>,
    /// When it was removed.
    #[ts(type = "number | null")]
    pub revoked: Option<u64>,
    /// Somebody says that it is removed whom a device on probation let in: it is given nothing, and not spoken with, until the
    /// user has settled that. Who says so is in [`RefusedView::removes`].
    pub suspended: bool,
}

/// A device that one on probation let in: it counts for nothing here until this user, or another device, agrees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct RefusedView {
    /// Names what was refused, in hex: exactly this is agreed with.
    pub admission: String,
    /// Key of the device that was let in, in hex.
    pub device_key: String,
    /// What it calls itself, cleaned: a claim; empty if it has not said.
    pub label: String,
    /// What it says it runs on.
    pub platform: Option<String>,
    /// Key of the device that let it in, in hex. That one is in, and can be removed.
    pub by: String,
    /// When, in milliseconds since the epoch, by the clock of whoever let it in.
    #[ts(type = "number")]
    pub added: u64,
    /// Devices that are in, this one perhaps among them, of which it says that they are removed, or somebody whom it let in
    /// or vouched for; in hex. Nothing of that need hold if the user agrees.
    pub removes: Vec<String>,
    /// Who would come in beside it if the user agreed.
    pub brings: Vec<BroughtView>,
    /// Devices that are in, and would not be if the user agreed; in hex.
    pub puts_out: Vec<String>,
    /// Why it cannot be agreed with here.
    pub hindrance: Option<Hindrance>,
}

/// A device that would come in with another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct BroughtView {
    /// Its key, in hex.
    pub device_key: String,
    /// What it calls itself, cleaned: a claim; empty if it has not said.
    pub label: String,
    /// What it says it runs on.
    pub platform: Option<String>,
}

/// Why this device cannot agree that another one was let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export)]
pub enum Hindrance {
    /// This device is on probation itself.
    New,
    /// This device let it in: another one has to agree.
    LetItIn,
    /// This device would be out.
    RemovesThis,
    /// It would not be in all the same: it was removed, for instance, or the others take nothing more of what this device says.
    InVain,
    /// There are others that were heard of before: what agreeing with this one does is judged once those are settled.
    OthersFirst,
}

/// What removing a device means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Removal {
    /// The device, in hex.
    pub device_key: String,
    /// There is no other: whatever no other replica has is lost with it.
    pub last: bool,
    /// Names of spaces that hold something no other device has confirmed.
    pub only_there: Vec<String>,
    /// Apps whose private alias it knew. Whoever holds the device can go on signing in to them as the user until each is
    /// moved to a fresh alias.
    pub aliases: Vec<KnownAlias>,
}

/// A private alias that a removed device knew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct KnownAlias {
    /// The grant of the app.
    pub grant: GrantId,
    /// What the app calls itself.
    pub name: Option<String>,
    /// Its origin or id.
    pub client_id: String,
    /// The app has a fresh alias already.
    pub moved: bool,
}

/// How bytes reach a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export)]
pub enum PathView {
    /// From machine to machine over the internet.
    Direct,
    /// From machine to machine in the same network.
    Lan,
    /// Sealed, through a server.
    Relay,
}

/// A device that this one is connected to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct PeerView {
    /// Its key, in hex.
    pub device_key: String,
    /// What the user calls it.
    pub label: String,
    /// How.
    pub path: PathView,
    /// Since when this way, in milliseconds since the epoch.
    #[ts(type = "number")]
    pub since: u64,
    /// Bytes from there.
    #[ts(type = "number")]
    pub bytes_in: u64,
    /// Bytes to there.
    #[ts(type = "number")]
    pub bytes_out: u64,
    /// Neither lacks anything that the other has.
    pub in_step: bool,
}

/// A connection between two devices, as far as this one knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct LinkView {
    /// One end, in hex.
    pub from: String,
    /// The other end, in hex.
    pub to: String,
    /// How.
    pub path: PathView,
}

/// A space, and who has what of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct SpaceSyncView {
    /// `B…`.
    pub id: String,
    /// What it is called.
    pub name: Option<String>,
    /// Blocks that are here.
    #[ts(type = "number")]
    pub here: u64,
    /// What is known of each peer.
    pub peers: Vec<SpacePeerView>,
}

/// What one peer has of one space.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct SpacePeerView {
    /// The peer, in hex.
    pub device_key: String,
    /// Blocks that it has and this device lacks.
    #[ts(type = "number")]
    pub missing_here: u64,
    /// Blocks that this device has and it lacks.
    #[ts(type = "number")]
    pub missing_there: u64,
}

/// Whether a server can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export)]
pub enum ServerState {
    /// Being tried.
    Connecting,
    /// Devices meet there.
    Connected,
    /// It does not answer; tried again by itself.
    Waiting,
}

/// A server where devices meet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct ServerView {
    /// Its address.
    pub url: String,
    /// Whether it can be used.
    pub state: ServerState,
    /// Why it cannot.
    pub error: Option<String>,
}

/// How the user's devices stand to each other.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct SyncView {
    /// Devices connected to this one.
    pub peers: Vec<PeerView>,
    /// Every connection known of, this device's included; the edges of the graph.
    pub links: Vec<LinkView>,
    /// Every space.
    pub spaces: Vec<SpaceSyncView>,
    /// Servers.
    pub servers: Vec<ServerView>,
    /// Devices are looked for in the local network.
    pub lan: bool,
}

/// A TURN server that the user runs; a KUBE hands out its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct TurnView {
    /// `turn:host:port` or `turns:host:port`.
    pub url: String,
    /// Who this device is there.
    pub username: String,
}

/// How devices find each other.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct NetworkView {
    /// Servers where devices meet (`wss://…`, `ws://…`), each enough by itself.
    pub servers: Vec<String>,
    /// Look for devices in the local network, and be found there.
    pub lan: bool,
    /// TURN servers of the user's own.
    pub turn: Vec<TurnView>,
}

/// A new invitation for a device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InviteDevice {
    /// Seconds until nobody can use it any more; none for the usual few minutes.
    pub expires_in: Option<u64>,
}

/// Letting in a device that shows its own code.
///
/// Whoever makes the user scan a code with a device that is in takes over the account: so the user proves to be there,
/// and no link from outside gets here.
pub struct AddAskingDevice {
    /// The code from the new device's screen.
    pub url: Zeroizing<String>,
    /// The passphrase, where one is set.
    pub passphrase: Option<Passphrase>,
}

/// Joining an identity with the code that a trusted device shows.
pub struct JoinDevice {
    /// The code.
    pub url: Zeroizing<String>,
    /// What this device is to be called.
    pub label: String,
    /// As in [`CreateIdentity`](crate::CreateIdentity).
    pub passphrase: Option<Passphrase>,
    /// As in [`CreateIdentity`](crate::CreateIdentity).
    pub keychain: KeychainChoice,
}

/// Joining an identity with a code that this device shows.
pub struct AskToJoin {
    /// What this device is to be called.
    pub label: String,
    /// As in [`CreateIdentity`](crate::CreateIdentity).
    pub passphrase: Option<Passphrase>,
    /// As in [`CreateIdentity`](crate::CreateIdentity).
    pub keychain: KeychainChoice,
}

/// Removing a device.
pub struct RevokeDevice {
    /// Its key, in hex.
    pub device_key: String,
    /// The 24 words. The identity's own word is never contested: needed where the device to be removed was let in
    /// before this one and could remove it in turn.
    pub phrase: Option<Zeroizing<String>>,
    /// The passphrase, where one is set.
    pub passphrase: Option<Passphrase>,
}

/// Agreeing with what was refused, and with what that does: nothing is done if it would do anything else by now.
pub struct AgreeDevice {
    /// [`RefusedView::admission`].
    pub admission: String,
    /// Keys of all that [`RefusedView::brings`] had when it was shown.
    pub brings: Vec<String>,
    /// [`RefusedView::puts_out`], as it was shown.
    pub puts_out: Vec<String>,
    /// The passphrase, where one is set.
    pub passphrase: Option<Passphrase>,
}

/// A change of how devices find each other; `None` leaves a part as it is.
#[derive(Default)]
pub struct NetworkChange {
    /// Addresses of servers, in place of those before.
    pub servers: Option<Vec<String>>,
    /// Look in the local network.
    pub lan: Option<bool>,
    /// TURN servers, in place of those before.
    pub turn: Option<Vec<TurnServer>>,
}

/// A TURN server with what it takes to use it.
pub struct TurnServer {
    /// `turn:host:port` or `turns:host:port`.
    pub url: String,
    /// Who this device is there.
    pub username: String,
    /// What proves it; none to keep the one known for the same address and name.
    pub credential: Option<Zeroizing<String>>,
}
