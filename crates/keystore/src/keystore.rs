//! A profile's root: where it sleeps and how it is woken.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use crate::error::KeystoreError;
use crate::files;
use crate::kdf::KdfCost;
use crate::keychain::{Keychain, KeychainState, probe};
use crate::keys::Keys;
use crate::labels;
use crate::phrase::Passphrase;
use crate::record::{ProfileId, Record};
use crate::secret::Secret;

/// Where a new root shall go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeychainChoice {
    /// Into the keychain; if that is not to be had, say so instead of choosing something weaker.
    Auto,
    /// Into the keychain.
    Os,
    /// Into a file, sealed by a passphrase.
    None,
}

/// Where a root is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// In the keychain.
    Os,
    /// In a file.
    File,
}

/// How to make a keystore.
pub struct NewKeystore {
    /// Where the root goes.
    pub choice: KeychainChoice,
    /// Needed for a file.
    pub passphrase: Option<Passphrase>,
    /// Cost of the passphrase.
    pub cost: KdfCost,
}

/// How far the activity log had come: a witness against older stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreMark {
    /// Position of the newest entry.
    pub entries: u64,
    /// Its hash.
    pub head: [u8; 32],
}

/// A profile's root, asleep.
pub struct Keystore {
    dir: PathBuf,
    profile: ProfileId,
    place: Place,
    check: [u8; 16],
    keychain: Arc<dyn Keychain>,
}

/// `keystore.json`: nothing secret.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    version: u8,
    profile: String,
    place: Place,
    check: String,
}

const VERSION: u8 = 1;
const DESCRIPTION: &str = "keystore.json";
const SEALED: &str = "root.sealed";
const MARK: &str = "mark";

impl Keystore {
    /// Makes a root and puts it to sleep in `dir` or the keychain. Slow with a passphrase.
    ///
    /// # Errors
    /// What the keychain says, or [`KeystoreError::PassphraseRequired`] for a file without one.
    pub fn create(
        dir: &Path,
        wanted: NewKeystore,
        keychain: Arc<dyn Keychain>,
    ) -> Result<(Self, Keys), KeystoreError> {
        let place = match wanted.choice {
            KeychainChoice::None => Place::File,
            KeychainChoice::Auto | KeychainChoice::Os => {
                usable(probe(keychain.as_ref()))?;
                Place::Os
            }
        };
        if place == Place::File && wanted.passphrase.is_none() {
            return Err(KeystoreError::PassphraseRequired);
        }
        let root = Secret::make()?;
        let keystore =
            Self { dir: dir.to_owned(), profile: ProfileId::make()?, place, check: check(&root), keychain };
        // The description first: whoever finds an unfinished creation can tell which entry belonged to it.
        keystore.describe()?;
        keystore.put_to_sleep(&root, wanted.passphrase.as_ref(), wanted.cost)?;
        let keys = Keys::new(root, keystore.profile)?;
        Ok((keystore, keys))
    }

