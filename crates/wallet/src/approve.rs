//! Asking and answering.

use std::time::Duration;

use tokio::sync::oneshot;

use crate::appearance::{asker_view, clean_message, site};
use crate::approvals::{Effect, NotTaken, Refused, Waiting};
use crate::asker::{AppKind, Asker};
use crate::engine::{Engine, clock};
use crate::error::WalletError;
use crate::handle::Wallet;
use crate::random::{random, random_name};
use crate::request::{
    AnsweredBy, Approval, Comparison, GrantId, Outcome, ProfileField, RequestId, RequestView, Scope,
    SignInRequest,
};
use crate::view::Event;

/// An asker may wait so long and no longer.
const LONGEST_WAIT: Duration = Duration::from_secs(5 * 60);

/// A request on its way; dropping it withdraws the request.
pub struct Ticket {
    /// Name of the request.
    pub id: RequestId,
    wallet: Wallet,
    outcome: oneshot::Receiver<Outcome>,
    settled: bool,
}

impl Ticket {
    /// Waits for the end. Comes by the deadline at the latest, also when the wallet locks or is closed.
    pub async fn outcome(mut self) -> Outcome {
        // No answer means that the engine has gone: locked is what an app can understand of that.
        let outcome = (&mut self.outcome).await.unwrap_or(Outcome::Locked);
        self.settled = true;
        outcome
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.settled {
            let id = self.id.clone();
            self.wallet.nudge(move |engine| {
                let effects = engine.approvals.withdraw(&id).into_iter().collect();
                engine.apply(effects);
            });
        }
    }
}

impl Wallet {
    /// Puts a request before the user, or answers it from a grant.
    ///
    /// # Errors
    /// [`WalletError::Locked`], [`WalletError::NoIdentity`]; [`WalletError::Busy`] if too many wait already.
    pub async fn ask(&self, request: SignInRequest) -> Result<Ticket, WalletError> {
        let (answer, outcome) = oneshot::channel();
        let id = self.try_job(move |engine| engine.ask(request, answer)).await?;
        Ok(Ticket { id, wallet: self.clone(), outcome, settled: false })
    }

    /// The prompt was shown, moved, resized or focused: clicks count half a second later.
    ///
    /// # Errors
    /// [`WalletError::NotFound`] if the request is over.
    pub async fn prompt_moved(&self, id: &RequestId) -> Result<(), WalletError> {
        let id = id.clone();
        self.try_job(move |engine| match engine.approvals.moved(&id, clock()) {
            true => Ok(()),
            false => Err(GONE),
        })
        .await
    }

    /// The user's yes.
    ///
    /// # Errors
    /// [`WalletError::TooSoon`] leaves the request as it was; [`WalletError::WrongWords`] ends it as denied;
    /// [`WalletError::NotFound`] if it is over.
    pub async fn approve(
        &self,
        id: &RequestId,
        approval: Approval,
        by: AnsweredBy,
    ) -> Result<GrantId, WalletError> {
        let id = id.clone();
        self.try_job(move |engine| engine.approve(&id, &approval, by)).await
    }

    /// The user's no.
    ///
    /// # Errors
    /// [`WalletError::NotFound`] if the request is over.
    pub async fn deny(&self, id: &RequestId) -> Result<(), WalletError> {
        let id = id.clone();
        self.try_job(move |engine| {
            engine.last_touch = clock();
            engine.record_end(&id, "user");
            let effects = engine.approvals.deny(&id, clock()).ok_or(GONE)?;
            engine.apply(effects);
            Ok(())
        })
        .await
    }
}

const GONE: WalletError = WalletError::NotFound { what: "the request" };

impl Engine {
    fn ask(
        &mut self,
        request: SignInRequest,
        answer: oneshot::Sender<Outcome>,
    ) -> Result<RequestId, WalletError> {
        if self.keystore.is_some() && self.open.is_none() {
            self.tell(Event::UnlockWanted);
        }
        let now = clock();
        let id = RequestId(random_name()?);
        let open = self.unlocked()?;
        let grant = open.grant_of(&request.asker);
        if let Some(grant) = grant.filter(|grant| grant.answers(&request)) {
            let _ = answer.send(Outcome::Approved(grant.id.clone()));
            return Ok(id);
        }
        let granted = grant.map(|grant| grant.scopes.clone()).unwrap_or_default();
        let new_scopes: Vec<Scope> = request.scopes.difference(&granted).copied().collect();
        let fields = match grant {
            Some(grant) if granted.contains(&Scope::Profile) => grant.fields.iter().copied().collect(),
            _ if request.scopes.contains(&Scope::Profile) => ProfileField::ALL.to_vec(),
            _ => Vec::new(),
        };
        let spaces = match request.scopes.contains(&Scope::Spaces) {
            true => open.spaces_to_share(&request.asker)?,
            false => Vec::new(),
        };
        let known = open.grants.values().filter(|grant| grant.kind == AppKind::Web);
        let (compare_words, right_words) = match &request.comparison {
            Comparison::Shown(words) => (Some(words.clone()), None),
            Comparison::Picked(words) => (None, Some(words.clone())),
            Comparison::None => (None, None),
        };
        let view = RequestView {
            id: id.clone(),
            app: asker_view(&request.asker, known.map(|grant| grant.client_id.as_str())),
            scopes: request.scopes.iter().copied().collect(),
            known: grant.is_some(),
            new_scopes,
            fields,
            spaces,
            binding_message: request.binding_message.as_deref().and_then(clean_message),
            compare_words,
            word_choices: right_words.as_ref().map(word_choices).transpose()?,
            created: now.as_millis(),
            expires: now.plus(request.expires_in.min(LONGEST_WAIT)).as_millis(),
        };
        let asker_key = asker_key(&request.asker);
        let waiting = Waiting { view, asker_key, right_words, still_since: now };
        match self.approvals.ask(waiting, now) {
            Ok(effects) => {
                self.askers.insert(id.clone(), (request, answer));
                self.apply(effects);
            }
            Err(Refused::Muted) => {
                let _ = answer.send(Outcome::Muted);
            }
            Err(Refused::Full) => return Err(WalletError::Busy),
        }
        Ok(id)
    }

