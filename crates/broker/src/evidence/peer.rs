//! The other end of one connection.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::{OnceCell, Semaphore};

use super::{Attribution, Owner};

/// Searches of `/proc` at once; more would only slow each other down.
static SEARCHES: Semaphore = Semaphore::const_new(2);

/// Through which door a connection came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Loopback TCP.
    Tcp {
        /// Their end.
        theirs: SocketAddr,
        /// Our end.
        ours: SocketAddr,
    },
    /// The Unix socket; the kernel named the process when it connected.
    #[cfg(unix)]
    Unix {
        /// Process id, where the platform says it.
        pid: Option<u32>,
    },
}

/// The other end of one connection. Who owns it is found out at the first request, and checked at each.
pub(crate) struct Peer {
    place: Place,
    kernel: Arc<dyn Attribution>,
    owner: OnceCell<Owner>,
}

impl Peer {
    pub(crate) fn new(place: Place, kernel: Arc<dyn Attribution>) -> Self {
        Self { place, kernel, owner: OnceCell::new() }
    }

    pub(crate) fn over_unix_socket(&self) -> bool {
        !matches!(self.place, Place::Tcp { .. })
    }

    /// Who owns the other end, now.
    pub(crate) async fn owner(&self) -> Owner {
        let owner = self.owner.get_or_init(|| self.search()).await.clone();
        let Owner::Process(process) = &owner else { return owner };
        let (kernel, process) = (Arc::clone(&self.kernel), process.clone());
        let same = tokio::task::spawn_blocking(move || kernel.is_still(&process)).await;
        if same.unwrap_or(false) { owner } else { Owner::Unsure }
    }

    async fn search(&self) -> Owner {
        let Ok(_permit) = SEARCHES.acquire().await else { return Owner::Unsure };
        let (kernel, place) = (Arc::clone(&self.kernel), self.place);
        let search = tokio::task::spawn_blocking(move || match place {
            Place::Tcp { theirs, ours } => kernel.owner(theirs, ours),
            #[cfg(unix)]
            Place::Unix { pid } => pid.map_or(Owner::Unsure, |pid| kernel.process(pid)),
        });
        search.await.unwrap_or(Owner::Unsure)
    }
}
