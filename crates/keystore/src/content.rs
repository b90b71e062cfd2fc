//! Content keys: they seal the blocks of a space, and come sealed to each device in an epoch.

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use halo_protocol::credential::CredentialId;
use halo_protocol::epoch::{Epoch, EpochShare, SEAL_INFO, SHARE_INFO, SealedKey};
use halo_protocol::feed::{BlockHeader, EpochId};
use halo_protocol::snapshot::associated;
use halo_protocol::{FeedKey, SealTo, SpaceKey};
use zeroize::Zeroizing;

use crate::error::KeystoreError;
use crate::hpke_box::{self, Opener};
use crate::keys::{IdentitySecrets, Keys};
use crate::labels;
use crate::secret::{Secret, fill};

const CLOSED: KeystoreError = KeystoreError::SealedValue { what: "content key" };
const UNSEALABLE: KeystoreError = KeystoreError::System { what: "seal" };

/// The content key of an epoch; wiped when dropped.
pub struct ContentKey(Secret);

impl Keys {
    /// Begins an epoch, after the revocations that hold: a fresh content key, sealed to each recipient.
    ///
    /// # Errors
    /// [`KeystoreError::System`] without randomness, or for a recipient whose key agrees on nothing.
    pub fn begin_epoch(
        &self,
        space: SpaceKey,
        number: u64,
        previous: Vec<EpochId>,
        after: Vec<CredentialId>,
        recipients: &[SealTo],
    ) -> Result<(Epoch, ContentKey), KeystoreError> {
        let content = ContentKey(Secret::make()?);
        let mut epoch = Epoch { space, number, previous, after, keys: Vec::new() };
        let associated = epoch.associated();
        let seal = |to| content.sealed_to(to, SEAL_INFO, &associated);
        epoch.keys = recipients.iter().map(seal).collect::<Result<_, _>>()?;
        Ok((epoch, content))
    }

    /// Opens the content key of an epoch that names this device.
    ///
    /// # Errors
    /// [`KeystoreError::SealedValue`] if it does not, or was altered.
    pub fn open_epoch(&self, epoch: &Epoch) -> Result<ContentKey, KeystoreError> {
        opened(&self.opener(), epoch)
    }

    /// Gives the content key of an epoch to one who came later.
    ///
    /// # Errors
    /// [`KeystoreError::System`] without randomness, or for a recipient whose key agrees on nothing.
    pub fn share_epoch(
        &self,
        epoch: EpochId,
        content: &ContentKey,
        to: &SealTo,
    ) -> Result<EpochShare, KeystoreError> {
        let associated = EpochShare::associated(&epoch, &to.name());
        Ok(EpochShare { epoch, key: content.sealed_to(to, SHARE_INFO, &associated)? })
    }

    /// Opens a content key that was given to this device.
    ///
    /// # Errors
    /// [`KeystoreError::SealedValue`] if it was given to another, or was altered.
    pub fn open_share(&self, share: &EpochShare) -> Result<ContentKey, KeystoreError> {
        opened_share(&self.opener(), share)
    }
}

impl IdentitySecrets {
    /// Opens the content key of an epoch that is sealed to the recovery key.
    ///
    /// # Errors
    /// [`KeystoreError::SealedValue`] if it is not, or was altered.
    pub fn open_epoch(&self, epoch: &Epoch) -> Result<ContentKey, KeystoreError> {
        opened(&self.opener()?, epoch)
    }

    /// Opens a content key that was given to the recovery key.
    ///
    /// # Errors
    /// [`KeystoreError::SealedValue`] if it was not, or was altered.
    pub fn open_share(&self, share: &EpochShare) -> Result<ContentKey, KeystoreError> {
        opened_share(&self.opener()?, share)
    }
}

fn opened(opener: &Opener, epoch: &Epoch) -> Result<ContentKey, KeystoreError> {
    let associated = epoch.associated();
    let mut own = epoch.keys.iter().filter(|key| opener.is(&key.recipient));
    own.find_map(|key| opened_key(opener, key, SEAL_INFO, &associated)).ok_or(CLOSED)
}

