//! Credentials: signed bytes, never re-encoded.

use halo_protocol::credential::Credential;
use halo_protocol::{Timestamp, Verified};
use rusqlite::params;

use super::{millis, timestamp};
use crate::error::StoreError;
use crate::store::{Store, Tx};

impl Store {
    /// Every credential as it came, in the order of arrival.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Io`].
    pub fn credentials(&self) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut query = self.connection().prepare_cached("SELECT bytes FROM credential ORDER BY position")?;
        let rows = query.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl Store {
    /// Ids of the credentials that other devices said, and when they were first seen here.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Io`].
    pub fn credentials_seen(&self) -> Result<Vec<([u8; 32], Timestamp)>, StoreError> {
        let mut query = self.connection().prepare_cached("SELECT id, seen FROM credential_seen")?;
        let mut rows = query.query([])?;
        let mut seen = Vec::new();
        while let Some(row) = rows.next()? {
            seen.push((row.get(0)?, timestamp(row.get(1)?)?));
        }
        Ok(seen)
    }
}

impl Tx<'_> {
    /// Keeps a credential that another device said, and when that was; when it was first seen stays.
    ///
    /// # Errors
    /// [`StoreError::DiskFull`], [`StoreError::Io`].
    pub fn learn_credential(
        &mut self,
        credential: &Verified<Credential>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if self.add_credential(credential)? {
            self.connection()
                .prepare_cached("INSERT INTO credential_seen (id, seen) VALUES (?1, ?2)")?
                .execute(params![credential.id().as_bytes(), millis(now)])?;
        }
        Ok(())
    }

    /// Keeps a credential; `false` if it was there already.
    ///
    /// # Errors
    /// [`StoreError::DiskFull`], [`StoreError::Io`].
    pub fn add_credential(&mut self, credential: &Verified<Credential>) -> Result<bool, StoreError> {
        let added = self
            .connection()
            .prepare_cached("INSERT INTO credential (id, bytes) VALUES (?1, ?2) ON CONFLICT (id) DO NOTHING")?
            .execute(params![credential.id().as_bytes(), credential.bytes()])?;
        Ok(added == 1)
    }
}
