//! What a credential can say.

use super::{CredentialError, CredentialId, SeedName};
use crate::feed::BlockHash;
use crate::keys::{AgreementKey, DeviceKey, FeedKey, HybridKey, IdentityKey, SpaceKey};
use crate::statement::{Sign, Signature, SignatureError, Statement, StatementKind, verify};

/// What is said. DXOS's names where DXOS has the thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Assertion {
    /// The identity has this HALO space (by its key); said once, by the identity key.
    HaloSpace {
        /// The identity.
        identity_key: IdentityKey,
        /// The space's key.
        halo_key: [u8; 32],
    },
    /// A device speaks for the identity.
    AuthorizedDevice {
        /// The identity.
        identity_key: IdentityKey,
        /// The device's signing key.
        device_key: DeviceKey,
        /// The device's agreement key.
        agreement_key: AgreementKey,
    },
    /// What a device is called and runs on; said by the device.
    DeviceProfile(DeviceProfile),
    /// Name and picture of the identity.
    IdentityProfile(IdentityProfile),
    /// A device speaks for the identity no longer.
    RevokedDevice {
        /// The device's signing key.
        device_key: DeviceKey,
        /// Where each of its feeds ends. A feed that is not named ends before its first block.
        cuts: Vec<Cut>,
    },
    /// What the user allowed an app.
    AppGrant(AppGrant),
    /// A feed of a device in a space; said by the device, of the feed.
    AdmittedFeed(AdmittedFeed),
    /// Another device agrees that a device was let in: said of that device, by neither it nor the one that let it in.
    Endorsed {
        /// The authorisation.
        authorisation: CredentialId,
    },
    /// To which key others seal for a device; said by the device, of itself.
    SealingKey {
        /// X-Wing.
        hybrid_key: HybridKey,
    },
    /// To which key everything is sealed that the 24 words shall bring back; said by the identity, of itself.
    IdentityRecovery {
        /// The identity.
        identity_key: IdentityKey,
        /// X-Wing.
        recovery_key: HybridKey,
    },
}

/// Cuts that one revocation can carry.
pub const MOST_CUTS: usize = 128;

/// Where a feed ends. Blocks behind are void whenever they arrive; the hash vouches for those before, whatever the
/// revoked device signs instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cut {
    /// The feed.
    pub feed: FeedKey,
    /// How many of its blocks count.
    pub length: u64,
    /// The last of them; [`BlockHash::NONE`] if there is none.
    pub head: BlockHash,
}

impl Cut {
    /// Before the first block.
    #[must_use]
    pub const fn before_all(feed: FeedKey) -> Self {
        Self { feed, length: 0, head: BlockHash::NONE }
    }
}

/// A feed belongs to a device, in one space. The feed's key says so as well, so that nobody claims somebody else's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdmittedFeed {
    /// The space.
    pub space_key: SpaceKey,
    /// The device, which also issues the credential.
    pub device_key: DeviceKey,
    /// The feed, the credential's subject.
    pub feed_key: FeedKey,
    /// By the feed's key, over the three.
    pub claim: Signature,
}

impl AdmittedFeed {
    /// The feed claims to be that device's, in that space.
    ///
    /// # Errors
    /// [`CredentialError::Encoding`] if `feed` signs with a key that is none.
    pub fn claim(
        space_key: SpaceKey,
        device_key: DeviceKey,
        feed: &impl Sign,
    ) -> Result<Self, CredentialError> {
        let feed_key = FeedKey::from_bytes(&feed.public_key())
            .map_err(|_| CredentialError::Encoding { what: "a key is not one" })?;
        let body = claim_body(&space_key, &device_key, &feed_key);
        let claim = feed.sign(&Statement::new(StatementKind::FeedClaim, &body));
        Ok(Self { space_key, device_key, feed_key, claim })
    }

    /// Verifies what the feed's key signed.
    pub(super) fn verify(&self) -> Result<(), SignatureError> {
        let body = claim_body(&self.space_key, &self.device_key, &self.feed_key);
        verify(StatementKind::FeedClaim, self.feed_key.as_bytes(), &body, &self.claim)
    }
}

/// Space (32) ‖ device (32) ‖ feed (32).
fn claim_body(space: &SpaceKey, device: &DeviceKey, feed: &FeedKey) -> Vec<u8> {
    [space.as_bytes(), device.as_bytes(), feed.as_bytes()].map(<[u8; 32]>::as_slice).concat()
}

/// What a device is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceProfile {
    /// A name people use.
    pub label: String,
    /// `linux`, `macos`, `windows`.
    pub platform: String,
    /// `x86_64`, `aarch64`.
    pub architecture: String,
    /// Name of the operating system.
    pub os: String,
    /// Its version.
    pub os_version: String,
}

/// What a person is called and looks like.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdentityProfile {
    /// Display name.
    pub display_name: String,
    /// Picture: PNG, JPEG or WebP, at most 8 KiB.
    pub avatar: Option<Vec<u8>>,
}

/// What sort of program an app is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppKind {
    /// A page, known by its origin.
    Web,
    /// A program.
    Native,
}

/// What the user allowed one app. A later one of the same id takes the place of an earlier one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppGrant {
    /// Names the grant.
    pub grant_id: [u8; 16],
    /// Origin, or the program's id.
    pub client_id: String,
    /// What it calls itself.
    pub name: Option<String>,
    /// Its kind.
    pub kind: AppKind,
    /// Names of scopes.
    pub scopes: Vec<String>,
    /// Names of profile fields.
    pub fields: Vec<String>,
    /// It knows the real identity.
    pub identity: bool,
    /// Which of its aliases the app knows.
    pub alias_epoch: u32,
    /// Which seed that alias comes of; `None` for the seed that the 24 words bring back.
    pub alias_seed: Option<SeedName>,
    /// Taken back.
    pub revoked: bool,
}
