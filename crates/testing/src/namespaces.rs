//! Machines on a network of their own: Linux network namespaces, joined by a bridge. Needs root, `ip` and `iptables`.
//!
//! ```no_run
//! use halo_testing::namespaces::Network;
//!
//! let mut network = Network::new();
//! let (a, b) = (network.machine(), network.machine());
//! let mut daemon = a.command("halo").arg("daemon").spawn().unwrap();
//! a.drop_udp_with(&b);
//! a.heal();
//! daemon.kill().unwrap();
//! ```

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use tempfile::TempDir;

static NETWORKS: AtomicU32 = AtomicU32::new(0);

/// What carries frames over a [`Line`].
static CARRIER: LazyLock<(TempDir, PathBuf)> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    let (source, program) = (dir.path().join("line.c"), dir.path().join("line"));
    std::fs::write(&source, include_str!("line.c")).unwrap();
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    run(&compiler, &["-O1", "-o", program.to_str().unwrap(), source.to_str().unwrap()]);
    (dir, program)
});

/// What a line between a machine and its network is like: the only way there is, for every kind of packet.
#[derive(Debug, Clone, Copy, Default)]
pub struct Line {
    /// How much later everything arrives, each way.
    pub delay: Duration,
    /// How many of a hundred packets never do, each way, by chance.
    pub lost: u8,
}

/// A network. Dropping it removes its namespaces; processes in them should have ended.
pub struct Network {
    name: String,
    machines: u8,
    lines: Vec<Child>,
}

/// A machine of a network, with one address on it.
pub struct Machine {
    namespace: String,
    address: Ipv4Addr,
    line: Option<Mutex<(ChildStdin, BufReader<ChildStdout>)>>,
}

impl Network {
    /// A network without machines.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it makes something in the kernel")]
    pub fn new() -> Self {
        let number = NETWORKS.fetch_add(1, Ordering::Relaxed);
        let name = format!("halo-{}-{number}", std::process::id());
        run("ip", &["netns", "add", &name]);
        run("ip", &["-n", &name, "link", "add", "bridge", "type", "bridge"]);
        run("ip", &["-n", &name, "link", "set", "bridge", "up"]);
        Self { name, machines: 0, lines: Vec::new() }
    }

    /// Another machine: 10.77.0.1, 10.77.0.2, and so on.
    pub fn machine(&mut self) -> Machine {
        self.machine_at(Ipv4Addr::new(10, 77, 0, self.machines + 1))
    }

    /// Another machine, with an address that is told apart from everything else.
    pub fn machine_at(&mut self, address: Ipv4Addr) -> Machine {
        self.machines += 1;
        let (namespace, port) =
            (format!("{}-{}", self.name, self.machines), format!("port{}", self.machines));
        run("ip", &["netns", "add", &namespace]);
        run(
            "ip",
            &[
                "link", "add", "eth0", "netns", &namespace, "type", "veth", "peer", "name", &port, "netns",
                &self.name,
            ],
        );
        run("ip", &["-n", &self.name, "link", "set", &port, "master", "bridge", "up"]);
        run("ip", &["-n", &namespace, "address", "add", &format!("{address}/24"), "dev", "eth0"]);
        run("ip", &["-n", &namespace, "link", "set", "lo", "up"]);
        run("ip", &["-n", &namespace, "link", "set", "eth0", "up"]);
        // Whatever looks for its own address asks for the way to the world.
        run("ip", &["-n", &namespace, "route", "add", "default", "dev", "eth0"]);
        Machine { namespace, address, line: None }
    }

    /// A machine that reaches the others over such a line.
    pub fn machine_behind(&mut self, line: Line) -> Machine {
        let mut machine = self.machine();
        let (name, carrier) = (&self.name, CARRIER.1.to_str().unwrap());
        let names = ["port", "line", "slot"].map(|what| format!("{what}{}", self.machines));
        let [port, line_end, slot] = names.each_ref().map(String::as_str);
        run("ip", &["-n", name, "link", "set", port, "nomaster"]);
        run("ip", &["-n", name, "link", "add", line_end, "type", "veth", "peer", "name", slot]);
        run("ip", &["-n", name, "link", "set", slot, "master", "bridge", "up"]);
        run("ip", &["-n", name, "link", "set", line_end, "up"]);
        run("ip", &["netns", "exec", &machine.namespace, carrier, "plain", "eth0"]);
        run("ip", &["netns", "exec", name, carrier, "plain", slot]);
        let mut child = Command::new("ip")
            .args(["netns", "exec", name, carrier, "between", port, line_end])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        machine.line = Some(Mutex::new((input, BufReader::new(output))));
        self.lines.push(child);
        machine.set_line(line);
        machine
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for mut line in self.lines.drain(..) {
            let _ = line.kill();
            let _ = line.wait();
        }
        for number in 1..=self.machines {
            quietly("ip", &["netns", "delete", &format!("{}-{number}", self.name)]);
        }
        quietly("ip", &["netns", "delete", &self.name]);
    }
}

impl Machine {
    /// Its address.
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// What comes before a command so that it runs on it.
    #[must_use]
    pub fn prefix(&self) -> [&str; 4] {
        ["ip", "netns", "exec", &self.namespace]
    }

    /// A command that runs on it.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace]).arg(program);
        command
    }

    /// Gives it another address, to which nobody finds the way.
    pub fn add_address(&self, address: Ipv4Addr) {
        run("ip", &["-n", &self.namespace, "address", "add", &format!("{address}/32"), "dev", "eth0"]);
    }

    /// Makes its line another one; it must be behind one.
    pub fn set_line(&self, line: Line) {
        let mut ends = self.line.as_ref().unwrap().lock().unwrap();
        writeln!(ends.0, "{} {}", line.delay.as_millis(), line.lost).unwrap();
        let mut said = String::new();
        ends.1.read_line(&mut said).unwrap();
        assert_eq!(said, "ready\n");
    }

    /// Drops UDP between it and another machine.
    pub fn drop_udp_with(&self, other: &Self) {
        let other = other.address.to_string();
        self.rule(&["-A", "OUTPUT", "-p", "udp", "-d", &other, "-j", "DROP"]);
        self.rule(&["-A", "INPUT", "-p", "udp", "-s", &other, "-j", "DROP"]);
    }

    /// Drops all UDP of it, except within itself.
    pub fn drop_udp(&self) {
        self.rule(&["-A", "OUTPUT", "-p", "udp", "!", "-o", "lo", "-j", "DROP"]);
        self.rule(&["-A", "INPUT", "-p", "udp", "!", "-i", "lo", "-j", "DROP"]);
    }

    /// Drops everything of it, except within itself: the cable is pulled.
    pub fn cut(&self) {
        self.rule(&["-A", "OUTPUT", "!", "-o", "lo", "-j", "DROP"]);
        self.rule(&["-A", "INPUT", "!", "-i", "lo", "-j", "DROP"]);
    }

    /// Takes back everything that was done to its network.
    pub fn heal(&self) {
        self.rule(&["-F"]);
    }

    fn rule(&self, arguments: &[&str]) {
        // Another process may hold the lock of the tables.
        run("ip", &[&["netns", "exec", &self.namespace, "iptables", "-w"], arguments].concat());
    }
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    let trouble = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {}: {trouble}", arguments.join(" "));
}

fn quietly(program: &str, arguments: &[&str]) {
    let mut command = Command::new(program);
    let _ = command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
}
