//! Lines in and out of a socket, in buffers that are wiped.

use std::io;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt};
use zeroize::{Zeroize, Zeroizing};

/// What a buffer starts with: enough for every request, so that it is never moved.
const FIRST: usize = 64 * 1024;

/// Reads lines. What was read is wiped when the next line is asked for, and at the end.
pub(super) struct Lines<R> {
    from: R,
    buffer: Zeroizing<Vec<u8>>,
    longest: usize,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    /// Reads lines of at most `longest` bytes.
    pub(super) fn new(from: R, longest: usize) -> Self {
        Self { from, buffer: Zeroizing::new(Vec::with_capacity(FIRST.min(longest + 1))), longest }
    }

    /// The next line without its end; `None` at the end of the stream.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] for a line that is too long or cut off; what the socket says otherwise.
    pub(super) async fn next(&mut self) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        let mut seen = 0;
        loop {
            let fresh = self.buffer.get(seen..).unwrap_or_default();
            let end = fresh.iter().position(|byte| *byte == b'\n').map(|end| seen + end);
            seen = self.buffer.len();
            if end.unwrap_or(seen) > self.longest {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the line is too long"));
            }
            if let Some(end) = end {
                return Ok(Some(self.take(end)));
            }
            if self.buffer.capacity() == seen {
                self.grow();
            }
            if self.from.read_buf(&mut *self.buffer).await? == 0 {
                if seen == 0 {
                    return Ok(None);
                }
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the line was cut off"));
            }
        }
    }

    /// Resolves at the end of the stream. What comes meanwhile is kept for [`Self::next`]; more than one line's
    /// worth of it counts as the end, too.
    pub(super) async fn closed(&mut self) {
        while self.buffer.len() <= self.longest {
            if self.buffer.capacity() == self.buffer.len() {
                self.grow();
            }
            match self.from.read_buf(&mut *self.buffer).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
    }

    fn take(&mut self, end: usize) -> Zeroizing<Vec<u8>> {
        let line = Zeroizing::new(self.buffer.get(..end).unwrap_or_default().to_vec());
        let mut rest = Zeroizing::new(Vec::with_capacity(self.buffer.capacity()));
        rest.extend_from_slice(self.buffer.get(end + 1..).unwrap_or_default());
        self.buffer = rest;
        line
    }

    /// Moves to a larger buffer; the smaller one is wiped, which `Vec::reserve` would not do.
    fn grow(&mut self) {
        let mut larger = Zeroizing::new(Vec::with_capacity(self.buffer.capacity().max(FIRST) * 2));
        larger.extend_from_slice(&self.buffer);
        self.buffer = larger;
    }
}

/// Overwrites every text in a value.
pub(super) fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(values) => values.iter_mut().for_each(wipe),
        Value::Object(fields) => fields.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Encodes one line into a buffer that is wiped.
pub(super) fn line(value: &impl serde::Serialize) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(4 * 1024));
    serde_json::to_writer(Growing(&mut bytes), value)?;
    Growing(&mut bytes).push(b"\n");
    Ok(bytes)
}

/// Grows by moving into a larger buffer and wiping the smaller one.
struct Growing<'a>(&'a mut Zeroizing<Vec<u8>>);

impl Growing<'_> {
    fn push(&mut self, bytes: &[u8]) {
        let needed = self.0.len() + bytes.len();
        if needed > self.0.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(needed * 2));
            larger.extend_from_slice(self.0);
            *self.0 = larger;
        }
        self.0.extend_from_slice(bytes);
    }
}

impl io::Write for Growing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_told_apart_and_bounded() {
        let mut lines = Lines::new(&b"one\n\ntwo\nthree is long\n"[..], 8);
        assert_eq!(lines.next().await.unwrap().unwrap().as_slice(), b"one");
        assert_eq!(lines.next().await.unwrap().unwrap().as_slice(), b"");
        assert_eq!(lines.next().await.unwrap().unwrap().as_slice(), b"two");
        assert!(lines.next().await.is_err(), "longer than eight bytes");
    }

    #[tokio::test]
    async fn a_line_without_end_is_an_error_and_nothing_is_the_end() {
        assert!(Lines::new(&b"half"[..], 8).next().await.is_err());
        assert!(Lines::new(&b""[..], 8).next().await.unwrap().is_none());
    }

    #[test]
    fn a_long_answer_is_one_line() {
        let text = line(&serde_json::json!({"a": "x".repeat(10_000)})).unwrap();
        assert_eq!(text.iter().filter(|byte| **byte == b'\n').count(), 1);
        assert!(text.len() > 10_000);
    }
}
