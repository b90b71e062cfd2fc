//! What the tests of several crates need: other processes, a Secret Service, a search through one's own memory, a disk
//! whose power is cut.
//! Never shipped.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a failing test should panic"
)]

#[cfg(target_os = "linux")]
pub mod disk;
pub mod keychain;
pub mod memory;
#[cfg(target_os = "linux")]
pub mod namespaces;
pub mod process;
