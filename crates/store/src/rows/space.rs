//! Spaces, their documents and items. What is in a document is for others to know.

use halo_protocol::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::{millis, timestamp};
use crate::error::StoreError;
use crate::store::{Store, Tx};

/// A space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpaceRow {
    /// Its id, in text.
    pub id: String,
    /// Its public key.
    pub key: [u8; 32],
    /// The document that lists its objects.
    pub root: [u8; 16],
    /// When it was made.
    pub created: Timestamp,
    /// The identity's own one.
    pub halo: bool,
}

/// That an app sees a space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpaceAppRow {
    /// The app: its kind and id.
    pub app: String,
    /// The space.
    pub space: String,
    /// The app made it; otherwise the user shared it.
    pub made: bool,
    /// It is where the app keeps what has no other place.
    pub default: bool,
}

impl Store {
    /// Every space, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Io`].
    pub fn spaces(&self) -> Result<Vec<SpaceRow>, StoreError> {
        let mut query = self
            .connection()
            .prepare_cached("SELECT id, key, root, created, halo FROM space ORDER BY created, id")?;
        let mut rows = query.query([])?;
        let mut spaces = Vec::new();
        while let Some(row) = rows.next()? {
            spaces.push(SpaceRow {
                id: row.get(0)?,
                key: row.get(1)?,
                root: row.get(2)?,
                created: timestamp(row.get(3)?)?,
                halo: row.get(4)?,
            });
        }
        Ok(spaces)
    }

    /// Which apps see which spaces.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Io`].
    pub fn space_apps(&self) -> Result<Vec<SpaceAppRow>, StoreError> {
        let mut query = self
            .connection()
            .prepare_cached("SELECT app, space, made, default_of_app FROM space_app ORDER BY app, space")?;
        let rows = query.query_map([], |row| {
            Ok(SpaceAppRow { app: row.get(0)?, space: row.get(1)?, made: row.get(2)?, default: row.get(3)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The space of a document.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Io`].
    pub fn space_of_document(&self, document: &[u8; 16]) -> Result<Option<String>, StoreError> {
        let mut query = self.connection().prepare_cached("SELECT space FROM document WHERE id = ?1")?;
        Ok(query.query_row([document], |row| row.get(0)).optional()?)
    }

    /// What was saved of a document, and then each change since, in order; empty if there is no such document.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Io`].
    pub fn document(&self, document: &[u8; 16]) -> Result<Vec<Vec<u8>>, StoreError> {
        document_of(self.connection(), document)
    }

    /// The documents of a space.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Io`].
    pub fn documents(&self, space: &str) -> Result<Vec<[u8; 16]>, StoreError> {
        let mut query =
            self.connection().prepare_cached("SELECT id FROM document WHERE space = ?1 ORDER BY id")?;
        let rows = query.query_map([space], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// How many bytes the documents of a space take, as it was counted.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Io`].
    pub fn space_size(&self, space: &str) -> Result<i64, StoreError> {
        let mut query = self.connection().prepare_cached("SELECT bytes FROM space WHERE id = ?1")?;
        Ok(query.query_row([space], |row| row.get(0)).optional()?.unwrap_or_default())
    }

    /// The same, by looking at every document.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Io`].
    pub fn measured_size(&self, space: &str) -> Result<i64, StoreError> {
        let mut query = self.connection().prepare_cached(
            "SELECT coalesce((SELECT sum(length(saved)) FROM document WHERE space = ?1), 0)
                  + coalesce((SELECT sum(length(bytes)) FROM document_change
                              JOIN document ON document.id = document_change.document WHERE space = ?1), 0)",
        )?;
        Ok(query.query_row([space], |row| row.get(0))?)
    }
}

fn document_of(connection: &Connection, document: &[u8; 16]) -> Result<Vec<Vec<u8>>, StoreError> {
    let mut parts = Vec::new();
    let mut saved = connection.prepare_cached("SELECT saved FROM document WHERE id = ?1")?;
    parts.extend(saved.query_row([document], |row| row.get(0)).optional()?);
    let mut changes = connection
        .prepare_cached("SELECT bytes FROM document_change WHERE document = ?1 ORDER BY position")?;
    for change in changes.query_map([document], |row| row.get(0))? {
        parts.push(change?);
    }
    Ok(parts)
}

impl Tx<'_> {
    /// What was saved of a document, and then each change since, in order; empty if there is no such document in this
    /// space.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Io`]; [`StoreError::Refused`] if it is another space's.
    pub fn document(&self, space: &str, document: &[u8; 16]) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut query = self.connection().prepare_cached("SELECT space FROM document WHERE id = ?1")?;
        let of: Option<String> = query.query_row([document], |row| row.get(0)).optional()?;
        match of {
            Some(of) if of != space => Err(StoreError::Refused { what: "the document is of another space" }),
            _ => document_of(self.connection(), document),
        }
    }

    /// Adds a space.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if there is one of that id; [`StoreError::DiskFull`], [`StoreError::Io`].
    pub fn add_space(&mut self, space: &SpaceRow) -> Result<(), StoreError> {
        let added = self
            .connection()
            .prepare_cached(
                "INSERT INTO space (id, key, root, created, halo) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT DO NOTHING",
            )?
            .execute(params![space.id, space.key, space.root, millis(space.created), space.halo])?;
        if added == 0 {
            return Err(StoreError::Refused { what: "there is a space of that id" });
        }
        Ok(())
    }

    /// Removes a space with everything in it.
    ///
    /// # Errors
    /// [`StoreError::DiskFull`], [`StoreError::Io`].
    pub fn delete_space(&mut self, space: &str) -> Result<(), StoreError> {
        self.write_index()?;
        self.waiting().forget_places(space);
        // A full-text index knows no references, so nothing cascades into it.
        self.connection()
            .prepare_cached(
                "DELETE FROM item_words WHERE rowid IN (SELECT number FROM item WHERE space = ?1)",
            )?
            .execute([space])?;
        for sql in [
            "DELETE FROM epoch WHERE space = ?1",
            "DELETE FROM epoch_share WHERE space = ?1",
            "DELETE FROM space WHERE id = ?1",
        ] {
            self.connection().prepare_cached(sql)?.execute([space])?;
        }
        self.forget_older_pages();
        Ok(())
    }

    /// Lets an app see a space.
    ///
    /// # Errors
    /// [`StoreError::DiskFull`], [`StoreError::Io`].
    pub fn put_space_app(&mut self, row: &SpaceAppRow) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "INSERT INTO space_app (app, space, made, default_of_app) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (app, space) DO UPDATE
                    SET made = excluded.made, default_of_app = excluded.default_of_app",
            )?
            .execute(params![row.app, row.space, row.made, row.default])?;
        Ok(())
    }

    /// Hides a space from an app.
    ///
    /// # Errors
    /// [`StoreError::DiskFull`], [`StoreError::Io`].
    pub fn remove_space_app(&mut self, app: &str, space: &str) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached("DELETE FROM space_app WHERE app = ?1 AND space = ?2")?
            .execute([app, space])?;
        Ok(())
    }

    /// Counts what the documents of a space take more, or less.
    ///
    /// # Errors
    /// [`StoreError::DiskFull`], [`StoreError::Io`].
    pub fn grow_space(&mut self, space: &str, bytes: i64) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached("UPDATE space SET bytes = bytes + ?2 WHERE id = ?1")?
            .execute(params![space, bytes])?;
        Ok(())
    }

