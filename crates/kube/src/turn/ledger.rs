//! Who holds how many relayed addresses, and how much may still pass.
//!
//! coturn comes without quotas, and open relays get used. Here they are on: so many addresses a name, a block of
//! addresses, and the whole server; so many bytes a second each.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use halo_mesh::limits::{Block, Bucket};

/// How much TURN gives.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quotas {
    /// Relayed addresses at once, under one name.
    pub(crate) each_name: usize,
    /// From one block of addresses: a /24, or a /56 of IPv6.
    pub(crate) each_block: usize,
    /// Altogether.
    pub(crate) altogether: usize,
    /// Bytes a second through one relayed address, each way together; and as many at once.
    pub(crate) bytes: u32,
}

impl Default for Quotas {
    fn default() -> Self {
        Self { each_name: 8, each_block: 64, altogether: 2_000, bytes: 8 * 1024 * 1024 }
    }
}

/// What `/metrics` says about TURN.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Bytes that were passed on.
    pub(crate) relayed: AtomicU64,
    /// Packets to or from where TURN may not reach.
    pub(crate) denied: AtomicU64,
    /// Requests for more than the quota, and packets beyond it.
    pub(crate) over_quota: AtomicU64,
}

/// The accounts. Cloning shares them.
#[derive(Clone)]
pub(crate) struct Ledger {
    quotas: Quotas,
    counters: Arc<Counters>,
    accounts: Arc<Mutex<Accounts>>,
}

#[derive(Default)]
struct Accounts {
    /// Whose request is being answered: the server answers one at a time, and asks for a relayed address meanwhile.
    asking: Option<Asker>,
    sources: HashMap<SocketAddr, usize>,
    names: HashMap<String, usize>,
    blocks: HashMap<Block, usize>,
    altogether: usize,
}

/// Who asks for a relayed address.
#[derive(Clone)]
pub(crate) struct Asker {
    pub(crate) source: SocketAddr,
    pub(crate) name: String,
    pub(crate) block: Block,
}

impl Ledger {
    pub(crate) fn new(quotas: Quotas, counters: Arc<Counters>) -> Self {
        Self { quotas, counters, accounts: Arc::default() }
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// How many relayed addresses there are.
    pub(crate) fn altogether(&self) -> usize {
        self.accounts().altogether
    }

    /// Whether packets from here belong to somebody with a relayed address.
    pub(crate) fn has(&self, source: SocketAddr) -> bool {
        self.accounts().sources.contains_key(&source)
    }

    /// Whether one more relayed address may be given; if so, it goes to this asker.
    pub(crate) fn admit(&self, asker: Asker) -> bool {
        let mut accounts = self.accounts();
        let held = |count: Option<&usize>| count.copied().unwrap_or(0);
        let fits = accounts.altogether < self.quotas.altogether
            && held(accounts.names.get(&asker.name)) < self.quotas.each_name
            && held(accounts.blocks.get(&asker.block)) < self.quotas.each_block;
        if fits {
            accounts.asking = Some(asker);
        } else {
            self.counters.over_quota.fetch_add(1, Ordering::Relaxed);
        }
        fits
    }

    /// The request is answered: who asked is nobody's business any more.
    pub(crate) fn answered(&self) {
        self.accounts().asking = None;
    }

    /// Books a relayed address to whoever asks; it is given back when the lease is dropped.
    pub(crate) fn lease(&self) -> Option<Lease> {
        let mut accounts = self.accounts();
        let asker = accounts.asking.clone()?;
        *accounts.sources.entry(asker.source).or_default() += 1;
        *accounts.names.entry(asker.name.clone()).or_default() += 1;
        *accounts.blocks.entry(asker.block).or_default() += 1;
        accounts.altogether += 1;
        let bucket = Mutex::new(Bucket::full(self.quotas.bytes, self.quotas.bytes, Instant::now()));
        Some(Lease { ledger: self.clone(), asker, bucket })
    }

    fn accounts(&self) -> MutexGuard<'_, Accounts> {
        // Counters are whole after every step, so a panic elsewhere spoils nothing.
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One relayed address that somebody holds.
pub(crate) struct Lease {
    ledger: Ledger,
    asker: Asker,
    bucket: Mutex<Bucket>,
}

impl Lease {
    /// Whether so many bytes may pass now.
    pub(crate) fn pass(&self, bytes: usize) -> bool {
        let cost = u32::try_from(bytes).unwrap_or(u32::MAX);
        let passes = self.bucket.lock().unwrap_or_else(PoisonError::into_inner).take(cost, Instant::now());
        let counters = self.ledger.counters();
        if passes {
            counters.relayed.fetch_add(u64::from(cost), Ordering::Relaxed);
        } else {
            counters.over_quota.fetch_add(1, Ordering::Relaxed);
        }
        passes
    }

    /// Counts a packet that TURN may not pass on.
    pub(crate) fn deny(&self) {
        self.ledger.counters().denied.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut accounts = self.ledger.accounts();
        accounts.altogether = accounts.altogether.saturating_sub(1);
        give_back(&mut accounts.sources, &self.asker.source);
        give_back(&mut accounts.names, &self.asker.name);
        give_back(&mut accounts.blocks, &self.asker.block);
    }
}

fn give_back<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use halo_mesh::limits::Blocks;

    use super::*;

    fn asker(name: &str, port: u16) -> Asker {
        let ip = Ipv4Addr::new(203, 0, 113, 7).into();
        Asker { source: SocketAddr::new(ip, port), name: name.to_owned(), block: Blocks::new([0; 16]).of(ip) }
    }

    // threat: 41
    #[test]
    fn quotas_are_on_and_what_is_given_back_can_be_had_again() {
        let quotas = Quotas { each_name: 2, each_block: 3, altogether: 4, bytes: 100 };
        let ledger = Ledger::new(quotas, Arc::default());
        let mut leases = Vec::new();
        for port in 1..=2 {
            assert!(ledger.admit(asker("a", port)));
            leases.push(ledger.lease().unwrap());
        }
        assert!(!ledger.admit(asker("a", 3)), "a third under this name");
        assert!(ledger.admit(asker("b", 3)));
        leases.push(ledger.lease().unwrap());
        assert!(!ledger.admit(asker("c", 4)), "a fourth from this block, under any name");
        assert_eq!(ledger.altogether(), 3);
        leases.clear();
        assert_eq!(ledger.altogether(), 0);
        assert!(!ledger.has(asker("a", 1).source), "nothing is remembered of who was here");
        assert!(ledger.admit(asker("a", 1)));
        assert_eq!(Quotas::default().each_name, 8, "without being asked for");
    }

    #[test]
    fn bytes_beyond_the_rate_do_not_pass() {
        let quotas = Quotas { bytes: 100, ..Quotas::default() };
        let ledger = Ledger::new(quotas, Arc::default());
        assert!(ledger.admit(asker("a", 1)));
        let lease = ledger.lease().unwrap();
        assert!(lease.pass(90));
        assert!(!lease.pass(90));
        assert_eq!(ledger.counters().relayed.load(Ordering::Relaxed), 90);
    }
}
