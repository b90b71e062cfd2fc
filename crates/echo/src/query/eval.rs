//! What a query finds.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use super::filter::{ordered, property};
use super::{Deleted, Direction, End, Filter, OrderBy, Query, Way};
use crate::item::{Item, ItemKind};

/// Where a query looks.
pub trait Index {
    /// Ids of all items, ascending.
    fn all(&self) -> Vec<&str>;
    /// Ids of the items of a type, as [`Item::is_of`] understands types.
    fn of_type(&self, typename: &str) -> Vec<&str>;
    /// Ids of items whose properties refer to one, or that are relations or children of it.
    fn referring_to(&self, id: &str) -> Vec<&str>;
    /// One item.
    fn item(&self, id: &str) -> Option<&Item>;
}

/// Ids of the items a query finds: ascending, or as the query orders them.
#[must_use]
pub fn evaluate<'a>(query: &Query, index: &'a dyn Index) -> Vec<&'a str> {
    let deleted = query.options().deleted;
    Evaluation { index, deleted }.list(query)
}

struct Evaluation<'a> {
    index: &'a dyn Index,
    deleted: Deleted,
}

type Found<'a> = BTreeSet<&'a str>;

impl<'a> Evaluation<'a> {
    fn list(&self, query: &Query) -> Vec<&'a str> {
        match query {
            Query::Order { query, by } => {
                let mut found = self.list(query);
                // Stable, so that what is equal stays in the order below it.
                found.sort_by(|one, other| self.order(one, other, by));
                found
            }
            Query::Limit { query, limit } => {
                let mut found = self.list(query);
                found.truncate(*limit);
                found
            }
            Query::Options { query, .. } => self.list(query),
            _ => self.set(query).into_iter().collect(),
        }
    }

    fn set(&self, query: &Query) -> Found<'a> {
        match query {
            Query::Select { filter } => self.select(filter),
            Query::Filter { selection, filter } => {
                let mut found = self.set(selection);
                found.retain(|id| self.item(id).is_some_and(|item| filter.takes(item)));
                found
            }
            Query::ReferenceTraversal { anchor, property } => self
                .items(self.set(anchor))
                .flat_map(Item::references)
                .filter(|(path, _)| path == property)
                .filter_map(|(_, id)| self.known(&id))
                .collect(),
            Query::IncomingReferences { anchor, property, typename } => {
                self.around(anchor, |item, anchor| {
                    typename.as_ref().is_none_or(|typename| item.is_of(typename))
                        && item.references().iter().any(|(path, id)| path == property && id == anchor)
                })
            }
            Query::Relation { anchor, direction, filter } => self.around(anchor, |item, anchor| {
                let is = |end: &Option<String>| end.as_deref() == Some(anchor);
                let fits = match direction {
                    Direction::Outgoing => is(&item.source),
                    Direction::Incoming => is(&item.target),
                    Direction::Both => is(&item.source) || is(&item.target),
                };
                item.kind == ItemKind::Relation
                    && fits
                    && filter.as_ref().is_none_or(|filter| filter.takes(item))
            }),
            Query::RelationTraversal { anchor, direction } => self
                .items(self.set(anchor))
                .flat_map(|item| match direction {
                    End::Source => vec![&item.source],
                    End::Target => vec![&item.target],
                    End::Both => vec![&item.source, &item.target],
                })
                .filter_map(|end| self.known(end.as_deref()?))
                .collect(),
            Query::HierarchyTraversal { anchor, direction: Way::ToParent } => {
                self.items(self.set(anchor)).filter_map(|item| self.known(item.parent.as_deref()?)).collect()
            }
            Query::HierarchyTraversal { anchor, direction: Way::ToChildren } => {
                self.around(anchor, |item, anchor| item.parent.as_deref() == Some(anchor))
            }
            Query::Union { queries } => queries.iter().flat_map(|query| self.set(query)).collect(),
            Query::SetDifference { source, exclude } => {
                let without = self.set(exclude);
                let mut found = self.set(source);
                found.retain(|id| !without.contains(id));
                found
            }
            Query::Order { .. } | Query::Limit { .. } => self.list(query).into_iter().collect(),
            // Options inside of a query hold for that part.
            Query::Options { query, options } => {
                Evaluation { index: self.index, deleted: options.deleted }.set(query)
            }
        }
    }

    fn select(&self, filter: &Filter) -> Found<'a> {
        let candidates = match filter {
            Filter::Object { id: Some(ids), .. } => {
                ids.iter().filter_map(|id| self.index.item(id)).map(|item| item.id.as_str()).collect()
            }
            Filter::Object { typename: Some(typename), .. } => self.index.of_type(typename),
            _ => self.index.all(),
        };
        candidates.into_iter().filter(|id| self.item(id).is_some_and(|item| filter.takes(item))).collect()
    }

    /// Items that refer to one of the anchors in the way that `fits` says.
    fn around(&self, anchor: &Query, fits: impl Fn(&Item, &str) -> bool) -> Found<'a> {
        self.set(anchor)
            .into_iter()
            .flat_map(|anchor| {
                let near = self.index.referring_to(anchor);
                near.into_iter()
                    .filter(|id| self.item(id).is_some_and(|item| fits(item, anchor)))
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    fn items(&self, ids: Found<'a>) -> impl Iterator<Item = &'a Item> {
        ids.into_iter().filter_map(|id| self.item(id))
    }

    /// An item that this query may see.
    fn item(&self, id: &str) -> Option<&'a Item> {
        self.index.item(id).filter(|item| match self.deleted {
            Deleted::Include => true,
            Deleted::Exclude => !item.deleted,
            Deleted::Only => item.deleted,
        })
    }

    fn known(&self, id: &str) -> Option<&'a str> {
        self.item(id).map(|item| item.id.as_str())
    }

    fn order(&self, one: &str, other: &str, by: &[OrderBy]) -> Ordering {
        let (Some(one), Some(other)) = (self.index.item(one), self.index.item(other)) else {
            return Ordering::Equal;
        };
        by.iter()
            .map(|key| {
                let (one, other) = (property(&one.data, &key.property), property(&other.data, &key.property));
                // What lacks the property comes last, either way.
                let order = match (one, other) {
                    (Some(one), Some(other)) => ordered(one, other).unwrap_or(Ordering::Equal),
                    (one, other) => return other.is_some().cmp(&one.is_some()),
                };
                if key.descending { order.reverse() } else { order }
            })
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    }
}
