//! What an app gets once it was approved: ID token, proof, refresh token.
//!
//! The attack this guards against is a token that outlives what it stands for: each use looks the grant up
//! anew, a refresh token works once, and using one twice ends the whole family (RFC 9700 §4.14).

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use halo_protocol::audit::AuditEvent;
use halo_protocol::presentation::{HelloClaims, IdTokenClaims, ProofClaims, Subject};
use halo_protocol::{ClientKey, Timestamp};
use halo_store::RefreshRow;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::command::{Binding, Exchange, TokenRequest, Tokens, UserInfo};
use crate::engine::{Engine, clock};
use crate::error::WalletError;
use crate::grant::Grant;
use crate::handle::Wallet;
use crate::open::Open;
use crate::random::random;
use crate::request::{GrantId, ProfileField, Scope};

/// A refresh token nobody used for so long is over.
const REFRESH_LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// ID token and proof are for now, not for later.
const TOKEN_LIFE: Duration = Duration::from_secs(5 * 60);

/// Begins the binding to an app instance's key.
const INSTANCE: &str = "instance:";

const GONE: WalletError = WalletError::NotFound { what: "the grant" };

impl Wallet {
    /// Makes the tokens for an approved request or a refresh token.
    ///
    /// # Errors
    /// [`WalletError::NotFound`] if the grant is gone, [`WalletError::SessionOver`] for a refresh token that is
    /// unknown, used, too old or somebody else's.
    pub async fn issue(&self, request: TokenRequest) -> Result<Tokens, WalletError> {
        self.try_job(move |engine| engine.issue(request)).await
    }

    /// What an app with this grant may know of the user.
    ///
    /// # Errors
    /// [`WalletError::NotFound`] if the grant is gone.
    pub async fn user_info(&self, grant: &GrantId) -> Result<UserInfo, WalletError> {
        let id = grant.clone();
        self.try_job(move |engine| {
            let open = engine.unlocked()?;
            let grant = open.grants.get(&id).ok_or(GONE)?;
            Ok(UserInfo {
                sub: open.subject(grant)?,
                name: shared(grant, ProfileField::Name).then(|| open.name().to_owned()),
                picture: shared(grant, ProfileField::Picture).then(|| open.picture()).flatten(),
            })
        })
        .await
    }

    /// Ends the session of a refresh token (RFC 7009: an unknown one is no error).
    ///
    /// # Errors
    /// [`WalletError::Locked`].
    pub async fn revoke_refresh(&self, client_id: &str, token: &str) -> Result<(), WalletError> {
        let (client_id, hash) = (client_id.to_owned(), digest(token));
        self.try_job(move |engine| {
            let open = engine.unlocked()?;
            let Some(row) = open.store.refresh(&hash)? else { return Ok(()) };
            let Some(grant) =
                open.grants.get(&GrantId::of(&row.grant)).filter(|grant| grant.client_id == client_id)
            else {
                return Ok(());
            };
            let event = AuditEvent::Used {
                grant: row.grant,
                client: grant.client_id.clone(),
                what: "signed out".into(),
            };
            open.record(clock(), event, |tx| tx.drop_family(&row.family))
        })
        .await
    }

    /// The key that signs one app's ID tokens; every app has another.
    ///
    /// # Errors
    /// [`WalletError::Locked`].
    pub async fn client_key(&self, client_id: &str) -> Result<ClientKey, WalletError> {
        let client_id = client_id.to_owned();
        self.try_job(move |engine| Ok(engine.unlocked()?.keys.client(&client_id)?.client_key())).await
    }

    /// Answers an app's challenge with that key, so that it knows its wallet again.
    ///
    /// # Errors
    /// [`WalletError::BadInput`] if the challenge is too long to be one.
    pub async fn hello(&self, client_id: &str, issuer: &str, challenge: &str) -> Result<String, WalletError> {
        let now = clock();
        let claims = HelloClaims {
            issuer: issuer.to_owned(),
            audience: client_id.to_owned(),
            nonce: challenge.to_owned(),
            issued: now,
            expires: now.plus(TOKEN_LIFE),
        };
        let client_id = client_id.to_owned();
        self.try_job(move |engine| {
            let signer = engine.unlocked()?.keys.client(&client_id)?;
            Ok(claims.sign(&signer)?)
        })
        .await
    }

    /// Notes in the activity log that somebody tried something.
    pub async fn note_suspicious(&self, client_id: Option<String>, what: &'static str) {
        self.nudge(move |engine| {
            let now = clock();
            // One a minute: whoever attacks must not be able to fill the disk.
            if now < engine.next_suspicion {
                return;
            }
            engine.next_suspicion = now.plus(Duration::from_secs(60));
            let event = AuditEvent::Suspicious { what: what.to_owned(), client: client_id };
            if let Ok(open) = engine.unlocked()
                && let Err(error) = open.record(now, event, |_| Ok(()))
            {
                tracing::warn!(%error, "something suspicious was not recorded");
            }
        });
    }
}

