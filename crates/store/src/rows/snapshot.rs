//! Snapshots of spaces, as files in pieces, and where feeds begin since older blocks were dropped.

use rusqlite::{Connection, OptionalExtension, params};

use super::feed::{count, number};
use crate::error::StoreError;
use crate::store::{Store, Tx};

/// What becomes of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotState {
    /// This device is making it; it has no name yet.
    Making = 0,
    /// A peer is sending it.
    Coming = 1,
    /// Everything it says is in the documents. One a space.
    Taken = 2,
}

/// A snapshot, without what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotRow {
    /// SHA-256 of the file.
    pub id: [u8; 32],
    /// How many bytes of it are here: all of them, if it was taken.
    pub size: u64,
}

/// Where a feed begins: blocks before it were dropped, since a snapshot covers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedBase {
    /// So many blocks.
    pub length: u64,
    /// Name of the last of them.
    pub head: [u8; 32],
}

/// How many blocks of a feed another device said it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConfirmedRow {
    /// Which device.
    pub device: [u8; 32],
    /// Whose blocks.
    pub feed: [u8; 32],
    /// So many.
    pub length: u64,
}

impl Store {
    /// The snapshot of a space that was taken last.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Io`].
    pub fn snapshot(&self, space: &str) -> Result<Option<SnapshotRow>, StoreError> {
        let mut query = self
            .connection()
            .prepare_cached("SELECT id, size FROM snapshot WHERE space = ?1 AND state = ?2")?;
        let row = query.query_row(params![space, SnapshotState::Taken as i64], |row| {
            Ok(SnapshotRow { id: row.get(0)?, size: count(row.get(1)?) })
        });
        Ok(row.optional()?)
    }

    /// How many bytes are here of a snapshot that a peer is sending.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Io`].
    pub fn snapshot_fetched(&self, space: &str, id: &[u8; 32]) -> Result<u64, StoreError> {
        fetched(self.connection(), space, id)
    }

    /// Bytes of a snapshot from `start` on, `most` at most; fewer where they end.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Io`].
    pub fn snapshot_bytes(&self, id: &[u8; 32], start: u64, most: usize) -> Result<Vec<u8>, StoreError> {
        bytes_of(self.connection(), id, start, most)
    }

    /// Where a feed begins; none if all of it is there.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Io`].
    pub fn feed_base(&self, feed: &[u8; 32]) -> Result<Option<FeedBase>, StoreError> {
        let mut query =
            self.connection().prepare_cached("SELECT length, head FROM feed_base WHERE feed = ?1")?;
        let base =
            query.query_row([feed], |row| Ok(FeedBase { length: count(row.get(0)?), head: row.get(1)? }));
        Ok(base.optional()?)
    }

    /// The last block of a feed before a number that its owner signed as its head.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Io`].
    pub fn last_signed(&self, feed: &[u8; 32], before: u64) -> Result<Option<u64>, StoreError> {
        let mut query = self.connection().prepare_cached(
            "SELECT sequence FROM block WHERE feed = ?1 AND sequence < ?2 AND signature IS NOT NULL
             ORDER BY sequence DESC LIMIT 1",
        )?;
        Ok(query.query_row(params![feed, number(before)], |row| row.get(0)).optional()?.map(count))
    }

    /// How many bytes the blocks of a space take that are there.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Io`].
    pub fn blocks_size(&self, space: &str) -> Result<u64, StoreError> {
        let mut query = self.connection().prepare_cached(
            "SELECT coalesce(sum(length(sealed)), 0) FROM block JOIN feed ON feed.key = block.feed
             WHERE feed.space = ?1",
        )?;
        Ok(count(query.query_row([space], |row| row.get(0))?))
    }
}

impl Store {
    /// How many bytes the blocks of a feed take from a number on.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Io`].
    pub fn feed_size(&self, feed: &[u8; 32], from: u64) -> Result<u64, StoreError> {
        let mut query = self.connection().prepare_cached(
            "SELECT coalesce(sum(length(sealed)), 0) FROM block WHERE feed = ?1 AND sequence >= ?2",
        )?;
        Ok(count(query.query_row(params![feed, number(from)], |row| row.get(0))?))
    }

