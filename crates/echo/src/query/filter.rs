//! Whether a filter takes an item, or a value.

use std::cmp::Ordering;

use serde_json::Value;

use super::{Filter, Operator};
use crate::item::{Item, reference_of};

impl Filter {
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
            Self::TextSearch { text } => value.is_some_and(|value| has_words(value, text)),
            Self::Not { filter } => !filter.takes_value(value),
            Self::And { filters } => filters.iter().all(|filter| filter.takes_value(value)),
            Self::Or { filters } => filters.iter().any(|filter| filter.takes_value(value)),
        }
    }
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
    let mut there = Vec::new();
    gather(value, &mut there);
    wanted.all(|word| there.iter().any(|found| found.starts_with(&word)))
}

fn gather(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.extend(words(text)),
        Value::Array(list) => list.iter().for_each(|value| gather(value, found)),
        Value::Object(map) => map.values().for_each(|value| gather(value, found)),
        _ => {}
    }
}

fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}
