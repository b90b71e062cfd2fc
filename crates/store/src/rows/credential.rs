//! Credentials: signed bytes, never re-encoded.

use halo_protocol::Verified;
use halo_protocol::credential::Credential;
use rusqlite::params;

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

impl Tx<'_> {
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
