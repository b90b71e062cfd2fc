use halo_protocol::{DeviceKey, Did, IdentityKey, KeyError};
use proptest::prelude::*;

use crate::signer::Key;

/// The first test vector of RFC 8032, §7.1.
const RFC_8032: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

#[test]
fn the_dids_of_a_known_key() {
    let key: IdentityKey = RFC_8032.parse().unwrap();
    assert_eq!(key.to_string(), RFC_8032);
    // The did:key method, and SHA-256 with base32, worked out by other programs.
    assert_eq!(key.did_key(), "did:key:z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw");
    assert_eq!(IdentityKey::from_did_key(&key.did_key()).unwrap(), key);
    let did = Did::of(&key);
    assert_eq!(did.to_string().parse::<Did>().unwrap(), did);
}

#[test]
fn keys_that_mean_nothing_are_refused() {
    // The neutral element, a point of order 8, and the second encoding of 1 (p + 1).
    let weak = [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000000",
    ];
    for key in weak {
        assert_eq!(key.parse::<DeviceKey>(), Err(KeyError::Weak), "{key}");
    }
    assert_eq!(DeviceKey::from_bytes(&[1; 31]), Err(KeyError::Length));
    assert_eq!(RFC_8032.to_uppercase().parse::<DeviceKey>(), Err(KeyError::Text));
}

#[test]
fn texts_of_other_kinds_are_no_did() {
    let did = Did::of(&Key::new(1).identity()).to_string();
    for broken in [
        did.to_lowercase(),
        did.replace("did:halo:B", "did:halo:C"),
        did.replace("did:halo", "did:hola"),
        format!("{did}="),
        did[..did.len() - 1].to_owned(),
        String::new(),
    ] {
        assert_eq!(broken.parse::<Did>(), Err(KeyError::Text), "{broken}");
    }
    // An X25519 key, an empty one, a very long one.
    for broken in [
        "did:key:z6LSbysY2xFMRpGMhb7tFTLMpeuPRaqaWM1yECx2AtzE3KCc",
        "did:key:z",
        &format!("did:key:z{}", "1".repeat(10_000)),
    ] {
        assert_eq!(DeviceKey::from_did_key(broken), Err(KeyError::Text), "{broken:.60}");
    }
}

proptest! {
    #[test]
    fn any_text_is_a_key_that_reads_back_or_an_error(text in "\\PC{0,80}") {
        if let Ok(key) = text.parse::<DeviceKey>() {
            prop_assert_eq!(key.to_string(), text.clone());
        }
        if let Ok(key) = DeviceKey::from_did_key(&text) {
            prop_assert_eq!(key.did_key(), text.clone());
        }
        if let Ok(did) = text.parse::<Did>() {
            prop_assert_eq!(did.to_string(), text);
        }
    }

    #[test]
    fn did_keys_read_back(seed: u8) {
        let key = Key::new(seed).device();
        prop_assert_eq!(DeviceKey::from_did_key(&key.did_key()), Ok(key));
    }
}
