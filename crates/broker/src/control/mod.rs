//! The control socket: what the `halo` command and other programs of the same user may do to the wallet.
//!
//! Lines of JSON over `control.sock`. A request is `{"id": N, "method": "…", "params": {…}}`; the answer
//! `{"id": N, "result": …}` or `{"id": N, "error": {"code": "…", "message": "…"}}`. A method that streams
//! sends `{"id": N, "item": …}` lines first. Requests of one connection are answered in order.
//!
//! The kernel names the user at the other end; any other user is refused. Buffers that held a request are
//! wiped, since passphrases and phrases come this way. `docs/protocol/broker.md` lists the methods.
//!
//! The attack that remains: whoever runs as this user may do what the user may do.

mod client;
mod collection;
#[cfg(unix)]
mod devices;
#[cfg(unix)]
mod methods;
#[cfg(unix)]
mod requests;
#[cfg(unix)]
mod server;
mod wire;

pub use client::{Client, ControlError, Items};
#[cfg(unix)]
pub(crate) use server::serve;
