//! The PROXY protocol, versions 1 and 2 (haproxy.org, *The PROXY protocol*, revision of 2020): the header by which a load
//! balancer tells whose connection it passes on.
//!
//! Reads the header and nothing behind it. Who may send one, and how long it is waited for, is the listener's affair;
//! what else version 2 can tell (TLVs: TLS to the balancer, names, checksums) is passed over.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What the first octets of a connection came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Parsed {
    /// The header is whole; what follows its octets is the client's.
    Complete {
        /// Whose connection it is.
        source: Source,
        /// How many octets the header has.
        len: usize,
    },
    /// All octets so far belong to the header, and more of them must come.
    Incomplete,
}

/// Whose connection it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Source {
    /// A client's, at this address; IPv4 as such.
    Client(SocketAddr),
    /// The balancer's own, as when it looks whether the server is alive (LOCAL), or somebody's whose address it cannot
    /// tell (UNKNOWN, UNSPEC, a Unix socket, datagrams): the address of the connection counts.
    Sender,
}

/// Why octets are no header.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum HeaderError {
    /// An address or port is malformed, or shorter than its family needs.
    #[error("the header has a malformed address")]
    Address,
    /// The command of version 2 is neither LOCAL nor PROXY.
    #[error("the header has an unknown command")]
    Command,
    /// The family of addresses, or the transport, is unknown.
    #[error("the header has an unknown family of addresses")]
    Family,
    /// It begins like none.
    #[error("the connection does not begin with a PROXY header")]
    Missing,
    /// It is longer than a header of version 1 can be, or than [`MAX_LEN`].
    #[error("the header is too long")]
    TooLong,
    /// It has the signature of version 2 and is of another version.
    #[error("the header is of an unknown version")]
    Version,
}

/// The longest header that is taken, in octets. Addresses take 232 at most; a balancer may add TLVs, and a client's
/// certificate among them.
pub const MAX_LEN: usize = 16 << 10;

/// Reads the header at the start of `octets`.
///
/// # Errors
/// [`HeaderError`] as soon as no octets that could follow would make it a header.
pub fn parse(octets: &[u8]) -> Result<Parsed, HeaderError> {
    if is_start_of(octets, VERSION_2) {
        version_2(octets)
    } else if is_start_of(octets, VERSION_1) {
        version_1(octets)
    } else {
        Err(HeaderError::Missing)
    }
}

const VERSION_1: &[u8] = b"PROXY ";
const VERSION_2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Version 1 with its CRLF (section 2.1).
const MAX_LINE: usize = 107;

/// Version 2 up to its length (section 2.2).
const FIXED: usize = 16;

/// Returns whether `octets` have `signature` at their start, or are the start of it.
fn is_start_of(octets: &[u8], signature: &[u8]) -> bool {
    octets
        .iter()
        .zip(signature)
        .all(|(one, other)| one == other)
}

fn version_1(octets: &[u8]) -> Result<Parsed, HeaderError> {
    let here = octets.get(..MAX_LINE).unwrap_or(octets);
    let Some(end) = here.iter().position(|&octet| octet == b'\n') else {
        return if here.len() < MAX_LINE {
            Ok(Parsed::Incomplete)
        } else {
            Err(HeaderError::TooLong)
        };
    };
    let line = here.get(..end).and_then(|line| line.strip_suffix(b"\r"));
    let line = line.and_then(|line| str::from_utf8(line).ok());
    Ok(Parsed::Complete {
        source: line_source(line.ok_or(HeaderError::Address)?)?,
        len: end + 1,
    })
}

/// Reads `PROXY TCP4 192.0.2.1 198.51.100.1 56324 587`.
fn line_source(line: &str) -> Result<Source, HeaderError> {
    let mut words = line.split(' ').skip(1);
    let family = words.next().unwrap_or_default();
    // Behind UNKNOWN anything may stand.
    if family == "UNKNOWN" {
        return Ok(Source::Sender);
    }
    let mut word = || words.next().ok_or(HeaderError::Address);
    let (source, target) = (word()?, word()?);
    let (source_port, target_port) = (port(word()?)?, port(word()?)?);
    let address = match family {
        "TCP4" => same::<Ipv4Addr>(source, target)?,
        "TCP6" => same::<Ipv6Addr>(source, target)?,
        _ => return Err(HeaderError::Family),
    };
    let (_, None) = (target_port, words.next()) else {
        return Err(HeaderError::Address);
    };
    Ok(client(address, source_port))
}

/// Reads both addresses, of one family, and returns the first.
fn same<T: std::str::FromStr + Into<IpAddr>>(
    source: &str,
    target: &str,
) -> Result<IpAddr, HeaderError> {
    match (source.parse::<T>(), target.parse::<T>()) {
        (Ok(source), Ok(_)) => Ok(source.into()),
        (_, _) => Err(HeaderError::Address),
    }
}

fn port(word: &str) -> Result<u16, HeaderError> {
    let is_number = word.bytes().all(|octet| octet.is_ascii_digit());
    let is_padded = word.len() > 1 && word.starts_with('0');
    let number = word.parse().ok().filter(|_| is_number && !is_padded);
    number.ok_or(HeaderError::Address)
}

