//! The handshakes that open a secure channel: Noise NK for invitations, XX for peers (Noise revision 34).
//!
//! **NK**: who *shows* a code has put a one-time key into it; who *scans* it knows that key and is nobody yet. **XX**: both
//! prove their device's agreement key. What the channel is for, where the two met and which code led there go
//! into the prologue: an end that means anything else does not complete.
//!
//! The rule it guards: [`Established`] exists only if both ends ran the same pattern, for the same purpose, to its
//! end. Messages have one length each, and carry nothing besides: there is no version to talk down, and a cut or
//! repeated message ends the attempt. The attack that remains: in NK the scanner is anybody who saw the code, and in XX
//! the peer's key is proved but not yet known to be a member's. Both are for whoever takes [`Established`].

use rand_core::CryptoRng;
use snow::{Builder, HandshakeState};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::noise::Primitives;
use crate::keys::AgreementKey;
use crate::signal::Topic;

/// Begins every handshake message; another number is another protocol.
const VERSION: u8 = 1;
/// The longest message (XX's second), with its version.
pub const LONGEST_HANDSHAKE: usize = 97;

/// What a channel is for, and where the two ends met. Both must say the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// An invitation; `binding` is [`crate::invitation`]'s digest of the code.
    Invitation {
        /// Where.
        topic: Topic,
        /// Of the code.
        binding: [u8; 32],
    },
    /// Devices that are in step with each other.
    Peers {
        /// Where.
        topic: Topic,
    },
}

impl Purpose {
    fn prologue(&self) -> Vec<u8> {
        match self {
            Self::Invitation { topic, binding } => {
                [b"halo channel v1\0invitation\0".as_slice(), topic.as_bytes(), binding].concat()
            }
            Self::Peers { topic } => [b"halo channel v1\0peers\0".as_slice(), topic.as_bytes()].concat(),
        }
    }

    const fn pattern(&self) -> Pattern {
        match self {
            Self::Invitation { .. } => Pattern::Nk,
            Self::Peers { .. } => Pattern::Xx,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pattern {
    Nk,
    Xx,
}

impl Pattern {
    const fn name(self) -> &'static str {
        match self {
            Self::Nk => "Noise_NK_25519_ChaChaPoly_SHA256",
            Self::Xx => "Noise_XX_25519_ChaChaPoly_SHA256",
        }
    }

    /// Lengths of its messages: key 32, sealed key 48, tag 16.
    const fn lengths(self) -> &'static [usize] {
        match self {
            Self::Nk => &[48, 48],
            Self::Xx => &[32, 96, 64],
        }
    }
}

/// Who speaks first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Speaks first.
    Initiator,
    /// Answers.
    Responder,
}

/// The secret half of the key in an invitation code. Made for one invitation; cannot be printed.
#[derive(Clone)]
pub struct OneTimeSecret(Zeroizing<[u8; 32]>);

impl OneTimeSecret {
    /// A fresh one.
    #[must_use]
    pub fn make(rng: &mut dyn CryptoRng) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.fill_bytes(bytes.as_mut_slice());
        Self(bytes)
    }

    /// One that was kept ([`Self::expose`]).
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The half that goes into the code.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        PublicKey::from(&StaticSecret::from(*self.0)).to_bytes()
    }

    /// The bytes, for whoever keeps an invitation across a restart.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Why a handshake came to nothing. The attempt is over; nothing was released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// The other end speaks another version of this.
    #[error("the other end speaks version {version} of the channel")]
    Version {
        /// Which.
        version: u8,
    },
    /// A message was cut, lengthened, or is none of this pattern.
    #[error("a handshake message has {length} bytes")]
    Length {
        /// How many.
        length: usize,
    },
    /// A message was altered or repeated, or the other end means another channel or holds another key.
    #[error("the handshake failed")]
    Failed,
}

/// Names one run of a handshake, the same at both ends and nowhere else.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HandshakeHash([u8; 32]);

impl HandshakeHash {
    /// From 32 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Debug for HandshakeHash {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "HandshakeHash({:.8}…)", data_encoding::HEXLOWER.encode(&self.0))
    }
}

/// The outcome: what a [`super::Session`] is made of. Only a completed [`Handshake`] makes one.
#[must_use = "dropping it leaves the other end waiting"]
pub struct Established {
    pub(super) role: Role,
    /// Of the initiator's frames, and the responder's.
    pub(super) keys: [Zeroizing<[u8; 32]>; 2],
    pub(super) hash: HandshakeHash,
    pub(super) peer: Option<AgreementKey>,
}

impl Established {
    /// The name of this run.
    #[must_use]
    pub const fn hash(&self) -> HandshakeHash {
        self.hash
    }

    /// Who spoke first.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// The agreement key that the peer holds; `None` for invitations.
    #[must_use]
    pub const fn peer(&self) -> Option<AgreementKey> {
        self.peer
    }
}

impl std::fmt::Debug for Established {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Established")
            .field("role", &self.role)
            .field("hash", &self.hash)
            .finish_non_exhaustive()
    }
}

/// What follows from a message.
#[must_use = "the other end waits for the reply"]
pub enum Step {
    /// Send the reply and wait for the next message.
    Continue {
        /// To be sent.
        reply: Vec<u8>,
        /// Takes the next message.
        handshake: Handshake,
    },
    /// Send the reply, if there is one; the channel stands.
    Done {
        /// To be sent.
        reply: Option<Vec<u8>>,
        /// The channel.
        established: Established,
    },
}

/// A handshake under way. Each message takes it by value, so that a failed one cannot go on.
pub struct Handshake {
    state: Box<HandshakeState>,
    pattern: Pattern,
    role: Role,
    /// Which message is next.
    position: usize,
}

