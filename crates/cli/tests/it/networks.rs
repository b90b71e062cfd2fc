//! Two devices and a KUBE on three machines (namespaces), as their user has them: a link, six digits, in step; and what
//! networks and restarts do to that. Needs root.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use halo_testing::namespaces::{Line, Machine, Network};
use serde_json::{Value, json};

use crate::states::States;
use crate::world::{Daemon, World};

const KIND: [&str; 2] = ["--type", "example.org/type/Note:0.1.0"];
/// An item of so many bytes.
const LARGE: usize = 50_000;

/// Who the user is, and what is said through the KUBE: nothing of it may be found there (`blind.rs`).
pub(crate) const OWNER: &str = "Augusta Ada King, Countess of Lovelace";
pub(crate) const LABEL: &str = "The laptop on the kitchen table";
pub(crate) const SPACE: &str = "The household of the Lovelaces";

/// The meeting place, on a machine of its own.
pub(crate) struct Kube {
    child: Child,
    pub(crate) url: String,
    machine: Machine,
    said: JoinHandle<String>,
    logged: JoinHandle<String>,
}

impl Kube {
    fn start(machine: Machine) -> Self {
        let turn = format!("{}:3478", machine.address());
        Self::start_with(machine, &turn)
    }

    /// With TURN there, or `off`.
    fn start_with(machine: Machine, turn: &str) -> Self {
        // Of the same build; tests of the workspace build all its programs.
        let program = Path::new(env!("CARGO_BIN_EXE_halo")).with_file_name("kube");
        assert!(program.exists(), "{} is missing: build the whole workspace", program.display());
        let listen = format!("{}:47180", machine.address());
        let data = tempfile::tempdir().unwrap().keep();
        let mut child = machine
            .command(program)
            .args(["serve", "--listen", &listen, "--turn", turn, "--turn-allow-private", "--data"])
            .arg(data)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        let (said, logged) = (rest_of(output), rest_of(child.stderr.take().unwrap()));
        Self { child, url: ready["signal_url"].as_str().unwrap().to_owned(), machine, said, logged }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its `/metrics`, with the head of the answer.
    pub(crate) fn metrics(&self) -> String {
        let ask = format!(
            "exec 3<>/dev/tcp/{}/47180; printf 'GET /metrics HTTP/1.1\\r\\nHost: kube\\r\\n\\r\\n' >&3; cat <&3",
            self.machine.address()
        );
        let output = self.machine.command("bash").args(["-c", &ask]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    /// A number of its `/metrics`.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let page = self.metrics();
        let line = page.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("{name} is not in {page}")).parse().unwrap()
    }
}

impl Kube {
    /// Ends it as a service manager would. What it ever said, and what it logged.
    pub(crate) fn end(mut self) -> (String, String) {
        let sent = Command::new("kill").arg(self.pid().to_string()).status().unwrap();
        assert!(sent.success() && self.child.wait().unwrap().success());
        let heard = |thread: &mut JoinHandle<String>| {
            std::mem::replace(thread, std::thread::spawn(String::new)).join().unwrap()
        };
        (heard(&mut self.said), heard(&mut self.logged))
    }
}

impl Drop for Kube {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads beside, so that nobody waits for room to write.
fn rest_of(mut output: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut text = String::new();
        output.read_to_string(&mut text).unwrap();
        text
    })
}

/// A device: its machine, its profile, its daemon.
pub(crate) struct Device {
    pub(crate) world: World,
    pub(crate) daemon: Option<Daemon>,
    options: Vec<String>,
    pub(crate) machine: Machine,
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

    pub(crate) fn put(&self, space: &str, title: &str, length: usize) {
        let data = json!({"title": title, "text": "x".repeat(length)}).to_string();
        self.world.json(&[&["items", "put", &data, "--space", space], &KIND[..]].concat());
    }

    /// None before the space itself is here.
    pub(crate) fn count(&self, space: &str) -> usize {
        let listed = self.world.run(&["--json", "items", "list", "--space", space]);
        if listed.ok() { listed.json().as_array().unwrap().len() } else { 0 }
    }

    /// Waits until so many items are here: looks again whenever something was heard of other devices.
    pub(crate) fn has(&self, space: &str, count: usize) {
        let mut watch = States::start(&self.world, &["sync", "status", "--watch"]);
        watch.find(&format!("{count} items"), |_| self.count(space) >= count);
    }

