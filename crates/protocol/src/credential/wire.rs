//! The protobuf encoding of a credential's body.

use prost::Message;

use super::assertion::{
    AdmittedFeed, AppGrant, AppKind, Assertion, Cut, DeviceProfile, IdentityProfile, MOST_CUTS,
};
use super::{CredentialError, CredentialId, Draft, LONGEST_BODY, MOST_PARENTS, SeedName};
use crate::feed::BlockHash;
use crate::keys::{AgreementKey, DeviceKey, FeedKey, HybridKey, IdentityKey, SpaceKey};
use crate::statement::Signature;
use crate::time::Timestamp;

const VERSION: u32 = 1;

#[derive(Clone, PartialEq, Message)]
struct Body {
    #[prost(uint32, tag = "1")]
    version: u32,
    #[prost(bytes = "vec", tag = "2")]
    issuer: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    subject: Vec<u8>,
    #[prost(uint64, tag = "4")]
    issued: u64,
    #[prost(uint64, optional, tag = "5")]
    expires: Option<u64>,
    #[prost(bytes = "vec", repeated, tag = "6")]
    parents: Vec<Vec<u8>>,
    #[prost(oneof = "Said", tags = "16, 17, 18, 19, 20, 21, 22, 23, 24, 25")]
    said: Option<Said>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Said {
    #[prost(message, tag = "16")]
    HaloSpace(HaloSpaceWire),
    #[prost(message, tag = "17")]
    AuthorizedDevice(AuthorizedDeviceWire),
    #[prost(message, tag = "18")]
    DeviceProfile(DeviceProfileWire),
    #[prost(message, tag = "19")]
    IdentityProfile(IdentityProfileWire),
    #[prost(message, tag = "20")]
    RevokedDevice(RevokedDeviceWire),
    #[prost(message, tag = "21")]
    AppGrant(AppGrantWire),
    #[prost(message, tag = "22")]
    AdmittedFeed(AdmittedFeedWire),
    #[prost(message, tag = "23")]
    Endorsed(EndorsedWire),
    #[prost(message, tag = "24")]
    SealingKey(SealingKeyWire),
    #[prost(message, tag = "25")]
    IdentityRecovery(IdentityRecoveryWire),
}

#[derive(Clone, PartialEq, Message)]
struct HaloSpaceWire {
    #[prost(bytes = "vec", tag = "1")]
    identity_key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    halo_key: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct AuthorizedDeviceWire {
    #[prost(bytes = "vec", tag = "1")]
    identity_key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    device_key: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    agreement_key: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct DeviceProfileWire {
    #[prost(string, tag = "1")]
    label: String,
    #[prost(string, tag = "2")]
    platform: String,
    #[prost(string, tag = "4")]
    architecture: String,
    #[prost(string, tag = "5")]
    os: String,
    #[prost(string, tag = "6")]
    os_version: String,
}

#[derive(Clone, PartialEq, Message)]
struct IdentityProfileWire {
    #[prost(string, tag = "1")]
    display_name: String,
    #[prost(bytes = "vec", optional, tag = "2")]
    avatar: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct RevokedDeviceWire {
    #[prost(bytes = "vec", tag = "1")]
    device_key: Vec<u8>,
    // Credentials of before there were feeds have none.
    #[prost(message, repeated, tag = "2")]
    cuts: Vec<CutWire>,
}

#[derive(Clone, PartialEq, Message)]
struct CutWire {
    #[prost(bytes = "vec", tag = "1")]
    feed: Vec<u8>,
    #[prost(uint64, tag = "2")]
    length: u64,
    #[prost(bytes = "vec", tag = "3")]
    head: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct AdmittedFeedWire {
    #[prost(bytes = "vec", tag = "1")]
    space_key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    device_key: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    feed_key: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    claim: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct EndorsedWire {
    #[prost(bytes = "vec", tag = "1")]
    authorisation: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct SealingKeyWire {
    #[prost(bytes = "vec", tag = "1")]
    hybrid_key: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct IdentityRecoveryWire {
    #[prost(bytes = "vec", tag = "1")]
    identity_key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    recovery_key: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct AppGrantWire {
    #[prost(bytes = "vec", tag = "1")]
    grant_id: Vec<u8>,
    #[prost(string, tag = "2")]
    client_id: String,
    #[prost(string, optional, tag = "3")]
    name: Option<String>,
    #[prost(uint32, tag = "4")]
    kind: u32,
    #[prost(string, repeated, tag = "5")]
    scopes: Vec<String>,
    #[prost(string, repeated, tag = "6")]
    fields: Vec<String>,
    #[prost(bool, tag = "7")]
    identity: bool,
    #[prost(uint32, tag = "8")]
    alias_epoch: u32,
    #[prost(bool, tag = "9")]
    revoked: bool,
    #[prost(bytes = "vec", optional, tag = "10")]
    alias_seed: Option<Vec<u8>>,
}

const WEB: u32 = 1;
const NATIVE: u32 = 2;

/// Encodes a draft; the result is what is signed.
pub(super) fn encode(draft: &Draft) -> Vec<u8> {
    body_of(draft).encode_to_vec()
}

fn body_of(draft: &Draft) -> Body {
    let said = match &draft.assertion {
        Assertion::HaloSpace { identity_key, halo_key } => Said::HaloSpace(HaloSpaceWire {
            identity_key: identity_key.as_bytes().to_vec(),
            halo_key: halo_key.to_vec(),
        }),
        Assertion::AuthorizedDevice { identity_key, device_key, agreement_key } => {
            Said::AuthorizedDevice(AuthorizedDeviceWire {
                identity_key: identity_key.as_bytes().to_vec(),
                device_key: device_key.as_bytes().to_vec(),
                agreement_key: agreement_key.as_bytes().to_vec(),
            })
        }
        Assertion::DeviceProfile(profile) => Said::DeviceProfile(DeviceProfileWire {
            label: profile.label.clone(),
            platform: profile.platform.clone(),
            architecture: profile.architecture.clone(),
            os: profile.os.clone(),
            os_version: profile.os_version.clone(),
        }),
        Assertion::IdentityProfile(profile) => Said::IdentityProfile(IdentityProfileWire {
            display_name: profile.display_name.clone(),
            avatar: profile.avatar.clone(),
        }),
        Assertion::RevokedDevice { device_key, cuts } => Said::RevokedDevice(RevokedDeviceWire {
            device_key: device_key.as_bytes().to_vec(),
            cuts: cuts.iter().map(cut_wire).collect(),
        }),
        Assertion::AdmittedFeed(admitted) => Said::AdmittedFeed(AdmittedFeedWire {
            space_key: admitted.space_key.as_bytes().to_vec(),
            device_key: admitted.device_key.as_bytes().to_vec(),
            feed_key: admitted.feed_key.as_bytes().to_vec(),
            claim: admitted.claim.as_bytes().to_vec(),
        }),
        Assertion::Endorsed { authorisation } => {
            Said::Endorsed(EndorsedWire { authorisation: authorisation.as_bytes().to_vec() })
        }
        Assertion::SealingKey { hybrid_key } => {
            Said::SealingKey(SealingKeyWire { hybrid_key: hybrid_key.as_bytes().to_vec() })
        }
        Assertion::IdentityRecovery { identity_key, recovery_key } => {
            Said::IdentityRecovery(IdentityRecoveryWire {
                identity_key: identity_key.as_bytes().to_vec(),
                recovery_key: recovery_key.as_bytes().to_vec(),
            })
        }
        Assertion::AppGrant(grant) => Said::AppGrant(AppGrantWire {
            grant_id: grant.grant_id.to_vec(),
            client_id: grant.client_id.clone(),
            name: grant.name.clone(),
            kind: match grant.kind {
                AppKind::Web => WEB,
                AppKind::Native => NATIVE,
            },
            scopes: grant.scopes.clone(),
            fields: grant.fields.clone(),
            identity: grant.identity,
            alias_epoch: grant.alias_epoch,
            revoked: grant.revoked,
            alias_seed: grant.alias_seed.map(|name| name.as_bytes().to_vec()),
        }),
    };
    Body {
        version: VERSION,
        issuer: draft.issuer.to_vec(),
        subject: draft.subject.to_vec(),
        issued: draft.issued.as_millis(),
        expires: draft.expires.map(Timestamp::as_millis),
        parents: draft.parents.iter().map(|parent| parent.as_bytes().to_vec()).collect(),
        said: Some(said),
    }
}

/// Decodes a body. Takes only what [`encode`] writes: no unknown fields, no second form of the same thing.
pub(super) fn decode(bytes: &[u8]) -> Result<Draft, CredentialError> {
    let bad = |what| CredentialError::Encoding { what };
    if bytes.len() > LONGEST_BODY {
        return Err(CredentialError::Length { length: bytes.len() });
    }
    let body = Body::decode(bytes).map_err(|_| bad("not a message"))?;
    if body.version != VERSION {
        return Err(CredentialError::Version { version: body.version });
    }
    if body.encode_to_vec() != bytes {
        return Err(bad("not the canonical encoding"));
    }
    if body.parents.len() > MOST_PARENTS {
        return Err(bad("too many parents"));
    }
    let parents = body
        .parents
        .iter()
        .map(|parent| array(parent).map(CredentialId::from_bytes))
        .collect::<Result<Vec<_>, _>>()?;
    if !parents.is_sorted_by(|a, b| a < b) {
        return Err(bad("parents are not sorted, or twice there"));
    }
    Ok(Draft {
        issuer: array(&body.issuer)?,
        subject: array(&body.subject)?,
        issued: Timestamp::from_millis(body.issued),
        expires: body.expires.map(Timestamp::from_millis),
        parents,
        assertion: assertion(body.said.ok_or_else(|| bad("nothing is said"))?)?,
    })
}

fn assertion(said: Said) -> Result<Assertion, CredentialError> {
    let bad = |what| CredentialError::Encoding { what };
    let key = |_| bad("a key is not one");
    Ok(match said {
        Said::HaloSpace(wire) => Assertion::HaloSpace {
            identity_key: IdentityKey::from_bytes(&wire.identity_key).map_err(key)?,
            halo_key: array(&wire.halo_key)?,
        },
        Said::AuthorizedDevice(wire) => Assertion::AuthorizedDevice {
            identity_key: IdentityKey::from_bytes(&wire.identity_key).map_err(key)?,
            device_key: DeviceKey::from_bytes(&wire.device_key).map_err(key)?,
            agreement_key: AgreementKey::from_bytes(&wire.agreement_key).map_err(key)?,
        },
        Said::DeviceProfile(wire) => Assertion::DeviceProfile(DeviceProfile {
            label: wire.label,
            platform: wire.platform,
            architecture: wire.architecture,
            os: wire.os,
            os_version: wire.os_version,
        }),
        Said::IdentityProfile(wire) => {
            if wire.avatar.as_ref().is_some_and(|avatar| avatar.len() > 8 * 1024) {
                return Err(bad("the picture has more than 8 KiB"));
            }
            Assertion::IdentityProfile(IdentityProfile {
                display_name: wire.display_name,
                avatar: wire.avatar,
            })
        }
        Said::RevokedDevice(wire) => Assertion::RevokedDevice {
            device_key: DeviceKey::from_bytes(&wire.device_key).map_err(key)?,
            cuts: cuts(&wire.cuts)?,
        },
        Said::AdmittedFeed(wire) => Assertion::AdmittedFeed(AdmittedFeed {
            space_key: SpaceKey::from_bytes(&wire.space_key).map_err(key)?,
            device_key: DeviceKey::from_bytes(&wire.device_key).map_err(key)?,
            feed_key: FeedKey::from_bytes(&wire.feed_key).map_err(key)?,
            claim: Signature::from_bytes(wire.claim.try_into().map_err(|_| bad("a signature has 64 bytes"))?),
        }),
        Said::Endorsed(wire) => {
            Assertion::Endorsed { authorisation: CredentialId::from_bytes(array(&wire.authorisation)?) }
        }
        Said::SealingKey(wire) => {
            Assertion::SealingKey { hybrid_key: HybridKey::from_bytes(&wire.hybrid_key).map_err(key)? }
        }
        Said::IdentityRecovery(wire) => Assertion::IdentityRecovery {
            identity_key: IdentityKey::from_bytes(&wire.identity_key).map_err(key)?,
            recovery_key: HybridKey::from_bytes(&wire.recovery_key).map_err(key)?,
        },
        Said::AppGrant(wire) => Assertion::AppGrant(AppGrant {
            grant_id: wire.grant_id.try_into().map_err(|_| bad("the id of a grant has 16 bytes"))?,
            client_id: wire.client_id,
            name: wire.name,
            kind: match wire.kind {
                WEB => AppKind::Web,
                NATIVE => AppKind::Native,
                _ => return Err(bad("no such kind of app")),
            },
            scopes: wire.scopes,
            fields: wire.fields,
            identity: wire.identity,
            alias_epoch: wire.alias_epoch,
            alias_seed: wire.alias_seed.as_deref().map(array).transpose()?.map(SeedName::from_bytes),
            revoked: wire.revoked,
        }),
    })
}

fn cut_wire(cut: &Cut) -> CutWire {
    CutWire { feed: cut.feed.as_bytes().to_vec(), length: cut.length, head: cut.head.as_bytes().to_vec() }
}

/// Cuts ascend by feed, one a feed; what ends before its first block has no last one.
fn cuts(wire: &[CutWire]) -> Result<Vec<Cut>, CredentialError> {
    let bad = |what| CredentialError::Encoding { what };
    if wire.len() > MOST_CUTS {
        return Err(bad("too many cuts"));
    }
    let mut cuts: Vec<Cut> = Vec::with_capacity(wire.len());
    for cut in wire {
        let feed = FeedKey::from_bytes(&cut.feed).map_err(|_| bad("a key is not one"))?;
        let head = BlockHash::from_bytes(array(&cut.head)?);
        if (cut.length == 0) != (head == BlockHash::NONE) {
            return Err(bad("a cut names a last block where there is none, or none where there is one"));
        }
        if cuts.last().is_some_and(|before| before.feed >= feed) {
            return Err(bad("cuts are not sorted, or a feed is twice there"));
        }
        cuts.push(Cut { feed, length: cut.length, head });
    }
    Ok(cuts)
}

fn array(bytes: &[u8]) -> Result<[u8; 32], CredentialError> {
    bytes.try_into().map_err(|_| CredentialError::Encoding { what: "a key or id has 32 bytes" })
}