fn opened_share(opener: &Opener, share: &EpochShare) -> Result<ContentKey, KeystoreError> {
    let associated = EpochShare::associated(&share.epoch, &share.key.recipient);
    opened_key(opener, &share.key, SHARE_INFO, &associated).ok_or(CLOSED)
}

fn opened_key(opener: &Opener, key: &SealedKey, info: &[u8], associated: &[u8]) -> Option<ContentKey> {
    let opened = opener.open(&key.recipient, info, &key.encapsulated, &key.sealed, associated)?;
    Some(ContentKey(Secret::copy(<&[u8; 32]>::try_from(opened.as_slice()).ok()?)))
}

impl ContentKey {
    fn sealed_to(&self, to: &SealTo, info: &[u8], associated: &[u8]) -> Result<SealedKey, KeystoreError> {
        let boxed = hpke_box::seal(to, info, self.0.expose(), associated).ok_or(UNSEALABLE)?;
        Ok(SealedKey {
            recipient: to.name(),
            encapsulated: boxed.encapsulated,
            sealed: boxed.sealed.try_into().map_err(|_| UNSEALABLE)?,
        })
    }

    /// Seals the payload of a block: nonce (24) ‖ XChaCha20-Poly1305 under a key of this feed, the header as
    /// associated data.
    ///
    /// # Errors
    /// [`KeystoreError::System`] without randomness.
    pub fn seal(&self, header: &BlockHeader, payload: &[u8]) -> Result<Vec<u8>, KeystoreError> {
        // Random, since a block that a crash undid is written again with its number and another payload.
        let mut nonce = [0; 24];
        fill(&mut nonce)?;
        let sealed = self
            .cipher(&header.feed)
            .encrypt(&XNonce::from(nonce), Payload { msg: payload, aad: &header.associated() })
            .map_err(|_| UNSEALABLE)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// Opens the payload of a block.
    ///
    /// # Errors
    /// [`KeystoreError::SealedValue`] if it was altered, or is another block's.
    pub fn open(&self, header: &BlockHeader, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeystoreError> {
        let closed = KeystoreError::SealedValue { what: "block" };
        let Some((nonce, sealed)) = sealed.split_first_chunk::<24>() else { return Err(closed) };
        self.cipher(&header.feed)
            .decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: &header.associated() })
            .map(Zeroizing::new)
            .map_err(|_| closed)
    }

    /// Seals a part of a snapshot that the device of this feed makes: nonce (24) ‖ XChaCha20-Poly1305, the maker and the
    /// number as associated data.
    ///
    /// # Errors
    /// [`KeystoreError::System`] without randomness.
    pub fn seal_part(&self, by: &FeedKey, number: u64, part: &[u8]) -> Result<Vec<u8>, KeystoreError> {
        let mut nonce = [0; 24];
        fill(&mut nonce)?;
        let sealed = self
            .snapshot_cipher(by)
            .encrypt(&XNonce::from(nonce), Payload { msg: part, aad: &associated(by, number) })
            .map_err(|_| UNSEALABLE)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// Opens a part of a snapshot.
    ///
    /// # Errors
    /// [`KeystoreError::SealedValue`] if it was altered, or is another part.
    pub fn open_part(
        &self,
        by: &FeedKey,
        number: u64,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeystoreError> {
        let closed = KeystoreError::SealedValue { what: "part of a snapshot" };
        let Some((nonce, sealed)) = sealed.split_first_chunk::<24>() else { return Err(closed) };
        self.snapshot_cipher(by)
            .decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: &associated(by, number) })
            .map(Zeroizing::new)
            .map_err(|_| closed)
    }

    /// What comes of it besides ciphers.
    pub(crate) fn derive(&self, label: &[u8]) -> Secret {
        self.0.derive(label, &[])
    }

    fn cipher(&self, feed: &FeedKey) -> XChaCha20Poly1305 {
        self.keyed(labels::BLOCK, feed)
    }

    fn snapshot_cipher(&self, by: &FeedKey) -> XChaCha20Poly1305 {
        self.keyed(labels::SNAPSHOT, by)
    }

    fn keyed(&self, label: &[u8], feed: &FeedKey) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.0.derive(label, feed.as_bytes()).expose().into())
    }
}
