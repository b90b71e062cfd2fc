//! Devices that one on probation let in: the user is asked, and whoever agrees vouches by hand.
//!
//! What another device says by itself of what it saw in time, the user says here of what nobody saw in time: that exactly
//! this admission counts. Neither of the two concerned can, nor whoever is on probation itself. The other answer is to
//! remove the one that let the newcomer in; with it the question is gone.
//!
//! What a word does is not read off what somebody says, but judged: the state with it, beside the state without. Whom it lets
//! in and puts out is shown, comes back with the user's answer, and is judged once more; a word that would do more than
//! was shown is not given. It does nothing later either: the newcomer's day of probation begins with the word, on every device, so that
//! whom it let in while it waited outside waits as it did.
//!
//! The attack that remains: who talks the user into agreeing has a device of theirs in, which can remove others at once and let in more
//! after a day. So the passphrase is asked for where one is set, and both are said before.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use halo_protocol::audit::AuditEvent;
use halo_protocol::credential::{Assertion, Credential, CredentialId, Draft};
use halo_protocol::feed::Payload;
use halo_protocol::identity::{IdentityState, Why};
use halo_protocol::{DeviceKey, Timestamp, Verified};

use super::view::{AgreeDevice, BroughtView, Hindrance, RefusedView};
use crate::appearance::clean_name;
use crate::engine::{Engine, clock};
use crate::error::WalletError;
use crate::handle::Wallet;
use crate::ingest::Ingested;
use crate::open::Open;

/// Admissions whose outcome is judged, the first that came: each costs as much as judging the state, whenever that changes, and a device on
/// probation says what it likes. Who has so many to ask about has the device that said them to remove.
const MOST_JUDGED: usize = 3;

const NO_ADMISSION: WalletError = WalletError::NotFound { what: "the device to agree with" };

impl Wallet {
    /// Agrees that a device was let in which one on probation let in: it is a device of the user from then on.
    ///
    /// # Errors
    /// [`WalletError::NotFound`] if nothing of that name is refused (any more); [`WalletError::BadInput`] where it cannot be
    /// agreed with here ([`Hindrance`]); [`WalletError::Changed`] if that would do anything that was not shown; a wrong passphrase.
    pub async fn agree_device(&self, mut wanted: AgreeDevice) -> Result<(), WalletError> {
        self.prove_presence(wanted.passphrase.take()).await?;
        self.try_job(move |engine| {
            let (open, mut done) = (engine.unlocked()?, Ingested::default());
            open.agree(&wanted, &mut done)?;
            let halo = open.halo()?;
            engine.tell_ingested(halo, done);
            engine.keep_mark();
            engine.spread();
            engine.devices_changed();
            Ok(())
        })
        .await
    }
}

impl Engine {
    /// Devices that were let in by one on probation, as people see them, the first first.
    pub(crate) fn refused_views(&self) -> Vec<RefusedView> {
        self.open.as_ref().map(Open::refused_views).unwrap_or_default()
    }
}

/// An admission that was refused.
struct Admission<'a> {
    id: CredentialId,
    said: &'a Draft,
    guest: DeviceKey,
    host: DeviceKey,
}

/// Who is in with the user's word and not without it, and the reverse.
#[derive(Default)]
pub(crate) struct Outcome {
    lets_in: BTreeSet<DeviceKey>,
    puts_out: BTreeSet<DeviceKey>,
}

/// What agreeing with each admission does that this device can agree with, once somebody has asked.
pub(crate) type Outcomes = OnceCell<BTreeMap<CredentialId, Outcome>>;

impl Outcome {
    fn between(before: &IdentityState, after: &IdentityState) -> Self {
        let speaks = |state: &IdentityState, key: &DeviceKey| {
            state.devices.get(key).is_some_and(|device| !device.revoked)
        };
        let comes = |key: &&DeviceKey| speaks(after, key) && !speaks(before, key);
        // Who is suspended by it is given nothing any more, which is as good as out.
        let goes = |key: &&DeviceKey| {
            speaks(before, key) && !speaks(after, key) || before.is_in(key) && !after.is_in(key)
        };
        Self {
            lets_in: after.devices.keys().filter(comes).copied().collect(),
            puts_out: before.devices.keys().filter(goes).copied().collect(),
        }
    }

    /// Who comes in beside the one that is agreed with.
    fn brings(&self, guest: &DeviceKey) -> impl Iterator<Item = &DeviceKey> {
        self.lets_in.iter().filter(move |key| *key != guest)
    }

