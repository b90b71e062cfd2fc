//! Keys that follow from a root: the same every time, and different for everything else.

use halo_keystore::{KeychainChoice, Keys};

use crate::world::{World, code, with_hash, without_hash};

/// A keystore whose root is 32 times 7, and with it all that follows.
fn seven() -> Keys {
    let world = World::new();
    let (keystore, _) = world.create(KeychainChoice::Os, None);
    drop(keystore);
    let mut body = without_hash(&world.entry());
    body[crate::world::BODY..].fill(7);
    world.set_entry(&with_hash(body));
    let path = world.dir.path().join("keystore.json");
    let mut json: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    json["check"] = CHECK.into();
    std::fs::write(&path, json.to_string()).unwrap();
    world.wake(None).unwrap()
}

/// HKDF-SHA256 of the root, computed by another implementation (Python's `hashlib` and `hmac`).
const CHECK: &str = "56ffc3c27ef586f667d2faa55ca01cd7";
const DEVICE: &str = "d33157bbe2c50ffacc681b87240c92d737db79f35cb75eeb287bed6c732de50b";
const STORE: &str = "084562f9371100e8123279d08df02af94b3b5f8bc742ba6b5186098bd3846b47";
const CLIENT: &str = "aea0828b2c125548374d91d83ab5d7e7f4fde7b7b5db1b25b0e4be21d964a820";

#[test]
fn the_derivations_are_the_ones_that_were_published() {
    let keys = seven();
    let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
    assert_eq!(hex(keys.device_key().as_bytes()), DEVICE);
    assert_eq!(keys.with_store_key(|key| hex(key)), STORE);
    assert_eq!(hex(keys.client("https://example.com").unwrap().client_key().as_bytes()), CLIENT);
}

#[test]
fn no_two_purposes_share_a_key() {
    let mut keys = seven();
    let identity = keys.make_identity().unwrap();
    assert_eq!(code(keys.alias_seed(0).map(|_| ())), "keystore.sealed_value");
    let sealed = keys.seal_alias_seed(&identity).unwrap();
    keys.load_alias_seed(&sealed).unwrap();
    let seed = keys.alias_seed(0).unwrap();
    let all = [
        *keys.device_key().as_bytes(),
        *keys.agreement_key().as_bytes(),
        keys.with_store_key(|key| *key),
        *identity.signer().unwrap().identity_key().as_bytes(),
        *keys.client("a").unwrap().client_key().as_bytes(),
        *keys.client("b").unwrap().client_key().as_bytes(),
        *seed.alias("a", 0).unwrap().alias_key().as_bytes(),
        *seed.alias("b", 0).unwrap().alias_key().as_bytes(),
        *seed.alias("a", 1).unwrap().alias_key().as_bytes(),
    ];
    let different: std::collections::BTreeSet<_> = all.iter().collect();
    assert_eq!(different.len(), all.len());
    assert_eq!(seed.alias("a", 1).unwrap().alias_key().as_bytes(), &all[8], "and the same one next time");
    // A seal is for one purpose.
    let other = keys.seal_identity(&identity).unwrap();
    assert_eq!(code(keys.load_alias_seed(&other)), "keystore.sealed_value");
}

#[test]
fn dxos_keys_differ_by_app_role_device_and_epoch_and_are_the_same_next_time() {
    use halo_keystore::DxosRole::{Device, HaloSpace, Identity};
    use halo_protocol::dxos::SignDxos;
    let mut keys = seven();
    let identity = keys.make_identity().unwrap();
    let sealed = keys.seal_alias_seed(&identity).unwrap();
    keys.load_alias_seed(&sealed).unwrap();
    let here = keys.device_key();
    let other = World::new().create(KeychainChoice::Os, None).1.device_key();
    let seed = keys.alias_seed(0).unwrap();
    let key = |role, app, epoch| *seed.dxos(role, app, epoch).unwrap().dxos_key().as_bytes();
    let all = [
        key(Identity, "a", 0),
        key(Identity, "b", 0),
        key(Identity, "a", 1),
        key(HaloSpace, "a", 0),
        key(HaloSpace, "b", 0),
        key(Device(&here), "a", 0),
        key(Device(&other), "a", 0),
        key(Device(&here), "b", 0),
        key(Device(&here), "a", 1),
    ];
    let different: std::collections::BTreeSet<_> = all.iter().collect();
    assert_eq!(different.len(), all.len());
    assert_eq!(key(Device(&here), "a", 1), all[8]);
}
