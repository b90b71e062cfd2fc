//! Which app wrote as whom.

use rusqlite::{OptionalExtension, params};

use crate::error::StoreError;
use crate::store::{Store, Tx};

impl Store {
    /// The app that wrote as this actor in a space, if one did on this device.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn writer(&self, space: &str, actor: &[u8]) -> Result<Option<String>, StoreError> {
        Ok(self
            .connection()
            .prepare_cached("SELECT app FROM writer WHERE space = ?1 AND actor = ?2")?
            .query_row(params![space, actor], |row| row.get(0))
            .optional()?)
    }
}

impl Tx<'_> {
    /// Notes that an app writes as this actor; whoever was the first to do so stays.
    ///
    /// # Errors
    /// [`StoreError::DiskFull`], [`StoreError::Io`].
    pub fn add_writer(&mut self, space: &str, actor: &[u8], app: &str) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "INSERT INTO writer (space, actor, app) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            )?
            .execute(params![space, actor, app])?;
        Ok(())
    }
}
