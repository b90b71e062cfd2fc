//! The messages of DXOS client services 0.8.3, as far as they are read or written here.
//!
//! Every enum is optional, since that client leaves an absent one undefined: zero must be written out.

use prost::Message;

/// One frame.
#[derive(Clone, PartialEq, Message)]
pub(super) struct RpcMessage {
    #[prost(oneof = "Content", tags = "1, 2, 3, 4, 5, 6")]
    pub(super) content: Option<Content>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Content {
    #[prost(message, tag = "1")]
    Request(Request),
    #[prost(message, tag = "2")]
    Response(Response),
    #[prost(bool, tag = "3")]
    Open(bool),
    #[prost(bool, tag = "4")]
    OpenAck(bool),
    #[prost(message, tag = "5")]
    StreamClose(StreamClose),
    #[prost(message, tag = "6")]
    Bye(Empty),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Request {
    #[prost(int32, tag = "1")]
    pub(super) id: i32,
    #[prost(string, tag = "2")]
    pub(super) method: String,
    #[prost(message, optional, tag = "3")]
    pub(super) payload: Option<Any>,
    #[prost(bool, tag = "4")]
    pub(super) stream: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Response {
    #[prost(int32, tag = "1")]
    pub(super) id: i32,
    #[prost(oneof = "Outcome", tags = "2, 3, 4, 5")]
    pub(super) outcome: Option<Outcome>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Outcome {
    #[prost(message, tag = "2")]
    Payload(Any),
    #[prost(message, tag = "3")]
    Error(RpcError),
    #[prost(bool, tag = "4")]
    Close(bool),
    #[prost(bool, tag = "5")]
    StreamReady(bool),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct StreamClose {
    #[prost(int32, tag = "1")]
    pub(super) id: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Any {
    #[prost(string, tag = "1")]
    pub(super) type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) value: Vec<u8>,
}

/// `dxos.error.Error`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct RpcError {
    #[prost(string, optional, tag = "1")]
    pub(super) name: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub(super) message: Option<String>,
    #[prost(string, optional, tag = "3")]
    pub(super) stack: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Empty {}

/// `dxos.keys.PublicKey`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct PublicKey {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) data: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Timestamp {
    #[prost(int64, tag = "1")]
    pub(super) seconds: i64,
    #[prost(int32, tag = "2")]
    pub(super) nanos: i32,
}

// ---- dxos.halo.credentials

#[derive(Clone, PartialEq, Message)]
pub(super) struct ProfileDocument {
    #[prost(string, optional, tag = "1")]
    pub(super) display_name: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub(super) avatar_cid: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct DeviceProfileDocument {
    #[prost(string, optional, tag = "1")]
    pub(super) label: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub(super) platform: Option<String>,
    #[prost(string, optional, tag = "5")]
    pub(super) os: Option<String>,
    #[prost(int32, optional, tag = "7")]
    pub(super) kind: Option<i32>,
}

// ---- dxos.client.services

#[derive(Clone, PartialEq, Message)]
pub(super) struct Identity {
    #[prost(message, optional, tag = "1")]
    pub(super) identity_key: Option<PublicKey>,
    #[prost(message, optional, tag = "2")]
    pub(super) space_key: Option<PublicKey>,
    #[prost(message, optional, tag = "3")]
    pub(super) profile: Option<ProfileDocument>,
    #[prost(string, tag = "4")]
    pub(super) did: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct QueryIdentityResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) identity: Option<Identity>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Device {
    #[prost(message, optional, tag = "1")]
    pub(super) device_key: Option<PublicKey>,
    #[prost(int32, optional, tag = "2")]
    pub(super) kind: Option<i32>,
    #[prost(message, optional, tag = "3")]
    pub(super) profile: Option<DeviceProfileDocument>,
    #[prost(int32, optional, tag = "4")]
    pub(super) presence: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct QueryDevicesResponse {
    #[prost(message, repeated, tag = "1")]
    pub(super) devices: Vec<Device>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct QueryStatusRequest {
    #[prost(int32, optional, tag = "1")]
    pub(super) interval: Option<i32>,
}

/// Any answer that is one enum in field 1: the status of system, network, edge and agent.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Status {
    #[prost(int32, optional, tag = "1")]
    pub(super) status: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct QueryInvitationsResponse {
    #[prost(int32, optional, tag = "1")]
    pub(super) action: Option<i32>,
    #[prost(int32, optional, tag = "2")]
    pub(super) kind: Option<i32>,
    #[prost(bool, optional, tag = "4")]
    pub(super) existing: Option<bool>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Space {
    #[prost(message, optional, tag = "1")]
    pub(super) space_key: Option<PublicKey>,
    #[prost(int32, optional, tag = "2")]
    pub(super) state: Option<i32>,
    #[prost(message, optional, tag = "3")]
    pub(super) pipeline: Option<PipelineState>,
    #[prost(string, tag = "5")]
    pub(super) id: String,
    #[prost(message, repeated, tag = "10")]
    pub(super) members: Vec<SpaceMember>,
    #[prost(message, optional, tag = "11")]
    pub(super) creator: Option<PublicKey>,
    #[prost(message, optional, tag = "21")]
    pub(super) metrics: Option<Metrics>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct PipelineState {
    #[prost(string, optional, tag = "22")]
    pub(super) space_root_url: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Metrics {
    #[prost(message, optional, tag = "1")]
    pub(super) open: Option<Timestamp>,
    #[prost(message, optional, tag = "6")]
    pub(super) ready: Option<Timestamp>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct SpaceMember {
    #[prost(message, optional, tag = "1")]
    pub(super) identity: Option<Identity>,
    #[prost(int32, optional, tag = "2")]
    pub(super) presence: Option<i32>,
    #[prost(int32, optional, tag = "4")]
    pub(super) role: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct QuerySpacesResponse {
    #[prost(message, repeated, tag = "1")]
    pub(super) spaces: Vec<Space>,
}

/// Any request that names a space by its key in field 1.
#[derive(Clone, PartialEq, Message)]
pub(super) struct OfSpaceKey {
    #[prost(message, optional, tag = "1")]
    pub(super) space_key: Option<PublicKey>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct QueryCredentialsRequest {
    #[prost(message, optional, tag = "1")]
    pub(super) space_key: Option<PublicKey>,
    #[prost(bool, optional, tag = "2")]
    pub(super) no_tail: Option<bool>,
}

/// Credentials as they came: what is signed must not be written anew.
#[derive(Clone, PartialEq, Message)]
pub(super) struct WriteCredentialsRequest {
    #[prost(message, optional, tag = "1")]
    pub(super) space_key: Option<PublicKey>,
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub(super) credentials: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct SignPresentationRequest {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) presentation: Vec<u8>,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub(super) nonce: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct UpdateMemberRoleRequest {
    #[prost(message, optional, tag = "1")]
    pub(super) space_key: Option<PublicKey>,
    #[prost(message, optional, tag = "2")]
    pub(super) member_key: Option<PublicKey>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct AdmitContactRequest {
    #[prost(message, optional, tag = "3")]
    pub(super) space_key: Option<PublicKey>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct JoinSpaceResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) space: Option<Space>,
}

/// Of an invitation, as much as it takes to say why there is none.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Invitation {
    #[prost(int32, optional, tag = "3")]
    pub(super) kind: Option<i32>,
    #[prost(message, optional, tag = "9")]
    pub(super) space_key: Option<PublicKey>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct AcceptInvitationRequest {
    #[prost(message, optional, tag = "1")]
    pub(super) invitation: Option<Invitation>,
}

/// Any message that has a space id in field 1.
#[derive(Clone, PartialEq, Message)]
pub(super) struct OfSpaceId {
    #[prost(string, tag = "1")]
    pub(super) space_id: String,
}

/// Any message that has a `SpaceArchive` in field 1.
#[derive(Clone, PartialEq, Message)]
pub(super) struct OfArchive {
    #[prost(message, optional, tag = "1")]
    pub(super) archive: Option<SpaceArchive>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct SpaceArchive {
    #[prost(string, tag = "1")]
    pub(super) filename: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) contents: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct PostMessageRequest {
    #[prost(message, optional, tag = "1")]
    pub(super) space_key: Option<PublicKey>,
    #[prost(string, tag = "2")]
    pub(super) channel: String,
    #[prost(message, optional, tag = "3")]
    pub(super) message: Option<Any>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct SubscribeMessagesRequest {
    #[prost(message, optional, tag = "1")]
    pub(super) space_key: Option<PublicKey>,
    #[prost(string, tag = "2")]
    pub(super) channel: String,
}

/// `dxos.mesh.teleport.gossip.GossipMessage`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct GossipMessage {
    #[prost(message, optional, tag = "1")]
    pub(super) peer_id: Option<PublicKey>,
    #[prost(string, tag = "2")]
    pub(super) channel_id: String,
    #[prost(message, optional, tag = "3")]
    pub(super) message_id: Option<PublicKey>,
    #[prost(message, optional, tag = "4")]
    pub(super) timestamp: Option<Timestamp>,
    #[prost(message, optional, tag = "10")]
    pub(super) payload: Option<Any>,
}

/// `QueryMetricsResponse`, without metrics; also `Metrics` inside of it.
#[derive(Clone, PartialEq, Message)]
pub(super) struct MetricsResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) timestamp: Option<Timestamp>,
    #[prost(message, optional, tag = "2")]
    pub(super) metrics: Option<OnlyTimestamp>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct OnlyTimestamp {
    #[prost(message, optional, tag = "1")]
    pub(super) timestamp: Option<Timestamp>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct GetDiagnosticsResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) timestamp: Option<Timestamp>,
    #[prost(message, optional, tag = "2")]
    pub(super) diagnostics: Option<Struct>,
}

/// `google.protobuf.Struct`, whose values are texts.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Struct {
    #[prost(btree_map = "string, message", tag = "1")]
    pub(super) fields: std::collections::BTreeMap<String, Text>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Text {
    #[prost(string, optional, tag = "3")]
    pub(super) text: Option<String>,
}

/// Any message that is a text in field 1.
#[derive(Clone, PartialEq, Message)]
pub(super) struct OneText {
    #[prost(string, tag = "1")]
    pub(super) text: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct UpdateSpaceRequest {
    #[prost(message, optional, tag = "1")]
    pub(super) space_key: Option<PublicKey>,
    #[prost(int32, optional, tag = "2")]
    pub(super) state: Option<i32>,
    #[prost(int32, optional, tag = "3")]
    pub(super) edge_replication: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Platform {
    #[prost(int32, optional, tag = "1")]
    pub(super) kind: Option<i32>,
    #[prost(string, optional, tag = "3")]
    pub(super) platform: Option<String>,
    #[prost(string, optional, tag = "4")]
    pub(super) arch: Option<String>,
    #[prost(string, optional, tag = "5")]
    pub(super) runtime: Option<String>,
}

// ---- dxos.echo.service

#[derive(Clone, PartialEq, Message)]
pub(super) struct SubscribeRequest {
    #[prost(string, tag = "1")]
    pub(super) subscription_id: String,
    #[prost(string, tag = "2")]
    pub(super) space_id: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct UpdateSubscriptionRequest {
    #[prost(string, tag = "1")]
    pub(super) subscription_id: String,
    #[prost(string, repeated, tag = "3")]
    pub(super) add_ids: Vec<String>,
    #[prost(string, repeated, tag = "4")]
    pub(super) remove_ids: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct DocumentUpdate {
    #[prost(string, tag = "1")]
    pub(super) document_id: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) mutation: Vec<u8>,
    #[prost(bool, optional, tag = "3")]
    pub(super) is_new: Option<bool>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct BatchedDocumentUpdates {
    #[prost(message, repeated, tag = "1")]
    pub(super) updates: Vec<DocumentUpdate>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct UpdateRequest {
    #[prost(string, tag = "1")]
    pub(super) subscription_id: String,
    #[prost(message, repeated, tag = "2")]
    pub(super) updates: Vec<DocumentUpdate>,
}

/// Any request that is a list of document ids in field 1.
#[derive(Clone, PartialEq, Message)]
pub(super) struct DocumentIds {
    #[prost(string, repeated, tag = "1")]
    pub(super) document_ids: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct GetDocumentHeadsResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) heads: Option<DocHeadsList>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct DocHeadsList {
    #[prost(message, repeated, tag = "1")]
    pub(super) entries: Vec<DocHeads>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct DocHeads {
    #[prost(string, tag = "1")]
    pub(super) document_id: String,
    #[prost(string, repeated, tag = "2")]
    pub(super) heads: Vec<String>,
}

// ---- dxos.echo.query

#[derive(Clone, PartialEq, Message)]
pub(super) struct QueryRequest {
    #[prost(string, optional, tag = "1")]
    pub(super) query_id: Option<String>,
    #[prost(int32, optional, tag = "3")]
    pub(super) reactivity: Option<i32>,
    #[prost(string, tag = "5")]
    pub(super) query: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct QueryResponse {
    #[prost(string, optional, tag = "1")]
    pub(super) query_id: Option<String>,
    #[prost(message, repeated, tag = "2")]
    pub(super) results: Vec<QueryResult>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct QueryResult {
    #[prost(string, tag = "1")]
    pub(super) id: String,
    #[prost(float, tag = "3")]
    pub(super) rank: f32,
    #[prost(string, tag = "4")]
    pub(super) space_id: String,
    #[prost(string, tag = "5")]
    pub(super) document_id: String,
}
