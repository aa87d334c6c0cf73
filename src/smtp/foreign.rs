//! Other protocols than SMTP, known by how they begin.

use std::fmt;

/// A protocol that has no business here: its client has mistaken the port, attacks across protocols or looks around.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Foreign {
    /// A request of HTTP (RFC 9112 §3).
    Http,
    /// A header of the PROXY protocol.
    Proxy,
    /// A connection request of Remote Desktop (TPKT, RFC 1006 §6).
    Rdp,
    /// A greeting of SSH (RFC 4253 §4.2).
    Ssh,
    /// A TLS handshake where plain text is due (RFC 8446 §5.1).
    Tls,
}

impl Foreign {
    /// Returns the protocol of these octets at the start of a line, which need not be whole, where it is a binary one.
    pub fn of_octets(octets: &[u8]) -> Option<Self> {
        match octets {
            [0x16, 0x03, ..] => Some(Self::Tls),
            [0x03, 0x00, ..] => Some(Self::Rdp),
            _ => None,
        }
    }

    /// Returns the protocol of a line, without its CRLF, where it is one of text.
    pub fn of_line(line: &[u8]) -> Option<Self> {
        // The third line of the signature of the binary PROXY header; two empty ones stand before it.
        if line == b"\0" {
            return Some(Self::Proxy);
        }
        let verb = line.split(|&octet| octet == b' ').next()?;
        match verb.to_ascii_uppercase().as_slice() {
            b"CONNECT" | b"DELETE" | b"GET" | b"HEAD" | b"OPTIONS" | b"PATCH" | b"POST"
            | b"PRI" | b"PROPFIND" | b"PUT" | b"TRACE" => Some(Self::Http),
            b"PROXY" => Some(Self::Proxy),
            verb if verb.starts_with(b"SSH-") => Some(Self::Ssh),
            _ => None,
        }
    }

    /// Returns what whoever runs the client should look at.
    pub const fn hint(self) -> &'static str {
        match self {
            Self::Http => "a browser, a scanner, or a web page that attacks across protocols",
            Self::Proxy => {
                "a balancer sends PROXY headers and is not in `proxy_protocol` of the listener"
            }
            Self::Rdp | Self::Ssh => "a scanner, or a client with the wrong port",
            Self::Tls => {
                "the client is set to SSL/TLS: let it use a port with implicit TLS (465), or set it to STARTTLS"
            }
        }
    }
}

impl fmt::Display for Foreign {
    /// Writes its name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "HTTP",
            Self::Proxy => "PROXY",
            Self::Rdp => "RDP",
            Self::Ssh => "SSH",
            Self::Tls => "TLS",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_other_protocols_are_known() {
        for (line, protocol) in [
            ("GET / HTTP/1.1", Foreign::Http),
            ("connect mail.example:25 HTTP/1.1", Foreign::Http),
            ("PRI * HTTP/2.0", Foreign::Http),
            ("SSH-2.0-OpenSSH_9.9", Foreign::Ssh),
            ("PROXY TCP4 192.0.2.1 192.0.2.2 1 25", Foreign::Proxy),
            ("\0", Foreign::Proxy),
        ] {
            assert_eq!(Foreign::of_line(line.as_bytes()), Some(protocol), "{line}");
        }
        for line in ["", "EHLO post", "POSTMASTER", "NOOP GET /"] {
            assert_eq!(Foreign::of_line(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn binary_protocols_are_known_by_two_octets() {
        assert_eq!(Foreign::of_octets(b"\x16\x03\x01"), Some(Foreign::Tls));
        assert_eq!(Foreign::of_octets(b"\x03\x00\x00\x2b"), Some(Foreign::Rdp));
        for octets in [&b"\x16"[..], b"", b"EHLO", b"\x16\r\n"] {
            assert_eq!(Foreign::of_octets(octets), None);
        }
    }
}
