//! What happens around us: the machine slept, or the network changed.
//!
//! Either way connections may be dead without knowing it, and waiting for their time limits costs half a minute. So
//! whoever holds one asks at once whether the other end is still there. Nothing tells us reliably on every system; we
//! look every few seconds: at the addresses of this machine, and at whether the clock on the wall went further than
//! the one that stands still in sleep.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

const LOOK: Duration = Duration::from_secs(3);
/// Clocks that are set by a server jump by less.
const JUMP: Duration = Duration::from_secs(10);

/// Counts disturbances; who sees it change looks after its connections.
pub(crate) type Disturbances = watch::Receiver<u64>;

/// Looks until nobody listens.
pub(crate) async fn watch(disturbances: watch::Sender<u64>) {
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = Look::now();
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = disturbances.closed() => return,
        }
        let look = Look::now();
        if last.disturbed(&look) {
            tracing::debug!("the network changed, or the machine slept");
            disturbances.send_modify(|count| *count += 1);
        }
        last = look;
    }
}

struct Look {
    steady: Instant,
    wall: SystemTime,
    addresses: BTreeSet<IpAddr>,
}

impl Look {
    fn now() -> Self {
        Self { steady: Instant::now(), wall: SystemTime::now(), addresses: addresses().into_iter().collect() }
    }

    fn disturbed(&self, later: &Self) -> bool {
        let steady = later.steady.saturating_duration_since(self.steady);
        // A clock that was set back tells nothing about sleep.
        let wall = later.wall.duration_since(self.wall).unwrap_or(steady);
        wall > steady + JUMP || steady > LOOK + JUMP || self.addresses != later.addresses
    }
}

/// This machine's addresses, except those that only it can reach.
pub(crate) fn addresses() -> Vec<IpAddr> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    interfaces
        .into_iter()
        .filter(|interface| !interface.is_loopback() && !interface.is_link_local())
        .map(|interface| interface.ip())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(seconds: (u64, u64), addresses: &[&str]) -> Look {
        let start = Look::now();
        Look {
            steady: start.steady + Duration::from_secs(seconds.0),
            wall: start.wall + Duration::from_secs(seconds.1),
            addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        }
    }

    #[test]
    fn sleep_and_another_network_are_noticed() {
        let before = look((0, 0), &["192.168.1.7"]);
        assert!(!before.disturbed(&look((3, 3), &["192.168.1.7"])));
        assert!(before.disturbed(&look((3, 600), &["192.168.1.7"])), "ten minutes passed in three seconds");
        assert!(before.disturbed(&look((60, 60), &["192.168.1.7"])), "we were stopped for a minute");
        assert!(before.disturbed(&look((3, 3), &["10.0.0.7"])));
        assert!(before.disturbed(&look((3, 3), &[])), "the cable was pulled");
    }

    #[test]
    fn a_clock_that_is_set_is_no_sleep() {
        let before = look((0, 3600), &[]);
        assert!(!before.disturbed(&look((3, 3), &[])), "an hour back");
        let before = look((0, 0), &[]);
        assert!(!before.disturbed(&look((3, 8), &[])), "five seconds forth");
    }
}
