//! What two devices prove to each other over a fresh channel, before anything else is said.
//!
//! The channel's handshake (Noise XX) shows that the peer holds an *agreement* key. A [`PeerHello`] ties that to a device:
//! the device's signing key signs the handshake's hash and which part it had in it, and credentials lead from the device to
//! the identity. [`PeerHello::verify`] gives a [`VerifiedPeer`] only if the agreement key of the handshake is the one that
//! was authorised with the device.
//!
//! A device that was let in where we were not is known by its chain alone: it may say which credentials there are,
//! and nothing more until they were judged together ([`Standing::Introduced`]). The attack that remains: between its revocation and our
//! hearing of it, a stolen device is one of us.

use prost::Message;

use crate::channel::{Established, HandshakeHash, Role};
use crate::credential::{Assertion, Credential};
use crate::identity::IdentityState;
use crate::keys::{AgreementKey, DeviceKey};
use crate::statement::{Sign, Signature, Statement, StatementKind, verify};
use crate::time::Timestamp;

/// What [`PeerHello::decode`] takes.
pub const LONGEST_HELLO: usize = 64 * 1024;
/// Links of a chain.
const LONGEST_CHAIN: usize = 8;

/// A device answers for a handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerHello {
    device_key: DeviceKey,
    chain: Vec<Vec<u8>>,
    signature: Signature,
}

/// How a peer is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// As a device in our own state of the identity.
    Known,
    /// By a chain of authorisations that we had not all seen: credentials may be exchanged, nothing else.
    Introduced,
}

/// Proof that the other end of a channel is a device of the identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedPeer {
    device_key: DeviceKey,
    standing: Standing,
}

impl VerifiedPeer {
    /// Which device.
    #[must_use]
    pub const fn device_key(&self) -> DeviceKey {
        self.device_key
    }

    /// How it is known.
    #[must_use]
    pub const fn standing(&self) -> Standing {
        self.standing
    }
}

/// Why somebody is not a peer: close the channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// Not the bytes of a hello.
    #[error("this is no hello: {what}")]
    Form {
        /// What is wrong.
        what: &'static str,
    },
    /// It answers for another handshake, or nobody does.
    #[error("the device does not answer for this handshake")]
    Signature,
    /// It sent back what we said.
    #[error("the peer says that it is this device")]
    Ourselves,
    /// The channel was opened with another key than the device has.
    #[error("the channel was opened with another key than the device's")]
    Agreement,
    /// It was evicted.
    #[error("the device was revoked")]
    Revoked,
    /// Somebody says that it was evicted, and it is not settled yet whether that one may.
    #[error("the device may have been revoked")]
    Suspended,
    /// Nobody who may let in devices let it in.
    #[error("the chain from device to identity does not hold: {what}")]
    Chain {
        /// What is wrong.
        what: &'static str,
    },
}

/// What is known on this side of the channel.
#[derive(Debug, Clone, Copy)]
pub struct PeerExpect<'a> {
    /// The identity as we know it.
    pub state: &'a IdentityState,
    /// This device.
    pub ourselves: &'a DeviceKey,
    /// The channel's handshake.
    pub handshake: HandshakeHash,
    /// Which part the *peer* had in it.
    pub role: Role,
    /// The agreement key that the peer had in it.
    pub agreement_key: AgreementKey,
    /// The time.
    pub now: Timestamp,
}

impl<'a> PeerExpect<'a> {
    /// What a channel says; `None` for one that was opened by an invitation.
    #[must_use]
    pub fn over(
        established: &Established,
        state: &'a IdentityState,
        ourselves: &'a DeviceKey,
        now: Timestamp,
    ) -> Option<Self> {
        let role = match established.role() {
            Role::Initiator => Role::Responder,
            Role::Responder => Role::Initiator,
        };
        let agreement_key = established.peer()?;
        Some(Self { state, ourselves, handshake: established.hash(), role, agreement_key, now })
    }
}

#[derive(Clone, PartialEq, Message)]
struct Wire {
    #[prost(bytes = "vec", tag = "1")]
    device_key: Vec<u8>,
    #[prost(bytes = "vec", repeated, tag = "2")]
    chain: Vec<Vec<u8>>,
    #[prost(bytes = "vec", tag = "3")]
    signature: Vec<u8>,
}

/// The signer's part (1 initiator, 2 responder) ‖ the handshake's hash (32).
fn body(role: Role, handshake: HandshakeHash) -> Vec<u8> {
    let part = match role {
        Role::Initiator => 1,
        Role::Responder => 2,
    };
    [&[part], handshake.as_bytes().as_slice()].concat()
}

