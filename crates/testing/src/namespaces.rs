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
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

static NETWORKS: AtomicU32 = AtomicU32::new(0);

/// A network. Dropping it removes its namespaces; processes in them should have ended.
pub struct Network {
    name: String,
    machines: u8,
}

/// A machine of a network, with one address on it.
pub struct Machine {
    namespace: String,
    address: Ipv4Addr,
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
        Self { name, machines: 0 }
    }

    /// Another machine: 10.77.0.1, 10.77.0.2, and so on.
    pub fn machine(&mut self) -> Machine {
        self.machines += 1;
        let (namespace, port) =
            (format!("{}-{}", self.name, self.machines), format!("port{}", self.machines));
        let address = Ipv4Addr::new(10, 77, 0, self.machines);
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
        Machine { namespace, address }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
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

    /// Drops so many of a hundred packets to it, by chance.
    pub fn lose(&self, percent: u8) {
        let probability = format!("{:.2}", f64::from(percent) / 100.0);
        self.rule(&[
            "-A",
            "INPUT",
            "-m",
            "statistic",
            "--mode",
            "random",
            "--probability",
            &probability,
            "-j",
            "DROP",
        ]);
    }

    /// Delays what it sends; `false` where the kernel cannot (`netem` is a module).
    #[must_use]
    pub fn delay(&self, by: Duration) -> bool {
        let delay = format!("{}ms", by.as_millis());
        quietly(
            "tc",
            &["-n", &self.namespace, "qdisc", "replace", "dev", "eth0", "root", "netem", "delay", &delay],
        )
    }

    /// Takes back everything that was done to its network.
    pub fn heal(&self) {
        self.rule(&["-F"]);
        quietly("tc", &["-n", &self.namespace, "qdisc", "delete", "dev", "eth0", "root"]);
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

fn quietly(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
