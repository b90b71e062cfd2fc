//! What only this device knows of a grant. What was allowed is said by its credential.

use halo_protocol::Timestamp;
use rusqlite::{Row, params};

use super::{millis, timestamp};
use crate::error::StoreError;
use crate::store::{Store, Tx};

/// A grant on this device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantRow {
    /// As in the credential.
    pub id: [u8; 16],
    /// The app.
    pub client_id: String,
    /// Executable of a native app.
    pub process: Option<String>,
    /// Thumbprints of the instance keys it has met, oldest first.
    pub instances: Vec<String>,
    /// When the user allowed it.
    pub created: Timestamp,
    /// When the app last used it.
    pub last_used: Option<Timestamp>,
}

impl Store {
    /// Every grant, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Io`].
    pub fn grants(&self) -> Result<Vec<GrantRow>, StoreError> {
        let mut query = self.connection().prepare_cached(
            "SELECT id, client_id, process, instances, created, last_used FROM app_grant ORDER BY created, id",
        )?;
        let mut rows = query.query([])?;
        let mut grants = Vec::new();
        while let Some(row) = rows.next()? {
            grants.push(read(row)?);
        }
        Ok(grants)
    }
}

impl Tx<'_> {
    /// Keeps a grant, in place of an older row of the same id.
    ///
    /// # Errors
    /// [`StoreError::DiskFull`], [`StoreError::Io`].
    pub fn put_grant(&mut self, grant: &GrantRow) -> Result<(), StoreError> {
        let instances = serde_json::to_string(&grant.instances)
            .map_err(|_| StoreError::Refused { what: "the instance keys have no JSON form" })?;
        // An update and not a replacement: that would take the grant's refresh tokens with it.
        self.connection()
            .prepare_cached(
                "INSERT INTO app_grant (id, client_id, process, instances, created, last_used)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (id) DO UPDATE SET client_id = excluded.client_id, process = excluded.process,
                    instances = excluded.instances, created = excluded.created, last_used = excluded.last_used",
            )?
            .execute(params![
                grant.id,
                grant.client_id,
                grant.process,
                instances,
                millis(grant.created),
                grant.last_used.map(millis),
            ])?;
        Ok(())
    }

    /// Removes a grant and every refresh token that came of it. One that is not there is no error.
    ///
    /// # Errors
    /// [`StoreError::DiskFull`], [`StoreError::Io`].
    pub fn delete_grant(&mut self, id: &[u8; 16]) -> Result<(), StoreError> {
        self.connection().prepare_cached("DELETE FROM app_grant WHERE id = ?1")?.execute([id])?;
        Ok(())
    }

    /// Notes that a grant was used.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if there is no such grant, so that nothing is used after it was revoked.
    pub fn touch_grant(&mut self, id: &[u8; 16], now: Timestamp) -> Result<(), StoreError> {
        let touched = self
            .connection()
            .prepare_cached("UPDATE app_grant SET last_used = ?2 WHERE id = ?1")?
            .execute(params![id, millis(now)])?;
        if touched == 0 {
            return Err(StoreError::Refused { what: "there is no such grant" });
        }
        Ok(())
    }
}

fn read(row: &Row<'_>) -> Result<GrantRow, StoreError> {
    let instances: String = row.get(3)?;
    Ok(GrantRow {
        id: row.get(0)?,
        client_id: row.get(1)?,
        process: row.get(2)?,
        instances: serde_json::from_str(&instances)
            .map_err(|_| StoreError::damaged("the instance keys of a grant are not a list"))?,
        created: timestamp(row.get(4)?)?,
        last_used: row.get::<_, Option<i64>>(5)?.map(timestamp).transpose()?,
    })
}
