//! A grant: what the user allowed one app.
//!
//! The credential says what was allowed and replicates with the identity; the row says what only this device
//! knows (when it was used, which instance keys it has seen). A grant is one app on one device's word:
//! looked up by origin for the web, by id *and* executable for native programs, so that another program
//! with the same id is another app.

use std::collections::BTreeSet;

use halo_protocol::Timestamp;
use halo_protocol::credential::{AppGrant, AppKind as GrantedKind, Assertion, SeedName};
use halo_store::GrantRow;

use crate::asker::{AppKind, Asker};
use crate::request::{GrantId, ProfileField, Scope, SignInRequest};
use crate::view::{AppView, GrantFacts};

/// Instance keys a grant remembers; the oldest makes room. A browser profile that is wiped makes a new one.
const MOST_INSTANCES: usize = 16;

/// What the user allowed one app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) id: GrantId,
    pub(crate) client_id: String,
    pub(crate) kind: AppKind,
    pub(crate) name: Option<String>,
    pub(crate) scopes: BTreeSet<Scope>,
    pub(crate) fields: BTreeSet<ProfileField>,
    pub(crate) identity: bool,
    pub(crate) alias_epoch: u32,
    pub(crate) alias_seed: Option<SeedName>,
    pub(crate) row: GrantRow,
}

impl Grant {
    /// A grant that allows nothing yet.
    pub(crate) fn fresh(asker: &Asker, id: [u8; 16], now: Timestamp) -> Self {
        Self {
            id: GrantId::of(&id),
            client_id: asker.client_id.clone(),
            kind: asker.kind,
            name: None,
            scopes: BTreeSet::new(),
            fields: BTreeSet::new(),
            identity: false,
            alias_epoch: 0,
            alias_seed: None,
            row: GrantRow {
                id,
                client_id: asker.client_id.clone(),
                process: executable(asker).map(str::to_owned).filter(|_| asker.kind == AppKind::Native),
                instances: Vec::new(),
                created: now,
                last_used: None,
            },
        }
    }

    /// What this device knows of a grant that was given on another one: nothing yet.
    pub(crate) fn row_of_another_device(granted: &AppGrant, now: Timestamp) -> GrantRow {
        GrantRow {
            id: granted.grant_id,
            client_id: granted.client_id.clone(),
            process: None,
            instances: Vec::new(),
            created: now,
            last_used: None,
        }
    }

    /// Reads a grant from its credential and its row.
    pub(crate) fn new(granted: &AppGrant, row: GrantRow) -> Self {
        Self {
            id: GrantId::of(&granted.grant_id),
            client_id: granted.client_id.clone(),
            kind: match granted.kind {
                GrantedKind::Web => AppKind::Web,
                GrantedKind::Native => AppKind::Native,
            },
            name: granted.name.clone(),
            // Scopes of a later version are not this one's to honour.
            scopes: granted.scopes.iter().filter_map(|name| Scope::parse(name)).collect(),
            fields: ProfileField::ALL
                .into_iter()
                .filter(|field| granted.fields.iter().any(|name| name == field.as_str()))
                .collect(),
            identity: granted.identity,
            alias_epoch: granted.alias_epoch,
            alias_seed: granted.alias_seed,
            row,
        }
    }

    /// As a credential says it.
    pub(crate) fn assertion(&self, revoked: bool) -> Assertion {
        Assertion::AppGrant(AppGrant {
            grant_id: self.row.id,
            client_id: self.client_id.clone(),
            name: self.name.clone(),
            kind: match self.kind {
                AppKind::Web => GrantedKind::Web,
                AppKind::Native => GrantedKind::Native,
            },
            scopes: self.scopes.iter().map(|scope| scope.as_str().to_owned()).collect(),
            fields: self.fields.iter().map(|field| field.as_str().to_owned()).collect(),
            identity: self.identity,
            alias_epoch: self.alias_epoch,
            alias_seed: self.alias_seed,
            revoked,
        })
    }

    /// Whether a credential is about the same app, wherever it runs.
    pub(crate) fn is_for_app_of(&self, granted: &AppGrant) -> bool {
        let kind = match granted.kind {
            GrantedKind::Web => AppKind::Web,
            GrantedKind::Native => AppKind::Native,
        };
        self.kind == kind && self.client_id == granted.client_id
    }

    /// Whether this is the grant of that asker.
    pub(crate) fn is_of(&self, asker: &Asker) -> bool {
        self.kind == asker.kind
            && self.client_id == asker.client_id
            && (self.kind == AppKind::Web || self.row.process.as_deref() == executable(asker))
    }

    /// Whether it answers `request` without a prompt: everything asked for is granted, and the request comes
    /// from an instance the user let in before. An origin alone can be claimed; the instance key cannot.
    pub(crate) fn answers(&self, request: &SignInRequest) -> bool {
        let asker = &request.asker;
        !request.force_prompt
            && !asker.impostor
            && request.scopes.is_subset(&self.scopes)
            && asker.instance.as_ref().is_some_and(|key| self.row.instances.contains(key))
    }

    /// Remembers an instance key.
    pub(crate) fn meet(&mut self, instance: Option<&String>) {
        let Some(instance) = instance.filter(|key| !self.row.instances.contains(*key)) else { return };
        if self.row.instances.len() >= MOST_INSTANCES {
            self.row.instances.remove(0);
        }
        self.row.instances.push(instance.clone());
    }

    /// What apps of this kind and id derive their alias from; a program cannot take a page's.
    pub(crate) fn alias_name(kind: AppKind, client_id: &str) -> String {
        match kind {
            AppKind::Web => client_id.to_owned(),
            AppKind::Native => format!("native:{client_id}"),
        }
    }

    /// As the broker needs it.
    pub(crate) fn facts(&self) -> GrantFacts {
        GrantFacts {
            client_id: self.client_id.clone(),
            kind: self.kind,
            scopes: self.scopes.clone(),
            instances: self.row.instances.iter().cloned().collect(),
            process: self.row.process.clone(),
        }
    }

    /// As the user sees it.
    pub(crate) fn view(&self, sub: String, spaces: Vec<String>) -> AppView {
        AppView {
            id: self.id.clone(),
            name: self.name.clone(),
            kind: self.kind,
            origin: (self.kind == AppKind::Web).then(|| self.client_id.clone()),
            client_id: self.client_id.clone(),
            process: self.row.process.clone(),
            scopes: self.scopes.iter().copied().collect(),
            fields: self.fields.iter().copied().collect(),
            identity: self.identity,
            // What it saw before it was narrowed waits for it, and is not seen.
            spaces: if self.scopes.contains(&Scope::Spaces) { spaces } else { Vec::new() },
            sub,
            created: self.row.created.as_millis(),
            last_used: self.row.last_used.map(|at| at.as_millis()),
        }
    }
}

/// The executable behind an asker.
pub(crate) fn executable(asker: &Asker) -> Option<&str> {
    asker.process.as_ref()?.path.as_deref()
}
