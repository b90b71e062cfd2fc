//! Items, and the ways to them: terms and words.
//!
//! What an item can be found by is `halo_echo`'s to say; here it is kept, and found again.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use halo_echo::{DocumentId, Index, Item, Near, Place, Term, TermValue};
use rusqlite::types::Value;
use rusqlite::{OptionalExtension, ToSql, params};

use crate::error::StoreError;
use crate::store::{Store, Tx};

/// The items of one space, for queries.
pub struct SpaceItems<'a> {
    store: &'a Store,
    space: &'a str,
}

const BY_TERMS: &str =
    "SELECT item.id, item.document, item.json FROM item_term JOIN item ON item.number = item_term.item";

impl Store {
    /// The items of a space.
    #[must_use]
    pub const fn items<'a>(&'a self, space: &'a str) -> SpaceItems<'a> {
        SpaceItems { store: self, space }
    }

    /// How many items there are in a space, without deleted ones.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Io`].
    pub fn item_count(&self, space: &str) -> Result<usize, StoreError> {
        let mut query =
            self.connection().prepare_cached("SELECT count(*) FROM item WHERE space = ?1 AND deleted = 0")?;
        let count: i64 = query.query_row([space], |row| row.get(0))?;
        Ok(usize::try_from(count).unwrap_or_default())
    }

    /// The spaces whose terms and words are not those of their items: all of them, and no more.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Io`].
    pub fn faulty_indexes(&self) -> Result<BTreeSet<String>, StoreError> {
        // What is found under each item, as sums: the order is no matter, and each thing is there once.
        let mut sums: BTreeMap<i64, Sums> = BTreeMap::new();
        let mut faulty = BTreeSet::new();
        let mut items = self.connection().prepare_cached("SELECT number, space, json FROM item")?;
        let mut rows = items.query([])?;
        while let Some(row) = rows.next()? {
            let (number, space, json): (i64, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let item = read(&json)?;
            let mut sum = Sums { space, ..Sums::default() };
            for Term { place, value } in item.terms() {
                sum.terms = sum.terms.wrapping_add(term_hash(&place.name(), &sql_value(&value)));
            }
            for word in item.words() {
                sum.words = sum.words.wrapping_add(hash(word.as_bytes()));
            }
            sums.insert(number, sum);
        }
        let mut terms = self.connection().prepare_cached(
            "SELECT item_term.item, item_place.space, item_place.name, item_term.value
             FROM item_term JOIN item_place ON item_place.number = item_term.place",
        )?;
        let mut rows = terms.query([])?;
        while let Some(row) = rows.next()? {
            let space: String = row.get(1)?;
            let name: String = row.get(2)?;
            match sums.get_mut(&row.get(0)?).filter(|sum| sum.space == space) {
                Some(sum) => sum.terms = sum.terms.wrapping_sub(term_hash(&name, &row.get(3)?)),
                None => drop(faulty.insert(space)),
            }
        }
        self.connection().execute_batch(
            "CREATE VIRTUAL TABLE IF NOT EXISTS temp.item_spoken USING fts5vocab (main, item_words, instance)",
        )?;
        let mut words = self.connection().prepare_cached("SELECT doc, term FROM temp.item_spoken")?;
        let mut rows = words.query([])?;
        while let Some(row) = rows.next()? {
            if let Some(sum) = sums.get_mut(&row.get(0)?) {
                let word = row.get_ref(1)?.as_str().map_err(|_| damaged())?;
                sum.words = sum.words.wrapping_sub(hash(word.as_bytes()));
            }
        }
        let wrong = sums.into_values().filter(|sum| (sum.terms, sum.words) != (0, 0));
        faulty.extend(wrong.map(|sum| sum.space));
        Ok(faulty)
    }
}

/// What an item can be found by, added up; what is found is taken off again.
#[derive(Default)]
struct Sums {
    space: String,
    terms: u64,
    words: u64,
}

fn hash(bytes: &[u8]) -> u64 {
    use std::hash::Hasher;
    let mut hasher = std::hash::DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

fn term_hash(place: &str, value: &Value) -> u64 {
    hash(format!("{place}\0{value:?}").as_bytes())
}

fn sql_value(value: &TermValue) -> Value {
    match value {
        TermValue::Number(number) => Value::Real(*number),
        TermValue::Text(text) => Value::Text(text.clone()),
        TermValue::Flag(flag) => Value::Blob(vec![u8::from(*flag)]),
    }
}

impl Index for SpaceItems<'_> {
    type Error = StoreError;

    fn visit(&self, near: &Near, show: &mut dyn FnMut(&Item)) -> Result<(), StoreError> {
        match near {
            Near::All => {
                self.run("SELECT id, document, json FROM item WHERE space = ?1", &[&self.space], show)
            }
            Near::Ids(ids) => ids.iter().try_for_each(|id| {
                // The smallest document last.
                let sql =
                    "SELECT id, document, json FROM item WHERE space = ?1 AND id = ?2 ORDER BY document DESC";
                self.run(sql, &[&self.space, id], show)
            }),
            Near::Is(place, value) => {
                if let Some(place) = self.place(place)? {
                    let sql = format!("{BY_TERMS} WHERE place = ?1 AND value = ?2");
                    self.run(&sql, &[&place, &sql_value(value)], show)?;
                }
                self.overflow(show)
            }
            Near::Between(place, from, to) => {
                if let Some(place) = self.place(place)? {
                    // Kinds sort one behind the other: numbers, texts, flags.
                    let kind = from.as_ref().or(to.as_ref());
                    let least = from.as_ref().map_or_else(|| start(kind), sql_value);
                    match to {
                        Some(to) => {
                            let sql = format!("{BY_TERMS} WHERE place = ?1 AND value >= ?2 AND value <= ?3");
                            self.run(&sql, &[&place, &least, &sql_value(to)], show)?;
                        }
                        None => {
                            let sql = format!("{BY_TERMS} WHERE place = ?1 AND value >= ?2 AND value < ?3");
                            self.run(&sql, &[&place, &least, &end(kind)], show)?;
                        }
                    }
                }
                self.overflow(show)
            }
            Near::Words(words) => {
                let all: Vec<String> = words.iter().map(|word| format!("\"{word}\" *")).collect();
                let sql = "SELECT item.id, item.document, item.json FROM item_words
                           JOIN item ON item.number = item_words.rowid
                           WHERE item_words = ?1 AND item.space = ?2";
                self.run(sql, &[&all.join(" AND "), &self.space], show)
            }
        }
    }
}

/// Where the values of a kind begin.
fn start(kind: Option<&TermValue>) -> Value {
    match kind {
        Some(TermValue::Text(_)) => Value::Text(String::new()),
        Some(TermValue::Flag(_)) => Value::Blob(Vec::new()),
        _ => Value::Real(f64::NEG_INFINITY),
    }
}

/// Where they end: at the next kind.
fn end(kind: Option<&TermValue>) -> Value {
    match kind {
        Some(TermValue::Text(_)) => Value::Blob(Vec::new()),
        Some(TermValue::Flag(_)) => Value::Blob(vec![2]),
        _ => Value::Text(String::new()),
    }
}

impl SpaceItems<'_> {
    fn run(&self, sql: &str, with: &[&dyn ToSql], show: &mut dyn FnMut(&Item)) -> Result<(), StoreError> {
        let mut query = self.store.connection().prepare_cached(sql)?;
        let mut rows = query.query(with)?;
        while let Some(row) = rows.next()? {
            let mut item = read(row.get_ref(2)?.as_str().map_err(|_| damaged())?)?;
            let document: [u8; 16] = row.get(1)?;
            item.document = DocumentId::from_bytes(&document).map_err(|_| damaged())?;
            show(&item);
        }
        Ok(())
    }

