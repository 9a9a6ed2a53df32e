//! Networks: from where a call may come, and which address a call comes from.
//!
//! An IPv4 address inside an IPv6 one is the IPv4 address: both spellings are one client.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// The most networks of one list.
pub const MOST_NETWORKS: usize = 10_000;

/// How many addresses of a `Forwarded` chain are looked at. Longer ones are nobody's.
const LONGEST_CHAIN: usize = 64;

/// A set of networks, for looking up addresses in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Networks {
    /// As they are shown: without host bits, in order, none inside another.
    shown: Vec<IpNet>,
    // First and last addresses, in order and apart from each other.
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

/// A text that names no network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadNetwork {
    /// Which of the texts it is.
    pub place: usize,
}

impl Networks {
    /// Reads networks in CIDR notation, or single addresses. Host bits are cleared, what is inside another network or named
    /// twice is dropped.
    ///
    /// # Errors
    /// [`BadNetwork`] for the first that is none.
    pub fn parse<T: AsRef<str>>(texts: &[T]) -> Result<Self, BadNetwork> {
        let read = |(place, text): (usize, &T)| network(text.as_ref()).ok_or(BadNetwork { place });
        let networks: Vec<IpNet> = texts.iter().enumerate().map(read).collect::<Result<_, _>>()?;
        Ok(Self::of(&networks))
    }

    fn of(networks: &[IpNet]) -> Self {
        let shown = IpNet::aggregate(&networks.to_vec());
        let mut own = Self { shown, ..Self::default() };
        for network in &own.shown {
            match network {
                IpNet::V4(net) => own.v4.push((u32::from(net.network()), u32::from(net.broadcast()))),
                IpNet::V6(net) => own.v6.push((u128::from(net.network()), u128::from(net.broadcast()))),
            }
        }
        own.v4.sort_unstable();
        own.v6.sort_unstable();
        own
    }

    /// Whether the address is in one of the networks.
    #[must_use]
    pub fn contain(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => within(&self.v4, u32::from(address)),
            IpAddr::V6(address) => within(&self.v6, u128::from(address)),
        }
    }

    /// Whether every address of these is one of `others`.
    #[must_use]
    pub fn within(&self, others: &Self) -> bool {
        self.shown.iter().all(|network| others.shown.iter().any(|other| other.contains(network)))
    }

    /// The networks in CIDR notation.
    pub fn iter(&self) -> impl Iterator<Item = impl fmt::Display> {
        self.shown.iter()
    }
}

fn within<T: Copy + Ord>(ranges: &[(T, T)], address: T) -> bool {
    let after = ranges.partition_point(|(first, _)| *first <= address);
    after.checked_sub(1).and_then(|place| ranges.get(place)).is_some_and(|(_, last)| address <= *last)
}

/// One network, an IPv4 one folded out of IPv6.
fn network(text: &str) -> Option<IpNet> {
    let text = text.trim();
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(IpNet::from(address.to_canonical()));
    }
    Some(match text.parse::<IpNet>().ok()?.trunc() {
        IpNet::V6(net) => mapped(net).map_or(IpNet::V6(net), IpNet::V4),
        net @ IpNet::V4(_) => net,
    })
}

fn mapped(net: Ipv6Net) -> Option<Ipv4Net> {
    let bits = net.prefix_len().checked_sub(96)?;
    Ipv4Net::new(net.network().to_ipv4_mapped()?, bits).ok()
}

/// The address of a client: the peer of the socket, unless that is a proxy that is trusted. Then it is the last hop of the
/// chain that is not. `forwarded` are the values of `X-Forwarded-For`, in the order of the headers.
///
/// `None`: a proxy that is trusted says something that is no address. Whoever it is, they are in no network.
#[must_use]
pub fn client_address<'a>(
    peer: IpAddr,
    forwarded: impl DoubleEndedIterator<Item = &'a str>,
    proxies: &Networks,
) -> Option<IpAddr> {
    let mut client = peer.to_canonical();
    if !proxies.contain(client) {
        return Some(client);
    }
    let hops = forwarded.rev().flat_map(|value| value.rsplit(','));
    for (seen, hop) in hops.enumerate() {
        if seen == LONGEST_CHAIN {
            return None;
        }
        client = address_of(hop.trim())?;
        if !proxies.contain(client) {
            return Some(client);
        }
    }
    Some(client)
}

