//! Several devices of one identity: how they are let in, seen and removed.

#[expect(dead_code, reason = "the way to other devices comes next")]
mod desk;
mod here;
#[expect(dead_code, reason = "the way to other devices comes next")]
mod peers;
#[expect(dead_code, reason = "the way to other devices comes next")]
mod talk;
mod view;
#[expect(dead_code, reason = "the way to other devices comes next")]
mod wire;

pub(crate) use peers::Peers;

pub use view::{
    AddAskingDevice, AskToJoin, CodeBy, DeviceView, InvitationId, InvitationState, InvitationView,
    InviteDevice, JoinDevice, JoinView, KnownAlias, LinkView, NetworkChange, NetworkView, OtherSide,
    PathView, PeerView, Progress, Removal, RevokeDevice, ServerState, ServerView, SpacePeerView,
    SpaceSyncView, SyncView, TurnServer, TurnView,
};
