//! The secure channel: handshakes, and a session in a simulated world.

mod handshake;
mod limits;
mod simulation;
pub(crate) mod world;
