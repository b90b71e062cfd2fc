//! Protobuf by table: JSON in, bytes out; the other way round than [`super::message`].
//!
//! Zeros are written out, as DXOS's clients need it of enums. What JSON has lost is not made up: a timeframe that says
//! something shows only parts of its keys, so it is not written.

use data_encoding::HEXLOWER;
use serde_json::Value;

use super::schema::{Kind, Schema, assertion};
use super::{DxosError, malformed};

type Written = Result<Vec<u8>, DxosError>;

/// Writes a message.
pub(super) fn encode(schema: &Schema, value: &Value) -> Written {
    let mut out = Vec::new();
    for field in schema.0 {
        match value.get(field.name) {
            None | Some(Value::Null) => {}
            Some(Value::Array(list)) => {
                list.iter().try_for_each(|value| put(&mut out, field.number, field.kind, value))?;
            }
            Some(value) => put(&mut out, field.number, field.kind, value)?,
        }
    }
    Ok(out)
}

/// Writes a field that holds bytes.
pub(super) fn put_bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    varint(out, u64::from(number) << 3 | 2);
    varint(out, u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    out.extend_from_slice(bytes);
}

fn put_number(out: &mut Vec<u8>, number: u32, value: u64) {
    varint(out, u64::from(number) << 3);
    varint(out, value);
}

fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

fn put(out: &mut Vec<u8>, number: u32, kind: Kind, value: &Value) -> Result<(), DxosError> {
    let text = || value.as_str().ok_or(malformed("a text is missing"));
    let whole = || value.as_i64().ok_or(malformed("a number is missing")).map(i64::cast_unsigned);
    let hex = || HEXLOWER.decode(text()?.as_bytes()).map_err(|_| malformed("bytes are not in hex"));
    match kind {
        Kind::Key => put_bytes(out, number, &key(&hex()?)),
        Kind::Bytes => put_bytes(out, number, &hex()?),
        Kind::Text => put_bytes(out, number, text()?.as_bytes()),
        Kind::Number | Kind::Enum => put_number(out, number, whole()?),
        Kind::Flag => put_number(out, number, u64::from(value.as_bool().unwrap_or_default())),
        Kind::Time => put_bytes(out, number, &time(text()?)?),
        Kind::Any => put_bytes(out, number, &any(value)?),
        Kind::Timeframe if value.as_object().is_some_and(serde_json::Map::is_empty) => {
            put_bytes(out, number, &[]);
        }
        Kind::Message(schema) => put_bytes(out, number, &encode(schema, value)?),
        Kind::Timeframe | Kind::Struct => return Err(malformed("a field cannot be written")),
    }
    Ok(())
}

/// `dxos.keys.PublicKey`.
fn key(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_bytes(&mut out, 1, bytes);
    out
}

fn any(value: &Value) -> Written {
    let name = value.get("@type").and_then(Value::as_str).unwrap_or_default();
    let schema = assertion(name).ok_or(malformed("its assertion is of an unknown type"))?;
    let mut out = Vec::new();
    put_bytes(&mut out, 1, name.as_bytes());
    put_bytes(&mut out, 2, &encode(schema, value)?);
    Ok(out)
}

/// From `YYYY-MM-DDTHH:mm:ss.sssZ`.
fn time(text: &str) -> Written {
    let part = |at: std::ops::Range<usize>| text.get(at).and_then(|digits| digits.parse::<i64>().ok());
    let read = || {
        let days = days(part(0..4)?, part(5..7)?, part(8..10)?);
        let seconds = days * 86_400 + part(11..13)? * 3_600 + part(14..16)? * 60 + part(17..19)?;
        Some((seconds, part(20..23)? * 1_000_000))
    };
    let (seconds, nanos) = read().ok_or(malformed("that is no time"))?;
    let mut out = Vec::new();
    put_number(&mut out, 1, seconds.cast_unsigned());
    put_number(&mut out, 2, nanos.cast_unsigned());
    Ok(out)
}

/// Days from 1970 to a date (Howard Hinnant's `days_from_civil`).
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}
