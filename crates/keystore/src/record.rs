//! The bytes in which a root sleeps, in a keychain entry or a file.
//!
//! ```text
//! "HALOROOT" ‖ version 1 ‖ form ‖ profile id (16) ‖ …
//!   form 0, in a keychain only:  root (32)
//!   form 1, sealed:              memory KiB, passes, lanes (u32 each, most significant byte first) ‖ salt (16)
//!                                ‖ nonce (24) ‖ XChaCha20-Poly1305 of the root (48), all before the nonce as
//!                                associated data
//! … ‖ SHA-256 of everything before (32)
//! ```
//!
//! The hash tells damage from a wrong passphrase; it protects against accidents only, the seal against people.

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, Tag, XChaCha20Poly1305, XNonce};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::error::KeystoreError;
use crate::kdf::KdfCost;
use crate::phrase::Passphrase;
use crate::secret::{Secret, fill};

const MAGIC: &[u8; 8] = b"HALOROOT";
const VERSION: u8 = 1;
const PLAIN: u8 = 0;
const SEALED: u8 = 1;

/// Names a profile: 16 random bytes, the account of its keychain entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProfileId([u8; 16]);

impl ProfileId {
    pub(crate) fn make() -> Result<Self, KeystoreError> {
        let mut id = [0; 16];
        fill(&mut id)?;
        Ok(Self(id))
    }

    pub(crate) fn parse(hex: &str) -> Option<Self> {
        HEXLOWER.decode(hex.as_bytes()).ok()?.try_into().ok().map(Self)
    }

    pub(crate) fn hex(self) -> String {
        HEXLOWER.encode(&self.0)
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// A root as it sleeps.
pub(crate) enum Record {
    /// In the clear: for keychains only.
    Plain(Secret),
    /// Under a passphrase.
    Sealed(Box<SealedRoot>),
}

/// A root under a passphrase.
pub(crate) struct SealedRoot {
    cost: KdfCost,
    salt: [u8; 16],
    nonce: [u8; 24],
    ciphertext: [u8; 48],
}

impl Record {
    /// Reads a record; length first, then structure.
    pub(crate) fn decode(bytes: &[u8], profile: ProfileId) -> Result<Self, KeystoreError> {
        let damaged = |what| KeystoreError::SealedDamaged { what };
        let cut = || damaged("it is cut short");
        if bytes.len() > 256 {
            return Err(damaged("it is too long"));
        }
        let (body, hash) = bytes.split_last_chunk::<32>().ok_or_else(cut)?;
        let mut rest = body;
        if take::<8>(&mut rest).ok_or_else(cut)? != MAGIC {
            return Err(damaged("it is something else"));
        }
        let [version] = *take::<1>(&mut rest).ok_or_else(cut)?;
        if version > VERSION {
            return Err(KeystoreError::NewerFormat { found: version });
        }
        if Sha256::digest(body).as_slice() != hash || version != VERSION {
            return Err(damaged("a byte was changed"));
        }
        let [form] = *take::<1>(&mut rest).ok_or_else(cut)?;
        if take::<16>(&mut rest).ok_or_else(cut)? != profile.as_bytes() {
            return Err(KeystoreError::RootMismatch);
        }
        match form {
            PLAIN => {
                let root = Secret::copy(take(&mut rest).ok_or_else(cut)?);
                if rest.is_empty() { Ok(Self::Plain(root)) } else { Err(damaged("it is too long")) }
            }
            SEALED => {
                let mut number = || take::<4>(&mut rest).map(|bytes| u32::from_be_bytes(*bytes));
                let (memory_kib, iterations, lanes) = (number(), number(), number());
                let cost = KdfCost {
                    memory_kib: memory_kib.ok_or_else(cut)?,
                    iterations: iterations.ok_or_else(cut)?,
                    lanes: lanes.ok_or_else(cut)?,
                };
                cost.check()?;
                let salt = *take(&mut rest).ok_or_else(cut)?;
                let nonce = *take(&mut rest).ok_or_else(cut)?;
                let ciphertext = *take(&mut rest).ok_or_else(cut)?;
                if !rest.is_empty() {
                    return Err(damaged("it is too long"));
                }
                Ok(Self::Sealed(Box::new(SealedRoot { cost, salt, nonce, ciphertext })))
            }
            _ => Err(damaged("its form is unknown")),
        }
    }

    /// Writes a root in the clear, for a keychain.
    pub(crate) fn plain(root: &Secret, profile: ProfileId) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(128));
        bytes.extend_from_slice(&head(PLAIN, profile));
        bytes.extend_from_slice(root.expose());
        finish(&mut bytes);
        bytes
    }