fn version_2(octets: &[u8]) -> Result<Parsed, HeaderError> {
    let Some(&command) = octets.get(12) else {
        return Ok(Parsed::Incomplete);
    };
    let is_local = match (command >> 4, command & 0xf) {
        (2, 0) => true,
        (2, 1) => false,
        (2, _) => return Err(HeaderError::Command),
        (_, _) => return Err(HeaderError::Version),
    };
    let Some((&family, length)) = octets.get(13).zip(array(octets, 14)) else {
        return Ok(Parsed::Incomplete);
    };
    let len = FIXED + usize::from(u16::from_be_bytes(length));
    if len > MAX_LEN {
        return Err(HeaderError::TooLong);
    }
    let Some(header) = octets.get(..len) else {
        return Ok(Parsed::Incomplete);
    };
    let source = if is_local {
        // Its addresses mean nothing (section 2.2).
        Source::Sender
    } else {
        binary_source(family, header)?
    };
    Ok(Parsed::Complete { source, len })
}

fn binary_source(family: u8, header: &[u8]) -> Result<Source, HeaderError> {
    match family {
        0x11 => {
            let address: [u8; 4] = array(header, FIXED).ok_or(HeaderError::Address)?;
            binary_client(Ipv4Addr::from(address).into(), header, FIXED + 8)
        }
        0x21 => {
            let address: [u8; 16] = array(header, FIXED).ok_or(HeaderError::Address)?;
            binary_client(Ipv6Addr::from(address).into(), header, FIXED + 32)
        }
        0x00 | 0x12 | 0x22 | 0x31 | 0x32 => Ok(Source::Sender),
        _ => Err(HeaderError::Family),
    }
}

/// Reads the ports at `ports`, which end the addresses.
fn binary_client(address: IpAddr, header: &[u8], ports: usize) -> Result<Source, HeaderError> {
    let both: [u8; 4] = array(header, ports).ok_or(HeaderError::Address)?;
    let [high, low, ..] = both;
    Ok(client(address, u16::from_be_bytes([high, low])))
}

