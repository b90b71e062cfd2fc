//! Several devices of one identity: how they are let in, seen and removed.

mod admission;
mod attempt;
mod desk;
mod devices;
mod here;
mod invite;
mod join;
mod net;
mod outbox;
mod peers;
mod refused;
mod snapshots;
mod talk;
mod view;
mod wire;

pub(crate) use invite::Hosting;
pub(crate) use join::Joining;
pub(crate) use net::{Net, NetworkSettings, spawn};
pub use net::{NetworkOptions, server_url};
pub(crate) use peers::Peers;
pub(crate) use refused::Outcomes;

use halo_protocol::invitation::Refused;

use crate::view::Trouble;

pub use view::{
    AddAskingDevice, AgreeDevice, AskToJoin, BroughtView, CodeBy, DeviceView, Hindrance, InvitationId,
    InvitationState, InvitationView, InviteDevice, JoinDevice, JoinView, KnownAlias, LinkView, NetworkChange,
    NetworkView, OtherSide, PathView, PeerView, Progress, RefusedView, Removal, RevokeDevice, ServerState,
    ServerView, SpacePeerView, SpaceSyncView, SyncView, TurnServer, TurnView,
};

/// Why nobody was let in, by a code for each next step.
fn refusal(why: Refused) -> Trouble {
    let code = match why {
        Refused::Taken => "invitation.taken",
        Refused::Burnt => "invitation.burnt",
        Refused::Cancelled => "invitation.cancelled",
        Refused::Expired => "invitation.expired",
        Refused::Used => "invitation.used",
        Refused::Misunderstood => "invitation.misunderstood",
        Refused::Failed => "invitation.failed",
    };
    Trouble { code: code.to_owned(), message: why.to_string() }
}

#[cfg(test)]
pub(crate) mod tests;
