//! What a query finds.

use std::cell::{Cell, RefCell};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;

use serde_json::Value;

use super::filter::{ordered, property};
use super::{Deleted, Direction, End, Filter, OrderBy, OrderKind, Query, Way};
use crate::error::EchoError;
use crate::ids::DocumentId;
use crate::index::{Index, Near};
use crate::item::{Item, ItemKind};
use crate::terms::{Place, TermValue};

/// How many items one query may look at; one that goes around in circles would keep the wallet from everything else.
const MOST_LOOKS: usize = 1_000_000;
/// Generations that are looked up for a deleted ancestor; a hierarchy that goes in a circle has no end.
const MOST_ANCESTORS: usize = 64;

/// Ids of the items a query finds: ascending, or as the query orders them.
///
/// # Errors
/// [`EchoError::Query`] for one that asks for too much, and what the index says.
pub fn evaluate<I, E>(query: &Query, index: &I) -> Result<Vec<String>, E>
where
    I: Index,
    E: From<I::Error> + From<EchoError>,
{
    Ok(find::<I, E>(query, index)?.into_iter().map(|(id, _)| id).collect())
}

/// The same, with the document that each is in.
///
/// # Errors
/// As [`evaluate`].
pub fn find<I, E>(query: &Query, index: &I) -> Result<Vec<(String, DocumentId)>, E>
where
    I: Index,
    E: From<I::Error> + From<EchoError>,
{
    let (looks, places) = (Cell::new(MOST_LOOKS), RefCell::default());
    let deleted = query.options().deleted;
    let gone = RefCell::default();
    let error = PhantomData::<fn() -> E>;
    let found =
        Evaluation { index, deleted, looks: &looks, places: &places, gone: &gone, error }.list(query)?;
    let places = places.into_inner();
    Ok(found.into_iter().filter_map(|id| places.get(&id).map(|place| (id, *place))).collect())
}

struct Evaluation<'a, I, E> {
    index: &'a I,
    deleted: Deleted,
    looks: &'a Cell<usize>,
    /// Where everything is that was found on the way.
    places: &'a RefCell<BTreeMap<String, DocumentId>>,
    /// Items that were looked up as parents, and whether they or an ancestor of theirs are deleted.
    gone: &'a RefCell<BTreeMap<String, bool>>,
    error: PhantomData<fn() -> E>,
}

type Found = BTreeSet<String>;

