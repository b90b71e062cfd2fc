//! The table of open connections.
//!
//! Somebody who opens thousands of connections and says nothing must not keep an app out. So there is a
//! bound, and whoever comes when it is reached takes the place of the connection that has idled longest. One
//! that is being answered is never closed for another.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::sync::Notify;

use crate::limits::{Limits, lock};

pub(crate) struct Connections {
    table: Mutex<Table>,
    most: usize,
    most_of_one: usize,
}

#[derive(Default)]
struct Table {
    next: u64,
    open: BTreeMap<u64, Entry>,
}

struct Entry {
    busy: usize,
    idle_since: Instant,
    pid: Option<u32>,
    close: Arc<Notify>,
}

/// A place in the table; dropping it frees the place.
pub(crate) struct Place {
    id: u64,
    close: Arc<Notify>,
    connections: Arc<Connections>,
}

/// While it lives, the connection is being answered.
pub(crate) struct Busy {
    id: u64,
    connections: Arc<Connections>,
}

impl Connections {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            table: Mutex::new(Table::default()),
            most: limits.connections,
            most_of_one: limits.connections_per_process,
        }
    }

    /// A place for one more, at the cost of the one that has idled longest; `None` if all are busy.
    pub(crate) fn admit(self: &Arc<Self>) -> Option<Place> {
        let mut table = lock(&self.table);
        if table.open.len() >= self.most && !table.close_idlest(|_| true) {
            return None;
        }
        let id = table.next;
        table.next += 1;
        let close = Arc::new(Notify::new());
        table
            .open
            .insert(id, Entry { busy: 0, idle_since: Instant::now(), pid: None, close: Arc::clone(&close) });
        Some(Place { id, close, connections: Arc::clone(self) })
    }
}

impl Table {
    fn close_idlest(&mut self, of: impl Fn(&Entry) -> bool) -> bool {
        let idlest = self
            .open
            .iter()
            .filter(|(_, entry)| entry.busy == 0 && of(entry))
            .min_by_key(|(id, entry)| (entry.idle_since, **id))
            .map(|(id, _)| *id);
        let Some(entry) = idlest.and_then(|id| self.open.remove(&id)) else { return false };
        entry.close.notify_one();
        true
    }
}

impl Place {
    /// A request has come.
    pub(crate) fn busy(&self) -> Busy {
        if let Some(entry) = lock(&self.connections.table).open.get_mut(&self.id) {
            entry.busy += 1;
        }
        Busy { id: self.id, connections: Arc::clone(&self.connections) }
    }

    /// Resolves when the place is needed for another.
    pub(crate) async fn closed(&self) {
        self.close.notified().await;
    }
}

impl Busy {
    /// The process behind the connection is known now; past its bound its idlest connection is closed.
    ///
    /// `false` if all its connections are busy.
    pub(crate) fn belongs_to(&self, pid: u32) -> bool {
        let mut table = lock(&self.connections.table);
        match table.open.get_mut(&self.id) {
            Some(entry) if entry.pid != Some(pid) => entry.pid = Some(pid),
            _ => return true,
        }
        let count = table.open.values().filter(|entry| entry.pid == Some(pid)).count();
        count <= self.connections.most_of_one || table.close_idlest(|entry| entry.pid == Some(pid))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        if let Some(entry) = lock(&self.connections.table).open.get_mut(&self.id) {
            entry.busy = entry.busy.saturating_sub(1);
            entry.idle_since = Instant::now();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.connections.table).open.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connections(most: usize, most_of_one: usize) -> Arc<Connections> {
        Arc::new(Connections::new(&Limits {
            connections: most,
            connections_per_process: most_of_one,
            ..Limits::default()
        }))
    }

    fn is_open(place: &Place) -> bool {
        lock(&place.connections.table).open.contains_key(&place.id)
    }

    // threat: 11
    #[test]
    fn a_newcomer_takes_the_place_of_the_idlest() {
        let table = connections(2, 2);
        let first = table.admit().unwrap();
        let second = table.admit().unwrap();
        drop(first.busy());
        let third = table.admit().unwrap();
        assert!(is_open(&first) && is_open(&third), "the first was answered later than the second");
        assert!(!is_open(&second));
    }

    #[test]
    fn a_busy_connection_is_never_closed_for_another() {
        let table = connections(1, 1);
        let first = table.admit().unwrap();
        let busy = first.busy();
        assert!(table.admit().is_none());
        drop(busy);
        assert!(table.admit().is_some());
    }

    #[test]
    fn one_process_has_a_bound_of_its_own() {
        let table = connections(10, 2);
        let places: Vec<Place> = (0..3).map(|_| table.admit().unwrap()).collect();
        let other = table.admit().unwrap();
        assert!(other.busy().belongs_to(9));
        for place in &places {
            assert!(place.busy().belongs_to(7));
        }
        assert!(!is_open(&places[0]), "the third of process 7 closed its idlest");
        assert!(is_open(&places[1]) && is_open(&places[2]) && is_open(&other));
    }
}
