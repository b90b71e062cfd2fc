//! Thirty-two secret bytes, and how new ones come of them.

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroize;

use crate::error::KeystoreError;

/// Thirty-two secret bytes on the heap, so that moving them leaves no copy; wiped when dropped. Cannot be
/// printed.
pub(crate) struct Secret(Box<[u8; 32]>);

impl Secret {
    /// Fresh randomness.
    pub(crate) fn make() -> Result<Self, KeystoreError> {
        let mut secret = Self::zero();
        fill(secret.0.as_mut_slice())?;
        Ok(secret)
    }

    /// A copy of bytes that somebody else wipes.
    pub(crate) fn copy(bytes: &[u8; 32]) -> Self {
        let mut secret = Self::zero();
        secret.0.copy_from_slice(bytes);
        secret
    }

    /// Derives another secret (HKDF-SHA256, RFC 5869).
    pub(crate) fn derive(&self, label: &[u8], salt: &[u8]) -> Self {
        let mut derived = Self::zero();
        // 32 bytes are fewer than the 8,160 that HKDF-SHA256 can give, so this does not fail.
        let _ = Hkdf::<Sha256>::new(Some(salt), self.0.as_slice()).expand(label, derived.0.as_mut_slice());
        derived
    }

    /// The bytes.
    pub(crate) const fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// The bytes, to be filled in place.
    pub(crate) fn expose_mut(&mut self) -> &mut [u8; 32] {
        &mut self.0
    }

    pub(crate) fn zero() -> Self {
        Self(Box::new([0; 32]))
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Fills with randomness from the operating system.
pub(crate) fn fill(bytes: &mut [u8]) -> Result<(), KeystoreError> {
    getrandom::fill(bytes).map_err(|_| KeystoreError::System { what: "randomness" })
}
