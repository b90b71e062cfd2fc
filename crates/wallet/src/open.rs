//! The wallet while it is unlocked: keys, store, and what the credentials say.
//!
//! Every change is one transaction that holds the change itself and the entry of the activity log that tells
//! of it, so neither is ever there without the other.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use data_encoding::BASE64;
use halo_keystore::{Keys, Keystore, PeerKeys, Phrase, StoreMark};
use halo_protocol::audit::{AuditEntry, AuditEvent, ChainHead};
use halo_protocol::credential::{Assertion, Credential, CredentialId, DeviceProfile};
use halo_protocol::feed::Payload;
use halo_protocol::identity::{DeviceState, IdentityState};
use halo_protocol::{DeviceKey, Did, IdentityKey, Sign, Timestamp, Verified};
use halo_store::{GrantRow, Store, StoreError, Tx};
use zeroize::Zeroizing;

use crate::asker::Asker;
use crate::engine::{LockReason, clock};
use crate::error::WalletError;
use crate::grant::Grant;
use crate::held::{Batch, Spaces};
use crate::lifecycle::Origin;
use crate::link::Outcomes;
use crate::request::GrantId;
use crate::spaces::app_of;
use crate::view::{AppView, IdentityView, PhraseState, Settings, Snapshot};

/// The database in the identity's directory.
pub(crate) const STORE: &str = "store.db";

/// Names of the sealed values in the store.
pub(crate) mod slot {
    /// The identity's secrets; gone once the user removed the phrase from this device.
    pub(crate) const IDENTITY: &str = "identity";
    /// The seed of the private aliases.
    pub(crate) const ALIAS_SEED: &str = "alias_seed";
}

/// Names of settings in the store.
pub(crate) mod setting {
    pub(crate) const IDENTITY_KEY: &str = "identity_key";
    pub(crate) const PHRASE_CONFIRMED: &str = "phrase_confirmed";
    pub(crate) const USER: &str = "user";
    /// How devices find each other, on this one.
    pub(crate) const NETWORK: &str = "network";
    /// The words brought it back: there may be other devices.
    pub(crate) const RECOVERED: &str = "recovered";
    /// The first entry of the activity log that was once found not to be this device's.
    pub(crate) const LOG_BROKEN_AT: &str = "log_broken_at";
}

/// The unlocked wallet.
pub(crate) struct Open {
    pub(crate) keys: Arc<Keys>,
    pub(crate) peer_keys: Arc<PeerKeys>,
    pub(crate) store: Store,
    pub(crate) identity_key: IdentityKey,
    pub(crate) state: IdentityState,
    pub(crate) grants: BTreeMap<GrantId, Grant>,
    pub(crate) settings: Settings,
    pub(crate) phrase: PhraseState,
    pub(crate) audit_broken_at: Option<u64>,
    pub(crate) spaces: Spaces,
    /// There are credentials that other devices have not been told of.
    pub(crate) learnt: bool,
    /// How often somebody came in who had been turned away before: they have to be met anew.
    pub(crate) meets_anew: u64,
    /// The words brought it back: there may be devices that it does not know yet.
    pub(crate) recovered: bool,
    /// The app that is being written for.
    pub(crate) hand: Option<String>,
    /// What agreeing with what was refused would do, by the state that there is.
    pub(crate) outcomes: Outcomes,
    credentials: Vec<Verified<Credential>>,
    head: ChainHead,
}

