//! The keys of an unlocked device. They stay inside.

use std::sync::Arc;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use halo_protocol::{AgreementKey, DeviceKey, HybridKey, SealTo, SpaceKey};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use crate::error::KeystoreError;
use crate::hpke_box::{self, Opener};
use crate::labels;
use crate::phrase::Phrase;
use crate::record::ProfileId;
use crate::secret::{Secret, fill};
use crate::seeds::Seeds;
use crate::signers::{ClientSigner, DeviceSigner, FeedSigner, IdentitySigner, SpaceSigner};

/// The keys of an unlocked device; wiped when dropped.
pub struct Keys {
    pub(crate) root: Secret,
    profile: ProfileId,
    device: Arc<DeviceSigner>,
    agreement: AgreementKey,
    hybrid: HybridKey,
    pub(crate) seeds: Option<Seeds>,
}

/// The secrets of an identity: 32 bytes that the 24 words spell.
pub struct IdentitySecrets {
    pub(crate) phrase: Phrase,
}

/// What a sealed value is; bound into its seal.
#[derive(Clone, Copy)]
enum Slot {
    Identity,
    AliasSeed,
    Mark,
}

impl Slot {
    const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::AliasSeed => "alias seed",
            Self::Mark => "mark",
        }
    }
}

impl Keys {
    pub(crate) fn new(root: Secret, profile: ProfileId) -> Result<Self, KeystoreError> {
        let device = DeviceSigner::new(root.derive(labels::DEVICE_SIGNING, &[])).ok_or(WEAK)?;
        let agreement = root.derive(labels::DEVICE_AGREEMENT, &[]);
        let agreement = PublicKey::from(&StaticSecret::from(*agreement.expose()));
        let agreement = AgreementKey::from_bytes(agreement.as_bytes()).map_err(|_| WEAK)?;
        let hybrid = hpke_box::hybrid_key(&root.derive(labels::DEVICE_HYBRID, &[])).ok_or(WEAK)?;
        Ok(Self { root, profile, device: Arc::new(device), agreement, hybrid, seeds: None })
    }

    /// Signs as this device.
    #[must_use]
    pub fn device(&self) -> Arc<DeviceSigner> {
        self.device.clone()
    }

    /// This device's signing key.
    #[must_use]
    pub fn device_key(&self) -> DeviceKey {
        self.device.device_key()
    }

    /// This device's agreement key.
    #[must_use]
    pub const fn agreement_key(&self) -> AgreementKey {
        self.agreement
    }

    /// The key to which others seal for this device.
    #[must_use]
    pub const fn hybrid_key(&self) -> &HybridKey {
        &self.hybrid
    }

    pub(crate) fn opener(&self) -> Opener {
        Opener {
            agreement: Some((self.agreement, self.root.derive(labels::DEVICE_AGREEMENT, &[]))),
            hybrid: (self.hybrid.id(), self.root.derive(labels::DEVICE_HYBRID, &[])),
        }
    }

    /// Lends the key of the database.
    pub fn with_store_key<T>(&self, borrow: impl FnOnce(&[u8; 32]) -> T) -> T {
        borrow(self.root.derive(labels::STORE, &[]).expose())
    }

    /// Makes the secrets of a new identity.
    ///
    /// # Errors
    /// [`KeystoreError::System`] without randomness.
    pub fn make_identity(&self) -> Result<IdentitySecrets, KeystoreError> {
        Ok(IdentitySecrets { phrase: Phrase(Secret::make()?) })
    }

    /// The secrets that the words of an identity spell.
    #[must_use]
    pub fn identity_from_phrase(&self, phrase: Phrase) -> IdentitySecrets {
        IdentitySecrets { phrase }
    }

    /// Seals an identity's secrets for the store.
    ///
    /// # Errors
    /// [`KeystoreError::System`] without randomness.
    pub fn seal_identity(&self, identity: &IdentitySecrets) -> Result<Vec<u8>, KeystoreError> {
        self.seal(Slot::Identity, identity.phrase.0.expose())
    }

    /// Opens what [`Self::seal_identity`] sealed on this device.
    ///
    /// # Errors
    /// [`KeystoreError::SealedValue`].
    pub fn open_identity(&self, sealed: &[u8]) -> Result<IdentitySecrets, KeystoreError> {
        Ok(IdentitySecrets { phrase: Phrase(self.open_secret(Slot::Identity, sealed)?) })
    }

    /// Signs ID tokens for one app.
    ///
    /// # Errors
    /// [`KeystoreError::System`], for one app in 2^250.
    pub fn client(&self, client_id: &str) -> Result<ClientSigner, KeystoreError> {
        let broker = self.root.derive(labels::BROKER, &[]);
        ClientSigner::new(broker.derive(labels::CLIENT, client_id.as_bytes())).ok_or(WEAK)
    }

    /// Signs as a space that is made on this device.
    ///
    /// # Errors
    /// [`KeystoreError::System`], for one space in 2^250.
    pub fn space(&self, root_document: &[u8; 16]) -> Result<SpaceSigner, KeystoreError> {
        SpaceSigner::new(self.root.derive(labels::SPACE, root_document)).ok_or(WEAK)
    }

