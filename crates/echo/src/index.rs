//! The items of a space in memory, and the ways to them.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::DocumentId;
use crate::item::{EXPANDO, Item, split_version};
use crate::query::Index;

/// Items by id, by type, by what they refer to, and by document.
#[derive(Default)]
pub struct MemoryIndex {
    items: BTreeMap<String, Item>,
    types: BTreeMap<String, BTreeSet<String>>,
    referring: BTreeMap<String, BTreeSet<String>>,
    documents: BTreeMap<DocumentId, BTreeSet<String>>,
}

impl MemoryIndex {
    /// Puts the items of one document in the place of what was known of it; true if that changed anything.
    pub fn replace(&mut self, document: DocumentId, items: Vec<Item>) -> bool {
        let before = self.documents.remove(&document).unwrap_or_default();
        let same =
            before.len() == items.len() && items.iter().all(|item| self.items.get(&item.id) == Some(item));
        if !same {
            before.iter().for_each(|id| self.remove(id));
        }
        let mut ids = BTreeSet::new();
        for item in items {
            ids.insert(item.id.clone());
            if !same {
                self.insert(item);
            }
        }
        if !ids.is_empty() {
            self.documents.insert(document, ids);
        }
        !same
    }

    /// The items of one document.
    pub fn in_document(&self, document: &DocumentId) -> impl Iterator<Item = &Item> {
        self.documents.get(document).into_iter().flatten().filter_map(|id| self.items.get(id))
    }

    /// How many items there are, deleted ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Every item, by id.
    pub fn items(&self) -> impl Iterator<Item = &Item> {
        self.items.values()
    }

    fn insert(&mut self, item: Item) {
        // An item is in one document; should two claim it, the one that came last counts.
        self.remove(&item.id.clone());
        let typename = item.typename.as_deref().unwrap_or(EXPANDO).to_owned();
        self.types.entry(typename).or_default().insert(item.id.clone());
        for near in neighbours(&item) {
            self.referring.entry(near).or_default().insert(item.id.clone());
        }
        self.items.insert(item.id.clone(), item);
    }

    fn remove(&mut self, id: &str) {
        let Some(item) = self.items.remove(id) else { return };
        drop_from(&mut self.types, item.typename.as_deref().unwrap_or(EXPANDO), id);
        for near in neighbours(&item) {
            drop_from(&mut self.referring, &near, id);
        }
    }
}

fn neighbours(item: &Item) -> BTreeSet<String> {
    let ends = [&item.source, &item.target, &item.parent].into_iter().flatten().cloned();
    item.references().into_iter().map(|(_, id)| id).chain(ends).collect()
}

fn drop_from(map: &mut BTreeMap<String, BTreeSet<String>>, key: &str, id: &str) {
    if let Some(ids) = map.get_mut(key) {
        ids.remove(id);
        if ids.is_empty() {
            map.remove(key);
        }
    }
}

impl Index for MemoryIndex {
    fn all(&self) -> Vec<&str> {
        self.items.keys().map(String::as_str).collect()
    }

    fn of_type(&self, typename: &str) -> Vec<&str> {
        let (name, _) = split_version(typename);
        self.types
            .range(name.to_owned()..)
            .take_while(|(found, _)| found.starts_with(name))
            .flat_map(|(_, ids)| ids)
            .filter(|id| self.items.get(*id).is_some_and(|item| item.is_of(typename)))
            .map(String::as_str)
            .collect()
    }

    fn referring_to(&self, id: &str) -> Vec<&str> {
        self.referring.get(id).into_iter().flatten().map(String::as_str).collect()
    }

    fn item(&self, id: &str) -> Option<&Item> {
        self.items.get(id)
    }
}
