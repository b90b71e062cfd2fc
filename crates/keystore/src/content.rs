//! Content keys: they seal the blocks of a space, and come sealed to each device in an epoch.

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use halo_protocol::epoch::{Epoch, SEAL_INFO, SealedKey};
use halo_protocol::feed::{BlockHeader, EpochId};
use halo_protocol::{AgreementKey, FeedKey, SpaceKey};
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable, single_shot_open, single_shot_seal};
use zeroize::Zeroizing;

use crate::error::KeystoreError;
use crate::keys::Keys;
use crate::labels;
use crate::secret::{Secret, fill};

type Suite = X25519HkdfSha256;

const CLOSED: KeystoreError = KeystoreError::SealedValue { what: "content key" };
const UNSEALABLE: KeystoreError = KeystoreError::System { what: "seal" };

/// The content key of an epoch; wiped when dropped.
pub struct ContentKey(Secret);

impl Keys {
    /// Begins an epoch: a fresh content key, sealed to each recipient.
    ///
    /// # Errors
    /// [`KeystoreError::System`] without randomness, or for a recipient whose key agrees on nothing.
    pub fn begin_epoch(
        &self,
        space: SpaceKey,
        number: u64,
        previous: Vec<EpochId>,
        recipients: &[AgreementKey],
    ) -> Result<(Epoch, ContentKey), KeystoreError> {
        let content = Secret::make()?;
        let mut epoch = Epoch { space, number, previous, keys: Vec::new() };
        let associated = epoch.associated();
        for recipient in recipients {
            let key = <Suite as Kem>::PublicKey::from_bytes(recipient.as_bytes()).map_err(|_| UNSEALABLE)?;
            let (encapsulated, sealed) = single_shot_seal::<ChaCha20Poly1305, HkdfSha256, Suite>(
                &OpModeS::Base,
                &key,
                SEAL_INFO,
                content.expose(),
                &associated,
            )
            .map_err(|_| UNSEALABLE)?;
            epoch.keys.push(SealedKey {
                recipient: *recipient,
                encapsulated: encapsulated.to_bytes().into(),
                sealed: sealed.try_into().map_err(|_| UNSEALABLE)?,
            });
        }
        Ok((epoch, ContentKey(content)))
    }

    /// Opens the content key of an epoch that names this device.
    ///
    /// # Errors
    /// [`KeystoreError::SealedValue`] if it does not, or was altered.
    pub fn open_epoch(&self, epoch: &Epoch) -> Result<ContentKey, KeystoreError> {
        let ours = self.agreement_key();
        let sealed = epoch.keys.iter().find(|key| key.recipient == ours).ok_or(CLOSED)?;
        let secret = self.root.derive(labels::DEVICE_AGREEMENT, &[]);
        let secret = <Suite as Kem>::PrivateKey::from_bytes(secret.expose()).map_err(|_| CLOSED)?;
        let encapsulated =
            <Suite as Kem>::EncappedKey::from_bytes(&sealed.encapsulated).map_err(|_| CLOSED)?;
        let opened = single_shot_open::<ChaCha20Poly1305, HkdfSha256, Suite>(
            &OpModeR::Base,
            &secret,
            &encapsulated,
            SEAL_INFO,
            &sealed.sealed,
            &epoch.associated(),
        );
        let opened = Zeroizing::new(opened.map_err(|_| CLOSED)?);
        let bytes = <&[u8; 32]>::try_from(opened.as_slice()).map_err(|_| CLOSED)?;
        Ok(ContentKey(Secret::copy(bytes)))
    }
}

impl ContentKey {
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

    fn cipher(&self, feed: &FeedKey) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.0.derive(labels::BLOCK, feed.as_bytes()).expose().into())
    }
}
