//! After the keys are dropped, none of them is anywhere in memory.

use halo_keystore::{KdfCost, KeychainChoice, Passphrase};
use halo_testing::memory::{Needle, search};
use halo_testing::process::{Other, say};
use zeroize::Zeroizing;

use crate::world::{BODY, World};

/// The child's side: wakes a root, uses its keys, drops them, then reads its own memory.
pub fn remember() {
    let world = World::new();
    let (keystore, keys) = world.create(KeychainChoice::Os, None);
    // Turned round, letters are characters still.
    let typed = Needle::turned(b"a passphrase of a certain length");
    let passphrase = || Passphrase::new(String::from_utf8(typed.bytes()).unwrap());
    // The root in the clear is nowhere but in the entry, which is taken away and wiped.
    let root = {
        let entries: Vec<_> = world.keychain.take_all().into_values().map(Zeroizing::new).collect();
        Needle::new(entries[0][BODY..BODY + 32].to_vec())
    };
    keystore.change_passphrase(&keys, Some(&passphrase()), KdfCost::FLOOR).unwrap();
    drop(keys);

    let keys = keystore.unlock(Some(&passphrase())).unwrap();
    let store = keys.with_store_key(|key| Needle::new(key.to_vec()));
    let identity = keys.make_identity().unwrap();
    let words = Needle::new(identity.phrase().words().as_bytes().to_vec());
    let sealed = keys.seal_identity(&identity).unwrap();
    drop(identity);
    let signer = keys.open_identity(&sealed).unwrap().signer().unwrap();
    let device = halo_protocol::credential::DeviceProfile::default();
    halo_protocol::identity::genesis(
        &signer,
        &*keys.device(),
        &keys.agreement_key(),
        device,
        "Ada",
        halo_protocol::Timestamp::from_millis(1),
    )
    .unwrap();
    drop(signer);
    drop(keys);

    let control = b"this is findable".map(std::hint::black_box).to_vec();
    let turned = [Needle::new(control.clone())];
    let found = [root, store, words, typed].map(|needle| search(&[needle]));
    say(format!("{found:?} {}", search(&turned) > 0));
    drop(control);
}

// threat: 34
#[cfg(target_os = "linux")]
#[test]
fn no_root_key_word_or_passphrase_stays_in_memory_after_locking() {
    let dir = tempfile::tempdir().unwrap();
    let mut other = Other::start("remember", dir.path());
    assert_eq!(
        other.hear().as_deref(),
        Some("[0, 0, 0, 0] true"),
        "root, store key, words, passphrase, and whether the search finds what is there"
    );
    other.finish();
}
