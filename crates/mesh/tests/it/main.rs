//! Meshes and signallers in one process, over loopback.

mod hostile;
mod meet;
mod paths;
mod signaller;
mod world;
