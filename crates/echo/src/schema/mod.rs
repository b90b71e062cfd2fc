//! Schemas: what an app says the items of a type look like, in JSON Schema, as DXOS stores it.
//!
//! A schema is an item of type [`SCHEMA`] with `typename`, `version` and `jsonSchema`. What is written through the wallet
//! is checked against it; what comes from elsewhere is merged as it is, and said not to match.
//!
//! Read here is what DXOS's clients write: draft 7 and what later drafts renamed, references within the schema, and
//! DXOS's own reference to an item. Two of its habits no standard validator takes: one `$id` stands in many places, and
//! schemas of other items are named by DXNs. The attack this guards against is a schema as a bomb: nothing is ever
//! fetched, patterns run in linear time (the `regex` crate), and a check that takes more than its share of steps ends as
//! a mismatch. What cannot be decided, such as a pattern that looks behind itself, is refused with the schema that
//! has it.

mod check;
mod parse;

use std::collections::BTreeMap;
use std::fmt;

use regex::Regex;
use serde_json::Value;

use crate::item::{Item, split_version};

/// The type of items that are schemas.
pub const SCHEMA: &str = "dxn:type:dxos.org/type/Schema:0.1.0";

/// Whether items of a type are schemas.
#[must_use]
pub fn is_schema(typename: &str) -> bool {
    split_version(typename).0 == split_version(SCHEMA).0
}

/// How an item is not what its schema says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The property, with dots between names; empty for the item as a whole.
    pub property: String,
    /// What is wrong with it.
    pub why: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.property.as_str() {
            "" => out.write_str(&self.why),
            property => write!(out, "{property:?} {}", self.why),
        }
    }
}

/// A schema that can be checked against.
#[derive(Debug)]
pub struct Schema {
    root: Value,
    patterns: BTreeMap<String, Regex>,
}

impl Schema {
    /// Reads a schema.
    ///
    /// # Errors
    /// [`Mismatch`] with the place in the schema that cannot be read.
    pub fn parse(json: &Value) -> Result<Self, Mismatch> {
        let patterns = parse::patterns(json)?;
        Ok(Self { root: json.clone(), patterns })
    }

    /// Everything that is wrong with the properties of an item; no more than ten things are told.
    #[must_use]
    pub fn check(&self, data: &Value) -> Vec<Mismatch> {
        check::check(&self.root, &self.patterns, data)
    }
}

/// The schemas of a space.
#[derive(Default)]
pub struct Schemas {
    /// By id, which is by age.
    items: BTreeMap<String, Item>,
}

