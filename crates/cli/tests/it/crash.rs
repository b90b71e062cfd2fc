//! `kill -9` at random points: whatever was acknowledged is there, and everything else is whole or absent.
//!
//! `HALO_CRASH_ROUNDS` says how often (default: a slice of a few seconds; `cargo xtask soak` does 1,000), and
//! `HALO_CRASH_SEED` repeats a run.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use halo_echo::{Document, DocumentId, ItemKind, NewItem, Pen, item_id};
use serde_json::{Value, json};

use crate::app;
use crate::lines::{Dxos, Sdk};
use crate::world::{Daemon, World};

const SLICE: u32 = 12;

/// Where in an operation the process dies.
struct Moments {
    state: u64,
}

impl Moments {
    fn new(what: &str) -> Self {
        let seed = std::env::var("HALO_CRASH_SEED")
            .ok()
            .and_then(|seed| seed.parse().ok())
            .unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64);
        println!("{what}: HALO_CRASH_SEED={seed}");
        Self { state: seed }
    }

    /// Anywhere from the beginning to a little after the end (SplitMix64).
    fn within(&mut self, took: Duration) -> Duration {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let share = (bits >> 40) as f64 / (1_u64 << 24) as f64;
        took.mul_f64(share * 1.15)
    }
}

/// How often writing dies.
fn writes() -> u32 {
    std::env::var("HALO_CRASH_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(SLICE)
}

/// A fifth as often each of the others: creating, approving, revoking, changing the passphrase.
fn rounds() -> u32 {
    writes().div_ceil(5)
}

/// The profile opens, its log is unbroken, and credentials and log tell the same story.
fn consistent(world: &World) -> Vec<Value> {
    let status = world.json(&["status"]);
    assert_eq!(status["state"], "unlocked", "{status}");
    assert_eq!(status["trouble"], Value::Null, "{status}");
    assert_eq!(status["audit_broken_at"], Value::Null, "the log is unbroken");
    let log = world.json(&["audit", "--since", "0"]);
    let of = |event: &str| -> usize {
        log.as_array().unwrap().iter().filter(|entry| entry["event"] == event).count()
    };
    let apps = world.json(&["apps", "list"]).as_array().unwrap().clone();
    assert_eq!(
        of("approved"),
        of("revoked") + apps.len(),
        "each grant and its entry were written together: {log}"
    );
    apps
}

// threat: 32
#[test]
fn creating_dies_at_any_point_and_leaves_none_or_a_whole_identity() {
    let measured = World::new();
    let started = Instant::now();
    measured.init();
    let took = started.elapsed();
    let mut moments = Moments::new("create");
    let (mut none, mut whole) = (0, 0);
    for _ in 0..rounds() {
        let world = World::new();
        let mut child = world.halo(&["--json", "init", "--name", "Ada"]).spawn().unwrap();
        std::thread::sleep(moments.within(took));
        let _ = child.kill();
        let output = child.wait_with_output().unwrap();
        let state = world.json(&["status"])["state"].clone();
        if output.status.success() {
            assert_eq!(state, "locked", "what was acknowledged is there");
        }
        if state == "empty" {
            none += 1;
            world.init();
        } else {
            whole += 1;
        }
        let _daemon = world.daemon();
        assert!(consistent(&world).is_empty());
        assert_eq!(world.json(&["identity", "show"])["name"], "Ada");
        assert_eq!(
            world.json(&["identity", "phrase", "show"])["phrase"].as_str().unwrap().split(' ').count(),
            24,
            "the words were kept"
        );
        let leftovers: Vec<_> = world
            .profile()
            .read_dir()
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with(".creating"))
            .collect();
        assert!(leftovers.is_empty(), "halves are swept: {leftovers:?}");
    }
    println!("create: {none} left nothing, {whole} a whole identity");
}