impl Open {
    /// Fills a new store: genesis credentials, sealed secrets, the first entry of the log.
    ///
    /// Returns the 24 words, unless they were where the identity came from.
    pub(crate) fn create(
        dir: &Path,
        keys: &Keys,
        origin: Origin,
        name: &str,
    ) -> Result<Option<Zeroizing<String>>, WalletError> {
        let now = clock();
        let (secrets, event, shown) = match origin {
            Origin::New => {
                let secrets = keys.make_identity()?;
                let words = secrets.phrase().words();
                (secrets, AuditEvent::IdentityCreated, Some(words))
            }
            Origin::Phrase(words) => {
                let phrase = Phrase::parse(&words)?;
                (keys.identity_from_phrase(phrase), AuditEvent::IdentityRecovered, None)
            }
        };
        let identity = secrets.signer()?;
        let genesis = genesis(&identity, keys, name, now)?;
        let entry = AuditEntry::next(ChainHead::default(), now, event).sign(&*keys.device());
        let sealed = (keys.seal_identity(&secrets)?, keys.seal_alias_seed(&secrets)?);
        let mut store = keys.with_store_key(|key| Store::create(&dir.join(STORE), key))?;
        store.write(|tx| {
            for credential in &genesis {
                tx.add_credential(credential)?;
            }
            tx.put_sealed(slot::IDENTITY, &sealed.0)?;
            tx.put_sealed(slot::ALIAS_SEED, &sealed.1)?;
            tx.put_setting(setting::IDENTITY_KEY, &identity.identity_key())?;
            tx.put_setting(setting::PHRASE_CONFIRMED, &shown.is_none())?;
            tx.put_setting(setting::RECOVERED, &shown.is_none())?;
            tx.append_audit(&entry)
        })?;
        store.close()?;
        Ok(shown)
    }
}

/// The identity's first credentials.
fn genesis(
    identity: &impl Sign,
    keys: &Keys,
    name: &str,
    now: Timestamp,
) -> Result<Vec<Verified<Credential>>, WalletError> {
    let device = this_device();
    Ok(halo_protocol::identity::genesis(identity, &*keys.device(), &keys.agreement_key(), device, name, now)?)
}

/// What this machine calls itself: how a new device is called unless the user says otherwise.
#[must_use]
pub fn device_label() -> String {
    this_device().label
}

/// What this device is.
pub(crate) fn this_device() -> DeviceProfile {
    let label = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("COMPUTERNAME").ok())
        .and_then(|name| crate::appearance::clean_name(&name))
        .unwrap_or_else(|| "This computer".to_owned());
    DeviceProfile {
        label,
        platform: std::env::consts::OS.to_owned(),
        architecture: std::env::consts::ARCH.to_owned(),
        os: std::env::consts::OS.to_owned(),
        os_version: String::new(),
    }
}

