//! Canonical JSON as `@dxos/credentials` makes it: keys sorted by UTF-16, no white space, numbers and texts as
//! JavaScript's `JSON.stringify` writes them.

use serde_json::Value;

/// Writes a value. Members that are `null`, or whose names begin with `@` or `__`, are left out.
pub(super) fn text(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Number(number) => out.push_str(&number_text(number)),
        Value::String(text) => string(text, out),
        Value::Array(list) => {
            out.push('[');
            for (at, value) in list.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write(value, out);
            }
            out.push(']');
        }
        Value::Object(map) => {
            let mut members: Vec<(&String, &Value)> = map
                .iter()
                .filter(|(name, value)| !value.is_null() && *name != "@type" && !name.starts_with("__"))
                .collect();
            members.sort_by(|(one, _), (other, _)| one.encode_utf16().cmp(other.encode_utf16()));
            out.push('{');
            for (at, (name, value)) in members.into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                string(name, out);
                out.push(':');
                write(value, out);
            }
            out.push('}');
        }
    }
}

/// JSON escapes only what it must, in lower-case hex, as JavaScript does.
fn string(text: &str, out: &mut String) {
    out.push_str(&Value::from(text).to_string());
}

/// A number as ECMAScript's `Number::toString` writes it.
fn number_text(number: &serde_json::Number) -> String {
    if let Some(whole) = number.as_i64() {
        return whole.to_string();
    }
    let Some(float) = number.as_f64() else { return number.to_string() };
    if float == 0.0 {
        return "0".to_owned();
    }
    let size = float.abs();
    if (1e-6..1e21).contains(&size) {
        return float.to_string();
    }
    // Rust writes 1e21, JavaScript 1e+21; both write the shortest digits.
    let text = format!("{float:e}");
    match text.split_once('e') {
        Some((digits, exponent)) if !exponent.starts_with('-') => format!("{digits}e+{exponent}"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_written_as_javascript_writes_them() {
        for (value, wanted) in [
            (
                json!({ "b": 1, "a": [null, true], "@type": "x", "__k": 1, "n": null }),
                r#"{"a":[null,true],"b":1}"#,
            ),
            (json!({ "\u{ffff}": 1, "😀": 2 }), "{\"😀\":2,\"\u{ffff}\":1}"),
            (json!("\u{7}\n\"\\é"), "\"\\u0007\\n\\\"\\\\é\""),
            (
                json!([1.0, 0.5, -0.0, 1e21, 1e20, 1.5e-7, 1e-6, 123_456_789.125]),
                "[1,0.5,0,1e+21,100000000000000000000,1.5e-7,0.000001,123456789.125]",
            ),
            (json!({}), "{}"),
        ] {
            assert_eq!(text(&value), wanted);
        }
    }
}
