//! Who meets whom at a code: the handshakes that belong to it.

use rand_core::CryptoRng;

use super::code::{InvitationCode, Meeting, NewcomerCode};
use crate::channel::{Handshake, HandshakeError, OneTimeSecret, Purpose};

/// A code, from the side of whoever shows it or whoever scanned it.
#[derive(Clone)]
pub struct Rendezvous {
    meeting: Meeting,
    purpose: Purpose,
    secret: Option<OneTimeSecret>,
}

/// What [`Rendezvous::call`] gives.
#[must_use = "nobody answers what was not sent"]
pub struct Called {
    /// Takes the answer.
    pub handshake: Handshake,
    /// To be sent.
    pub message: Vec<u8>,
}

impl Rendezvous {
    pub(super) fn invitation(code: &InvitationCode, secret: Option<OneTimeSecret>) -> Self {
        Self { meeting: code.meeting().clone(), purpose: code.purpose(), secret }
    }

    pub(super) fn newcomer(code: &NewcomerCode, secret: Option<OneTimeSecret>) -> Self {
        Self { meeting: code.meeting().clone(), purpose: code.purpose(), secret }
    }

    /// Where, and until when.
    #[must_use]
    pub const fn meeting(&self) -> &Meeting {
        &self.meeting
    }

    /// Whether this side shows the code and so answers handshakes; the other one calls.
    #[must_use]
    pub const fn shows(&self) -> bool {
        self.secret.is_some()
    }

    pub(super) const fn secret(&self) -> Option<&OneTimeSecret> {
        self.secret.as_ref()
    }

    /// Begins a handshake with whoever shows the code.
    ///
    /// # Errors
    /// [`HandshakeError::Failed`] on the side that shows it.
    pub fn call(&self, rng: &mut dyn CryptoRng) -> Result<Called, HandshakeError> {
        if self.shows() {
            return Err(HandshakeError::Failed);
        }
        let (handshake, message) = Handshake::scanning(&self.purpose, &self.meeting.key, rng)?;
        Ok(Called { handshake, message })
    }

    /// Waits for the handshake of one who scanned the code; a new one for each who calls.
    ///
    /// # Errors
    /// [`HandshakeError::Failed`] on the side that scanned it.
    pub fn answer(&self, rng: &mut dyn CryptoRng) -> Result<Handshake, HandshakeError> {
        Handshake::showing(&self.purpose, self.secret.as_ref().ok_or(HandshakeError::Failed)?, rng)
    }
}
