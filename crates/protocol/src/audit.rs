//! The activity log: a chain of entries, each naming the hash of the one before, each signed by the device.
//!
//! The rule it guards: an entry that was altered, taken out or put in breaks the chain at that place. The attack
//! that remains is cutting off the end; against that the head is witnessed elsewhere (the keychain).

use prost::Message;
use sha2::{Digest, Sha256};

use crate::keys::DeviceKey;
use crate::statement::{Sign, Signature, Statement, StatementKind, verify};
use crate::time::Timestamp;

/// A longer entry is refused.
pub const LONGEST_ENTRY: usize = 8 * 1024;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditEvent {
    /// An identity was created here.
    IdentityCreated,
    /// An identity was brought back from its words.
    IdentityRecovered,
    /// Unlocked.
    Unlocked,
    /// Locked.
    Locked {
        /// By what.
        why: String,
    },
    /// A wrong passphrase.
    UnlockFailed,
    /// The user allowed an app something.
    Approved {
        /// The grant.
        grant: [u8; 16],
        /// The app.
        client: String,
        /// What.
        scopes: Vec<String>,
        /// As the real identity.
        identity: bool,
        /// Profile fields.
        fields: Vec<String>,
    },
    /// An app was refused.
    Denied {
        /// The app.
        client: String,
        /// Why.
        why: String,
    },
    /// An app used its grant.
    Used {
        /// The grant.
        grant: [u8; 16],
        /// The app.
        client: String,
        /// For what.
        what: String,
    },
    /// A grant was taken back.
    Revoked {
        /// The grant.
        grant: [u8; 16],
        /// The app.
        client: String,
    },
    /// A passphrase was set or changed.
    PassphraseSet,
    /// The passphrase was removed.
    PassphraseRemoved,
    /// The 24 words were shown.
    PhraseShown,
    /// The user showed that the words are written down.
    PhraseConfirmed,
    /// The words were taken off this device.
    PhraseForgotten,
    /// Name or picture changed.
    ProfileChanged,
    /// Settings changed.
    SettingsChanged,
    /// Somebody tried something.
    Suspicious {
        /// What.
        what: String,
        /// The app, if one.
        client: Option<String>,
    },
    /// This device was let in by another one.
    DeviceJoined {
        /// The key of the one that let it in, in hex.
        by: String,
    },
    /// A device was let in here.
    DeviceAdmitted {
        /// Its key, in hex.
        device: String,
        /// What it calls itself.
        label: String,
    },
    /// A device was shut out here.
    DeviceRevoked {
        /// Its key, in hex.
        device: String,
        /// What it called itself.
        label: String,
    },
    /// A device got another name here.
    DeviceRenamed {
        /// Its key, in hex.
        device: String,
        /// Its new name.
        label: String,
    },
    /// An app was given a fresh private alias.
    AliasMoved {
        /// The grant.
        grant: [u8; 16],
        /// The app.
        client: String,
    },
    /// The user agreed that a device was let in which one on probation let in.
    DeviceAgreed {
        /// Its key, in hex.
        device: String,
        /// What it calls itself.
        label: String,
    },
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Position, from 1.
    pub seq: u64,
    /// SHA-256 of the body before; zero for the first.
    pub previous: [u8; 32],
    /// When, by this device's clock.
    pub at: Timestamp,
    /// What happened.
    pub event: AuditEvent,
}

/// An entry with its signature, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedEntry {
    /// Position.
    pub seq: u64,
    /// Encoded entry.
    pub body: Vec<u8>,
    /// SHA-256 of the body.
    pub hash: [u8; 32],
    /// The device's signature.
    pub signature: Signature,
}

/// Position and hash of the newest entry; zero and zeroes before the first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ChainHead {
    /// Position of the newest entry.
    pub seq: u64,
    /// Its hash.
    pub hash: [u8; 32],
}

/// Where and how a chain is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the activity log is broken at entry {seq}: {why}")]
pub struct Break {
    /// The first entry that does not fit.
    pub seq: u64,
    /// What does not fit.
    pub why: &'static str,
}

