//! Identity, devices, credentials, invitations: what an app is told about its user.

use halo_wallet::{DxosDevice, DxosSpace, DxosUser, Scope};
use prost::Message;

use super::peer::{Desk, Failure};
use super::proto::{
    AcceptInvitationRequest, Device, DeviceProfileDocument, Identity, Invitation, ProfileDocument, PublicKey,
    QueryCredentialsRequest, QueryDevicesResponse, SignPresentationRequest, WriteCredentialsRequest,
};
use super::services::{Answer, nothing};
use super::streams::{Credentials, Stream};

/// `PresenceState` of a device.
const OFFLINE: i32 = 0;
const ONLINE: i32 = 1;
/// `DeviceKind`.
const CURRENT: i32 = 0;
const TRUSTED: i32 = 1;
/// `DeviceType.NATIVE`.
const NATIVE: i32 = 2;
/// `Invitation.Kind.SPACE`; the other one is a device.
const SPACE: i32 = 1;
/// Credentials that are written at once.
const MOST_CREDENTIALS: usize = 100;

const DEVICES_IN_HALO: &str = "devices are linked in HALO, never by an app";
const NO_INVITATIONS: &str = "people cannot be invited into spaces yet";

impl Desk<'_> {
    pub(super) async fn user(&self) -> Result<DxosUser, Failure> {
        Ok(self.face.wallet.dxos_user(self.grant.grant()).await?)
    }

    /// Who the user is to this app.
    pub(super) async fn identity(&self) -> Result<Identity, Failure> {
        Ok(shown(&self.user().await?))
    }

    /// A profile that is there already is no change; every other one is the user's to make.
    pub(super) async fn update_profile(&self, payload: &[u8]) -> Answer {
        let wanted = ProfileDocument::decode(payload)?;
        let me = self.identity().await?;
        let same = wanted.avatar_cid.is_none()
            && me.profile.as_ref().is_some_and(|profile| {
                profile.display_name.is_some() && profile.display_name == wanted.display_name
            });
        if same {
            return Ok(me.encode_to_vec());
        }
        Err(Failure::new("FORBIDDEN", "the profile is the user's to change, in HALO"))
    }

    pub(super) async fn sign_presentation(&self, payload: &[u8]) -> Answer {
        let SignPresentationRequest { presentation, nonce } = SignPresentationRequest::decode(payload)?;
        Ok(self.face.wallet.dxos_present(self.grant.grant(), presentation, nonce).await?)
    }

    pub(super) async fn devices(&self) -> Result<QueryDevicesResponse, Failure> {
        let user = self.user().await?;
        let snapshot = self.face.wallet.snapshot();
        let online = |device: &DxosDevice| {
            let key = device.device_key.to_string();
            device.current || snapshot.devices.iter().any(|view| view.device_key == key && view.online)
        };
        let devices = user.devices.into_iter().map(|device| Device {
            presence: Some(if online(&device) { ONLINE } else { OFFLINE }),
            device_key: Some(PublicKey { data: device.key.as_bytes().to_vec() }),
            kind: Some(if device.current { CURRENT } else { TRUSTED }),
            profile: Some(DeviceProfileDocument {
                label: Some(device.label),
                platform: Some("HALO".to_owned()),
                os: Some(device.platform).filter(|platform| !platform.is_empty()),
                kind: Some(NATIVE),
            }),
        });
        Ok(QueryDevicesResponse { devices: devices.collect() })
    }

    /// The credentials of a space, or of the identity.
    pub(super) async fn credentials(&self, payload: &[u8]) -> Result<Stream, Failure> {
        let request = QueryCredentialsRequest::decode(payload)?;
        let of = self.space_or_halo(request.space_key).await?;
        Ok(Stream::Credentials(Credentials::new(of, request.no_tail == Some(true))))
    }

    pub(super) async fn write_credentials(&self, payload: &[u8]) -> Answer {
        let request = WriteCredentialsRequest::decode(payload)?;
        if request.credentials.len() > MOST_CREDENTIALS {
            return Err(Failure::new("INVALID", "at most 100 credentials are written at once"));
        }
        let of = self.space_or_halo(request.space_key).await?;
        self.face.wallet.keep_dxos_credentials(self.grant.grant(), of, request.credentials).await?;
        Ok(nothing())
    }

    async fn space_or_halo(&self, key: Option<PublicKey>) -> Result<DxosSpace, Failure> {
        let key = key.unwrap_or_default();
        if self.user().await?.halo_space_key.as_bytes().as_slice() == key.data {
            return Ok(DxosSpace::Halo);
        }
        Ok(DxosSpace::Space(self.space_by_key(Some(key)).await?.id))
    }

    /// Why an invitation is not made.
    pub(super) async fn no_invitation(&self, payload: &[u8]) -> Failure {
        let Ok(wanted) = Invitation::decode(payload) else {
            return Failure::new("INVALID", "the payload cannot be read");
        };
        if wanted.kind != Some(SPACE) {
            return Failure::new("FORBIDDEN", DEVICES_IN_HALO);
        }
        if let Err(failure) = self.may(Scope::Invitations) {
            return failure;
        }
        match self.space_by_key(wanted.space_key).await {
            Ok(_) => Failure::new("NOT_SUPPORTED", NO_INVITATIONS),
            Err(failure) => failure,
        }
    }

    /// Why an invitation is not accepted.
    pub(super) fn no_acceptance(&self, payload: &[u8]) -> Failure {
        let Ok(request) = AcceptInvitationRequest::decode(payload) else {
            return Failure::new("INVALID", "the payload cannot be read");
        };
        if request.invitation.unwrap_or_default().kind != Some(SPACE) {
            return Failure::new("FORBIDDEN", DEVICES_IN_HALO);
        }
        match self.may(Scope::Invitations) {
            Ok(()) => Failure::new("NOT_SUPPORTED", NO_INVITATIONS),
            Err(failure) => failure,
        }
    }

    /// Whether the grant has a scope.
    pub(super) fn may(&self, scope: Scope) -> Result<(), Failure> {
        let snapshot = self.face.wallet.snapshot();
        let granted =
            snapshot.grants.get(self.grant.grant()).is_some_and(|grant| grant.scopes.contains(&scope));
        granted
            .then_some(())
            .ok_or_else(|| Failure::new("FORBIDDEN", format!("this needs the scope {}", scope.as_str())))
    }
}

pub(super) fn shown(user: &DxosUser) -> Identity {
    Identity {
        identity_key: Some(PublicKey { data: user.identity_key.as_bytes().to_vec() }),
        space_key: Some(PublicKey { data: user.halo_space_key.as_bytes().to_vec() }),
        profile: Some(ProfileDocument { display_name: user.name.clone(), avatar_cid: None }),
        did: user.identity_key.did(),
    }
}
