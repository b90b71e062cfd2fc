//! Granting, and taking back.

use halo_echo::SpaceId;
use halo_protocol::Timestamp;
use halo_protocol::audit::AuditEvent;
use halo_store::SpaceAppRow;

use crate::engine::clock;
use crate::error::WalletError;
use crate::grant::Grant;
use crate::handle::Wallet;
use crate::held::Batch;
use crate::open::Open;
use crate::random::random;
use crate::request::{Approval, GrantId, RequestView, Scope, SignInRequest};
use crate::spaces::app_of;
use crate::view::Event;

impl Wallet {
    /// Takes a grant back. Whatever hangs on it is over at once.
    ///
    /// # Errors
    /// [`WalletError::NotFound`] if there is no such grant.
    pub async fn revoke(&self, id: &GrantId) -> Result<(), WalletError> {
        let id = id.clone();
        self.try_job(move |engine| {
            engine.unlocked()?.revoke(&id, clock())?;
            engine.keep_mark();
            engine.changed();
            engine.tell(Event::Revoked(id));
            Ok(())
        })
        .await
    }
}

impl Open {
    /// Makes the grant the user approved, or widens the one there is.
    pub(crate) fn grant(
        &mut self,
        request: &SignInRequest,
        approval: &Approval,
        view: &RequestView,
        spaces: &[SpaceId],
        now: Timestamp,
    ) -> Result<GrantId, WalletError> {
        let asker = &request.asker;
        let before = self.grant_of(asker).cloned();
        let mut grant = match before {
            Some(grant) => grant,
            None => {
                let mut fresh = Grant::fresh(asker, random()?, now);
                (fresh.alias_epoch, fresh.alias_seed) = self.alias_for(&fresh)?;
                fresh
            }
        };
        let scopes = approval.scopes.as_ref().unwrap_or(&view.scopes);
        grant.scopes.extend(scopes);
        if scopes.contains(&Scope::Profile) {
            let fields = approval.fields.as_ref().unwrap_or(&view.fields);
            grant.fields = fields.iter().copied().collect();
        }
        if request.scopes.contains(&Scope::Identity) {
            if approval.identity && !grant.identity {
                (grant.alias_epoch, grant.alias_seed) =
                    self.real().unwrap_or((grant.alias_epoch, grant.alias_seed));
            }
            grant.identity = approval.identity;
            if !approval.identity {
                grant.scopes.remove(&Scope::Identity);
            }
        }
        grant.name = view.app.name.clone().or(grant.name);
        grant.meet(asker.instance.as_ref());
        let event = AuditEvent::Approved {
            grant: grant.row.id,
            client: grant.client_id.clone(),
            scopes: grant.scopes.iter().map(|scope| scope.as_str().to_owned()).collect(),
            identity: grant.identity,
            fields: grant.fields.iter().map(|field| field.as_str().to_owned()).collect(),
        };
        let subject = *self.identity_key.as_bytes();
        let row = grant.row.clone();
        let app = app_of(&grant);
        let unseen = spaces.iter().filter(|space| !self.spaces.sees(&app, **space));
        let shared: Vec<SpaceAppRow> = unseen
            .map(|space| SpaceAppRow {
                app: app.clone(),
                space: space.to_string(),
                made: false,
                default: false,
            })
            .collect();
        let work = |open: &mut Self, batch: &mut Batch| {
            shared.iter().try_for_each(|new| {
                let there = open.spaces.apps.iter().filter(|row| row.space == new.space);
                let apps: Vec<SpaceAppRow> = there.chain([new]).cloned().collect();
                open.write_apps(batch, new.space.parse()?, &apps)
            })
        };
        self.issue_with(now, subject, grant.assertion(false), event, work, |tx| {
            tx.put_grant(&row)?;
            shared.iter().try_for_each(|row| tx.put_space_app(row))
        })?;
        self.spaces.apps.extend(shared);
        Ok(grant.id)
    }

    fn revoke(&mut self, id: &GrantId, now: Timestamp) -> Result<(), WalletError> {
        let grant = self.grants.get(id).cloned().ok_or(WalletError::NotFound { what: "the app" })?;
        let event = AuditEvent::Revoked { grant: grant.row.id, client: grant.client_id.clone() };
        let subject = *self.identity_key.as_bytes();
        self.issue_credential(now, subject, grant.assertion(true), event, |tx| {
            tx.drop_refresh_of(&grant.row.id)?;
            tx.delete_grant(&grant.row.id)
        })
    }
}
