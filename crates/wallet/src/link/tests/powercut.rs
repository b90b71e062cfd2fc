//! The power is cut while a device is removed: the removal and the epochs after it are one block, and either all of it is there or
//! nothing. Whatever is there, nothing is written that the removed device may read.
//!
//! `HALO_SEED` repeats one cut.

use std::io::Write;
use std::path::Path;

use halo_keystore::{Keychain, KeychainError};
use halo_protocol::epoch::Epoch;
use halo_testing::disk::{self, Fate, Recorder, Recording};
use halo_testing::process::Other;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::stolen::{kept, lengths, read, revoke};
use super::*;
use crate::Gauge;

/// Cuts at moments of the whole recording; those of the removal itself are all tried.
const SLICE: u64 = 24;

/// A keychain that loses power with everything else.
struct Files(PathBuf);

impl Files {
    fn at<T>(&self, work: impl FnOnce() -> std::io::Result<T>) -> Result<T, KeychainError> {
        let done = work().and_then(|done| std::fs::File::open(&self.0)?.sync_all().map(|()| done));
        done.map_err(|error| KeychainError::Denied { what: error.to_string() })
    }
}

impl Keychain for Files {
    fn read(&self, account: &str) -> Result<Option<Zeroizing<Vec<u8>>>, KeychainError> {
        Ok(std::fs::read(self.0.join(account)).ok().map(Zeroizing::new))
    }

    fn write(&self, account: &str, secret: &[u8]) -> Result<(), KeychainError> {
        let fresh = self.0.join(".fresh");
        self.at(|| {
            let mut file = std::fs::File::create(&fresh)?;
            file.write_all(secret)?;
            file.sync_all()?;
            std::fs::rename(&fresh, self.0.join(account))
        })
    }

    fn delete(&self, account: &str) -> Result<(), KeychainError> {
        self.at(|| match std::fs::remove_file(self.0.join(account)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        })
    }
}

/// A wallet in a directory, whose keychain is there as well. It meets nobody.
async fn on(dir: &Path) -> Wallet {
    let config = WalletConfig {
        profile: dir.join("profile"),
        keychain: Arc::new(Files(dir.join("keychain"))),
        program: "test".into(),
        kdf_target: KdfTarget::Floor,
        watch_session: false,
        network: NetworkOptions::default(),
    };
    let wallet = Wallet::open(config).await.unwrap();
    apart(&wallet).await;
    wallet
}

/// The device that is in besides this one.
async fn other(wallet: &Wallet) -> DeviceKey {
    inside(wallet, |open| {
        let own = open.keys.device_key();
        *open.state.devices.keys().find(|key| **key != own).unwrap()
    })
    .await
}

async fn home(wallet: &Wallet) -> SpaceId {
    wallet.all_spaces().await.unwrap()[0].id.parse().unwrap()
}

/// The process that removes a device. Each step is acknowledged.
pub(crate) fn remove(dir: &Path) {
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let mut acks = std::fs::File::create(dir.join("acks")).unwrap();
        let mut ack = |what: &str| acks.write_all(format!("{what}\n").as_bytes()).unwrap();
        let wallet = on(dir).await;
        let (space, thief) = (home(&wallet).await, other(&wallet).await);
        ack("begun");
        put(&wallet, space, "Before").await;
        ack("before");
        wallet.revoke_device(revoke(thief)).await.unwrap();
        ack("removed");
        put(&wallet, space, "Secret").await;
        ack("after");
        wallet.close().await;
    });
}

/// What the laptop did on its disk, and the stolen tablet with everything that it has.
struct Theft {
    recording: Recording,
    tablet: Wallet,
    halo: SpaceId,
    home: SpaceId,
    _computer: Computer,
}

