//! The tables, and how an older file becomes a newer one.
//!
//! `user_version` counts the steps a file has taken. A step that has been released is never edited; what
//! changes is a new step, appended. Each runs in a transaction of its own together with the new count, so a file is
//! always at a step and never between two.

use rusqlite::{Connection, TransactionBehavior};

use crate::error::StoreError;

/// "HALO": marks the file as ours before anything else in it is believed.
const APPLICATION: i32 = 0x4841_4C4F;

/// Every step from an empty file to the newest format.
const STEPS: &[&str] = &[include_str!("schema/1.sql"), include_str!("schema/2.sql")];

/// Newest format this program knows.
pub(crate) fn newest() -> u32 {
    u32::try_from(STEPS.len()).unwrap_or(u32::MAX)
}

/// The format of a file.
///
/// # Errors
/// [`StoreError::Damaged`] if it is not a file of ours.
pub(crate) fn version(connection: &Connection) -> Result<u32, StoreError> {
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let version = number("user_version")?;
    if number("application_id")? != APPLICATION {
        return Err(StoreError::damaged("this is not a store of HALO"));
    }
    match u32::try_from(version) {
        Ok(0) | Err(_) => Err(StoreError::damaged("the store was never completed")),
        Ok(version) => Ok(version),
    }
}

/// Makes an empty file ours; its tables come with [`migrate`].
pub(crate) fn mark(connection: &Connection) -> Result<(), StoreError> {
    Ok(connection.pragma_update(None, "application_id", APPLICATION)?)
}

/// Takes the steps that a file of format `from` lacks.
///
/// # Errors
/// [`StoreError::NewerVersion`] before anything is touched.
pub(crate) fn migrate(connection: &mut Connection, from: u32) -> Result<(), StoreError> {
    if from > newest() {
        return Err(StoreError::NewerVersion { found: from, known: newest() });
    }
    for (version, step) in (1_u32..).zip(STEPS).filter(|(version, _)| *version > from) {
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        tx.execute_batch(step)?;
        tx.pragma_update(None, "user_version", version)?;
        tx.commit()?;
    }
    Ok(())
}
