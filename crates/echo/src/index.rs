//! Where a query looks, and the plainest such place.

use std::collections::BTreeMap;
use std::convert::Infallible;

use crate::ids::DocumentId;
use crate::item::Item;
use crate::terms::{Place, TermValue};

/// A way to candidates.
#[derive(Debug, Clone, PartialEq)]
pub enum Near {
    /// Every item.
    All,
    /// These.
    Ids(Vec<String>),
    /// What has a term.
    Is(Place, TermValue),
    /// What has a term from the one to the other, both included; either end may be open. Both are of one kind.
    Between(Place, Option<TermValue>, Option<TermValue>),
    /// What has, for each of these, a word that begins with it. At least one.
    Words(Vec<String>),
}

/// The items of one space.
pub trait Index {
    /// What can go wrong in looking.
    type Error;

    /// Shows every item that is near, in any order, and perhaps more. Should two documents claim one id, the smaller
    /// document's is shown last.
    ///
    /// # Errors
    /// As the index says.
    fn visit(&self, near: &Near, show: &mut dyn FnMut(&Item)) -> Result<(), Self::Error>;

    /// One item.
    ///
    /// # Errors
    /// As the index says.
    fn item(&self, id: &str) -> Result<Option<Item>, Self::Error> {
        let mut found = None;
        self.visit(&Near::Ids(vec![id.to_owned()]), &mut |item| found = Some(item.clone()))?;
        Ok(found)
    }
}

/// Items in memory, without any index: everything is near. What other indexes are measured by.
#[derive(Default)]
pub struct MemoryIndex {
    items: BTreeMap<(String, DocumentId), Item>,
}

impl MemoryIndex {
    /// Puts the items of one document in the place of what was known of it.
    pub fn replace(&mut self, document: DocumentId, items: Vec<Item>) {
        self.items.retain(|(_, of), _| *of != document);
        self.items.extend(items.into_iter().map(|item| ((item.id.clone(), document), item)));
    }
}

impl Index for MemoryIndex {
    type Error = Infallible;

    fn visit(&self, near: &Near, show: &mut dyn FnMut(&Item)) -> Result<(), Infallible> {
        let wanted = |item: &Item| match near {
            Near::Ids(ids) => ids.contains(&item.id),
            _ => true,
        };
        self.items.values().rev().filter(|item| wanted(item)).for_each(show);
        Ok(())
    }
}