    /// Waits until bytes go this way to the one other device.
    pub(crate) fn goes(&self, path: &str) {
        let mut watch = States::start(&self.world, &["sync", "status", "--watch"]);
        watch.find(path, |status| status["peers"][0]["path"] == path);
    }

    fn state(&self) -> String {
        self.world.json(&["status"])["state"].as_str().unwrap().to_owned()
    }

    pub(crate) fn devices(&self) -> Vec<Value> {
        self.world.json(&["devices", "list"]).as_array().unwrap().clone()
    }
}

/// The user's old device, with a space of one note, and the new one.
pub(crate) struct Household {
    pub(crate) ada: Device,
    pub(crate) new: Device,
    pub(crate) kube: Option<Kube>,
    pub(crate) space: String,
    _network: Network,
}

impl Household {
    /// With a KUBE, and without looking around in the local network.
    pub(crate) fn new() -> Self {
        let mut network = Network::new();
        let (a, b) = (network.machine(), network.machine());
        Self::on(network, a, b)
    }

    /// Both devices behind a bad line.
    fn behind(line: Line) -> Self {
        let mut network = Network::new();
        let (a, b) = (network.machine_behind(line), network.machine_behind(line));
        Self::on(network, a, b)
    }

    /// With a KUBE that introduces, and does nothing else. The devices' addresses are like nothing else in memory.
    pub(crate) fn without_turn() -> Self {
        let mut network = Network::new();
        let [a, b] =
            [[198, 51, 100, 171], [203, 0, 113, 235]].map(|address| network.machine_at(address.into()));
        Self::with(Kube::start_with(network.machine(), "off"), network, a, b)
    }

    fn on(mut network: Network, a: Machine, b: Machine) -> Self {
        let kube = Kube::start(network.machine());
        Self::with(kube, network, a, b)
    }

    fn with(kube: Kube, network: Network, a: Machine, b: Machine) -> Self {
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
        ada.world.json(&["init", "--name", OWNER]);
        ada.start();
        new.start();
        let made = ada.world.json(&["spaces", "create", "--name", SPACE]);
        let space = made["id"].as_str().unwrap().to_owned();
        ada.put(&space, "first", 10);
        Self { ada, new, kube, space, _network: network }
    }

    /// An invitation: what the host says of it, and the link.
    pub(crate) fn invite(&self) -> (States, String) {
        let mut host = States::start(&self.ada.world, &["devices", "invite"]);
        let url = host.next().unwrap()["url"].as_str().unwrap().to_owned();
        (host, url)
    }

    pub(crate) fn join(&self, url: &str) -> States {
        States::start(&self.new.world, &["devices", "join", url, "--name", LABEL])
    }

    /// Both ends with the digits on one screen, asked for on the other.
    pub(crate) fn meet(&self) -> (States, States, String) {
        let (mut host, url) = self.invite();
        let mut guest = self.join(&url);
        let code = guest.until("READY_FOR_AUTHENTICATION")["code"].as_str().unwrap().to_owned();
        host.until("READY_FOR_AUTHENTICATION");
        (host, guest, code)
    }

    /// Invite, join by the link, six digits, in step.
    pub(crate) fn link(&self) {
        let (mut host, guest, code) = self.meet();
        host.types(&code);
        host.until("SUCCESS");
        assert_eq!((host.end(), guest.end()), (0, 0));
        self.is_linked();
    }

    /// What must hold once a device was let in.
    fn is_linked(&self) {
        self.new.has(&self.space, 1);
        assert_eq!(self.new.world.json(&["identity", "show"])["name"], OWNER);
        assert_eq!(self.new.world.json(&["spaces", "list"])[0]["name"], SPACE);
    }

