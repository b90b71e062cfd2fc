//! What the services answer.
//!
//! About thirty methods of DXOS's services mean something here. Every other one fails with a message that says so.

use halo_wallet::{DocumentId, SpaceView};
use prost::Message;
use sha2::{Digest, Sha256};

use super::peer::{Desk, Failure, Peer};
use super::proto::{
    Any, Claim, ContactBook, Credential, DefaultSpace, Device, DeviceProfileDocument, DocHeads, DocHeadsList,
    DocumentIds, Empty, GetDocumentHeadsResponse, Identity, Metrics, OfSpaceKey, PipelineState, Platform,
    ProfileDocument, PublicKey, QueryDevicesResponse, QueryIdentityResponse, QuerySpacesResponse, Space,
    SpaceMember, Timestamp, UpdateRequest, UpdateSpaceRequest, UpdateSubscriptionRequest,
};
use super::streams::{Live, Stream, Subscription};

/// `SystemStatus.ACTIVE`, `ConnectionState.ONLINE`.
const ACTIVE: i32 = 1;
/// `ConnectionState.OFFLINE`, `EdgeStatus.NOT_CONNECTED`.
const OFFLINE: i32 = 0;
/// `QueryAgentStatusResponse.AgentStatus.NOT_FOUND`.
const NO_AGENT: i32 = 3;
/// `SpaceState.SPACE_READY`.
const READY: i32 = 3;
/// `PresenceState.ONLINE`, of members and devices.
const ONLINE: i32 = 1;
/// `SpaceMember.Role.OWNER`.
const OWNER: i32 = 4;
/// `DeviceType.NATIVE`.
const NATIVE: i32 = 2;
/// `PLATFORM_TYPE.NODE`: neither a page nor a worker.
const NO_BROWSER: i32 = 2;

type Answer = Result<Vec<u8>, Failure>;

impl Peer<'_> {
    /// Answers a call.
    pub(super) async fn call(&mut self, method: &str, payload: &[u8]) -> Answer {
        match short(method) {
            "IdentityService.CreateIdentity" => {
                // An approved app asks for the identity that there is.
                self.desk.identity().await.map(|identity| identity.encode_to_vec())
            }
            "ContactsService.GetContacts" => Ok(ContactBook {}.encode_to_vec()),
            "SpacesService.CreateSpace" => {
                let space = self.desk.face.wallet.create_space(self.desk.grant.grant(), None).await?;
                let me = self.desk.identity().await?;
                Ok(describe(&space, &me).encode_to_vec())
            }
            "SpacesService.UpdateSpace" => {
                // Opening and closing is the client's own affair: a space here is always there.
                let request = UpdateSpaceRequest::decode(payload)?;
                self.desk.space_by_key(request.space_key).await.map(|_| nothing())
            }
            "DataService.UpdateSubscription" => self.update_subscription(payload).await,
            "DataService.Update" => self.update(payload).await,
            // An update is on disk and indexed before it is answered.
            "DataService.Flush"
            | "DataService.UpdateIndexes"
            | "DataService.ReIndexHeads"
            | "DataService.WaitUntilHeadsReplicated"
            | "QueryService.SetConfig"
            | "QueryService.Reindex"
            | "InvitationsService.CancelInvitation" => Ok(nothing()),
            "DataService.GetDocumentHeads" => self.desk.heads(payload).await,
            "SystemService.GetConfig" => Ok(Vec::new()),
            "SystemService.GetPlatform" => Ok(Platform {
                kind: Some(NO_BROWSER),
                platform: Some(std::env::consts::OS.to_owned()),
                arch: Some(std::env::consts::ARCH.to_owned()),
                runtime: Some(format!("HALO {}", env!("CARGO_PKG_VERSION"))),
            }
            .encode_to_vec()),
            other => Err(Failure::unsupported(other)),
        }
    }

    fn subscription(&mut self, id: &str) -> Result<(i32, &mut Subscription), Failure> {
        self.streams
            .iter_mut()
            .find_map(|(stream, open)| match open {
                Stream::Documents(subscription) if subscription.id == id => Some((*stream, subscription)),
                _ => None,
            })
            .ok_or_else(|| Failure::new("NOT_FOUND", "there is no such subscription"))
    }

    async fn update_subscription(&mut self, payload: &[u8]) -> Answer {
        let request = UpdateSubscriptionRequest::decode(payload)?;
        let (stream, subscription) = self.subscription(&request.subscription_id)?;
        for id in &request.remove_ids {
            let document = document_id(id)?;
            subscription.documents.remove(&document);
            subscription.stale.remove(&document);
        }
        for id in &request.add_ids {
            subscription.follow(document_id(id)?)?;
        }
        if !request.add_ids.is_empty() {
            // A client that has gone is noticed when it is answered.
            let _ = self.refresh(stream).await;
        }
        Ok(nothing())
    }

    async fn update(&mut self, payload: &[u8]) -> Answer {
        let request = UpdateRequest::decode(payload)?;
        let (_, subscription) = self.subscription(&request.subscription_id)?;
        let space = subscription.space;
        let updates = request
            .updates
            .into_iter()
            .map(|update| Ok((document_id(&update.document_id)?, update.mutation)))
            .collect::<Result<Vec<_>, Failure>>()?;
        let done = self.desk.face.wallet.update_documents(self.desk.grant.grant(), space, updates).await?;
        let (_, subscription) = self.subscription(&request.subscription_id)?;
        for one in done {
            // Who wrote it has it: it is not sent back, unless something else came between.
            let known = subscription.documents.entry(one.document).or_default();
            if *known == one.before {
                *known = one.after;
            }
        }
        Ok(nothing())
    }
}

