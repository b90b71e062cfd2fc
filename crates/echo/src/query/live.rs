//! Queries whose answer need not be worked out anew when something changes.
//!
//! Whether a selection, or a union of some, finds an item depends on that item alone (and, where items have parents, on those: then it
//! is asked anew). So after a change it is enough to
//! look at the items that changed. (A selection out of another, and a difference, would do as well but for ids that two
//! documents claim: there the one document's item may be in for the other's.)

use std::collections::BTreeSet;

use super::{Deleted, Query};
use crate::ids::DocumentId;
use crate::index::{Index, Near};
use crate::item::Item;
use crate::terms::{Place, TermValue};

impl Deleted {
    /// Whether an item is seen at all.
    pub(super) const fn shows(self, item: &Item) -> bool {
        match self {
            Self::Include => true,
            Self::Exclude => !item.deleted,
            Self::Only => item.deleted,
        }
    }
}

/// Items, and the document where each is found, if it is.
pub type Judged = Vec<(String, Option<DocumentId>)>;

impl Query {
    /// Where each of these items is found now, if it is: what an answer needs to be kept up after they changed. `None` if
    /// the query has to be asked anew, because it judges items by others or two documents claim one of these.
    ///
    /// # Errors
    /// As the index says.
    pub fn again<I: Index>(&self, index: &I, ids: BTreeSet<String>) -> Result<Option<Judged>, I::Error> {
        if !self.is_local() {
            return Ok(None);
        }
        let mut judged = Vec::with_capacity(ids.len());
        for id in ids {
            let (mut claims, mut place, mut family) = (0, None, false);
            index.visit(&Near::Ids(vec![id.clone()]), &mut |item| {
                claims += 1;
                place = self.takes(item).unwrap_or_default().then_some(item.document);
                family |= item.parent.is_some();
            })?;
            // What is below a deleted item is hidden with it.
            index.visit(&Near::Is(Place::Neighbour, TermValue::text(&id)), &mut |item| {
                family |= item.parent.as_deref() == Some(id.as_str());
            })?;
            if claims > 1 || family {
                return Ok(None);
            }
            judged.push((id, place));
        }
        Ok(Some(judged))
    }

    /// Whether it finds an item; `None` if that depends on others.
    fn takes(&self, item: &Item) -> Option<bool> {
        let mut inside = self;
        // Of options around options the outermost hold.
        while let Self::Options { query, .. } = inside {
            inside = query;
        }
        inside.takes_as(item, self.options().deleted)
    }

    /// Whether it depends on each item alone.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Select { .. } => true,
            Self::Options { query, .. } => query.is_local(),
            Self::Union { queries } => queries.iter().all(Self::is_local),
            _ => false,
        }
    }

    fn takes_as(&self, item: &Item, deleted: Deleted) -> Option<bool> {
        match self {
            Self::Select { filter } => Some(deleted.shows(item) && filter.takes(item)),
            Self::Union { queries } => {
                let taken: Option<Vec<bool>> =
                    queries.iter().map(|query| query.takes_as(item, deleted)).collect();
                Some(taken?.contains(&true))
            }
            Self::Options { query, options } => query.takes_as(item, options.deleted),
            _ => None,
        }
    }
}
