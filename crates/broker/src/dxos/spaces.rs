//! Spaces: made, opened and put away, described, carried from one place to another.

use halo_wallet::{DxosUser, Scope, SpaceId, SpaceView};
use prost::Message;

use super::archive;
use super::gossip::Post;
use super::peer::{Desk, Failure};
use super::proto::{
    AdmitContactRequest, GossipMessage, Identity, JoinSpaceResponse, Metrics, OfArchive, OfSpaceId,
    OfSpaceKey, OneText, PipelineState, PostMessageRequest, PublicKey, QuerySpacesResponse, Space,
    SpaceArchive, SpaceMember, SubscribeMessagesRequest, UpdateMemberRoleRequest, UpdateSpaceRequest,
};
use super::services::{Answer, nothing, now, once, timestamp};
use super::streams::{Listener, Stream};
use super::user::shown;
use crate::secret::make_token;

/// `SpaceState`.
const INACTIVE: i32 = 2;
const READY: i32 = 3;
const ACTIVE: i32 = 6;
/// `PresenceState.ONLINE` of a member.
const ONLINE: i32 = 1;
/// `SpaceMember.Role.OWNER`.
const OWNER: i32 = 4;
/// `EdgeReplicationSetting.ENABLED`.
const ENABLED: i32 = 1;
/// A message that is posted has at most so many bytes.
const LARGEST_MESSAGE: usize = 64 * 1024;
/// And the name of its channel so many.
const LONGEST_CHANNEL: usize = 256;