    fn place(&self, place: &Place) -> Result<Option<i64>, StoreError> {
        let mut query = self
            .store
            .connection()
            .prepare_cached("SELECT number FROM item_place WHERE space = ?1 AND name = ?2")?;
        Ok(query.query_row(params![self.space, place.name()], |row| row.get(0)).optional()?)
    }

    /// Items that may have any term.
    fn overflow(&self, show: &mut dyn FnMut(&Item)) -> Result<(), StoreError> {
        let Some(place) = self.place(&Place::Overflow)? else { return Ok(()) };
        self.run(&format!("{BY_TERMS} WHERE place = ?1"), &[&place], show)
    }
}

fn damaged() -> StoreError {
    StoreError::damaged("an item cannot be read".to_owned())
}

fn read(json: &str) -> Result<Item, StoreError> {
    serde_json::from_str(json).map_err(|_| damaged())
}

/// So many terms are written at once, at most.
const MOST_TERMS: usize = 100_000;

/// What of the indexes is written when the transaction ends.
#[derive(Default)]
pub(crate) struct ToCome {
    /// Words of items: the full-text index writes to disk after each statement, so one for all of them is several times
    /// faster.
    words: BTreeMap<i64, String>,
    /// Terms: one behind the other they touch each page once.
    terms: Vec<TermRow>,
    /// Items with terms among them.
    items: BTreeSet<i64>,
    /// Numbers of places, by space and name.
    places: BTreeMap<String, BTreeMap<String, i64>>,
}

/// A term of an item.
struct TermRow {
    place: i64,
    value: TermValue,
    item: i64,
}

