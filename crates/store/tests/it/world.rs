//! What the tests are made of: a key, a device that signs, rows to keep.

use std::path::{Path, PathBuf};

use ed25519_dalek::{Signer, SigningKey};
use halo_protocol::audit::{AuditEntry, AuditEvent, ChainHead, SignedEntry};
use halo_protocol::credential::{Assertion, Credential, DeviceProfile, Draft};
use halo_protocol::{DeviceKey, Sign, Signature, Statement, Timestamp, Verified};
use halo_store::{GrantRow, RefreshRow, Store};

pub const KEY: [u8; 32] = *b"the key of the tests: no secret!";
pub const NOON: Timestamp = Timestamp::from_millis(1_790_000_000_000);

/// A directory for a store, and the store's place in it.
pub struct Place {
    pub dir: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub fn file(&self) -> PathBuf {
        self.dir.path().join("store.db")
    }

    pub fn create(&self) -> Store {
        Store::create(&self.file(), &KEY).unwrap()
    }

    pub fn open(&self) -> Store {
        Store::open(&self.file(), &KEY).unwrap()
    }
}

/// A device key.
pub struct Device(SigningKey);

impl Device {
    pub fn new() -> Self {
        Self(SigningKey::from_bytes(&[7; 32]))
    }

    pub fn key(&self) -> DeviceKey {
        DeviceKey::from_bytes(&self.public_key()).unwrap()
    }
}

impl Sign for Device {
    fn public_key(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    fn sign(&self, statement: &Statement<'_>) -> Signature {
        Signature::from_bytes(self.0.sign(&statement.signing_bytes()).to_bytes())
    }
}

pub fn credential(label: &str) -> Verified<Credential> {
    let device = Device::new();
    Draft {
        issuer: device.public_key(),
        subject: device.public_key(),
        issued: NOON,
        expires: None,
        parents: Vec::new(),
        assertion: Assertion::DeviceProfile(DeviceProfile {
            label: label.to_owned(),
            platform: "desktop".into(),
            architecture: "x86_64".into(),
            os: "linux".into(),
            os_version: "12".into(),
        }),
    }
    .sign(&device)
    .unwrap()
}

/// The entry after `head`, telling `what`.
pub fn entry(head: ChainHead, what: &str) -> SignedEntry {
    let event = AuditEvent::Suspicious { what: what.to_owned(), client: None };
    AuditEntry::next(head, NOON, event).sign(&Device::new())
}

pub fn grant(id: u8) -> GrantRow {
    GrantRow {
        id: [id; 16],
        client_id: format!("https://app-{id}.example"),
        process: None,
        instances: vec![format!("thumbprint-{id}")],
        created: NOON,
        last_used: None,
    }
}

pub fn refresh(hash: u8, family: u8, grant: u8) -> RefreshRow {
    RefreshRow {
        hash: [hash; 32],
        family: [family; 16],
        grant: [grant; 16],
        binding: "instance:thumbprint".into(),
        issued: NOON,
        expires: Timestamp::from_millis(NOON.as_millis() + 1_000),
        used: false,
    }
}

/// A store with a row of every kind and a log of `entries`.
pub fn fill(store: &mut Store, entries: u32) {
    store
        .write(|tx| {
            tx.add_credential(&credential("laptop"))?;
            tx.put_sealed("identity", &[0xA5; 300])?;
            tx.put_setting("identity_key", "ada")?;
            tx.put_grant(&grant(1))?;
            tx.add_refresh(&refresh(1, 1, 1))?;
            tx.put_mute("https://nagging.example", Timestamp::from_millis(NOON.as_millis() + 5))
        })
        .unwrap();
    for number in 0..entries {
        let entry = entry(store.audit_head().unwrap(), &format!("entry {number} {}", "…".repeat(200)));
        store.write(|tx| tx.append_audit(&entry)).unwrap();
    }
}

/// Everything [`fill`] wrote, as far as it can be read.
#[derive(Debug, PartialEq, Eq)]
pub struct Contents {
    pub credentials: Vec<Vec<u8>>,
    pub sealed: Option<Vec<u8>>,
    pub setting: Option<String>,
    pub grants: Vec<GrantRow>,
    pub refresh: Option<RefreshRow>,
    pub mutes: Vec<(String, Timestamp)>,
    pub log: Vec<SignedEntry>,
}

pub fn contents(store: &Store) -> Result<Contents, halo_store::StoreError> {
    Ok(Contents {
        credentials: store.credentials()?,
        sealed: store.sealed("identity")?,
        setting: store.setting("identity_key")?,
        grants: store.grants()?,
        refresh: store.refresh(&[1; 32])?,
        mutes: store.mutes(NOON)?,
        log: store.audit_rows(0, u32::MAX)?,
    })
}

/// Verifies the log of a store as a reader does; returns its length.
pub fn verified_entries(store: &Store) -> u64 {
    let rows = store.audit_rows(0, u32::MAX).unwrap();
    let chain = rows.iter().map(|row| (row.body.as_slice(), &row.signature));
    halo_protocol::audit::verify_chain(chain, &Device::new().key()).unwrap().seq
}

/// Every file below a directory.
pub fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

pub fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}
