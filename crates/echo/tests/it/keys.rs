//! Keys of tests: made from a number, the same every time.

use ed25519_dalek::{Signer, SigningKey};
use halo_protocol::{DeviceKey, FeedKey, IdentityKey, Sign, Signature, SpaceKey, Statement};

pub(crate) struct Key(SigningKey);

impl Key {
    pub(crate) fn new(number: u8) -> Self {
        Self(SigningKey::from_bytes(&[number; 32]))
    }

    pub(crate) fn bytes(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    pub(crate) fn feed(&self) -> FeedKey {
        FeedKey::from_bytes(&self.bytes()).unwrap()
    }

    pub(crate) fn device(&self) -> DeviceKey {
        DeviceKey::from_bytes(&self.bytes()).unwrap()
    }

    pub(crate) fn identity(&self) -> IdentityKey {
        IdentityKey::from_bytes(&self.bytes()).unwrap()
    }

    pub(crate) fn space(&self) -> SpaceKey {
        SpaceKey::from_bytes(&self.bytes()).unwrap()
    }
}

impl Sign for Key {
    fn public_key(&self) -> [u8; 32] {
        self.bytes()
    }

    fn sign(&self, statement: &Statement<'_>) -> Signature {
        Signature::from_bytes(self.0.sign(&statement.signing_bytes()).to_bytes())
    }
}
