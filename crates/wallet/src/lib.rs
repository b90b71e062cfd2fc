//! HALO's façade: the one [`Wallet`] that window, command line, broker and tests share.
//!
//! The wallet decides what the user may do and remembers what the user allowed. It is a cloneable handle on
//! one engine (see [`Wallet`]); commands are its methods, [`Snapshot`] is everything that can be shown, and
//! [`Watch`] yields the snapshot and what happens after it. It knows nothing of HTTP, windows or terminals.
//!
//! The rule it guards: nothing is granted, signed or shown that the user did not allow, and every such act is
//! in the activity log in the same transaction. The attack that remains is a program with debugger rights as
//! the same user; against that no wallet in user space helps (docs/threat-model.md).

mod activity;
mod aliases;
mod appearance;
mod approvals;
mod approve;
mod apps;
mod archive;
mod asker;
mod carry;
mod collection;
mod command;
mod compaction;
mod config;
mod contents;
mod doctor;
mod dxos;
mod engine;
mod epochs;
mod error;
mod feeds;
mod gauge;
mod grant;
mod halo;
mod handle;
mod held;
mod ingest;
mod lifecycle;
mod link;
mod looks;
mod membership;
mod models;
mod open;
mod paths;
mod phrase;
#[cfg(all(test, target_os = "linux"))]
#[path = "link/tests/process.rs"]
mod process;
mod profile;
mod put;
mod qr;
mod random;
mod request;
mod schemas;
#[cfg(target_os = "linux")]
mod session_watch;
mod shares;
mod snapshots;
mod spaces;
mod startup;
mod tokens;
mod view;

pub use appearance::site;
pub use approve::Ticket;
#[cfg(fuzzing)]
pub use archive::fuzz as fuzz_archive;
pub use archive::{Imported, Sealing};
pub use asker::{AppKind, Asker, Process};
pub use collection::{By, ForeignKey, ItemVersion, ItemView, SpaceApp, SpaceDetails, WriterView};
pub use command::{
    Binding, CreateIdentity, Created, Exchange, ProfileChange, RecoverIdentity, TokenRequest, Tokens,
    UserInfo,
};
pub use compaction::Compacted;
pub use config::{KdfTarget, WalletConfig};
pub use doctor::DoctorReport;
pub use dxos::{DxosDevice, DxosSaid, DxosSpace, DxosUser, place_in as dxos_credentials_in};
pub use error::WalletError;
pub use gauge::{Gauge, Step};
pub use halo_echo::query::Query;
pub use halo_echo::{ChangeHash, DocumentId, EchoError, Heads, Side, SpaceId, SyncState};
pub use halo_keystore::{Keychain, KeychainChoice, MemoryKeychain, Passphrase};
pub use handle::{Wallet, Watch};
pub use link::{
    AddAskingDevice, AgreeDevice, AskToJoin, BroughtView, CodeBy, DeviceView, Hindrance, InvitationId,
    InvitationState, InvitationView, InviteDevice, JoinDevice, JoinView, KnownAlias, LinkView, NetworkChange,
    NetworkOptions, NetworkView, OtherSide, PathView, PeerView, Progress, RefusedView, Removal, RevokeDevice,
    ServerState, ServerView, SpacePeerView, SpaceSyncView, SyncView, TurnServer, TurnView, server_url,
};
pub use models::InItem;
pub use open::device_label;
pub use paths::{default_profile, runtime_dir};
pub use put::{PutItem, Synced};
pub use qr::{QrView, code_in_blocks, draw_code, read_code};
pub use request::{
    AnsweredBy, Approval, AskerView, Comparison, GrantId, Outcome, ProfileField, RequestId, RequestView,
    Scope, SignInRequest, SpaceChoice, Warning,
};
pub use spaces::{DocumentChange, DocumentUpdated, Hit, SpaceView};
pub use view::{
    ActivityView, AppView, Event, GrantFacts, IdentityView, KeychainView, PhraseState, RootPlace, Settings,
    Snapshot, State, Theme, Trouble,
};
