//! A value against a schema, in so many steps and no more.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;
use serde_json::{Map, Number, Value};

use super::Mismatch;
use super::parse::{ECHO_REF, pointed};

/// Steps that one check may take: a schema on a value each, and a part of each long text.
const MOST_STEPS: usize = 1_000_000;
/// Schemas within each other while checking: a schema that refers to itself goes no deeper.
const DEEPEST: usize = 128;
/// Mismatches that are told.
const MOST_TOLD: usize = 10;

/// Takes nothing.
static NOTHING: Value = Value::Bool(false);

/// Everything that is wrong with a value.
pub(super) fn check(root: &Value, patterns: &BTreeMap<String, Regex>, value: &Value) -> Vec<Mismatch> {
    let mut check =
        Check { root, patterns, steps: MOST_STEPS, path: String::new(), found: Vec::new(), over: false };
    check.schema(root, value, 0);
    if check.over {
        check.found = vec![Mismatch { property: String::new(), why: "takes too long to check".to_owned() }];
    }
    check.found.truncate(MOST_TOLD);
    check.found
}

struct Check<'a> {
    root: &'a Value,
    patterns: &'a BTreeMap<String, Regex>,
    steps: usize,
    path: String,
    found: Vec<Mismatch>,
    /// It went too far, so nothing that was found counts.
    over: bool,
}

impl<'a> Check<'a> {
    fn wrong(&mut self, why: impl Into<String>) {
        // Enough is told, but how many there are matters to `fits`.
        let why = if self.found.len() < MOST_TOLD { why.into() } else { String::new() };
        let property = if why.is_empty() { String::new() } else { self.path.clone() };
        self.found.push(Mismatch { property, why });
    }

    fn spend(&mut self, steps: usize) -> bool {
        self.over |= self.steps < steps;
        self.steps = self.steps.saturating_sub(steps);
        !self.over
    }

    /// Whether a value is what a schema says, telling nothing.
    fn fits(&mut self, schema: &'a Value, value: &Value, depth: usize) -> bool {
        let told = self.found.len();
        self.schema(schema, value, depth);
        let fits = self.found.len() == told;
        self.found.truncate(told);
        fits
    }

    fn within(&mut self, name: &str, schema: &'a Value, value: &Value, depth: usize) {
        let length = self.path.len();
        if length > 0 {
            self.path.push('.');
        }
        self.path.push_str(name);
        self.schema(schema, value, depth);
        self.path.truncate(length);
    }

    fn schema(&mut self, schema: &'a Value, value: &Value, depth: usize) {
        if depth > DEEPEST {
            self.over = true;
        }
        if !self.spend(1) {
            return;
        }
        let Value::Object(keywords) = schema else {
            if schema == &Value::Bool(false) {
                self.wrong("is not allowed");
            }
            return;
        };
        let depth = depth + 1;
        let text = |name: &str| keywords.get(name).and_then(Value::as_str);
        if text("$id") == Some(ECHO_REF) || text("$ref") == Some(ECHO_REF) {
            let refers = value.get("/").and_then(Value::as_str).is_some_and(|dxn| dxn.starts_with("dxn:"));
            if !refers {
                self.wrong("is no reference to an item");
            }
            return;
        }
        if let Some(schema) = text("$ref").and_then(|reference| pointed(self.root, reference)) {
            self.schema(schema, value, depth);
        }
        self.kind(keywords, value);
        match value {
            Value::Number(number) => self.number(keywords, number),
            Value::String(text) => self.text(keywords, text),
            Value::Array(list) => self.list(keywords, list, depth),
            Value::Object(map) => self.map(keywords, map, depth),
            Value::Null | Value::Bool(_) => {}
        }
        self.combined(keywords, value, depth);
    }

