//! What peers of a space say to each other.

use halo_protocol::FeedKey;
use halo_protocol::feed::{Block, EpochId, ForkProof, LONGEST_PROOF, SignedHead};

/// A larger snapshot is not taken.
pub const LONGEST_SNAPSHOT: u64 = 1024 * 1024 * 1024;

/// A snapshot that a peer has, of a space whose oldest blocks it dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotOffer {
    /// SHA-256 of its bytes.
    pub id: [u8; 32],
    /// How many bytes.
    pub size: u64,
    /// How many blocks of each feed it stands for; ascending by feed.
    pub base: Vec<(FeedKey, u64)>,
}

/// A message about one space. Which space, the caller's stream says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// How many blocks of each feed are durable here.
    Have {
        /// Feed and count, ascending.
        timeframe: Vec<(FeedKey, u64)>,
        /// Something is missing: everything beyond it is to be sent (again).
        again: bool,
        /// Somebody looks at the space here: its blocks are to come before those of others.
        on_screen: bool,
    },
    /// A run of blocks of one feed.
    Blocks {
        /// At most 1,024.
        blocks: Vec<Block>,
        /// Of the last one; none if it is the last of a feed that was cut, which the receiver knows to be so.
        head: Option<SignedHead>,
    },
    /// A feed splits.
    Forked(Box<ForkProof>),
    /// Content keys are missing here.
    KeysWanted(Vec<EpochId>),
    /// Content keys, sealed to the peer: encoded [`halo_protocol::epoch::EpochShare`]s.
    Keys(Vec<Vec<u8>>),
    /// Blocks that the peer lacks are not here any more; this stands for them.
    SnapshotOffer(SnapshotOffer),
    /// Send it, from there on.
    SnapshotWanted {
        /// Which.
        id: [u8; 32],
        /// How many bytes are durable already.
        from: u64,
    },
    /// A part of it.
    SnapshotChunk {
        /// Of which.
        id: [u8; 32],
        /// Where it begins.
        offset: u64,
        /// The bytes.
        bytes: Vec<u8>,
    },
}

/// What goes first where not everything goes at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Who is who, what there is, what is wrong.
    Control,
    /// Blocks of the HALO space, which say what spaces there are and what opens them.
    Halo,
    /// Blocks of a space that somebody looks at, there where they go, or its snapshot.
    OnScreen,
    /// Other blocks.
    Data,
    /// Other snapshots.
    Bulk,
}

impl Urgency {
    /// All, in order.
    pub const ALL: [Self; 5] = [Self::Control, Self::Halo, Self::OnScreen, Self::Data, Self::Bulk];

    /// Of blocks of a space that somebody looks at where they go, or nobody.
    pub(super) const fn of_blocks(on_screen: bool) -> Self {
        if on_screen { Self::OnScreen } else { Self::Data }
    }

    /// Of a snapshot of such a space.
    pub(super) const fn of_snapshot(on_screen: bool) -> Self {
        if on_screen { Self::OnScreen } else { Self::Bulk }
    }

    /// Of the same in the HALO space, whoever looks at it.
    #[must_use]
    pub const fn in_halo_space(self) -> Self {
        if matches!(self, Self::Control) { self } else { Self::Halo }
    }
}

impl Message {
    /// How urgent it is. The caller says whether the peer's user looks at the space ([`super::Link::is_watched`]).
    #[must_use]
    pub const fn urgency(&self, on_screen: bool) -> Urgency {
        match self {
            Self::Have { .. }
            | Self::Forked(_)
            | Self::KeysWanted(_)
            | Self::Keys(_)
            | Self::SnapshotOffer(_)
            | Self::SnapshotWanted { .. } => Urgency::Control,
            Self::Blocks { .. } => Urgency::of_blocks(on_screen),
            Self::SnapshotChunk { .. } => Urgency::of_snapshot(on_screen),
        }
    }

    /// How many bytes it takes while it waits, or a few more.
    #[must_use]
    pub fn weight(&self) -> usize {
        let each = |parts: &[Vec<u8>]| parts.iter().map(|part| part.len() + size_of::<Vec<u8>>()).sum();
        let inside: usize = match self {
            Self::Have { timeframe, .. } => size_of_val(timeframe.as_slice()),
            Self::Blocks { blocks, .. } => {
                blocks.iter().map(|block| block.sealed.len() + size_of::<Block>()).sum()
            }
            Self::Forked(_) => LONGEST_PROOF,
            Self::KeysWanted(epochs) => size_of_val(epochs.as_slice()),
            Self::Keys(shares) => each(shares),
            Self::SnapshotOffer(offer) => size_of_val(offer.base.as_slice()),
            Self::SnapshotWanted { .. } => 0,
            Self::SnapshotChunk { bytes, .. } => bytes.len(),
        };
        inside + size_of::<Self>()
    }
}
