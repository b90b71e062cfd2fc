//! Looks at Automerge bytes before Automerge does: how much would come out of them?
//!
//! Columns are run-length encoded and may be deflated, so a hundred bytes can claim a billion operations. Here the runs
//! are added up and nothing is expanded. Format: the Automerge binary format specification, chunks and columns.

use std::panic::AssertUnwindSafe;

use crate::error::EchoError;

/// Operations and changes in one chunk, at most; or
pub(crate) const MOST_ROWS: u64 = 1_000_000;
/// so many for each of its bytes, since those that were written one by one take room,
const ROWS_OF_A_BYTE: u64 = 4;
/// and no more than these.
const MOST_ROWS_EVER: u64 = 16_000_000;
/// What all deflated parts of one message may come to.
const MOST_INFLATED: usize = 64 * 1024 * 1024;
pub(crate) const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];
const DEFLATED: u64 = 8;

type Checked<T> = Result<T, &'static str>;

/// Refuses bytes that are no chunks, or that claim absurd counts.
pub(crate) fn check(bytes: &[u8]) -> Result<(), EchoError> {
    let mut rest = Reader(bytes);
    let mut inflated = 0;
    while !rest.0.is_empty() {
        chunk(&mut rest, &mut inflated).map_err(|why| EchoError::malformed("document", why))?;
    }
    Ok(())
}

/// Does something with Automerge, which takes for granted of bytes what [`check`] does not know of (which change comes
/// after which, what an object is), and panics where it is not so. What it worked on is in no state then.
///
/// # Errors
/// [`EchoError::Malformed`] in place of a panic.
pub(crate) fn caught<T>(work: impl FnOnce() -> Result<T, EchoError>) -> Result<T, EchoError> {
    std::panic::catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(EchoError::malformed("document", "it contradicts itself")))
}

/// The first chunk, and what is behind it.
pub(crate) fn first(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut rest = Reader(bytes);
    rest.take(9).ok()?;
    let length = rest.length().ok()?;
    rest.take(length).ok()?;
    bytes.split_at_checked(bytes.len() - rest.0.len())
}

fn chunk(rest: &mut Reader<'_>, inflated: &mut usize) -> Checked<()> {
    if rest.take(4)? != MAGIC {
        return Err("it is no Automerge chunk");
    }
    rest.take(4)?; // The checksum is Automerge's to verify.
    let kind = rest.byte()?;
    let length = rest.length()?;
    let mut body = Reader(rest.take(length)?);
    let most = (length as u64).saturating_mul(ROWS_OF_A_BYTE).clamp(MOST_ROWS, MOST_ROWS_EVER);
    match kind {
        0 => document(&mut body, most, inflated),
        1 => change(&mut body, most, inflated),
        2 => {
            let whole = inflate(body.0, inflated)?;
            change(&mut Reader(&whole), most, inflated)
        }
        // Bundles are neither saved nor sent by anybody we talk to.
        _ => Err("its kind of chunk is not known here"),
    }
}

fn change(body: &mut Reader<'_>, most: u64, inflated: &mut usize) -> Checked<()> {
    let deps = body.count(32)?;
    body.take(deps.saturating_mul(32))?;
    body.prefixed()?; // Actor.
    body.number()?; // Sequence number.
    body.number()?; // First operation.
    body.number()?; // Time; a signed number has the same length.
    body.prefixed()?; // Message.
    let others = body.count(1)?;
    for _ in 0..others {
        body.prefixed()?; // Another actor.
    }
    let columns = body.columns()?;
    body.read_columns(&columns, &Limits { actors: others + 1, rows: most }, inflated)
}

fn document(body: &mut Reader<'_>, most: u64, inflated: &mut usize) -> Checked<()> {
    let actors = body.count(1)?;
    for _ in 0..actors {
        body.prefixed()?; // An actor.
    }
    let heads = body.count(32)?;
    body.take(heads.saturating_mul(32))?;
    let changes = body.columns()?;
    let operations = body.columns()?;
    let limits = Limits { actors, rows: most };
    body.read_columns(&changes, &limits, inflated)?;
    body.read_columns(&operations, &limits, inflated)
}

/// Inflates, adding to what was inflated before.
pub(crate) fn inflate(bytes: &[u8], inflated: &mut usize) -> Checked<Vec<u8>> {
    let left = MOST_INFLATED.saturating_sub(*inflated);
    let whole = miniz_oxide::inflate::decompress_to_vec_with_limit(bytes, left)
        .map_err(|_| "a deflated part is broken, or too large")?;
    *inflated += whole.len();
    Ok(whole)
}

/// What the columns of a chunk may say.
struct Limits {
    actors: usize,
    rows: u64,
}

