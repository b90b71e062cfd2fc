use halo_protocol::audit::{AuditEntry, AuditEvent, ChainHead, SignedEntry, verify_chain};
use proptest::prelude::*;

use crate::signer::{Key, NOON};

fn any_event() -> impl Strategy<Value = AuditEvent> {
    let text = "\\PC{0,30}";
    prop_oneof![
        Just(AuditEvent::IdentityCreated),
        Just(AuditEvent::IdentityRecovered),
        Just(AuditEvent::Unlocked),
        text.prop_map(|why| AuditEvent::Locked { why }),
        Just(AuditEvent::UnlockFailed),
        (any::<[u8; 16]>(), text, proptest::collection::vec(text, 0..4), any::<bool>()).prop_map(
            |(grant, client, scopes, identity)| AuditEvent::Approved {
                grant,
                client,
                fields: scopes.clone(),
                scopes,
                identity
            }
        ),
        (text, text).prop_map(|(client, why)| AuditEvent::Denied { client, why }),
        (any::<[u8; 16]>(), text, text).prop_map(|(grant, client, what)| AuditEvent::Used {
            grant,
            client,
            what
        }),
        (any::<[u8; 16]>(), text).prop_map(|(grant, client)| AuditEvent::Revoked { grant, client }),
        Just(AuditEvent::PassphraseSet),
        Just(AuditEvent::PassphraseRemoved),
        Just(AuditEvent::PhraseShown),
        Just(AuditEvent::PhraseConfirmed),
        Just(AuditEvent::PhraseForgotten),
        Just(AuditEvent::ProfileChanged),
        Just(AuditEvent::SettingsChanged),
        (text, proptest::option::of("\\PC{1,30}"))
            .prop_map(|(what, client)| AuditEvent::Suspicious { what, client }),
        text.prop_map(|by| AuditEvent::DeviceJoined { by }),
        (text, text).prop_map(|(device, label)| AuditEvent::DeviceAdmitted { device, label }),
        (text, text).prop_map(|(device, label)| AuditEvent::DeviceRevoked { device, label }),
        (text, text).prop_map(|(device, label)| AuditEvent::DeviceAgreed { device, label }),
        (text, text).prop_map(|(device, label)| AuditEvent::DeviceRenamed { device, label }),
        (any::<[u8; 16]>(), text).prop_map(|(grant, client)| AuditEvent::AliasMoved { grant, client }),
    ]
}

fn log(device: &Key, events: Vec<AuditEvent>) -> Vec<SignedEntry> {
    let mut head = ChainHead::default();
    events
        .into_iter()
        .map(|event| {
            let entry = AuditEntry::next(head, NOON, event).sign(device);
            head = ChainHead { seq: entry.seq, hash: entry.hash };
            entry
        })
        .collect()
}

fn verified(device: &Key, log: &[SignedEntry]) -> Result<ChainHead, u64> {
    verify_chain(log.iter().map(|entry| (entry.body.as_slice(), &entry.signature)), &device.device())
        .map_err(|broken| broken.seq)
}

fn of(events: usize) -> Vec<AuditEvent> {
    (0..events).map(|number| AuditEvent::Locked { why: format!("{number}") }).collect()
}

// threat: 35
#[test]
fn an_edited_removed_or_swapped_entry_is_found_where_it_is() {
    let device = Key::new(2);
    let whole = log(&device, of(6));
    assert_eq!(verified(&device, &whole).unwrap().seq, 6);

    let mut removed = whole.clone();
    removed.remove(2);
    assert_eq!(verified(&device, &removed), Err(3));

    let mut swapped = whole.clone();
    swapped.swap(3, 4);
    assert_eq!(verified(&device, &swapped), Err(4));

    // Edited, with hash and position right: the entry after it does not follow any more.
    let mut edited = whole.clone();
    let head = ChainHead { seq: 2, hash: whole[1].hash };
    edited[2] = AuditEntry::next(head, NOON, AuditEvent::Unlocked).sign(&device);
    assert_eq!(verified(&device, &edited), Err(4));

    // Rewritten to the end, but by another hand.
    let forged = log(&Key::new(3), of(6));
    assert_eq!(verified(&device, &forged), Err(6));

    assert_eq!(verified(&device, &[]), Ok(ChainHead::default()));
}

// threat: 35
#[test]
fn one_flipped_bit_in_an_entry_is_found() {
    let device = Key::new(2);
    let whole = log(&device, of(3));
    for entry in 0..whole.len() {
        for bit in 0..whole[entry].body.len() * 8 {
            let mut flipped = whole.clone();
            flipped[entry].body[bit / 8] ^= 1 << (bit % 8);
            assert!(verified(&device, &flipped).is_err(), "bit {bit} of entry {entry}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_event_reads_back(events in proptest::collection::vec(any_event(), 1..20)) {
        let device = Key::new(2);
        let log = log(&device, events.clone());
        prop_assert!(verified(&device, &log).is_ok());
        let read: Vec<AuditEvent> = log.iter().map(|entry| AuditEntry::decode(&entry.body).unwrap().event).collect();
        prop_assert_eq!(read, events);
    }

    #[test]
    fn any_bytes_are_an_entry_that_reads_back_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = AuditEntry::decode(&bytes);
    }
}