    fn kind(&mut self, keywords: &Map<String, Value>, value: &Value) {
        let is = |name: &Value| match (name.as_str().unwrap_or_default(), value) {
            ("number", Value::Number(_)) => true,
            ("integer", Value::Number(number)) => number.as_f64().is_some_and(|number| number.fract() == 0.0),
            (name, value) => name == kind_of(value),
        };
        match keywords.get("type") {
            Some(Value::Array(names)) if !names.iter().any(is) => {
                let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
                self.wrong(format!("is of type {}, not one of {}", kind_of(value), names.join(", ")));
            }
            Some(Value::String(name)) if !is(&Value::from(name.as_str())) => {
                self.wrong(format!("is of type {}, not {name}", kind_of(value)));
            }
            _ => {}
        }
        if let Some(Value::Array(values)) = keywords.get("enum")
            && self.spend(values.len() / 8)
            && !values.iter().any(|one| same(one, value))
        {
            self.wrong("is none of the values that are allowed");
        }
        if let Some(wanted) = keywords.get("const")
            && !same(wanted, value)
        {
            self.wrong("is not the one value that is allowed");
        }
    }

    fn number(&mut self, keywords: &Map<String, Value>, number: &Number) {
        let Some(value) = number.as_f64() else { return };
        let bound = |name: &str| keywords.get(name).and_then(Value::as_f64);
        if let Some(least) = bound("minimum").filter(|least| value < *least) {
            self.wrong(format!("is {number}, less than {least}"));
        }
        if let Some(most) = bound("maximum").filter(|most| value > *most) {
            self.wrong(format!("is {number}, more than {most}"));
        }
        if let Some(least) = bound("exclusiveMinimum").filter(|least| value <= *least) {
            self.wrong(format!("is {number}, not more than {least}"));
        }
        if let Some(most) = bound("exclusiveMaximum").filter(|most| value >= *most) {
            self.wrong(format!("is {number}, not less than {most}"));
        }
        if let Some(of) = bound("multipleOf") {
            let times = value / of;
            // 0.3 is three times 0.1, whatever binary fractions make of it.
            if (times - times.round()).abs() > 1e-9 * times.abs().max(1.0) {
                self.wrong(format!("is {number}, no multiple of {of}"));
            }
        }
    }

    fn text(&mut self, keywords: &Map<String, Value>, text: &str) {
        if !self.spend(text.len() / 64) {
            return;
        }
        let length = || text.chars().count();
        if let Some(least) = count(keywords, "minLength").filter(|least| length() < *least) {
            self.wrong(format!("has fewer than {least} letters"));
        }
        if let Some(most) = count(keywords, "maxLength").filter(|most| length() > *most) {
            self.wrong(format!("has more than {most} letters"));
        }
        if let Some(pattern) = keywords.get("pattern").and_then(Value::as_str)
            && !self.matches(pattern, text)
        {
            self.wrong(format!("does not match the pattern {pattern:?}"));
        }
    }

    fn matches(&mut self, pattern: &str, text: &str) -> bool {
        // What cannot be decided does not match; it was refused when the schema was read.
        self.spend(text.len() / 8) && self.patterns.get(pattern).is_some_and(|pattern| pattern.is_match(text))
    }

    fn list(&mut self, keywords: &'a Map<String, Value>, list: &[Value], depth: usize) {
        if let Some(least) = count(keywords, "minItems").filter(|least| list.len() < *least) {
            self.wrong(format!("has fewer than {least} elements"));
        }
        if let Some(most) = count(keywords, "maxItems").filter(|most| list.len() > *most) {
            self.wrong(format!("has more than {most} elements"));
        }
        if keywords.get("uniqueItems") == Some(&Value::Bool(true)) && self.spend(list.len()) {
            // Numbers that are equal are written alike first.
            let alike: BTreeSet<String> = list.iter().map(|value| plain(value).to_string()).collect();
            if alike.len() < list.len() {
                self.wrong("has an element twice");
            }
        }
        // The first elements by their place, the others by one schema: two ways of saying so.
        let (first, others) = match (keywords.get("prefixItems"), keywords.get("items")) {
            (Some(Value::Array(first)), others) => (first.as_slice(), others),
            (None, Some(Value::Array(first))) => (first.as_slice(), keywords.get("additionalItems")),
            (_, others) => (&[][..], others),
        };
        for (place, value) in list.iter().enumerate() {
            if let Some(schema) = first.get(place).or(others) {
                self.within(&place.to_string(), schema, value, depth);
            }
        }
        if let Some(schema) = keywords.get("contains") {
            let there = list.iter().filter(|value| self.fits(schema, value, depth)).count();
            if there < count(keywords, "minContains").unwrap_or(1) {
                self.wrong("lacks an element that must be in it");
            }
            if count(keywords, "maxContains").is_some_and(|most| there > most) {
                self.wrong("has too many elements of one kind");
            }
        }
    }

