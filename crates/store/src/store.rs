//! The database of a profile: open, write, check, close.
//!
//! One connection, used by one thread at a time. A write is a closure that runs in one transaction; when
//! [`Store::write`] returns, it is on disk. A process that dies at any moment leaves a file that the next open
//! repairs by itself (SQLite replays the log of writes up to the last complete transaction).

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::path::Path;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::error::StoreError;
use crate::rows::audit;
use crate::rows::item::ToCome;
use crate::{cipher, schema};

/// SQLCipher 4 writes pages of this size.
const PAGE: u64 = 4096;
/// What an unencrypted database begins with.
const PLAIN: &[u8; 16] = b"SQLite format 3\0";

/// An open store.
pub struct Store {
    connection: Connection,
}

/// One transaction under way.
pub struct Tx<'a> {
    inner: Transaction<'a>,
    forget: bool,
    to_come: ToCome,
}

impl Store {
    /// Makes a new store under `key`. Durable once it was closed and its directory synchronised, which
    /// [`crate::Creation::commit`] does.
    ///
    /// # Errors
    /// [`StoreError::Io`], also if there is a file already.
    pub fn create(path: &Path, key: &[u8; 32]) -> Result<Self, StoreError> {
        let doing = "make the store";
        let path = std::path::absolute(path).map_err(StoreError::io(doing))?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&path).map_err(StoreError::io(doing))?;
        let mut connection = cipher::connect(&path, key)?;
        cipher::accept(&connection)?;
        schema::mark(&connection)?;
        schema::migrate(&mut connection, 0)?;
        Ok(Self { connection })
    }

    /// Opens a store, bringing an older format up to date.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::WrongKey`], [`StoreError::Damaged`], [`StoreError::NewerVersion`],
    /// [`StoreError::InUse`], [`StoreError::Io`]. The file is as it was, then.
    pub fn open(path: &Path, key: &[u8; 32]) -> Result<Self, StoreError> {
        let path = std::path::absolute(path).map_err(StoreError::io("open the store"))?;
        check_shape(&path)?;
        let mut connection = cipher::connect(&path, key)?;
        check_key(&connection)?;
        let version = schema::version(&connection)?;
        if version > schema::newest() {
            return Err(StoreError::NewerVersion { found: version, known: schema::newest() });
        }
        cipher::accept(&connection)?;
        schema::migrate(&mut connection, version)?;
        audit::check_newest(&connection)?;
        Ok(Self { connection })
    }

    /// Runs `change` in one transaction: all of it is on disk when this returns, or nothing of it is there.
    ///
    /// # Errors
    /// What `change` says, or [`StoreError::DiskFull`], [`StoreError::Io`]; nothing has changed then.
    pub fn write<T>(
        &mut self,
        change: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let (done, forget) = {
            let inner = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut tx = Tx { inner, forget: false, to_come: ToCome::default() };
            let done = change(&mut tx)?;
            tx.write_index()?;
            let Tx { inner, forget, .. } = tx;
            inner.commit()?;
            (done, forget)
        };
        if forget && let Err(error) = self.write_back() {
            // Committed all the same; the next write-back forgets what this one did not.
            tracing::warn!(%error, "older copies of deleted pages stay in the log of writes for now");
        }
        Ok(done)
    }

    /// Checks everything: the MAC of every page, the structure, the references, the chain of the log.
    ///
    /// Reads the whole file: about 80 ms for 20 MB.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] with the first thing found.
    pub fn verify(&self) -> Result<(), StoreError> {
        // SQLCipher's check reads the file itself, so what is in the log must be there first.
        self.write_back()?;
        for pragma in ["cipher_integrity_check", "foreign_key_check"] {
            let mut statement = self.connection.prepare(&format!("PRAGMA {pragma}"))?;
            if statement.query([])?.next()?.is_some() {
                return Err(StoreError::damaged(format!("{pragma} found something")));
            }
        }
        let found: String = self.connection.pragma_query_value(None, "integrity_check", |row| row.get(0))?;
        if found != "ok" {
            return Err(StoreError::damaged(found));
        }
        audit::check_chain(&self.connection)
    }

    /// Closes the store; all of it is in the one file then. Dropping does the same and cannot say what failed.
    ///
    /// # Errors
    /// [`StoreError::DiskFull`], [`StoreError::Io`]: nothing is lost, the next open does what was left to do.
    pub fn close(self) -> Result<(), StoreError> {
        self.write_back()?;
        self.connection.close().map_err(|(_, error)| error.into())
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Moves the log of writes into the file and empties it.
    fn write_back(&self) -> Result<(), StoreError> {
        cipher::quietly(&self.connection, "PRAGMA wal_checkpoint(TRUNCATE)")
    }
}

