//! Two devices and a KUBE on three machines (namespaces), and what networks do to them. Needs root.

use std::time::Duration;

use halo_testing::namespaces::{Line, Machine, Network};
use halo_testing::process::Other;

use crate::kube::{Kube, metric};
use crate::process::device;

struct World {
    a: Machine,
    b: Machine,
    kube: Kube,
    third: Machine,
    _network: Network,
}

fn world() -> World {
    let mut network = Network::new();
    let (a, b) = (network.machine(), network.machine());
    world_of(network, a, b)
}

fn world_of(mut network: Network, a: Machine, b: Machine) -> World {
    let third = network.machine();
    let (listen, turn) = (format!("{}:47180", third.address()), format!("{}:3478", third.address()));
    let kube = Kube::start_by(
        third.command(env!("CARGO_BIN_EXE_kube")),
        &["--listen", &listen, "--turn", &turn, "--turn-allow-private"],
    );
    World { a, b, kube, third, _network: network }
}

impl World {
    /// A number of KUBE's `/metrics`, read on its own machine.
    fn metric(&self, name: &str) -> u64 {
        let ask = format!(
            "exec 3<>/dev/tcp/{}/47180; printf 'GET /metrics HTTP/1.1\\r\\nHost: kube\\r\\n\\r\\n' >&3; cat <&3",
            self.third.address()
        );
        let output = self.third.command("bash").args(["-c", &ask]).output().unwrap();
        metric(&String::from_utf8(output.stdout).unwrap(), name)
    }

    /// Both devices, connected.
    fn devices(&self) -> (Other, Other) {
        let (mut a, mut b) = (on(&self.a, 1, &self.kube.signal_url), on(&self.b, 2, &self.kube.signal_url));
        hears(&mut a, "connected");
        hears(&mut b, "connected");
        (a, b)
    }
}

fn on(machine: &Machine, number: u8, server: &str) -> Other {
    device(machine.command(std::env::current_exe().unwrap()), number, server)
}

/// Waits until it says this; what it said before is handed back.
fn hears(other: &mut Other, wanted: &str) -> Vec<String> {
    let mut before = Vec::new();
    loop {
        match other.hear() {
            Some(said) if said == wanted => return before,
            Some(said) => {
                assert!(!said.starts_with("closed"), "{said} while waiting for {wanted}, after {before:?}");
                before.push(said);
            }
            None => panic!("it ended while waiting for {wanted}, after {before:?}"),
        }
    }
}

#[test]
fn devices_that_can_reach_each_other_do_so_directly() {
    let world = world();
    let (mut a, mut b) = world.devices();
    hears(&mut a, "path Direct");
    a.tell("say 1000");
    hears(&mut b, "heard 1000");
    let relayed = world.metric("kube_turn_relayed_bytes_total");
    assert!(relayed < 1_000_000, "looking for a way may go through TURN, 4 MB do not: {relayed}");
}

#[test]
fn devices_that_cannot_reach_each_other_go_through_turn() {
    let world = world();
    world.a.drop_udp_with(&world.b);
    let (mut a, mut b) = world.devices();
    hears(&mut a, "path Turn");
    a.tell("say 1000");
    hears(&mut b, "heard 1000");
    let relayed = world.metric("kube_turn_relayed_bytes_total");
    assert!(relayed > 1_000_000, "{relayed}");
}

#[test]
fn without_udp_everything_goes_through_the_relay() {
    let world = world();
    world.a.drop_udp();
    let (mut a, mut b) = world.devices();
    a.tell("say 500");
    let ways = hears(&mut b, "heard 500");
    assert!(ways.iter().all(|said| !said.contains("Direct") && !said.contains("Turn")), "{ways:?}");
    assert!(world.metric("kube_signal_payload_bytes_total") > 2_000_000);
}

#[test]
fn a_bad_line_delays_and_loses_nothing() {
    let mut network = Network::new();
    // 100 ms from one to the other, and one packet in twenty lost on the way.
    let line = Line { delay: Duration::from_millis(50), lost: 5 };
    let (a, b) = (network.machine_behind(line), network.machine_behind(Line { lost: 0, ..line }));
    let world = world_of(network, a, b);
    let (mut a, mut b) = world.devices();
    hears(&mut a, "path Direct");
    a.tell("say 100");
    hears(&mut b, "heard 100");
    b.tell("say 100");
    hears(&mut a, "heard 100");
}

#[test]
fn a_direct_path_that_is_cut_and_comes_back_in_mid_transfer_costs_nothing() {
    let world = world();
    let (mut a, mut b) = world.devices();
    hears(&mut a, "path Direct");
    a.tell("say 6000");
    hears(&mut b, "heard 500");
    world.a.drop_udp();
    hears(&mut a, "path Relay");
    world.a.heal();
    hears(&mut a, "path Direct");
    hears(&mut b, "heard 6000");
}

#[test]
fn a_cable_that_is_pulled_and_put_back_ends_nothing() {
    let world = world();
    let (mut a, mut b) = world.devices();
    hears(&mut a, "path Direct");
    a.tell("say 3000");
    hears(&mut b, "heard 500");
    world.a.cut();
    // For longer than anything in between remembers; it is the network's time, not ours.
    std::thread::sleep(Duration::from_secs(5));
    world.a.heal();
    hears(&mut b, "heard 3000");
}

#[test]
fn devices_on_one_network_find_each_other_without_a_server() {
    let mut network = Network::new();
    let (one, two) = (network.machine(), network.machine());
    let (mut a, mut b) = (on(&one, 1, "lan"), on(&two, 2, "lan"));
    hears(&mut a, "connected");
    hears(&mut b, "connected");
    hears(&mut a, "path Lan");
    a.tell("say 2000");
    hears(&mut b, "heard 2000");
}