    /// Writes a root under a passphrase. Slow.
    pub(crate) fn seal(
        root: &Secret,
        profile: ProfileId,
        passphrase: &Passphrase,
        cost: KdfCost,
    ) -> Result<Zeroizing<Vec<u8>>, KeystoreError> {
        let (mut salt, mut nonce) = ([0; 16], [0; 24]);
        fill(&mut salt)?;
        fill(&mut nonce)?;
        let associated = associated(profile, cost, &salt);
        let key = cost.derive(passphrase, &salt)?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(256));
        bytes.extend_from_slice(&associated);
        bytes.extend_from_slice(&nonce);
        let mut sealed = Zeroizing::new(*root.expose());
        let cipher = XChaCha20Poly1305::new(key.expose().into());
        let tag = cipher
            .encrypt_inout_detached(&XNonce::from(nonce), &associated, sealed.as_mut_slice().into())
            .map_err(|_| KeystoreError::System { what: "seal" })?;
        bytes.extend_from_slice(sealed.as_slice());
        bytes.extend_from_slice(&tag);
        finish(&mut bytes);
        Ok(bytes)
    }
}

impl SealedRoot {
    /// Opens with the passphrase. Slow: that is what it is for.
    pub(crate) fn open(&self, profile: ProfileId, passphrase: &Passphrase) -> Result<Secret, KeystoreError> {
        let key = self.cost.derive(passphrase, &self.salt)?;
        let associated = associated(profile, self.cost, &self.salt);
        let (sealed, tag) = self.ciphertext.split_last_chunk::<16>().ok_or(KeystoreError::WrongPassphrase)?;
        let mut root = Secret::zero();
        root.expose_mut().copy_from_slice(sealed);
        XChaCha20Poly1305::new(key.expose().into())
            .decrypt_inout_detached(
                &XNonce::from(self.nonce),
                &associated,
                root.expose_mut().as_mut_slice().into(),
                &Tag::from(*tag),
            )
            .map_err(|_| KeystoreError::WrongPassphrase)?;
        Ok(root)
    }
}

fn head(form: u8, profile: ProfileId) -> Vec<u8> {
    [MAGIC.as_slice(), &[VERSION, form], profile.as_bytes()].concat()
}

fn associated(profile: ProfileId, cost: KdfCost, salt: &[u8; 16]) -> Vec<u8> {
    let mut bytes = head(SEALED, profile);
    for number in [cost.memory_kib, cost.iterations, cost.lanes] {
        bytes.extend_from_slice(&number.to_be_bytes());
    }
    bytes.extend_from_slice(salt);
    bytes
}

fn finish(bytes: &mut Vec<u8>) {
    let hash = Sha256::digest(bytes.as_slice());
    bytes.extend_from_slice(&hash);
}

fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (taken, left) = rest.split_first_chunk::<N>()?;
    *rest = left;
    Some(taken)
}

/// Reads any bytes as a record, for `fuzz/`.
#[cfg(fuzzing)]
pub fn fuzz(bytes: &[u8]) {
    let _ = Record::decode(bytes, ProfileId([0; 16]));
}
