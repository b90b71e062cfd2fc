//! Several devices of one identity: how they are let in, seen and removed.

mod desk;
mod here;
mod peers;
#[expect(dead_code, reason = "the way to other devices comes next")]
mod talk;
mod view;
mod wire;

pub(crate) use peers::Peers;

pub use view::{
    AddAskingDevice, AskToJoin, CodeBy, DeviceView, InvitationId, InvitationState, InvitationView,
    InviteDevice, JoinDevice, JoinView, KnownAlias, LinkView, NetworkChange, NetworkView, OtherSide,
    PathView, PeerView, Progress, Removal, RevokeDevice, ServerState, ServerView, SpacePeerView,
    SpaceSyncView, SyncView, TurnServer, TurnView,
};
