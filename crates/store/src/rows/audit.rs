//! The activity log.
//!
//! An entry is taken only if it follows the newest one, so a mistake elsewhere cannot break the chain. Whether the
//! device signed them is checked by who reads them ([`halo_protocol::audit::verify_chain`]).

use halo_protocol::Signature;
use halo_protocol::audit::{AuditEntry, ChainHead, SignedEntry};
use rusqlite::{Connection, OptionalExtension, Row, params};
use sha2::{Digest, Sha256};

use crate::error::StoreError;
use crate::store::{Store, Tx};

impl Store {
    /// Position and hash of the newest entry; the default before the first.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Io`].
    pub fn audit_head(&self) -> Result<ChainHead, StoreError> {
        head(self.connection())
    }

    /// The hash of the entry at a position.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Io`].
    pub fn audit_hash(&self, seq: u64) -> Result<Option<[u8; 32]>, StoreError> {
        let mut query = self.connection().prepare_cached("SELECT hash FROM audit WHERE seq = ?1")?;
        Ok(query.query_row([number(seq)], |row| row.get(0)).optional()?)
    }

    /// Entries from position `from` on, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Io`].
    pub fn audit_rows(&self, from: u64, limit: u32) -> Result<Vec<SignedEntry>, StoreError> {
        self.entries(
            "SELECT seq, body, hash, signature FROM audit WHERE seq >= ?1 ORDER BY seq LIMIT ?2",
            from,
            limit,
        )
    }

    /// Entries before position `below`, newest first.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Io`].
    pub fn audit_before(&self, below: u64, limit: u32) -> Result<Vec<SignedEntry>, StoreError> {
        self.entries(
            "SELECT seq, body, hash, signature FROM audit WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2",
            below,
            limit,
        )
    }

    fn entries(&self, sql: &str, at: u64, limit: u32) -> Result<Vec<SignedEntry>, StoreError> {
        let mut query = self.connection().prepare_cached(sql)?;
        let mut rows = query.query(params![number(at), limit])?;
        let mut entries = Vec::new();
        while let Some(row) = rows.next()? {
            entries.push(read(row)?);
        }
        Ok(entries)
    }
}

impl Tx<'_> {
    /// Adds the next entry.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if it does not follow the newest one, [`StoreError::DiskFull`], [`StoreError::Io`].
    pub fn append_audit(&mut self, entry: &SignedEntry) -> Result<(), StoreError> {
        let head = head(self.connection())?;
        let follows = AuditEntry::decode(&entry.body).is_ok_and(|told| {
            told.seq == entry.seq && Some(told.seq) == head.seq.checked_add(1) && told.previous == head.hash
        });
        if !follows || hash(&entry.body) != entry.hash {
            return Err(StoreError::Refused { what: "the entry does not follow the newest one of the log" });
        }
        self.connection()
            .prepare_cached("INSERT INTO audit (seq, body, hash, signature) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![number(entry.seq), entry.body, entry.hash, entry.signature.as_bytes()])?;
        Ok(())
    }
}

/// Checks that the newest entry is what its hash says: one row, read at each start.
pub(crate) fn check_newest(connection: &Connection) -> Result<(), StoreError> {
    let sql = "SELECT body, hash FROM audit ORDER BY seq DESC LIMIT 1";
    let newest: Option<(Vec<u8>, [u8; 32])> =
        connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    match newest {
        Some((body, kept)) if hash(&body) != kept => {
            Err(StoreError::damaged("the newest entry of the log is not what was written"))
        }
        _ => Ok(()),
    }
}

/// Checks that the whole log is one chain.
pub(crate) fn check_chain(connection: &Connection) -> Result<(), StoreError> {
    let mut query = connection.prepare("SELECT seq, body, hash, signature FROM audit ORDER BY seq")?;
    let mut rows = query.query([])?;
    let mut head = ChainHead::default();
    while let Some(row) = rows.next()? {
        let entry = read(row)?;
        let expected = head.seq.saturating_add(1);
        let follows = AuditEntry::decode(&entry.body)
            .is_ok_and(|told| told.seq == expected && told.previous == head.hash);
        if !follows || entry.seq != expected || hash(&entry.body) != entry.hash {
            return Err(StoreError::damaged(format!("the log is broken at entry {expected}")));
        }
        head = ChainHead { seq: entry.seq, hash: entry.hash };
    }
    Ok(())
}

fn head(connection: &Connection) -> Result<ChainHead, StoreError> {
    let mut query = connection.prepare_cached("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")?;
    let newest: Option<(i64, [u8; 32])> =
        query.query_row([], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    newest.map_or_else(|| Ok(ChainHead::default()), |(seq, hash)| Ok(ChainHead { seq: position(seq)?, hash }))
}

fn read(row: &Row<'_>) -> Result<SignedEntry, StoreError> {
    Ok(SignedEntry {
        seq: position(row.get(0)?)?,
        body: row.get(1)?,
        hash: row.get(2)?,
        signature: Signature::from_bytes(row.get(3)?),
    })
}

fn hash(body: &[u8]) -> [u8; 32] {
    Sha256::digest(body).into()
}

/// Positions beyond what SQLite counts are beyond every entry.
fn number(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

fn position(seq: i64) -> Result<u64, StoreError> {
    u64::try_from(seq).map_err(|_| StoreError::damaged("an entry of the log has a negative position"))
}