    /// Signs as the identity's HALO space: the same on all its devices, and after a recovery.
    ///
    /// # Errors
    /// [`KeystoreError::SealedValue`] before [`Self::load_alias_seed`].
    pub fn halo_space(&self) -> Result<SpaceSigner, KeystoreError> {
        SpaceSigner::new(self.own_seed()?.derive(labels::HALO_SPACE, &[])).ok_or(WEAK)
    }

    /// What the id of the HALO space's directory is made of, 16 bytes: the same on all devices.
    ///
    /// # Errors
    /// [`KeystoreError::SealedValue`] before [`Self::load_alias_seed`].
    pub fn halo_document(&self) -> Result<[u8; 16], KeystoreError> {
        let derived = self.own_seed()?.derive(labels::HALO_DOCUMENT, &[]);
        let mut id = [0; 16];
        id.iter_mut().zip(derived.expose()).for_each(|(to, from)| *to = *from);
        Ok(id)
    }

    /// Signs what this device says in one space.
    ///
    /// # Errors
    /// [`KeystoreError::System`], for one space in 2^250.
    pub fn feed(&self, space: &SpaceKey) -> Result<FeedSigner, KeystoreError> {
        FeedSigner::new(self.root.derive(labels::FEED, space.as_bytes())).ok_or(WEAK)
    }

    pub(crate) fn seal_mark(&self, mark: &[u8]) -> Result<Vec<u8>, KeystoreError> {
        self.seal(Slot::Mark, mark)
    }

    pub(crate) fn open_mark(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeystoreError> {
        self.open(Slot::Mark, sealed)
    }

    /// nonce (24) ‖ XChaCha20-Poly1305; slot and profile are associated data.
    fn seal(&self, slot: Slot, plain: &[u8]) -> Result<Vec<u8>, KeystoreError> {
        let mut nonce = [0; 24];
        fill(&mut nonce)?;
        let sealed = self
            .cipher()
            .encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: &self.associated(slot) })
            .map_err(|_| KeystoreError::System { what: "seal" })?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    pub(crate) fn seal_seeds(&self, plain: &[u8]) -> Result<Vec<u8>, KeystoreError> {
        self.seal(Slot::AliasSeed, plain)
    }

    pub(crate) fn open_seeds(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeystoreError> {
        self.open(Slot::AliasSeed, sealed)
    }

    fn open(&self, slot: Slot, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeystoreError> {
        let closed = KeystoreError::SealedValue { what: slot.name() };
        let Some((nonce, sealed)) = sealed.split_first_chunk::<24>() else { return Err(closed) };
        self.cipher()
            .decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: &self.associated(slot) })
            .map(Zeroizing::new)
            .map_err(|_| closed)
    }

    fn open_secret(&self, slot: Slot, sealed: &[u8]) -> Result<Secret, KeystoreError> {
        let plain = self.open(slot, sealed)?;
        let bytes = <&[u8; 32]>::try_from(plain.as_slice());
        bytes.map(Secret::copy).map_err(|_| KeystoreError::SealedValue { what: slot.name() })
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.root.derive(labels::SEALING, &[]).expose().into())
    }

    fn associated(&self, slot: Slot) -> Vec<u8> {
        [b"halo sealed v1\0", slot.name().as_bytes(), b"\0", self.profile.as_bytes()].concat()
    }
}

/// A derived key that is none; happens to nobody.
pub(crate) const WEAK: KeystoreError = KeystoreError::System { what: "usable key" };

impl IdentitySecrets {
    /// Signs as the identity.
    ///
    /// # Errors
    /// [`KeystoreError::System`], for one identity in 2^250.
    pub fn signer(&self) -> Result<IdentitySigner, KeystoreError> {
        IdentitySigner::new(self.phrase.0.derive(labels::IDENTITY, &[])).ok_or(WEAK)
    }

    /// The key to seal to what the words shall bring back.
    ///
    /// # Errors
    /// [`KeystoreError::System`], which happens to nobody.
    pub fn recovery_key(&self) -> Result<SealTo, KeystoreError> {
        self.recovery_hybrid_key().map(SealTo::Hybrid)
    }

    /// The same, for the credential that makes it known.
    ///
    /// # Errors
    /// As [`Self::recovery_key`].
    pub fn recovery_hybrid_key(&self) -> Result<HybridKey, KeystoreError> {
        hpke_box::hybrid_key(&self.phrase.0.derive(labels::RECOVERY, &[])).ok_or(WEAK)
    }

    pub(crate) fn opener(&self) -> Result<Opener, KeystoreError> {
        let id = self.recovery_hybrid_key()?.id();
        Ok(Opener { agreement: None, hybrid: (id, self.phrase.0.derive(labels::RECOVERY, &[])) })
    }

    /// Where whoever has nothing but the words looks for the HALO space: 32 secret bytes.
    #[must_use]
    pub fn halo_address(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(*self.phrase.0.derive(labels::HALO_ADDRESS, &[]).expose())
    }

    /// The words.
    #[must_use]
    pub const fn phrase(&self) -> &Phrase {
        &self.phrase
    }
}
