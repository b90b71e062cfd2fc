//! Keys that sign and do nothing else.

use ed25519_dalek::{Signer, SigningKey};
use halo_protocol::{
    AliasKey, ClientKey, DeviceKey, FeedKey, IdentityKey, Sign, Signature, SpaceKey, Statement,
};

use crate::secret::Secret;

macro_rules! signer {
    ($(#[$doc:meta])* $name:ident, $key:ident, $getter:ident) => {
        $(#[$doc])*
        pub struct $name {
            seed: Secret,
            public: $key,
        }

        impl $name {
            pub(crate) fn new(seed: Secret) -> Option<Self> {
                let public = SigningKey::from_bytes(seed.expose()).verifying_key();
                let public = $key::from_bytes(public.as_bytes()).ok()?;
                Some(Self { seed, public })
            }

            /// The public key.
            #[must_use]
            pub const fn $getter(&self) -> $key {
                self.public
            }
        }

        impl Sign for $name {
            fn public_key(&self) -> [u8; 32] {
                *self.public.as_bytes()
            }

            fn sign(&self, statement: &Statement<'_>) -> Signature {
                // Expanded for the moment of signing only, and wiped by its own drop.
                let key = SigningKey::from_bytes(self.seed.expose());
                Signature::from_bytes(key.sign(&statement.signing_bytes()).to_bytes())
            }
        }
    };
}

signer!(
    /// Signs as this device.
    DeviceSigner,
    DeviceKey,
    device_key
);
signer!(
    /// Signs as the identity.
    IdentitySigner,
    IdentityKey,
    identity_key
);
signer!(
    /// Signs as the alias one app knows.
    AliasSigner,
    AliasKey,
    alias_key
);
signer!(
    /// Signs ID tokens for one app.
    ClientSigner,
    ClientKey,
    client_key
);
signer!(
    /// Signs as a space, which it does once.
    SpaceSigner,
    SpaceKey,
    space_key
);
signer!(
    /// Signs the blocks of this device in one space.
    FeedSigner,
    FeedKey,
    feed_key
);
