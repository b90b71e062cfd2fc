//! What is inside a frame.
//!
//! A frame of a lane is a row of *parts* of messages and of credits; a signal frame is a row of *signs*. Numbers are most
//! significant byte first.

use super::seal::SEAL_OVERHEAD;
use super::stream::{LONGEST_MESSAGE, StreamId};

/// A frame, sealed. 16 KiB: what every WebRTC implementation takes in one message (RFC 8831, §6.6).
pub const LONGEST_FRAME: usize = 16 * 1024;
/// Inside it.
pub(super) const LONGEST_PLAIN: usize = LONGEST_FRAME - SEAL_OVERHEAD;
/// Of a part, besides its bytes: kind, stream, total, length.
pub(super) const PART_OVERHEAD: usize = 1 + 2 + 4 + 2;
/// Of a credit.
pub(super) const CREDIT_LENGTH: usize = 1 + 2 + 8;
/// Ranges in one acknowledgement.
pub(super) const MOST_RANGES: usize = 32;

/// One thing in a frame of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// The beginning of a message, or all of it.
    First { stream: StreamId, total: usize, bytes: &'a [u8] },
    /// More of the message begun before on that stream.
    More { stream: StreamId, bytes: &'a [u8] },
    /// All that may be sent on a stream, counted from its beginning.
    Credit { stream: StreamId, granted: u64 },
}

/// One thing in a signal frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sign {
    /// Of a lane came everything below `next`, and these ranges (first and last) above.
    Ack { bulk: bool, next: u64, ranges: Vec<(u64, u64)> },
    /// Answer with the same number on the same path.
    Ping(u64),
    /// The answer.
    Pong(u64),
    /// Nothing follows.
    Close(u8),
}

impl Part<'_> {
    /// Writes it at the end of a frame.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let (kind, stream) = match self {
            Self::First { stream, .. } => (1, stream),
            Self::More { stream, .. } => (2, stream),
            Self::Credit { stream, .. } => (3, stream),
        };
        out.push(kind);
        out.extend_from_slice(&stream.to_wire().to_be_bytes());
        match self {
            Self::First { total, bytes, .. } => {
                let total = u32::try_from(*total).unwrap_or_default();
                out.extend_from_slice(&total.to_be_bytes());
                write_sized(out, bytes);
            }
            Self::More { bytes, .. } => write_sized(out, bytes),
            Self::Credit { granted, .. } => out.extend_from_slice(&granted.to_be_bytes()),
        }
    }
}

/// Reads the parts of a frame; `None` if it is not made of them to its last byte.
pub(super) fn parts(mut plain: &[u8]) -> Option<Vec<Part<'_>>> {
    let mut parts = Vec::new();
    while !plain.is_empty() {
        let rest = &mut plain;
        let kind = byte(rest)?;
        let stream = StreamId::from_wire(u16::from_be_bytes(chunk(rest)?))?;
        parts.push(match kind {
            1 => {
                let total = usize::try_from(u32::from_be_bytes(chunk(rest)?)).ok()?;
                let bytes = sized(rest)?;
                if total > LONGEST_MESSAGE || bytes.len() > total {
                    return None;
                }
                Part::First { stream, total, bytes }
            }
            // An empty one would move nothing, for ever.
            2 => Part::More { stream, bytes: sized(rest).filter(|bytes| !bytes.is_empty())? },
            3 => Part::Credit { stream, granted: u64::from_be_bytes(chunk(rest)?) },
            _ => return None,
        });
    }
    Some(parts)
}

impl Sign {
    /// Writes it at the end of a signal frame.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Ack { bulk, next, ranges } => {
                out.push(if *bulk { 2 } else { 1 });
                out.extend_from_slice(&next.to_be_bytes());
                out.push(u8::try_from(ranges.len().min(MOST_RANGES)).unwrap_or_default());
                for (first, last) in ranges.iter().take(MOST_RANGES) {
                    out.extend_from_slice(&first.to_be_bytes());
                    out.extend_from_slice(&last.to_be_bytes());
                }
            }
            Self::Ping(token) => {
                out.push(3);
                out.extend_from_slice(&token.to_be_bytes());
            }
            Self::Pong(token) => {
                out.push(4);
                out.extend_from_slice(&token.to_be_bytes());
            }
            Self::Close(code) => out.extend_from_slice(&[5, *code]),
        }
    }
}

/// Reads the signs of a signal frame; `None` if it is not made of them to its last byte.
pub(super) fn signs(mut plain: &[u8]) -> Option<Vec<Sign>> {
    let mut signs = Vec::new();
    while !plain.is_empty() {
        let rest = &mut plain;
        signs.push(match byte(rest)? {
            kind @ (1 | 2) => {
                let next = u64::from_be_bytes(chunk(rest)?);
                let count = usize::from(byte(rest)?);
                if count > MOST_RANGES {
                    return None;
                }
                let mut ranges = Vec::with_capacity(count);
                for _ in 0..count {
                    let range = (u64::from_be_bytes(chunk(rest)?), u64::from_be_bytes(chunk(rest)?));
                    if range.0 > range.1 {
                        return None;
                    }
                    ranges.push(range);
                }
                Sign::Ack { bulk: kind == 2, next, ranges }
            }
            3 => Sign::Ping(u64::from_be_bytes(chunk(rest)?)),
            4 => Sign::Pong(u64::from_be_bytes(chunk(rest)?)),
            5 => Sign::Close(byte(rest)?),
            _ => return None,
        });
    }
    Some(signs)
}

fn write_sized(out: &mut Vec<u8>, bytes: &[u8]) {
    // Parts are made to fit a frame, which two bytes can count.
    out.extend_from_slice(&u16::try_from(bytes.len()).unwrap_or_default().to_be_bytes());
    out.extend_from_slice(bytes);
}

fn byte(rest: &mut &[u8]) -> Option<u8> {
    let (first, after) = rest.split_first()?;
    *rest = after;
    Some(*first)
}

fn chunk<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*first)
}

fn sized<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::from(u16::from_be_bytes(chunk(rest)?));
    let (bytes, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(bytes)
}

/// Reads any bytes as both kinds of frame and writes what was read.
#[cfg(fuzzing)]
pub fn fuzz(bytes: &[u8]) {
    if let Some(parts) = parts(bytes) {
        let mut again = Vec::new();
        parts.iter().for_each(|part| part.write(&mut again));
        assert_eq!(again, bytes);
    }
    if let Some(signs) = signs(bytes) {
        let mut again = Vec::new();
        signs.iter().for_each(|sign| sign.write(&mut again));
        assert_eq!(again, bytes);
    }
}
