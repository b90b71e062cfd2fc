//! Asks Linux which process owns the other end of a loopback connection.
//!
//! [`sock_diag`] says owner and inode of a socket; where the kernel lacks it, `/proc/net/tcp{,6}` has one line
//! a socket (proc_pid_net(5)). `/proc/PID/fd` has a link `socket:[inode]` for each socket a process holds. A socket can be held by several processes; where
//! those run different programs we cannot say who wrote, so nobody is named.
//!
//! A process id can be used again. The start time of a process, in clock ticks since boot, tells two
//! processes of one id apart: it is read first, and compared after everything else was read.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use halo_wallet::Process;

use super::{Attribution, Kernel, Owner, is_browser, sock_diag};

/// Field 22 of `/proc/PID/stat` is the start time; the second field may contain anything, so we count from
/// the last `)`.
const START_AFTER_NAME: usize = 19;
/// `TCP_LISTEN` of `include/net/tcp_states.h`.
const LISTEN: &str = "0A";

impl Attribution for Kernel {
    fn owner(&self, theirs: SocketAddr, ours: SocketAddr) -> Owner {
        let (theirs, ours) = (canonical(theirs), canonical(ours));
        let found = sock_diag::find(theirs, ours).or_else(|| in_table(theirs, ours));
        let Some((uid, inode)) = found else { return Owner::Unsure };
        if uid != me() {
            return Owner::OtherUser;
        }
        holder(inode).map_or(Owner::Unsure, Owner::Process)
    }

    fn listener(&self, port: u16) -> Option<Process> {
        let mut inodes = Vec::new();
        each_socket(|socket| {
            let reachable = socket.local.ip().is_loopback() || socket.local.ip().is_unspecified();
            if socket.listens && socket.local.port() == port && reachable && socket.uid == me() {
                inodes.push(socket.inode);
            }
        });
        let mut processes = inodes.into_iter().map(holder);
        let first = processes.next()??;
        // One program often listens on 127.0.0.1 and on [::1]; two programs cannot be told apart.
        processes.all(|other| other.is_some_and(|other| other.path == first.path)).then_some(first)
    }

    fn process(&self, pid: u32) -> Owner {
        read_process(pid).map_or(Owner::Unsure, Owner::Process)
    }

    fn is_still(&self, process: &Process) -> bool {
        read_process(process.pid).is_some_and(|now| now == *process)
    }
}

/// The one socket with these two ends.
fn in_table(local: SocketAddr, remote: SocketAddr) -> Option<(u32, u64)> {
    let mut found = Vec::new();
    each_socket(|socket| {
        if socket.local == local && socket.remote == remote {
            found.push((socket.uid, socket.inode));
        }
    });
    if let [one] = found.as_slice() { Some(*one) } else { None }
}

fn me() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// One line of `/proc/net/tcp`.
struct Socket {
    local: SocketAddr,
    remote: SocketAddr,
    listens: bool,
    uid: u32,
    inode: u64,
}

fn each_socket(mut tell: impl FnMut(Socket)) {
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        // A machine without IPv6 has no second table.
        let Ok(text) = fs::read_to_string(table) else { continue };
        text.lines().skip(1).filter_map(parse_line).for_each(&mut tell);
    }
}

fn parse_line(line: &str) -> Option<Socket> {
    let mut fields = line.split_ascii_whitespace();
    let local = parse_address(fields.nth(1)?)?;
    let remote = parse_address(fields.next()?)?;
    let state = fields.next()?;
    let uid = fields.nth(3)?.parse().ok()?;
    let inode = fields.nth(1)?.parse().ok()?;
    Some(Socket { local, remote, listens: state == LISTEN, uid, inode })
}

/// `0100007F:B7E6`: the address as 32-bit words in the machine's byte order, the port as a number.
fn parse_address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    if !matches!(address.len(), 8 | 32) {
        return None;
    }
    let mut octets = Vec::with_capacity(16);
    for word in address.as_bytes().chunks(8) {
        let word = u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?;
        octets.extend(word.to_ne_bytes());
    }
    let address = match <[u8; 4]>::try_from(octets.as_slice()) {
        Ok(four) => IpAddr::V4(Ipv4Addr::from(four)),
        Err(_) => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(octets.as_slice()).ok()?)),
    };
    Some(canonical(SocketAddr::new(address, port)))
}

