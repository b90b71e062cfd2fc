//! The streams of a connection: each knows what it said last, and says what is new.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use halo_protocol::Timestamp;
use halo_wallet::{
    DocumentId, DxosSpace, Event, GrantId, Heads, Hit, Query, SpaceId, WalletError, dxos_credentials_in,
};
use prost::Message;

use super::gossip::Word;
use super::peer::{Desk, Failure};
use super::proto::{
    BatchedDocumentUpdates, DocumentUpdate, QueryIdentityResponse, QueryInvitationsResponse, QueryRequest,
    QueryResponse, QueryResult, QueryStatusRequest, Status,
};

/// Documents that one subscription may follow.
const MOST_DOCUMENTS: usize = 100_000;
/// Changes of one message, about; the rest follows in the next.
const BATCH: usize = 4 * 1024 * 1024;
const REACTIVE: i32 = 1;

/// A stream that is open.
pub(super) enum Stream {
    /// Answers at once, and again every so often.
    Heartbeat { value: Vec<u8>, every: Option<Duration>, due: Option<Timestamp> },
    /// Answers at once and then never again.
    Once(Vec<Vec<u8>>),
    /// The same with one answer.
    One(Option<Vec<u8>>),
    /// Answers whenever the answer is another one.
    Live { what: Live, last: Option<Vec<u8>> },
    /// The credentials of a space, each once.
    Credentials(Credentials),
    /// Messages that others post.
    Listen(Listener),
    /// The documents of a space.
    Documents(Subscription),
    /// What a query finds.
    Query(Box<LiveQuery>),
}

/// What can be answered whenever it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Live {
    Identity,
    Devices,
    Spaces,
}

/// Credentials that were said, and those that come.
pub(super) struct Credentials {
    of: DxosSpace,
    /// Nothing is said of those that come.
    no_tail: bool,
    said: Option<BTreeSet<[u8; 32]>>,
}

/// Who listens to what is posted in a space.
pub(super) struct Listener {
    pub(super) space: SpaceId,
    pub(super) channel: String,
    pub(super) heard: Vec<Vec<u8>>,
}

/// Documents that a client follows, with the heads it has of each.
pub(super) struct Subscription {
    pub(super) id: String,
    pub(super) space: SpaceId,
    pub(super) documents: BTreeMap<DocumentId, Heads>,
    /// What may have changed since it was sent last.
    pub(super) stale: BTreeSet<DocumentId>,
}

pub(super) struct LiveQuery {
    id: Option<String>,
    query: Query,
    spaces: Option<Vec<String>>,
    reactive: bool,
    last: Option<Vec<Hit>>,
    changed: Changed,
}

/// What has happened since a live query was answered last.
enum Changed {
    /// Documents changed, and it judges each item alone.
    Documents(Vec<(SpaceId, Vec<DocumentId>)>),
    /// Anything.
    Anything,
}

impl Stream {
    /// Says a status, and says it again at the interval the client asked for.
    pub(super) fn status(status: i32, payload: &[u8]) -> Result<Self, Failure> {
        let asked = QueryStatusRequest::decode(payload)?.interval.unwrap_or(3_000).clamp(500, 60_000);
        let value = Status { status: Some(status) }.encode_to_vec();
        let every = u64::try_from(asked).ok().map(Duration::from_millis);
        Ok(Self::Heartbeat { value, every, due: None })
    }

    /// There are no invitations: none made, none accepted, and that is all.
    pub(super) fn no_invitations() -> Self {
        let answer = |action, kind, existing| {
            QueryInvitationsResponse { action: Some(action), kind: Some(kind), existing }.encode_to_vec()
        };
        Self::Once(vec![answer(0, 0, Some(true)), answer(0, 1, Some(true)), answer(3, 0, None)])
    }

    pub(super) const fn live(what: Live) -> Self {
        Self::Live { what, last: None }
    }

    pub(super) fn query(payload: &[u8]) -> Result<Self, Failure> {
        let request = QueryRequest::decode(payload)?;
        let query =
            Query::parse(&request.query).map_err(|error| Failure::new("INVALID", error.to_string()))?;
        Ok(Self::Query(Box::new(LiveQuery {
            id: request.query_id,
            spaces: query.options().space_ids,
            query,
            reactive: request.reactivity == Some(REACTIVE),
            last: None,
            changed: Changed::Anything,
        })))
    }

