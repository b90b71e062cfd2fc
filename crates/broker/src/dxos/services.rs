//! Which method is answered where. Every method of the fourteen services is named here or in [`super::refused`].

use prost::Message;

use super::peer::{Desk, Failure, Peer};
use super::proto::{
    Empty, GetDiagnosticsResponse, MetricsResponse, OneText, OnlyTimestamp, Platform, Status, Struct, Text,
    Timestamp,
};
use super::refused;
use super::streams::{Live, Stream};

/// `SystemStatus.ACTIVE`, `ConnectionState.ONLINE`.
const ACTIVE: i32 = 1;
/// `ConnectionState.OFFLINE`, `EdgeStatus.NOT_CONNECTED`.
const OFFLINE: i32 = 0;
/// `QueryAgentStatusResponse.AgentStatus.NOT_FOUND`.
const NO_AGENT: i32 = 3;
/// `PLATFORM_TYPE.NODE`: neither a page nor a worker.
const NO_BROWSER: i32 = 2;

pub(super) type Answer = Result<Vec<u8>, Failure>;

impl Peer<'_> {
    /// Answers a call.
    pub(super) async fn call(&mut self, method: &str, payload: &[u8]) -> Answer {
        let desk = &self.desk;
        match short(method) {
            // An approved app asks for the identity that there is.
            "IdentityService.CreateIdentity" => Ok(desk.identity().await?.encode_to_vec()),
            "IdentityService.UpdateProfile" => desk.update_profile(payload).await,
            "IdentityService.SignPresentation" => desk.sign_presentation(payload).await,
            "IdentityService.CreateAuthCredential" => {
                Ok(desk.face.wallet.dxos_auth(desk.grant.grant()).await?)
            }
            "SpacesService.CreateSpace" => desk.create_space().await,
            "SpacesService.UpdateSpace" => desk.update_space(payload).await,
            "SpacesService.UpdateMemberRole" => desk.update_member_role(payload).await,
            "SpacesService.AdmitContact" => desk.admit_contact(payload).await,
            "SpacesService.JoinBySpaceKey" => desk.join_by_space_key(payload).await,
            "SpacesService.PostMessage" => desk.post_message(payload).await,
            "SpacesService.WriteCredentials" => desk.write_credentials(payload).await,
            "SpacesService.ExportSpace" => desk.export_space(payload).await,
            "SpacesService.ImportSpace" => desk.import_space(payload).await,
            "DataService.UpdateSubscription" => self.update_subscription(payload).await,
            "DataService.Update" => self.update(payload).await,
            "DataService.GetDocumentHeads" => desk.heads(payload).await,
            // An update is on disk and indexed before it is answered.
            "DataService.Flush"
            | "DataService.UpdateIndexes"
            | "DataService.ReIndexHeads"
            | "DataService.WaitUntilHeadsReplicated"
            | "QueryService.SetConfig"
            | "QueryService.Reindex"
            // None is there to be cancelled, and clients cancel several times.
            | "InvitationsService.CancelInvitation"
            // Answers that are an empty list, or that nothing is recorded.
            | "ContactsService.GetContacts"
            | "DevtoolsHost.GetBlobs"
            | "DevtoolsHost.GetSnapshots"
            | "LoggingService.ControlMetrics" => Ok(nothing()),
            "SystemService.GetConfig" => Ok(nothing()),
            "SystemService.GetPlatform" => Ok(platform()),
            "SystemService.GetDiagnostics" => Ok(diagnostics()),
            "SystemService.UpdateStatus" => to_be(payload, ACTIVE, "HALO is ended in HALO, not by apps"),
            "NetworkService.UpdateConfig" => {
                to_be(payload, OFFLINE, "the network is switched in HALO, not by apps")
            }
            "DevtoolsHost.GetConfig" => Ok(OneText { text: "{}".to_owned() }.encode_to_vec()),
            other => Err(refused::why_not(other)),
        }
    }
}