impl Tx<'_> {
    pub(crate) fn connection(&self) -> &Connection {
        &self.inner
    }

    pub(crate) const fn waiting(&mut self) -> &mut ToCome {
        &mut self.to_come
    }

    /// After this transaction the log of writes is emptied, and with it older copies of changed pages.
    pub(crate) fn forget_older_pages(&mut self) {
        self.forget = true;
    }
}

/// What can be told without the key.
fn check_shape(path: &Path) -> Result<(), StoreError> {
    let doing = "open the store";
    let length = match fs::metadata(path) {
        Ok(found) => found.len(),
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(StoreError::Missing),
        Err(error) => return Err(StoreError::io(doing)(error)),
    };
    if length == 0 || length % PAGE != 0 {
        return Err(StoreError::damaged(format!("its length is {length}, not a whole number of pages")));
    }
    let mut start = [0; 16];
    File::open(path).and_then(|mut file| file.read_exact(&mut start)).map_err(StoreError::io(doing))?;
    if start == *PLAIN {
        return Err(StoreError::damaged("it is not encrypted, so it is not ours"));
    }
    Ok(())
}

/// The first read: SQLCipher finds out here whether key and first page fit each other.
fn check_key(connection: &Connection) -> Result<(), StoreError> {
    let tables = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0));
    match tables {
        Ok(_) => Ok(()),
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase) => {
            Err(StoreError::WrongKey)
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_named_and_loses_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store.db");
        let mut store = Store::create(&path, &[1; 32]).unwrap();
        store.write(|tx| tx.put_setting("before", &1)).unwrap();
        let pages: i64 = store.connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        let limit = |store: &Store, pages: i64| {
            cipher::quietly(&store.connection, &format!("PRAGMA max_page_count = {pages}")).unwrap();
        };
        limit(&store, pages + 2);
        let full = store.write(|tx| {
            tx.put_setting("with it", &2)?;
            tx.put_sealed("large", &[0; 100_000])
        });
        assert_eq!(full.unwrap_err().code(), "store.disk_full");
        assert_eq!(store.setting("before").unwrap(), Some(1));
        assert_eq!(store.setting::<i32>("with it").unwrap(), None, "the transaction is gone as a whole");
        limit(&store, 1_000_000);
        store.write(|tx| tx.put_sealed("large", &[0; 100_000])).expect("once there is room it goes on");
        store.verify().unwrap();
    }

    #[test]
    fn a_log_changed_behind_our_back_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store.db");
        let store = Store::create(&path, &[1; 32]).unwrap();
        let add =
            "INSERT INTO audit (seq, body, hash, signature) VALUES (1, x'00', zeroblob(32), zeroblob(64))";
        store.connection.execute(add, []).unwrap();
        assert_eq!(store.verify().unwrap_err().code(), "store.damaged");
        for edit in ["UPDATE audit SET body = x'01'", "DELETE FROM audit"] {
            assert!(store.connection.execute(edit, []).is_err(), "{edit}");
        }
        store.close().unwrap();
        assert_eq!(
            Store::open(&path, &[1; 32]).err().unwrap().code(),
            "store.damaged",
            "at once, by the newest"
        );
    }

    #[test]
    fn every_commit_is_synchronised() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store.db");
        Store::create(&path, &[1; 32]).unwrap().close().unwrap();
        let store = Store::open(&path, &[1; 32]).unwrap();
        let number = |name: &str| -> i64 {
            store.connection.pragma_query_value(None, name, |row| row.get(0)).unwrap()
        };
        assert_eq!(
            number("synchronous"),
            2,
            "FULL: a kill cannot show the difference, a power failure would"
        );
        assert_eq!((number("foreign_keys"), number("secure_delete"), number("trusted_schema")), (1, 1, 0));
        let text = |name: &str| -> String {
            store.connection.pragma_query_value(None, name, |row| row.get(0)).unwrap()
        };
        assert_eq!((text("journal_mode").as_str(), text("locking_mode").as_str()), ("wal", "exclusive"));
        assert_eq!(text("cipher_hmac_algorithm"), "HMAC_SHA512");
    }
}
