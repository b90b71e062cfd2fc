//! Limits that strangers meet, counted by block of addresses.
//!
//! An address costs an attacker nothing: a household has a /56 of IPv6, and a cloud a /24 of IPv4. So limits count
//! blocks. A block is known only by a hash under a key of this process, drawn at its start: memory holds no address
//! of anyone.
//!
//! Tables are bounded too. When one is full, blocks that have been quiet are forgotten; if that does not help,
//! strangers are refused rather than remembered.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Instant;

use sha2::{Digest, Sha256};

/// A block of addresses: a /24 of IPv4, or a /56 of IPv6.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Block([u8; 8]);

/// Tells blocks of addresses apart.
#[derive(Clone)]
pub struct Blocks {
    key: [u8; 16],
}

impl Blocks {
    /// With a key that was drawn for this process.
    #[must_use]
    pub fn new(key: [u8; 16]) -> Self {
        Self { key }
    }

    /// The block that an address belongs to.
    #[must_use]
    pub fn of(&self, address: IpAddr) -> Block {
        let mut hash = Sha256::new().chain_update(self.key);
        match address.to_canonical() {
            IpAddr::V4(address) => {
                let [a, b, c, _] = address.octets();
                hash.update([4, a, b, c]);
            }
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                hash.update([6]);
                for segment in [a, b, c, d & 0xff00] {
                    hash.update(segment.to_be_bytes());
                }
            }
        }
        let mut block = [0; 8];
        block.iter_mut().zip(hash.finalize()).for_each(|(to, from)| *to = from);
        Block(block)
    }
}

/// A measure that fills again with time: so much a second, and so much at once.
#[derive(Debug, Clone)]
pub struct Bucket {
    a_second: u32,
    at_once: u32,
    /// In thousandths, so that slow rates do not round away.
    left: u64,
    since: Instant,
}

impl Bucket {
    /// A full one.
    #[must_use]
    pub fn full(a_second: u32, at_once: u32, now: Instant) -> Self {
        Self { a_second, at_once, left: u64::from(at_once) * 1000, since: now }
    }

    /// Takes `cost`, if there is as much.
    pub fn take(&mut self, cost: u32, now: Instant) -> bool {
        self.fill(now);
        let cost = u64::from(cost) * 1000;
        let enough = self.left >= cost;
        if enough {
            self.left -= cost;
        }
        enough
    }

    /// Takes `cost` in any case, and says for how long that was too early.
    pub fn borrow(&mut self, cost: u32, now: Instant) -> std::time::Duration {
        self.fill(now);
        let cost = u64::from(cost) * 1000;
        let missing = cost.saturating_sub(self.left);
        self.left = self.left.saturating_sub(cost);
        let wait = std::time::Duration::from_millis(missing.div_ceil(u64::from(self.a_second.max(1))));
        // What was lent is paid by the time that passes until then.
        self.since = self.since.checked_add(wait).unwrap_or(self.since);
        wait
    }

    fn fill(&mut self, now: Instant) {
        let millis = now.saturating_duration_since(self.since).as_millis();
        if millis > 0 {
            let more = u64::try_from(millis).unwrap_or(u64::MAX).saturating_mul(u64::from(self.a_second));
            self.left = self.left.saturating_add(more).min(u64::from(self.at_once) * 1000);
            self.since = now;
        }
    }

    fn is_full(&mut self, now: Instant) -> bool {
        self.fill(now);
        self.left == u64::from(self.at_once) * 1000
    }
}

/// A bucket for each block of addresses.
pub struct Rates {
    a_second: u32,
    at_once: u32,
    buckets: HashMap<Block, Bucket>,
}

/// Blocks that are remembered at once: some 5 MB.
const MOST_BLOCKS: usize = 65_536;

impl Rates {
    /// So much a second, and so much at once, for each.
    #[must_use]
    pub fn new(a_second: u32, at_once: u32) -> Self {
        Self { a_second, at_once, buckets: HashMap::new() }
    }

