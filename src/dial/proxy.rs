//! What is known of a proxy.

use std::fmt;
use std::net::Ipv6Addr;

use crate::secret::Secret;

/// A proxy that connections to other servers go through.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Proxy {
    /// What it speaks.
    pub kind: ProxyKind,
    /// Its host name or IP address, without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The login, where it wants one.
    pub login: Option<ProxyLogin>,
}

/// What a proxy speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ProxyKind {
    /// HTTP CONNECT (RFC 9110 §9.3.6).
    HttpConnect,
    /// SOCKS version 5 (RFC 1928).
    Socks5,
}

/// A login at a proxy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProxyLogin {
    /// The user name, 1 to 255 octets; for HTTP without a colon.
    pub username: String,
    /// The password, 1 to 255 octets.
    pub password: Secret,
}

/// Why a text names no proxy.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ProxyUrlError {
    /// It begins with neither `socks5://` nor `http://`.
    #[error("it begins with neither socks5:// nor http://")]
    Scheme,
    /// It has a user name or password in it.
    #[error("a login does not stand in the address")]
    Login,
    /// There is no port, or none from 1 to 65535.
    #[error("it has no port")]
    Port,
    /// There is no host.
    #[error("it has no host")]
    Host,
    /// Something follows the port.
    #[error("nothing may follow the port")]
    Rest,
}

impl Proxy {
    /// Reads `socks5://host:port` or `http://host:port`; an IPv6 address stands in brackets.
    ///
    /// # Errors
    /// [`ProxyUrlError`].
    pub fn parse(url: &str) -> Result<Self, ProxyUrlError> {
        let (scheme, rest) = url.split_once("://").ok_or(ProxyUrlError::Scheme)?;
        let kind = match scheme {
            "http" => ProxyKind::HttpConnect,
            "socks5" => ProxyKind::Socks5,
            _ => return Err(ProxyUrlError::Scheme),
        };
        if rest.contains('@') {
            return Err(ProxyUrlError::Login);
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['/', '?', '#']) {
            return Err(ProxyUrlError::Rest);
        }
        let (host, port) = match rest.strip_prefix('[') {
            Some(bracketed) => {
                let (host, port) = bracketed.split_once(']').ok_or(ProxyUrlError::Host)?;
                if host.parse::<Ipv6Addr>().is_err() {
                    return Err(ProxyUrlError::Host);
                }
                (host, port.strip_prefix(':').ok_or(ProxyUrlError::Port)?)
            }
            None => rest.rsplit_once(':').ok_or(ProxyUrlError::Port)?,
        };
        let is_bracketed = rest.starts_with('[');
        let is_in_name = |octet: u8| octet.is_ascii_alphanumeric() || b"-._".contains(&octet);
        if host.is_empty() || !(is_bracketed || host.bytes().all(is_in_name)) {
            return Err(ProxyUrlError::Host);
        }
        let is_number = port.bytes().all(|octet| octet.is_ascii_digit());
        let port = port.parse().ok().filter(|&port| is_number && port > 0);
        Ok(Self {
            kind,
            host: host.to_owned(),
            port: port.ok_or(ProxyUrlError::Port)?,
            login: None,
        })
    }
}

impl fmt::Display for Proxy {
    /// Writes the address as [`Proxy::parse`] reads it, without the login.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.kind {
            ProxyKind::HttpConnect => "http",
            ProxyKind::Socks5 => "socks5",
        };
        if self.host.contains(':') {
            write!(f, "{scheme}://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{scheme}://{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_reads_as_the_same() {
        for url in [
            "socks5://proxy.example.com:1080",
            "http://192.0.2.1:3128",
            "socks5://[2001:db8::1]:1080",
        ] {
            assert_eq!(Proxy::parse(url).unwrap().to_string(), url);
        }
        let with_slash = Proxy::parse("http://proxy.example.com:8080/").unwrap();
        assert_eq!(with_slash.to_string(), "http://proxy.example.com:8080");
    }

    #[test]
    fn what_is_no_proxy_is_told_apart() {
        for (url, error) in [
            ("proxy.example.com:1080", ProxyUrlError::Scheme),
            ("https://proxy.example.com:443", ProxyUrlError::Scheme),
            ("socks5://a:b@proxy.example.com:1080", ProxyUrlError::Login),
            ("socks5://proxy.example.com", ProxyUrlError::Port),
            ("socks5://proxy.example.com:0", ProxyUrlError::Port),
            ("socks5://proxy.example.com:+80", ProxyUrlError::Port),
            ("socks5://:1080", ProxyUrlError::Host),
            ("socks5://2001:db8::1:1080", ProxyUrlError::Host),
            ("http://proxy.example.com:80/path", ProxyUrlError::Rest),
        ] {
            assert_eq!(Proxy::parse(url), Err(error), "{url}");
        }
    }

    #[test]
    fn a_login_is_not_printed() {
        let mut proxy = Proxy::parse("socks5://proxy.example.com:1080").unwrap();
        proxy.login = Some(ProxyLogin {
            username: "relay".to_owned(),
            password: Secret::new("hunter2".to_owned()),
        });
        assert!(!format!("{proxy} {proxy:?}").contains("hunter2"));
    }
}
