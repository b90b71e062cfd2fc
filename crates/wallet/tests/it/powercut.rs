//! The power is cut while a wallet writes: whatever the disk had not been told to keep is lost, torn or there out of
//! order, and what was acknowledged is there all the same, with indexes that say what the documents say.
//!
//! The writes are caught below the database (`halo_testing::disk`). `HALO_SEEDS` says how many cuts (default: a slice of a
//! few seconds), `HALO_SEED` repeats one.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use halo_testing::disk::{self, Fate, Recorder, Recording};
use halo_testing::process::Other;
use halo_wallet::{
    By, CreateIdentity, Gauge, KdfTarget, Keychain, KeychainChoice, NetworkOptions, PutItem, Query, SpaceId,
    Wallet, WalletConfig, WalletError,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;
use zeroize::Zeroizing;

const SLICE: u64 = 40;
/// Cuts of one recording.
const CUTS: u64 = 250;
const STEPS: usize = 100;

/// A keychain that loses power with everything else.
struct Files(PathBuf);

impl Files {
    fn synced(&self) -> Result<(), halo_keystore::KeychainError> {
        self.at(|| std::fs::File::open(&self.0)?.sync_all())
    }

    fn at<T>(&self, work: impl FnOnce() -> std::io::Result<T>) -> Result<T, halo_keystore::KeychainError> {
        work().map_err(|error| halo_keystore::KeychainError::Denied { what: error.to_string() })
    }
}

impl Keychain for Files {
    fn read(&self, account: &str) -> Result<Option<Zeroizing<Vec<u8>>>, halo_keystore::KeychainError> {
        Ok(std::fs::read(self.0.join(account)).ok().map(Zeroizing::new))
    }

    fn write(&self, account: &str, secret: &[u8]) -> Result<(), halo_keystore::KeychainError> {
        let fresh = self.0.join(".fresh");
        self.at(|| {
            let mut file = std::fs::File::create(&fresh)?;
            file.write_all(secret)?;
            file.sync_all()?;
            std::fs::rename(&fresh, self.0.join(account))
        })?;
        self.synced()
    }

    fn delete(&self, account: &str) -> Result<(), halo_keystore::KeychainError> {
        let _ = std::fs::remove_file(self.0.join(account));
        self.synced()
    }
}

async fn open(dir: &Path) -> Wallet {
    let config = WalletConfig {
        profile: dir.join("profile"),
        keychain: Arc::new(Files(dir.join("keychain"))),
        program: "test".into(),
        kdf_target: KdfTarget::Floor,
        watch_session: false,
        network: NetworkOptions::default(),
    };
    Wallet::open(config).await.unwrap()
}

/// What is in a wallet: spaces by name, in them items by id, and of each its title and whether it is deleted.
type Contents = BTreeMap<String, BTreeMap<String, (String, bool)>>;

async fn contents(wallet: &Wallet) -> Result<Contents, WalletError> {
    let everything = json!({ "type": "options", "options": { "deleted": "include" }, "query": {
        "type": "select", "filter": { "type": "object", "typename": "dxn:type:example.org/type/Task", "props": {} } } });
    let everything = Query::parse(&everything.to_string()).unwrap();
    let mut found = Contents::new();
    for space in wallet.all_spaces().await? {
        let items = wallet.items(&By::Owner, space.id.parse().unwrap(), everything.clone()).await?;
        let titles = items.into_iter().map(|item| {
            let title = item.data["title"].as_str().unwrap_or_default().to_owned();
            (item.id, (title, item.deleted))
        });
        found.insert(space.name.unwrap_or_default(), titles.collect());
    }
    Ok(found)
}

/// The process that writes until its steps are done. Each step is acknowledged by the whole of what is there then.
pub(crate) fn write(dir: &Path) {
    let seed = std::env::var("HALO_SEED").unwrap().parse().unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut acks = std::fs::File::create(dir.join("acks")).unwrap();
        let mut wallet = open(dir).await;
        for step in 0..STEPS {
            if rng.random_bool(0.02) {
                wallet.close().await;
                wallet = open(dir).await;
            }
            change(&wallet, &mut rng, step).await.unwrap();
            let now = contents(&wallet).await.unwrap();
            acks.write_all(format!("{}\n", json!(now)).as_bytes()).unwrap();
        }
        wallet.close().await;
    });
}

