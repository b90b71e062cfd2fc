//! Secrets that a window typed, on their way to the wallet.

use halo_wallet::Passphrase;
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

/// Text that is wiped when dropped and that nothing can print.
pub(crate) struct Secret(Zeroizing<String>);

impl Secret {
    /// As a passphrase.
    pub(crate) fn into_passphrase(mut self) -> Passphrase {
        Passphrase::new(std::mem::take(&mut *self.0))
    }

    /// As it was typed.
    pub(crate) fn into_text(self) -> Zeroizing<String> {
        self.0
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}