    /// Whether an event may have changed what it says.
    pub(super) fn concerns(&mut self, event: &Event) -> bool {
        match (self, event) {
            // Also what somebody hears who was too slow for the events.
            (Self::Live { .. } | Self::Credentials(_), Event::Changed) => true,
            (Self::Live { what, .. }, Event::Spaces) => *what == Live::Spaces,
            (Self::Live { what, .. }, Event::Devices) => *what == Live::Devices,
            (Self::Credentials(_), Event::Spaces | Event::Devices) => true,
            // Those that an app writes are in a document of their own.
            (Self::Credentials(_), Event::Documents { space, documents }) => {
                documents.contains(&dxos_credentials_in(*space))
            }
            (Self::Documents(subscription), Event::Documents { space, documents }) => {
                if subscription.space != *space {
                    return false;
                }
                let followed = &subscription.documents;
                let touched = documents.iter().filter(|document| followed.contains_key(document));
                subscription.stale.extend(touched);
                !subscription.stale.is_empty()
            }
            (Self::Query(query), Event::Documents { space, documents }) => {
                let concerned = query.reactive
                    && query.spaces.as_ref().is_none_or(|spaces| spaces.contains(&space.to_string()));
                if concerned && let Changed::Documents(changed) = &mut query.changed {
                    changed.push((*space, documents.clone()));
                }
                concerned
            }
            // The heads tell what is new, and the query finds it.
            (Self::Documents(_), Event::Changed) => true,
            (Self::Query(query), Event::Changed | Event::Spaces) => {
                query.changed = Changed::Anything;
                query.reactive
            }
            _ => false,
        }
    }

    /// Whether what a line says to the others is for it.
    pub(super) fn hears(&mut self, word: &Word, line: u64, app: &GrantId) -> bool {
        match (self, word) {
            (Self::Listen(listener), Word::Posted(post)) => {
                let mine =
                    post.from != line && post.space == listener.space && post.channel == listener.channel;
                if mine {
                    listener.heard.push(post.message.clone());
                }
                mine
            }
            (Self::Live { what: Live::Spaces, .. }, Word::Put(who)) => who == app,
            _ => false,
        }
    }

    /// Whether it is time to say it again.
    pub(super) fn is_due(&mut self, now: Timestamp) -> bool {
        matches!(self, Self::Heartbeat { due: Some(due), .. } if *due <= now)
    }

    /// Whether nothing more comes.
    pub(super) const fn is_over(&self) -> bool {
        match self {
            Self::Query(query) => !query.reactive && query.last.is_some(),
            Self::Credentials(credentials) => credentials.no_tail && credentials.said.is_some(),
            _ => false,
        }
    }

    /// What it has to say that it has not said.
    pub(super) async fn news(&mut self, desk: &Desk<'_>) -> Result<Vec<Vec<u8>>, Failure> {
        match self {
            Self::Heartbeat { value, every, due } => {
                *due = every.map(|every| crate::clock::now().plus(every));
                Ok(vec![value.clone()])
            }
            Self::Once(values) => Ok(std::mem::take(values)),
            Self::One(value) => Ok(value.take().into_iter().collect()),
            Self::Credentials(credentials) => credentials.news(desk).await,
            Self::Listen(listener) => Ok(std::mem::take(&mut listener.heard)),
            Self::Live { what, last } => {
                let now = match what {
                    Live::Identity => {
                        let identity = Some(desk.identity().await?);
                        QueryIdentityResponse { identity }.encode_to_vec()
                    }
                    Live::Devices => desk.devices().await?.encode_to_vec(),
                    Live::Spaces => desk.spaces().await?.encode_to_vec(),
                };
                if last.as_ref() == Some(&now) {
                    return Ok(Vec::new());
                }
                Ok(vec![last.insert(now).clone()])
            }
            Self::Documents(subscription) => subscription.news(desk).await,
            Self::Query(query) => query.news(desk).await,
        }
    }
}

impl Credentials {
    pub(super) const fn new(of: DxosSpace, no_tail: bool) -> Self {
        Self { of, no_tail, said: None }
    }

    async fn news(&mut self, desk: &Desk<'_>) -> Result<Vec<Vec<u8>>, Failure> {
        let all = desk.face.wallet.dxos_credentials(desk.grant.grant(), self.of).await?;
        let said = self.said.get_or_insert_default();
        Ok(all.into_iter().filter(|one| said.insert(one.id)).map(|one| one.bytes).collect())
    }
}

