//! The proof that a device said two things at one number: it travels, and whoever gets it can check it alone.

use prost::Message;

use super::{BlockHash, BlockHeader, FeedError, HEADER_LENGTH, SignedHead};
use crate::keys::FeedKey;
use crate::statement::Signature;

/// Headers of a proof, both branches together: a fork that was found later than that is not proved to others.
const MOST_HEADERS: usize = 4_096;
/// What [`ForkProof::decode`] takes.
pub const LONGEST_PROOF: usize = MOST_HEADERS * (HEADER_LENGTH + 4) + 1_024;

/// What a feed says from the number on at which it splits, and the head that vouches for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    headers: Vec<BlockHeader>,
    head: SignedHead,
}

impl Branch {
    /// `headers` begin where the feed splits and end with the head.
    #[must_use]
    pub const fn new(headers: Vec<BlockHeader>, head: SignedHead) -> Self {
        Self { headers, head }
    }

    /// The number at which it begins, whose feed it is, and the name of its first block; if somebody vouches for that.
    fn verify(&self) -> Result<(FeedKey, u64, BlockHash), FeedError> {
        let malformed = FeedError::Malformed { what: "proof of a fork" };
        let first = self.headers.first().ok_or(malformed)?;
        let mut before: Option<(u64, BlockHash)> = None;
        for header in &self.headers {
            let at = header.sequence;
            let follows = before
                .is_none_or(|(number, name)| number.checked_add(1) == Some(at) && header.previous == name);
            if header.feed != first.feed || !follows {
                return Err(FeedError::Broken { at });
            }
            before = Some((at, header.hash()));
        }
        if before != Some((self.head.sequence, self.head.hash)) {
            return Err(FeedError::Broken { at: self.head.sequence });
        }
        self.head.verify(&first.feed)?;
        Ok((first.feed, first.sequence, first.hash()))
    }
}

/// Two branches of one feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForkProof {
    one: Branch,
    other: Branch,
}

#[derive(Clone, PartialEq, Message)]
struct Wire {
    #[prost(message, optional, tag = "1")]
    one: Option<WireBranch>,
    #[prost(message, optional, tag = "2")]
    other: Option<WireBranch>,
}

#[derive(Clone, PartialEq, Message)]
struct WireBranch {
    #[prost(bytes = "vec", repeated, tag = "1")]
    headers: Vec<Vec<u8>>,
    #[prost(bytes = "vec", tag = "2")]
    signature: Vec<u8>,
}

impl ForkProof {
    /// Puts two branches together.
    ///
    /// # Errors
    /// What [`Self::verify`] finds, or [`FeedError::TooMuch`].
    pub fn new(one: Branch, other: Branch) -> Result<Self, FeedError> {
        if one.headers.len() + other.headers.len() > MOST_HEADERS {
            return Err(FeedError::TooMuch);
        }
        let proof = Self { one, other };
        proof.verify()?;
        Ok(proof)
    }

    /// Whose feed splits, and at which number. Anybody can check this.
    ///
    /// # Errors
    /// [`FeedError`] if it proves nothing.
    pub fn verify(&self) -> Result<(FeedKey, u64), FeedError> {
        let (one, other) = (self.one.verify()?, self.other.verify()?);
        if (one.0, one.1) == (other.0, other.1) && one.2 != other.2 {
            Ok((one.0, one.1))
        } else {
            Err(FeedError::Malformed { what: "proof of a fork" })
        }
    }

    /// The encoded proof.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let branch = |branch: &Branch| WireBranch {
            headers: branch.headers.iter().map(|header| header.encode().to_vec()).collect(),
            signature: branch.head.signature.as_bytes().to_vec(),
        };
        Wire { one: Some(branch(&self.one)), other: Some(branch(&self.other)) }.encode_to_vec()
    }

    /// Reads an encoded proof, and checks that it proves something.
    ///
    /// # Errors
    /// [`FeedError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, FeedError> {
        let malformed = || FeedError::Malformed { what: "proof of a fork" };
        if bytes.len() > LONGEST_PROOF {
            return Err(FeedError::TooMuch);
        }
        let wire = Wire::decode(bytes).map_err(|_| malformed())?;
        let branch = |wire: Option<WireBranch>| -> Result<Branch, FeedError> {
            let wire = wire.ok_or_else(malformed)?;
            if wire.headers.len() > MOST_HEADERS {
                return Err(FeedError::TooMuch);
            }
            let headers: Vec<BlockHeader> =
                wire.headers.iter().map(|header| BlockHeader::decode(header)).collect::<Result<_, _>>()?;
            let last = headers.last().ok_or_else(malformed)?;
            let signature = Signature::from_bytes(wire.signature.try_into().map_err(|_| malformed())?);
            let head = SignedHead { sequence: last.sequence, hash: last.hash(), signature };
            Ok(Branch { headers, head })
        };
        Self::new(branch(wire.one)?, branch(wire.other)?)
    }
}
