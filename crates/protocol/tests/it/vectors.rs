//! The vectors in `vectors/`: bytes that every implementation must take or refuse as we do.
//!
//! `cargo test -p halo-protocol --test it -- --ignored write_the_vectors` writes them anew; a change of a file that is
//! already published is a new version of the format.

use std::path::{Path, PathBuf};

use halo_protocol::audit::{AuditEntry, AuditEvent, ChainHead, verify_chain};
use halo_protocol::channel::{HandshakeHash, Role};
use halo_protocol::credential::{Assertion, Credential, CredentialId, IdentityProfile};
use halo_protocol::identity::IdentityState;
use halo_protocol::peer::{PeerExpect, PeerHello};
use halo_protocol::presentation::{Expect, ProofClaims, Subject, verify_proof};
use halo_protocol::{AgreementKey, Did, IdentityKey, Signature, Timestamp, Verified};
use serde_json::{Value, json};

use crate::credential::grant;
use crate::signer::{Key, NOON, agreement, born, laptop};
use crate::trust::{cut, hybrid};

const FILES: [&str; 6] = ["credentials", "proofs", "logs", "identities", "devices", "peers"];

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors").join(format!("{name}.json"))
}

fn read(name: &str) -> Vec<Value> {
    serde_json::from_slice(&std::fs::read(file(name)).unwrap()).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

fn unhex(value: &Value) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
}

fn name(text: &str) -> Assertion {
    Assertion::IdentityProfile(IdentityProfile { display_name: text.into(), avatar: None })
}

fn made(file: &str) -> Vec<Value> {
    match file {
        "credentials" => credentials(),
        "proofs" => proofs(),
        "logs" => logs(),
        "devices" => devices(),
        "peers" => peers(),
        _ => identities(),
    }
}

fn credentials() -> Vec<Value> {
    let (ada, device) = (Key::new(1), Key::new(2));
    let space = Assertion::HaloSpace { identity_key: ada.identity(), halo_key: [5; 32] };
    let parent = [CredentialId::from_bytes([3; 32])];
    let whole = [
        ("authorized device", ada.authorizes(&device, &ada, &[])),
        ("halo space", ada.says(ada.bytes(), space, &[], NOON)),
        ("device profile", device.says(device.bytes(), Assertion::DeviceProfile(laptop()), &parent, NOON)),
        ("identity profile", device.says(ada.bytes(), name("Ada 🦉"), &parent, NOON)),
        ("empty name", device.says(ada.bytes(), name(""), &[], Timestamp::from_millis(0))),
        ("revoked device", ada.revokes(&device, &parent)),
        ("grant", device.says(ada.bytes(), Assertion::AppGrant(grant()), &parent, NOON)),
    ];
    let mut vectors: Vec<Value> = whole
        .iter()
        .map(|(name, credential)| {
            json!({
                "name": name, "valid": true,
                "hex": hex(credential.bytes()),
                "id": hex(credential.id().as_bytes()),
                "issuer": hex(&credential.said().issuer),
            })
        })
        .collect();
    let good = whole[3].1.bytes();
    let body = &good[64..];
    let signed = |body: &[u8]| {
        [device.raw(&[b"\0halo statement v1\0\x01".as_slice(), body].concat()).as_slice(), body].concat()
    };
    let flipped = |at: usize| {
        let mut bytes = good.to_vec();
        bytes[at] ^= 1;
        bytes
    };
    let faulty = [
        ("a bit of the signature", flipped(3)),
        ("a bit of the name", flipped(good.len() - 1)),
        ("a byte short", good[..good.len() - 1].to_vec()),
        ("nothing but a signature", good[..64].to_vec()),
        ("an unknown field, well signed", signed(&[body, &[0xf8, 0x01, 0x01]].concat())),
        ("version 2, well signed", signed(&[&[0x08, 0x02], &body[2..]].concat())),
        ("an overlong number, well signed", signed(&[&[0x08, 0x81, 0x00], &body[2..]].concat())),
        ("signed as an entry of a log", {
            let statement = [b"\0halo statement v1\0\x02".as_slice(), body].concat();
            [device.raw(&statement).as_slice(), body].concat()
        }),
    ];
    vectors
        .extend(faulty.iter().map(|(name, bytes)| json!({"name": name, "valid": false, "hex": hex(bytes)})));
    vectors
}

