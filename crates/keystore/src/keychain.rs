//! The keychain of the operating system, as a port.

use std::collections::BTreeMap;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use zeroize::Zeroizing;

use crate::error::KeychainError;
use crate::secret::fill;

/// Keeps small secrets by account.
pub trait Keychain: Send + Sync {
    /// Reads an entry; `None` if there is none.
    ///
    /// # Errors
    /// [`KeychainError`]; the same for all methods.
    fn read(&self, account: &str) -> Result<Option<Zeroizing<Vec<u8>>>, KeychainError>;
    /// Writes an entry, replacing what was there in one step.
    ///
    /// # Errors
    /// As [`Self::read`].
    fn write(&self, account: &str, secret: &[u8]) -> Result<(), KeychainError>;
    /// Deletes an entry; one that is not there is fine.
    ///
    /// # Errors
    /// As [`Self::read`].
    fn delete(&self, account: &str) -> Result<(), KeychainError>;
}

/// What a keychain turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeychainState {
    /// It keeps what it is given.
    Ready,
    /// It is locked, or waits to be unlocked.
    Locked,
    /// There is none.
    Missing,
    /// It refuses.
    Denied,
    /// It gave back something else.
    Changed,
}

/// Writes, reads back and deletes, instead of assuming.
pub fn probe(keychain: &dyn Keychain) -> KeychainState {
    let mut random = [0; 16];
    if fill(&mut random).is_err() {
        return KeychainState::Denied;
    }
    let account = format!("probe-{}", data_encoding::HEXLOWER.encode(&random));
    let kept = keychain
        .write(&account, &random)
        .and_then(|()| keychain.read(&account))
        .and_then(|read| keychain.delete(&account).map(|()| read));
    match kept {
        Ok(Some(read)) if read.as_slice() == random => KeychainState::Ready,
        Ok(_) => KeychainState::Changed,
        Err(KeychainError::Locked | KeychainError::TimedOut) => KeychainState::Locked,
        Err(KeychainError::Missing) => KeychainState::Missing,
        Err(KeychainError::Denied { .. }) => KeychainState::Denied,
    }
}

/// The name all entries go by.
const SERVICE: &str = "HALO";
/// A locked keychain with a screen waits for its user, who may be away; we do not.
const PATIENCE: Duration = Duration::from_secs(5);

type Job = Box<dyn FnOnce() + Send>;

/// The keychain of this operating system: Secret Service, Keychain Services, Credential Manager.
///
/// Its calls can block for as long as somebody ignores a prompt, so they run on a thread of their own, one
/// after the other, and the caller waits five seconds at most.
#[derive(Default)]
pub struct OsKeychain {
    worker: Mutex<Option<SyncSender<Job>>>,
}

impl OsKeychain {
    fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, KeychainError> + Send + 'static,
    ) -> Result<T, KeychainError> {
        let (answer, answered) = sync_channel(1);
        let job: Job = Box::new(move || {
            // The caller may have stopped waiting.
            let _ = answer.send(work());
        });
        self.worker()?.try_send(job).map_err(|_| KeychainError::TimedOut)?;
        answered.recv_timeout(PATIENCE).map_err(|_| KeychainError::TimedOut)?
    }

    fn worker(&self) -> Result<SyncSender<Job>, KeychainError> {
        let mut worker = lock(&self.worker);
        if let Some(worker) = worker.as_ref() {
            return Ok(worker.clone());
        }
        let (sender, jobs) = sync_channel::<Job>(4);
        std::thread::Builder::new()
            .name("halo-keychain".into())
            .spawn(move || jobs.into_iter().for_each(|job| job()))
            .map_err(|error| KeychainError::Denied { what: error.to_string() })?;
        *worker = Some(sender.clone());
        Ok(sender)
    }
}

impl Keychain for OsKeychain {
    fn read(&self, account: &str) -> Result<Option<Zeroizing<Vec<u8>>>, KeychainError> {
        let account = account.to_owned();
        self.run(move || match entry(&account)?.get_secret() {
            Ok(secret) => Ok(Some(Zeroizing::new(secret))),
            Err(keyring::Error::NoEntry) => Ok(None),
            Err(error) => Err(said(&error)),
        })
    }

