//! Settings, as JSON under a name.

use rusqlite::{OptionalExtension, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::StoreError;
use crate::store::{Store, Tx};

impl Store {
    /// The setting of that name.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if it is not a `T`, [`StoreError::Io`].
    pub fn setting<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StoreError> {
        let mut query = self.connection().prepare_cached("SELECT json FROM setting WHERE name = ?1")?;
        let json: Option<String> = query.query_row([name], |row| row.get(0)).optional()?;
        json.map(|json| {
            serde_json::from_str(&json)
                .map_err(|_| StoreError::damaged(format!("the setting {name:?} is not what it should be")))
        })
        .transpose()
    }
}

impl Tx<'_> {
    /// Keeps a setting.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if the value has no JSON form, [`StoreError::DiskFull`], [`StoreError::Io`].
    pub fn put_setting<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), StoreError> {
        let json = serde_json::to_string(value)
            .map_err(|_| StoreError::Refused { what: "the setting has no JSON form" })?;
        self.connection()
            .prepare_cached(
                "INSERT INTO setting (name, json) VALUES (?1, ?2)
                 ON CONFLICT (name) DO UPDATE SET json = excluded.json",
            )?
            .execute(params![name, json])?;
        Ok(())
    }
}
