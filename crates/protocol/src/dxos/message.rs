//! Protobuf by table: bytes in, JSON out.

use data_encoding::HEXLOWER;
use serde_json::{Map, Value, json};

use super::schema::{How, Kind, Schema, assertion};
use super::{DxosError, LONGEST, malformed};
use crate::time::Timestamp;

/// Messages are not nested deeper.
const DEEPEST: usize = 48;

type Read<T> = Result<T, DxosError>;

/// Reads a message.
pub(super) fn decode(schema: &Schema, bytes: &[u8]) -> Read<Value> {
    if bytes.len() > LONGEST {
        return Err(malformed("it is too long"));
    }
    message(schema, bytes, DEEPEST)
}

/// A value on the wire.
enum Wire<'a> {
    Number(u64),
    Fixed64([u8; 8]),
    Bytes(&'a [u8]),
}

/// The fields of a message, in the order they come.
fn fields(bytes: &[u8]) -> Read<Vec<(u32, Wire<'_>)>> {
    let mut rest = bytes;
    let mut found = Vec::new();
    while !rest.is_empty() {
        let key = varint(&mut rest)?;
        let number = u32::try_from(key >> 3).map_err(|_| malformed("a field number is too large"))?;
        let value = match key & 7 {
            0 => Wire::Number(varint(&mut rest)?),
            1 => {
                let bytes = take(&mut rest, 8)?;
                Wire::Fixed64(bytes.try_into().map_err(|_| malformed("it ends in a field"))?)
            }
            2 => {
                let length = usize::try_from(varint(&mut rest)?).unwrap_or(usize::MAX);
                Wire::Bytes(take(&mut rest, length)?)
            }
            5 => {
                take(&mut rest, 4)?;
                continue;
            }
            _ => return Err(malformed("a field has no known form")),
        };
        found.push((number, value));
    }
    Ok(found)
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Read<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length).ok_or(malformed("it ends in a field"))?;
    *rest = left;
    Ok(taken)
}

fn varint(rest: &mut &[u8]) -> Read<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let [byte] = take(rest, 1)? else { break };
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(malformed("a number is too long"))
}

fn message(schema: &Schema, bytes: &[u8], left: usize) -> Read<Value> {
    let left = left.checked_sub(1).ok_or(malformed("it is nested too deep"))?;
    let mut map = Map::new();
    for field in schema.0 {
        match (field.how, field.kind) {
            (How::Many, _) => drop(map.insert(field.name.to_owned(), json!([]))),
            (How::One, Kind::Text | Kind::Bytes) => drop(map.insert(field.name.to_owned(), json!(""))),
            (How::One, Kind::Number) => drop(map.insert(field.name.to_owned(), json!(0))),
            (How::One, Kind::Flag) => drop(map.insert(field.name.to_owned(), json!(false))),
            _ => {}
        }
    }
    for (number, wire) in fields(bytes)? {
        // What is not known is not ours to judge; DXOS's readers drop it, too.
        let Some(field) = schema.0.iter().find(|field| field.number == number) else { continue };
        let value = value(field.kind, wire, left)?;
        if field.how == How::Many {
            if let Some(list) = map.get_mut(field.name).and_then(Value::as_array_mut) {
                list.push(value);
            }
        } else {
            map.insert(field.name.to_owned(), value);
        }
    }
    Ok(Value::Object(map))
}

fn value(kind: Kind, wire: Wire<'_>, left: usize) -> Read<Value> {
    Ok(match (kind, wire) {
        (Kind::Number | Kind::Enum, Wire::Number(number)) => {
            // 32 bits with a sign, sent as 64.
            json!(i32::from_le_bytes(low(number)))
        }
        (Kind::Flag, Wire::Number(number)) => json!(number != 0),
        (Kind::Text, Wire::Bytes(bytes)) => json!(text(bytes)?),
        (Kind::Bytes, Wire::Bytes(bytes)) => json!(HEXLOWER.encode(bytes)),
        (Kind::Key, Wire::Bytes(bytes)) => json!(HEXLOWER.encode(key(bytes)?)),
        (Kind::Time, Wire::Bytes(bytes)) => json!(time(bytes)?),
        (Kind::Struct, Wire::Bytes(bytes)) => structure(bytes, left)?,
        (Kind::Timeframe, Wire::Bytes(bytes)) => timeframe(bytes)?,
        (Kind::Message(schema), Wire::Bytes(bytes)) => message(schema, bytes, left)?,
        (Kind::Any, Wire::Bytes(bytes)) => any(bytes, left)?,
        _ => return Err(malformed("a field has another form")),
    })
}

fn low(number: u64) -> [u8; 4] {
    let [a, b, c, d, ..] = number.to_le_bytes();
    [a, b, c, d]
}

fn text(bytes: &[u8]) -> Read<&str> {
    std::str::from_utf8(bytes).map_err(|_| malformed("a text is not UTF-8"))
}

