//! The loopback server: who asks, in which dialect.
//!
//! Pages and programs on this machine ask the wallet through here. The broker finds out who they are from
//! what the browser and the kernel say ([`evidence`]), speaks OpenID Connect with them (`openid`), and hands
//! every decision to the wallet. A second door, the control socket ([`control`]), is for the `halo` command
//! of the same user.
//!
//! The rule it guards: nobody learns anything about the user before the user said yes, and afterwards only
//! the one who asked. The attack that remains: a program that runs as the same user with debugger rights.

mod address;
mod broker;
mod clock;
pub mod control;
mod discovery;
mod dxos;
pub mod evidence;
#[cfg(fuzzing)]
pub mod fuzzing;
mod limits;
mod line;
mod native;
mod openid;
mod secret;
mod serve;
mod socket;
mod state;

pub use broker::{Broker, BrokerConfig, Tuning};
pub use error::BrokerError;
pub use limits::Limits;

mod error;
