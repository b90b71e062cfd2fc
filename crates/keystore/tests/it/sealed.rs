//! The bytes in which a root sleeps: damage is told from a wrong passphrase, and edits from both.

use halo_keystore::KeychainChoice;
use proptest::prelude::*;

use crate::world::{BODY, RIGHT, World, code, with_hash, without_hash};

/// Where the parts of a sealed record begin.
const MEMORY: usize = BODY;
const PASSES: usize = BODY + 4;
const LANES: usize = BODY + 8;
const SALT: usize = BODY + 12;
const NONCE: usize = SALT + 16;
const ROOT: usize = NONCE + 24;
const END: usize = ROOT + 48;

// threat: 32
#[test]
fn every_flipped_bit_and_every_cut_of_the_file_is_damage_and_not_a_wrong_passphrase() {
    let world = World::new();
    world.create(KeychainChoice::None, Some(RIGHT));
    let whole = world.sealed();
    assert_eq!(whole.len(), END + 32);
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << bit;
            world.set_sealed(&bytes);
            let found = code(world.wake(Some(RIGHT)));
            // The version comes before the hash: a later one may hash otherwise.
            let wanted =
                if at == 8 && bytes[8] > 1 { "keystore.newer_format" } else { "keystore.sealed_damaged" };
            assert_eq!(found, wanted, "bit {bit} of byte {at}");
        }
        world.set_sealed(&whole[..at]);
        assert_eq!(code(world.wake(Some(RIGHT))), "keystore.sealed_damaged", "cut at {at}");
    }
    world.set_sealed(&[whole.as_slice(), b"x"].concat());
    assert_eq!(code(world.wake(Some(RIGHT))), "keystore.sealed_damaged");
    std::fs::remove_file(world.dir.path().join("root.sealed")).unwrap();
    assert_eq!(code(world.wake(Some(RIGHT))), "keystore.sealed_damaged");

    world.set_sealed(&whole);
    world.wake(Some(RIGHT)).unwrap();
}

// threat: 31
#[test]
fn an_edit_with_a_fitting_hash_does_not_open_either() {
    let world = World::new();
    let (keystore, _) = world.create(KeychainChoice::None, Some(RIGHT));
    let whole = world.sealed();
    let edited = |at: usize, bytes: &[u8]| {
        let mut body = without_hash(&whole);
        body[at..at + bytes.len()].copy_from_slice(bytes);
        world.set_sealed(&with_hash(body));
        code(keystore.unlock(Some(&crate::world::pass(RIGHT))))
    };
    // Before any derivation: these would take no time at all, or all of it.
    assert_eq!(edited(MEMORY, &8_u32.to_be_bytes()), "keystore.kdf_below_floor");
    assert_eq!(edited(PASSES, &1_u32.to_be_bytes()), "keystore.kdf_below_floor");
    assert_eq!(edited(LANES, &0_u32.to_be_bytes()), "keystore.kdf_below_floor");
    assert_eq!(edited(MEMORY, &u32::MAX.to_be_bytes()), "keystore.kdf_above_ceiling");
    assert_eq!(edited(PASSES, &u32::MAX.to_be_bytes()), "keystore.kdf_above_ceiling");
    assert_eq!(edited(LANES, &u32::MAX.to_be_bytes()), "keystore.kdf_above_ceiling");
    // All of it is under the seal.
    for at in [SALT, NONCE, ROOT, END - 1] {
        assert_eq!(edited(at, &[whole[at] ^ 1]), "keystore.wrong_passphrase", "byte {at}");
    }
    assert_eq!(edited(PASSES, &4_u32.to_be_bytes()), "keystore.wrong_passphrase");
    // Another profile's, and a form that is none.
    assert_eq!(edited(10, &[whole[10] ^ 1]), "keystore.root_mismatch");
    assert_eq!(edited(9, &[2]), "keystore.sealed_damaged");
}

// threat: 31
#[test]
fn a_root_in_the_clear_is_not_taken_from_a_file() {
    let world = World::new();
    world.create(KeychainChoice::None, Some(RIGHT));
    let mut body = without_hash(&world.sealed());
    body[9] = 0;
    body.truncate(BODY + 32);
    world.set_sealed(&with_hash(body));
    assert_eq!(code(world.wake(None)), "keystore.sealed_damaged");
}

// threat: 31
#[test]
fn the_sealed_file_of_an_earlier_passphrase_still_holds_the_same_root_only() {
    let world = World::new();
    let (keystore, keys) = world.create(KeychainChoice::None, Some(RIGHT));
    let old = world.sealed();
    keystore
        .change_passphrase(&keys, Some(&crate::world::pass("another one")), halo_keystore::KdfCost::FLOOR)
        .unwrap();
    assert_eq!(code(world.wake(Some(RIGHT))), "keystore.wrong_passphrase");
    // Whoever puts the old file back needs the old passphrase, and gets no other root.
    world.set_sealed(&old);
    assert_eq!(world.wake(Some(RIGHT)).unwrap().device_key(), keys.device_key());
}

#[cfg(unix)]
#[test]
fn nobody_else_may_read_the_files() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    let (keystore, keys) = world.create(KeychainChoice::None, Some(RIGHT));
    keystore.set_mark(&keys, crate::world::MARK).unwrap();
    for file in ["root.sealed", "keystore.json", "mark"] {
        let mode = std::fs::metadata(world.dir.path().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[test]
fn a_description_that_makes_no_sense_or_is_from_the_future_is_said() {
    let world = World::new();
    world.create(KeychainChoice::Os, None);
    let path = world.dir.path().join("keystore.json");
    let json = std::fs::read_to_string(&path).unwrap();
    for (edited, wanted) in [
        (json.replace("\"version\": 1", "\"version\": 2"), "keystore.newer_format"),
        (json.replace("\"os\"", "\"cloud\""), "keystore.sealed_damaged"),
        (json[..json.len() / 2].to_owned(), "keystore.sealed_damaged"),
        (String::new(), "keystore.sealed_damaged"),
    ] {
        std::fs::write(&path, &edited).unwrap();
        assert_eq!(code(world.open()), wanted, "{edited}");
    }
    std::fs::write(&path, &json).unwrap();
    world.wake(None).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(code(world.open()), "keystore.sealed_damaged");
}

proptest! {
    // threat: 31
    #[test]
    fn no_bytes_make_it_panic_or_open(bytes in proptest::collection::vec(any::<u8>(), 0..300), hashed: bool) {
        let world = World::new();
        world.create(KeychainChoice::Os, None);
        let before = world.entry();
        let mut edited = bytes;
        if hashed {
            // Begins as ours do, so that the fields behind are reached.
            edited.splice(0..0, before[..BODY].iter().copied());
            edited = with_hash(edited);
        }
        world.set_entry(&edited);
        prop_assert!(world.wake(None).is_err());
    }
}
