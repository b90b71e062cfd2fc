//! Whether a filter takes an item, or a value.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use serde_json::Value;

use super::{Filter, Operator};
use crate::index::Near;
use crate::item::{Item, reference_of};
use crate::terms::{Place, TermValue, key_text, spoken, type_text, words};

impl Filter {
    /// The shortest ways to everything it takes: all of them together; none if every item must be looked at.
    pub(super) fn near(&self) -> Option<Vec<Near>> {
        match self {
            Self::Object { id: Some(ids), .. } => Some(vec![Near::Ids(ids.clone())]),
            Self::Object { foreign_keys: Some(keys), .. } => {
                Some(keys.iter().map(|key| Near::Is(Place::Key, key_text(&key.source, &key.id))).collect())
            }
            Self::Object { typename, props, .. } => {
                let ways = props.iter().filter_map(|(path, filter)| filter.near_value(path));
                let of_type = || Some(vec![Near::Is(Place::Type, type_text(Some(typename.as_deref()?)))]);
                // A type is mostly larger than what one value has, and smaller than a range.
                ways.min_by_key(|ways| cost(ways))
                    .filter(|ways| typename.is_none() || cost(ways) < RANGE)
                    .or_else(of_type)
            }
            Self::And { filters } => filters.iter().filter_map(Self::near).min_by_key(|ways| cost(ways)),
            Self::Or { filters } => {
                filters.iter().map(Self::near).collect::<Option<Vec<_>>>().map(|ways| ways.concat())
            }
            Self::TextSearch { text, .. } => near_words(text),
            Self::Tag { tag } => Some(vec![Near::Is(Place::Tag, TermValue::text(tag))]),
            _ => None,
        }
    }

    fn near_value(&self, path: &str) -> Option<Vec<Near>> {
        let place = || Place::Property(path.to_owned());
        let between = |from: Option<&Value>, to: Option<&Value>| {
            let (from, to) = (from.map(TermValue::of), to.map(TermValue::of));
            // What has no term has no order either, and takes nothing; leave that to the filter.
            (from != Some(None) && to != Some(None))
                .then(|| vec![Near::Between(place(), from.flatten(), to.flatten())])
        };
        match self {
            Self::Compare { operator: Operator::Eq, value } | Self::Contains { value } => {
                TermValue::of(value).map(|value| vec![Near::Is(place(), value)])
            }
            Self::In { values } => values
                .iter()
                .map(|value| TermValue::of(value).map(|value| Near::Is(place(), value)))
                .collect(),
            Self::Compare { operator: Operator::Gt | Operator::Gte, value } => between(Some(value), None),
            Self::Compare { operator: Operator::Lt | Operator::Lte, value } => between(None, Some(value)),
            Self::Range { from, to } => between(Some(from), Some(to)),
            Self::TextSearch { text, .. } => near_words(text),
            Self::And { filters } => {
                filters.iter().filter_map(|filter| filter.near_value(path)).min_by_key(|ways| cost(ways))
            }
            Self::Or { filters } => filters
                .iter()
                .map(|filter| filter.near_value(path))
                .collect::<Option<Vec<_>>>()
                .map(|ways| ways.concat()),
            Self::Object { props, .. } => props
                .iter()
                .filter_map(|(name, filter)| filter.near_value(&format!("{path}.{name}")))
                .min_by_key(|ways| cost(ways)),
            Self::Compare { operator: Operator::Neq, .. } | Self::Not { .. } | Self::Tag { .. } => None,
        }
    }

    /// Whether it takes the item.
    pub(super) fn takes(&self, item: &Item) -> bool {
        match self {
            Self::Object { typename, id, props, foreign_keys } => {
                typename.as_ref().is_none_or(|typename| item.is_of(typename))
                    && id.as_ref().is_none_or(|ids| ids.contains(&item.id))
                    && foreign_keys.as_ref().is_none_or(|wanted| {
                        wanted.iter().any(|key| {
                            item.keys.iter().any(|(source, id)| *source == key.source && *id == key.id)
                        })
                    })
                    && props.iter().all(|(name, filter)| filter.takes_value(property(&item.data, name)))
            }
            Self::Tag { tag } => item.tags.contains(tag),
            Self::Not { filter } => !filter.takes(item),
            Self::And { filters } => filters.iter().all(|filter| filter.takes(item)),
            Self::Or { filters } => filters.iter().any(|filter| filter.takes(item)),
            _ => self.takes_value(Some(&item.data)),
        }
    }

