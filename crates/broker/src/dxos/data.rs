//! Documents: followed, changed, compared.

use halo_wallet::DocumentId;
use prost::Message;

use super::peer::{Desk, Failure, Peer};
use super::proto::{
    DocHeads, DocHeadsList, DocumentIds, GetDocumentHeadsResponse, SubscribeRequest, UpdateRequest,
    UpdateSubscriptionRequest,
};
use super::services::{Answer, nothing};
use super::streams::{Stream, Subscription};

impl Peer<'_> {
    fn subscription(&mut self, id: &str) -> Result<(i32, &mut Subscription), Failure> {
        self.streams
            .iter_mut()
            .find_map(|(stream, open)| match open {
                Stream::Documents(subscription) if subscription.id == id => Some((*stream, subscription)),
                _ => None,
            })
            .ok_or_else(|| Failure::new("NOT_FOUND", "there is no such subscription"))
    }

    pub(super) async fn update_subscription(&mut self, payload: &[u8]) -> Answer {
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

    pub(super) async fn update(&mut self, payload: &[u8]) -> Answer {
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
    /// Follows documents of a space that the app sees.
    pub(super) async fn subscribe(&self, payload: &[u8]) -> Result<Stream, Failure> {
        let request = SubscribeRequest::decode(payload)?;
        let space = self.space_by_id(&request.space_id).await?.id;
        Ok(Stream::Documents(Subscription::new(request.subscription_id, space)))
    }

    pub(super) async fn heads(&self, payload: &[u8]) -> Answer {
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

fn document_id(text: &str) -> Result<DocumentId, Failure> {
    text.parse().map_err(|_| Failure::new("INVALID", "that is no document id"))
}
