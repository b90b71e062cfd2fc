//! Attempts to sign in: what was asked, and what has become of it.
//!
//! An attempt is made by a request of an app, put before the wallet once, and ends with the user's answer or
//! by its deadline. Its id is unguessable and known to the app; the approval page has a secret of its own,
//! since the id stands in the address that a browser remembers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use halo_protocol::Timestamp;
use halo_wallet::{Asker, Comparison, Event, Outcome, SignInRequest, State, Ticket, WalletError};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use url::Url;

use super::contact::Contact;
use super::error::OAuthError;
use super::sign_in::Wish;
use crate::clock;
use crate::evidence::Source;
use crate::limits::lock;
use crate::secret::{Digest32, digest, make_token};
use crate::state::Face;

/// Attempts of all apps together.
const MOST: usize = 256;
/// Attempts of one app that nobody has put before the user yet.
const MOST_NEW_OF_ONE: usize = 8;
/// An app that has pushed its request must send the user, or reveal, within this time.
pub(super) const PUSH_LIFE: Duration = Duration::from_secs(90);
/// How long an answer is kept for the app to fetch.
const KEPT: Duration = Duration::from_secs(60);
/// More than the wallet's own deadline, should it ever fail to answer.
const LATE: Duration = Duration::from_secs(5);

/// Where the answer goes.
#[derive(Debug, Clone)]
pub(super) enum Way {
    /// Back to the app by way of the browser.
    Redirect(Box<Redirect>),
    /// The app fetches it (CIBA).
    BackChannel,
}

/// The way by redirect.
#[derive(Debug, Clone)]
pub(super) struct Redirect {
    pub(super) back: Back,
    /// The address as the app wrote it: the token request must repeat it.
    pub(super) written: String,
    /// PKCE, S256.
    pub(super) challenge: String,
    /// The key that the code will be bound to.
    pub(super) code_key: Option<String>,
}

/// Back to the app.
#[derive(Debug, Clone)]
pub(super) struct Back {
    /// Where to; checked.
    pub(super) to: Url,
    /// To be returned.
    pub(super) state: Option<String>,
}

/// How far it has got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Progress {
    /// Not put before the wallet.
    New,
    /// The user is asked.
    Waiting,
    /// It will be, as soon as the wallet is unlocked or has an identity.
    Unavailable(State),
    /// It has ended.
    Over(Outcome),
    /// It could not be asked.
    Failed(&'static str),
}

/// One attempt.
pub(super) struct Attempt {
    pub(super) id: String,
    pub(super) wish: Wish,
    pub(super) way: Way,
    pub(super) asker: Asker,
    /// The kernel could not say who it is.
    pub(super) unsure: bool,
    /// Whence it was asked; a navigation has no source.
    pub(super) source: Option<Source>,
    pub(super) contact: Option<Contact>,
    pub(super) comparison: Comparison,
    pub(super) expires: Timestamp,
    pub(super) polled: Option<Timestamp>,
    progress: watch::Sender<Progress>,
    page: Option<Digest32>,
    waiter: Option<Waiter>,
}

/// The task that waits for the user; dropping it withdraws the request.
struct Waiter(AbortHandle);

impl Drop for Waiter {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Attempt {
    /// A new attempt, which has `life` to be put before the user.
    pub(super) fn new(
        wish: Wish,
        way: Way,
        asker: Asker,
        source: Option<Source>,
        unsure: bool,
        life: Duration,
    ) -> Result<Self, OAuthError> {
        Ok(Self {
            id: make_token()?,
            wish,
            way,
            asker,
            unsure,
            source,
            contact: None,
            comparison: Comparison::None,
            expires: clock::now().plus(life),
            polled: None,
            progress: watch::Sender::new(Progress::New),
            page: None,
            waiter: None,
        })
    }

    pub(super) fn is_new(&self) -> bool {
        *self.progress.borrow() == Progress::New
    }

    pub(super) fn progress(&self) -> Progress {
        self.progress.borrow().clone()
    }

    pub(super) fn follow(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// A secret for the approval page; an earlier page of this attempt stops working.
    pub(super) fn make_page(&mut self) -> Result<String, OAuthError> {
        let secret = make_token()?;
        self.page = Some(digest(secret.as_bytes()));
        Ok(secret)
    }

    fn request(&self) -> SignInRequest {
        self.wish.request(self.asker.clone(), self.comparison.clone(), self.unsure)
    }

    /// From now on the wallet keeps the deadline; the answer is kept a little longer.
    fn begin(&mut self) {
        self.expires = clock::now().plus(self.wish.patience).plus(KEPT);
        self.progress.send_replace(Progress::Waiting);
    }
}

/// All attempts.
#[derive(Default)]
pub(super) struct Attempts(HashMap<String, Attempt>);

impl Attempts {
    /// Adds one. Bounded: an app's own oldest that nobody saw makes room first.
    pub(super) fn insert(&mut self, attempt: Attempt) {
        self.expire(clock::now());
        let of_this_app: Vec<&Attempt> = self
            .0
            .values()
            .filter(|other| other.is_new() && other.wish.client == attempt.wish.client)
            .collect();
        let oldest = if of_this_app.len() >= MOST_NEW_OF_ONE {
            oldest(of_this_app.into_iter())
        } else if self.0.len() >= MOST {
            oldest(self.0.values().filter(|other| other.is_new())).or_else(|| oldest(self.0.values()))
        } else {
            None
        };
        if let Some(oldest) = oldest {
            self.0.remove(&oldest);
        }
        self.0.insert(attempt.id.clone(), attempt);
    }