impl Subscription {
    pub(super) const fn new(id: String, space: SpaceId) -> Self {
        Self { id, space, documents: BTreeMap::new(), stale: BTreeSet::new() }
    }

    /// Follows a document from now on.
    pub(super) fn follow(&mut self, document: DocumentId) -> Result<(), Failure> {
        if self.documents.len() >= MOST_DOCUMENTS {
            return Err(Failure::new("BUSY", "too many documents are followed"));
        }
        if let std::collections::btree_map::Entry::Vacant(place) = self.documents.entry(document) {
            place.insert(Heads::new());
            self.stale.insert(document);
        }
        Ok(())
    }

    async fn news(&mut self, desk: &Desk<'_>) -> Result<Vec<Vec<u8>>, Failure> {
        let wanted: Vec<(DocumentId, Heads)> = match std::mem::take(&mut self.stale) {
            // An event came: which of the documents it was, the heads tell.
            none if none.is_empty() => self.documents.clone().into_iter().collect(),
            stale => stale
                .into_iter()
                .filter_map(|document| Some((document, self.documents.get(&document)?.clone())))
                .collect(),
        };
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let changes = desk.face.wallet.documents_since(desk.grant.grant(), self.space, wanted).await?;
        let mut batches = Vec::new();
        let mut updates = Vec::new();
        let mut size = 0;
        for change in changes {
            self.documents.insert(change.document, change.heads);
            size += change.bytes.len();
            updates.push(DocumentUpdate {
                document_id: change.document.to_string(),
                mutation: change.bytes,
                is_new: None,
            });
            if size >= BATCH {
                batches.push(std::mem::take(&mut updates));
                size = 0;
            }
        }
        if !updates.is_empty() {
            batches.push(updates);
        }
        Ok(batches.into_iter().map(|updates| BatchedDocumentUpdates { updates }.encode_to_vec()).collect())
    }
}

impl LiveQuery {
    async fn news(&mut self, desk: &Desk<'_>) -> Result<Vec<Vec<u8>>, Failure> {
        let hits = self.answer(desk).await?;
        if self.last.as_ref() == Some(&hits) {
            return Ok(Vec::new());
        }
        let results = hits
            .iter()
            .map(|hit| QueryResult {
                id: hit.id.clone(),
                rank: 0.0,
                space_id: hit.space.to_string(),
                document_id: hit.document.to_string(),
            })
            .collect();
        self.last = Some(hits);
        Ok(vec![QueryResponse { query_id: self.id.clone(), results }.encode_to_vec()])
    }

    /// What it finds now: by what changed since it was asked last, where that is enough.
    async fn answer(&mut self, desk: &Desk<'_>) -> Result<Vec<Hit>, Failure> {
        let grant = desk.grant.grant();
        let next = match self.query.is_local() {
            true => Changed::Documents(Vec::new()),
            false => Changed::Anything,
        };
        let changed = std::mem::replace(&mut self.changed, next);
        let (Changed::Documents(changed), Some(last)) = (changed, &self.last) else {
            return Ok(desk.face.wallet.query(grant, self.query.clone()).await?);
        };
        let mut hits = last.clone();
        for (space, documents) in changed {
            let was = |hit: &&Hit| hit.space == space && documents.contains(&hit.document);
            let known = hits.iter().filter(was).map(|hit| hit.id.clone()).collect();
            let query = self.query.clone();
            // Also events of spaces that this app does not see come here.
            let again = match desk.face.wallet.query_again(grant, query, space, documents, known).await {
                Err(WalletError::NotFound { .. }) => continue,
                again => again?,
            };
            let Some(again) = again else {
                return Ok(desk.face.wallet.query(grant, self.query.clone()).await?);
            };
            let again: BTreeMap<String, Option<DocumentId>> = again.into_iter().collect();
            hits.retain(|hit| hit.space != space || !again.contains_key(&hit.id));
            let found =
                again.into_iter().filter_map(|(id, document)| Some(Hit { id, space, document: document? }));
            // Where they would be had they been there before: in the order of ids, within their space.
            let from = hits.iter().position(|hit| hit.space == space).unwrap_or(hits.len());
            let to = hits.iter().rposition(|hit| hit.space == space).map_or(from, |last| last + 1);
            let mut here: Vec<Hit> = hits.drain(from..to).chain(found).collect();
            here.sort_by(|one, other| one.id.cmp(&other.id));
            hits.splice(from..from, here);
        }
        Ok(hits)
    }
}
