//! Who takes part: the feeds that credentials let in, where they end, and what this device says about itself.

use halo_echo::replication::{
    MOST_ADMISSIONS_OF_A_DEVICE, MOST_CREDENTIALS_OF_AN_ISSUER, Open as _, RESERVED_FOR_REMOVALS, Void,
};
use halo_echo::{DocumentId, LARGEST_CHUNK, SpaceId};
use halo_protocol::credential::{
    AdmittedFeed, Assertion, Credential, CredentialId, Cut, Draft, MOST_PARENTS,
};
use halo_protocol::feed::{BlockHeader, Change, Payload};
use halo_protocol::{DeviceKey, FeedKey, SpaceKey, Timestamp, Verified};

use crate::engine::clock;
use crate::error::WalletError;
use crate::feeds::{SpaceFeeds, damaged};
use crate::open::{Open, slot};
use crate::spaces::NO_SPACE;

/// Blocks that are read at once.
const STEP: usize = 1_000;

impl Open {
    /// What devices say in a space.
    pub(crate) fn feeds(&mut self, space: SpaceId) -> Result<&mut SpaceFeeds, WalletError> {
        self.spaces.feeds(&self.store, &self.keys, space, &self.state)
    }

    /// Where a feed ends, if it was cut.
    pub(crate) fn cut_of(&self, feed: &FeedKey) -> Option<Cut> {
        self.state.feeds.values().find_map(|feeds| feeds.get(feed)).and_then(|feed| feed.cut)
    }

    /// Whose a feed is.
    pub(crate) fn device_of(&self, feed: &FeedKey) -> Option<DeviceKey> {
        self.state.feeds.values().find_map(|feeds| feeds.get(feed)).map(|feed| feed.device)
    }

    /// Signs an assertion as this device; it counts once it is kept and learnt.
    pub(crate) fn sign(
        &self,
        now: Timestamp,
        subject: [u8; 32],
        assertion: Assertion,
        after: &[CredentialId],
    ) -> Result<Verified<Credential>, WalletError> {
        self.has_room_for(&assertion)?;
        let heads = self.state.heads.iter().filter(|head| !after.contains(head));
        let draft = Draft {
            issuer: *self.keys.device_key().as_bytes(),
            subject,
            issued: now,
            expires: None,
            parents: after.iter().chain(heads).take(MOST_PARENTS).copied().collect(),
            assertion,
        };
        Ok(draft.sign(&*self.keys.device())?)
    }

    /// Whether the others have room for what this device says.
    fn has_room_for(&self, assertion: &Assertion) -> Result<(), WalletError> {
        let full = |what: &str| Err(WalletError::BadInput { what: what.into() });
        let own = self.keys.device_key();
        let said =
            || self.credentials().iter().map(|one| one.said()).filter(|said| said.issuer == *own.as_bytes());
        let lets_in = |said: &&Draft| matches!(said.assertion, Assertion::AuthorizedDevice { .. });
        match assertion {
            Assertion::RevokedDevice { .. } | Assertion::SealingKey { .. } => Ok(()),
            _ if said().count() >= MOST_CREDENTIALS_OF_AN_ISSUER - RESERVED_FOR_REMOVALS => {
                full("this device has changed as much as one device can: do it on another one")
            }
            Assertion::AuthorizedDevice { .. }
                if said().filter(lets_in).count() >= MOST_ADMISSIONS_OF_A_DEVICE =>
            {
                full("this device has let in as many devices as one can: let it in with another one")
            }
            _ => Ok(()),
        }
    }

    /// Says credentials to the other devices, without an entry in the log of activity.
    pub(crate) fn publish(&mut self, credentials: Vec<Verified<Credential>>) -> Result<(), WalletError> {
        if credentials.is_empty() {
            return Ok(());
        }
        let said = credentials.iter().map(|credential| credential.bytes().to_vec()).collect();
        let halo = self.halo()?;
        self.say_admitted(
            halo,
            Payload { credentials: said, ..Payload::default() },
            |_, _| Ok(()),
            |tx| credentials.iter().try_for_each(|credential| tx.add_credential(credential).map(drop)),
        )?;
        self.learn(credentials)
    }