    /// Reads where the root of the profile in `dir` is.
    ///
    /// # Errors
    /// [`KeystoreError::SealedDamaged`] if the description is missing or makes no sense.
    pub fn open(dir: &Path, keychain: Arc<dyn Keychain>) -> Result<Self, KeystoreError> {
        let damaged = |what| KeystoreError::SealedDamaged { what };
        let json =
            files::read(&dir.join(DESCRIPTION))?.ok_or_else(|| damaged("its description is missing"))?;
        let description: Description =
            serde_json::from_slice(&json).map_err(|_| damaged("its description makes no sense"))?;
        if description.version > VERSION {
            return Err(KeystoreError::NewerFormat { found: description.version });
        }
        let check =
            HEXLOWER.decode(description.check.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
        Ok(Self {
            dir: dir.to_owned(),
            profile: ProfileId::parse(&description.profile)
                .ok_or_else(|| damaged("its description makes no sense"))?,
            place: description.place,
            check: check.ok_or_else(|| damaged("its description makes no sense"))?,
            keychain,
        })
    }

    /// Where the root is.
    #[must_use]
    pub const fn place(&self) -> Place {
        self.place
    }

    /// Whether the root sleeps under a passphrase.
    ///
    /// # Errors
    /// What keeps the root from being read.
    pub fn needs_passphrase(&self) -> Result<bool, KeystoreError> {
        Ok(matches!(self.record()?, Record::Sealed(_)))
    }

    /// Wakes the root. Slow with a passphrase.
    ///
    /// # Errors
    /// [`KeystoreError::WrongPassphrase`] and what else keeps it asleep; nothing has changed then.
    pub fn unlock(&self, passphrase: Option<&Passphrase>) -> Result<Keys, KeystoreError> {
        Keys::new(self.wake(passphrase)?, self.profile)
    }

    /// Checks a passphrase. Slow.
    ///
    /// # Errors
    /// As [`Self::unlock`].
    pub fn check_passphrase(&self, passphrase: &Passphrase) -> Result<(), KeystoreError> {
        self.wake(Some(passphrase)).map(drop)
    }

    /// Puts the root under another passphrase, or under none, in one step. Slow.
    ///
    /// # Errors
    /// [`KeystoreError::FileNeedsPassphrase`]; otherwise what keeps it from being written.
    pub fn change_passphrase(
        &self,
        keys: &Keys,
        new: Option<&Passphrase>,
        cost: KdfCost,
    ) -> Result<(), KeystoreError> {
        if self.place == Place::File && new.is_none() {
            return Err(KeystoreError::FileNeedsPassphrase);
        }
        // Never another profile's keys over ours.
        if !bool::from(subtle::ConstantTimeEq::ct_eq(check(&keys.root).as_slice(), self.check.as_slice())) {
            return Err(KeystoreError::RootMismatch);
        }
        self.put_to_sleep(&keys.root, new, cost)
    }

    /// How far the activity log had come when that was last noted.
    ///
    /// # Errors
    /// What the keychain says; [`KeystoreError::SealedValue`] if the note was altered.
    pub fn mark(&self, keys: &Keys) -> Result<Option<StoreMark>, KeystoreError> {
        let sealed = match self.place {
            Place::Os => self.keychain.read(&self.mark_account())?.map(|secret| secret.to_vec()),
            Place::File => files::read(&self.dir.join(MARK))?,
        };
        let Some(sealed) = sealed else { return Ok(None) };
        let plain = keys.open_mark(&sealed)?;
        let altered = KeystoreError::SealedValue { what: "mark" };
        let Some((entries, head)) = plain.split_first_chunk::<8>() else { return Err(altered) };
        let head = head.try_into().map_err(|_| altered)?;
        Ok(Some(StoreMark { entries: u64::from_be_bytes(*entries), head }))
    }

    /// Notes how far the activity log has come.
    ///
    /// # Errors
    /// What the keychain says.
    pub fn set_mark(&self, keys: &Keys, mark: StoreMark) -> Result<(), KeystoreError> {
        let sealed = keys.seal_mark(&[mark.entries.to_be_bytes().as_slice(), &mark.head].concat())?;
        match self.place {
            Place::Os => Ok(self.keychain.write(&self.mark_account(), &sealed)?),
            Place::File => files::replace(&self.dir.join(MARK), &sealed),
        }
    }

    /// Removes what an unfinished creation put into the keychain.
    ///
    /// # Errors
    /// What the keychain says.
    pub fn remove(&self) -> Result<(), KeystoreError> {
        if self.place == Place::Os {
            self.keychain.delete(&self.mark_account())?;
            self.keychain.delete(&self.profile.hex())?;
        }
        Ok(())
    }

    fn describe(&self) -> Result<(), KeystoreError> {
        let description = Description {
            version: VERSION,
            profile: self.profile.hex(),
            place: self.place,
            check: HEXLOWER.encode(&self.check),
        };
        let json =
            serde_json::to_vec_pretty(&description).map_err(|_| KeystoreError::System { what: "JSON" })?;
        files::replace(&self.dir.join(DESCRIPTION), &json)
    }

    fn put_to_sleep(
        &self,
        root: &Secret,
        passphrase: Option<&Passphrase>,
        cost: KdfCost,
    ) -> Result<(), KeystoreError> {
        let record = match passphrase {
            Some(passphrase) => Record::seal(root, self.profile, passphrase, cost)?,
            None if self.place == Place::File => return Err(KeystoreError::FileNeedsPassphrase),
            None => Record::plain(root, self.profile),
        };
        match self.place {
            Place::Os => Ok(self.keychain.write(&self.profile.hex(), &record)?),
            Place::File => files::replace(&self.dir.join(SEALED), &record),
        }
    }

    fn record(&self) -> Result<Record, KeystoreError> {
        match self.place {
            Place::Os => {
                let entry = self.keychain.read(&self.profile.hex())?.ok_or(KeystoreError::EntryMissing)?;
                Record::decode(&entry, self.profile).map_err(|error| match error {
                    KeystoreError::SealedDamaged { .. } => KeystoreError::EntryChanged,
                    other => other,
                })
            }
            Place::File => {
                let file = files::read(&self.dir.join(SEALED))?
                    .ok_or(KeystoreError::SealedDamaged { what: "the file is missing" })?;
                match Record::decode(&file, self.profile)? {
                    // Nothing of ours writes a root into a file in the clear.
                    Record::Plain(_) => Err(KeystoreError::SealedDamaged { what: "it is not sealed" }),
                    sealed => Ok(sealed),
                }
            }
        }
    }

    fn wake(&self, passphrase: Option<&Passphrase>) -> Result<Secret, KeystoreError> {
        let root = match self.record()? {
            Record::Plain(root) => root,
            Record::Sealed(sealed) => {
                sealed.open(self.profile, passphrase.ok_or(KeystoreError::PassphraseRequired)?)?
            }
        };
        if check(&root) != self.check {
            return Err(KeystoreError::RootMismatch);
        }
        Ok(root)
    }

    fn mark_account(&self) -> String {
        format!("{}.mark", self.profile.hex())
    }
}

/// Shows that a root is this profile's, and nothing else about it.
fn check(root: &Secret) -> [u8; 16] {
    let derived = root.derive(labels::CHECK, &[]);
    derived.expose().first_chunk::<16>().copied().unwrap_or_default()
}

fn usable(state: KeychainState) -> Result<(), KeystoreError> {
    match state {
        KeychainState::Ready => Ok(()),
        KeychainState::Locked => Err(KeystoreError::KeychainLocked),
        KeychainState::Missing => Err(KeystoreError::NoKeychain),
        KeychainState::Denied => {
            Err(KeystoreError::KeychainDenied { what: "it did not take an entry".into() })
        }
        KeychainState::Changed => Err(KeystoreError::KeychainUnreliable),
    }
}
