//! The database.

use std::path::Path;

use halo_protocol::audit::{ChainHead, SignedEntry};
use halo_protocol::credential::Credential;
use halo_protocol::{Signature, Timestamp, Verified};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, Transaction, params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::error::StoreError;
use crate::rows::{AuditRow, GrantRow, RefreshRow};
use crate::schema::migrate;

/// The database of a profile, open.
#[derive(Debug)]
pub struct Store {
    db: Connection,
}

/// A transaction: all of it is durable once [`Store::write`] returns, or none of it is there.
pub struct Tx<'a> {
    tx: Transaction<'a>,
}

impl Store {
    /// Makes a new database.
    ///
    /// # Errors
    /// [`StoreError`]; there must be no file yet.
    pub fn create(path: &Path, key: &[u8; 32]) -> Result<Self, StoreError> {
        if path.exists() {
            return Err(StoreError::damaged("there is a database already"));
        }
        Self::connect(path, key, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)
    }

    /// Opens a database; what a crash left in the log of pending pages is taken over or undone.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`], [`StoreError::NewerVersion`] and others; the file is as it was.
    pub fn open(path: &Path, key: &[u8; 32]) -> Result<Self, StoreError> {
        Self::connect(path, key, OpenFlags::SQLITE_OPEN_READ_WRITE)
    }

    fn connect(path: &Path, key: &[u8; 32], flags: OpenFlags) -> Result<Self, StoreError> {
        let mut db = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        // A raw key: it is derived from 32 random bytes already, a second derivation would only cost time.
        let hex: Zeroizing<String> = Zeroizing::new(data_encoding::HEXLOWER.encode(key));
        let pragma = Zeroizing::new(format!("PRAGMA key = \"x'{}'\";", hex.as_str()));
        db.execute_batch(&pragma)?;
        // The first read of a page is what tells whether the key fits.
        db.query_row("SELECT count(*) FROM sqlite_master", [], |_| Ok(()))?;
        // FULL: a commit is acknowledged when it is on the disk, also in WAL mode.
        db.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
             PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;",
        )?;
        db.set_prepared_statement_cache_capacity(64);
        migrate(&mut db)?;
        Ok(Self { db })
    }

    /// Writes everything into the main file and closes.
    ///
    /// # Errors
    /// [`StoreError::Database`]; what was acknowledged is durable all the same.
    pub fn close(self) -> Result<(), StoreError> {
        self.db.close().map_err(|(_, error)| error.into())
    }

    /// Makes a change, all of it or nothing; durable when this returns.
    ///
    /// # Errors
    /// What `change` says, or why it could not be made durable; then nothing has changed.
    pub fn write<T>(
        &mut self,
        change: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let tx = self.db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let mut tx = Tx { tx };
        let done = change(&mut tx)?;
        tx.tx.commit()?;
        Ok(done)
    }

    /// Looks at every page and every index.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] with the first thing that is wrong.
    pub fn verify(&self) -> Result<(), StoreError> {
        let said: String = self.db.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        if said == "ok" { Ok(()) } else { Err(StoreError::damaged(said)) }
    }

    /// All credentials, as bytes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn credentials(&self) -> Result<Vec<Vec<u8>>, StoreError> {
        self.all("SELECT bytes FROM credentials ORDER BY id", [], |row| Ok(row.get(0)?))
    }

    /// A setting.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if it is of another type.
    pub fn setting<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StoreError> {
        let found: Option<String> = self
            .db
            .prepare_cached("SELECT value FROM settings WHERE name = ?1")?
            .query_row([name], |row| row.get(0))
            .optional()?;
        found.map(|json| serde_json::from_str(&json).map_err(StoreError::damaged)).transpose()
    }

    /// A sealed value.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn sealed(&self, slot: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let found = self
            .db
            .prepare_cached("SELECT value FROM sealed WHERE slot = ?1")?
            .query_row([slot], |row| row.get(0))
            .optional()?;
        Ok(found)
    }

    /// All grants.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn grants(&self) -> Result<Vec<GrantRow>, StoreError> {
        let select = "SELECT id, client_id, process, instances, created, last_used FROM grants ORDER BY id";
        self.all(select, [], |row| {
            let instances: String = row.get(3)?;
            Ok(GrantRow {
                id: array(row, 0)?,
                client_id: row.get(1)?,
                process: row.get(2)?,
                instances: serde_json::from_str(&instances).map_err(StoreError::damaged)?,
                created: time(row, 4)?,
                last_used: row.get::<_, Option<i64>>(5)?.map(from_sql).transpose()?,
            })
        })
    }

    /// A refresh token by its hash.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn refresh(&self, hash: &[u8; 32]) -> Result<Option<RefreshRow>, StoreError> {
        let select =
            "SELECT hash, family, grant_id, binding, issued, expires, used FROM refresh WHERE hash = ?1";
        let found = self.all(select, [hash], |row| {
            Ok(RefreshRow {
                hash: array(row, 0)?,
                family: array(row, 1)?,
                grant: array(row, 2)?,
                binding: row.get(3)?,
                issued: time(row, 4)?,
                expires: time(row, 5)?,
                used: row.get(6)?,
            })
        })?;
        Ok(found.into_iter().next())
    }

    /// Mutes that hold at `now`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn mutes(&self, now: Timestamp) -> Result<Vec<(String, Timestamp)>, StoreError> {
        let select = "SELECT asker, until FROM mutes WHERE until > ?1";
        self.all(select, [to_sql(now)], |row| Ok((row.get(0)?, time(row, 1)?)))
    }

    /// Position and hash of the newest entry of the log.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn audit_head(&self) -> Result<ChainHead, StoreError> {
        let select = "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1";
        let found = self.all(select, [], |row| Ok(ChainHead { seq: number(row, 0)?, hash: array(row, 1)? }))?;
        Ok(found.into_iter().next().unwrap_or_default())
    }

    /// Hash of one entry of the log.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn audit_hash(&self, seq: u64) -> Result<Option<[u8; 32]>, StoreError> {
        let seq = i64::try_from(seq).unwrap_or(i64::MAX);
        let found = self.all("SELECT hash FROM audit WHERE seq = ?1", [seq], |row| array(row, 0))?;
        Ok(found.into_iter().next())
    }

    /// The whole log, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn audit(&self) -> Result<Vec<AuditRow>, StoreError> {
        self.all("SELECT seq, body, signature FROM audit ORDER BY seq", [], audit_row)
    }

    /// Entries below `before`, newest first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn audit_before(&self, before: u64, limit: u32) -> Result<Vec<AuditRow>, StoreError> {
        let before = i64::try_from(before).unwrap_or(i64::MAX);
        let select = "SELECT seq, body, signature FROM audit WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2";
        self.all(select, params![before, limit], audit_row)
    }

    fn all<T>(
        &self,
        select: &str,
        params: impl rusqlite::Params,
        read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut statement = self.db.prepare_cached(select)?;
        let mut rows = statement.query(params)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(read(row)?);
        }
        Ok(found)
    }
}

