//! Credentials and invitation codes of DXOS's own clients (`@dxos/credentials`, `@dxos/client` 0.8.3), read and
//! checked.
//!
//! They are another world than ours: P-256 keys, and a signature over canonical JSON of the decoded message instead of
//! exact bytes. So nothing here is a [`crate::credential::Credential`], and nothing here grants anything: it lets a
//! wallet tell what somebody else's wallet said, and lets apps that were written for DXOS be told about its user in the
//! shapes that they know ([`DxosDraft`], [`present`]).
//!
//! The attack that is DXOS's own: the type of an assertion is not under the signature. A reader must not take one
//! type of assertion for another that has the same fields.

mod canonical;
mod draft;
mod encode;
mod invitation;
mod message;
mod schema;

use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{Signature, VerifyingKey};
use serde_json::Value;
use sha2::{Digest, Sha256};

pub use draft::{DxosAssertion, DxosDraft, DxosKey, DxosStatement, SignDxos, present};
pub use invitation::{INVITATION_ALPHABET, decode_invitation, encode_invitation};

/// Longer messages are not read.
pub const LONGEST: usize = 256 * 1024;
/// Chains are not followed further.
const LONGEST_CHAIN: usize = 16;
const AUTHORIZED_DEVICE: &str = "dxos.halo.credentials.AuthorizedDevice";

/// What is wrong with a message of DXOS.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DxosError {
    /// Its bytes are no such message.
    #[error("the DXOS message cannot be read: {what}")]
    Malformed {
        /// Where it breaks.
        what: &'static str,
    },
    /// The id it gives is not the one it has.
    #[error("the credential's id is not that of its content")]
    Id,
    /// The signature is not its signer's.
    #[error("the signature is not by the key that it names")]
    Signature,
    /// The signer speaks for somebody else and cannot show that it may.
    #[error("the signer is not a device of the issuer: {why}")]
    Chain {
        /// What is missing.
        why: &'static str,
    },
}

const fn malformed(what: &'static str) -> DxosError {
    DxosError::Malformed { what }
}

/// A credential, decoded and not checked.
#[derive(Debug, Clone, PartialEq)]
pub struct DxosCredential(Value);

impl DxosCredential {
    /// Reads `dxos.halo.credentials.Credential`.
    ///
    /// # Errors
    /// [`DxosError::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DxosError> {
        message::decode(&schema::CREDENTIAL, bytes).map(Self)
    }

    /// The whole of it as DXOS's tools show it: keys and bytes in hex, times in ISO 8601.
    #[must_use]
    pub const fn json(&self) -> &Value {
        &self.0
    }

    /// The type of its assertion, which is not under the signature.
    #[must_use]
    pub fn assertion_type(&self) -> &str {
        self.text("/subject/assertion/@type")
    }

    /// Who says it, in hex.
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.text("/issuer")
    }

    /// About whom, in hex.
    #[must_use]
    pub fn subject(&self) -> &str {
        self.text("/subject/id")
    }

    /// The text that is signed.
    #[must_use]
    pub fn payload(&self) -> String {
        let mut value = self.0.clone();
        if let Some(credential) = value.as_object_mut() {
            credential.remove("id");
            strip(credential);
            if let Some(proof) = credential.get_mut("proof").and_then(Value::as_object_mut) {
                unsigned(proof);
            }
        }
        canonical::text(&value)
    }

    /// Its id: SHA-256 of the payload.
    #[must_use]
    pub fn id(&self) -> [u8; 32] {
        Sha256::digest(self.payload()).into()
    }

    /// Checks id, signature, and by what right the signer speaks for the issuer.
    ///
    /// # Errors
    /// [`DxosError`].
    pub fn verify(&self) -> Result<(), DxosError> {
        self.verify_within(LONGEST_CHAIN)
    }

    fn verify_within(&self, left: usize) -> Result<(), DxosError> {
        let claimed = self.text("/id");
        if !claimed.is_empty() && claimed != data_encoding::HEXLOWER.encode(&self.id()) {
            return Err(DxosError::Id);
        }
        let signer = self.text("/proof/signer");
        check(signer, self.text("/proof/value"), &self.payload())?;
        if signer == self.issuer() {
            return Ok(());
        }
        let chain = |why| DxosError::Chain { why };
        let link = self.0.pointer("/proof/chain/credential").ok_or_else(|| chain("there is no chain"))?;
        let link = Self(link.clone());
        let left = left.checked_sub(1).ok_or_else(|| chain("it is too long"))?;
        if link.assertion_type() != AUTHORIZED_DEVICE
            || link.text("/subject/id") != signer
            || link.text("/subject/assertion/deviceKey") != signer
            || link.text("/subject/assertion/identityKey") != self.issuer()
            || link.issuer() != self.issuer()
        {
            return Err(chain("its chain is about somebody else"));
        }
        link.verify_within(left)
    }

    fn text(&self, pointer: &str) -> &str {
        self.0.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }
}