    /// Takes `cost` from the block's bucket, if there is as much.
    pub fn take(&mut self, block: Block, cost: u32, now: Instant) -> bool {
        if self.buckets.len() >= MOST_BLOCKS && !self.buckets.contains_key(&block) {
            self.forget(now);
            if self.buckets.len() >= MOST_BLOCKS {
                return false;
            }
        }
        let fresh = || Bucket::full(self.a_second, self.at_once, now);
        self.buckets.entry(block).or_insert_with(fresh).take(cost, now)
    }

    /// Forgets the blocks that have been quiet for so long that they have all of theirs again.
    pub fn forget(&mut self, now: Instant) {
        self.buckets.retain(|_, bucket| !bucket.is_full(now));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn block(text: &str) -> Block {
        Blocks::new([1; 16]).of(text.parse().unwrap())
    }

    #[test]
    fn neighbours_are_one_block_and_strangers_are_not() {
        assert!(block("203.0.113.1") == block("203.0.113.254"));
        assert!(block("203.0.113.1") != block("203.0.114.1"));
        assert!(block("::ffff:203.0.113.1") == block("203.0.113.2"), "the same in another notation");
        assert!(block("2001:db8:1:1100::1") == block("2001:db8:1:11ff:9::1"), "a household");
        assert!(block("2001:db8:1:1100::1") != block("2001:db8:1:1200::1"));
        let other = Blocks::new([2; 16]).of("203.0.113.1".parse().unwrap());
        assert!(block("203.0.113.1") != other, "the hash means nothing to another process");
    }

    #[test]
    fn a_bucket_gives_what_it_has_and_fills_again() {
        let start = Instant::now();
        let mut bucket = Bucket::full(10, 20, start);
        assert!(bucket.take(20, start));
        assert!(!bucket.take(1, start));
        let later = start + Duration::from_millis(100);
        assert!(bucket.take(1, later));
        assert!(!bucket.take(1, later));
        let much_later = start + Duration::from_secs(3600);
        assert!(!bucket.take(21, much_later), "never more than at once");
        assert!(bucket.take(20, much_later));
    }

    #[test]
    fn what_is_borrowed_is_waited_for() {
        let start = Instant::now();
        let mut bucket = Bucket::full(1000, 1000, start);
        assert_eq!(bucket.borrow(1000, start), Duration::ZERO);
        assert_eq!(bucket.borrow(500, start), Duration::from_millis(500));
        let paid = start + Duration::from_millis(500);
        assert_eq!(bucket.borrow(100, paid), Duration::from_millis(100), "nothing was given twice");
    }

    // threat: 40
    #[test]
    fn a_crowd_of_blocks_is_refused_rather_than_remembered() {
        let start = Instant::now();
        let mut rates = Rates::new(1, 2);
        let crowd = |number: u32| {
            Block([
                0,
                0,
                0,
                0,
                number.to_be_bytes()[0],
                number.to_be_bytes()[1],
                number.to_be_bytes()[2],
                number.to_be_bytes()[3],
            ])
        };
        for number in 0..u32::try_from(MOST_BLOCKS).unwrap() {
            assert!(rates.take(crowd(number), 1, start));
        }
        assert!(!rates.take(crowd(u32::MAX), 1, start), "one block too many");
        assert!(rates.take(crowd(0), 1, start), "who is known still gets theirs");
        assert!(rates.take(crowd(u32::MAX), 1, start + Duration::from_secs(5)), "the quiet are forgotten");
        assert_eq!(rates.buckets.len(), 1);
    }

    #[test]
    fn who_has_been_quiet_is_forgotten_and_nobody_gains_by_it() {
        let start = Instant::now();
        let mut rates = Rates::new(1, 3);
        let (often, once) = (block("203.0.113.1"), block("198.51.100.1"));
        assert!(rates.take(often, 3, start) && rates.take(once, 1, start));
        rates.forget(start + Duration::from_secs(1));
        assert!(!rates.buckets.contains_key(&once));
        assert!(!rates.take(often, 2, start + Duration::from_secs(1)), "a limit that still counts");
        rates.forget(start + Duration::from_secs(3));
        assert!(rates.buckets.is_empty());
    }
}
