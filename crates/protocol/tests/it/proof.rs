use halo_protocol::Timestamp;
use halo_protocol::presentation::{
    Expect, LONGEST_LIFE, LONGEST_TOKEN, PresentError, ProofClaims, ProofError, Subject, verify_proof,
};
use proptest::prelude::*;
use std::time::Duration;

use crate::signer::{Key, NOON, born};

const APP: &str = "https://app.example";
const NONCE: &str = "n-0S6_WzA2Mj";

fn claims(subject: Subject) -> ProofClaims {
    ProofClaims {
        audience: APP.into(),
        nonce: Some(NONCE.into()),
        issued: NOON,
        expires: NOON.plus(LONGEST_LIFE),
        subject,
        name: Some("Ada".into()),
    }
}

fn expect() -> Expect<'static> {
    Expect { audience: APP, nonce: Some(NONCE), now: NOON }
}

fn later(seconds: u64) -> Timestamp {
    NOON.plus(Duration::from_secs(seconds))
}

/// A proof in identity mode by a device that was linked through another, with the chain to change.
fn by_identity(change: impl FnOnce(&mut Vec<Vec<u8>>)) -> String {
    let (ada, laptop, phone) = (Key::new(1), Key::new(2), Key::new(3));
    let set = born(&ada, &laptop);
    let link = laptop.authorizes(&phone, &ada, &[set[0].id()]);
    let mut chain = vec![link.bytes().to_vec(), set[0].bytes().to_vec()];
    change(&mut chain);
    let subject = Subject::Identity { identity_key: ada.identity(), device_key: phone.device(), chain };
    claims(subject).sign(&phone).unwrap()
}

#[test]
fn an_alias_speaks_for_itself() {
    let alias = Key::new(8);
    let proof = claims(Subject::Alias(alias.alias())).sign(&alias).unwrap();
    let verified = verify_proof(&proof, &expect()).unwrap();
    assert_eq!(verified.subject, alias.alias().did_key());
    assert_eq!((verified.identity, verified.name.as_deref()), (None, Some("Ada")));
}

#[test]
fn a_device_speaks_for_its_identity_through_another() {
    let verified = verify_proof(&by_identity(|_| {}), &expect()).unwrap();
    assert_eq!(verified.identity, Some(Key::new(1).identity()));
    assert_eq!(verified.subject, Key::new(1).identity().did_key());
}

// threat: 10
#[test]
fn a_proof_for_another_app_or_another_sign_in_or_another_hour_is_refused() {
    let alias = Key::new(8);
    let proof = claims(Subject::Alias(alias.alias())).sign(&alias).unwrap();
    let verify = |expect| verify_proof(&proof, &expect).unwrap_err();
    assert_eq!(verify(Expect { audience: "https://evil.example", ..expect() }), ProofError::Audience);
    assert_eq!(verify(Expect { nonce: Some("another"), ..expect() }), ProofError::Nonce);
    assert_eq!(verify(Expect { nonce: None, ..expect() }), ProofError::Nonce);
    assert_eq!(verify(Expect { now: later(300), ..expect() }), ProofError::Expired);
    assert!(verify_proof(&proof, &Expect { now: later(299), ..expect() }).is_ok());
    let early = Timestamp::from_millis(NOON.as_millis() - 61_000);
    assert_eq!(verify(Expect { now: early, ..expect() }), ProofError::Expired, "of the future");
}

#[test]
fn a_broken_chain_is_refused() {
    let (ada, laptop, phone, mallory) = (Key::new(1), Key::new(2), Key::new(3), Key::new(66));
    let chain = |change: &dyn Fn(&mut Vec<Vec<u8>>)| {
        verify_proof(&by_identity(|chain| change(chain)), &expect()).unwrap_err()
    };
    assert!(matches!(chain(&|chain| chain.truncate(1)), ProofError::Chain { .. }), "an end is missing");
    assert!(matches!(chain(&|chain| chain.swap(0, 1)), ProofError::Chain { .. }), "the wrong way round");
    assert!(matches!(chain(&|chain| chain[0][80] ^= 1), ProofError::Chain { .. }), "an altered link");
    assert!(matches!(chain(&|chain| chain[1][3] ^= 1), ProofError::Chain { .. }), "an altered signature");
    let forged = mallory.authorizes(&phone, &ada, &[]);
    assert!(
        matches!(chain(&|chain| chain[0] = forged.bytes().to_vec()), ProofError::Chain { .. }),
        "a link by a stranger"
    );
    let other = laptop.authorizes(&phone, &mallory, &[]);
    assert!(
        matches!(chain(&|chain| chain[0] = other.bytes().to_vec()), ProofError::Chain { .. }),
        "a link for another identity"
    );
    let round = laptop.authorizes(&laptop, &ada, &[]);
    assert!(
        matches!(chain(&|chain| {
            let end = chain.pop().unwrap();
            chain.extend(std::iter::repeat_n(round.bytes().to_vec(), 20));
            chain.push(end);
        }), ProofError::Chain { what } if what == "it is too long"),
        "a chain without end"
    );
    assert!(
        matches!(chain(&Vec::clear), ProofError::Chain { .. }),
        "no chain, and not the subject's own key"
    );
}

#[test]
fn a_foreign_device_does_not_speak_for_the_identity() {
    let (ada, laptop, mallory) = (Key::new(1), Key::new(2), Key::new(66));
    let chain = vec![born(&ada, &laptop)[0].bytes().to_vec()];
    let subject = Subject::Identity { identity_key: ada.identity(), device_key: mallory.device(), chain };
    let proof = claims(subject).sign(&mallory).unwrap();
    assert!(matches!(verify_proof(&proof, &expect()), Err(ProofError::Chain { .. })));
}

#[test]
fn nobody_makes_a_proof_for_somebody_else_or_for_long() {
    let (alias, other) = (Key::new(8), Key::new(9));
    assert_eq!(claims(Subject::Alias(alias.alias())).sign(&other), Err(PresentError::Signer));
    let mut long = claims(Subject::Alias(alias.alias()));
    long.expires = later(301);
    assert_eq!(long.sign(&alias), Err(PresentError::Life));
}

// threat: 21
#[test]
fn one_flipped_bit_anywhere_in_a_proof_is_refused() {
    let alias = Key::new(8);
    let alias_proof = claims(Subject::Alias(alias.alias())).sign(&alias).unwrap();
    for proof in [alias_proof, by_identity(|_| {})] {
        for bit in 0..proof.len() * 8 {
            let mut bytes = proof.clone().into_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let Ok(text) = String::from_utf8(bytes) else { continue };
            assert!(verify_proof(&text, &expect()).is_err(), "bit {bit}");
        }
    }
}

#[test]
fn tokens_of_other_kinds_are_no_proofs() {
    for token in ["", ".", "..", "a.b.c", &"a".repeat(LONGEST_TOKEN + 1), "e30.e30.", "e30.e30.AA"] {
        assert!(matches!(verify_proof(token, &expect()), Err(ProofError::Form { .. })), "{token:.20}");
    }
}

proptest! {
    #[test]
    fn any_text_is_refused(text in "\\PC{0,200}") {
        prop_assert!(verify_proof(&text, &expect()).is_err());
    }
}
