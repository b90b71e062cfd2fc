//! The messages that are read, as `@dxos/protocols` 0.8.3 numbers their fields.

use Kind::{Any, Bytes, Enum, Flag, Key, Message, Number, Struct, Text, Time, Timeframe};

/// What a field holds.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// `dxos.keys.PublicKey`.
    Key,
    /// Bytes, shown in hex.
    Bytes,
    Text,
    Number,
    /// Absent ones stay absent.
    Enum,
    Flag,
    /// `google.protobuf.Timestamp`.
    Time,
    /// `google.protobuf.Struct`.
    Struct,
    /// `google.protobuf.Any`, with the message in it.
    Any,
    /// `dxos.echo.timeframe.TimeframeVector`.
    Timeframe,
    Message(&'static Schema),
}

/// A message.
pub(super) struct Schema(pub(super) &'static [Field]);

/// One of its fields.
pub(super) struct Field {
    pub(super) number: u32,
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) how: How,
}

/// Whether a field must be there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// Absent scalars count as their default.
    One,
    Optional,
    Many,
}

const fn one(number: u32, name: &'static str, kind: Kind) -> Field {
    Field { number, name, kind, how: How::One }
}

const fn maybe(number: u32, name: &'static str, kind: Kind) -> Field {
    Field { number, name, kind, how: How::Optional }
}

const fn many(number: u32, name: &'static str, kind: Kind) -> Field {
    Field { number, name, kind, how: How::Many }
}

pub(super) static CREDENTIAL: Schema = Schema(&[
    maybe(1, "id", Key),
    one(2, "issuer", Key),
    one(3, "issuanceDate", Time),
    maybe(4, "expirationDate", Time),
    maybe(5, "expirationRef", Bytes),
    one(10, "subject", Message(&CLAIM)),
    maybe(11, "proof", Message(&PROOF)),
    many(12, "parentCredentialIds", Key),
]);

static CLAIM: Schema = Schema(&[one(1, "id", Key), one(2, "assertion", Any)]);

pub(super) static PROOF: Schema = Schema(&[
    one(1, "type", Text),
    one(2, "creationDate", Time),
    one(3, "signer", Key),
    maybe(4, "nonce", Bytes),
    one(5, "value", Bytes),
    maybe(6, "chain", Message(&CHAIN)),
]);

static CHAIN: Schema = Schema(&[one(1, "credential", Message(&CREDENTIAL))]);

pub(super) static PRESENTATION: Schema =
    Schema(&[many(1, "credentials", Message(&CREDENTIAL)), many(2, "proofs", Message(&PROOF))]);

pub(super) static INVITATION: Schema = Schema(&[
    one(1, "invitationId", Text),
    one(2, "type", Enum),
    one(3, "kind", Enum),
    one(4, "authMethod", Enum),
    one(5, "swarmKey", Key),
    one(6, "state", Enum),
    maybe(7, "timeout", Number),
    maybe(8, "identityKey", Key),
    maybe(9, "spaceKey", Key),
    maybe(10, "authCode", Text),
    maybe(11, "target", Text),
    maybe(12, "persistent", Flag),
    maybe(13, "created", Time),
    maybe(14, "lifetime", Number),
    maybe(15, "multiUse", Flag),
    maybe(16, "guestKeypair", Message(&KEYPAIR)),
    maybe(17, "delegationCredentialId", Key),
    maybe(18, "role", Enum),
    maybe(19, "spaceId", Text),
]);

static KEYPAIR: Schema = Schema(&[one(1, "publicKey", Key), one(2, "privateKey", Key)]);

static PROFILE: Schema =
    Schema(&[maybe(1, "displayName", Text), maybe(2, "avatarCid", Text), maybe(10, "data", Struct)]);

static DEVICE_PROFILE: Schema = Schema(&[
    maybe(1, "label", Text),
    maybe(2, "platform", Text),
    maybe(3, "platformVersion", Text),
    maybe(4, "architecture", Text),
    maybe(5, "os", Text),
    maybe(6, "osVersion", Text),
    maybe(7, "type", Enum),
]);

/// Assertions, by the name in their `Any`.
static ASSERTIONS: [(&str, Schema); 17] = [
    ("dxos.halo.credentials.SpaceGenesis", Schema(&[one(1, "spaceKey", Key)])),
    (
        "dxos.halo.credentials.SpaceMember",
        Schema(&[
            one(1, "spaceKey", Key),
            one(2, "role", Enum),
            maybe(3, "profile", Message(&PROFILE)),
            maybe(4, "genesisFeedKey", Key),
            maybe(5, "invitationCredentialId", Key),
        ]),
    ),
    (
        "dxos.halo.credentials.AuthorizedDevice",
        Schema(&[one(1, "identityKey", Key), one(2, "deviceKey", Key)]),
    ),
    (
        "dxos.halo.credentials.AdmittedFeed",
        Schema(&[
            one(1, "spaceKey", Key),
            one(2, "identityKey", Key),
            one(3, "deviceKey", Key),
            one(4, "designation", Enum),
        ]),
    ),
    (
        "dxos.halo.credentials.Epoch",
        Schema(&[
            one(1, "number", Number),
            maybe(2, "previousId", Key),
            one(10, "timeframe", Timeframe),
            maybe(11, "snapshotCid", Text),
            maybe(12, "automergeRoot", Text),
        ]),
    ),
    ("dxos.halo.credentials.HaloSpace", Schema(&[one(1, "identityKey", Key), one(2, "haloKey", Key)])),
    ("dxos.halo.credentials.DefaultSpace", Schema(&[one(1, "spaceId", Text)])),
    ("dxos.halo.credentials.Auth", Schema(&[])),
    ("dxos.halo.credentials.IdentityProfile", Schema(&[one(1, "profile", Message(&PROFILE))])),
    ("dxos.halo.credentials.DeviceProfile", Schema(&[one(1, "profile", Message(&DEVICE_PROFILE))])),
    ("dxos.halo.credentials.MemberProfile", Schema(&[maybe(3, "profile", Message(&PROFILE))])),
    (
        "dxos.halo.credentials.IdentityRecovery",
        Schema(&[
            one(1, "identityKey", Key),
            one(2, "recoveryKey", Key),
            maybe(3, "algorithm", Text),
            maybe(4, "lookupKey", Key),
        ]),
    ),
    (
        "dxos.halo.credentials.KubeAccess",
        Schema(&[one(1, "kubeKey", Key), one(2, "identityKey", Key), many(3, "capabilities", Text)]),
    ),
    ("dxos.halo.credentials.KeyInfo", Schema(&[maybe(1, "name", Text)])),
    (
        "dxos.halo.credentials.ServiceAccess",
        Schema(&[
            one(1, "serverName", Text),
            maybe(2, "serverMetadata", Struct),
            one(3, "serverKey", Key),
            one(4, "identityKey", Key),
            many(5, "capabilities", Text),
        ]),
    ),
    (
        "dxos.halo.invitations.DelegateSpaceInvitation",
        Schema(&[
            one(1, "invitationId", Text),
            one(2, "authMethod", Enum),
            one(3, "swarmKey", Key),
            one(4, "role", Enum),
            maybe(5, "guestKey", Key),
            maybe(6, "expiresOn", Time),
            one(7, "multiUse", Flag),
        ]),
    ),
    ("dxos.halo.invitations.CancelDelegatedInvitation", Schema(&[one(1, "credentialId", Key)])),
];

/// The message that an `Any` of this name holds.
pub(super) fn assertion(name: &str) -> Option<&'static Schema> {
    ASSERTIONS.iter().find(|(known, _)| *known == name).map(|(_, schema)| schema)
}
