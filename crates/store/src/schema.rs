//! The tables, and how they came to be: one step a version, each in its own transaction.

use rusqlite::Connection;

use crate::error::StoreError;

/// Steps from each version to the next. A step that was released is never edited.
const STEPS: [&str; 1] = ["
    CREATE TABLE credentials (id BLOB PRIMARY KEY, bytes BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE sealed (slot TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE grants (
        id BLOB PRIMARY KEY, client_id TEXT NOT NULL, process TEXT, instances TEXT NOT NULL,
        created INTEGER NOT NULL, last_used INTEGER) WITHOUT ROWID;
    CREATE TABLE refresh (
        hash BLOB PRIMARY KEY, family BLOB NOT NULL, grant_id BLOB NOT NULL, binding TEXT NOT NULL,
        issued INTEGER NOT NULL, expires INTEGER NOT NULL, used INTEGER NOT NULL) WITHOUT ROWID;
    CREATE INDEX refresh_by_family ON refresh (family);
    CREATE INDEX refresh_by_grant ON refresh (grant_id);
    CREATE INDEX refresh_by_expiry ON refresh (expires);
    CREATE TABLE mutes (asker TEXT PRIMARY KEY, until INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE audit (seq INTEGER PRIMARY KEY, body BLOB NOT NULL, hash BLOB NOT NULL, signature BLOB NOT NULL);
"];

/// Brings the tables up to date. A file of a later version is refused before anything is written.
pub(crate) fn migrate(db: &mut Connection) -> Result<(), StoreError> {
    let known = u32::try_from(STEPS.len()).unwrap_or(u32::MAX);
    let found: u32 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > known {
        return Err(StoreError::NewerVersion { found, known });
    }
    for (version, step) in (1_u32..).zip(STEPS).skip(usize::try_from(found).unwrap_or(usize::MAX)) {
        let tx = db.transaction()?;
        tx.execute_batch(step)?;
        tx.pragma_update(None, "user_version", version)?;
        tx.commit()?;
    }
    Ok(())
}