fn proofs() -> Vec<Value> {
    let (ada, device, phone, mallory, alias) =
        (Key::new(1), Key::new(2), Key::new(3), Key::new(66), Key::new(8));
    let own = born(&ada, &device)[0].bytes().to_vec();
    let link = device.authorizes(&phone, &ada, &[]).bytes().to_vec();
    let claims = |subject: Subject| ProofClaims {
        audience: "https://app.example".into(),
        nonce: Some("n-0S6_WzA2Mj".into()),
        issued: NOON,
        expires: Timestamp::from_millis(NOON.as_millis() + 300_000),
        subject,
        name: Some("Ada".into()),
    };
    let by = |signer: &Key, chain: Vec<Vec<u8>>| {
        claims(Subject::Identity { identity_key: ada.identity(), device_key: signer.device(), chain })
            .sign(signer)
            .unwrap()
    };
    let by_alias = claims(Subject::Alias(alias.alias())).sign(&alias).unwrap();
    let mut altered = link.clone();
    let at = altered.len() - 1;
    altered[at] ^= 1;
    let vector = |name: &str, jwt: &str, change: Value, outcome: Value| {
        let mut vector = json!({
            "name": name, "jwt": jwt, "audience": "https://app.example", "nonce": "n-0S6_WzA2Mj",
            "now_ms": NOON.as_millis() + 1000,
        });
        for part in [change, outcome] {
            vector.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
        }
        vector
    };
    let good =
        |subject: String, identity: bool| json!({"valid": true, "subject": subject, "identity": identity});
    let bad = |fault: &str| json!({"valid": false, "fault": fault});
    let real = ada.identity().did_key();
    let through_two = by(&phone, vec![link.clone(), own.clone()]);
    let over = json!({"now_ms": NOON.as_millis() + 300_000});
    vec![
        vector("an alias", &by_alias, json!({}), good(alias.alias().did_key(), false)),
        vector("an identity", &by(&device, vec![own.clone()]), json!({}), good(real.clone(), true)),
        vector("an identity, through two devices", &through_two, json!({}), good(real.clone(), true)),
        vector(
            "a clock that is a little behind",
            &by_alias,
            json!({"now_ms": NOON.as_millis() - 30_000}),
            good(alias.alias().did_key(), false),
        ),
        vector("another audience", &by_alias, json!({"audience": "https://evil.example"}), bad("audience")),
        vector("another nonce", &by_alias, json!({"nonce": "another"}), bad("nonce")),
        vector("expired", &by_alias, over, bad("expired")),
        vector("a foreign device", &by(&mallory, vec![own.clone()]), json!({}), bad("chain")),
        vector("an altered chain", &by(&phone, vec![altered, own.clone()]), json!({}), bad("chain")),
        vector("a chain that ends too soon", &by(&phone, vec![link]), json!({}), bad("chain")),
        vector("a device without its chain", &by(&device, vec![]), json!({}), bad("chain")),
    ]
}

fn logs() -> Vec<Value> {
    let device = Key::new(2);
    let mut head = ChainHead::default();
    let events = [
        AuditEvent::IdentityCreated,
        AuditEvent::Approved {
            grant: [7; 16],
            client: "https://app.example".into(),
            scopes: vec!["openid".into()],
            identity: false,
            fields: vec!["name".into()],
        },
        AuditEvent::Locked { why: "idle".into() },
        AuditEvent::Suspicious { what: "a squatter".into(), client: None },
    ];
    let entries: Vec<Value> = events
        .into_iter()
        .map(|event| {
            let entry = AuditEntry::next(head, NOON, event).sign(&device);
            head = ChainHead { seq: entry.seq, hash: entry.hash };
            json!({"body": hex(&entry.body), "signature": hex(entry.signature.as_bytes())})
        })
        .collect();
    let vector = |name: &str, entries: Vec<Value>, broken_at: Option<u64>| json!({"name": name, "device": device.device().to_string(), "entries": entries, "broken_at": broken_at});
    let mut removed = entries.clone();
    removed.remove(1);
    let mut edited = entries.clone();
    let mut body = unhex(&edited[2]["body"]);
    let at = body.len() - 1;
    body[at] ^= 1;
    edited[2]["body"] = hex(&body).into();
    vec![
        vector("four entries", entries, None),
        vector("none", vec![], None),
        vector("one was removed", removed, Some(2)),
        vector("one was edited", edited, Some(4)),
    ]
}

