use halo_protocol::credential::{
    AppGrant, AppKind, Assertion, Credential, CredentialError, CredentialId, Draft, IdentityProfile,
    LONGEST_BODY, MOST_PARENTS, SeedName,
};
use halo_protocol::{SignatureError, Timestamp};
use proptest::prelude::*;

use crate::signer::{Key, NOON, agreement, laptop};

pub(crate) fn grant() -> AppGrant {
    AppGrant {
        grant_id: [7; 16],
        client_id: "https://app.example".into(),
        name: Some("Hello".into()),
        kind: AppKind::Web,
        scopes: vec!["openid".into(), "profile".into()],
        fields: vec!["name".into()],
        identity: false,
        alias_epoch: 1,
        alias_seed: None,
        revoked: false,
    }
}

fn name(text: &str) -> Assertion {
    Assertion::IdentityProfile(IdentityProfile { display_name: text.into(), avatar: None })
}

fn any_assertion() -> impl Strategy<Value = Assertion> {
    let text = "\\PC{0,40}";
    prop_oneof![
        (any::<u8>(), any::<[u8; 32]>()).prop_map(|(key, halo_key)| Assertion::HaloSpace {
            identity_key: Key::new(key).identity(),
            halo_key
        }),
        (any::<u8>(), any::<u8>()).prop_map(|(key, other)| Assertion::AuthorizedDevice {
            identity_key: Key::new(key).identity(),
            device_key: Key::new(other).device(),
            agreement_key: agreement(),
        }),
        text.prop_map(|label| Assertion::DeviceProfile(halo_protocol::credential::DeviceProfile {
            label,
            ..laptop()
        })),
        (text, proptest::option::of(proptest::collection::vec(any::<u8>(), 0..200))).prop_map(
            |(display_name, avatar)| Assertion::IdentityProfile(IdentityProfile { display_name, avatar })
        ),
        any::<u8>().prop_map(|key| Assertion::RevokedDevice {
            device_key: Key::new(key).device(),
            cuts: Vec::new()
        }),
        (
            any::<[u8; 16]>(),
            text,
            proptest::collection::vec(text, 0..5),
            any::<(bool, bool, bool, u32, Option<[u8; 32]>)>()
        )
            .prop_map(
                |(grant_id, client_id, scopes, (native, identity, revoked, alias_epoch, seed))| {
                    Assertion::AppGrant(AppGrant {
                        grant_id,
                        client_id,
                        name: None,
                        kind: if native { AppKind::Native } else { AppKind::Web },
                        fields: scopes.clone(),
                        scopes,
                        identity,
                        alias_epoch,
                        alias_seed: seed.map(SeedName::from_bytes),
                        revoked,
                    })
                }
            ),
    ]
}

prop_compose! {
    fn any_credential()(
        issuer: u8,
        subject: [u8; 32],
        issued: u64,
        expires: Option<u64>,
        parents in proptest::collection::vec(any::<[u8; 32]>(), 0..6),
        assertion in any_assertion(),
    ) -> (Key, Draft) {
        let issuer = Key::new(issuer);
        let draft = Draft {
            issuer: issuer.bytes(),
            subject,
            issued: Timestamp::from_millis(issued),
            expires: expires.map(Timestamp::from_millis),
            parents: parents.into_iter().map(CredentialId::from_bytes).collect(),
            assertion,
        };
        (issuer, draft)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_said_reads_back_from_the_bytes((issuer, draft) in any_credential()) {
        let made = draft.clone().sign(&issuer).unwrap();
        let read = Credential::decode(made.bytes()).unwrap().verify().unwrap();
        prop_assert_eq!(&read, &made);
        prop_assert_eq!(read.said().assertion.clone(), draft.assertion);
        prop_assert_eq!(read.said().issued, draft.issued);
        prop_assert_eq!(read.said().expires, draft.expires);
        // Signing the same twice makes the same bytes: the id of a credential is known before it is signed.
        let again = read.said().clone().sign(&issuer).unwrap();
        prop_assert_eq!(again.bytes(), made.bytes());
    }

    #[test]
    fn any_bytes_are_a_credential_that_reads_back_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(read) = Credential::decode(&bytes) {
            prop_assert_eq!(read.bytes(), bytes);
        }
    }
}

