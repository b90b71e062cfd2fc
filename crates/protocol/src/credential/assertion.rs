//! What a credential can say.

use crate::keys::{AgreementKey, DeviceKey, IdentityKey};

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
    },
    /// What the user allowed an app.
    AppGrant(AppGrant),
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
    /// Taken back.
    pub revoked: bool,
}
