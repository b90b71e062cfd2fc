//! Whether a schema can be checked against: its shape, its size, where it refers to, and its patterns.

use std::collections::BTreeMap;

use regex::{Regex, RegexBuilder};
use serde_json::Value;

use super::Mismatch;

/// Schemas within one schema.
const MOST_NODES: usize = 10_000;
/// How deep they nest.
const DEEPEST: usize = 64;
/// Patterns of one schema, and how long one may be.
const MOST_PATTERNS: usize = 200;
const LONGEST_PATTERN: usize = 1_000;
/// Bytes that one compiled pattern may take.
const LARGEST_PATTERN: usize = 256 * 1024;

/// DXOS's schema for a reference to an item.
pub(super) const ECHO_REF: &str = "/schemas/echo/ref";

/// Keywords that are decided by what others have evaluated, or by where a schema was come from.
const UNDECIDED: &[&str] = &[
    "unevaluatedProperties",
    "unevaluatedItems",
    "$dynamicRef",
    "$dynamicAnchor",
    "$recursiveRef",
    "$recursiveAnchor",
];

struct Reader<'a> {
    root: &'a Value,
    nodes: usize,
    patterns: BTreeMap<String, Regex>,
}

/// The patterns of a schema, if all of it can be read.
pub(super) fn patterns(root: &Value) -> Result<BTreeMap<String, Regex>, Mismatch> {
    let mut reader = Reader { root, nodes: 0, patterns: BTreeMap::new() };
    reader.schema(root, &mut String::new(), 0)?;
    Ok(reader.patterns)
}

fn no<T>(path: &str, why: impl Into<String>) -> Result<T, Mismatch> {
    Err(Mismatch { property: path.to_owned(), why: why.into() })
}

impl Reader<'_> {
    fn schema(&mut self, schema: &Value, path: &mut String, depth: usize) -> Result<(), Mismatch> {
        self.nodes += 1;
        if self.nodes > MOST_NODES {
            return no("", "has more than 10,000 schemas in it");
        }
        if depth > DEEPEST {
            return no(path, "is nested more than 64 deep");
        }
        let keywords = match schema {
            Value::Bool(_) => return Ok(()),
            Value::Object(keywords) => keywords,
            _ => return no(path, "is no schema"),
        };
        for (keyword, value) in keywords {
            let length = path.len();
            if length > 0 {
                path.push('.');
            }
            path.push_str(keyword);
            self.keyword(keyword, value, path, depth)?;
            path.truncate(length);
        }
        Ok(())
    }

    fn keyword(
        &mut self,
        keyword: &str,
        value: &Value,
        path: &mut String,
        depth: usize,
    ) -> Result<(), Mismatch> {
        match keyword {
            "additionalItems"
            | "additionalProperties"
            | "contains"
            | "else"
            | "if"
            | "not"
            | "propertyNames"
            | "then" => self.schema(value, path, depth + 1),
            "items" if !value.is_array() => self.schema(value, path, depth + 1),
            "items" | "allOf" | "anyOf" | "oneOf" | "prefixItems" => {
                let Some(list) = value.as_array() else { return no(path, "is no list") };
                list.iter().try_for_each(|schema| self.schema(schema, path, depth + 1))
            }
            "$defs" | "definitions" | "dependentSchemas" | "patternProperties" | "properties" => {
                let Some(map) = value.as_object() else { return no(path, "is no map") };
                for (name, schema) in map {
                    if keyword == "patternProperties" {
                        self.pattern(name, path)?;
                    }
                    let length = path.len();
                    path.push('.');
                    path.push_str(name);
                    self.schema(schema, path, depth + 1)?;
                    path.truncate(length);
                }
                Ok(())
            }
            "dependencies" => {
                let Some(map) = value.as_object() else { return no(path, "is no map") };
                map.values().try_for_each(|value| match value {
                    Value::Array(names) => texts(names, path),
                    schema => self.schema(schema, path, depth + 1),
                })
            }
            "dependentRequired" => {
                let Some(map) = value.as_object() else { return no(path, "is no map") };
                map.values().try_for_each(|value| match value {
                    Value::Array(names) => texts(names, path),
                    _ => no(path, "is no list of names"),
                })
            }
            "$ref" => self.reference(value, path),
            "pattern" => match value {
                Value::String(pattern) => self.pattern(pattern, path),
                _ => no(path, "is no text"),
            },
            "type" => match value {
                Value::String(name) => known_type(name, path),
                Value::Array(names) => {
                    texts(names, path)?;
                    names.iter().filter_map(Value::as_str).try_for_each(|name| known_type(name, path))
                }
                _ => no(path, "is no type"),
            },
            "enum" if !value.is_array() => no(path, "is no list"),
            "required" => match value {
                Value::Array(names) => texts(names, path),
                _ => no(path, "is no list of names"),
            },
            "exclusiveMaximum" | "exclusiveMinimum" | "maximum" | "minimum" if !value.is_number() => {
                no(path, "is no number")
            }
            "multipleOf" if value.as_f64().is_none_or(|number| number <= 0.0) => {
                no(path, "is no number above zero")
            }
            "maxContains" | "maxItems" | "maxLength" | "maxProperties" | "minContains" | "minItems"
            | "minLength" | "minProperties"
                if value.as_f64().is_none_or(|number| number < 0.0 || number.fract() != 0.0) =>
            {
                no(path, "is no count")
            }
            "uniqueItems" if !value.is_boolean() => no(path, "is neither true nor false"),
            keyword if UNDECIDED.contains(&keyword) => no(path, "is not supported"),
            // Titles, formats, DXOS's annotations: they say something to people and programs, not about validity.
            _ => Ok(()),
        }
    }

    fn pattern(&mut self, pattern: &str, path: &str) -> Result<(), Mismatch> {
        if self.patterns.contains_key(pattern) {
            return Ok(());
        }
        if self.patterns.len() >= MOST_PATTERNS || pattern.len() > LONGEST_PATTERN {
            return no(path, "is one pattern too many, or too long");
        }
        let compiled = RegexBuilder::new(pattern)
            .size_limit(LARGEST_PATTERN)
            .dfa_size_limit(LARGEST_PATTERN)
            .nest_limit(50)
            .build();
        match compiled {
            Ok(compiled) => {
                self.patterns.insert(pattern.to_owned(), compiled);
                Ok(())
            }
            Err(_) => no(path, "is a pattern that is not supported"),
        }
    }

    fn reference(&self, value: &Value, path: &str) -> Result<(), Mismatch> {
        match value.as_str() {
            Some(ECHO_REF) => Ok(()),
            Some(reference) if reference.starts_with('#') => match pointed(self.root, reference) {
                Some(Value::Object(_) | Value::Bool(_)) => Ok(()),
                _ => no(path, "refers to nothing in this schema"),
            },
            Some(_) => no(path, "refers to another schema, and none is ever fetched"),
            None => no(path, "is no text"),
        }
    }
}

