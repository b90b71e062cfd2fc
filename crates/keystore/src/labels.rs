//! Every label of a derivation, in one table. A label is never given a second meaning.
//!
//! HKDF-SHA256 (RFC 5869); the label is `info`.

/// From the device root: the device's signing key.
pub(crate) const DEVICE_SIGNING: &[u8] = b"halo v1 device signing key";
/// From the device root: the device's agreement key.
pub(crate) const DEVICE_AGREEMENT: &[u8] = b"halo v1 device agreement key";
/// From the device root: the device's hybrid key.
pub(crate) const DEVICE_HYBRID: &[u8] = b"halo v1 device hybrid key";
/// From the device root: the key of the database.
pub(crate) const STORE: &[u8] = b"halo v1 store key";
/// From the device root: the root of the keys that sign for apps' ID tokens.
pub(crate) const BROKER: &[u8] = b"halo v1 broker key";
/// From the device root: seals values that lie in the store.
pub(crate) const SEALING: &[u8] = b"halo v1 sealing key";
/// From the device root: shows that a root is this profile's.
pub(crate) const CHECK: &[u8] = b"halo v1 root check";
/// From the broker key, salted with the app: signs for that app.
pub(crate) const CLIENT: &[u8] = b"halo v1 client key";
/// From the device root, salted with the space's root document: the key of a space made on this device.
pub(crate) const SPACE: &[u8] = b"halo v1 space key";
/// From the device root, salted with the space's key: the key of this device's feed in it.
pub(crate) const FEED: &[u8] = b"halo v1 feed key";
/// From the content key of an epoch, salted with the feed: seals the blocks of that feed.
pub(crate) const BLOCK: &[u8] = b"halo v1 block key";
/// From the content key of an epoch, salted with the feed of who makes it: seals the parts of a snapshot.
pub(crate) const SNAPSHOT: &[u8] = b"halo v1 snapshot key";
/// From the entropy of the 24 words: the identity key.
pub(crate) const IDENTITY: &[u8] = b"halo v1 identity key";
/// From the entropy of the 24 words: the hybrid key to which is sealed what they shall bring back.
pub(crate) const RECOVERY: &[u8] = b"halo v1 recovery key";
/// From the entropy of the 24 words: where whoever has nothing but them looks for the HALO space.
pub(crate) const HALO_ADDRESS: &[u8] = b"halo v1 halo space address";
/// From the entropy of the 24 words: the seed of the private aliases.
pub(crate) const ALIAS_SEED: &[u8] = b"halo v1 alias seed";
/// From the content key of an epoch of the HALO space: the seed of the aliases that are made under it.
pub(crate) const EPOCH_ALIAS_SEED: &[u8] = b"halo v1 epoch alias seed";
/// From the alias seed: its name.
pub(crate) const SEED_NAME: &[u8] = b"halo v1 alias seed name";
/// From the alias seed, salted with app and epoch: the alias.
pub(crate) const ALIAS: &[u8] = b"halo v1 alias";
/// From the first alias seed: where the identity's own devices meet.
pub(crate) const MEETING: &[u8] = b"halo v1 meeting secret";
/// From the alias seed, salted with app and epoch: who the user is to one DXOS app (P-256).
pub(crate) const DXOS_IDENTITY: &[u8] = b"halo v1 dxos identity key";
/// From the alias seed, salted with app and epoch: the name of the HALO space before one DXOS app (P-256).
pub(crate) const DXOS_SPACE: &[u8] = b"halo v1 dxos halo space key";
/// From the alias seed, salted with app, epoch and device: a device before one DXOS app (P-256).
pub(crate) const DXOS_DEVICE: &[u8] = b"halo v1 dxos device key";
/// From the alias seed: seals files for oneself.
pub(crate) const ARCHIVE: &[u8] = b"halo v1 archive key";
/// From the alias seed: the key of the identity's HALO space.
pub(crate) const HALO_SPACE: &[u8] = b"halo v1 halo space key";
/// From the alias seed: the id of the HALO space's directory.
pub(crate) const HALO_DOCUMENT: &[u8] = b"halo v1 halo space document";
