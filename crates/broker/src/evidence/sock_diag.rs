//! Asks Linux for one socket by its two ends (sock_diag(7)).
//!
//! `/proc/net/tcp` walks the kernel's whole table of connections, which takes ten milliseconds on an idle
//! machine with much memory; this is one look-up. Kernels without the `tcp_diag` module do not know it.

use std::net::{IpAddr, SocketAddr};

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with,
};

/// `SOCK_DIAG_BY_FAMILY` of `linux/sock_diag.h`: the type of request and answer.
const BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST` of `linux/netlink.h`.
const REQUEST: u16 = 1;
/// `IPPROTO_TCP`.
const TCP: u8 = 6;
/// `TCP_LISTEN` of `include/net/tcp_states.h`: where no connection fits, the kernel answers with the listener.
const LISTEN: u8 = 10;
/// `struct nlmsghdr` and `struct inet_diag_req_v2`.
const REQUEST_BYTES: u32 = 16 + 56;
/// Where the members of `struct inet_diag_msg` are in the answer, behind `struct nlmsghdr`.
const TYPE_AT: usize = 4;
const STATE_AT: usize = 17;
const PORTS_AT: usize = 20;
const UID_AT: usize = 80;
const INODE_AT: usize = 84;

/// Owner and inode of the socket whose own end is `local`.
///
/// `None` if there is none, or if this kernel cannot be asked.
pub(super) fn find(local: SocketAddr, remote: SocketAddr) -> Option<(u32, u64)> {
    let flags = SocketFlags::CLOEXEC;
    let asking =
        socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, Some(netlink::SOCK_DIAG)).ok()?;
    send(&asking, &request(local, remote), SendFlags::empty()).ok()?;
    let mut answer = [0; 512];
    // The kernel answers before `send` returns.
    let (_, length) = recv(&asking, &mut answer, RecvFlags::DONTWAIT).ok()?;
    read(answer.get(..length)?, local, remote)
}

fn request(local: SocketAddr, remote: SocketAddr) -> Vec<u8> {
    let family = match local.ip() {
        IpAddr::V4(_) => AddressFamily::INET,
        IpAddr::V6(_) => AddressFamily::INET6,
    };
    let mut bytes = Vec::with_capacity(72);
    bytes.extend(REQUEST_BYTES.to_ne_bytes());
    bytes.extend(BY_FAMILY.to_ne_bytes());
    bytes.extend(REQUEST.to_ne_bytes());
    bytes.extend([0; 8]); // sequence and port: there is one question and one answer
    bytes.extend([u8::try_from(family.as_raw()).unwrap_or_default(), TCP, 0, 0]);
    bytes.extend(u32::MAX.to_ne_bytes()); // any state
    bytes.extend(local.port().to_be_bytes());
    bytes.extend(remote.port().to_be_bytes());
    bytes.extend(address(local.ip()));
    bytes.extend(address(remote.ip()));
    bytes.extend([0; 4]); // any interface
    bytes.extend([0xff; 8]); // no cookie
    bytes
}

fn address(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V6(ip) => ip.octets(),
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        }
    }
}

fn read(answer: &[u8], local: SocketAddr, remote: SocketAddr) -> Option<(u32, u64)> {
    let word = |at: usize| Some(u32::from_ne_bytes(answer.get(at..at + 4)?.try_into().ok()?));
    let half = |at: usize| <[u8; 2]>::try_from(answer.get(at..at + 2)?).ok();
    if u16::from_ne_bytes(half(TYPE_AT)?) != BY_FAMILY || *answer.get(STATE_AT)? == LISTEN {
        return None;
    }
    let ports = (u16::from_be_bytes(half(PORTS_AT)?), u16::from_be_bytes(half(PORTS_AT + 2)?));
    if ports != (local.port(), remote.port()) {
        return None;
    }
    let inode = u64::from(word(INODE_AT)?);
    // A socket that its process has closed has no inode any more.
    (inode != 0).then_some((word(UID_AT)?, inode))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn only_a_connection_is_found_and_never_a_listener() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = listener.local_addr().unwrap();
        let client = TcpStream::connect(ours).unwrap();
        let theirs = client.local_addr().unwrap();
        let found = find(theirs, ours);
        if let Some((uid, _)) = found {
            assert_eq!(uid, rustix::process::geteuid().as_raw());
            assert_ne!(found, find(ours, theirs), "the two ends are two sockets");
        }
        let nobody: SocketAddr = "127.0.0.1:1".parse().unwrap();
        assert_eq!(find(ours, nobody), None, "the listener has no other end");
    }

    // threat: 21
    #[test]
    fn an_answer_of_another_form_is_no_answer() {
        let end: SocketAddr = "127.0.0.1:1".parse().unwrap();
        for length in [0, 4, 16, 20, 40, 80, 84, 88, 512] {
            assert_eq!(read(&vec![0; length], end, end), None);
            assert_eq!(read(&vec![20; length], end, end), None);
        }
    }
}
