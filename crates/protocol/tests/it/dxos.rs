//! Credentials, a presentation and invitation codes that DXOS's own client 0.8.3 made.

use data_encoding::HEXLOWER;
use halo_protocol::dxos::{
    DxosAssertion, DxosCredential, DxosDraft, DxosError, DxosKey, DxosPresentation, DxosStatement, SignDxos,
    decode_invitation, encode_invitation, present,
};
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use proptest::prelude::*;
use serde_json::Value;

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../vectors/dxos.json")).unwrap()
}

fn bytes(hex: &Value) -> Vec<u8> {
    HEXLOWER.decode(hex.as_str().unwrap().as_bytes()).unwrap()
}

fn credentials() -> Vec<(Value, Vec<u8>)> {
    let vectors = vectors();
    vectors["credentials"].as_array().unwrap().iter().map(|it| (it.clone(), bytes(&it["hex"]))).collect()
}

#[test]
fn every_credential_has_its_payload_and_id_and_verifies() {
    let all = credentials();
    assert_eq!(all.len(), 27);
    for (vector, bytes) in all {
        let credential = DxosCredential::decode(&bytes).unwrap();
        assert_eq!(credential.assertion_type(), vector["type"]);
        assert_eq!(credential.payload(), vector["payload"], "{}", vector["type"]);
        assert_eq!(HEXLOWER.encode(&credential.id()), vector["id"]);
        credential.verify().unwrap();
    }
}

#[test]
fn a_presentation_has_its_payload_and_its_proof_is_by_who_it_names() {
    let vector = &vectors()["presentation"];
    let presentation = DxosPresentation::decode(&bytes(&vector["hex"])).unwrap();
    assert_eq!(presentation.payloads(), [vector["payload"].as_str().unwrap()]);
    assert!(!presentation.credentials().is_empty());
    presentation.verify().unwrap();
}

#[test]
fn invitation_codes_decode_and_encode() {
    for vector in vectors()["invitations"].as_array().unwrap() {
        let code = vector["code"].as_str().unwrap();
        let (read, said) = decode_invitation(code).unwrap();
        assert_eq!(read, bytes(&vector["hex"]));
        assert_eq!(encode_invitation(&read), code);
        for (name, value) in vector["decoded"].as_object().unwrap() {
            if !value.is_object() {
                assert_eq!(&said[name], value, "{name}");
            }
        }
    }
    assert!(decode_invitation("not a code!").is_err());
    assert!(decode_invitation(&"z".repeat(10_000)).is_err());
}

/// The length-delimited fields of a message, by number.
fn split(bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut rest = bytes;
    let mut found = Vec::new();
    while !rest.is_empty() {
        let tag = prost::encoding::decode_varint(&mut rest).unwrap();
        assert_eq!(tag & 7, 2, "credentials and proofs have no other fields");
        let length = usize::try_from(prost::encoding::decode_varint(&mut rest).unwrap()).unwrap();
        let (body, left) = rest.split_at(length);
        found.push((tag >> 3, body.to_vec()));
        rest = left;
    }
    found
}

fn join(fields: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (number, body) in fields {
        prost::encoding::encode_varint(number << 3 | 2, &mut bytes);
        prost::encoding::encode_varint(body.len() as u64, &mut bytes);
        bytes.extend(body);
    }
    bytes
}

/// A credential with another chain, or none. The chain is not under the signature.
fn with_chain(bytes: &[u8], chain: Option<&[u8]>) -> DxosCredential {
    let mut fields = split(bytes);
    let (_, proof) = fields.iter_mut().find(|(number, _)| *number == 11).unwrap();
    let mut parts = split(proof);
    parts.retain(|(number, _)| *number != 6);
    parts.extend(chain.map(|chain| (6, join(&[(1, chain.to_vec())]))));
    *proof = join(&parts);
    DxosCredential::decode(&join(&fields)).unwrap()
}

#[test]
fn a_chain_that_is_missing_or_about_somebody_else_is_refused() {
    let all = credentials();
    let of = |name: &str| {
        all.iter().filter(|(vector, _)| vector["type"] == name).map(|(_, bytes)| bytes).collect::<Vec<_>>()
    };
    let devices = of("dxos.halo.credentials.AuthorizedDevice");
    let chained: Vec<&Vec<u8>> = all
        .iter()
        .map(|(_, bytes)| bytes)
        .filter(|bytes| DxosCredential::decode(bytes).unwrap().json().pointer("/proof/chain").is_some())
        .collect();
    assert!(chained.len() > 10 && devices.len() == 2);
    for bytes in chained {
        let signer = DxosCredential::decode(bytes).unwrap().json()["proof"]["signer"].clone();
        assert!(matches!(with_chain(bytes, None).verify(), Err(DxosError::Chain { .. })));
        for device in &devices {
            let about = DxosCredential::decode(device).unwrap().json()["subject"]["id"].clone();
            assert_eq!(with_chain(bytes, Some(device)).verify().is_ok(), about == signer);
        }
        let other = of("dxos.halo.credentials.SpaceGenesis")[0];
        assert!(matches!(with_chain(bytes, Some(other)).verify(), Err(DxosError::Chain { .. })));
    }
}