impl<I, E> Evaluation<'_, I, E>
where
    I: Index,
    E: From<I::Error> + From<EchoError>,
{
    fn list(&self, query: &Query) -> Result<Vec<String>, E> {
        match query {
            Query::Order { query, by } => self.in_order(self.list(query)?, by),
            Query::Limit { query, limit } => {
                let mut found = self.list(query)?;
                found.truncate(*limit);
                Ok(found)
            }
            Query::Skip { query, skip } => Ok(self.list(query)?.into_iter().skip(*skip).collect()),
            Query::Options { query, .. } => self.list(query),
            _ => Ok(self.set(query)?.into_iter().collect()),
        }
    }

    fn set(&self, query: &Query) -> Result<Found, E> {
        match query {
            Query::Select { filter } => self.select(filter),
            Query::Filter { selection, filter } => {
                let ids = self.set(selection)?.into_iter().collect();
                self.pick(&[Near::Ids(ids)], |item| filter.takes(item))
            }
            Query::ReferenceTraversal { anchor, property } => self.lead(anchor, |item| {
                let references = item.references().into_iter();
                references.filter(|(path, _)| path == property).map(|(_, id)| id).collect()
            }),
            Query::IncomingReferences { anchor, property, typename } => {
                self.around(anchor, |item, anchors| {
                    typename.as_ref().is_none_or(|typename| item.is_of(typename))
                        && item.references().iter().any(|(path, id)| {
                            property.as_ref().is_none_or(|property| path == property) && anchors.contains(id)
                        })
                })
            }
            Query::Relation { anchor, direction, filter } => self.around(anchor, |item, anchors| {
                let is = |end: &Option<String>| end.as_ref().is_some_and(|end| anchors.contains(end));
                let fits = match direction {
                    Direction::Outgoing => is(&item.source),
                    Direction::Incoming => is(&item.target),
                    Direction::Both => is(&item.source) || is(&item.target),
                };
                item.kind == ItemKind::Relation
                    && fits
                    && filter.as_ref().is_none_or(|filter| filter.takes(item))
            }),
            Query::RelationTraversal { anchor, direction } => self.lead(anchor, |item| {
                let ends = match direction {
                    End::Source => vec![&item.source],
                    End::Target => vec![&item.target],
                    End::Both => vec![&item.source, &item.target],
                };
                ends.into_iter().flatten().cloned().collect()
            }),
            Query::HierarchyTraversal { anchor, direction: Way::ToParent } => {
                self.lead(anchor, |item| item.parent.iter().cloned().collect())
            }
            Query::HierarchyTraversal { anchor, direction: Way::ToChildren } => self
                .around(anchor, |item, anchors| {
                    item.parent.as_ref().is_some_and(|parent| anchors.contains(parent))
                }),
            Query::Union { queries } => {
                let mut found = Found::new();
                for query in queries {
                    found.append(&mut self.set(query)?);
                }
                Ok(found)
            }
            Query::SetDifference { source, exclude } => {
                let without = self.set(exclude)?;
                let mut found = self.set(source)?;
                found.retain(|id| !without.contains(id));
                Ok(found)
            }
            Query::Order { .. } | Query::Limit { .. } | Query::Skip { .. } => {
                Ok(self.list(query)?.into_iter().collect())
            }
            // Options inside of a query hold for that part.
            Query::Options { query, options } => Evaluation { deleted: options.deleted, ..*self }.set(query),
        }
    }

    fn select(&self, filter: &Filter) -> Result<Found, E> {
        let ways = filter.near().unwrap_or_else(|| vec![Near::All]);
        self.pick(&ways, |item| filter.takes(item))
    }

    /// Items on these ways that fit, and that this query may see.
    fn pick(&self, ways: &[Near], fits: impl Fn(&Item) -> bool) -> Result<Found, E> {
        let mut found = Found::new();
        for way in ways {
            self.visit(way, |item| {
                if fits(item) {
                    found.insert(item.id.clone());
                    self.places.borrow_mut().insert(item.id.clone(), item.document);
                }
            })?;
        }
        Ok(found)
    }

    /// Items that refer to one of the anchors in the way that `fits` says.
    fn around(&self, anchor: &Query, fits: impl Fn(&Item, &Found) -> bool) -> Result<Found, E> {
        let anchors = self.set(anchor)?;
        let ways: Vec<Near> =
            anchors.iter().map(|id| Near::Is(Place::Neighbour, TermValue::text(id))).collect();
        self.pick(&ways, |item| fits(item, &anchors))
    }

    /// Items that the anchors lead to.
    fn lead(&self, anchor: &Query, to: impl Fn(&Item) -> Vec<String>) -> Result<Found, E> {
        let anchors = self.set(anchor)?.into_iter().collect();
        let mut ids = Found::new();
        self.visit(&Near::Ids(anchors), |item| ids.extend(to(item)))?;
        self.pick(&[Near::Ids(ids.into_iter().collect())], |_| true)
    }

    fn visit(&self, near: &Near, mut show: impl FnMut(&Item)) -> Result<(), E> {
        let mut children = Vec::new();
        self.index.visit(near, &mut |item| {
            let left = self.looks.get().saturating_sub(1);
            self.looks.set(left);
            match (left > 0 && self.deleted.shows(item), self.deleted, &item.parent) {
                (true, Deleted::Exclude, Some(_)) => children.push(item.clone()),
                (true, ..) => show(item),
                (false, ..) => {}
            }
        })?;
        for item in children {
            if !self.is_gone(item.parent.as_deref())? {
                show(&item);
            }
        }
        if self.looks.get() == 0 {
            return Err(EchoError::Query { why: "it looks at more than a million items" }.into());
        }
        Ok(())
    }

    /// Whether an item or one of its ancestors is deleted. One that is not here (yet) is not.
    fn is_gone(&self, item: Option<&str>) -> Result<bool, E> {
        let mut line: Vec<String> = Vec::new();
        let mut next = item.map(str::to_owned);
        let mut gone = false;
        while let Some(id) = next.take() {
            if let Some(known) = self.gone.borrow().get(&id) {
                gone = *known;
                break;
            }
            if line.len() == MOST_ANCESTORS {
                break;
            }
            self.looks.set(self.looks.get().saturating_sub(1));
            let found = self.index.item(&id)?;
            gone = found.as_ref().is_some_and(|item| item.deleted);
            line.push(id);
            if !gone {
                next = found.and_then(|item| item.parent);
            }
        }
        self.gone.borrow_mut().extend(line.into_iter().map(|id| (id, gone)));
        Ok(gone)
    }

    fn in_order(&self, mut found: Vec<String>, by: &[OrderBy]) -> Result<Vec<String>, E> {
        let mut values: BTreeMap<String, Vec<Option<Value>>> = BTreeMap::new();
        self.visit(&Near::Ids(found.clone()), |item| {
            let keys = by.iter().map(|key| match key.kind {
                OrderKind::Property => property(&item.data, &key.property).cloned(),
                OrderKind::Natural => Some(Value::from(item.id.as_str())),
                OrderKind::Rank => None,
            });
            let keys = keys.collect();
            values.insert(item.id.clone(), keys);
        })?;
        let none = Vec::new();
        let of = |id: &String| values.get(id).unwrap_or(&none);
        // Stable, so that what is equal stays in the order below it.
        found.sort_by(|one, other| {
            let pairs = of(one).iter().zip(of(other)).zip(by);
            pairs
                .map(|((one, other), key)| order(one.as_ref(), other.as_ref(), key.is_descending()))
                .find(|order| order.is_ne())
                .unwrap_or(Ordering::Equal)
        });
        Ok(found)
    }
}

fn order(one: Option<&Value>, other: Option<&Value>, descending: bool) -> Ordering {
    match (one, other) {
        (Some(one), Some(other)) => {
            let order = ordered(one, other).unwrap_or(Ordering::Equal);
            if descending { order.reverse() } else { order }
        }
        // What lacks the property comes last, either way.
        _ => other.is_some().cmp(&one.is_some()),
    }
}
