//! Meshes and signallers in one process, over loopback.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a failing test should panic")]

mod hostile;
mod meet;
mod paths;
mod signaller;
mod world;