fn key(bytes: &[u8]) -> Read<&[u8]> {
    for (number, wire) in fields(bytes)? {
        if let (1, Wire::Bytes(key)) = (number, wire) {
            return Ok(key);
        }
    }
    Ok(&[])
}

fn any(bytes: &[u8], left: usize) -> Read<Value> {
    let (mut name, mut body) = ("", [].as_slice());
    for (number, wire) in fields(bytes)? {
        match (number, wire) {
            (1, Wire::Bytes(bytes)) => name = text(bytes)?,
            (2, Wire::Bytes(bytes)) => body = bytes,
            _ => {}
        }
    }
    let schema = assertion(name).ok_or(malformed("its assertion is of an unknown type"))?;
    let mut inside = message(schema, body, left)?;
    if let Some(map) = inside.as_object_mut() {
        map.insert("@type".to_owned(), json!(name));
    }
    Ok(inside)
}

/// `{"<first four hex digits>...<last four>": blocks}`.
fn timeframe(bytes: &[u8]) -> Read<Value> {
    let mut map = Map::new();
    for (number, wire) in fields(bytes)? {
        let (1, Wire::Bytes(frame)) = (number, wire) else { continue };
        let (mut feed, mut sequence) = (String::new(), 0);
        for (number, wire) in fields(frame)? {
            match (number, wire) {
                (1, Wire::Bytes(bytes)) => feed = HEXLOWER.encode(key(bytes)?),
                (3, Wire::Number(number)) => sequence = i32::from_le_bytes(low(number)),
                _ => {}
            }
        }
        let (start, end) = (feed.get(..4), feed.len().checked_sub(4).and_then(|at| feed.get(at..)));
        let (Some(start), Some(end)) = (start, end) else { return Err(malformed("a feed key is too short")) };
        map.insert(format!("{start}...{end}"), json!(sequence));
    }
    Ok(Value::Object(map))
}

/// `YYYY-MM-DDTHH:mm:ss.sssZ`, as `Date.toISOString` writes it.
fn time(bytes: &[u8]) -> Read<String> {
    let (mut seconds, mut nanos) = (0_i64, 0_i64);
    for (number, wire) in fields(bytes)? {
        match (number, wire) {
            (1, Wire::Number(number)) => seconds = number.cast_signed(),
            (2, Wire::Number(number)) => nanos = i64::from(i32::from_le_bytes(low(number))),
            _ => {}
        }
    }
    written(seconds, nanos / 1_000_000)
}

/// A time as `Date.toISOString` writes it.
pub(super) fn iso(time: Timestamp) -> Read<String> {
    let millis = i64::try_from(time.as_millis()).map_err(|_| malformed("a time is out of range"))?;
    written(millis.div_euclid(1_000), millis.rem_euclid(1_000))
}

fn written(seconds: i64, millis: i64) -> Read<String> {
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Within what four digits of a year can say.
    if !(-719_162..=2_932_896).contains(&days) || !(0..1_000).contains(&millis) {
        return Err(malformed("a time is out of range"));
    }
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    Ok(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z"))
}

/// Year, month and day of a number of days since 1970 (Howard Hinnant's `civil_from_days`).
fn date(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

fn structure(bytes: &[u8], left: usize) -> Read<Value> {
    let left = left.checked_sub(1).ok_or(malformed("it is nested too deep"))?;
    let mut map = Map::new();
    for (number, wire) in fields(bytes)? {
        let (1, Wire::Bytes(entry)) = (number, wire) else { continue };
        let (mut name, mut value) = ("", Value::Null);
        for (number, wire) in fields(entry)? {
            match (number, wire) {
                (1, Wire::Bytes(bytes)) => name = text(bytes)?,
                (2, Wire::Bytes(bytes)) => value = plain(bytes, left)?,
                _ => {}
            }
        }
        map.insert(name.to_owned(), value);
    }
    Ok(Value::Object(map))
}

/// `google.protobuf.Value`.
fn plain(bytes: &[u8], left: usize) -> Read<Value> {
    let left = left.checked_sub(1).ok_or(malformed("it is nested too deep"))?;
    let mut value = Value::Null;
    for (number, wire) in fields(bytes)? {
        value = match (number, wire) {
            (2, Wire::Fixed64(bytes)) => json!(f64::from_le_bytes(bytes)),
            (3, Wire::Bytes(bytes)) => json!(text(bytes)?),
            (4, Wire::Number(flag)) => json!(flag != 0),
            (5, Wire::Bytes(bytes)) => structure(bytes, left)?,
            (6, Wire::Bytes(bytes)) => {
                let mut list = Vec::new();
                for (number, wire) in fields(bytes)? {
                    if let (1, Wire::Bytes(bytes)) = (number, wire) {
                        list.push(plain(bytes, left)?);
                    }
                }
                Value::Array(list)
            }
            _ => Value::Null,
        };
    }
    Ok(value)
}