/// What `#` or `#/a/b` refers to.
pub(super) fn pointed<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    let pointer = reference.strip_prefix('#')?;
    root.pointer(pointer).or_else(|| root.pointer(&unescaped(pointer)?))
}

/// Without `%20` and its like.
fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let hex = |byte: u8| u8::try_from(char::from(byte).to_digit(16)?).ok();
        bytes.push(if byte == b'%' { hex(rest.next()?)? * 16 + hex(rest.next()?)? } else { byte });
    }
    String::from_utf8(bytes).ok()
}

fn texts(names: &[Value], path: &str) -> Result<(), Mismatch> {
    if names.iter().all(Value::is_string) { Ok(()) } else { no(path, "is no list of names") }
}

fn known_type(name: &str, path: &str) -> Result<(), Mismatch> {
    match name {
        "array" | "boolean" | "integer" | "null" | "number" | "object" | "string" => Ok(()),
        _ => no(path, "is no type"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fault(schema: &Value) -> String {
        patterns(schema).map_or_else(|mismatch| mismatch.to_string(), |_| String::new())
    }

    #[test]
    fn what_is_no_schema_is_refused_by_the_place_that_is_wrong() {
        for (schema, wanted) in [
            (json!(null), "is no schema"),
            (json!([]), "is no schema"),
            (json!({ "type": "thing" }), "\"type\" is no type"),
            (json!({ "type": ["string", 1] }), "\"type\" is no list of names"),
            (json!({ "properties": { "a": 1 } }), "\"properties.a\" is no schema"),
            (json!({ "properties": [] }), "\"properties\" is no map"),
            (json!({ "required": "a" }), "\"required\" is no list of names"),
            (json!({ "minimum": "1" }), "\"minimum\" is no number"),
            (json!({ "maxLength": -1 }), "\"maxLength\" is no count"),
            (json!({ "multipleOf": 0 }), "\"multipleOf\" is no number above zero"),
            (json!({ "uniqueItems": 1 }), "\"uniqueItems\" is neither true nor false"),
            (json!({ "anyOf": {} }), "\"anyOf\" is no list"),
            (json!({ "dependentRequired": { "a": "b" } }), "\"dependentRequired\" is no list of names"),
            (json!({ "unevaluatedProperties": false }), "\"unevaluatedProperties\" is not supported"),
            (json!({ "items": { "pattern": "(" } }), "\"items.pattern\" is a pattern that is not supported"),
            (json!({ "patternProperties": { "(a+)\\1": {} } }), "is a pattern that is not supported"),
        ] {
            assert!(fault(&schema).ends_with(wanted), "{schema}: {}", fault(&schema));
        }
    }

    #[test]
    fn nothing_is_fetched_and_bombs_are_refused_before_they_are_checked() {
        for reference in
            ["https://example.org/schema", "file:///etc/passwd", "dxn:type:e.org/type/T", "other.json#/a"]
        {
            let schema = json!({ "properties": { "a": { "$ref": reference } } });
            assert!(fault(&schema).contains("none is ever fetched"), "{reference}");
        }
        for reference in ["#name", "#/nothing", "#/properties/a/$ref", "#%zz"] {
            let schema = json!({ "properties": { "a": { "$ref": reference } } });
            assert!(fault(&schema).contains("refers to nothing"), "{reference}");
        }
        let deep = (0..70).fold(json!(true), |inner, _| json!({ "not": inner }));
        assert!(fault(&deep).contains("nested more than 64 deep"));
        let wide = json!({ "allOf": vec![json!({}); 10_001] });
        assert!(fault(&wide).contains("more than 10,000"));
        assert!(
            fault(&json!({ "pattern": "(((a{1,100}){1,100}){1,100}){1,100}" })).contains("not supported")
        );
        assert!(fault(&json!({ "pattern": "a".repeat(1_001) })).contains("too long"));
        let many: serde_json::Map<_, _> = (0..201).map(|n| (format!("^{n}$"), json!({}))).collect();
        assert!(fault(&json!({ "patternProperties": many })).contains("too many"));
    }

    #[test]
    fn places_in_a_schema_are_found_also_when_they_are_escaped() {
        let schema = json!({ "$defs": { "a b/c~d": { "type": "null" } } });
        assert_eq!(pointed(&schema, "#/$defs/a%20b~1c~0d"), Some(&json!({ "type": "null" })));
        assert_eq!(pointed(&schema, "#"), Some(&schema));
    }
}
