//! Credentials and presentations made in DXOS's shapes.
//!
//! Apps that were written for DXOS show them to servers that were. They are signed with P-256 keys that sign nothing
//! else, and only what is built here: a [`DxosStatement`] has no other maker. The signature's input is JSON, as DXOS
//! fixed it, so it cannot be told apart by a domain; the key is what tells it apart.

use data_encoding::{BASE32_NOPAD, HEXLOWER};
use p256::ecdsa::VerifyingKey;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::encode::{encode, put_bytes};
use super::message::iso;
use super::{DxosCredential, DxosError, DxosPresentation, malformed, schema};
use crate::time::Timestamp;

/// What every proof of DXOS calls itself, whatever its key is.
const PROOF_TYPE: &str = "ED25519Signature";
/// Longer nonces are no challenges.
const LONGEST_NONCE: usize = 1_024;

/// A P-256 key as DXOS writes it: a point, uncompressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DxosKey([u8; 65]);

impl DxosKey {
    /// From its 65 bytes.
    ///
    /// # Errors
    /// [`DxosError::Malformed`] for what is no point of the curve.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DxosError> {
        let point = VerifyingKey::from_sec1_bytes(bytes).map_err(|_| malformed("a key is none"))?;
        let bytes: [u8; 65] = point
            .to_encoded_point(false)
            .as_bytes()
            .try_into()
            .map_err(|_| malformed("a key is of another length"))?;
        Ok(Self(bytes))
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 65] {
        &self.0
    }

    /// The id of an identity with this key: `did:halo:B…`, as DXOS derives it.
    #[must_use]
    pub fn did(&self) -> String {
        let digest = Sha256::digest(self.0);
        format!("did:halo:B{}", BASE32_NOPAD.encode(digest.get(..20).unwrap_or_default()))
    }
}

/// Something that may be signed in DXOS's way. Only builders of this module make one.
pub struct DxosStatement(String);