impl Engine {
    fn issue(&mut self, request: TokenRequest) -> Result<Tokens, WalletError> {
        let now = clock();
        let open = self.unlocked()?;
        let binding = request.binding.stored();
        let (id, family) = match (&request.exchange, &request.grant) {
            (Exchange::Fresh, Some(grant)) => (grant.clone(), random()?),
            (Exchange::Fresh, None) => return Err(GONE),
            (Exchange::Refresh(token), _) => {
                let row = open.redeem(token, &request.client_id, &binding, now)?;
                (GrantId::of(&row.grant), row.family)
            }
        };
        let grant = open.grants.get(&id).ok_or(GONE)?;
        if grant.client_id != request.client_id || grant.kind != request.kind {
            return Err(GONE);
        }
        let sub = open.subject(grant)?;
        let name = shared(grant, ProfileField::Name).then(|| open.name().to_owned());
        let expires = now.plus(TOKEN_LIFE);
        let id_token = IdTokenClaims {
            issuer: request.issuer,
            audience: request.client_id.clone(),
            subject: sub.clone(),
            nonce: request.nonce.clone(),
            issued: now,
            expires,
            auth_time: now,
            auth_req_id: request.auth_req_id,
            name: name.clone(),
        }
        .sign(&open.keys.client(&request.client_id)?)?;
        let proof = open.proof(grant, request.nonce, name, now, expires)?;
        let refresh_token = Zeroizing::new(BASE64URL_NOPAD.encode(&random::<32>()?));
        let scope = grant.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(" ");
        let grant_key = grant.row.id;
        let row = RefreshRow {
            hash: digest(&refresh_token),
            family,
            grant: grant_key,
            binding,
            issued: now,
            expires: now.plus(REFRESH_LIFE),
            used: false,
        };
        let what = match request.exchange {
            Exchange::Fresh => "signed in",
            Exchange::Refresh(_) => "stayed signed in",
        };
        let event = AuditEvent::Used { grant: grant_key, client: request.client_id, what: what.to_owned() };
        open.record(now, event, |tx| {
            if let Exchange::Refresh(token) = &request.exchange {
                tx.use_refresh(&digest(token))?;
                // Whatever an earlier answer brought that was lost.
                tx.drop_unused(&row.family)?;
            }
            tx.add_refresh(&row)?;
            tx.touch_grant(&grant_key, now)
        })?;
        if let Some(grant) = open.grants.get_mut(&id) {
            grant.row.last_used = Some(now);
        }
        self.changed();
        Ok(Tokens { grant: id, sub, id_token, proof, refresh_token, scope })
    }
}

impl Open {
    /// Looks a refresh token up; using one twice ends everything that came of it.
    ///
    /// Unless the answer may have been lost: a page that is left in the middle never hears of its next token. It comes
    /// again with the one before, before the next was used, and shows its instance key (decision 0008).
    fn redeem(
        &mut self,
        token: &str,
        client_id: &str,
        binding: &str,
        now: Timestamp,
    ) -> Result<RefreshRow, WalletError> {
        let row = self.store.refresh(&digest(token))?.ok_or(WalletError::SessionOver)?;
        let grant = self.grants.get(&GrantId::of(&row.grant)).ok_or(WalletError::SessionOver)?;
        if grant.client_id != client_id || row.binding != binding || row.expires <= now {
            return Err(WalletError::SessionOver);
        }
        let lost = || -> Result<bool, WalletError> {
            Ok(binding.starts_with(INSTANCE) && !self.store.has_used_successor(&row)?)
        };
        if row.used && !lost()? {
            let event = AuditEvent::Suspicious {
                what: "a refresh token was used twice; its session was ended".into(),
                client: Some(client_id.to_owned()),
            };
            self.record(now, event, |tx| tx.drop_family(&row.family))?;
            return Err(WalletError::SessionOver);
        }
        Ok(row)
    }

    /// The portable proof: signed by the alias, or by this device for the identity.
    fn proof(
        &self,
        grant: &Grant,
        nonce: Option<String>,
        name: Option<String>,
        now: Timestamp,
        expires: Timestamp,
    ) -> Result<String, WalletError> {
        let claims = |subject| ProofClaims {
            audience: grant.client_id.clone(),
            nonce,
            issued: now,
            expires,
            subject,
            name,
        };
        if grant.identity {
            let chain = self.chain().ok_or_else(|| WalletError::Damaged {
                what: "this device is not authorised by the identity".into(),
            })?;
            let (identity_key, device_key) = (self.identity_key, self.keys.device_key());
            Ok(claims(Subject::Identity { identity_key, device_key, chain }).sign(&*self.keys.device())?)
        } else {
            let alias = self.alias(grant)?;
            Ok(claims(Subject::Alias(alias.alias_key())).sign(&alias)?)
        }
    }
}

impl Binding {
    /// As the store keeps it.
    fn stored(&self) -> String {
        match self {
            Self::Instance(key) => format!("{INSTANCE}{key}"),
            Self::Origin(origin) => format!("origin:{origin}"),
            Self::Process(path) => format!("process:{path}"),
        }
    }
}

pub(crate) fn shared(grant: &Grant, field: ProfileField) -> bool {
    grant.scopes.contains(&Scope::Profile) && grant.fields.contains(&field)
}

/// Only hashes of tokens are kept: who reads the store cannot use them.
fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}
