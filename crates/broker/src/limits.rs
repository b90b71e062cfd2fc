//! How much anybody may ask of the broker, and how fast.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A token bucket: `burst` at once, `per_second` in the long run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// What may come at once.
    pub burst: f64,
    /// What may come in the long run.
    pub per_second: f64,
}

/// The bounds of everything that a stranger can make grow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Time for the head of a request to arrive; also how long a connection may idle.
    pub head: Duration,
    /// Time for the body of a request to arrive.
    pub body: Duration,
    /// Longest body, in bytes.
    pub body_bytes: usize,
    /// Longest target of a request (path and query), in bytes.
    pub target_bytes: usize,
    /// Connections at once; beyond that the one that has idled longest is closed.
    pub connections: usize,
    /// Connections of one process at once.
    pub connections_per_process: usize,
    /// WebSockets at once.
    pub sockets: usize,
    /// Requests of one origin or program.
    pub requests: Rate,
    /// Requests to sign in of one origin or program.
    pub asks: Rate,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            body: Duration::from_secs(10),
            body_bytes: 64 * 1024,
            target_bytes: 8 * 1024,
            // Below the customary 1,024 descriptors a process, with room for the store and the sockets.
            connections: 512,
            connections_per_process: 128,
            sockets: 256,
            requests: Rate { burst: 2_000.0, per_second: 100.0 },
            asks: Rate { burst: 300.0, per_second: 10.0 },
        }
    }
}

/// Sources remembered; the one that has been quiet longest makes room.
const MOST_SOURCES: usize = 2_048;

/// The buckets of everybody who asked lately.
#[derive(Debug)]
pub(crate) struct Buckets {
    rate: Rate,
    levels: Mutex<HashMap<String, Level>>,
}

#[derive(Debug, Clone, Copy)]
struct Level {
    left: f64,
    at: Instant,
}

impl Buckets {
    pub(crate) fn new(rate: Rate) -> Self {
        Self { rate, levels: Mutex::new(HashMap::new()) }
    }

    /// Takes one token of `source`; `Err` says in how many whole seconds there will be one.
    pub(crate) fn take(&self, source: &str, now: Instant) -> Result<(), u64> {
        let mut levels = lock(&self.levels);
        if !levels.contains_key(source) && levels.len() >= MOST_SOURCES {
            let quietest = levels.iter().min_by_key(|(_, level)| level.at).map(|(name, _)| name.clone());
            if let Some(quietest) = quietest {
                levels.remove(&quietest);
            }
        }
        let level = levels.entry(source.to_owned()).or_insert(Level { left: self.rate.burst, at: now });
        let earned = now.saturating_duration_since(level.at).as_secs_f64() * self.rate.per_second;
        level.left = (level.left + earned).min(self.rate.burst);
        level.at = now;
        if level.left < 1.0 {
            let wait = (1.0 - level.left) / self.rate.per_second.max(0.001);
            return Err(Duration::from_secs_f64(wait).as_secs().saturating_add(1));
        }
        level.left -= 1.0;
        Ok(())
    }
}

/// A lock that survives a panic of another holder: the tables hold nothing that could be half changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_and_fills_again() {
        let buckets = Buckets::new(Rate { burst: 2.0, per_second: 0.5 });
        let start = Instant::now();
        assert_eq!(buckets.take("a", start), Ok(()));
        assert_eq!(buckets.take("a", start), Ok(()));
        assert_eq!(buckets.take("a", start), Err(3), "half a token a second, so two, rounded up");
        assert_eq!(buckets.take("b", start), Ok(()), "another source has its own");
        assert_eq!(buckets.take("a", start + Duration::from_secs(2)), Ok(()));
    }

    // threat: 11
    #[test]
    fn memory_of_sources_is_bounded() {
        let buckets = Buckets::new(Rate { burst: 1.0, per_second: 1.0 });
        let now = Instant::now();
        for n in 0..3 * MOST_SOURCES {
            assert_eq!(buckets.take(&n.to_string(), now), Ok(()));
        }
        assert_eq!(lock(&buckets.levels).len(), MOST_SOURCES);
    }
}
