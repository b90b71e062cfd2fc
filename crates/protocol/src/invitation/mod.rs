//! Linking a new device to an account (design §6): code, host and guest.
//!
//! The **host** is the trusted device, the **guest** the new one. They meet where the code says and open a channel
//! by its one-time key (Noise NK); either may have shown the code. Then, on [`STREAM`]:
//!
//! ```text
//! guest → host   Introduce   label and platform
//! host → guest   Welcome     its label, and a commitment to a nonce
//! guest → host   Reply       its nonce, its keys, and its device's signature over all of this and the handshake
//! host → guest   Reveal      the nonce: both know six digits now. The guest shows them, the user types them at the host.
//! host → guest   Accepted    they were right
//! host → guest   Portion…    the admission, which is the wallet's
//! guest → host   Durable     it is kept: both are done
//! ```
//!
//! The rule it guards: a device is admitted if its own key signed this very handshake, and if the digits that *it* showed
//! were typed at a device of the account, at the first attempt. Whoever photographed the code, relays it, or runs the
//! signaller has other digits. The attack that remains is a user who types digits from a stranger's screen, or adds a
//! stranger's [`NewcomerCode`]; the window warns, and every device of the account shows the new one with *Undo*.
//!
//! * [`InvitationCode`] (shown by the host), [`NewcomerCode`] (shown by the guest): `new`, `parse`, `link` / `text`.
//! * [`Rendezvous`]: the handshakes that belong to a code, for whoever has the sockets.
//! * [`Host::offer`], [`Host::add`], [`Host::resume`]; [`Guest::join`], [`Guest::show`]; `handle`, `deadline`, `state`.
//! * [`Confirmed`] is the witness that the wallet admits; [`Digits`], [`State`], [`HostEnded`], [`GuestEnded`].

mod code;
mod digits;
mod guest;
mod host;
mod host_io;
mod message;
mod profile;
mod rendezvous;
mod saved;

use std::time::Duration;

pub use code::{
    Authentication, CodeError, Hint, InvitationCode, Kind, LONGEST_CODE, Meeting, NewcomerCode, WEB_PAGE,
};
pub use digits::Digits;
pub use guest::{Guest, GuestEffect, GuestEnded, GuestInput};
pub use host::Host;
pub use host_io::{Confirmed, EnterError, HostEffect, HostEnded, HostInput};
#[cfg(fuzzing)]
pub use message::fuzz;
pub use message::{GuestKeys, LONGEST_SEALING_KEY, LinkTranscript, Refused};
pub use rendezvous::{Called, Rendezvous};
pub use saved::SavedError;
#[cfg(fuzzing)]
pub use saved::fuzz as fuzz_saved;

use crate::channel::{Priority, StreamId};

/// The stream that host and guest speak on.
pub const STREAM: StreamId = StreamId::new(Priority::Control, 0);
/// How long an invitation lives unless the user says otherwise.
pub const LIFE: Duration = Duration::from_secs(10 * 60);
/// An admission.
pub const LONGEST_ADMISSION: usize = 16 * 1024 * 1024;

/// A guest that came must have said who it is by then, and a host must have answered.
const GREETING: Duration = Duration::from_secs(30);
/// From the right digits to a durable admission.
const ADMITTING: Duration = Duration::from_secs(120);

/// Names a channel to somebody who came, by whoever opened it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// Where an invitation stands, in DXOS's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Made.
    Init,
    /// Waiting for the other one.
    Connecting,
    /// The other one is there.
    Connected,
    /// There are digits to type.
    ReadyForAuthentication,
    /// They were right; the new device is being admitted.
    Authenticating,
    /// It is a device of the account.
    Success,
    /// Somebody thought better of it.
    Cancelled,
    /// The other one was there, and then not for too long.
    Timeout,
    /// It went wrong.
    Error,
    /// Nobody came in time.
    Expired,
}

impl State {
    /// DXOS's name for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Init => "INIT",
            Self::Connecting => "CONNECTING",
            Self::Connected => "CONNECTED",
            Self::ReadyForAuthentication => "READY_FOR_AUTHENTICATION",
            Self::Authenticating => "AUTHENTICATING",
            Self::Success => "SUCCESS",
            Self::Cancelled => "CANCELLED",
            Self::Timeout => "TIMEOUT",
            Self::Error => "ERROR",
            Self::Expired => "EXPIRED",
        }
    }

    /// Whether nothing follows.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Success | Self::Cancelled | Self::Timeout | Self::Error | Self::Expired)
    }
}