fn devices() -> Vec<Value> {
    let (ada, device, phone) = (Key::new(1), Key::new(2), Key::new(3));
    let parent = [CredentialId::from_bytes([3; 32])];
    let mut cuts = vec![cut(30, 7), cut(31, 0)];
    cuts.sort();
    let recovery = Assertion::IdentityRecovery { identity_key: ada.identity(), recovery_key: hybrid(7) };
    let authorised = device.authorizes(&phone, &ada, &parent);
    let whole = [
        ("admitted feed", phone.admits(30, 50, &parent)),
        ("revoked device, two feeds cut", device.cuts(&phone, cuts.clone(), &parent)),
        ("endorsed", ada.endorses(&authorised, &[authorised.id()])),
        ("sealing key", {
            device.says(device.bytes(), Assertion::SealingKey { hybrid_key: hybrid(6) }, &parent, NOON)
        }),
        ("recovery key", ada.says(ada.bytes(), recovery, &parent, NOON)),
    ];
    let mut vectors: Vec<Value> = whole
        .iter()
        .map(|(name, made)| {
            json!({"name": name, "valid": true, "hex": hex(made.bytes()), "id": hex(made.id().as_bytes())})
        })
        .collect();
    let signed = |by: &Key, body: &[u8]| {
        [by.raw(&[b"\0halo statement v1\0\x01".as_slice(), body].concat()).as_slice(), body].concat()
    };
    let replaced = |by: &Key, made: &Verified<Credential>, from: &[u8], to: &[u8]| {
        let mut body = made.bytes()[64..].to_vec();
        let at = body.windows(from.len()).rposition(|part| part == from).unwrap();
        body[at..at + from.len()].copy_from_slice(to);
        signed(by, &body)
    };
    let (feed, revoked) = (&whole[0].1, &whole[1].1);
    let Assertion::AdmittedFeed(admitted) = &feed.said().assertion else { panic!() };
    let mut claim = *admitted.claim.as_bytes();
    claim[5] ^= 1;
    let swapped = {
        let [one, other] = [cuts[0].feed, cuts[1].feed].map(|feed| *feed.as_bytes());
        let once = replaced(&device, revoked, &one, &[0xee; 32]);
        let body = once[64..].to_vec();
        let mut body = body;
        for (from, to) in [(other, one), ([0xee; 32], other)] {
            let at = body.windows(32).rposition(|part| part == from).unwrap();
            body[at..at + 32].copy_from_slice(&to);
        }
        signed(&device, &body)
    };
    let faulty = [
        ("a claim that the feed did not sign", replaced(&phone, feed, admitted.claim.as_bytes(), &claim)),
        ("a claim for another space", {
            replaced(&phone, feed, admitted.space_key.as_bytes(), crate::trust::space(51).as_bytes())
        }),
        ("a claim of another feed", {
            replaced(&phone, feed, admitted.feed_key.as_bytes(), crate::trust::feed(31).as_bytes())
        }),
        ("cuts not in order", swapped),
        ("a cut without its last block", replaced(&device, revoked, &[7; 32], &[0; 32])),
    ];
    vectors
        .extend(faulty.iter().map(|(name, bytes)| json!({"name": name, "valid": false, "hex": hex(bytes)})));
    vectors
}