impl Handshake {
    /// For whoever scanned a code: its handshake, and the first message. `shown` is the key in the code.
    ///
    /// # Errors
    /// [`HandshakeError::Failed`] if that key is none, or the purpose is not an invitation.
    pub fn scanning(
        purpose: &Purpose,
        shown: &[u8; 32],
        rng: &mut dyn CryptoRng,
    ) -> Result<(Self, Vec<u8>), HandshakeError> {
        Self::begin(purpose, Pattern::Nk, Role::Initiator, None, Some(shown), rng)?.first()
    }

    /// For whoever shows a code: answers one who scanned it.
    ///
    /// # Errors
    /// [`HandshakeError::Failed`] if the purpose is not an invitation.
    pub fn showing(
        purpose: &Purpose,
        secret: &OneTimeSecret,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, HandshakeError> {
        Self::begin(purpose, Pattern::Nk, Role::Responder, Some(&secret.0), None, rng)
    }

    /// For a peer that speaks first, with its device's agreement secret: its handshake, and the first message.
    ///
    /// # Errors
    /// [`HandshakeError::Failed`] if the purpose is not [`Purpose::Peers`].
    pub fn calling(
        purpose: &Purpose,
        secret: &[u8; 32],
        rng: &mut dyn CryptoRng,
    ) -> Result<(Self, Vec<u8>), HandshakeError> {
        Self::begin(purpose, Pattern::Xx, Role::Initiator, Some(secret), None, rng)?.first()
    }

    /// For a peer that answers, with its device's agreement secret.
    ///
    /// # Errors
    /// [`HandshakeError::Failed`] if the purpose is not [`Purpose::Peers`].
    pub fn answering(
        purpose: &Purpose,
        secret: &[u8; 32],
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, HandshakeError> {
        Self::begin(purpose, Pattern::Xx, Role::Responder, Some(secret), None, rng)
    }

    fn begin(
        purpose: &Purpose,
        pattern: Pattern,
        role: Role,
        secret: Option<&[u8; 32]>,
        shown: Option<&[u8; 32]>,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, HandshakeError> {
        let failed = |_| HandshakeError::Failed;
        if purpose.pattern() != pattern {
            return Err(HandshakeError::Failed);
        }
        let mut ephemeral = Zeroizing::new([0; 32]);
        rng.fill_bytes(ephemeral.as_mut_slice());
        let prologue = purpose.prologue();
        let parameters = pattern.name().parse().map_err(failed)?;
        let mut builder = Builder::with_resolver(parameters, Box::new(Primitives { ephemeral }));
        builder = builder.prologue(&prologue).map_err(failed)?;
        if let Some(shown) = shown {
            builder = builder.remote_public_key(shown).map_err(failed)?;
        }
        if let Some(secret) = secret {
            builder = builder.local_private_key(secret).map_err(failed)?;
        }
        let state = match role {
            Role::Initiator => builder.build_initiator(),
            Role::Responder => builder.build_responder(),
        };
        Ok(Self { state: Box::new(state.map_err(failed)?), pattern, role, position: 0 })
    }

    fn first(mut self) -> Result<(Self, Vec<u8>), HandshakeError> {
        let message = self.write()?;
        Ok((self, message))
    }

    /// Takes the other end's next message.
    ///
    /// # Errors
    /// [`HandshakeError`]: the attempt is over.
    pub fn read(mut self, message: &[u8]) -> Result<Step, HandshakeError> {
        let length = HandshakeError::Length { length: message.len() };
        let (version, message) = message.split_first().ok_or(length)?;
        if *version != VERSION {
            return Err(HandshakeError::Version { version: *version });
        }
        if self.pattern.lengths().get(self.position) != Some(&message.len()) {
            return Err(length);
        }
        // Nothing is carried, so nothing is read; the buffer is for the tag's sake.
        let mut nothing = [0; LONGEST_HANDSHAKE];
        let carried = self.state.read_message(message, &mut nothing).map_err(|_| HandshakeError::Failed)?;
        if carried != 0 {
            return Err(HandshakeError::Failed);
        }
        self.position += 1;
        if self.state.is_handshake_finished() {
            return Ok(Step::Done { reply: None, established: self.finish()? });
        }
        let reply = self.write()?;
        if self.state.is_handshake_finished() {
            return Ok(Step::Done { reply: Some(reply), established: self.finish()? });
        }
        Ok(Step::Continue { reply, handshake: self })
    }

    fn write(&mut self) -> Result<Vec<u8>, HandshakeError> {
        let mut buffer = [0; 256];
        let length = self.state.write_message(&[], &mut buffer).map_err(|_| HandshakeError::Failed)?;
        if self.pattern.lengths().get(self.position) != Some(&length) {
            return Err(HandshakeError::Failed);
        }
        self.position += 1;
        let written = buffer.get(..length).ok_or(HandshakeError::Failed)?;
        Ok([&[VERSION], written].concat())
    }

    fn finish(mut self) -> Result<Established, HandshakeError> {
        let hash = self.state.get_handshake_hash().try_into().map_err(|_| HandshakeError::Failed)?;
        let peer = match self.pattern {
            Pattern::Nk => None,
            Pattern::Xx => {
                let key = self.state.get_remote_static().ok_or(HandshakeError::Failed)?;
                Some(AgreementKey::from_bytes(key).map_err(|_| HandshakeError::Failed)?)
            }
        };
        let (initiator, responder) = self.state.dangerously_get_raw_split();
        Ok(Established {
            role: self.role,
            keys: [Zeroizing::new(initiator), Zeroizing::new(responder)],
            hash: HandshakeHash(hash),
            peer,
        })
    }
}
