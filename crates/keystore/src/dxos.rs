//! P-256 keys by which DXOS apps know the user, each app by others, so that two of them have nothing to compare.
//!
//! They derive from the seed that the user's devices share: every device shows an app the same account and the same list
//! of devices. They sign what [`halo_protocol::dxos`] builds and nothing else, and nothing of HALO trusts them.

use halo_protocol::DeviceKey;
use halo_protocol::dxos::{DxosKey, DxosStatement, SignDxos};
use p256::ecdsa::SigningKey;
use p256::ecdsa::signature::Signer;

use crate::error::KeystoreError;
use crate::keys::WEAK;
use crate::labels;
use crate::secret::Secret;

/// Derivations that are tried for a scalar of the curve; one in 2^32 is none.
const TRIES: u8 = 8;

/// Who signs before a DXOS app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DxosRole<'a> {
    /// The identity.
    Identity,
    /// Its HALO space.
    HaloSpace,
    /// One of its devices.
    Device(&'a DeviceKey),
}

/// Signs for one role before one DXOS app.
pub struct DxosSigner {
    seed: Secret,
    public: DxosKey,
}

impl DxosSigner {
    pub(crate) fn derived(
        seed: &Secret,
        role: DxosRole<'_>,
        app: &str,
        epoch: u32,
    ) -> Result<Self, KeystoreError> {
        let (label, device) = match role {
            DxosRole::Identity => (labels::DXOS_IDENTITY, [].as_slice()),
            DxosRole::HaloSpace => (labels::DXOS_SPACE, [].as_slice()),
            DxosRole::Device(key) => (labels::DXOS_DEVICE, key.as_bytes().as_slice()),
        };
        (0..TRIES)
            .find_map(|attempt| {
                // The device is of fixed length and the app comes last: no two inputs make one salt.
                let salt = [&[attempt], epoch.to_be_bytes().as_slice(), device, app.as_bytes()].concat();
                Self::new(seed.derive(label, &salt))
            })
            .ok_or(WEAK)
    }

    fn new(seed: Secret) -> Option<Self> {
        let key = SigningKey::from_slice(seed.expose()).ok()?;
        let point = key.verifying_key().to_encoded_point(false);
        let public = DxosKey::from_bytes(point.as_bytes()).ok()?;
        Some(Self { seed, public })
    }
}

impl SignDxos for DxosSigner {
    fn dxos_key(&self) -> DxosKey {
        self.public
    }

    fn sign_dxos(&self, statement: &DxosStatement) -> [u8; 64] {
        // RFC 6979: the same statement has the same signature, so a credential that is made anew is the same one. The
        // key is there for the moment of signing, and wiped by its own drop; that it is one, `new` has seen.
        SigningKey::from_slice(self.seed.expose()).map_or([0; 64], |key| {
            let signature: p256::ecdsa::Signature = key.sign(statement.signing_bytes());
            signature.to_bytes().into()
        })
    }
}
