//! Feeds, their blocks, and the epochs that seal them. What they say is for others to know.

use rusqlite::{OptionalExtension, params};

use crate::error::StoreError;
use crate::store::{Store, Tx};

/// A feed, and how far it has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedRow {
    /// Whose it is.
    pub key: [u8; 32],
    /// How many blocks it has.
    pub length: u64,
    /// Name of the last block.
    pub head: [u8; 32],
    /// Its device was caught saying two things at one number.
    pub forked: bool,
    /// So many of its blocks are in the documents.
    pub applied: u64,
}

/// An epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochRow {
    /// Its name.
    pub id: [u8; 32],
    /// Its number.
    pub number: u64,
    /// Which device began it.
    pub by: [u8; 32],
    /// The epoch, encoded.
    pub bytes: Vec<u8>,
}

/// A block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockRow {
    /// Its number.
    pub sequence: u64,
    /// Its header, encoded.
    pub header: Vec<u8>,
    /// Its payload, sealed.
    pub sealed: Vec<u8>,
    /// The feed's signature over this block as its head, where one was made.
    pub signature: Option<[u8; 64]>,
}

impl Store {
    /// The epochs of a space, the first one first.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Io`].
    pub fn epochs(&self, space: &str) -> Result<Vec<EpochRow>, StoreError> {
        let mut query = self
            .connection()
            .prepare_cached("SELECT id, number, by, bytes FROM epoch WHERE space = ?1 ORDER BY number, id")?;
        let rows = query.query_map([space], |row| {
            Ok(EpochRow { id: row.get(0)?, number: count(row.get(1)?), by: row.get(2)?, bytes: row.get(3)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Content keys of epochs of a space that were sealed to this device after the epoch had begun.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Io`].
    pub fn epoch_shares(&self, space: &str) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut query = self
            .connection()
            .prepare_cached("SELECT bytes FROM epoch_share WHERE space = ?1 ORDER BY epoch")?;
        let rows = query.query_map([space], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The feeds of a space, by key.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Io`].
    pub fn feeds(&self, space: &str) -> Result<Vec<FeedRow>, StoreError> {
        let mut query = self.connection().prepare_cached(
            "SELECT key, length, head, forked, applied FROM feed WHERE space = ?1 ORDER BY key",
        )?;
        let rows = query.query_map([space], |row| {
            Ok(FeedRow {
                key: row.get(0)?,
                length: count(row.get(1)?),
                head: row.get(2)?,
                forked: row.get(3)?,
                applied: count(row.get(4)?),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// At most `most` blocks of a feed, from a number on.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Io`].
    pub fn blocks(&self, feed: &[u8; 32], from: u64, most: usize) -> Result<Vec<BlockRow>, StoreError> {
        let mut query = self.connection().prepare_cached(
            "SELECT sequence, header, sealed, signature FROM block WHERE feed = ?1 AND sequence >= ?2
             ORDER BY sequence LIMIT ?3",
        )?;
        let rows = query.query_map(params![feed, number(from), number(most as u64)], |row| {
            Ok(BlockRow {
                sequence: count(row.get(0)?),
                header: row.get(1)?,
                sealed: row.get(2)?,
                signature: row.get(3)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// How many of the blocks from a number on, at most `most`, are wanted by somebody who sees how long their payloads
    /// are and which of them have a signature. What is not looked at is not read, nor is any payload.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Io`].
    pub fn count_blocks(
        &self,
        feed: &[u8; 32],
        from: u64,
        most: usize,
        wanted: impl FnOnce(&mut dyn Iterator<Item = (usize, bool)>) -> usize,
    ) -> Result<usize, StoreError> {
        let mut query = self.connection().prepare_cached(
            "SELECT length(sealed), typeof(signature) = 'blob' FROM block WHERE feed = ?1 AND sequence >= ?2
             ORDER BY sequence LIMIT ?3",
        )?;
        let rows = query.query_map(params![feed, number(from), number(most as u64)], |row| {
            Ok((usize::try_from(row.get::<_, i64>(0)?).unwrap_or(usize::MAX), row.get(1)?))
        })?;
        let mut failed = None;
        let mut sizes = rows.map_while(|row| row.map_err(|error| failed = Some(error)).ok());
        let count = wanted(&mut sizes);
        drop(sizes);
        failed.map_or(Ok(count), |error| Err(error.into()))
    }

    /// One block of a feed.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Io`].
    pub fn header(&self, feed: &[u8; 32], sequence: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let mut query =
            self.connection().prepare_cached("SELECT header FROM block WHERE feed = ?1 AND sequence = ?2")?;
        Ok(query.query_row(params![feed, number(sequence)], |row| row.get(0)).optional()?)
    }
}

impl Tx<'_> {
    /// Keeps an epoch; one that is there already stays.
    ///
    /// # Errors
    /// [`StoreError::DiskFull`], [`StoreError::Io`].
    pub fn add_epoch(&mut self, space: &str, epoch: &EpochRow) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "INSERT INTO epoch (id, space, number, by, bytes) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT DO NOTHING",
            )?
            .execute(params![epoch.id, space, number(epoch.number), epoch.by, epoch.bytes])?;
        Ok(())
    }

    /// Keeps the content key of an epoch, sealed to this device, in place of one that was given before.
    ///
    /// # Errors
    /// [`StoreError::DiskFull`], [`StoreError::Io`].
    pub fn put_epoch_share(&mut self, space: &str, epoch: &[u8; 32], bytes: &[u8]) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "INSERT INTO epoch_share (epoch, space, bytes) VALUES (?1, ?2, ?3)
                 ON CONFLICT (epoch) DO UPDATE SET space = excluded.space, bytes = excluded.bytes",
            )?
            .execute(params![epoch, space, bytes])?;
        Ok(())
    }

    /// Notes how far a feed has come.
    ///
    /// # Errors
    /// [`StoreError::DiskFull`], [`StoreError::Io`].
    pub fn put_feed(&mut self, space: &str, feed: &FeedRow) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "INSERT INTO feed (key, space, length, head, forked, applied) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (key) DO UPDATE
                    SET length = excluded.length, head = excluded.head, forked = excluded.forked,
                        applied = excluded.applied",
            )?
            .execute(params![
                feed.key,
                space,
                number(feed.length),
                feed.head,
                feed.forked,
                number(feed.applied)
            ])?;
        Ok(())
    }

    /// Drops the blocks of a feed from a number on.
    ///
    /// # Errors
    /// [`StoreError::DiskFull`], [`StoreError::Io`].
    pub fn drop_blocks(&mut self, feed: &[u8; 32], from: u64) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached("DELETE FROM block WHERE feed = ?1 AND sequence >= ?2")?
            .execute(params![feed, number(from)])?;
        if from == 0 {
            // All of it comes again.
            self.connection().prepare_cached("DELETE FROM feed_base WHERE feed = ?1")?.execute([feed])?;
        }
        Ok(())
    }

    /// Adds a block to a feed.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if there is one of that number; [`StoreError::DiskFull`], [`StoreError::Io`].
    pub fn add_block(&mut self, feed: &[u8; 32], block: &BlockRow) -> Result<(), StoreError> {
        let added = self
            .connection()
            .prepare_cached(
                "INSERT INTO block (feed, sequence, header, sealed, signature) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT DO NOTHING",
            )?
            .execute(params![feed, number(block.sequence), block.header, block.sealed, block.signature])?;
        if added == 0 {
            return Err(StoreError::Refused { what: "there is a block of that number" });
        }
        Ok(())
    }
}

/// SQLite counts to 2^63, which no feed reaches.
pub(super) fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(super) fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}