    /// The credential by which this device's feed in a space is let in.
    pub(crate) fn admission_of_own_feed(
        &self,
        space: &SpaceKey,
    ) -> Result<Verified<Credential>, WalletError> {
        let signer = self.keys.feed(space)?;
        let admitted = AdmittedFeed::claim(*space, self.keys.device_key(), &signer)?;
        let subject = *admitted.feed_key.as_bytes();
        self.sign(clock(), subject, Assertion::AdmittedFeed(admitted), &[])
    }

    /// Lets this device's feed into a space where it has said nothing yet.
    pub(crate) fn admit_own_feed(&mut self, space: SpaceId) -> Result<(), WalletError> {
        let row = self.spaces.rows.get(&space).ok_or(NO_SPACE)?;
        let key = SpaceKey::from_bytes(&row.key).map_err(damaged)?;
        let own = self.feeds(space)?.own();
        if self.state.feeds.get(&key).is_some_and(|feeds| feeds.contains_key(&own)) {
            return Ok(());
        }
        let credential = self.admission_of_own_feed(&key)?;
        self.publish(vec![credential])
    }

    /// Says about this device what the others are to know and do not know yet, and agrees where it should.
    pub(crate) fn introduce_itself(&mut self) -> Result<(), WalletError> {
        let own = self.keys.device_key();
        if self.state.devices.get(&own).is_none_or(|device| device.revoked) {
            return Ok(());
        }
        self.admit_own_feed(self.halo()?)?;
        let mut missing = Vec::new();
        let now = clock();
        if self.state.devices.get(&own).is_some_and(|device| device.hybrid_key.is_none()) {
            let sealing = Assertion::SealingKey { hybrid_key: self.keys.hybrid_key().clone() };
            missing.push(self.sign(now, *own.as_bytes(), sealing, &[])?);
        }
        if self.state.recovery_key.is_none()
            && let Some(sealed) = self.store.sealed(slot::IDENTITY)?
        {
            let secrets = self.keys.open_identity(&sealed)?;
            let assertion = Assertion::IdentityRecovery {
                identity_key: self.identity_key,
                recovery_key: secrets.recovery_hybrid_key()?,
            };
            let subject = *self.identity_key.as_bytes();
            let parents = self.state.heads.iter().take(MOST_PARENTS).copied().collect();
            let draft = Draft { issuer: subject, subject, issued: now, expires: None, parents, assertion };
            missing.push(draft.sign(&secrets.signer()?)?);
        }
        self.publish(missing)?;
        self.endorse()
    }

    /// Vouches for devices whose admission it saw, where it has not done so yet.
    pub(crate) fn endorse(&mut self) -> Result<(), WalletError> {
        let (own, now) = (self.keys.device_key(), clock());
        let may = self.state.devices.get(&own).is_some_and(|own| !own.revoked && !own.is_on_probation(now));
        if !may {
            return Ok(());
        }
        let others = self.state.witnessed.iter().filter(|(_, all)| all.here && !all.by.contains(&own));
        let missing: Vec<CredentialId> = others.map(|(authorisation, _)| *authorisation).collect();
        let mut agreed = Vec::new();
        for authorisation in missing {
            let device = self.state.devices.iter().find(|(_, device)| device.authorized_by == authorisation);
            let Some((device, _)) = device else { continue };
            let said = self.credentials().iter().find(|credential| credential.id() == authorisation);
            // Neither the one who was let in nor the one who let it in is a witness.
            let by_own = said.is_none_or(|said| said.said().issuer == *own.as_bytes());
            if by_own || *device == own {
                continue;
            }
            let endorsed = Assertion::Endorsed { authorisation };
            if self.has_room_for(&endorsed).is_err() {
                // Another witness has to do; nothing that goes on here hangs on it.
                break;
            }
            agreed.push(self.sign(now, *device.as_bytes(), endorsed, &[])?);
        }
        self.publish(agreed)
    }

