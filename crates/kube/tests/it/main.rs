//! The program, as it is run.

mod kube;
#[cfg(target_os = "linux")]
mod namespaces;
#[cfg(target_os = "linux")]
mod process;
mod serving;
mod turn;
