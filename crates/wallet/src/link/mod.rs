//! Several devices of one identity: how they are let in, seen and removed.

mod admission;
mod attempt;
mod desk;
mod devices;
mod here;
mod invite;
mod join;
mod net;
mod peers;
mod talk;
mod view;
mod wire;

pub(crate) use invite::Hosting;
pub(crate) use join::Joining;
pub(crate) use net::{Net, NetworkSettings, spawn};
pub use net::{NetworkOptions, server_url};
pub(crate) use peers::Peers;

pub use view::{
    AddAskingDevice, AskToJoin, CodeBy, DeviceView, InvitationId, InvitationState, InvitationView,
    InviteDevice, JoinDevice, JoinView, KnownAlias, LinkView, NetworkChange, NetworkView, OtherSide,
    PathView, PeerView, Progress, Removal, RevokeDevice, ServerState, ServerView, SpacePeerView,
    SpaceSyncView, SyncView, TurnServer, TurnView,
};