impl ToCome {
    /// The places of a space go.
    pub(crate) fn forget_places(&mut self, space: &str) {
        self.places.remove(space);
    }
}

impl TermRow {
    /// As SQLite sorts them.
    fn compare(&self, other: &Self) -> Ordering {
        let kind = |value: &TermValue| match value {
            TermValue::Number(_) => 0,
            TermValue::Text(_) => 1,
            TermValue::Flag(_) => 2,
        };
        let values = match (&self.value, &other.value) {
            (TermValue::Number(one), TermValue::Number(other)) => one.total_cmp(other),
            (TermValue::Text(one), TermValue::Text(other)) => one.cmp(other),
            (TermValue::Flag(one), TermValue::Flag(other)) => one.cmp(other),
            (one, other) => kind(one).cmp(&kind(other)),
        };
        self.place.cmp(&other.place).then(values).then(self.item.cmp(&other.item))
    }
}

/// What is kept of one item.
struct Kept {
    number: i64,
    json: String,
}

impl Tx<'_> {
    /// Puts the items of a document in the place of those that were there, and touches only what differs.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::DiskFull`], [`StoreError::Io`].
    pub fn put_items(&mut self, space: &str, document: &[u8; 16], items: &[Item]) -> Result<(), StoreError> {
        let mut kept = self.kept(document)?;
        for item in items {
            let json = serde_json::to_string(item).map_err(|_| damaged())?;
            match kept.remove(&item.id) {
                Some(old) if old.json == json => {}
                Some(old) => {
                    self.connection()
                        .prepare_cached("UPDATE item SET json = ?2, deleted = ?3 WHERE number = ?1")?
                        .execute(params![old.number, json, item.deleted])?;
                    self.put_terms(space, old.number, Some(&read(&old.json)?), Some(item))?;
                }
                None => self.add_item(space, document, item, &json)?,
            }
        }
        for gone in kept.into_values() {
            self.put_terms(space, gone.number, Some(&read(&gone.json)?), None)?;
            self.connection().prepare_cached("DELETE FROM item WHERE number = ?1")?.execute([gone.number])?;
        }
        Ok(())
    }

    /// Puts the items of a document that had none.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::DiskFull`], [`StoreError::Io`].
    pub fn add_items(&mut self, space: &str, document: &[u8; 16], items: &[Item]) -> Result<(), StoreError> {
        items.iter().try_for_each(|item| {
            let json = serde_json::to_string(item).map_err(|_| damaged())?;
            self.add_item(space, document, item, &json)
        })
    }

    fn add_item(
        &mut self,
        space: &str,
        document: &[u8; 16],
        item: &Item,
        json: &str,
    ) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "INSERT INTO item (space, id, document, json, deleted) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![space, item.id, document, json, item.deleted])?;
        let number = self.connection().last_insert_rowid();
        self.put_terms(space, number, None, Some(item))
    }

    /// Makes terms and words of all items of a space anew.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::DiskFull`], [`StoreError::Io`].
    pub fn rebuild_index(&mut self, space: &str) -> Result<(), StoreError> {
        self.write_index()?;
        self.waiting().places.clear();
        let connection = self.connection();
        connection
            .prepare_cached(
                "DELETE FROM item_words WHERE rowid IN (SELECT number FROM item WHERE space = ?1)",
            )?
            .execute([space])?;
        connection.prepare_cached("DELETE FROM item_place WHERE space = ?1")?.execute([space])?;
        let items = connection
            .prepare_cached("SELECT number, json FROM item WHERE space = ?1")?
            .query_map([space], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<Vec<(i64, String)>, _>>()?;
        for (number, json) in items {
            self.put_terms(space, number, None, Some(&read(&json)?))?;
        }
        Ok(())
    }

    /// The last thing of a transaction.
    pub(crate) fn write_index(&mut self) -> Result<(), StoreError> {
        self.write_terms()?;
        let words: Vec<(i64, String)> = std::mem::take(&mut self.waiting().words).into_iter().collect();
        if words.is_empty() {
            return Ok(());
        }
        let json = serde_json::to_string(&words).map_err(|_| damaged())?;
        self.connection()
            .prepare_cached(
                "INSERT INTO item_words (rowid, words) SELECT value ->> 0, value ->> 1 FROM json_each(?1)",
            )?
            .execute([json])?;
        Ok(())
    }

    fn write_terms(&mut self) -> Result<(), StoreError> {
        let mut terms = std::mem::take(&mut self.waiting().terms);
        self.waiting().items.clear();
        terms.sort_unstable_by(TermRow::compare);
        let mut add = self
            .connection()
            .prepare_cached("INSERT OR IGNORE INTO item_term (place, value, item) VALUES (?1, ?2, ?3)")?;
        for TermRow { place, value, item } in &terms {
            match value {
                TermValue::Number(number) => add.execute(params![place, number, item])?,
                TermValue::Text(text) => add.execute(params![place, text, item])?,
                TermValue::Flag(flag) => add.execute(params![place, [u8::from(*flag)], item])?,
            };
        }
        Ok(())
    }

    fn kept(&self, document: &[u8; 16]) -> Result<BTreeMap<String, Kept>, StoreError> {
        let mut query =
            self.connection().prepare_cached("SELECT id, number, json FROM item WHERE document = ?1")?;
        let rows = query.query_map([document], |row| {
            Ok((row.get(0)?, Kept { number: row.get(1)?, json: row.get(2)? }))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn put_terms(
        &mut self,
        space: &str,
        number: i64,
        before: Option<&Item>,
        after: Option<&Item>,
    ) -> Result<(), StoreError> {
        let (old, new) =
            (before.map(Item::terms).unwrap_or_default(), after.map(Item::terms).unwrap_or_default());
        if !old.is_empty() && self.waiting().items.contains(&number) {
            self.write_terms()?;
        }
        for term in old.iter().filter(|term| !new.contains(term)) {
            let place = self.place(space, term)?;
            self.connection()
                .prepare_cached("DELETE FROM item_term WHERE place = ?1 AND value = ?2 AND item = ?3")?
                .execute(params![place, sql_value(&term.value), number])?;
        }
        for term in new {
            if !old.contains(&term) {
                let place = self.place(space, &term)?;
                self.waiting().terms.push(TermRow { place, value: term.value, item: number });
            }
        }
        self.waiting().items.insert(number);
        if self.waiting().terms.len() >= MOST_TERMS {
            self.write_terms()?;
        }
        let (old, new) =
            (before.map(Item::words).unwrap_or_default(), after.map(Item::words).unwrap_or_default());
        if old == new {
            return Ok(());
        }
        if !old.is_empty() && self.waiting().words.remove(&number).is_none() {
            self.connection().prepare_cached("DELETE FROM item_words WHERE rowid = ?1")?.execute([number])?;
        }
        if !new.is_empty() {
            self.waiting().words.insert(number, new.into_iter().collect::<Vec<_>>().join(" "));
        }
        Ok(())
    }

    /// The number of a place, which is made when it is new.
    fn place(&mut self, space: &str, term: &Term) -> Result<i64, StoreError> {
        let name = term.place.name();
        if let Some(number) = self.waiting().places.get(space).and_then(|places| places.get(&name)) {
            return Ok(*number);
        }
        let found = self
            .connection()
            .prepare_cached("SELECT number FROM item_place WHERE space = ?1 AND name = ?2")?
            .query_row(params![space, name], |row| row.get(0))
            .optional()?;
        let number = match found {
            Some(number) => number,
            None => {
                self.connection()
                    .prepare_cached("INSERT INTO item_place (space, name) VALUES (?1, ?2)")?
                    .execute(params![space, name])?;
                self.connection().last_insert_rowid()
            }
        };
        self.waiting().places.entry(space.to_owned()).or_default().insert(name, number);
        Ok(number)
    }
}

#[cfg(test)]
mod tests {
    use halo_protocol::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::SpaceRow;

    #[test]
    fn an_index_that_lost_or_gained_something_is_found_and_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::create(&dir.path().join("store.db"), &[1; 32]).unwrap();
        let document = DocumentId::from_random([0; 16]);
        let objects =
            json!({ "A": { "system": {}, "data": { "title": "Oat milk", "n": -0.0, "done": true } } });
        let space = |id: &str, key| SpaceRow {
            id: id.into(),
            key: [key; 32],
            root: [key; 16],
            created: Timestamp::from_millis(1),
            halo: false,
        };
        store
            .write(|tx| {
                tx.add_space(&space("S", 1))?;
                tx.add_space(&space("OTHER", 2))?;
                tx.save_document("S", document.as_bytes(), b"")?;
                tx.put_items("S", document.as_bytes(), &Item::all_in(document, &objects))
            })
            .unwrap();
        assert!(store.faulty_indexes().unwrap().is_empty());
        for damage in [
            "DELETE FROM item_term WHERE value = 'Oat milk'",
            "INSERT INTO item_term SELECT place, 'more', item FROM item_term LIMIT 1",
            "DELETE FROM item_words",
            "DELETE FROM item_place WHERE name = 'pn'",
        ] {
            assert!(store.connection().execute(damage, []).unwrap() > 0, "{damage}");
            assert_eq!(store.faulty_indexes().unwrap().into_iter().collect::<Vec<_>>(), ["S"], "{damage}");
            store.write(|tx| tx.rebuild_index("S")).unwrap();
            assert!(store.faulty_indexes().unwrap().is_empty(), "{damage}");
        }
    }
}
