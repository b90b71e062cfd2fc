//! Flipped, cut, exchanged: a clear error or the right rows, never others.

use std::path::Path;

use halo_store::{Store, StoreError};

use crate::world::{Contents, Device, KEY, Place, contents, fill};

const PAGE: usize = 4096;

/// A closed store of some thirty pages.
fn filled() -> (Vec<u8>, Contents) {
    let place = Place::new();
    let mut store = place.create();
    fill(&mut store, 60);
    // Free pages too, which no query ever reads.
    store.write(|tx| tx.put_sealed("large", &[1; 6 * PAGE])).unwrap();
    store.write(|tx| tx.delete_sealed("large")).unwrap();
    let right = contents(&store).unwrap();
    store.close().unwrap();
    (std::fs::read(place.file()).unwrap(), right)
}

/// Opens and reads a changed file.
fn read(dir: &Path) -> Result<(Store, Contents), StoreError> {
    let store = Store::open(&dir.join("store.db"), &KEY)?;
    let contents = contents(&store)?;
    Ok((store, contents))
}

fn assert_is_named(error: &StoreError, what: &str) {
    assert!(matches!(error.code(), "store.wrong_key" | "store.damaged"), "{what}: {error:?}");
}

/// The right rows or a clear error; and whatever reads fine is still found by the full check.
fn assert_noticed(bytes: &[u8], right: &Contents, what: &str) {
    let place = Place::new();
    std::fs::write(place.file(), bytes).unwrap();
    match read(place.dir.path()) {
        Err(error) => assert_is_named(&error, what),
        Ok((store, found)) => {
            assert_eq!(found, *right, "{what}");
            assert_is_named(&store.verify().expect_err(what), what);
        }
    }
}

// threat: 32
#[test]
fn a_flipped_byte_of_the_file_gives_an_error_or_the_right_rows() {
    let (bytes, right) = filled();
    assert!(bytes.len() / PAGE > 12, "several tables of several pages");
    let everywhere = (0..bytes.len()).step_by(1021);
    // Of each page: first and last of the content, of the nonce and of the MAC.
    let edges = (0..bytes.len())
        .step_by(PAGE)
        .flat_map(|page| [0, 15, 16, 4015, 4016, 4031, 4032, 4095].map(|at| page + at));
    for at in everywhere.chain(edges) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        assert_noticed(&flipped, &right, &format!("byte {at}"));
    }
}

// threat: 31
#[test]
fn cut_exchanged_and_emptied_pages_are_noticed() {
    let (bytes, right) = filled();
    let pages = bytes.len() / PAGE;
    for page in 1..pages {
        assert_noticed(&bytes[..page * PAGE], &right, &format!("cut after page {page}"));
        let mut emptied = bytes.clone();
        emptied[page * PAGE..(page + 1) * PAGE].fill(0);
        assert_noticed(&emptied, &right, &format!("page {page} emptied"));
        let mut exchanged = bytes.clone();
        let other = if page + 1 < pages { page + 1 } else { 1 };
        exchanged.copy_within(other * PAGE..(other + 1) * PAGE, page * PAGE);
        assert_noticed(&exchanged, &right, &format!("page {other} copied over page {page}"));
    }
}

// threat: 32
#[test]
fn a_damaged_log_of_writes_gives_an_earlier_whole_state() {
    let place = Place::new();
    let mut store = place.create();
    fill(&mut store, 12);
    let right = contents(&store).unwrap();
    let main = std::fs::read(place.file()).unwrap();
    let log = std::fs::read(place.dir.path().join("store.db-wal")).unwrap();
    assert!(log.len() > 20 * PAGE, "nothing was written back yet");
    drop(store);

    let mut whole = 0;
    for at in (0..log.len()).step_by(1531) {
        let copy = Place::new();
        std::fs::write(copy.file(), &main).unwrap();
        let mut flipped = log.clone();
        flipped[at] ^= 1 << (at % 8);
        std::fs::write(copy.dir.path().join("store.db-wal"), flipped).unwrap();
        match read(copy.dir.path()) {
            Err(error) => assert_is_named(&error, &format!("byte {at}")),
            Ok((store, found)) => {
                assert!(right.log.starts_with(&found.log), "byte {at}");
                let chain = found.log.iter().map(|row| (row.body.as_slice(), &row.signature));
                halo_protocol::audit::verify_chain(chain, &Device::new().key()).unwrap();
                store.verify().unwrap();
                whole += 1;
            }
        }
    }
    assert!(whole > 0, "most of the time there is an earlier state to return to");
}

// threat: 32
#[test]
fn an_index_of_the_log_that_is_noise_does_not_matter() {
    let place = Place::new();
    let mut store = place.create();
    fill(&mut store, 3);
    let right = contents(&store).unwrap();
    store.close().unwrap();
    std::fs::write(place.dir.path().join("store.db-shm"), vec![0xFF; 32 * 1024]).unwrap();
    std::fs::write(place.dir.path().join("store.db-journal"), vec![0xFF; 4096]).unwrap();
    assert_eq!(read(place.dir.path()).unwrap().1, right);
}
