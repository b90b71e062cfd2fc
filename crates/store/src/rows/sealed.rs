//! Secrets that the keystore sealed before they came here.

use rusqlite::{OptionalExtension, params};

use crate::error::StoreError;
use crate::store::{Store, Tx};

impl Store {
    /// The sealed bytes in a slot.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Io`].
    pub fn sealed(&self, slot: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let mut query = self.connection().prepare_cached("SELECT bytes FROM sealed WHERE slot = ?1")?;
        Ok(query.query_row([slot], |row| row.get(0)).optional()?)
    }
}

impl Tx<'_> {
    /// Puts sealed bytes into a slot.
    ///
    /// # Errors
    /// [`StoreError::DiskFull`], [`StoreError::Io`].
    pub fn put_sealed(&mut self, slot: &str, sealed: &[u8]) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "INSERT INTO sealed (slot, bytes) VALUES (?1, ?2)
                 ON CONFLICT (slot) DO UPDATE SET bytes = excluded.bytes",
            )?
            .execute(params![slot, sealed])?;
        Ok(())
    }

    /// Empties a slot for good: pages are overwritten, and older copies of them leave the log of writes with this
    /// transaction.
    ///
    /// # Errors
    /// [`StoreError::DiskFull`], [`StoreError::Io`].
    pub fn delete_sealed(&mut self, slot: &str) -> Result<(), StoreError> {
        self.connection().prepare_cached("DELETE FROM sealed WHERE slot = ?1")?.execute([slot])?;
        self.forget_older_pages();
        Ok(())
    }
}
