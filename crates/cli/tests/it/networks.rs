//! Two devices and a KUBE on three machines (namespaces), as their user has them: a link, six digits, in step; and what
//! networks and restarts do to that. Needs root.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use halo_testing::namespaces::{Machine, Network};
use serde_json::{Value, json};

use crate::states::States;
use crate::world::{Daemon, World};

const KIND: [&str; 2] = ["--type", "example.org/type/Note:0.1.0"];
/// An item of so many bytes.
const LARGE: usize = 50_000;

/// The meeting place, on a machine of its own.
struct Kube {
    child: Child,
    url: String,
    machine: Machine,
}

impl Kube {
    fn start(machine: Machine) -> Self {
        // Of the same build; tests of the workspace build all its programs.
        let program = Path::new(env!("CARGO_BIN_EXE_halo")).with_file_name("kube");
        assert!(program.exists(), "{} is missing: build the whole workspace", program.display());
        let (listen, turn) = (format!("{}:47180", machine.address()), format!("{}:3478", machine.address()));
        let data = tempfile::tempdir().unwrap().keep();
        let mut child = machine
            .command(program)
            .args(["serve", "--listen", &listen, "--turn", &turn, "--turn-allow-private", "--data"])
            .arg(data)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        Self { child, url: ready["signal_url"].as_str().unwrap().to_owned(), machine }
    }

    /// A number of its `/metrics`.
    fn metric(&self, name: &str) -> u64 {
        let ask = format!(
            "exec 3<>/dev/tcp/{}/47180; printf 'GET /metrics HTTP/1.1\\r\\nHost: kube\\r\\n\\r\\n' >&3; cat <&3",
            self.machine.address()
        );
        let output = self.machine.command("bash").args(["-c", &ask]).output().unwrap();
        let page = String::from_utf8(output.stdout).unwrap();
        let line = page.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("{name} is not in {page}")).parse().unwrap()
    }
}

impl Drop for Kube {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A device: its machine, its profile, its daemon.
struct Device {
    world: World,
    daemon: Option<Daemon>,
    options: Vec<String>,
    machine: Machine,
}

impl Device {
    fn new(machine: Machine, options: &[&str]) -> Self {
        let world = World::on_machine(&machine.prefix());
        let options = options.iter().map(|&option| option.to_owned()).collect();
        Self { world, daemon: None, options, machine }
    }

    fn start(&mut self) {
        let options: Vec<&str> = self.options.iter().map(String::as_str).collect();
        self.daemon = Some(self.world.daemon_with(&options, "warn"));
    }

    /// As a power cut would, and on again.
    fn restart(&mut self) {
        self.daemon.take().unwrap().kill();
        self.start();
    }

    fn put(&self, space: &str, title: &str, length: usize) {
        let data = json!({"title": title, "text": "x".repeat(length)}).to_string();
        self.world.json(&[&["items", "put", &data, "--space", space], &KIND[..]].concat());
    }

    /// None before the space itself is here.
    fn count(&self, space: &str) -> usize {
        let listed = self.world.run(&["--json", "items", "list", "--space", space]);
        if listed.ok() { listed.json().as_array().unwrap().len() } else { 0 }
    }

    /// Waits until so many items are here: looks again whenever something was heard of other devices.
    fn has(&self, space: &str, count: usize) {
        let mut watch = States::start(&self.world, &["sync", "status", "--watch"]);
        watch.find(&format!("{count} items"), |_| self.count(space) >= count);
    }

    /// Waits until bytes go this way to the one other device.
    fn goes(&self, path: &str) {
        let mut watch = States::start(&self.world, &["sync", "status", "--watch"]);
        watch.find(path, |status| status["peers"][0]["path"] == path);
    }

    fn state(&self) -> String {
        self.world.json(&["status"])["state"].as_str().unwrap().to_owned()
    }

    fn devices(&self) -> Vec<Value> {
        self.world.json(&["devices", "list"]).as_array().unwrap().clone()
    }
}

/// The user's old device, with a space of one note, and the new one.
struct Household {
    ada: Device,
    new: Device,
    kube: Option<Kube>,
    space: String,
    _network: Network,
}

impl Household {
    /// With a KUBE, and without looking around in the local network.
    fn new() -> Self {
        let mut network = Network::new();
        let (a, b, third) = (network.machine(), network.machine(), network.machine());
        let kube = Kube::start(third);
        // The link names the server to the new device.
        let ada = Device::new(a, &["--lan", "off", "--kube", &kube.url]);
        let new = Device::new(b, &["--lan", "off"]);
        Self::settle(ada, new, Some(kube), network)
    }