/// Ada's laptop (2) hears a hello; its agreement key is the one that all devices of tests have.
fn peers() -> Vec<Value> {
    let (ada, device, phone) = (Key::new(1), Key::new(2), Key::new(3));
    let mut set = born(&ada, &device);
    set.push(device.authorizes(&phone, &ada, &[set[2].id()]));
    let chain = vec![set[3].bytes().to_vec(), set[0].bytes().to_vec()];
    let handshake = HandshakeHash::from_bytes([4; 32]);
    let hello = PeerHello::sign(Role::Initiator, handshake, chain, &phone).unwrap().encode();
    let stranger = PeerHello::sign(Role::Initiator, handshake, vec![], &Key::new(66)).unwrap().encode();
    let mut revoked = set.clone();
    revoked.push(device.revokes(&phone, &[set[3].id()]));
    let mut flipped = hello.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let vector = |name: &str, valid: bool, hello: &[u8], set: &[Verified<Credential>], change: Value| {
        let credentials: Vec<String> = set.iter().map(|credential| hex(credential.bytes())).collect();
        let mut vector = json!({
            "name": name, "valid": valid, "hello": hex(hello), "credentials": credentials,
            "identity": ada.identity().to_string(), "ourselves": device.device().to_string(),
            "handshake": hex(&[4; 32]), "peer_spoke_first": true, "agreement_key": hex(agreement().as_bytes()),
        });
        vector.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        vector
    };
    vec![
        vector("a known device", true, &hello, &set, json!({})),
        vector("a device let in elsewhere", true, &hello, &set[..3], json!({})),
        vector("another handshake", false, &hello, &set, json!({"handshake": hex(&[5; 32])})),
        vector("the other part of the handshake", false, &hello, &set, json!({"peer_spoke_first": false})),
        vector("another agreement key", false, &hello, &set, json!({"agreement_key": hex(&[8; 32])})),
        vector("a revoked device", false, &hello, &revoked, json!({})),
        vector("our own hello", false, &hello, &set, json!({"ourselves": phone.device().to_string()})),
        vector("a stranger", false, &stranger, &set, json!({})),
        vector("a bit of the signature", false, &flipped, &set, json!({})),
        vector("a byte short", false, &hello[..hello.len() - 1], &set, json!({})),
    ]
}

fn identities() -> Vec<Value> {
    let (ada, device, phone, mallory) = (Key::new(1), Key::new(2), Key::new(3), Key::new(66));
    let mut set = born(&ada, &device);
    let born_only = set.clone();
    set.push(device.authorizes(&phone, &ada, &[set[2].id()]));
    let seen = [set[3].id()];
    let linked = set.clone();
    set.push(phone.says(ada.bytes(), name("Thief"), &seen, NOON));
    set.push(phone.revokes(&device, &seen));
    let mut evicted = set.clone();
    evicted.push(ada.revokes(&phone, &seen));
    let mut stranger = born_only.clone();
    stranger.push(mallory.says(ada.bytes(), name("Mallory"), &[born_only[2].id()], NOON));
    [
        ("born", born_only),
        ("a second device", linked),
        ("a stolen device takes over", set),
        ("the identity evicts the thief, backdated statements included", evicted),
        ("a stranger says something", stranger),
    ]
    .into_iter()
    .map(|(name, set)| {
        let state = IdentityState::from_credentials(&ada.identity(), &set);
        let devices: serde_json::Map<String, Value> = state
            .devices
            .iter()
            .map(|(key, device)| (key.to_string(), json!({"revoked": device.revoked})))
            .collect();
        json!({
            "name": name,
            "identity": ada.identity().to_string(),
            "did": Did::of(&ada.identity()).to_string(),
            "credentials": set.iter().map(|credential| hex(credential.bytes())).collect::<Vec<_>>(),
            "display_name": state.profile.map(|profile| profile.display_name),
            "devices": devices,
            "rejected": state.rejected.iter().map(|(id, _)| hex(id.as_bytes())).collect::<Vec<_>>(),
        })
    })
    .collect()
}

#[test]
#[ignore = "writes into the source tree"]
fn write_the_vectors() {
    for name in FILES {
        let text = serde_json::to_string_pretty(&made(name)).unwrap();
        std::fs::write(file(name), text + "\n").unwrap();
    }
}

#[test]
fn what_we_make_is_what_was_published() {
    for name in FILES {
        assert_eq!(made(name), read(name), "{name}.json");
    }
}