// threat: 32
#[test]
fn approving_and_revoking_die_at_any_point_and_are_done_or_not() {
    let world = World::new();
    world.init();
    let mut moments = Moments::new("approve and revoke");
    let mut took = Duration::from_millis(40);
    let (mut done, mut undone) = (0, 0);
    for round in 0..2 * rounds() {
        let mut daemon = world.daemon();
        let before = consistent(&world);
        let revoking = round % 2 == 1 && !before.is_empty();
        let args: Vec<String> = if revoking {
            vec!["apps".into(), "revoke".into(), before[0]["id"].as_str().unwrap().into()]
        } else {
            app::ask(&daemon, &format!("app-{round}"));
            let request = world.json(&["requests", "list"])[0]["id"].as_str().unwrap().to_owned();
            vec!["requests".into(), "approve".into(), request]
        };
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let started = Instant::now();
        let child = world.halo(&args).spawn().unwrap();
        std::thread::sleep(moments.within(took));
        daemon.kill();
        let acknowledged = child.wait_with_output().unwrap().status.success();
        if acknowledged {
            took = (took + started.elapsed()) / 2;
        } else {
            // Died too early too often: look further.
            took = took.mul_f64(1.1).min(Duration::from_secs(2));
        }
        let _daemon = world.daemon();
        let after = consistent(&world);
        let changed = after.len() != before.len();
        assert!(changed || !acknowledged, "what was acknowledged is there");
        if changed {
            done += 1;
        } else {
            undone += 1;
        }
    }
    println!("approve and revoke: {done} done, {undone} not");
}

// threat: 32
#[test]
fn changing_the_passphrase_dies_at_any_point_and_one_of_the_two_opens() {
    let world = World::new();
    world.init();
    let mut current = "passphrase number 0".to_owned();
    let started = Instant::now();
    {
        let _daemon = world.daemon();
        world.run_with(&["--json", "passphrase", "set"], &format!("{current}\n")).json();
    }
    let took = started.elapsed();
    let mut moments = Moments::new("passphrase");
    let (mut old, mut new) = (0, 0);
    for round in 1..=rounds() {
        let mut daemon = world.daemon();
        world.run_with(&["--json", "unlock"], &format!("{current}\n")).json();
        let next = format!("passphrase number {round}");
        let mut child = world.halo(&["passphrase", "set"]).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(format!("{current}\n{next}\n").as_bytes()).unwrap();
        std::thread::sleep(moments.within(took));
        daemon.kill();
        let acknowledged = child.wait_with_output().unwrap().status.success();

        let _daemon = world.daemon();
        assert_eq!(world.json(&["status"])["state"], "locked", "never open without a passphrase");
        if world.run_with(&["unlock"], &format!("{next}\n")).ok() {
            new += 1;
            current = next;
        } else {
            assert!(!acknowledged, "what was acknowledged opens");
            old += 1;
            world.run_with(&["--json", "unlock"], &format!("{current}\n")).json();
        }
        consistent(&world);
    }
    println!("passphrase: the old one opened {old} times, the new one {new} times");
}

// threat: 32
#[test]
fn writing_dies_at_any_point_and_every_acknowledged_item_is_there() {
    let mut moments = Moments::new("write");
    let (mut left, mut acknowledged) = (writes(), 0);
    while left > 0 {
        // A fresh profile now and then, so that looking at everything takes no longer than writing it.
        let rounds = left.min(20);
        left -= rounds;
        acknowledged += under_load(rounds, &mut moments);
        println!("write: {acknowledged} acknowledged, {left} kills to come");
    }
    println!("write: {} kills, {acknowledged} writes were acknowledged", writes());
}