/// An address with or without a port, brackets around an IPv6 one. Zones are no part of an address elsewhere.
fn address_of(hop: &str) -> Option<IpAddr> {
    let bracketed = || hop.strip_prefix('[')?.split_once(']')?.0.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    let with_port = || {
        let (address, port) = hop.split_once(':')?;
        port.parse::<u16>().ok()?;
        address.parse::<Ipv4Addr>().ok().map(IpAddr::V4)
    };
    hop.parse().ok().or_else(bracketed).or_else(with_port).map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn networks(texts: &[&str]) -> Networks {
        Networks::parse(texts).expect("networks")
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("address")
    }

    #[test]
    fn s44_lists_are_canonical() {
        let shown = |texts: &[&str]| networks(texts).iter().map(|net| net.to_string()).collect::<Vec<_>>();
        assert_eq!(shown(&["10.1.2.3/8", "10.0.0.0/8", "10.9.0.0/16"]), ["10.0.0.0/8"]);
        assert_eq!(shown(&["192.0.2.7", "2001:db8::1"]), ["192.0.2.7/32", "2001:db8::1/128"]);
        assert_eq!(shown(&["::ffff:192.0.2.0/120"]), ["192.0.2.0/24"]);
        assert_eq!(shown(&["0.0.0.0/0"]), ["0.0.0.0/0"]);
        for bad in
            ["", "10.0.0.0/33", "10.0.0", "fe80::1%eth0", "example.com", "10.0.0.0/-1", "1.2.3.4/24/5", "010.0.0.1"]
        {
            assert_eq!(Networks::parse(&["10.0.0.0/8", bad]), Err(BadNetwork { place: 1 }), "{bad}");
        }
    }

    #[test]
    fn spellings_of_one_address_are_one_client() {
        let list = networks(&["192.0.2.0/24", "2001:db8::/32"]);
        for inside in ["192.0.2.9", "::ffff:192.0.2.9", "2001:db8:1::1"] {
            assert!(list.contain(ip(inside)), "{inside}");
        }
        for outside in ["192.0.3.1", "::ffff:192.0.3.1", "2001:db9::1", "::192.0.2.9"] {
            assert!(!list.contain(ip(outside)), "{outside}");
        }
        assert!(!Networks::default().contain(ip("127.0.0.1")));
        assert!(networks(&["192.0.2.128/25"]).within(&list) && !networks(&["192.0.2.0/23"]).within(&list));
    }

    #[test]
    fn s41_nobody_says_where_they_come_from_but_trusted_proxies() {
        let proxies = networks(&["10.0.0.0/8"]);
        let client = |peer: &str, headers: &[&str]| client_address(ip(peer), headers.iter().copied(), &proxies);
        assert_eq!(client("203.0.113.5", &["192.0.2.1"]), Some(ip("203.0.113.5")));
        assert_eq!(client("::ffff:203.0.113.5", &["192.0.2.1"]), Some(ip("203.0.113.5")));
    }

    #[test]
    fn s42_the_last_hop_that_is_not_trusted_counts() {
        let proxies = networks(&["10.0.0.0/8", "::1/128"]);
        let client = |headers: &[&str]| client_address(ip("10.0.0.1"), headers.iter().copied(), &proxies);
        assert_eq!(client(&["198.51.100.1, 192.0.2.1, 203.0.113.5"]), Some(ip("203.0.113.5")));
        assert_eq!(client(&["198.51.100.1", "203.0.113.5, 10.0.0.2"]), Some(ip("203.0.113.5")));
        assert_eq!(client(&[]), Some(ip("10.0.0.1")));
        assert_eq!(client(&["10.0.0.3"]), Some(ip("10.0.0.3")));
        assert_eq!(client(&["203.0.113.5:4711, 10.0.0.9:80"]), Some(ip("203.0.113.5")));
        assert_eq!(client(&["[2001:db8::7]:443"]), Some(ip("2001:db8::7")));
        assert_eq!(client(&["2001:db8::7"]), Some(ip("2001:db8::7")));
        for garbage in ["", "unknown", "192.0.2.1, ", "fe80::1%eth0", "192.0.2.1 192.0.2.2", "192.0.2.1:x", "[::1"] {
            assert_eq!(client(&[garbage]), None, "{garbage}");
        }
        let long = vec!["10.0.0.7"; 1_000].join(",");
        assert_eq!(client(&[&long]), None);
    }

    proptest! {
        #[test]
        fn looking_up_equals_asking_each(nets in prop::collection::vec((any::<u32>(), 0_u8..=32), 0..20), address: u32, near in any::<prop::sample::Index>()) {
            let texts: Vec<_> = nets.iter().map(|(bits, len)| format!("{}/{len}", Ipv4Addr::from(*bits))).collect();
            let list = Networks::parse(&texts).expect("networks");
            let near = if nets.is_empty() { address } else { near.get(&nets).0 };
            for address in [address, near, near.wrapping_add(1)] {
                let address = Ipv4Addr::from(address);
                let slow = texts.iter().any(|text| text.parse::<Ipv4Net>().expect("net").contains(&address));
                prop_assert_eq!(list.contain(IpAddr::V4(address)), slow);
            }
        }
    }
}