    fn map(&mut self, keywords: &'a Map<String, Value>, map: &Map<String, Value>, depth: usize) {
        if let Some(least) = count(keywords, "minProperties").filter(|least| map.len() < *least) {
            self.wrong(format!("has fewer than {least} properties"));
        }
        if let Some(most) = count(keywords, "maxProperties").filter(|most| map.len() > *most) {
            self.wrong(format!("has more than {most} properties"));
        }
        self.required(keywords.get("required"), map);
        let properties = keywords.get("properties").and_then(Value::as_object);
        let by_pattern = keywords.get("patternProperties").and_then(Value::as_object);
        for (name, value) in map {
            let mut known = false;
            if let Some(schema) = properties.and_then(|properties| properties.get(name)) {
                known = true;
                self.within(name, schema, value, depth);
            }
            for (pattern, schema) in by_pattern.into_iter().flatten() {
                if self.matches(pattern, name) {
                    known = true;
                    self.within(name, schema, value, depth);
                }
            }
            match keywords.get("additionalProperties") {
                Some(Value::Bool(false)) if !known => self.within(name, &NOTHING, value, depth),
                Some(schema) if !known => self.within(name, schema, value, depth),
                _ => {}
            }
            if let Some(schema) = keywords.get("propertyNames")
                && !self.fits(schema, &Value::from(name.as_str()), depth)
            {
                self.within(name, &NOTHING, value, depth);
            }
        }
        for keyword in ["dependencies", "dependentRequired", "dependentSchemas"] {
            let all = keywords.get(keyword).and_then(Value::as_object);
            for (_, then) in all.into_iter().flatten().filter(|(name, _)| map.contains_key(*name)) {
                match then {
                    Value::Array(_) => self.required(Some(then), map),
                    schema => self.schema(schema, &Value::Object(map.clone()), depth),
                }
            }
        }
    }

    fn required(&mut self, names: Option<&Value>, map: &Map<String, Value>) {
        for name in names.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            // DXOS's schemas ask for the id of an item, which is not among its properties.
            let is_id = name == "id" && self.path.is_empty();
            if !is_id && !map.contains_key(name) {
                let length = self.path.len();
                if length > 0 {
                    self.path.push('.');
                }
                self.path.push_str(name);
                self.wrong("is missing");
                self.path.truncate(length);
            }
        }
    }

    fn combined(&mut self, keywords: &'a Map<String, Value>, value: &Value, depth: usize) {
        let all = |name: &str| keywords.get(name).and_then(Value::as_array);
        for schema in all("allOf").into_iter().flatten() {
            self.schema(schema, value, depth);
        }
        if let Some(any) = all("anyOf")
            && !any.iter().any(|schema| self.fits(schema, value, depth))
        {
            self.none_of(any, value, depth);
        }
        if let Some(one) = all("oneOf") {
            match one.iter().filter(|schema| self.fits(schema, value, depth)).count() {
                0 => self.none_of(one, value, depth),
                1 => {}
                _ => self.wrong("fits several schemas of which it may fit one"),
            }
        }
        if let Some(schema) = keywords.get("not")
            && self.fits(schema, value, depth)
        {
            self.wrong("is what it must not be");
        }
        if let Some(schema) = keywords.get("if") {
            let then = if self.fits(schema, value, depth) { "then" } else { "else" };
            if let Some(schema) = keywords.get(then) {
                self.schema(schema, value, depth);
            }
        }
    }

    /// Of a single alternative besides `null` it is told what is wrong; of several, only that none fits.
    fn none_of(&mut self, schemas: &'a [Value], value: &Value, depth: usize) {
        let is_null = |schema: &&Value| schema.get("type") != Some(&Value::from("null"));
        let mut real = schemas.iter().filter(is_null);
        match (real.next(), real.next()) {
            (Some(only), None) => self.schema(only, value, depth),
            _ => self.wrong("fits none of the schemas of which it must fit one"),
        }
    }
}

