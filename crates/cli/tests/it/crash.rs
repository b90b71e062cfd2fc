//! `kill -9` at random points: whatever was acknowledged is there, and everything else is whole or absent.
//!
//! `HALO_CRASH_ROUNDS` says how often (default: a slice of a few seconds; `cargo xtask soak` does 200), and
//! `HALO_CRASH_SEED` repeats a run.

use std::io::{BufRead, Write};
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::app;
use crate::world::World;

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

/// A fifth of the rounds for each of the five; creating, approving, revoking, changing the passphrase, writing.
fn rounds() -> u32 {
    let all = std::env::var("HALO_CRASH_ROUNDS").ok().and_then(|rounds| rounds.parse().ok());
    all.unwrap_or(SLICE).div_ceil(5)
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
    let world = World::new();
    world.init();
    let space = {
        let _daemon = world.daemon();
        world.json(&["spaces", "create", "--name", "Load"])["id"].as_str().unwrap().to_owned()
    };
    let mut moments = Moments::new("write");
    let mut acknowledged = Vec::new();
    for round in 0..rounds() {
        let mut daemon = world.daemon();
        let writer = {
            let (socket, space) = (world.control_socket(), space.clone());
            std::thread::spawn(move || write_until_the_end(&socket, &space, round))
        };
        std::thread::sleep(moments.within(Duration::from_millis(250)));
        daemon.kill();
        acknowledged.extend(writer.join().unwrap());
        let _daemon = world.daemon();
        let report = world.json(&["doctor"]);
        assert_eq!(report["problems"], serde_json::json!([]), "{report}");
        let items = world.json(&["items", "list", "--space", &space]);
        let there: std::collections::BTreeMap<&str, &Value> = items
            .as_array()
            .unwrap()
            .iter()
            .map(|item| (item["id"].as_str().unwrap(), &item["data"]))
            .collect();
        for (id, title) in &acknowledged {
            assert_eq!(
                there.get(id.as_str()).map(|data| &data["title"]),
                Some(title),
                "{id} was acknowledged"
            );
        }
    }
    println!("write: {} items were acknowledged", acknowledged.len());
}

/// Adds items as fast as they are acknowledged, until nobody answers; returns those that were.
fn write_until_the_end(socket: &std::path::Path, space: &str, round: u32) -> Vec<(String, Value)> {
    let mut acknowledged = Vec::new();
    let Ok(stream) = std::os::unix::net::UnixStream::connect(socket) else { return acknowledged };
    let mut answers = std::io::BufReader::new(stream.try_clone().unwrap()).lines();
    for number in 0.. {
        let title = Value::from(format!("{round}.{number}"));
        let params =
            serde_json::json!({"space": space, "type": "example.org/type/Task", "data": {"title": title}});
        let line = serde_json::json!({"id": number, "method": "items.put", "params": params});
        if writeln!(&stream, "{line}").is_err() {
            break;
        }
        let Some(Ok(answer)) = answers.next() else { break };
        let answer: Value = serde_json::from_str(&answer).unwrap();
        acknowledged.push((answer["result"]["id"].as_str().unwrap().to_owned(), title));
    }
    acknowledged
}
