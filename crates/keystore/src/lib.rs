//! Where secrets sleep: the device root in the keychain of the operating system, or sealed by a passphrase.
//!
//! One random root a device; everything else is derived from it. Keys stay inside: others ask [`Keys`] to sign a
//! kind of statement, to seal or to open; only the store key leaves, lent to a closure. The rule it guards: a
//! root is never on a disk in the clear, and nothing that goes wrong here destroys anything. The attack that
//! remains is a program with debugger rights as the same user while the wallet is unlocked.

mod archive;
mod content;
mod dxos;
mod error;
mod files;
mod hpke_box;
mod kdf;
mod keychain;
mod keys;
mod keystore;
mod labels;
mod peers;
mod phrase;
mod record;
mod secret;
mod seeds;
mod signers;

pub use archive::{ArchiveForm, ArchiveKey};
pub use content::ContentKey;
pub use dxos::{DxosRole, DxosSigner};
pub use error::{KeychainError, KeystoreError};
pub use kdf::{KdfCost, calibrate};
pub use keychain::{Keychain, KeychainState, MemoryKeychain, OsKeychain, probe};
pub use keys::{IdentitySecrets, Keys};
pub use keystore::{KeychainChoice, Keystore, NewKeystore, Place, StoreMark};
pub use peers::PeerKeys;
pub use phrase::{Passphrase, Phrase};
pub use record::ProfileId;
#[cfg(fuzzing)]
pub use record::fuzz;
pub use seeds::AliasSeed;
pub use signers::{AliasSigner, ClientSigner, DeviceSigner, FeedSigner, IdentitySigner, SpaceSigner};
