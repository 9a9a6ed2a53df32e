//! Headers that say where a client is: nobody who is no trusted proxy can say that they are somebody else.
#![no_main]

use std::net::{IpAddr, Ipv4Addr};

use libfuzzer_sys::fuzz_target;
use tenantry_core::network::{Networks, client_address};

fuzz_target!(|input: (&str, u32, &str)| {
    let (headers, peer, list) = input;
    let proxies = Networks::parse(&["10.0.0.0/8", "::1"]).unwrap();
    let values = || headers.split('\n');
    let stranger = IpAddr::V4(Ipv4Addr::from(peer));
    let seen = client_address(stranger, values(), &proxies);
    if !proxies.contain(stranger) {
        assert_eq!(seen, Some(stranger));
    }
    // Behind a proxy that adds the true address at the end, whatever comes before counts for nothing.
    let truth: IpAddr = Ipv4Addr::new(203, 0, 113, 9).into();
    let proxy: IpAddr = Ipv4Addr::new(10, 0, 0, 1).into();
    let appended = format!("{headers}, {truth}");
    assert_eq!(client_address(proxy, appended.split('\n'), &proxies), Some(truth));
    let texts: Vec<&str> = list.split(',').collect();
    if let Ok(networks) = Networks::parse(&texts) {
        let shown: Vec<String> = networks.iter().map(|network| network.to_string()).collect();
        assert_eq!(Networks::parse(&shown).as_ref(), Ok(&networks));
        assert!(networks.within(&networks));
    }
});
