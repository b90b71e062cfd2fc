//! Streams: what is said side by side over one channel.

use std::fmt;

/// A message; longer ones are not sent, and a peer that announces one is cut off.
pub const LONGEST_MESSAGE: usize = 1024 * 1024;

/// Which stream goes first. The first two never wait for the third.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Who is who, invitations, credentials: at once, over any path.
    Control = 0,
    /// What a person waits for: after control, over any path.
    Interactive = 1,
    /// Everything else: over a direct path, and over the relay in small portions.
    Bulk = 2,
}

/// Names a stream; the same at both ends, each of which may send on it. Carries its priority.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(u16);

impl StreamId {
    /// Stream `number` (14 bits; the upper two are ignored) of a priority.
    #[must_use]
    pub const fn new(priority: Priority, number: u16) -> Self {
        Self(((priority as u16) << 14) | (number & 0x3fff))
    }

    /// How urgent it is.
    #[must_use]
    pub const fn priority(self) -> Priority {
        match self.0 >> 14 {
            0 => Priority::Control,
            1 => Priority::Interactive,
            _ => Priority::Bulk,
        }
    }

    /// Its number among those of its priority.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0 & 0x3fff
    }

    pub(super) const fn to_wire(self) -> u16 {
        self.0
    }

    pub(super) const fn from_wire(wire: u16) -> Option<Self> {
        if wire >> 14 == 3 { None } else { Some(Self(wire)) }
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:?}({})", self.priority(), self.number())
    }
}
