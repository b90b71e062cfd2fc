//! One change of a document, read column by column without Automerge: only what Automerge itself writes, in the one way
//! in which it writes it. For everything else there is nothing here, and Automerge reads it.
//!
//! Format: the Automerge binary format specification, chunks of kind 1 and 2, and the columns of operations.

use std::borrow::Cow;

use automerge::ScalarValue;
use sha2::{Digest, Sha256};

use crate::guard::{self, Reader};

/// The columns of operations that have nothing before them, by specification: number, kind.
mod spec {
    pub(super) const OBJECT_ACTOR: u64 = 0x01;
    pub(super) const OBJECT: u64 = 0x02;
    pub(super) const KEY_ACTOR: u64 = 0x11;
    pub(super) const KEY: u64 = 0x13;
    pub(super) const KEY_TEXT: u64 = 0x15;
    pub(super) const INSERT: u64 = 0x34;
    pub(super) const ACTION: u64 = 0x42;
    pub(super) const VALUE_KIND: u64 = 0x56;
    pub(super) const VALUE: u64 = 0x57;
    pub(super) const BEFORE: u64 = 0x70;
}

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    MakeMap,
    MakeList,
    MakeText,
    Put,
}

/// Where in its object it does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place<'a> {
    Key(&'a str),
    /// At the beginning of a list or text.
    Head,
    /// Behind what this operation made: number of an actor, and counter.
    Behind(u64, u64),
}

/// An operation on something that was not there before.
pub(crate) struct Operation<'a> {
    pub(crate) action: Action,
    /// The operation that made its object: number of an actor, and counter.
    pub(crate) object: (u64, u64),
    pub(crate) place: Place<'a>,
    pub(crate) insert: bool,
    pub(crate) value: ScalarValue,
}

/// A change. Actors have numbers in it: 0 is who wrote it, then come the others.
pub(crate) struct Change<'a> {
    /// Changes it comes after, 32 bytes each.
    pub(crate) deps: &'a [u8],
    pub(crate) actor: &'a [u8],
    pub(crate) seq: u64,
    pub(crate) start: u64,
    pub(crate) others: Vec<&'a [u8]>,
    columns: Vec<(u64, &'a [u8])>,
}

/// Whether a chunk is a change of which nothing is deflated.
pub(crate) fn is_plain(chunk: &[u8]) -> bool {
    chunk.get(8) == Some(&1)
}

/// What a chunk says, and its name; none if it is none of a change, or another comes behind it.
pub(crate) fn body(chunk: &[u8]) -> Option<(Cow<'_, [u8]>, [u8; 32])> {
    let mut rest = Reader::of(chunk.strip_prefix(&guard::MAGIC)?);
    let checksum = rest.take(4).ok()?;
    let kind = rest.byte().ok()?;
    let length = usize::try_from(unsigned(&mut rest)?).ok()?;
    let said = rest.take(length).ok().filter(|_| rest.is_empty())?;
    let said: Cow<'_, [u8]> = match kind {
        1 => said.into(),
        2 => guard::inflate(said, &mut 0).ok()?.into(),
        _ => return None,
    };
    // The name is that of the change as it is when nothing is deflated.
    let mut head = vec![1];
    let mut length = said.len();
    while length > 0x7f {
        head.push(u8::try_from(length & 0x7f).unwrap_or_default() | 0x80);
        length >>= 7;
    }
    head.push(u8::try_from(length).unwrap_or_default());
    let name: [u8; 32] = Sha256::new().chain_update(head).chain_update(&said).finalize().into();
    name.starts_with(checksum).then_some((said, name))
}

impl<'a> Change<'a> {
    /// Reads what a chunk says.
    pub(crate) fn read(body: &'a [u8]) -> Option<Self> {
        let mut rest = Reader::of(body);
        let deps = usize::try_from(unsigned(&mut rest)?).ok()?;
        let deps = rest.take(deps.checked_mul(32)?).ok()?;
        let actor = prefixed(&mut rest)?;
        let (seq, start) = (unsigned(&mut rest)?, unsigned(&mut rest)?);
        signed(&mut rest)?; // Time.
        if !prefixed(&mut rest)?.is_empty() {
            return None; // A message: nobody we know writes one.
        }
        let others = count(&mut rest)?;
        let others = (0..others).map(|_| prefixed(&mut rest)).collect::<Option<_>>()?;
        let columns = count(&mut rest)?;
        let lengths = (0..columns).map(|_| Some((unsigned(&mut rest)?, unsigned(&mut rest)?)));
        let lengths = lengths.collect::<Option<Vec<_>>>()?;
        let is_ordered = lengths.is_sorted_by(|(one, _), (other, _)| one < other);
        let column = |(kind, length): (u64, u64)| {
            let data = rest.take(usize::try_from(length).ok()?).ok()?;
            Some((kind, data)).filter(|_| !data.is_empty())
        };
        let columns = lengths.into_iter().map(column).collect::<Option<_>>()?;
        // Nothing behind them, which Automerge would keep.
        (is_ordered && rest.is_empty()).then_some(Self { deps, actor, seq, start, others, columns })
    }