#[derive(Clone, PartialEq, Message)]
struct Wire {
    #[prost(uint64, tag = "1")]
    seq: u64,
    #[prost(bytes = "vec", tag = "2")]
    previous: Vec<u8>,
    #[prost(uint64, tag = "3")]
    at: u64,
    /// A number of the table in [`AuditEntry::wire`].
    #[prost(uint32, tag = "4")]
    kind: u32,
    #[prost(bytes = "vec", tag = "5")]
    grant: Vec<u8>,
    #[prost(string, tag = "6")]
    client: String,
    #[prost(string, tag = "7")]
    text: String,
    #[prost(string, repeated, tag = "8")]
    scopes: Vec<String>,
    #[prost(string, repeated, tag = "9")]
    fields: Vec<String>,
    #[prost(bool, tag = "10")]
    identity: bool,
    #[prost(string, tag = "11")]
    device: String,
}

impl AuditEntry {
    /// The entry after `head`.
    #[must_use]
    pub const fn next(head: ChainHead, at: Timestamp, event: AuditEvent) -> Self {
        Self { seq: head.seq.saturating_add(1), previous: head.hash, at, event }
    }

    /// Encodes and signs.
    #[must_use]
    pub fn sign(&self, device: &impl Sign) -> SignedEntry {
        let body = self.wire().encode_to_vec();
        let signature = device.sign(&Statement::new(StatementKind::AuditEntry, &body));
        SignedEntry { seq: self.seq, hash: Sha256::digest(&body).into(), body, signature }
    }

    /// Reads an entry.
    ///
    /// # Errors
    /// [`Break`] with the position, as far as it can be read.
    pub fn decode(body: &[u8]) -> Result<Self, Break> {
        let broken = |seq, why| Break { seq, why };
        if body.len() > LONGEST_ENTRY {
            return Err(broken(0, "it is too long"));
        }
        let wire = Wire::decode(body).map_err(|_| broken(0, "it is not an entry"))?;
        let seq = wire.seq;
        if wire.encode_to_vec() != body {
            return Err(broken(seq, "it is not in its canonical form"));
        }
        let previous =
            wire.previous.as_slice().try_into().map_err(|_| broken(seq, "it names no entry before it"))?;
        let at = Timestamp::from_millis(wire.at);
        let event = event(wire).ok_or_else(|| broken(seq, "it tells of something unknown"))?;
        Ok(Self { seq, previous, at, event })
    }

    fn wire(&self) -> Wire {
        let mut wire = Wire {
            seq: self.seq,
            previous: self.previous.to_vec(),
            at: self.at.as_millis(),
            ..Wire::default()
        };
        wire.kind = match &self.event {
            AuditEvent::IdentityCreated => 1,
            AuditEvent::IdentityRecovered => 2,
            AuditEvent::Unlocked => 3,
            AuditEvent::Locked { why } => {
                wire.text.clone_from(why);
                4
            }
            AuditEvent::UnlockFailed => 5,
            AuditEvent::Approved { grant, client, scopes, identity, fields } => {
                wire.grant = grant.to_vec();
                wire.client.clone_from(client);
                wire.scopes.clone_from(scopes);
                wire.fields.clone_from(fields);
                wire.identity = *identity;
                6
            }
            AuditEvent::Denied { client, why } => {
                wire.client.clone_from(client);
                wire.text.clone_from(why);
                7
            }
            AuditEvent::Used { grant, client, what } => {
                wire.grant = grant.to_vec();
                wire.client.clone_from(client);
                wire.text.clone_from(what);
                8
            }
            AuditEvent::Revoked { grant, client } => {
                wire.grant = grant.to_vec();
                wire.client.clone_from(client);
                9
            }
            AuditEvent::PassphraseSet => 10,
            AuditEvent::PassphraseRemoved => 11,
            AuditEvent::PhraseShown => 12,
            AuditEvent::PhraseConfirmed => 13,
            AuditEvent::PhraseForgotten => 14,
            AuditEvent::ProfileChanged => 15,
            AuditEvent::SettingsChanged => 16,
            AuditEvent::Suspicious { what, client } => {
                wire.text.clone_from(what);
                wire.client = client.clone().unwrap_or_default();
                17
            }
            AuditEvent::DeviceJoined { by } => {
                wire.device.clone_from(by);
                18
            }
            AuditEvent::DeviceAdmitted { device, label } => {
                (wire.device, wire.text) = (device.clone(), label.clone());
                19
            }
            AuditEvent::DeviceRevoked { device, label } => {
                (wire.device, wire.text) = (device.clone(), label.clone());
                20
            }
            AuditEvent::DeviceRenamed { device, label } => {
                (wire.device, wire.text) = (device.clone(), label.clone());
                21
            }
            AuditEvent::AliasMoved { grant, client } => {
                wire.grant = grant.to_vec();
                wire.client.clone_from(client);
                22
            }
            AuditEvent::DeviceAgreed { device, label } => {
                (wire.device, wire.text) = (device.clone(), label.clone());
                23
            }
        };
        wire
    }
}