    fn takes_value(&self, value: Option<&Value>) -> bool {
        match self {
            Self::Object { props, .. } => {
                value.is_some_and(Value::is_object)
                    && props.iter().all(|(name, filter)| {
                        filter.takes_value(value.and_then(|value| property(value, name)))
                    })
            }
            Self::Compare { operator, value: with } => compares(value, *operator, with),
            Self::In { values } => values.iter().any(|with| compares(value, Operator::Eq, with)),
            Self::Contains { value: with } => value
                .and_then(Value::as_array)
                .is_some_and(|list| list.iter().any(|value| compares(Some(value), Operator::Eq, with))),
            Self::Range { from, to } => {
                compares(value, Operator::Gte, from) && compares(value, Operator::Lte, to)
            }
            Self::TextSearch { text, .. } => value.is_some_and(|value| has_words(value, text)),
            // Properties have none.
            Self::Tag { .. } => false,
            Self::Not { filter } => !filter.takes_value(value),
            Self::And { filters } => filters.iter().all(|filter| filter.takes_value(value)),
            Self::Or { filters } => filters.iter().any(|filter| filter.takes_value(value)),
        }
    }
}

/// What a range costs, about.
const RANGE: usize = 1_000;

/// About how much there is to look at, to choose among ways.
fn cost(ways: &[Near]) -> usize {
    ways.iter()
        .map(|way| match way {
            Near::Ids(_) => 0,
            Near::Is(Place::Type, _) => RANGE - 1,
            Near::Is(..) => 1,
            Near::Words(_) => 2,
            Near::Between(..) => RANGE,
            Near::All => RANGE * RANGE,
        })
        .sum()
}

fn near_words(text: &str) -> Option<Vec<Near>> {
    let words: Vec<String> = words(text).collect();
    // No words, nothing found.
    Some(if words.is_empty() { Vec::new() } else { vec![Near::Words(words)] })
}

/// A property, with dots between names.
pub(super) fn property<'a>(data: &'a Value, path: &str) -> Option<&'a Value> {
    // A name may have a dot itself.
    data.get(path).or_else(|| path.split('.').try_fold(data, |value, name| value.get(name)))
}

fn compares(value: Option<&Value>, operator: Operator, with: &Value) -> bool {
    let equal = || match value {
        None => with.is_null(),
        Some(value) => same(value, with),
    };
    let order = || value.and_then(|value| ordered(value, with));
    match operator {
        Operator::Eq => equal(),
        Operator::Neq => !equal(),
        Operator::Gt => order() == Some(Ordering::Greater),
        Operator::Gte => matches!(order(), Some(Ordering::Greater | Ordering::Equal)),
        Operator::Lt => order() == Some(Ordering::Less),
        Operator::Lte => matches!(order(), Some(Ordering::Less | Ordering::Equal)),
    }
}

fn same(value: &Value, with: &Value) -> bool {
    match (reference_of(value), reference_of(with)) {
        (Some(one), Some(other)) => one == other,
        _ => match (value.as_f64(), with.as_f64()) {
            (Some(one), Some(other)) => one.total_cmp(&other) == Ordering::Equal || value == with,
            _ => value == with,
        },
    }
}

/// The order of two numbers or two texts; nothing else has one.
pub(super) fn ordered(one: &Value, other: &Value) -> Option<Ordering> {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64()?.partial_cmp(&other.as_f64()?),
        (Value::String(one), Value::String(other)) => Some(one.cmp(other)),
        (Value::Bool(one), Value::Bool(other)) => Some(one.cmp(other)),
        _ => None,
    }
}

/// Whether every word of `text` begins some word in the value.
fn has_words(value: &Value, text: &str) -> bool {
    let mut wanted = words(text).peekable();
    if wanted.peek().is_none() {
        return false;
    }
    let mut there = BTreeSet::new();
    spoken(value, &mut there);
    wanted.all(|word| there.iter().any(|found| found.starts_with(&word)))
}