impl Theft {
    fn new(runtime: &tokio::runtime::Runtime) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("keychain")).unwrap();
        let computer = Computer::new();
        let (tablet, halo, home) = runtime.block_on(async {
            let meeting = Meeting::begin().await;
            let (laptop, tablet) = (on(dir.path()).await, computer.on().await);
            for wallet in [&laptop, &tablet] {
                meeting.tell(wallet).await;
            }
            identity(&laptop).await;
            let home: SpaceId = laptop.add_space("Home".into()).await.unwrap().id.parse().unwrap();
            put(&laptop, home, "Milk").await;
            link(&laptop, &tablet).await;
            until(&tablet, "the note", async |tablet| titles(tablet, home).await == ["Milk"]).await;
            let halo = inside(&laptop, |open| open.halo().unwrap()).await;
            laptop.close().await;
            apart(&tablet).await;
            (tablet, halo, home)
        });
        let recorder = Recorder::new(dir.path());
        let environment = recorder.environment();
        let environment: Vec<(&str, &str)> =
            environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        Other::start_with("removal", dir.path(), &environment).finish();
        let recording = recorder.finish();
        let told = recording.acknowledged(recording.moments() - 1);
        assert_eq!(told, ["begun", "before", "removed", "after"], "everything was noted");
        Self { recording, tablet, halo, home, _computer: computer }
    }

    /// The moments between "before" and "removed".
    fn of_removal(&self) -> std::ops::RangeInclusive<usize> {
        let told = self.recording.acknowledgements();
        told[told.len() - 3]..=told[told.len() - 2]
    }

    /// Cuts the power once, and says what is not as it should be then.
    async fn cut(&self, moment: usize, fate: Fate, rng: &mut StdRng) -> Result<(), String> {
        let files = self.recording.cut(moment, fate, &mut || rng.random());
        let told = self.recording.acknowledged(moment);
        let dir = tempfile::tempdir().unwrap();
        disk::write(dir.path(), &files);
        let at = format!("cut at {moment}, {fate:?}, after {told:?}");
        let laptop = on(dir.path()).await;
        if let Some(trouble) = &laptop.snapshot().trouble {
            return Err(format!("{at}: {trouble:?}"));
        }
        let thief = device(&self.tablet).await;
        let (halo, home) = (self.halo, self.home);
        let (removed, epochs) = inside(&laptop, move |open| {
            let removed = open.state.devices[&thief].revoked;
            let after = |space: SpaceId| {
                let rows = open.store.epochs(&space.to_string()).unwrap();
                let epochs = rows.iter().map(|row| Epoch::decode(&row.bytes).unwrap());
                epochs.filter(|epoch| !epoch.after.is_empty()).count()
            };
            (removed, [halo, home].map(after))
        })
        .await;
        if epochs != [usize::from(removed); 2] {
            return Err(format!("{at}: removed {removed}, with {epochs:?} epochs"));
        }
        if told.contains(&"removed".to_owned()) && !removed {
            return Err(format!("{at}: the removal was acknowledged, and is not there"));
        }
        let there = titles(&laptop, home).await;
        for (step, title) in [("before", "Before"), ("after", "Secret")] {
            if told.contains(&step.to_owned()) && !there.contains(&title.to_owned()) {
                return Err(format!("{at}: {title} was acknowledged, and {there:?} is there"));
            }
        }
        let report = laptop.doctor(false, Gauge::unseen()).await.unwrap();
        if !report.problems.is_empty() {
            return Err(format!("{at}: {:?}", report.problems));
        }
        // And it goes on from there: whoever is removed reads nothing of it.
        if !removed {
            laptop.revoke_device(revoke(thief)).await.map_err(|error| format!("{at}: {error}"))?;
        }
        let from = lengths(&laptop, home).await;
        put(&laptop, home, "Later").await;
        let later = kept(&laptop, home, &from).await;
        if later.is_empty() || !read(&self.tablet, home, &later).await.is_empty() {
            return Err(format!("{at}: the removed device reads what was written later"));
        }
        let epochs = inside(&laptop, move |open| {
            let rows = [halo, home].map(|space| open.store.epochs(&space.to_string()).unwrap());
            rows.concat().iter().map(|row| Epoch::decode(&row.bytes).unwrap()).collect::<Vec<_>>()
        });
        let fresh: Vec<Epoch> = epochs.await.into_iter().filter(|epoch| !epoch.after.is_empty()).collect();
        let opens = move |open: &mut Open| fresh.iter().any(|epoch| open.keys.open_epoch(epoch).is_ok());
        if inside(&self.tablet, opens).await {
            return Err(format!("{at}: an epoch opens for the removed device"));
        }
        laptop.close().await;
        Ok(())
    }
}

// threat: 32, 38
#[test]
fn a_removal_survives_every_cut_of_the_power_with_its_epochs_or_is_not_there() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let theft = Theft::new(&runtime);
    let seed = std::env::var("HALO_SEED").ok().and_then(|text| text.parse().ok());
    let mut outcomes = Vec::new();
    for moment in theft.of_removal() {
        for fate in Fate::ALL {
            let mut rng = StdRng::seed_from_u64(moment as u64);
            outcomes.push(runtime.block_on(theft.cut(moment, fate, &mut rng)));
        }
    }
    for seed in seed.map_or(0..SLICE, |seed: u64| seed..seed + 1) {
        let mut rng = StdRng::seed_from_u64(seed);
        let begun = theft.recording.acknowledgements()[1];
        let moment = rng.random_range(begun..theft.recording.moments());
        let fate = Fate::ALL[rng.random_range(0..Fate::ALL.len())];
        let outcome = runtime.block_on(theft.cut(moment, fate, &mut rng));
        outcomes.push(outcome.map_err(|what| format!("seed {seed}: {what}")));
    }
    let wrong: Vec<String> = outcomes.into_iter().filter_map(Result::err).collect();
    assert_eq!(wrong, [] as [&str; 0]);
}

#[test]
fn a_disk_that_lost_a_removal_that_it_said_it_kept_is_found_out() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut theft = Theft::new(&runtime);
    theft.recording = theft.recording.on_a_disk_that_lies();
    let moment = *theft.of_removal().end();
    let mut rng = StdRng::seed_from_u64(0);
    let outcome = runtime.block_on(theft.cut(moment, Fate::Lost, &mut rng));
    assert!(outcome.is_err(), "or these tests could not fail");
}
