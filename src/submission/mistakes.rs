//! How often the log tells of clients that speak another protocol, or TLS in the wrong place.
//!
//! A device with a wrong port tries again and again, and scanners come in thousands; one line each would hide the rest.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::smtp::foreign::Foreign;
use crate::smtp::replies;
use crate::smtp::reply::Reply;

/// What a client does that is no SMTP, or no SMTP yet.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Mistake {
    /// It speaks another protocol.
    Foreign(Foreign),
    /// It speaks SMTP in plain text where TLS comes first.
    PlainText,
    /// It says nothing where TLS comes first: it waits for a greeting.
    Silent,
}

impl Mistake {
    /// Returns what a client does that begins so where TLS comes first. What looks like TLS, or like nothing at all, is
    /// left to the handshake.
    pub(super) fn before_tls(opening: &[u8]) -> Option<Self> {
        let line = opening.split(|octet| matches!(octet, b'\r' | b'\n')).next();
        let foreign = line.and_then(Foreign::of_line);
        let is_text = opening
            .iter()
            .all(|octet| matches!(octet, b' '..=b'~' | b'\r' | b'\n'));
        match foreign {
            Some(foreign) => Some(Self::Foreign(foreign)),
            None if is_text => Some(Self::PlainText),
            None if opening.starts_with(RDP) => Some(Self::Foreign(Foreign::Rdp)),
            None => None,
        }
    }

    /// Returns what whoever runs the client should look at.
    pub(super) const fn hint(self) -> &'static str {
        match self {
            Self::Foreign(foreign) => foreign.hint(),
            Self::PlainText | Self::Silent => {
                "the client is set to STARTTLS or to no encryption: set it to SSL/TLS, or let it use a port with STARTTLS (587)"
            }
        }
    }

    /// Returns what a client hears that can read it.
    pub(super) const fn reply(self) -> Option<&'static Reply> {
        match self {
            Self::Foreign(Foreign::Http | Foreign::Ssh) => Some(&replies::NOT_SMTP),
            Self::Foreign(Foreign::Proxy) => Some(&replies::PROXY_NOT_TAKEN),
            Self::Foreign(Foreign::Rdp | Foreign::Tls) => None,
            Self::PlainText | Self::Silent => Some(&replies::NOT_TLS),
        }
    }
}

/// How a connection request of Remote Desktop begins.
const RDP: &[u8] = &[0x03, 0x00];

/// What the log tells of an address.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Topic {
    /// A client mistakes the port.
    Mistake(Mistake),
    /// A balancer does not say for whom it connects.
    NoProxyHeader,
}

/// Counts mistakes of each kind by address.
#[derive(Debug, Default)]
pub(super) struct Mistakes {
    seen: Mutex<HashMap<(IpAddr, Topic), Seen>>,
}

#[derive(Debug)]
struct Seen {
    /// When the log told of it last.
    told: Instant,
    untold: u64,
}

/// The log tells the same of an address once in this time.
const LINE_EVERY: Duration = Duration::from_mins(1);

/// Addresses, with what they do, that are remembered. Whoever comes from more of them in a minute is not told of meanwhile.
const MAX_SEEN: usize = 4096;

impl Mistakes {
    /// Notes what a client at this address does; returns how often it did since the log told of it last, when a line is
    /// due.
    pub(super) fn note(&self, address: IpAddr, topic: Topic, now: Instant) -> Option<u64> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let is_fresh = |seen: &Seen| now.saturating_duration_since(seen.told) < LINE_EVERY;
        if let Some(seen) = seen.get_mut(&(address, topic)) {
            seen.untold += 1;
            if is_fresh(seen) {
                return None;
            }
            seen.told = now;
            return Some(std::mem::take(&mut seen.untold));
        }
        if seen.len() >= MAX_SEEN {
            seen.retain(|_, seen| is_fresh(seen));
        }
        if seen.len() >= MAX_SEEN {
            return None;
        }
        let first = Seen {
            told: now,
            untold: 0,
        };
        seen.insert((address, topic), first);
        Some(1)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::clock::{Clock as _, SystemClock};

    const HTTP: Topic = Topic::Mistake(Mistake::Foreign(Foreign::Http));
    const TLS: Topic = Topic::Mistake(Mistake::Foreign(Foreign::Tls));

    fn address(number: usize) -> IpAddr {
        Ipv4Addr::from(u32::try_from(number).unwrap()).into()
    }

    #[test]
    fn what_is_no_tls_is_known_by_how_it_begins() {
        for (opening, mistake) in [
            (&b"EHLO client.example\r\n"[..], Some(Mistake::PlainText)),
            (b"GET / HTTP/1.1\r\n", Some(Mistake::Foreign(Foreign::Http))),
            (
                b"PROXY TCP4 192.0.2.1 192.0.2.2 1",
                Some(Mistake::Foreign(Foreign::Proxy)),
            ),
            (
                b"\x03\x00\x00\x2b\x26\xe0",
                Some(Mistake::Foreign(Foreign::Rdp)),
            ),
            (b"\x16\x03\x01\x02\x00\x01", None),
            // The hello of SSL 2; the handshake knows what to say of it.
            (b"\x80\x2e\x01\x03\x01", None),
        ] {
            assert_eq!(Mistake::before_tls(opening), mistake, "{opening:?}");
        }
    }

    #[test]
    fn an_address_is_told_of_once_a_minute_for_each_mistake_with_their_number() {
        let (mistakes, now) = (Mistakes::default(), SystemClock.instant());
        assert_eq!(mistakes.note(address(1), TLS, now), Some(1));
        assert_eq!(mistakes.note(address(1), TLS, now), None);
        assert_eq!(mistakes.note(address(2), TLS, now), Some(1));
        assert_eq!(mistakes.note(address(1), HTTP, now), Some(1));
        assert_eq!(mistakes.note(address(1), TLS, now + LINE_EVERY), Some(2));
        assert_eq!(mistakes.note(address(1), TLS, now + LINE_EVERY), None);
    }

    #[test]
    fn many_addresses_cost_neither_memory_nor_the_log() {
        let (mistakes, now) = (Mistakes::default(), SystemClock.instant());
        let lines = (0..2 * MAX_SEEN).filter_map(|number| mistakes.note(address(number), TLS, now));
        assert_eq!(lines.count(), MAX_SEEN);
        assert_eq!(mistakes.seen.lock().unwrap().len(), MAX_SEEN);
        let later = now + LINE_EVERY;
        assert_eq!(mistakes.note(address(2 * MAX_SEEN), TLS, later), Some(1));
        assert_eq!(mistakes.seen.lock().unwrap().len(), 1);
    }
}
