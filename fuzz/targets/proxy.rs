//! PROXY headers: cut anywhere a header is the same, it ends within what has come, and what was written is read back.
#![no_main]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use libfuzzer_sys::fuzz_target;
use posthouse::proxy_protocol::{MAX_LEN, Parsed, Source, parse};

/// Cuts that are tried one by one.
const CUTS: usize = 320;

fn read(octets: &[u8]) {
    let whole = parse(octets);
    if let Ok(Parsed::Complete { len, .. }) = whole {
        assert!(0 < len && len <= octets.len() && len <= MAX_LEN);
        assert_eq!(parse(octets.get(..len).expect("it ends within")), whole);
        let shorter = octets.get(..len - 1).expect("it ends within");
        assert_eq!(parse(shorter), Ok(Parsed::Incomplete));
    }
    if whole == Ok(Parsed::Incomplete) {
        assert!(octets.len() < MAX_LEN, "it is waited for without end");
    }
    // What has been decided of a beginning is decided of the whole.
    for cut in 0..octets.len().min(CUTS) {
        let beginning = parse(octets.get(..cut).expect("it is a beginning"));
        if beginning != Ok(Parsed::Incomplete) {
            assert_eq!(beginning, whole);
        }
    }
}

/// Writes headers of both versions, and reads them.
fn write(octets: &[u8]) {
    let Some((numbers, tail)) = octets.split_first_chunk::<36>() else {
        return;
    };
    let word = |at: usize| u16::from_be_bytes([numbers[at], numbers[at + 1]]);
    let long = |at: usize| <[u8; 16]>::try_from(&numbers[at..at + 16]).expect("16 octets");
    let short = |at: usize| <[u8; 4]>::try_from(&numbers[at..at + 4]).expect("4 octets");
    let (from, to) = (word(32), word(34));
    let v4 = (
        IpAddr::from(Ipv4Addr::from(short(0))),
        IpAddr::from(Ipv4Addr::from(short(4))),
    );
    let v6 = (
        IpAddr::from(Ipv6Addr::from(long(0))),
        IpAddr::from(Ipv6Addr::from(long(16))),
    );
    for ((source, target), line, family) in [(v4, "TCP4", 0x11), (v6, "TCP6", 0x21)] {
        let is = Source::Client(SocketAddr::new(source.to_canonical(), from));
        let text = format!("PROXY {line} {source} {target} {from} {to}\r\n");
        check(text.as_bytes(), tail, is);
        let mut rest = Vec::new();
        for address in [source, target] {
            match address {
                IpAddr::V4(address) => rest.extend(address.octets()),
                IpAddr::V6(address) => rest.extend(address.octets()),
            }
        }
        rest.extend([from.to_be_bytes(), to.to_be_bytes()].concat());
        // Behind the addresses a balancer may say more.
        rest.extend(tail.iter().take(64));
        let length = u16::try_from(rest.len())
            .expect("it is short")
            .to_be_bytes();
        let binary = [b"\r\n\r\n\0\r\nQUIT\n\x21", &[family][..], &length, &rest].concat();
        check(&binary, tail, is);
    }
}

fn check(header: &[u8], tail: &[u8], source: Source) {
    let len = header.len();
    let octets = [header, tail].concat();
    assert_eq!(parse(&octets), Ok(Parsed::Complete { source, len }));
    assert_eq!(parse(&octets[..len - 1]), Ok(Parsed::Incomplete));
}

fuzz_target!(|octets: &[u8]| {
    read(octets);
    write(octets);
});
