//! Rows come back as they went in, and transactions are whole.

use halo_protocol::Timestamp;
use halo_protocol::audit::ChainHead;
use halo_store::{GrantRow, RefreshRow, RefreshUse, StoreError};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::world::{NOON, Place, contents, credential, entry, fill, grant, refresh, verified_entries};

fn time() -> impl Strategy<Value = Timestamp> {
    prop_oneof![Just(0), Just(i64::MAX.cast_unsigned()), 0..4_000_000_000_000_u64]
        .prop_map(Timestamp::from_millis)
}

fn any_grant() -> impl Strategy<Value = GrantRow> {
    // Two bytes of id: small enough that rows meet.
    (0..4_u8, ".*", option::of(".*"), vec(".*", 0..4), time(), option::of(time())).prop_map(
        |(id, client_id, process, instances, created, last_used)| GrantRow {
            id: [id; 16],
            client_id,
            process,
            instances,
            created,
            last_used,
        },
    )
}

fn any_refresh() -> impl Strategy<Value = RefreshRow> {
    (any::<[u8; 32]>(), 0..3_u8, 0..4_u8, ".*", time(), time(), any::<bool>()).prop_map(
        |(hash, family, grant, binding, issued, expires, used)| RefreshRow {
            hash,
            family: [family; 16],
            grant: [grant; 16],
            binding,
            issued,
            expires,
            used,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rows_come_back_as_they_went_in(
        grants in vec(any_grant(), 1..6),
        tokens in vec(any_refresh(), 0..6),
        sealed in vec(any::<u8>(), 0..9000),
        text in ".*",
        mute in (".*", time()),
    ) {
        let place = Place::new();
        let mut store = place.create();
        let mut expected = std::collections::BTreeMap::new();
        store.write(|tx| {
            for grant in &grants {
                tx.put_grant(grant)?;
                expected.insert(grant.id, grant.clone());
            }
            for token in &tokens {
                if expected.contains_key(&token.grant) {
                    tx.add_refresh(token)?;
                }
            }
            tx.put_sealed(&text, &sealed)?;
            tx.put_setting(&text, &(&text, sealed.len()))?;
            tx.put_mute(&mute.0, mute.1)
        }).unwrap();
        // Once from memory, once from disk.
        for round in 0..2 {
            let mut grants = store.grants().unwrap();
            grants.sort_by_key(|grant| grant.id);
            prop_assert_eq!(&grants, &expected.values().cloned().collect::<Vec<_>>());
            for token in &tokens {
                let kept = expected.contains_key(&token.grant).then(|| token.clone());
                prop_assert_eq!(store.refresh(&token.hash).unwrap(), kept);
            }
            prop_assert_eq!(store.sealed(&text).unwrap(), Some(sealed.clone()));
            prop_assert_eq!(store.setting(&text).unwrap(), Some((text.clone(), sealed.len())));
            let muted = (mute.1 > NOON).then(|| mute.clone());
            prop_assert_eq!(store.mutes(NOON).unwrap(), muted.into_iter().collect::<Vec<_>>());
            if round == 0 {
                store.close().unwrap();
                store = place.open();
            }
        }
        store.verify().unwrap();
    }
}

#[test]
fn credentials_come_in_order_and_once() {
    let place = Place::new();
    let mut store = place.create();
    let (first, second) = (credential("first"), credential("second"));
    let added = store
        .write(|tx| {
            let added =
                [tx.add_credential(&second)?, tx.add_credential(&first)?, tx.add_credential(&second)?];
            Ok(added)
        })
        .unwrap();
    assert_eq!(added, [true, true, false]);
    assert_eq!(store.credentials().unwrap(), vec![second.bytes().to_vec(), first.bytes().to_vec()]);
}

#[test]
fn what_is_not_there_is_none() {
    let store = Place::new().create();
    assert_eq!(store.sealed("identity").unwrap(), None);
    assert_eq!(store.setting::<bool>("anything").unwrap(), None);
    assert_eq!(store.refresh(&[0; 32]).unwrap(), None);
    assert_eq!(store.audit_head().unwrap(), ChainHead::default());
    assert_eq!(store.audit_hash(1).unwrap(), None);
    assert!(store.grants().unwrap().is_empty() && store.credentials().unwrap().is_empty());
}

#[test]
fn a_setting_of_another_shape_is_damage_and_not_a_default() {
    let place = Place::new();
    let mut store = place.create();
    store.write(|tx| tx.put_setting("phrase_confirmed", "perhaps")).unwrap();
    assert_eq!(store.setting::<bool>("phrase_confirmed").unwrap_err().code(), "store.damaged");
}

#[test]
fn a_refused_change_leaves_nothing_of_itself() {
    let place = Place::new();
    let mut store = place.create();
    fill(&mut store, 2);
    let before = contents(&store).unwrap();
    let refused: Result<(), _> = store.write(|tx| {
        tx.put_grant(&grant(2))?;
        tx.delete_sealed("identity")?;
        Err(StoreError::Refused { what: "the caller thought better of it" })
    });
    assert_eq!(refused.unwrap_err().code(), "store.refused");
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        store.write::<()>(|tx| {
            tx.put_grant(&grant(3))?;
            std::panic::resume_unwind(Box::new("in the middle"));
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(contents(&store).unwrap(), before);
    store.write(|tx| tx.put_grant(&grant(4))).expect("and the store goes on");
}

// threat: 9
#[test]
fn a_refresh_token_works_once() {
    let mut store = Place::new().create();
    store
        .write(|tx| {
            tx.put_grant(&grant(1))?;
            tx.add_refresh(&refresh(1, 7, 1))
        })
        .unwrap();
    let mut redeem = |hash: u8| store.write(|tx| tx.use_refresh(&[hash; 32])).unwrap();
    assert_eq!(redeem(1), RefreshUse::Fresh(RefreshRow { used: true, ..refresh(1, 7, 1) }));
    assert_eq!(redeem(1), RefreshUse::Reused([7; 16]), "and says whose family to end");
    assert_eq!(redeem(2), RefreshUse::Unknown);
}

#[test]
fn ending_a_family_ends_all_of_it_and_no_other() {
    let mut store = Place::new().create();
    store
        .write(|tx| {
            tx.put_grant(&grant(1))?;
            tx.add_refresh(&refresh(1, 7, 1))?;
            tx.add_refresh(&refresh(2, 7, 1))?;
            tx.add_refresh(&refresh(3, 8, 1))?;
            tx.drop_family(&[7; 16])
        })
        .unwrap();
    let there = |hash: u8| store.refresh(&[hash; 32]).unwrap().is_some();
    assert_eq!([there(1), there(2), there(3)], [false, false, true]);
}

// threat: 18
#[test]
fn nothing_outlives_its_grant() {
    let mut store = Place::new().create();
    store
        .write(|tx| {
            tx.put_grant(&grant(1))?;
            tx.put_grant(&grant(2))?;
            tx.add_refresh(&refresh(1, 1, 1))?;
            tx.add_refresh(&refresh(2, 2, 2))
        })
        .unwrap();
    store.write(|tx| tx.put_grant(&GrantRow { last_used: Some(NOON), ..grant(1) })).unwrap();
    assert!(store.refresh(&[1; 32]).unwrap().is_some(), "changing a grant ends no session");
    store.write(|tx| tx.delete_grant(&[1; 16])).unwrap();
    assert!(store.refresh(&[1; 32]).unwrap().is_none(), "removing it does");
    assert!(store.refresh(&[2; 32]).unwrap().is_some(), "its own only");
    let late = store.write(|tx| tx.add_refresh(&refresh(3, 3, 1)));
    assert_eq!(late.unwrap_err().code(), "store.refused", "no token for a grant that is gone");
    let late = store.write(|tx| tx.touch_grant(&[1; 16], NOON));
    assert_eq!(late.unwrap_err().code(), "store.refused", "no use of it either");
}

#[test]
fn what_is_over_goes_and_the_rest_stays() {
    let mut store = Place::new().create();
    let at = |after: u64| Timestamp::from_millis(NOON.as_millis() + after);
    store
        .write(|tx| {
            tx.put_grant(&grant(1))?;
            tx.add_refresh(&RefreshRow { expires: at(10), ..refresh(1, 1, 1) })?;
            tx.add_refresh(&RefreshRow { expires: at(11), ..refresh(2, 1, 1) })?;
            tx.put_mute("over", at(10))?;
            tx.put_mute("holds", at(11))?;
            tx.expire(at(10))
        })
        .unwrap();
    assert!(store.refresh(&[1; 32]).unwrap().is_none());
    assert!(store.refresh(&[2; 32]).unwrap().is_some());
    assert_eq!(store.mutes(NOON).unwrap(), vec![("holds".to_owned(), at(11))]);
    assert_eq!(store.mutes(at(11)).unwrap(), vec![]);
}

// threat: 35
#[test]
fn the_log_takes_only_what_follows() {
    let mut store = Place::new().create();
    let first = entry(ChainHead::default(), "first");
    store.write(|tx| tx.append_audit(&first)).unwrap();
    let head = store.audit_head().unwrap();
    assert_eq!((head.seq, head.hash), (first.seq, first.hash));
    let good = entry(head, "second");
    let mut wrong_hash = good.clone();
    wrong_hash.hash[0] ^= 1;
    let mut wrong_seq = good.clone();
    wrong_seq.seq += 1;
    let mut wrong_body = good.clone();
    wrong_body.body[0] ^= 1;
    for (what, bad) in [
        ("the same again", first.clone()),
        ("a gap", entry(ChainHead { seq: 2, ..head }, "third")),
        ("another branch", entry(ChainHead { hash: [1; 32], ..head }, "second")),
        ("another hash", wrong_hash),
        ("another position", wrong_seq),
        ("another body", wrong_body),
    ] {
        let refused = store.write(|tx| tx.append_audit(&bad));
        assert_eq!(refused.unwrap_err().code(), "store.refused", "{what}");
    }
    store.write(|tx| tx.append_audit(&good)).unwrap();
    assert_eq!(verified_entries(&store), 2);
}

#[test]
fn the_log_is_read_in_pages_from_either_end() {
    let mut store = Place::new().create();
    fill(&mut store, 7);
    let positions =
        |rows: Vec<halo_protocol::audit::SignedEntry>| rows.iter().map(|row| row.seq).collect::<Vec<_>>();
    assert_eq!(positions(store.audit_rows(0, 3).unwrap()), [1, 2, 3]);
    assert_eq!(positions(store.audit_rows(6, u32::MAX).unwrap()), [6, 7]);
    assert_eq!(positions(store.audit_before(u64::MAX, 3).unwrap()), [7, 6, 5]);
    assert_eq!(positions(store.audit_before(5, 100).unwrap()), [4, 3, 2, 1]);
    assert_eq!(positions(store.audit_before(1, 100).unwrap()), Vec::<u64>::new());
    let third = store.audit_rows(3, 1).unwrap().remove(0);
    assert_eq!(store.audit_hash(3).unwrap(), Some(third.hash));
    assert_eq!(store.audit_hash(8).unwrap(), None);
}