impl Tx<'_> {
    /// Keeps a credential; one that is there already is left as it is.
    ///
    /// # Errors
    /// [`StoreError`]; the same for every method here.
    pub fn add_credential(&mut self, credential: &Verified<Credential>) -> Result<(), StoreError> {
        self.run(
            "INSERT OR IGNORE INTO credentials (id, bytes) VALUES (?1, ?2)",
            params![credential.id().as_bytes(), credential.bytes()],
        )
    }

    /// Keeps a setting.
    ///
    /// # Errors
    /// As [`Self::add_credential`].
    pub fn put_setting(&mut self, name: &str, value: &impl Serialize) -> Result<(), StoreError> {
        let json = serde_json::to_string(value).map_err(StoreError::damaged)?;
        self.run("INSERT OR REPLACE INTO settings (name, value) VALUES (?1, ?2)", params![name, json])
    }

    /// Keeps a sealed value.
    ///
    /// # Errors
    /// As [`Self::add_credential`].
    pub fn put_sealed(&mut self, slot: &str, value: &[u8]) -> Result<(), StoreError> {
        self.run("INSERT OR REPLACE INTO sealed (slot, value) VALUES (?1, ?2)", params![slot, value])
    }

    /// Removes a sealed value.
    ///
    /// # Errors
    /// As [`Self::add_credential`].
    pub fn delete_sealed(&mut self, slot: &str) -> Result<(), StoreError> {
        self.run("DELETE FROM sealed WHERE slot = ?1", [slot])
    }

    /// Keeps a grant.
    ///
    /// # Errors
    /// As [`Self::add_credential`].
    pub fn put_grant(&mut self, grant: &GrantRow) -> Result<(), StoreError> {
        let instances = serde_json::to_string(&grant.instances).map_err(StoreError::damaged)?;
        self.run(
            "INSERT OR REPLACE INTO grants (id, client_id, process, instances, created, last_used)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                grant.id,
                grant.client_id,
                grant.process,
                instances,
                to_sql(grant.created),
                grant.last_used.map(to_sql)
            ],
        )
    }

    /// Notes that a grant was used.
    ///
    /// # Errors
    /// As [`Self::add_credential`].
    pub fn touch_grant(&mut self, id: &[u8; 16], now: Timestamp) -> Result<(), StoreError> {
        self.run("UPDATE grants SET last_used = ?2 WHERE id = ?1", params![id, to_sql(now)])
    }

    /// Removes a grant.
    ///
    /// # Errors
    /// As [`Self::add_credential`].
    pub fn delete_grant(&mut self, id: &[u8; 16]) -> Result<(), StoreError> {
        self.run("DELETE FROM grants WHERE id = ?1", [id])
    }

    /// Keeps a refresh token.
    ///
    /// # Errors
    /// As [`Self::add_credential`].
    pub fn add_refresh(&mut self, row: &RefreshRow) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO refresh (hash, family, grant_id, binding, issued, expires, used)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                row.hash,
                row.family,
                row.grant,
                row.binding,
                to_sql(row.issued),
                to_sql(row.expires),
                row.used
            ],
        )
    }

    /// Notes that a refresh token was used.
    ///
    /// # Errors
    /// As [`Self::add_credential`].
    pub fn use_refresh(&mut self, hash: &[u8; 32]) -> Result<(), StoreError> {
        self.run("UPDATE refresh SET used = 1 WHERE hash = ?1", [hash])
    }

    /// Ends a session: every token that came of one sign-in.
    ///
    /// # Errors
    /// As [`Self::add_credential`].
    pub fn drop_family(&mut self, family: &[u8; 16]) -> Result<(), StoreError> {
        self.run("DELETE FROM refresh WHERE family = ?1", [family])
    }

    /// Ends every session of a grant.
    ///
    /// # Errors
    /// As [`Self::add_credential`].
    pub fn drop_refresh_of(&mut self, grant: &[u8; 16]) -> Result<(), StoreError> {
        self.run("DELETE FROM refresh WHERE grant_id = ?1", [grant])
    }

    /// Keeps that an asker is muted.
    ///
    /// # Errors
    /// As [`Self::add_credential`].
    pub fn put_mute(&mut self, asker: &str, until: Timestamp) -> Result<(), StoreError> {
        self.run(
            "INSERT OR REPLACE INTO mutes (asker, until) VALUES (?1, ?2)",
            params![asker, to_sql(until)],
        )
    }

    /// Appends to the activity log.
    ///
    /// # Errors
    /// As [`Self::add_credential`]; also if there is an entry at that position.
    pub fn append_audit(&mut self, entry: &SignedEntry) -> Result<(), StoreError> {
        let seq = i64::try_from(entry.seq).map_err(StoreError::damaged)?;
        self.run(
            "INSERT INTO audit (seq, body, hash, signature) VALUES (?1, ?2, ?3, ?4)",
            params![seq, entry.body, entry.hash, entry.signature.as_bytes().as_slice()],
        )
    }

    /// Forgets what is over: old tokens and mutes.
    ///
    /// # Errors
    /// As [`Self::add_credential`].
    pub fn expire(&mut self, now: Timestamp) -> Result<(), StoreError> {
        self.run("DELETE FROM refresh WHERE expires <= ?1", [to_sql(now)])?;
        self.run("DELETE FROM mutes WHERE until <= ?1", [to_sql(now)])
    }

    fn run(&mut self, statement: &str, params: impl rusqlite::Params) -> Result<(), StoreError> {
        self.tx.prepare_cached(statement)?.execute(params)?;
        Ok(())
    }
}

fn audit_row(row: &Row<'_>) -> Result<AuditRow, StoreError> {
    let signature: Vec<u8> = row.get(2)?;
    let signature = signature.try_into().map_err(|_| StoreError::damaged("a signature of another length"))?;
    Ok(AuditRow { seq: number(row, 0)?, body: row.get(1)?, signature: Signature::from_bytes(signature) })
}

fn array<const N: usize>(row: &Row<'_>, column: usize) -> Result<[u8; N], StoreError> {
    let bytes: Vec<u8> = row.get(column)?;
    bytes.try_into().map_err(|_| StoreError::damaged("a value of another length"))
}

fn number(row: &Row<'_>, column: usize) -> Result<u64, StoreError> {
    u64::try_from(row.get::<_, i64>(column)?).map_err(StoreError::damaged)
}

fn time(row: &Row<'_>, column: usize) -> Result<Timestamp, StoreError> {
    from_sql(row.get(column)?)
}

fn to_sql(at: Timestamp) -> i64 {
    i64::try_from(at.as_millis()).unwrap_or(i64::MAX)
}

fn from_sql(at: i64) -> Result<Timestamp, StoreError> {
    u64::try_from(at).map(Timestamp::from_millis).map_err(StoreError::damaged)
}