fn array<const N: usize>(octets: &[u8], at: usize) -> Option<[u8; N]> {
    octets.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn client(address: IpAddr, port: u16) -> Source {
    Source::Client(SocketAddr::new(address.to_canonical(), port))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn complete(octets: &[u8]) -> Source {
        match parse(octets) {
            Ok(Parsed::Complete { source, len }) => {
                assert_eq!(len, octets.len());
                source
            }
            other => panic!("{other:?}"),
        }
    }

    fn at(text: &str) -> Source {
        Source::Client(text.parse().unwrap())
    }

    /// A header of version 2.
    fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let len = u16::try_from(rest.len()).unwrap();
        [VERSION_2, &[command, family], &len.to_be_bytes(), rest].concat()
    }

    const IPV4: &[u8] = &[192, 0, 2, 1, 198, 51, 100, 1, 0xdc, 0x04, 0x02, 0x4b];

    #[test]
    fn a_line_tells_the_client() {
        let line = b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 587\r\n";
        assert_eq!(complete(line), at("192.0.2.1:56324"));
        let line = b"PROXY TCP6 2001:db8::1 2001:db8::2 65535 0\r\n";
        assert_eq!(complete(line), at("[2001:db8::1]:65535"));
        // IPv4 in the form of IPv6 is IPv4 to us.
        let line = b"PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 1 2\r\n";
        assert_eq!(complete(line), at("192.0.2.1:1"));
    }

    #[test]
    fn unknown_clients_are_taken_for_the_sender() {
        for line in [
            "PROXY UNKNOWN\r\n",
            "PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n",
        ] {
            assert_eq!(complete(line.as_bytes()), Source::Sender, "{line}");
        }
    }

    #[test]
    fn a_line_that_is_not_as_it_must_be_is_refused() {
        let refused = |line: &str| parse(line.as_bytes()).unwrap_err();
        for line in [
            "PROXY TCP4 192.0.2.1 198.51.100.1 56324\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1 56324 587 \r\n",
            "PROXY TCP4  192.0.2.1 198.51.100.1 56324 587\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1 56324 587\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1 056324 587\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1 +5632 587\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1 65536 587\r\n",
            "PROXY TCP4 192.0.2.256 198.51.100.1 1 587\r\n",
            "PROXY TCP4 2001:db8::1 2001:db8::2 1 587\r\n",
            "PROXY TCP6 192.0.2.1 198.51.100.1 1 587\r\n",
            "PROXY TCP4 192.0.2.1 2001:db8::2 1 587\r\n",
            "PROXY TCP4\r\n",
            "PROXY TCP4 192.0.2.\u{661} 198.51.100.1 1 587\r\n",
        ] {
            assert_eq!(refused(line), HeaderError::Address, "{line}");
        }
        assert_eq!(
            refused("PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n"),
            HeaderError::Family
        );
        assert_eq!(refused("PROXY unknown a b 1 2\r\n"), HeaderError::Family);
        assert_eq!(refused("proxy UNKNOWN\r\n"), HeaderError::Missing);
        assert_eq!(refused("EHLO client.example\r\n"), HeaderError::Missing);
        let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(200));
        assert_eq!(refused(&long), HeaderError::TooLong);
    }

    #[test]
    fn a_binary_header_tells_the_client() {
        assert_eq!(complete(&binary(0x21, 0x11, IPV4)), at("192.0.2.1:56324"));
        let mut ipv6 = [0; 36];
        ipv6[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
        ipv6[15] = 1;
        ipv6[32..].copy_from_slice(&[0, 25, 0, 26]);
        assert_eq!(complete(&binary(0x21, 0x21, &ipv6)), at("[2001:db8::1]:25"));
    }

    #[test]
    fn what_stands_behind_the_addresses_is_passed_over() {
        let with_tlvs = [IPV4, &[0x20, 0xff, 0xff, 1], &[0xee; 300]].concat();
        assert_eq!(
            complete(&binary(0x21, 0x11, &with_tlvs)),
            at("192.0.2.1:56324")
        );
    }

    #[test]
    fn a_balancer_speaks_for_itself_or_for_somebody_it_cannot_name() {
        assert_eq!(complete(&binary(0x20, 0x00, &[])), Source::Sender);
        assert_eq!(complete(&binary(0x20, 0x11, IPV4)), Source::Sender);
        assert_eq!(complete(&binary(0x20, 0xff, &[1, 2])), Source::Sender);
        assert_eq!(complete(&binary(0x21, 0x00, &[])), Source::Sender);
        assert_eq!(complete(&binary(0x21, 0x12, IPV4)), Source::Sender);
        assert_eq!(complete(&binary(0x21, 0x31, &[b'/'; 216])), Source::Sender);
    }

    #[test]
    fn a_binary_header_that_is_not_as_it_must_be_is_refused() {
        let refused =
            |command, family, rest: &[u8]| parse(&binary(command, family, rest)).unwrap_err();
        assert_eq!(refused(0x11, 0x11, IPV4), HeaderError::Version);
        assert_eq!(refused(0x22, 0x11, IPV4), HeaderError::Command);
        assert_eq!(refused(0x21, 0x13, IPV4), HeaderError::Family);
        assert_eq!(refused(0x21, 0x41, IPV4), HeaderError::Family);
        assert_eq!(refused(0x21, 0x11, &IPV4[..11]), HeaderError::Address);
        assert_eq!(refused(0x21, 0x21, &[0; 35]), HeaderError::Address);
        assert_eq!(refused(0x21, 0x11, &[0; MAX_LEN]), HeaderError::TooLong);
    }

    fn headers() -> impl Strategy<Value = Vec<u8>> {
        let v4 = any::<([u8; 4], [u8; 4], u16, u16)>().prop_map(|(source, target, from, to)| {
            let (source, target) = (Ipv4Addr::from(source), Ipv4Addr::from(target));
            format!("PROXY TCP4 {source} {target} {from} {to}\r\n").into_bytes()
        });
        let v6 = any::<([u8; 16], [u8; 16], u16, u16)>().prop_map(|(source, target, from, to)| {
            let (source, target) = (Ipv6Addr::from(source), Ipv6Addr::from(target));
            format!("PROXY TCP6 {source} {target} {from} {to}\r\n").into_bytes()
        });
        let rest = prop::collection::vec(any::<u8>(), 36..300);
        let two = (
            0x20_u8..0x22,
            prop::sample::select(vec![0, 0x11, 0x12, 0x21, 0x31]),
            rest,
        )
            .prop_map(|(command, family, rest)| binary(command, family, &rest));
        prop_oneof![v4, v6, two]
    }

    proptest! {
        /// Cut anywhere, a header is incomplete; whatever follows it, it ends where it ends.
        #[test]
        fn a_header_ends_where_it_ends(header in headers(), tail in prop::collection::vec(any::<u8>(), 0..200)) {
            for cut in 0..header.len() {
                prop_assert_eq!(parse(&header[..cut]), Ok(Parsed::Incomplete), "{}", cut);
            }
            let whole = parse(&header);
            let is_whole = matches!(whole, Ok(Parsed::Complete { len, .. }) if len == header.len());
            prop_assert!(is_whole, "{:?}", whole);
            prop_assert_eq!(parse(&[header, tail].concat()), whole);
        }

        /// What is wrong stays wrong, and what is whole stays as it is, whatever follows.
        #[test]
        fn no_octets_change_what_is_decided(start in prop::sample::select(vec![VERSION_1, VERSION_2, b""]), octets in prop::collection::vec(any::<u8>(), 0..200)) {
            let octets = [start, &octets].concat();
            let mut decided = None;
            for cut in 0..=octets.len() {
                let parsed = parse(&octets[..cut]);
                if let Some(decided) = &decided {
                    prop_assert_eq!(&parsed, decided);
                }
                decided = decided.or_else(|| (parsed != Ok(Parsed::Incomplete)).then_some(parsed));
            }
        }
    }
}
