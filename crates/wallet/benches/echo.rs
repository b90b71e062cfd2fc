//! What the replica takes its time for, with 100,000 items in one space. One JSON row a figure, for
//! `cargo xtask bench echo`.

#![expect(
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "it prints figures, and picks words by their number"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use halo_wallet::{
    By, CreateIdentity, Event, Gauge, KdfTarget, KeychainChoice, MemoryKeychain, NetworkOptions, PutItem,
    Query, SpaceId, Wallet, WalletConfig,
};
use serde_json::{Value, json};

const ITEMS: usize = 100_000;
const BATCH: usize = 1_000;
const ROUNDS: usize = 201;

type Failed = Box<dyn std::error::Error>;

fn row(name: &str, ours: f64, unit: &str) {
    println!("{}", json!({ "name": format!("echo: {name}"), "ours": ours, "unit": unit }));
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// The middle and the slow one of many.
fn spread(mut times: Vec<Duration>) -> (f64, f64) {
    times.sort_unstable();
    let at = |part: usize| times.get(times.len() * part / 100).copied().unwrap_or_default();
    (millis(at(50)), millis(at(90)))
}

fn timed(name: &str, times: Vec<Duration>) {
    let (median, slow) = spread(times);
    row(&format!("{name}, median"), median, "ms");
    row(&format!("{name}, p90"), slow, "ms");
}

async fn open(dir: &Path, keychain: &Arc<MemoryKeychain>) -> Result<Wallet, Failed> {
    let config = WalletConfig {
        profile: dir.join("profile"),
        keychain: keychain.clone(),
        program: "bench".into(),
        kdf_target: KdfTarget::Floor,
        watch_session: false,
        network: NetworkOptions::default(),
    };
    Ok(Wallet::open(config).await?)
}

fn task(number: usize) -> PutItem {
    let words = ["milk", "bread", "stamps", "paper", "coffee", "apples", "letters"];
    let word = |step: usize| words[(number / step) % words.len()];
    let data = json!({
        "title": format!("{} and {} number {number}", word(1), word(7)),
        "project": format!("project {}", number % 1000),
        "priority": number % 5,
        "done": number.is_multiple_of(3),
        "note": if number % 1000 == 7 { "the needle in it" } else { "nothing of note" },
    });
    let data = data.as_object().cloned().unwrap_or_default();
    PutItem { r#type: Some("example.org/type/Task:0.1.0".into()), data, ..PutItem::default() }
}

fn query(filter: Value) -> Result<Query, Failed> {
    Ok(Query::parse(&json!({ "type": "select", "filter": filter }).to_string())?)
}

/// Resident memory of this process, in MiB.
fn memory() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or_default() / 1024.0
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Failed> {
    // `cargo test --all-targets` runs benchmarks as well, to see that they run: this one takes minutes.
    if !std::env::args().any(|arg| arg == "--bench") {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let keychain = Arc::new(MemoryKeychain::default());
    let wallet = open(dir.path(), &keychain).await?;
    let new = CreateIdentity { name: "Ada".into(), passphrase: None, keychain: KeychainChoice::Os };
    wallet.create_identity(new).await?;
    let space: SpaceId = wallet.add_space("Tasks".into()).await?.id.parse()?;

    let start = Instant::now();
    let mut some = Vec::new();
    for batch in 0..ITEMS / BATCH {
        let tasks = (batch * BATCH..(batch + 1) * BATCH).map(task).collect();
        let items = wallet.put_items(&By::Owner, space, tasks).await?;
        if batch % 10 == 7 {
            some.push(items.into_iter().map(|item| item.id));
        }
    }
    row("add items, 1,000 a transaction", ITEMS as f64 / start.elapsed().as_secs_f64(), "items/s");
    let edits: Vec<Vec<PutItem>> = some
        .into_iter()
        .map(|ids| ids.enumerate().map(|(number, id)| PutItem { id: Some(id), ..task(number + 1) }).collect())
        .collect();
    let count = edits.len() * BATCH;
    let start = Instant::now();
    for batch in edits {
        wallet.put_items(&By::Owner, space, batch).await?;
    }
    row("change items, 1,000 a transaction", count as f64 / start.elapsed().as_secs_f64(), "items/s");
    wallet.close().await;

    let start = Instant::now();
    let wallet = open(dir.path(), &keychain).await?;
    let first = wallet.all_spaces().await?;
    row("open with 100,000 items, spaces listed", millis(start.elapsed()), "ms");
    assert!(first.iter().any(|found| found.items == ITEMS), "everything is there");

    let property = |path: &str, filter: Value| json!({ "type": "object", "props": { path: filter } });
    let project = property("project", json!({ "type": "compare", "operator": "eq", "value": "project 77" }));
    let words = json!({ "type": "text-search", "text": "needle" });
    let prefix = json!({ "type": "text-search", "text": "needle numb" });
    for (name, filter) in [
        ("query for 100 of 100,000 by property", project.clone()),
        ("full text, 100 of 100,000", words),
        ("full text by two words, 100 of 100,000", prefix),
    ] {
        let query = query(filter)?;
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            let start = Instant::now();
            let found = wallet.items(&By::Owner, space, query.clone()).await?.len();
            times.push(start.elapsed());
            assert!((100..=111).contains(&found), "{name}: {found}");
        }
        timed(name, times);
    }

    let mut writes = Vec::new();
    let mut seen = Vec::new();
    let live = query(project)?;
    let mut events = wallet.watch();
    for number in 0..ROUNDS {
        let start = Instant::now();
        wallet
            .put_item(&By::Owner, space, PutItem { r#type: task(77).r#type, ..task(number * 1000 + 77) })
            .await?;
        writes.push(start.elapsed());
        while !matches!(events.next().await, Some(Event::Documents { .. }) | None) {}
        let start = Instant::now();
        assert_eq!(
            wallet.items(&By::Owner, space, live.clone()).await?.len(),
            101 + number,
            "the new one is in it"
        );
        seen.push(start.elapsed());
    }
    timed("add one item, durable", writes);
    timed("a live query of 100 to 300 after a write", seen);
    row("memory with 100,000 items", memory(), "MiB");
    let start = Instant::now();
    let report = wallet.doctor(false, Gauge::unseen()).await?;
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    row("doctor over 100,000 items", millis(start.elapsed()), "ms");
    Ok(())
}