    fn approve(
        &mut self,
        id: &RequestId,
        approval: &Approval,
        by: AnsweredBy,
    ) -> Result<GrantId, WalletError> {
        let now = clock();
        self.last_touch = now;
        let (request, _) = self.askers.get(id).ok_or(GONE)?;
        let request = request.clone();
        check(&request, approval)?;
        let shared = self.unlocked()?.spaces_named(&approval.spaces)?;
        let waiting = match self.approvals.approve(id, approval.words.as_ref(), by, now) {
            Ok(waiting) => waiting,
            Err(NotTaken::Gone) => return Err(GONE),
            Err(NotTaken::TooSoon) => return Err(WalletError::TooSoon),
            Err(NotTaken::WrongWords(effects)) => {
                self.record_end(id, "wrong words");
                self.apply(effects);
                return Err(WalletError::WrongWords);
            }
        };
        let granted =
            self.unlocked().and_then(|open| open.grant(&request, approval, &waiting.view, &shared, now));
        let grant = match granted {
            Ok(grant) => grant,
            Err(error) => {
                // Nothing was granted, so the prompt stays: the user can try again.
                self.approvals.put_back(waiting);
                return Err(error);
            }
        };
        self.approvals.forgive(&waiting.asker_key);
        if !shared.is_empty() {
            self.tell(Event::Spaces);
        }
        self.keep_mark();
        self.apply(vec![Effect::Close(id.clone(), Outcome::Approved(grant.clone()))]);
        Ok(grant)
    }
}

/// The user can allow less than was asked, and nothing else.
fn check(request: &SignInRequest, approval: &Approval) -> Result<(), WalletError> {
    let bad = |what: &str| Err(WalletError::BadInput { what: what.to_owned() });
    if let Some(scopes) = &approval.scopes {
        if scopes.iter().any(|scope| !request.scopes.contains(scope)) {
            return bad("a scope was allowed that the app did not ask for");
        }
        if !scopes.contains(&Scope::OpenId) {
            return bad("openid cannot be left out: without it nothing is allowed");
        }
    }
    let sees_spaces = match &approval.scopes {
        Some(scopes) => scopes.contains(&Scope::Spaces),
        None => request.scopes.contains(&Scope::Spaces),
    };
    if !approval.spaces.is_empty() && !sees_spaces {
        return bad("spaces cannot be shared with an app that is not allowed to see any");
    }
    if approval.identity && !request.scopes.contains(&Scope::Identity) {
        return bad("the app did not ask for the real identity");
    }
    if approval.fields.as_ref().is_some_and(|fields| !fields.is_empty())
        && !request.scopes.contains(&Scope::Profile)
    {
        return bad("the app did not ask for the profile");
    }
    Ok(())
}

/// Who has one prompt, and is muted: the site of a page, since it costs nothing to have a thousand addresses there; the
/// executable of a program, which can rename itself.
fn asker_key(asker: &Asker) -> String {
    match (asker.kind, asker.process.as_ref().and_then(|process| process.path.as_ref())) {
        (AppKind::Web, _) if !asker.impostor => site(&asker.client_id),
        (_, Some(path)) => format!("exe:{path}"),
        _ => format!("id:{}", asker.client_id),
    }
}

/// The right words among three wrong triples, in an order that tells nothing.
fn word_choices(right: &[String; 3]) -> Result<Vec<[String; 3]>, WalletError> {
    let mut choices = vec![right.clone()];
    while choices.len() < 4 {
        let other = halo_protocol::words::words(&random()?).map(str::to_owned);
        if !choices.contains(&other) {
            choices.push(other);
        }
    }
    // 256 is a multiple of four: no place is likelier than another.
    let [place, ..] = random::<1>()?;
    choices.swap(0, usize::from(place % 4));
    Ok(choices)
}