/// Credentials that somebody shows, with a proof that it is they who show them.
#[derive(Debug, Clone, PartialEq)]
pub struct DxosPresentation(Value);

impl DxosPresentation {
    /// Reads `dxos.halo.credentials.Presentation`.
    ///
    /// # Errors
    /// [`DxosError::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DxosError> {
        message::decode(&schema::PRESENTATION, bytes).map(Self)
    }

    /// What is shown.
    #[must_use]
    pub fn credentials(&self) -> Vec<DxosCredential> {
        let credentials = self.0.get("credentials").and_then(Value::as_array);
        credentials.into_iter().flatten().cloned().map(DxosCredential).collect()
    }

    /// The text that each of its proofs signs.
    #[must_use]
    pub fn payloads(&self) -> Vec<String> {
        let proofs = self.0.get("proofs").and_then(Value::as_array);
        proofs.into_iter().flatten().map(|proof| self.payload(proof)).collect()
    }

    /// The text that one proof signs, which may be there or be made.
    fn payload(&self, proof: &Value) -> String {
        let mut credentials = self.0.get("credentials").cloned().unwrap_or_default();
        for credential in credentials.as_array_mut().into_iter().flatten() {
            strip_all(credential);
        }
        let mut proof = proof.clone();
        proof.as_object_mut().map(unsigned);
        canonical::text(&serde_json::json!({ "credentials": credentials, "proof": proof }))
    }

    /// Checks every credential, and that each proof is by the key it names. By what right that key shows them is for
    /// the reader to judge.
    ///
    /// # Errors
    /// [`DxosError`].
    pub fn verify(&self) -> Result<(), DxosError> {
        self.credentials().iter().try_for_each(DxosCredential::verify)?;
        let proofs = self.0.get("proofs").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        if proofs.is_empty() {
            return Err(DxosError::Signature);
        }
        proofs.iter().zip(self.payloads()).try_for_each(|(proof, payload)| {
            let text = |name| proof.get(name).and_then(Value::as_str).unwrap_or_default();
            check(text("signer"), text("value"), &payload)
        })
    }
}

/// Drops what no payload has.
fn strip(credential: &mut serde_json::Map<String, Value>) {
    if credential.get("parentCredentialIds").and_then(Value::as_array).is_some_and(Vec::is_empty) {
        credential.remove("parentCredentialIds");
    }
}

/// The same of a credential, and of those that its chain is made of.
fn strip_all(credential: &mut Value) {
    let mut next = Some(credential);
    while let Some(credential) = next.take() {
        credential.as_object_mut().map(strip);
        next = credential.pointer_mut("/proof/chain/credential");
    }
}

/// A proof as it is while it is made.
fn unsigned(proof: &mut serde_json::Map<String, Value>) {
    proof.remove("chain");
    proof.insert("value".to_owned(), Value::from(""));
}

/// ECDSA over P-256 with SHA-256; the key is an uncompressed point, the signature r and s.
fn check(signer: &str, value: &str, payload: &str) -> Result<(), DxosError> {
    let bytes = |hex: &str| data_encoding::HEXLOWER.decode(hex.as_bytes()).map_err(|_| DxosError::Signature);
    let key = VerifyingKey::from_sec1_bytes(&bytes(signer)?).map_err(|_| DxosError::Signature)?;
    let signature = Signature::from_slice(&bytes(value)?).map_err(|_| DxosError::Signature)?;
    key.verify(payload.as_bytes(), &signature).map_err(|_| DxosError::Signature)
}
