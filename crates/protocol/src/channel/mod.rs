//! The secure channel: one conversation of two devices over changing paths (design §6).
//!
//! A [`Handshake`] makes an [`Established`], and that a [`Session`]. A session numbers and seals what it sends, over
//! whatever paths there are (the relay at once, a direct one when it opens, and back), and hands over what came: each
//! message once, whole, in the order of its stream. Paths may lose, repeat and reorder.
//!
//! * [`Handshake::scanning`] / [`Handshake::showing`] (invitations, Noise NK), [`Handshake::calling`] /
//!   [`Handshake::answering`] (peers, Noise XX), [`Handshake::read`] → [`Step`], [`Established`].
//! * [`Session::new`], [`Session::handle`] with an [`Input`] → [`Effects`], [`Session::deadline`],
//!   [`Session::room`], [`Session::path_in_use`].
//! * [`StreamId::new`] with a [`Priority`]: streams need no opening; a message is at most [`LONGEST_MESSAGE`].
//!   Whoever takes a delivered message out of its own queue says so by [`Input::Taken`], and only then may the peer send
//!   more on that stream.
//!
//! Pure: time comes in, frames go out. The rule it guards: nothing is delivered that the peer of the handshake did not
//! send, and nothing twice, in another order, or with a hole before it. The attack that remains is silence: who owns
//! all paths can stop the conversation, and sees how much is said and when.

mod flight;
mod frame;
mod handshake;
#[cfg(any(test, fuzzing))]
mod hostile;
mod inbox;
mod io;
mod noise;
mod outbox;
mod path;
mod seal;
mod session;
mod stream;

pub use frame::LONGEST_FRAME;
#[cfg(fuzzing)]
pub use frame::fuzz;
pub use handshake::{
    Established, Handshake, HandshakeError, HandshakeHash, LONGEST_HANDSHAKE, OneTimeSecret, Purpose, Role,
    Step,
};
#[cfg(fuzzing)]
pub use hostile::hostile;
pub use io::{Closed, Effect, Effects, Input, Limits, Unsent};
pub use path::{PathId, PathKind};
pub use session::Session;
pub use stream::{LONGEST_MESSAGE, Priority, StreamId};
