//! Refresh tokens, by their hashes.
//!
//! A token works once. A used one stays here until it expires: whoever uses it again is a thief, or was robbed,
//! and the whole family that came of one sign-in ends (RFC 9700 §4.14).

use halo_protocol::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{millis, timestamp};
use crate::error::StoreError;
use crate::store::{Store, Tx};

/// A refresh token as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshRow {
    /// SHA-256 of the token.
    pub hash: [u8; 32],
    /// The sign-in it goes back to.
    pub family: [u8; 16],
    /// The grant it stands on; removed with it.
    pub grant: [u8; 16],
    /// Who may use it.
    pub binding: String,
    /// When it was issued.
    pub issued: Timestamp,
    /// When it is over.
    pub expires: Timestamp,
    /// Whether it was used.
    pub used: bool,
}

/// What came of using a refresh token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefreshUse {
    /// It was unused until now. Who may use it, and until when, is the caller's to check.
    Fresh(RefreshRow),
    /// It had been used before: end this family.
    Reused([u8; 16]),
    /// Nobody got this one, or it is long over.
    Unknown,
}

impl Store {
    /// A refresh token, used or not.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Io`].
    pub fn refresh(&self, hash: &[u8; 32]) -> Result<Option<RefreshRow>, StoreError> {
        find(self.connection(), hash)
    }

    /// Whether a token of the same family that was issued later, or at the same moment, was used.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Io`].
    pub fn has_used_successor(&self, row: &RefreshRow) -> Result<bool, StoreError> {
        let mut query = self.connection().prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM refresh
                            WHERE family = ?1 AND issued >= ?2 AND hash != ?3 AND used = 1)",
        )?;
        Ok(query.query_row(params![row.family, millis(row.issued), row.hash], |row| row.get(0))?)
    }
}

impl Tx<'_> {
    /// Keeps a new refresh token.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if its grant is gone or the token is known, [`StoreError::DiskFull`], [`StoreError::Io`].
    pub fn add_refresh(&mut self, row: &RefreshRow) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "INSERT INTO refresh (hash, family, app_grant, binding, issued, expires, used)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                row.hash,
                row.family,
                row.grant,
                row.binding,
                millis(row.issued),
                millis(row.expires),
                row.used,
            ])?;
        Ok(())
    }

    /// Uses a refresh token up.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::DiskFull`], [`StoreError::Io`].
    pub fn use_refresh(&mut self, hash: &[u8; 32]) -> Result<RefreshUse, StoreError> {
        let Some(row) = find(self.connection(), hash)? else { return Ok(RefreshUse::Unknown) };
        if row.used {
            return Ok(RefreshUse::Reused(row.family));
        }
        self.connection().prepare_cached("UPDATE refresh SET used = 1 WHERE hash = ?1")?.execute([hash])?;
        Ok(RefreshUse::Fresh(RefreshRow { used: true, ..row }))
    }

    /// Ends a session: every token of the family is gone.
    ///
    /// # Errors
    /// [`StoreError::DiskFull`], [`StoreError::Io`].
    pub fn drop_family(&mut self, family: &[u8; 16]) -> Result<(), StoreError> {
        self.connection().prepare_cached("DELETE FROM refresh WHERE family = ?1")?.execute([family])?;
        Ok(())
    }

    /// Removes the tokens of a session that nobody has used.
    ///
    /// # Errors
    /// [`StoreError::DiskFull`], [`StoreError::Io`].
    pub fn drop_unused(&mut self, family: &[u8; 16]) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached("DELETE FROM refresh WHERE family = ?1 AND used = 0")?
            .execute([family])?;
        Ok(())
    }

    /// Ends every session of a grant.
    ///
    /// # Errors
    /// [`StoreError::DiskFull`], [`StoreError::Io`].
    pub fn drop_refresh_of(&mut self, grant: &[u8; 16]) -> Result<(), StoreError> {
        self.connection().prepare_cached("DELETE FROM refresh WHERE app_grant = ?1")?.execute([grant])?;
        Ok(())
    }

    /// Removes what is over at `now`: refresh tokens and mutes.
    ///
    /// # Errors
    /// [`StoreError::DiskFull`], [`StoreError::Io`].
    pub fn expire(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let now = millis(now);
        self.connection().prepare_cached("DELETE FROM refresh WHERE expires <= ?1")?.execute([now])?;
        self.connection().prepare_cached("DELETE FROM mute WHERE until <= ?1")?.execute([now])?;
        Ok(())
    }
}

fn find(connection: &Connection, hash: &[u8; 32]) -> Result<Option<RefreshRow>, StoreError> {
    let mut query = connection.prepare_cached(
        "SELECT hash, family, app_grant, binding, issued, expires, used FROM refresh WHERE hash = ?1",
    )?;
    query.query_row([hash], |row| Ok(read(row))).optional()?.transpose()
}

fn read(row: &Row<'_>) -> Result<RefreshRow, StoreError> {
    Ok(RefreshRow {
        hash: row.get(0)?,
        family: row.get(1)?,
        grant: row.get(2)?,
        binding: row.get(3)?,
        issued: timestamp(row.get(4)?)?,
        expires: timestamp(row.get(5)?)?,
        used: row.get(6)?,
    })
}
