//! Sealing to somebody's public key, and opening what was sealed to one's own: HPKE (RFC 9180) in base mode with
//! HKDF-SHA256 and ChaCha20-Poly1305, over X25519 or X-Wing (ML-KEM-768 with X25519).

use halo_protocol::{AgreementKey, HybridId, HybridKey, Recipient, SealTo};
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::{X25519HkdfSha256, XWing};
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable, single_shot_open, single_shot_seal};
use zeroize::Zeroizing;

use crate::secret::Secret;

/// Bytes of an encapsulated key.
pub(crate) const fn encapsulated_length(recipient: &Recipient) -> usize {
    match recipient {
        Recipient::Agreement(_) => 32,
        Recipient::Hybrid(_) => 1_120,
    }
}

/// What came of sealing.
pub(crate) struct Boxed {
    pub(crate) encapsulated: Vec<u8>,
    pub(crate) sealed: Vec<u8>,
}

/// Seals; `None` for a key that is none.
pub(crate) fn seal(to: &SealTo, info: &[u8], plain: &[u8], associated: &[u8]) -> Option<Boxed> {
    match to {
        SealTo::Agreement(key) => seal_with::<X25519HkdfSha256>(key.as_bytes(), info, plain, associated),
        SealTo::Hybrid(key) => seal_with::<XWing>(key.as_bytes(), info, plain, associated),
    }
}

fn seal_with<K: Kem>(key: &[u8], info: &[u8], plain: &[u8], associated: &[u8]) -> Option<Boxed> {
    let key = K::PublicKey::from_bytes(key).ok()?;
    let (encapsulated, sealed) =
        single_shot_seal::<ChaCha20Poly1305, HkdfSha256, K>(&OpModeS::Base, &key, info, plain, associated)
            .ok()?;
    Some(Boxed { encapsulated: encapsulated.to_bytes().to_vec(), sealed })
}

/// The public key of an X-Wing secret.
pub(crate) fn hybrid_key(secret: &Secret) -> Option<HybridKey> {
    let secret = <XWing as Kem>::PrivateKey::from_bytes(secret.expose()).ok()?;
    HybridKey::from_bytes(&XWing::sk_to_pk(&secret).to_bytes()).ok()
}

/// The secret halves of one's own keys.
pub(crate) struct Opener {
    pub(crate) agreement: Option<(AgreementKey, Secret)>,
    pub(crate) hybrid: (HybridId, Secret),
}

impl Opener {
    /// Whether something sealed to this recipient is for us.
    pub(crate) fn is(&self, recipient: &Recipient) -> bool {
        match recipient {
            Recipient::Agreement(key) => self.agreement.as_ref().is_some_and(|(own, _)| own == key),
            Recipient::Hybrid(id) => *id == self.hybrid.0,
        }
    }

    /// Opens; `None` if it is not for us, or was altered.
    pub(crate) fn open(
        &self,
        recipient: &Recipient,
        info: &[u8],
        encapsulated: &[u8],
        sealed: &[u8],
        associated: &[u8],
    ) -> Option<Zeroizing<Vec<u8>>> {
        if !self.is(recipient) {
            return None;
        }
        match recipient {
            Recipient::Agreement(_) => {
                let secret = &self.agreement.as_ref()?.1;
                open_with::<X25519HkdfSha256>(secret, info, encapsulated, sealed, associated)
            }
            Recipient::Hybrid(_) => {
                open_with::<XWing>(&self.hybrid.1, info, encapsulated, sealed, associated)
            }
        }
    }
}

fn open_with<K: Kem>(
    secret: &Secret,
    info: &[u8],
    encapsulated: &[u8],
    sealed: &[u8],
    associated: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let secret = K::PrivateKey::from_bytes(secret.expose()).ok()?;
    let encapsulated = K::EncappedKey::from_bytes(encapsulated).ok()?;
    let opened = single_shot_open::<ChaCha20Poly1305, HkdfSha256, K>(
        &OpModeR::Base,
        &secret,
        &encapsulated,
        info,
        sealed,
        associated,
    );
    opened.ok().map(Zeroizing::new)
}
