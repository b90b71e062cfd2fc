//! The connection to the encrypted file.
//!
//! SQLCipher encrypts and authenticates each page (AES-256-CBC, HMAC-SHA-512) under a key it is given raw: ours is
//! uniformly random already, so a derivation would cost a quarter of a second and add nothing.

use std::ffi::c_int;
use std::fmt::Write;
use std::path::Path;
use std::sync::Once;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, ffi};
use zeroize::Zeroizing;

use crate::error::StoreError;

/// Pages in the log of writes before they are written back: what is written often meanwhile is written back once.
const LOG_PAGES: u32 = 4_096;
/// Bytes of it that may stay allocated then.
const LOG_KEPT: i64 = 16 * 1024 * 1024;

/// KiB of pages kept in the clear in memory: each page that is not there is decrypted and authenticated anew.
const CACHE: u32 = 32 * 1024;

/// SQLite says it is ready before SQLCipher's own preparations have ended, so of two threads that open their first
/// store at the same time one would find no cipher.
static READY: Once = Once::new();

/// Connects to an existing file. Nothing is read yet, and nothing will be written when the connection is closed
/// before [`accept`].
pub(crate) fn connect(path: &Path, key: &[u8; 32]) -> Result<Connection, StoreError> {
    READY.call_once(|| drop(Connection::open_in_memory()));
    // No SQLITE_OPEN_CREATE: the file is made by us, with our permissions. No mutex: one thread has it at a time.
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    // A file we turn out not to understand must stay as it is, its log of writes included.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    // Who has the profile has the store; somebody who goes round that is told at once.
    connection.busy_timeout(Duration::ZERO)?;
    // Whatever SQLite frees is wiped, and memory stays out of the swap as far as the system allows: rows are gone from
    // memory when the wallet is locked, not only the key. Opening takes 1.0 instead of 0.4 ms for it, a
    // transaction of 20 rows a fifth longer, reading as long as without.
    quietly(&connection, "PRAGMA cipher_memory_security = ON")?;
    // SQLCipher would write its complaints to standard error.
    quietly(&connection, "PRAGMA cipher_log_level = NONE")?;
    apply_key(&connection, key)?;
    // The parameters of SQLCipher 4, whatever a later one takes for granted.
    quietly(&connection, "PRAGMA cipher_compatibility = 4")?;
    // With one process there is nobody to share the index of the log with: it stays in memory.
    quietly(&connection, "PRAGMA locking_mode = EXCLUSIVE")?;
    Ok(connection)
}

/// Settles in: the file is ours to write.
///
/// # Errors
/// [`StoreError::Io`] if the file system does not allow a log of writes.
pub(crate) fn accept(connection: &Connection) -> Result<(), StoreError> {
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err(StoreError::Io {
            doing: "keep a log of writes",
            source: format!("mode is {mode}").into(),
        });
    }
    // FULL: a transaction is on disk when commit returns, not merely consistent.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    quietly(connection, &format!("PRAGMA cache_size = -{CACHE}"))?;
    quietly(connection, "PRAGMA secure_delete = ON")?;
    quietly(connection, &format!("PRAGMA journal_size_limit = {LOG_KEPT}"))?;
    quietly(connection, &format!("PRAGMA wal_autocheckpoint = {LOG_PAGES}"))?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    // Every statement of this crate stays prepared.
    connection.set_prepared_statement_cache_capacity(128);
    Ok(())
}

/// Runs a statement whose answer does not matter.
pub(crate) fn quietly(connection: &Connection, sql: &str) -> Result<(), StoreError> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}

/// Hands the key over: `x'…'` is how SQLCipher knows a raw key.
///
/// Not by `PRAGMA key`: SQLite keeps the text of statements in buffers it does not wipe, and a search of the memory
/// found the key there after closing.
#[expect(unsafe_code, reason = "the one way to give SQLCipher a key that leaves no copy of it behind")]
fn apply_key(connection: &Connection, key: &[u8; 32]) -> Result<(), StoreError> {
    // As large as it gets: growing would leave a copy behind.
    let mut text = Zeroizing::new(String::with_capacity(67));
    text.push_str("x'");
    for byte in key {
        let _ = write!(text, "{byte:02x}");
    }
    text.push('\'');
    let length = c_int::try_from(text.len()).unwrap_or_default();
    // SAFETY: the handle is that of an open connection nobody else uses meanwhile, and SQLCipher copies `length`
    // bytes, all of them of `text`, before it returns.
    let code = unsafe { ffi::sqlite3_key(connection.handle(), text.as_ptr().cast(), length) };
    match code {
        ffi::SQLITE_OK => Ok(()),
        code => Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None).into()),
    }
}
