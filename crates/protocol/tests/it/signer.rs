//! Keys of tests: made from a number, the same every time.

use ed25519_dalek::{Signer, SigningKey};
use halo_protocol::credential::{Assertion, Credential, CredentialId, DeviceProfile, Draft};
use halo_protocol::identity::genesis;
use halo_protocol::{
    AgreementKey, AliasKey, DeviceKey, IdentityKey, Sign, Signature, Statement, Timestamp, Verified,
};

/// Monday, 23 November 2026, noon.
pub(crate) const NOON: Timestamp = Timestamp::from_millis(1_795_435_200_000);

#[derive(Debug)]
pub(crate) struct Key(SigningKey);

impl Key {
    pub(crate) fn new(number: u8) -> Self {
        Self(SigningKey::from_bytes(&[number; 32]))
    }

    pub(crate) fn from_seed(seed: [u8; 32]) -> Self {
        Self(SigningKey::from_bytes(&seed))
    }

    pub(crate) fn bytes(&self) -> [u8; 32] {
        self.public_key()
    }

    pub(crate) fn identity(&self) -> IdentityKey {
        IdentityKey::from_bytes(&self.bytes()).unwrap()
    }

    pub(crate) fn device(&self) -> DeviceKey {
        DeviceKey::from_bytes(&self.bytes()).unwrap()
    }

    pub(crate) fn alias(&self) -> AliasKey {
        AliasKey::from_bytes(&self.bytes()).unwrap()
    }

    /// Signs any bytes, as no key of a wallet ever does.
    pub(crate) fn raw(&self, bytes: &[u8]) -> [u8; 64] {
        self.0.sign(bytes).to_bytes()
    }

    /// Says something about somebody.
    pub(crate) fn says(
        &self,
        about: [u8; 32],
        assertion: Assertion,
        parents: &[CredentialId],
        at: Timestamp,
    ) -> Verified<Credential> {
        let parents = parents.to_vec();
        let draft =
            Draft { issuer: self.bytes(), subject: about, issued: at, expires: None, parents, assertion };
        draft.sign(self).unwrap()
    }

    /// Lets `device` speak for `identity`.
    pub(crate) fn authorizes(
        &self,
        device: &Self,
        identity: &Self,
        parents: &[CredentialId],
    ) -> Verified<Credential> {
        let assertion = Assertion::AuthorizedDevice {
            identity_key: identity.identity(),
            device_key: device.device(),
            agreement_key: agreement(),
        };
        self.says(device.bytes(), assertion, parents, NOON)
    }

    /// Takes `device` out.
    pub(crate) fn revokes(&self, device: &Self, parents: &[CredentialId]) -> Verified<Credential> {
        let assertion = Assertion::RevokedDevice { device_key: device.device(), cuts: Vec::new() };
        self.says(device.bytes(), assertion, parents, NOON)
    }
}

impl Sign for Key {
    fn public_key(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    fn sign(&self, statement: &Statement<'_>) -> Signature {
        Signature::from_bytes(self.raw(&statement.signing_bytes()))
    }
}

pub(crate) fn agreement() -> AgreementKey {
    AgreementKey::from_bytes(&[9; 32]).unwrap()
}

pub(crate) fn laptop() -> DeviceProfile {
    DeviceProfile {
        label: "Laptop".into(),
        platform: "linux".into(),
        architecture: "x86_64".into(),
        os: "Debian GNU/Linux".into(),
        os_version: "12".into(),
    }
}

/// The credentials of a new identity with one device.
pub(crate) fn born(identity: &Key, device: &Key) -> Vec<Verified<Credential>> {
    genesis(identity, device, &agreement(), laptop(), "Ada", NOON).unwrap()
}
