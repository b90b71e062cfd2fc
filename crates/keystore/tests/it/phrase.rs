//! The 24 words.

use halo_keystore::{KeychainChoice, Phrase};
use proptest::prelude::*;

use crate::world::{World, code};

/// BIP-39's published vectors of 32 bytes (trezor/python-mnemonic, vectors.json).
const VECTORS: [(&str, &str); 4] = [
    (
        "0000000000000000000000000000000000000000000000000000000000000000",
        "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon \
         abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon art",
    ),
    (
        "7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f",
        "legal winner thank year wave sausage worth useful legal winner thank year wave sausage worth useful \
         legal winner thank year wave sausage worth title",
    ),
    (
        "8080808080808080808080808080808080808080808080808080808080808080",
        "letter advice cage absurd amount doctor acoustic avoid letter advice cage absurd amount doctor \
         acoustic avoid letter advice cage absurd amount doctor acoustic bless",
    ),
    (
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo vote",
    ),
];

#[test]
fn the_published_phrases_are_read_and_written() {
    for (_, words) in VECTORS {
        assert_eq!(Phrase::parse(words).unwrap().words().as_str(), words);
    }
}

#[test]
fn case_and_space_do_not_matter() {
    let words = VECTORS[1].1;
    let typed = format!("\n  {}  ", words.to_uppercase().replace(' ', " \t\n"));
    assert_eq!(Phrase::parse(&typed).unwrap().words().as_str(), words);
}

#[test]
fn what_is_wrong_with_a_phrase_is_said_without_repeating_a_word_of_it() {
    let words: Vec<&str> = VECTORS[1].1.split(' ').collect();
    let mut unknown = words.clone();
    unknown[6] = "xylophones";
    let mut swapped = words.clone();
    swapped.swap(0, 1);
    for (typed, says) in [
        (words[..23].join(" "), "23 words"),
        (format!("{} zoo", words.join(" ")), "25 words"),
        (unknown.join(" "), "word 7 is not in the list"),
        (swapped.join(" "), "one of them is wrong"),
        (String::new(), "0 words"),
        ("legal ".repeat(1000), "far more text"),
    ] {
        let error = Phrase::parse(&typed).map(drop).unwrap_err();
        assert_eq!(error.code(), "keystore.bad_phrase");
        let text = error.to_string();
        assert!(text.contains(says), "{text}");
        assert!(!text.contains("legal") && !text.contains("xylophones"), "{text}");
    }
}

#[test]
fn the_words_bring_the_identity_back_on_another_device() {
    let (here, there) = (World::new(), World::new());
    let (_, keys) = here.create(KeychainChoice::Os, None);
    let identity = keys.make_identity().unwrap();
    let words = identity.phrase().words();
    let (_, others) = there.create(KeychainChoice::Os, None);
    let back = others.identity_from_phrase(Phrase::parse(&words).unwrap());
    assert_eq!(back.signer().unwrap().identity_key(), identity.signer().unwrap().identity_key());
    // What one device sealed, another cannot open.
    let sealed = keys.seal_identity(&identity).unwrap();
    assert_eq!(code(others.open_identity(&sealed)), "keystore.sealed_value");
    keys.open_identity(&sealed).unwrap();
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(typed in ".{0,400}") {
        let _ = Phrase::parse(&typed);
    }
}