/// Three writers at once, of three kinds: the owner's commands, an app with our SDK, one of DXOS's clients.
fn under_load(rounds: u32, moments: &mut Moments) -> usize {
    let world = World::new();
    world.init();
    let mut daemon = world.daemon();
    let own = world.json(&["spaces", "create", "--name", "Load"])["id"].as_str().unwrap().to_owned();
    let mut token = signed_in(&world, &daemon);
    let mut sdk = Sdk::open(daemon.port(), &token.0).unwrap();
    let space = sdk.call("spaces.default", &json!({})).unwrap()["result"]["id"].as_str().unwrap().to_owned();
    let (mut kept, mut count) = (BTreeMap::new(), 0);
    for round in 0..rounds {
        let (begun, beginnings) = std::sync::mpsc::channel();
        let start = |space: &String, write: fn(&Target, &mut Writes)| {
            let target = Target {
                socket: world.control_socket(),
                port: daemon.port(),
                token: token.0.clone(),
                space: space.clone(),
                round,
            };
            let mut writes = Writes { begun: Some(begun.clone()), ..Writes::default() };
            let thread = std::thread::spawn(move || {
                write(&target, &mut writes);
                writes
            });
            (space.clone(), thread)
        };
        let writers = [start(&own, commands), start(&space, edits), start(&space, documents)];
        for _ in &writers {
            // Every writer got through once.
            beginnings.recv_timeout(Duration::from_secs(60)).unwrap();
        }
        std::thread::sleep(moments.within(Duration::from_millis(200)));
        daemon.kill();
        for (space, writer) in writers {
            let writes = writer.join().unwrap();
            count += writes.acknowledged;
            kept.entry(space).or_insert_with(BTreeMap::new).extend(writes.titles);
        }
        daemon = opened(&world);
        let report = world.json(&["doctor"]);
        assert_eq!(report["problems"], json!([]), "{report}");
        for (space, titles) in &kept {
            let items = world.json(&["items", "list", "--space", space]);
            let there: BTreeMap<&str, &str> = items
                .as_array()
                .unwrap()
                .iter()
                .filter_map(|item| Some((item["id"].as_str()?, item["data"]["title"].as_str()?)))
                .collect();
            for (id, possible) in titles {
                let title = there.get(id.as_str()).copied();
                assert!(
                    title.is_some_and(|title| possible.iter().any(|one| one == title)),
                    "{id}: {possible:?} was acknowledged or under way, {title:?} is there"
                );
            }
        }
        let (status, answer) = app::refreshed(&daemon, APP, &token.1);
        assert_eq!(status, 200, "{answer}");
        token = tokens(&answer);
    }
    count
}

/// A daemon with the wallet open. The keychain has five seconds to answer; on a machine that is busy with other things it
/// is asked once more.
fn opened(world: &World) -> Daemon {
    let daemon = world.daemon();
    let status = world.json(&["status"]);
    if status["state"] == "locked" {
        let slow = ["keystore.keychain_locked", "keystore.keychain_timed_out"];
        assert!(slow.iter().any(|code| status["trouble"]["code"] == *code), "{status}");
        world.json(&["unlock"]);
    }
    daemon
}

const APP: &str = "org.example.load";
const TYPE: &str = "example.org/type/Task";

fn tokens(answer: &Value) -> (String, String) {
    let text = |name: &str| answer[name].as_str().unwrap().to_owned();
    (text("access_token"), text("refresh_token"))
}

/// An app that may write.
pub(crate) fn signed_in(world: &World, daemon: &Daemon) -> (String, String) {
    let form = format!("client_id={APP}&scope=openid%20halo%3Aspaces%20halo%3Aspaces%3Awrite");
    let (status, asked) = app::post(daemon, "/bc-authorize", &form);
    assert_eq!(status, 200, "{asked}");
    let request = world.json(&["requests", "list"])[0]["id"].as_str().unwrap().to_owned();
    world.json(&["requests", "approve", &request]);
    let (status, answer) = app::tokens(daemon, APP, asked["auth_req_id"].as_str().unwrap());
    assert_eq!(status, 200, "{answer}");
    tokens(&answer)
}

/// Where a writer writes.
struct Target {
    socket: std::path::PathBuf,
    port: u16,
    token: String,
    space: String,
    round: u32,
}

/// What a writer did before nobody answered any more.
#[derive(Default)]
struct Writes {
    /// Who waits for the first acknowledgement.
    begun: Option<std::sync::mpsc::Sender<()>>,
    acknowledged: usize,
    /// Items that must be there, and what they may be called.
    titles: BTreeMap<String, Vec<String>>,
}

