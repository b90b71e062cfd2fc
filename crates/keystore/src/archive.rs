//! Files that leave the profile: sealed for their owner, or by a passphrase.
//!
//! ```text
//! "HALOFILE" ‖ version 1 ‖ form ‖ …
//!   form 1, for oneself:      the key derives from the seed that the 24 words bring back
//!   form 2, by a passphrase:  memory KiB, passes, lanes (u32 each, most significant byte first) ‖ salt (16)
//! … ‖ nonce (24) ‖ XChaCha20-Poly1305, everything before the nonce as associated data
//! ```

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use crate::error::KeystoreError;
use crate::kdf::KdfCost;
use crate::keys::Keys;
use crate::labels;
use crate::phrase::Passphrase;
use crate::secret::{Secret, fill};

const MAGIC: &[u8; 9] = b"HALOFILE\x01";
const OWN: u8 = 1;
const BY_PASSPHRASE: u8 = 2;
const NONCE: usize = 24;

const CLOSED: KeystoreError = KeystoreError::SealedValue { what: "file" };

/// Seals and opens files of one kind.
pub struct ArchiveKey {
    head: Vec<u8>,
    key: Secret,
}

/// What opens a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArchiveForm {
    /// The wallet of its owner.
    Own,
    /// A passphrase, at this cost and with this salt.
    Passphrase(KdfCost, [u8; 16]),
}

impl ArchiveForm {
    /// Reads how a file is sealed.
    ///
    /// # Errors
    /// [`KeystoreError::SealedDamaged`] for something else; [`KeystoreError::KdfBelowFloor`] and
    /// [`KeystoreError::KdfAboveCeiling`], before anything is derived.
    pub fn of(file: &[u8]) -> Result<Self, KeystoreError> {
        let not_one = KeystoreError::SealedDamaged { what: "it is no file of HALO" };
        let Some(([form], rest)) = file.strip_prefix(MAGIC).and_then(|rest| rest.split_first_chunk::<1>())
        else {
            return Err(not_one);
        };
        match *form {
            OWN => Ok(Self::Own),
            BY_PASSPHRASE => {
                let read = || -> Option<(KdfCost, [u8; 16])> {
                    let (memory, rest) = rest.split_first_chunk::<4>()?;
                    let (passes, rest) = rest.split_first_chunk::<4>()?;
                    let (lanes, rest) = rest.split_first_chunk::<4>()?;
                    let (salt, _) = rest.split_first_chunk::<16>()?;
                    let cost = KdfCost {
                        memory_kib: u32::from_be_bytes(*memory),
                        iterations: u32::from_be_bytes(*passes),
                        lanes: u32::from_be_bytes(*lanes),
                    };
                    Some((cost, *salt))
                };
                let (cost, salt) = read().ok_or(not_one)?;
                cost.check()?;
                Ok(Self::Passphrase(cost, salt))
            }
            _ => Err(not_one),
        }
    }

    fn head(&self) -> Vec<u8> {
        let mut head = MAGIC.to_vec();
        match self {
            Self::Own => head.push(OWN),
            Self::Passphrase(cost, salt) => {
                head.push(BY_PASSPHRASE);
                for number in [cost.memory_kib, cost.iterations, cost.lanes] {
                    head.extend(number.to_be_bytes());
                }
                head.extend(salt);
            }
        }
        head
    }
}

impl Keys {
    /// Seals and opens files for oneself: with the words, on any device.
    ///
    /// # Errors
    /// [`KeystoreError::SealedValue`] before [`Self::load_alias_seed`].
    pub fn archive_key(&self) -> Result<ArchiveKey, KeystoreError> {
        Ok(ArchiveKey { head: ArchiveForm::Own.head(), key: self.own_seed()?.derive(labels::ARCHIVE, &[]) })
    }
}

impl ArchiveKey {
    /// Seals files by a passphrase. Slow: that is what it is for.
    ///
    /// # Errors
    /// [`KeystoreError::System`].
    pub fn by_passphrase(passphrase: &Passphrase, cost: KdfCost) -> Result<Self, KeystoreError> {
        let mut salt = [0; 16];
        fill(&mut salt)?;
        Self::again(passphrase, cost, salt)
    }

    /// Opens files that say so in their [`ArchiveForm`]. Slow as well.
    ///
    /// # Errors
    /// [`KeystoreError::System`].
    pub fn again(passphrase: &Passphrase, cost: KdfCost, salt: [u8; 16]) -> Result<Self, KeystoreError> {
        let key = cost.derive(passphrase, &salt)?;
        Ok(Self { head: ArchiveForm::Passphrase(cost, salt).head(), key })
    }

    /// Seals a file.
    ///
    /// # Errors
    /// [`KeystoreError::System`] without randomness.
    pub fn seal(&self, plain: &[u8]) -> Result<Vec<u8>, KeystoreError> {
        let mut nonce = [0; NONCE];
        fill(&mut nonce)?;
        let sealed = self
            .cipher()
            .encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: &self.head })
            .map_err(|_| KeystoreError::System { what: "seal" })?;
        Ok([&self.head, nonce.as_slice(), &sealed].concat())
    }

    /// Opens a file.
    ///
    /// # Errors
    /// [`KeystoreError::SealedValue`] if it is another's, was sealed by another passphrase, or was altered.
    pub fn open(&self, file: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeystoreError> {
        let rest = file.strip_prefix(self.head.as_slice()).ok_or(CLOSED)?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE>().ok_or(CLOSED)?;
        self.cipher()
            .decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: &self.head })
            .map(Zeroizing::new)
            .map_err(|_| CLOSED)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.key.expose().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // threat: 31
    #[test]
    fn a_file_opens_by_its_passphrase_and_no_other_and_not_altered() {
        let pass = |text: &str| Passphrase::new(text.to_owned());
        let key = ArchiveKey::by_passphrase(&pass("open sesame"), KdfCost::FLOOR).unwrap();
        let file = key.seal(b"what is in it").unwrap();
        assert!(!file.windows(7).any(|bytes| bytes == b"what is"));
        let ArchiveForm::Passphrase(cost, salt) = ArchiveForm::of(&file).unwrap() else { panic!() };
        let again = ArchiveKey::again(&pass("open sesame"), cost, salt).unwrap();
        assert_eq!(again.open(&file).unwrap().as_slice(), b"what is in it");
        assert!(ArchiveKey::again(&pass("open barley"), cost, salt).unwrap().open(&file).is_err());
        for at in 0..file.len() {
            let mut altered = file.clone();
            altered[at] ^= 1;
            assert!(again.open(&altered).is_err(), "byte {at}");
        }
        assert!(again.open(&file[..file.len() - 1]).is_err());
    }

    #[test]
    fn a_file_that_asks_for_an_absurd_or_a_cheap_derivation_is_refused_before_it() {
        for (cost, wanted) in [
            (KdfCost { memory_kib: u32::MAX, ..KdfCost::FLOOR }, KeystoreError::KdfAboveCeiling),
            (KdfCost { memory_kib: 8, ..KdfCost::FLOOR }, KeystoreError::KdfBelowFloor),
        ] {
            let file = ArchiveForm::Passphrase(cost, [0; 16]).head();
            assert_eq!(ArchiveForm::of(&file).unwrap_err().to_string(), wanted.to_string());
        }
        for bytes in
            [b"".as_slice(), b"HALOFILE", b"HALOFILE\x01", b"HALOFILE\x01\x07", b"HALOFILE\x01\x02abc"]
        {
            assert!(ArchiveForm::of(bytes).is_err());
        }
    }
}