impl Desk<'_> {
    /// Opens the stream that a method asks for.
    pub(super) fn stream(&self, method: &str, payload: &[u8]) -> Result<Stream, Failure> {
        match short(method) {
            "SystemService.QueryStatus" => Stream::status(ACTIVE, payload),
            "NetworkService.QueryStatus" => Ok(Stream::Once(vec![status(OFFLINE)])),
            "EdgeAgentService.QueryEdgeStatus" => Ok(Stream::Once(vec![status(OFFLINE)])),
            "EdgeAgentService.QueryAgentStatus" => Ok(Stream::Once(vec![status(NO_AGENT)])),
            "InvitationsService.QueryInvitations" => Ok(Stream::no_invitations()),
            "ContactsService.QueryContacts" => Ok(Stream::Once(vec![ContactBook {}.encode_to_vec()])),
            "IdentityService.QueryIdentity" => Ok(Stream::live(Live::Identity)),
            "DevicesService.QueryDevices" => Ok(Stream::live(Live::Devices)),
            "SpacesService.QuerySpaces" => Ok(Stream::live(Live::Spaces)),
            "SpacesService.QueryCredentials" => {
                let key = OfSpaceKey::decode(payload)?.space_key.unwrap_or_default().data;
                let halo = self.halo_space_key()?;
                Ok(if key == halo { Stream::live(Live::HaloCredentials) } else { Stream::Once(Vec::new()) })
            }
            "SpacesService.SubscribeMessages"
            | "LoggingService.QueryLogs"
            | "LoggingService.QueryMetrics"
            | "NetworkService.SubscribeSwarmState"
            | "NetworkService.SubscribeMessages" => Ok(Stream::Once(Vec::new())),
            "DataService.Subscribe" => Stream::documents(payload),
            // Nobody else to be in step with, yet.
            "DataService.SubscribeSpaceSyncState" => Ok(Stream::Once(vec![Vec::new()])),
            "QueryService.ExecQuery" => Stream::query(payload),
            other => Err(Failure::unsupported(other)),
        }
    }

    /// What a live stream says now; `None` for "nothing yet".
    pub(super) async fn current(&self, what: Live) -> Result<Option<Vec<u8>>, Failure> {
        Ok(match what {
            Live::Identity => {
                let identity = Some(self.identity().await?);
                Some(QueryIdentityResponse { identity }.encode_to_vec())
            }
            Live::Devices => Some(self.devices()?.encode_to_vec()),
            Live::Spaces => {
                let me = self.identity().await?;
                let spaces = self.face.wallet.spaces(self.grant.grant()).await?;
                let spaces = spaces.iter().map(|space| describe(space, &me)).collect();
                Some(QuerySpacesResponse { spaces }.encode_to_vec())
            }
            Live::HaloCredentials => {
                let spaces = self.face.wallet.spaces(self.grant.grant()).await?;
                let me = self.identity().await?;
                spaces.iter().find(|space| space.default).map(|space| default_space(space, &me))
            }
        })
    }

    /// Who the user is to this app.
    async fn identity(&self) -> Result<Identity, Failure> {
        let info = self.face.wallet.user_info(self.grant.grant()).await?;
        let key = halo_protocol::IdentityKey::from_did_key(&info.sub)
            .map_err(|_| Failure::new("INTERNAL", "the subject is no key"))?;
        Ok(Identity {
            identity_key: public_key(key.as_bytes()),
            space_key: public_key(&halo_space_key(&info.sub)),
            profile: Some(ProfileDocument { display_name: info.name }),
            did: halo_protocol::Did::of(&key).to_string(),
        })
    }

    fn subject(&self) -> Result<String, Failure> {
        let snapshot = self.face.wallet.snapshot();
        let app = snapshot.apps.iter().find(|app| app.id == *self.grant.grant());
        app.map(|app| app.sub.clone()).ok_or_else(|| Failure::new("FORBIDDEN", "the grant is gone"))
    }

    fn halo_space_key(&self) -> Result<[u8; 32], Failure> {
        self.subject().map(|subject| halo_space_key(&subject))
    }

    /// This device. Its real key would tell two apps that they see the same one.
    fn devices(&self) -> Result<QueryDevicesResponse, Failure> {
        let key = digest("halo dxos device", &self.subject()?);
        let profile = DeviceProfileDocument {
            label: Some("HALO".to_owned()),
            platform: Some("HALO".to_owned()),
            os: Some(std::env::consts::OS.to_owned()),
            kind: Some(NATIVE),
        };
        let device = Device {
            device_key: public_key(&key),
            kind: Some(0), // CURRENT
            profile: Some(profile),
            presence: Some(ONLINE),
        };
        Ok(QueryDevicesResponse { devices: vec![device] })
    }

    async fn space_by_key(&self, key: Option<PublicKey>) -> Result<SpaceView, Failure> {
        let key = key.unwrap_or_default().data;
        let spaces = self.face.wallet.spaces(self.grant.grant()).await?;
        spaces
            .into_iter()
            .find(|space| space.key.as_slice() == key)
            .ok_or_else(|| Failure::new("NOT_FOUND", "there is no such space"))
    }

    async fn heads(&self, payload: &[u8]) -> Answer {
        let request = DocumentIds::decode(payload)?;
        let wanted = request.document_ids.iter().map(|id| document_id(id)).collect::<Result<Vec<_>, _>>()?;
        let mut entries = Vec::new();
        for space in self.face.wallet.spaces(self.grant.grant()).await? {
            let empty = wanted.iter().map(|document| (*document, Vec::new())).collect();
            for change in self.face.wallet.documents_since(self.grant.grant(), space.id, empty).await? {
                entries.push(DocHeads {
                    document_id: change.document.to_string(),
                    heads: change.heads.iter().map(ToString::to_string).collect(),
                });
            }
        }
        Ok(GetDocumentHeadsResponse { heads: Some(DocHeadsList { entries }) }.encode_to_vec())
    }
}