fn event(wire: Wire) -> Option<AuditEvent> {
    let grant = || wire.grant.as_slice().try_into().ok();
    Some(match wire.kind {
        1 => AuditEvent::IdentityCreated,
        2 => AuditEvent::IdentityRecovered,
        3 => AuditEvent::Unlocked,
        4 => AuditEvent::Locked { why: wire.text },
        5 => AuditEvent::UnlockFailed,
        6 => AuditEvent::Approved {
            grant: grant()?,
            client: wire.client,
            scopes: wire.scopes,
            identity: wire.identity,
            fields: wire.fields,
        },
        7 => AuditEvent::Denied { client: wire.client, why: wire.text },
        8 => AuditEvent::Used { grant: grant()?, client: wire.client, what: wire.text },
        9 => AuditEvent::Revoked { grant: grant()?, client: wire.client },
        10 => AuditEvent::PassphraseSet,
        11 => AuditEvent::PassphraseRemoved,
        12 => AuditEvent::PhraseShown,
        13 => AuditEvent::PhraseConfirmed,
        14 => AuditEvent::PhraseForgotten,
        15 => AuditEvent::ProfileChanged,
        16 => AuditEvent::SettingsChanged,
        17 => AuditEvent::Suspicious {
            what: wire.text,
            client: Some(wire.client).filter(|client| !client.is_empty()),
        },
        18 => AuditEvent::DeviceJoined { by: wire.device },
        19 => AuditEvent::DeviceAdmitted { device: wire.device, label: wire.text },
        20 => AuditEvent::DeviceRevoked { device: wire.device, label: wire.text },
        21 => AuditEvent::DeviceRenamed { device: wire.device, label: wire.text },
        22 => AuditEvent::AliasMoved { grant: grant()?, client: wire.client },
        23 => AuditEvent::DeviceAgreed { device: wire.device, label: wire.text },
        _ => return None,
    })
}

/// Verifies a whole log: positions without a gap, hashes that follow each other, the device's signature on each
/// entry.
///
/// # Errors
/// The first [`Break`].
pub fn verify_chain<'a>(
    entries: impl IntoIterator<Item = (&'a [u8], &'a Signature)>,
    device: &DeviceKey,
) -> Result<ChainHead, Break> {
    let mut head = ChainHead::default();
    let mut last = None;
    for (body, signature) in entries {
        let expected = head.seq.saturating_add(1);
        let broken = |why| Break { seq: expected, why };
        let entry = AuditEntry::decode(body).map_err(|found| broken(found.why))?;
        if entry.seq != expected {
            return Err(broken("an entry is missing here"));
        }
        if entry.previous != head.hash {
            return Err(broken("it does not follow the entry before it"));
        }
        head = ChainHead { seq: expected, hash: Sha256::digest(body).into() };
        last = Some((body, signature));
    }
    // The chain of hashes makes the newest signature stand for all before it.
    if let Some((body, signature)) = last {
        verify(StatementKind::AuditEntry, device.as_bytes(), body, signature)
            .map_err(|_| Break { seq: head.seq, why: "this device did not sign it" })?;
    }
    Ok(head)
}