/// A socket of the IPv6 family may be connected over IPv4; both forms are the same place.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// The process of this user that holds a socket, if all that do run the same program.
fn holder(inode: u64) -> Option<Process> {
    let wanted = format!("socket:[{inode}]");
    let mut holders = Vec::new();
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        if !entry.metadata().is_ok_and(|metadata| metadata.uid() == me()) {
            continue;
        }
        let before = start_time(pid);
        if holds(pid, &wanted) {
            // Gone or replaced meanwhile: whoever it was, we cannot say.
            let process =
                read_process(pid).filter(|process| Some(process.started) == before && holds(pid, &wanted))?;
            holders.push(process);
        }
    }
    let first = holders.first()?.clone();
    holders
        .iter()
        .all(|other| other.path.is_some() && other.path == first.path || *other == first)
        .then_some(first)
}

fn holds(pid: u32, wanted: &str) -> bool {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    entries.flatten().any(|entry| fs::read_link(entry.path()).is_ok_and(|link| link == Path::new(wanted)))
}

fn read_process(pid: u32) -> Option<Process> {
    let started = start_time(pid)?;
    if !fs::metadata(format!("/proc/{pid}")).is_ok_and(|metadata| metadata.uid() == me()) {
        return None;
    }
    let link = fs::read_link(format!("/proc/{pid}/exe")).ok();
    let link = link.as_deref().and_then(Path::to_str);
    let comm = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    // The file a running program came from may have been replaced; then its path names another program.
    let path = link.filter(|link| !link.ends_with(" (deleted)")).map(str::to_owned);
    let name = path
        .as_deref()
        .and_then(|path| path.rsplit('/').next())
        .map_or_else(|| comm.trim().to_owned(), str::to_owned);
    let process = Process { pid, name, browser: link.is_some_and(is_browser), path, started };
    (start_time(pid) == Some(started)).then_some(process)
}

fn start_time(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_ascii_whitespace().nth(START_AFTER_NAME)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn the_process_behind_a_connection_is_found() {
        for host in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(host) else { continue };
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (server, _) = listener.accept().unwrap();
            let owner = Kernel.owner(client.local_addr().unwrap(), server.local_addr().unwrap());
            let Owner::Process(process) = owner else { panic!("{owner:?}") };
            assert_eq!(process.pid, std::process::id());
            assert_eq!(process.path.as_deref(), std::env::current_exe().unwrap().to_str());
            assert!(Kernel.is_still(&process));
            let port = listener.local_addr().unwrap().port();
            let ends = (client.local_addr().unwrap(), server.local_addr().unwrap());
            assert!(in_table(ends.0, ends.1).is_some(), "the table knows it as well");
            let asked = sock_diag::find(ends.0, ends.1);
            assert!(asked.is_none() || asked == in_table(ends.0, ends.1));
            assert_eq!(Kernel.listener(port).map(|process| process.pid), Some(std::process::id()));
        }
    }

    // threat: 20
    #[test]
    fn a_process_id_that_was_used_again_is_another_process() {
        let Owner::Process(process) = Kernel.process(std::process::id()) else { panic!("we are here") };
        assert!(Kernel.is_still(&process));
        assert!(!Kernel.is_still(&Process { started: process.started + 1, ..process.clone() }));
        assert!(!Kernel.is_still(&Process { path: Some("/usr/bin/other".into()), ..process }));
    }

    // threat: 4
    #[test]
    fn a_socket_that_two_programs_hold_belongs_to_nobody() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        let (theirs, ours) = (client.local_addr().unwrap(), server.local_addr().unwrap());
        let held = client.try_clone().unwrap();
        let mut other = std::process::Command::new("sleep")
            .arg("60")
            .stdin(std::os::fd::OwnedFd::from(held))
            .spawn()
            .unwrap();
        // The clone is the other's now; between fork and exec it still runs our own program.
        let owner = (0..1_000)
            .map(|_| Kernel.owner(theirs, ours))
            .find(|owner| *owner == Owner::Unsure)
            .unwrap_or(Owner::Unsupported);
        other.kill().unwrap();
        other.wait().unwrap();
        assert_eq!(owner, Owner::Unsure);
    }

    #[test]
    fn addresses_are_read_in_both_families() {
        let v4 = parse_address("0100007F:B806");
        let v6 = parse_address("00000000000000000000000001000000:B806");
        let mapped = parse_address("0000000000000000FFFF00000100007F:B806");
        if cfg!(target_endian = "little") {
            assert_eq!(v4, Some("127.0.0.1:47110".parse().unwrap()));
            assert_eq!(v6, Some("[::1]:47110".parse().unwrap()));
            assert_eq!(mapped, v4);
        }
        for bad in ["", ":", "zz:1", "0100007F", "01:0001", "0100007F:1FFFF"] {
            assert_eq!(parse_address(bad), None, "{bad}");
        }
    }
}
