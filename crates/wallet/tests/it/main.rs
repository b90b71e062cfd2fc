//! The façade, driven as window, command line and broker drive it.

mod approvals;
mod identity;
mod lifecycle;
mod tokens;
mod world;