    /// Reads its operations one by one; `None` if it is not as Automerge would have written it, if one of them is on
    /// something that was there, or if `take` says so.
    pub(crate) fn operations(
        &self,
        most: u64,
        mut take: impl FnMut(Operation<'a>) -> Option<()>,
    ) -> Option<()> {
        let mut columns = self.columns.iter().copied().peekable();
        let mut column = |kind| columns.next_if(|(found, _)| *found == kind).map(|(_, data)| data);
        let mut object_actor = Runs::<u64>::of(column(spec::OBJECT_ACTOR));
        let mut object = Runs::<u64>::of(column(spec::OBJECT));
        let mut key_actor = Runs::<u64>::of(column(spec::KEY_ACTOR));
        let mut key = Steps::of(column(spec::KEY));
        let mut key_text = Runs::<&str>::of(column(spec::KEY_TEXT));
        let mut insert = Turns::of(column(spec::INSERT)?);
        let mut action = Runs::<u64>::of(column(spec::ACTION));
        let mut value_kind = Runs::<u64>::of(column(spec::VALUE_KIND));
        let mut values = Reader::of(column(spec::VALUE).unwrap_or_default());
        let mut before = Runs::<u64>::of(column(spec::BEFORE));
        if columns.next().is_some() {
            return None;
        }
        let mut taken = 0;
        while !action.is_over() {
            taken += 1;
            let (value_kind, action) = (value_kind.next()??, action.next()??);
            let action = match action {
                0 => Action::MakeMap,
                1 => Action::Put,
                2 => Action::MakeList,
                4 => Action::MakeText,
                _ => return None,
            };
            let place = match (key_actor.next()?, key.next()?, key_text.next()?) {
                (None, None, Some(key)) => Place::Key(key),
                (None, Some(0), None) => Place::Head,
                (Some(actor), Some(counter), None) => Place::Behind(actor, u64::try_from(counter).ok()?),
                _ => return None,
            };
            let made_nothing = action == Action::Put || value_kind == 0;
            if taken > most || !made_nothing || before.next()?? != 0 {
                return None;
            }
            take(Operation {
                action,
                object: (object_actor.next()??, object.next()??),
                place,
                insert: insert.next()?,
                value: scalar(value_kind, &mut values)?,
            })?;
        }
        let all =
            [&object_actor, &object, &key_actor, &value_kind, &before].iter().all(|column| column.is_done());
        (all && key.0.is_done() && key_text.is_done() && insert.is_done() && values.is_empty()).then_some(())
    }
}

/// A value by its kind: what it is, and how long.
fn scalar(kind: u64, values: &mut Reader<'_>) -> Option<ScalarValue> {
    let bytes = values.take(usize::try_from(kind >> 4).ok()?).ok()?;
    let mut rest = Reader::of(bytes);
    let value = match kind & 15 {
        0 => ScalarValue::Null,
        1 => ScalarValue::Boolean(false),
        2 => ScalarValue::Boolean(true),
        3 => ScalarValue::Uint(unsigned(&mut rest)?),
        4 => ScalarValue::Int(signed(&mut rest)?),
        5 => ScalarValue::F64(f64::from_le_bytes(rest.take(8).ok()?.try_into().ok()?)),
        6 => ScalarValue::Str(std::str::from_utf8(rest.take(bytes.len()).ok()?).ok()?.into()),
        7 => ScalarValue::Bytes(rest.take(bytes.len()).ok()?.to_vec()),
        8 => ScalarValue::counter(signed(&mut rest)?),
        9 => ScalarValue::Timestamp(signed(&mut rest)?),
        _ => return None,
    };
    rest.is_empty().then_some(value)
}

/// A value in a column.
trait Value<'a>: Copy + PartialEq {
    fn read(rest: &mut Reader<'a>) -> Option<Self>;
}

impl Value<'_> for u64 {
    fn read(rest: &mut Reader<'_>) -> Option<Self> {
        unsigned(rest)
    }
}

impl Value<'_> for i64 {
    fn read(rest: &mut Reader<'_>) -> Option<Self> {
        signed(rest)
    }
}

impl<'a> Value<'a> for &'a str {
    fn read(rest: &mut Reader<'a>) -> Option<Self> {
        std::str::from_utf8(prefixed(rest)?).ok()
    }
}

/// A column in runs: of one value, of values that differ one from the next, or of none. Each is as long as it can be.
struct Runs<'a, T> {
    rest: Reader<'a>,
    run: Run<T>,
    left: u64,
    last: Option<T>,
}

