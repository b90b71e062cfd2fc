//! What goes into a host, and what comes out.

use super::digits::Digits;
use super::message::{GuestKeys, Refused};
use super::{ConnectionId, State};
use crate::channel::HandshakeHash;
use crate::credential::DeviceProfile;
use crate::keys::{AgreementKey, DeviceKey};

/// Proof that the user typed the digits of exactly this device's handshake, and that the device holds these keys.
///
/// Only [`super::Host::handle`] makes one, and an admission takes it by value.
#[must_use = "dropping it leaves the guest waiting"]
#[derive(Debug)]
pub struct Confirmed {
    keys: GuestKeys,
    profile: DeviceProfile,
}

impl Confirmed {
    pub(super) const fn witness(keys: GuestKeys, profile: DeviceProfile) -> Self {
        Self { keys, profile }
    }

    /// The key that signed the handshake, and the only one to admit.
    #[must_use]
    pub const fn device(&self) -> DeviceKey {
        self.keys.device
    }

    /// The agreement key that was signed with it.
    #[must_use]
    pub const fn agreement(&self) -> AgreementKey {
        self.keys.agreement
    }

    /// What content keys are to be sealed to, signed as well; opaque here.
    #[must_use]
    pub fn sealing(&self) -> &[u8] {
        &self.keys.sealing
    }

    /// What the device says of itself, cleaned.
    #[must_use]
    pub const fn profile(&self) -> &DeviceProfile {
        &self.profile
    }
}

/// Why the guest was not confirmed; each variant is a different next step for the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EnterError {
    /// Make a new invitation: this one can never be used again.
    #[error("the digits did not match, so the invitation was withdrawn")]
    Burnt,
    /// Make a new invitation, and be quicker.
    #[error("the invitation expired {seconds} s ago")]
    Expired {
        /// Whole seconds since then.
        seconds: u64,
    },
    /// Scan the code first.
    #[error("no device has scanned this invitation yet")]
    NobodyThere,
    /// Nothing: the right digits were typed already.
    #[error("the digits were already right")]
    AlreadyRight,
    /// Make a new invitation.
    #[error("the invitation is over")]
    Over,
}

/// What happens to a host.
#[derive(Debug)]
pub enum HostInput {
    /// A handshake of [`super::Host::rendezvous`] is complete.
    Arrived {
        /// A new name.
        connection: ConnectionId,
        /// Of the handshake.
        hash: HandshakeHash,
    },
    /// A guest says something, on [`super::STREAM`].
    Message {
        /// Who.
        connection: ConnectionId,
        /// What.
        bytes: Vec<u8>,
    },
    /// A channel is gone.
    Left {
        /// Whose.
        connection: ConnectionId,
    },
    /// The user typed these.
    Entered(Digits),
    /// The wallet admitted the confirmed guest, durably: this is for it.
    Admission(Vec<u8>),
    /// The wallet cannot admit it.
    NotAdmitted,
    /// The user thought better of it.
    Cancel,
    /// The [`super::Host::deadline`] is here.
    Tick,
}

/// What is to be done.
#[derive(Debug)]
pub enum HostEffect {
    /// Say this on [`super::STREAM`].
    Send {
        /// To whom.
        connection: ConnectionId,
        /// At most 96 KiB.
        message: Vec<u8>,
    },
    /// Close the channel once everything is said.
    Drop {
        /// Whose.
        connection: ConnectionId,
    },
    /// Show this.
    Changed(State),
    /// Show who is there: unproven, but cleaned.
    Guest(DeviceProfile),
    /// Admit this device, then answer with [`HostInput::Admission`] or [`HostInput::NotAdmitted`]. May come again for the same
    /// device after [`super::Host::resume`].
    Confirmed(Confirmed),
    /// What was typed did not confirm anybody.
    NotConfirmed(EnterError),
    /// Keep this, sealed, until [`HostEffect::Ended`], for [`super::Host::resume`]. It holds the one-time secret.
    Save(Vec<u8>),
    /// The invitation is over, and whatever was saved of it is to be removed.
    Ended(HostEnded),
}

/// How an invitation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostEnded {
    /// The device is admitted and has said that it knows.
    Linked,
    /// The device is admitted, and has not said that it knows: it may never have been told.
    Unseen,
    /// Nobody was admitted.
    Nobody {
        /// Why.
        why: Refused,
    },
}