    /// Lets feeds in, and ends them, as the credentials say. What this device had built on and is void now it says
    /// again, as its own.
    pub(crate) fn follow_feeds(&mut self) -> Result<(), WalletError> {
        let ids: Vec<SpaceId> = self.spaces.rows.keys().copied().collect();
        for id in ids {
            let row = self.spaces.rows.get(&id).ok_or(NO_SPACE)?;
            let key = SpaceKey::from_bytes(&row.key).map_err(damaged)?;
            let Some(admitted) = self.state.feeds.get(&key).cloned() else { continue };
            if let Some(feeds) = self.spaces.feeds.get_mut(&id) {
                // The revocation that ended them does not hold after all.
                for (feed, _) in admitted.iter().filter(|(_, state)| state.cut.is_none()) {
                    self.spaces.cuts.retain(|cut| cut.feed != *feed);
                    feeds.replica.lift(feed);
                }
            }
            let cuts: Vec<Cut> = admitted.values().filter_map(|feed| feed.cut).collect();
            let news: Vec<Cut> = cuts.into_iter().filter(|cut| !self.spaces.cuts.contains(cut)).collect();
            if news.is_empty() && !self.spaces.feeds.contains_key(&id) {
                // Read with what is let in once somebody looks.
                continue;
            }
            let feeds = self.feeds(id)?;
            feeds.admit(&admitted);
            for cut in news {
                let feeds = self.spaces.feeds(&self.store, &self.keys, id, &self.state)?;
                if let Some(void) = feeds.cut(&self.store, cut) {
                    self.drop_void(id, void)?;
                }
                self.spaces.cuts.insert(cut);
                self.snapshot_after_cut(id, &cut.feed)?;
            }
        }
        Ok(())
    }

    /// Every document of a space, as one change each. What is too large for one change is left to those who have it.
    fn whole_documents(&self, space: SpaceId) -> Result<Vec<Change>, WalletError> {
        let mut all = Vec::new();
        for document in self.store.documents(&space.to_string())? {
            let bytes = self.store.document(&document)?.concat();
            if bytes.len() <= LARGEST_CHUNK {
                all.push(Change { document, bytes });
            }
        }
        Ok(all)
    }

    fn drop_void(&mut self, space: SpaceId, void: Void) -> Result<(), WalletError> {
        let mut built_on: Vec<Change> = Vec::new();
        let begins = self.store.feed_base(void.feed.as_bytes())?.map_or(0, |base| base.length);
        if void.from < begins {
            // What it said is not here any more, but in the documents: those are said again, as they are.
            built_on.extend(self.whole_documents(space)?);
        }
        let mut next = void.from.max(begins);
        while next < void.applied {
            let rows = self.store.blocks(void.feed.as_bytes(), next, STEP)?;
            let Some(last) = rows.last() else { break };
            next = last.sequence + 1;
            for row in rows.iter().filter(|row| row.sequence < void.applied) {
                let header = BlockHeader::decode(&row.header).map_err(damaged)?;
                if let Some(payload) = self.feeds(space)?.contents.open(&header, &row.sealed)? {
                    built_on.extend(payload.changes);
                }
            }
        }
        let feeds = self.spaces.feeds(&self.store, &self.keys, space, &self.state)?;
        self.store.write(|tx| {
            tx.drop_blocks(void.feed.as_bytes(), void.from)?;
            feeds.keep_progress(tx)
        })?;
        // A block has room for so much.
        let mut rest = built_on.into_iter().peekable();
        while rest.peek().is_some() {
            let (mut some, mut size) = (Vec::new(), 0);
            while let Some(change) = rest.next_if(|change| {
                some.is_empty() || (some.len() < STEP && size + change.bytes.len() <= LARGEST_CHUNK)
            }) {
                size += change.bytes.len();
                some.push(change);
            }
            self.together(space, |open, batch| {
                some.into_iter().try_for_each(|change| {
                    let Ok(document) = DocumentId::from_bytes(&change.document) else { return Ok(()) };
                    open.change(batch, document, |held| {
                        held.apply(&change.bytes)?;
                        Ok(change.bytes)
                    })
                })
            })?;
        }
        Ok(())
    }
}