/// Bytes, read one behind the other.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) const fn of(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// What was not read yet.
    pub(crate) const fn left(&self) -> &'a [u8] {
        self.0
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn take(&mut self, length: usize) -> Checked<&'a [u8]> {
        let (taken, left) = self.0.split_at_checked(length).ok_or("it is cut short")?;
        self.0 = left;
        Ok(taken)
    }

    pub(crate) fn byte(&mut self) -> Checked<u8> {
        let (first, left) = self.0.split_first().ok_or("it is cut short")?;
        self.0 = left;
        Ok(*first)
    }

    /// LEB128; a signed one is read by [`Self::signed`].
    pub(crate) fn number(&mut self) -> Checked<u64> {
        let mut number: u64 = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err("a number is too long")
    }

    pub(crate) fn signed(&mut self) -> Checked<i64> {
        let mut number: i64 = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= i64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                let width = shift + 7;
                let negative = byte & 0x40 != 0 && width < 64;
                return Ok(if negative { number | (-1 << width) } else { number });
            }
        }
        Err("a number is too long")
    }

    fn length(&mut self) -> Checked<usize> {
        usize::try_from(self.number()?).map_err(|_| "a length is too large")
    }

    /// A count of things that have `each` bytes at least: no more than there is room for.
    fn count(&mut self, each: usize) -> Checked<usize> {
        let count = self.length()?;
        if count > self.0.len() / each.max(1) {
            return Err("it is cut short");
        }
        Ok(count)
    }

    fn prefixed(&mut self) -> Checked<&'a [u8]> {
        let length = self.length()?;
        self.take(length)
    }

    /// Specification and length of each column.
    fn columns(&mut self) -> Checked<Vec<(u64, usize)>> {
        let count = self.count(2)?;
        (0..count).map(|_| Ok((self.number()?, self.length()?))).collect()
    }

    fn read_columns(
        &mut self,
        columns: &[(u64, usize)],
        limits: &Limits,
        inflated: &mut usize,
    ) -> Checked<()> {
        for (specification, length) in columns {
            let data = self.take(*length)?;
            if specification & DEFLATED == 0 {
                Reader(data).column(specification & 7, limits)?;
            } else {
                Reader(&inflate(data, inflated)?).column(specification & 7, limits)?;
            }
        }
        Ok(())
    }

    /// Adds up the runs of one column.
    fn column(&mut self, kind: u64, limits: &Limits) -> Checked<()> {
        let mut rows: u64 = 0;
        let mut add = |count: u64| {
            rows = rows.saturating_add(count);
            if rows > limits.rows { Err("it claims more than a million rows") } else { Ok(()) }
        };
        // 7: raw bytes, whose lengths another column gives.
        while kind != 7 && !self.0.is_empty() {
            if kind == 4 {
                add(self.number()?)?; // Booleans: how often in turn.
                continue;
            }
            match self.signed()? {
                0 => add(self.number()?)?, // Nulls.
                run if run > 0 => {
                    add(run.unsigned_abs())?;
                    self.value(kind, limits)?;
                }
                literals => {
                    add(literals.unsigned_abs())?;
                    for _ in 0..literals.unsigned_abs() {
                        self.value(kind, limits)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn value(&mut self, kind: u64, limits: &Limits) -> Checked<()> {
        match kind {
            // The number of an actor.
            1 if self.length()? >= limits.actors => Err("it names an actor that is not there"),
            1 => Ok(()),
            5 => self.prefixed().map(|_| ()),
            _ => self.number().map(|_| ()),
        }
    }
}

#[cfg(test)]
mod tests {
    use automerge::transaction::Transactable;
    use automerge::{AutoCommit, ROOT};
    use proptest::prelude::*;

    use super::*;

    fn saved(words: usize) -> (Vec<u8>, Vec<u8>) {
        let mut doc = AutoCommit::new();
        for number in 0..words {
            doc.put(ROOT, format!("key {number}"), format!("value {number}")).unwrap();
            doc.put(ROOT, "flag", number % 2 == 0).unwrap();
            doc.put(ROOT, "count", number as i64 - 3).unwrap();
            doc.put(ROOT, "float", 0.5).unwrap();
            doc.commit();
        }
        let changes = doc.save_after(&[]);
        (doc.save(), changes)
    }

    #[test]
    fn what_automerge_writes_passes() {
        for words in [0, 1, 3, 500] {
            let (whole, changes) = saved(words);
            check(&whole).unwrap();
            check(&changes).unwrap();
        }
    }

    // threat: 21
    #[test]
    fn a_claim_of_a_billion_operations_is_refused() {
        // No deps, an actor of one byte, seq 1, first op 1, time 0, no message, no other actors, and one column of
        // actions: a run of a billion.
        let mut body = vec![0, 1, 7, 1, 1, 0, 0, 0, 1, 0x42, 6];
        body.extend([0x80, 0x94, 0xeb, 0xdc, 0x03, 1]);
        let mut bytes = MAGIC.to_vec();
        bytes.extend([0, 0, 0, 0, 1, u8::try_from(body.len()).unwrap()]);
        bytes.extend(body);
        let refused = check(&bytes).unwrap_err();
        assert!(refused.to_string().contains("more than a million"), "{refused}");
    }

    // threat: 21
    #[test]
    fn an_actor_that_is_not_there_is_refused() {
        // As above, with one operation, on an object made by the actor of number 1 or 0: there is one actor.
        let named = |actor| {
            let body = [0, 1, 7, 1, 1, 0, 0, 0, 2, 0x01, 2, 0x42, 2, 0x7f, actor, 1, 1];
            [MAGIC.as_slice(), &[0, 0, 0, 0, 1, u8::try_from(body.len()).unwrap()], &body].concat()
        };
        assert!(check(&named(1)).unwrap_err().to_string().contains("an actor that is not there"));
        check(&named(0)).unwrap();
    }

    // threat: 21
    #[test]
    fn a_deflated_bomb_is_refused() {
        let zeroes = miniz_oxide::deflate::compress_to_vec(&vec![0; MOST_INFLATED + 1], 9);
        let mut bytes = MAGIC.to_vec();
        bytes.extend([0, 0, 0, 0, 2]);
        let mut length = zeroes.len();
        while length > 0x7f {
            bytes.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
            length >>= 7;
        }
        bytes.push(u8::try_from(length).unwrap());
        bytes.extend(zeroes);
        assert!(check(&bytes).unwrap_err().to_string().contains("too large"));
    }

    proptest! {
        #[test]
        fn any_bytes_end_in_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..300), at: prop::sample::Index, with: u8) {
            let _ = check(&bytes);
            let (mut whole, _) = saved(3);
            let at = at.index(whole.len());
            whole[at] = with;
            let _ = check(&whole);
            let _ = check(&whole[..at]);
        }
    }
}