fn count(keywords: &Map<String, Value>, name: &str) -> Option<usize> {
    let count = keywords.get(name)?.as_f64()?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole and not negative; the largest are all too large"
    )]
    Some(count as usize)
}

const fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Equal, where 1 and 1.0 are.
fn same(one: &Value, other: &Value) -> bool {
    one == other || plain(one) == plain(other)
}

/// Whole numbers as such, however they were written.
fn plain(value: &Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => {
            let float = number.as_f64().unwrap_or_default();
            #[expect(
                clippy::cast_possible_truncation,
                reason = "it is whole, and within what floats count exactly"
            )]
            if float.fract() == 0.0 && float.abs() < 9e15 { Value::from(float as i64) } else { value.clone() }
        }
        Value::Array(list) => list.iter().map(plain).collect(),
        Value::Object(map) => map.iter().map(|(name, value)| (name.clone(), plain(value))).collect(),
        value => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::Schema;
    use super::*;

    fn said(schema: &Value, value: &Value) -> String {
        let found = Schema::parse(schema).unwrap().check(value);
        found.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }

    /// What DXOS 0.8.3's `toJsonSchema` makes of a type with a bit of everything.
    fn task() -> Value {
        let person = json!({
            "$id": "/schemas/echo/ref",
            "reference": { "schema": { "$ref": "dxn:type:example.org/type/Person" }, "schemaVersion": "0.1.0" },
        });
        json!({
            "$schema": "http://json-schema.org/draft-07/schema#", "$id": "dxn:type:example.org/type/Task",
            "entityKind": "object", "typename": "example.org/type/Task", "version": "0.1.0", "type": "object",
            "properties": {
                "id": { "type": "string" }, "title": { "type": "string" }, "done": { "type": "boolean" },
                "kind": { "type": "string", "enum": ["a", "b"] },
                "tags": { "type": "array", "items": { "type": "string" } },
                "email": { "type": "string", "description": "a string matching the pattern", "pattern": "^.+@.+$" },
                "age": { "type": "number", "title": "between(0, 150)", "minimum": 0, "maximum": 150 },
                "who": person, "many": { "type": "array", "items": person },
                "nested": {
                    "type": "object", "required": ["x"], "additionalProperties": false, "propertyOrder": ["x"],
                    "properties": { "x": { "anyOf": [{ "type": "number" }, { "type": "null" }] } },
                },
                "any": { "$id": "/schemas/any", "title": "any" },
                "rec": {
                    "type": "object", "required": [], "properties": {},
                    "additionalProperties": { "type": "number" }, "propertyOrder": [],
                },
            },
            "required": ["title", "done", "kind", "tags", "id"],
            "propertyOrder": ["title", "done"], "additionalProperties": false,
        })
    }

    #[test]
    fn what_dxos_writes_is_understood() {
        let who = json!({ "/": "dxn:echo:@:01J00J9B45YHYSGZQTQMSKMGJ6" });
        let good = json!({
            "title": "Milk", "done": false, "kind": "a", "tags": ["x"], "email": "a@b", "age": 7, "who": who,
            "many": [who], "nested": { "x": null }, "any": [1], "rec": { "y": 1.5 },
        });
        assert_eq!(said(&task(), &good), "");
        for (property, value, wanted) in [
            ("title", json!(1), "\"title\" is of type number, not string"),
            ("kind", json!("c"), "\"kind\" is none of the values that are allowed"),
            ("tags", json!(["x", 1]), "\"tags.1\" is of type number, not string"),
            ("email", json!("nobody"), "\"email\" does not match the pattern \"^.+@.+$\""),
            ("age", json!(151), "\"age\" is 151, more than 150"),
            ("age", json!(-1), "\"age\" is -1, less than 0"),
            ("who", json!("Ada"), "\"who\" is no reference to an item"),
            ("many", json!([{}]), "\"many.0\" is no reference to an item"),
            ("nested", json!({}), "\"nested.x\" is missing"),
            ("nested", json!({ "x": "1" }), "\"nested.x\" is of type string, not number"),
            ("rec", json!({ "y": "z" }), "\"rec.y\" is of type string, not number"),
            ("other", json!(1), "\"other\" is not allowed"),
        ] {
            let mut bad = good.clone();
            bad[property] = value;
            assert_eq!(said(&task(), &bad), wanted);
        }
        assert_eq!(
            said(&task(), &json!({ "title": "Milk", "done": false })),
            "\"kind\" is missing; \"tags\" is missing"
        );
    }

    /// Schema, values that fit, values that do not.
    #[test]
    fn each_keyword_does_what_the_standard_says() {
        let node = json!({
            "$ref": "#/$defs/node",
            "$defs": { "node": { "required": ["v"], "properties": { "next": { "$ref": "#/$defs/node" } } } },
        });
        let either =
            json!({ "if": { "minimum": 10 }, "then": { "multipleOf": 10 }, "else": { "multipleOf": 2 } });
        for (schema, good, bad) in [
            (json!(true), vec![json!(1)], vec![]),
            (json!(false), vec![], vec![json!(1)]),
            (
                json!({ "type": "integer" }),
                vec![json!(1), json!(1.0)],
                vec![json!(1.5), json!("1"), json!(true)],
            ),
            (json!({ "type": ["null", "array"] }), vec![json!(null), json!([])], vec![json!({}), json!(0)]),
            (json!({ "const": 1 }), vec![json!(1), json!(1.0)], vec![json!(2), json!(true)]),
            (json!({ "enum": [[1], null] }), vec![json!([1.0]), json!(null)], vec![json!([]), json!(1)]),
            (
                json!({ "exclusiveMinimum": 1, "exclusiveMaximum": 3 }),
                vec![json!(2), json!("x")],
                vec![json!(1), json!(3)],
            ),
            (json!({ "multipleOf": 0.1 }), vec![json!(0.3), json!(7)], vec![json!(0.35)]),
            (
                json!({ "minLength": 2, "maxLength": 2 }),
                vec![json!("ä😀"), json!(1)],
                vec![json!("a"), json!("abc")],
            ),
            (json!({ "pattern": "b" }), vec![json!("abc")], vec![json!("ac")]),
            (json!({ "minItems": 1, "maxItems": 2 }), vec![json!([1])], vec![json!([]), json!([1, 2, 3])]),
            (json!({ "uniqueItems": true }), vec![json!([1, "1"])], vec![json!([1, 1.0]), json!([{}, {}])]),
            (
                json!({ "items": [{ "type": "null" }], "additionalItems": false }),
                vec![json!([null]), json!([])],
                vec![json!([1]), json!([null, 1])],
            ),
            (
                json!({ "prefixItems": [{ "type": "null" }], "items": { "type": "number" } }),
                vec![json!([null, 1])],
                vec![json!([null, null])],
            ),
            (
                json!({ "contains": { "const": 1 }, "maxContains": 2 }),
                vec![json!([2, 1])],
                vec![json!([2]), json!([1, 1, 1])],
            ),
            (json!({ "contains": { "const": 1 }, "minContains": 0 }), vec![json!([])], vec![]),
            (
                json!({ "minProperties": 1, "maxProperties": 1 }),
                vec![json!({ "a": 1 })],
                vec![json!({}), json!({ "a": 1, "b": 1 })],
            ),
            (
                json!({ "patternProperties": { "^n": { "type": "number" } }, "additionalProperties": false }),
                vec![json!({ "n1": 1 })],
                vec![json!({ "n": "" }), json!({ "m": 1 })],
            ),
            (
                json!({ "propertyNames": { "maxLength": 1 } }),
                vec![json!({ "a": 1 })],
                vec![json!({ "ab": 1 })],
            ),
            (
                json!({ "dependentRequired": { "a": ["b"] } }),
                vec![json!({ "b": 1 }), json!({ "a": 1, "b": 1 })],
                vec![json!({ "a": 1 })],
            ),
            (
                json!({ "dependencies": { "a": ["b"], "c": { "required": ["d"] } } }),
                vec![json!({}), json!({ "c": 1, "d": 1 })],
                vec![json!({ "a": 1 }), json!({ "c": 1 })],
            ),
            (
                json!({ "dependentSchemas": { "a": { "maxProperties": 1 } } }),
                vec![json!({ "a": 1 })],
                vec![json!({ "a": 1, "b": 1 })],
            ),
            (
                json!({ "allOf": [{ "minimum": 1 }, { "maximum": 2 }] }),
                vec![json!(1)],
                vec![json!(0), json!(3)],
            ),
            (
                json!({ "anyOf": [{ "type": "null" }, { "minimum": 2 }] }),
                vec![json!(null), json!(2)],
                vec![json!(1)],
            ),
            (
                json!({ "oneOf": [{ "minimum": 1 }, { "minimum": 2 }] }),
                vec![json!(1)],
                vec![json!(0), json!(2)],
            ),
            (json!({ "not": { "type": "null" } }), vec![json!(1)], vec![json!(null)]),
            (either, vec![json!(20), json!(4)], vec![json!(12), json!(3)]),
            (node, vec![json!({ "v": 1, "next": { "v": 2 } })], vec![json!({ "v": 1, "next": {} })]),
            (json!({ "format": "email", "$comment": "x", "examples": [1] }), vec![json!("nobody")], vec![]),
            (
                json!({ "required": ["id"], "properties": { "a": { "required": ["id"] } } }),
                vec![json!({})],
                vec![json!({ "a": {} })],
            ),
        ] {
            for value in good {
                assert_eq!(said(&schema, &value), "", "{schema} takes {value}");
            }
            for value in bad {
                assert_ne!(said(&schema, &value), "", "{schema} refuses {value}");
            }
        }
    }

    #[test]
    fn a_schema_that_is_a_bomb_ends_as_a_mismatch() {
        let itself = json!({ "$ref": "#" });
        let each_other = json!({ "$ref": "#/$defs/a", "$defs": { "a": { "$ref": "#/$defs/b" }, "b": { "$ref": "#/$defs/a" } } });
        let mut defs = Map::from_iter([("0".to_owned(), json!({ "type": "number" }))]);
        for level in 1..60 {
            let below = json!({ "$ref": format!("#/$defs/{}", level - 1) });
            defs.insert(level.to_string(), json!({ "allOf": [below, below] }));
        }
        let doubling = json!({ "$ref": "#/$defs/59", "$defs": defs });
        for schema in [itself, each_other, doubling] {
            assert_eq!(said(&schema, &json!(1)), "takes too long to check", "{schema}");
        }
        let not = json!({ "not": { "$ref": "#" } });
        assert_eq!(said(&not, &json!(1)), "takes too long to check", "also where it would be turned around");
    }

    #[test]
    fn no_more_is_told_than_somebody_reads() {
        let many: Map<String, Value> = (0..100).map(|number| (format!("p{number}"), json!(1))).collect();
        let found = Schema::parse(&json!({ "additionalProperties": { "type": "string" } })).unwrap();
        assert_eq!(found.check(&Value::Object(many)).len(), MOST_TOLD);
    }

    proptest! {
        #[test]
        fn any_schema_and_any_value_end_in_an_answer(schema in json(), value in json()) {
            if let Ok(schema) = Schema::parse(&schema) {
                let _ = schema.check(&value);
            }
        }

        #[test]
        fn a_schema_and_its_opposite_never_agree(schema in json(), value in json()) {
            let opposite = json!({ "not": schema });
            if let (Ok(schema), Ok(opposite)) = (Schema::parse(&schema), Schema::parse(&opposite)) {
                prop_assert_ne!(schema.check(&value).is_empty(), opposite.check(&value).is_empty());
            }
        }
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-3..4_i64).prop_map(Value::from),
            prop_oneof![
                Just("string"),
                Just("number"),
                Just("object"),
                Just("a"),
                Just("^a"),
                Just("#/properties/a")
            ]
            .prop_map(Value::from),
        ];
        let keyword = prop_oneof![
            Just("type"),
            Just("properties"),
            Just("a"),
            Just("items"),
            Just("minimum"),
            Just("maxLength"),
            Just("pattern"),
            Just("allOf"),
            Just("anyOf"),
            Just("oneOf"),
            Just("not"),
            Just("required"),
            Just("additionalProperties"),
            Just("enum"),
            Just("const"),
            Just("if"),
            Just("then"),
            Just("minItems"),
        ];
        leaf.prop_recursive(5, 40, 4, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map(keyword.clone().prop_map(str::to_owned), inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }
}