    pub(super) fn get(&self, id: &str) -> Option<&Attempt> {
        self.0.get(id)
    }

    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut Attempt> {
        self.0.get_mut(id)
    }

    pub(super) fn remove(&mut self, id: &str) -> Option<Attempt> {
        self.0.remove(id)
    }

    /// The attempt whose approval page has this secret.
    pub(super) fn of_page(&self, secret: &str) -> Option<&Attempt> {
        let page = digest(secret.as_bytes());
        self.0.values().find(|attempt| attempt.page == Some(page))
    }

    pub(super) fn expire(&mut self, now: Timestamp) {
        self.0.retain(|_, attempt| now < attempt.expires);
    }
}

fn oldest<'a>(attempts: impl Iterator<Item = &'a Attempt>) -> Option<String> {
    attempts.min_by_key(|attempt| attempt.expires).map(|attempt| attempt.id.clone())
}

const GONE: &str = "there is no such request";

/// Puts an attempt before the wallet; a wallet that cannot ask now is an error, and the attempt is over.
pub(super) async fn ask(face: &Arc<Face>, id: &str) -> Result<(), OAuthError> {
    let (request, progress) = begin(face, id)?;
    let wallet = face.wallet.clone();
    // In a task of its own: if the app hangs up here, the ticket is still made, and its end withdraws the request.
    let asked = tokio::spawn(async move { wallet.ask(request).await });
    match asked.await.unwrap_or(Err(WalletError::Closed)) {
        Ok(ticket) => {
            wait(face, id, async move { settle(ticket, &progress).await });
            Ok(())
        }
        Err(error) => {
            lock(&face.openid.attempts).remove(id);
            Err(error.into())
        }
    }
}

/// Puts an attempt before the wallet, as soon as it is unlocked: there is a page that tells the user.
pub(super) fn ask_patiently(face: &Arc<Face>, id: &str) -> Result<(), OAuthError> {
    let (request, progress) = begin(face, id)?;
    let deadline = tokio::time::Instant::now() + request.expires_in + LATE;
    let wallet = face.wallet.clone();
    wait(face, id, async move {
        loop {
            let mut watch = wallet.watch();
            match wallet.ask(request.clone()).await {
                Ok(ticket) => {
                    progress.send_replace(Progress::Waiting);
                    return settle(ticket, &progress).await;
                }
                Err(error @ (WalletError::Locked | WalletError::NoIdentity)) => {
                    let state =
                        if matches!(error, WalletError::Locked) { State::Locked } else { State::Empty };
                    progress.send_replace(Progress::Unavailable(state));
                    let opened = async {
                        loop {
                            match watch.next().await {
                                Some(Event::Unlocked | Event::Changed)
                                    if wallet.snapshot().state == State::Unlocked =>
                                {
                                    return true;
                                }
                                Some(_) => {}
                                None => return false,
                            }
                        }
                    };
                    if !tokio::time::timeout_at(deadline, opened).await.unwrap_or(false) {
                        progress.send_replace(Progress::Over(Outcome::Locked));
                        return;
                    }
                }
                Err(error) => {
                    progress.send_replace(Progress::Failed(OAuthError::from(error).error));
                    return;
                }
            }
        }
    });
    Ok(())
}

fn begin(face: &Face, id: &str) -> Result<(SignInRequest, watch::Sender<Progress>), OAuthError> {
    let mut attempts = lock(&face.openid.attempts);
    let attempt = attempts
        .get_mut(id)
        .filter(|attempt| attempt.is_new())
        .ok_or_else(|| OAuthError::invalid_request(GONE))?;
    attempt.begin();
    Ok((attempt.request(), attempt.progress.clone()))
}

/// Runs `task` for as long as the attempt is remembered.
fn wait(face: &Face, id: &str, task: impl Future<Output = ()> + Send + 'static) {
    let waiter = Waiter(tokio::spawn(task).abort_handle());
    if let Some(attempt) = lock(&face.openid.attempts).get_mut(id) {
        attempt.waiter = Some(waiter);
    }
}

async fn settle(ticket: Ticket, progress: &watch::Sender<Progress>) {
    let longest = super::sign_in::PATIENCE + LATE;
    let outcome = tokio::time::timeout(longest, ticket.outcome()).await.unwrap_or(Outcome::Expired);
    progress.send_replace(Progress::Over(outcome));
}

/// What an app hears when the answer was not yes.
pub(super) fn refusal(outcome: &Outcome, expired: &'static str) -> OAuthError {
    match outcome {
        Outcome::Denied | Outcome::Approved(_) => OAuthError::new("access_denied", "the user said no"),
        Outcome::Muted => OAuthError::new("access_denied", "the user said no several times: ask again later"),
        Outcome::Expired => OAuthError::new(expired, "nobody answered in time"),
        Outcome::Withdrawn => OAuthError::new(expired, "a newer request of this app took its place"),
        Outcome::Locked => OAuthError::locked(),
    }
}
