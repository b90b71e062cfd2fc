//! What an item can be found by: its type, its properties, what it refers to, its names elsewhere, its tags, its words.
//!
//! An index keeps these and finds *candidates*: every item that a filter takes, and perhaps a few that it does not. The
//! filter has the last word, so an index may be coarse (long texts are cut, numbers are floats) and never wrong.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::item::{EXPANDO, Item, reference_of, split_version};

/// Longer texts are known by their beginning, in characters.
const LONGEST: usize = 100;
/// An item with more terms is looked at by every search; see [`Place::Overflow`].
const MOST: usize = 1_000;

/// Where in an item a term is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Its type, without the version.
    Type,
    /// The item it belongs to, ends of a relation, and whatever its properties refer to.
    Neighbour,
    /// A name elsewhere: source and id.
    Key,
    /// What it is filed under.
    Tag,
    /// A property, with dots between names; a list is its elements.
    Property(String),
    /// The item has more terms than are kept, so that it is a candidate always.
    Overflow,
}

impl Place {
    /// A short name for it, one to one.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Type => "t".to_owned(),
            Self::Neighbour => "n".to_owned(),
            Self::Key => "k".to_owned(),
            Self::Tag => "g".to_owned(),
            Self::Overflow => "o".to_owned(),
            Self::Property(path) => format!("p{path}"),
        }
    }
}

/// What is there.
#[derive(Debug, Clone, PartialEq)]
pub enum TermValue {
    /// Any number.
    Number(f64),
    /// A text, or its beginning; or what an item refers to.
    Text(String),
    /// Yes or no.
    Flag(bool),
}

impl TermValue {
    /// As an index knows a value; none for what has no term (null, a map, a list).
    #[must_use]
    pub fn of(value: &Value) -> Option<Self> {
        match value {
            // There is one zero.
            Value::Number(number) => number.as_f64().map(|number| Self::Number(number + 0.0)),
            Value::String(text) => Some(Self::text(text)),
            Value::Bool(flag) => Some(Self::Flag(*flag)),
            // Cannot be mistaken for less than it is: a text that looks like it is a candidate, and no more.
            other => reference_of(other).map(Self::text),
        }
    }

    pub(crate) fn text(text: &str) -> Self {
        Self::Text(text.chars().take(LONGEST).collect())
    }
}

/// A term.
#[derive(Debug, Clone, PartialEq)]
pub struct Term {
    /// Where.
    pub place: Place,
    /// What.
    pub value: TermValue,
}

/// How a foreign key is written in a term.
pub(crate) fn key_text(source: &str, id: &str) -> TermValue {
    TermValue::text(&format!("{source}\0{id}"))
}

/// How a type is written in a term.
pub(crate) fn type_text(typename: Option<&str>) -> TermValue {
    TermValue::text(split_version(typename.unwrap_or(EXPANDO)).0)
}

impl Item {
    /// Everything it can be found by, but for its words.
    #[must_use]
    pub fn terms(&self) -> Vec<Term> {
        let mut terms = vec![Term { place: Place::Type, value: type_text(self.typename.as_deref()) }];
        let ends = [&self.source, &self.target, &self.parent].into_iter().flatten().cloned();
        let near: BTreeSet<String> = self.references().into_iter().map(|(_, id)| id).chain(ends).collect();
        terms.extend(near.iter().map(|id| Term { place: Place::Neighbour, value: TermValue::text(id) }));
        let keys = self.keys.iter().map(|(source, id)| key_text(source, id));
        terms.extend(keys.map(|value| Term { place: Place::Key, value }));
        for tag in &self.tags {
            let term = Term { place: Place::Tag, value: TermValue::text(tag) };
            if terms.len() <= MOST && !terms.contains(&term) {
                terms.push(term);
            }
        }
        if let Value::Object(map) = &self.data {
            let mut path = String::new();
            map.iter().for_each(|(name, value)| gather(name, value, &mut path, &mut terms));
        }
        if terms.len() > MOST {
            terms.truncate(MOST);
            terms.push(Term { place: Place::Overflow, value: TermValue::Flag(true) });
        }
        terms
    }

    /// Every word in its texts, in lower case, each once.
    #[must_use]
    pub fn words(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        spoken(&self.data, &mut found);
        found
    }
}

fn gather(name: &str, value: &Value, path: &mut String, terms: &mut Vec<Term>) {
    if terms.len() > MOST {
        return;
    }
    let length = path.len();
    if length > 0 {
        path.push('.');
    }
    path.push_str(name);
    let mut add = |value: &Value| {
        let term = TermValue::of(value).map(|value| Term { place: Place::Property(path.clone()), value });
        terms.extend(term.filter(|term| !terms.contains(term)));
    };
    match value {
        Value::Array(list) => list.iter().take(MOST + 1).for_each(add),
        Value::Object(map) if reference_of(value).is_none() => {
            map.iter().for_each(|(name, value)| gather(name, value, path, terms));
        }
        other => add(other),
    }
    path.truncate(length);
}

pub(crate) fn spoken(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => found.extend(words(text)),
        Value::Array(list) => list.iter().for_each(|value| spoken(value, found)),
        Value::Object(map) => map.values().for_each(|value| spoken(value, found)),
        _ => {}
    }
}

/// The words of a text: runs of letters and digits, in lower case.
pub(crate) fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}