impl Schemas {
    /// Takes an item, if it is a schema and not deleted; one of the same id makes room for it.
    pub fn add(&mut self, item: &Item) {
        if item.is_of(SCHEMA) {
            self.items.remove(&item.id);
            if !item.deleted {
                self.items.insert(item.id.clone(), item.clone());
            }
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// What is wrong with an item by the schema of its type: nothing if there is none, or if it is deleted.
    #[must_use]
    pub fn check(&self, item: &Item) -> Vec<Mismatch> {
        if item.deleted {
            return Vec::new();
        }
        if item.is_of(SCHEMA) {
            return read(item).err().into_iter().collect();
        }
        let Some(of) = item.typename.as_deref().and_then(|typename| self.of(typename)) else {
            return Vec::new();
        };
        match read(of) {
            Ok(schema) => schema.check(&item.data),
            Err(mismatch) => {
                vec![Mismatch {
                    property: String::new(),
                    why: format!("has a schema that cannot be read: {mismatch}"),
                }]
            }
        }
    }

    /// The schema of a type, by name and version, or by the id of the item. A name alone means the newest version; of
    /// two for the same, the older item counts.
    fn of(&self, typename: &str) -> Option<&Item> {
        if let Some(id) = typename.strip_prefix("dxn:echo:").and_then(|rest| rest.rsplit(':').next()) {
            return self.items.get(id);
        }
        let (name, version) = split_version(typename);
        let name = name.strip_prefix("dxn:type:")?;
        let text = |item: &Item, name: &str| item.data.get(name).and_then(Value::as_str).map(str::to_owned);
        let named = self.items.values().filter(|item| text(item, "typename").as_deref() == Some(name));
        match version {
            Some(version) => named.into_iter().find(|item| text(item, "version").as_deref() == Some(version)),
            // The last of equals is what `max_by_key` takes, so the oldest has to come last.
            None => named.rev().max_by_key(|item| ordinal(&text(item, "version").unwrap_or_default())),
        }
    }
}

/// `0.10.0` comes after `0.9.0`.
fn ordinal(version: &str) -> Vec<u64> {
    version.split('.').map(|part| part.parse().unwrap_or_default()).collect()
}

/// The schema that an item is.
fn read(item: &Item) -> Result<Schema, Mismatch> {
    for name in ["typename", "version"] {
        if item.data.get(name).and_then(Value::as_str).is_none_or(str::is_empty) {
            return Err(Mismatch { property: name.to_owned(), why: "is missing".to_owned() });
        }
    }
    let at = |mismatch: Mismatch| {
        let inner =
            if mismatch.property.is_empty() { String::new() } else { format!(".{}", mismatch.property) };
        Mismatch { property: format!("jsonSchema{inner}"), why: mismatch.why }
    };
    Schema::parse(item.data.get("jsonSchema").unwrap_or(&Value::Null)).map_err(at)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ids::DocumentId;

    fn item(id: &str, typename: &str, data: Value) -> Item {
        let system = json!({ "kind": "object", "type": { "/": typename } });
        let objects = json!({ id: { "system": system, "meta": { "keys": [] }, "data": data } });
        Item::all_in(DocumentId::from_random([1; 16]), &objects).remove(0)
    }

    fn schema(id: &str, version: &str, json_schema: Value) -> Item {
        item(id, SCHEMA, json!({ "typename": "e.org/type/T", "version": version, "jsonSchema": json_schema }))
    }

    fn said(schemas: &Schemas, item: &Item) -> String {
        schemas.check(item).iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn the_schema_of_an_item_is_found_by_type_version_and_id() {
        let mut schemas = Schemas::default();
        schemas.add(&schema("01C", "0.9.0", json!({ "type": "object", "required": ["nine"] })));
        schemas.add(&schema("01B", "0.10.0", json!({ "type": "object", "required": ["ten"] })));
        schemas.add(&schema("01D", "0.10.0", json!({ "type": "object", "required": ["younger"] })));
        schemas.add(&item("01A", "dxn:type:e.org/type/Other:0.1.0", json!({ "typename": "e.org/type/T" })));
        for (typename, wanted) in [
            ("dxn:type:e.org/type/T:0.9.0", "\"nine\" is missing"),
            ("dxn:type:e.org/type/T:0.10.0", "\"ten\" is missing"),
            ("dxn:type:e.org/type/T", "\"ten\" is missing"),
            ("dxn:echo:@:01D", "\"younger\" is missing"),
            ("dxn:type:e.org/type/T:0.11.0", ""),
            ("dxn:type:e.org/type/TT:0.10.0", ""),
            ("T", ""),
        ] {
            assert_eq!(said(&schemas, &item("I", typename, json!({}))), wanted, "{typename}");
        }
        let mut gone = schema("01B", "0.10.0", json!({}));
        gone.deleted = true;
        schemas.add(&gone);
        assert_eq!(said(&schemas, &item("I", "dxn:type:e.org/type/T", json!({}))), "\"younger\" is missing");
    }

    #[test]
    fn a_schema_that_cannot_be_read_says_why_and_so_do_its_items() {
        let mut schemas = Schemas::default();
        let bad = schema("01A", "0.1.0", json!({ "properties": { "a": { "pattern": "(?=x)" } } }));
        assert!(
            said(&schemas, &bad).starts_with("\"jsonSchema.properties.a.pattern\""),
            "{}",
            said(&schemas, &bad)
        );
        schemas.add(&bad);
        let item = item("I", "dxn:type:e.org/type/T:0.1.0", json!({}));
        assert!(said(&schemas, &item).contains("has a schema that cannot be read"));
        for data in [json!({}), json!({ "typename": "T" }), json!({ "typename": "T", "version": 1 })] {
            assert!(said(&schemas, &self::item("I", SCHEMA, data.clone())).contains("is missing"), "{data}");
        }
    }
}
