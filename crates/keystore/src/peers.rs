//! Channels to peers: the device's agreement secret proves itself in their handshake, and stays here.

use halo_protocol::channel::{Handshake, HandshakeError, Purpose};
use rand_core::CryptoRng;

use crate::keys::Keys;
use crate::labels;
use crate::secret::Secret;

/// What proves this device to its peers; wiped when dropped.
pub struct PeerKeys(Secret);

impl Keys {
    /// For whoever makes channels as long as the wallet is unlocked.
    #[must_use]
    pub fn peer_keys(&self) -> PeerKeys {
        PeerKeys(self.root.derive(labels::DEVICE_AGREEMENT, &[]))
    }
}

impl PeerKeys {
    /// Calls a peer: the handshake, and the first message to send.
    ///
    /// # Errors
    /// [`HandshakeError::Failed`] for any purpose but [`Purpose::Peers`].
    pub fn call(
        &self,
        purpose: &Purpose,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Handshake, Vec<u8>), HandshakeError> {
        Handshake::calling(purpose, self.0.expose(), rng)
    }

    /// Waits for a peer that calls.
    ///
    /// # Errors
    /// [`HandshakeError::Failed`] for any purpose but [`Purpose::Peers`].
    pub fn answer(&self, purpose: &Purpose, rng: &mut dyn CryptoRng) -> Result<Handshake, HandshakeError> {
        Handshake::answering(purpose, self.0.expose(), rng)
    }
}