    /// Two machines on one network, and nothing else.
    fn without_kube() -> Self {
        let mut network = Network::new();
        let (a, b) = (network.machine(), network.machine());
        Self::settle(Device::new(a, &["--lan", "on"]), Device::new(b, &["--lan", "on"]), None, network)
    }

    fn settle(mut ada: Device, mut new: Device, kube: Option<Kube>, network: Network) -> Self {
        ada.world.init();
        ada.start();
        new.start();
        let space =
            ada.world.json(&["spaces", "create", "--name", "Household"])["id"].as_str().unwrap().to_owned();
        ada.put(&space, "first", 10);
        Self { ada, new, kube, space, _network: network }
    }

    /// An invitation: what the host says of it, and the link.
    fn invite(&self) -> (States, String) {
        let mut host = States::start(&self.ada.world, &["devices", "invite"]);
        let url = host.next().unwrap()["url"].as_str().unwrap().to_owned();
        (host, url)
    }

    fn join(&self, url: &str) -> States {
        States::start(&self.new.world, &["devices", "join", url, "--name", "Kitchen"])
    }

    /// Both ends with the digits on one screen, asked for on the other.
    fn meet(&self) -> (States, States, String) {
        let (mut host, url) = self.invite();
        let mut guest = self.join(&url);
        let code = guest.until("READY_FOR_AUTHENTICATION")["code"].as_str().unwrap().to_owned();
        host.until("READY_FOR_AUTHENTICATION");
        (host, guest, code)
    }

    /// Invite, join by the link, six digits, in step.
    fn link(&self) {
        let (mut host, guest, code) = self.meet();
        host.types(&code);
        host.until("SUCCESS");
        assert_eq!((host.end(), guest.end()), (0, 0));
        self.is_linked();
    }

    /// What must hold once a device was let in.
    fn is_linked(&self) {
        self.new.has(&self.space, 1);
        assert_eq!(self.new.world.json(&["identity", "show"])["name"], "Ada");
        assert_eq!(self.new.world.json(&["spaces", "list"])[0]["name"], "Household");
    }

    /// Something new on each is on the other.
    fn talk(&self) {
        let before = self.ada.count(&self.space);
        self.ada.put(&self.space, "from the old one", LARGE);
        self.new.has(&self.space, before + 1);
        self.new.put(&self.space, "from the new one", LARGE);
        self.ada.has(&self.space, before + 2);
    }

