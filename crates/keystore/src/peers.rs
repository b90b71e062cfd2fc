//! Channels to peers: the device's agreement secret proves itself in their handshake, and stays here.

use halo_protocol::channel::{Handshake, HandshakeError, Purpose};
use rand_core::CryptoRng;

use crate::keys::Keys;
use crate::labels;

impl Keys {
    /// Calls a peer: the handshake, and the first message to send.
    ///
    /// # Errors
    /// [`HandshakeError::Failed`] for any purpose but [`Purpose::Peers`].
    pub fn call_peer(
        &self,
        purpose: &Purpose,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Handshake, Vec<u8>), HandshakeError> {
        Handshake::calling(purpose, self.root.derive(labels::DEVICE_AGREEMENT, &[]).expose(), rng)
    }

    /// Waits for a peer that calls.
    ///
    /// # Errors
    /// [`HandshakeError::Failed`] for any purpose but [`Purpose::Peers`].
    pub fn answer_peer(
        &self,
        purpose: &Purpose,
        rng: &mut dyn CryptoRng,
    ) -> Result<Handshake, HandshakeError> {
        Handshake::answering(purpose, self.root.derive(labels::DEVICE_AGREEMENT, &[]).expose(), rng)
    }
}