    /// Whether it is what the user saw, and wants.
    fn is_as_shown(&self, guest: &DeviceKey, wanted: &AgreeDevice) -> bool {
        let brings: BTreeSet<String> = self.brings(guest).map(DeviceKey::to_string).collect();
        let is_known = |key: &DeviceKey| wanted.puts_out.contains(&key.to_string());
        self.lets_in.contains(guest)
            && brings == wanted.brings.iter().cloned().collect()
            && self.puts_out.iter().all(is_known)
    }
}

/// What was said, by whom.
type SaidBy<'a> = BTreeMap<[u8; 32], Vec<&'a Draft>>;

impl Open {
    /// Admissions that were refused since whoever said them is on probation, while nobody has settled it otherwise.
    fn refused_admissions(&self) -> Vec<Admission<'_>> {
        let rejected = self.state.rejected.iter().filter(|(_, why)| *why == Why::Probation);
        let doubtful: BTreeSet<CredentialId> = rejected.map(|(id, _)| *id).collect();
        if doubtful.is_empty() {
            return Vec::new();
        }
        let is_in = |device: &DeviceKey| self.state.devices.get(device).is_some_and(|device| !device.revoked);
        let refused = |credential: &'_ Verified<Credential>| doubtful.contains(&credential.id());
        let admissions = self.credentials().iter().filter_map(|credential| {
            let said = credential.said();
            let Assertion::AuthorizedDevice { device_key, .. } = &said.assertion else { return None };
            let host = DeviceKey::from_bytes(&said.issuer).ok()?;
            // Who was let in by somebody else as well, or was removed, is nobody to ask about.
            let is_open = refused(credential) && is_in(&host) && !self.state.devices.contains_key(device_key);
            is_open.then(|| Admission { id: credential.id(), said, guest: *device_key, host })
        });
        admissions.collect()
    }

    fn said_by(&self) -> SaidBy<'_> {
        let mut all = SaidBy::new();
        for said in self.credentials().iter().map(|credential| credential.said()) {
            all.entry(said.issuer).or_default().push(said);
        }
        all
    }

    fn refused_views(&self) -> Vec<RefusedView> {
        let refused = self.refused_admissions();
        if refused.is_empty() {
            return Vec::new();
        }
        let said_by = self.said_by();
        let nothing = Outcome::default();
        let view = |admission: &Admission<'_>| {
            let (label, platform) = profile_of_stranger(&said_by, &admission.guest);
            let outcome = self.outcome(admission);
            let hindrance = self.hindrance(admission, outcome);
            let outcome = outcome.unwrap_or(&nothing);
            RefusedView {
                admission: HEXLOWER.encode(admission.id.as_bytes()),
                device_key: admission.guest.to_string(),
                label,
                platform,
                by: admission.host.to_string(),
                added: admission.said.issued.as_millis(),
                removes: self
                    .removed_by(&said_by, admission.guest)
                    .iter()
                    .map(DeviceKey::to_string)
                    .collect(),
                brings: outcome.brings(&admission.guest).map(|key| brought(&said_by, key)).collect(),
                puts_out: outcome.puts_out.iter().map(DeviceKey::to_string).collect(),
                hindrance,
            }
        };
        let mut views: Vec<RefusedView> = refused.iter().map(view).collect();
        views.sort_by(|a, b| (a.added, &a.admission).cmp(&(b.added, &b.admission)));
        views
    }

    /// Devices that are in, and would not be by the word of somebody, or of those whom that one let in or vouched for. Why some are
    /// suspended; whether any of it holds is for the [`Outcome`].
    fn removed_by(&self, said_by: &SaidBy<'_>, device: DeviceKey) -> BTreeSet<DeviceKey> {
        let (mut removed, mut heard, mut open) = (BTreeSet::new(), BTreeSet::new(), vec![*device.as_bytes()]);
        while let Some(device) = open.pop() {
            if !heard.insert(device) {
                continue;
            }
            for said in said_by.get(&device).into_iter().flatten() {
                match &said.assertion {
                    // Both are about a device.
                    Assertion::AuthorizedDevice { .. } | Assertion::Endorsed { .. } => {
                        open.push(said.subject)
                    }
                    Assertion::RevokedDevice { device_key, .. } => {
                        let is_in = self.state.devices.get(device_key).is_some_and(|device| !device.revoked);
                        removed.extend(is_in.then_some(*device_key));
                    }
                    _ => {}
                }
            }
        }
        removed
    }

    /// Whether this device's word counts at all.
    fn may_vouch(&self) -> bool {
        let own = self.state.devices.get(&self.keys.device_key());
        own.is_some_and(|own| !own.revoked && !self.is_on_probation(own))
    }

    fn word_for(
        &self,
        admission: &Admission<'_>,
        now: Timestamp,
    ) -> Result<Verified<Credential>, WalletError> {
        let assertion = Assertion::Endorsed { authorisation: admission.id };
        self.sign(now, *admission.guest.as_bytes(), assertion, &[admission.id])
    }

    /// What agreeing does. Judged once for each state of the identity, and only where this device can agree.
    fn outcome(&self, admission: &Admission<'_>) -> Option<&Outcome> {
        if !self.may_vouch() {
            return None;
        }
        let all = self.outcomes.get_or_init(|| {
            let judged = |admission: Admission<'_>| {
                let now = clock();
                let after = self.word_for(&admission, now).and_then(|word| self.state_with(word, Some(now)));
                // A word that cannot be said changes nothing.
                let outcome = after.map(|after| Outcome::between(&self.state, &after)).unwrap_or_default();
                (admission.id, outcome)
            };
            let own = self.keys.device_key();
            let others = self.refused_admissions().into_iter().filter(|admission| admission.host != own);
            others.take(MOST_JUDGED).map(judged).collect()
        });
        all.get(&admission.id)
    }

    fn hindrance(&self, admission: &Admission<'_>, outcome: Option<&Outcome>) -> Option<Hindrance> {
        let own = self.keys.device_key();
        if !self.may_vouch() {
            return Some(Hindrance::New);
        }
        if admission.host == own {
            return Some(Hindrance::LetItIn);
        }
        match outcome {
            Some(outcome) if outcome.puts_out.contains(&own) => Some(Hindrance::RemovesThis),
            Some(outcome) if outcome.lets_in.contains(&admission.guest) => None,
            Some(_) => Some(Hindrance::InVain),
            None => Some(Hindrance::OthersFirst),
        }
    }

    /// Vouches for an admission that was refused, by the user's word.
    fn agree(&mut self, wanted: &AgreeDevice, done: &mut Ingested) -> Result<(), WalletError> {
        let no = |what: &str| Err(WalletError::BadInput { what: what.to_owned() });
        let id = HEXLOWER_PERMISSIVE.decode(wanted.admission.as_bytes()).ok();
        let id = id.and_then(|bytes| bytes.try_into().ok()).map(CredentialId::from_bytes);
        let mut refused = self.refused_admissions().into_iter();
        let admission = refused.find(|admission| Some(admission.id) == id).ok_or(NO_ADMISSION)?;
        match self.hindrance(&admission, self.outcome(&admission)) {
            None => {}
            Some(Hindrance::New) => {
                return no("this device was let in less than a day ago, and cannot agree yet");
            }
            Some(Hindrance::LetItIn) => return no("this device let it in itself: another one has to agree"),
            Some(Hindrance::RemovesThis) => return no("agreeing would put this device out"),
            Some(Hindrance::InVain) => {
                return no("this device's word does not let it in: remove the device that added it instead");
            }
            Some(Hindrance::OthersFirst) => {
                return no("there are others that wait for an answer: settle those first");
            }
        }
        let (guest, now) = (admission.guest, clock());
        let word = self.word_for(&admission, now)?;
        let outcome = Outcome::between(&self.state, &self.state_with(word.clone(), Some(now))?);
        if !outcome.is_as_shown(&guest, wanted) {
            return Err(WalletError::Changed { what: "agreeing" });
        }
        let (label, _) = profile_of_stranger(&self.said_by(), &guest);
        let event = AuditEvent::DeviceAgreed { device: guest.to_string(), label };
        let said = Payload { credentials: vec![word.bytes().to_vec()], ..Payload::default() };
        // Seen first now: from here on the newcomer's probation counts.
        self.record_with(now, event, said, |_, _| Ok(()), |tx| tx.learn_credential(&word, now))?;
        self.learn_from_others(vec![word], done)
    }
}

fn brought(said_by: &SaidBy<'_>, device: &DeviceKey) -> BroughtView {
    let (label, platform) = profile_of_stranger(said_by, device);
    BroughtView { device_key: device.to_string(), label, platform }
}

/// What somebody calls itself, and what it runs on, that is not a device: claims.
fn profile_of_stranger(said_by: &SaidBy<'_>, device: &DeviceKey) -> (String, Option<String>) {
    let said = said_by.get(device.as_bytes()).into_iter().flatten();
    let profiles = said.filter_map(|said| match &said.assertion {
        Assertion::DeviceProfile(profile) if said.subject == said.issuer => Some((said.issued, profile)),
        _ => None,
    });
    let Some((_, profile)) = profiles.max_by_key(|(issued, _)| *issued) else { return Default::default() };
    let clean = |text: &str| clean_name(text).unwrap_or_default();
    (clean(&profile.label), Some(clean(&profile.platform)).filter(|name| !name.is_empty()))
}