impl PeerHello {
    /// This device answers for a handshake in which it had the part `role`. `chain` as from [`IdentityState::chain_of`].
    ///
    /// # Errors
    /// [`PeerError::Form`] if the signer's key is none.
    pub fn sign(
        role: Role,
        handshake: HandshakeHash,
        chain: Vec<Vec<u8>>,
        device: &impl Sign,
    ) -> Result<Self, PeerError> {
        let device_key = DeviceKey::from_bytes(&device.public_key())
            .map_err(|_| PeerError::Form { what: "its key is none" })?;
        let signature = device.sign(&Statement::new(StatementKind::PeerProof, &body(role, handshake)));
        Ok(Self { device_key, chain, signature })
    }

    /// The encoded hello.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        Wire {
            device_key: self.device_key.as_bytes().to_vec(),
            chain: self.chain.clone(),
            signature: self.signature.as_bytes().to_vec(),
        }
        .encode_to_vec()
    }

    /// Reads an encoded hello; only the bytes that [`Self::encode`] gives are one.
    ///
    /// # Errors
    /// [`PeerError::Form`].
    pub fn decode(bytes: &[u8]) -> Result<Self, PeerError> {
        let form = |what| PeerError::Form { what };
        if bytes.len() > LONGEST_HELLO {
            return Err(form("it is too long"));
        }
        let wire = Wire::decode(bytes).map_err(|_| form("it is no such message"))?;
        if wire.chain.len() > LONGEST_CHAIN {
            return Err(form("its chain is too long"));
        }
        let hello = Self {
            device_key: DeviceKey::from_bytes(&wire.device_key).map_err(|_| form("its key is none"))?,
            chain: wire.chain,
            signature: Signature::from_bytes(
                wire.signature.try_into().map_err(|_| form("its signature has another length"))?,
            ),
        };
        if hello.encode() == bytes { Ok(hello) } else { Err(form("it could be written shorter")) }
    }

    /// Verifies that a device of the identity is at the other end of this very channel.
    ///
    /// # Errors
    /// [`PeerError`], by the first thing that does not hold.
    pub fn verify(&self, expect: &PeerExpect<'_>) -> Result<VerifiedPeer, PeerError> {
        let key = self.device_key;
        if key == *expect.ourselves {
            return Err(PeerError::Ourselves);
        }
        let signed = body(expect.role, expect.handshake);
        verify(StatementKind::PeerProof, key.as_bytes(), &signed, &self.signature)
            .map_err(|_| PeerError::Signature)?;
        let (agreement_key, standing) = match expect.state.devices.get(&key) {
            Some(device) if device.revoked => return Err(PeerError::Revoked),
            Some(_) if expect.state.suspended.contains(&key) => return Err(PeerError::Suspended),
            Some(device) => (device.agreement_key, Standing::Known),
            None => (self.introduce(expect)?, Standing::Introduced),
        };
        if agreement_key != expect.agreement_key {
            return Err(PeerError::Agreement);
        }
        Ok(VerifiedPeer { device_key: key, standing })
    }

    /// Looks who let it in: the identity, or a device that we know and that can let in others. Gives the agreement key that this link
    /// names.
    fn introduce(&self, expect: &PeerExpect<'_>) -> Result<AgreementKey, PeerError> {
        let broken = |what| PeerError::Chain { what };
        let state = expect.state;
        let link = self.chain.first().ok_or_else(|| broken("it does not lead to the identity"))?;
        let link = Credential::decode(link)
            .and_then(Credential::verify)
            .map_err(|_| broken("a link is not a credential"))?;
        let said = link.said();
        let Assertion::AuthorizedDevice { identity_key, device_key, agreement_key } = &said.assertion else {
            return Err(broken("a link authorises nobody"));
        };
        let about_this = *device_key == self.device_key && said.subject == *self.device_key.as_bytes();
        if *identity_key != state.identity_key || !about_this {
            return Err(broken("a link does not authorise this device for this identity"));
        }
        // What we judged and did not take stays refused.
        if state.rejected.iter().any(|(id, _)| *id == link.id()) {
            return Err(broken("a link was refused"));
        }
        if said.issuer == *state.identity_key.as_bytes() {
            return Ok(*agreement_key);
        }
        let issuer = DeviceKey::from_bytes(&said.issuer).map_err(|_| broken("an issuer is none"))?;
        match state.devices.get(&issuer) {
            Some(device) if device.revoked => Err(PeerError::Revoked),
            Some(_) if state.suspended.contains(&issuer) => Err(PeerError::Suspended),
            Some(device) if device.is_on_probation(expect.now) => {
                Err(broken("a device on probation lets in nobody"))
            }
            Some(_) => Ok(*agreement_key),
            // Somebody new let in somebody newer: by our clock that was at once.
            None => Err(broken("nobody that we know let it in")),
        }
    }
}