impl Desk<'_> {
    /// Opens the stream that a method asks for.
    pub(super) async fn stream(&self, method: &str, payload: &[u8]) -> Result<Stream, Failure> {
        match short(method) {
            "SystemService.QueryStatus" => Stream::status(ACTIVE, payload),
            "NetworkService.QueryStatus" | "EdgeAgentService.QueryEdgeStatus" => Ok(once(status(OFFLINE))),
            "EdgeAgentService.QueryAgentStatus" => Ok(once(status(NO_AGENT))),
            "InvitationsService.QueryInvitations" => Ok(Stream::no_invitations()),
            "InvitationsService.CreateInvitation" => Err(self.no_invitation(payload).await),
            "InvitationsService.AcceptInvitation" => Err(self.no_acceptance(payload)),
            "IdentityService.QueryIdentity" => Ok(Stream::live(Live::Identity)),
            "DevicesService.QueryDevices" => Ok(Stream::live(Live::Devices)),
            "SpacesService.QuerySpaces" => Ok(Stream::live(Live::Spaces)),
            "SpacesService.QueryCredentials" => self.credentials(payload).await,
            "SpacesService.SubscribeMessages" => self.listen(payload).await,
            "DataService.Subscribe" => self.subscribe(payload).await,
            // Nobody else to be in step with, yet.
            "DataService.SubscribeSpaceSyncState" => self.sync_state(payload).await,
            "QueryService.ExecQuery" => Stream::query(payload),
            "LoggingService.QueryMetrics" => Ok(once(no_metrics())),
            // `Event.ready`: the host is there.
            "DevtoolsHost.Events" => Ok(once(vec![0x0a, 0])),
            silent if refused::is_silent(silent) => Ok(Stream::Once(Vec::new())),
            empty if refused::is_empty(empty) => Ok(once(nothing())),
            other => Err(refused::why_not(other)),
        }
    }
}

/// `dxos.client.services.IdentityService.CreateIdentity` without the package.
fn short(method: &str) -> &str {
    method.match_indices('.').nth_back(1).map_or(method, |(at, _)| method.get(at + 1..).unwrap_or(method))
}

pub(super) fn nothing() -> Vec<u8> {
    Empty {}.encode_to_vec()
}

pub(super) const fn once(value: Vec<u8>) -> Stream {
    Stream::One(Some(value))
}

fn status(status: i32) -> Vec<u8> {
    Status { status: Some(status) }.encode_to_vec()
}

/// Asks for a state: granted if things are so already.
fn to_be(payload: &[u8], now: i32, why_not: &str) -> Answer {
    let wanted = Status::decode(payload)?.status.unwrap_or_default();
    if wanted == now { Ok(nothing()) } else { Err(Failure::new("FORBIDDEN", why_not)) }
}

fn platform() -> Vec<u8> {
    Platform {
        kind: Some(NO_BROWSER),
        platform: Some(std::env::consts::OS.to_owned()),
        arch: Some(std::env::consts::ARCH.to_owned()),
        runtime: Some(format!("HALO {}", env!("CARGO_PKG_VERSION"))),
    }
    .encode_to_vec()
}

/// What helps with a bug report, and tells nothing of the user.
fn diagnostics() -> Vec<u8> {
    let facts = [
        ("host", format!("HALO {}", env!("CARGO_PKG_VERSION"))),
        ("platform", std::env::consts::OS.to_owned()),
        ("arch", std::env::consts::ARCH.to_owned()),
    ];
    let fields = facts.map(|(name, text)| (name.to_owned(), Text { text: Some(text) })).into();
    let diagnostics = Some(Struct { fields });
    GetDiagnosticsResponse { timestamp: Some(now()), diagnostics }.encode_to_vec()
}

fn no_metrics() -> Vec<u8> {
    let metrics = Some(OnlyTimestamp { timestamp: Some(now()) });
    MetricsResponse { timestamp: Some(now()), metrics }.encode_to_vec()
}

pub(super) fn now() -> Timestamp {
    timestamp(crate::clock::now().as_millis())
}

pub(super) fn timestamp(millis: u64) -> Timestamp {
    Timestamp {
        seconds: i64::try_from(millis / 1000).unwrap_or_default(),
        nanos: i32::try_from(millis % 1000 * 1_000_000).unwrap_or_default(),
    }
}