impl Desk<'_> {
    /// The spaces that this app sees, as it hears of them.
    pub(super) async fn spaces(&self) -> Result<QuerySpacesResponse, Failure> {
        let me = self.user().await?;
        let spaces = self.face.wallet.spaces(self.grant.grant()).await?;
        Ok(QuerySpacesResponse { spaces: spaces.iter().map(|space| self.describe(space, &me)).collect() })
    }

    pub(super) async fn create_space(&self) -> Answer {
        let space = self.face.wallet.create_space(self.grant.grant(), None).await?;
        Ok(self.describe(&space, &self.user().await?).encode_to_vec())
    }

    /// A space here is always there; that an app has put it away is told to the other lines of the app.
    pub(super) async fn update_space(&self, payload: &[u8]) -> Answer {
        let request = UpdateSpaceRequest::decode(payload)?;
        let space = self.space_by_key(request.space_key).await?;
        if request.edge_replication == Some(ENABLED) {
            return Err(Failure::new("NOT_SUPPORTED", "spaces are not kept on DXOS's servers"));
        }
        match request.state {
            Some(INACTIVE) => self.face.gossip.put(self.grant.grant(), space.id, true),
            Some(ACTIVE) => self.face.gossip.put(self.grant.grant(), space.id, false),
            _ => {}
        }
        Ok(nothing())
    }

    pub(super) async fn update_member_role(&self, payload: &[u8]) -> Answer {
        let request = UpdateMemberRoleRequest::decode(payload)?;
        self.space_by_key(request.space_key).await?;
        let me = self.user().await?.identity_key;
        if request.member_key.unwrap_or_default().data == me.as_bytes() {
            return Err(Failure::new("FORBIDDEN", "the owner of a space stays its owner"));
        }
        Err(Failure::new("NOT_FOUND", "nobody of that key is a member"))
    }

    pub(super) async fn admit_contact(&self, payload: &[u8]) -> Answer {
        self.space_by_key(AdmitContactRequest::decode(payload)?.space_key).await?;
        self.may(Scope::Contacts)?;
        Err(Failure::new("NOT_FOUND", "there is no such contact"))
    }

    /// Into a space that the app sees it need not be let; another one does not exist for it.
    pub(super) async fn join_by_space_key(&self, payload: &[u8]) -> Answer {
        let space = self.space_by_key(OfSpaceKey::decode(payload)?.space_key).await?;
        let space = Some(self.describe(&space, &self.user().await?));
        Ok(JoinSpaceResponse { space }.encode_to_vec())
    }

    pub(super) async fn post_message(&self, payload: &[u8]) -> Answer {
        let request = PostMessageRequest::decode(payload)?;
        let space = self.space_by_key(request.space_key).await?.id;
        self.may(Scope::SpacesWrite)?;
        if request.channel.len() > LONGEST_CHANNEL || payload.len() > LARGEST_MESSAGE {
            return Err(Failure::new("INVALID", "a message has at most 64 KiB"));
        }
        let name = make_token().map_err(|_| Failure::new("INTERNAL", "there is no randomness"))?;
        let message = GossipMessage {
            peer_id: self
                .user()
                .await?
                .devices
                .first()
                .map(|device| PublicKey { data: device.key.as_bytes().to_vec() }),
            channel_id: request.channel.clone(),
            message_id: Some(PublicKey { data: name.into_bytes() }),
            timestamp: Some(now()),
            payload: request.message,
        };
        let (channel, message) = (request.channel, message.encode_to_vec());
        self.face.gossip.post(Post { space, channel, message, from: self.line });
        Ok(nothing())
    }

    pub(super) async fn listen(&self, payload: &[u8]) -> Result<Stream, Failure> {
        let request = SubscribeMessagesRequest::decode(payload)?;
        let space = self.space_by_key(request.space_key).await?.id;
        Ok(Stream::Listen(Listener { space, channel: request.channel, heard: Vec::new() }))
    }

    pub(super) async fn sync_state(&self, payload: &[u8]) -> Result<Stream, Failure> {
        self.space_by_id(&OfSpaceId::decode(payload)?.space_id).await?;
        Ok(once(nothing()))
    }

    pub(super) async fn export_space(&self, payload: &[u8]) -> Answer {
        let space = self.space_by_id(&OfSpaceId::decode(payload)?.space_id).await?;
        let documents = self.face.wallet.documents_of(self.grant.grant(), space.id).await?;
        let (id, created) = (space.id.to_string(), crate::clock::now().as_millis());
        let contents = archive::write(&id, &space.root.url(), created, &documents)?;
        let archive = Some(SpaceArchive { filename: format!("{id}.tar"), contents });
        Ok(OfArchive { archive }.encode_to_vec())
    }

    pub(super) async fn import_space(&self, payload: &[u8]) -> Answer {
        self.may(Scope::SpacesWrite)?;
        let archive = OfArchive::decode(payload)?.archive.unwrap_or_default();
        let documents = archive::read(&archive.contents)?;
        let space = self.face.wallet.space_of_documents(self.grant.grant(), documents).await?;
        Ok(OneText { text: space.id.to_string() }.encode_to_vec())
    }

    pub(super) async fn space_by_key(&self, key: Option<PublicKey>) -> Result<SpaceView, Failure> {
        let key = key.unwrap_or_default().data;
        self.space(|space| space.key.as_slice() == key).await
    }

    pub(super) async fn space_by_id(&self, id: &str) -> Result<SpaceView, Failure> {
        let id: SpaceId = id.parse().map_err(|_| Failure::new("INVALID", "that is no space id"))?;
        self.space(|space| space.id == id).await
    }

    async fn space(&self, is: impl Fn(&SpaceView) -> bool) -> Result<SpaceView, Failure> {
        let spaces = self.face.wallet.spaces(self.grant.grant()).await?;
        let found = spaces.into_iter().find(|space| is(space));
        found.ok_or_else(|| Failure::new("NOT_FOUND", "there is no such space"))
    }

    fn describe(&self, space: &SpaceView, me: &DxosUser) -> Space {
        let open = Some(timestamp(space.created));
        let away = self.face.gossip.is_away(self.grant.grant(), space.id);
        let me = shown(me);
        Space {
            space_key: Some(PublicKey { data: space.key.to_vec() }),
            state: Some(if away { INACTIVE } else { READY }),
            pipeline: Some(PipelineState { space_root_url: Some(space.root.url()) }),
            id: space.id.to_string(),
            members: vec![SpaceMember {
                identity: Some(Identity { space_key: None, ..me.clone() }),
                presence: Some(ONLINE),
                role: Some(OWNER),
            }],
            creator: me.identity_key,
            metrics: Some(Metrics { open: open.clone(), ready: open }),
        }
    }
}
