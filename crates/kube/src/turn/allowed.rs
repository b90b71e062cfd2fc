//! Where TURN may send to.
//!
//! A relay stands inside somebody's network and sends what strangers ask it to. Without this list it is a way around
//! the firewall: to the machine's own services at 127.0.0.1, to a cloud's metadata at 169.254.169.254, to the
//! printers of the house (CVE-2020-26262 was loopback written as an IPv6 address in disguise). So only addresses that
//! the whole world can reach are allowed, in whichever notation they come.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What TURN may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Addresses of the public internet.
    Public,
    /// These and private and loopback ones: for a KUBE inside a network, and for tests.
    PrivateToo,
}

impl Reach {
    /// Whether a packet may go to, or come from, this address.
    pub(crate) fn allows(self, address: IpAddr) -> bool {
        let address = plain(address);
        if address.is_unspecified() || address.is_multicast() || address == IpAddr::V4(Ipv4Addr::BROADCAST) {
            return false;
        }
        match (self, address) {
            (Self::PrivateToo, _) => true,
            (Self::Public, IpAddr::V4(address)) => is_public_v4(address),
            (Self::Public, IpAddr::V6(address)) => is_public_v6(address),
        }
    }
}

/// An IPv4 address that travels inside an IPv6 one, taken out: mapped, compatible, NAT64, 6to4.
fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let [a, b, c, d, e, f, g, h] = v6.segments();
    let inside = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match (a, b, c, d, e, f) {
        (0, 0, 0, 0, 0, 0xffff) | (0x0064, 0xff9b, 0, 0, 0, 0) => inside(g, h),
        // `::` and `::1` are themselves; the rest is the old compatible notation.
        (0, 0, 0, 0, 0, 0) if g != 0 => inside(g, h),
        (0x2002, _, _, _, _, _) => inside(b, c),
        _ => address,
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || a == 0
        // Shared between a provider's customers (RFC 6598).
        || (a == 100 && (64..128).contains(&b))
        // Protocol assignments (RFC 6890), benchmarks (RFC 2544), the reserved class E.
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (b == 18 || b == 19))
        || a >= 240)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    // Global unicast is 2000::/3; everything else is loopback, local, or not assigned.
    (a & 0xe000) == 0x2000 && !(a == 0x2001 && (b == 0x0db8 || b < 0x0200))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    // threat: 41
    #[test]
    fn nothing_private_is_reached_in_any_notation() {
        for text in [
            "127.0.0.1",
            "127.8.8.8",
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.251",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
            "2002:c0a8:101::1",
            "fe80::1",
            "fc00::1",
            "fd12:3456::1",
            "ff02::fb",
            "2001:db8::1",
            "2001:0:7f00:1::1",
        ] {
            assert!(!Reach::Public.allows(address(text)), "{text} is not public");
        }
    }

    #[test]
    fn the_public_internet_is_reached() {
        for text in
            ["1.1.1.1", "172.32.0.1", "100.128.0.1", "198.20.0.1", "2606:4700::1111", "::ffff:1.1.1.1"]
        {
            assert!(Reach::Public.allows(address(text)), "{text} is public");
        }
    }

    #[test]
    fn private_addresses_are_reached_only_when_asked_for_and_nobody_reaches_a_crowd() {
        for text in ["127.0.0.1", "10.0.0.1", "::1", "fd00::1"] {
            assert!(Reach::PrivateToo.allows(address(text)), "{text} was asked for");
        }
        for text in ["224.0.0.251", "255.255.255.255", "0.0.0.0", "ff02::1", "::ffff:224.0.0.1"] {
            assert!(!Reach::PrivateToo.allows(address(text)), "{text} would reach many");
        }
    }
}
