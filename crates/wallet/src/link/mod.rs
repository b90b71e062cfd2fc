//! Several devices of one identity: how they are let in, seen and removed.

mod view;

pub use view::{
    AddAskingDevice, AskToJoin, CodeBy, DeviceView, InvitationId, InvitationState, InvitationView,
    InviteDevice, JoinDevice, JoinView, KnownAlias, LinkView, NetworkChange, NetworkView, OtherSide,
    PathView, PeerView, Progress, Removal, RevokeDevice, ServerState, ServerView, SpacePeerView,
    SpaceSyncView, SyncView, TurnServer, TurnView,
};
