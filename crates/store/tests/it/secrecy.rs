//! A stolen file is noise.

use halo_store::{GrantRow, Store};

use crate::world::{KEY, NOON, Place, contains, entry, files, grant, refresh};

/// Written in every place that takes a text; found nowhere in the files.
const TELLTALE: &str = "Ada Lovelace signs in at analytical-engine.example";

fn write_everywhere(store: &mut Store) {
    let log = entry(store.audit_head().unwrap(), TELLTALE);
    let row = GrantRow {
        client_id: TELLTALE.into(),
        process: Some(TELLTALE.into()),
        instances: vec![TELLTALE.into()],
        ..grant(1)
    };
    store
        .write(|tx| {
            tx.put_setting(TELLTALE, TELLTALE)?;
            tx.put_sealed(TELLTALE, TELLTALE.as_bytes())?;
            tx.put_mute(TELLTALE, NOON)?;
            tx.put_grant(&row)?;
            let token = halo_store::RefreshRow { binding: TELLTALE.into(), ..refresh(1, 1, 1) };
            tx.add_refresh(&token)?;
            tx.add_credential(&crate::world::credential(TELLTALE))?;
            tx.append_audit(&log)
        })
        .unwrap();
}

fn assert_noise(place: &Place) {
    let found = files(place.dir.path());
    assert!(!found.is_empty());
    for file in found {
        let bytes = std::fs::read(&file).unwrap();
        for word in [TELLTALE, "Lovelace", "CREATE TABLE", "SQLite format", "credential"] {
            assert!(!contains(&bytes, word.as_bytes()), "{word:?} in {}", file.display());
        }
        assert!(!contains(&bytes, &KEY), "the key in {}", file.display());
    }
}

// threat: 31
#[test]
fn the_files_show_no_plaintext() {
    let place = Place::new();
    let mut store = place.create();
    write_everywhere(&mut store);
    let log = place.dir.path().join("store.db-wal");
    assert!(log.metadata().unwrap().len() > 0, "the log of writes holds the rows now");
    assert_noise(&place);
    store.close().unwrap();
    assert!(!log.exists(), "and now the file does");
    assert_noise(&place);
    assert_eq!(place.open().setting::<String>(TELLTALE).unwrap().as_deref(), Some(TELLTALE));
}

#[test]
fn the_same_rows_look_different_in_every_store() {
    let bytes: Vec<Vec<u8>> = (0..2)
        .map(|_| {
            let place = Place::new();
            let mut store = place.create();
            write_everywhere(&mut store);
            store.close().unwrap();
            std::fs::read(place.file()).unwrap()
        })
        .collect();
    let blocks = |of: usize| bytes[of].chunks(16).collect::<std::collections::HashSet<_>>();
    assert!(blocks(0).is_disjoint(&blocks(1)));
}

#[test]
fn a_deleted_secret_leaves_the_log_of_writes() {
    let place = Place::new();
    let mut store = place.create();
    store.write(|tx| tx.put_sealed("identity", &[1; 64])).unwrap();
    let log = place.dir.path().join("store.db-wal");
    assert!(log.metadata().unwrap().len() > 0);
    store.write(|tx| tx.delete_sealed("identity")).unwrap();
    assert_eq!(log.metadata().unwrap().len(), 0);
    assert_eq!(store.sealed("identity").unwrap(), None);
}