    fn write(&self, account: &str, secret: &[u8]) -> Result<(), KeychainError> {
        let (account, secret) = (account.to_owned(), Zeroizing::new(secret.to_vec()));
        self.run(move || entry(&account)?.set_secret(&secret).map_err(|error| said(&error)))
    }

    fn delete(&self, account: &str) -> Result<(), KeychainError> {
        let account = account.to_owned();
        self.run(move || match entry(&account)?.delete_credential() {
            Ok(()) | Err(keyring::Error::NoEntry) => Ok(()),
            Err(error) => Err(said(&error)),
        })
    }
}

fn entry(account: &str) -> Result<keyring::Entry, KeychainError> {
    keyring::Entry::new(SERVICE, account).map_err(|error| said(&error))
}

/// What the keyring's errors come down to.
fn said(error: &keyring::Error) -> KeychainError {
    match error {
        keyring::Error::NoDefaultStore => match keyring::Entry::store_status() {
            Err(keyring::Error::NoStorageAccess(_)) => KeychainError::Locked,
            _ => KeychainError::Missing,
        },
        keyring::Error::NoStorageAccess(_) => KeychainError::Locked,
        // No service has taken the name, or there is no bus to ask on.
        keyring::Error::PlatformFailure(inner) => {
            let what = format!("{inner:?}");
            let missing = ["ServiceUnknown", "NoReply", "Disconnected", "InputOutput", "Address", "NotFound"];
            if missing.iter().any(|name| what.contains(name)) {
                KeychainError::Missing
            } else if what.contains("Locked") || what.contains("Prompt") {
                KeychainError::Locked
            } else {
                KeychainError::Denied { what: inner.to_string() }
            }
        }
        // Others carry what was stored; only their kind may be told.
        keyring::Error::BadEncoding(_) | keyring::Error::BadDataFormat(..) => {
            KeychainError::Denied { what: "the entry is not in the form it was stored in".into() }
        }
        keyring::Error::Ambiguous(_) => {
            KeychainError::Denied { what: "there are several entries of this name".into() }
        }
        other => KeychainError::Denied { what: other.to_string() },
    }
}

/// A keychain in memory, for tests of those who use one: it can be told to fail.
#[derive(Default)]
pub struct MemoryKeychain {
    entries: Mutex<BTreeMap<String, Vec<u8>>>,
    fault: Mutex<Option<KeychainError>>,
}

impl MemoryKeychain {
    /// From now on every call fails like this; `None` for no more faults.
    pub fn fail(&self, fault: Option<KeychainError>) {
        *lock(&self.fault) = fault;
    }

    /// Takes all entries away.
    pub fn take_all(&self) -> BTreeMap<String, Vec<u8>> {
        std::mem::take(&mut *lock(&self.entries))
    }

    /// Puts entries in the place of all there are.
    pub fn put_all(&self, entries: BTreeMap<String, Vec<u8>>) {
        *lock(&self.entries) = entries;
    }

    /// A copy of all entries.
    pub fn all(&self) -> BTreeMap<String, Vec<u8>> {
        lock(&self.entries).clone()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        lock(&self.entries).is_empty()
    }

    fn checked(&self) -> Result<MutexGuard<'_, BTreeMap<String, Vec<u8>>>, KeychainError> {
        match &*lock(&self.fault) {
            Some(fault) => Err(fault.clone()),
            None => Ok(lock(&self.entries)),
        }
    }
}

impl Keychain for MemoryKeychain {
    fn read(&self, account: &str) -> Result<Option<Zeroizing<Vec<u8>>>, KeychainError> {
        Ok(self.checked()?.get(account).cloned().map(Zeroizing::new))
    }

    fn write(&self, account: &str, secret: &[u8]) -> Result<(), KeychainError> {
        self.checked()?.insert(account.to_owned(), secret.to_vec());
        Ok(())
    }

    fn delete(&self, account: &str) -> Result<(), KeychainError> {
        self.checked()?.remove(account);
        Ok(())
    }
}

/// A lock whose holder panicked still guards whole values here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