impl DxosStatement {
    /// The bytes that the signature covers.
    #[must_use]
    pub const fn signing_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// The port to a P-256 key that somebody else keeps.
pub trait SignDxos {
    /// Its public half.
    fn dxos_key(&self) -> DxosKey;
    /// Signs [`DxosStatement::signing_bytes`] with ECDSA and SHA-256: r and s.
    fn sign_dxos(&self, statement: &DxosStatement) -> [u8; 64];
}

/// What a credential made here says. Keys are as long as whoever has them has them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are DXOS's and named in its documents")]
pub enum DxosAssertion {
    /// A space began.
    SpaceGenesis { space_key: Vec<u8> },
    /// Somebody is a member of it.
    SpaceMember { space_key: Vec<u8>, role: i32, display_name: Option<String> },
    /// A device speaks for an identity.
    AuthorizedDevice { identity_key: DxosKey, device_key: DxosKey },
    /// What a device is.
    DeviceProfile { label: String, platform: String, kind: i32 },
    /// What an identity calls itself.
    IdentityProfile { display_name: Option<String> },
    /// Where an identity keeps what has no other place.
    DefaultSpace { space_id: String },
    /// The directory of a space.
    Epoch { number: u32, automerge_root: String },
    /// Whoever shows it is who it names.
    Auth,
}

impl DxosAssertion {
    fn json(&self) -> Value {
        let hex = |bytes: &[u8]| HEXLOWER.encode(bytes);
        let profile = |name: &Option<String>| {
            name.as_ref().map_or_else(|| json!({}), |name| json!({ "displayName": name }))
        };
        let (name, mut fields) = match self {
            Self::SpaceGenesis { space_key } => ("SpaceGenesis", json!({ "spaceKey": hex(space_key) })),
            Self::SpaceMember { space_key, role, display_name } => (
                "SpaceMember",
                json!({
                    "spaceKey": hex(space_key),
                    "role": role,
                    "profile": profile(display_name),
                    // DXOS's readers take a key that is missing for an empty one, which spoils the signature. Feeds are not shown.
                    "genesisFeedKey": hex(space_key),
                }),
            ),
            Self::AuthorizedDevice { identity_key, device_key } => (
                "AuthorizedDevice",
                json!({ "identityKey": hex(identity_key.as_bytes()), "deviceKey": hex(device_key.as_bytes()) }),
            ),
            Self::DeviceProfile { label, platform, kind } => (
                "DeviceProfile",
                json!({ "profile": { "label": label, "platform": platform, "type": kind } }),
            ),
            Self::IdentityProfile { display_name } => {
                ("IdentityProfile", json!({ "profile": profile(display_name) }))
            }
            Self::DefaultSpace { space_id } => ("DefaultSpace", json!({ "spaceId": space_id })),
            Self::Epoch { number, automerge_root } => {
                ("Epoch", json!({ "number": number, "timeframe": {}, "automergeRoot": automerge_root }))
            }
            Self::Auth => ("Auth", json!({})),
        };
        if let Some(fields) = fields.as_object_mut() {
            fields.insert("@type".to_owned(), json!(format!("dxos.halo.credentials.{name}")));
        }
        fields
    }
}

/// A credential before it is signed.
#[derive(Debug, Clone)]
pub struct DxosDraft {
    /// Who says it.
    pub issuer: DxosKey,
    /// About whom.
    pub subject: Vec<u8>,
    /// When.
    pub issued: Timestamp,
    /// What.
    pub assertion: DxosAssertion,
}

impl DxosDraft {
    /// Signs it: as the issuer, or as a device that `chain` shows to be the issuer's.
    ///
    /// # Errors
    /// [`DxosError::Chain`] for a signer who does not speak for the issuer.
    pub fn sign(
        &self,
        signer: &dyn SignDxos,
        chain: Option<&DxosCredential>,
    ) -> Result<DxosCredential, DxosError> {
        if signer.dxos_key() != self.issuer && chain.is_none() {
            return Err(DxosError::Chain { why: "there is no chain" });
        }
        let proof = proof(signer, self.issued, None)?;
        let mut credential = DxosCredential(json!({
            "issuer": HEXLOWER.encode(self.issuer.as_bytes()),
            "issuanceDate": iso(self.issued)?,
            "subject": { "id": HEXLOWER.encode(&self.subject), "assertion": self.assertion.json() },
            "proof": proof,
            "parentCredentialIds": [],
        }));
        let statement = DxosStatement(credential.payload());
        let id = HEXLOWER.encode(&credential.id());
        if let Some(fields) = credential.0.as_object_mut() {
            fields.insert("id".to_owned(), id.into());
            if let Some(proof) = fields.get_mut("proof").and_then(Value::as_object_mut) {
                settle(proof, &signer.sign_dxos(&statement), chain);
            }
        }
        Ok(credential)
    }
}

impl DxosCredential {
    /// As bytes, for those that were made here.
    ///
    /// # Errors
    /// [`DxosError::Malformed`] for one with fields that are only read.
    pub fn encode(&self) -> Result<Vec<u8>, DxosError> {
        encode(&schema::CREDENTIAL, &self.0)
    }
}

/// Adds a proof to a presentation: it is `signer` who shows these credentials, in answer to `nonce`.
///
/// What was given is kept byte for byte.
///
/// # Errors
/// [`DxosError`] for bytes that are no presentation, or a credential in it that does not hold.
pub fn present(
    presentation: &[u8],
    nonce: Option<&[u8]>,
    now: Timestamp,
    signer: &dyn SignDxos,
    chain: Option<&DxosCredential>,
) -> Result<Vec<u8>, DxosError> {
    let read = DxosPresentation::decode(presentation)?;
    read.credentials().iter().try_for_each(DxosCredential::verify)?;
    if nonce.is_some_and(|nonce| nonce.len() > LONGEST_NONCE) {
        return Err(malformed("the nonce is too long"));
    }
    let mut proof = proof(signer, now, nonce)?;
    let statement = DxosStatement(read.payload(&proof));
    if let Some(proof) = proof.as_object_mut() {
        settle(proof, &signer.sign_dxos(&statement), chain);
    }
    // A message followed by one more field is that message with the field.
    let mut bytes = presentation.to_vec();
    put_bytes(&mut bytes, 2, &encode(&schema::PROOF, &proof)?);
    Ok(bytes)
}

fn proof(signer: &dyn SignDxos, now: Timestamp, nonce: Option<&[u8]>) -> Result<Value, DxosError> {
    let mut proof = json!({
        "type": PROOF_TYPE,
        "creationDate": iso(now)?,
        "signer": HEXLOWER.encode(signer.dxos_key().as_bytes()),
        "value": "",
    });
    if let (Some(nonce), Some(proof)) = (nonce, proof.as_object_mut()) {
        proof.insert("nonce".to_owned(), HEXLOWER.encode(nonce).into());
    }
    Ok(proof)
}

fn settle(proof: &mut Map<String, Value>, signature: &[u8; 64], chain: Option<&DxosCredential>) {
    proof.insert("value".to_owned(), HEXLOWER.encode(signature).into());
    if let Some(chain) = chain {
        proof.insert("chain".to_owned(), json!({ "credential": chain.0 }));
    }
}
