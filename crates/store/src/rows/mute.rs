//! Askers the user does not want to hear of for a while.

use halo_protocol::Timestamp;
use rusqlite::params;

use super::{millis, timestamp};
use crate::error::StoreError;
use crate::store::{Store, Tx};

impl Store {
    /// Who is muted at `now`, and until when.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Io`].
    pub fn mutes(&self, now: Timestamp) -> Result<Vec<(String, Timestamp)>, StoreError> {
        let mut query = self
            .connection()
            .prepare_cached("SELECT asker, until FROM mute WHERE until > ?1 ORDER BY asker")?;
        let mut rows = query.query([millis(now)])?;
        let mut mutes = Vec::new();
        while let Some(row) = rows.next()? {
            mutes.push((row.get(0)?, timestamp(row.get(1)?)?));
        }
        Ok(mutes)
    }
}

impl Tx<'_> {
    /// Mutes an asker.
    ///
    /// # Errors
    /// [`StoreError::DiskFull`], [`StoreError::Io`].
    pub fn put_mute(&mut self, asker: &str, until: Timestamp) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "INSERT INTO mute (asker, until) VALUES (?1, ?2)
                 ON CONFLICT (asker) DO UPDATE SET until = excluded.until",
            )?
            .execute(params![asker, millis(until)])?;
        Ok(())
    }
}