impl Open {
    /// Opens the store with the keys and reads what it says.
    ///
    /// # Errors
    /// [`WalletError::RolledBack`] if the store is older than the keychain remembers, unless `accept_older`.
    pub(crate) fn load(
        dir: &Path,
        mut keys: Keys,
        keystore: &Keystore,
        accept_older: bool,
    ) -> Result<Self, WalletError> {
        let store = keys.with_store_key(|key| Store::open(&dir.join(STORE), key))?;
        let damaged = |what: &str| WalletError::Damaged { what: what.to_owned() };
        let identity_key: IdentityKey =
            store.setting(setting::IDENTITY_KEY)?.ok_or_else(|| damaged("the identity key is missing"))?;
        let credentials = store
            .credentials()?
            .iter()
            .map(|bytes| Credential::decode(bytes).and_then(Credential::verify))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| WalletError::Damaged {
                what: format!("a credential is not genuine: {error}"),
            })?;
        let alias_seed = store
            .sealed(slot::ALIAS_SEED)?
            .ok_or_else(|| damaged("the seed of the private aliases is missing"))?;
        keys.load_alias_seed(&alias_seed)?;
        let phrase = match (store.sealed(slot::IDENTITY)?, store.setting(setting::PHRASE_CONFIRMED)?) {
            (None, _) => PhraseState::Forgotten,
            (Some(_), Some(true)) => PhraseState::Confirmed,
            (Some(_), _) => PhraseState::Unconfirmed,
        };
        let recovered = store.setting(setting::RECOVERED)?.unwrap_or_default();
        let head = store.audit_head()?;
        let mut open = Self {
            settings: store.setting(setting::USER)?.unwrap_or_default(),
            state: IdentityState::from_credentials(&identity_key, &credentials),
            grants: BTreeMap::new(),
            audit_broken_at: None,
            spaces: Spaces::load(&store)?,
            peer_keys: Arc::new(keys.peer_keys()),
            hand: None,
            outcomes: Outcomes::default(),
            keys: Arc::new(keys),
            store,
            identity_key,
            phrase,
            credentials,
            learnt: false,
            meets_anew: 0,
            recovered,
            head,
        };
        open.judge()?;
        open.read_grants()?;
        // Before anything is written at its end.
        open.audit_broken_at = open.log_broken_at()?;
        let older = open.is_older_than(keystore.mark(&open.keys)?)?;
        match (older, accept_older) {
            (true, false) => return Err(WalletError::RolledBack),
            (true, true) => {
                let what = "an older copy of the data was accepted".to_owned();
                open.record(clock(), AuditEvent::Suspicious { what, client: None }, |_| Ok(()))?;
            }
            (false, _) => {}
        }
        open.remember_broken_log()?;
        open.begin_halo()?;
        open.introduce_itself()?;
        open.follow_feeds()?;
        open.read_records()?;
        Ok(open)
    }

    /// Whether the log lacks what the keychain has seen of it.
    fn is_older_than(&self, mark: Option<StoreMark>) -> Result<bool, WalletError> {
        let Some(mark) = mark else { return Ok(false) };
        Ok(self.store.audit_hash(mark.entries)? != Some(mark.head))
    }

    /// Remembers what is wrong with the log: what was put at its end with the store's key alone would pass as soon as
    /// an entry of ours stands on it.
    fn remember_broken_log(&mut self) -> Result<(), WalletError> {
        let known: Option<u64> = self.store.setting(setting::LOG_BROKEN_AT)?;
        if let Some(seq) = self.audit_broken_at.filter(|seq| known.is_none_or(|known| *seq < known)) {
            let what = format!("the activity log is not what was written, from entry {seq} on");
            let event = AuditEvent::Suspicious { what, client: None };
            self.record(clock(), event, |tx| tx.put_setting(setting::LOG_BROKEN_AT, &seq))?;
        }
        Ok(())
    }

    /// The first entry that is not what this device wrote: a hash chain, the signature over its head, and what was found
    /// before.
    pub(crate) fn log_broken_at(&self) -> Result<Option<u64>, WalletError> {
        let rows = self.store.audit_rows(1, u32::MAX)?;
        let entries = rows.iter().map(|row| (row.body.as_slice(), &row.signature));
        let now = halo_protocol::audit::verify_chain(entries, &self.keys.device_key()).err();
        let known = self.store.setting(setting::LOG_BROKEN_AT)?;
        Ok(now.map(|broken| broken.seq).into_iter().chain(known).min())
    }

    fn read_grants(&mut self) -> Result<(), WalletError> {
        let mut rows: BTreeMap<[u8; 16], GrantRow> =
            self.store.grants()?.into_iter().map(|row| (row.id, row)).collect();
        // Given on another device: nobody has used it here.
        let now = clock();
        let elsewhere = self.state.grants.values().filter(|grant| !grant.revoked);
        let elsewhere: Vec<GrantRow> = elsewhere
            .filter(|grant| !rows.contains_key(&grant.grant_id))
            .map(|grant| Grant::row_of_another_device(grant, now))
            .collect();
        if !elsewhere.is_empty() {
            self.store.write(|tx| elsewhere.iter().try_for_each(|row| tx.put_grant(row)))?;
            rows.extend(elsewhere.into_iter().map(|row| (row.id, row)));
        }
        self.grants = self
            .state
            .grants
            .values()
            .filter(|grant| !grant.revoked)
            .filter_map(|grant| Some(Grant::new(grant, rows.remove(&grant.grant_id)?)))
            .map(|grant| (grant.id.clone(), grant))
            .collect();
        Ok(())
    }

    /// Makes a change and tells of it in the log, both or neither.
    pub(crate) fn record<T>(
        &mut self,
        now: Timestamp,
        event: AuditEvent,
        change: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError>,
    ) -> Result<T, WalletError> {
        let entry = AuditEntry::next(self.head, now, event).sign(&*self.keys.device());
        let done = self.store.write(|tx| {
            let done = change(tx)?;
            tx.append_audit(&entry)?;
            Ok(done)
        })?;
        self.head = ChainHead { seq: entry.seq, hash: entry.hash };
        Ok(done)
    }

    /// The same, with something that the other devices are to hear.
    pub(crate) fn record_with<T>(
        &mut self,
        now: Timestamp,
        event: AuditEvent,
        said: Payload,
        work: impl FnOnce(&mut Self, &mut Batch) -> Result<(), WalletError>,
        change: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError>,
    ) -> Result<T, WalletError> {
        let entry = AuditEntry::next(self.head, now, event).sign(&*self.keys.device());
        let halo = self.halo()?;
        let keep = |tx: &mut Tx<'_>| {
            let done = change(tx)?;
            tx.append_audit(&entry)?;
            Ok(done)
        };
        let (_, done) = self.say(halo, said, work, keep)?;
        self.head = ChainHead { seq: entry.seq, hash: entry.hash };
        Ok(done)
    }

    /// Every credential, as it was signed.
    pub(crate) fn credential_bytes(&self) -> Vec<Vec<u8>> {
        self.credentials.iter().map(|credential| credential.bytes().to_vec()).collect()
    }

    /// What all credentials would say together with one more, which is first seen now or needs no such note.
    pub(crate) fn state_with(
        &self,
        credential: Verified<Credential>,
        seen: Option<Timestamp>,
    ) -> Result<IdentityState, WalletError> {
        let mut all = self.credentials.clone();
        let seen = seen.map(|seen| (*credential.id().as_bytes(), seen));
        all.push(credential);
        self.judged(&all, seen)
    }

    /// Takes in credentials that are in the store by now.
    pub(crate) fn learn(&mut self, credentials: Vec<Verified<Credential>>) -> Result<(), WalletError> {
        for credential in credentials {
            if self.credentials.iter().all(|known| known.id() != credential.id()) {
                self.credentials.push(credential);
                self.learnt = true;
            }
        }
        self.judge()?;
        self.follow_feeds()?;
        self.read_grants()
    }

    /// Works out what the credentials say.
    fn judge(&mut self) -> Result<(), WalletError> {
        let after = self.judged(&self.credentials, None)?;
        let before = std::mem::replace(&mut self.state, after);
        if self.state != before {
            self.outcomes = Outcomes::default();
        }
        let was_out = |key: &DeviceKey, device: &DeviceState| match before.devices.contains_key(key) {
            true => !before.is_in(key),
            false => before.rejected.iter().any(|(id, _)| *id == device.authorized_by),
        };
        let mut devices = self.state.devices.iter();
        let anew = devices.any(|(key, device)| self.state.is_in(key) && was_out(key, device));
        self.meets_anew += u64::from(anew);
        Ok(())
    }

    fn judged(
        &self,
        credentials: &[Verified<Credential>],
        one_more: Option<([u8; 32], Timestamp)>,
    ) -> Result<IdentityState, WalletError> {
        let seen: BTreeMap<[u8; 32], Timestamp> =
            self.store.credentials_seen()?.into_iter().chain(one_more).collect();
        let first_seen = |id: &CredentialId| seen.get(id.as_bytes()).copied();
        let mut state = IdentityState::judge(&self.identity_key, credentials, first_seen);
        // What others make of this device is for them.
        state.suspended.remove(&self.keys.device_key());
        Ok(state)
    }

    /// Whether a credential is here already.
    pub(crate) fn knows(&self, credential: &Verified<Credential>) -> bool {
        self.credentials.iter().any(|known| known.id() == credential.id())
    }

    /// Every credential of the identity.
    pub(crate) fn credentials(&self) -> &[Verified<Credential>] {
        &self.credentials
    }

    /// Signs an assertion about `subject` as this device, keeps and applies it.
    pub(crate) fn issue_credential<T>(
        &mut self,
        now: Timestamp,
        subject: [u8; 32],
        assertion: Assertion,
        event: AuditEvent,
        change: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError>,
    ) -> Result<T, WalletError> {
        self.issue_with(now, subject, assertion, event, |_, _| Ok(()), change)
    }

    /// The same, with what `work` changes in the HALO space.
    pub(crate) fn issue_with<T>(
        &mut self,
        now: Timestamp,
        subject: [u8; 32],
        assertion: Assertion,
        event: AuditEvent,
        work: impl FnOnce(&mut Self, &mut Batch) -> Result<(), WalletError>,
        change: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError>,
    ) -> Result<T, WalletError> {
        let credential = self.sign(now, subject, assertion, &[])?;
        let said = Payload { credentials: vec![credential.bytes().to_vec()], ..Payload::default() };
        let done = self.record_with(now, event, said, work, |tx| {
            tx.add_credential(&credential)?;
            change(tx)
        })?;
        self.learn(vec![credential])?;
        Ok(done)
    }

    /// The grant of an asker.
    pub(crate) fn grant_of(&self, asker: &Asker) -> Option<&Grant> {
        self.grants.values().find(|grant| grant.is_of(asker))
    }

    /// The subject an app knows the user by.
    pub(crate) fn subject(&self, grant: &Grant) -> Result<String, WalletError> {
        if grant.identity {
            return Ok(self.identity_key.did_key());
        }
        Ok(self.alias(grant)?.alias_key().did_key())
    }

    /// The credentials that lead from this device to the identity.
    pub(crate) fn chain(&self) -> Option<Vec<Vec<u8>>> {
        self.state.chain_of(&self.keys.device_key(), &self.credentials)
    }

    /// Display name.
    pub(crate) fn name(&self) -> &str {
        self.state.profile.as_ref().map_or("", |profile| profile.display_name.as_str())
    }

    /// Picture as a `data:` URL.
    pub(crate) fn picture(&self) -> Option<String> {
        let bytes = self.state.profile.as_ref()?.avatar.as_ref()?;
        let kind = crate::profile::picture_type(bytes)?;
        Some(format!("data:{kind};base64,{}", BASE64.encode(bytes)))
    }

    /// Mutes that still hold.
    pub(crate) fn mutes(&self) -> Vec<(String, Timestamp)> {
        self.store.mutes(clock()).unwrap_or_default()
    }

    /// Lets the keychain remember how far the log has come.
    pub(crate) fn keep_mark(&self, keystore: Option<&Keystore>) {
        let Some(keystore) = keystore else { return };
        let mark = StoreMark { entries: self.head.seq, head: self.head.hash };
        if let Err(error) = keystore.set_mark(&self.keys, mark) {
            tracing::warn!(%error, "the keychain did not take note of the state of the data");
        }
    }

    pub(crate) fn record_locked(&mut self, reason: LockReason, now: Timestamp) -> Result<(), WalletError> {
        self.record(now, AuditEvent::Locked { why: reason.as_str().to_owned() }, |_| Ok(()))
    }

    pub(crate) fn record_unlocked(&mut self, failures: u32, now: Timestamp) -> Result<(), WalletError> {
        for _ in 0..failures.min(3) {
            self.record(now, AuditEvent::UnlockFailed, |_| Ok(()))?;
        }
        self.record(now, AuditEvent::Unlocked, |tx| tx.expire(now))
    }

    pub(crate) fn record_denied(
        &mut self,
        client: &str,
        why: &str,
        now: Timestamp,
    ) -> Result<(), WalletError> {
        let (client, why) = (client.to_owned(), why.to_owned());
        self.record(now, AuditEvent::Denied { client, why }, |_| Ok(()))
    }

    /// Fills in what only an unlocked wallet can show.
    pub(crate) fn show(&self, snapshot: &mut Snapshot) {
        let device = self.state.devices.get(&self.keys.device_key());
        snapshot.identity = Some(IdentityView {
            did: Did::of(&self.identity_key).to_string(),
            did_key: self.identity_key.did_key(),
            name: self.name().to_owned(),
            avatar: self.picture(),
            device_key: self.keys.device_key().to_string(),
            device_label: device
                .and_then(|device| device.profile.as_ref())
                .map(|profile| profile.label.clone())
                .unwrap_or_default(),
            phrase: self.phrase,
        });
        let mut apps: Vec<AppView> = self
            .grants
            .values()
            .map(|grant| {
                // Whose seed has not come yet is shown without a name, so that it can be signed out all the same.
                grant.view(self.subject(grant).unwrap_or_default(), self.spaces.of(&app_of(grant)))
            })
            .collect();
        apps.sort_by_key(|app| std::cmp::Reverse((app.last_used.unwrap_or(app.created), app.created)));
        snapshot.apps = apps;
        snapshot.grants = self.grants.values().map(|grant| (grant.id.clone(), grant.facts())).collect();
        snapshot.audit_broken_at = self.audit_broken_at;
    }
}