impl Writes {
    fn say(&mut self, id: &str, title: String) {
        if let Some(begun) = self.begun.take() {
            begun.send(()).unwrap();
        }
        self.acknowledged += 1;
        self.titles.insert(id.to_owned(), vec![title]);
    }
}

/// New items, as fast as they are acknowledged.
fn commands(Target { socket, space, round, .. }: &Target, writes: &mut Writes) {
    let stream = std::os::unix::net::UnixStream::connect(socket).unwrap();
    let mut answers = std::io::BufReader::new(stream.try_clone().unwrap()).lines();
    for number in 0.. {
        let title = format!("{round}.{number}");
        let params = json!({"space": space, "type": TYPE, "data": {"title": title}});
        let line = json!({"id": number, "method": "items.put", "params": params});
        if writeln!(&stream, "{line}").is_err() {
            break;
        }
        let Some(Ok(answer)) = answers.next() else { break };
        let answer: Value = serde_json::from_str(&answer).unwrap();
        writes.say(answer["result"]["id"].as_str().unwrap(), title);
        if number % 5 == 4 {
            // Blocks go as well, while others write.
            let line = json!({"id": number, "method": "spaces.compact", "params": {"id": space}});
            if writeln!(&stream, "{line}").is_err() {
                break;
            }
            let Some(Ok(answer)) = answers.next() else { break };
            let answer: Value = serde_json::from_str(&answer).unwrap();
            assert_eq!(answer["result"]["waits_for"], json!([]), "{answer}");
        }
    }
}

/// New items and changes of them, several at once.
fn edits(Target { port, token, space, round, .. }: &Target, writes: &mut Writes) {
    let mut line = Sdk::open(*port, token).unwrap();
    let mut before: Vec<String> = Vec::new();
    for number in 0.. {
        let titles = [format!("sdk {round}.{number} a"), format!("sdk {round}.{number} b")];
        let items: Vec<Value> = titles
            .iter()
            .enumerate()
            .map(|(at, title)| match before.get(at).filter(|_| number % 2 == 1) {
                Some(id) => json!({"id": id, "data": {"title": title}}),
                None => json!({"type": TYPE, "data": {"title": title}}),
            })
            .collect();
        if number % 2 == 1 {
            for (id, title) in before.iter().zip(&titles) {
                writes.titles.entry(id.clone()).or_default().push(title.clone());
            }
        }
        let Some(answer) = line.call("items.put", &json!({"space": space, "items": items})) else { break };
        before = answer["result"]
            .as_array()
            .unwrap_or_else(|| panic!("{answer}"))
            .iter()
            .map(|item| item["id"].as_str().unwrap().to_owned())
            .collect();
        before.iter().zip(titles).for_each(|(id, title)| writes.say(id, title));
    }
}

/// Documents, as DXOS's clients write them.
fn documents(Target { port, token, space, round, .. }: &Target, writes: &mut Writes) {
    let mut line = Dxos::open(*port, token, space).unwrap();
    for number in 0_u64.. {
        let title = format!("dxos {round}.{number}");
        let random = (u64::from(*round) << 32 | number).to_be_bytes();
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&random);
        bytes[8..].copy_from_slice(&random);
        let item = NewItem {
            id: item_id(number, std::array::from_fn(|at| bytes[at])),
            kind: ItemKind::Object,
            typename: format!("dxn:type:{TYPE}"),
            parent: None,
            ends: None,
            keys: Vec::new(),
            tags: Vec::new(),
            data: json!({"title": title}).as_object().unwrap().clone(),
        };
        let change = Document::empty().put_item(Pen { actor: bytes, seconds: 1 }, &item).unwrap();
        let document = DocumentId::from_random(bytes).to_string();
        match line.update(vec![(document, change)]) {
            Some(done) => done.unwrap(),
            None => break,
        }
        writes.say(&item.id, title);
    }
}