    /// Keeps the whole of a document, in place of what was saved and changed before.
    ///
    /// # Errors
    /// [`StoreError::DiskFull`], [`StoreError::Io`].
    pub fn save_document(
        &mut self,
        space: &str,
        document: &[u8; 16],
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "INSERT INTO document (id, space, saved) VALUES (?1, ?2, ?3)
                 ON CONFLICT (id) DO UPDATE SET saved = excluded.saved",
            )?
            .execute(params![document, space, bytes])?;
        self.connection()
            .prepare_cached("DELETE FROM document_change WHERE document = ?1")?
            .execute([document])?;
        Ok(())
    }

    /// Saves a document that is not there yet.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if it is; [`StoreError::DiskFull`], [`StoreError::Io`].
    pub fn make_document(
        &mut self,
        space: &str,
        document: &[u8; 16],
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        let made = self
            .connection()
            .prepare_cached(
                "INSERT INTO document (id, space, saved) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            )?
            .execute(params![document, space, bytes])?;
        if made == 0 {
            return Err(StoreError::Refused { what: "there is such a document" });
        }
        Ok(())
    }

    /// Adds a change to a document.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if there is no such document; [`StoreError::DiskFull`], [`StoreError::Io`].
    pub fn add_change(&mut self, document: &[u8; 16], bytes: &[u8]) -> Result<(), StoreError> {
        let added = self
            .connection()
            .prepare_cached(
                "INSERT INTO document_change (document, bytes) SELECT id, ?2 FROM document WHERE id = ?1",
            )?
            .execute(params![document, bytes])?;
        if added == 0 {
            return Err(StoreError::Refused { what: "there is no such document" });
        }
        Ok(())
    }
}