    /// Something new on each is on the other.
    pub(crate) fn talk(&self) {
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

/// Between the two everything takes 100 ms and crosses two lines.
const BAD: Line = Line { delay: Duration::from_millis(50), lost: 5 };

#[test]
fn over_lines_that_delay_and_lose_a_device_is_linked_and_in_step() {
    let home = Household::behind(BAD);
    home.link();
    home.talk();
    assert_eq!(home.ada.devices().len(), 2);
}

#[test]
fn over_lines_that_delay_and_lose_the_relay_is_enough() {
    let home = Household::behind(BAD);
    home.ada.machine.drop_udp();
    home.new.machine.drop_udp();
    home.link();
    home.talk();
    home.ada.goes("relay");
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

/// So slow that what answers a word comes long after a test has seen what the word led to.
const SLOW: Line = Line { delay: Duration::from_millis(600), lost: 0 };

#[test]
fn an_old_device_that_restarts_while_the_new_one_proves_its_keys_invites_again() {
    let mut home = Household::behind(Line::default());
    let (mut host, url) = home.invite();
    home.new.machine.set_line(SLOW);
    let mut guest = home.join(&url);
    host.until("CONNECTED");
    home.ada.restart();
    assert_ne!(host.end(), 0);
    home.new.machine.set_line(Line::default());
    guest.until("CONNECTING");
    guest.interrupt();
    assert_ne!(guest.end(), 0);
    another_one_does(&home);
}

#[test]
fn a_new_device_that_restarts_before_its_digits_are_there_joins_again() {
    let mut home = Household::behind(Line::default());
    let (_host, url) = home.invite();
    home.new.machine.set_line(SLOW);
    let mut guest = home.join(&url);
    guest.until("CONNECTED");
    home.new.restart();
    assert_ne!(guest.end(), 0);
    home.new.machine.set_line(Line::default());
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

impl Household {
    /// The cable is pulled once a part of the admission has come to the new device: neither end gets any further.
    fn half_admitted() -> (Self, States, States) {
        let home = Self::behind(Line::default());
        // More to say than is said before the new device has answered.
        let picture = home.ada.world.home().join("picture.png");
        for number in 0..100_u8 {
            let bytes = [b"\x89PNG\r\n\x1a\n".as_slice(), &[number; 8_000]].concat();
            std::fs::write(&picture, bytes).unwrap();
            home.ada.world.json(&["identity", "set", "--avatar", picture.to_str().unwrap()]);
        }
        let (mut host, mut guest, code) = home.meet();
        home.new.machine.set_line(SLOW);
        host.types(&code);
        host.until("AUTHENTICATING");
        let of = |said: &Value, what: &str| said["progress"][what].as_u64().unwrap_or_default();
        let some = |said: &Value| (1..of(said, "total")).contains(&of(said, "done"));
        guest.find("a part of the admission", |said| said["state"] == "AUTHENTICATING" && some(said));
        home.new.machine.cut();
        (home, host, guest)
    }
}

#[test]
fn a_new_device_that_restarts_with_half_an_admission_is_none() {
    let (mut home, host, guest) = Household::half_admitted();
    home.new.restart();
    drop((host, guest));
    assert_eq!(home.new.state(), "empty");
    home.new.machine.heal();
    home.new.machine.set_line(Line::default());
    for open in home.ada.world.json(&["invitations", "list"]).as_array().unwrap() {
        home.ada.world.run(&["--json", "invitations", "cancel", open["invitation_id"].as_str().unwrap()]);
    }
    in_or_out(&home);
}

#[test]
fn an_old_device_that_restarts_with_half_an_admission_said_lets_the_new_one_in_anew() {
    let (mut home, host, mut guest) = Household::half_admitted();
    home.ada.restart();
    assert_ne!(host.end(), 0);
    home.new.machine.heal();
    home.new.machine.set_line(Line::default());
    guest.until("CONNECTING");
    guest.interrupt();
    assert_ne!(guest.end(), 0);
    assert_eq!(home.new.state(), "empty");
    in_or_out(&home);
}

#[test]
fn an_old_device_that_restarts_before_the_new_one_hears_that_it_is_in_has_let_it_in_or_not() {
    let mut home = Household::new();
    let (mut host, guest, code) = home.meet();
    home.new.machine.cut();
    host.types(&code);
    host.until("AUTHENTICATING");
    home.ada.restart();
    assert_ne!(host.end(), 0);
    // What was said is on its way, though nobody stands behind it any more.
    home.new.machine.heal();
    ends_with_success_or_alone(guest);
    in_or_out(&home);
}

/// The new device has all of the admission, or notices that it is alone, and gives up.
fn ends_with_success_or_alone(mut guest: States) {
    let end = guest.find("the end of it", |said| said["state"] == "SUCCESS" || said["state"] == "CONNECTING");
    if end["state"] == "CONNECTING" {
        guest.interrupt();
        assert_ne!(guest.end(), 0);
    }
}

#[test]
fn a_new_device_that_restarts_while_it_is_let_in_is_in_or_out() {
    let mut home = Household::new();
    let (mut host, mut guest, code) = home.meet();
    host.types(&code);
    guest.until("AUTHENTICATING");
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
    let (mut host, guest, code) = home.meet();
    host.types(&code);
    host.until("AUTHENTICATING");
    home.ada.restart();
    ends_with_success_or_alone(guest);
    in_or_out(&home);
}