    /// What other devices said last that they have of a space.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Io`].
    pub fn confirmed(&self, space: &str) -> Result<Vec<ConfirmedRow>, StoreError> {
        let mut query = self.connection().prepare_cached(
            "SELECT device, feed, confirmed.length FROM confirmed JOIN feed ON feed.key = confirmed.feed
             WHERE feed.space = ?1",
        )?;
        let rows = query.query_map([space], |row| {
            Ok(ConfirmedRow { device: row.get(0)?, feed: row.get(1)?, length: count(row.get(2)?) })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

fn fetched(connection: &Connection, space: &str, id: &[u8; 32]) -> Result<u64, StoreError> {
    let mut query = connection.prepare_cached("SELECT size FROM snapshot WHERE space = ?1 AND id = ?2")?;
    Ok(query.query_row(params![space, id], |row| row.get(0)).optional()?.map_or(0, count))
}

fn bytes_of(connection: &Connection, id: &[u8; 32], start: u64, most: usize) -> Result<Vec<u8>, StoreError> {
    let end = start.saturating_add(most as u64);
    let mut query = connection.prepare_cached(
        "SELECT start, bytes FROM snapshot_chunk WHERE snapshot = ?1 AND start < ?3
           AND start >= coalesce((SELECT max(start) FROM snapshot_chunk WHERE snapshot = ?1 AND start <= ?2), 0)
         ORDER BY start",
    )?;
    let mut rows = query.query(params![id, number(start), number(end)])?;
    let mut bytes = Vec::new();
    while let Some(row) = rows.next()? {
        let (at, chunk) = (count(row.get(0)?), row.get_ref(1)?);
        let chunk = chunk.as_blob().map_err(|_| StoreError::damaged("a piece of a snapshot is none"))?;
        let cut = |position: u64| {
            usize::try_from(position.saturating_sub(at)).unwrap_or(usize::MAX).min(chunk.len())
        };
        bytes.extend_from_slice(chunk.get(cut(start)..cut(end)).unwrap_or_default());
    }
    Ok(bytes)
}

impl Tx<'_> {
    /// As [`Store::snapshot_bytes`].
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Io`].
    pub fn snapshot_bytes(&self, id: &[u8; 32], start: u64, most: usize) -> Result<Vec<u8>, StoreError> {
        bytes_of(self.connection(), id, start, most)
    }

    /// Begins a snapshot of a space; others in the same state that were begun before go.
    ///
    /// # Errors
    /// [`StoreError::DiskFull`], [`StoreError::Io`].
    pub fn begin_snapshot(
        &mut self,
        space: &str,
        id: &[u8; 32],
        state: SnapshotState,
    ) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached("DELETE FROM snapshot WHERE space = ?1 AND state = ?2 AND id <> ?3")?
            .execute(params![space, state as i64, id])?;
        self.connection()
            .prepare_cached(
                "INSERT INTO snapshot (id, space, size, state) VALUES (?1, ?2, 0, ?3) ON CONFLICT DO NOTHING",
            )?
            .execute(params![id, space, state as i64])?;
        Ok(())
    }

    /// Adds bytes to a snapshot that was begun, behind those that are there.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if it was not begun, or `start` is not where it ends; [`StoreError::DiskFull`],
    /// [`StoreError::Io`].
    pub fn add_snapshot_bytes(
        &mut self,
        space: &str,
        id: &[u8; 32],
        start: u64,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        let grown = self
            .connection()
            .prepare_cached(
                "UPDATE snapshot SET size = size + ?4 WHERE space = ?1 AND id = ?2 AND size = ?3 AND state <> ?5",
            )?
            .execute(params![
                space,
                id,
                number(start),
                number(bytes.len() as u64),
                SnapshotState::Taken as i64
            ])?;
        if grown == 0 {
            return Err(StoreError::Refused { what: "the snapshot does not end there" });
        }
        self.connection()
            .prepare_cached("INSERT INTO snapshot_chunk (snapshot, start, bytes) VALUES (?1, ?2, ?3)")?
            .execute(params![id, number(start), bytes])?;
        Ok(())
    }

    /// Takes a snapshot that is whole by now, under its name: every other one of the space goes.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if it is gone; [`StoreError::DiskFull`], [`StoreError::Io`].
    pub fn finish_snapshot(
        &mut self,
        space: &str,
        begun: &[u8; 32],
        id: &[u8; 32],
    ) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached("DELETE FROM snapshot WHERE space = ?1 AND id <> ?2")?
            .execute(params![space, begun])?;
        let named = self
            .connection()
            .prepare_cached("UPDATE snapshot SET id = ?3, state = ?4 WHERE space = ?1 AND id = ?2")?
            .execute(params![space, begun, id, SnapshotState::Taken as i64])?;
        if named == 0 {
            return Err(StoreError::Refused { what: "the snapshot that was begun is gone" });
        }
        Ok(())
    }

    /// Removes a snapshot that was not taken.
    ///
    /// # Errors
    /// [`StoreError::DiskFull`], [`StoreError::Io`].
    pub fn forget_snapshot(&mut self, space: &str, id: &[u8; 32]) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached("DELETE FROM snapshot WHERE space = ?1 AND id = ?2 AND state <> ?3")?
            .execute(params![space, id, SnapshotState::Taken as i64])?;
        Ok(())
    }

    /// Notes how many blocks of a feed another device said it has. A feed that is not here is passed over.
    ///
    /// # Errors
    /// [`StoreError::DiskFull`], [`StoreError::Io`].
    pub fn put_confirmed(
        &mut self,
        device: &[u8; 32],
        feed: &[u8; 32],
        length: u64,
    ) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "INSERT INTO confirmed (device, feed, length) SELECT ?1, key, ?3 FROM feed WHERE key = ?2 AND true
                 ON CONFLICT (device, feed) DO UPDATE SET length = excluded.length",
            )?
            .execute(params![device, feed, number(length)])?;
        Ok(())
    }

    /// Lets a feed begin later: drops the blocks before. It never begins earlier again.
    ///
    /// # Errors
    /// [`StoreError::Refused`] unless a snapshot of the space was taken in this or an earlier transaction;
    /// [`StoreError::DiskFull`], [`StoreError::Io`].
    pub fn drop_covered_blocks(
        &mut self,
        space: &str,
        feed: &[u8; 32],
        base: &FeedBase,
    ) -> Result<(), StoreError> {
        let covered: bool = self
            .connection()
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM snapshot WHERE space = ?1 AND state = ?2)")?
            .query_row(params![space, SnapshotState::Taken as i64], |row| row.get(0))?;
        if !covered {
            return Err(StoreError::Refused { what: "no snapshot covers these blocks" });
        }
        self.connection()
            .prepare_cached(
                "INSERT INTO feed_base (feed, length, head) VALUES (?1, ?2, ?3)
                 ON CONFLICT (feed) DO UPDATE SET length = excluded.length, head = excluded.head
                    WHERE excluded.length > length",
            )?
            .execute(params![feed, number(base.length), base.head])?;
        self.connection()
            .prepare_cached("DELETE FROM block WHERE feed = ?1 AND sequence < ?2")?
            .execute(params![feed, number(base.length)])?;
        Ok(())
    }
}
