//! A directory, a keychain in memory, and a keystore in them.

use std::sync::Arc;

use halo_keystore::{
    KdfCost, KeychainChoice, Keys, Keystore, KeystoreError, MemoryKeychain, NewKeystore, Passphrase,
    StoreMark,
};
use tempfile::TempDir;

pub const RIGHT: &str = "correct horse battery staple";
/// As in `record.rs`: magic, version, form, profile.
pub const BODY: usize = 26;

pub struct World {
    pub dir: TempDir,
    pub keychain: Arc<MemoryKeychain>,
}

/// What may change when something fails: nothing of this.
#[derive(Debug, PartialEq, Eq)]
pub struct Everything {
    files: Vec<(String, Vec<u8>)>,
    entries: std::collections::BTreeMap<String, Vec<u8>>,
}

impl World {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), keychain: Arc::new(MemoryKeychain::default()) }
    }

    pub fn create(&self, choice: KeychainChoice, passphrase: Option<&str>) -> (Keystore, Keys) {
        self.try_create(choice, passphrase).unwrap()
    }

    pub fn try_create(
        &self,
        choice: KeychainChoice,
        passphrase: Option<&str>,
    ) -> Result<(Keystore, Keys), KeystoreError> {
        let wanted = NewKeystore { choice, passphrase: passphrase.map(pass), cost: KdfCost::FLOOR };
        Keystore::create(self.dir.path(), wanted, self.keychain.clone())
    }

    pub fn open(&self) -> Result<Keystore, KeystoreError> {
        Keystore::open(self.dir.path(), self.keychain.clone())
    }

    /// Opens and unlocks, and says which error came of it.
    pub fn wake(&self, passphrase: Option<&str>) -> Result<Keys, KeystoreError> {
        self.open()?.unlock(passphrase.map(pass).as_ref())
    }

    pub fn everything(&self) -> Everything {
        let mut files: Vec<_> = std::fs::read_dir(self.dir.path())
            .unwrap()
            .map(|file| {
                let path = file.unwrap().path();
                (path.display().to_string(), std::fs::read(&path).unwrap())
            })
            .collect();
        files.sort();
        Everything { files, entries: self.keychain.all() }
    }

    /// The one entry of the keychain that holds a root.
    pub fn entry(&self) -> Vec<u8> {
        self.keychain.all().into_iter().find(|(account, _)| !account.contains('.')).unwrap().1
    }

    pub fn set_entry(&self, bytes: &[u8]) {
        let mut all = self.keychain.all();
        *all.iter_mut().find(|(account, _)| !account.contains('.')).unwrap().1 = bytes.to_vec();
        self.keychain.put_all(all);
    }

    pub fn sealed(&self) -> Vec<u8> {
        std::fs::read(self.dir.path().join("root.sealed")).unwrap()
    }

    pub fn set_sealed(&self, bytes: &[u8]) {
        std::fs::write(self.dir.path().join("root.sealed"), bytes).unwrap();
    }
}

pub fn pass(typed: &str) -> Passphrase {
    Passphrase::new(typed.to_owned())
}

pub fn code<T>(result: Result<T, KeystoreError>) -> &'static str {
    result.map(drop).expect_err("it should have failed").code()
}

/// As somebody would who edits a record and knows how its hash is made.
pub fn with_hash(mut body: Vec<u8>) -> Vec<u8> {
    use sha2::Digest;
    let hash = sha2::Sha256::digest(&body);
    body.extend_from_slice(&hash);
    body
}

pub fn without_hash(record: &[u8]) -> Vec<u8> {
    record[..record.len() - 32].to_vec()
}

pub const MARK: StoreMark = StoreMark { entries: 7, head: [9; 32] };