/// `dxos.client.services.IdentityService.CreateIdentity` without the package.
fn short(method: &str) -> &str {
    method.match_indices('.').nth_back(1).map_or(method, |(at, _)| method.get(at + 1..).unwrap_or(method))
}

fn nothing() -> Vec<u8> {
    Empty {}.encode_to_vec()
}

fn status(status: i32) -> Vec<u8> {
    super::proto::Status { status: Some(status) }.encode_to_vec()
}

fn public_key(bytes: &[u8]) -> Option<PublicKey> {
    Some(PublicKey { data: bytes.to_vec() })
}

fn document_id(text: &str) -> Result<DocumentId, Failure> {
    text.parse().map_err(|_| Failure::new("INVALID", "that is no document id"))
}

fn digest(domain: &str, of: &str) -> [u8; 32] {
    Sha256::new().chain_update(domain).chain_update([0]).chain_update(of).finalize().into()
}

/// DXOS apps know the identity's own space by a key and never enter it; this one names it to one app.
fn halo_space_key(subject: &str) -> [u8; 32] {
    digest("halo dxos halo space", subject)
}

fn timestamp(millis: u64) -> Timestamp {
    Timestamp {
        seconds: i64::try_from(millis / 1000).unwrap_or_default(),
        nanos: i32::try_from(millis % 1000 * 1_000_000).unwrap_or_default(),
    }
}

fn describe(space: &SpaceView, me: &Identity) -> Space {
    let open = Some(timestamp(space.created));
    Space {
        space_key: public_key(&space.key),
        state: Some(READY),
        pipeline: Some(PipelineState { space_root_url: Some(space.root.url()) }),
        id: space.id.to_string(),
        members: vec![SpaceMember {
            identity: Some(Identity { space_key: None, ..me.clone() }),
            presence: Some(ONLINE),
            role: Some(OWNER),
        }],
        creator: me.identity_key.clone(),
        metrics: Some(Metrics { open: open.clone(), ready: open }),
    }
}

/// The credential by which a client finds its default space.
fn default_space(space: &SpaceView, me: &Identity) -> Vec<u8> {
    let assertion = DefaultSpace { space_id: space.id.to_string() }.encode_to_vec();
    Credential {
        id: public_key(&digest("halo dxos default space", &space.id.to_string())),
        issuer: me.identity_key.clone(),
        issuance_date: Some(timestamp(space.created)),
        subject: Some(Claim {
            id: me.identity_key.clone(),
            assertion: Some(Any {
                type_url: "dxos.halo.credentials.DefaultSpace".to_owned(),
                value: assertion,
            }),
        }),
    }
    .encode_to_vec()
}