#[test]
fn credentials_are_taken_and_refused_as_published() {
    for vector in read("credentials") {
        let outcome = Credential::decode(&unhex(&vector["hex"])).and_then(Credential::verify);
        assert_eq!(outcome.is_ok(), vector["valid"], "{}", vector["name"]);
        if let Ok(credential) = outcome {
            assert_eq!(hex(credential.id().as_bytes()), vector["id"], "{}", vector["name"]);
        }
    }
}

#[test]
fn what_devices_say_is_taken_and_refused_as_published() {
    for vector in read("devices") {
        let outcome = Credential::decode(&unhex(&vector["hex"])).and_then(Credential::verify);
        assert_eq!(outcome.is_ok(), vector["valid"], "{}: {outcome:?}", vector["name"]);
    }
}

#[test]
fn peers_are_taken_and_refused_as_published() {
    for vector in read("peers") {
        let set: Vec<_> = vector["credentials"]
            .as_array()
            .unwrap()
            .iter()
            .map(|hex| Credential::decode(&unhex(hex)).unwrap().verify().unwrap())
            .collect();
        let identity: IdentityKey = vector["identity"].as_str().unwrap().parse().unwrap();
        let state = IdentityState::from_credentials(&identity, &set);
        let role = if vector["peer_spoke_first"] == true { Role::Initiator } else { Role::Responder };
        let expect = PeerExpect {
            state: &state,
            ourselves: &vector["ourselves"].as_str().unwrap().parse().unwrap(),
            handshake: HandshakeHash::from_bytes(unhex(&vector["handshake"]).try_into().unwrap()),
            role,
            agreement_key: AgreementKey::from_bytes(&unhex(&vector["agreement_key"])).unwrap(),
            now: NOON,
        };
        let outcome = PeerHello::decode(&unhex(&vector["hello"])).and_then(|hello| hello.verify(&expect));
        assert_eq!(outcome.is_ok(), vector["valid"], "{}: {outcome:?}", vector["name"]);
    }
}

#[test]
fn proofs_are_taken_and_refused_as_published() {
    for vector in read("proofs") {
        let expect = Expect {
            audience: vector["audience"].as_str().unwrap(),
            nonce: vector["nonce"].as_str(),
            now: Timestamp::from_millis(vector["now_ms"].as_u64().unwrap()),
        };
        let outcome = verify_proof(vector["jwt"].as_str().unwrap(), &expect);
        assert_eq!(outcome.is_ok(), vector["valid"], "{}: {outcome:?}", vector["name"]);
        if let Ok(verified) = outcome {
            assert_eq!(verified.subject, vector["subject"], "{}", vector["name"]);
            assert_eq!(verified.identity.is_some(), vector["identity"], "{}", vector["name"]);
        }
    }
}

#[test]
fn logs_break_where_it_was_published() {
    for vector in read("logs") {
        let entries: Vec<(Vec<u8>, Signature)> = vector["entries"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| {
                let signature = unhex(&entry["signature"]).try_into().unwrap();
                (unhex(&entry["body"]), Signature::from_bytes(signature))
            })
            .collect();
        let device = vector["device"].as_str().unwrap().parse().unwrap();
        let outcome =
            verify_chain(entries.iter().map(|(body, signature)| (body.as_slice(), signature)), &device);
        assert_eq!(json!(outcome.err().map(|broken| broken.seq)), vector["broken_at"], "{}", vector["name"]);
    }
}

#[test]
fn identities_are_what_was_published() {
    for vector in read("identities") {
        let identity: IdentityKey = vector["identity"].as_str().unwrap().parse().unwrap();
        let set: Vec<_> = vector["credentials"]
            .as_array()
            .unwrap()
            .iter()
            .map(|hex| Credential::decode(&unhex(hex)).unwrap().verify().unwrap())
            .collect();
        let state = IdentityState::from_credentials(&identity, &set);
        assert_eq!(json!(state.profile.map(|profile| profile.display_name)), vector["display_name"]);
        for (device, found) in &state.devices {
            assert_eq!(vector["devices"][device.to_string()]["revoked"], found.revoked, "{}", vector["name"]);
        }
        assert_eq!(state.rejected.len(), vector["rejected"].as_array().unwrap().len(), "{}", vector["name"]);
    }
}