    fn metric(&self, name: &str) -> u64 {
        self.kube.as_ref().unwrap().metric(name)
    }
}

#[test]
fn a_device_is_linked_and_in_step_directly() {
    let home = Household::new();
    home.link();
    home.ada.goes("direct");
    home.new.goes("direct");
    home.talk();
    assert_eq!(home.ada.devices().len(), 2);
}

#[test]
fn devices_that_cannot_reach_each_other_are_in_step_through_turn() {
    let home = Household::new();
    home.ada.machine.drop_udp_with(&home.new.machine);
    home.link();
    let before = home.ada.count(&home.space);
    let turned = || home.metric("kube_turn_relayed_bytes_total");
    // Whatever was said before TURN was found went through the relay.
    for number in 0..100 {
        home.ada.put(&home.space, "large", LARGE);
        home.new.has(&home.space, before + number + 1);
        if turned() > 200_000 {
            return;
        }
    }
    panic!("nothing went through TURN: {}", turned());
}

#[test]
fn without_udp_devices_are_linked_and_in_step_through_the_relay() {
    let home = Household::new();
    home.ada.machine.drop_udp();
    home.new.machine.drop_udp();
    home.link();
    home.talk();
    home.ada.goes("relay");
    home.new.goes("relay");
    assert_eq!(home.metric("kube_turn_relayed_bytes_total"), 0);
}

#[test]
fn a_direct_path_that_is_cut_and_restored_in_mid_transfer_loses_nothing() {
    let home = Household::new();
    home.link();
    home.ada.goes("direct");
    let before = home.ada.count(&home.space);
    let put = |from: usize| (from..from + 4).for_each(|_| home.ada.put(&home.space, "large", LARGE));
    put(0);
    home.ada.machine.drop_udp();
    put(4);
    home.ada.goes("relay");
    put(8);
    home.ada.machine.heal();
    home.ada.goes("direct");
    put(12);
    home.new.has(&home.space, before + 16);
    assert_eq!(home.new.count(&home.space), before + 16, "each once");
}

#[test]
fn devices_in_one_network_are_linked_and_in_step_without_any_server() {
    let home = Household::without_kube();
    home.link();
    home.ada.goes("lan");
    home.talk();
}

#[test]
fn a_line_that_loses_one_packet_in_twenty_delays_and_loses_nothing() {
    let home = Household::new();
    for machine in [&home.ada.machine, &home.new.machine] {
        machine.lose(5);
        // Where the kernel has `netem`; loss alone is left where it has not.
        let _ = machine.delay(Duration::from_millis(50));
    }
    home.link();
    home.talk();
}

/// Afterwards nobody is half in: what was begun is over, and another invitation does.
fn another_one_does(home: &Household) {
    for open in home.ada.world.json(&["invitations", "list"]).as_array().unwrap() {
        let id = open["invitation_id"].as_str().unwrap();
        // It may have ended by itself meanwhile.
        home.ada.world.run(&["--json", "invitations", "cancel", id]);
    }
    assert_eq!(home.new.state(), "empty", "nothing of the identity is there");
    assert_eq!(home.ada.devices().len(), 1, "nobody was let in");
    home.link();
    assert_eq!(home.ada.devices().len(), 2);
}

#[test]
fn an_old_device_that_restarts_before_anybody_came_invites_again() {
    let mut home = Household::new();
    let (host, _url) = home.invite();
    home.ada.restart();
    assert_ne!(host.end(), 0, "an invitation ends with the program that made it");
    another_one_does(&home);
}

#[test]
fn a_new_device_that_restarts_while_it_looks_for_the_other_joins_again() {
    let mut home = Household::new();
    let (_host, url) = home.invite();
    // Nobody answers it there.
    home.new.machine.cut();
    let mut guest = home.join(&url);
    guest.until("CONNECTING");
    home.new.restart();
    home.new.machine.heal();
    assert_ne!(guest.end(), 0);
    another_one_does(&home);
}

#[test]
fn a_new_device_that_restarts_with_digits_on_its_screen_joins_again() {
    let mut home = Household::new();
    let (_host, guest, _code) = home.meet();
    home.new.restart();
    assert_ne!(guest.end(), 0);
    another_one_does(&home);
}

#[test]
fn an_old_device_that_restarts_while_it_is_asked_for_digits_invites_again() {
    let mut home = Household::new();
    let (host, mut guest, _code) = home.meet();
    home.ada.restart();
    assert_ne!(host.end(), 0);
    // It notices, and would wait for the old device until the invitation expires.
    guest.until("CONNECTING");
    guest.interrupt();
    assert_ne!(guest.end(), 0);
    another_one_does(&home);
}

#[test]
fn a_new_device_that_restarts_once_it_is_in_comes_in_step() {
    let mut home = Household::new();
    let (mut host, mut guest, code) = home.meet();
    host.types(&code);
    guest.until("SUCCESS");
    home.new.restart();
    home.is_linked();
    home.talk();
    assert_eq!(home.ada.devices().len(), 2);
}

#[test]
fn an_old_device_that_restarts_once_the_new_one_is_in_comes_in_step() {
    let mut home = Household::new();
    let (mut host, mut guest, code) = home.meet();
    host.types(&code);
    guest.until("SUCCESS");
    home.ada.restart();
    home.is_linked();
    home.talk();
    assert_eq!(home.ada.devices().len(), 2);
}

/// Whoever was let in is in; if nobody was, another invitation does. A device that the old one let in and that never
/// said that it took it is shown, and undone.
fn in_or_out(home: &Household) {
    if home.new.state() != "empty" {
        home.is_linked();
        assert_eq!(home.ada.devices().len(), 2);
        return;
    }
    for device in home.ada.devices().iter().filter(|device| device["current"] == false) {
        home.ada.world.json(&["devices", "undo", device["device_key"].as_str().unwrap()]);
    }
    let standing = |devices: Vec<Value>| devices.iter().filter(|device| device["revoked"].is_null()).count();
    assert_eq!(standing(home.ada.devices()), 1);
    home.link();
    assert_eq!(standing(home.ada.devices()), 2);
}

#[test]
fn a_new_device_that_restarts_while_it_is_let_in_is_in_or_out() {
    let mut home = Household::new();
    let (mut host, guest, code) = home.meet();
    host.types(&code);
    home.new.restart();
    drop((host, guest));
    for open in home.ada.world.json(&["invitations", "list"]).as_array().unwrap() {
        home.ada.world.run(&["--json", "invitations", "cancel", open["invitation_id"].as_str().unwrap()]);
    }
    in_or_out(&home);
}

#[test]
fn an_old_device_that_restarts_while_it_lets_one_in_has_let_it_in_or_not() {
    let mut home = Household::new();
    let (mut host, mut guest, code) = home.meet();
    host.types(&code);
    home.ada.restart();
    let end = guest.find("the end of it", |said| said["state"] == "SUCCESS" || said["state"] == "CONNECTING");
    if end["state"] == "CONNECTING" {
        guest.interrupt();
        assert_ne!(guest.end(), 0);
    }
    in_or_out(&home);
}