// threat: 21
#[test]
fn one_flipped_bit_anywhere_is_refused() {
    let device = Key::new(2);
    for assertion in [Assertion::AppGrant(grant()), name("Ada"), Assertion::DeviceProfile(laptop())] {
        let made = device.says(device.bytes(), assertion, &[CredentialId::from_bytes([3; 32])], NOON);
        for bit in 0..made.bytes().len() * 8 {
            let mut bytes = made.bytes().to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let outcome = Credential::decode(&bytes).and_then(Credential::verify);
            assert!(outcome.is_err(), "bit {bit} of {:?}", made.said().assertion);
        }
    }
}

// threat: 21
#[test]
fn a_truncated_credential_is_refused_at_every_length() {
    let device = Key::new(2);
    let made = device.says(device.bytes(), name("Ada"), &[], NOON);
    for length in 0..made.bytes().len() {
        assert!(
            Credential::decode(&made.bytes()[..length]).and_then(Credential::verify).is_err(),
            "{length}"
        );
    }
    let longer = [made.bytes(), &[0]].concat();
    assert!(Credential::decode(&longer).is_err(), "a byte more");
}

#[test]
fn a_second_encoding_of_the_same_is_refused() {
    let device = Key::new(2);
    let made = device.says(device.bytes(), name("Ada"), &[], NOON);
    let body = &made.bytes()[64..];
    let signed = |body: &[u8]| {
        let statement = [b"\0halo statement v1\0\x01".as_slice(), body].concat();
        [device.raw(&statement).as_slice(), body].concat()
    };
    assert!(
        Credential::decode(&signed(body)).and_then(Credential::verify).is_ok(),
        "the test signs as a wallet does"
    );
    for (what, other) in [
        ("an unknown field", [body, &[0xf8, 0x01, 0x01]].concat()),
        ("the version twice", [&[0x08, 0x01], body].concat()),
        ("an overlong varint", [&[0x08, 0x81, 0x00], &body[2..]].concat()),
        ("a default written out", [body, &[0x20, 0x00]].concat()),
    ] {
        assert!(
            matches!(Credential::decode(&signed(&other)), Err(CredentialError::Encoding { .. })),
            "{what}"
        );
    }
}

#[test]
fn limits_hold_before_anything_is_read() {
    let device = Key::new(2);
    assert_eq!(
        Credential::decode(&vec![0; 64 + LONGEST_BODY + 1]),
        Err(CredentialError::Length { length: 64 + LONGEST_BODY + 1 })
    );
    assert_eq!(Credential::decode(&[0; 64]), Err(CredentialError::Length { length: 64 }));
    let draft = |assertion, parents| Draft {
        issuer: device.bytes(),
        subject: device.bytes(),
        issued: NOON,
        expires: None,
        parents,
        assertion,
    };
    let many = (0..=MOST_PARENTS)
        .map(|number| CredentialId::from_bytes([u8::try_from(number).unwrap(); 32]))
        .collect();
    assert!(draft(name("Ada"), many).sign(&device).is_err(), "too many parents");
    assert!(draft(name(&"a".repeat(LONGEST_BODY)), vec![]).sign(&device).is_err(), "too long");
    let avatar = Some(vec![0; 8 * 1024 + 1]);
    let picture = Assertion::IdentityProfile(IdentityProfile { display_name: "Ada".into(), avatar });
    assert!(draft(picture, vec![]).sign(&device).is_err(), "too large a picture");
}

#[test]
fn nobody_signs_for_somebody_else() {
    let (device, other) = (Key::new(2), Key::new(3));
    let draft = Draft {
        issuer: device.bytes(),
        subject: device.bytes(),
        issued: NOON,
        expires: None,
        parents: vec![],
        assertion: name("Ada"),
    };
    assert_eq!(draft.sign(&other), Err(CredentialError::Issuer));
}

#[test]
fn a_signature_over_another_kind_does_not_count() {
    let device = Key::new(2);
    let made = device.says(device.bytes(), name("Ada"), &[], NOON);
    let body = &made.bytes()[64..];
    for prefix in [b"\0halo statement v1\0\x02".as_slice(), b"\0halo statement v1\0\x03", b""] {
        let bytes = [device.raw(&[prefix, body].concat()).as_slice(), body].concat();
        assert_eq!(
            Credential::decode(&bytes).unwrap().verify(),
            Err(CredentialError::Signature(SignatureError::Mismatch))
        );
    }
}