proptest! {
    #[test]
    fn one_flipped_bit_anywhere_is_rejected(which in 0..27_usize, at: prop::sample::Index, bit in 0..8_u8) {
        let (_, original) = credentials().remove(which);
        let mut altered = original.clone();
        let at = at.index(altered.len());
        altered[at] ^= 1 << bit;
        let whole = DxosCredential::decode(&original).unwrap();
        if let Ok(found) = DxosCredential::decode(&altered) {
            // What the signature does not cover, by DXOS's design, is the type of an assertion and fields nobody knows.
            if found.verify().is_ok() {
                prop_assert_eq!(found.payload(), whole.payload());
            }
        }
    }

    #[test]
    fn any_bytes_end_in_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..300), code in "[0-9a-zA-Z]{0,200}") {
        let _ = DxosCredential::decode(&bytes).map(|it| it.verify());
        let _ = DxosPresentation::decode(&bytes).map(|it| it.verify());
        let _ = decode_invitation(&code);
        prop_assert_eq!(encode_invitation(&bytes).len() < 500, true);
    }
}

/// A key made from a number.
struct Key(SigningKey);

impl Key {
    fn new(number: u8) -> Self {
        Self(SigningKey::from_slice(&[number; 32]).unwrap())
    }
}

impl SignDxos for Key {
    fn dxos_key(&self) -> DxosKey {
        DxosKey::from_bytes(self.0.verifying_key().to_encoded_point(false).as_bytes()).unwrap()
    }

    fn sign_dxos(&self, statement: &DxosStatement) -> [u8; 64] {
        let signature: Signature = self.0.sign(statement.signing_bytes());
        signature.to_bytes().into()
    }
}

fn draft(issuer: &Key, subject: &Key, assertion: DxosAssertion) -> DxosDraft {
    let subject = subject.dxos_key().as_bytes().to_vec();
    DxosDraft { issuer: issuer.dxos_key(), subject, issued: crate::signer::NOON, assertion }
}

fn authorized(identity: &Key, device: &Key) -> DxosCredential {
    let (identity_key, device_key) = (identity.dxos_key(), device.dxos_key());
    let assertion = DxosAssertion::AuthorizedDevice { identity_key, device_key };
    draft(identity, device, assertion).sign(identity, None).unwrap()
}

#[test]
fn what_is_made_here_reads_back_verifies_and_is_the_same_each_time() {
    let (identity, device) = (Key::new(1), Key::new(2));
    let chain = authorized(&identity, &device);
    let space_key = vec![4; 32];
    let name = Some("Ada".to_owned());
    for assertion in [
        DxosAssertion::SpaceGenesis { space_key: space_key.clone() },
        DxosAssertion::SpaceMember { space_key, role: 4, display_name: name.clone() },
        DxosAssertion::DeviceProfile { label: "Laptop \u{1f4bb}".into(), platform: "linux".into(), kind: 2 },
        DxosAssertion::IdentityProfile { display_name: name },
        DxosAssertion::IdentityProfile { display_name: None },
        DxosAssertion::DefaultSpace { space_id: "BSPACE".into() },
        DxosAssertion::Epoch { number: 0, automerge_root: "automerge:root".into() },
        DxosAssertion::Auth,
    ] {
        let draft = draft(&identity, &device, assertion.clone());
        for made in [draft.sign(&identity, None).unwrap(), draft.sign(&device, Some(&chain)).unwrap()] {
            let read = DxosCredential::decode(&made.encode().unwrap()).unwrap();
            assert_eq!(read, made, "{assertion:?}");
            read.verify().unwrap();
        }
        let again = draft.sign(&identity, None).unwrap();
        assert_eq!(again, draft.sign(&identity, None).unwrap());
        assert!(draft.sign(&device, None).is_err(), "who is not the issuer shows a chain");
        let stranger = draft.sign(&Key::new(3), Some(&chain)).unwrap();
        assert!(matches!(stranger.verify(), Err(DxosError::Chain { .. })), "and one about itself");
    }
}

#[test]
fn real_credentials_are_written_as_they_were_read() {
    let mut written = 0;
    for (vector, bytes) in credentials() {
        let read = DxosCredential::decode(&bytes).unwrap();
        // What JSON cannot say is not written at all.
        let Ok(again) = read.encode() else { continue };
        let again = DxosCredential::decode(&again).unwrap();
        assert_eq!(again, read, "{}", vector["type"]);
        again.verify().unwrap();
        written += 1;
    }
    assert!(written > 20, "{written} of 27");
}

#[test]
fn a_presentation_is_signed_as_it_came_and_only_if_it_holds() {
    let (identity, device) = (Key::new(1), Key::new(2));
    let chain = authorized(&identity, &device);
    let credential = draft(&identity, &identity, DxosAssertion::Auth).sign(&device, Some(&chain)).unwrap();
    let bytes = credential.encode().unwrap();
    let asked = join(&[(1, bytes.clone()), (1, chain.encode().unwrap())]);
    let shown = present(&asked, Some(b"challenge"), crate::signer::NOON, &device, Some(&chain)).unwrap();
    assert!(shown.starts_with(&asked), "byte for byte");
    let read = DxosPresentation::decode(&shown).unwrap();
    read.verify().unwrap();
    let twice = present(&shown, None, crate::signer::NOON, &identity, None).unwrap();
    DxosPresentation::decode(&twice).unwrap().verify().unwrap();
    let mut changed = bytes;
    let last = changed.len() - 1;
    changed[last] ^= 1;
    assert!(present(&join(&[(1, changed)]), None, crate::signer::NOON, &device, Some(&chain)).is_err());
    assert!(present(&asked, Some(&[0; 2_000]), crate::signer::NOON, &device, Some(&chain)).is_err());
}

#[test]
fn an_identity_of_dxos_has_the_id_that_dxos_gives_it() {
    let vectors = vectors();
    let (key, did) = (bytes(&vectors["identityKey"]), vectors["did"].as_str().unwrap().to_owned());
    assert_eq!(DxosKey::from_bytes(&key).unwrap().did(), did);
    assert!(DxosKey::from_bytes(&key[1..]).is_err());
    assert!(DxosKey::from_bytes(&[4; 65]).is_err(), "no point of the curve");
}