#[derive(Clone, Copy, PartialEq)]
enum Run<T> {
    /// There is no column: there are no values in it.
    Absent,
    Begin,
    Empty,
    Same(T),
    Different,
}

impl<'a, T: Value<'a>> Runs<'a, T> {
    fn of(column: Option<&'a [u8]>) -> Self {
        let run = column.map_or(Run::Absent, |_| Run::Begin);
        Self { rest: Reader::of(column.unwrap_or_default()), run, left: 0, last: None }
    }

    /// The next value, or that there is none; nothing if the column is over, or not as it should be.
    fn next(&mut self) -> Option<Option<T>> {
        if self.run == Run::Absent {
            return Some(None);
        }
        if self.left == 0 {
            self.begin()?;
        }
        self.left -= 1;
        match self.run {
            Run::Same(value) => Some(Some(value)),
            Run::Different => {
                let value = T::read(&mut self.rest).filter(|value| self.last != Some(*value))?;
                self.last = Some(value);
                Some(Some(value))
            }
            _ => Some(None),
        }
    }

    fn begin(&mut self) -> Option<()> {
        match signed(&mut self.rest)? {
            0 => {
                self.left = unsigned(&mut self.rest)?;
                // One that has nothing else is left out.
                let alone = self.run == Run::Begin && self.rest.is_empty();
                if self.left == 0 || self.run == Run::Empty || alone {
                    return None;
                }
                (self.run, self.last) = (Run::Empty, None);
            }
            1 => return None,
            same if same > 0 => {
                let value = T::read(&mut self.rest).filter(|value| self.last != Some(*value))?;
                (self.left, self.run, self.last) = (same.unsigned_abs(), Run::Same(value), Some(value));
            }
            different => {
                if self.run == Run::Different {
                    return None;
                }
                (self.left, self.run) = (different.unsigned_abs(), Run::Different);
            }
        }
        Some(())
    }

    /// Whether nothing comes any more.
    fn is_over(&self) -> bool {
        self.left == 0 && self.rest.is_empty()
    }

    fn is_done(&self) -> bool {
        self.run == Run::Absent || self.is_over()
    }
}

/// A column of numbers, each of them said as the step from the one before.
struct Steps<'a>(Runs<'a, i64>, i64);

impl<'a> Steps<'a> {
    fn of(column: Option<&'a [u8]>) -> Self {
        Self(Runs::of(column), 0)
    }

    fn next(&mut self) -> Option<Option<i64>> {
        let Some(step) = self.0.next()? else { return Some(None) };
        self.1 = self.1.checked_add(step)?;
        Some(Some(self.1))
    }
}

/// A column of flags: how often `false`, then how often `true`, and so on.
struct Turns<'a> {
    rest: Reader<'a>,
    flag: bool,
    left: u64,
    first: bool,
}

impl<'a> Turns<'a> {
    fn of(column: &'a [u8]) -> Self {
        Self { rest: Reader::of(column), flag: true, left: 0, first: true }
    }

    fn next(&mut self) -> Option<bool> {
        while self.left == 0 {
            self.left = unsigned(&mut self.rest)?;
            self.flag = !self.flag;
            if self.left == 0 && !self.first {
                return None;
            }
            self.first = false;
        }
        self.left -= 1;
        Some(self.flag)
    }

    fn is_done(&self) -> bool {
        self.left == 0 && self.rest.is_empty()
    }
}

/// Bytes of the longest number; the last one has room for one bit.
const LONGEST_NUMBER: usize = 10;

/// A number in as few bytes as it takes.
fn unsigned(rest: &mut Reader<'_>) -> Option<u64> {
    let before = rest.left();
    let number = rest.number().ok()?;
    let used = before.get(..before.len() - rest.left().len())?;
    let is_short = match used {
        [_] => true,
        [.., last] => *last != 0 && (used.len() < LONGEST_NUMBER || *last == 1),
        [] => false,
    };
    is_short.then_some(number)
}

fn signed(rest: &mut Reader<'_>) -> Option<i64> {
    let before = rest.left();
    let number = rest.signed().ok()?;
    let used = before.get(..before.len() - rest.left().len())?;
    let is_short = match used {
        [.., before, 0x00] => before & 0x40 != 0,
        [.., before, 0x7f] => before & 0x40 == 0,
        _ => used.len() < LONGEST_NUMBER,
    };
    is_short.then_some(number)
}

fn prefixed<'a>(rest: &mut Reader<'a>) -> Option<&'a [u8]> {
    let length = usize::try_from(unsigned(rest)?).ok()?;
    rest.take(length).ok()
}

/// Of things that take a byte each at least.
fn count(rest: &mut Reader<'_>) -> Option<usize> {
    usize::try_from(unsigned(rest)?).ok().filter(|count| *count <= rest.left().len())
}