/// One thing that a user or an app does.
async fn change(wallet: &Wallet, rng: &mut StdRng, step: usize) -> Result<(), WalletError> {
    let here = contents(wallet).await?;
    let spaces = wallet.all_spaces().await?;
    let space = &spaces[rng.random_range(0..spaces.len())];
    let id: SpaceId = space.id.parse()?;
    let items: Vec<_> = here[space.name.as_deref().unwrap()].iter().collect();
    let some = (!items.is_empty()).then(|| items[rng.random_range(0..items.len())]);
    let text = |rng: &mut StdRng| format!("step {step} {}", "long ".repeat(rng.random_range(0..60)));
    let put = |id: Option<&String>, title: String| PutItem {
        id: id.cloned(),
        r#type: id.is_none().then(|| "example.org/type/Task".into()),
        data: json!({ "title": title, "step": step }).as_object().unwrap().clone(),
        ..PutItem::default()
    };
    match (rng.random_range(0..20), some) {
        (0, _) => drop(wallet.add_space(format!("Space {step}")).await?),
        (1, _) if spaces.len() > 2 => wallet.delete_space(id).await?,
        (2..5, Some((item, (_, deleted)))) => {
            wallet.set_item_deleted(&By::Owner, id, item.clone(), !deleted).await?;
        }
        (5..11, Some((item, (_, false)))) => {
            drop(wallet.put_item(&By::Owner, id, put(Some(item), text(rng))).await?);
        }
        (11..13, _) => {
            let many = (0..rng.random_range(2..30)).map(|_| put(None, text(rng))).collect();
            drop(wallet.put_items(&By::Owner, id, many).await?);
        }
        (13, _) => drop(wallet.compact_space(id).await?),
        _ => drop(wallet.put_item(&By::Owner, id, put(None, text(rng))).await?),
    }
    Ok(())
}

/// What a wallet did on a disk.
fn recorded(seed: u64) -> Recording {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("keychain")).unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let wallet = open(dir.path()).await;
        let new = CreateIdentity { name: "Ada".into(), passphrase: None, keychain: KeychainChoice::Os };
        wallet.create_identity(new).await.unwrap();
        wallet.add_space("Home".into()).await.unwrap();
        wallet.close().await;
    });
    let recorder = Recorder::new(dir.path());
    let mut environment = recorder.environment();
    environment.push(("HALO_SEED", seed.to_string()));
    let environment: Vec<(&str, &str)> =
        environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Other::start_with("powercut", dir.path(), &environment).finish();
    let recording = recorder.finish();
    assert_eq!(recording.acknowledgements().len(), STEPS + 1, "everything was noted");
    recording
}

/// Cuts the power once, and says what is not as it should be then.
fn cut(recording: &Recording, seed: u64) -> Result<(), String> {
    let mut rng = StdRng::seed_from_u64(seed);
    // Half of the time when it hurts most: right after something was acknowledged.
    let told = recording.acknowledgements();
    let moment = match rng.random_bool(0.5) {
        true => told[rng.random_range(1..told.len())],
        false => rng.random_range(told[1]..recording.moments()),
    };
    let fate = Fate::ALL[rng.random_range(0..Fate::ALL.len())];
    let files = recording.cut(moment, fate, &mut || rng.random());
    let acknowledged = recording.acknowledged(moment);
    let to_come = recording.acknowledged(recording.moments() - 1);
    let dir = tempfile::tempdir().unwrap();
    disk::write(dir.path(), &files);
    let at = format!("seed {seed}: cut at {moment}, {fate:?}, after {} acknowledgements", acknowledged.len());
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let wallet = open(dir.path()).await;
        let failed = |error: WalletError| format!("{at}: {error}; {:?}", wallet.snapshot().trouble);
        let there = json!(contents(&wallet).await.map_err(failed)?).to_string();
        // What was under way may be there as a whole; nothing else may.
        let next = to_come.get(acknowledged.len());
        if Some(&there) != acknowledged.last() && Some(&there) != next {
            return Err(format!("{at}: {:?} was acknowledged, {there} is there", acknowledged.last()));
        }
        let report = wallet.doctor(false, Gauge::unseen()).await.map_err(failed)?;
        if !report.problems.is_empty() {
            return Err(format!("{at}: {:?}", report.problems));
        }
        // And it goes on from there.
        let space = wallet.add_space("After".into()).await.map_err(failed)?.id.parse().unwrap();
        let put = PutItem { r#type: Some("a".into()), ..PutItem::default() };
        wallet.put_item(&By::Owner, space, put).await.map_err(failed)?;
        wallet.close().await;
        Ok(())
    })
}

fn seeds() -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    match number("HALO_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("HALO_SEEDS").unwrap_or(SLICE),
    }
}

// threat: 32
#[test]
fn what_was_acknowledged_survives_every_cut_of_the_power() {
    let mut recording = None;
    for seed in seeds() {
        let of = seed / CUTS;
        let (_, recording) = match recording.take().filter(|(at, _)| *at == of) {
            Some(before) => recording.insert(before),
            None => recording.insert((of, recorded(of))),
        };
        cut(recording, seed).unwrap();
    }
}

#[test]
fn a_disk_that_says_it_kept_what_it_did_not_is_found_out() {
    let recording = recorded(0).on_a_disk_that_lies();
    assert!((0..SLICE).any(|seed| cut(&recording, seed).is_err()), "or these tests could not fail");
}
