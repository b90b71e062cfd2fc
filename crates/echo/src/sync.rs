//! Automerge's sync protocol (automerge.org, "sync"), for whoever speaks it: here the stock Automerge Repo.

use automerge::sync::{Message, State, SyncDoc};

use crate::document::{Document, LARGEST_CHUNK};
use crate::error::EchoError;
use crate::guard;

/// What is known of how far one peer has come with one document.
#[derive(Debug, Clone, Default)]
pub struct SyncState(State);

impl Document {
    /// Takes a sync message; returns what was new in it, as changes.
    ///
    /// After an error nothing is in the document any more: load it anew.
    ///
    /// # Errors
    /// [`EchoError::TooLarge`], [`EchoError::Malformed`].
    pub fn receive_sync(&mut self, state: &mut SyncState, message: &[u8]) -> Result<Vec<u8>, EchoError> {
        if message.len() > LARGEST_CHUNK {
            return Err(EchoError::TooLarge {
                what: "a sync message",
                size: message.len(),
                most: LARGEST_CHUNK,
            });
        }
        let message =
            Message::decode(message).map_err(|error| EchoError::malformed("sync message", error))?;
        for changes in message.changes.iter() {
            guard::check(changes)?;
        }
        let before = self.heads();
        let taken = guard::caught(|| {
            self.inner()
                .receive_sync_message(&mut state.0, message)
                .map_err(|error| EchoError::malformed("sync message", error))?;
            Ok(if self.heads() == before { Vec::new() } else { self.since(&before) })
        });
        let fresh = taken.inspect_err(|_| *self = Self::empty())?;
        self.grow(fresh.len())?;
        Ok(fresh)
    }

    /// Takes a sync message of somebody who may not write: what they have and want, and none of their changes.
    ///
    /// # Errors
    /// [`EchoError::Malformed`].
    pub fn hear_sync(&mut self, state: &mut SyncState, message: &[u8]) -> Result<(), EchoError> {
        let mut message =
            Message::decode(message).map_err(|error| EchoError::malformed("sync message", error))?;
        message.changes = automerge::sync::ChunkList::empty();
        guard::caught(|| {
            self.inner()
                .receive_sync_message(&mut state.0, message)
                .map_err(|error| EchoError::malformed("sync message", error))
        })
    }

    /// What to say to the peer next; none while it has everything, or an answer is awaited.
    pub fn next_sync(&self, state: &mut SyncState) -> Option<Vec<u8>> {
        self.view().generate_sync_message(&mut state.0).map(Message::encode)
    }
}

#[cfg(test)]
mod tests {
    use automerge::transaction::Transactable;
    use automerge::{AutoCommit, ROOT, ReadDoc};
    use proptest::prelude::*;

    use super::*;

    /// Passes messages between a document here and one at a peer until both are silent.
    fn talk(here: &mut Document, there: &mut AutoCommit) {
        let (mut mine, mut theirs) = (SyncState::default(), State::new());
        for _ in 0..20 {
            let to = here.next_sync(&mut mine);
            if let Some(message) = &to {
                there.sync().receive_sync_message(&mut theirs, Message::decode(message).unwrap()).unwrap();
            }
            let back = there.sync().generate_sync_message(&mut theirs);
            if let Some(message) = back.clone() {
                here.receive_sync(&mut mine, &message.encode()).unwrap();
            }
            if to.is_none() && back.is_none() {
                return;
            }
        }
        panic!("they never fall silent");
    }

    #[test]
    fn a_document_of_a_peer_comes_over_and_changes_go_both_ways() {
        let mut there = AutoCommit::new();
        there.put(ROOT, "a", 1).unwrap();
        let mut here = Document::empty();
        talk(&mut here, &mut there);
        assert_eq!(here.heads(), there.get_heads());
        let mut other = AutoCommit::load(&here.save()).unwrap();
        other.put(ROOT, "b", 2).unwrap();
        here.apply(&other.save()).unwrap();
        there.put(ROOT, "c", 3).unwrap();
        talk(&mut here, &mut there);
        assert_eq!(here.heads(), there.get_heads());
        assert!(there.get(ROOT, "b").unwrap().is_some());
    }

    proptest! {
        #[test]
        fn any_bytes_end_in_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Document::empty().receive_sync(&mut SyncState::default(), &bytes);
        }
    }
}
